"""What the tests of the three frameworks' views share: the actions, what a view answers, and what must be true then."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

from auth0_meta.actions.web import Login
from support.logins import Login as LocalLogin
from support.web_adapters import UID

USER = {"sub": UID, "aud": "app"}
CONSENT = "https://consent.example.com/page"


class Redirects:
    """An action that redirects some times, and writes one key at the callback and another after each redirect."""

    def __init__(self, times: int) -> None:
        self.left = times

    def on_execute_post_login(self, event: Any, api: Any) -> None:
        """Write, and redirect."""
        api.user.set_app_metadata("logins", (event.user.app_metadata.get("logins") or 0) + 1)
        self._redirect(api)

    def on_continue_post_login(self, event: Any, api: Any) -> None:
        """Write, and redirect again if there are redirects left."""
        api.user.set_app_metadata(f"answer_{self.left}", event.request.body.get("answer", "none"))
        self._redirect(api)

    def _redirect(self, api: Any) -> None:
        if self.left:
            self.left -= 1
            api.redirect.send_user_to(CONSENT)


def seen(login: Login, **arguments: Any) -> dict[str, Any]:
    """Return what a view was called with, as JSON."""
    return {"allowed": login.outcome.allowed, "sub": login.claims.get("sub"), "arguments": arguments}


def state_in(location: str) -> str:
    """Return the state that a redirect carries."""
    assert location.startswith(CONSENT), location
    return parse_qs(urlsplit(location).query)["state"][0]


def check_written_once(local: LocalLogin, redirects: int) -> None:
    """Check that the callback and each return to /continue have written exactly once, and the login was counted once."""
    answers = [{"app_metadata": {f"answer_{left}": "yes"}} for left in reversed(range(redirects))]
    assert local.bodies == [{"app_metadata": {"logins": 1}}, *answers]


def passing(view: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate a view as applications do: anything goes through, and a coroutine is returned as it is."""

    @functools.wraps(view)
    def inner(*args: Any, **kwargs: Any) -> Any:
        return view(*args, **kwargs)

    return inner
