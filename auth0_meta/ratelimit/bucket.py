"""Learn a token bucket from what a client sees anyway; PURE: every method takes the time.

Limit, Remaining, Reset and Date come with each response.  Reset and Date are whole seconds, so the refill rate is
read from Remaining, which is exact.  The quantity to watch is

    G = tokens in the bucket + tokens that this client has taken so far

because our own requests cancel out of it: only the refill raises G; other clients, and a full bucket that runs
over, lower it.  Each response bounds G on both sides, and a rise between two responses bounds the rate from below,
whatever anybody else does.  Too low a rate costs nothing: tokens pile up, Remaining shows them, and the next request
leaves at once.

`now` is monotonic seconds throughout; `Date` bounds the server's clock against it.  README.md explains the method,
its words, and what each constant buys.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from math import inf

from auth0_meta.ratelimit.fixed_window import TINY, FixedWindow
from auth0_meta.ratelimit.headers import RateHeaders, ServerClock, wait_after_429
from auth0_meta.ratelimit.plans import RateLimit

PATIENCE = 1.0
"""Seconds after which a request that waits for another's response goes without it."""
BURST_SECONDS = 1.0
"""A bucket holds at least what is refilled in this time, as in every published plan."""
IMPLAUSIBLE = 1.5
"""Bursts a second past which a rise of G was not a drip but a whole window's refill."""
LEAD = 0.06
"""Tokens by which bulk work that waits for a full bucket comes earlier each time it finds it full."""
SILENCE = 1.1
"""Factor on the believed refill for each response without headers: nothing else would show that more has come."""
FADE = 0.98
"""The part of the memory of other clients that one quiet response leaves."""
HISTORY = 48
"""Responses that are compared with each new one."""
STRETCH = 8.0
"""The net rise of G is averaged over the time that this many tokens take to be refilled."""


class Sent:
    """One request of ours that is under way.

    `at`: when it left.  `accepted`: our requests that had certainly taken a token by then.  `bold`: it left alone for
    a token that no response had shown and that only the refill can have brought.
    """

    __slots__ = ("accepted", "at", "bold")

    def __init__(self, at: float, accepted: int, *, bold: bool) -> None:
        self.at, self.accepted, self.bold = at, accepted, bold


class RefillRate:
    """Bound the refill rate from below by pairs of responses.

    Of an earlier response i and a later one j, only the refill can have raised G from at most `most_i` to at least
    `least_j`, and it had no longer than from sending i to receiving j.  So the rate is at least
    (least_j - most_i) / (received_j - sent_i), whatever other clients do.  `rate` is the greatest such bound.
    """

    def __init__(self) -> None:
        self.rate = 0.0
        self._seen: deque[tuple[float, float]] = deque(maxlen=HISTORY)
        self._line = inf

    def learn(self, sent: float, received: float, least: float, most: float) -> None:
        """Take in the bounds of G that one response gives."""
        # `_line` is the lowest of the lines of slope `rate` through the earlier responses.  Only a point above it can
        # raise the rate, so nearly every response costs one comparison instead of 48.
        if least - self.rate * received > self._line + TINY:
            for at, top in self._seen:
                if received > at and least - top > self.rate * (received - at):
                    self.rate = (least - top) / (received - at)
            self._line = min(top - self.rate * at for at, top in self._seen)
        self._seen.append((sent, most))
        self._line = min(self._line, most - self.rate * sent)

    def forget(self, rate: float = 0.0) -> None:
        """Start over from `rate`."""
        self.rate, self._line = rate, inf
        self._seen.clear()


class Bucket:
    """Estimate one bucket, decide when the next request may leave, and keep its gate after a 429.

    `known`: where to start; None learns everything.  `clock`: what is known of the server's clock.  `limit` and
    `remaining`: as in the last response.  `closed_until`: the monotonic instant at which the gate opens.
    `rate_by_reset`: the refill per second that Reset alone proves, whoever spends; 0.0 while it proves none.

    >>> bucket = Bucket()
    >>> sent = bucket.sent(0.0)
    >>> bucket.answered(sent, 0.1, RateHeaders(limit=10, remaining=5), refused=False, wall=0.0, jitter=0.0)
    >>> bucket.wait(0.1), bucket.wait(0.1, share=0.5)  # an interactive caller, and bulk work at its floor
    (0.0, 0.5)
    """

    def __init__(self, known: RateLimit | None = None, clock: ServerClock | None = None) -> None:
        self._flights: set[Sent] = set()
        self._reopened = False  # a gate has closed and nothing has left since
        self.closed_until = 0.0
        self._refusals, self._refused_at = 0, -inf
        self._last_sent = -inf
        self._taken_least = 0  # own requests that certainly have
        self._width = 1.0 if known is None else inf  # requests that may be under way at once (slow start)
        self._clock = ServerClock() if clock is None else clock
        self._refill = RefillRate()
        self._start(known.burst if known else None)
        if known is not None:
            self._claim = self.rate = known.per_second
            self._low = self._shown = float(known.burst)
            self._proven = True

    def _start(self, limit: int | None) -> None:
        """Forget the bucket, but keep the counts of our own requests."""
        self.limit = self.remaining = limit
        self.rate = 0.0  # refill per second, lower bound; 0.0 while unknown
        self._claim = 0.0  # the rate of a named plan, believed until a refusal
        self._refill.forget()
        self.rate_by_reset, self._reset_most = 0.0, inf  # the rate as Reset alone bounds it
        self._trust_reset = True
        self._silence = 1.0  # the refill as a multiple of `rate`, while responses carry no headers
        self._proven = False  # a bold request found its token: the drip is real
        self._low = -inf  # G at `_since`, lower bound
        self._shown = -inf  # the same without any refill: what responses have shown
        self._since = 0.0
        self._net = inf  # how fast G rose lately: the refill less what others spend
        self._anchor = (-inf, 0.0)
        self._others = 0.0  # tokens that others took at a time lately: the reserve against their bursts
        self._ramp = 1.0  # the slow start of bulk work that leaves a floor
        self._lead = 0.0  # tokens by which bulk work comes before the bucket is full
        self._dither = 0.0  # 0 to 1, so that clients that share a window don't go at the same instant
        self._window = FixedWindow(limit or 1)

    # Derived, not counted: an interrupt between two counters would leave them apart for ever.

    @property
    def in_flight(self) -> int:
        """Return how many requests have no response so far."""
        return len(self._flights)

    @property
    def taken(self) -> int:
        """Return how many of our requests may have taken a token so far."""
        return self._taken_least + len(self._flights)

    @property
    def window(self) -> bool:
        """Whether the bucket is refilled all at once."""
        return self._window.on

    @property
    def per_second(self) -> float | None:
        """The refill rate that is certain by now, None while nothing is."""
        if self.window:
            return self.limit / self._window.period if self.limit else None
        return self.rate or None

    # ---- the question

    def wait(self, now: float, *, share: float | None = None, ahead: int = 0) -> float:
        """Return the seconds until one more request may leave, 0.0 for at once.

        `share`: None for an interactive caller, else the part of the bucket (0 to 1) that this bulk work may draw
        down.  `ahead`: requests that go first.  Ask again after every response.
        """
        if now < self.closed_until:
            return self.closed_until - now
        if self._reopened and not ahead and not self.in_flight:
            return 0.0  # the server named this instant, so the first of those that waited need not trust an estimate
        # Slow start: with nothing known, the first request goes alone and tells the others what there is.  After a
        # refusal, and for bulk work with a floor, more requests at a time are allowed as responses come back.
        patience = max(self._last_sent + PATIENCE - now, 0.0) if self.in_flight else 0.0
        if patience:
            ramps = share is not None and share < 1.0
            if self.in_flight >= (min(self._width, self._ramp) if ramps else self._width):
                return patience
        limit = self.limit
        if limit is None or self._shown == -inf or (self._low == -inf and not self._window.on):
            return 0.0  # nothing is known, or an interrupt kept us from noting what a response showed
        # The floor is what bulk work leaves for interactive callers.  One token is always left to take, or a share of
        # nothing would wait for ever instead of taking what would run over.
        floor = 0.0 if share is None else min((1.0 - share) * limit, limit - 1.0)
        need = 1.0 + max(floor, self._others)
        if floor and need > limit - 1.0:
            need -= self._lead  # a full bucket shows no rise, so too low a rate would never be noticed
        taken = self.taken + ahead
        window, left = self._window, self._shown - taken
        if window.on and floor and window.rations(left, floor):
            return max(window.due(left - self._dither, floor, self._since) - now, 0.0)
        if left >= (1.0 if share is None else need):
            return 0.0
        if window.on:
            seconds = patience or window.look(self._since) - now
            return seconds if seconds > TINY else 0.0
        if patience and not self._proven:
            return patience
        rate = self._pace()
        have = self._expected(now) - taken
        if have >= need - TINY:
            return 0.0
        seconds = (need - have) / rate + max(self._since - now, 0.0) if rate else inf
        if not patience and not ahead and not (floor and rate):
            # Nothing is under way, and at the fastest rate the bucket may be full by now and run over: let one look.
            full = (limit - self._shown + self.taken) / self._fastest(limit)
            seconds = min(seconds, full - (now - self._since))
        elif seconds == inf:
            return patience or PATIENCE
        return seconds if seconds > TINY else 0.0

    def _pace(self) -> float:
        """Return the refill per second that is left for us."""
        return self._silence * (self._net if self._net < 0.9 * self.rate else self.rate)

    def _expected(self, now: float) -> float:
        """Return the least G can be by now, if nobody else spends more than lately."""
        return self._low + self._pace() * (now - self._since) if now > self._since else self._low

    def _fastest(self, limit: int) -> float:
        """Return the fastest refill that is still possible."""
        most = limit / BURST_SECONDS
        return max(min(most, self._reset_most) if self._trust_reset else most, self.rate)

    # ---- the events

    def sent(self, now: float) -> Sent:
        """Count a request that leaves."""
        bold = False
        if self.limit is not None:
            full = self.limit + self.taken
            if self._expected(now) >= full:  # it has run over, and goes on until this request arrives
                self._low, self._since = full, now + PATIENCE
            bold = not self.in_flight and self._shown - self.taken < 1.0
            if bold and self._window.on:
                self._window.looked(now)
        self._last_sent = now
        self._reopened = False
        sent = Sent(now, self._taken_least, bold=bold)
        self._flights.add(sent)
        return sent

    def lost(self, sent: Sent) -> None:
        """Note that no response came; the token, if one was taken, counts as another client's."""
        if sent in self._flights:
            self._flights.discard(sent)
            self._disown()

    def keep_flights(self, sent: Iterable[Sent] = ()) -> None:
        """Note that nobody will report the requests under way, except these."""
        for one in self._flights.difference(sent):
            self.lost(one)

    def answered(
        self, sent: Sent, now: float, headers: RateHeaders, *, refused: bool, wall: float, jitter: float
    ) -> float | None:
        """Learn from a response; a refusal closes the gate and returns the seconds until it opens.

        `wall` and `jitter`: see `wait_after_429`.  If headers are missing, what is known stays.
        """
        self._flights.discard(sent)
        self._dither = jitter
        if headers.date is not None:
            self._clock.learn(headers.date, sent.at, now)
        closed = None
        if refused:
            closed = self._refuse(sent, now, headers, wall, jitter)
        else:
            self._accept()
        limit, remaining = headers.limit, headers.remaining
        if limit is None or remaining is None:
            if not refused:
                if self.limit is not None and self.rate:
                    self._low, self._since = self._expected(now), max(now, self._since)
                    most = self.limit / BURST_SECONDS / self.rate
                    self._silence = max(min(self._silence * SILENCE, most), 1.0)
                self._taken_least -= 1
                self._disown()
            elif self.limit is not None:
                self._low = self._shown = sent.accepted
                self._since = now
                self._silence = max(self._silence / 2, 1.0)
            return closed
        if limit != self.limit:
            self._start(limit)
        self.remaining, self._silence = remaining, 1.0
        if refused and remaining:
            return closed  # refused by a limit that the headers don't show: only the gate helps
        least = remaining + sent.accepted + (not refused)
        most = (1.0 if refused else min(remaining + 1.0, limit - 1.0)) + self.taken
        if headers.reset is not None and headers.date is not None:
            if not self._window.on:
                self._learn_reset(sent, now, headers.reset, limit, remaining, most)
            elif self._window.is_past(headers.reset, sent.at):
                return closed  # overtaken by a response of the next window
            else:
                self._follow_window(now, headers.reset, remaining, least, most)
        if not refused and self._shown > most + 0.5:
            self._others = max(self._others, min(self._shown - most, limit / 2))
        self._shown = least if refused else max(least, min(self._shown, most))
        if not self._window.on:
            self._learn(sent, now, limit, remaining, least, most, refused=refused)
        self._since = now
        return closed

    def _disown(self) -> None:
        self._low -= 1.0
        self._shown -= 1.0

    def _accept(self) -> None:
        self._taken_least += 1
        self._refusals = 0
        if self.limit is None:
            self._width = self._ramp = inf if self._refused_at == -inf else self._width + 1.0
            return
        if self._width < inf:
            self._width = self._width + 1.0 if self._width < self.limit else inf
        if self._ramp < inf:
            step = 1.0 / self._ramp if self._others else 1.0
            self._ramp = self._ramp + step if self._ramp < self.limit else inf

    def _refuse(self, sent: Sent, now: float, headers: RateHeaders, wall: float, jitter: float) -> float:
        # Requests that were under way together are refused together: that is one refusal in a row, not eight.
        if sent.at > self._refused_at:
            self._refusals += 1
            self._refused_at = now
        server = self._clock.shows(now)
        seconds = wait_after_429(headers, wall=wall, refusals=self._refusals, jitter=jitter, server=server)
        self.closed_until = max(self.closed_until, now + seconds)
        self._reopened = True
        self._width = self._ramp = 1.0
        return self.closed_until - now

    # ---- a bucket that drips

    def _learn(
        self, sent: Sent, now: float, limit: int, remaining: int, least: float, most: float, *, refused: bool
    ) -> None:
        """Compare what had to be in the bucket with what is, and continue from what is."""
        self._average(now)
        self._refill.learn(sent.at, now, least, most)
        seen = max(self._refill.rate, self.rate_by_reset)
        self.rate = max(seen, self._claim)
        if seen > IMPLAUSIBLE * limit / BURST_SECONDS and self._window.may_begin:
            # Or it is a small bucket that drips fast, so look at once.
            self._enter_window(guessed=False, doubted=True)
        if sent.bold and not refused and remaining < limit / 2:
            self._proven = True  # a jump to a full bucket would be no sign of a drip
        full = remaining >= limit - 1 and not refused
        self._lead = min(2.0 * self._lead + LEAD, 0.5) if full else 0.0
        pace = self._pace()
        predicted = self._expected(now)
        ceiling = most + pace * (now - sent.at)
        if refused:
            if self._claim:
                self._claim, self._proven = 0.0, False
            elif predicted >= ceiling - 2 * TINY:
                self._contradicted(limit)
            self._low = least
        elif predicted > ceiling + TINY:  # other clients spend, or the bucket ran over
            if self._proven and remaining < limit - 1 and predicted > ceiling + 0.5:
                self._others = max(self._others, min(predicted - ceiling, limit / 2))
            self._low = least
        else:
            self._others = self._others * FADE if self._others > 0.5 else 0.0
            self._low = max(least, predicted)

    def _average(self, now: float) -> None:
        """Average the net rise of G over the time of a few tokens.

        Half the refill is the least it may come to: without that bound, clients on one bucket believe each other away,
        and one of four gets hardly anything.
        """
        since, shown = self._anchor
        if (now - since) * self.rate >= STRETCH:
            if since > -inf:
                slope = max((self._shown - shown) / (now - since), self.rate / 2)
                self._net = slope if self._net == inf else (self._net + slope) / 2
            self._anchor = (now, self._shown)

    def _learn_reset(
        self, sent: Sent, now: float, reset: int, limit: int, remaining: int, most: float
    ) -> None:
        """Bound the rate by Reset, the instant at which the bucket is said to be full."""
        self._window.note(reset, reset - self._clock.least, most)
        if not self._trust_reset:
            return
        longest = self._window.ends - sent.at
        if longest > 0:
            self.rate_by_reset = max(self.rate_by_reset, (limit - most + self.taken) / longest)
        shortest = reset - 1.0 - self._clock.most - now
        if shortest > 0:
            self._reset_most = min(self._reset_most, (limit - remaining) / shortest)
        if self.rate_by_reset > self._reset_most * (1 + TINY):  # so Reset means something else
            if self._window.possible:
                self._enter_window(guessed=False)
            else:
                self._trust_reset, self.rate_by_reset = False, 0.0

    def _contradicted(self, limit: int) -> None:
        """Explain a refusal where a token had to be: by other clients, by a window, or by too high a rate."""
        self._proven = False
        if self._others >= 1.0:
            self._others = min(self._others * 2, limit / 2)
        elif self._window.may_begin and not self._window.guessed:
            self._enter_window(guessed=True)
        else:
            self._others = min(1.0, limit / 2)
            self._refill.forget(self._refill.rate * 0.95)

    # ---- a bucket that is refilled all at once

    def _enter_window(self, *, guessed: bool, doubted: bool = False) -> None:
        self._window.enter(guessed=guessed, doubted=doubted)
        self.rate = 0.0

    def _follow_window(self, now: float, reset: int, remaining: int, least: float, most: float) -> None:
        """Learn from a response in window mode, which may end that mode."""
        begun = self._window.follow(now, reset, clock=self._clock, since=self._since, least=least, most=most)
        if begun:
            self._shown = -inf
            self._window.turn(remaining, self.taken)
        if not self._window.on:
            self._proven = False
            self._refill.forget()
            self.rate_by_reset, self._reset_most = 0.0, inf
            if begun:  # either other clients were quicker, or it drips after all
                self._others = 1.0
