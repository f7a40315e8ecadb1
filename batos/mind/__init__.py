"""Models: protocol, engines, host process, weights."""
