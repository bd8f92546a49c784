"""The JSON that status, reports and `--json` print, for type checkers; PURE."""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict


class CostReport(TypedDict):
    """What applying costs: requests, and seconds, None while the tenant's rate is unknown."""

    reads: int
    writes: int
    seconds: float | None


class CostsReport(TypedDict):
    """What applying costs with the reads, and without them."""

    apply: CostReport
    apply_trusting_the_plan: CostReport


class RatesReport(TypedDict):
    """Requests a second for reads and for writes; `shared`: they come from one bucket."""

    read: float
    write: float
    shared: bool


class PathMovedReport(TypedDict):
    """What an offload moves under one path; `PathMoved` explains each number."""

    values: int
    bytes: int
    largest: int


class MovedReport(TypedDict):
    """What an offload moves, and what it leaves; `Moved` explains each number."""

    values: int
    bytes: int
    pointer_bytes: int
    paths: dict[str, PathMovedReport]
    one_way: int
    smaller: int
    already: int
    stuck: int
    light: int


class SummaryReport(TypedDict):
    """What a plan comes to; `PlanSummary` explains each number."""

    read: int
    changing: int
    unchanged: int
    invalid: int
    repeated: int
    missing: int
    oversize: int
    advised: int
    steady_checked: int
    keys: dict[str, int]
    oversize_users: list[str]
    unsteady: list[str]
    unsteady_paths: list[str]
    advice: list[str]
    rates: RatesReport | None
    requests: int
    seconds: float
    moved: MovedReport | None
    costs: CostsReport


class RunReport(TypedDict):
    """One run of `apply` or `undo`.

    `started`: seconds since the epoch.  `ended`: how, "running" if it has not.  `counts`: users by outcome.  `waited`:
    seconds of all workers together.  `slowest`: pairs of seconds, without waits, and the user id.
    """

    run: int
    kind: str
    started: float
    share: float
    trust_plan: NotRequired[bool]
    drift: NotRequired[str]
    migration: NotRequired[bool]
    ended: str
    seconds: float
    total: NotRequired[int]
    counts: dict[str, int]
    requests: int
    patches: int
    refusals: int
    waited: float
    slowest: list[list[Any]]


class StatusReport(TypedDict):
    """Where a job stands; `Status` explains each field."""

    stage: str
    store: str | None
    tenant: str | None
    migration: str | None
    migration_digest: str | None
    source: str
    digest: str
    created: float
    version: str
    counts: dict[str, int]
    summary: SummaryReport
    runs: list[RunReport]


class TroubleReport(TypedDict):
    """A user to look at, with the state and the reason."""

    user_id: str
    state: str
    note: str | None


class InvalidReport(TypedDict):
    """A user or a row that could not be planned, with the kind and the reason."""

    user_id: str
    kind: str
    note: str


class JobReport(StatusReport):
    """A whole report: the status, at most 200 users to look at, and at most 200 who could not be planned.

    `seconds`: by the number of the run, pairs of a second and what happened in it (`requests`, `patches`, `refusals`,
    `done`, `failed`, `waited`, and `limit`, the requests a second that the tenant allowed, if that was known).
    """

    job: str
    seconds: dict[str, list[list[Any]]]
    trouble: list[TroubleReport]
    invalid: list[InvalidReport]
