"""Decide about a user whose touched keys have changed since the plan; PURE but for the function it calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from auth0_meta.changes.change import Change
from auth0_meta.errors import Auth0MetaError, InputError
from auth0_meta.migrate.ledger.compare import holds, image_of, same_footing
from auth0_meta.migrate.ledger.records import Plan
from auth0_meta.migrate.planning.sandbox import Evaluator
from auth0_meta.redact import printable

Drift = Literal["replan", "skip", "overwrite"]
POLICIES: tuple[Drift, ...] = ("replan", "skip", "overwrite")


def check_drift(policy: object) -> Drift:
    """Return a policy, or raise `InputError`."""
    for known in POLICIES:
        if policy == known:
            return known
    msg = f"drift is one of {', '.join(POLICIES)} (nothing was sent)"
    raise InputError(msg)


def plan_for(
    change: Change, profile: Mapping[str, Any], *, reads: Sequence[Sequence[str | None]] = ()
) -> Plan | None:
    """Return what a change means on a profile, None for nothing; raises as `Change.document`."""
    document = change.document(profile)
    if not document:
        return None
    return Plan(change.to_json(), document, image_of(document, profile), reads=reads)


def replanned(
    plan: Plan,
    found: Mapping[str, Any],
    *,
    policy: Drift,
    own_operations: bool,
    evaluator: Evaluator | None,
) -> Plan | str | None:
    """Return what to do to the user as found: a plan, None for nothing, or why nothing is done (a text).

    `own_operations`: the operations are the caller's (a change file), so they mean the same on any profile;
    a function's operations may rest on what it read, so they are used again only where every place
    they set, and every place it looked at beside them, is as it was.  `evaluator`: the function itself, where the caller named it.
    """
    moved = "changed since the plan: " + ", ".join(_moved(plan, found))
    if policy == "overwrite":
        return Plan(plan.ops, plan.document, image_of(plan.document, found))
    if policy == "skip":
        return moved
    try:
        if evaluator is not None:
            answer = next(evaluator.run([found]))
            if "error" in answer:
                return f"{moved}; planning it again failed: {answer['error']}"
            return plan_for(Change.from_json(answer["ops"]), found, reads=answer["reads"])
        change = Change.from_json(plan.ops)
        if own_operations or same_footing(change, plan.before, found, plan.reads):
            return plan_for(change, found, reads=plan.reads)
    except Auth0MetaError as error:
        return f"{moved}; planning it again failed: {error}"
    return f"{moved}. Name the migration's file to have it planned again from what is stored now"


def _moved(plan: Plan, found: Mapping[str, Any]) -> list[str]:
    """Name the touched keys that are not as planned for."""
    names = []
    for bag, keys in plan.document.items():
        for key in keys or {**plan.before.get(bag, {}), **(found.get(bag) or {})}:
            one = {bag: {key: None}}
            if not holds(found, one, {bag: {k: v for k, v in plan.before.get(bag, {}).items() if k == key}}):
                names.append(printable(f"{bag}.{key}"))
    return names
