"""Judge what a path leads to, and read or replace a file only if it is one, and whose it should be.

A name says nothing: it may be a device, a pipe that blocks, another user's file, or a link that somebody has planted.
Every refusal is an OSError whose `strerror` says why.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

_MOST_LINKS = 40
_KINDS = {
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}
# Without these, opening what has taken a file's place after it was looked at could block or get a terminal.
_CAREFUL = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)


def refusal(why: str, number: int = errno.EINVAL) -> OSError:
    """Return the error that refuses a path."""
    return OSError(number, why)


def status_of(path: str | os.PathLike[str], *, follow: bool = True) -> os.stat_result | None:
    """Return what is at a path, None if nothing is."""
    try:
        return os.stat(path, follow_symlinks=follow)
    except FileNotFoundError:
        return None
    except ValueError:
        raise refusal("a path can't contain a null character") from None


def is_same(one: str | os.PathLike[str], other: str | os.PathLike[str]) -> bool:
    """Return whether two paths lead to one file, or would if it were there."""
    try:
        return os.path.samefile(one, other)
    except (OSError, ValueError):
        return os.path.realpath(one) == os.path.realpath(other)


def check_regular(status: os.stat_result) -> None:
    """Refuse what is not a regular file."""
    if not stat.S_ISREG(status.st_mode):
        kind = _KINDS.get(stat.S_IFMT(status.st_mode), "something else")
        number = errno.EISDIR if stat.S_ISDIR(status.st_mode) else errno.EINVAL
        raise refusal(f"it is {kind}, not a regular file", number)


def check_owner(status: os.stat_result, *others: int, what: str = "it") -> None:
    """Refuse what belongs to a user other than this one and `others`; Windows knows no such numbers."""
    if hasattr(os, "geteuid") and status.st_uid not in (os.geteuid(), *others):
        raise refusal(f"{what} belongs to another user", errno.EPERM)


def own_file(path: str | os.PathLike[str]) -> tuple[Path, os.stat_result | None]:
    """Resolve a path; return it with the status of the regular file there, or with None if the file doesn't exist yet.

    A symbolic link is followed if this user or root has made it: in a directory for everybody, somebody else may have
    planted it.
    """
    status = status_of(path)
    if status is not None:
        check_regular(status)
        check_owner(status)
    target = Path(path).absolute()
    for _ in range(_MOST_LINKS):
        found = status_of(target, follow=False)
        if found is None or not stat.S_ISLNK(found.st_mode):
            break
        check_owner(found, 0, what="the symbolic link")
        target = target.parent / os.readlink(target)
    if found is not None:
        # Once more, for the file itself: the links may have changed meanwhile.
        check_regular(found)
        check_owner(found)
    return target, found


@contextlib.contextmanager
def opening(path: str | os.PathLike[str], *, private: bool = False) -> Iterator[IO[bytes]]:
    """Open a regular file to read it.

    With `private` it must also be the user's own, under this one name, and writable for nobody else.
    """
    status = status_of(path, follow=not private)
    if status is not None:
        check_regular(status)
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | _CAREFUL)) as file:
        status = os.fstat(file.fileno())
        check_regular(status)
        if private:
            check_owner(status)
            if status.st_nlink != 1 or (os.name == "posix" and status.st_mode & 0o022):
                raise refusal("others may write to it", errno.EPERM)
        yield file


def read_file(path: str | os.PathLike[str], *, most: int, private: bool = False) -> bytes:
    """Return the content of a regular file of at most `most` bytes, opened as `opening` does."""
    with opening(path, private=private) as file:
        size = os.fstat(file.fileno()).st_size
        # One more byte shows whether the file has grown; some of the kernel's files have no size.
        data = file.read(max(size, 65_536) + 1) if size <= most else b""
    if max(size, len(data)) > most:
        raise refusal(f"it has more than {most:,} bytes", errno.EFBIG)
    return data


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[IO[str]]:
    """Write a text file, mode 0600, that takes the place of the file at `path` when the block ends without an error.

    The new file is in the same directory, because only that can be renamed in one step.  Other names (hard links) of an
    earlier file keep the earlier content.
    """
    target, _ = own_file(path)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=".auth0-meta-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            yield file
        own_file(target)
        os.replace(name, target)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)
        raise
