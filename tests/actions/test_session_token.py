"""The tokens that travel with a redirect: creating them, and checking the one that comes back."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from support.local_tenant import UID
from support.logins import SECRET, URL, Login, RedirectingAction, state_of

from auth0_meta import ConfigError, InputError, MetadataWarning, RedirectError
from auth0_meta.auth import jwt

HEAD = base64.urlsafe_b64encode(b'{"alg":"HS256","typ":"JWT"}').rstrip(b"=").decode()


DEEP = base64.urlsafe_b64encode(b'{"state":' + b"[" * 200_000).rstrip(b"=").decode()


# Tokens there and back


def test_encode_token_has_auth0s_claims() -> None:
    """HS256, a header of alg and typ, and the claims iat, iss, sub, exp and ip, which the payload may override."""
    login = Login()
    tokens: list[str] = []

    def send(api: Any) -> None:
        tokens.append(api.redirect.encode_token(secret=SECRET, payload={"a": [1], "iss": "mine"}))
        tokens.append(api.redirect.encode_token(secret=SECRET, expires_in_seconds=60))

    assert login.run(RedirectingAction(send)).allowed
    now = int(login.clock.time())
    header, claims = jwt.verify_hs256(tokens[0], secret=SECRET)
    assert header == {"alg": "HS256", "typ": "JWT"}
    assert claims == {"iat": now, "iss": "mine", "sub": UID, "exp": now + 900, "ip": "192.0.2.7", "a": [1]}
    assert list(claims) == ["iat", "iss", "sub", "exp", "ip", "a"]
    short = jwt.verify_hs256(tokens[1], secret=SECRET)[1]
    assert (short["exp"] - short["iat"], short["iss"]) == (60, "login.example.com")


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"secret": ""}, ConfigError),
        ({"secret": None}, ConfigError),
        ({"secret": "-----BEGIN PUBLIC KEY-----\nx\n-----END PUBLIC KEY-----"}, ConfigError),
        ({"secret": SECRET, "expires_in_seconds": 0}, InputError),
        ({"secret": SECRET, "expires_in_seconds": True}, InputError),
        ({"secret": SECRET, "payload": {"a": b"x"}}, InputError),
        ({"secret": SECRET, "payload": {"a": float("nan")}}, InputError),
        ({"secret": SECRET, "payload": [1]}, InputError),
        ({"secret": SECRET, "expires_in_seconds": "60"}, InputError),
        ({"secret": SECRET, "expires_in_seconds": float("inf")}, InputError),
        ({"secret": SECRET, "expires_in_seconds": float("nan")}, InputError),
    ],
)
def test_tokens_that_cannot_be_made_are_refused(settings: Any, error: type[Exception]) -> None:
    """With an unusable secret or claim the call fails; the message contains neither."""
    outcome = Login().run(RedirectingAction(lambda api: api.redirect.encode_token(**settings)))
    assert isinstance(outcome.error, error)
    assert "BEGIN" not in str(outcome.error)


class Checked:
    """An action that redirects with a token and checks the one that comes back."""

    def __init__(self, **settings: Any) -> None:
        self.settings = {"secret": SECRET, **settings}
        self.claims: Any = None

    def on_execute_post_login(self, event: Any, api: Any) -> None:
        """Send the user away with a token."""
        token = api.redirect.encode_token(secret=SECRET)
        api.redirect.send_user_to(URL, query={"session_token": token})

    def on_continue_post_login(self, event: Any, api: Any) -> None:
        """Check the token that came back, and store that it was valid."""
        self.claims = api.redirect.validate_token(**self.settings)
        api.user.set_app_metadata("checked", True)


def returned(
    login: Login, state: str, *, secret: str = SECRET, drop: tuple[str, ...] = (), **claims: Any
) -> str:
    """Return the token that the other site sends back."""
    now = int(login.clock.time())
    full = {"sub": UID, "iss": "consent.example.com", "iat": now, "exp": now + 60, "state": state} | claims
    return jwt.sign_hs256({k: v for k, v in full.items() if k not in drop}, secret=secret)


@pytest.mark.parametrize("where", ["body", "query"])
def test_a_valid_token_returns_its_claims(where: Any) -> None:
    """It may be in the body or the query; all claims are returned."""
    login, action = Login(), Checked(issuer="consent.example.com")
    trigger = login.trigger(action)
    outcome = trigger.run(login.event())
    assert outcome.redirect is not None
    assert set(parse_qs(urlsplit(outcome.redirect.url).query)) == {"session_token", "state"}
    token = returned(login, state_of(outcome), agreed=True)
    assert trigger.resume(state_of(outcome), **{where: {"session_token": token}}).allowed
    assert action.claims["agreed"] is True
    assert login.app_metadata == {"checked": True}


def test_the_body_wins_over_the_query() -> None:
    """If both have the parameter, the body's counts; the name of the parameter can be chosen."""
    login, action = Login(), Checked(token_parameter_name="t")
    trigger = login.trigger(action)
    outcome = trigger.run(login.event())
    good = returned(login, state_of(outcome))
    assert trigger.resume(state_of(outcome), query={"t": "garbage"}, body={"t": good}).allowed


INVALID = {
    "wrong state": (
        lambda login, state: returned(login, "other"),
        "State in the token does not match the /continue state.",
    ),
    "outgoing token": (
        lambda login, state: returned(login, state, drop=("state",)),
        "State in the token does not match the /continue state.",
    ),
    "wrong secret": (
        lambda login, state: returned(login, state, secret="other"),
        "Failed signature validation",
    ),
    "garbage": (lambda login, state: "garbage", "Failed signature validation"),
    "deep": (lambda login, state: f"{HEAD}.{DEEP}.AA", "Failed signature validation"),
    "three parts": (lambda login, state: "a.b.c", "Failed signature validation"),
    "no sub": (
        lambda login, state: returned(login, state, drop=("sub",)),
        "Missing or invalid standard claims",
    ),
    "no iss": (
        lambda login, state: returned(login, state, drop=("iss",)),
        "Missing or invalid standard claims",
    ),
    "no exp": (
        lambda login, state: returned(login, state, drop=("exp",)),
        "Missing or invalid standard claims",
    ),
    "no iat": (lambda login, state: returned(login, state, iat=None), "Missing or invalid standard claims"),
    "odd exp": (
        lambda login, state: returned(login, state, exp="soon"),
        "Missing or invalid standard claims",
    ),
    "true exp": (lambda login, state: returned(login, state, exp=True), "Missing or invalid standard claims"),
    "wrong user": (
        lambda login, state: returned(login, state, sub="auth0|other"),
        "The sub claim does not match the user_id.",
    ),
    "expired": (
        lambda login, state: returned(login, state, exp=int(login.clock.time())),
        "Token has expired.",
    ),
}


@pytest.mark.parametrize("case", INVALID)
def test_an_invalid_token_fails_the_login(case: str) -> None:
    """Each reason has Auth0's wording; nothing is written after the redirect."""
    make, reason = INVALID[case]
    login = Login()
    trigger = login.trigger(Checked())
    state = state_of(trigger.run(login.event()))
    done = trigger.resume(state, body={"session_token": make(login, state)})
    assert isinstance(done.error, RedirectError)
    assert (str(done.error), done.error.reason) == (f"The session token is invalid: {reason}", reason)
    assert login.app_metadata == {}


def test_the_checks_have_auth0s_order() -> None:
    """The order is state, signature, claims, user, expiry."""
    login = Login()
    trigger = login.trigger(Checked())

    def reason(**claims: Any) -> str:
        state = state_of(trigger.run(login.event()))
        token = returned(login, **{"state": state, "exp": 1, "sub": "x"} | claims)
        error = trigger.resume(state, body={"session_token": token}).error
        assert isinstance(error, RedirectError)
        return error.reason

    assert reason(state="x", secret="other").startswith("State")
    assert reason(secret="other", drop=("iat",)).startswith("Failed signature")
    assert reason(drop=("iat",)).startswith("Missing")
    assert reason().startswith("The sub claim")
    assert reason(sub=UID) == "Token has expired."


def test_a_token_of_another_kind_is_refused() -> None:
    """typ must be JWT, and the algorithm HS256, never "none"."""
    from base64 import urlsafe_b64encode

    from jose import jws

    login = Login()
    trigger = login.trigger(Checked())
    now = int(login.clock.time())

    def tries(make: Any) -> str:
        state = state_of(trigger.run(login.event()))
        claims = {"sub": UID, "iss": "i", "iat": now, "exp": now + 60, "state": state}
        error = trigger.resume(state, body={"session_token": make(claims)}).error
        assert isinstance(error, RedirectError)
        return error.reason

    def unsigned(claims: Any) -> str:
        parts = ({"alg": "none", "typ": "JWT"}, claims)
        return ".".join(
            [*(urlsafe_b64encode(json.dumps(p).encode()).decode().rstrip("=") for p in parts), ""]
        )

    other_typ = tries(lambda claims: jws.sign(claims, SECRET, headers={"typ": "at+jwt"}, algorithm="HS256"))
    assert other_typ == "Unexpected token payload type"
    assert tries(lambda claims: jws.sign(claims, SECRET, algorithm="HS512")) == "Failed signature validation"
    assert tries(unsigned) == "Failed signature validation"


def test_claims_that_are_not_an_object_are_refused() -> None:
    """A signed list is refused."""
    from jose import jws

    login = Login()
    trigger = login.trigger(Checked())
    state = state_of(trigger.run(login.event()))
    token = jws.sign(b"[1]", SECRET, algorithm="HS256")
    error = trigger.resume(state, body={"session_token": token}).error
    assert isinstance(error, RedirectError)
    assert error.reason == "Failed signature validation"


def test_an_issuer_can_be_required() -> None:
    """With issuer= any other issuer is refused; without it, any is accepted."""
    login = Login()
    trigger = login.trigger(Checked(issuer="https://other.example.com"))
    state = state_of(trigger.run(login.event()))
    error = trigger.resume(state, body={"session_token": returned(login, state)}).error
    assert isinstance(error, RedirectError)
    assert error.reason == "The iss claim does not match the issuer."


@pytest.mark.parametrize("body", [{}, {"session_token": ""}, {"session_token": ["a", "b"]}])
def test_a_missing_token_is_named(body: Any) -> None:
    """The error has Auth0's wording and the name of the parameter."""
    login = Login()
    trigger = login.trigger(Checked())
    state = state_of(trigger.run(login.event()))
    error = trigger.resume(state, body=body).error
    assert isinstance(error, RedirectError)
    assert str(error) == (
        "There is no parameter called 'session_token' available in either the POST body or query string."
    )


def test_a_token_before_any_redirect_is_refused() -> None:
    """Outside /continue there is no state that a token could match."""
    login = Login()

    def action(event: Any, api: Any) -> None:
        api.redirect.validate_token(secret=SECRET)

    for token in (returned(login, "s"), returned(login, "s", drop=("state",))):
        error = login.trigger(action).run(login.event(request={"query": {"session_token": token}})).error
        assert isinstance(error, RedirectError)
        assert error.reason.startswith("State in the token")


# One text that two readers could take for different things


def encoded(data: bytes) -> str:
    """Return a part of a token."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def signed(head: str, body: str) -> str:
    """Return a token of these parts, signed with the shared secret."""
    mac = hmac.new(SECRET.encode(), f"{head}.{body}".encode(), hashlib.sha256)
    return f"{head}.{body}.{encoded(mac.digest())}"


def spelled(claims: dict[str, Any], **odd: str) -> bytes:
    """Return claims as JSON, in which some values are spelled as a test says."""
    items = [f"{json.dumps(k)}:{odd.get(k, json.dumps(v))}" for k, v in claims.items()]
    return ("{" + ",".join(items) + "}").encode()


def with_tail(part: str) -> str:
    """Return another spelling of a part: the unused bits of its last letter are set."""
    last = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".index(part[-1])
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return part[:-1] + letters[last + 1]


def unused_bits(claims: dict[str, Any]) -> str:
    """Return claims as a part that has unused bits in its last letter."""
    body = json.dumps(claims).encode()
    return encoded(body + b" " * ((1 - len(body)) % 3))


ODD: dict[str, Any] = {
    **{
        f"in {name}": lambda claims, name=name: signed(HEAD, encoded(json.dumps(claims).encode(name)))
        for name in ("utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be")
    },
    "twice the state": lambda claims: signed(
        HEAD, encoded(b'{"state":"x",' + json.dumps(claims).encode()[1:])
    ),
    "twice a name, deeper": lambda claims: signed(
        HEAD, encoded(spelled(claims | {"a": 1}, a='{"b":1,"b":2}'))
    ),
    "a list as state": lambda claims: signed(HEAD, encoded(spelled(claims, state=f'["{claims["state"]}"]'))),
    "a number as state": lambda claims: signed(HEAD, encoded(spelled(claims, state="1"))),
    "null as state": lambda claims: signed(HEAD, encoded(spelled(claims, state="null"))),
    "exp 1e400": lambda claims: signed(HEAD, encoded(spelled(claims, exp="1e400"))),
    "exp NaN": lambda claims: signed(HEAD, encoded(spelled(claims, exp="NaN"))),
    "exp Infinity": lambda claims: signed(HEAD, encoded(spelled(claims, exp="Infinity"))),
    "exp true": lambda claims: signed(HEAD, encoded(spelled(claims, exp="true"))),
    "exp a text": lambda claims: signed(HEAD, encoded(spelled(claims, exp=f'"{claims["exp"]}"'))),
    "exp too long": lambda claims: signed(HEAD, encoded(spelled(claims, exp="9" * 5000))),
    "a number beyond doubles": lambda claims: signed(HEAD, encoded(spelled(claims | {"a": 1}, a="-1e999"))),
    "unused bits": lambda claims: signed(HEAD, with_tail(unused_bits(claims))),
    "padding": lambda claims: signed(HEAD, unused_bits(claims) + "=="),
    "a line end inside": lambda claims: signed(
        HEAD, unused_bits(claims)[:8] + "\n" + unused_bits(claims)[8:]
    ),
    "a space behind": lambda claims: signed(HEAD, unused_bits(claims)) + " ",
    "a line end behind": lambda claims: signed(HEAD, unused_bits(claims)) + "\n",
    "a space before": lambda claims: " " + signed(HEAD, unused_bits(claims)),
    "a padded signature": lambda claims: signed(HEAD, unused_bits(claims)) + "=",
    "another spelling of the signature": lambda claims: with_tail(signed(HEAD, unused_bits(claims))),
    "a fourth part": lambda claims: signed(HEAD, unused_bits(claims) + ".e30"),
    "text behind the claims": lambda claims: signed(HEAD, encoded(json.dumps(claims).encode() + b"{}")),
    "two algorithms": lambda claims: signed(
        encoded(b'{"alg":"none","alg":"HS256","typ":"JWT"}'), unused_bits(claims)
    ),
    "alg in another case": lambda claims: signed(
        encoded(b'{"alg":"hs256","typ":"JWT"}'), unused_bits(claims)
    ),
    "a list of algorithms": lambda claims: signed(
        encoded(b'{"alg":["HS256"],"typ":"JWT"}'), unused_bits(claims)
    ),
    "a header in UTF-16": lambda claims: signed(
        encoded('{"alg":"HS256","typ":"JWT"}'.encode("utf-16")), unused_bits(claims)
    ),
    "typ in another case": lambda claims: signed(
        encoded(b'{"alg":"HS256","typ":"jwt"}'), unused_bits(claims)
    ),
}


@pytest.mark.parametrize("case", ODD)
@pytest.mark.parametrize("state", ["of this redirect", "of another login"])
def test_a_token_of_an_odd_form_is_refused(case: str, state: str) -> None:
    """The signature is right; whatever its state, a text that readers could take for different things logs nobody in."""
    login = Login()
    trigger = login.trigger(Checked())
    right = state_of(trigger.run(login.event()))
    now = int(login.clock.time())
    claims = {"sub": UID, "iss": "i", "iat": now, "exp": now + 60}
    token = ODD[case](claims | {"state": right if state == "of this redirect" else "other"})
    done = trigger.resume(right, body={"session_token": token})
    assert isinstance(done.error, RedirectError)
    assert done.error.reason
    assert login.app_metadata == {}


def test_the_same_claims_in_their_plain_form_are_accepted() -> None:
    """The forms above are refused for what is odd in them alone; space, escapes and other letters are not."""
    for odd in (
        unused_bits,
        lambda claims: encoded(json.dumps(claims, indent=1).encode()),
        lambda claims: encoded(json.dumps(claims | {"name": "Zoë"}, ensure_ascii=False).encode()),
        lambda claims: encoded(spelled(claims, exp=f"{claims['exp']}.5")),
    ):
        login = Login()
        trigger = login.trigger(Checked())
        state = state_of(trigger.run(login.event()))
        now = int(login.clock.time())
        claims = {"sub": UID, "iss": "i", "iat": now, "exp": now + 60, "state": state}
        assert trigger.resume(state, body={"session_token": signed(HEAD, odd(claims))}).allowed


@pytest.mark.parametrize("secret", ["x", "hunter2", "x" * 31])
def test_a_secret_that_can_be_guessed_causes_a_warning(secret: str) -> None:
    """Whoever sees one token can try secrets at leisure; the warning has the length, not the secret."""
    with pytest.warns(MetadataWarning, match=f"has {len(secret)} characters"):
        Login().run(RedirectingAction(lambda api: api.redirect.encode_token(secret=secret)))
    login = Login()
    trigger = login.trigger(Checked(secret=secret))
    state = state_of(trigger.run(login.event()))
    with pytest.warns(MetadataWarning, match="HS256 needs at least 32 random bytes"):
        assert trigger.resume(state, body={"session_token": returned(login, state, secret=secret)}).allowed
