"""What a change comes to for one user: the plan to store, and what to say about it; PURE."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from auth0_meta.changes import rules
from auth0_meta.changes.change import Change
from auth0_meta.checks.sizes import PROFILE_LIMIT, profile_size
from auth0_meta.errors import MetadataError
from auth0_meta.migrate.ledger.compare import image_of
from auth0_meta.migrate.ledger.records import Plan, written


class Outcome(NamedTuple):
    """The plan as `written`, "" if nothing changes, and the touched `keys`.

    `oversize`: the profile would be larger than 10 KB afterwards.  `advice`: what is odd about the values, without them.
    """

    plan: str = ""
    keys: Sequence[str] = ()
    oversize: bool = False
    advice: Sequence[str] = ()


def plan_for(
    change: Change,
    profile: Mapping[str, Any],
    *,
    ops: Mapping[str, Any] | None = None,
    reads: Sequence[Sequence[str | None]] = (),
) -> tuple[Plan | None, Mapping[str, Any]]:
    """Return what a change means for a profile (None if nothing), and the profile afterwards.

    `ops`: the change as JSON, if the caller has it already.  Raises what `Change.applied_to` raises.
    """
    document, after = change.applied_to(profile)
    if not document:
        return None, after
    plan = Plan(change.to_json() if ops is None else ops, document, image_of(document, profile), reads=reads)
    return plan, after


def outcome_of(
    change: Change,
    profile: Mapping[str, Any],
    *,
    ops: Mapping[str, Any] | None = None,
    reads: Sequence[Sequence[str | None]] = (),
    advice: Sequence[str] = (),
    most: int = PROFILE_LIMIT,
) -> Outcome:
    """Return what a change comes to; `advice`: what staging it has warned of.

    `most`: a bound on the bytes of JSON that the profile has, if the caller knows one.  Raises `MetadataError` for a
    PATCH that is too large, and what `plan_for` raises.
    """
    plan, after = plan_for(change, profile, ops=ops, reads=reads)
    if plan is None:
        return Outcome(advice=advice)
    text = written(plan)
    # The body is a part of this text, so a short text needs no second look.
    if len(text) > rules.MAX_REQUEST // 4 and profile_size(plan.document) > rules.MAX_REQUEST:
        limit = f"the {rules.MAX_REQUEST} B that a request may have"
        raise MetadataError(f"{profile['user_id']}: the PATCH would be larger than {limit}")
    if (outgrown := change.outgrown(after)) is not None:
        bag, _, reason = outgrown
        advice = [*advice, f"{bag}: {reason}"]
    # The text contains all that the profile gains, so a small profile and a short text need not be measured.
    oversize = most + 4 * len(text) > PROFILE_LIMIT and profile_size(after) > PROFILE_LIMIT
    return Outcome(text, plan.keys, oversize, advice)
