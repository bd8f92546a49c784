"""Carry out an import: read the form, check every row, insert or update users, and list what was refused."""

from __future__ import annotations

import json
from collections.abc import Iterable
from io import BytesIO
from typing import Any

import attrs

from auth0_meta.emulator.api.lookup import is_in
from auth0_meta.emulator.http.errors import bad_request, payload_error
from auth0_meta.emulator.http.message import Request, is_deep, to_json
from auth0_meta.emulator.http.timestamps import iso
from auth0_meta.emulator.rules import profile as profiles
from auth0_meta.emulator.rules.import_rows import check_row, redacted
from auth0_meta.emulator.rules.metadata import BAGS
from auth0_meta.emulator.rules.profile import Profile, ProfileTooLarge
from auth0_meta.emulator.rules.schema import FLAG, TEXT, Body, Field, check_length, refuse_first
from auth0_meta.emulator.rules.switches import Switches
from auth0_meta.emulator.state.jobs import Job, JobFailed
from auth0_meta.emulator.state.tenant_state import TenantState

IMPORT_LIMIT = 512_000
"""How many bytes an import request may have (documented: 500 KB)."""
CONNECTION_ID = Field(pattern=r"con_[A-Za-z0-9]{16}", echoed=True)
_MOST_PARTS = 100
_FLAGS = ("upsert", "send_completion_email")
_FORM = Field(
    type="object",
    required=("users", "connection_id"),
    properties={
        **{"users": TEXT, "connection_id": CONNECTION_ID, "external_id": TEXT},
        **dict.fromkeys(_FLAGS, FLAG),
    },
    closed=False,
)
# What an upsert may change (documented), apart from the password's hash, which is not stored.
_UPSERTABLE = ("email_verified", "family_name", "given_name", "name", "nickname", "picture")
# These control the import or are secret, and are never part of a profile.
_NOT_STORED = ("password_hash", "custom_password_hash", "mfa_factors")
_DUPLICATED = {"code": "DUPLICATED_USER", "message": "The user already exist and upsert parameter is false"}


@attrs.frozen
class ImportForm(Body):
    """The multipart form of an import: its fields by name, and the file under `users`, in any order."""

    field: Field = _FORM

    content_type = "multipart/form-data"

    def read(self, request: Request, switches: Switches) -> dict[str, Any]:
        """Return the form's fields with `users` as bytes and flags as booleans, or refuse it."""
        check_length(request.body, IMPORT_LIMIT)
        form = _parts(request)
        for name in form.keys() & _FLAGS:
            form[name] = {"true": True, "false": False}.get(form[name].lower(), form[name])
        refuse_first(form, self.field)
        if not form["users"]:
            raise payload_error("The users file is empty", "users")
        return form


def _parts(request: Request) -> dict[str, Any]:
    """Return the parts of the form that are not empty, and `users` as bytes if it is there."""
    from werkzeug.exceptions import HTTPException  # noqa: PLC0415  # werkzeug loads on use
    from werkzeug.formparser import FormDataParser  # noqa: PLC0415
    from werkzeug.http import parse_options_header  # noqa: PLC0415

    kind, options = parse_options_header(request.headers.get("content-type", ""))
    if kind != "multipart/form-data" or not options.get("boundary"):
        raise bad_request("Expected a multipart/form-data body")
    # The request is limited in size and already in memory, so its parts need no file on disk.
    parser = FormDataParser(
        stream_factory=_in_memory, silent=False, max_form_memory_size=None, max_form_parts=_MOST_PARTS
    )
    try:
        _, form, files = parser.parse(BytesIO(request.body), kind, len(request.body), options)
    except (ValueError, HTTPException):
        raise bad_request("Invalid multipart payload format", None) from None
    parts: dict[str, Any] = {name: text for name, text in form.items() if text}
    if "users" in files:
        parts["users"] = files["users"].read()
    elif "users" in form:
        parts["users"] = form["users"].encode()
    return parts


def _in_memory(*args: object, **kwargs: object) -> BytesIO:
    return BytesIO()


@attrs.define(eq=False)
class Import:
    """The work of one import job, which calls it.

    `stop_after` is the number of rows after which a fault ends the job, None without a fault.
    """

    state: TenantState
    data: bytes = attrs.field(repr=False)
    connection: str
    upsert: bool
    stop_after: int | None = None

    def __call__(self, job: Job, now: float) -> None:
        """Import the rows one by one; a job that fails midway leaves the first ones written."""
        try:
            rows = json.loads(self.data)
            to_json(rows)  # Python accepts NaN and 1e999, which no response can represent
            if is_deep(rows):
                raise RecursionError
        except (ValueError, RecursionError):
            rows = None
        if not isinstance(rows, list):
            raise JobFailed(status_details="Failed to parse users file JSON when importing users.")
        counts = {"failed": 0, "updated": 0, "inserted": 0, "total": len(rows)}
        seen: set[tuple[str, Any]] = set()
        for index, row in enumerate(rows):
            if index == self.stop_after:
                raise JobFailed(summary=counts)
            errors = check_row(row, switches=self.state.switches) or self._repeated(row, seen)
            done = ""
            if not errors:
                with self.state.users.lock:
                    done, errors = self._write(job, row, int(now * 1000))
            counts[done or "failed"] += 1
            if errors:
                job.errors.append({"user": redacted(row), "errors": errors})
        job.shown.update({"summary": counts, "connection": job.shown.pop("connection")})

    def _repeated(self, row: dict[str, Any], seen: set[tuple[str, Any]]) -> list[dict[str, Any]]:
        """Return an error if an earlier row already has the user (documented; the wording is a guess)."""
        names = [(name, row[name]) for name in ("email", "user_id", "username") if name in row]
        names = [(name, value.lower() if name == "email" else value) for name, value in names]
        if seen.intersection(names):
            return [{"code": "DUPLICATED_USER", "message": "The user is in the file more than once"}]
        seen.update(names)
        return []

    def _write(self, job: Job, row: dict[str, Any], now_ms: int) -> tuple[str, list[dict[str, Any]]]:
        """Insert or update one valid row; returns what was done and the errors, one of which is empty."""
        store = self.state.users
        new = self._new_user(row, now_ms)
        matched = self._in_connection(store.with_email(new.root["email"]))
        known = store.get(new.user_id)
        named = self._in_connection(store.with_username(row["username"])) if row.get("username") else None
        if not self.upsert:
            phone = row.get("phone_number")
            with_phone = phone and self._in_connection(store.with_phone_number(phone))
            if matched or known or named or with_phone:
                return "", [_DUPLICATED]
        elif matched is not None:
            return self._save(job, matched, self._merged(matched, row, now_ms), "updated")
        elif known is not None:
            return "", [{"code": "CONFLICT", "message": "The user_id belongs to another user"}]
        elif named is not None:
            return "", [{"code": "CONFLICT_USERNAME", "message": "The username belongs to another user"}]
        return self._save(job, None, new, "inserted")

    def _in_connection(self, users: Iterable[Profile]) -> Profile | None:
        """Return the first of these users that belongs to the connection, or None."""
        return next((one for one in users if is_in(one, self.connection)), None)

    def _save(
        self, job: Job, before: Profile | None, after: Profile, done: str
    ) -> tuple[str, list[dict[str, Any]]]:
        try:
            self.state.save(after, before=before, by=f"import {job.id}")
        except ProfileTooLarge as error:
            # The code is documented, and that it is for the row alone; its message and path are not.
            path = self.state.switches.import_profile_size_path
            where = {} if path is None else {"path": path}
            return "", [{"code": "PROFILE_SIZE_EXCEEDED", "message": error.message, **where}]
        return done, []

    def _new_user(self, row: dict[str, Any], now_ms: int) -> Profile:
        """Build a new user as POST does, except for the host of the default picture (recorded)."""
        # Only databases accept imports, and auth0 is their provider, whatever the connection's name is.
        user_id = f"auth0|{row.get('user_id') or self.state.new_object_id()}"
        body = {name: value for name, value in row.items() if name not in _NOT_STORED}
        body["connection"] = self.connection
        made = profiles.created(body, user_id=user_id, now_ms=now_ms, switches=self.state.switches)
        if "picture" not in row:
            made.root["picture"] = made.root["picture"].replace("//s.", "//secure.", 1)
        return made

    def _merged(self, before: Profile, row: dict[str, Any], now_ms: int) -> Profile:
        """Replace a user's upsertable attributes, and user_metadata and app_metadata as a whole (documented)."""
        new = {name: row[name] for name in (*_UPSERTABLE, *BAGS) if name in row}
        if self.state.switches.import_absent_bag == "clear":
            new |= {bag: {} for bag in BAGS if bag not in row}
        app = (new.pop("app_metadata") or None) if "app_metadata" in new else before.app_metadata
        updated_ms = max(now_ms, before.updated_ms + 1)
        root = {**before.root, **new, "updated_at": iso(updated_ms)}
        return attrs.evolve(before, root=root, app_metadata=app, updated_ms=updated_ms)
