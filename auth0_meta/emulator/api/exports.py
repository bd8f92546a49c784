"""The file of an export: gzipped NDJSON or CSV, with Auth0's quirks."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterable, Iterator, Mapping
from io import BytesIO
from itertools import islice
from typing import Any

from auth0_meta.emulator.api.lookup import is_in
from auth0_meta.emulator.http.message import to_json
from auth0_meta.emulator.state.jobs import Job
from auth0_meta.emulator.state.tenant_state import TenantState

CSV_FIELDS = 30
"""How many fields a CSV file may have (documented)."""
# Open: Auth0 names "a predefined set" without listing it.
_PREDEFINED = (
    *("user_id", "email", "email_verified", "name", "nickname", "given_name", "family_name"),
    *("picture", "username", "phone_number", "created_at", "updated_at", "last_login", "logins_count"),
)
_STEP = re.compile(r"\[(\d+)\]|\.?([^.\[\]]+)")


def at_path(document: Any, path: str) -> Any:
    """Return the value at a path such as `identities[0].connection`, or None.

    >>> at_path({"identities": [{"provider": "auth0"}]}, "identities[0].provider")
    'auth0'
    """
    value = document
    for index, name in _STEP.findall(path):
        if index:
            value = value[int(index)] if isinstance(value, list) and int(index) < len(value) else None
        else:
            value = value.get(name) if isinstance(value, Mapping) else None
    return value


def write_export(state: TenantState, connection: str | None, job: Job, now: float) -> None:
    """Write the job's file, with the users of one connection (None: all users); each GET of the job makes a new link to it."""
    kind, fields = job.shown["format"], job.shown.get("fields")
    users = (user for user in state.users.all() if connection is None or is_in(user, connection))
    documents = (user.document() for user in islice(users, job.shown.get("limit")))
    named = fields or [{"name": name} for name in _PREDEFINED]
    columns = [(field["name"], field.get("export_as") or field["name"]) for field in named]
    if kind == "csv":
        lines = _csv(documents, columns)
    elif not fields:
        # Open: what is written without `fields`; here the whole profile.
        lines = (to_json(document) + b"\n" for document in documents)
    else:
        rows = ({shown: at_path(document, path) for path, shown in columns} for document in documents)
        shown = ({name: value for name, value in row.items() if value is not None} for row in rows)
        lines = (to_json(document) + b"\n" for document in shown)
    packed = BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=6, mtime=0) as file:
        file.writelines(lines)
    job.file = packed.getvalue()
    job.file_name = f"{state.tenant_name}.{kind}.gz"


def _csv(documents: Iterable[Any], columns: list[tuple[str, str]]) -> Iterator[bytes]:
    yield (",".join(shown for _, shown in columns) + "\n").encode("utf-8", "backslashreplace")
    for document in documents:
        line = ",".join(_cell(at_path(document, path)) for path, _ in columns)
        yield f"{line}\n".encode("utf-8", "backslashreplace")


def _cell(value: Any) -> str:
    """Return one cell: a string gets a leading `'` and doubled quotes; objects are not exported (documented)."""
    if isinstance(value, str):
        doubled = value.replace('"', '""')
        return f'"\'{doubled}"'
    if value is None or isinstance(value, (dict, list)):
        return ""
    return to_json(value).decode()
