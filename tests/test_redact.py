"""What may be printed, and how it is described."""

from __future__ import annotations

import json
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth0_meta.redact import outline, printable, size

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(JSON)
def test_size_is_the_bytes_of_compact_json(value: Any) -> None:
    """The size is the number of bytes that the value takes as compact JSON in UTF-8."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    assert size(value) == len(text.encode("utf-8", "surrogatepass"))


@given(JSON)
def test_printable_json_is_the_same_json(value: Any) -> None:
    """Printable JSON contains no character that controls a terminal, and parses to the same value."""
    shown = printable(json.dumps(value, indent=2, ensure_ascii=False), lines=True)
    assert json.loads(shown) == value
    assert all(c == "\n" or unicodedata.category(c) not in ("Cc", "Zl", "Zp", "Cs") for c in shown)


@pytest.mark.parametrize(
    "char",
    [
        *("\0", "\a", "\t", "\n", "\r", "\x1b", "\x7f", "\x85", "\x9b"),
        *("\u061c", "\u200e", "\u2028", "\u2029", "\u202a", "\u202e", "\u2066", "\u2069", "\ud800"),
    ],
    ids=lambda char: f"{ord(char):04x}",
)
def test_characters_that_control_a_terminal_are_escaped(char: str) -> None:
    """These are control characters, line breaks and bidi controls; letters of any script are not."""
    assert printable(f"Åsa 名 é{char}x") == f"Åsa 名 é\\u{ord(char):04x}x"
    assert printable("a\nb\x1bc", lines=True) == "a\nb\\u001bc"


def _cycle() -> list[Any]:
    one: list[Any] = []
    one.append(one)
    return one


@pytest.mark.parametrize("value", [{1, 2}, b"x", object(), _cycle()], ids=["set", "bytes", "object", "cycle"])
def test_what_json_cannot_represent_has_no_size(value: Any) -> None:
    """Describing a value never fails: what JSON can't represent counts as 0 bytes."""
    assert size(value) == 0


@given(st.text(alphabet="XYZ", min_size=6, max_size=12), st.sampled_from(["set", "nested", "list"]))
def test_an_outline_contains_no_value(canary: str, where: str) -> None:
    """An outline names bags, keys and sizes, but no value at any depth."""
    value: Any = {"set": canary, "nested": {"k": canary}, "list": [canary]}[where]
    text = outline({"user_metadata": {"theme": value}, "app_metadata": {}, "name": canary})
    assert canary not in text
    assert "user_metadata(theme " in text
    assert "app_metadata(cleared)" in text


@pytest.mark.parametrize(
    ("bags", "text"),
    [
        ({}, "nothing"),
        ({"app_metadata": {"a": None, "b": [1]}}, "app_metadata(a deleted, b 3 B)"),
        ({"user_metadata": None}, "user_metadata(4 B)"),
        ({"blocked": True}, "blocked(4 B)"),
        (
            {"user_metadata": {"k\x1b[31m": 1, "\u202e": None}},
            "user_metadata(k\\u001b[31m 1 B, \\u202e deleted)",
        ),
    ],
)
def test_an_outline_is_short(bags: dict[str, Any], text: str) -> None:
    """It says what is deleted, cleared or set."""
    assert outline(bags) == text
