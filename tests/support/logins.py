"""Logins to try actions with: the local tenant's user, and an event that has both metadata objects."""

from __future__ import annotations

import threading
from typing import Any

from auth0_meta.actions import Event, LoginOutcome, PostLoginTrigger
from support.local_tenant import Local

URL = "https://consent.example.com/page"
SECRET = "a secret of this test, long enough for HS256"


class Login(Local):
    """A local tenant, and the event of a login of its user, as Auth0 would create it."""

    def event(self, **sections: Any) -> Event:
        """Return the event of a login now, with both metadata objects."""
        request = {"ip": "192.0.2.7", "hostname": "login.example.com"} | sections.pop("request", {})
        return Event.from_profile(self.profile(), request=request, **sections)

    def trigger(self, *actions: Any, **settings: Any) -> PostLoginTrigger:
        """Return a trigger for this tenant."""
        return PostLoginTrigger(self.client, actions, **settings)

    def run(self, *actions: Any, **settings: Any) -> LoginOutcome:
        """Log in once."""
        return self.trigger(*actions, **settings).run(self.event())


class Consent:
    """An action that asks for consent with a redirect, and stores the user's answer on return."""

    def on_execute_post_login(self, event: Any, api: Any) -> None:
        """Send the user away, once."""
        if "consent" not in event.user.app_metadata:
            api.user.set_app_metadata("asked", True)
            api.redirect.send_user_to(URL)

    def on_continue_post_login(self, event: Any, api: Any) -> None:
        """Store the answer."""
        api.user.set_app_metadata("consent", event.request.query.get("answer"))


class RedirectingAction:
    """An action that does what the test says, and logs every event of on_continue_post_login."""

    def __init__(self, send: Any) -> None:
        self.send = send
        self.continued: list[Any] = []

    def on_execute_post_login(self, event: Any, api: Any) -> None:
        """Do what the test says."""
        self.send(api)

    def on_continue_post_login(self, event: Any, api: Any) -> None:
        """Log the event."""
        self.continued.append(event)


def state_of(outcome: LoginOutcome) -> str:
    """Return the state of an outcome's redirect."""
    assert outcome.redirect is not None, outcome
    return outcome.redirect.state


class ThreadLock:
    """A lock that only the thread that took it can release, entered and left in Python."""

    def __init__(self) -> None:
        self.lock = threading.RLock()

    def __enter__(self) -> None:
        self.lock.acquire()

    def __exit__(self, *args: object) -> None:
        self.lock.release()
