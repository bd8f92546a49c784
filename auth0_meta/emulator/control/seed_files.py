"""Read the users that a tenant starts with, or a whole snapshot, from JSON or YAML."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import attrs

from auth0_meta._version import __version__
from auth0_meta.emulator.control.snapshots import FORMAT, HEAD, VERSION, checked_rows, row_lines, user_lines
from auth0_meta.emulator.http.message import is_deep
from auth0_meta.emulator.samples import SAMPLES
from auth0_meta.emulator.state.tables import Row
from auth0_meta.errors import ConfigError, InputError, missing_extra
from auth0_meta.files.paths import opening, read_file

MOST = 256 * 1024 * 1024
"""How many bytes a file may have that is not read line by line."""
# YAML is parsed slowly, and its aliases can stand for any number of copies.
_MOST_YAML = 64 * 1024 * 1024
_STRINGS = ("user_id", "email", "name", "username", "phone_number", "picture", "connection")


@attrs.frozen
class Roster:
    """The users in a file; `verbatim` if they are whole profiles from a snapshot, not written by hand.

    `rows` is everything else that a snapshot holds, None for a file of users alone.
    """

    users: Iterable[dict[str, Any]] = attrs.field(repr=False)
    verbatim: bool = False
    rows: Iterable[Row] | None = attrs.field(default=None, repr=False)

    def document(self) -> dict[str, Any]:
        """Return the document from which `as_roster` makes this roster."""
        document: dict[str, Any] = {"users": list(self.users)}
        if self.rows is not None:
            document["rows"] = list(self.rows)
        return document | ({FORMAT: 1 if self.rows is None else VERSION} if self.verbatim else {})


def initial_users(users: Iterable[Mapping[str, Any]] | str | os.PathLike[str], sample: str | None) -> Roster:
    """Return the users that a tenant starts with: those of a sample, in a file, or given."""
    if sample is not None:
        if users != ():
            raise ConfigError("users and sample both name the users to start with: leave out one of them")
        if sample not in SAMPLES:
            raise ConfigError(f"sample must be {' or '.join(map(repr, SAMPLES))}")
        return Roster(SAMPLES[sample]())
    if isinstance(users, (str, os.PathLike)):
        return read_users(users)
    return Roster([dict(user) for user in users])


def read_users(path: str | os.PathLike[str]) -> Roster:
    """Return what `open_users` yields, all of it in memory."""
    with open_users(path) as roster:
        return attrs.evolve(
            roster, users=list(roster.users), rows=None if roster.rows is None else list(roster.rows)
        )


@contextmanager
def open_users(path: str | os.PathLike[str]) -> Iterator[Roster]:
    """Open a file of users: a list of profiles, an object with such a list under `users`, or a snapshot.

    `.yaml` and `.yml` files are YAML, all others JSON, or NDJSON as an export job writes it.  The users of a snapshot, and then its rows, are read as they
    are asked for, once and in this order.  Raises `InputError`, which names the line or the user that is
    wrong, but never a value.
    """
    shown = Path(path)
    is_yaml = shown.suffix.lower() in (".yaml", ".yml")
    with explained(shown, "the users"):
        with opening(shown) as file:
            if not is_yaml and (roster := streamed(file)) is not None:
                yield roster
                return
        text = read_file(shown, most=_MOST_YAML if is_yaml else MOST).decode("utf-8-sig")
        yield as_roster(parse_yaml(text) if is_yaml else _parsed(text))


def _parsed(text: str) -> Any:
    """Parse JSON, or NDJSON, which is what an export job writes: a user on each line."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        if error.msg != "Extra data":
            raise
    users = []
    for number, line in enumerate(text.split("\n"), 1):
        try:
            users += [json.loads(line)] if line.strip() else []
        except json.JSONDecodeError as error:
            raise InputError(f"line {number} is not valid JSON: {error.msg}") from None
    return users


@contextmanager
def explained(path: Path, what: str) -> Iterator[None]:
    """Raise `InputError` about `path` if the block can't read or parse `what` it holds; it names the line, but no value."""
    try:
        yield
    except OSError as error:
        raise InputError(f"can't read {what} in {path}: {error.strerror}") from None
    except json.JSONDecodeError as error:
        raise InputError(f"{path} is not valid JSON: {error.msg} on line {error.lineno}") from None
    except UnicodeDecodeError:
        raise InputError(f"{path} is not UTF-8 text") from None
    except RecursionError:
        raise InputError(f"{path} is nested too deeply") from None
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except ValueError:
        raise InputError(f"{path} has a number with too many digits") from None


def streamed(file: IO[bytes]) -> Roster | None:
    """Return a roster that reads a snapshot as it was written, line by line; None for anything else."""
    if file.readline(len(HEAD)) != HEAD.encode():
        return None
    users = (_checked(user, number, verbatim=True) for number, user in enumerate(user_lines(file), 1))
    return Roster(users, True, row_lines(file))


def as_roster(value: Any) -> Roster:
    """Check a parsed file and return its users as plain JSON values.

    >>> as_roster({"users": [{"email": "ann@example.com", "app_metadata": {"plan": "free"}}]}).users
    [{'email': 'ann@example.com', 'app_metadata': {'plan': 'free'}}]
    """
    verbatim, rows = False, None
    if isinstance(value, dict):
        version = value.get(FORMAT, 0)
        verbatim = FORMAT in value
        if type(version) is not int or not 0 <= version <= VERSION:
            ours = f"this is auth0-meta {__version__}, which reads format {VERSION}"
            msg = f"this snapshot was written by a newer version, in format {version!r:.20}, and {ours}: update auth0-meta"
            raise InputError(msg)
        if version == VERSION:
            if not isinstance(value.get("rows"), list):
                raise InputError("this snapshot has no list of rows")
            rows = list(checked_rows(value["rows"]))
        value = value.get("users")
    if not isinstance(value, list):
        raise InputError("expected a list of users, or an object with such a list under 'users'")
    users, ids = [], set()
    for number, user in enumerate(value, 1):
        checked = _checked(as_plain(user, f"user {number}"), number, verbatim=verbatim)
        user_id = checked.get("user_id")
        known = user_id if not user_id or "|" in user_id else f"auth0|{user_id}"
        if known and known in ids:
            raise InputError(f"user {number} has the same user_id as an earlier one")
        ids.add(known)
        users.append(checked)
    return Roster(users, verbatim, rows)


def as_plain(value: Any, name: str) -> Any:
    """Return a copy of what YAML or Python code holds, as JSON reads it back; raises `InputError` about `name` if it can't."""
    try:
        plain = json.loads(json.dumps(value, allow_nan=False))
        if is_deep(plain):
            raise RecursionError
    except (TypeError, ValueError):
        msg = f"{name} has a value that JSON can't represent: quote dates, and leave out NaN and binary data"
        raise InputError(msg) from None
    except RecursionError:
        raise InputError(f"{name} is nested too deeply") from None
    return plain


def _checked(user: Any, number: int, *, verbatim: bool) -> dict[str, Any]:
    """Return a user, or raise `InputError` if it is not one."""
    if not isinstance(user, dict):
        raise InputError(f"user {number} is not an object")
    for name in _STRINGS:
        if not isinstance(user.get(name), (str, type(None))):
            raise InputError(f"user {number}: {name} is not a string")
    identities = user.get("identities", [{}])
    if not (isinstance(identities, list) and all(isinstance(one, dict) for one in identities)):
        raise InputError(f"user {number}: identities is not a list of objects")
    if verbatim and not (user.get("user_id") and "identities" in user):
        msg = (
            f"user {number} is not a whole profile of a snapshot: add user_id and identities, "
            f"or remove {FORMAT} from the file, so that defaults are filled in"
        )
        raise InputError(msg)
    return user


def parse_yaml(text: str) -> Any:
    """Parse YAML with a safe loader (the one in C if available) that returns dates as strings, as in JSON."""
    try:
        import yaml  # noqa: PLC0415  # loads on use
    except ModuleNotFoundError as error:
        raise missing_extra(error, "emulator") from None

    base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    resolvers = {
        first: [(tag, pattern) for tag, pattern in rules if tag != "tag:yaml.org,2002:timestamp"]
        for first, rules in base.yaml_implicit_resolvers.items()
    }
    try:
        loader = type("Loader", (base,), {"yaml_implicit_resolvers": resolvers})(text)
        node = loader.get_single_node()
        # Before anything is made of the nodes: merged keys are copied even while objects are made.
        fits = node is None or _expanded(node, {}) <= _MOST_YAML
        value = loader.construct_document(node) if fits and node is not None else None
    except InputError:
        raise
    except yaml.MarkedYAMLError as error:
        line = f" on line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise InputError(f"not valid YAML: {error.problem}{line}") from None
    except yaml.YAMLError:
        raise InputError("not valid YAML: it has characters that YAML does not allow") from None
    except (ValueError, OverflowError):
        raise InputError(
            "not valid YAML: it has a number with too many digits, or an unusable value"
        ) from None
    if not fits:
        raise InputError("its aliases stand for too much: write the values out")
    return value


def _expanded(node: Any, sizes: dict[int, float]) -> float:
    """Return how many characters a YAML node stands for with every alias written out; infinite if it contains itself."""
    known = sizes.get(id(node))
    if known is None:
        sizes[id(node)] = math.inf  # until it is known
        if isinstance(node.value, str):
            size: float = len(node.value)
        else:
            parts = [part for item in node.value for part in (item if isinstance(item, tuple) else (item,))]
            if node.id == "mapping":
                _refuse_repeated_keys(parts[::2])
            size = sum(_expanded(part, sizes) for part in parts)
        known = sizes[id(node)] = 1.0 + size
    return known


def _refuse_repeated_keys(keys: list[Any]) -> None:
    """Refuse two equal keys of a mapping, as YAML demands: the first value would be lost."""
    known = set()
    for key in keys:
        if isinstance(key.value, str) and key.value != "<<" and (key.tag, key.value) in known:
            raise InputError(f"not valid YAML: a key is there twice on line {key.start_mark.line + 1}")
        known.add((key.tag, str(key.value)))
