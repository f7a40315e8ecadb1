"""Doubles that ship with BAT OS."""
