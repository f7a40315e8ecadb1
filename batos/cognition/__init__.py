"""Cognition: cycles, states, personas, prompts, translation."""
