"""An interrupt between two rounds of a loop reaches the `with` and `finally` around it, on Pythons that can miss them.

Python looks for signals whenever a loop jumps back.  In 3.12 and 3.13 the compiler makes a jump of its own for a loop
with a condition, and for one whose body ends with an `if`, a comprehension's included, and leaves it out of the table
of handlers: if Ctrl-C arrives there, what is around the loop in the same function is skipped (CPython issue 130279).
`while True` with a `break` has no such jump, and neither has a function of its own, since its call is in the table.
"""

from __future__ import annotations

import dis
import itertools
from collections.abc import Iterator
from pathlib import Path
from types import CodeType

import pytest

import auth0_meta

PACKAGE = Path(auth0_meta.__path__[0])

# The emulator and the command line end with the process that is interrupted.
NOT_CHECKED = ("emulator", "cli")

# What is around these loops handles errors of their own bodies, and lets an interrupt pass.
ONLY_ERRORS = {
    "_await_action",
    "_until_written",
    "LoginFlow.take",
    "SigningKeys._fetch",
    "Runner._gather",
    "Runner._drain",
    "Ledger.runs",
    "Threads.shutdown",
}


def functions(code: CodeType) -> Iterator[CodeType]:
    """Yield a code object and all those inside it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from functions(constant)


def misses_a_handler(code: CodeType) -> bool:
    """Return whether a loop jumps back into a block with a handler from a place that the handler does not cover."""
    table = dis._parse_exception_table(code)  # type: ignore[attr-defined]
    instructions = list(dis.get_instructions(code))
    named = {one.offset: one.opname for one in instructions}

    def handler(offset: int) -> int | None:
        """Return the handler that the source asks for; not that of a generator or of a comprehension's variables."""
        found = next((one.target for one in table if one.start <= offset < one.end), None)
        return found if found is None or named[found] == "PUSH_EXC_INFO" else handler(found)

    return any(
        one.opname == "JUMP_BACKWARD"
        and handler(one.offset) is None
        and handler(one.argval) is not None
        # 3.12 has one more after an error that was thrown into a `yield from`; no other form of ours would avoid it.
        and before.opname != "CLEANUP_THROW"
        for before, one in itertools.pairwise(instructions)
    )


def found_in(source: str) -> list[str]:
    """Return the functions of a module that have such a loop."""
    return [code.co_qualname for code in functions(compile(source, "", "exec")) if misses_a_handler(code)]


pytestmark = pytest.mark.pythons("3.12", "3.13")


def test_no_loop_can_miss_the_handlers_around_it() -> None:
    """Whatever is to be released or undone is, wherever Ctrl-C arrives."""
    checked = [
        path for path in PACKAGE.rglob("*.py") if path.relative_to(PACKAGE).parts[0] not in NOT_CHECKED
    ]
    missing = {str(path): set(found_in(path.read_text(encoding="utf-8"))) - ONLY_ERRORS for path in checked}
    assert len(missing) > 90
    assert {path: names for path, names in missing.items() if names} == {}


def test_such_a_loop_is_found() -> None:
    """The check knows the loops that it is about, and leaves others alone."""
    outer = "def f(lock, items):\n    with lock:\n        "
    assert found_in(outer + "while items.pop(): g()") == ["f"]
    assert found_in(outer + "for one in items:\n            if one: g()") == ["f"]
    assert found_in(outer + "a = [one for one in items if one]") == ["f"]
    assert found_in(outer + "for one in items: g()") == []
    assert found_in(outer + "while True:\n            if g(): break\n            h()") == []
