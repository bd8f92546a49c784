"""Get, keep and check tokens."""
