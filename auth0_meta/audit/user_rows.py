"""The CSV file of an audit: a row for each user with findings, written while the audit runs."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from auth0_meta.audit.examine import Row
from auth0_meta.errors import InputError
from auth0_meta.files.paths import replacing

# A spreadsheet takes a cell that begins with one of these for a formula; the last four are the wide forms.
_FORMULA = tuple("=+-@\uff1d\uff0b\uff0d\uff20")
_MOST_KEYS = 5


@contextmanager
def writing(path: str | os.PathLike[str]) -> Iterator[Callable[[Row], None]]:
    """Yield a function that writes a user's row; the file is there, mode 0600, once the block ends without an error."""
    with ExitStack() as opened:
        with _as_input_error(path):
            file = opened.enter_context(replacing(path))
            table = csv.writer(file, lineterminator="\n")
            table.writerow(("user_id", "bytes", "kinds", "keys"))

        def write(row: Row) -> None:
            keys = "; ".join(f"{name} {size}" for name, size in list(row.keys.items())[:_MOST_KEYS])
            cells = (row.user_id, str(row.bytes), " ".join(row.kinds), keys)
            with _as_input_error(path):
                table.writerow([f"'{cell}" if cell.startswith(_FORMULA) else cell for cell in cells])

        yield write
        with _as_input_error(path):
            file.flush()


@contextmanager
def _as_input_error(path: str | os.PathLike[str]) -> Iterator[None]:
    """Report that the file can't be written; an error of anything else in the audit is not about it."""
    try:
        yield
    except OSError as error:
        raise InputError(f"{path} can't be written: {error.strerror}") from error
