"""Get, keep and verify tokens."""
