"""The built-in function of an offload, in the place of a migration's own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from auth0_meta.checks.sizes import json_size
from auth0_meta.errors import Auth0MetaError
from auth0_meta.migrate.offloading.paths import dotted
from auth0_meta.migrate.offloading.rule import Moves, Rule
from auth0_meta.migrate.planning.evaluate import TOO_DEEP, Profile
from auth0_meta.migrate.planning.outcome import Outcome, outcome_of
from auth0_meta.migrate.planning.summary import Moved
from auth0_meta.migrate.planning.watched_user import Fields


class OffloadEvaluator:
    """Compute what a rule moves; it runs no code but ours."""

    digest = None
    ahead = 0

    def __init__(self, rule: Rule) -> None:
        self._rule = rule

    def another(self) -> OffloadEvaluator:
        """Return itself: there is nothing that could differ elsewhere."""
        return self

    def run(
        self, profiles: Sequence[Profile], *, fields: Fields = None, ops: bool = False
    ) -> Iterator[dict[str, Any]]:
        """Yield for each profile an `Outcome` as JSON and what is `moved`, or {"error"}."""
        for profile in profiles:
            try:
                moves = self._rule.moves(profile)
                outcome = outcome_of(moves.change, profile)
            except Auth0MetaError as error:
                yield {"error": str(error)}
            except RecursionError:
                yield {"error": TOO_DEEP}
            else:
                yield {**dict(zip(Outcome._fields, outcome, strict=True)), "moved": tally(moves)}

    def close(self) -> None:
        """Do nothing: there is no process to end."""


def tally(moves: Moves) -> Moved:
    """Return the numbers of one user's moves."""
    moved = Moved(smaller=moves.smaller, already=moves.moved, stuck=moves.stuck, light=moves.light)
    for move in moves.moves:
        moved.add_value(dotted(move.path), len(move.data), json_size(move.pointer), returns=move.returns)
    return moved
