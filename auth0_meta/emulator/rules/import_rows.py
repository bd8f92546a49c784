"""Check the rows of an import file against the documented schema; nothing here reads or changes a user."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import attrs

from auth0_meta.emulator.rules.schema import FORBIDDEN_NAMES, dotted_name, is_email, type_name
from auth0_meta.emulator.rules.switches import Switches


@attrs.frozen
class _Rule:
    """Say what one property of a row may be."""

    type: str = "string"
    shortest: int = 0
    longest: int | None = None
    pattern: str | None = None
    email: bool = False
    one_of: tuple[str, ...] = ()


_HASHES = (
    *("argon2", "bcrypt", "hmac", "ldap", "md4", "md5", "sha1", "sha256", "sha512"),
    *("pbkdf2", "scrypt"),
)
_FACTORS = ("totp", "phone", "email")
_ROW: dict[str, _Rule] = {
    "email": _Rule(email=True),
    "email_verified": _Rule("boolean"),
    "phone_number": _Rule(pattern=r"\+[0-9]{1,15}"),
    "phone_verified": _Rule("boolean"),
    "user_id": _Rule(shortest=1, longest=255, pattern=r"\S*"),
    "username": _Rule(shortest=1, longest=128),
    "given_name": _Rule(shortest=1, longest=150),
    "family_name": _Rule(shortest=1, longest=150),
    "name": _Rule(shortest=1, longest=300),
    "nickname": _Rule(shortest=1, longest=300),
    "picture": _Rule(),
    "blocked": _Rule("boolean"),
    "password_hash": _Rule(pattern=r"\$2[ab]\$10\$[./A-Za-z0-9]{53}"),
    "custom_password_hash": _Rule("object"),
    "app_metadata": _Rule("object"),
    "user_metadata": _Rule("object"),
    "mfa_factors": _Rule("array", shortest=1, longest=10),
}
_HASH = {"algorithm": _Rule(one_of=_HASHES), "hash": _Rule("object")}
_HASH_REQUIRED = ("algorithm", "hash")

_Error = dict[str, str]


def _error(code: str, message: str, path: str = "") -> _Error:
    error = {"code": code, "message": message}
    return error | {"path": path} if path else error


def check_row(row: Any, *, switches: Switches) -> list[_Error]:
    """Return what is wrong with a row, by Auth0's documented codes; an empty list for a good one.

    The codes are documented, the messages follow the wording of the same validator elsewhere.

    >>> [error["code"] for error in check_row({"email": 5}, switches=Switches())]
    ['INVALID_TYPE']
    """
    if not isinstance(row, dict):
        return [_error("INVALID_TYPE", f"Expected type object but found type {type_name(row)}")]
    errors = []
    if "email" not in row:
        errors.append(_error("OBJECT_REQUIRED", "Missing required property: email"))
    errors += _properties(row, _ROW, "", switches)
    hashed = row.get("custom_password_hash")
    if isinstance(hashed, dict):
        missing = [name for name in _HASH_REQUIRED if name not in hashed]
        errors += [_error("OBJECT_REQUIRED", f"Missing required property: {name}") for name in missing]
        errors += _properties(
            {name: hashed[name] for name in _HASH if name in hashed},
            _HASH,
            "custom_password_hash.",
            switches,
        )
    errors += _bags(row, switches)
    if isinstance(row.get("mfa_factors"), list):
        errors += _factors(row["mfa_factors"])
    return errors


def _properties(
    row: dict[str, Any], rules: dict[str, _Rule], prefix: str, switches: Switches
) -> Iterator[_Error]:
    unknown = [name for name in row if name not in rules]
    if unknown:
        message = f"Additional properties not allowed: {','.join(unknown)}"
        yield _error(switches.import_unknown_property_code, message)
    for name, rule in rules.items():
        if name in row:
            yield from _value(row[name], rule, prefix + name)


def _value(value: Any, rule: _Rule, path: str) -> Iterator[_Error]:
    found = type_name(value)
    if found != rule.type:
        yield _error("INVALID_TYPE", f"Expected type {rule.type} but found type {found}", path)
    elif rule.type == "array":
        if len(value) < rule.shortest:
            message = f"Array is too short ({len(value)}), minimum {rule.shortest}"
            yield _error("ARRAY_LENGTH_SHORT", message, path)
        elif rule.longest is not None and len(value) > rule.longest:
            message = f"Array is too long ({len(value)}), maximum {rule.longest}"
            yield _error("ARRAY_LENGTH_LONG", message, path)
    elif rule.type == "string":
        yield from _string(value, rule, path)


def _string(value: str, rule: _Rule, path: str) -> Iterator[_Error]:
    if len(value) < rule.shortest:
        message = f"String is too short ({len(value)} chars), minimum {rule.shortest}"
        yield _error("MIN_LENGTH", message, path)
    elif rule.longest is not None and len(value) > rule.longest:
        message = f"String is too long ({len(value)} chars), maximum {rule.longest}"
        yield _error("MAX_LENGTH", message, path)
    elif rule.email and not is_email(value):
        yield _error("FORMAT", "Object didn't pass validation for format email", path)
    elif rule.pattern is not None and not re.fullmatch(rule.pattern, value):
        yield _error("PATTERN", f"String does not match pattern ^{rule.pattern}$", path)
    elif rule.one_of and value not in rule.one_of:
        yield _error("ENUM_MISMATCH", "No enum match", path)


def _bags(row: dict[str, Any], switches: Switches) -> Iterator[_Error]:
    """Refuse names that no bag may have.  Open: which code Auth0 gives a dotted one."""
    app = row.get("app_metadata")
    if isinstance(app, dict):
        for name in app.keys() & FORBIDDEN_NAMES:
            yield _error("NOT_PASSED", f"Property not allowed: {name}", f"app_metadata.{name}")
    for bag in ("user_metadata", "app_metadata"):
        value = row.get(bag)
        dotted = dotted_name(value, switches) if isinstance(value, dict) else None
        if dotted is not None:
            yield _error("NOT_PASSED", 'Fields with "." are not allowed', bag)


def _factors(factors: list[Any]) -> Iterator[_Error]:
    for index, factor in enumerate(factors):
        if not isinstance(factor, dict) or not factor or not set(factor) <= set(_FACTORS):
            yield _error("ANY_OF_MISSING", "None of the valid schemas were met", f"mfa_factors[{index}]")


def redacted(row: Any) -> Any:
    """Return a row as the errors show it: hash values are `*****` (documented).

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
