"""Do slow work once per user and keep its result for later logins.

    python examples/actions/expensive_value.py

This simulates a login at a local tenant in this process; AUTH0_DOMAIN is not used.

The flag is staged only after the work has been done.  If the other service fails, the login is allowed all the
same, and the next login tries again.  The flag is written when the login ends, so two logins at the same moment
may both do the work; the idempotency key lets the other service recognize the second one.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from auth0_meta.actions import Api, Event

FetchToken = Callable[[], str]
CreateLead = Callable[..., str]


class RecordLead:
    """Record each user in another system, once; its id is kept as `app_metadata.lead`.

    `fetch_token` returns a token for that system, `create_lead(token, profile, idempotency_key=)` returns the new id.
    """

    def __init__(self, *, fetch_token: FetchToken, create_lead: CreateLead) -> None:
        self.fetch_token = fetch_token
        self.create_lead = create_lead

    def on_execute_post_login(self, event: Event, api: Api) -> None:
        """Do the work for a user who has no `lead` yet."""
        if event.user.app_metadata.get("lead") or not event.user.email_verified:
            return
        profile = {"email": event.user.email, "name": event.user.name}
        try:
            lead = self.create_lead(self.token(api), profile, idempotency_key=event.user.user_id)
        except OSError as error:  # what `requests` raises if the service is down, slow or refuses
            print(f"no lead for {event.user.user_id}: {type(error).__name__}", file=sys.stderr)
            return
        api.user.set_app_metadata("lead", lead)

    def token(self, api: Api) -> str:
        """Return the token from the cache that all logins share, or a new one."""
        cached = api.cache.get("crm-token")
        if cached is not None:
            return cached.value
        token = self.fetch_token()
        api.cache.set("crm-token", token, ttl_ms=3_600_000)
        return token


if __name__ == "__main__":
    from auth0_meta.testing import simulate

    def create_lead(token: str, profile: dict[str, Any], *, idempotency_key: str) -> str:
        """Stand in for the other system."""
        return f"lead-of-{profile['name']}"

    user = {"user_id": "auth0|1", "email": "ada@example.com", "email_verified": True, "name": "Ada"}
    login = simulate(
        RecordLead(fetch_token=lambda: "token", create_lead=create_lead),
        {"user": {**user, "app_metadata": {}, "user_metadata": {}}},
    )
    print([(request.method, request.body) for request in login.requests])
