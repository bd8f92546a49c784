"""Everything one tenant knows: what the handlers read and write, and nothing about how a request reaches them."""

from __future__ import annotations

import math
import random
import secrets
import string
import threading
from collections import deque
from collections.abc import Callable, Iterable
from itertools import count
from typing import Any, NamedTuple

from auth0_meta.emulator.http.errors import bad_request
from auth0_meta.emulator.http.message import Call, to_json
from auth0_meta.emulator.http.timestamps import iso
from auth0_meta.emulator.rules.application import Application, unregistered
from auth0_meta.emulator.rules.profile import Profile, ProfileTooLarge, size_event
from auth0_meta.emulator.rules.switches import Switches
from auth0_meta.emulator.state.clock import TenantClock
from auth0_meta.emulator.state.faults import CallbackRaised, FaultBook
from auth0_meta.emulator.state.history import History
from auth0_meta.emulator.state.jobs import Jobs
from auth0_meta.emulator.state.journal import Journal
from auth0_meta.emulator.state.keys import KeyRing
from auth0_meta.emulator.state.limiter import Limiter
from auth0_meta.emulator.state.logins import Logins
from auth0_meta.emulator.state.resources import Resources
from auth0_meta.emulator.state.tables import Row
from auth0_meta.emulator.state.tokens import Access
from auth0_meta.emulator.state.users import Store

_LOOPBACK = frozenset(("127.0.0.1", "localhost", "[::1]"))
_ALPHANUMERIC = string.ascii_letters + string.digits
_MAX_LOGS = 1000
CLIENT_ADDRESS = "127.0.0.1"
"""The address of every client that logs in: the tenant serves only this machine."""
_DEPRECATED = (
    "Uncapped User Profile Data: This feature is being deprecated."
    " Please see details.feature of this log for more information."
)
_LONGEST = 512  # of a text that the client made up
# 90 % of a normal distribution lies below this many standard deviations.
_P90 = 1.2816


class ApiWrite(NamedTuple):
    """A write through the Management API, without its body, which may hold secrets and metadata."""

    number: int
    time: float
    subject: str
    method: str
    path: str
    title: str
    user_agent: str


class LargeProfile(NamedTuple):
    """A write that left a profile of more than 10 KB, of `size` bytes; the request is unknown if it has no `method`."""

    number: int
    time: float
    user_id: str
    size: int
    client_id: str
    method: str
    path: str
    user_agent: str


class TenantState:
    """One tenant's stores, clock, ids and settings; thread-safe."""

    def __init__(
        self,
        *,
        users: Store,
        clock: TenantClock,
        clock_offset: float,
        limiter: Limiter,
        switches: Switches,
        seed: int,
        name: str,
        strict: bool,
        token: str | None,
        all_scopes: tuple[str, ...],
        hosts: frozenset[str],
        journal: Journal,
        jobs: str,
        index_lag: float,
        post_login: Callable[..., Any] | None,
    ) -> None:
        self.clock, self.clock_offset = clock, clock_offset
        self.limiter = limiter
        self.switches = switches
        self.users = users
        self.history = History(index_lag, users.history_bounds)
        self.resources = Resources(users)
        self.jobs = Jobs(self.now, jobs)
        self._logs: deque[dict[str, Any] | LargeProfile] = deque(maxlen=_MAX_LOGS)
        self.api_writes: deque[ApiWrite] = deque(maxlen=_MAX_LOGS)
        """The latest writes through the Management API."""
        self._log_numbers = count(1)
        self.tenant_name, self.name, self.secret = "local", name, secrets.token_bytes(32)
        self.hosts = _LOOPBACK | hosts
        self.access = Access(
            KeyRing(name), strict=strict, token=token, all_scopes=all_scopes, hosts=self.hosts
        )
        self.logins = Logins(post_login)
        self.faults = FaultBook(seed)
        self.raised: list[CallbackRaised] = []
        """What the test's own second writers and predicates raised, for `verify` to report."""
        self.journal = journal
        self._seed = seed
        self._random_lock = threading.Lock()
        self._stopping = threading.Condition()
        self._stopped = False
        # If an earlier process filled the store, the same ids must not be drawn again.
        self._random = random.Random(f"{seed}/{users.openings}" if users.openings else seed)

    def reset(self, *, keep: bool) -> None:
        """Clear requests, faults and revocations, and fill the buckets; unless `keep`, restart the ids.

        Users and resources stay: see `replace`.
        """
        if not keep:  # else ids would be drawn that somebody has
            self._random = random.Random(self._seed)
        self.history = History(self.history.lag, self.users.history_bounds)
        self.logins = Logins(self.logins.hook)
        self._logs.clear()
        self.api_writes.clear()
        self.raised = []
        self.faults.clear()
        self.journal.clear()
        self.jobs.reset()
        self.access.reset()
        self.limiter.reset()

    def replace(self, profiles: Iterable[Profile], rows: Iterable[Row] | None) -> None:
        """Replace all users, or nothing if that fails; clears their history.

        `rows` replace everything else.  If it is None, everything else stays, except what belonged to users who don't
        exist any more.  Raises `InputError` if two users have the same id.
        """
        with self.users.transaction():
            self.users.replace_all(profiles, keep_passwords=rows is None)
            if rows is None:
                self.resources.forget_missing_users()
            else:
                self.resources.restore(rows)
        self.history = History(self.history.lag, self.users.history_bounds)

    def application(self, client_id: str) -> Application | None:
        """Return the client with this id; one that is not registered may do anything, unless the tenant checks them."""
        document = self.resources.of("clients").get(client_id)
        if document is not None:
            return Application.of(document, strict=self.access.checks_clients)
        return None if self.access.checks_clients or not client_id else unregistered(client_id)

    def now(self) -> float:
        """Return the tenant's time, epoch seconds."""
        return self.clock.time() + self.clock_offset

    def milliseconds(self) -> int:
        """Return the tenant's time in epoch milliseconds."""
        return int(self.now() * 1000)

    def new_object_id(self) -> str:
        """Return 24 hexadecimal digits that depend only on the seed."""
        with self._random_lock:
            return f"{self._random.getrandbits(96):024x}"

    def new_id(self, prefix: str, length: int = 16) -> str:
        """Return `prefix` and `length` letters and digits that depend only on the seed."""
        with self._random_lock:
            return prefix + "".join(self._random.choices(_ALPHANUMERIC, k=length))

    def draw_latency(self, median: float, p90: float) -> float:
        """Return a random latency, log-normal with this median and 90th percentile."""
        with self._random_lock:
            return self._random.lognormvariate(math.log(median), math.log(p90 / median) / _P90)

    def save(
        self,
        profile: Profile,
        *,
        before: Profile | None,
        by: str,
        call: Call | None = None,
        client_id: str = "",
    ) -> bytes:
        """Store a profile that `by` wrote, and return it as JSON; over the documented 10 KB, add a log event.

        `call` is the request of which the event tells, and `client_id` the application whose login it is.  Refuses what
        JSON can't represent and, as `ProfileTooLarge`, what is over the size limit; the caller holds `users.lock`.
        """
        shown = self.check(profile, before=before)
        size = len(shown)
        self.users.put(profile)
        self.history.note(self.now(), profile.user_id, before=before, after=profile, by=by, size=size)
        warning = self.switches.profile_warning
        if warning is not None and size > warning:
            self._note_size(profile.user_id, size, call, client_id)
        return shown

    def check(self, profile: Profile, *, before: Profile | None) -> bytes:
        """Return a profile as JSON, or refuse it as `save` would."""
        try:
            shown = to_json(profile.document())
        except ValueError:
            raise bad_request("Invalid request payload JSON format", None) from None
        size, limit = len(shown), self.switches.profile_limit
        if limit is not None and size > limit and not self._may_stay_large(size, before):
            raise ProfileTooLarge(self.switches)
        return shown

    def _may_stay_large(self, size: int, before: Profile | None) -> bool:
        """Return whether a profile of this size, over the limit, is smaller than before and may therefore be stored."""
        if before is None or self.switches.profile_limit_shrinking == "refuse":
            return False
        return size < len(to_json(before.document()))

    def _note_size(self, user_id: str, size: int, call: Call | None, client_id: str) -> None:
        """Keep what the event about a profile of more than 10 KB needs; it is made when somebody reads the log."""
        method = path = agent = ""
        if call is not None:
            method, path = call.request.method, call.request.path[:_LONGEST]
            agent = call.request.headers.get("user-agent", "")[:_LONGEST]
            if call.grant is not None and call.grant.subject.endswith("@clients"):
                client_id = call.grant.subject.removesuffix("@clients")
        number, now = next(self._log_numbers), self.now()
        self._logs.append(LargeProfile(number, now, user_id, size, client_id, method, path, agent))

    @property
    def logs(self) -> list[dict[str, Any]]:
        """The latest log events, oldest first, but those of API writes."""
        return [self._event(one) if isinstance(one, LargeProfile) else one for one in list(self._logs)]

    def _event(self, found: LargeProfile) -> dict[str, Any]:
        """Return the event about a profile of more than 10 KB."""
        application = self.application(found.client_id)
        request = {"path": found.path, "method": found.method} if found.method else {}
        return {
            "date": iso(int(found.time * 1000)),
            "type": self.switches.profile_log,
            "user_id": found.user_id,
            "description": _DEPRECATED,
            "connection_id": "",
            "client_id": found.client_id,
            "client_name": "" if application is None else application.name,
            "ip": CLIENT_ADDRESS,
            "user_agent": found.user_agent,
            "details": {"feature": size_event(found.user_id, found.size), **request},
            "log_id": self.log_id(found.time, found.number),
        }

    def add_log(self, kind: str, user_id: str, **more: Any) -> None:
        """Add an event to the tenant's log."""
        now = self.now()
        log_id = self.log_id(now, next(self._log_numbers))
        self._logs.append(
            {"date": iso(int(now * 1000)), "type": kind, "user_id": user_id, **more, "log_id": log_id}
        )

    def note_api_write(self, call: Call, title: str) -> None:
        """Keep what a log event about a write needs; the event is made when somebody reads it, as few do."""
        request, number = call.request, next(self._log_numbers)
        subject = "" if call.grant is None else call.grant.subject
        agent = request.headers.get("user-agent", "")[:_LONGEST]
        self.api_writes.append(
            ApiWrite(number, call.now, subject, request.method, request.path[:_LONGEST], title, agent)
        )

    @staticmethod
    def log_id(now: float, number: int) -> str:
        """Return the id of a log event, which is Auth0's in form: the time, and a number that no other has."""
        return f"900{int(now * 1000):017d}{number:020d}"

    def remove_user(self, profile: Profile, *, by: str) -> None:
        """Delete a user and everything that belongs to the user; the caller holds `users.lock`."""
        self.users.remove(profile.user_id)
        self.resources.forget(profile.user_id)
        self.history.note(self.now(), profile.user_id, before=profile, after=None, by=by)

    def pause(self, seconds: float) -> None:
        """Wait by the tenant's clock; stopping the tenant ends the wait early."""
        if seconds > 0:
            with self._stopping:
                if not self._stopped:
                    self.clock.wait(self._stopping, seconds)

    def stopped_within(self, seconds: float) -> bool:
        """Wait up to `seconds` of real time, whatever the tenant's clock does; return True once the tenant is stopped."""
        with self._stopping:
            return self._stopped or (self._stopping.wait(seconds) and self._stopped)

    def wake(self, *, stopped: bool) -> None:
        """End every pause; if `stopped`, allow no more of them, else allow them again."""
        with self._stopping:
            self._stopped = stopped
            self._stopping.notify_all()
