"""What `on_event` is called with: frozen values that say how far a migration is."""

from __future__ import annotations

from collections.abc import Mapping

import attrs


@attrs.frozen(kw_only=True)
class PlanProgress:
    """How far a plan is; sent a few times a second, and at the end.

    `read`: users who have been read, planned for or not yet.  `part`: the part of the work that is done, from 0 to 1;
    `eta`: seconds left; each is None while it can't be estimated.  `waiting`: what the plan is waiting for, "" if nothing.
    """

    read: int
    changing: int
    invalid: int
    seconds: float
    waiting: str = ""
    part: float | None = None
    eta: float | None = None


@attrs.frozen(kw_only=True)
class ExportProgress:
    """What Auth0 says about an export job; `percent` is None if it gives no number."""

    status: str
    percent: float | None = None


@attrs.frozen(kw_only=True)
class ApplyProgress:
    """How far an apply or an undo is; sent a few times a second, and at the end.

    `total`: users that there was something to do about when this run began; `done`: those that are finished;
    `before`: users that earlier runs have finished.  `counts`: users by outcome.  `per_second`: requests a second over the last half minute.  `eta`: seconds left, None
    while they can't be estimated.  `waiting`: what the run is waiting for, "" if nothing.
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
    before: int = 0


@attrs.frozen(kw_only=True)
class UserDone:
    """What became of one user; sent once the job file has it.  `note` holds no metadata value."""

    user_id: str
    outcome: str
    requests: int
    seconds: float
    note: str = ""


@attrs.frozen(kw_only=True)
class Waiting:
    """A wait that is about to begin; sent once, however many workers wait for the same thing."""

    reason: str
    seconds: float
    user_id: str | None = None


MigrationEvent = PlanProgress | ExportProgress | ApplyProgress | UserDone | Waiting
