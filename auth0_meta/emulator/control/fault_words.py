"""Describe in plain words which requests a fault affects, and how."""

from __future__ import annotations

from typing import Any

from auth0_meta.emulator.control.report import call_of
from auth0_meta.emulator.http.errors import reason_of
from auth0_meta.emulator.state.faults import Fault, Hook

_DROPS = {
    "before_commit": "the connection is closed before it takes effect",
    "after_commit": "it takes effect, and the connection is closed without a response",
    "reset": "the connection is reset before it takes effect",
}


def fault_json(fault: Fault | Hook) -> dict[str, Any]:
    """Return a fault or second writer as a JSON value: which, what, and how often it fired."""
    return {
        "number": fault.number,
        # "plan" keeps its name, because other programs read it from the control routes.
        "plan": call_of(fault),
        "words": in_words(fault),
        "fired": fault.fired,
        "seen": fault.seen,
        "times": fault.times,
    }


def in_words(fault: Fault | Hook) -> str:
    """Describe a fault or second writer in a sentence.

    >>> in_words(Fault(method="PATCH", status=429, reset=3, nth=2))
    'The 2nd PATCH request gets a 429 Too Many Requests that resets in 3 s'
    """
    name = f"{fault.method} request" if fault.method else "request"
    ordinal = _ordinal(fault.nth)
    if fault.times == 1:
        which = f"The {'next' if fault.nth == 1 else ordinal} {name}"
    else:
        count = "Every" if fault.times is None else f"{fault.times} times: a"
        which = f"{count} {name}" + (f" from the {ordinal} on" if fault.nth > 1 else "")
    if fault.path:
        which += f" to {fault.path}"
    if fault.user_id:
        which += f" for {fault.user_id}"
    if isinstance(fault, Hook):
        return f"{which}: a second writer of the test writes first"
    if fault.when is not None:
        which += " that the test's predicate picks"
    if fault.probability is not None:
        which += f", with a chance of {fault.probability:.4g},"
    return f"{which} {'; '.join(_effects(fault))}"


def _effects(fault: Fault) -> list[str]:
    effects = []
    if fault.delay is not None:
        effects.append(f"waits {fault.delay:g} s" + (" after it took effect" if fault.late else ""))
    if fault.expire_token:
        effects.append("finds its token expired")
    if fault.status is not None:
        effects.append(_response(fault))
    if fault.rows is not None:
        effects.append(f"stops as an import after {fault.rows} users")
    if fault.slow is not None:
        effects.append(f"gets its body spread over {fault.slow:g} s")
    if fault.truncate is not None:
        effects.append(f"gets only the first {fault.truncate} bytes of its body")
    if fault.drop is not None:
        effects.append(f"gets no response: {_DROPS[fault.drop]}")
    return effects


def _response(fault: Fault) -> str:
    text = f"gets a {fault.status} {reason_of(fault.status or 0)}"
    if fault.html:
        text += " as a proxy's page"
    if fault.body is not None:
        text += " with a body of its own"
    if fault.headers:
        text += f" with the headers {', '.join(fault.headers)}"
    if fault.reset is not None:
        text += " that resets " + (
            f"at {fault.reset!r}" if isinstance(fault.reset, str) else f"in {fault.reset:g} s"
        )
    return text + (" although it took effect" if fault.commit else "")


def _ordinal(number: int) -> str:
    last = 0 if number % 100 in (11, 12, 13) else number % 10
    return str(number) + {1: "st", 2: "nd", 3: "rd"}.get(last, "th")
