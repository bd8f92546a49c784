"""How strong a password must be: Auth0's five policies, and the report of what one lacks.

Sources: Auth0 docs, "Password Strength"; the report and its words are those of a recorded sign-up.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import attrs

_TYPES = {
    "lowerCase": ("lower case letters (a-z)", re.compile("[a-z]")),
    "upperCase": ("upper case letters (A-Z)", re.compile("[A-Z]")),
    "numbers": ("numbers (i.e. 0-9)", re.compile("[0-9]")),
    "specialCharacters": ("special characters (e.g. !@#$%^&*)", re.compile(r"[ -/:-@\[-`{-~]")),
}
_THREE_IN_A_ROW = re.compile(r"(.)\1\1", re.DOTALL)
# What recordings have in the place of a password; the one that was sent was accepted.
_REDACTED = re.compile(r"<[a-z]+>|\[REDACTED\]")


@attrs.frozen
class _Policy:
    """The least length of a password, the types of characters that it needs, and whether one may be repeated."""

    length: int
    of: int = 0
    types: tuple[str, ...] = ()
    repeats: bool = True


_ALL = tuple(_TYPES)
_POLICIES = {
    "none": _Policy(1),
    "low": _Policy(6),
    "fair": _Policy(8, 3, _ALL[:3]),
    "good": _Policy(8, 3, _ALL),
    "excellent": _Policy(10, 3, _ALL, repeats=False),
}
_DEFAULT = "good"  # what a new connection has (recorded); the documentation calls "none" the default


def weakness(password: str, options: Mapping[str, Any]) -> dict[str, Any] | None:
    r"""Return what a password lacks by the `options` of its connection, as a refused sign-up has it; None if nothing.

    >>> weakness("Analytical-1842", {}), weakness("hello", {"passwordPolicy": "none"})
    (None, None)
    >>> weakness("hello", {"passwordPolicy": "low"})["policy"]
    '* At least 6 characters in length'
    """
    policy = _POLICIES.get(str(options.get("passwordPolicy", _DEFAULT)).lower(), _POLICIES["none"])
    complexity = options.get("password_complexity_options")
    least = complexity.get("min_length") if isinstance(complexity, Mapping) else None
    length = least if isinstance(least, int) and least > 0 else policy.length
    rules: list[dict[str, Any]] = []
    if length == 1:
        rules.append(_rule("nonEmpty", "Non-empty password required", verified=bool(password)))
    else:
        verified = len(password) >= length
        rules.append(_rule("lengthAtLeast", "At least %d characters in length", length, verified=verified))
    if policy.types:
        items = [
            _rule(name, _TYPES[name][0], verified=bool(_TYPES[name][1].search(password)))
            for name in policy.types
        ]
        verified = sum(item["verified"] for item in items) >= policy.of
        if policy.of == len(items):
            rules.append(_rule("shouldContain", "Should contain:", items=items, verified=verified))
        else:
            message = "Contain at least %d of the following %d types of characters:"
            rules.append(
                _rule("containsAtLeast", message, policy.of, len(items), items=items, verified=verified)
            )
    if not policy.repeats:
        message = 'No more than %d identical characters in a row (e.g., "%s" not allowed)'
        rules.append(
            _rule("identicalChars", message, 2, "aaa", verified=not _THREE_IN_A_ROW.search(password))
        )
    if all(rule["verified"] for rule in rules) or _REDACTED.fullmatch(password):
        return None
    return {"description": {"rules": rules, "verified": False}, "policy": "\n".join(map(_line, rules))}


def _rule(code: str, message: str, *values: Any, verified: bool, **more: Any) -> dict[str, Any]:
    format_ = {"format": list(values)} if values else {}
    return {"message": message, **format_, "code": code, **more, "verified": verified}


def _line(rule: Mapping[str, Any]) -> str:
    items = "".join(f"\n * {item['message']}" for item in rule.get("items", ()))
    return f"* {rule['message'] % tuple(rule.get('format', ()))}{items}"
