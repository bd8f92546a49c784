"""Name the states of a transaction and what may be called in each; PURE."""

from __future__ import annotations

import enum


class State(enum.Enum):
    """Name where a transaction stands."""

    ACTIVE = "active"
    COMMITTING = "committing"
    COMMITTED = "committed"
    ROLLED_BACK = "rolled back"
    FAILED = "failed"


CALLS = {
    "enter": "enter the block",
    "stage": "stage a change",
    "read": "read metadata",
    "load": "load the user",
    "nested": "open a nested block",
    "commit": "commit",
    "rollback": "roll back",
}
"""What each call does, in words.  `pending`, `result`, `state` and the repr may always be asked for."""

LEGAL = {call: frozenset({State.ACTIVE}) for call in CALLS}
"""In which states each call is legal."""

_INSTEAD = {
    State.COMMITTING: "is being committed: wait until that has ended",
    State.COMMITTED: "is committed (see its .result): open a new one for more",
    State.ROLLED_BACK: "was rolled back: open a new one",
    State.FAILED: "failed to commit (see the error raised and its .result): open a new one",
}


def refusal(call: str, state: State, user_id: str, *, part: bool) -> str | None:
    """Return why `call` is illegal in `state` and what to do instead, None where it is legal.

    `part`: whether it is a nested or joined block that is in this state.

    >>> refusal("stage", State.ACTIVE, "auth0|1", part=False) is None
    True
    >>> refusal("stage", State.COMMITTED, "auth0|1", part=True)
    "can't stage a change for auth0|1: this part of the transaction has ended: go on with the outer one"
    """
    if state in LEGAL[call]:
        return None
    why = (
        "part of the transaction has ended: go on with the outer one"
        if part
        else f"transaction {_INSTEAD[state]}"
    )
    return f"can't {CALLS[call]} for {user_id}: this {why}"
