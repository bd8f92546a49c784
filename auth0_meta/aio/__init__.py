"""The client for asyncio: the sync code, carried by worker threads.

`AsyncManagementClient` and the classes that it hands out are exported by `auth0_meta`, and here.
"""

from __future__ import annotations

from auth0_meta.aio.batch import AsyncMetadataBatch
from auth0_meta.aio.client import AsyncManagementClient
from auth0_meta.aio.jobs import AsyncJobs
from auth0_meta.aio.users import AsyncUsers

__all__ = ["AsyncJobs", "AsyncManagementClient", "AsyncMetadataBatch", "AsyncUsers"]
