"""Store application data at login: a plan for new users, and a flag that is cleared after use.

    python examples/actions/store_application_data.py

This simulates a login at a local tenant in this process; AUTH0_DOMAIN is not used.

Data that decides access belongs in `app_metadata`, which users can't edit; preferences belong in
`user_metadata`.
"""

from __future__ import annotations

from auth0_meta import JSONValue
from auth0_meta.actions import Api, Event

DEFAULT_PLAN: dict[str, JSONValue] = {"name": "free", "seats": 1}


def store_application_data(event: Event, api: Api) -> None:
    """Give new users a plan, put its name into the ID token, and end a pending invitation."""
    plan = event.user.app_metadata.get("plan")
    if plan is None:
        plan = DEFAULT_PLAN
        api.user.set_app_metadata("plan", plan)
    # Not from `event`, which does not have the plan yet during the login that stages it.
    api.id_token.set_custom_claim("https://example.com/plan", plan["name"])
    if event.user.app_metadata.get("invited"):
        api.user.set_app_metadata("invited", None)
    locale = event.transaction.locale
    if locale and "lang" not in event.user.user_metadata:
        api.user.set_user_metadata("lang", locale)


if __name__ == "__main__":
    from auth0_meta.testing import simulate

    user = {"user_id": "auth0|1", "app_metadata": {"invited": True}, "user_metadata": {}}
    login = simulate(store_application_data, {"user": user, "transaction": {"locale": "fi"}})
    print([(request.method, request.body) for request in login.requests])
    print(dict(login.outcome.id_token_claims))
