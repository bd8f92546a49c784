"""Tell how a login's actions ended; PURE."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from auth0_meta.models import CommitResult


@attrs.frozen
class Redirect:
    """Say where to send the browser; `url` carries `state`, which /continue must bring back.

    The repr shows neither: the state is a secret of this browser until it is used.
    """

    url: str = attrs.field(repr=False)
    state: str = attrs.field(repr=False)


@attrs.frozen(kw_only=True, repr=False)
class LoginOutcome:
    """Tell what the actions made of a login; the repr shows names and sizes only.

    `denied`: the reason an action gave, safe to show; None where none did.  `validation_errors`: (code,
    message) pairs for the application.  `error`: what failed, for logs and never for the browser.  `redirect`: where to go
    before the login can end, None where it has ended.  `commit`: how the update went, None when it was
    not tried.  `staged`: what was to be stored, by bag, with None for deletions; {} when it was discarded.
    `id_token_claims`, `access_token_claims`, `added_scopes`, `removed_scopes`, `saml_attributes`: what is to
    go into the tokens, empty unless `allowed`.  `user_id` is None where /continue's state was refused.
    """

    user_id: str | None
    denied: str | None = None
    validation_errors: tuple[tuple[str, str], ...] = ()
    error: Exception | None = None
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
        """Tell whether the login may go on: nothing refused it, nothing failed, nothing is outstanding."""
        return (
            self.denied is None
            and not self.validation_errors
            and self.error is None
            and self.redirect is None
        )

    def __repr__(self) -> str:
        if self.error is not None:
            how = f"failed: {type(self.error).__name__}"
        elif self.denied is not None or self.validation_errors:
            how = "denied"
        else:
            how = "allowed" if self.redirect is None else "redirect"
        return f"<LoginOutcome {self.user_id!r} {how}, {self.commit}>"
