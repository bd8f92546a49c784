"""Store logins that wait for a redirect to come back: under a hash, for one use, for a limited time."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import attrs

from auth0_meta._version import __version__
from auth0_meta.actions.event.event import Event
from auth0_meta.actions.staging import TokenChanges
from auth0_meta.arguments import number, whole
from auth0_meta.errors import ConfigError, RedirectError
from auth0_meta.files.paths import check_owner, check_regular, status_of
from auth0_meta.files.paths import refusal as refused_path
from auth0_meta.redact import discreet

if TYPE_CHECKING:
    import sqlite3


def new_state() -> str:
    """Return 256 random bits, safe in a URL."""
    return secrets.token_urlsafe(32)


def digest(state: str, browser: str | None) -> str:
    """Return the key under which a login is stored: a hash of its state and of what identifies the browser.

    The store never sees the state, so whoever reads the store can't continue any login.  As the browser is part
    of the key and not compared afterwards, another browser finds nothing, and does not use up the login of
    the right one.
    """
    # Each part is hashed by itself, so that no two pairs of a state and a browser have the same key.
    parts = (part.encode("utf-8", "surrogatepass") for part in (state, browser or ""))
    return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()


def refusal(reason: str, detail: str) -> RedirectError:
    """Return the error for a login that can't continue; `reason` is Auth0's word for it."""
    return RedirectError(f"{reason}{detail}. Nothing was written: start the login again", reason=reason)


_FIRST_FIELDS = {"user_id", "position", "event", "hostname", "carried"}


def _checksum(fields: Mapping[str, Any]) -> str:
    """Return a checksum that shows whether a store damaged the fields: one wrong character could log in somebody else."""
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()


@attrs.frozen(kw_only=True)
class SuspendedLogin:
    """What a store keeps of a login: who logs in, which action continues it, and what the actions requested so far.

    `action` is the name of the action at `position` when the login was suspended; `event` is what is known of the
    login besides the user and the request.
    """

    user_id: str
    position: int
    action: str
    hostname: str | None
    event: Mapping[str, Any] = attrs.field(repr=False)
    token_changes: TokenChanges = attrs.field(repr=False)

    def to_json(self) -> str:
        """Return what to store."""
        # The names are fixed: a newer version must be able to continue a login that an older one suspended.
        fields = {
            "user_id": self.user_id,
            "position": [self.position, self.action],
            "event": self.event,
            "hostname": self.hostname,
            "carried": attrs.asdict(self.token_changes, recurse=False),
        }
        return json.dumps({**fields, "sha256": _checksum(fields)})

    @classmethod
    def from_json(cls, stored: str) -> SuspendedLogin:
        """Return the login that `to_json` stored; raise `RedirectError` for anything else."""
        try:
            found = dict(json.loads(stored))
            # The first versions stored these fields alone, without a checksum.
            if (found.keys() - _FIRST_FIELDS) and found.pop("sha256", None) != _checksum(found):
                raise ValueError
            position, action = found["position"]
            user_id, hostname, event = found["user_id"], found["hostname"], found["event"]
            if not (
                type(position) is int
                and position >= 0
                and isinstance(action, str)
                and isinstance(hostname, str | None)
            ):
                raise TypeError
            Event.from_dict({**event, "user": {"user_id": user_id}, "request": {}})  # it may be damaged too
            changes = TokenChanges(**found["carried"])
        except (KeyError, RecursionError, TypeError, ValueError, AttributeError):
            raise refusal("invalid_request", ": what is stored of this login is damaged") from None
        return cls(
            user_id=user_id,
            position=position,
            action=action,
            hostname=hostname,
            event=event,
            token_changes=changes,
        )


class States(Protocol):
    """A store of suspended logins; `key` is a hash, `data` is JSON without secrets."""

    def put(self, key: str, data: str, *, expires_at: float, now: float) -> None:
        """Store `data` until `expires_at`, in seconds since the epoch."""
        ...

    def take(self, key: str, *, now: float) -> str | None:
        """Remove and return what is stored under `key`; None if there is nothing or it has expired.

        If several callers ask at the same time, exactly one gets it.
        """
        ...


@discreet
class MemoryStates:
    """Suspended logins in the memory of this process: for a single worker, and lost when it restarts.

    `most`: how many it keeps, 10,000 by default; a web application stores two for each login.  Beyond that the oldest
    one is dropped, whose user has to log in again: with that many, it is the likeliest not to be continued.  Raises
    `ConfigError` if it is not a whole number of at least 1.

    It needs no lock, which a fork, a signal handler or a finalizer could find taken: each step is one operation of a
    dict.

    >>> states = MemoryStates()
    >>> states.put("hash", "{}", expires_at=10.0, now=0.0)
    >>> states.take("hash", now=1.0), states.take("hash", now=1.0)
    ('{}', None)
    """

    def __init__(self, *, most: int = 10_000) -> None:
        self._most = whole("most", most, least=1, error=ConfigError)
        self._stored: dict[str, tuple[str, float]] = {}

    def put(self, key: str, data: str, *, expires_at: float, now: float) -> None:
        """Store `data` until `expires_at`, and delete what has expired."""
        for old, (_, end) in self._stored.copy().items():
            if end <= now:
                self._stored.pop(old, None)
        self._stored[key] = data, expires_at
        for oldest in list(self._stored)[: -self._most]:
            self._stored.pop(oldest, None)

    def take(self, key: str, *, now: float) -> str | None:
        """Remove and return what is stored under `key`."""
        data, expires_at = self._stored.pop(key, ("", now))
        return data if expires_at > now else None


_TABLE = "CREATE TABLE suspended (key TEXT PRIMARY KEY, data TEXT NOT NULL, expires_at REAL NOT NULL)"
_OBJECTS = [(b"sqlite_autoindex_suspended_1", None), (b"suspended", _TABLE.encode())]
"""What `sqlite_master` has: any other table, view or trigger could change what we store or find."""
_APPLICATION, _FORMAT = 0, 0
"""What `PRAGMA application_id` and `user_version` say; raise the second if an earlier version would misread the file (0.1.0
does not look)."""
_PUT = "INSERT OR REPLACE INTO suspended VALUES (?, ?, ?)"
_TRIAL = digest("trial", None)
_LONGEST = 86_400.0
_FIND = "SELECT data, expires_at FROM suspended WHERE key = ?"


@discreet
class SqliteStates:
    """Suspended logins in an SQLite file that all workers of one machine share.

    The file is created with mode 0600.  Each call opens and checks it anew, so it is safe with threads and forks.
    `busy_timeout`: seconds to wait for another worker, at most a day.

    Raises `ConfigError` for a file of another user or that others may read or write, one with several names (a symbolic
    or hard link), one that is not an SQLite database or holds anything else, and a path where no file can be created.

    >>> import tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> states = SqliteStates(f"{folder.name}/logins.db")
    >>> states.put("hash", "{}", expires_at=10.0, now=0.0)
    >>> states.take("hash", now=1.0), states.take("hash", now=1.0)
    ('{}', None)
    >>> folder.cleanup()
    """

    def __init__(self, path: str | os.PathLike[str], /, *, busy_timeout: float = 5.0) -> None:
        self._path = Path(path)
        self._busy_timeout = number("busy_timeout", busy_timeout, least=0, most=_LONGEST, error=ConfigError)
        import sqlite3  # noqa: PLC0415  # loaded on use

        try:
            self._check_file(first=True)
            with self._open() as db:
                self._try_out(db)
        except ConfigError:  # it is a ValueError
            raise
        except (sqlite3.Error, ValueError, OverflowError) as error:
            why = str(error) if isinstance(error, sqlite3.Error) else type(error).__name__
            msg = f"{self._path} can't store suspended logins ({why}): use a file that holds nothing else"
            raise ConfigError(msg) from None

    def _check_file(self, *, first: bool = False) -> None:
        """Raise `ConfigError` unless the file is this user's alone; create it if there is none.

        The `first` time SQLite looks at what is in it and beside it, before it may change any of that.
        """
        from auth0_meta.files.databases import check_neighbours, own_database  # noqa: PLC0415  # loads sqlite3

        try:
            found = status_of(self._path, follow=False)
            if found is not None:
                check_regular(found)
                check_owner(found)
                if found.st_nlink != 1:
                    raise refused_path("it has several names (hard links)")
                if os.name == "posix" and found.st_mode & 0o077:
                    mode = f"{self._path} has mode {found.st_mode & 0o777:o}"
                    raise ConfigError(f"{mode}, so others can read or write suspended logins: chmod 600 it")
            if first or found is None:
                own_database(self._path, _APPLICATION)
            else:
                check_neighbours(self._path)
        except FileExistsError:
            raise self._foreign() from None
        except OSError as error:
            msg = f"{self._path} can't be used ({error.strerror}): name a file of your own in a folder that is writable"
            raise ConfigError(msg) from None

    def _foreign(self) -> ConfigError:
        return ConfigError(
            f"{self._path} holds something other than suspended logins: use a file that holds nothing else"
        )

    def _check_content(self, db: sqlite3.Connection) -> None:
        """Raise `ConfigError` for a file of another program or of a later version; create the table in an empty one."""
        (application,) = db.execute("PRAGMA application_id").fetchone()
        (version,) = db.execute("PRAGMA user_version").fetchone()
        if application != _APPLICATION:  # such as a job file, to which a table would be added
            raise self._foreign()
        if version != _FORMAT:
            what = f"has format {version}, and auth0-meta {__version__} reads format {_FORMAT}"
            whose = "it belongs to another version or another program"
            raise ConfigError(f"{self._path} {what}: {whose}, so use a file that holds nothing else")
        objects = db.execute("SELECT name, sql FROM sqlite_master ORDER BY name LIMIT 3").fetchall()
        if not objects:
            db.execute(_TABLE)
        elif objects != _OBJECTS:
            raise self._foreign()

    def _try_out(self, db: sqlite3.Connection) -> None:
        """Raise unless a login can be stored and found: the file may be damaged."""
        import sqlite3  # noqa: PLC0415  # loaded on use

        (problem,) = db.execute("PRAGMA quick_check(1)").fetchone()
        db.execute("SAVEPOINT trial")
        db.execute(_PUT, (_TRIAL, "{}", 1.5))
        found = db.execute(_FIND, (_TRIAL,)).fetchone()
        db.execute("ROLLBACK TO trial")
        if problem != b"ok" or found != (b"{}", 1.5):
            raise sqlite3.DatabaseError("it is damaged")

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """Open the file in a write transaction; SQLite gives its journal the mode of the file.

        BEGIN IMMEDIATE takes the write lock before anything is read, so two workers can't both take the same
        login.  secure_delete overwrites what was deleted, so that no claims of past logins stay in the file.
        """
        import sqlite3  # noqa: PLC0415  # loaded on use

        self._check_file()
        with contextlib.closing(
            sqlite3.connect(self._path, timeout=self._busy_timeout, isolation_level=None)
        ) as db:
            db.text_factory = bytes  # else an error would quote whatever is not UTF-8
            db.execute("PRAGMA trusted_schema = OFF")
            db.execute("PRAGMA secure_delete = ON")
            db.execute("BEGIN IMMEDIATE")
            self._check_content(db)
            yield db
            db.execute("COMMIT")

    def put(self, key: str, data: str, *, expires_at: float, now: float) -> None:
        """Store `data` until `expires_at`, and delete what has expired."""
        with self._open() as db:
            db.execute("DELETE FROM suspended WHERE expires_at <= ?", (now,))
            db.execute(_PUT, (key, data, expires_at))

    def take(self, key: str, *, now: float) -> str | None:
        """Remove and return what is stored under `key`."""
        with self._open() as db:
            data, expires_at = db.execute(_FIND, (key,)).fetchone() or (b"", now)
            db.execute("DELETE FROM suspended WHERE key = ?", (key,))
        # A damaged row may hold a value of any type.
        if not isinstance(expires_at, int | float) or expires_at <= now:
            return None
        return data.decode(errors="replace") if isinstance(data, bytes) else str(data)
