"""Copy what a SAML identity provider says about a user to metadata.

    python examples/actions/saml_attributes.py

This simulates a login at a local tenant in this process; AUTH0_DOMAIN is not used.

Auth0's own mapping has already put the attributes at the root of the profile, but can't put them into
`user_metadata`.  The action handles one connection only, because an attribute of the same name from another
connection must not decide anything.  It runs on every login, silent ones too, so it stages only what differs.
"""

from __future__ import annotations

from auth0_meta.actions import Api, Event

CONNECTION = "con_acmeSaml00001"
TO_APP_METADATA = {"department": "department", "groups": "saml_groups"}
TO_USER_METADATA = {"preferredLanguage": "lang"}


def map_saml_attributes(event: Event, api: Api) -> None:
    """Copy the attributes in the tables; remove one that the provider no longer sends."""
    if event.connection.id != CONNECTION:
        return
    for attribute, key in TO_APP_METADATA.items():
        value = event.user.get(attribute)
        if value != event.user.app_metadata.get(key):
            api.user.set_app_metadata(key, value)
    for attribute, key in TO_USER_METADATA.items():
        value = event.user.get(attribute)
        if value != event.user.user_metadata.get(key):
            api.user.set_user_metadata(key, value)


if __name__ == "__main__":
    from auth0_meta.testing import simulate

    user = {
        "user_id": "samlp|acme|ada",
        "department": "engines",
        "groups": ["staff"],
        "preferredLanguage": "fi",
    }
    bags = {"app_metadata": {"department": "looms"}, "user_metadata": {"lang": "fi"}}
    login = simulate(map_saml_attributes, {"user": {**user, **bags}, "connection": {"id": CONNECTION}})
    print([(request.method, request.body) for request in login.requests])
