"""Secrets that are none: published test cards and sample ids, made-up keys and tokens, in texts, numbers and lists."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from random import Random

from .clean import token, uid
from .plant import APP, BASE62, USER, Plant, Shape, in_list, one


def jwt(r: Random) -> str:
    """Return a JSON Web Token of nobody."""
    parts = [
        json.dumps({"alg": "HS256", "typ": "JWT"}),
        json.dumps({"sub": "1234567890", "iat": 1516239022, "n": r.randint(1, 99)}),
    ]
    return (
        ".".join(base64.urlsafe_b64encode(part.encode()).decode().rstrip("=") for part in parts)
        + "."
        + token(r, 43, BASE62)
    )


def pem(kind: str) -> Callable[[Random], str]:
    """Return what draws a private key that is none."""
    return lambda r: (
        f"-----BEGIN {kind}-----\n{base64.b64encode(r.randbytes(300)).decode()}\n-----END {kind}-----\n"
    )


def grouped(digits: str, mark: str) -> str:
    """Return digits in groups of four."""
    return mark.join(re.findall(".{1,4}", digits))


def under_a_dynamic_key(p: Plant) -> None:
    """Plant a token in the data of one connection."""
    place = p.put(APP, "connections", p.dynamic(uid(p.chance)), "token", jwt(p.chance))
    p.fault("dynamic_keys", place[:-1])
    p.fault("secret", place)


CARDS = (
    "4111111111111111",
    "5555555555554444",
    "378282246310005",
    "6011111111111117",
    "3056930009020004",
    "3566002020360505",
    "4242424242424242",
)
SECRETS: tuple[Shape, ...] = (
    *(
    one("secret", *path, value=value)
    for path, value in (
        ((APP, "cached"), jwt),
        ((USER, "last_response"), lambda r: f"Bearer {jwt(r)}"),
        ((APP, "integration", "credential"), jwt),
        ((APP, "signing"), pem("RSA PRIVATE KEY")),
        ((USER, "identity_file"), pem("OPENSSH PRIVATE KEY")),
        ((APP, "cert", "pair"), pem("PRIVATE KEY")),
        ((APP, "cert_ec"), pem("EC PRIVATE KEY")),
        ((APP, "cert_locked"), pem("ENCRYPTED PRIVATE KEY")),
        ((APP, "cloud"), lambda r: "AKIAIOSFODNN7EXAMPLE"),
        ((APP, "aws_secret_access_key"), lambda r: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
        ((APP, "billing_api"), lambda r: "sk_" + "live_" + token(r, 24, BASE62)),
        ((USER, "shop"), lambda r: "rk_" + "live_" + token(r, 24, BASE62)),
        ((APP, "sandbox_api"), lambda r: "sk_" + "test_" + token(r, 24, BASE62)),
        ((APP, "repo"), lambda r: "ghp" + "_" + token(r, 36, BASE62)),
        ((APP, "repo_fine"), lambda r: "github" + "_pat_" + token(r, 22, BASE62) + "_" + token(r, 59, BASE62)),
        ((APP, "chat"), lambda r: "xoxb" + f"-{r.randint(10**11, 10**12)}-{r.randint(10**11, 10**12)}-{token(r, 24, BASE62)}"),
        ((APP, "maps"), lambda r: "AIza" + token(r, 35, BASE62)),
        ((APP, "mailer"), lambda r: "SG" + f".{token(r, 22, BASE62)}.{token(r, 43, BASE62)}"),
        ((APP, "pipeline"), lambda r: "glpat" + "-" + token(r, 20, BASE62)),
        ((APP, "database"), lambda r: f"postgres://app:{token(r, 12, BASE62)}@db.example.com:5432/app"),
        ((USER, "password"), lambda r: "correct horse"),
        ((APP, "password"), lambda r: "hunter2"),
        ((APP, "legacy_login", "passwd"), lambda r: "letmein"),
        ((USER, "account", "userPassword"), lambda r: "Sommer2024!"),
        ((APP, "api_key"), lambda r: token(r, 32)),
        ((APP, "apiKey"), lambda r: token(r, 20, BASE62)),
        ((APP, "client_secret"), lambda r: token(r, 64, BASE62)),
        ((APP, "oauth", "access_token"), lambda r: token(r, 40, BASE62)),
        ((APP, "oauth", "refreshToken"), lambda r: "v1." + token(r, 40, BASE62)),
        ((USER, "private_key"), lambda r: token(r, 64)),
        ((USER, "card_number"), lambda r: r.choice(CARDS)),
        ((USER, "payment", "number"), lambda r: grouped("4111111111111111", " ")),
        ((APP, "payment", "pan"), lambda r: grouped("5555555555554444", "-")),
        ((APP, "customer_note"), lambda r: "card 4242 4242 4242 4242 exp 12/29, call back"),
        ((USER, "amex"), lambda r: "3782 822463 10005"),
        ((APP, "card"), lambda r: 4012888888881881),
        ((USER, "remarks"), lambda r: "paid with 6011111111111117"),
        ((USER, "ssn"), lambda r: "219-09-9999"),
        ((APP, "social_security_number"), lambda r: "219099999"),
        ((APP, "hr_note"), lambda r: "SSN 219-09-9999, hired"),
        ((USER, "cpf"), lambda r: "529.982.247-25"),
        ((USER, "dni"), lambda r: "12345678Z"),
        ((USER, "national_id"), lambda r: "811218-9876"),
        ((APP, "nino"), lambda r: "AB123456C"),
        ((USER, "codice_fiscale"), lambda r: "RSSMRA85T10A562S"),
        ((APP, "pesel"), lambda r: "44051401359"),
        ((USER, "passport_number"), lambda r: "C01X00T47"),
        ((APP, "aadhaar"), lambda r: "2341 2341 2346"),
    )
    ),
    in_list("secret", APP, "integrations", key="value", value=jwt),
    in_list("secret", USER, "wallet", key="no", value=lambda r: r.choice(CARDS)),
    lambda p: p.fault("secret", p.put(APP, "keyring", ["red", "sk_" + "live_" + token(p.chance, 24, BASE62)])),
    lambda p: p.fault("secret", p.put(USER, "cards_used", ["4111-1111-1111-1111"])),
    under_a_dynamic_key,
)  # fmt: skip
