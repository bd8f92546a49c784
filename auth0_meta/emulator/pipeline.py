"""Handle requests stage by stage: host, route, fault, token, bucket, scope, body, second writers, handler, journal.

Auth0 does not document the order of its own checks; this is the likeliest one.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Protocol

import attrs

from auth0_meta.clock import SYSTEM_CLOCK
from auth0_meta.emulator.api.imports import IMPORT_LIMIT
from auth0_meta.emulator.api.route import MANAGEMENT_ROOT, Route
from auth0_meta.emulator.auth.cors import cors_headers, preflight, trusted_origin
from auth0_meta.emulator.fault_response import fault_response, rate_headers
from auth0_meta.emulator.http.errors import NotServed, Refusal, oauth_error, refused
from auth0_meta.emulator.http.masking import masked_oauth
from auth0_meta.emulator.http.message import JSON_TYPE, Call, Reply, Request, Response, to_json
from auth0_meta.emulator.routes import find
from auth0_meta.emulator.rules.journal_entry import Entry, RecordedResponse, parsed
from auth0_meta.emulator.rules.loopback import is_served
from auth0_meta.emulator.rules.schema import read_query
from auth0_meta.emulator.rules.user_schema import check_user_id
from auth0_meta.emulator.state.faults import CallbackRaised, Dropped, Fault
from auth0_meta.emulator.state.tenant_state import TenantState
from auth0_meta.emulator.state.tokens import require
from auth0_meta.emulator.unserved import not_served_reply, unserved

_log = logging.getLogger("auth0_meta.emulator")
_MOST_SNAPSHOT = 256 * 1024 * 1024
_WRITES = ("PATCH", "POST", "PUT", "DELETE")
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
CONTROL_ROOT = "/_emulator/"
"""Paths below it, and `/`, belong to `control`: they have no bucket, no faults, and no entries in the journal."""


class ControlLike(Protocol):
    """What handles the page and the control routes."""

    def __call__(self, request: Request) -> Response:
        """Return the response to one request."""

    def has_token(self, headers: Mapping[str, str]) -> bool:
        """Return whether a request with these headers carries the token of this run."""


class Pipeline:
    """Carry each request through its stages; servers call `handle` from any thread.

    `owner` is passed to second writers.  `latency` is a number of seconds per request, "realistic" for each
    route's own, or None.  `retry_after` adds that header to a 429.  `control` handles what is below CONTROL_ROOT.
    """

    def __init__(
        self, state: TenantState, *, owner: Any, latency: float | str | None, retry_after: bool
    ) -> None:
        self.state = state
        self.control: ControlLike | None = None
        self._owner, self._latency, self._retry_after = owner, latency, retry_after

    def most_body(self, target: str, headers: Mapping[str, str]) -> int:
        """Return how many bytes of a body a server has to keep; a longer one is refused whatever it says."""
        if target.startswith(CONTROL_ROOT) and self.control is not None and self.control.has_token(headers):
            return _MOST_SNAPSHOT
        return max(self.state.switches.body_limit, IMPORT_LIMIT)

    def handle(self, request: Request) -> Response:
        """Return the response to a request; raises `Dropped` if the connection must be closed instead."""
        if self.control is not None and (request.path == "/" or request.path.startswith(CONTROL_ROOT)):
            return self.control(request)
        call, begun = Call(request, self.state.now()), SYSTEM_CLOCK.monotonic()
        try:
            reply = self._reply(call)
        except Refusal as refusal:
            reply = _as_reply(call, refusal)
        except Dropped:
            self._record(call, None, begun)
            raise
        except CallbackRaised as raised:
            # The client may retry and succeed; then only this list still shows the error.
            self.state.raised.append(raised)
            call.outcome = "plan_raised"
            _log.error("a second writer or predicate of the test raised %s: verify() reports it", raised)
            error = refused(500, "A second writer or predicate of the test raised: verify() reports it.")
            reply = _as_reply(call, error)
        except Exception:  # noqa: BLE001  # a bug here must be a response, or the client would wait in vain
            _log.exception("the local tenant failed on %s %s", request.method, call.template or request.path)
            reply = _as_reply(call, refused(500, "The local tenant failed: see its log."))
        response = self._response(call, reply)
        self._record(call, response, begun)
        return response

    def _reply(self, call: Call) -> Reply:
        request, state = call.request, self.state
        check_host(request, state.hosts)
        if request.method == "OPTIONS" and "origin" in request.headers:
            return preflight(state, request)
        found = find(request.method, request.path)
        if found is None:
            # A fault with exactly this path can still strike.
            route = Route(request.method, request.path, _refuse, group=None, evidence="")
        else:
            route, call.params = found
            call.template = route.template
            if route.names_user:
                call.user_id = call.params["id"]
            state.jobs.settle()
            if route.blind:
                trusted = trusted_origin(state, request) is not None
                check_origin(request, state.access.url, trusted=trusted)
        fault = state.faults.strike(request, route.template, call.user_id, exact_path=found is None)
        if fault is None:
            return _refuse(state, call) if found is None else self._serve(call, route)
        call.fault, call.template = fault, route.template
        return attrs.evolve(self._struck(call, route, fault), cut=fault.truncate, slow=fault.slow)

    def _struck(self, call: Call, route: Route, fault: Fault) -> Reply:
        """Return the reply to a request that a fault strikes, before it is carried out or after."""
        if fault.delay is not None and not fault.late:
            self.state.pause(fault.delay)
        if fault.drop in ("before_commit", "reset"):
            call.outcome = "dropped_before_commit"
            dropped = Dropped()
            dropped.with_reset = fault.drop == "reset"
            raise dropped
        if fault.expire_token:
            self.state.access.expire_one(call.request.headers.get("authorization"))
        if fault.status is not None and not fault.late:
            return self._fault_reply(call, route, fault)
        try:
            reply = self._serve(call, route)
        except Refusal as refusal:
            reply = _as_reply(call, refusal)
        if fault.late and fault.delay is not None:
            self.state.pause(fault.delay)
        if fault.drop == "after_commit":
            call.outcome = "dropped_after_commit"
            raise Dropped
        if fault.status is None:
            return reply
        call.not_served = ""  # the fault serves it
        return self._fault_reply(call, route, fault)

    def _serve(self, call: Call, route: Route) -> Reply:
        """Take the request through token, bucket and scope to its handler."""
        state = self.state
        if state.switches.limit_before_auth:
            self._take(call, route)
        if route.management:
            call.grant = state.access.authenticate(call.request.headers.get("authorization"), call.now)
        if not state.switches.limit_before_auth:
            self._take(call, route)
        if call.grant is not None:
            require(call.grant, route.scopes)
        if self._latency is not None:
            realistic = self._latency == "realistic"
            state.pause(state.draw_latency(*route.latency) if realistic else float(self._latency))
        try:
            reply = self._handled(call, route)
        except Refusal as refusal:
            if route.log is not None:
                route.log(state, call, refusal)
            raise
        if route.log is not None:
            route.log(state, call, reply)
        elif call.grant is not None and call.request.method in _WRITES and reply.status < 300:
            state.note_api_write(call, route.title)
        return reply

    def _handled(self, call: Call, route: Route) -> Reply:
        """Check the rest of the request, run second writers and the handler."""
        state = self.state
        if route.names_user:
            check_user_id(call.params["id"])
        if route.query:
            call.query = read_query(call.request.query, route.query)
        if route.body is not None:
            call.body = route.body.read(call.request, state.switches)
        if route.check is not None:
            route.check(state, call)
        if route.second_writers:
            # Only now: a refused request must not trigger them, and the handler must see what they wrote.
            for hook in state.faults.hooks(call.request, call.template, call.user_id):
                hook.act(self._owner)
        reply = route.handler(state, call)
        call.committed = reply.committed
        return reply

    def _take(self, call: Call, route: Route) -> None:
        if route.group is None:
            return
        call.reading = reading = self.state.limiter.take(route.group, call.now)
        if reading is None or reading.allowed:
            return
        if route.management:
            raise refused(429, reading.message, "too_many_requests")
        status = self.state.switches.token_limit_status
        raise oauth_error(status, "too_many_requests" if status == 429 else "access_denied", reading.message)

    def _fault_reply(self, call: Call, route: Route, fault: Fault) -> Reply:
        """Build the response of a fault that has a status."""
        now = self.state.now()
        if fault.status == 429:
            call.reading = None
        seen = self.state.limiter.read(route.group or "other", now)
        return fault_response(fault, management=route.management, reading=seen, now=now)

    def _response(self, call: Call, reply: Reply) -> Response:
        headers = [("Date", _http_date(math.floor(self.state.now())))]
        if reply.status != 204:
            headers.append(("Content-Type", reply.content_type))
        headers.append(("Cache-Control", "no-cache"))
        reading = call.reading
        if reading is not None and (
            reply.status < 300
            or reply.status == 429
            or self.state.switches.error_rate_headers
            or not call.template.startswith(MANAGEMENT_ROOT)
        ):
            headers += rate_headers(reading.limit, reading.remaining, reading.reset).items()
            if reply.status == 429 and self._retry_after:
                headers.append(("retry-after", str(max(1, reading.reset - int(self.state.now())))))
        if call.grant is not None and (notes := self._notes()):
            headers.append(("X-Local-Tenant", notes))  # `auth0-meta doctor` reports it
        headers += reply.headers
        headers += cors_headers(self.state, call.request)
        if reply.replaced:
            headers = [(name, value) for name, value in headers if name.lower() not in reply.replaced]
            headers += [(name, value) for name, value in reply.replaced.items() if value is not None]
        body = b"" if reply.status == 204 else reply.body
        return Response(reply.status, headers, body, reply.cut, reply.slow, self.state.pause)

    def _notes(self) -> str:
        """Return what is different here from a tenant of Auth0, so that nobody wonders."""
        clock, notes = self.state.clock, []
        if not self.state.access.checks_clients:
            notes.append("accepts any token")
        if clock.frozen or abs(clock.ahead) >= 1:
            notes.append(f"clock {'stopped, ' if clock.frozen else ''}{clock.ahead:+.0f} s")
        return "; ".join(notes)

    def _record(self, call: Call, response: Response | None, begun: float) -> None:
        request = call.request
        entry = Entry(
            method=request.method,
            path=request.path,
            query=request.query_string,
            headers=request.headers,
            route=call.template,
            user_id=call.user_id,
            body=self._journaled(call),
            status=None if response is None else response.status,
            outcome=call.outcome,
            not_served=call.not_served,
            fault=call.fault,
            committed=call.committed,
            tokens=None if call.reading is None else call.reading.remaining,
            time=call.now,
            duration=SYSTEM_CLOCK.monotonic() - begun,
            response=None
            if response is None
            else RecordedResponse.of(response.status, response.headers, response.body),
        )
        self.state.journal.add(entry)

    def _journaled(self, call: Call) -> bytes | dict[str, Any] | None:
        """Return the body for the journal: as it was sent, so that an entry shares no values with stored users."""
        request = call.request
        if not request.body or len(request.body) > self.state.switches.body_limit:
            return None
        kind = request.headers.get("content-type", JSON_TYPE).lower()
        if request.path.startswith("/oauth/"):
            # Nearly all of it are credentials, which are not kept at all.
            form = parsed(request.body, is_form="form-urlencoded" in kind)
            return masked_oauth(form) if isinstance(form, dict) else None
        is_text = "json" in kind or "form-urlencoded" in kind
        # Handlers accept JSON with other content types too.
        is_read = call.grant is not None and call.body is not None and "multipart" not in kind
        return request.body if is_text or is_read else None


def check_host(request: Request, hosts: frozenset[str]) -> None:
    """Refuse a Host header that is not the tenant's: any web page can make its own name resolve to loopback."""
    if not is_served(request.headers.get("host", ""), hosts):
        raise refused(421, "The local tenant does not serve this Host: hosts=[...] (--hosts) adds names.")


def check_origin(request: Request, url: str, *, trusted: bool = False) -> None:
    """Refuse what a page of another site may have sent: without asking, a browser sends forms and text anywhere.

    Programs send neither header.  The tenant's own pages have its scheme, name and port; `trusted` says that the
    request names an origin whose scripts may send it.
    """
    own = {url.lower(), f"{url.partition(':')[0]}://{request.headers.get('host', '')}".lower()}
    kind = request.headers.get("content-type", "").strip().lower()
    foreign = (
        request.headers.get("sec-fetch-site", "none") not in ("same-origin", "none")
        or request.headers.get("origin", url).lower() not in own
    )
    # Older browsers name no origin, and no SDK sends text.
    if (foreign and not trusted) or kind.startswith("text/plain"):
        raise refused(403, "The local tenant accepts this from its own pages and from programs only.")


@lru_cache(maxsize=1)
def _http_date(second: int) -> str:
    day = datetime.fromtimestamp(second, UTC)
    return f"{_DAYS[day.weekday()]}, {day:%d} {_MONTHS[day.month - 1]} {day:%Y %H:%M:%S} GMT"


def _refuse(state: TenantState, call: Call) -> Reply:
    raise unserved(call.request.method, call.request.path)


def _as_reply(call: Call, refusal: Refusal) -> Reply:
    if isinstance(refusal, NotServed):
        call.not_served = refusal.what
        return not_served_reply(call.request, refusal)
    return Reply(refusal.status, to_json(refusal.body), headers=refusal.headers)
