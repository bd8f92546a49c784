"""Which forms of a private key are understood, and what is said about everything else."""

from __future__ import annotations

import base64
import json
import pathlib
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization as s
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from support.scripted_server import Reply, ScriptedServer, token

from auth0_meta import ManagementClient
from auth0_meta.auth import jwt
from auth0_meta.auth.private_key import signing_key
from auth0_meta.errors import ConfigError

TRADITIONAL = s.PrivateFormat.TraditionalOpenSSL
PASSPHRASE = s.BestAvailableEncryption(b"open sesame")
PUBLIC_PEM = s.Encoding.PEM, s.PublicFormat.SubjectPublicKeyInfo
KEY = rsa.generate_private_key(65537, 2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())


def pem(key: Any, form: Any = s.PrivateFormat.PKCS8, encryption: Any = None) -> str:
    """Return a private key as PEM text."""
    text: str = key.private_bytes(s.Encoding.PEM, form, encryption or s.NoEncryption()).decode()
    return text


PLAIN = pem(KEY)
PUBLIC = KEY.public_key().public_bytes(*PUBLIC_PEM).decode()
DER = KEY.private_bytes(s.Encoding.DER, s.PrivateFormat.PKCS8, s.NoEncryption())
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"


def escaped(text: str, line_break: str) -> str:
    """Return a text with its line breaks written in another way."""
    return text.replace("\n", line_break)


def encoded(text: str) -> str:
    """Return a text in base64."""
    return base64.b64encode(text.encode()).decode()


UNDERSTOOD: dict[str, Any] = {
    "PKCS 8": PLAIN,
    "PKCS 1": pem(KEY, TRADITIONAL),
    "two letters": escaped(PLAIN, "\\n"),
    "four letters": escaped(PLAIN, "\\r\\n"),
    "escaped twice": escaped(PLAIN, "\\\\n"),
    "CRLF": escaped(PLAIN, "\r\n"),
    "CR": escaped(PLAIN, "\r"),
    "spaces": escaped(PLAIN, " "),
    "no breaks": escaped(PLAIN, ""),
    "blank lines": escaped(PLAIN, "\n\n"),
    "indented": escaped(PLAIN, "\n    "),
    "no-break spaces": escaped(PLAIN, "\xa0").replace(" ", "\xa0"),
    "zero width": escaped(PLAIN, "\u200b\n"),
    "byte order mark": "\ufeff" + PLAIN,
    "quotes": f'"{PLAIN}"',
    "JSON": json.dumps(PLAIN),
    "single quotes": f"'{escaped(PLAIN, chr(92) + 'n')}'",
    "base64": encoded(PLAIN),
    "base64 in lines": base64.encodebytes(PLAIN.encode()).decode(),
    "base64 of letters": encoded(escaped(PLAIN, "\\n")),
    "bytes": PLAIN.encode(),
    "with a certificate": CERTIFICATE + PLAIN,
    "with a public key": PLAIN + PUBLIC,
    "wrong BEGIN line": PLAIN.replace("PRIVATE", "RSA PRIVATE"),
    "text around it": f"Bag Attributes\n  friendlyName: x\n{PLAIN}\n# end\n",
}


@pytest.mark.parametrize("given", UNDERSTOOD.values(), ids=UNDERSTOOD.keys())
def test_every_form_that_a_secret_store_makes_is_understood(given: Any) -> None:
    """However line breaks were changed and the text was wrapped, it is the same key."""
    assert signing_key(given) == PLAIN


REFUSED: dict[str, tuple[Any, str]] = {
    "nothing": (" \n", "none of them"),
    "invisible bytes": (b"\xef\xbb\xbf", "is empty"),
    "passphrase, PKCS 8": (pem(KEY, encryption=PASSPHRASE), "passphrase"),
    "passphrase, PKCS 1": (pem(KEY, TRADITIONAL, PASSPHRASE), "passphrase"),
    "passphrase, letters": (escaped(pem(KEY, TRADITIONAL, PASSPHRASE), "\\n"), "passphrase"),
    "passphrase, base64": (encoded(pem(KEY, encryption=PASSPHRASE)), "passphrase"),
    "passphrase, mislabeled": (
        pem(KEY, encryption=PASSPHRASE).replace("ENCRYPTED ", ""),
        "passphrase",
    ),
    "path": ("/run/secrets/key.pem", "is a path"),
    "path of bytes": (b"/run/secrets/key", "is a path"),
    "home": ("~/canary", "is a path"),
    "relative": ("secrets/canary.pem", "is a path"),
    "file URL": ("file:///run/canary", "is a path"),
    "Windows": ("C:\\run\\new\\canary", "is a path"),
    "pathlib": (pathlib.PurePosixPath("canary"), "is a path"),
    "EC, PKCS 8": (pem(EC_KEY), "type EC"),
    "EC, traditional": (pem(EC_KEY, TRADITIONAL), "type EC"),
    "Ed25519": (pem(ed25519.Ed25519PrivateKey.generate()), "type Ed25519"),
    "short": (pem(rsa.generate_private_key(65537, 1024)), "1024 bits"),  # noqa: S505  # it is refused
    "public": (PUBLIC, "public key"),
    "public, PKCS 1": (
        KEY.public_key().public_bytes(s.Encoding.PEM, s.PublicFormat.PKCS1).decode(),
        "public key",
    ),
    "public, SSH": ("ssh-rsa AAAAB3canary me@here", "public key"),
    "certificate": (CERTIFICATE, "certificate"),
    "SSH": (pem(KEY, s.PrivateFormat.OpenSSH), "SSH key"),
    "PuTTY": ("PuTTY-User-Key-File-3: ssh-rsa\ncanary", "SSH key"),
    "JWK": ('{"kty": "RSA", "d": "canary"}', "JWK"),
    "parsed JWK": ({"kty": "RSA", "d": "canary"}, "JWK"),
    "DER": (DER, "DER"),
    "no BEGIN line": (base64.b64encode(DER).decode(), "BEGIN and END"),
    "no END line": (PLAIN[:800], "END line"),
    "cut inside": (PLAIN[:800] + "\n-----END PRIVATE KEY-----\n", "damaged"),
    "letter lost": (PLAIN[:400] + PLAIN[401:], "damaged"),
    "two keys": (PLAIN + pem(KEY, TRADITIONAL), "more than one"),
    "a secret": ("canary", "PEM"),
    "number": (5, "int"),
    "key object": (KEY, "RSAPrivateKey"),
    "too long": ("canary" * 20_000, "too long"),
    "dashes": ("-" * 60_000, "PEM"),
}


@pytest.mark.parametrize(("given", "named"), REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_sign_is_named_when_the_client_is_made(given: Any, named: str) -> None:
    """The error says what was passed, the same each time, and shows none of it."""
    texts = set()
    for _ in range(2):
        with pytest.raises(ConfigError, match=named) as caught:
            ManagementClient("tenant.invalid", client_id="c", private_key=given)
        texts.add(str(caught.value))
    (text,) = texts
    assert "canary" not in text
    assert not any(line in text for line in PLAIN.splitlines()[1:-1])


def test_a_key_from_the_environment_signs_the_token_request() -> None:
    """What reaches the token endpoint is an assertion under the key, and the trimmed id."""
    with ScriptedServer(token(), Reply()) as server:
        given = escaped(PLAIN, "\\n") + "\r\n"
        with ManagementClient(server.url, client_id=" abc\n", private_key=given, key_id="k1\n") as client:
            client.users.get("auth0|1")
        form = server.seen[0].form
    assert form["client_id"] == "abc"
    assert jwt.header(form["client_assertion"])["kid"] == "k1"
    claims = jwt.verify(form["client_assertion"], key=PUBLIC, audience=f"{server.url}/", issuer="abc")
    assert claims["sub"] == "abc"
