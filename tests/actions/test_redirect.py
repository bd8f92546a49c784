"""Hold redirects: what is written before, what goes on after, and what is refused."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from support.logins import SECRET, UID, URL, Consent, Login

from auth0_meta import ConfigError, InputError, NotFoundError, RedirectError, StateError
from auth0_meta.actions import LoginOutcome, MemoryStates, PostLoginTrigger, SqliteStates
from auth0_meta.actions.staging import TokenChanges
from auth0_meta.auth import jwt

HEAD = base64.urlsafe_b64encode(b'{"alg":"HS256","typ":"JWT"}').rstrip(b"=").decode()
DEEP = base64.urlsafe_b64encode(b'{"state":' + b"[" * 200_000).rstrip(b"=").decode()


class Sender:
    """Send the user wherever the test says, and note every continuation."""

    def __init__(self, send: Any) -> None:
        self.send = send
        self.continued: list[Any] = []

    def on_execute_post_login(self, event: Any, api: Any) -> None:
        """Do what the test says."""
        self.send(api)

    def on_continue_post_login(self, event: Any, api: Any) -> None:
        """Note the event."""
        self.continued.append(event)


def state_of(outcome: LoginOutcome) -> str:
    """Return the state of an outcome's redirect."""
    assert outcome.redirect is not None, outcome
    return outcome.redirect.state


# The way there and back


def test_a_redirect_writes_first_and_the_rest_after_it() -> None:
    """1 PATCH before, 1 after; earlier actions are not run again, later ones run after the return."""
    login, ran = Login(), []

    def before(event: Any, api: Any) -> None:
        ran.append("before")
        api.user.set_app_metadata("before", 1)

    def after(event: Any, api: Any) -> None:
        ran.append("after")
        api.user.set_user_metadata("after", dict(event.user.app_metadata))

    trigger = login.trigger(before, Consent(), after)
    outcome = trigger.run(login.event())
    assert (outcome.allowed, outcome.denied, outcome.error, ran) == (False, None, None, ["before"])
    assert login.bodies == [{"app_metadata": {"before": 1, "asked": True}}]
    assert outcome.redirect is not None
    assert outcome.redirect.url == f"{URL}?state={outcome.redirect.state}"
    assert state_of(outcome) not in repr(outcome)

    done = trigger.resume(state_of(outcome), query={"answer": "yes"})
    assert (done.allowed, ran) == (True, ["before", "after"])
    assert login.sent == ["PATCH", "GET", "PATCH"]
    assert login.app_metadata == {"before": 1, "asked": True, "consent": "yes"}
    assert login.user_metadata == {"after": login.app_metadata}
    again = trigger.run(login.event())
    assert (again.allowed, again.redirect) == (True, None)


def test_nothing_new_is_no_patch() -> None:
    """0 PATCHes before and after a redirect where nothing differs."""
    login = Login()
    sender = Sender(lambda api: api.redirect.send_user_to(URL))
    trigger = login.trigger(sender)
    assert trigger.resume(state_of(trigger.run(login.event()))).allowed
    assert (login.sent, len(sender.continued)) == (["GET"], 1)


def test_the_user_is_read_afresh() -> None:
    """What the other site wrote in between is what on_continue sees."""
    login = Login(None, {"step": 1})
    sender = Sender(lambda api: api.redirect.send_user_to(URL))
    trigger = login.trigger(sender)
    outcome = trigger.run(login.event())
    login.write(app_metadata={"step": 2})
    assert trigger.resume(state_of(outcome)).allowed
    assert sender.continued[0].user.app_metadata == {"step": 2}


def test_the_event_goes_on_with_a_new_request() -> None:
    """Client, connection and transaction metadata are kept; query, body and the rest are those of /continue."""
    login = Login()

    def send(api: Any) -> None:
        api.transaction.set_metadata("step", 3)
        api.redirect.send_user_to(URL)

    sender = Sender(send)
    trigger = login.trigger(sender)
    event = login.event(client={"client_id": "app"}, request={"query": {"a": "1"}, "body": {"password": "x"}})
    outcome = trigger.run(event)
    trigger.resume(state_of(outcome), body={"b": "2"}, request={"ip": "192.0.2.99"})
    (seen,) = sender.continued
    assert (seen.client.client_id, seen.transaction.metadata) == ("app", {"step": 3})
    assert (seen.request.query, seen.request.body, seen.request.method) == ({}, {"b": "2"}, "POST")
    assert (seen.request.ip, seen.request.hostname) == ("192.0.2.99", "login.example.com")


def test_claims_of_before_the_redirect_are_in_the_tokens() -> None:
    """Earlier actions are not run again, so what they asked for is carried over."""
    login = Login()

    def before(event: Any, api: Any) -> None:
        api.id_token.set_custom_claim("https://example.com/a", {"b": [1]})
        api.access_token.set_custom_claim("c", 1).access_token.add_scope("x").access_token.remove_scope("y")
        api.saml_response.set_attribute("d", ["e"])

    trigger = login.trigger(before, Consent())
    outcome = trigger.run(login.event())
    assert outcome.id_token_claims == {}
    done = trigger.resume(state_of(outcome))
    assert done.id_token_claims == {"https://example.com/a": {"b": [1]}}
    assert (done.access_token_claims, done.added_scopes, done.removed_scopes) == ({"c": 1}, ("x",), ("y",))
    assert done.saml_attributes == {"d": ["e"]}


def test_redirects_may_follow_each_other() -> None:
    """on_continue may send the user on, and so may a later action; each state is its own."""
    login = Login()

    class Twice(Sender):
        def on_continue_post_login(self, event: Any, api: Any) -> None:
            super().on_continue_post_login(event, api)
            if len(self.continued) == 1:
                self.send(api)

    trigger = login.trigger(Twice(lambda api: api.redirect.send_user_to(URL)), Consent())
    states = [state_of(trigger.run(login.event()))]
    for _ in range(2):
        states.append(state_of(trigger.resume(states[-1])))
    assert trigger.resume(states[-1], query={"answer": "yes"}).allowed
    assert len(set(states)) == 3
    assert login.app_metadata == {"asked": True, "consent": "yes"}


def test_each_side_of_a_redirect_has_its_own_budget() -> None:
    """18 s before and 18 s after are fine."""
    login = Login()

    class Slow(Consent):
        def on_continue_post_login(self, event: Any, api: Any) -> None:
            login.clock.sleep(18.0)

    trigger = login.trigger(lambda event, api: login.clock.sleep(18.0), Slow())
    assert trigger.resume(state_of(trigger.run(login.event()))).allowed


def test_the_action_runs_to_its_end_and_its_metadata_is_written() -> None:
    """send_user_to does not end the action; the last URL counts."""
    login = Login()

    def send(api: Any) -> None:
        api.redirect.send_user_to(URL)
        api.user.set_app_metadata("later", 1)
        api.redirect.send_user_to("https://other.example.com/")

    outcome = login.run(Sender(send))
    assert login.app_metadata == {"later": 1}
    assert outcome.redirect is not None
    assert outcome.redirect.url.startswith("https://other.example.com/?state=")


def test_deny_wins_over_a_redirect() -> None:
    """A denied login goes nowhere; its metadata is written once."""
    login = Login()

    def send(api: Any) -> None:
        api.user.set_app_metadata("a", 1).access.deny("no")
        api.redirect.send_user_to(URL)

    outcome = login.run(Sender(send))
    assert (outcome.denied, outcome.redirect) == ("no", None)
    assert login.sent == ["PATCH"]


def test_a_refused_update_sends_nobody_away() -> None:
    """What is to be stored before the redirect could not be: the login fails."""
    login = Login()
    login.tenant.fail(method="PATCH", status=400)
    outcome = login.run(Consent())
    assert outcome.error is not None
    assert outcome.redirect is None


# Where a user may be sent


@pytest.mark.parametrize(
    ("url", "query", "sent"),
    [
        ("https://a.example.com", None, "https://a.example.com?state=S"),
        ("https://a.example.com/x?y=1#z", {"t": "a b"}, "https://a.example.com/x?y=1&t=a+b&state=S#z"),
        ("https://a.example.com/?t=1&t=2&u=", {"t": "3"}, "https://a.example.com/?u=&t=3&state=S"),
        ("https://a.example.com/?state=forged", None, "https://a.example.com/?state=S"),
        ("http://127.0.0.1:8000/c", None, "http://127.0.0.1:8000/c?state=S"),
        ("http://[::1]:8000/c", None, "http://[::1]:8000/c?state=S"),
        ("http://localhost/c", None, "http://localhost/c?state=S"),
    ],
)
def test_parameters_are_set_in_the_url(url: str, query: Any, sent: str) -> None:
    """https, or http on loopback; a parameter of the same name is replaced, state always."""
    outcome = Login().run(Sender(lambda api: api.redirect.send_user_to(url, query=query)))
    assert outcome.redirect is not None
    assert outcome.redirect.url == sent.replace("S", outcome.redirect.state)


@pytest.mark.parametrize(
    ("url", "query"),
    [
        ("http://a.example.com/", None),
        ("/consent", None),
        ("//a.example.com/", None),
        ("javascript:alert(1)", None),
        ("https://user:pw@a.example.com/", None),
        ("https://a.example.com\\@evil.example.com/", None),
        ("https://evil.example.com\\.a.example.com/", None),
        ("https://a.example.com/\n", None),
        ("https://a.example.com:port/", None),
        ("https://", None),
        (None, None),
        (URL, {"a": 1}),
        (URL, {"": "1"}),
    ],
)
def test_other_targets_are_refused(url: Any, query: Any) -> None:
    """Anything else fails at the call, and with it the login."""
    login = Login()
    outcome = login.run(Sender(lambda api: api.redirect.send_user_to(url, query=query)))
    assert isinstance(outcome.error, InputError)
    assert outcome.redirect is None


@pytest.mark.parametrize(
    "sections",
    [{"request": {"query": {"prompt": "none"}}}]
    + [
        {"transaction": {"protocol": name}}
        for name in ("oauth2-resource-owner", "oauth2-refresh-token", "oauth2-password", "oauth2-webauthn")
    ],
)
def test_silent_logins_can_not_be_redirected(sections: Any) -> None:
    """can_redirect says so before; send_user_to fails the login with interaction_required."""
    login, asked = Login(), []

    def send(api: Any) -> None:
        asked.append(api.redirect.can_redirect())
        api.redirect.send_user_to(URL)

    trigger = login.trigger(Sender(send))
    outcome = trigger.run(login.event(**sections))
    assert isinstance(outcome.error, StateError)
    assert "interaction_required" in str(outcome.error)
    assert asked == [False]
    trigger.run(login.event())
    assert asked == [False, True]


def test_an_action_that_can_not_continue_can_not_redirect() -> None:
    """Without on_continue_post_login the call fails at once, not when the user comes back."""
    outcome = Login().run(lambda event, api: api.redirect.send_user_to(URL))
    assert isinstance(outcome.error, StateError)
    assert "on_continue_post_login" in str(outcome.error)


# What is refused at /continue


@pytest.fixture(params=["memory", "sqlite"])
def states(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """Give each kind of store."""
    return MemoryStates() if request.param == "memory" else SqliteStates(tmp_path / "states.db")


def refused(outcome: LoginOutcome) -> bool:
    """Tell whether /continue was refused for its state."""
    assert isinstance(outcome.error, RedirectError), outcome
    return (outcome.allowed, outcome.user_id, outcome.error.reason) == (False, None, "invalid_request")


@pytest.mark.parametrize("forged", ["", "x", "a\0b", "\ud800", None, 5])
def test_a_forged_state_is_refused(states: Any, forged: Any) -> None:
    """A state that nobody was given continues nothing, and takes nothing away."""
    login = Login()
    trigger = login.trigger(Consent(), states=states)
    outcome = trigger.run(login.event())
    assert refused(trigger.resume(forged))
    assert refused(trigger.resume(state_of(outcome) + "x"))
    assert login.sent == ["PATCH"]
    assert trigger.resume(state_of(outcome)).allowed


def test_a_replayed_state_is_refused(states: Any) -> None:
    """A state is good once, even where the first use failed."""
    login = Login()
    trigger = login.trigger(Consent(), states=states)
    first, second = (state_of(trigger.run(login.event(request={"ip": f"192.0.2.{n}"}))) for n in (1, 2))
    assert trigger.resume(first).allowed
    assert refused(trigger.resume(first))
    login.tenant.fail(method="GET", status=400)
    assert not trigger.resume(second).allowed
    assert refused(trigger.resume(second))


def test_an_expired_state_is_refused(states: Any) -> None:
    """After suspend_for seconds the login has to be started again."""
    login = Login()
    trigger = login.trigger(Consent(), states=states, suspend_for=60)
    outcome, other = trigger.run(login.event()), trigger.run(login.event())
    login.clock.advance(59)
    assert trigger.resume(state_of(other)).allowed
    login.clock.advance(1)
    assert refused(trigger.resume(state_of(outcome)))


def test_a_state_sent_to_somebody_else_is_refused(states: Any) -> None:
    """Another browser continues nothing, and the right one still can."""
    login = Login()
    trigger = login.trigger(Consent(), states=states)
    outcome = trigger.run(login.event(), browser="cookie-1")
    assert refused(trigger.resume(state_of(outcome), browser="cookie-2"))
    assert refused(trigger.resume(state_of(outcome)))
    assert trigger.resume(state_of(outcome), browser="cookie-1").allowed


def test_a_login_without_a_browser_is_not_continued_with_one(states: Any) -> None:
    """What was not bound can't be claimed by a browser that names itself."""
    login = Login()
    trigger = login.trigger(Consent(), states=states)
    outcome = trigger.run(login.event())
    assert refused(trigger.resume(state_of(outcome), browser="cookie"))


def test_a_user_who_is_gone_meanwhile_fails_the_login() -> None:
    """The fresh read is a 404; nothing runs."""
    login = Login()
    trigger = login.trigger(Consent())
    outcome = trigger.run(login.event())
    login.tenant.users[UID].delete()
    done = trigger.resume(state_of(outcome))
    assert isinstance(done.error, NotFoundError)
    assert done.user_id == UID


def test_actions_that_changed_meanwhile_do_not_continue(states: Any) -> None:
    """A deployment in between may have moved the action: the login is refused, not continued elsewhere."""
    login = Login()
    trigger = login.trigger(lambda event, api: None, Consent(), states=states)
    for later in ([Consent()], [Consent(), Sender(lambda api: None)], [Consent(), lambda event, api: None]):
        outcome = trigger.run(login.event())
        done = PostLoginTrigger(login.client, later, states=states).resume(state_of(outcome))
        assert isinstance(done.error, RedirectError)
        assert "have changed" in done.error.reason
        assert UID in str(done.error)


def test_what_is_kept_holds_no_secrets() -> None:
    """The store sees a hash, and neither secrets, configuration, profile, metadata, body, query nor foreign state."""
    login = Login({"u": "metadata-u"}, {"a": "metadata-a"})
    kept: dict[str, str] = {}

    class Spy(MemoryStates):
        def put(self, key: str, data: str, *, expires_at: float, now: float) -> None:
            kept[key] = data
            super().put(key, data, expires_at=expires_at, now=now)

    configured = {"configuration": {"C": "configuration-1"}}
    trigger = login.trigger(Consent(), states=Spy(), secrets={"S": "secret-1"}, **configured)
    request = {"query": {"q": "query-1"}, "body": {"password": "body-1"}}
    sections = {
        "configuration": {"D": "configuration-2"},
        "transaction": {"state": "state-1", "locale": "fi"},
    }
    event = login.event(secrets={"T": "secret-2"}, request=request, **sections)
    outcome = trigger.run(event, browser="cookie-1")
    ((key, data),) = kept.items()
    everything = key + data
    absent = (
        "secret-1",
        "secret-2",
        "configuration-",
        "state-1",
        "metadata-u",
        "metadata-a",
        "query-1",
        "body-1",
        "cookie-1",
        "@example.com",
    )
    assert [text for text in (*absent, state_of(outcome)) if text in everything] == []
    assert json.loads(data)["user_id"] == UID
    assert json.loads(data)["event"]["transaction"]["locale"] == "fi"
    assert len(state_of(outcome)) >= 43


def test_secrets_are_there_again_after_the_redirect() -> None:
    """They come from the trigger, not from the store."""
    login = Login()
    sender = Sender(lambda api: api.redirect.send_user_to(URL))
    trigger = login.trigger(sender, secrets={"S": "secret-1"}, configuration={"c": {"d": 1}})
    event = login.event(secrets={"T": "x"}, configuration={"e": 2})
    trigger.resume(state_of(trigger.run(event)))
    assert sender.continued[0].secrets == {"S": "secret-1"}
    assert sender.continued[0].configuration == {"c": {"d": 1}}


def test_what_is_carried_shows_no_values() -> None:
    """Claims may be personal: the repr holds none."""
    carried = TokenChanges(id_token={"a": "SECRET"}, access_token={"b": "SECRET"}, saml={"c": "SECRET"})
    assert "SECRET" not in repr(carried)


# Tokens there and back


def test_encode_token_holds_auth0s_claims() -> None:
    """HS256, header alg and typ, claims iat, iss, sub, exp and ip; the payload may override them."""
    login = Login()
    tokens: list[str] = []

    def send(api: Any) -> None:
        tokens.append(api.redirect.encode_token(secret=SECRET, payload={"a": [1], "iss": "mine"}))
        tokens.append(api.redirect.encode_token(secret=SECRET, expires_in_seconds=60))

    assert login.run(Sender(send)).allowed
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
def test_tokens_that_can_not_be_made_are_refused(settings: Any, error: type[Exception]) -> None:
    """Unusable secrets and claims fail at the call; the message holds neither."""
    outcome = Login().run(Sender(lambda api: api.redirect.encode_token(**settings)))
    assert isinstance(outcome.error, error)
    assert "BEGIN" not in str(outcome.error)


class Checked:
    """Redirect with a token, and check what comes back."""

    def __init__(self, **settings: Any) -> None:
        self.settings = {"secret": SECRET, **settings}
        self.claims: Any = None

    def on_execute_post_login(self, event: Any, api: Any) -> None:
        """Send the user away with a token."""
        token = api.redirect.encode_token(secret=SECRET)
        api.redirect.send_user_to(URL, query={"session_token": token})

    def on_continue_post_login(self, event: Any, api: Any) -> None:
        """Check the token that came back, and store that it held."""
        self.claims = api.redirect.validate_token(**self.settings)
        api.user.set_app_metadata("checked", True)


def returned(
    login: Login, state: str, *, secret: str = SECRET, drop: tuple[str, ...] = (), **claims: Any
) -> str:
    """Sign the token that the other site sends back."""
    now = int(login.clock.time())
    full = {"sub": UID, "iss": "consent.example.com", "iat": now, "exp": now + 60, "state": state} | claims
    return jwt.sign_hs256({k: v for k, v in full.items() if k not in drop}, secret=secret)


@pytest.mark.parametrize("where", ["body", "query"])
def test_a_token_that_holds_gives_its_claims(where: Any) -> None:
    """From the body or the query; all claims are returned."""
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
    """Where both carry the parameter, the body's counts; its name can be chosen."""
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
def test_a_token_that_does_not_hold_fails_the_login(case: str) -> None:
    """Auth0's words for each reason; nothing is written after the redirect."""
    make, reason = INVALID[case]
    login = Login()
    trigger = login.trigger(Checked())
    state = state_of(trigger.run(login.event()))
    done = trigger.resume(state, body={"session_token": make(login, state)})
    assert isinstance(done.error, RedirectError)
    assert (str(done.error), done.error.reason) == (f"The session token is invalid: {reason}", reason)
    assert login.app_metadata == {}


def test_the_reasons_have_auth0s_order() -> None:
    """State before signature before claims before user before expiry."""
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
    """typ must be JWT, the algorithm HS256 and nothing else, "none" included."""
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


def test_claims_that_are_no_object_are_refused() -> None:
    """A signed list is no set of claims."""
    from jose import jws

    login = Login()
    trigger = login.trigger(Checked())
    state = state_of(trigger.run(login.event()))
    token = jws.sign(b"[1]", SECRET, algorithm="HS256")
    error = trigger.resume(state, body={"session_token": token}).error
    assert isinstance(error, RedirectError)
    assert error.reason == "Failed signature validation"


def test_an_issuer_can_be_asked_for() -> None:
    """Without issuer= its presence is enough; which of them Auth0 does is not known."""
    login = Login()
    trigger = login.trigger(Checked(issuer="https://other.example.com"))
    state = state_of(trigger.run(login.event()))
    error = trigger.resume(state, body={"session_token": returned(login, state)}).error
    assert isinstance(error, RedirectError)
    assert error.reason == "The iss claim does not match the issuer."


@pytest.mark.parametrize("body", [{}, {"session_token": ""}, {"session_token": ["a", "b"]}])
def test_a_missing_token_is_named(body: Any) -> None:
    """Auth0's words, with the parameter's name."""
    login = Login()
    trigger = login.trigger(Checked())
    state = state_of(trigger.run(login.event()))
    error = trigger.resume(state, body=body).error
    assert isinstance(error, RedirectError)
    assert str(error) == (
        "There is no parameter called 'session_token' available in either the POST body or query string."
    )


def test_a_token_before_any_redirect_holds_nothing() -> None:
    """Outside of /continue there is no state that a token could be for."""
    login = Login()

    def action(event: Any, api: Any) -> None:
        api.redirect.validate_token(secret=SECRET)

    for token in (returned(login, "s"), returned(login, "s", drop=("state",))):
        error = login.trigger(action).run(login.event(request={"query": {"session_token": token}})).error
        assert isinstance(error, RedirectError)
        assert error.reason.startswith("State in the token")
