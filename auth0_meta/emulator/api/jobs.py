"""Jobs: imports, exports and verification emails, and the files of exports."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import urlencode

import attrs

from auth0_meta.emulator.api.connections import connection_with_id
from auth0_meta.emulator.api.exports import CSV_FIELDS, write_export
from auth0_meta.emulator.api.imports import CONNECTION_ID, Import, ImportForm
from auth0_meta.emulator.api.lookup import get_user_or_404
from auth0_meta.emulator.api.route import Route, documented, recorded
from auth0_meta.emulator.http.errors import bad_request, payload_error, refused
from auth0_meta.emulator.http.message import Call, Reply, Request, to_json
from auth0_meta.emulator.rules.schema import OBJECT, TEXT, Body, Field, array, parse, record, refuse_first
from auth0_meta.emulator.rules.switches import Switches
from auth0_meta.emulator.rules.user_schema import check_user_id
from auth0_meta.emulator.state.jobs import ACTIVE_IMPORTS, Job, JobFailed
from auth0_meta.emulator.state.tenant_state import TenantState

_LINK_SECONDS = 60
_ACTIVE = (
    f"There are {ACTIVE_IMPORTS} active import users jobs, please wait until some of them are finished "
    "and try again"
)
_CLIENT_ID = "client_id of the client (application). If no value provided, the global Client ID will be used."
_DENIED = (
    b'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>AccessDenied</Code>'
    b"<Message>Request has expired</Message></Error>"
)
_COLUMN = Field(longest=100)
_EXPORT = record(
    connection_id=CONNECTION_ID,
    format=Field(one_of=("json", "csv")),
    limit=Field(type="integer", minimum=1),
    fields=array(record("name", name=_COLUMN, export_as=_COLUMN)),
)


@attrs.frozen
class _ExportBody(Body):
    """What to export; everything may be left out, even the body."""

    def read(self, request: Request, switches: Switches) -> dict[str, Any]:
        body = parse(request.body or b"{}", switches)
        if isinstance(body, dict):
            # ruby-auth0 sends null for what its caller left out.
            names = self.field.properties or {}
            body = {name: value for name, value in body.items() if value is not None or name not in names}
        refuse_first(body, self.field)
        fields = body.get("fields", [])
        if body.get("format", "csv") == "csv" and len(fields) > CSV_FIELDS:
            raise payload_error(f"Array is too long ({len(fields)}), maximum {CSV_FIELDS}", "fields")
        return dict(body)


def import_users(state: TenantState, call: Call) -> Reply:
    """Start an import; the response is a pending job."""
    form, fault = call.body, call.fault
    connection = connection_with_id(state, form["connection_id"])
    if not connection.is_database:
        # The 400 is documented; the wording is a guess.
        raise bad_request(f"The connection {connection.name} is not a database connection")
    stop_after = None if fault is None else fault.rows
    work = Import(state, form["users"], connection.name, form.get("upsert", False), stop_after)
    shown = {"connection_id": connection.id, "connection": connection.name}
    if form.get("external_id"):
        shown["external_id"] = form["external_id"]
    return _started(state, "users_import", work, shown, status=202)


def export_users(state: TenantState, call: Call) -> Reply:
    """Start an export; the response is a pending job, with 200."""
    body: dict[str, Any] = call.body
    shown: dict[str, Any] = {"format": "csv"}
    shown |= {name: body[name] for name in ("format", "limit", "fields") if name in body}
    name = None
    if "connection_id" in body:
        connection = connection_with_id(state, body["connection_id"])
        name = connection.name
        shown = {"connection_id": connection.id, **shown, "connection": name}
    return _started(state, "users_export", partial(write_export, state, name), shown, status=200)


def check_mail(state: TenantState, call: Call) -> None:
    """Refuse malformed ids."""
    check_user_id(call.body["user_id"])
    client_id = call.body.get("client_id")
    if (
        client_id is not None
        and client_id not in state.resources.of("clients")
        and not re.fullmatch(state.switches.client_id_format, client_id)
    ):
        rule = f"Object didn't pass validation for format client-id: {client_id}"
        raise payload_error(rule, f"client_id ({_CLIENT_ID})")


def verify_email(state: TenantState, call: Call) -> Reply:
    """Start sending a verification email; the response is a pending job, and no email is sent."""
    user_id = get_user_or_404(state, call.body["user_id"]).user_id
    return _started(state, "verification_email", partial(_send_mail, state, user_id), {}, status=201)


def get(state: TenantState, call: Call) -> Reply:
    """Get a job; a finished export has a link that is valid for 60 seconds."""
    job = _get_or_404(state, call)
    document = job.document()
    if job.file is not None:
        end = {name: document.pop(name) for name in ("created_at", "id")}
        document |= {
            "location": _link(state, call, job),
            "percentage_done": 100,
            "time_left_seconds": 0,
        } | end
    return Reply(200, to_json(document))


def errors(state: TenantState, call: Call) -> Reply:
    """List the users that an import refused, or get the job if it failed as a whole; 204 without errors."""
    job = _get_or_404(state, call)
    if job.errors:
        return Reply(200, to_json(job.errors), content_type="application/json")
    if job.status == "failed":
        return Reply(200, to_json(job.document()))
    return Reply(204)


def download(state: TenantState, call: Call) -> Reply:
    """Download the file of an export from its link while that is valid."""
    job = state.jobs.poll(call.params["id"])
    expires, signature = (call.query.get(name, "") for name in ("Expires", "Signature"))
    in_time = expires.isascii() and expires.isdigit() and call.now < int(expires[:18])
    if (
        job is None
        or job.file is None
        or not in_time
        or not hmac.compare_digest(signature.encode(), _sign(state, job, expires))
    ):
        return Reply(403, _DENIED, content_type="application/xml")
    return Reply(200, job.file, content_type="application/gzip")


def _link(state: TenantState, call: Call, job: Job) -> str:
    # Whole seconds, so that the link is never valid for longer than promised.
    expires = str(int(state.now()) + _LINK_SECONDS)
    query = urlencode({"Expires": expires, "Signature": _sign(state, job, expires).decode()})
    base = state.access.url_for(call.request)
    url = f"{base}/exports/{job.id}/{job.file_name}?{query}"
    return url if state.switches.export_link_scheme else url.partition("://")[2]


def _sign(state: TenantState, job: Job, expires: str) -> bytes:
    return hmac.new(state.secret, f"{job.id}:{expires}".encode(), hashlib.sha256).hexdigest().encode()


def _started(
    state: TenantState, kind: str, work: Callable[[Job, float], None], shown: dict[str, Any], *, status: int
) -> Reply:
    """Add a job, and return the reply that shows it before it is carried out (recorded: always pending)."""
    job = Job(state.new_id("job_"), kind, state.now(), work, shown)
    reply = Reply(status, to_json(job.document()), committed=True)
    if not state.jobs.add(job):
        raise refused(429, _ACTIVE)
    return reply


def _get_or_404(state: TenantState, call: Call) -> Job:
    job = state.jobs.poll(call.params["id"])
    if job is None:
        # The wording is a guess.
        raise refused(404, "The job does not exist.", "inexistent_job")
    return job


def _send_mail(state: TenantState, user_id: str, job: Job, now: float) -> None:
    """Send nothing; fail if the user has no email, as was recorded for a tenant that could not send any."""
    profile = state.users.get(user_id)
    if profile is None or not profile.root.get("email"):
        raise JobFailed


_JOBS = "/api/v2/jobs"
_READ = "create:users read:users"
_MAIL = Body(record("user_id", user_id=TEXT, client_id=TEXT, identity=OBJECT, organization_id=TEXT))
ROUTES = (
    Route(
        "POST",
        f"{_JOBS}/users-imports",
        import_users,
        scopes="create:users",
        body=ImportForm(),
        latency=(0.757, 1.2),
        evidence="recorded; the codes of bad rows documented",
    ),
    Route(
        "POST",
        f"{_JOBS}/users-exports",
        export_users,
        scopes="read:users",
        body=_ExportBody(_EXPORT),
        latency=(0.557, 0.9),
        evidence="recorded; the file documented",
    ),
    recorded(
        "POST",
        f"{_JOBS}/verification-email",
        verify_email,
        scopes="update:users",
        body=_MAIL,
        check=check_mail,
    ),
    recorded("GET", f"{_JOBS}/{{id}}", get, scopes=_READ, latency=(0.082, 0.2)),
    Route(
        "GET",
        f"{_JOBS}/{{id}}/errors",
        errors,
        scopes=_READ,
        latency=(0.082, 0.2),
        evidence="recorded; 204 documented",
    ),
    documented(
        "GET", "/exports/{id}/{file}", download, group=None, query={"Expires": TEXT, "Signature": TEXT}
    ),
)
