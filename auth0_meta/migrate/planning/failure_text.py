"""Describe the exception that a migration's function raised without showing a metadata value; PURE.

The message of an exception often quotes what was being worked on.  So nothing is shown but what stands in the
migration's own code, and messages of Python's own that have room for the names of types alone.
"""

from __future__ import annotations

import dis
import re
from pathlib import Path
from types import TracebackType

_TYPE = "'?(NoneType|bool|bytes|dict|float|function|int|list|set|str|tuple|_WatchedDict|User|MetadataBag)'?"
_HARMLESS = re.compile(
    "|".join(
        (
            "(list|tuple|string) (assignment )?index out of range",
            "pop from (an )?empty (list|set)",
            "(float |integer )?(division or modulo|division|modulo|floor division) by zero",
            f"{_TYPE} object (is not (subscriptable|iterable|callable)|does not support item (assignment|deletion))",
            f"unsupported operand type\\(s\\) for [^ ']+: {_TYPE} and {_TYPE}",
            f"'[<>=!]+' not supported between instances of {_TYPE} and {_TYPE}",
            f'can only concatenate (str|list|tuple) \\(not "{_TYPE}"\\) to (str|list|tuple)',
            f"(string|list|tuple) indices must be integers( or slices)?, not {_TYPE}",
            f"argument of type {_TYPE} is not (iterable|a container or iterable)",
            f"object of type {_TYPE} has no len\\(\\)",
            r"(not enough|too many) values to unpack \(expected (at least )?\d+(, got \d+)?\)",
        )
    )
)


def describe(error: BaseException, file: str) -> str:
    """Return the class of an exception, what may be said of its cause, and the line of `file` that it came from."""
    return f"{type(error).__name__}{_cause(error, _place(error, file))} ({where(error, file)})"


def where(error: BaseException, file: str) -> str:
    """Return the file and line of the migration that an error came from."""
    place = _place(error, file)
    return f"{Path(place.tb_frame.f_code.co_filename).name} line {place.tb_lineno}"


def _place(error: BaseException, file: str) -> TracebackType:
    places, place = [], error.__traceback__
    while place is not None:
        places.append(place)
        place = place.tb_next
    return ([one for one in places if one.tb_frame.f_code.co_filename == file] or places)[-1]


def _cause(error: BaseException, place: TracebackType) -> str:
    code = place.tb_frame.f_code
    if isinstance(error, KeyError):
        (key,) = error.args if len(error.args) == 1 else (None,)
        if isinstance(key, str) and key == _literal_before(place):
            return f": {key!r}"
        return ": a key that is not written there, so it may be a value and is not shown"
    name = getattr(error, "name", None)
    if isinstance(name, str) and name in (*code.co_names, *code.co_varnames, *code.co_freevars):
        if isinstance(error, AttributeError):
            return f": {type(error.obj).__name__} has no attribute {name!r}"
        if isinstance(error, NameError):
            return f": {name!r} is not defined"
    return f": {error}" if type(error).__module__ == "builtins" and _HARMLESS.fullmatch(str(error)) else ""


def _literal_before(place: TracebackType) -> object:
    """Return the literal that the failing instruction was given last, None if that was not a literal.

    In `PLANS[user.app_metadata["plan"]]` the missing key is a metadata value, even if the code has the same text
    somewhere else.
    """
    before = [one for one in dis.get_instructions(place.tb_frame.f_code) if one.offset < place.tb_lasti]
    while before and before[-1].opname == "PRECALL":  # of Python 3.11
        before.pop()
    return before[-1].argval if before and before[-1].opname == "LOAD_CONST" else None
