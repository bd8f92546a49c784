"""Check the rows of an import file against the documented schema; nothing here reads or changes a user."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from auth0_meta.emulator.rules.metadata import BAGS
from auth0_meta.emulator.rules.schema import OBJECT, Field, Problem, problems
from auth0_meta.emulator.rules.switches import Switches
from auth0_meta.emulator.rules.user_schema import FORBIDDEN_NAMES, SHARED, dotted_name

_HASHES = ("argon2", "bcrypt", "hmac", "ldap", "md4", "md5", "sha1", "sha256", "sha512", "pbkdf2", "scrypt")
_FACTORS = frozenset(("totp", "phone", "email"))
_HASH_RULES = {"algorithm": Field(one_of=_HASHES), "hash": OBJECT}
_HASH = Field(type="object", required=tuple(_HASH_RULES), properties=_HASH_RULES, closed=False)
ROW = Field(
    type="object",
    required=("email",),
    properties={
        **SHARED,
        "user_id": Field(shortest=1, longest=255, pattern=r"\S*"),
        "password_hash": Field(pattern=r"\$2[ab]\$10\$[./A-Za-z0-9]{53}"),
        "custom_password_hash": _HASH,
        "mfa_factors": Field(type="array", shortest=1, longest=10),
    },
)

_Error = dict[str, str]


def check_row(row: Any, *, switches: Switches) -> list[_Error]:
    """Return the errors in a row, with Auth0's documented codes; an empty list if the row is valid.

    The messages are not documented: they follow the wording of the same validator elsewhere.

    >>> [error["code"] for error in check_row({"email": 5}, switches=Switches())]
    ['INVALID_TYPE']
    """
    found = [*problems(row, ROW)]
    if isinstance(row, dict):
        found += [*_metadata_problems(row, switches), *_factor_problems(row.get("mfa_factors"))]
    return [_as_error(one, switches) for one in found]


def _as_error(found: Problem, switches: Switches) -> _Error:
    code, path = found.code, found.path
    if code == "OBJECT_ADDITIONAL_PROPERTIES":
        code = switches.import_unknown_property_code
    if code == "OBJECT_REQUIRED":
        path = ""
    message = "No enum match" if code == "ENUM_MISMATCH" else found.message
    error = {"code": code, "message": message}
    return error | {"path": path} if path else error


def _metadata_problems(row: dict[str, Any], switches: Switches) -> Iterator[Problem]:
    """Yield a problem for each name that metadata must not have.  Open: Auth0's code for a dotted name."""
    app = row.get("app_metadata")
    if isinstance(app, dict):
        for name in app.keys() & FORBIDDEN_NAMES:
            yield Problem("NOT_PASSED", f"Property not allowed: {name}", f"app_metadata.{name}")
    for bag in BAGS:
        value = row.get(bag)
        if isinstance(value, dict) and dotted_name(value, switches) is not None:
            yield Problem("NOT_PASSED", 'Fields with "." are not allowed', bag)


def _factor_problems(factors: Any) -> Iterator[Problem]:
    for index, factor in enumerate(factors if isinstance(factors, list) else ()):
        if not isinstance(factor, dict) or not factor or not factor.keys() <= _FACTORS:
            yield Problem("ANY_OF_MISSING", "None of the valid schemas were met", f"mfa_factors[{index}]")


def redacted(row: Any) -> Any:
    """Return a row as the list of errors shows it, with `*****` in place of hashes (documented).

    >>> redacted({"email": "a@b.io", "password_hash": "$2a$10$x"})
    {'email': 'a@b.io', 'password_hash': '*****'}
    """
    if not isinstance(row, dict):
        return row
    shown = dict(row)
    if "password_hash" in shown:
        shown["password_hash"] = "*****"  # noqa: S105  # Auth0's own mask
    hashed = shown.get("custom_password_hash")
    if isinstance(hashed, dict) and isinstance(hashed.get("hash"), dict):
        shown["custom_password_hash"] = {**hashed, "hash": {**hashed["hash"], "value": "*****"}}
    return shown
