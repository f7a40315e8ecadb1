"""The whole system with real weights."""
