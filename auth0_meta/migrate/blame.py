"""Decide whether a failure concerns one user or everybody; PURE.

One user's failure must not stop the others, and an outage must not be blamed on thousands of users.  Some errors say
which it is.  For the rest, it depends on who else fails.
"""

from __future__ import annotations

from typing import Generic, TypeVar

from auth0_meta import errors
from auth0_meta.http.error_responses import leaves_open

_T = TypeVar("_T")

_MOST_IN_A_ROW = 20
# One may be that user's own: nobody else was under way while the requests were repeated for a quarter of an hour.
_MOST_OUTAGES = 2
# No user is to blame for these: the token, the settings, a closed client, a time limit, an external store that can't store.
_EVERYBODYS = (
    errors.AuthError,
    errors.ScopeError,
    errors.ConfigError,
    errors.StateError,
    errors.RateLimitError,
    errors.ExternalError,
)
# A gateway, a proxy or a firewall may send these for one path or for all of them.
_OPEN = (errors.TransportError, errors.ServerError, errors.ForbiddenError)
# What Auth0 says of a user; its code is missing at times.
_INEXISTENT, _NO_USER = "inexistent_user", "The user does not exist"


def is_everybodys(error: errors.Auth0MetaError) -> bool:
    """Return whether the next user would fail too."""
    return isinstance(error, _EVERYBODYS) or bool(getattr(error, "permanent", False))


def is_gone(error: errors.Auth0MetaError) -> bool:
    """Return whether Auth0 says that the user does not exist; a 404 from anybody else does not say so.

    >>> is_gone(errors.NotFoundError("", status=404, error_code="inexistent_user")), is_gone(errors.NotFoundError("", status=404))
    (True, False)
    """
    if not isinstance(error, errors.NotFoundError):
        return False
    return error.error_code == _INEXISTENT or _NO_USER in error.api_message


def is_open(error: errors.Auth0MetaError) -> bool:
    """Return whether an error may concern this user alone or everybody.

    >>> is_open(errors.TransportError("HTML")), is_open(errors.BadRequestError("a malformed id", status=400))
    (True, False)
    """
    if isinstance(error, errors.NotFoundError):
        return not is_gone(error)
    return isinstance(error, _OPEN) or (isinstance(error, errors.ApiError) and leaves_open(error.status))


class InARow(Generic[_T]):
    """The failures since a user last succeeded, which may each be one user's own, or all have one cause."""

    def __init__(self) -> None:
        self._failed: list[_T] = []
        self._outages = 0
        self._any_success = False

    def add(self, failed: _T, *, outage: bool) -> bool:
        """Add one; return whether there are so many in a row that they must concern everybody.

        `outage`: it was repeated until nobody had had a response for as long as an outage is waited out.
        """
        self._failed.append(failed)
        self._outages += outage
        return self._outages >= _MOST_OUTAGES or len(self._failed) >= _MOST_IN_A_ROW

    @property
    def last(self) -> _T:
        """Return the latest failure."""
        return self._failed[-1]

    def explain(self, error: errors.Auth0MetaError, what_next: str) -> errors.Auth0MetaError:
        """Return the error that ends the run, with the reason why it does and what to do."""
        who = "nobody got through" if self._outages else f"{len(self._failed)} users in a row failed"
        error.args = (f"{who}, so this does not concern one user alone: {error}. {what_next}",)
        return error

    def take(self) -> list[_T]:
        """Return the failures, and forget them."""
        failed, self._failed, self._outages = self._failed, [], 0
        return failed

    def note_success(self) -> list[_T]:
        """Note that a user succeeded; return the failures before that, which are their users' own."""
        self._any_success = True
        return self.take()

    @property
    def is_outage(self) -> bool:
        """Return whether there was an outage since, and no user has ever succeeded."""
        return self._outages > 0 and not self._any_success

    def __bool__(self) -> bool:
        return bool(self._failed)
