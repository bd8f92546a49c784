"""List what a test should not overlook: unused faults, errors of its own callbacks, missing routes."""

from __future__ import annotations

from collections.abc import Iterable

import attrs

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
    """Return the call that made a fault or second writer; of what may hold a value, only the name.

    >>> call_of(Fault(method="PATCH", status=429, reset=3, times=2, headers={"Retry-After": "3"}))
    "fail(method='PATCH', times=2, status=429, headers=..., reset=3)"
    """
    shown = []
    for field in attrs.fields(type(fault)):
        value = getattr(fault, field.name)
        default = {} if field.name == "headers" else field.default
        if field.init and field.name != "run" and value != default:
            shown.append(f"{field.name}={value!r}" if field.repr else f"{field.name}=...")
    return f"{'before' if isinstance(fault, Hook) else 'fail'}({', '.join(shown)})"
