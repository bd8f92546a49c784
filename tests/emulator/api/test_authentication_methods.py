"""The authentication methods of users, as recorded by go-auth0."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

USER = "/api/v2/users/auth0%7Cann"
PATH = f"{USER}/authentication-methods"
TOTALS = f"{PATH}?include_totals=true&per_page=50"
NONE = {"authenticators": [], "start": 0, "limit": 50}
MAIL = {"type": "email", "name": "Mail", "email": "somebody1@example.com"}
PHONE = {
    "type": "phone",
    "name": "Phone",
    "phone_number": "+358401234567",
    "preferred_authentication_method": "sms",
}
TOTP = {"type": "totp", "name": "App", "totp_secret": "JBSWY3DPEHPK3PXP"}
MADE = "2027-01-15T08:00:00.000Z"


@pytest.fixture(autouse=True)
def ann(api: Any) -> Any:
    """Add one user."""
    return api.tenant.users.add(user_id="auth0|ann")


def add(api: Any, body: dict[str, Any] = MAIL) -> dict[str, Any]:
    """Add a method, and return the response's body."""
    response = api("POST", PATH, json=body)
    assert response.status_code == 201, response.text
    return dict(response.json())


def path_of(method: dict[str, Any]) -> str:
    """Return the path of a user's methods, or of one method."""
    return f"{PATH}/{quote(method['id'], safe='')}"


def test_one_method_is_added_changed_and_deleted_as_recorded(api: Any) -> None:
    """It is added, listed, read, renamed and deleted; its address is masked, and a read shows `confirmed`."""
    made = add(api)
    assert made["id"].startswith("email|dev_")
    masked = {"type": "email", "name": "Mail", "email": "some*****@exam*******", "created_at": MADE}
    assert made == {**masked, "id": made["id"]}
    shown = {**made, "confirmed": True}
    assert api("GET", TOTALS).json() == {"authenticators": [shown], "total": 1, "start": 0, "limit": 50}
    assert api("GET", PATH).json() == [shown]
    assert api("GET", f"{path_of(made)}?include_totals=true&per_page=50").json() == shown
    changed = api("PATCH", path_of(made), json={"name": "Other"})
    assert (changed.status_code, changed.json()) == (200, {**made, "name": "Other"})
    assert api("GET", path_of(made)).json() == {**shown, "name": "Other"}
    gone = api("DELETE", path_of(made))
    assert (gone.status_code, gone.content) == (204, b"")
    assert api("GET", TOTALS).json() == NONE
    assert [api(verb, path_of(made)).status_code for verb in ("GET", "DELETE")] == [404, 404]
    assert api("PATCH", path_of(made), json={"name": "x"}).status_code == 404


def test_all_methods_are_replaced_and_deleted_as_recorded(api: Any) -> None:
    """PUT replaces them and shows them as sent, except for the secret; reads mask them; DELETE removes all."""
    add(api)
    mail = {**MAIL, "email": "foo@example.com"}
    response = api("PUT", PATH, json=[mail, PHONE, TOTP])
    assert response.status_code == 200
    ids = [one.pop("id") for one in response.json()]
    assert [key.partition("_")[0] for key in ids] == ["email|dev", "phone|dev", "totp|dev"]
    way = {"type": "sms", "id": ids[1].replace("phone", "sms")}
    stripped = [{name: value for name, value in one.items() if name != "id"} for one in response.json()]
    assert stripped == [
        {**mail, "created_at": MADE},
        {**PHONE, "created_at": MADE, "authentication_methods": [way]},
        {"type": "totp", "name": "App", "created_at": MADE},
    ]
    shown = api("GET", TOTALS).json()
    assert shown["total"] == 3
    assert [one["confirmed"] for one in shown["authenticators"]] == [True] * 3
    assert shown["authenticators"][0]["email"] == "****@exam*******"
    assert shown["authenticators"][1]["phone_number"] == "XXXXXXXXX4567"
    assert len(api("GET", f"{PATH}?per_page=2&page=1").json()) == 1
    gone = api("DELETE", PATH)
    assert (gone.status_code, gone.content) == (204, b"")
    assert api("GET", TOTALS).json() == NONE
    assert api("DELETE", PATH).status_code == 204


def test_no_response_shows_a_secret(api: Any) -> None:
    """It is in no response and not in the journal."""
    assert "totp_secret" not in add(api, TOTP)
    assert api.tenant.journal[-1].body == {**TOTP, "totp_secret": "<masked>"}
    api("PUT", PATH, json=[TOTP])
    assert api.tenant.journal[-1].body == [{**TOTP, "totp_secret": "<masked>"}]


@pytest.mark.parametrize("how", ["request", "live", "clear", "reset"])
def test_methods_are_deleted_with_their_user(api: Any, ann: Any, how: str) -> None:
    """However the user is removed, the next one with the same id has no methods."""
    add(api)
    gone = {
        "request": lambda: api.delete("auth0|ann"),
        "live": ann.delete,
        "clear": api.tenant.users.clear,
        "reset": api.tenant.reset,
    }
    gone[how]()
    api.tenant.users.add(user_id="auth0|ann")
    assert api("GET", PATH).json() == []


@pytest.mark.parametrize(
    ("method", "body"),
    [
        ("POST", {}),
        ("POST", {"type": "pigeon"}),
        ("POST", {"type": 5}),
        ("POST", {**MAIL, "more": 1}),
        ("POST", {**PHONE, "preferred_authentication_method": "post"}),
        ("POST", {"type": "passkey", "transports": [1]}),
        ("PUT", {}),
        ("PUT", [5]),
        ("PUT", [{}]),
        ("PUT", [{"type": "passkey"}]),
        ("PUT", [MAIL, {**MAIL, "more": 1}]),
        ("PATCH", {"type": "phone"}),
        ("PATCH", {"preferred_authentication_method": "post"}),
    ],
)
def test_bad_methods_are_refused(api: Any, method: str, body: Any) -> None:
    """The response is 400, and nothing changes."""
    made = add(api)
    path = path_of(made) if method == "PATCH" else PATH
    assert api(method, path, json=body).status_code == 400
    assert api("GET", PATH).json() == [{**made, "confirmed": True}]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_the_methods_of_a_missing_user_are_404(api: Any, method: str) -> None:
    """This is so at every endpoint."""
    body = [MAIL] if method == "PUT" else MAIL
    response = api(method, PATH.replace("ann", "nobody"), json=body)
    assert (response.status_code, response.json()["errorCode"]) == (404, "inexistent_user")


def test_a_stored_passkey_is_not_shared_with_the_journal(api: Any) -> None:
    """Changing a body in the journal changes nothing that is stored."""
    made = add(api, {"type": "passkey", "transports": ["usb"]})
    api.tenant.journal[-1].body["transports"].append("nfc")
    assert api("GET", path_of(made)).json()["transports"] == ["usb"]
