"""The files of the page at `/`, and the headers that protect it."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

import attrs

from auth0_meta.emulator.pipeline import CONTROL_ROOT

PAGE_HEADERS = (
    (
        "Content-Security-Policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'",
    ),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Referrer-Policy", "no-referrer"),
)
"""Only our own scripts, styles and connections; no other page may frame it; no text becomes markup."""
_FILES = {
    "/": ("page.html", "text/html; charset=utf-8"),
    f"{CONTROL_ROOT}page.js": ("page.js", "text/javascript; charset=utf-8"),
    f"{CONTROL_ROOT}page.css": ("page.css", "text/css; charset=utf-8"),
    f"{CONTROL_ROOT}icon.svg": ("icon.svg", "image/svg+xml"),
}
_TOKEN = b"{{token}}"


@attrs.frozen
class Asset:
    """One file of the page."""

    body: bytes
    content_type: str


def asset(path: str, token: str) -> Asset | None:
    """Return the file at a path, None if there is none; the page itself contains `token`."""
    if path not in _FILES:
        return None
    name, kind = _FILES[path]
    return Asset(_read(name).replace(_TOKEN, token.encode()), kind)


@cache
def _read(name: str) -> bytes:
    return (files("auth0_meta.emulator.control") / "static" / name).read_bytes()
