"""Follow a bucket that is refilled all at once, by its Reset; PURE: every method takes the time.

G is that of `bucket.py`: tokens in the bucket + tokens that this client has taken.  Within a window nothing raises it.
"""

from __future__ import annotations

from math import inf

from auth0_meta.ratelimit.headers import ServerClock

FULL_ENOUGH = 0.7
"""A bucket that holds less than this part of its size right after Reset has another client, or drips."""
LAST = 0.1
"""The part of its floor that bulk work leaves even at the end of a window."""
LEAST = 0.75
"""Tokens that bulk work leaves there in any case."""
DRAIN = 0.55
"""The most that bulk work allows for what others take, as a part of the speed at which its floor falls."""
SHORT = 0.2
"""The part of a window that responses must span before they say anything about what others take."""
TINY = 1e-6


class FixedWindow:
    """Know when a window ends, how much of it others take, and whether there is a window at all.

    `on`: the bucket is believed to be of this kind.  `possible`: no response has shown that it drips.
    `guessed`: it is believed because a token was refused that a drip had to bring; that is tried once.
    `ends`: the monotonic instant of the window's end.  `period`: the shortest time between two ends, infinite until
    there have been two.

    >>> window = FixedWindow(10)
    >>> window.note(reset=100, ends=5.0, most=10.0)
    >>> window.enter(guessed=False)
    >>> window.look(4.0)
    5.0
    """

    def __init__(self, limit: int) -> None:
        self.on, self.guessed, self.possible = False, False, True
        self.ends, self.period = -inf, inf
        self._limit = limit
        self._reset = 0
        self._top = inf  # G in this window, upper bound
        self._whole, self._drain = -inf, 0.0  # G when it was full; what others take of it per second
        self._turned = -inf  # when its first response came
        self._count, self._next_try = 0, self._first_try()

    def _first_try(self) -> float:
        """Return after how many windows to doubt for the first time: later if small, since a doubt may cost a 429."""
        return 4.0 + 64.0 / self._limit

    @property
    def may_begin(self) -> bool:
        """Whether the bucket may turn out to be a window: Reset is known, and nothing speaks against it."""
        return self.possible and self._reset > 0

    def note(self, reset: int, ends: float, most: float) -> None:
        """Remember Reset while the bucket is not believed to be a window.  `most`: upper bound of G."""
        self._reset, self.ends, self._top = reset, ends, most

    def enter(self, *, guessed: bool, doubted: bool = False) -> None:
        """Believe from now on that the bucket is a window.  `doubted`: check in the middle of the first one."""
        self.on, self.guessed = True, guessed
        if doubted:
            self._next_try = 0.0

    def leave(self, *, drips: bool = True) -> None:
        """Leave window mode; unless the bucket certainly drips, a rise that is faster than any drip brings it back."""
        self.on, self.possible = False, not drips

    # ---- when to go

    def rations(self, left: float, floor: float) -> bool:
        """Return whether bulk work that leaves `floor` may take one of the `left` tokens before the end."""
        return left >= 1.0 + LAST * floor

    def due(self, left: float, floor: float, since: float) -> float:
        """Return when bulk work may take the next of the tokens that were `left` at `since`.

        Its floor falls towards the end of the window, to `LAST` of it, because what is left then is lost.  Meanwhile
        the content falls too, by what others take.  Bulk work goes when the two lines cross.  If that is past the end,
        it comes up to half a window late: whoever has drained the window goes first, and not all at once.
        """
        period = self.period if self.period < inf else max(self.ends - since, TINY)
        slope = (2.0 - LAST) * floor / period
        spare = left - 1.0 - max(LAST * floor, LEAST)
        gap = slope * (self.ends - since) - spare
        return min(since + gap / (slope - min(self._drain, DRAIN * slope)), self.ends + period / 2)

    def look(self, since: float) -> float:
        """Return when a request may look for new tokens: at the end of the window, now and then in its middle.

        Tokens in the middle would show that the bucket drips after all.
        """
        return (since + self.ends) / 2 if self._count >= self._next_try else self.ends

    def looked(self, now: float) -> None:
        """Note that a request left for tokens that no response had shown."""
        if now < self.ends:
            self._next_try = max(4.0 * self._count, self._first_try())

    # ---- what responses show

    def is_past(self, reset: int, sent: float) -> bool:
        """Return whether a response belongs to the window before this one."""
        return reset < self._reset and sent < self._turned

    def follow(
        self, now: float, reset: int, *, clock: ServerClock, since: float, least: float, most: float
    ) -> bool:
        """Take in Reset and the bounds of G; return whether another window has begun.

        `since`: when the response before came.  A response that no window could give ends window mode.
        """
        last = self.ends
        self.ends = reset - clock.least
        if reset == self._reset:
            if least > self._top:  # tokens have come but Reset has not moved: it drips
                self.leave()
            self._top = min(self._top, most)
            return False
        if reset > self._reset:
            if now < self._reset - 1.0 - clock.most:
                self.leave()  # Reset moved before it was reached, which no window does
                return False
            self.period = min(self.period, reset - self._reset)
            lasted = since - (last - self.period)
            if lasted > SHORT * self.period:
                self._drain += (max(self._whole - self._top, 0.0) / lasted - self._drain) / 2
        self._reset, self._top, self._turned = reset, most, now
        self._count += 1
        return True

    def turn(self, remaining: int, taken: int) -> None:
        """Judge by the first response of a window.  `taken`: our requests that may have taken a token so far."""
        self._whole = self._limit + taken - 1.0
        if self.guessed and remaining + 1 < FULL_ENOUGH * self._limit:
            self.leave(drips=False)  # it was a guess; but other clients may have been quicker
