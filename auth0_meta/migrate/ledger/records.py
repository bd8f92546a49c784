"""Say what the ledger keeps for one user, and in which states a user can be; PURE."""

from __future__ import annotations

import enum
import json
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import attrs

from auth0_meta.migrate.ledger.compare import after_image

Kind = Literal["apply", "undo"]
_WORTH_PACKING = 200


class State(enum.IntEnum):
    """Name where a user stands; the numbers are in ledgers and never change."""

    PLANNED = 0
    """Nothing was sent yet."""
    SENT = 1
    """The intent is on disk: a PATCH may have left."""
    DONE = 2
    """Written by this migration."""
    SAME = 3
    """Found as planned; nothing was sent."""
    DRIFTED = 4
    """A touched key has changed since the plan; nothing was written."""
    UNCLEAR = 5
    """A PATCH may have been applied, and what is stored is neither as before nor as after it."""
    GONE = 6
    """The user does not exist any more."""
    FAILED = 7
    """Refused; nothing was written."""
    UNDOING = 8
    """The restoring PATCH may have left."""
    UNDONE = 9
    """As before the migration."""
    KEPT = 10
    """Undone except for keys that somebody else has changed since."""


TROUBLE = (State.DRIFTED, State.UNCLEAR, State.GONE, State.FAILED, State.KEPT)
"""What a person should look at."""
IN_DOUBT = (State.SENT, State.UNCLEAR)
"""What is read and compared before anything is sent."""


WRITTEN = (State.SENT, State.DONE, State.UNCLEAR, State.UNDOING)
"""What an undo looks at."""


@attrs.frozen(repr=False)
class Plan:
    """Hold what is to happen to a user: encoded operations, the PATCH body, what stood there before.

    `after`: what was seen stored afterwards, None where that is what the document says.  `reads`: the places, as lists of
    bag and keys, that a function looked at below the keys it stages; see `view.Reads`.
    """

    ops: Mapping[str, Any]
    document: Mapping[str, Mapping[str, Any]]
    before: Mapping[str, Mapping[str, Any]]
    after: Mapping[str, Mapping[str, Any]] | None = None
    reads: Sequence[Sequence[str | None]] = ()

    @property
    def written(self) -> Mapping[str, Mapping[str, Any]]:
        """Return what the touched keys hold once this is applied."""
        return after_image(self.document) if self.after is None else self.after

    @property
    def keys(self) -> list[str]:
        """Return the touched places, as `bag.key`; an emptied bag is named whole."""
        return [
            name
            for bag, keys in self.document.items()
            for name in ([f"{bag}.{key}" for key in keys] or [bag])
        ]

    def __repr__(self) -> str:
        return f"<Plan {', '.join(self.keys)}>"


@attrs.frozen
class Row:
    """Hold one user of the ledger; `state` is the one before it was claimed.

    `tried`: an earlier PATCH was refused, in a way that leaves a doubt.
    """

    n: int
    user_id: str
    state: State
    plan: Plan
    tried: bool = False


def check_run(run: Mapping[str, Any]) -> None:
    """Raise ValueError or KeyError where what is kept of a run is not of the kinds that are shown."""
    words, numbers = (
        ("kind", "ended"),
        ("started", "seconds", "requests", "patches", "refusals", "waited", "share"),
    )
    counts, slowest = run["counts"], run["slowest"]
    if not (
        all(isinstance(run[name], str) for name in words)
        and all(isinstance(run[name], int | float) for name in numbers)
        and all(isinstance(n, int) for n in counts.values())
        and all(isinstance(user_id, str) for _, user_id in slowest)
    ):
        msg = "a run's facts are of other kinds"
        raise ValueError(msg)


def pack(plan: Plan) -> str | bytes:
    """Return a plan as the ledger stores it: JSON, compressed where that pays.

    >>> unpack(pack(Plan({}, {"app_metadata": {"a": 1}}, {}))).document
    {'app_metadata': {'a': 1}}
    """
    parts: list[Any] = [plan.ops, plan.document, plan.before]
    if plan.after is not None or plan.reads:
        parts.append(plan.after)
    if plan.reads:
        parts.append(plan.reads)
    text = json.dumps(parts, separators=(",", ":"), ensure_ascii=False)
    try:
        plain = text.encode()
    except UnicodeEncodeError:  # SQLite takes no lone surrogate, and Auth0 may hold one
        text = json.dumps(parts, separators=(",", ":"))
        plain = text.encode()
    if len(text) < _WORTH_PACKING:
        return text
    packed = zlib.compress(plain, 6)
    return packed if len(packed) < len(text) else text


def unpack(stored: str | bytes) -> Plan:
    """Return the plan that `pack` stored; ValueError or zlib.error where it is none."""
    text = stored if isinstance(stored, str) else zlib.decompress(stored).decode()
    ops, document, before, *more = json.loads(text)
    return Plan(ops, document, before, *more)
