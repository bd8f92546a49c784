"""How a login's actions ended; PURE."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import attrs

from auth0_meta.models import CommitResult
from auth0_meta.redact import discreet


@attrs.frozen
class Redirect:
    """Where to send the browser; `url` contains `state`, which the browser must bring to /continue.

    The repr shows neither: the state is a secret of this browser until it is used.
    """

    url: str = attrs.field(repr=False)
    state: str = attrs.field(repr=False)


@discreet
@attrs.frozen(kw_only=True, repr=False)
class LoginOutcome:
    """How a login ended after its actions; the repr shows names and sizes only.

    `denied`: the reason that an action gave, safe to show; None if none did.
    `validation_errors`: (code, message) pairs for the application.
    `error`: what failed, for logs and never for the browser; `failed_in`: the action that raised it, and its line,
    "remember (app.py:12)"; None if it came from elsewhere, such as the update.
    `redirect`: where to send the browser before the login can end; None if it has ended.
    `commit`: the result of the update; None if no update was tried.
    `lock_lost`: whether the trigger's lock failed when it was released, and so may not have protected the update.
    `staged`: what was to be stored, for `user_metadata` and `app_metadata`, with None for deletions; {} if it
    was discarded.
    `id_token_claims`, `access_token_claims`, `added_scopes`, `removed_scopes`, `saml_attributes`: what the
    actions request for the tokens; empty unless `allowed`.
    `user_id`: the user who logs in; None if the state of /continue was refused.
    """

    user_id: str | None
    lock_lost: bool = False
    denied: str | None = None
    validation_errors: tuple[tuple[str, str], ...] = ()
    error: Exception | None = None
    failed_in: str | None = None
    redirect: Redirect | None = None
    commit: CommitResult | None = None
    staged: Mapping[str, Mapping[str, Any]] = attrs.field(factory=dict)
    id_token_claims: Mapping[str, Any] = attrs.field(factory=dict)
    access_token_claims: Mapping[str, Any] = attrs.field(factory=dict)
    added_scopes: tuple[str, ...] = ()
    removed_scopes: tuple[str, ...] = ()
    saml_attributes: Mapping[str, Any] = attrs.field(factory=dict)

    @property
    def allowed(self) -> bool:
        """Return whether to let the user in: no denial, no error, and no redirect from which the user has yet to return."""
        return (
            self.denied is None
            and not self.validation_errors
            and self.error is None
            and self.redirect is None
        )

    def _failed(self, error: Exception) -> LoginOutcome:
        """Return this outcome for a login that failed after its actions: it is not allowed, and requests nothing."""
        written = {"denied", "validation_errors", "commit", "lock_lost", "staged"}
        kept = {name: getattr(self, name) for name in written}
        failed_in = self.failed_in if error is self.error else None
        return LoginOutcome(user_id=self.user_id, error=error, failed_in=failed_in, **kept)

    def raise_for_error(self) -> Self:
        """Raise `error`, the original exception with its traceback; if nothing failed, return this outcome.

        A denial, validation errors and a redirect are results and not errors, so they raise nothing: check `allowed` for
        those.  For tests, and for code that treats a failed login as an exception.

        >>> LoginOutcome(user_id="auth0|1", denied="Your trial has ended.").raise_for_error().allowed
        False
        >>> LoginOutcome(user_id="auth0|1", error=KeyError("plan")).raise_for_error()
        Traceback (most recent call last):
        KeyError: 'plan'
        """
        __tracebackhide__ = True
        if self.error is not None:
            raise self.error
        return self

    def __repr__(self) -> str:
        if self.error is not None:
            where = f" in {self.failed_in}" if self.failed_in else ""
            how = f"failed: {type(self.error).__name__}{where}"
        elif self.denied is not None or self.validation_errors:
            how = "denied"
        else:
            how = "allowed" if self.redirect is None else "redirect"
        return f"<LoginOutcome {self.user_id!r} {how}, {self.commit}>"
