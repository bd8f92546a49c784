"""Find the JSON objects in a text that has no line for each: an array, indented objects, several pages of an API.

The text is read in pieces, so only one object is in memory.  One that can't be read is left out: reading goes on at the
next line that begins as that one did.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from typing import Final, Protocol

from auth0_meta.migrate.planning.text_file import MOST_LINE

_PIECE: Final = 1 << 18
_BETWEEN: Final = re.compile(r"[\s,\[\]]*")
_CUT: Final = 64
"""How far from the end of what has been read an error may be that more text would repair: the longest literal is shorter."""


class Readable(Protocol):
    """A file of bytes."""

    def read(self, size: int, /) -> bytes:
        """Return at most that many bytes, none at the end."""


class JsonStream:
    """Iterate over the objects of a file of JSON in UTF-8, as bytes; None stands for one that can't be read."""

    def __init__(self, file: Readable, start: bytes = b"") -> None:
        self._file = file
        # What is not UTF-8 is given back as it was, so that only one object is lost for it.
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        self._scan = json.JSONDecoder().raw_decode
        self._text = self._decoder.decode(start)
        self._at = 0
        self._ended = False

    def __iter__(self) -> Iterator[bytes | None]:
        indent = 0
        while True:
            begin = self._skip()
            if begin is None:
                return
            before = self._text.rfind("\n", 0, begin)
            if before >= 0 and not self._text[before + 1 : begin].strip(" \t"):
                indent = begin - before - 1
            end = self._end_of_object()
            if end is not None:
                yield self._text[self._at : end].encode("utf-8", "surrogateescape")
                self._at = end
                continue
            yield None
            if not self._go_to_next_line(indent):
                return

    def _skip(self) -> int | None:
        """Go to where the next value begins, None at the end."""
        while True:
            found = _BETWEEN.match(self._text, self._at)
            end = self._at if found is None else found.end()
            if end < len(self._text):
                self._at = end
                return end
            # The white space before a value shows how it is indented.
            self._at = max(self._at, self._text.rfind("\n"))
            if not self._read():
                return None

    def _end_of_object(self) -> int | None:
        """Return where the object ends that begins here, None if there is none."""
        while True:
            problem = None
            try:
                value, end = self._scan(self._text, self._at)
            except json.JSONDecodeError as error:
                problem = error
            except (ValueError, RecursionError):
                return None
            else:
                return end if isinstance(value, dict) else None
            is_cut = problem.msg.startswith("Unterminated") or problem.pos >= len(self._text) - _CUT
            if not is_cut or len(self._text) - self._at > MOST_LINE or not self._read():
                return None

    def _go_to_next_line(self, indent: int) -> bool:
        pattern = re.compile(rf"\n[ \t]{{0,{indent}}}(?=[{{\[])")
        self._at += 1
        while True:
            found = pattern.search(self._text, self._at)
            if found is not None:
                self._at = found.start()
                return True
            self._at = max(self._at, self._text.rfind("\n"), len(self._text) - _PIECE)
            if not self._read():
                return False

    def _read(self) -> bool:
        """Read on, twice as much each time if a value needs it; return whether there was anything."""
        if self._ended:
            return False
        piece = self._file.read(max(_PIECE, len(self._text) - self._at))
        self._ended = not piece
        self._text = self._text[self._at :] + self._decoder.decode(piece, final=not piece)
        self._at = 0
        return not self._ended
