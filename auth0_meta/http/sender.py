"""Carry one request to its answer: token, throttle, send, and every retry that is allowed."""

from __future__ import annotations

import logging
import random as _random
from collections.abc import Callable
from typing import Any

from auth0_meta.auth.tokens import GivenToken, TokenSource
from auth0_meta.clock import Cancelled, Clock
from auth0_meta.errors import (
    ApiError,
    NotSentError,
    OutcomeUnknown,
    RateLimitError,
    StateError,
    TransportError,
)
from auth0_meta.http import error_answers as answers
from auth0_meta.http.budget import WaitBudget
from auth0_meta.http.patience import Deadline, LongWait
from auth0_meta.http.transport import Response, Transport
from auth0_meta.models import Wait
from auth0_meta.ratelimit.headers import backoff
from auth0_meta.ratelimit.throttle import PACING, RATE_LIMIT, Throttle, Ticket, WouldWait

_log = logging.getLogger("auth0_meta")
_FIRST_CONTACT_TRIES = 3
_UNAUTHORIZED = 401
_TOO_MANY = 429
_NOT_IMPLEMENTED = 501
_POLL = 0.1


class Request:
    """Describe one request; `path` is encoded and starts with "/".

    `repeat`: whether sending it twice is harmless.  `sent` is the body before encoding, from
    which values are taken out of error messages.
    """

    __slots__ = ("authorized", "body", "content_type", "group", "method", "path", "repeat", "sent", "shown")

    def __init__(
        self,
        method: str,
        path: str,
        *,
        group: str,
        body: bytes | None = None,
        sent: Any = None,
        repeat: bool,
        content_type: str = "application/json",
        authorized: bool = True,
        shown: str | None = None,
    ) -> None:
        self.method = method
        self.path = path
        self.group = group
        self.body = body
        self.sent = sent
        self.repeat = repeat
        self.content_type = content_type
        self.authorized = authorized
        self.shown = shown or path.partition("?")[0]


class Sender:
    """Send requests with one transport, one throttle and one token source."""

    def __init__(
        self, *, transport: Transport, throttle: Throttle, clock: Clock, random: _random.Random
    ) -> None:
        self.transport = transport
        self.throttle = throttle
        self.tokens: TokenSource = GivenToken("none")  # the client sets its own before the first request
        self.clock = clock
        self._random = random

    def send(self, request: Request, budget: WaitBudget, *, until: Deadline | None = None) -> Response:
        """Return the 2xx answer to `request`, or raise.

        Waits for 429, 5xx and lost connections count against `operation`.  A wait that would pass its
        budget raises `RateLimitError` (or the last failure) at once; one that would pass
        `until` raises `LongWait` at once, and so does a token that came after it.  A write that is not `repeat` and
        whose answer was lost raises `OutcomeUnknown`, or `ServerError` after a 5xx; one that never left,
        for want of a connection or a token, `NotSentError`.
        """
        replaced = False
        while True:
            token = self.tokens.get(budget) if request.authorized else ""
            self._in_time(until)
            ticket = self._admit(request, budget, until)
            try:
                if ticket.waited and request.authorized:
                    token = self.tokens.get(budget)  # the one from before the wait may have expired
                    self._in_time(until)
                cancelled = budget.cancelled
                if cancelled is not None and cancelled.is_set():
                    raise Cancelled
            except BaseException:
                self.throttle.lost(ticket)
                raise
            budget.requests += 1
            if request.method == "PATCH":
                budget.attempts += 1
            budget.in_flight = True
            try:
                answer = self.transport.send(
                    request.method, request.path, headers=_headers(request, token), body=request.body
                )
            except TransportError as error:
                budget.in_flight = not isinstance(error, NotSentError)
                self.throttle.lost(ticket)
                error.user_id = budget.user_id
                self._after_loss(error, request, budget, until)
                continue
            except BaseException as error:
                budget.in_flight = not isinstance(error, StateError)  # the client is closed
                self.throttle.lost(ticket)
                raise
            status = answer.status
            budget.in_flight = status >= 500
            delay = None
            if status == _TOO_MANY and answers.is_import_jobs_limit(answer.body):
                self.throttle.lost(ticket)
            else:
                delay = self.throttle.answer(ticket, status=status, headers=answer.headers)
            if status < 300:
                return answer
            if delay is not None:
                budget.refusals += 1
                left = budget.left()
                if left is not None and delay > left:
                    raise self._error(answer, request, budget, token, wait=delay)
                continue  # the gate is closed: the next admission waits
            if status == _UNAUTHORIZED and request.authorized and not replaced:
                replaced = True
                if self.tokens.replace(token, budget):
                    continue
            failure = self._error(answer, request, budget, token)
            if status < 500 or status == _NOT_IMPLEMENTED or not request.repeat:
                raise failure
            self._back_off(failure, request, budget, until)

    def _in_time(self, until: Deadline | None) -> None:
        """Raise where a token took so long that what was read before it may be old."""
        if until is not None and self.clock.monotonic() > until.paced:
            raise LongWait("token", 0.0)

    def wait_out(self, wait: LongWait, budget: WaitBudget, group: str) -> None:
        """Wait as a `LongWait` asks, counted and reported; no token is taken.

        Raises `RateLimitError` where the gate stays closed for longer than the budget allows.
        """
        report = self._reporter(budget, group, "PATCH")
        if wait.reason in (RATE_LIMIT, PACING):
            event = budget.cancelled or budget.stopping
            begun = self.clock.monotonic()
            try:
                self.throttle.pause(
                    group,
                    most=budget.left(),
                    on_wait=report,
                    cancelled=event,
                )
            except Cancelled:
                if event is not budget.stopping:
                    raise
            except WouldWait as would:
                raise self._past_budget(would, budget, "the PATCH") from None
            finally:
                budget.waited += self.clock.monotonic() - begun
        elif wait.seconds > 0:
            report(wait.reason, wait.seconds)
            self._sleep(wait.seconds, budget)

    def _sleep(self, seconds: float, budget: WaitBudget) -> None:
        """Sleep, in small pieces where somebody may cancel."""
        budget.waited += seconds
        cancelled = budget.cancelled
        if cancelled is None:
            self.clock.sleep(seconds)
            return
        while seconds > 0:
            if cancelled.is_set():
                raise Cancelled
            self.clock.sleep(min(seconds, _POLL))
            seconds -= _POLL

    def _admit(self, request: Request, budget: WaitBudget, until: Deadline | None) -> Ticket:
        """Pass the gate and the pacer, or raise before a wait that is too long."""
        left, begun = budget.left(), self.clock.monotonic()
        event = budget.cancelled or budget.stopping
        try:
            ticket = self.throttle.acquire(
                request.group,
                most=_least(left, until and until.paced - begun),
                most_closed=_least(left, until and until.closed - begun),
                share=budget.share,
                cancelled=event,
                urgent=until is not None,
                on_wait=self._reporter(budget, request.group, request.method),
            )
        except WouldWait as would:
            # It may have waited already before it was told of more.
            budget.waited += self.clock.monotonic() - begun
            left = budget.left()
            if until is None or (left is not None and would.seconds > left):
                raise self._past_budget(would, budget, f"{request.method} {request.shown}") from None
            raise LongWait(RATE_LIMIT if would.closed else PACING, would.seconds) from None
        except Cancelled:
            if event is not budget.stopping:
                raise
            budget.waited += self.clock.monotonic() - begun
            return self._admit(request, budget, until)  # it has a budget from now on
        budget.waited += ticket.waited
        return ticket

    def _past_budget(self, would: WouldWait, budget: WaitBudget, what: str) -> RateLimitError:
        """Word the refusal to wait past `max_wait`."""
        msg = (
            f"{what} was not sent: the rate limit asks to wait {would.seconds:.1f} s more, past "
            f"{budget.bound}. Nothing was written. Try again at retry_at, or allow a longer max_wait"
        )
        return RateLimitError(
            msg,
            status=_TOO_MANY,
            retry_at=self.clock.time() + would.seconds,
            waited=budget.waited,
            user_id=budget.user_id,
        )

    def _after_loss(
        self, error: TransportError, request: Request, budget: WaitBudget, until: Deadline | None
    ) -> None:
        """Back off after a lost connection, or raise what may not be repeated."""
        if isinstance(error, NotSentError):
            first_contact = not self.transport.reached and budget.failures + 1 >= _FIRST_CONTACT_TRIES
            if error.permanent or first_contact:
                raise error
        elif not request.repeat:
            raise error
        self._back_off(error, request, budget, until)

    def _back_off(
        self, failure: BaseException, request: Request, budget: WaitBudget, until: Deadline | None
    ) -> None:
        patience = None if until is None else until.closed - self.clock.monotonic()
        self.back_off(failure, budget, group=request.group, method=request.method, patience=patience)

    def back_off(
        self,
        failure: BaseException,
        budget: WaitBudget,
        *,
        group: str,
        method: str,
        patience: float | None = None,
    ) -> None:
        """Sleep before a repeat; raise `failure` where the budget has no room, `LongWait` past `patience`."""
        budget.failures += 1
        seconds = backoff(budget.failures, jitter=self._random.random())
        reason = "server error" if isinstance(failure, ApiError) else "connection"
        left = budget.left()
        if left is not None and seconds > left:
            raise failure
        if patience is not None and seconds > patience:
            raise LongWait(reason, seconds) from failure
        self._reporter(budget, group, method)(reason, seconds)
        self._sleep(seconds, budget)

    def _reporter(self, budget: WaitBudget, group: str, method: str) -> Callable[[str, float], None]:
        """Return what logs a wait once and hands it to `on_wait`."""

        def report(reason: str, seconds: float) -> None:
            budget.waits += 1
            wait = Wait(
                reason=reason,
                seconds=seconds,
                retry_at=self.clock.time() + seconds,
                attempt=budget.waits,
                bucket=group,
                method=method,
                user_id=budget.user_id,
            )
            if reason != "pacing":
                _log.warning("waiting %.1f s (%s, %s, attempt %d)", seconds, reason, group, budget.waits)
            if budget.on_wait is not None:
                budget.on_wait(wait)

        return report

    def _error(
        self,
        answer: Response,
        request: Request,
        budget: WaitBudget,
        token: str,
        *,
        wait: float | None = None,
    ) -> ApiError:
        return answers.error_from(
            answer.status,
            answer.headers,
            answer.body,
            method=request.method,
            path=request.shown,
            sent=(request.sent, token),
            user_id=budget.user_id,
            wait=wait,
            retry_at=None if wait is None else self.clock.time() + wait,
            waited=budget.waited,
        )


def _least(left: float | None, patience: float | None) -> float | None:
    """Return the shorter of two bounds in seconds, not below 0; None is no bound."""
    return min((max(0.0, s) for s in (left, patience) if s is not None), default=None)


def _headers(request: Request, token: str) -> dict[str, str]:
    headers = {"Accept": "application/json"}
    if request.authorized:
        headers["Authorization"] = f"Bearer {token}"
    if request.body is not None:
        headers["Content-Type"] = request.content_type
    return headers


def to_json(answer: Response, request: Request, kind: type | tuple[type, ...] = object) -> Any:
    """Parse a 2xx body, which must be a `kind`; one that is not leaves a write's outcome unknown."""
    proxy = ": is a proxy between this machine and Auth0?"
    try:
        data = answer.json()
    except ValueError:
        what = f"no JSON{proxy}"
    except RecursionError:
        what = "JSON nested too deep to be read"
    else:
        if isinstance(data, kind):
            return data
        what = f"not the JSON that Auth0 sends here{proxy}"
    msg = f"{request.method} {request.shown} was answered {answer.status} with {len(answer.body)} B that are {what}"
    raise (TransportError if request.method in ("GET", "HEAD") else OutcomeUnknown)(msg)
