"""Reports of audits, made by hand: of a large tenant, and with names that somebody chose to do harm."""

from __future__ import annotations

import bisect
import math
import random
from typing import Any

from auth0_meta.audit import AuditReport, Finding, KeyWeight, OversizedUser, Problems, Sizes
from auth0_meta.checks.kinds import KINDS

HOSTILE = "\"><script>window.pwned=1</script><img src=x onerror='window.pwned=1'>\u202egnp.exe\x1b[31m"
EDGES = (
    0,
    *(round(10 ** (step / 10)) for step in range(20, 39)),
    8_000,
    10_000,
    *(round(10 ** (step / 10)) for step in range(41, 61)),
)
KEYS = ("history", "audit_log", "searches", "sessions", "prefs", "imported_from_legacy_crm_system_v2_archive")


def report(**fields: Any) -> AuditReport:
    """Return a report of 100 users."""
    return AuditReport(**{"generated_at": "2026-12-01T12:00:00Z", "source": "export", "users": 100} | fields)


def large_report(findings: int = 300, oversized: int = 1_000) -> AuditReport:
    """Return a report with every kind of finding, sizes of 100 bytes to 300 KB, and many oversized users."""
    draw = random.Random(4)
    sizes = sorted(
        int(math.exp(draw.gauss(math.log(16_000 if draw.random() < 0.2 else 1_100), 0.7)))
        for _ in range(10_000)
    )
    counts = [0] * (len(EDGES) - 1)
    for size in sizes:
        counts[bisect.bisect_left(EDGES, size) - 1] += 1
    kinds, ids = list(KINDS), [f"auth0|{draw.randrange(16**24):024x}" for _ in range(oversized)]
    return report(
        users=len(sizes),
        findings=tuple(
            Finding(
                kind=(kind := kinds[n % len(kinds)]),
                path=""
                if kind in ("oversized", "over_allowance", "near_limit")
                else f"app_metadata.key_{n}.inner",
                users=1 + findings - n,
                examples=tuple(ids[:5]),
            )
            for n in range(findings)
        ),
        oversized=tuple(
            OversizedUser(
                user_id=one,
                bytes=200_000 - 190 * n,
                keys={f"app_metadata.{key}": 20_000 // (place + 1) for place, key in enumerate(KEYS)},
            )
            for n, one in enumerate(ids)
        ),
        sizes=Sizes(
            edges=EDGES,
            counts=tuple(counts),
            total=sum(sizes),
            median=sizes[len(sizes) // 2],
            p99=sizes[len(sizes) * 99 // 100],
            largest=sizes[-1],
        ),
        weights=tuple(
            KeyWeight(path=f"app_metadata.{key}", bytes=9_000_000 // (n + 1), users=1_000 - n, largest=90_000)
            for n, key in enumerate(KEYS)
        ),
        problems=Problems(count=1, examples=("line 17: not valid JSON",)),
        notes=("more than 1,000 keys under app_metadata.x are shown as <key>",),
    )


def hostile_report() -> AuditReport:
    """Return a report in which every text that others may have written is hostile."""
    path = f"app_metadata.{HOSTILE}"
    return report(
        generated_at=HOSTILE,
        source=HOSTILE,
        findings=tuple(Finding(kind=kind, path=path, users=1, examples=(HOSTILE,)) for kind in KINDS),
        oversized=(OversizedUser(user_id=HOSTILE, bytes=20_000, keys={path: 1}),),
        weights=(KeyWeight(path=path, bytes=9, users=1, largest=9),),
        problems=Problems(count=1, examples=(HOSTILE,)),
        notes=(HOSTILE,),
    )
