"""Answer the jobs endpoints, and hand out the files of exports."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterator
from functools import partial
from typing import Any
from urllib.parse import urlencode

from auth0_meta.emulator.api.connections import Connection, with_id
from auth0_meta.emulator.api.exports import CSV_FIELDS, Export
from auth0_meta.emulator.api.imports import Import, read_form
from auth0_meta.emulator.http.errors import Refusal, bad_request, no_such_user, payload_error, problem
from auth0_meta.emulator.http.message import Call, Reply, to_json
from auth0_meta.emulator.rules.profile import Profile
from auth0_meta.emulator.rules.schema import check_user_id, parse_object, type_name
from auth0_meta.emulator.state.jobs import ACTIVE_IMPORTS, Job, JobFailed
from auth0_meta.emulator.state.tenant_state import TenantState

IMPORT_LIMIT = 512_000
"""The most bytes of an import request (documented: 500 KB)."""
_LINK_SECONDS = 60
_CONNECTION_ID = r"con_[A-Za-z0-9]{16}"
_ACTIVE = (
    f"There are {ACTIVE_IMPORTS} active import users jobs, please wait until some of them are finished "
    "and try again"
)
_CLIENT_ID = "client_id of the client (application). If no value provided, the global Client ID will be used."
_DENIED = (
    b'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>AccessDenied</Code>'
    b"<Message>Request has expired</Message></Error>"
)
_EXPORT: dict[str, str] = {
    "connection_id": "string",
    "format": "string",
    "limit": "integer",
    "fields": "array",
}


def import_users(state: TenantState, call: Call) -> Reply:
    """Answer POST /api/v2/jobs/users-imports: 202 and a pending job."""
    request = call.request
    if len(request.body) > IMPORT_LIMIT:
        message = f"Payload content length greater than maximum allowed: {IMPORT_LIMIT}"
        raise Refusal(413, problem(413, message))
    fields, data = read_form(request)
    for name in ("users", "connection_id"):
        if (data is None) if name == "users" else not fields.get(name):
            raise payload_error(f"Missing required property: {name}")
    if not data:
        raise payload_error("The users file is empty", "users")
    connection = _connection(state, fields["connection_id"])
    if not connection.is_database:
        # That it is a 400 is documented, the wording is not sourced.
        raise bad_request(f"The connection {connection.name} is not a database connection", "invalid_body")
    upsert = _boolean(fields, "upsert", default=False)
    _boolean(fields, "send_completion_email", default=True)
    fault = call.fault
    work = Import(state, data, connection.name, upsert, None if fault is None else fault.rows)
    call.run_hooks()
    shown = {"connection_id": connection.id, "connection": connection.name}
    if fields.get("external_id"):
        shown["external_id"] = fields["external_id"]
    job = Job(state.new_id("job_"), "users_import", state.now(), work, shown)
    return _started(state, job, 202)


def export_users(state: TenantState, call: Call) -> Reply:
    """Answer POST /api/v2/jobs/users-exports: 200 (recorded) and a pending job."""
    body = parse_object(call.request.body or b"{}", switches=state.switches)
    call.body = body
    _check_export(body)
    shown: dict[str, Any] = {}
    users = state.users.all
    if "connection_id" in body:
        connection = _connection(state, body["connection_id"])
        shown["connection_id"] = connection.id
        users = partial(_of_connection, state, connection.name)
    shown["format"] = body.get("format", "csv")
    shown |= {name: body[name] for name in ("limit", "fields") if name in body}
    if "connection_id" in body:
        shown["connection"] = connection.name
    call.run_hooks()
    work = Export(users, shown["format"], body.get("fields"), body.get("limit"), state.tenant_name)
    return _started(state, Job(state.new_id("job_"), "users_export", state.now(), work, shown), 200)


def verify_email(state: TenantState, call: Call) -> Reply:
    """Answer POST /api/v2/jobs/verification-email: 201 and a pending job; no mail is sent."""
    body = parse_object(call.request.body, switches=state.switches)
    call.body = body
    _properties(
        body,
        {"user_id": "string", "client_id": "string", "identity": "object", "organization_id": "string"},
    )
    if "user_id" not in body:
        raise payload_error("Missing required property: user_id")
    check_user_id(body["user_id"])
    client_id = body.get("client_id")
    if (
        client_id is not None
        and client_id not in state.access.applications
        and not re.fullmatch(state.switches.client_id_format, client_id)
    ):
        rule = f"Object didn't pass validation for format client-id: {client_id}"
        raise payload_error(rule, f"client_id ({_CLIENT_ID})")
    call.run_hooks()
    if state.users.get(body["user_id"]) is None:
        raise no_such_user()
    work = partial(_send_mail, state, body["user_id"])
    return _started(state, Job(state.new_id("job_"), "verification_email", state.now(), work), 201)


def get(state: TenantState, call: Call) -> Reply:
    """Answer GET /api/v2/jobs/{id}; a finished export gets a link that is good for 60 seconds."""
    call.run_hooks()
    job = _found(state, call)
    document = job.document()
    if job.file is not None:
        end = {name: document.pop(name) for name in ("created_at", "id")}
        document |= {"location": _link(state, job), "percentage_done": 100, "time_left_seconds": 0} | end
    return Reply(200, to_json(document))


def errors(state: TenantState, call: Call) -> Reply:
    """Answer GET /api/v2/jobs/{id}/errors: the refused users, the job if it failed as a whole, or 204."""
    call.run_hooks()
    job = _found(state, call)
    if job.errors:
        return Reply(200, to_json(job.errors), content_type="application/json")
    if job.status == "failed":
        return Reply(200, to_json(job.document()))
    return Reply(204)


def download(state: TenantState, call: Call) -> Reply:
    """Hand out the file of an export to whoever has its link, as long as that is good."""
    asked = call.request.query
    job = state.jobs.poll(call.params["id"])
    expires = asked.get("Expires", "")
    good = expires.isascii() and expires.isdigit() and call.now < int(expires[:18])
    if (
        job is None
        or job.file is None
        or not good
        or not hmac.compare_digest(asked.get("Signature", "").encode(), _sign(state, job, expires))
    ):
        return Reply(403, _DENIED, content_type="application/xml")
    return Reply(200, job.file, content_type="application/gzip")


def _link(state: TenantState, job: Job) -> str:
    # Whole seconds, so that the link never lives longer than promised.
    expires = str(int(state.now()) + _LINK_SECONDS)
    query = urlencode({"Expires": expires, "Signature": _sign(state, job, expires).decode()})
    url = f"{state.access.url}/exports/{job.id}/{job.file_name}?{query}"
    return url if state.switches.export_link_scheme else url.partition("://")[2]


def _sign(state: TenantState, job: Job, expires: str) -> bytes:
    return hmac.new(state.secret, f"{job.id}:{expires}".encode(), hashlib.sha256).hexdigest().encode()


def _started(state: TenantState, job: Job, status: int) -> Reply:
    """Answer with the job as it is before anything of it is carried out (recorded: always pending)."""
    reply = Reply(status, to_json(job.document()), committed=True)
    if not state.jobs.add(job):
        raise Refusal(429, problem(429, _ACTIVE))
    return reply


def _found(state: TenantState, call: Call) -> Job:
    job_id = call.params["id"]
    job = state.jobs.poll(job_id)
    if job is None:
        # The wording is not sourced.
        raise Refusal(404, problem(404, "The job does not exist.", "inexistent_job"))
    return job


def _connection(state: TenantState, connection_id: str) -> Connection:
    """Return the connection of a well-formed id."""
    if not re.fullmatch(_CONNECTION_ID, connection_id):
        rule = f"String does not match pattern ^{_CONNECTION_ID}$: {connection_id}"
        raise payload_error(rule, "connection_id")
    return with_id(state, connection_id)


def _of_connection(state: TenantState, name: str) -> Iterator[Profile]:
    for profile in state.users.all():
        if any(identity.get("connection") == name for identity in profile.root["identities"]):
            yield profile


def _send_mail(state: TenantState, user_id: str, job: Job, now: float) -> None:
    """Send nothing; fail, as recorded of a tenant that could not, where there is nobody to send it to."""
    profile = state.users.get(user_id)
    if profile is None or not profile.root.get("email"):
        raise JobFailed


def _boolean(fields: dict[str, str], name: str, *, default: bool) -> bool:
    text = fields.get(name)
    if text is None or text == "":
        return default
    if text.lower() not in ("true", "false"):
        raise payload_error("Expected type boolean but found type string", name)
    return text.lower() == "true"


def _properties(body: dict[str, Any], types: dict[str, str]) -> None:
    unknown = [name for name in body if name not in types]
    if unknown:
        raise payload_error(f"Additional properties not allowed: {','.join(unknown)}")
    for name, value in body.items():
        found = type_name(value)
        if found != types[name]:
            raise payload_error(f"Expected type {types[name]} but found type {found}", name)


def _check_export(body: dict[str, Any]) -> None:
    for name in [name for name in ("connection_id", "format", "limit", "fields") if name in body]:
        if body[name] is None:
            # ruby-auth0 sends null for what its caller left out.
            del body[name]
    _properties(body, _EXPORT)
    if body.get("format", "csv") not in ("json", "csv"):
        raise payload_error("No enum match for: " + body["format"], "format")
    if body.get("limit", 1) < 1:
        raise payload_error(f"Value {body['limit']} is less than minimum 1", "limit")
    fields = body.get("fields", [])
    for field in fields:
        if type_name(field) != "object":
            raise payload_error(f"Expected type object but found type {type_name(field)}", "fields")
        _properties(field, {"name": "string", "export_as": "string"})
        if "name" not in field:
            raise payload_error("Missing required property: name", "fields")
        for value in field.values():
            if len(value) > 100:
                raise payload_error(f"String is too long ({len(value)} chars), maximum 100", "fields")
    if body.get("format", "csv") == "csv" and len(fields) > CSV_FIELDS:
        raise payload_error(f"Array is too long ({len(fields)}), maximum {CSV_FIELDS}", "fields")
