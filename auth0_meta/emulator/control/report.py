"""Tell what a test should hear about: plans that never fired or raised, requests that nothing here serves."""

from __future__ import annotations

from collections.abc import Iterable

from auth0_meta.emulator.rules.journal_entry import Entry
from auth0_meta.emulator.state.faults import Fault, Hook, PlanRaised

_NOT_SERVED = 501


def complaints(
    unfired: Iterable[Fault | Hook], entries: Iterable[Entry], raised: Iterable[PlanRaised] = ()
) -> list[str]:
    """Return a line for each plan whose own code raised or that never fired, and each route not served."""
    lines = [f"raised {one}: {told(one.plan)}" for one in raised]
    lines += [f"never fired: {told(plan)} ({plan.seen} of its requests came)" for plan in unfired]
    missing = {
        f"not served: {entry.method} {entry.route or entry.path}": None
        for entry in entries
        if entry.status == _NOT_SERVED and entry.fault is None
    }
    return lines + list(missing)


def told(plan: Fault | Hook) -> str:
    """Say what was planned, in the words of the call that planned it."""
    call = "before" if isinstance(plan, Hook) else "fail"
    names = ("method", "path", "user_id", "status", "drop", "delay")
    said = [f"{name}={value!r}" for name in names if (value := getattr(plan, name, None)) is not None]
    if plan.nth != 1:
        said.append(f"nth={plan.nth}")
    return f"{call}({', '.join(said)})"
