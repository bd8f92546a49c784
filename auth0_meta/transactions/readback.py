"""Judge a PATCH that may or may not have been applied by what is found on reading back; PURE."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from auth0_meta.changes.change import Change
from auth0_meta.changes.jsonvalue import ABSENT, BAGS, json_equal
from auth0_meta.changes.profile import stored_bag
from auth0_meta.errors import OutcomeUnknown, ServerError
from auth0_meta.redact import outline, size


class LostAnswer:
    """Hold a PATCH whose answer was lost: what was sent, and the profile that it was computed on.

    It stays in doubt however long ago it left, since a server may apply it late, until it is found applied or
    another PATCH for the same change is answered.  `cause`: what lost the answer.
    """

    __slots__ = ("_base", "_change", "_document", "_user_id", "cause")

    def __init__(
        self,
        user_id: str,
        change: Change,
        document: Mapping[str, Any],
        base: Mapping[str, Any] | None,
        cause: BaseException,
    ) -> None:
        self._user_id = user_id
        self._change = change
        self._document = document
        self._base = base
        self.cause = cause

    def applied(self, found: Mapping[str, Any]) -> bool:
        """Tell whether every key that was sent stands as sent; `{}` was sent to empty the bag.

        It did where nothing is left of what the bag held; without a base to tell, where nothing is there.
        """
        for bag, keys in self._document.items():
            stored = stored_bag(found, bag)
            if not keys and not stored.keys().isdisjoint(stored_bag(self._base or {}, bag) or stored):
                return False
            for key, value in keys.items():
                if not json_equal(stored.get(key, ABSENT), ABSENT if value is None else value):
                    return False
        return True

    def as_before(self, found: Mapping[str, Any]) -> bool:
        """Tell whether all that the change touches is as it was: what is sent again is then what was sent.

        Of a bag that is cleared or replaced every key is touched.
        """
        base = self._base or {}
        for bag in BAGS:
            change, old, new = self._change.bag(bag), stored_bag(base, bag), stored_bag(found, bag)
            keys = {*old, *new} if change.reset else change.keys
            if not all(json_equal(old.get(key, ABSENT), new.get(key, ABSENT)) for key in keys):
                return False
        return True

    def error(self, why: str, *, found: Mapping[str, Any] | None = None) -> OutcomeUnknown:
        """Word the error of an outcome that can't be known, by names and sizes."""
        cause, sent = self.cause, outline(self._document)
        seen = "" if found is None else self._seen(found)
        how = f"was answered {cause.status}" if isinstance(cause, ServerError) else "got no usable answer"
        where = f" (found {seen})" if seen else ""
        msg = (
            f"the PATCH for {self._user_id} {how}, and {why}{where}; sent {sent}. "
            "It may have been applied or not: read the user and decide"
        )
        return OutcomeUnknown(msg, user_id=self._user_id, sent=sent, found=seen)

    def _seen(self, found: Mapping[str, Any]) -> str:
        """Describe what stands where something was sent."""
        parts = []
        for bag, keys in self._document.items():
            stored = stored_bag(found, bag)
            shown = ", ".join(
                f"{k} {size(stored[k])} B" if k in stored else f"{k} absent" for k in keys or stored
            )
            parts.append(f"{bag}({shown or 'empty'})")
        return ", ".join(parts)
