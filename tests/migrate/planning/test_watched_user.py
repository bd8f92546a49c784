"""The user that a migration's function gets: it is read-only, otherwise behaves like a dict, and notes every look."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from auth0_meta import InputError, MetadataError
from auth0_meta.changes.change import Change
from auth0_meta.migrate.planning.watched_user import Reads, WatchedUser

PROFILE = {"user_id": "auth0|1", "email": "a@x", "app_metadata": {"a": {"b": 1, "c": [{}]}, "d": "x"}}


def seen(look: Callable[[Any], Any], **settings: Any) -> tuple[Any, list[list[str | None]]]:
    """Return what looking at the user returns, and which looks under the keys a and d were noted."""
    reads, change = Reads(), Change()
    found = look(WatchedUser(PROFILE, reads, **settings))
    staged = change.app_metadata.set("a.z", 1).set("d", 1)
    return found, reads.behind(change.with_bag("app_metadata", staged))


@pytest.mark.parametrize(
    ("look", "found", "noted"),
    [
        (lambda bag: bag["d"], "x", [["d"]]),
        (lambda bag: bag.get("d"), "x", [["d"]]),
        (lambda bag: bag.get("a") is not None, True, [["a", None]]),
        (lambda bag: bag["a"]["b"], 1, [["a", None], ["a", "b"]]),
        (lambda bag: bag["a"].get("nothing"), None, [["a", None], ["a", "nothing"]]),
        (lambda bag: bag["a"]["c"][0], {}, [["a", None], ["a", "c"]]),
        (lambda bag: "a" in bag, True, [["a", None]]),
        (lambda bag: 7 in bag, False, []),
        (lambda bag: bag.get("elsewhere"), None, []),
        (bool, True, [[]]),
        (len, 2, [[]]),
        (list, ["a", "d"], [[]]),
        (lambda bag: list(reversed(bag)), ["d", "a"], [[]]),
        (lambda bag: bag == PROFILE["app_metadata"], True, [[]]),
        (lambda bag: PROFILE["app_metadata"] != bag, False, [[]]),
        (lambda bag: list(bag["a"].keys()), ["b", "c"], [["a"]]),
        (lambda bag: list(bag["a"].values()), [1, [{}]], [["a"]]),
        (lambda bag: sorted(bag["a"].items())[0], ("b", 1), [["a"]]),
        (lambda bag: {**bag["a"]}, {"b": 1, "c": [{}]}, [["a"]]),
        (lambda bag: dict(bag["a"]), {"b": 1, "c": [{}]}, [["a"]]),
        (lambda bag: bag["a"] | {"e": 1}, {"b": 1, "c": [{}], "e": 1}, [["a"]]),
        (lambda bag: {"e": 1} | bag["a"], {"b": 1, "c": [{}], "e": 1}, [["a"]]),
        (lambda bag: bag["a"].copy(), {"b": 1, "c": [{}]}, [["a"]]),
        (lambda bag: copy.deepcopy(bag["a"]), {"b": 1, "c": [{}]}, [["a"]]),
        (lambda bag: json.dumps(bag["a"]), '{"b": 1, "c": [{}]}', [["a"]]),
        (lambda bag: str(bag["a"]), "{'b': 1, 'c': [{}]}", [["a"]]),
    ],
)
def test_every_look_is_noted(look: Callable[[Any], Any], found: Any, noted: list[list[str | None]]) -> None:
    """A look is noted and returns what a dict returns; looks under keys that are not staged are left out."""
    result, places = seen(lambda user: look(user.app_metadata))
    assert result == found
    assert [place[1:] for place in places if place[0] == "app_metadata"] == noted


def test_a_watched_user_reads_like_a_user() -> None:
    """Absent metadata reads as {} and still counts as absent; nothing can be assigned."""
    user = WatchedUser(PROFILE, Reads())
    assert (user.user_id, user.email, user.user_metadata, user.name) == ("auth0|1", "a@x", {}, None)
    assert "user_metadata" not in user
    assert "app_metadata" in user
    assert user["app_metadata"] == PROFILE["app_metadata"]
    assert "app_metadata(a" in repr(user)
    with pytest.raises(MetadataError, match=r"use tx.app_metadata.set\('a.b'"):
        user.app_metadata["a"]["b"] = 2  # type: ignore[index]  # what a caller may try


def test_a_field_that_was_not_requested_is_unknown() -> None:
    """A requested field that the user lacks is absent; reading any other field raises an error."""
    user = WatchedUser(PROFILE, Reads(), fields=("user_id", "name"))
    assert (user.name, user.get("name", "x"), user.email, "name" in user) == (None, "x", "a@x", False)
    for look in (lambda: user.get("nickname"), lambda: user["nickname"], lambda: "nickname" in user):
        with pytest.raises(InputError, match="--fields nickname"):
            look()
