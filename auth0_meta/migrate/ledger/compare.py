"""Compare a profile with what was planned and with what was written; PURE.

Documents are PATCH bodies.  An image holds, for each bag, the first-level keys that a document touches; an absent key
is left out.  A document's `{}` empties a bag, so it touches every key that was there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from auth0_meta.changes.jsonvalue import ABSENT, json_equal
from auth0_meta.changes.profile import stored_bag
from auth0_meta.redact import printable

Document = Mapping[str, Mapping[str, Any]]


def image_of(document: Document, profile: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return what `profile` holds under the keys that `document` touches.

    >>> image_of({"app_metadata": {"plan": "pro", "old": None}}, {"app_metadata": {"old": 1, "x": 2}})
    {'app_metadata': {'old': 1}}
    """
    image = {}
    for bag, keys in document.items():
        stored = stored_bag(profile, bag)
        image[bag] = {key: stored[key] for key in keys or stored if key in stored}
    return image


def after_image(document: Document) -> dict[str, dict[str, Any]]:
    """Return what the touched keys hold once `document` is applied.

    >>> after_image({"app_metadata": {"plan": "pro", "old": None}})
    {'app_metadata': {'plan': 'pro'}}
    """
    return {
        bag: {key: value for key, value in keys.items() if value is not None}
        for bag, keys in document.items()
    }


def differences(profile: Mapping[str, Any], document: Document, image: Document) -> Iterator[str]:
    """Yield the keys that `document` touches, as `bag.key`, and that are not in `profile` as they are in `image`."""
    for bag, keys in document.items():
        stored, pictured = stored_bag(profile, bag), image.get(bag, {})
        for key in keys or {**pictured, **stored}:
            if not json_equal(stored.get(key, ABSENT), pictured.get(key, ABSENT)):
                yield printable(f"{bag}.{key}")


def holds(profile: Mapping[str, Any], document: Document, image: Document) -> bool:
    """Return whether the keys that `document` touches are in `profile` as they are in `image`."""
    return next(differences(profile, document, image), None) is None


def undo_document(
    profile: Mapping[str, Any], document: Document, before: Document, after: Document
) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Return the PATCH body that restores `before`, and the touched keys that hold neither image.

    Only keys that still hold what was written are restored: somebody may rely on what they wrote since.

    >>> written = {"app_metadata": {"a": 2, "b": 2}}
    >>> undo_document({"app_metadata": {"a": 2, "b": 9}}, written, {}, written)
    ({'app_metadata': {'a': None}}, ['app_metadata.b'])
    """
    body: dict[str, dict[str, Any]] = {}
    kept = []
    for bag, keys in document.items():
        stored = stored_bag(profile, bag)
        for key in keys or before.get(bag, {}):
            now, was = stored.get(key, ABSENT), before.get(bag, {}).get(key, ABSENT)
            if json_equal(now, was):
                continue
            if json_equal(now, after.get(bag, {}).get(key, ABSENT)):
                body.setdefault(bag, {})[key] = None if was is ABSENT else was
            else:
                kept.append(printable(f"{bag}.{key}"))
    return body, kept
