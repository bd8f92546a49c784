"""What looks like a secret: every pattern with a hit and a near miss, and hardly a false alarm among random texts."""

from __future__ import annotations

import json
import random
import string
import time
import uuid
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.json_strategies import json_values

from auth0_meta.checks import secrets, tokens
from auth0_meta.checks.cards import FEWEST_DIGITS, MOST_DIGITS, has_card_shape
from auth0_meta.checks.numbers import LONGEST_BY_CHANCE, by_chance
from auth0_meta.checks.secrets import secret, secret_number, sensitive
from auth0_meta.checks.shapes import MOST

CANARY = "canary-7f3a"
HEX32 = "0123456789abcdef" * 2
MIXED = "a1B2c3D4e5F6g7H8" * 8

# Assembled at run time, so that no scanner mistakes this file for a leak: a hit, and a near miss.
TOKENS = {
    "a private key": [
        ("-----BEGIN " + "PRIVATE KEY-----\nMIIEow", "-----BEGIN " + "PUBLIC KEY-----\nMIIEow"),
        ("-----BEGIN " + "RSA PRIVATE KEY-----\nMIIEow", "-----BEGIN " + "CERTIFICATE-----\nMIIEow"),
        ("-----BEGIN " + "PGP PRIVATE KEY BLOCK-----", "a PRIVATE KEY-----, it says"),
        ("PuTTY-" + "User-Key-File-3: ssh-ed25519", "PuTTY-User-Key-Files"),
        ("AGE-SECRET-" + "KEY-1" + "QP3" * 19, "AGE-SECRET-KEY-1"),
    ],
    "a JSON Web Token": [
        ("eyJhbGciOiJIUzI1NiJ9" + ".eyJzdWIiOiIxMjM0In0" + ".c2lnbmF0dXJl", "eyJhbGciOiJIUzI1NiJ9.a.b"),
        ("eyJhbGciOiJkaXIifQ" + ".." + MIXED[:20] + ".b.c", "eyJhbGciOiJkaXIifQ"),
        ("Bearer eyJhbGciOiJIUzI1NiJ9" + ".eyJzdWIiOiIxMjM0In0.", "xeyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.x"),
    ],
    "an AWS access key": [("AKIA" + "IOSFODNN7EXAMPLE", "AKIAIOSFODNN7EXAMPLES"), ("ASIA" + "IOSFODNN7EXAMPLE", "ASIA and Europe, 2026")],
    "a GitHub token": [
        *((f"gh{c}_" + MIXED[:36], f"gh{c}_" + MIXED[:29]) for c in "oprsu"),
        ("github_pat_" + MIXED[:36], "github_pat_" + MIXED[:29]),
    ],
    "a GitLab token": [
        *((f"{c}-" + MIXED[:20], f"{c}-" + MIXED[:19]) for c in ("glpat", "gldt", "glrt", "glptt", "glsoat", "glcbt")),
        ("glpat-" + MIXED[:20], "xglpat-" + MIXED[:20]),
    ],
    "a Slack token": [
        *((f"xox{c}-" + "1234567890-abcdef", f"xox{c}-1") for c in "abeoprs"),
        ("xapp-" + "1-A0123-4567-abcdef", "xapp-1"),
    ],
    "a Slack webhook": [("https://hooks.slack.com/" + "services/T0/B0/" + MIXED[:24], "https://hooks.slack.com/services")],
    "a Discord webhook": [("https://discord.com/api/" + "webhooks/123456789012345678/" + MIXED[:68], "/api/webhooks/123/abc, and more")],
    "a Stripe key": [
        ("sk_" + "live_4eC39HqLyjWDarjtT1zdp7dc", "sk_live_"),
        ("sk_" + "live_4eC39HqLyjWDarjtT1zdp7dc", "task_live_4eC39HqLyjWDarjtT1zdp7dc"),
        ("rk_" + "test_4eC39HqLyjWDarjtT1zdp7dc", "pk_live_4eC39HqLyjWDarjtT1zdp7dc"),
        ("whsec_" + MIXED[:32], "whsec_" + MIXED[:23]),
    ],
    "a Google API key": [("AIza" + MIXED[:35], "AIza" + MIXED[:34])],
    "a Google token": [("ya29." + MIXED[:40], "ya29." + MIXED[:19])],
    "a Google client secret": [("GOCSPX-" + MIXED[:28], "GOCSPX-" + MIXED[:19])],
    "a SendGrid key": [("SG." + MIXED[:22] + "." + MIXED[:43], "SG." + MIXED[:22] + " " + MIXED[:43])],
    "an npm token": [("npm_" + MIXED[:36], "npm_" + MIXED[:35])],
    "a PyPI token": [("pypi-" + "AgEIcHlwaS5vcmc" + MIXED[:60], "pypi-AgEIcHlwaS5vcmc")],
    "an API key": [
        ("sk-" + MIXED[:48], "sk-" + MIXED[:31]),
        ("sk-" + "proj-" + MIXED[:40], "task-" + MIXED[:48]),
        ("sk-" + "ant-api03-" + MIXED[:40], "sk-fading-circle-of-dots"),
    ],
    "a Twilio key": [("SK" + HEX32, "SK" + HEX32[:31])],
    "a Mailgun key": [("key-" + HEX32, "monkey-" + HEX32)],
    "an Azure key": [
        ("AccountName=a;Account" + "Key=" + MIXED[:86] + "==", "AccountKey=..."),
        ("Endpoint=sb://a/;SharedAccess" + "Key=" + MIXED[:43] + "=", "SharedAccessKeyName=Root"),
    ],
    "an Azure client secret": [("abc8" + "Q~" + MIXED[:34], "abcd8Q~" + MIXED[:34]), ("abc8" + "Q~" + MIXED[:31], "abc8Q~" + MIXED[:30])],
    "an Auth0 refresh token": [("v1." + "M" + MIXED[:60], "v1.M" + MIXED[:29])],
    "an Auth0 token": [("Fe26" + ".2**" + HEX32 * 2 + "*abc", "Fe26.2 is a version of it")],
    "a DigitalOcean token": [("dop_" + "v1_" + HEX32 * 2, "api_v1_" + HEX32 * 2)],
    "a Shopify token": [
        (f"{c}_" + HEX32, f"{c}_" + HEX32[:31]) for c in ("shpat", "shpca", "shppa", "shpss")
    ],
    "a Square token": [("sq0" + "atp-" + MIXED[:22], "sq0atp-" + MIXED[:21])],
    "a Facebook token": [("EAA" + MIXED[:100], "EAA" + MIXED[:79])],
    "a Telegram token": [("123456789:" + "AA" + MIXED[:33], "123456789:AA" + MIXED[:32])],
    "a Hugging Face token": [("hf_" + MIXED[:34], "hf_" + MIXED[:33])],
    "a Docker token": [("dckr_" + "pat_" + MIXED[:27], "dckr_pat_" + MIXED[:19])],
    "a Databricks token": [("dapi" + HEX32, "dapi" + HEX32[:31])],
    "an Atlassian token": [("ATATT3" + MIXED[:60], "ATATT3" + MIXED[:49])],
    "a Vault token": [("hvs." + MIXED[:24], "hvs." + MIXED[:23])],
    "a Grafana token": [("glsa_" + MIXED[:32] + "_abcdef01", "glsa_" + MIXED[:31])],
    "a Linear key": [("lin_" + "api_" + MIXED[:40], "lin_api_" + MIXED[:31])],
    "a Postman key": [("PMAK-" + HEX32[:24] + "-" + HEX32 + "ab", "PMAK-" + HEX32[:24])],
    "a New Relic key": [("NRAK-" + "A1B2C3D4E5F6G7H8J9K0L1M2N3P", "NRAK-A1B2C3D4")],
    "a Supabase key": [("sbp_" + HEX32 + "01234567", "sbp_" + HEX32)],
    "a password hash": [
        *((f"$2{c}$" + "10$" + MIXED[:53], f"$2{c}$10$" + MIXED[:52]) for c in "abxy"),
        ("$argon2" + "id$v=19$m=65536,t=3,p=4$c2FsdA$aGFzaA", "$argon2 is a password hash"),
        ("$scrypt$" + "ln=16,r=8,p=1$c2FsdA$aGFzaA", "$scrypt$ as such, not a hash"),
        ("$pbkdf2-" + "sha256$29000$c2FsdA$aGFzaA", "$pbkdf2 is a password hash"),
        ("pbkdf2_" + "sha256$600000$c2FsdA$aGFzaA=", "pbkdf2_sha256 is a password hash"),
        ("$1$" + "c2FsdA$" + MIXED[:22], "$1$c2FsdA$" + MIXED[:21]),
        ("$6$" + "rounds=5000$c2FsdA$" + MIXED[:86], "$6$ a month, or $66 a year"),
        ("$5$" + "c2FsdA$" + MIXED[:43], "costs $5$ or more than that"),
        ("$P$" + "B" + MIXED[:30], "$P$" + MIXED[:32]),
        ("{SSHA}" + MIXED[:32], "{SSHA} is a scheme of LDAP"),
    ],
    "a secret of one-time passwords": [("otpauth://" + "totp/a?secret=JBSWY3DPEHPK3PXP", "otpauth://is a scheme of URLs")],
    "a URL with a password": [
        ("postgres://ada:" + "hunter2@db.example.com/app", "postgres://ada@db.example.com/app"),
        ("redis://:" + "p4ss@h", "http://localhost:8080/@ada"),
        ("see mongodb+srv://u:" + "pw@cluster0.example.net/x", "https://ada:***@example.com"),
        ("https://x:" + "ghx@example.com", "https://user:<password>@example.com/path"),
    ],
    "a URL with a token": [
        ("https://example.com/?access_" + "token=" + MIXED[:20], "?access_token=" + MIXED[:15]),
        ("client_" + "secret=" + MIXED[:20], "client_secret=" + MIXED[:15]),
    ],
    "a header with a token": [("Bearer " + MIXED[:24], "Bearer of international-news"), ("bearer " + MIXED[:24], "forbearer " + MIXED[:24])],
    "a header with a password": [
        ("Basic " + "QWxhZGRpbjpvcGVuIHNlc2FtZQ==", "Basic subscription"),
        ("Authorization: basic " + "dXNlcjpwYXNz", "basic understanding of it"),
        ("Basic " + "dXNlcjpwYXNzd29yZA", "Basic QWxhZGRpbiBhbmQgbW9yZQ"),
    ],
}  # fmt: skip
HITS = [(what, hit) for what, pairs in TOKENS.items() for hit, _ in pairs]
MISSES = [(what, miss) for what, pairs in TOKENS.items() for _, miss in pairs]

NUMBERS = {
    "a card number": [
        ("4111111111111111", "4111111111111112"),
        ("4111 1111 1111 1111", "4111 1111 1111 1112"),
        ("4111.1111.1111.1111", "4111 1111.1111 1111"),
        ("5555-5555-5555-4444", "5555-5555-5555-4444-1"),
        ("2223003122003222", "2220003122003225"),  # a right check digit, but no network
        ("2720992593319364", "2721992593319362"),
        ("3782 822463 10005", "3782 822463 10006"),
        ("378282246310005", "358282246310007"),
        ("30569309025904", "31569309025903"),
        ("3056 930902 5904", "3056 930902 5905"),
        ("6011111111111117", "6012111111111116"),
        ("3530111333300000", "3527111333300003"),
        ("6200000000000005", "6300000000000004"),
        ("4000000000000000006", "40000000000000006"),
        ("4000 0000 0000 0000 006", "4000 0000 0000 0000 007"),
        ("card: 4111 1111 1111 1111, exp 12/30", "order/4111111111111111"),
        ("pay with 4111111111111111.", "4111111111111111.5"),
        ('{"card":"4111111111111111"}', "ord-4111111111111111"),
    ],
    "a bank account number": [
        ("DE89 3704 0044 0532 0130 00", "DE88 3704 0044 0532 0130 00"),
        ("FI2112345600000785", "FI21123456000007851"),
        ("pay to GB82WEST12345698765432, please", "XX82WEST12345698765432"),
        ("NO9386011117947", "nNO9386011117947"),
    ],
    "a national id (USA)": [
        ("219-09-9999", "219-09-0000"),
        ("my number is 219-09-9999", "666-09-9999"),
        ("899-01-0001", "900-01-0001"),
        ("001-01-0001", "000-01-0001"),
        ("219-09-9999.", "219-00-9999"),
        ("(219-09-9999)", "1219-09-9999"),
        ("x: 219-09-9999", "x-219-09-9999"),
    ],
    "a national id (Finland)": [
        ("131052-308T", "131052-308U"),
        ("010101+123N", "010101+123M"),
        ("010101A123N", "320101A123N"),
        ("131052-3140", "131052-3141"),
        ("hetu 131052-308T", "a131052-308T"),
    ],
    "a national id (Sweden)": [
        ("811218-9876", "811218-9875"),
        ("19811218-9876", "21811218-9876"),
        ("811278-9873", "811238-9870"),
    ],
    "a national id (Norway)": [("010100 00110", "010100 00111")],
    "a national id (Brazil)": [("111.444.777-35", "111.444.777-36"), ("529.982.247-25", "111.111.111-11")],
    "a national id (Belgium)": [("85.07.30-033.28", "85.07.30-033.27"), ("00.01.25-003.30", "00.25.25-003.30")],
    "a national id (Switzerland)": [("756.9217.0769.85", "756.9217.0769.84"), ("756.9217.0769.85", "757.9217.0769.85")],
    "a national id (France)": [("2 55 08 14 168 025 38", "2 55 08 14 168 025 39"), ("1 85 05 2A 006 084 35", "9 85 05 2A 006 084 35")],
    "a national id (India)": [("2341 2341 2346", "2341 2341 2347"), ("2341 2341 2346", "call 2341 2341 2346")],
    "a national id (China)": [("11010519491231002X", "110105194912310021"), ("440524198001010013", "01010519491231002X")],
    "a national id (Italy)": [("RSSMRA85T10A562S", "RSSMRA85T10A562T")],
    "a national id (Mexico)": [("HEGG560427MVZRRL04", "HEGG561327MVZRRL04")],
    "a national id (United Kingdom)": [("AB 12 34 56 C", "GB 12 34 56 C"), ("JG 10 37 59 A", "JG 10 37 59 E")],
    "a national id (Spain)": [("12345678-Z", "12345678-A"), ("X-1234567-L", "X-1234567-M")],
}  # fmt: skip
NUMBER_HITS = [(what, hit) for what, pairs in NUMBERS.items() for hit, _ in pairs]
NUMBER_MISSES = [(what, miss) for what, pairs in NUMBERS.items() for _, miss in pairs]


@pytest.mark.parametrize(("what", "text"), HITS + NUMBER_HITS)
def test_a_secret_is_recognized_alone_and_in_a_text(what: str, text: str) -> None:
    """Whatever the key, and at the end of a megabyte too."""
    assert secret(text) == what
    assert secret(text, "note") == what
    if secret(f"a {text}, b") is not None:  # what is known by its check digit counts only if it stands alone
        assert secret(f"({text}) ä") == secret(f"see {text},") == what
        assert secret("lorem ipsum, dolor. " * 50 + text) == what


@pytest.mark.parametrize(("what", "text"), MISSES + NUMBER_MISSES)
def test_a_near_miss_is_harmless(what: str, text: str) -> None:
    """What lacks a letter, a digit or a boundary is not reported."""
    assert secret(text, "note") is None


def test_every_token_has_a_hit() -> None:
    """The table of this file has every row of the table of tokens."""
    for row, pattern in tokens._rows():
        assert any(what == row.what and pattern.search(hit) and row.anchor in hit for what, hit in HITS), row
        assert row.pattern.replace("\\", "").startswith(row.anchor)
        assert len(row.anchor) >= 2


# Names ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        *("password", "passwd", "secret", "client_secret", "clientSecret", "api_key", "API-KEY", "private_key", "ssn", "cvv"),
        *("dbPassword", "db_password", "dbpassword", "github_access_token", "GITHUB_ACCESS_TOKEN", "stripeSecretKey", "refreshTokens"),
        *("salasana", "пароль", "db_pass", "lösenord", "Passwort", "mot_de_passe", "contraseña", "wachtwoord", "senha", "passord"),
        *("password_hash", "hashedPassword", "recovery-codes", "securityAnswer", "seed_phrase", "userPassword", "new_password"),
    ],
)  # fmt: skip
def test_any_text_under_a_name_for_secrets_is_one(name: str) -> None:
    """It does not matter what the text looks like and how the name is spelled."""
    assert secret(CANARY, name) == secrets.BY_NAME
    reason = sensitive({name: [CANARY]}, ("account",))
    assert reason == f"account.{name} has a name that is used for secrets"


@pytest.mark.parametrize(
    "name",
    [
        *("secretary", "password_changed_at", "passwordExpires", "has_password", "reset_password", "secret_question", "password_hint"),
        *("boarding_pass", "keyboard", "key", "keys", "public_key", "passport_color", "passage", "compass", "pinned", "pincode", "tokenized", "is_secret"),
    ],
)  # fmt: skip
def test_names_about_secrets_hold_none(name: str) -> None:
    """They contain the word only."""
    assert secret(CANARY, name) is None


@pytest.mark.parametrize(
    "text", ["", "***", "••••••••", "**** 1111", "xxxx-xxxx", "[redacted]", "<REDACTED>", "none", "N/A", "true", "changed", "..."]
)  # fmt: skip
def test_what_stands_in_place_of_a_secret_is_none(text: str) -> None:
    """A mask under a telling name is what a careful program writes."""
    assert secret(text, "password") is None
    assert secret(text, "card_number") is None


def test_a_long_text_is_no_mask() -> None:
    """Nobody hides a value behind a page of stars."""
    assert secret("*" * 64, "password") is None
    assert secret("*" * 65, "password") == secrets.BY_NAME


def test_a_token_by_name_must_look_random() -> None:
    """A name such as invite_token is enough for a long word with digits and letters only."""
    assert secret(MIXED[:16], "invite_token") == secrets.BY_NAME
    assert secret(str(uuid.UUID(int=7)), "csrfToken") == secrets.BY_NAME
    assert secret(MIXED[:15], "invite_token") is None
    assert secret("1234567890123456", "tokens") is None
    assert secret("abcdefghijklmnopqr", "token") is None
    assert secret("a1 b2 c3 d4 e5 f6 g7", "token") is None
    assert secret(MIXED[:20], "push_token") is None, "it belongs to the device: device_state"
    assert secret(MIXED[:20], "note") is None


@pytest.mark.parametrize(
    ("name", "text"),
    [
        *(("personnummer", "8112189876"), ("henkilotunnus", "131052-308T"), ("henkilötunnus", "131052308U"), ("HETU", "131052 308T")),
        *(("cpr_nr", "070761-4285"), ("fødselsnummer", "01010000110"), ("bsn", "111222333"), ("burgerServiceNummer", "1112.22.333")),
        *(("codice_fiscale", "rssmra85t10a562s"), ("dni", "12345678Z"), ("pesel", "44051401359"), ("steuerId", "36574261809")),
        *(("cpf", "11144477735"), ("aadhaar", "234123412346"), ("ssn_number", "219099999"), ("nationalInsuranceNumber", "AB123456C")),
        *(("passport_number", "X1234567"), ("driversLicense", "D123-4567"), ("social_security_no", "219 09 9999"), ("iban", "FI21 1234 5600 0007 85")),
        *(("rodne_cislo", "710319/2745"), ("isikukood", "37605030299"), ("customerNationalId", "123456"), ("niss", "85073003328")),
        *(("rut", "12.345.678-5"), ("sin", "046 454 286"), ("tfn", "123456782"), ("nie", "X1234567A"), ("idCard", "AB1234567")),
    ],
)  # fmt: skip
def test_digits_under_a_name_for_people_are_a_national_id(name: str, text: str) -> None:
    """Check digits don't matter then: a typing error is a person's number too."""
    assert secret(text, name) == secrets.NATIONAL_ID
    assert sensitive({name: text}, ("account",)) == f"account.{name} looks like a national id"


@pytest.mark.parametrize(
    "text",
    ["FI", "yes", "12345", "verified 2019", "see the file of 2019-2020, 2021 and of 2022 in the archive"],
)
def test_few_digits_under_a_name_for_people_are_none(text: str) -> None:
    """A country or a state of the check may be stored there."""
    assert secret(text, "passport") is None


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        *(("131052-308T", "131052-308U"), ("8112189876", "8112189875"), ("198112189876", "198112189875")),
        *(("01010000110", "01010000111"), ("0707614285", "0707614286"), ("111222333", "111222334"), ("85073003328", "85073003327")),
        *(("255081416802538", "255081416802539"), ("12345678Z", "12345678A"), ("X1234567L", "X1234567M"), ("12345678-Z", "12345678-A")),
        *(("RSSMRA85T10A562S", "RSSMRA85T10A562T"), ("44051401359", "44051401358"), ("36574261809", "36574261808")),
        *(("11144477735", "11144477736"), ("2341 2341 2346", "2341 2341 2348"), ("7569217076985", "7569217076984")),
        *(("11010519491231002X", "110105194912310023"), ("37605030299", "37605030298"), ("37605030064", "37605030065"), ("7103192745", "7103192746")),
        *(("AB123456C", "GB123456C"), ("HEGG560427MVZRRL04", "HEGG561327MVZRRL04"), ("501964843", "501964842"), ("130692544", "130692543")),
    ],
)  # fmt: skip
def test_an_ambiguous_name_needs_a_right_check_digit(right: str, wrong: str) -> None:
    """An id_number may be anything; 2-letter codes and dates in it count as check digits do."""
    assert secret(right, "id_number") == secrets.NATIONAL_ID
    assert secret(right, "taxId") == secrets.NATIONAL_ID
    assert secret(wrong, "id_number") is None


def test_card_names() -> None:
    """Twelve digits or more under a name for cards are one, whatever the network and check digit."""
    assert secret("4222222222222", "card_number") == "a card number"
    assert secret("1234 5678 9012 3456", "creditCard") == "a card number"
    assert secret("123456789012", "cardNo") == "a card number"
    assert secret("12345678901", "cardNo") is None
    assert secret("visa", "credit_card") is None
    assert secret("visa-123456789012", "card") is None
    assert secret("4222222222222", "note") is None, "German phone numbers look like the old ones of 13 digits"


@pytest.mark.parametrize(
    "name",
    [
        "order_id",
        "orderNumbers",
        "phone",
        "external-id",
        "imei",
        "trackingCode",
        "timestamp",
        "discord",
        "userIds",
    ],
)
def test_digits_under_a_name_for_other_numbers_are_no_card(name: str) -> None:
    """Unless separators say so."""
    assert secret("4111111111111111", name) is None
    assert secret("4111 1111 1111 1111", name) == "a card number"


def test_numbers_are_secret_by_name_only() -> None:
    """A JSON number under a neutral name is an id or a time."""
    assert secret_number(4111111111111111, "card_number") == "a card number"
    assert secret_number(8112189876, "personnummer") == "a national id"
    assert secret_number(8112189876, "id_number") == "a national id"
    assert secret_number(8112189875, "id_number") is None
    for value, name in (
        (True, "ssn_number"),
        (-8112189876, "personnummer"),
        (8112189876.5, "personnummer"),
        (10**400, "personnummer"),
    ):
        assert secret_number(value, name) is None
    assert secret_number(4111111111111111, "note") is None
    assert secret_number(4111111111111111, "order_id") is None
    assert secret_number(123456, "password") is None
    assert secrets.telling_name("card_number") == "card"
    assert secrets.telling_name("note") == ""


@pytest.mark.parametrize(
    "value",
    [
        *("", "dark", "a longer text about nothing", "1700000000000", "+4915112345678901", "123e4567-e89b-12d3-a456-426614174000"),
        *("103547991597142817347", "2026-11-23T19:38:00.000Z", "9999999999999995", "411111111111", "261123-0042", "20151123-1938"),
        *(None, True, 4111111111111111, 1.5, [], {}, {"password_changed_at": "2026-11-23"}, {"password": ""}, {"password": True}),
        *({"secretary": "Ada"}, ["fi", {"tokens": 3}], {"a": {"b": [[["c"]]]}}, "https://example.com/a?b=c@d", "4111\u0661\u0661"),
    ],
    ids=repr,
)  # fmt: skip
def test_ordinary_values_are_left_alone(value: Any) -> None:
    """Times, ids, phone numbers, numbers with a wrong check digit and harmless names do not warn."""
    assert sensitive(value, ("prefs",)) is None


# False alarms ---------------------------------------------------------------------------------------

R = random.Random(15)


def digits(n: int) -> str:
    """Return that many random digits."""
    return "".join(R.choices(string.digits, k=n))


def letters(n: int, alphabet: str = string.ascii_letters + string.digits) -> str:
    """Return that many random characters."""
    return "".join(R.choices(alphabet, k=n))


def day() -> str:
    """Return a date of these years, as YYYYMMDD."""
    return f"20{R.randrange(10, 36)}{R.randrange(1, 13):02}{R.randrange(1, 29):02}"


def prefix() -> str:
    """Return the country of a telephone number."""
    return R.choice(
        ["1", "7", "30", "33", "34", "36", "39", "44", "45", "46", "47", "48", "49", "55", "62", "91", "358"]
    )


ORDINARY: dict[str, Callable[[], str]] = {
    "uuid": lambda: str(uuid.UUID(int=R.getrandbits(128))),
    "UUID": lambda: str(uuid.UUID(int=R.getrandbits(128))).upper(),
    "hex": lambda: R.randbytes(R.choice([8, 12, 16, 20, 32, 64])).hex(),
    "HEX": lambda: R.randbytes(R.choice([8, 12, 16, 20, 32, 64])).hex().upper(),
    "base64": lambda: b64encode(R.randbytes(R.randrange(8, 80))).decode(),
    "base64url": lambda: urlsafe_b64encode(R.randbytes(R.randrange(8, 80))).decode().rstrip("="),
    "nanoid": lambda: letters(21, string.ascii_letters + string.digits + "_-"),
    "word": lambda: letters(R.randrange(8, 60)),
    "ulid": lambda: letters(26, "0123456789ABCDEFGHJKMNPQRSTVWXYZ"),
    "serial": lambda: letters(R.randrange(9, 26), string.ascii_uppercase + string.digits),
    "Auth0's": lambda: f"auth0|{R.randbytes(12).hex()}",
    "Google's": lambda: f"google-oauth2|1{digits(20)}",
    "Facebook's": lambda: f"10{digits(13)}",
    "Steam's": lambda: f"7656119{digits(10)}",
    "phone": lambda: prefix() + digits(R.randrange(7, 11)),
    "+phone": lambda: f"+{prefix()}{digits(R.randrange(7, 11))}",
    "phone, US": lambda: f"{R.randrange(200, 1000)}-{digits(3)}-{digits(4)}",
    "phone, (US)": lambda: f"({R.randrange(200, 1000)}) {digits(3)}-{digits(4)}",
    "phone, spaces": lambda: " ".join(digits(n) for n in R.choice([(3, 3, 4), (4, 3, 3), (2, 2, 2, 2, 2), (3, 3, 3), (3, 2, 2, 2), (4, 7)])),
    "phone, +spaces": lambda: f"+{prefix()} {digits(3)} {digits(4)} {digits(4)}",
    "seconds": lambda: str(R.randrange(10**9, 2 * 10**9)),
    "milliseconds": lambda: str(R.randrange(10**12, 2 * 10**12)),
    "microseconds": lambda: str(R.randrange(10**15, 2 * 10**15)),
    "nanoseconds": lambda: str(R.randrange(10**18, 2 * 10**18)),
    "compact time": lambda: f"{day()}{digits(6)}",
    "ISO time": lambda: f"2026-{R.randrange(1, 13):02}-{R.randrange(1, 29):02}T{R.randrange(24):02}:{R.randrange(60):02}:{R.randrange(60):02}.{digits(3)}Z",
    "order of today": lambda: f"{day()[2:]}-{digits(4)}" if R.random() < 0.5 else f"ORD-{digits(6)}-{digits(4)}",
    "order": lambda: R.choice([f"{digits(3)}-{digits(7)}-{digits(7)}", f"2026-{digits(6)}", f"INV-{digits(8)}", f"#{digits(16)}"]),
    "digits": lambda: digits(R.randrange(8, 14)),
    "IMEI": lambda: f"35{digits(13)}",
    "ISBN": lambda: f"978-{digits(1)}-{digits(5)}-{digits(3)}-{digits(1)}",
    "IP": lambda: ".".join(str(R.randrange(256)) for _ in range(4)),
    "number": lambda: str(R.uniform(-1e6, 1e6)),
    "place": lambda: f"{R.uniform(-90, 90)},{R.uniform(-180, 180)}",
    "path": lambda: f"https://example.com/{digits(16)}/{letters(12)}?v={digits(10)}",
    "prose": lambda: " ".join(letters(R.randrange(2, 12), string.ascii_lowercase) for _ in range(R.randrange(3, 30))),
}  # fmt: skip


@pytest.mark.parametrize("kind", ORDINARY)
def test_random_texts_cause_no_false_alarm(kind: str) -> None:
    """Of 4,000 ids, phone numbers, times, orders and hashes of each kind, one may look like a secret by chance."""
    R.seed(kind)
    alarms = [text for text in (ORDINARY[kind]() for _ in range(4_000)) if secret(text, "value")]
    assert len(alarms) <= 1, alarms


@pytest.mark.parametrize(
    ("kind", "make", "most"),
    [
        ("14 to 19 digits", lambda: digits(R.randrange(14, 20)), 0.02),
        ("groups of four", lambda: "-".join(digits(4) for _ in range(4)), 0.04),
        ("three groups of four", lambda: " ".join(digits(4) for _ in range(3)), 0.12),
        ("six and four", lambda: f"{digits(6)}-{digits(4)}", 0.02),
        ("eight and four", lambda: f"{digits(8)}-{digits(4)}", 0.005),
    ],
)
def test_what_is_known_by_its_check_digit_says_so(kind: str, make: Callable[[], str], most: float) -> None:
    """Such texts look like a secret by chance; an audit recognizes them, and sees that most of a path are none."""
    R.seed(kind)
    alarms = [text for text in (make() for _ in range(3_000)) if secret(text, "value")]
    assert len(alarms) <= 3_000 * most
    assert all(map(by_chance, alarms))


@pytest.mark.parametrize(
    "text",
    [
        "219-09-9999",
        "dark",
        "1700000000000",
        "131052-308T",
        "a" * 16,
        "",
        "4111-1111-1111-111",
        "\u0661" * 16,
    ],
)
def test_other_texts_are_not_known_by_chance(text: str) -> None:
    """They have a form of their own, or no check digit."""
    assert not by_chance(text)


# Time -----------------------------------------------------------------------------------------------

# The beginnings of secrets, over and over: each is where a pattern may start, and none is where it ends.
HOSTILE = [
    *("-eyJ", "eyJaaaaaaaa.", " eyJaaaaaaaa.bbbbbbb", " eyJaaaaaaaa..bbbbbbb", "-----BEGIN A ", "A ", f"-----BEGIN {'A' * 30} ", "AKIA0123456789ABCDE"),
    *("-SG.aaaaaaaaaaaaaaaa", "4", "4 ", "4-", " 41", "a", "-", "a-", "0", "0 ", "0000 ", "0000-", "000-00-0000 ", "000000-000A ", "000.000.000-00 "),
    *("4111111111111112 ", "4111 1111 1111 1112,", "AA00", "AA00 ", "DE00 0000 0000 0000 0000 00 ", "://a:b ", "://a:", "https://u:*@h ", "@://"),
    *("Basic dXNlcjpw", "Basic AAAAAAAA ", "Bearer aaaaaaaaaaaaaaaaaaaaaaa ", "$2b$10$", "$1$a$", "1234567890123456789", "ä", "ä4", "AAAAAA00A00A000A "),
    *("x", "k", "_", "AA 00 00 00 A ", " 4111111111111111.5", "*", "<", "\ud800", "\U0001f600"),
    *dict.fromkeys(row.anchor for row in tokens.TOKENS), *dict.fromkeys(f" {row.anchor}" for row in tokens.TOKENS),
]  # fmt: skip


def cpu(work: Callable[[], object]) -> float:
    """Return the seconds of CPU that a piece of work takes."""
    began = time.process_time()
    work()
    return time.process_time() - began


def test_hostile_text_is_read_a_bounded_number_of_times() -> None:
    """No text makes a pattern read the rest of it from each of its characters: that would take many minutes.

    A loop over the characters reads the text once; every check together may take 100 times as long, and takes less
    than 5 times.
    """
    secret("x" * 40)
    text = "lorem ipsum " * 20_833
    once = min(cpu(lambda: [c for c in text if c != "x"]) for _ in range(3))
    for unit in HOSTILE:
        long = unit * (250_000 // len(unit))
        assert cpu(lambda long=long: secret(long, "bio")) < 100 * once, unit  # type: ignore[misc]


def test_a_secret_at_the_end_of_a_megabyte_is_found() -> None:
    """The whole text is examined."""
    text = "lorem ipsum, dolor. " * 50_000
    assert secret(text) is None
    assert secret(f"{text}{HITS[0][1]}") == HITS[0][0]
    assert secret(f"{text}219-09-9999") == "a national id (USA)"


def test_only_so_many_places_of_one_form_are_looked_at() -> None:
    """A secret after more than 2,000 numbers of its own form is missed; one of another form is not."""
    near = "219-00-9999 "
    assert secret(near * (MOST - 1) + "219-09-9999") == "a national id (USA)"
    assert secret(near * MOST + "219-09-9999") is None
    assert secret(near * MOST + "4111 1111 1111 1111") == "a card number"


def test_deep_and_wide_values_are_walked_without_recursion() -> None:
    """A value may be nested deeper than Python's own limit; the last text of 100,000 is found."""
    deep: Any = "sk_" + "live_4eC39HqLyjWDarjtT1zdp7dc"
    for _ in range(50_000):
        deep = [{"a": deep}]
    reason = sensitive([deep], ("top",))
    assert reason is not None
    assert reason.endswith("looks like a Stripe key")
    wide = {f"key {n}": "dark" for n in range(100_000)}
    assert sensitive(wide, ("top",)) is None
    assert sensitive({**wide, "last": "219-09-9999"}, ("top",)) == "top.last looks like a national id (USA)"


# Algebra --------------------------------------------------------------------------------------------


@given(json_values, st.sampled_from(HITS + NUMBER_HITS))
def test_a_reason_never_contains_the_value(value: Any, case: tuple[str, str]) -> None:
    """Whatever is around it, the text of the secret is not in the reason."""
    text = case[1]
    reason = sensitive([value, text], ("k",))
    assert reason is not None
    assert text not in reason


@given(st.text(), st.text())
def test_any_text_under_any_key_has_an_answer(text: str, key: str) -> None:
    """No text and no key make it fail, and what it says is words of ours."""
    what = secret(text, key)
    assert what is None or what in {secrets.BY_NAME, secrets.NATIONAL_ID, *TOKENS, *NUMBERS}
    assert secret(json.dumps({key: text})) is None or secret(json.dumps({key: text})) in {*TOKENS, *NUMBERS}


@given(
    st.from_regex(r"[0-9A-Zx .+/-]{9,24}", fullmatch=True),
    st.sampled_from(["note", "id_number", "cpr", "card"]),
)
def test_any_digits_have_an_answer(text: str, key: str) -> None:
    """The check digits of no country fail on digits and letters that are none of its."""
    secret(text, key)


def test_numbers_that_an_audit_passes_over_are_too_short_or_too_long() -> None:
    """The shortest and the longest forms have just these lengths, so that no form is passed over."""
    digits = {n for n in range(1, 40) for start in ("30", "4", "62") if has_card_shape(start.ljust(n, "1"))}
    assert (min(digits), max(digits)) == (FEWEST_DIGITS, MOST_DIGITS)
    longest = "4111 1111 1111 1111 111"
    assert by_chance(longest)
    assert len(longest) == LONGEST_BY_CHANCE
    assert not by_chance(f"{longest} ")
