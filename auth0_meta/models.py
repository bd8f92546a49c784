"""Hold the frozen values that pass between rooms and to users; nothing here does I/O."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

import attrs

from auth0_meta import redact
from auth0_meta.changes.jsonvalue import BAGS

Outcome = Literal["updated", "unchanged", "confirmed", "rolled_back", "failed", "unknown"]


@attrs.frozen(repr=False, eq=False)
class User:
    """Present one user's profile as Auth0 sent it; an absent bag reads as {}.

    `raw` is the profile as a dict, unknown fields kept: treat it as read-only.  `omitted` names
    bags that were not asked for (a `fields=` read), which are therefore unknown and not empty.
    Two users are equal when their profiles are.

    >>> user = User.from_dict({"user_id": "auth0|1", "app_metadata": {"plan": "pro"}})
    >>> user.user_id, user.app_metadata["plan"], user.user_metadata
    ('auth0|1', 'pro', {})
    >>> user
    <User 'auth0|1': app_metadata(plan 5 B)>
    """

    raw: Mapping[str, Any]
    omitted: frozenset[str] = frozenset()

    @classmethod
    def from_dict(cls, profile: Mapping[str, Any], /) -> User:
        """Build a user from a profile's JSON object (a GET answer, an export row)."""
        return cls(profile)

    @property
    def user_id(self) -> str:
        """Return the id, such as `auth0|507f1f77bcf86cd799439020`; "" where it was not asked for."""
        return str(self.raw.get("user_id", ""))

    @property
    def email(self) -> str | None:
        """Return the e-mail address, None where there is none."""
        return self.raw.get("email")

    @property
    def name(self) -> str | None:
        """Return the display name, None where there is none."""
        return self.raw.get("name")

    @property
    def created_at(self) -> str | None:
        """Return when the user was created, ISO 8601 in UTC with milliseconds."""
        return self.raw.get("created_at")

    @property
    def updated_at(self) -> str | None:
        """Return when the profile last changed; every PATCH and every login moves it."""
        return self.raw.get("updated_at")

    @property
    def user_metadata(self) -> Mapping[str, Any]:
        """Return the bag that the user may edit; {} where absent."""
        return self.raw.get("user_metadata") or {}

    @property
    def app_metadata(self) -> Mapping[str, Any]:
        """Return the application's bag; {} where absent."""
        return self.raw.get("app_metadata") or {}

    def get(self, field: str, default: Any = None, /) -> Any:
        """Return any profile field by its wire name."""
        return self.raw.get(field, default)

    def __getitem__(self, field: str) -> Any:
        return self.raw[field]

    def __contains__(self, field: object) -> bool:
        return field in self.raw

    def __iter__(self) -> Iterator[str]:
        return iter(self.raw)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, User) and self.raw == other.raw

    __hash__ = None  # type: ignore[assignment]  # holds a dict

    def __repr__(self) -> str:
        bags = {bag: self.raw[bag] for bag in BAGS if self.raw.get(bag)}
        return f"<User {self.user_id!r}: {redact.outline(bags) if bags else 'no metadata'}>"


@attrs.frozen(kw_only=True)
class Wait:
    """Report one wait, before it begins: what `on_wait` is called with.

    `reason`: "rate limit" (a 429), "pacing" (the bucket is dry), "server error", "connection".
    `seconds`: how long it will take.  `retry_at`: epoch seconds by the local clock.
    `attempt`: 1 for the first wait of this operation.  `bucket`: the route group.
    """

    reason: str
    seconds: float
    retry_at: float
    attempt: int
    bucket: str
    method: str = ""
    user_id: str | None = None


@attrs.frozen(kw_only=True, repr=False)
class CommitResult:
    """Tell how a transaction ended.

    `outcome`: "updated" (the PATCH was answered), "confirmed" (its answer was lost, reading back
    showed it applied), "unchanged" (nothing to send), "rolled_back", "failed" (nothing was written), "unknown" (a PATCH
    left, and whether it was applied could not be found out).
    `requests`: everything sent for it, reads and repeats included.  `attempts`: PATCHes sent.
    `waited`: seconds.  `document`: the last PATCH body, {} when none was sent.
    `user`: the profile after the PATCH, or as last read; None when never seen.
    The repr shows names and sizes only.
    """

    outcome: Outcome
    requests: int = 0
    attempts: int = 0
    waited: float = 0.0
    document: Mapping[str, Any] = attrs.field(factory=dict)
    user: User | None = None

    def __repr__(self) -> str:
        return (
            f"<CommitResult {self.outcome}: {self.requests} requests, {self.attempts} attempts, "
            f"{self.waited:.2f} s waited, document {redact.outline(self.document)}>"
        )


@attrs.frozen(kw_only=True)
class Page:
    """Hold one page of users, with `total` (None unless asked for)."""

    users: tuple[User, ...]
    start: int
    limit: int
    total: int | None = None


@attrs.frozen(kw_only=True)
class Job:
    """Present an import or export job as Auth0 sent it; `raw` keeps every field."""

    id: str
    type: str
    status: str
    raw: Mapping[str, Any] = attrs.field(repr=False)
