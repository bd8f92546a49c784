"""Switches take only values that they can have, from Python and from the shell."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import attrs
import pytest

from auth0_meta.cli import main
from auth0_meta.emulator import Switches
from auth0_meta.emulator.rules.switches import read_switch
from auth0_meta.errors import ConfigError

NAMES = [field.name for field in attrs.fields(Switches)]


@pytest.mark.parametrize("name", NAMES)
def test_every_default_is_read_back_from_a_text(name: str) -> None:
    """What a switch is by default can be written as NAME=VALUE, so every switch can be set from the shell."""
    default = getattr(Switches(), name)
    text = (
        "none"
        if default is None
        else str(default).lower()
        if isinstance(default, bool)
        else f"{default:g}"
        if isinstance(default, float)
        else default
    )
    assert read_switch(f"{name}={text}") == (name, default)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [b"x", [], -1, float("nan"), 10**13])
def test_what_a_switch_can_not_be_is_refused(name: str, value: Any) -> None:
    """The error names the switch and what it can be."""
    with pytest.raises(ConfigError, match=f"the switch {name} can be "):
        Switches(**{name: value})


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("profile_limit=none", None),
        ("profile_limit=Null", None),
        ("profile_limit=0", 0),
        ("token_limit_status=500", 500),
        ("code_lifetime=30", 30),
        ("email_change_unverifies=false", False),
        ("dotted_error_code=123", "123"),
        ("forbidden_name_message=a = b", "a = b"),
        ("login_failure_description=none", "none"),
        ("profile_limit_status=599", 599),
    ],
)
def test_a_text_is_read_as_the_switch_needs_it(text: str, value: Any) -> None:
    """A number, a word or a text, whichever the switch takes; only those that can be None take `none` for it."""
    name, read = read_switch(text)
    assert (name, read, type(read)) == (text.partition("=")[0], value, type(value))
    assert getattr(Switches(**{name: read}), name) == value


@pytest.mark.parametrize(
    ("text", "about"),
    [
        ("profile_limt=none", "did you mean profile_limit?"),
        ("profile_limit", "NAME=VALUE"),
        ("x=1", "one that there is"),
        ("profile_limit=ten", "can be a number or none"),
        ("profile_limit=-1", "can be a number or none"),
        ("profile_limit=9999999999999", "can be a number or none"),
        ("profile_limit_status=200", "from 400 to 599"),
        ("nested_null=keep", "can be store or drop"),
        ("token_limit_status=400", "can be 429 or 500"),
        ("error_rate_headers=1", "can be true or false"),
    ],
)
def test_a_text_that_means_nothing_is_refused(text: str, about: str) -> None:
    """The error says what the switch can be, or which one was probably meant."""
    with pytest.raises(ConfigError) as raised:
        read_switch(text)
    assert about in str(raised.value)


def test_a_pattern_must_be_a_regular_expression() -> None:
    """The error comes when the switches are made, and not with the first client."""
    with pytest.raises(ConfigError, match="regular expression"):
        Switches(client_id_format="[")


def test_the_command_line_sets_switches(capsys: pytest.CaptureFixture[str]) -> None:
    """`--switch` may be given several times; a wrong one is an error of usage, and nothing starts."""
    program = (
        "import os, requests\n"
        "url, headers = os.environ['AUTH0_URL'] + '/api/v2/users', {'Authorization': 'Bearer x'}\n"
        "user = {'connection': 'Username-Password-Authentication', 'user_id': '1', 'app_metadata': {'a': 'x' * 200_000}}\n"
        "print(requests.post(url, json=user, headers=headers, timeout=20).status_code)\n"
    )
    run = [sys.executable, "-c", program]
    given = ["--switch", "profile_limit=none", "--switch", "new_user_credentials=accept"]
    command = [sys.executable, "-m", "auth0_meta", "emulator", "exec", *given, "--", *run]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout) == (0, "201\n")
    assert main(["emulator", "serve", "--switch", "profile_limt=3"]) == 2
    assert "did you mean profile_limit?" in capsys.readouterr().err
