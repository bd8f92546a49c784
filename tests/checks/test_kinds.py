from __future__ import annotations

import shlex
from typing import get_args

import pytest

from auth0_meta.checks.kinds import KINDS, KindName, Severity, writable


def test_the_table_has_every_kind_and_words_for_it() -> None:
    """Each kind is found by its name, has a sentence and a next step, and the worst come first."""
    assert set(KINDS) == set(get_args(KindName))
    for name, kind in KINDS.items():
        assert kind.name == name
        assert kind.title
        assert kind.meaning.endswith(".")
        assert kind.advice.endswith(".")
    severities = [get_args(Severity).index(kind.severity) for kind in KINDS.values()]
    assert severities == sorted(severities)


def test_commands_name_the_paths() -> None:
    """A shell reads each path as one word, whatever is in it."""
    paths = ["app_metadata.history", "user_metadata.it's $(rm -rf ~); a `b` \\"]
    for kind in KINDS.values():
        for command in kind.next_commands(paths):
            words = shlex.split(command)
            assert words[:2] in (["auth0-meta", "offload"], ["auth0-meta", "migrate"])
            assert words[1] == "migrate" or words[2:4] == paths
            assert "PATHS" not in command


def test_a_command_without_a_path_is_left_out() -> None:
    """The others stay."""
    (left,) = KINDS["growing_list"].next_commands(["app_metadata.<date>"])
    assert left.startswith("auth0-meta migrate plan ")
    assert KINDS["unsearchable"].next_commands([]) == ()


@pytest.mark.parametrize(
    ("paths", "named"),
    [
        (["app_metadata.a", "app_metadata.a.b", "app_metadata.ab"], ("app_metadata.a", "app_metadata.ab")),
        (["app_metadata.a.<uuid>", "app_metadata.a.<date>"], ("app_metadata.a",)),
        (["app_metadata.a.mfa_<id>.b"], ("app_metadata.a",)),
        (["app_metadata.<uuid>", "app_metadata", "", "identities"], ()),
        (["app_metadata.a\u202eb", "app_metadata.a\nb", "app_metadata.å"], ("app_metadata.å",)),
    ],
    ids=["inside another", "templates", "template in a key", "no fixed key", "controls"],
)
def test_paths_that_a_command_can_name(paths: list[str], named: tuple[str, ...]) -> None:
    """They are fixed, complete and printable."""
    assert writable(paths) == named
