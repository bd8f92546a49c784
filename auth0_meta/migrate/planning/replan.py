"""Plan a user again whose touched keys have changed since the plan; PURE but for the function it calls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, get_args

from auth0_meta.changes.change import Change
from auth0_meta.changes.jsonvalue import BAGS, Path, json_equal
from auth0_meta.changes.operations import Append, Increment, Merge, Operation
from auth0_meta.changes.profile import stored_bag
from auth0_meta.changes.rules import read
from auth0_meta.errors import Auth0MetaError
from auth0_meta.migrate.ledger.compare import differences, image_of
from auth0_meta.migrate.ledger.records import Plan, unpack
from auth0_meta.migrate.planning.outcome import plan_for
from auth0_meta.migrate.planning.sandbox import Evaluator
from auth0_meta.migrate.planning.watched_user import is_unchanged

DriftPolicy = Literal["replan", "skip", "overwrite"]
POLICIES: tuple[str, ...] = get_args(DriftPolicy)


def replan(
    plan: Plan,
    found: Mapping[str, Any],
    evaluator: Evaluator | None,
    *,
    policy: DriftPolicy,
    from_change_file: bool,
    moves: bool = False,
) -> Plan | str | None:
    """Return what to do about a user as found: a new plan, None for nothing, or a text that says why nothing is done.

    `evaluator`: the function, if the caller has named it; then it is called again.  The operations of a change file
    mean the same on any profile.  Those of a function may rest on what it read, so they are used again only if
    everything they set and everything the function looked at is unchanged.  `moves`: it is an offload, which moves what is
    there: "as planned", it would put the pointer to an older value in the place of a newer one.
    """
    drifted = "changed since the plan: " + ", ".join(differences(found, plan.document, plan.before))
    if policy == "overwrite" and not moves:
        return Plan(plan.ops, plan.document, image_of(plan.document, found))
    if policy == "skip":
        return drifted
    try:
        if evaluator is not None:
            answer = next(evaluator.run([found]))
            if "error" in answer:
                return f"{drifted}; planning it again failed: {answer['error']}"
            return unpack(answer["plan"]) if answer["plan"] else None
        change = Change.from_json(plan.ops)
        if from_change_file or _means_the_same(change, plan, found):
            return plan_for(change, found, ops=plan.ops, reads=plan.reads)[0]
    except Auth0MetaError as error:
        return f"{drifted}; planning it again failed: {error}"
    return f"{drifted}. Pass the migration's file to have this user planned again from what is stored now"


def _means_the_same(change: Change, plan: Plan, profile: Mapping[str, Any]) -> bool:
    """Return whether the operations mean for `profile` what they meant for the profile they were planned on.

    They do if every value that they set, delete or merge is what it was, and so is everything that the function looked
    at (`plan.reads`).  What they append to or increment may differ, because those are relative, and so may anything else.
    """
    for place in plan.reads:
        bag = BAGS[place[0] == BAGS[1]]
        keys = change.bag(bag).keys
        if not is_unchanged(place, keys, plan.before.get(bag, {}), stored_bag(profile, bag)):
            return False
    for bag in BAGS:
        if not (staged := change.bag(bag)):
            continue
        if staged.reset:
            return False
        known, now = dict(plan.before.get(bag, {})), stored_bag(profile, bag)
        stored = {key: now[key] for key in staged.keys if key in now}
        for path in (path for ops in staged.keys.values() for op in ops for path in _absolute_paths(op)):
            if not json_equal(read(known, path), read(stored, path)):
                return False
    return True


def _absolute_paths(op: Operation) -> list[Path]:
    """Return the paths at which an operation puts a value that was chosen beforehand."""
    if isinstance(op, Append | Increment):
        return []
    return _leaves(op.value, op.path) if isinstance(op, Merge) else [op.path]


def _leaves(patch: Any, path: Path) -> list[Path]:
    if not isinstance(patch, dict) or not patch:
        return [path]
    return [leaf for key, value in patch.items() for leaf in _leaves(value, (*path, key))]
