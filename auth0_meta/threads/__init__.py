"""Daemon threads, and the carrier that takes calls of asyncio tasks to them."""
