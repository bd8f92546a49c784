"""Decide how fast the tenant may be asked."""
