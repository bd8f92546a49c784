"""A login to try actions on: the local tenant's user, and an event that knows both bags."""

from __future__ import annotations

from typing import Any

from auth0_meta.actions import Event, LoginOutcome, PostLoginTrigger
from support.local_tenant import Local

URL = "https://consent.example.com/page"
SECRET = "a secret of this test, long enough for HS256"


class Login(Local):
    """Add to a local tenant the event of its user's login, as Auth0 would give it."""

    def event(self, **sections: Any) -> Event:
        """Return the event of a login now; it knows both bags."""
        request = {"ip": "192.0.2.7", "hostname": "login.example.com"} | sections.pop("request", {})
        return Event.from_profile(self.profile(), request=request, **sections)

    def trigger(self, *actions: Any, **settings: Any) -> PostLoginTrigger:
        """Return a trigger of this tenant."""
        return PostLoginTrigger(self.client, actions, **settings)

    def run(self, *actions: Any, **settings: Any) -> LoginOutcome:
        """Log in once."""
        return self.trigger(*actions, **settings).run(self.event())


class Consent:
    """Ask for consent with a redirect, and store the answer when the user comes back."""

    def on_execute_post_login(self, event: Any, api: Any) -> None:
        """Send the user away, once."""
        if "consent" not in event.user.app_metadata:
            api.user.set_app_metadata("asked", True)
            api.redirect.send_user_to(URL)

    def on_continue_post_login(self, event: Any, api: Any) -> None:
        """Store what came back."""
        api.user.set_app_metadata("consent", event.request.query.get("answer"))


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
