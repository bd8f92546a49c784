"""E-mail addresses that name users in files: what counts as one, and who has it."""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from auth0_meta.endpoints.users import spellings

_LONGEST = 320  # RFC 3696: 64 for the mailbox, 255 for the host, and the @
_MOST_NAMED = 5


@attrs.frozen
class ByEmail:
    """A user whom a row names by e-mail address.  That is personal data, so messages name the row: `where`."""

    where: str
    email: str = attrs.field(repr=False)

    @property
    def spellings(self) -> tuple[str, ...]:
        """Return how the address may be stored."""
        return spellings(self.email)


def is_address(text: str, /) -> bool:
    """Return whether a text can be an e-mail address, and not a user id; those contain a `|`.

    >>> is_address("ada@example.com"), is_address("auth0|ada@example.com"), is_address("ada")
    (True, False, False)
    """
    mailbox, _, host = text.rpartition("@")
    plain = text.isprintable() and not any(map(str.isspace, text)) and "|" not in text
    return bool(mailbox and host) and plain and len(text) <= _LONGEST


def not_one(user_ids: Iterable[str]) -> str:
    """Return why a row can't be planned whose address none or several users have.

    >>> not_one(["auth0|1", "google-oauth2|2"])
    "several users have this row's e-mail address (auth0|1, google-oauth2|2): name the right one by user_id"
    """
    ids = list(user_ids)
    if not ids:
        return "no user has this row's e-mail address"
    shown = ", ".join(ids[:_MOST_NAMED]) + (", ..." if len(ids) > _MOST_NAMED else "")
    return f"several users have this row's e-mail address ({shown}): name the right one by user_id"
