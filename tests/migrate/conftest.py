"""Make the fixtures of migration tests available to the tests in this folder."""

from support.migrations import client, job, move, ndjson, tenant

__all__ = ["client", "job", "move", "ndjson", "tenant"]
