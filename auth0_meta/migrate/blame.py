"""Whether a failure is one user's or everybody's; PURE.

One user's trouble must not stop the others, and an outage must not be blamed on thousands of users.  Some errors say
which it is.  For the others, who else fails decides.
"""

from __future__ import annotations

from typing import Generic, TypeVar

from auth0_meta import errors

_T = TypeVar("_T")

_MOST_IN_A_ROW = 20
# A user for whom everything was tried for a quarter of an hour while nobody else was under way may be to blame alone.
_MOST_OUTAGES = 2
# Whatever the user: the token, the settings, a closed client, a limit of time.
_EVERYBODYS = (
    errors.AuthError,
    errors.ScopeError,
    errors.ConfigError,
    errors.StateError,
    errors.RateLimitError,
)
# A gateway, a proxy or a firewall says these about one path, or about all of them.
_OPEN = (errors.TransportError, errors.ServerError, errors.ForbiddenError)
_GATEWAY = (408, 425, 499)


def is_everybodys(error: errors.Auth0MetaError) -> bool:
    """Return whether the next user would fare no better."""
    return isinstance(error, _EVERYBODYS) or bool(getattr(error, "permanent", False))


def is_open(error: errors.Auth0MetaError) -> bool:
    """Return whether an error may be this user's or everybody's.

    >>> is_open(errors.TransportError("HTML")), is_open(errors.BadRequestError("a malformed id", status=400))
    (True, False)
    """
    if isinstance(error, _OPEN):
        return True
    return isinstance(error, errors.ApiError) and (300 <= error.status < 400 or error.status in _GATEWAY)


class InARow(Generic[_T]):
    """Failures of which nobody knows yet whose they are, since the last time that a user fared well."""

    def __init__(self) -> None:
        self._failed: list[_T] = []
        self._outages = 0
        self._fared_well = False

    def add(self, failed: _T, *, outage: bool) -> bool:
        """Add one; return whether there are so many in a row that they are everybody's.

        `outage`: it was repeated until nobody had had a response for as long as an outage is waited out.
        """
        self._failed.append(failed)
        self._outages += outage
        return self._outages >= _MOST_OUTAGES or len(self._failed) >= _MOST_IN_A_ROW

    def take(self) -> list[_T]:
        """Return the failures, and forget them."""
        failed, self._failed, self._outages = self._failed, [], 0
        return failed

    def fared_well(self) -> list[_T]:
        """Note that a user fared well; return the failures before it, which are their users' own."""
        self._fared_well = True
        return self.take()

    @property
    def is_outage(self) -> bool:
        """Return whether there is an outage at the end, and nobody has ever fared well."""
        return self._outages > 0 and not self._fared_well

    def __bool__(self) -> bool:
        return bool(self._failed)
