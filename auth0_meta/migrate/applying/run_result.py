"""How a run ended."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from auth0_meta.migrate.ledger.records import BAD_OUTCOMES


@attrs.frozen(kw_only=True)
class RunResult:
    """How a run ended: `counts` by outcome, what it cost, and the users that `remain` for the next run.

    `interrupted`: it was asked to stop; run it again to resume.
    """

    kind: str
    counts: Mapping[str, int] = attrs.field(factory=dict)
    requests: int = 0
    patches: int = 0
    refusals: int = 0
    waited: float = 0.0
    seconds: float = 0.0
    remain: int = 0
    interrupted: bool = False

    @property
    def failed(self) -> int:
        """Return how many users are not as they should be."""
        return sum(n for outcome, n in self.counts.items() if outcome in BAD_OUTCOMES)
