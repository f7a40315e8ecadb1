"""The Living Image: the one door to ZODB."""
