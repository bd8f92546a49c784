"""What keys, tokens and passwords look like, by the letters that their issuers begin them with; PURE.

Sources are the issuers' own pages about the format, such as "About authentication to GitHub" for gh?_ and RFC 7519 for JSON
Web Tokens.  Every pattern reads a character a bounded number of times: it begins with its fixed letters, repeats are
possessive or bounded, and where its letters may follow each other, only the first of a run counts.
"""

from __future__ import annotations

import base64
import binascii
import functools
import re
from collections.abc import Callable
from itertools import islice
from typing import Final, NamedTuple

from auth0_meta.checks.shapes import MOST, is_masked


class Token(NamedTuple):
    """One kind of secret that can be recognized by itself."""

    what: str
    anchor: str
    """Letters that are always in it: without them the pattern is not tried."""
    pattern: str
    """Begins with the anchor, so that it is found as fast as a word."""
    check: Callable[[str], bool] | None = None
    """What else must hold for the text that the pattern matches."""


def token(text: str, /) -> str | None:
    """Return what key, token or password a text contains, or None.

    >>> token("Authorization: Basic " + "dXNlcjpwYXNz"), token("Basic subscription")
    ('a header with a password', None)
    """
    if "://" in text and "@" in text and _has_url_password(text):
        return "a URL with a password"
    if len(text) < _SHORTEST:
        return None
    if len(text) < _LONG:
        if not _gate().search(text):
            return None
        rows = _rows()
    else:
        absent = {mark for mark in _MARKS if mark not in text}
        rows = tuple(row for row in _rows() if absent.isdisjoint(row[0].anchor))
    for row, pattern in rows:
        if row.anchor in text:
            for match in islice(pattern.finditer(text), MOST):
                if row.check is None or row.check(match.group()):
                    return row.what
    return None


_SHORTEST: Final = 18
"""Characters that every secret with an anchor has at least."""
_LONG: Final = 512
"""From this many characters on, looking for each anchor is faster than the one pattern that finds all of them."""
_MARKS: Final = "_-.:$=~{*/ "


def _is_basic(text: str) -> bool:
    encoded = text.split(" ", 1)[1].rstrip("=")
    try:
        decoded = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True).decode("ascii")
    except (binascii.Error, UnicodeDecodeError):
        return False
    return ":" in decoded and decoded.isprintable()


def _is_bearer(text: str) -> bool:
    return any("0" <= c <= "9" for c in text)


def _has_url_password(text: str) -> bool:
    return any(_is_password(url.group(1)) for url in islice(_urls().finditer(text), MOST))


@functools.cache
def _urls() -> re.Pattern[str]:
    """Return a pattern for the password before the host of a URL."""
    return re.compile(r"://[^\s/@:?#\"'<>]{0,256}+:([^\s/@\"']{1,256})@", re.ASCII)


def _is_password(text: str) -> bool:
    """Return whether it is a password rather than a place for one."""
    return not is_masked(text) and text[0] not in "<{[$%"


# A token in the middle of a word is none: (?<!\wANCHOR), after the anchor, keeps the search fast.
TOKENS: Final = (
    Token("a private key", "-----BEGIN ", r"-----BEGIN (?:[A-Z0-9]{1,20} ){0,4}PRIVATE KEY(?: BLOCK)?-----"),
    Token("a private key", "PuTTY-User-Key-File", r"PuTTY-User-Key-File-\d"),
    Token("a private key", "AGE-SECRET-KEY-1", r"AGE-SECRET-KEY-1[0-9A-Z]{50,}"),
    # Signed: three parts.  Encrypted: five, of which the second may be empty.
    Token("a JSON Web Token", "eyJ", r"eyJ(?<![\w-]eyJ)[\w-]{8,}+\.(?:[\w-]{8,}+\.|\.[\w-]{8,})"),
    Token("an AWS access key", "AKIA", r"AKIA(?<!\wAKIA)[0-9A-Z]{16}(?!\w)"),
    Token("an AWS access key", "ASIA", r"ASIA(?<!\wASIA)[0-9A-Z]{16}(?!\w)"),
    *(Token("a GitHub token", f"gh{c}_", rf"gh{c}_(?<!\wgh{c}_)[0-9A-Za-z]{{30,}}") for c in "oprsu"),
    Token("a GitHub token", "github_pat_", r"github_pat_\w{30,}"),
    *(Token("a GitLab token", f"{c}-", rf"{c}-(?<!\w{c}-)[\w-]{{20,}}") for c in ("glpat", "gldt", "glrt", "glptt", "glsoat", "glcbt")),
    *(Token("a Slack token", f"xox{c}-", rf"xox{c}-(?<!\wxox{c}-)[0-9A-Za-z-]{{10,}}") for c in "abeoprs"),
    Token("a Slack token", "xapp-", r"xapp-(?<!\wxapp-)\d-[0-9A-Za-z-]{10,}"),
    Token("a Slack webhook", "hooks.slack.com/", r"hooks\.slack\.com/[a-z]{5,12}/[\w/+]{20,}"),
    Token("a Discord webhook", "/api/webhooks/", r"/api/webhooks/\d{15,20}/[\w-]{50,}"),
    Token("a Stripe key", "k_live_", r"k_live_(?<=[rs]k_live_)(?<!\w.k_live_)[0-9A-Za-z]{10,}"),
    Token("a Stripe key", "k_test_", r"k_test_(?<=[rs]k_test_)(?<!\w.k_test_)[0-9A-Za-z]{10,}"),
    Token("a Stripe key", "whsec_", r"whsec_(?<!\wwhsec_)[\w+/]{24,}"),
    Token("a Google API key", "AIza", r"AIza(?<!\wAIza)[\w-]{35}"),
    Token("a Google token", "ya29.", r"ya29\.(?<!\wya29\.)[\w-]{20,}"),
    Token("a Google client secret", "GOCSPX-", r"GOCSPX-[\w-]{20,}"),
    Token("a SendGrid key", "SG.", r"SG\.(?<!\wSG\.)[\w-]{16,}+\.[\w-]{16,}"),
    Token("an npm token", "npm_", r"npm_(?<!\wnpm_)[0-9A-Za-z]{36}"),
    Token("a PyPI token", "pypi-A", r"pypi-A(?<!\wpypi-A)[\w-]{50,}"),
    Token("an API key", "sk-", r"sk-(?<![\w-]sk-)(?:(?:proj|svcacct|admin|or|ant-[a-z0-9]{2,8})-[\w-]{20,}|[0-9A-Za-z]{32,})"),
    Token("a Twilio key", "SK", r"SK(?<!\wSK)[0-9a-f]{32}(?!\w)"),
    Token("a Mailgun key", "key-", r"key-(?<![\w-]key-)[0-9a-f]{32}(?!\w)"),
    Token("an Azure key", "AccountKey=", r"AccountKey=[\w+/]{40,}"),
    Token("an Azure key", "SharedAccessKey=", r"SharedAccessKey=[\w+/]{30,}"),
    Token("an Azure client secret", "8Q~", r"8Q~(?<=[\w~.-]{3}8Q~)(?<![\w~.-].{3}8Q~)[\w~.-]{31,34}(?![\w~.-])"),
    Token("an Auth0 refresh token", "v1.M", r"v1\.M(?<!\wv1\.M)[\w-]{30,}"),
    Token("an Auth0 token", "Fe26.2*", r"Fe26\.2\*[\w-]*\*[0-9a-f]{32,}"),
    Token("a DigitalOcean token", "_v1_", r"_v1_(?<=do[opr]_v1_)[0-9a-f]{64}"),
    *(Token("a Shopify token", f"{c}_", rf"{c}_(?<!\w{c}_)[0-9a-fA-F]{{32}}") for c in ("shpat", "shpca", "shppa", "shpss")),
    Token("a Square token", "sq0", r"sq0(?<!\wsq0)(?:atp|csp)-[\w-]{22,}"),
    Token("a Facebook token", "EAA", r"EAA(?<!\wEAA)[0-9A-Za-z]{80,}"),
    Token("a Telegram token", ":AA", r":AA(?<=\d{8}:AA)[\w-]{33}(?![\w-])"),
    Token("a Hugging Face token", "hf_", r"hf_(?<!\whf_)[0-9A-Za-z]{34}"),
    Token("a Docker token", "dckr_pat_", r"dckr_pat_[\w-]{20,}"),
    Token("a Databricks token", "dapi", r"dapi(?<!\wdapi)[0-9a-f]{32}"),
    Token("an Atlassian token", "ATATT3", r"ATATT3(?<!\wATATT3)[\w=-]{50,}"),
    Token("a Vault token", "hvs.", r"hvs\.(?<!\whvs\.)[\w-]{24,}"),
    Token("a Grafana token", "glsa_", r"glsa_(?<!\wglsa_)[0-9A-Za-z]{32}"),
    Token("a Linear key", "lin_api_", r"lin_api_[0-9A-Za-z]{32,}"),
    Token("a Postman key", "PMAK-", r"PMAK-[0-9a-f]{24}-[0-9a-f]{34}"),
    Token("a New Relic key", "NRAK-", r"NRAK-[0-9A-Z]{27}"),
    Token("a Supabase key", "sbp_", r"sbp_(?<!\wsbp_)[0-9a-f]{40}"),
    *(Token("a password hash", f"$2{c}$", rf"\$2{c}\$\d\d\$[./0-9A-Za-z]{{53}}") for c in "abxy"),
    Token("a password hash", "$argon2", r"\$argon2(?:id|i|d)\$"),
    Token("a password hash", "$scrypt$", r"\$scrypt\$ln="),
    Token("a password hash", "$pbkdf2", r"\$pbkdf2(?:-sha\d+)?\$\d+\$"),
    Token("a password hash", "pbkdf2_sha", r"pbkdf2_sha\d{1,3}\$\d+\$"),
    *(Token("a password hash", f"${c}$", rf"\${c}\$(?:rounds=\d+\$)?[./0-9A-Za-z]{{1,16}}\$[./0-9A-Za-z]{{22,86}}(?![./0-9A-Za-z])") for c in "156"),
    Token("a password hash", "$P$", r"\$P\$[./0-9A-Za-z]{31}(?![./0-9A-Za-z])"),
    Token("a password hash", "{SSHA", r"\{SSHA(?:256|512)?\}[\w+/]{28,}"),
    Token("a secret of one-time passwords", "otpauth://", r"otpauth://[th]otp/"),
    Token("a URL with a token", "access_token=", r"access_token=[\w.~+/%-]{16,}"),
    Token("a URL with a token", "client_secret=", r"client_secret=[\w.~+/%-]{16,}"),
    *(Token("a header with a token", f"{c} ", rf"{c} (?<!\w{c} )[\w.~+/-]{{20,}}", _is_bearer) for c in ("Bearer", "bearer")),
    *(Token("a header with a password", f"{c} ", rf"{c} (?<!\w{c} )[0-9A-Za-z+/]{{8,512}}={{0,2}}(?![\w+/=])", _is_basic) for c in ("Basic", "basic")),
)  # fmt: skip


@functools.cache
def _rows() -> tuple[tuple[Token, re.Pattern[str]], ...]:
    """Compile on first use, not at import."""
    return tuple((row, re.compile(row.pattern, re.ASCII)) for row in TOKENS)


# The letters of ordinary texts, from the most frequent ones on; what is not here is rarer still.
_FREQUENT: Final = "e0123456789aitnsorlcdhump.-fgbyw:/vk_TSAxzjq"


@functools.cache
def _gate() -> re.Pattern[str]:
    """Return a pattern that finds every anchor by its rarest letter, so that ordinary texts are read once, quickly.

    An alternation that begins with fixed letters is searched for by the set of these letters.
    """
    by_letter: dict[str, list[str]] = {}
    for anchor in dict.fromkeys(row.anchor for row in TOKENS):
        at = max(range(len(anchor)), key=lambda n: _FREQUENT.find(anchor[n]) % 100)
        before, after = re.escape(anchor[:at]), re.escape(anchor[at + 1 :])
        around = f"(?<={before}{re.escape(anchor[at])})" if before else ""
        by_letter.setdefault(anchor[at], []).append(around + (f"(?={after})" if after else ""))
    return re.compile("|".join(f"{re.escape(c)}(?:{'|'.join(parts)})" for c, parts in by_letter.items()))
