"""Carry out an import: read the form, check every row, insert or update, and list what was refused."""

from __future__ import annotations

import json
from io import BytesIO
from typing import Any

import attrs
from werkzeug.exceptions import HTTPException
from werkzeug.formparser import FormDataParser
from werkzeug.http import parse_options_header

from auth0_meta.emulator.http.errors import Refusal, bad_request
from auth0_meta.emulator.http.message import Request, to_json
from auth0_meta.emulator.http.moments import iso
from auth0_meta.emulator.rules import profile as profiles
from auth0_meta.emulator.rules.import_rows import check_row, redacted
from auth0_meta.emulator.rules.profile import Profile
from auth0_meta.emulator.state.jobs import Job, JobFailed
from auth0_meta.emulator.state.tenant_state import TenantState

# What an upsert may change (documented), apart from the password's hash, which is kept nowhere.
_UPSERTABLE = ("email_verified", "family_name", "given_name", "name", "nickname", "picture")
_BAGS = ("user_metadata", "app_metadata")
# Steer the import or are secret: never part of a profile.
_NOT_STORED = ("password_hash", "custom_password_hash", "mfa_factors")
_DUPLICATED = {
    "code": "DUPLICATED_USER",
    "message": "The user already exist and upsert parameter is false",
}


def read_form(request: Request) -> tuple[dict[str, str], bytes | None]:
    """Return the parts of a multipart form, in any order, and the file named `users` (None: absent)."""
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    if kind != "multipart/form-data" or not options.get("boundary"):
        raise bad_request("Expected a multipart/form-data body")
    # The request is bounded and in memory already: no file on disk for its parts.
    parser = FormDataParser(stream_factory=_in_memory, silent=False, max_form_memory_size=None)
    try:
        _, form, files = parser.parse(BytesIO(request.body), kind, len(request.body), options)
    except (ValueError, HTTPException):
        raise bad_request("Invalid multipart payload format", None) from None
    fields = form.to_dict()
    if "users" in files:
        return fields, files["users"].read()
    text = fields.pop("users", None)
    return fields, None if text is None else text.encode()


def _in_memory(*args: object, **kwargs: object) -> BytesIO:
    return BytesIO()


@attrs.define(eq=False)
class Import:
    """Hold what one import job was asked to do; calling it is the job's work.

    `stop_after`: a planned fault ends the job after so many rows; None is all of them.
    """

    state: TenantState
    data: bytes = attrs.field(repr=False)
    connection: str
    upsert: bool
    stop_after: int | None = None

    def __call__(self, job: Job, now: float) -> None:
        """Import the rows one by one, so that a job that fails midway leaves the first ones written."""
        try:
            rows = json.loads(self.data)
            to_json(rows)  # Python reads NaN and 1e999, which no answer could show
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
        """Refuse a row that names a user of an earlier row again (documented; the wording is not sourced)."""
        names = [(name, row[name]) for name in ("email", "user_id", "username") if name in row]
        names = [(name, value.lower() if name == "email" else value) for name, value in names]
        if seen.intersection(names):
            return [{"code": "DUPLICATED_USER", "message": "The user is in the file more than once"}]
        seen.update(names)
        return []

    def _write(self, job: Job, row: dict[str, Any], now_ms: int) -> tuple[str, list[dict[str, Any]]]:
        """Insert or update one good row; returns what was done and what went wrong, one of them empty."""
        store = self.state.users
        fresh = self._fresh(row, now_ms)
        matched = [one for one in store.with_email(fresh.root["email"]) if self._here(one)]
        known = store.get(fresh.user_id)
        username = row.get("username")
        named = [one for one in store.with_username(username) if self._here(one)] if username else []
        phone = row.get("phone_number")
        if not self.upsert:
            called = phone is not None and any(
                one.root.get("phone_number") == phone and self._here(one) for one in store.all()
            )
            if matched or known or named or called:
                return "", [_DUPLICATED]
        elif matched:
            after = self._merged(matched[0], row, now_ms)
            return self._save(job, matched[0], after, "updated")
        elif known is not None:
            return "", [{"code": "CONFLICT", "message": "The user_id belongs to another user"}]
        elif named:
            return "", [{"code": "CONFLICT_USERNAME", "message": "The username belongs to another user"}]
        return self._save(job, None, fresh, "inserted")

    def _save(
        self, job: Job, before: Profile | None, after: Profile, done: str
    ) -> tuple[str, list[dict[str, Any]]]:
        try:
            self.state.save(after, before=before, by=f"import {job.id}")
        except Refusal:
            limit = self.state.switches.profile_limit
            return "", [{"code": "MAXIMUM", "message": f"The user profile exceeds {limit} bytes"}]
        return done, []

    def _here(self, profile: Profile) -> bool:
        return any(one.get("connection") == self.connection for one in profile.root["identities"])

    def _fresh(self, row: dict[str, Any], now_ms: int) -> Profile:
        """Build a new user; recorded: as by POST, but for the host of the default picture."""
        # Only databases take imports, and this is their provider whatever the connection is called.
        user_id = f"auth0|{row.get('user_id') or self.state.new_object_id()}"
        body = {name: value for name, value in row.items() if name not in _NOT_STORED}
        body["connection"] = self.connection
        made = profiles.created(body, user_id=user_id, now_ms=now_ms, switches=self.state.switches)
        if "picture" not in row:
            made.root["picture"] = made.root["picture"].replace("//s.", "//secure.", 1)
        return made

    def _merged(self, before: Profile, row: dict[str, Any], now_ms: int) -> Profile:
        """Update a user: the upsertable attributes, and whole bags instead of merged ones (documented)."""
        root, app = dict(before.root), before.app_metadata
        root.update({name: row[name] for name in _UPSERTABLE if name in row})
        absent: dict[str, Any] | None = {} if self.state.switches.import_absent_bag == "clear" else None
        for bag in _BAGS:
            value = row.get(bag, absent)
            if value is None:
                continue
            if bag == "app_metadata":
                app = value or None
            else:
                root[bag] = value
        updated_ms = max(now_ms, before.updated_ms + 1)
        root["updated_at"] = iso(updated_ms)
        return attrs.evolve(before, root=root, app_metadata=app, updated_ms=updated_ms)
