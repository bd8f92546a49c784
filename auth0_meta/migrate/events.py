"""Tell what a migration is at, as frozen values: what `on_event` is called with."""

from __future__ import annotations

from collections.abc import Mapping

import attrs


@attrs.frozen(kw_only=True)
class PlanProgress:
    """Tell how far a plan is; a few times a second, and at the end."""

    read: int
    changing: int
    invalid: int
    seconds: float


@attrs.frozen(kw_only=True)
class ExportProgress:
    """Tell what Auth0 says of an export job; `percent` is None where it says nothing."""

    status: str
    percent: float | None = None


@attrs.frozen(kw_only=True)
class ApplyProgress:
    """Tell how far an apply or undo is; a few times a second, and at the end.

    `total`: users this run began with; `done`: of those, finished; `counts`: by outcome.  `per_second`: requests,
    over the last half minute.  `eta`: seconds left, None while nothing can be said.
    `waiting`: what is waited for now, "" for nothing.
    """

    total: int
    done: int
    counts: Mapping[str, int]
    requests: int
    refusals: int
    per_second: float
    seconds: float
    eta: float | None
    waiting: str = ""


@attrs.frozen(kw_only=True)
class UserDone:
    """Tell what became of one user, once that is on disk; `note` holds no value."""

    user_id: str
    outcome: str
    requests: int
    seconds: float
    note: str = ""


@attrs.frozen(kw_only=True)
class Waiting:
    """Tell one wait before it begins: reason and seconds."""

    reason: str
    seconds: float
    user_id: str | None = None


Event = PlanProgress | ExportProgress | ApplyProgress | UserDone | Waiting
