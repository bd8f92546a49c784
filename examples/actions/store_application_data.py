"""Store application data at login: a plan for those who have none, a flag cleared once it has done its work.

    python examples/actions/store_application_data.py

That simulates a login on a tenant of its own, in this process; AUTH0_DOMAIN is not looked at.

What decides access belongs in `app_metadata`, which users can't edit; preferences in `user_metadata`.
"""

from __future__ import annotations

from auth0_meta.actions import Api, Event

DEFAULT_PLAN = {"name": "free", "seats": 1}


def store_application_data(event: Event, api: Api) -> None:
    """Give new users a plan, put its name into the ID token, and end a pending invitation."""
    plan = event.user.app_metadata.get("plan")
    if plan is None:
        plan = DEFAULT_PLAN
        api.user.set_app_metadata("plan", plan)
    # The plan was computed once, so the claim is right in the very login that stages it.
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
