"""Carry a request to its response."""
