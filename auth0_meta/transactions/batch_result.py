"""Tell what became of the users of a batch; PURE."""

from __future__ import annotations

from typing import Literal

import attrs

from auth0_meta.models import Outcome

BatchOutcome = Outcome | Literal["not_sent"]


@attrs.frozen(kw_only=True)
class BatchResult:
    """Tell what became of one user; `error` is None unless `outcome` is "failed".

    `outcome`: "updated", "confirmed" (the answer was lost, reading back showed it), "unchanged", "failed", or
    "not_sent".  `requests` counts all that were sent for the user, `waited` the seconds held back.
    """

    user_id: str
    outcome: BatchOutcome
    requests: int = 0
    waited: float = 0.0
    error: BaseException | None = None


@attrs.frozen(kw_only=True)
class Progress:
    """Tell how far a batch is: users `staged` so far, `done`, of those `failed`, `per_second` overall."""

    staged: int
    done: int
    failed: int
    seconds: float
    per_second: float


class BatchResults:
    """Count outcomes and keep failures: at most `keep` of them, and of the users not sent.

    `counts` has a number for every outcome; the lists may be shorter, `on_result` gives them all.
    """

    def __init__(self, *, keep: int) -> None:
        self.counts: dict[str, int] = dict.fromkeys(
            ("updated", "confirmed", "unchanged", "failed", "not_sent"), 0
        )
        self.failures: list[BatchResult] = []
        self.not_sent: list[str] = []
        self.requests = 0
        self.waited = 0.0
        self._keep = keep

    @property
    def done(self) -> int:
        """Return how many users are finished, failures included."""
        return sum(self.counts.values()) - self.counts["not_sent"]

    def add(self, result: BatchResult) -> None:
        """Count one user."""
        self.counts[result.outcome] += 1
        self.requests += result.requests
        self.waited += result.waited
        if result.outcome == "failed" and len(self.failures) < self._keep:
            self.failures.append(result)
        elif result.outcome == "not_sent" and len(self.not_sent) < self._keep:
            self.not_sent.append(result.user_id)

    def __repr__(self) -> str:
        return (
            f"<BatchResults {', '.join(f'{n} {name}' for name, n in self.counts.items() if n) or 'nothing'}>"
        )
