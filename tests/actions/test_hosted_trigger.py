"""Let the local tenant host the trigger, as Auth0 does, and log in over sockets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from support.page_visitor import Surfer

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
    """Ask elsewhere, deny who says no."""

    def on_execute_post_login(self, event: Any, api: Any) -> None:
        """Go, with a token that says who."""
        if not event.user.user_metadata.get("consent"):
            token = api.redirect.encode_token(secret=SECRET)
            api.redirect.send_user_to(CONSENT, query={"session_token": token})

    def on_continue_post_login(self, event: Any, api: Any) -> None:
        """Come back."""
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
def surfer(tenant: LocalTenant) -> Iterator[Surfer]:
    """Give a browser that has been sent to the consent page."""
    with Surfer(stop=APP) as browser:
        browser.get(f"{tenant.url}/authorize", **ASKED).press("auth0|1")
        assert browser.url.startswith(CONSENT)
        yield browser


def answer(tenant: LocalTenant, surfer: Surfer, *, yes: bool = True, **changed: Any) -> Surfer:
    """Send what the consent page would."""
    now, state = int(SYSTEM_CLOCK.time()), surfer.params["state"]
    claims = {"sub": "auth0|1", "iss": "consent", "iat": now, "exp": now + 60, "state": state, "yes": yes}
    token = sign_hs256({**claims, **changed}, secret=SECRET)
    return surfer.post(f"{tenant.url}/continue?state={state}", session_token=token)


def writes(tenant: LocalTenant) -> list[Any]:
    """Return the bodies of the updates so far."""
    return [entry.body for entry in tenant.journal.requests("PATCH")]


def test_one_update_before_the_redirect_and_one_at_the_end(tenant: LocalTenant, surfer: Surfer) -> None:
    """The event knows both bags, so nothing is read before; the code carries the claims of before the redirect."""
    assert writes(tenant) == [{"app_metadata": {"seen": 1}}]
    sent = peek(surfer.params["session_token"])
    assert (sent["sub"], sent["iss"], sent["ip"]) == ("auth0|1", "127.0.0.1", "127.0.0.1")
    answer(tenant, surfer)
    assert writes(tenant)[1:] == [{"user_metadata": {"consent": True}}]
    assert surfer.params["state"] == "s"
    tenant.add_client("app", client_secret="secret")
    form = {"grant_type": "authorization_code", "code": surfer.params["code"], "client_id": "app"}
    surfer.post(
        f"{tenant.url}/oauth/token", **form, client_secret="secret", redirect_uri=ASKED["redirect_uri"]
    )
    assert peek(surfer.page.json()["id_token"])["https://x/seen"] == 1
    surfer.get(f"{tenant.url}/authorize", **ASKED)
    assert "code" in surfer.params
    assert len(writes(tenant)) == 2, "nothing is new at the second login"


def test_a_denial_after_the_redirect(tenant: LocalTenant, surfer: Surfer) -> None:
    """What was staged with it is written, and the application hears why."""
    answer(tenant, surfer, yes=False)
    assert (surfer.params["error"], surfer.params["error_description"]) == ("access_denied", "No consent.")
    assert writes(tenant)[1:] == [{"user_metadata": {"consent": False}}]


@pytest.mark.parametrize("changed", [{"sub": "auth0|2"}, {"state": "another"}, {"exp": 1}])
def test_an_answer_that_does_not_hold(changed: dict[str, Any], tenant: LocalTenant, surfer: Surfer) -> None:
    """The login fails without a word about why, and writes nothing more."""
    answer(tenant, surfer, **changed)
    assert surfer.params["error_description"] == "The login could not be completed."
    assert "session token is invalid" in tenant.logs[-1]["description"]
    assert len(writes(tenant)) == 1


def test_a_replayed_continue(tenant: LocalTenant, surfer: Surfer) -> None:
    """The second time it is a page that says so, and no action runs."""
    state = surfer.params["state"]
    answer(tenant, surfer)
    surfer.get(f"{tenant.url}/continue", state=state)
    assert surfer.page.status_code == 400
    assert "This login has ended" in surfer.page.text
    assert len(writes(tenant)) == 2


def test_a_silent_login_can_not_be_interrupted(tenant: LocalTenant, surfer: Surfer) -> None:
    """The action's own refusal is told as Auth0 tells it."""
    surfer.get(f"{tenant.url}/authorize", **ASKED, prompt="none")
    assert surfer.params["error"] == "interaction_required"


def test_a_rejected_update_fails_the_login(tenant: LocalTenant, surfer: Surfer) -> None:
    """The reason is in the tenant's log of failed logins."""
    tenant.fail(method="PATCH", status=400, nth=1)
    answer(tenant, surfer)
    assert surfer.params["error"] == "access_denied"
    assert tenant.logs[-1]["type"] == "f"
