"""Which keys are made from data."""

from __future__ import annotations

from random import Random
from string import ascii_letters, digits

import pytest

from auth0_meta.checks.templates import dynamic

MADE_FROM_DATA = {
    "2026-11-23": "<date>", "20261123": "<date>", "23.11.2026": "<date>", "11-23-2026": "<date>", "2026/11/23": "<date>",
    "seen_2026-11-23": "seen_<date>", "2026-11-23T10:20:30Z": "<time>", "log 2026-11-23 10:20": "log <time>",
    "org_AbCdEfGh12345678": "org_<id>", "con_k3Zx9fPq2LmN8vRt": "con_<id>", "rol_x8Kd92jfUw3kLs0q": "rol_<id>",
    "2026-11": "<month>", "2026-W07": "<week>", "2026-Q3": "<quarter>", "1717171717": "<number>", "ts_1717171717000": "ts_<number>",
    "ORD-2024-000123": "ORD-<year>-<number>", "ada@example.com": "<email>", "203.0.113.7": "<ip>", "2001:db8::1": "<ip>",
    "fe80:0:0:0:1:2:3:4": "<ip>", "aa:bb:cc:dd:ee:ff": "<mac>", "+4915112345678": "<phone>", "auth0|5f0c3b1e8f4e4f439d3e0a8d": "<user_id>",
    "google-oauth2|107": "<user_id>", "5f0c3b1e-8f4e-4f43-9d3e-0a8d2f6b7c11": "<uuid>", "5F0C3B1E-8F4E-4F43-9D3E-0A8D2F6B7C11": "<uuid>",
    "cart-5f0c3b1e-8f4e-4f43-9d3e-0a8d2f6b7c11_old": "cart-<uuid>_old", "5f0c3b1e8f4e4f439d3e0a8d": "<id>", "01J9ZQ3V6T7X8Y9Z0A1B2C3D4E": "<id>",
    "V1StGXR8_Z5jdHi6B-myT": "<id>", "-NxY8kz0Abc9QwErTyUi": "<id>", "clh3k2j9x0000abcd1234efgh": "<id>", "session-abc123def456ghi789": "session-<id>",
    "mfa_required_Ab-9x_ZzT4kQ0pLm82nVbC3xYwE5rGh1": "mfa_required_<id>", "cart_8f3kd9s0d9f8_done": "cart_<id>_done", "x" * 201: "<text>",
}  # fmt: skip
NAMES = [
    "theme",
    "org_subscriptionTier",
    "con_billingAccount01",
    "address_line_2",
    "oauth2",
    "v1",
    "2fa_enabled",
    "utm_source",
    "sha256",
    "sha256WithRSAEncryption",
    "iso3166CountryCode",
    "covid19_reminder",
    "hasAcceptedTermsAndConditionsOfServiceVersion2",
    "XMLHttpRequestID",
    "AWSCognitoMigratedAt",
    "DatenschutzerklaerungAkzeptiertAm",
    "x509_certificate_thumbprint",
    "h264_mp4_720p",
    "iphone14ProMax128GB",
    "web3_wallet_erc20_address",
    "field_a1_b2_c3",
    "ISO27001Certified",
    "BUSINESS_UNIT_CODE",
    "UserHasOptedInToSMSAndMMS",
    "googleAnalytics4MeasurementId",
    "OAuth2PKCEEnabled",
    "A1C_HbA1c_reading",
    "eu-west-1",
    "de-AT",
    "gpt-4o-mini_enabled",
    "budget_2026",
    "q4_goal",
    "step_1",
    "top_10",
    "facade",
    "decade",
    "my:key",
    "a/b",
    "urn:oid:2.5.4.42",
    "urn:oid:0.9.2342.19200300.100.1.3",
    "https://example.com/country",
    "v1.2.3",
    "first.name",
    "$set",
    "названиеадреса",
    "住所",
    "größe",
    "Größentabelle_Österreich",
    "ключ_для_клиента",
]


@pytest.mark.parametrize(("key", "template"), MADE_FROM_DATA.items())
def test_a_key_that_is_made_from_data_has_a_template(key: str, template: str) -> None:
    """The template has the fixed words of the key, and the name of the data in its place."""
    assert dynamic(key) == template


@pytest.mark.parametrize("key", NAMES)
def test_a_fixed_name_has_no_template(key: str) -> None:
    """Digits, capitals, separators and other alphabets don't make a name dynamic."""
    assert dynamic(key) is None


@pytest.mark.parametrize("alphabet", [ascii_letters + digits, ascii_letters + digits + "-_"])
def test_most_random_ids_are_recognized_and_none_is_shown(alphabet: str) -> None:
    """The rest is for the statistics of an audit; a template never contains the larger part of an id."""
    chance = Random(1)
    keys = ["".join(chance.choices(alphabet, k=32)) for _ in range(2_000)]
    templates = [dynamic(f"mfa_required_{key}") for key in keys]
    assert templates.count("mfa_required_<id>") > 1_850
    assert all(template is None or len(template) < 36 for template in templates)


@pytest.mark.parametrize("digits", ["0123456789abcdef", "0123456789ABCDEF"])
def test_ids_of_16_hexadecimal_digits_are_recognized(digits: str) -> None:
    """All of them: half a UUID is what many programs call an id."""
    chance = Random(1)
    assert {dynamic("".join(chance.choices(digits, k=16))) for _ in range(2_000)} <= {"<id>", "<number>"}
