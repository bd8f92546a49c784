"""Redirects: what is written before, what continues after, and where a user may be sent."""

from __future__ import annotations

from typing import Any

import pytest
from support.logins import URL, Consent, Login, RedirectingAction, state_of

from auth0_meta import InputError, StateError

# The way there and back


def test_metadata_is_written_before_a_redirect_and_after_it() -> None:
    """One PATCH before and one after; earlier actions don't run again, later ones run after the return."""
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


def test_without_changes_there_is_no_patch() -> None:
    """No PATCH before or after a redirect if nothing differs."""
    login = Login()
    action = RedirectingAction(lambda api: api.redirect.send_user_to(URL))
    trigger = login.trigger(action)
    assert trigger.resume(state_of(trigger.run(login.event()))).allowed
    assert (login.sent, len(action.continued)) == (["GET"], 1)


def test_the_user_is_read_again_after_the_redirect() -> None:
    """on_continue sees what the other site has written in the meantime."""
    login = Login(None, {"step": 1})
    action = RedirectingAction(lambda api: api.redirect.send_user_to(URL))
    trigger = login.trigger(action)
    outcome = trigger.run(login.event())
    login.write(app_metadata={"step": 2})
    assert trigger.resume(state_of(outcome)).allowed
    assert action.continued[0].user.app_metadata == {"step": 2}


def test_the_event_continues_with_a_new_request() -> None:
    """Client, connection and transaction metadata stay; query, body and the rest come from /continue."""
    login = Login()

    def send(api: Any) -> None:
        api.transaction.set_metadata("step", 3)
        api.redirect.send_user_to(URL)

    action = RedirectingAction(send)
    trigger = login.trigger(action)
    event = login.event(client={"client_id": "app"}, request={"query": {"a": "1"}, "body": {"password": "x"}})
    outcome = trigger.run(event)
    trigger.resume(state_of(outcome), body={"b": "2"}, request={"ip": "192.0.2.99"})
    (seen,) = action.continued
    assert (seen.client.client_id, seen.transaction.metadata) == ("app", {"step": 3})
    assert (seen.request.query, seen.request.body, seen.request.method) == ({}, {"b": "2"}, "POST")
    assert (seen.request.ip, seen.request.hostname) == ("192.0.2.99", "login.example.com")


def test_claims_from_before_the_redirect_are_in_the_tokens() -> None:
    """Earlier actions don't run again, so their requests are carried over."""
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


def test_redirects_can_follow_each_other() -> None:
    """on_continue may redirect again, and so may a later action; each redirect has its own state."""
    login = Login()

    class Twice(RedirectingAction):
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
    """18 s before and 18 s after are within the budget."""
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

    outcome = login.run(RedirectingAction(send))
    assert login.app_metadata == {"later": 1}
    assert outcome.redirect is not None
    assert outcome.redirect.url.startswith("https://other.example.com/?state=")


def test_deny_wins_over_a_redirect() -> None:
    """A denied login is not redirected; its metadata is written once."""
    login = Login()

    def send(api: Any) -> None:
        api.user.set_app_metadata("a", 1).access.deny("no")
        api.redirect.send_user_to(URL)

    outcome = login.run(RedirectingAction(send))
    assert (outcome.denied, outcome.redirect) == ("no", None)
    assert login.sent == ["PATCH"]


def test_after_a_refused_update_there_is_no_redirect() -> None:
    """If the update before the redirect is refused, the login fails."""
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
    """https, or http on loopback; a parameter of the same name is replaced, and state always is."""
    outcome = Login().run(RedirectingAction(lambda api: api.redirect.send_user_to(url, query=query)))
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
    """Any other URL makes the call fail, and with it the login."""
    login = Login()
    outcome = login.run(RedirectingAction(lambda api: api.redirect.send_user_to(url, query=query)))
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
def test_silent_logins_cannot_be_redirected(sections: Any) -> None:
    """can_redirect returns False; send_user_to fails the login with interaction_required."""
    login, possible = Login(), []

    def send(api: Any) -> None:
        possible.append(api.redirect.can_redirect())
        api.redirect.send_user_to(URL)

    trigger = login.trigger(RedirectingAction(send))
    outcome = trigger.run(login.event(**sections))
    assert isinstance(outcome.error, StateError)
    assert "interaction_required" in str(outcome.error)
    assert possible == [False]
    trigger.run(login.event())
    assert possible == [False, True]


def test_an_action_that_cannot_continue_cannot_redirect() -> None:
    """Without on_continue_post_login the call fails at once, not when the user comes back."""
    outcome = Login().run(lambda event, api: api.redirect.send_user_to(URL))
    assert isinstance(outcome.error, StateError)
    assert "on_continue_post_login" in str(outcome.error)
