"""The kinds of findings, and the words for each that the terminal, the report, the docs and warnings share; PURE."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from types import MappingProxyType
from typing import Final, Literal, NamedTuple, TypeAlias

from auth0_meta.checks.sizes import FIELD_BYTES, LIST_ITEMS, NEAR_BYTES, PROFILE_BYTES
from auth0_meta.redact import printable

KindName: TypeAlias = Literal[
    "over_allowance",
    "oversized",
    "secret",
    "authorization_in_user_metadata",
    "reserved_name",
    "bad_key",
    "near_limit",
    "dynamic_keys",
    "growing_list",
    "device_state",
    "unsearchable",
    "mixed_types",
]
Severity: TypeAlias = Literal["high", "medium", "low"]
"""high: it breaks writes or security; medium: it grows until it does; low: it makes search or code worse."""


class Kind(NamedTuple):
    """What is wrong, in words for people."""

    name: KindName
    title: str
    """A few words, as the heading of a table."""
    meaning: str
    """One sentence about what was found."""
    advice: str
    """One sentence about what to do."""
    severity: Severity
    commands: tuple[str, ...] = ()
    """How to do it from a shell; PATHS stands for the paths of the findings."""

    def next_commands(self, paths: Iterable[str]) -> tuple[str, ...]:
        """Return the commands for findings at `paths`, ready to be pasted into a shell.

        >>> KINDS["growing_list"].next_commands(["app_metadata.history", "app_metadata.big log"])[0]
        "auth0-meta offload app_metadata.history 'app_metadata.big log' --store sqlite:///big.db -o job.db"
        """
        words = " ".join(map(shlex.quote, writable(paths)))
        return tuple(
            command.replace("PATHS", words) for command in self.commands if words or "PATHS" not in command
        )


def writable(paths: Iterable[str]) -> tuple[str, ...]:
    r"""Return the paths that a command can name: as far as their keys are fixed, and none inside another.

    A path with characters that a terminal would obey is left out: escaped, it would be another path.

    >>> writable(["app_metadata.sessions.<uuid>.ip", "app_metadata.sessions.a", "user_metadata.<date>", "user_metadata.\x1b"])
    ('app_metadata.sessions',)
    """
    fixed = (path[: path.rfind(".", 0, path.find("<"))] if "<" in path else path for path in paths)
    known = dict.fromkeys(path for path in fixed if "." in path and printable(path) == path)
    return tuple(path for path in known if not any(path.startswith(f"{other}.") for other in known))


# Worst first.  Sources are pages of Auth0's documentation, as of November 2026:
# FIELDS  manage-users/user-accounts/metadata/metadata-fields-data
# SIZE    troubleshoot/product-lifecycle/deprecations-and-migrations/migrate-oversized-user-profiles
# SEARCH  manage-users/user-search/user-search-best-practices and user-search-query-syntax
# SESSION manage-users/sessions/session-metadata, secure/tokens/refresh-tokens/refresh-token-metadata
_OFFLOAD = "auth0-meta offload PATHS --store sqlite:///big.db -o job.db"
_READY = "auth0-meta migrate plan examples/migrations/{} -o job.db"
_KINDS: tuple[Kind, ...] = (
    # SIZE: "an extended allowance of roughly ten times the limit"; operations past it may fail.
    Kind(
        "over_allowance",
        "Over the allowance",
        "The profile has more than ten times 10 KB, so that logins, updates and imports of this user may fail.",
        "Shrink these profiles first: move their heaviest keys into a store of your own, or drop them.",
        "high",
        (_OFFLOAD,),
    ),
    # SIZE: 10 KB a profile, for every tenant some time after 2027-03-04.
    Kind(
        "oversized",
        "Over 10 KB",
        f"The profile has more than {PROFILE_BYTES:,} bytes of JSON; Auth0's limit is 10 KB, and the time to comply ends on 4 March 2027.",
        "Move the heaviest keys into a store of your own, or trim what grows.",
        "high",
        (_OFFLOAD,),
    ),
    # FIELDS: neither bag is a secure data store; no secrets, no social security or credit card numbers.
    Kind(
        "secret",
        "Secret or personal number",
        "A value looks like a password, token, card number or national id, and metadata is not a secure store.",
        "Delete it, revoke what was stored, and purge the job file, which holds it too.",
        "high",
        (_READY.format("drop_keys.py"),),
    ),
    # FIELDS: user_metadata can be edited by users; what decides about access belongs in app_metadata.
    Kind(
        "authorization_in_user_metadata",
        "Authorization that users can edit",
        "A key in user_metadata is named for roles, permissions or a plan, and users can edit that bag.",
        "Move it to app_metadata, and let your code read it there.",
        "high",
        (_READY.format("move_to_app_metadata.py"),),
    ),
    # FIELDS: the list of names that app_metadata must not have.
    Kind(
        "reserved_name",
        "Reserved name",
        "app_metadata has a first-level key that Auth0 reserves, so that updates of it are refused.",
        "Rename the key while it can still be read: see Names that Auth0 refuses in docs/migrations.md.",
        "high",
    ),
    # FIELDS: names must not contain "." or "$".
    Kind(
        "bad_key",
        "Key that Auth0 refuses",
        "A key is empty or contains '.' or '$', so that Auth0 refuses to write it.",
        "Rename the key.",
        "high",
        (_READY.format("rename_bad_keys.py"),),
    ),
    # SIZE: 10 KB; 80 % is ours.
    Kind(
        "near_limit",
        "Near 10 KB",
        f"The profile has {NEAR_BYTES:,} to {PROFILE_BYTES:,} bytes of JSON, which is 80 % of Auth0's limit or more.",
        "Look at what grows: lists, dynamic keys, and the keys that weigh most.",
        "medium",
        (_OFFLOAD,),
    ),
    # FIELDS: field names should be static.
    Kind(
        "dynamic_keys",
        "Dynamic keys",
        "Keys are made from ids, dates or other data, so that the number of names grows with every user.",
        "Fold the keys into one list of objects.",
        "medium",
        (_READY.format("fold_dynamic_keys.py"),),
    ),
    # Ours, from SIZE: a list that is appended to grows until the profile is too large.
    Kind(
        "growing_list",
        "Growing list",
        f"A list has more than {LIST_ITEMS} items.",
        "Move the list into a store of your own, or keep only its last items.",
        "medium",
        (
            _OFFLOAD,
            _READY.format("trim_lists.py"),
        ),
    ),
    # SESSION: what belongs to one device or session goes into session or refresh-token metadata.
    Kind(
        "device_state",
        "Data of one device or session",
        "A key is named for data of one device or session, which parallel logins overwrite for each other.",
        "Keep it in session or refresh-token metadata (api.session.set_metadata), and drop it here.",
        "medium",
        (_READY.format("drop_unused_keys.py --fields last_login"),),
    ),
    # SEARCH: keep a field below 2 KB.
    Kind(
        "unsearchable",
        "Too large to search",
        f"A value has more than {FIELD_BYTES:,} bytes of JSON; Auth0 advises at most 2 KB for a field that is searched.",
        "Move the value into a store of your own, if nobody searches for it.",
        "low",
        (_OFFLOAD,),
    ),
    # FIELDS: use one type for a key.
    Kind(
        "mixed_types",
        "Mixed types",
        "A key has values of several JSON types, which searches and code must tell apart.",
        "Convert the values to the most common type with a migration.",
        "low",
    ),
)

KINDS: Final = MappingProxyType({kind.name: kind for kind in _KINDS})
"""The kinds by name, worst first."""
