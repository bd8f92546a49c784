"""Report waits and requests: to the log, and to what the program has passed as `on_wait` and `on_request`."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import TypeVar

from auth0_meta.clock import Clock
from auth0_meta.http.budget import WaitBudget
from auth0_meta.http.error_responses import request_id
from auth0_meta.http.request import Request
from auth0_meta.http.transport import Response
from auth0_meta.models import RequestInfo, Wait
from auth0_meta.ratelimit.throttle import PACING

_T = TypeVar("_T")
_log = logging.getLogger("auth0_meta")
_SAFE = ("GET", "HEAD")


class _Calls:
    """Calls of one kind.  A thread that is inside one makes no other.

    A callback may send requests with the client that has called it.  If it were called for those too, each of its calls
    would lead to another one.
    """

    def __init__(self) -> None:
        self._inside: set[int] = set()

    def call(self, function: Callable[[_T], object], value: _T) -> None:
        """Call `function`, unless this thread is inside such a call."""
        me = threading.get_ident()
        if me in self._inside:
            return
        self._inside.add(me)
        try:
            function(value)
        finally:
            self._inside.discard(me)


class Reports:
    """What a client reports; all its requests, those for a token too, go through one of these."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waits = _Calls()
        self._requests = _Calls()

    def wait(self, budget: WaitBudget, group: str, method: str, reason: str, seconds: float) -> None:
        """Report a wait before it begins."""
        budget.waits += 1
        if reason != PACING:
            _log.warning("waiting %.1f s (%s, %s, attempt %d)", seconds, reason, group, budget.waits)
        if budget.on_wait is None:
            return
        wait = Wait(
            reason=reason,
            seconds=seconds,
            retry_at=self._clock.time() + seconds,
            attempt=budget.waits,
            bucket=group,
            method=method,
            user_id=budget.user_id,
        )
        self._waits.call(budget.on_wait, wait)

    def request(
        self, request: Request, budget: WaitBudget, tries: int, response: Response | None = None
    ) -> None:
        """Report a request that was sent; without a response that was lost.

        What `on_request` raises after a successful write is put off until whoever sent that has noted its result, or
        they would take the write for one that failed.
        """
        if budget.on_request is None:
            return
        from auth0_meta.telemetry.routes import route_of  # noqa: PLC0415  # most programs don't listen

        info = RequestInfo(
            method=request.method,
            route=route_of(request.path, request.template),
            status=None if response is None else response.status,
            duration=budget.took,
            waited=budget.waited - budget.reported,
            attempt=budget.attempts if request.method == "PATCH" else tries,
            bucket=request.group,
            request_id=None if response is None else request_id(response.headers),
            user_id=budget.user_id,
        )
        budget.reported = budget.waited
        try:
            self._requests.call(budget.on_request, info)
        except BaseException as error:
            if response is None or response.status >= 300 or request.method in _SAFE:
                raise
            error.add_note(f"on_request raised this after {request.method} {request.shown} had succeeded")
            budget.objection = error
