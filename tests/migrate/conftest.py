"""Make the fixtures of migration tests known to pytest."""

from support.migrations import client, job, move, ndjson, tenant

__all__ = ["client", "job", "move", "ndjson", "tenant"]
