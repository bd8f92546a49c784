"""Compute what staged changes result in: pure values, no I/O."""
