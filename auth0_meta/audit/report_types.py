"""The JSON of an audit's report, for type checkers; PURE."""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict

Checks = Literal["all", "sizes"]
"""What an audit looks at: everything, or only how large profiles are."""


class FindingJSON(TypedDict):
    """A kind of finding at a path, how many users have it, and the ids of at most five of them."""

    kind: str
    path: str
    users: int
    examples: list[str]


class OversizedJSON(TypedDict):
    """An oversized user: the bytes of the profile, and of its heaviest keys by path."""

    user_id: str
    bytes: int
    keys: dict[str, int]


class SizesJSON(TypedDict):
    """How large profiles are; there is one more of `edges` than of `counts`."""

    edges: list[int]
    counts: list[int]
    total: int
    median: int
    p99: int
    largest: int
    over_10240: int


class WeightJSON(TypedDict):
    """What a first-level key weighs in profiles near the limit or over it."""

    path: str
    bytes: int
    users: int
    largest: int


class ProblemsJSON(TypedDict):
    """How many records could not be read, and what is wrong with the first of them."""

    count: int
    examples: list[str]


class DifferenceJSON(TypedDict):
    """A finding that is new, gone, or has more or fewer users than before."""

    kind: str
    path: str
    change: Literal["new", "grew", "shrank", "gone"]
    before: int
    after: int


class BaselineJSON(TypedDict):
    """The earlier audit, and what is different now."""

    generated_at: str
    differences: list[DifferenceJSON]


class AuditJSON(TypedDict):
    """A whole report; `AuditReport` explains each field.  `baseline`: only where an earlier report was compared."""

    generated_at: str
    source: str
    checks: Checks
    seconds: float
    users: int
    findings: list[FindingJSON]
    oversized: list[OversizedJSON]
    sizes: SizesJSON
    weights: list[WeightJSON]
    problems: ProblemsJSON
    notes: list[str]
    baseline: NotRequired[BaselineJSON]
