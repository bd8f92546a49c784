"""The file of an export: NDJSON or CSV with Auth0's quirks, gzipped."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from auth0_meta.emulator.http.message import to_json
from auth0_meta.emulator.rules.profile import Profile
from auth0_meta.emulator.state.jobs import Job

CSV_FIELDS = 30
"""The most fields that a CSV file may have (documented)."""
# Open: Auth0 names "a predefined set" without listing it.
_PREDEFINED = (
    *("user_id", "email", "email_verified", "name", "nickname", "given_name", "family_name"),
    *("picture", "username", "phone_number", "created_at", "updated_at", "last_login", "logins_count"),
)
_STEP = re.compile(r"\[(\d+)\]|\.?([^.\[\]]+)")


def at_path(document: Any, path: str) -> Any:
    """Return the value at a path such as `identities[0].connection`, None if there is none.

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


@attrs.define(eq=False)
class Export:
    """One export job's task; calling it is the job's work.

    `users` is called when the job is carried out, and returns the users to export.
    """

    users: Any
    format: str
    fields: list[dict[str, str]] | None
    limit: int | None
    tenant: str

    def __call__(self, job: Job, now: float) -> None:
        """Write the file; each GET of the job makes a new link to it."""
        chosen: Iterable[Profile] = self.users()
        documents = [profile.document() for profile in list(chosen)[: self.limit]]
        text = self._json(documents) if self.format == "json" else self._csv(documents)
        job.file = gzip.compress(text, compresslevel=6, mtime=0)
        job.file_name = f"{self.tenant}.{self.format}.gz"

    def _columns(self) -> list[tuple[str, str]]:
        named = self.fields or [{"name": name} for name in _PREDEFINED]
        return [(field["name"], field.get("export_as") or field["name"]) for field in named]

    def _json(self, documents: list[dict[str, Any]]) -> bytes:
        """Write one object per line.  Open: what is written without `fields`; here the whole profile."""
        if self.fields:
            columns = self._columns()
            documents = [
                {shown: value for path, shown in columns if (value := at_path(document, path)) is not None}
                for document in documents
            ]
        return b"".join(to_json(document) + b"\n" for document in documents)

    def _csv(self, documents: list[dict[str, Any]]) -> bytes:
        columns = self._columns()
        lines = [",".join(shown for _, shown in columns)]
        lines += [",".join(_cell(at_path(document, path)) for path, _ in columns) for document in documents]
        return "".join(f"{line}\n" for line in lines).encode("utf-8", "backslashreplace")


def _cell(value: Any) -> str:
    """Write one cell: a string gets a leading `'` and doubled quotes; objects are not exported (documented)."""
    if isinstance(value, str):
        doubled = value.replace('"', '""')
        return f'"\'{doubled}"'
    if value is None or isinstance(value, (dict, list)):
        return ""
    return to_json(value).decode()
