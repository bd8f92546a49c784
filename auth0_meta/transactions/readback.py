"""A PATCH whose outcome is unknown: which errors leave that open, and what reading back tells; PURE."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from auth0_meta.changes.change import Change
from auth0_meta.changes.jsonvalue import ABSENT, BAGS, json_equal
from auth0_meta.changes.profile import object_in
from auth0_meta.errors import ApiError, OutcomeUnknown
from auth0_meta.http.error_responses import leaves_open
from auth0_meta.http.request import Target
from auth0_meta.redact import outline, size


def may_have_been_applied(error: BaseException) -> bool:
    """Return whether a PATCH that ended with this error is to be read back, since it may have been applied.

    That is so for lost responses, 2xx responses that can't be believed, and the statuses of `leaves_open`.  Every
    other 4xx is a definite refusal.
    """
    return leaves_open(error.status) if isinstance(error, ApiError) else isinstance(error, OutcomeUnknown)


class LostPatch:
    """A PATCH whose response was lost: what was sent, and what it was computed on.

    It stays in doubt however long ago it left, since a server may apply it late, until it is found applied or
    another PATCH for the same change is answered.  `cause`: what lost the response.
    """

    def __init__(
        self,
        target: Target,
        change: Change,
        document: Mapping[str, Any],
        base: Mapping[str, Any] | None,
        cause: BaseException,
    ) -> None:
        self._target = target
        self._change = change
        self._document = document
        self._base = base
        self.cause = cause

    def applied(self, found: Mapping[str, Any]) -> bool:
        """Return whether every key is stored as it was sent.

        `{}` was sent to empty a bag.  It was applied if none of the keys that the bag had is left; if these are
        unknown, only an empty bag shows that.  A bag that was not an object had none.
        """
        for bag, keys in self._document.items():
            stored, before = object_in(found, bag), object_in(self._base or {}, bag)
            if stored is None:
                return False
            had = {} if before is None else before or stored
            if not keys and not stored.keys().isdisjoint(had):
                return False
            for key, value in keys.items():
                if not json_equal(stored.get(key, ABSENT), ABSENT if value is None else value):
                    return False
        return True

    def as_before(self, found: Mapping[str, Any]) -> bool:
        """Return whether everything that the change touches is as it was, so that the same would be sent again.

        A change that clears or replaces a bag touches every key of it.
        """
        base = self._base or {}
        for bag in BAGS:
            if not (change := self._change.bag(bag)):
                continue
            old, new = object_in(base, bag), object_in(found, bag)
            if old is None or new is None:
                if not json_equal(base.get(bag), found.get(bag)):
                    return False
                continue
            keys = {*old, *new} if change.reset else change.keys
            if not all(json_equal(old.get(key, ABSENT), new.get(key, ABSENT)) for key in keys):
                return False
        return True

    def error(self, why: str, *, found: Mapping[str, Any] | None = None) -> OutcomeUnknown:
        """Return the error for an outcome that can't be known, with names and sizes only."""
        cause, sent = self.cause, outline(self._document)
        seen = "" if found is None else self._seen(found)
        how = f"got a {cause.status}" if isinstance(cause, ApiError) else "got no usable response"
        where = f" (found {seen})" if seen else ""
        msg = (
            f"the PATCH for {self._target.id} {how}, and {why}{where}; sent {sent}. "
            f"It may or may not have been applied: read the {self._target.kind.noun} and decide"
        )
        return OutcomeUnknown(msg, user_id=self._target.id, sent=sent, found=seen)

    def _seen(self, found: Mapping[str, Any]) -> str:
        """Describe what is stored under the keys that were sent."""
        parts = []
        for bag, keys in self._document.items():
            stored = object_in(found, bag)
            if stored is None:
                parts.append(f"{bag}(not an object)")
                continue
            shown = ", ".join(
                f"{k} {size(stored[k])} B" if k in stored else f"{k} absent" for k in keys or stored
            )
            parts.append(f"{bag}({shown or 'empty'})")
        return ", ".join(parts)
