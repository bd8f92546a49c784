"""Decide how fast the tenant may be called; README.md explains the method."""
