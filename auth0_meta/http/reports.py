"""Report waits and requests: to the log, and to what the program has passed as `on_wait` and `on_request`."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar
from urllib.parse import unquote

from auth0_meta.clock import Clock
from auth0_meta.http.budget import WaitBudget
from auth0_meta.http.error_responses import request_id
from auth0_meta.http.request import API, Request
from auth0_meta.http.transport import Response
from auth0_meta.models import RequestInfo, Wait
from auth0_meta.redact import printable
from auth0_meta.telemetry import log

_T = TypeVar("_T")
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
    """What a client reports; all its requests, including the ones for tokens, go through one of these."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waits = _Calls()
        self._requests = _Calls()

    def wait(
        self,
        budget: WaitBudget,
        group: str,
        method: str,
        request: Request | None,
        reason: str,
        seconds: float,
    ) -> None:
        """Report a wait before it begins; without a `request`, the log names the user of the operation."""
        budget.waits += 1
        budget.reasons[reason] = None
        logged = log.logs_wait(reason)
        if budget.on_wait is None and not logged:
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
        if logged:
            log.log_wait(wait, f"users/{budget.user_id}" if request is None else _shown(request))
        if budget.on_wait is not None:
            self._waits.call(budget.on_wait, wait)

    def request(
        self, request: Request, budget: WaitBudget, tries: int, response: Response | None = None
    ) -> None:
        """Report a request; `response` is None if it was lost, or if the request was never sent.

        What `on_request` raises after a successful write is put off until the sender has noted the write's result.
        Otherwise the sender would take the write for one that failed.
        """
        logged = log.logs_requests()
        if budget.on_request is None and not logged:
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
        sent = response is not None or budget.in_flight
        if logged:
            log.log_request(info, _shown(request), sent=sent)
        if not sent:
            return
        budget.reported = budget.waited
        if budget.on_request is None:
            return
        try:
            self._requests.call(budget.on_request, info)
        except BaseException as error:
            if response is None or response.status >= 300 or request.method in _SAFE:
                raise
            error.add_note(f"on_request raised this after {request.method} {request.shown} had succeeded")
            budget.objection = error


def _shown(request: Request) -> str:
    """Return the path as a log shows it, so that a search for a user's id finds it."""
    return request.alias or printable(unquote(request.shown.removeprefix(API)).strip("/"))
