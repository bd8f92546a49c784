"""Decide what staged changes come to: pure values, no I/O."""
