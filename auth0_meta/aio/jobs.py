"""The jobs endpoints, awaitable."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import IO, Any

from auth0_meta.aio.calls import Calls
from auth0_meta.changes.jsonvalue import JSONObject
from auth0_meta.endpoints.jobs import MAX_DOWNLOAD, Jobs, Polling
from auth0_meta.http.channel import HasChannel
from auth0_meta.models import Job
from auth0_meta.redact import discreet


@discreet
class AsyncJobs:
    """Start, watch and fetch import and export jobs from asyncio, as `aclient.jobs`: the methods of `Jobs`, awaited.

    Endpoints, scopes, arguments, results and errors are the same as for `Jobs`, which explains them.

    >>> async def rows(aclient):
    ...     job = await aclient.jobs.export_users(fields=["user_id"])
    ...     await aclient.jobs.wait(job)
    ...     with tempfile.TemporaryFile() as file:
    ...         await aclient.jobs.download(job, file)
    ...         file.seek(0)
    ...         return gzip.decompress(file.read()).decode()
    >>> import asyncio, gzip, tempfile
    >>> user.user_id in asyncio.run(rows(tenant.client().aio))
    True
    """

    def __init__(self, client: HasChannel) -> None:
        self._calls = Calls(client._channel)
        self._jobs = Jobs(client)

    async def export_users(
        self,
        *,
        format: str = "json",
        fields: Iterable[str | Mapping[str, str]] | None = None,
        connection_id: str | None = None,
        limit: int | None = None,
    ) -> Job:
        """Start an export: `Jobs.export_users`, awaited."""
        call = partial(
            self._jobs.export_users, format=format, fields=fields, connection_id=connection_id, limit=limit
        )
        return await self._calls.write("jobs.export_users", call)

    async def import_users(
        self,
        users: Iterable[JSONObject],
        *,
        connection_id: str,
        upsert: bool = False,
        external_id: str | None = None,
        send_completion_email: bool = False,
    ) -> Job:
        """Start an import: `Jobs.import_users`, awaited.  `users` is iterated in a worker thread."""
        call = partial(
            self._jobs.import_users,
            users,
            connection_id=connection_id,
            upsert=upsert,
            external_id=external_id,
            send_completion_email=send_completion_email,
        )
        return await self._calls.write("jobs.import_users", call)

    async def get(self, job_id: str, /) -> Job:
        """Read a job: `Jobs.get`, awaited."""
        return await self._calls.read("jobs.get", partial(self._jobs.get, job_id))

    async def errors(self, job_id: str, /) -> list[dict[str, Any]]:
        """Return what was wrong with an import's rows: `Jobs.errors`, awaited."""
        return await self._calls.read("jobs.errors", partial(self._jobs.errors, job_id))

    async def wait(
        self,
        job: Job | str,
        /,
        *,
        timeout: float | None = 7200.0,
        on_progress: Callable[[Job], object] | None = None,
    ) -> Job:
        """Read a job until it has ended, and return it: `Jobs.wait`, awaited.

        No thread is occupied between two readings.  `on_progress` is called in the event loop.
        """
        polling = Polling(self._calls.channel.clock, job, timeout, on_progress)
        while (pause := polling.look(await self.get(polling.job_id))) is not None:
            await self._calls.sleep(pause)
        return polling.job

    async def download(self, job: Job | str, to: IO[bytes], /, *, max_bytes: int = MAX_DOWNLOAD) -> int:
        """Write a finished export's file to `to`: `Jobs.download`, awaited.

        A worker thread writes to the file.  If the task is cancelled, the download ends, and nothing is written to `to`
        after that.
        """
        call = partial(self._jobs.download, job, to, max_bytes=max_bytes)
        return await self._calls.finish("jobs.download", call)
