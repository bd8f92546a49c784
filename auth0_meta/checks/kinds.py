"""The kinds of findings, and the words for each that the terminal, the report, the docs and warnings share; PURE."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final, Literal, NamedTuple, TypeAlias

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
    """What to do next.  PATH stands for the path of the finding."""
    severity: Severity

    def next_step(self, path: str = "") -> str:
        """Return the advice for a finding at `path`.

        >>> KINDS["growing_list"].next_step("app_metadata.history")
        'auth0-meta offload app_metadata.history, or keep the newest items: examples/migrations/trim_lists.py'
        """
        return self.advice.replace("PATH", path or "PATH")


# Worst first.  Sources are pages of Auth0's documentation, as of November 2026:
# FIELDS  manage-users/user-accounts/metadata/metadata-fields-data
# SIZE    troubleshoot/product-lifecycle/deprecations-and-migrations/migrate-oversized-user-profiles
# SEARCH  manage-users/user-search/user-search-best-practices and user-search-query-syntax
# SESSION manage-users/sessions/session-metadata, secure/tokens/refresh-tokens/refresh-token-metadata
_KINDS: tuple[Kind, ...] = (
    # SIZE: "an extended allowance of roughly ten times the limit"; operations past it may fail.
    Kind(
        "over_allowance",
        "Over the allowance",
        "The profile has more than ten times 10 KB, so that logins, updates and imports of this user may fail.",
        "auth0-meta offload PATH with the heaviest keys listed for each user; begin with these users",
        "high",
    ),
    # SIZE: 10 KB a profile, enforced from 2027-03-04.
    Kind(
        "oversized",
        "Over 10 KB",
        "The profile has more than 10,000 bytes of JSON; Auth0 limits it to 10 KB from 4 March 2027.",
        "auth0-meta offload PATH with the heaviest keys, or trim lists: examples/migrations/trim_lists.py",
        "high",
    ),
    # FIELDS: neither bag is a secure data store; no secrets, no social security or credit card numbers.
    Kind(
        "secret",
        "Secret or personal number",
        "A value looks like a password, token, card number or national id, and metadata is not a secure store.",
        "remove PATH with auth0-meta migrate plan, and revoke what was stored there",
        "high",
    ),
    # FIELDS: user_metadata can be edited by users; what decides about access belongs into app_metadata.
    Kind(
        "authorization_in_user_metadata",
        "Authorization that users can edit",
        "A key in user_metadata is named for roles, permissions or a plan, and users can edit that bag.",
        "move PATH to app_metadata with auth0-meta migrate plan, and read it there",
        "high",
    ),
    # FIELDS: the list of names that app_metadata must not have.
    Kind(
        "reserved_name",
        "Reserved name",
        "app_metadata has a first-level key that Auth0 reserves, so that updates of it are refused.",
        "rename PATH with auth0-meta migrate plan, while it can still be read",
        "high",
    ),
    # FIELDS: names must not contain "." or "$".
    Kind(
        "bad_key",
        "Key that Auth0 refuses",
        "A key is empty or contains '.' or '$', so that Auth0 refuses to write it.",
        "rename PATH with auth0-meta migrate plan",
        "high",
    ),
    # SIZE: 10 KB; 80 % is ours.
    Kind(
        "near_limit",
        "Near 10 KB",
        "The profile has 8,000 to 10,000 bytes of JSON, which is 80 % of Auth0's limit or more.",
        "look at what grows: the lists and dynamic keys in this report",
        "medium",
    ),
    # FIELDS: field names should be static.
    Kind(
        "dynamic_keys",
        "Dynamic keys",
        "Keys are made from ids, dates or other data, so that the number of names grows with every user.",
        "fold PATH into one list of objects: examples/migrations/fold_dynamic_keys.py",
        "medium",
    ),
    # Ours, from SIZE: a list that is appended to grows until the profile is too large.
    Kind(
        "growing_list",
        "Growing list",
        "A list has more than 100 items.",
        "auth0-meta offload PATH, or keep the newest items: examples/migrations/trim_lists.py",
        "medium",
    ),
    # SESSION: what belongs to one device or session goes into session or refresh-token metadata.
    Kind(
        "device_state",
        "Data of one device or session",
        "A key is named for data of one device or session, which parallel logins overwrite for each other.",
        "keep PATH in session or refresh-token metadata (api.session.set_metadata), and drop it here",
        "medium",
    ),
    # SEARCH: keep a field below 2 KB.
    Kind(
        "unsearchable",
        "Too large to search",
        "A value has more than 2,000 bytes of JSON; Auth0 advises at most 2 KB for a field that is searched.",
        "auth0-meta offload PATH",
        "low",
    ),
    # FIELDS: use one type for a key.
    Kind(
        "mixed_types",
        "Mixed types",
        "A key has values of several JSON types, which searches and code must tell apart.",
        "convert PATH to its most common type with auth0-meta migrate plan",
        "low",
    ),
)

KINDS: Final = MappingProxyType({kind.name: kind for kind in _KINDS})
"""The kinds by name, worst first."""
