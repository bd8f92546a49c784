"""One user's part of a run: the task that a worker gets and the result that it gives back; PURE.

Both have a JSON form, so that an executor may carry them to another process.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self

import attrs

from auth0_meta import errors
from auth0_meta.errors import Auth0MetaError
from auth0_meta.migrate.ledger.records import Kind

Outcome = Literal[
    "done", "same", "drifted", "unclear", "gone", "failed", "undone", "kept", "cancelled", "stopped"
]
"""What became of a user; after "cancelled" and "stopped" the user is still to be dealt with."""


@attrs.frozen(kw_only=True)
class Task:
    """What to do to one user: `document` brings the touched keys from `before` to `after`, an undo puts them back.

    `in_doubt`: an earlier PATCH may have been applied unseen, so the user is read before anything is sent.
    `tried`: an earlier PATCH was refused, and nobody has looked since whether it was applied all the same.
    """

    n: int
    user_id: str
    kind: Kind
    document: Mapping[str, Mapping[str, Any]] = attrs.field(repr=False)
    before: Mapping[str, Any] = attrs.field(repr=False)
    after: Mapping[str, Mapping[str, Any]] = attrs.field(repr=False)
    in_doubt: bool = False
    tried: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return the task as JSON; it holds metadata values."""
        return attrs.asdict(self, recurse=False)

    @classmethod
    def from_json(cls, facts: Mapping[str, Any]) -> Self:
        """Return the task that `to_json` gave."""
        return cls(**facts)


@attrs.frozen(kw_only=True)
class TaskResult:
    """What became of one user, and what it cost; `note` holds no value.

    `in_doubt` and `tried`: as in `Task`, as they are now.  `found`: for "drifted" and "unclear", the profile as read.
    `after`: for "done", what the touched keys hold where that is not what was sent, else None.  `kept`: for "kept",
    the keys that somebody else has changed since, and the bags that were not objects before.  `error`: for "stopped", what ends the run; for "failed", what ends it
    if others fail too; the JSON form keeps its class and message only.  `outage`: it was repeated for as long as an outage
    is waited out, and no request of the client succeeded.
    """

    n: int
    user_id: str
    outcome: Outcome
    in_doubt: bool = False
    tried: bool = False
    requests: int = 0
    patches: int = 0
    refusals: int = 0
    waited: float = 0.0
    seconds: float = 0.0
    note: str = ""
    found: Mapping[str, Any] | None = attrs.field(default=None, repr=False)
    after: Mapping[str, Mapping[str, Any]] | None = attrs.field(default=None, repr=False)
    kept: Sequence[str] = attrs.field(default=(), converter=tuple)
    error: Auth0MetaError | None = None
    outage: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return the result as JSON; it holds metadata values."""
        facts = attrs.asdict(self, recurse=False)
        if self.error is not None:
            facts["error"] = {"class": type(self.error).__name__, "message": str(self.error)}
        return facts

    @classmethod
    def from_json(cls, facts: Mapping[str, Any]) -> Self:
        """Return the result that `to_json` gave; an error of an unknown class becomes an `Auth0MetaError`."""
        if (error := facts.get("error")) is not None:
            facts = {**facts, "error": getattr(errors, error["class"], Auth0MetaError)(error["message"])}
        return cls(**facts)
