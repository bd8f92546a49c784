"""E-mail addresses that name users in files: what counts as one, and who has it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import attrs

from auth0_meta.endpoints.users import users_with_email
from auth0_meta.http.budget import WaitBudget
from auth0_meta.http.channel import Channel

_LONGEST = 320  # RFC 3696: 64 for the mailbox, 255 for the host, and the @
_MOST_NAMED = 5


@attrs.frozen
class ByEmail:
    """A user whom a row names by e-mail address.  That is personal data, so messages name the row: `where`."""

    where: str
    email: str = attrs.field(repr=False)

    @property
    def spellings(self) -> tuple[str, ...]:
        """Return how the address may be stored: as it is written, or in lower case.

        Auth0 keeps the addresses of its own connections in lower case, those of other connections as they come, and
        its lookup is exact.  Sources: users-by-email in the Management API; Auth0 support (community 124757).

        >>> ByEmail("users.csv line 2", "Ada@Example.com").spellings
        ('Ada@Example.com', 'ada@example.com')
        """
        return tuple(dict.fromkeys((self.email, self.email.lower())))


def is_address(text: str, /) -> bool:
    """Return whether a text can be an e-mail address, and not a user id; those contain a `|`.

    >>> is_address("ada@example.com"), is_address("auth0|ada@example.com"), is_address("ada")
    (True, False, False)
    """
    mailbox, _, host = text.rpartition("@")
    plain = text.isprintable() and not any(map(str.isspace, text)) and "|" not in text
    return bool(mailbox and host) and plain and len(text) <= _LONGEST


def users_with(channel: Channel, whom: ByEmail, budget: WaitBudget) -> list[dict[str, Any]]:
    """Return the profiles of all users who have this address: `GET /users-by-email`, once for each spelling."""
    found = (user for text in whom.spellings for user in users_with_email(channel, text, budget))
    return list({user["user_id"]: user for user in found}.values())


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
