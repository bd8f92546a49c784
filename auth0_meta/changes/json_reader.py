"""Read JSON that comes from elsewhere, more strictly than Python's `json`; PURE.

`json` also takes NaN and Infinity, UTF-16, and an object with the same key twice, of which it keeps the last value.
Auth0 sends none of these.  A text that contains them was put together by something in between, so no value in it can
be believed.
"""

from __future__ import annotations

import codecs
import json
from typing import Any

NOT_JSON = "not valid JSON"


class NotReadable(ValueError):
    """A text that can't be read as JSON; the message is what it is instead, to follow "that is" or "that are"."""


def _refuse_constant(name: str) -> Any:
    raise NotReadable(f"{NOT_JSON} (it contains {name})")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise NotReadable("JSON with the same key twice in one object")
    return found


_decode = json.JSONDecoder(parse_constant=_refuse_constant, object_pairs_hook=_object).decode
_any_keys = json.JSONDecoder(parse_constant=_refuse_constant)


def read_json(text: bytes, /, *, repeated_keys: bool = False) -> Any:
    r"""Return the value that a JSON text in UTF-8 stands for; raise `NotReadable` if it is anything else.

    `repeated_keys`: of a key that is there twice, take the last value, as JavaScript does; that takes half the time.
    A byte order mark before it is ignored.  An escaped lone surrogate is kept, because Auth0 stores it as such.  A number
    that no double can hold reads as infinity, as it does in JavaScript; code that would send it back refuses to.

    >>> read_json(b'{"a": "\\ud800", "n": 1e400}')
    {'a': '\ud800', 'n': inf}
    """
    try:
        whole = text.removeprefix(codecs.BOM_UTF8).decode()
        if not repeated_keys:
            return _decode(whole)
        value, end = _any_keys.raw_decode(whole) if whole[:1] == "{" else (None, 0)
        return value if end == len(whole) else _any_keys.decode(whole)
    except NotReadable:
        raise
    except UnicodeDecodeError:
        what = "not text in UTF-8"
    except json.JSONDecodeError as error:
        what = f"{NOT_JSON} ({error.msg}: line {error.lineno} column {error.colno})"
    except RecursionError:
        what = "JSON nested too deeply to be read"
    except ValueError:  # int() refuses more than 4300 digits
        what = "JSON with a number too long to be read"
    raise NotReadable(what)
