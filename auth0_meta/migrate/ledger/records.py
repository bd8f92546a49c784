"""What the ledger keeps for one user, and the table of states that a user can be in; PURE."""

from __future__ import annotations

import enum
import json
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self

import attrs

from auth0_meta.changes.change import Change
from auth0_meta.changes.jsonvalue import json_equal
from auth0_meta.migrate.ledger.compare import after_image

Kind = Literal["apply", "undo"]
Turn = Literal["start", "claimed", "doubt", "retry"]
"""What a run does with the users in a state.

"start": takes them in the plan's order; nothing has left for them.  "claimed": its own mark for a user whose PATCH may
have left.  "doubt": another run's PATCH may have been applied.  Claimed and doubtful users are read and compared before
anything is sent.  "retry": puts them back to "start" when it begins.
"""
_RUN_NUMBERS = ("started", "seconds", "requests", "patches", "refusals", "waited", "share")
_WORTH_PACKING = 200
# Unpacked.  A profile is read up to 200 MB, but Auth0 itself stores far less.
_MOST_PLAN = 64 << 20
_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


class State(enum.IntEnum):
    """Where a user stands: everything that the code knows about a state is in its row.

    Columns: the number, which is in job files and never changes; the turn that an apply and an undo take with
    such users, None if they leave them alone; whether a person should look at them.
    """

    PLANNED = 0, "start", None, False
    """Nothing was sent yet."""
    SENT = 1, "claimed", "doubt", False
    """The intent is on disk: a PATCH may have left."""
    DONE = 2, None, "start", False
    """Written by this migration."""
    SAME = 3, None, None, False
    """Already as planned; nothing was sent, so there is nothing to undo."""
    DRIFTED = 4, "retry", None, True
    """A touched key has changed since the plan; nothing was written."""
    UNCLEAR = 5, "doubt", "doubt", True
    """A PATCH may have been applied, and what is stored is neither as before it nor as after it."""
    GONE = 6, None, None, True
    """The user does not exist any more."""
    FAILED = 7, "retry", None, True
    """Refused; nothing was written."""
    UNDOING = 8, None, "claimed", False
    """The restoring PATCH may have left."""
    UNDONE = 9, None, None, False
    """As before the migration."""
    KEPT = 10, None, None, True
    """Undone except for keys that somebody else has changed since."""

    turns: Mapping[Kind, Turn | None]
    needs_a_look: bool

    def __new__(cls, number: int, *row: Any) -> Self:
        """Make a state from its row."""
        state = int.__new__(cls, number)
        state._value_ = number
        apply, undo, state.needs_a_look = row
        state.turns = {"apply": apply, "undo": undo}
        return state

    @property
    def word(self) -> str:
        """Return the name that users see; the outcome that ends in this state has the same one."""
        return self.name.lower()


TO_LOOK_AT = tuple(state for state in State if state.needs_a_look)
BAD_OUTCOMES = frozenset(state.word for state in TO_LOOK_AT)
"""The outcomes that count as failures: in results, progress and exit codes."""


@attrs.frozen
class Step:
    """The users that a run of one kind works on, read off the table of states."""

    kind: Kind
    start: State
    claimed: State
    doubts: tuple[State, ...]
    retried: tuple[State, ...]

    @classmethod
    def of(cls, kind: Kind) -> Self:
        """Collect the states by the turn that this kind of run takes with them."""

        def having(*turns: Turn) -> tuple[State, ...]:
            return tuple(state for state in State if state.turns[kind] in turns)

        (start,), (claimed,) = having("start"), having("claimed")
        return cls(kind, start, claimed, having("claimed", "doubt"), having("retry"))

    @property
    def remaining(self) -> tuple[State, ...]:
        """Return the states of users that an interrupted run has left for the next one."""
        return (self.start, self.claimed)

    @property
    def finished(self) -> tuple[State, ...]:
        """Return the states of users that earlier runs of this kind have dealt with, and this one need not."""
        if self.kind == "undo":
            return (State.UNDONE, State.KEPT)
        return tuple(state for state in State if state.turns["apply"] is None)

    def end(self, outcome: str) -> State:
        """Return the state in which an outcome leaves a user."""
        if self.kind == "undo" and outcome == "failed":
            return State.DONE  # what the migration wrote is still there, and the next undo tries again
        return State[outcome.upper()]


STEPS: Mapping[Kind, Step] = {"apply": Step.of("apply"), "undo": Step.of("undo")}


@attrs.define(repr=False)
class Plan:
    """What is to happen to a user: encoded operations, the PATCH body, what the touched keys held before.

    `after`: what they were seen to hold afterwards, None if that is what the document says.  `reads`: what the function
    looked at under the keys that it stages; see `watched_user.Reads`.
    """

    ops: Mapping[str, Any]
    document: Mapping[str, Mapping[str, Any]]
    before: Mapping[str, Any]
    after: Mapping[str, Mapping[str, Any]] | None = None
    reads: Sequence[Sequence[str | None]] = ()

    @property
    def written(self) -> Mapping[str, Mapping[str, Any]]:
        """Return what the touched keys hold once this is applied."""
        return after_image(self.document) if self.after is None else self.after

    @property
    def keys(self) -> list[str]:
        """Return the touched keys as `bag.key`; an emptied bag is named as a whole."""
        named = ([f"{bag}.{key}" for key in keys] or [bag] for bag, keys in self.document.items())
        return [name for names in named for name in names]

    def __repr__(self) -> str:
        return f"<Plan {', '.join(self.keys)}>"


def follows(again: Plan, planned: Plan) -> bool:
    """Return whether a plan that was made again has the planned operations, and what they come to on its own before-image.

    Such a plan does nothing that the digest of the plan does not cover.
    """
    if not json_equal(again.ops, planned.ops):
        return False
    if json_equal(again.document, planned.document):
        return True
    return json_equal(Change.from_json(again.ops).document(again.before), again.document)


@attrs.frozen
class Record:
    """One user of the ledger; `state` is the one before the user was claimed, `note` what the last run says of it.

    `tried`: an earlier PATCH was refused, and nobody has looked since whether it was applied all the same.
    """

    n: int
    user_id: str
    state: State
    plan: Plan
    tried: bool = False
    note: str | None = None


def check_run(run: Mapping[str, Any]) -> None:
    """Raise ValueError or KeyError if a run's facts are not of the types that status and report rely on."""
    if not (
        all(isinstance(run[name], str) for name in ("kind", "ended"))
        and all(isinstance(run[name], int | float) for name in _RUN_NUMBERS)
        and all(isinstance(n, int) for n in run["counts"].values())
        and all(isinstance(user_id, str) for _, user_id in run["slowest"])
    ):
        raise ValueError("a run's facts have the wrong types")


def written(plan: Plan) -> str:
    """Return a plan as JSON in one line, which UTF-8 can encode.

    >>> unpack(written(Plan({}, {"app_metadata": {"a": 1}}, {}))).document
    {'app_metadata': {'a': 1}}
    """
    parts: list[Any] = [plan.ops, plan.document, plan.before]
    if plan.reads:
        parts += plan.after, plan.reads
    elif plan.after is not None:
        parts.append(plan.after)
    text = _encode(parts)
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:  # Auth0 may hold a lone surrogate, and SQLite takes none: escape it
            return json.dumps(parts, separators=(",", ":"))
    return text


def pack(text: str) -> str | bytes:
    """Return a written plan as the ledger stores it: compressed if that makes it smaller."""
    if len(text) < _WORTH_PACKING:
        return text
    packed = zlib.compress(text.encode(), 6)
    return packed if len(packed) < len(text) else text


def unpack(stored: str | bytes) -> Plan:
    """Return the plan that `pack` stored; raise ValueError or zlib.error if it is not one."""
    if isinstance(stored, bytes):
        unpacking = zlib.decompressobj()
        plain = unpacking.decompress(stored, _MOST_PLAN)
        if not unpacking.eof:
            raise ValueError("a plan is cut short, or larger than one can be")
        stored = plain.decode()
    ops, document, before, *more = json.loads(stored)
    return Plan(ops, document, before, *more)
