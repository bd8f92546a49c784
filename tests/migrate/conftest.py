"""Make the fixtures of migration tests known here."""

from support.migrations import client, job, move, ndjson, tenant

__all__ = ["client", "job", "move", "ndjson", "tenant"]
