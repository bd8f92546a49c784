"""Read the users that a tenant starts with from JSON or YAML, and write snapshots of its users."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import attrs

from auth0_meta._version import __version__
from auth0_meta.emulator.http.message import is_deep
from auth0_meta.errors import InputError
from auth0_meta.files.paths import own_file, read_file, replacing

SAMPLE: tuple[dict[str, Any], ...] = (
    {
        "user_id": "auth0|123",
        "email": "ada@example.com",
        "name": "Ada Lovelace",
        "user_metadata": {"prefs": {"lang": "en", "old": 1, "mail": True}},
        "app_metadata": {
            "billing": {"plan": "free", "trial": "2026-12-01"},
            "counters": {"logins": 41},
            "legacy": 1,
        },
    },
    {
        "user_id": "auth0|456",
        "email": "grace@example.com",
        "name": "Grace Hopper",
        "user_metadata": {"theme": "dark"},
        "app_metadata": {"plan": "pro", "tenants": ["acme", "globex"]},
    },
    {
        "user_id": "google-oauth2|789",
        "email": "alan@example.com",
        "name": "Alan Turing",
        "app_metadata": {"plan": "free"},
    },
)
"""A few users to experiment with; the examples in the documentation change auth0|123."""

_FORMAT = "auth0_meta_snapshot"
_VERSION = 1
"""Raise it if an earlier version would misread the file; format 1 is that of 0.1.0 and 0.2.0."""
_MOST = 256 * 1024 * 1024
# YAML is parsed slowly, and its aliases can stand for any number of copies.
_MOST_YAML = 64 * 1024 * 1024
_STRINGS = ("user_id", "email", "name", "username", "phone_number", "picture", "connection")


@attrs.frozen
class Roster:
    """The users in a file; `verbatim` if they are whole profiles from a snapshot, not written by hand."""

    users: list[dict[str, Any]] = attrs.field(repr=False)
    verbatim: bool = False

    def document(self) -> dict[str, Any]:
        """Return the document from which `as_roster` makes this roster."""
        return to_snapshot(self.users) if self.verbatim else {"users": self.users}


def read_users(path: str | os.PathLike[str]) -> Roster:
    """Return the users in a file: a list of profiles, or an object with such a list under `users`.

    `.yaml` and `.yml` files are YAML, all others JSON; a snapshot is such a file.  Raises
    `InputError`, which names the line or the user that is wrong, but never a value.
    """
    shown = Path(path)
    is_yaml = shown.suffix.lower() in (".yaml", ".yml")
    try:
        text = read_file(shown, most=_MOST_YAML if is_yaml else _MOST).decode("utf-8-sig")
        return as_roster(_yaml(text) if is_yaml else json.loads(text))
    except OSError as error:
        raise InputError(f"can't read the users in {shown}: {error.strerror}") from error
    except json.JSONDecodeError as error:
        raise InputError(f"{shown} is not valid JSON: {error.msg} on line {error.lineno}") from None
    except UnicodeDecodeError:
        raise InputError(f"{shown} is not UTF-8 text") from None
    except RecursionError:
        raise InputError(f"{shown} is nested too deeply") from None
    except InputError as error:
        raise InputError(f"{shown}: {error}") from None
    except ValueError:
        raise InputError(f"{shown} has a number with too many digits") from None


def as_roster(value: Any) -> Roster:
    """Check a parsed file and return its users as plain JSON values.

    >>> as_roster({"users": [{"email": "ann@example.com", "app_metadata": {"plan": "free"}}]}).users
    [{'email': 'ann@example.com', 'app_metadata': {'plan': 'free'}}]
    """
    verbatim = False
    if isinstance(value, dict):
        verbatim = _FORMAT in value
        if (found := value.get(_FORMAT, _VERSION)) != _VERSION:
            ours = f"this is auth0-meta {__version__}, which reads format {_VERSION}"
            msg = f"this snapshot was written by a newer version, in format {found!r:.20}, and {ours}: update auth0-meta"
            raise InputError(msg)
        value = value.get("users")
    if not isinstance(value, list):
        raise InputError("expected a list of users, or an object with such a list under 'users'")
    users, ids = [], set()
    for number, user in enumerate(value, 1):
        if not isinstance(user, dict):
            raise InputError(f"user {number} is not an object")
        try:
            plain: dict[str, Any] = json.loads(json.dumps(user, allow_nan=False))
            if is_deep(plain):
                raise RecursionError
        except (TypeError, ValueError):
            msg = f"user {number} has a value that JSON can't represent: quote dates, and leave out NaN and binary data"
            raise InputError(msg) from None
        except RecursionError:
            raise InputError(f"user {number} is nested too deeply") from None
        for name in _STRINGS:
            if not isinstance(plain.get(name), (str, type(None))):
                raise InputError(f"user {number}: {name} is not a string")
        identities = plain.get("identities", [{}])
        if not (isinstance(identities, list) and all(isinstance(one, dict) for one in identities)):
            raise InputError(f"user {number}: identities is not a list of objects")
        if verbatim and not (plain.get("user_id") and "identities" in plain):
            msg = (
                f"user {number} is not a whole profile of a snapshot: add user_id and identities, "
                f"or remove {_FORMAT} from the file, so that defaults are filled in"
            )
            raise InputError(msg)
        user_id = plain.get("user_id")
        known = user_id if not user_id or "|" in user_id else f"auth0|{user_id}"
        if known and known in ids:
            raise InputError(f"user {number} has the same user_id as an earlier one")
        ids.add(known)
        users.append(plain)
    return Roster(users, verbatim)


def to_snapshot(users: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return a snapshot of users, ready for JSON."""
    return {_FORMAT: _VERSION, "users": [dict(user) for user in users]}


def check_writable(path: str | os.PathLike[str]) -> None:
    """Raise `InputError` if `write_users` could not write there, as far as can be known beforehand."""
    try:
        folder = own_file(path)[0].parent
    except OSError as error:
        why = error.strerror
    else:
        if not folder.is_dir():
            why = f"the directory {folder} doesn't exist"
        elif not os.access(folder, os.W_OK | os.X_OK):
            why = f"you may not write to the directory {folder}"
        else:
            return
    raise InputError(f"can't write {path}: {why} (nothing was started)")


def write_users(path: str | os.PathLike[str], snapshot: Mapping[str, Any]) -> None:
    """Write a snapshot, mode 0600, or leave the file as it was; raises `InputError` if it can't be written.

    Only a regular file of this user is replaced.
    """
    try:
        with replacing(path) as file:
            json.dump(snapshot, file, indent=1)
            file.write("\n")
    except OSError as error:
        raise InputError(f"can't write {path}: {error.strerror}") from error


def _yaml(text: str) -> Any:
    """Parse YAML with a safe loader (the one in C if available) that returns dates as strings, as in JSON."""
    import yaml  # noqa: PLC0415  # loads on use

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
            parts = (part for item in node.value for part in (item if isinstance(item, tuple) else (item,)))
            size = sum(_expanded(part, sizes) for part in parts)
        known = sizes[id(node)] = 1.0 + size
    return known
