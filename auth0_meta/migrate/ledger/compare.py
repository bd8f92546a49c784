"""Compare a profile with what was planned and with what was written; PURE.

Documents are PATCH bodies.  An image holds, for each bag, the first-level keys that a document touches; an absent key
is left out.  A document's `{}` empties a bag, so it touches every key that was there.  If the stored bag is not an
object, an image holds it as it is: only a document that empties or replaces the bag is planned for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from auth0_meta.changes.jsonvalue import ABSENT, json_equal
from auth0_meta.changes.profile import object_in
from auth0_meta.redact import printable

Document = Mapping[str, Mapping[str, Any]]
Image = Mapping[str, Any]


def holds_object(image: Image, bag: str) -> bool:
    """Return whether a bag was an object when the image was made."""
    return isinstance(image.get(bag, {}), Mapping)


def broken_since(profile: Mapping[str, Any], document: Document, before: Image) -> list[str]:
    """Return the bags that `document` touches that are not objects now, and were in `before`.

    >>> broken_since({"app_metadata": "text"}, {"app_metadata": {"a": 1}}, {})
    ['app_metadata']
    """
    return [bag for bag in document if object_in(profile, bag) is None and holds_object(before, bag)]


def image_of(document: Document, profile: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `profile` holds under the keys that `document` touches.

    >>> image_of({"app_metadata": {"plan": "pro", "old": None}}, {"app_metadata": {"old": 1, "x": 2}})
    {'app_metadata': {'old': 1}}
    """
    image = {}
    for bag, keys in document.items():
        stored = object_in(profile, bag)
        if stored is None:
            image[bag] = profile[bag]
        else:
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


def differences(profile: Mapping[str, Any], document: Document, image: Image) -> Iterator[str]:
    """Yield the keys that `document` touches, as `bag.key`, and that are not in `profile` as they are in `image`.

    A bag that is, or was, not an object is yielded as a whole.
    """
    for bag, keys in document.items():
        stored, pictured = object_in(profile, bag), image.get(bag, {})
        if stored is None or not isinstance(pictured, Mapping):
            if not json_equal(profile.get(bag), pictured):
                yield bag
            continue
        for key in keys or {**pictured, **stored}:
            if not json_equal(stored.get(key, ABSENT), pictured.get(key, ABSENT)):
                yield printable(f"{bag}.{key}")


def holds(profile: Mapping[str, Any], document: Document, image: Image) -> bool:
    """Return whether the keys that `document` touches are in `profile` as they are in `image`."""
    return next(differences(profile, document, image), None) is None


def kept_note(kept: Sequence[str]) -> str:
    """Return in words why an undo has left these alone: keys as `bag.key`, and bags, as `undo_document` names them.

    >>> kept_note(["app_metadata.plan"])
    'changed since and left alone: app_metadata.plan'
    """
    changed = ", ".join(name for name in kept if "." in name)
    notes = [f"changed since and left alone: {changed}"] if changed else []
    for bag in (name for name in kept if "." not in name):
        notes.append(
            f"{bag} was not an object before the migration, and Auth0 takes nothing else back, so it stays as it is: "
            "the job file has what it was"
        )
    return "; ".join(notes)


def undo_document(
    profile: Mapping[str, Any], document: Document, before: Image, after: Image
) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Return the PATCH body that restores `before`, and the touched keys that hold neither image.

    Only keys that still hold what was written are restored: somebody may rely on what they wrote since.  A bag that
    was not an object can't be restored, because Auth0 takes only objects; it is named as a whole.

    >>> written = {"app_metadata": {"a": 2, "b": 2}}
    >>> undo_document({"app_metadata": {"a": 2, "b": 9}}, written, {}, written)
    ({'app_metadata': {'a': None}}, ['app_metadata.b'])
    """
    body: dict[str, dict[str, Any]] = {}
    kept = []
    for bag, keys in document.items():
        stored = object_in(profile, bag)
        if not holds_object(before, bag):
            if not json_equal(profile.get(bag), before[bag]):
                kept.append(bag)
            continue
        if stored is None:
            continue  # see `broken_since`
        for key in keys or before.get(bag, {}):
            now, was = stored.get(key, ABSENT), before.get(bag, {}).get(key, ABSENT)
            if json_equal(now, was):
                continue
            if json_equal(now, after.get(bag, {}).get(key, ABSENT)):
                body.setdefault(bag, {})[key] = None if was is ABSENT else was
            else:
                kept.append(printable(f"{bag}.{key}"))
    return body, kept
