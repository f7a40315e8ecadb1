"""Supervision and the Allopoietic Upgrade."""
