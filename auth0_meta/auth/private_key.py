"""Read what is passed as `private_key`: accept the forms that secret stores make of a PEM, name everything else; PURE.

The file system is never asked, so a path is only recognized, and what is refused is never shown.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping

from auth0_meta.arguments import is_invisible
from auth0_meta.errors import ConfigError

_LONGEST = 1 << 16
# "Auth0 enforces a minimum RSA key size of 2048 bits and a maximum key size of 4096 bits" (docs, RSA key pairs).
_LEAST_BITS, _MOST_BITS = 2048, 4096

_PATH = "is a path: pass the file's text, such as pathlib.Path(...).read_text()"
_ENCRYPTED = "is protected by a passphrase: remove it (openssl pkey -in key.pem -out plain.pem) and pass the text of plain.pem"
_PUBLIC = "is a public key, which is for Auth0 only: pass the private key that belongs to it"
_JSON = "is JSON, such as a JWK: convert it, and pass the RSA key as PEM text"
_BINARY = (
    "is binary, such as DER or PKCS#12: convert it to PEM (openssl pkey -inform DER -in key.der -out key.pem)"
)
_DAMAGED = (
    "can't be read: it is damaged or was cut short. Copy all of it, from its BEGIN line to its END line"
)
_BEGIN = r"-BEGIN [A-Z0-9 ]*PRIVATE KEY-"
# A bundle may hold a certificate or a public key beside the private one.
_ALONE = rf"\A(?!.*{_BEGIN}).*"
# What a text looks like -> what it is, and what to do; the first that fits.
_SIGNS: tuple[tuple[str, str], ...] = (
    (r"\A\Z", "is empty"),
    (r"-BEGIN ENCRYPTED PRIVATE KEY-|Proc-Type: ?4, ?ENCRYPTED", _ENCRYPTED),
    (
        r"-BEGIN OPENSSH|BEGIN SSH2 ENCRYPTED|\APuTTY-User-Key",
        "is an SSH key: convert it (ssh-keygen -p -m PEM -f KEYFILE) if it is RSA, or make a new one (openssl genrsa)",
    ),
    (rf"{_ALONE}PUBLIC KEY-|\A(?:ssh|ecdsa)-\S+ ", _PUBLIC),
    (rf"{_ALONE}-BEGIN CERTIFICATE", "is a certificate: pass the private key that belongs to it"),
    (r"\A[{\[]", _JSON),
    (rf"{_BEGIN}(?!.*-END )", "was cut short: it has no END line. Copy all of it"),
    (rf"{_BEGIN}.*{_BEGIN}", "holds more than one private key: pass one"),
    (
        r"\AM[A-Za-z0-9+/]{40}",
        "lacks its BEGIN and END lines: pass the whole PEM text",
    ),
    (
        r"\A(?:file:|@|~|\.{0,2}[\\/]|[A-Za-z]:[\\/])[^\n]*\Z|\A[^\n]*\.(?:pem|key|p8|pk8|p12|pfx|der|cer|crt|jwk|json|txt)\Z",
        _PATH,
    ),
    (
        rf"\A(?!.*{_BEGIN})",
        "is not a private key in PEM: pass the text of the file, from its BEGIN line to its END line, and not its name",
    ),
)


def signing_key(given: object) -> str:
    """Return a private key as the PEM text that assertions are signed with.

    Line breaks may be written as the letters backslash and n, or be spaces, or missing; the text may be in quotes,
    bytes, or base64.  Raises `ConfigError` that says what else was passed, and what to do.
    """
    text = _plain(given)
    for sign, what in _SIGNS:
        if re.search(sign, text, re.DOTALL):
            raise _refused(what)
    return _rsa(re.split(r"-END ", re.split(rf"{_BEGIN}+", text)[1])[0].rstrip("-"))


def _refused(what: str) -> ConfigError:
    return ConfigError(f"private_key {what} (nothing was sent)")


def _plain(given: object) -> str:
    """Return what was given as text, with its line breaks as such and without invisible characters."""
    if hasattr(given, "__fspath__"):
        raise _refused(_PATH)
    if isinstance(given, Mapping):
        raise _refused(_JSON)
    if isinstance(given, bytes | bytearray):
        try:
            given = given.decode()
        except UnicodeDecodeError:
            raise _refused(_BINARY) from None
    if not isinstance(given, str):
        raise ConfigError(f"private_key must be PEM text, not {type(given).__name__} (nothing was sent)")
    if len(given) > _LONGEST:
        raise _refused(f"is too long for a key: {len(given)} characters")
    text = _visible(given)
    if "BEGIN" not in text:
        try:
            text = _visible(base64.b64decode("".join(text.split()), validate=True).decode())
        except ValueError:
            return text
        if "BEGIN" not in text:
            return _visible(given)
    return re.sub(r"(?:\\+r)?\\+n|\\+r", "\n", text)  # a PEM has no backslashes of its own


def _visible(text: str) -> str:
    """Drop invisible characters but line breaks and spaces, and the quotes and white space around a text."""
    kept = (" " if c.isspace() and c not in "\r\n" else c for c in text)
    return "".join(c for c in kept if c in " \r\n" or not is_invisible(c)).strip("\"' \r\n")


def _rsa(body: str) -> str:
    """Return the RSA key in a PEM's body, whatever its BEGIN line calls it."""
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415  # costs 40 ms: loaded on use
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey  # noqa: PLC0415

    try:
        key = serialization.load_der_private_key(base64.b64decode("".join(body.split()), validate=True), None)
    except TypeError:
        raise _refused(_ENCRYPTED) from None
    except (ValueError, UnsupportedAlgorithm):
        raise _refused(_DAMAGED) from None
    if not isinstance(key, RSAPrivateKey):
        kind = type(key).__name__.strip("_").removesuffix("PrivateKey")
        raise _refused(
            f"is a key of the type {kind}, and Auth0 takes RSA: make one (openssl genrsa -out key.pem 2048)"
        )
    if not _LEAST_BITS <= key.key_size <= _MOST_BITS:
        raise _refused(
            f"has {key.key_size} bits, and Auth0 takes {_LEAST_BITS} to {_MOST_BITS}: make a new one (openssl genrsa -out key.pem {_LEAST_BITS})"
        )
    formats = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return key.private_bytes(*formats).decode()
