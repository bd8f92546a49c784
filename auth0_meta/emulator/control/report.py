"""List what a test should not overlook: unused faults, errors of its own callbacks, missing routes."""

from __future__ import annotations

from collections.abc import Iterable

from auth0_meta.emulator.state.faults import CallbackRaised, Fault, Hook


def findings(
    unfired: Iterable[Fault | Hook] = (),
    not_served: Iterable[str] = (),
    raised: Iterable[CallbackRaised] = (),
) -> list[str]:
    """Return a line for each fault or second writer that raised or never fired, and for whatever is not served."""
    lines = [f"raised {one}: {call_of(one.owner)}" for one in raised]
    lines += [
        f"never fired: {call_of(fault)} ({fault.seen} request{'s' * (fault.seen != 1)} matched)"
        for fault in unfired
    ]
    return lines + [f"not served: {name}" for name in not_served]


def call_of(fault: Fault | Hook) -> str:
    """Return the call that made a fault or second writer, with its main arguments."""
    name = "before" if isinstance(fault, Hook) else "fail"
    arguments = ("method", "path", "user_id", "status", "drop", "delay")
    shown = [f"{key}={value!r}" for key in arguments if (value := getattr(fault, key, None)) is not None]
    if fault.nth != 1:
        shown.append(f"nth={fault.nth}")
    return f"{name}({', '.join(shown)})"
