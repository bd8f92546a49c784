"""Values that go to users and between packages, frozen but for a batch's running counts; PURE."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from auth0_meta import redact
from auth0_meta.changes.jsonvalue import BAGS, Bag
from auth0_meta.changes.profile import stored_bag
from auth0_meta.changes.views import MetadataDict, freeze
from auth0_meta.record import Record

Outcome = Literal["updated", "unchanged", "confirmed", "joined", "rolled_back", "failed", "unknown"]
BatchOutcome = Outcome | Literal["not_sent"]
_NOTHING_SENT: Mapping[str, Any] = {}


@redact.discreet
class User(Mapping[str, Any]):
    """One user's profile as Auth0 sent it: a read-only mapping of its fields, the usual ones typed as properties.

    Absent metadata reads as {}.
    `user_metadata` and `app_metadata` are read-only objects whose `get` takes a path, as in a transaction:
    `user.app_metadata.get("billing.plan")`.  `raw`: the profile as a dict, unknown fields included; treat it as
    read-only.  `omitted`: which of `user_metadata` and `app_metadata` were not requested (a read with `fields=`), and so
    are unknown rather than empty.  Two users are equal if their profiles are; a user never equals a dict, so compare
    `dict(user)`.

    >>> user = User.from_dict({"user_id": "auth0|1", "app_metadata": {"plan": "pro"}})
    >>> user.user_id, user.app_metadata["plan"], user.user_metadata
    ('auth0|1', 'pro', {})
    >>> user.app_metadata.get("billing.tier", "standard")
    'standard'
    >>> list(user), {**user} == dict(user) == user.raw
    (['user_id', 'app_metadata'], True)
    >>> user
    <User 'auth0|1': app_metadata(plan 5 B)>
    """

    __slots__ = ("_bags", "_omitted", "_raw")

    def __init__(self, raw: Mapping[str, Any], omitted: frozenset[str] = frozenset()) -> None:
        self._raw = raw
        self._omitted = omitted
        self._bags: dict[str, MetadataDict] = {}
        """The metadata that was read, which is the same object each time."""

    @classmethod
    def from_dict(cls, profile: Mapping[str, Any], /) -> User:
        """Make a user from a profile's JSON object (a GET response, an export row)."""
        return cls(profile)

    @property
    def raw(self) -> Mapping[str, Any]:
        """The whole profile."""
        return self._raw

    @property
    def omitted(self) -> frozenset[str]:
        """The metadata that is unknown, since it was not requested."""
        return self._omitted

    @property
    def user_id(self) -> str:
        """The id, such as `auth0|507f1f77bcf86cd799439020`; "" if it was not requested."""
        return str(self.raw.get("user_id", ""))

    @property
    def email(self) -> str | None:
        """The email address, None if there is none."""
        return self.raw.get("email")

    @property
    def name(self) -> str | None:
        """The display name, None if there is none."""
        return self.raw.get("name")

    @property
    def created_at(self) -> str | None:
        """When the user was created, as ISO 8601 in UTC with milliseconds."""
        return self.raw.get("created_at")

    @property
    def updated_at(self) -> str | None:
        """When the profile last changed; every PATCH and every login moves it."""
        return self.raw.get("updated_at")

    @property
    def user_metadata(self) -> MetadataDict:
        """The metadata that the user may edit; {} if absent.  Raises `StoredDataError` if it is not an object."""
        return self._bag("user_metadata")

    @property
    def app_metadata(self) -> MetadataDict:
        """The metadata of the application; {} if absent.  Raises `StoredDataError` if it is not an object."""
        return self._bag("app_metadata")

    def _bag(self, bag: Bag) -> MetadataDict:
        if bag not in self._bags:
            stored = stored_bag(self.raw, bag, so="it can't be read as one: the user's raw has it")
            self._bags[bag] = freeze(dict(stored), bag=bag)
        return self._bags[bag]

    def get(self, field: str, /, default: Any = None) -> Any:
        """Return any field of the profile by its name in JSON, `default` if it is absent."""
        return self._shown(field, self.raw.get(field, default))

    def __getitem__(self, field: str) -> Any:
        return self._shown(field, self.raw[field])

    def _shown(self, field: str, value: Any) -> Any:
        """Return a field's value; a metadata object as the property of that name shows it."""
        bag = next((bag for bag in BAGS if bag == field), None)
        return value if bag is None or not isinstance(self.raw.get(bag), Mapping) else self._bag(bag)

    def __contains__(self, field: object) -> bool:
        return field in self.raw

    def __iter__(self) -> Iterator[str]:
        return iter(self.raw)

    def __len__(self) -> int:
        return len(self.raw)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, User) and self.raw == other.raw

    __hash__ = None  # type: ignore[assignment]  # holds a dict

    def __reduce__(self) -> tuple[Any, ...]:
        return User, (self.raw, self.omitted)

    def __repr__(self) -> str:
        bags = {bag: self.raw[bag] for bag in BAGS if self.raw.get(bag)}
        shown = [redact.outline(bags)] if bags else []
        shown += [f"{bag} not requested" for bag in BAGS if bag in self.omitted]
        return f"<User {self.user_id!r}: {', '.join(shown) or 'no metadata'}>"


UserId = str | User
"""A user's id, or a `User` who has one: what everything takes that is about one user."""


class Wait(Record):
    """One wait before it begins: the argument of `on_wait`.

    `reason`: "rate limit" (a 429), "pacing" (the bucket is dry), "server error", "connection", or "external store" (an
    offload's store fails).  `seconds`: how long it will take.  `retry_at`: when it ends, epoch seconds by the local clock.  `attempt`: 1 for the first wait of this
    operation.  `bucket`: the route group, "users read", "users write", "other" or "token".  `method`: that of the
    request that waits.  `user_id`: the user whom the operation is about, or None.
    """

    reason: str
    seconds: float
    retry_at: float
    attempt: int
    bucket: str
    method: str = ""
    user_id: str | None = None


class RequestInfo(Record):
    """One request that was sent: the argument of `on_request`.  It holds no header, no query and no body.

    `method`: such as "PATCH".  `route`: the path without ids, such as "users/{id}" or "oauth/token".  `status`: None if
    no response arrived.  `duration`: seconds from sending it to the last byte of the response.  `waited`: seconds that
    the operation waited before it, since its last request.  `attempt`: 1, and one more for each repeat.  `bucket`: the
    route group, "users read", "users write", "other" or "token".  `request_id`: the id that Auth0's support asks for,
    from the response; None if there is none.  `user_id`: the user whom the operation is about, or None.

    `method`, `route`, `status` and `bucket` have few values, so they can be labels of a metric; the ids can't.
    """

    method: str
    route: str
    status: int | None
    duration: float
    waited: float = 0.0
    attempt: int = 1
    bucket: str = "other"
    request_id: str | None = None
    user_id: str | None = None


class CommitResult(Record):
    """How a transaction ended; its repr shows names and sizes only.

    `outcome`: "updated" (Auth0 confirmed the PATCH), "confirmed" (the response was lost, and reading the user back
    showed that it was applied), "unchanged" (there was nothing to send), "joined" (the transaction that this block has
    joined sends it, and has its own result), "rolled_back", "failed" (nothing was written) or "unknown" (a PATCH was
    sent, and nothing shows whether it was applied).
    `requests`: all requests sent for it, including reads and repeats.  `attempts`: PATCHes among them.  `waited`:
    seconds.  `document`: the body of the last PATCH, {} if none was sent.  `user`: the profile after the PATCH, or as
    last read; None if it was never seen.  `lock_lost`: whether `lock=` failed when it was released, as one does whose
    lease has run out, and so may not have kept other writers out.
    """

    outcome: Outcome
    requests: int = 0
    attempts: int = 0
    waited: float = 0.0
    document: Mapping[str, Any] = _NOTHING_SENT
    user: User | None = None
    lock_lost: bool = False

    def __repr__(self) -> str:
        lost = ", lock lost" if self.lock_lost else ""
        return (
            f"<CommitResult {self.outcome}: {redact.count(self.requests, 'request')}, "
            f"{redact.count(self.attempts, 'attempt')}, {self.waited:.2f} s waited, "
            f"document {redact.outline(self.document)}{lost}>"
        )


class BatchResult(Record):
    """What became of one user of a batch.

    `user_id`: the user.  `outcome`: "updated", "confirmed" (the response was lost, but reading back showed that the
    change was applied), "unchanged", "failed" or "not_sent".  `requests`: everything sent for the user.  `waited`:
    seconds spent waiting.  `error`: what failed; None unless `outcome` is "failed".
    """

    user_id: str
    outcome: BatchOutcome
    requests: int = 0
    waited: float = 0.0
    error: BaseException | None = None


class Progress(Record):
    """How far a batch has come: users `staged` so far, `done`, of those `failed`, and `per_second` overall.

    `waiting`: what the batch waits for, such as "server error, 12 s", if nobody was finished meanwhile; else "".
    """

    staged: int
    done: int
    failed: int
    seconds: float
    per_second: float
    waiting: str = ""


class BatchResults:
    """The outcomes of a batch, counted, with its failures: at most `keep` of them, and of the users not sent.

    `counts` has a number for every outcome, `requests` and `waited` (seconds) are sums.  `failures` has the results of
    users who failed, `not_sent` the ids of those to whom nothing was sent; both may be shorter than `counts` says, since
    `on_result` is called for everybody.
    """

    def __init__(self, *, keep: int) -> None:
        self.counts: dict[str, int] = dict.fromkeys(
            ("updated", "confirmed", "unchanged", "failed", "not_sent"), 0
        )
        self.failures: list[BatchResult] = []
        self.not_sent: list[str] = []
        self.requests = 0
        self.waited = 0.0
        self._keep = keep

    @property
    def done(self) -> int:
        """Return how many users are finished, failures included."""
        return sum(self.counts.values()) - self.counts["not_sent"]

    def _add(self, result: BatchResult) -> None:
        """Count one user."""
        self.counts[result.outcome] += 1
        self.requests += result.requests
        self.waited += result.waited
        if result.outcome == "failed" and len(self.failures) < self._keep:
            self.failures.append(result)
        elif result.outcome == "not_sent" and len(self.not_sent) < self._keep:
            self.not_sent.append(result.user_id)

    def __repr__(self) -> str:
        return (
            f"<BatchResults {', '.join(f'{n} {name}' for name, n in self.counts.items() if n) or 'nothing'}>"
        )


class Page(Record):
    """One page of users, with `total` (None unless it was requested)."""

    users: tuple[User, ...]
    start: int
    limit: int
    total: int | None = None


class Job(Record):
    """An import or export job as Auth0 sent it; `raw` has every field."""

    id: str
    type: str
    status: str
    raw: Mapping[str, Any]

    def __repr__(self) -> str:
        return f"Job(id={self.id!r}, type={self.type!r}, status={self.status!r})"
