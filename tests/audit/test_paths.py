"""The paths of an audit take bounded memory, and what is given up for that is counted where it went."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from auth0_meta.audit import audit, paths
from auth0_meta.audit.examine import Examiner
from auth0_meta.audit.paths import Node, Tally

SECRET = "AKIAIOSFODNN7EXAMPLE"


def word(n: int) -> str:
    """Return a name that looks like any other, another one for each number."""
    return "k" + "".join(chr(97 + int(digit)) for digit in str(n))


def user(n: int, app: Any) -> dict[str, Any]:
    """Return a profile."""
    return {"user_id": f"auth0|{n}", "app_metadata": app}


def examined(profiles: Iterator[dict[str, Any]]) -> tuple[Examiner, int]:
    """Return what has examined profiles, and how many paths it had at most."""
    examiner, most = Examiner(everything=True), 0
    for profile in profiles:
        examiner.add(profile["user_id"], profile, 100)
        found = sum(1 for root in examiner._paths.roots.values() for _ in root.walk())
        most = max(most, found)
    return examiner, most


@pytest.fixture(autouse=True)
def small_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let ten keys be many, and two hundred paths."""
    monkeypatch.setattr(paths, "MOST_CHILDREN", 10)
    monkeypatch.setattr(paths, "MOST_PATHS", 200)


def found(profiles: Iterator[dict[str, Any]]) -> dict[tuple[str, str], int]:
    """Return the users by kind and path."""
    return {(one.kind, one.path): one.users for one in audit(profiles).findings}


def test_rare_keys_are_counted_together_and_each_user_once() -> None:
    """Also if a user has several of them, and whenever they were counted together; a fixed key stays."""
    profiles = (
        user(n, {"plan": "x", "carts": {word(3 * n + i): {"note": SECRET} for i in range(3)}})
        for n in range(300)
    )
    assert found(profiles) == {
        ("dynamic_keys", "app_metadata.carts.<key>"): 300,
        ("secret", "app_metadata.carts.<key>.note"): 300,
    }


def test_a_fixed_key_among_many_rare_ones_is_kept_although_it_comes_late() -> None:
    """What many users have is a name, and is found by it."""

    def profiles() -> Iterator[dict[str, Any]]:
        for n in range(300):
            yield user(n, {word(n): 1} | ({"b": [0] * 101} if n > 100 else {}))

    assert found(profiles()) == {
        ("dynamic_keys", "app_metadata.<key>"): 300,
        ("growing_list", "app_metadata.b"): 199,
    }


def test_one_user_with_any_number_of_keys_takes_bounded_memory() -> None:
    """The rest of them is counted together at once."""
    _, most = examined(iter([user(1, {word(n): {word(n): n} for n in range(5_000)})]))
    assert most < 500
    profiles = [user(1, {word(n): n for n in range(5_000)}), user(2, {word(0): 1})]
    assert found(iter(profiles))["dynamic_keys", "app_metadata.<key>"] in (1, 2)


def test_a_tree_of_paths_is_bounded_as_a_whole() -> None:
    """With few keys at each parent too; the report says so, and no finding is lost."""

    def deep(n: int) -> Any:
        value: Any = SECRET
        for _ in range(8):
            n, digit = divmod(n, 4)
            value = {f"part_{'abcd'[digit]}": value}
        return value

    profiles = [user(n, deep(n * 7919 % 65_536)) for n in range(500)]
    examiner, most = examined(iter(profiles))
    assert most < 600
    report = audit(profiles)
    assert sum(one.users for one in report.findings if one.kind == "secret") == 500
    assert report.notes == ("there are so many paths that the rarest keys are counted together as <key>",)
    assert not [one for one in report.findings if one.kind == "dynamic_keys"]
    assert examiner.users == 500


def test_long_keys_are_not_kept() -> None:
    """A key may have a megabyte; no path shows it."""
    assert found(iter([user(1, {"x" * 101: {"a": SECRET}})])) == {
        ("dynamic_keys", "app_metadata.<text>"): 1,
        ("secret", "app_metadata.<text>.a"): 1,
    }


def test_a_tally_counts_a_user_once() -> None:
    """However often the user is added, and in whatever parts the others come."""
    tally, other = Tally(), Tally()
    for n in (1, 1, 2, 3, 3):
        tally.add(n, f"u{n}")
    for n in (3, 4):
        other.add(n, f"u{n}")
    tally.absorb([other])
    assert (tally.users, tally.ids) == (4, ["u1", "u2", "u3", "u4"])
    many = Tally()
    for n in range(10, 20):
        many.add(n, f"u{n}")
    tally.absorb([many])
    assert (tally.users, len(tally.ids)) == (14, 5)


def test_a_path_is_shown_with_its_bag() -> None:
    """Keys have dots between them."""
    node = Node(Node(Node(None, "app_metadata"), "a"), "b")
    assert (node.path, node.keys, node.depth) == ("app_metadata.a.b", ("a", "b"), 2)
