"""Answer requests, stage by stage: host, route, fault, token, bucket, scope, handler, journal.

The order of Auth0's own checks is not sourced; this is the likeliest one.
"""

from __future__ import annotations

import logging
import math
import random
import secrets
import string
import threading
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

import attrs

from auth0_meta.emulator.api.crud import Shelf
from auth0_meta.emulator.fault_response import planned, rate_headers
from auth0_meta.emulator.http.call import Call
from auth0_meta.emulator.http.errors import Refusal, oauth_error, problem
from auth0_meta.emulator.http.message import JSON_TYPE, Answer, Reply, Request, to_json
from auth0_meta.emulator.routes import MANAGEMENT_ROOT, Route, find, unserved
from auth0_meta.emulator.rules.limiter import Limiter
from auth0_meta.emulator.rules.profile import Profile, iso
from auth0_meta.emulator.rules.switches import Switches
from auth0_meta.emulator.state.clock import TenantClock
from auth0_meta.emulator.state.faults import Dropped, Fault, FaultBook, PlanRaised
from auth0_meta.emulator.state.history import History
from auth0_meta.emulator.state.jobs import Jobs
from auth0_meta.emulator.state.journal import Entry, Journal, Unread
from auth0_meta.emulator.state.keys import KeyRing
from auth0_meta.emulator.state.logins import Logins
from auth0_meta.emulator.state.tokens import Access, require
from auth0_meta.emulator.state.users import Store

_log = logging.getLogger("auth0_meta.emulator")
CONTROL_ROOT = "/_emulator/"
"""What begins so is answered by `control`, beside the tenant: no bucket, no fault, no journal."""
_LOOPBACK = frozenset(("127.0.0.1", "localhost", "[::1]"))
# 90 % of a normal distribution lies below this many standard deviations.
_P90 = 1.2816
_ALPHANUMERIC = string.ascii_letters + string.digits
_LOGS = 1000


class App:
    """Hold one tenant's state and answer its requests; every front calls `handle`.

    Safe for many threads.  `owner` is what hooks are given.
    """

    def __init__(
        self,
        *,
        owner: Any,
        store: Store,
        clock: TenantClock,
        clock_offset: float,
        limiter: Limiter,
        switches: Switches,
        seed: int,
        name: str,
        strict: bool,
        retry_after: bool,
        latency: float | str | None,
        hosts: frozenset[str],
        journal: Journal,
        jobs: str = "immediate",
        index_lag: float = 0.0,
    ) -> None:
        self.owner = owner
        self.clock, self.clock_offset = clock, clock_offset
        self.limiter = limiter
        self.switches = switches
        self.store = store
        self.history = History(index_lag)
        self.shelf = Shelf()
        self.jobs = Jobs(self.now, jobs)
        self.logs: deque[dict[str, Any]] = deque(maxlen=_LOGS)
        self.tenant_name, self.name, self.secret = "local", name, secrets.token_bytes(32)
        self.access = Access(KeyRing(name), strict=strict)
        self.login = Logins()
        self.faults = FaultBook(seed)
        self.raised: list[PlanRaised] = []
        """What the test's own second writers and predicates raised, for `verify` to tell."""
        self.journal = journal
        self.hosts = _LOOPBACK | hosts
        self._seed, self._retry_after, self._latency = seed, retry_after, latency
        self._random_lock = threading.Lock()
        self._stopping = threading.Condition()
        self._stopped = False
        self._date: tuple[int, str] = (-1, "")
        self.control: Callable[[Request], Answer] | None = None
        # A store that was filled by an earlier process must not meet the same ids again.
        self._random = random.Random(f"{seed}/{store.openings}" if store.openings else seed)

    def reset(self) -> None:
        """Forget requests, faults and revocations; fill the buckets; start ids over.  The users stay."""
        self._random = random.Random(self._seed)  # ids and latencies, repeatable on purpose
        self.history.clear()
        self.shelf.clear()
        self.jobs.reset()
        self.logs.clear()
        self.faults.clear()
        self.raised = []
        self.journal.clear()
        self.access.reset()
        self.login.reset()
        self.limiter.reset()

    def now(self) -> float:
        """Return the tenant's time, epoch seconds."""
        return self.clock.time() + self.clock_offset

    def milliseconds(self) -> int:
        """Return the tenant's time in epoch milliseconds."""
        return int(self.now() * 1000)

    def new_object_id(self) -> str:
        """Return 24 hexadecimal digits that depend on the seed alone."""
        with self._random_lock:
            return f"{self._random.getrandbits(96):024x}"

    def new_id(self, prefix: str) -> str:
        """Return `prefix` and 16 letters and digits that depend on the seed alone."""
        with self._random_lock:
            return prefix + "".join(self._random.choices(_ALPHANUMERIC, k=16))

    def save(self, profile: Profile, *, before: Profile | None, size: int, by: str) -> None:
        """Store what a request wrote, `size` bytes as JSON; past the documented 10 KB, leave a log."""
        self.store.put(profile)
        now = self.now()
        self.history.note(now, profile.user_id, before=before, after=profile, by=by)
        warning = self.switches.profile_warning
        if warning is not None and size > warning:
            feature = {"id": "allow_oversize_profile", "operation": "users.save"}
            feature["projected_size_bytes"] = str(size)
            entry = {"date": iso(int(now * 1000)), "type": "depnote", "user_id": profile.user_id}
            self.logs.append({**entry, "details": {"feature": feature}})

    def pause(self, seconds: float) -> None:
        """Wait by the tenant's clock; stopping the tenant ends it early."""
        if seconds > 0:
            with self._stopping:
                if not self._stopped:
                    self.clock.wait(self._stopping, seconds)

    def stopped_within(self, seconds: float) -> bool:
        """Wait so many real seconds, whatever the tenant's clock does; True once the tenant is stopped."""
        with self._stopping:
            return self._stopped or (self._stopping.wait(seconds) and self._stopped)

    def wake(self, *, stopped: bool) -> None:
        """End every pause and allow none (stopped), or allow them again."""
        with self._stopping:
            self._stopped = stopped
            self._stopping.notify_all()

    def run_hooks(self, call: Call) -> None:
        """Let planned second writers act, just before the request that they are planned for."""
        for hook in self.faults.hooks(call.request, call.template, call.user_id):
            hook.act(self.owner)

    def handle(self, request: Request) -> Answer:
        """Answer one request; raises `Dropped` where the connection is to be closed instead."""
        if self.control is not None and (request.path == "/" or request.path.startswith(CONTROL_ROOT)):
            return self.control(request)
        call = Call(request, self.now())
        try:
            reply = self._reply(call)
        except Refusal as refusal:
            reply = _as_reply(refusal)
        except Dropped:
            self._record(call, None)
            raise
        except PlanRaised as raised:
            # The client may try again and get through, so that only this list tells.
            self.raised.append(raised)
            call.outcome = "plan_raised"
            _log.error("a plan of the test raised %s: verify() tells more", raised)
            reply = _as_reply(Refusal(500, problem(500, "A plan of the test raised: verify() tells which.")))
        except Exception:  # noqa: BLE001  # a bug here must be an answer, or the client waits for nothing
            _log.exception("the local tenant failed on %s %s", request.method, call.template or request.path)
            reply = _as_reply(Refusal(500, problem(500, "The local tenant failed; its log says where.")))
        self._record(call, reply.status)
        return self._answer(call, reply)

    def _reply(self, call: Call) -> Reply:
        request = call.request
        self.check_host(request)
        try:
            route, call.params = find(request.method, request.path)
        except Refusal:
            return self._unserved(call)
        call.template = route.template
        if route.names_user:
            call.user_id = call.params["id"]
        self.jobs.settle()
        fault = self.faults.strike(request, route.template, call.user_id)
        call.fault = fault
        if fault is None:
            return self._serve(call, route)
        reply = self._struck(call, route, fault)
        if fault.truncate is None and fault.slow is None:
            return reply
        return attrs.evolve(reply, cut=fault.truncate, slow=fault.slow)

    def _unserved(self, call: Call) -> Reply:
        """Answer what no route serves: by a plan with exactly this path, else with 501."""
        request = call.request
        route = Route(request.method, request.path, unserved, None)
        call.fault = fault = self.faults.strike(request, request.path, None, by_name=True)
        if fault is None:
            return unserved(self, call)
        call.template = request.path
        reply = self._struck(call, route, fault)
        return attrs.evolve(reply, cut=fault.truncate, slow=fault.slow)

    def _struck(self, call: Call, route: Route, fault: Fault) -> Reply:
        """Answer a request that a fault strikes, before it is carried out or after."""
        if fault.delay is not None and not fault.late:
            self.pause(fault.delay)
        if fault.drop in ("before_commit", "reset"):
            call.outcome = "dropped_before_commit"
            dropped = Dropped()
            dropped.rudely = fault.drop == "reset"
            raise dropped
        if fault.expire_token:
            self.access.expire_one(call.request.headers.get("authorization"))
        if fault.status is not None and not fault.late:
            return self._planned(call, route, fault)
        try:
            reply = self._serve(call, route)
        except Refusal as refusal:
            reply = _as_reply(refusal)
        if fault.late and fault.delay is not None:
            self.pause(fault.delay)
        if fault.drop == "after_commit":
            call.outcome = "dropped_after_commit"
            raise Dropped
        return reply if fault.status is None else self._planned(call, route, fault)

    def _serve(self, call: Call, route: Route) -> Reply:
        """Take the request through token, bucket and scope to its handler."""
        if self.switches.limit_before_auth:
            self._take(call, route)
        if route.management:
            call.grant = self.access.authenticate(call.request.headers.get("authorization"), call.now)
        if not self.switches.limit_before_auth:
            self._take(call, route)
        if call.grant is not None:
            require(call.grant, route.scopes)
        if self._latency is not None:
            self.pause(self._sample(route))
        reply = route.answer(self, call)
        call.committed = reply.committed
        return reply

    def _take(self, call: Call, route: Route) -> None:
        if route.group is None:
            return
        call.verdict = verdict = self.limiter.take(route.group, call.now)
        if verdict is None or verdict.allowed:
            return
        if route.management:
            raise Refusal(429, problem(429, verdict.message, "too_many_requests"))
        status = self.switches.token_limit_status
        raise oauth_error(status, "too_many_requests" if status == 429 else "access_denied", verdict.message)

    def _sample(self, route: Route) -> float:
        if self._latency != "realistic":
            return float(self._latency or 0.0)
        median, p90 = route.latency
        with self._random_lock:
            return self._random.lognormvariate(math.log(median), math.log(p90 / median) / _P90)

    def _planned(self, call: Call, route: Route, fault: Fault) -> Reply:
        """Build the answer of a fault that has a status."""
        now = self.now()
        if fault.status == 429:
            call.verdict = None
        seen = self.limiter.peek(route.group or "other", now)
        return planned(fault, management=route.management, verdict=seen, now=now)

    def check_host(self, request: Request) -> None:
        """Refuse names that are not ours: any web page can resolve its own name to loopback."""
        host = request.headers.get("host", "").lower()
        if host in self.hosts:
            return
        name, _, port = host.rpartition(":")
        if not (port.isdigit() and name in self.hosts):
            raise Refusal(421, problem(421, "The local tenant does not answer for this Host."))

    def _answer(self, call: Call, reply: Reply) -> Answer:
        headers = [("Date", self._date_header())]
        if reply.status != 204:
            headers.append(("Content-Type", reply.content_type))
        headers.append(("Cache-Control", "no-cache"))
        verdict = call.verdict
        if verdict is not None and (
            reply.status < 300
            or reply.status == 429
            or self.switches.error_rate_headers
            or not call.template.startswith(MANAGEMENT_ROOT)
        ):
            headers += rate_headers(verdict.limit, verdict.remaining, verdict.reset).items()
            if reply.status == 429 and self._retry_after:
                headers.append(("retry-after", str(max(1, verdict.reset - int(self.now())))))
        headers += reply.headers
        body = b"" if reply.status == 204 else reply.body
        return Answer(reply.status, headers, body, reply.cut, reply.slow, self.pause)

    def _date_header(self) -> str:
        second = math.floor(self.now())
        cached = self._date
        if cached[0] != second:
            moment = datetime.fromtimestamp(second, UTC)
            self._date = cached = (second, format_datetime(moment, usegmt=True))
        return cached[1]

    def _record(self, call: Call, status: int | None) -> None:
        request, body = call.request, call.body
        if body is None and request.body:
            body = self._unread(call)
        entry = Entry(
            method=request.method,
            path=request.path,
            query=request.query_string,
            route=call.template,
            user_id=call.user_id,
            body=body,
            status=status,
            outcome=call.outcome,
            fault=call.fault,
            committed=call.committed,
            tokens=None if call.verdict is None else call.verdict.remaining,
            time=call.now,
        )
        self.journal.add(entry)

    def _unread(self, call: Call) -> Unread | None:
        """Return the body of a request that was refused, or struck, before its handler read it."""
        request = call.request
        kind = request.headers.get("content-type", JSON_TYPE).lower()
        # Credentials and nothing else are for no journal.
        secret = request.path.startswith("/oauth/")
        shown = "json" in kind and not secret and len(request.body) <= self.switches.body_limit
        return Unread(request.body) if shown else None


def _as_reply(refusal: Refusal) -> Reply:
    return Reply(refusal.status, to_json(refusal.body), headers=refusal.headers)
