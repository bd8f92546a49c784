"""The trigger in a local tenant, which runs it at each login, as Auth0 does; logins go over sockets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from support.page_visitor import Visitor

from auth0_meta.actions import PostLoginTrigger
from auth0_meta.auth.jwt import peek, sign_hs256
from auth0_meta.clock import SYSTEM_CLOCK
from auth0_meta.emulator import LocalTenant

APP = "http://127.0.0.1:9/"
CONSENT = f"{APP}consent"
SECRET = "a secret of this test, long enough for HS256"
ASKED = {
    "response_type": "code",
    "client_id": "app",
    "redirect_uri": f"{APP}callback",
    "scope": "openid",
    "state": "s",
}


def note(event: Any, api: Any) -> None:
    """Stage something before the redirect."""
    api.user.set_app_metadata("seen", event.stats.logins_count)
    api.id_token.set_custom_claim("https://x/seen", event.stats.logins_count)


class Consent:
    """Ask on another site; deny users who say no."""

    def on_execute_post_login(self, event: Any, api: Any) -> None:
        """Redirect with a token that names the user."""
        if not event.user.user_metadata.get("consent"):
            token = api.redirect.encode_token(secret=SECRET)
            api.redirect.send_user_to(CONSENT, query={"session_token": token})

    def on_continue_post_login(self, event: Any, api: Any) -> None:
        """Check the answer."""
        answer = api.redirect.validate_token(secret=SECRET)
        if not answer["yes"]:
            api.access.deny("No consent.")
        api.user.set_user_metadata("consent", answer["yes"])


@pytest.fixture
def tenant() -> Iterator[LocalTenant]:
    """Serve a tenant whose logins run these actions."""
    with LocalTenant(users=[{"user_id": "auth0|1"}]) as served, served.client() as client:
        served.post_login = PostLoginTrigger(client, [note, Consent()])
        yield served


@pytest.fixture
def visitor(tenant: LocalTenant) -> Iterator[Visitor]:
    """Return a visitor who has been sent to the consent page."""
    with Visitor(stop=APP) as browser:
        browser.get(f"{tenant.url}/authorize", **ASKED).press("auth0|1")
        assert browser.url.startswith(CONSENT)
        yield browser


def answer(tenant: LocalTenant, visitor: Visitor, *, yes: bool = True, **changed: Any) -> Visitor:
    """Return the token that the consent page would send."""
    now, state = int(SYSTEM_CLOCK.time()), visitor.params["state"]
    claims = {"sub": "auth0|1", "iss": "consent", "iat": now, "exp": now + 60, "state": state, "yes": yes}
    token = sign_hs256({**claims, **changed}, secret=SECRET)
    return visitor.post(f"{tenant.url}/continue?state={state}", session_token=token)


def writes(tenant: LocalTenant) -> list[Any]:
    """Return the bodies of the updates so far."""
    return [entry.body for entry in tenant.journal.requests("PATCH")]


def test_there_is_one_update_before_the_redirect_and_one_at_the_end(
    tenant: LocalTenant, visitor: Visitor
) -> None:
    """The event has both metadata objects, so nothing is read first; the tokens have the claims from before the redirect."""
    assert writes(tenant) == [{"app_metadata": {"seen": 1}}]
    sent = peek(visitor.params["session_token"])
    assert (sent["sub"], sent["iss"], sent["ip"]) == ("auth0|1", "localhost", "127.0.0.1")
    answer(tenant, visitor)
    assert writes(tenant)[1:] == [{"user_metadata": {"consent": True}}]
    assert visitor.params["state"] == "s"
    tenant.add_client("app", client_secret="secret")
    form = {"grant_type": "authorization_code", "code": visitor.params["code"], "client_id": "app"}
    visitor.post(
        f"{tenant.url}/oauth/token", **form, client_secret="secret", redirect_uri=ASKED["redirect_uri"]
    )
    assert peek(visitor.page.json()["id_token"])["https://x/seen"] == 1
    visitor.get(f"{tenant.url}/authorize", **ASKED)
    assert "code" in visitor.params
    assert len(writes(tenant)) == 2, "the second login should change nothing"


def test_a_denial_after_the_redirect_reaches_the_application(tenant: LocalTenant, visitor: Visitor) -> None:
    """What the denying action staged is written, and the application gets the reason."""
    answer(tenant, visitor, yes=False)
    assert (visitor.params["error"], visitor.params["error_description"]) == ("access_denied", "No consent.")
    assert writes(tenant)[1:] == [{"user_metadata": {"consent": False}}]


@pytest.mark.parametrize("changed", [{"sub": "auth0|2"}, {"state": "another"}, {"exp": 1}])
def test_an_invalid_answer_fails_the_login(
    changed: dict[str, Any], tenant: LocalTenant, visitor: Visitor
) -> None:
    """The application gets no reason, and nothing more is written."""
    answer(tenant, visitor, **changed)
    assert visitor.params["error_description"] == "The login could not be completed."
    assert "session token is invalid" in tenant.logs[-1]["description"]
    assert len(writes(tenant)) == 1


def test_a_replay_of_continue_is_explained_on_a_page(tenant: LocalTenant, visitor: Visitor) -> None:
    """No action runs."""
    state = visitor.params["state"]
    answer(tenant, visitor)
    visitor.get(f"{tenant.url}/continue", state=state)
    assert visitor.page.status_code == 400
    assert "This login has ended" in visitor.page.text
    assert len(writes(tenant)) == 2


def test_a_silent_login_cannot_be_interrupted(tenant: LocalTenant, visitor: Visitor) -> None:
    """As with Auth0, the application gets interaction_required."""
    visitor.get(f"{tenant.url}/authorize", **ASKED, prompt="none")
    assert visitor.params["error"] == "interaction_required"


def test_a_rejected_update_fails_the_login(tenant: LocalTenant, visitor: Visitor) -> None:
    """The reason is in the tenant's log of failed logins."""
    tenant.fail(method="PATCH", status=400, nth=1)
    answer(tenant, visitor)
    assert visitor.params["error"] == "access_denied"
    assert tenant.logs[-1]["type"] == "f"
