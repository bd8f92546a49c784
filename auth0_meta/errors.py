"""Every error of the package; catching `Auth0MetaError` catches them all.

Auth0MetaError
├── InputError (ValueError)            an argument can't be used; nothing was sent
│   ├── ConfigError                    the client's settings can't work
│   └── MetadataError                  Auth0 would not accept a key or a value
│       └── PathError                  a change meets a value of the wrong type
├── StateError (RuntimeError)          the object can't do this in its present state
├── StoredDataError                    the metadata that is needed is not stored as an object
├── ConflictError                      what the transaction read has changed; nothing was written
├── AmbiguousUserError (LookupError)   several users have the email address
├── TransportError (OSError)           there is no usable response; itself only for reads
│   ├── NotSentError                   the request did not reach the server: it may be repeated
│   └── OutcomeUnknown                 a write may or may not have been applied
├── BatchError                         some users of a batch failed; the others were written
├── JobError                           an import or export job failed or did not end in time
├── LedgerError                        a migration's job file can't be used, or not now
├── ExternalError                      a value outside of the profile can't be stored or read
│   ├── ExternalUnavailableError       the store can't do it now: it is down, full, locked or read-only
│   ├── ExternalMissingError (LookupError)  the store has no such value
│   ├── ExternalDamagedError           what the store holds is not what was stored
│   └── ExternalMismatchError          the pointer names another store or belongs to another user
├── ApiError                           the server refused the request
│   ├── BadRequestError                400
│   │   └── PagingError                400 invalid_paging: more than 1000 search results
│   ├── AuthError                      401, a refused token request, a malformed credential
│   ├── ForbiddenError                 403
│   │   └── ScopeError                 403 insufficient_scope
│   ├── NotFoundError (LookupError)    404
│   ├── ResourceConflictError          409
│   │   └── AlreadyExistsError         409: what is to be created exists already
│   ├── RateLimitError                 429, or a wait that would exceed max_wait
│   └── ServerError                    5xx
├── ActionTimeout (TimeoutError)       the actions of a login took too long
├── RedirectError                      a state or token that came back from a redirect is invalid
└── MissingExtraError (ImportError)    an optional dependency is not installed

`MetadataWarning` is the only warning category.  Messages name users, keys and sizes, never values or credentials.
"""

from __future__ import annotations

from typing import Any

__all__ = [
    "ActionTimeout",
    "AlreadyExistsError",
    "AmbiguousUserError",
    "ApiError",
    "Auth0MetaError",
    "AuthError",
    "BadRequestError",
    "BatchError",
    "ConfigError",
    "ConflictError",
    "ExternalDamagedError",
    "ExternalError",
    "ExternalMismatchError",
    "ExternalMissingError",
    "ExternalUnavailableError",
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
    "ResourceConflictError",
    "ScopeError",
    "ServerError",
    "StateError",
    "StoredDataError",
    "TransportError",
    "missing_extra",
]


class MetadataWarning(UserWarning):
    """Auth0 accepts this metadata, but it is likely to cause problems; or staged changes were not sent.

    It is issued for a profile of more than 10 KB, for a value in `user_metadata` that looks like a secret or a card
    number, for a generator that is closed inside a transaction which other blocks had joined, for a lock that fails when
    it is released, for changes that were staged and neither committed nor dropped, and in actions for a claim that Auth0
    leaves out of its tokens and a secret of session tokens that is too short.  The message names the bag and the path or
    the claim, never the value.
    """


class Auth0MetaError(Exception):
    """The root of every error that this package raises on purpose.

    Keyword arguments become attributes, and survive pickling.
    """

    def __init__(self, message: str = "", **facts: Any) -> None:
        super().__init__(message)
        self.__dict__.update(facts)

    def __reduce__(self) -> tuple[Any, ...]:
        # The default calls the class with `args` alone and would lose the facts of an error from a worker process.
        return _rebuild, (type(self), self.args, self.__dict__.copy())


def _rebuild(cls: type[Auth0MetaError], args: tuple[Any, ...], facts: dict[str, Any]) -> Auth0MetaError:
    error = cls.__new__(cls, *args)
    error.args = args
    error.__dict__.update(facts)
    return error


class InputError(Auth0MetaError, ValueError):
    """An argument can't be used.

    It is raised before the first request, so nothing was sent or written.  Correct the argument that the message
    names.
    """


class ConfigError(InputError):
    """The settings of a client can't work: its domain, credentials, audience or limits.

    It is raised when the client is made, or before its first request; nothing was sent.
    """


class MetadataError(InputError):
    """Auth0 would not accept a key or a value.

    It is raised when the change is staged, before any request; for `oversize="error"` once the profile is known.
    Nothing was written.  Causes: a key that contains `.` or `$` at any depth, is empty or is not a string; a name that
    `app_metadata` reserves; a value that JSON can't represent; more than 1 MB; an empty user id.

    Attributes: `bag` ("user_metadata", "app_metadata" or None), `path` (tuple of keys), `user_id` (None outside of
    a transaction).
    """

    bag: str | None = None
    path: tuple[str, ...] = ()
    user_id: str | None = None

    def of(self, user_id: str, /) -> MetadataError:
        """Add whose metadata this is about; return the same error.

        >>> MetadataError("app_metadata 'plan': no").of("auth0|1")
        MetadataError("auth0|1: app_metadata 'plan': no")
        """
        self.user_id = user_id
        self.args = (f"{user_id}: {self}",)
        return self


class PathError(MetadataError):
    """A change meets a value of the wrong type, such as a set through a scalar or an append to an object.

    It is raised at staging if the profile is known, otherwise after the read and before the PATCH; nothing was
    written.  Only `merge` overwrites a scalar with an object.

    Attribute `staged_at`: the file and the line that staged the change, as the message names them; None if it is raised
    there.
    """

    staged_at: tuple[str, int] | None = None


class StateError(Auth0MetaError, RuntimeError):
    """The object can't do this in its present state; the message names the state and what to call instead.

    The call had no effect.
    """


class StoredDataError(Auth0MetaError):
    """The metadata that is needed is stored as something other than a JSON object, or is nested too deeply.

    It is raised when that one is read or changed; nothing was written.  The other one can be worked with.  The message
    names what is in the way, and what repairs it.
    Attributes: `user_id`, `bag`.
    """

    user_id: str | None = None
    bag: str | None = None


class ConflictError(Auth0MetaError):
    """Something that the transaction had read has changed since.

    It is raised at commit; nothing was written.  Run the work again on fresh data, as `client.run_transaction` does.
    Attributes: `user_id`, `paths` (tuple of the (bag, path) pairs that differ).
    """

    user_id: str | None = None
    paths: tuple[tuple[str, tuple[str, ...]], ...] = ()


class AmbiguousUserError(Auth0MetaError, LookupError):
    """Several users have the email address that names one.

    Each connection has users of its own, so one address may belong to several.  Nothing was written.  Choose one by its
    id, or by `connection=`.
    Attribute `user_ids`: tuple of all their ids.
    """

    user_ids: tuple[str, ...] = ()


class TransportError(Auth0MetaError, OSError):
    """There is no usable response to a request.

    Only reads raise it itself; for writes one of its two subclasses says whether the request may be repeated.
    Attribute `user_id`: the user whom the operation is about, or None.
    """

    user_id: str | None = None


class NotSentError(TransportError):
    """The request did not reach the server.

    Nothing was written, and repeating it is safe.  Causes: the host name does not resolve; the connection is refused or
    times out; TLS fails; a proxy is in the way; there was no token for it.  The message names the proxy (host and port)
    and, for a certificate that can't be verified, the CA bundle.
    Attributes: `permanent`, True if trying again can't help; `remedy`, what to do, as at the end of the message.
    """

    permanent: bool = False
    remedy: str = ""


class OutcomeUnknown(TransportError):
    """A write was sent, and whether it was applied is not known.

    Its response was lost, or was one that leaves this open, such as a 5xx.  A transaction raises it only if reading
    the user back failed (see `__cause__`) or could not decide.  Read the user before you write again: the change may
    be there already.  Attributes: `user_id`, `sent` and `found` (names and sizes only).
    """

    sent: str = ""
    found: str = ""


class BatchError(Auth0MetaError):
    """Some users of a batch failed; the others were written.

    It is raised when the batch's block ends, unless `on_error` is "collect".
    Attribute `results`: the batch's counts and failures.
    """

    results: Any = None


class JobError(Auth0MetaError):
    """An import or export job failed, or did not end in the time allowed.

    An import may have written some of its users: `client.jobs.errors` names the others.  A job that only took too long
    goes on at Auth0; wait for it again.
    Attributes: `job_id`, `job` (as last read, None if it never was).
    """

    job_id: str | None = None
    job: Any = None


class LedgerError(Auth0MetaError):
    """A migration's job file can't be used, or not for this.

    Causes: it is not a job file, is truncated, or comes from a newer release; another process works with it; it can't
    be written (read-only, disk full); it was planned for another tenant; its state does not allow the step.
    The job file knows what was written to the tenant before, or finds out by reading those users when the run is
    resumed.  Attribute `path`.
    """

    path: str = ""


class ExternalError(Auth0MetaError):
    """A value that is kept outside of the profile can't be stored or read; see the subclasses.

    The message names the pointer and what to do, never the value, and never a password of the store's.
    Attributes: `store` (the store's name), `pointer` (the value's "store/id" as in the profile; "" if it is about the
    store as a whole).
    """

    store: str = ""
    pointer: str = ""


class ExternalUnavailableError(ExternalError):
    """The store can't do it at the moment: its server is down, its disk is full, its file is locked or read-only.

    If it was to store a value, the value is either there as a whole or not at all, and storing it again is safe.
    Attribute `cause`: one word, such as "full", "read-only", "locked" or "down".
    """

    cause: str = ""


class ExternalMissingError(ExternalError, LookupError):
    """The store has no value for the pointer.

    It may have been deleted or forgotten, or the store is an older copy than the tenant.
    """


class ExternalDamagedError(ExternalError):
    """What the store holds is not what was stored.

    Its length or its SHA-256 is not the pointer's, another value has the same key, or the store's file is damaged.
    """


class ExternalMismatchError(ExternalError):
    """The pointer names another store than those that were given, or belongs to another user; nothing was read."""


class ApiError(Auth0MetaError):
    """The server refused the request.

    Nothing was written, except that a `ServerError` may leave this open.
    Attributes: `status` (int), `error_code` (str, or None: Auth0 sometimes leaves it out), `api_message` (str),
    `request_id` (str or None), `user_id` (str or None).
    """

    status: int = 0
    error_code: str | None = None
    api_message: str = ""
    request_id: str | None = None
    user_id: str | None = None


class BadRequestError(ApiError):
    """400: Auth0 can't use the request; nothing was written."""


class PagingError(BadRequestError):
    """400 invalid_paging: a search gives at most 1000 results.  Use an export job for more."""


class AuthError(ApiError):
    """401, or a token request was refused, or a credential is malformed; nothing was written."""


class ForbiddenError(ApiError):
    """403: the token does not allow this; nothing was written."""


class ScopeError(ForbiddenError):
    """403 insufficient_scope: the token has none of the scopes that the endpoint accepts; nothing was written.

    Attribute `expected`: tuple of those scopes.  Grant one of them to the application.
    """

    expected: tuple[str, ...] = ()


class NotFoundError(ApiError, LookupError):
    """404: the user (or another resource) does not exist; nothing was written."""


class ResourceConflictError(ApiError):
    """409: the request conflicts with the state of the tenant; nothing was written.

    `error_code` and `api_message` say how, such as `custom_domain_conflict`.  Only `AlreadyExistsError` means that
    something exists already.
    """


class AlreadyExistsError(ResourceConflictError):
    """409: a user with this id or email address, or another resource, exists already; nothing was written."""


class RateLimitError(ApiError):
    """429, and the client may not wait: it would exceed `max_wait`, or waiting can't help.

    This request was not applied.  Try again at `retry_at`, or allow a longer `max_wait`.
    Attributes: `retry_at` (epoch seconds at which to try again, None if unknown), `waited` (seconds already waited).
    """

    retry_at: float | None = None
    waited: float = 0.0


class ServerError(ApiError):
    """5xx, even after the retries, or for a request that may not be repeated.

    A write may have been applied: read before you write again.
    """


class ActionTimeout(Auth0MetaError, TimeoutError):
    """The actions of a login, including the final update, took longer than their budget.

    What they had staged was discarded, unless the update took too long itself: the message and the outcome's `commit`
    say then what was written.  Attribute `user_id`.
    """

    user_id: str | None = None


class RedirectError(Auth0MetaError):
    """What came back from a redirect is invalid: an unknown, used or expired state, or a bad session token.

    Nothing was written; let the user log in again.  Attribute `reason`: Auth0's words for it.
    """

    reason: str = ""


class MissingExtraError(Auth0MetaError, ImportError):
    """An optional dependency is not installed; the message names the extra to install."""


def missing_extra(error: ModuleNotFoundError, extra: str, /) -> MissingExtraError:
    """Return the error for a module that could not be imported, to be raised `from None`.

    >>> missing_extra(ModuleNotFoundError("No module named 'flask'", name="flask"), "flask")
    MissingExtraError('this needs flask: pip install "auth0-meta[flask]"')
    """
    needed = (error.name or "").partition(".")[0]
    return MissingExtraError(f'this needs {needed}: pip install "auth0-meta[{extra}]"')
