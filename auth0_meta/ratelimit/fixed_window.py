"""Follow a bucket that is refilled all at once, by its Reset; pure: every method is told the time.

G is what `bucket.py` says: tokens in the bucket + tokens this client has taken.  Within a window nothing raises it.
"""

from __future__ import annotations

from math import inf

from auth0_meta.ratelimit.headers import ServerClock

FULL_ENOUGH = 0.7
"""A bucket that holds less than this part right after Reset has another client, or drips."""
LAST = 0.1
"""The part of its floor that bulk work leaves even at the end of a window."""
LEAST = 0.75
"""Tokens that it leaves there in any case."""
DRAIN = 0.55
"""The most that bulk work allows for what others take, as a part of the rate at which its floor falls."""
SHORT = 0.2
"""The part of a window that answers must span to tell what others take."""
TINY = 1e-6


class FixedWindow:
    """Know when a window ends, how much of it others take, and whether it is one at all.

    `on`: the bucket is taken for one of this kind.  `possible`: no answer has shown that it drips.
    `guessed`: it was taken for one since a token was refused that a drip had to bring; that is done once.
    `ends`: the monotonic instant of its end.  `period`: the shortest time between two ends, infinite before the second.

    >>> window = FixedWindow(10)
    >>> window.note(reset=100, ends=5.0, most=10.0)
    >>> window.enter(guessed=False)
    >>> window.look(4.0)
    5.0
    """

    __slots__ = (
        "_count", "_drain", "_limit", "_next_try", "_reset", "_top", "_turned", "_whole",
        "ends", "guessed", "on", "period", "possible",
    )  # fmt: skip

    def __init__(self, limit: int) -> None:
        self.on, self.guessed, self.possible = False, False, True
        self.ends, self.period = -inf, inf
        self._limit = limit
        self._reset = 0
        self._top = inf  # G in this window, upper bound
        self._whole, self._drain = -inf, 0.0  # G at its turn; what others take of it a second
        self._turned = -inf  # when its first answer came
        self._count, self._next_try = 0, self._first_try()

    def _first_try(self) -> float:
        """Return after how many windows to doubt that it is one: a doubt may cost a refusal."""
        return 4.0 + 64.0 / self._limit

    @property
    def may_begin(self) -> bool:
        """Tell whether the bucket may turn out to be a window: Reset is known, and nothing speaks against it."""
        return self.possible and self._reset > 0

    def note(self, reset: int, ends: float, most: float) -> None:
        """Remember Reset while the bucket is not taken for a window.  `most`: G, upper bound."""
        self._reset, self.ends, self._top = reset, ends, most

    def enter(self, *, guessed: bool, doubted: bool = False) -> None:
        """Take the bucket for a window from now on.  `doubted`: look in the middle of the first one."""
        self.on, self.guessed = True, guessed
        if doubted:
            self._next_try = 0.0

    def leave(self, *, drips: bool = True) -> None:
        """Take it for a window no more; unless it surely drips, a rise past any drip brings that back."""
        self.on, self.possible = False, not drips

    # ---- when to go

    def rations(self, left: float, floor: float) -> bool:
        """Tell whether bulk work that leaves `floor` may take one of the tokens `left` before the end."""
        return left >= 1.0 + LAST * floor

    def due(self, left: float, floor: float, since: float) -> float:
        """Return when bulk work may take the next of the tokens `left` at `since`.

        Its floor falls to `LAST` of it until the end, since what is left then is lost.  Meanwhile the content falls
        too, by what others take: go where the two lines cross.  Where that is past the end, come up to half a window
        late: whoever has drained it goes first, and not all at once.
        """
        period = self.period if self.period < inf else max(self.ends - since, TINY)
        slope = (2.0 - LAST) * floor / period
        spare = left - 1.0 - max(LAST * floor, LEAST)
        gap = slope * (self.ends - since) - spare
        return min(since + gap / (slope - min(self._drain, DRAIN * slope)), self.ends + period / 2)

    def look(self, since: float) -> float:
        """Return when a request may look for tokens: at the end; now and then one looks in the middle."""
        return (since + self.ends) / 2 if self._count >= self._next_try else self.ends

    def looked(self, now: float) -> None:
        """Note that a request left for tokens that nothing had shown."""
        if now < self.ends:
            self._next_try = max(4.0 * self._count, self._first_try())

    # ---- what answers tell

    def is_past(self, reset: int, sent: float) -> bool:
        """Tell whether an answer belongs to the window before this one."""
        return reset < self._reset and sent < self._turned

    def follow(
        self, now: float, reset: int, *, clock: ServerClock, since: float, least: float, most: float
    ) -> bool:
        """Take in Reset and the bounds of G; return whether another window has begun.

        `since`: when the answer before came.  An answer that no window could give ends it.
        """
        last = self.ends
        self.ends = reset - clock.least
        if reset == self._reset:
            if least > self._top:  # tokens came and Reset did not: it drips
                self.leave()
            self._top = min(self._top, most)
            return False
        if reset > self._reset:
            if now < self._reset - 1.0 - clock.most:  # it moved on before it came: no window's end
                self.leave()
                return False
            self.period = min(self.period, reset - self._reset)
            lasted = since - (last - self.period)
            if lasted > SHORT * self.period:
                self._drain += (max(self._whole - self._top, 0.0) / lasted - self._drain) / 2
        self._reset, self._top, self._turned = reset, most, now
        self._count += 1
        return True

    def turn(self, remaining: int, taken: int) -> None:
        """Look at the first answer of a window.  `taken`: our requests that may have taken a token so far."""
        self._whole = self._limit + taken - 1.0
        if self.guessed and remaining + 1 < FULL_ENOUGH * self._limit:
            self.leave(drips=False)  # or others were quicker
