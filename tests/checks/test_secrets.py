from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.json_strategies import json_values

from auth0_meta.checks import secrets

CANARY = "canary-7f3a"

# Assembled at run time, so that no scanner mistakes this file for a leak.
SECRETS = {
    "private key": "-----BEGIN " + "RSA PRIVATE KEY-----\nMIIEow",
    "PKCS 8 key": "-----BEGIN " + "PRIVATE KEY-----\nMIIEow",
    "JWT": "eyJhbGciOiJIUzI1NiJ9" + ".eyJzdWIiOiIxMjM0In0" + ".c2lnbmF0dXJl",
    "stripe": "sk_" + "live_4eC39HqLyjWDarjtT1zdp7dc",
    "aws": "AKIA" + "IOSFODNN7EXAMPLE",
    "github": "ghp_" + "a1B2" * 9,
    "github fine": "github_pat_" + "a1B2" * 9,
    "gitlab": "glpat-" + "a1B2" * 5,
    "slack": "xoxb-" + "1234567890-abcdef",
    "google": "AIza" + "a1B2c" * 7,
    "sendgrid": "SG." + "a1B2" * 5 + "." + "c3D4" * 8,
    "visa": "4111111111111111",
    "visa spaced": "4111 1111 1111 1111",
    "mastercard dashed": "5555-5555-5555-4444",
    "mastercard 2-series": "2223003122003222",
    "amex": "3782 822463 10005",
    "13 digits": "4222222222222",
    "19 digits": "4000000000000000006",
    "card in a text": "card: 4111 1111 1111 1111, exp 12/30",
}


@pytest.mark.parametrize("text", SECRETS.values(), ids=SECRETS)
def test_secrets_are_noticed_at_any_depth(text: str) -> None:
    """A secret or card number is found on its own and nested, with its path and never its value."""
    assert secrets.sensitive(text, ("note",)) is not None
    reason = secrets.sensitive({"list": ["x", {"deep": text}]}, ("prefs",))
    assert reason is not None
    assert "prefs.list.deep looks like" in reason
    assert text not in reason


# The beginnings of secrets, over and over: each is where a pattern may start, and none is where it ends.
HOSTILE = {
    "JWT": "-eyJ", "JWT, two parts": "eyJaaaaaaaa.", "JWT, short parts": " eyJaaaaaaaa.bbbbbbb",
    "key": "-----BEGIN ", "key, letters": "-----BEGIN A ", "key, one letter": "A ", "key, words": "-----BEGIN " + "A" * 30 + " ",
    "aws": "AKIA0123456789ABCDE", "stripe": "sk_live_", "github": "gho_", "github fine": "github_pat_",
    "gitlab": "glpat-", "slack": "xoxb-", "google": "AIza", "sendgrid": "SG.", "sendgrid, part": "-SG.aaaaaaaaaaaaaaaa",
    "digits": "4", "digits spaced": "4 ", "digits dashed": "4-", "two digits": " 41", "letter": "a", "dash": "-",
}  # fmt: skip


@pytest.mark.parametrize("unit", HOSTILE.values(), ids=HOSTILE)
def test_a_megabyte_of_hostile_text_is_read_once(unit: str) -> None:
    """No text makes a pattern read the rest of it from each of its characters: that would take many minutes."""
    long, short = unit * (1_000_000 // len(unit)), unit * 40
    assert secrets.sensitive([long], ("bio",)) == secrets.sensitive([short], ("bio",))


def test_the_first_64_kilobytes_of_a_text_are_examined() -> None:
    """A secret may begin in them; the rest of a longer text is not examined, so that staging it takes no time."""
    secret = " " + SECRETS["stripe"]
    assert secrets.sensitive("x" * (65_536 - len(secret)) + secret, ("bio",)) is not None
    assert secrets.sensitive("x" * 65_536 + secret, ("bio",)) is None


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "passwd",
        "secret",
        "client_secret",
        "clientSecret",
        "api_key",
        "API-KEY",
        "private_key",
        "ssn",
        "cvv",
    ],
)
def test_a_string_under_a_suspicious_name_is_a_secret(name: str) -> None:
    """It does not matter what the string looks like and how the name is spelled."""
    reason = secrets.sensitive({name: CANARY}, ("account",))
    assert reason is not None
    assert f"account.{name}" in reason
    assert CANARY not in reason
    assert secrets.sensitive(CANARY, (name,)) is not None


@pytest.mark.parametrize(
    "value",
    [
        *("", "dark", "a longer text about nothing", "sk_live_", "AKIA", "eyJ.a.b", "xoxb-1"),
        *("1700000000000", "+4915112345678901", "4111111111111112", "123e4567-e89b-12d3-a456-426614174000"),
        *(
            "103547991597142817347",
            "2026-11-23T19:38:00.000Z",
            "9999999999999995",
            "411111111111",
            "ord-4111111111111111",
        ),
        *(None, True, 4111111111111111, 1.5, [], {}),
        {"password_changed_at": "2026-11-23"},
        {"password": ""},
        {"password": True},
        {"secretary": "Ada"},
        ["fi", {"tokens": 3}],
    ],
    ids=repr,
)
def test_ordinary_values_are_left_alone(value: Any) -> None:
    """Times, ids, phone numbers, numbers with a wrong check digit and harmless names do not warn."""
    assert secrets.sensitive(value, ("prefs",)) is None


@given(json_values, st.sampled_from(list(SECRETS.values())))
def test_a_reason_never_contains_the_value(value: Any, secret: str) -> None:
    """Whatever is around it, the text of the secret is not in the reason."""
    reason = secrets.sensitive([value, secret], ("k",))
    assert reason is not None
    assert secret not in reason
