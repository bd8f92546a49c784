"""Define every error of the package; catching `Auth0MetaError` is always enough.

Auth0MetaError
├── InputError (ValueError)            refused before the first request; nothing was sent
│   ├── ConfigError                    the client's own settings
│   └── MetadataError                  a key or value that Auth0 does not accept
│       └── PathError                  a change that meets the wrong type on its way
├── StateError (RuntimeError)          a call that this state of the object does not allow
├── StoredDataError                    Auth0 holds a bag that no change can be computed on
├── ConflictError                      what the transaction read has changed; nothing written
├── TransportError (OSError)           no usable answer; itself: to a read
│   ├── NotSentError                   the request did not reach the server: safe to repeat
│   └── OutcomeUnknown                 a write may or may not have been applied
├── BatchError                         some users of a batch failed; the others were written
├── JobError                           an import or export job failed, or is not done in time
├── LedgerError                        a migration's job file can't be used, or not now
├── ApiError                           an answer that says no
│   ├── BadRequestError                400
│   │   └── PagingError                400 invalid_paging: more than 1000 search results
│   ├── AuthError                      401, a refused token request, a malformed credential
│   ├── ForbiddenError                 403
│   │   └── ScopeError                 403 insufficient_scope
│   ├── NotFoundError (LookupError)    404
│   ├── AlreadyExistsError             409
│   ├── RateLimitError                 429, or a wait that would pass max_wait
│   └── ServerError                    5xx
├── ActionTimeout (TimeoutError)       the actions of a login took longer than their budget
├── RedirectError                      what came back from a redirect can't be trusted: state or token
└── MissingExtraError (ImportError)    an optional dependency is not installed

`MetadataWarning` is the one warning category.  Messages name users, keys and sizes, never
values or credentials.
"""

from __future__ import annotations

from typing import Any

__all__ = [
    "ActionTimeout",
    "AlreadyExistsError",
    "ApiError",
    "Auth0MetaError",
    "AuthError",
    "BadRequestError",
    "BatchError",
    "ConfigError",
    "ConflictError",
    "ForbiddenError",
    "InputError",
    "JobError",
    "LedgerError",
    "MetadataError",
    "MetadataWarning",
    "MissingExtraError",
    "NotFoundError",
    "NotSentError",
    "OutcomeUnknown",
    "PagingError",
    "PathError",
    "RateLimitError",
    "RedirectError",
    "ScopeError",
    "ServerError",
    "StateError",
    "StoredDataError",
    "TransportError",
    "api_error",
]


class MetadataWarning(UserWarning):
    """Warn about metadata that Auth0 accepts today and that is still a bad idea, or that is not sent.

    Causes: a profile past 10 KB; a value in `user_metadata` that looks like a secret or a
    card number; a generator that is closed inside a transaction which other blocks had joined.  The
    message names the bag and the path, never the value.
    """


class Auth0MetaError(Exception):
    """Stand at the root of every error that this package raises on purpose.

    Keyword facts given to a subclass are kept as attributes and survive pickling.
    """

    def __init__(self, message: str = "", **facts: Any) -> None:
        super().__init__(message)
        self.__dict__.update(facts)

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.args, self.__dict__.copy())


def _rebuild(cls: type[Auth0MetaError], args: tuple[Any, ...], facts: dict[str, Any]) -> Auth0MetaError:
    error = cls.__new__(cls, *args)
    error.args = args
    error.__dict__.update(facts)
    return error


class InputError(Auth0MetaError, ValueError):
    """Refuse an argument before anything was sent."""


class ConfigError(InputError):
    """Refuse the client's own settings: domain, credentials, audience, limits."""


class MetadataError(InputError):
    """Refuse a key or value that Auth0 does not accept.

    Causes: a key with `.` or `$` at any depth; a key that is no string or is empty; a name that
    `app_metadata` reserves; a value that JSON can't hold; more than 1 MB; an empty user id.
    Attributes: `bag` ("user_metadata", "app_metadata" or None), `path` (tuple of keys), `user_id`
    (None outside of a transaction).
    """

    bag: str | None = None
    path: tuple[str, ...] = ()
    user_id: str | None = None

    def of(self, user_id: str, /) -> MetadataError:
        """Say whose metadata this is about; returns the same error.

        >>> MetadataError("app_metadata 'plan': no").of("auth0|1")
        MetadataError("auth0|1: app_metadata 'plan': no")
        """
        self.user_id = user_id
        self.args = (f"{user_id}: {self}",)
        return self


class PathError(MetadataError):
    """Refuse a change that meets the wrong type: set through a scalar, append onto an object.

    Raised at staging when the base is known, else after the read and before the PATCH.
    Nothing was written.  Only `merge` overwrites a scalar with an object.
    """


class StateError(Auth0MetaError, RuntimeError):
    """Refuse a call that the object's state does not allow, naming the state and the next call."""


class StoredDataError(Auth0MetaError):
    """Report that Auth0 holds a bag that no change can be computed on: no JSON object, or nested past 200 levels.

    Nothing was written.  Attributes: `user_id`, `bag`.
    """

    user_id: str | None = None
    bag: str | None = None


class ConflictError(Auth0MetaError):
    """Report that something the transaction had read has changed since; nothing was written.

    Run the work again on fresh data: `client.run_transaction` does.
    Attributes: `user_id`, `paths` (tuple of (bag, path) pairs that differ).
    """

    user_id: str | None = None
    paths: tuple[tuple[str, tuple[str, ...]], ...] = ()


class TransportError(Auth0MetaError, OSError):
    """Report that no usable answer came: to a read, when it is none of its two children.

    Attribute `user_id`: the user of the operation, None where there is none.
    """

    user_id: str | None = None


class NotSentError(TransportError):
    """Report that the request did not reach the server: repeating it is safe.

    Causes: the name does not resolve; the connection is refused or times out; TLS fails; the token
    that it needed could not be fetched.
    Attribute `permanent`: whether trying again can't help.
    """

    permanent: bool = False


class OutcomeUnknown(TransportError):
    """Report that a write left and its answer was lost or was a 5xx: it may be applied or not.

    A transaction raises it only when reading back can't decide, or failed (see `__cause__`).  Never repeat it blindly.  Attributes: `user_id`, `sent` and `found` (names and
    sizes only).
    """

    sent: str = ""
    found: str = ""


class BatchError(Auth0MetaError):
    """Report that users of a batch failed; the others were written.

    Attribute `results`: the batch's counts and failures.
    """

    results: Any = None


class JobError(Auth0MetaError):
    """Report that an import or export job failed, or did not end in the time allowed.

    Attributes: `job_id`, `job` (as last read, None where it never was).
    """

    job_id: str | None = None
    job: Any = None


class LedgerError(Auth0MetaError):
    """Report that a migration's job file can't be used, or not for this.

    Causes: no ledger, a truncated one, one of a newer release; another process works with it; it
    can't be written (read-only, disk full); it was planned for another tenant; its state does
    not allow the step.  What had been written to the tenant before is in it, or will be found
    by reading those users when the run is resumed.  Attribute `path`.
    """

    path: str = ""


class ApiError(Auth0MetaError):
    """Carry an answer that says no.

    Attributes: `status` (int), `error_code` (str or None: Auth0 leaves it out at times),
    `api_message` (str), `request_id` (str or None), `user_id` (str or None).
    """

    status: int = 0
    error_code: str | None = None
    api_message: str = ""
    request_id: str | None = None
    user_id: str | None = None


class BadRequestError(ApiError):
    """400: Auth0 refused the request; nothing was written."""


class PagingError(BadRequestError):
    """400 invalid_paging: a search gives at most 1000 results; use an export job for more."""


class AuthError(ApiError):
    """401, a refused token request, or a credential that is no token; nothing was written."""


class ForbiddenError(ApiError):
    """403: the token may not do this; nothing was written."""


class ScopeError(ForbiddenError):
    """403 insufficient_scope: the token lacks every scope that the endpoint accepts.

    Attribute `expected`: tuple of the scopes of which one is needed.
    """

    expected: tuple[str, ...] = ()


class NotFoundError(ApiError, LookupError):
    """404: the user (or other resource) does not exist; nothing was written."""


class AlreadyExistsError(ApiError):
    """409: a user with this id or e-mail exists already; nothing was written."""


class RateLimitError(ApiError):
    """429 that may not be waited out: the wait would pass `max_wait`, or waiting can't help.

    Nothing of this request was applied.  Attributes: `retry_at` (epoch seconds at which a
    retry makes sense, or None where unknown), `waited` (seconds already waited).
    """

    retry_at: float | None = None
    waited: float = 0.0


class ServerError(ApiError):
    """5xx that outlasted the retries, or that may not be repeated."""


class ActionTimeout(Auth0MetaError, TimeoutError):
    """Report that the actions of a login, the final update included, took longer than their budget.

    What they had staged was discarded.  Attribute `user_id`.
    """

    user_id: str | None = None


class RedirectError(Auth0MetaError):
    """Refuse what came back from a redirect: an unknown, used or expired state, or a session token that does not hold.

    Nothing was written.  Attribute `reason`: Auth0's words for it.
    """

    reason: str = ""


class MissingExtraError(Auth0MetaError, ImportError):
    """Report that an optional dependency is missing and name the extra that brings it."""


_BY_STATUS: dict[int, type[ApiError]] = {
    400: BadRequestError,
    401: AuthError,
    403: ForbiddenError,
    404: NotFoundError,
    409: AlreadyExistsError,
    429: RateLimitError,
}
_BY_CODE: dict[tuple[int, str], type[ApiError]] = {
    (400, "invalid_paging"): PagingError,
    (400, "Bearer"): AuthError,
    (403, "insufficient_scope"): ScopeError,
}
_BY_MESSAGE: dict[tuple[int, str], type[ApiError]] = {
    (400, "Bad HTTP authentication header format"): AuthError,
}


def api_error(status: int, *, error_code: str | None = None, message: str = "") -> type[ApiError]:
    """Choose the class for an answer; total: every status has one.

    >>> api_error(404).__name__, api_error(418).__name__, api_error(503).__name__
    ('NotFoundError', 'ApiError', 'ServerError')
    """
    if error_code is not None and (status, error_code) in _BY_CODE:
        return _BY_CODE[status, error_code]
    if (status, message) in _BY_MESSAGE:
        return _BY_MESSAGE[status, message]
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    return ServerError if status >= 500 else ApiError
