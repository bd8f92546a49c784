"""Carry one request to its response: token, throttle, send, and every retry that is allowed."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from functools import partial
from random import Random
from typing import NamedTuple

from auth0_meta.auth.advice import Advice
from auth0_meta.auth.tokens import TokenSource
from auth0_meta.clock import CANCEL_POLL, Cancelled, Clock
from auth0_meta.errors import (
    ApiError,
    Auth0MetaError,
    NotSentError,
    RateLimitError,
    StateError,
    TransportError,
)
from auth0_meta.http.budget import WORK, Deadline, LongWait, WaitBudget
from auth0_meta.http.error_responses import error_from, is_import_jobs_limit, leaves_open
from auth0_meta.http.headers import CUSTOM_DOMAIN, NO_HEADERS, merged, names_a_domain
from auth0_meta.http.outages import Outages
from auth0_meta.http.reports import Reports
from auth0_meta.http.request import Request
from auth0_meta.http.transport import Response, Transport
from auth0_meta.ratelimit.headers import backoff
from auth0_meta.ratelimit.lanes import Ticket
from auth0_meta.ratelimit.throttle import PACING, RATE_LIMIT, Throttle, WouldWait
from auth0_meta.threads.errand import at_work

# A host that has never answered is more likely misspelled than down: 15 minutes of backoff would hide that.
_FIRST_CONTACT_TRIES = 3
_LONG = 5.0
"""Seconds that a request takes which an outage may have swallowed."""
_AFTER_AN_OUTAGE = 1.0
"""Seconds before the try that shows whether a user fails after an outage, too."""
_UNAUTHORIZED = 401
_TOO_MANY = 429
_NOT_IMPLEMENTED = 501


class Parts(NamedTuple):
    """What all requests of a client share."""

    transport: Transport
    throttle: Throttle
    clock: Clock
    random: Random
    advice: Advice
    reports: Reports
    custom_domain: str | None = None
    """The custom domain that requests name where Auth0 takes it."""


class Sender:
    """Send requests with a client's parts and tokens from one source."""

    def __init__(self, parts: Parts, tokens: TokenSource) -> None:
        self.transport, self.throttle, self.clock, self.random, self.advice = parts[:5]
        self._reports, self._custom_domain = parts[5:]
        self._more_headers: Mapping[str, str] = NO_HEADERS
        self.tokens = tokens
        self.outages = Outages()

    def send(self, request: Request, budget: WaitBudget, *, deadline: Deadline | None = None) -> Response:
        """Return the 2xx response to `request`, or raise.

        Waits for 429, 5xx and lost connections count against `budget`.  A wait that would exceed it raises
        `RateLimitError` (or the last failure) at once; one that would outlast `deadline` raises `LongWait` at once,
        as does a token that arrives after it.  A write that may not be repeated raises `OutcomeUnknown` if its
        response was lost, `ServerError` after a 5xx, and `NotSentError` if it never left because there was no
        connection or no token.
        """
        tokens, replaced, tries = self.tokens, False, 0
        while True:
            token = self._token(request, budget, deadline)
            self._check_time(deadline)
            ticket = self._admit(request, budget, deadline)
            try:
                if ticket.waited:
                    # The one from before the wait may have expired.
                    token = self._token(request, budget, deadline)
                    self._check_time(deadline)
                if budget.cancelled is not None and budget.cancelled.is_set():
                    raise Cancelled
                seconds = self._request_time(request, budget)
            except BaseException:
                self.throttle.lost(ticket)
                raise
            budget.requests += 1
            tries += 1
            if request.method == "PATCH":
                budget.attempts += 1
            budget.in_flight = True
            try:
                response = self._transmit(request, token, budget, seconds)
            except TransportError as error:
                budget.in_flight = not isinstance(error, NotSentError)
                self.throttle.lost(ticket)
                error.user_id = budget.user_id
                self._reports.request(request, budget, tries)
                self._after_loss(error, request, budget, deadline)
                continue
            except BaseException as error:
                budget.in_flight = not isinstance(error, StateError)  # the client is closed
                self.throttle.lost(ticket)
                if budget.in_flight:
                    with contextlib.suppress(Exception):  # the interrupt comes first
                        self._reports.request(request, budget, tries)
                raise
            status = response.status
            # After a 2xx until the caller has noted its result: an interrupt may come in between.
            budget.in_flight = status < 300 or leaves_open(status)
            delay = None
            # A third active import job is refused with a 429 too, and waiting until Reset does not help.
            if status == _TOO_MANY and is_import_jobs_limit(response.body):
                self.throttle.lost(ticket)
            else:
                delay = self.throttle.answer(ticket, status=status, headers=response.headers)
            budget.answered = response.headers
            self._reports.request(request, budget, tries, response)
            if status < 300:
                self.outages.succeeded(request.method, self.clock.monotonic())
                return response
            if delay is not None:
                budget.refusals += 1
                left = budget.left()
                if left is not None and delay > left:
                    raise self._error(response, request, budget, token, delay)
                continue  # the gate is closed: the next admission waits
            if status == _UNAUTHORIZED and not replaced:
                replaced = True
                if tokens.replace(token, budget):
                    continue
            failure = self._error(response, request, budget, token)
            try:
                if status < 500 or status == _NOT_IMPLEMENTED or not request.repeat:
                    raise failure
                self.back_off(failure, budget, request.group, request.method, deadline, request=request)
            finally:
                # Else this frame and the error would keep each other alive, with the request's values.
                del failure

    def _transmit(self, request: Request, token: str, budget: WaitBudget, seconds: float) -> Response:
        """Send it once, and count the time that it takes."""
        begun = self.clock.monotonic()
        errand = at_work.errand
        if errand is not None:  # not a write, and not a read that is to find out what became of one
            errand.lets_go = request.method == "GET" and budget.cancelled is errand.cancelled
        in_outage = budget.share is not None and budget.failures > 0 and self.outages.is_outage(budget)
        try:
            return self.transport.send(
                request.method,
                request.path,
                headers=self._headers(request, token),
                body=request.body,
                seconds=seconds,
                timeout=budget.timeout,
            )
        finally:
            budget.took = self.clock.monotonic() - begun
            budget.spend(budget.took)
            budget.excused = in_outage and budget.took >= _LONG

    def _headers(self, request: Request, token: str) -> dict[str, str]:
        """Return what a request carries: the client's headers, and the caller's, which win but for the token's."""
        own = {"Accept": "application/json"}
        if request.body is not None:
            own["Content-Type"] = request.content_type
        if self._custom_domain is not None and names_a_domain(request.method, request.path):
            own[CUSTOM_DOMAIN] = self._custom_domain
        return merged(
            own, self._more_headers, request.headers, {"Authorization": f"Bearer {token}"} if token else {}
        )

    def _token(self, request: Request, budget: WaitBudget, deadline: Deadline | None) -> str:
        """Return the token to send; bulk work tries again for one as it does for a response, in an outage too."""
        while True:
            try:
                return self._token_in_time(budget)
            except NotSentError as error:
                if budget.share is None:
                    raise
                error.user_id = budget.user_id
                budget.excused = True
                self._after_loss(error, request, budget, deadline)

    def _token_in_time(self, budget: WaitBudget) -> str:
        """Return the token to send; the time that this takes counts as waiting, and may use up the budget."""
        begun, waited, left = self.clock.monotonic(), budget.waited, budget.left()
        token = self.tokens.get(budget)
        budget.raise_objection()
        if budget.waited > waited:
            budget.reasons["token"] = None
        took = self.clock.monotonic() - begun - (budget.waited - waited)
        budget.spend(took)
        if left is None or took <= max(left, WORK):
            return token
        msg = f"getting a token took {took:.1f} s, past {budget.bound}, so nothing was sent. Try again: it is kept"
        raise self.out_of_time(msg, budget, waited=budget.waited + took)

    def _request_time(self, request: Request, budget: WaitBudget) -> float:
        """Return how long the request may take as a whole; raise if the operation must be over by now."""
        seconds = budget.request_time(*(budget.timeout or self.transport.timeout))
        if seconds > 0:
            return seconds
        msg = f"{request.method} {request.shown} was not sent: the time for this operation is over"
        raise NotSentError(msg, user_id=budget.user_id, permanent=True)

    def _check_time(self, deadline: Deadline | None) -> None:
        """Raise `LongWait` if fetching the token took so long that what was read before it may be stale."""
        if deadline is not None and self.clock.monotonic() > deadline.paced:
            raise LongWait("token", 0.0)

    def wait_out(self, wait: LongWait, budget: WaitBudget, group: str) -> None:
        """Wait as a `LongWait` asks, counted and reported; no token of the bucket is taken.

        Raises `RateLimitError` if the gate stays closed for longer than the budget allows.
        """
        report = partial(self._reports.wait, budget, group, "PATCH", None)
        if wait.reason in (RATE_LIMIT, PACING):
            event = budget.cancelled or budget.stopping
            begun = self.clock.monotonic()
            try:
                self.throttle.pause(group, most=budget.left(), on_wait=report, cancelled=event)
            except Cancelled:
                if event is not budget.stopping:
                    raise
            except WouldWait as would:
                raise self._past_budget(would, budget, "PATCH", "") from None
            finally:
                budget.waited += self.clock.monotonic() - begun
        elif wait.seconds > 0:
            report(wait.reason, wait.seconds)
            self._sleep(wait.seconds, budget)

    def _sleep(self, seconds: float, budget: WaitBudget) -> None:
        """Sleep, in short pieces if somebody may cancel."""
        budget.waited += seconds
        cancelled = budget.cancelled
        if cancelled is None:
            self.clock.sleep(seconds)
            return
        while seconds > 0:
            if cancelled.is_set():
                raise Cancelled
            self.clock.sleep(min(seconds, CANCEL_POLL))
            seconds -= CANCEL_POLL

    def _admit(self, request: Request, budget: WaitBudget, deadline: Deadline | None) -> Ticket:
        """Pass the gate and the pacer, or raise before a wait that is too long."""
        left, begun = budget.left(), self.clock.monotonic()
        event = budget.cancelled or budget.stopping
        try:
            ticket = self.throttle.acquire(
                request.group,
                most=_least(left, deadline and deadline.paced - begun),
                most_closed=_least(left, deadline and deadline.closed - begun),
                share=budget.share,
                cancelled=event,
                urgent=deadline is not None,
                on_wait=partial(self._reports.wait, budget, request.group, request.method, request),
            )
        except WouldWait as would:
            # It may have waited before it learned that there is more to wait.
            budget.waited += self.clock.monotonic() - begun
            left = budget.left()
            if deadline is None or (left is not None and would.seconds > left):
                raise self._past_budget(would, budget, request.method, request.shown) from None
            raise LongWait(RATE_LIMIT if would.closed else PACING, would.seconds) from None
        except Cancelled:
            if event is not budget.stopping:
                raise
            budget.waited += self.clock.monotonic() - begun
            return self._admit(request, budget, deadline)  # the stop has limited its budget now
        budget.waited += ticket.waited
        return ticket

    def _past_budget(self, would: WouldWait, budget: WaitBudget, method: str, shown: str) -> RateLimitError:
        """Return the refusal to wait past `max_wait`."""
        what = f"{method} {shown}" if shown else f"the {method}"
        written = "" if method in ("GET", "HEAD") else "Nothing was written. "
        msg = (
            f"{what} was not sent: the rate limit asks to wait {would.seconds:.1f} s more, past {budget.bound}. "
            f"{written}Try again at retry_at, or allow a longer max_wait"
        )
        return self.out_of_time(msg, budget, waited=budget.waited, seconds=would.seconds)

    def out_of_time(
        self, message: str, budget: WaitBudget, *, waited: float, seconds: float = 0.0
    ) -> RateLimitError:
        """Return the error for an operation whose wait budget ends it; it may be tried again in `seconds`."""
        retry_at = self.clock.time() + seconds
        return RateLimitError(
            message, status=_TOO_MANY, retry_at=retry_at, waited=waited, user_id=budget.user_id
        )

    def _after_loss(
        self, error: TransportError, request: Request, budget: WaitBudget, deadline: Deadline | None
    ) -> None:
        """Back off after a lost connection, or raise what may not be repeated."""
        try:
            if request.repeat and budget.cancelled is not None and budget.cancelled.is_set():
                raise Cancelled from None
            if isinstance(error, NotSentError):
                nobody_there = not self.transport.reached and not isinstance(error.__cause__, Auth0MetaError)
                first_contact = nobody_there and budget.failures + 1 >= _FIRST_CONTACT_TRIES
                if error.permanent or first_contact:
                    budget.outage = first_contact
                    raise error
            elif not request.repeat:
                raise error
            self.back_off(error, budget, request.group, request.method, deadline, request=request)
        finally:
            del error

    def back_off(
        self,
        failure: BaseException,
        budget: WaitBudget,
        group: str,
        method: str,
        deadline: Deadline | None = None,
        *,
        writing: bool = False,
        request: Request | None = None,
    ) -> None:
        """Sleep before a repeat.

        `writing`: whether what failed is a write.  `request`: what is repeated; None if it concerns the budget's user.
        Raises `failure` if that would exceed the budget, `LongWait` if it would outlast `deadline`.

        Bulk work outlasts an outage: its budget for failures is longer while others fail too (`Outages`).
        """
        try:
            if budget.failures:
                budget.failed += budget.took  # not that of the first one, which only found the failure
            else:
                budget.failing_since = self.clock.monotonic()
            budget.failures += 1
            seconds = backoff(budget.failures, jitter=self.random.random())
            answered = isinstance(failure, ApiError) or isinstance(failure.__cause__, ApiError)
            reason = "server error" if answered else "connection"
            left, most = budget.left(), budget.failure_wait
            if most is not None and budget.share is not None:
                if writing:
                    self.outages.note_write(budget.user_id)
                most = self._bulk_patience(budget, seconds, most)
            spent = most is not None and budget.failed + seconds > most
            if spent and budget.excused and not self.outages.is_outage(budget):
                # Others get through by now, and whether this user does is open.
                spent, seconds = False, _AFTER_AN_OUTAGE
            if spent or (left is not None and seconds > left):
                budget.outage = self.outages.is_outage(budget)
                raise failure
            if deadline is not None and self.clock.monotonic() + seconds > deadline.closed:
                raise LongWait(reason, seconds) from failure
            budget.failed += seconds
            self._reports.wait(budget, group, method, request, reason, seconds)
            self._sleep(seconds, budget)
        finally:
            del failure

    def _bulk_patience(self, budget: WaitBudget, seconds: float, most: float) -> float:
        """Return how long bulk work may repeat a request before a wait of `seconds`: `most`, or more in an outage."""
        if budget.failed + seconds <= most:
            return most
        if self.outages.is_outage(budget):
            self._try_somebody_else(budget)
        longer = self.outages.patience(budget)
        if longer > most:
            budget.outlasts = True
            return longer
        if budget.outlasts and not self.outages.is_outage(budget):
            # The outage is over, or nearly so: only what fails from here on is this user's own.
            budget.outlasts, budget.failed = False, 0.0
            budget.failing_since = self.clock.monotonic()
        return most

    def _try_somebody_else(self, budget: WaitBudget) -> None:
        """Read a user whose read should succeed, once: whether it does is noted like any response."""
        target = self.outages.whom_to_try(budget, self.clock.monotonic())
        if target is None:
            return
        request = Request("GET", target.path, group=target.kind.reads, repeat=True, alias=target.shown)
        once = WaitBudget(
            max_wait=budget.failure_wait,
            failure_wait=0.0,
            timeout=budget.timeout,
            on_request=budget.on_request,
            cancelled=budget.cancelled,
            alone=budget.alone,
            clock=self.clock,
        )
        with contextlib.suppress(Auth0MetaError):
            self.send(request, once)

    def _error(
        self, response: Response, request: Request, budget: WaitBudget, token: str, wait: float | None = None
    ) -> ApiError:
        return error_from(
            response.status,
            response.headers,
            response.body,
            method=request.method,
            path=request.shown,
            sent=(request.sent, self._more_headers, request.headers, token),
            user_id=budget.user_id,
            wait=wait,
            retry_at=None if wait is None else self.clock.time() + wait,
            waited=budget.waited,
            advice=self.advice,
        )


def _least(left: float | None, fresh: float | None) -> float | None:
    """Return the shorter of two limits in seconds, not below 0; None is no limit."""
    return min((max(0.0, s) for s in (left, fresh) if s is not None), default=None)
