"""The one reader of what a server sends as JSON: strict where Python's `json` is not."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from support.json_strategies import json_values

from auth0_meta.changes.json_reader import NotReadable, read_json

REFUSED = {
    "NaN": b'{"a": NaN}',
    "Infinity": b"[Infinity]",
    "-Infinity": b'{"a": {"b": -Infinity}}',
    "the same key twice": b'{"a": 1, "a": 1}',
    "the same key twice, once escaped": b'{"a": 1, "\\u0061": 2}',
    "the same key twice below": b'[{"a": {"b": 1, "c": 2, "b": 3}}]',
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "UTF-16 without a mark": '{"a": 1}'.encode("utf-16-le"),
    "UTF-32": '{"a": 1}'.encode("utf-32"),
    "Latin-1": '{"a": "ä"}'.encode("latin-1"),
    "a surrogate in UTF-8": b'{"a": "\xed\xa0\x80"}',
    "two marks": b"\xef\xbb\xbf\xef\xbb\xbf{}",
    "text after it": b'{"a": 1} {"b": 2}',
    "half of it": b'{"a": [1, 2',
    "single quotes": b"{'a': 1}",
    "a comma too many": b'{"a": 1,}',
    "a comment": b'{"a": 1} // one',
    "a control character": b'{"a": "\n"}',
    "a leading zero": b'{"a": 01}',
    "HTML": b"<html></html>",
    "nothing": b"",
    "white space": b"  ",
    "many levels": b"[" * 200_000,
    "5,000 digits": b"[" + b"1" * 5_000 + b"]",
}


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED)
def test_what_is_not_strict_json_is_refused(text: bytes) -> None:
    """The error says what it is instead, and shows nothing of it."""
    with pytest.raises(NotReadable) as caught:
        read_json(text)
    assert str(caught.value).startswith(("not ", "JSON "))
    assert len(str(caught.value)) < 100


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b'\xef\xbb\xbf{"a": 1}', {"a": 1}),
        (b' \r\n\t{"a" : [1e5, -0.5, 10] } \n', {"a": [1e5, -0.5, 10]}),
        (b'{"a": {"a": {"a": 1}}, "b": [{"a": 1}, {"a": 1}]}', {"a": {"a": {"a": 1}}, "b": [{"a": 1}] * 2}),
        (b'{"a": "\\ud83d cut"}', {"a": "\ud83d cut"}),
        (b'{"": null, "A": 1, "a": 2}', {"": None, "A": 1, "a": 2}),
        (b'{"n": 1e400, "m": -1e400, "i": 123456789012345678901234567890}', None),
        (b"null", None),
    ],
)
def test_what_auth0_may_send_is_read(text: bytes, value: Any) -> None:
    """A byte order mark is ignored, and a number that no double can hold reads as infinity."""
    if value is None and text != b"null":
        value = {"n": float("inf"), "m": float("-inf"), "i": 123456789012345678901234567890}
    assert read_json(text) == value


@given(json_values)
def test_whatever_can_be_sent_is_read(value: Any) -> None:
    """Compact, indented and escaped."""
    for settings in ({}, {"indent": 1}, {"ensure_ascii": False, "separators": (",", ":")}):
        assert read_json(json.dumps(value, **settings).encode()) == value
