"""The Architect's side of the Synaptic Bridge."""
