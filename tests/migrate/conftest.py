"""Make the fixtures of migration tests known here."""

from conftest_migrate import client, job, move, ndjson, tenant

__all__ = ["client", "job", "move", "ndjson", "tenant"]
