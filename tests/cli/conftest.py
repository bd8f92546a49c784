"""Make the fixtures of migration tests available to the tests of the command line."""

from support.migrations import job, move, ndjson

__all__ = ["job", "move", "ndjson"]
