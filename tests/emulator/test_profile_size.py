"""A profile past 10 KB is stored and logged, one past the allowance is refused: by every way to write a profile, and both sides of each limit."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Callable
from typing import Any

import pytest
import requests
from support.page_visitor import Visitor

from auth0_meta.actions import PostLoginTrigger
from auth0_meta.emulator import LocalTenant, Switches

ID = "auth0|ann"
DATABASE = "Username-Password-Authentication"
CONNECTION = "con_localDatabase001"
PASSWORD = "Analytical-1842"
LIMIT, WARNING = 3_000, 2_000
REFUSED = f"The user profile exceeds the allowed size of {LIMIT} bytes"
SMALL = Switches(profile_limit=LIMIT, profile_warning=WARNING)
APP = "http://127.0.0.1:9/callback"


def size(user: Any) -> int:
    """Return the bytes of a profile as the API returns it."""
    return len(json.dumps(dict(user), ensure_ascii=False, separators=(",", ":")).encode())


def started(**settings: Any) -> LocalTenant:
    """Return a tenant with small limits and one user, who has a password."""
    tenant = LocalTenant(**{"serve": False, "switches": SMALL, **settings})
    tenant.users.add(user_id=ID, email="ann@example.com", password=PASSWORD)
    return tenant


def padded(tenant: LocalTenant, wanted: int) -> None:
    """Give Ann's profile exactly this many bytes, without any check."""
    tenant.users[ID].patch(app_metadata={"pad": ""})
    tenant.users[ID].patch(app_metadata={"pad": "x" * (wanted - size(tenant.users[ID]))})
    assert size(tenant.users[ID]) == wanted


def notices(tenant: LocalTenant) -> list[dict[str, Any]]:
    """Return the events about large profiles."""
    return [log for log in tenant.logs if log["type"] in ("depnote", "user_profile_size_exceeded")]


def log_in(api: Any, **more: str) -> requests.Response:
    """Return the response to a login with Ann's password."""
    form = {"grant_type": "password", "username": "ann@example.com", "password": PASSWORD, "client_id": "app"}
    response: requests.Response = api("POST", "/oauth/token", data={**form, **more})
    return response


# The limit -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("over", [0, 1])
def test_exactly_the_allowance_is_still_stored(talk: Any, over: int) -> None:
    """A PATCH that leaves as many bytes as are allowed succeeds, and one with a byte more is refused and writes nothing."""
    tenant = started()
    padded(tenant, LIMIT)
    stored = tenant.users[ID].app_metadata["pad"]
    response = talk(tenant).patch(ID, {"app_metadata": {"pad": stored + "x" * over}})
    assert response.status_code == (400 if over else 200)
    assert tenant.users[ID].app_metadata["pad"] == stored
    assert len(notices(tenant)) == (0 if over else 1)
    if over:
        assert response.json() == {"statusCode": 400, "error": "Bad Request", "message": REFUSED}


@pytest.mark.parametrize("over", [0, 1])
def test_exactly_the_limit_is_not_logged(talk: Any, over: int) -> None:
    """A profile of 10 KB leaves no event, and one of a byte more leaves one with its size, as text."""
    tenant = started()
    padded(tenant, WARNING)
    stored = tenant.users[ID].app_metadata["pad"]
    assert talk(tenant).patch(ID, {"app_metadata": {"pad": stored + "x" * over}}).status_code == 200
    found = [log["details"]["feature"]["projected_size_bytes"] for log in notices(tenant)]
    assert found == [str(WARNING + over)] * over


def test_bytes_are_counted_and_not_characters(talk: Any) -> None:
    """A character of three bytes in UTF-8 counts three times."""
    api = talk(started())
    assert api.patch(ID, {"user_metadata": {"a": "x" * 1_500}}).status_code == 200
    assert api.patch(ID, {"user_metadata": {"a": "€" * 1_500}}).status_code == 400


def test_status_message_and_error_code_are_switches(talk: Any) -> None:
    """All three can be changed, and `{limit}` stands for the limit."""
    switches = Switches(
        profile_limit=LIMIT,
        profile_limit_status=413,
        profile_limit_message="Too large: {limit} {x}",
        profile_limit_error_code="profile_size_exceeded",
    )
    response = talk(started(switches=switches)).patch(ID, {"app_metadata": {"a": "x" * LIMIT}})
    assert response.status_code == 413
    assert response.json()["message"] == f"Too large: {LIMIT} {{x}}"
    assert response.json()["errorCode"] == "profile_size_exceeded"


@pytest.mark.parametrize(
    ("shrinking", "left", "status"),
    [
        ("refuse", 4_000, 400),
        ("accept", 4_000, 200),
        ("accept", 5_000, 400),
        ("accept", 5_001, 400),
        ("refuse", LIMIT, 200),
        ("accept", LIMIT, 200),
    ],
)
def test_a_write_that_shrinks_a_profile_but_not_enough(
    talk: Any, shrinking: Any, left: int, status: int
) -> None:
    """By default what remains must be within the allowance; a switch accepts all that is smaller than before, and only that."""
    tenant = started(switches=Switches(profile_limit=LIMIT, profile_limit_shrinking=shrinking))
    padded(tenant, 5_000)
    before = tenant.users[ID].app_metadata["pad"]
    after = before[: len(before) - 5_000 + left] if left <= 5_000 else before + "x"
    assert talk(tenant).patch(ID, {"app_metadata": {"pad": after}}).status_code == status
    assert tenant.users[ID].app_metadata["pad"] == (after if status == 200 else before)


def test_a_new_user_is_never_a_smaller_one(talk: Any) -> None:
    """The switch for writes that shrink a profile lets no new one through."""
    switches = Switches(profile_limit=LIMIT, profile_limit_shrinking="accept")
    response = talk(started(switches=switches)).create(email="b@example.com", app_metadata={"a": "x" * LIMIT})
    assert response.status_code == 400


# The event -------------------------------------------------------------------------------------------------


def test_the_event_has_the_documented_fields(talk: Any) -> None:
    """Type, description, details and the client's name are as in Auth0's sample, and /api/v2/logs has the event too."""
    tenant = started()
    tenant.add_client("mover", client_secret="a-secret", scopes=["update:users"])
    token = tenant.token(client_id="mover")
    api = talk(tenant, token=token)
    api(
        "PATCH",
        "/api/v2/users/auth0%7Cann",
        json={"app_metadata": {"a": "x" * 2_000}},
        headers={"User-Agent": "me/1"},
    )
    (event,) = notices(tenant)
    assert event | {"date": "", "log_id": ""} == {
        "date": "",
        "type": "depnote",
        "user_id": ID,
        "description": "Uncapped User Profile Data: This feature is being deprecated. Please see details.feature of "
        "this log for more information.",
        "connection_id": "",
        "client_id": "mover",
        "client_name": "mover",
        "ip": "127.0.0.1",
        "user_agent": "me/1",
        "details": {
            "feature": {
                "projected_size_bytes": str(size(tenant.users[ID])),
                "operation": "users.save",
                "user_id": ID,
                "id": "allow_oversize_profile",
                "name": "Uncapped User Profile Data",
                "description": "User profile data will be limited to 10KB. User profiles above that limit are "
                "deprecated.",
            },
            "path": "/api/v2/users/auth0%7Cann",
            "method": "PATCH",
        },
        "log_id": "",
    }
    assert "xxx" not in json.dumps(event)


def test_the_documented_query_finds_the_event(talk: Any) -> None:
    r"""`type:depnote AND description:Uncapped\ User\ Profile\ Data*` is the query of Auth0's documentation."""
    api = talk(started())
    api.patch(ID, {"app_metadata": {"a": "x" * 2_000}})
    query = "type:depnote AND description:Uncapped\\ User\\ Profile\\ Data*"
    found = api("GET", "/api/v2/logs", params={"q": query}).json()
    assert [log["details"]["feature"]["id"] for log in found] == ["allow_oversize_profile"]
    assert [log["type"] for log in api("GET", "/api/v2/users/auth0%7Cann/logs").json()] == ["depnote"]


def test_a_tenant_that_has_migrated_logs_another_type(talk: Any) -> None:
    """Its events are `user_profile_size_exceeded`, by a switch."""
    tenant = started(switches=Switches(profile_warning=WARNING, profile_log="user_profile_size_exceeded"))
    talk(tenant).patch(ID, {"app_metadata": {"a": "x" * 2_000}})
    assert [log["type"] for log in tenant.logs] == ["user_profile_size_exceeded"]


def test_an_uncapped_tenant_refuses_nothing_and_logs_everything(talk: Any) -> None:
    """With `profile_limit=None` a profile may have any size, and each write of a large one leaves an event."""
    tenant = started(switches=Switches(profile_limit=None))
    api = talk(tenant)
    assert api.patch(ID, {"app_metadata": {"a": "x" * 500_000}}).status_code == 200
    assert log_in(api).status_code == 200
    assert [int(log["details"]["feature"]["projected_size_bytes"]) > 500_000 for log in notices(tenant)] == [
        True
    ] * 2


def test_no_event_without_a_limit_for_it(talk: Any) -> None:
    """With `profile_warning=None` a large profile is stored silently."""
    tenant = started(switches=Switches(profile_warning=None))
    assert talk(tenant).patch(ID, {"app_metadata": {"a": "x" * 50_000}}).status_code == 200
    assert tenant.logs == []


# Every way to write a profile ------------------------------------------------------------------------------


def _patch(api: Any, pad: str) -> requests.Response:
    response: requests.Response = api.patch(ID, {"app_metadata": {"pad": pad}})
    return response


def _create(api: Any, pad: str) -> requests.Response:
    response: requests.Response = api.create(
        email="new@example.com", user_id="new", user_metadata={"pad": pad}
    )
    return response


def _sign_up(api: Any, pad: str) -> requests.Response:
    bag = {f"pad{number}": pad[number * 400 : (number + 1) * 400] for number in range(-(-len(pad) // 400))}
    body = {"email": "new@example.com", "password": PASSWORD, "connection": DATABASE, "client_id": "app"}
    response: requests.Response = api("POST", "/dbconnections/signup", json={**body, "user_metadata": bag})
    return response


def _link(api: Any, pad: str) -> requests.Response:
    api.tenant.users.add(user_id="google-oauth2|7", email="g@example.com", nickname=pad)
    body = {"provider": "google-oauth2", "user_id": "7"}
    response: requests.Response = api("POST", "/api/v2/users/auth0%7Cann/identities", json=body)
    return response


WRITES: dict[str, tuple[Callable[[Any, str], requests.Response], str]] = {
    "patch": (_patch, "PATCH /api/v2/users/auth0%7Cann"),
    "create": (_create, "POST /api/v2/users"),
    "sign-up": (_sign_up, "POST /dbconnections/signup"),
    "link": (_link, "POST /api/v2/users/auth0%7Cann/identities"),
}


@pytest.mark.parametrize("way", WRITES)
def test_a_write_between_the_limits_succeeds_and_is_logged(talk: Any, way: str) -> None:
    """The event names the request, whatever endpoint it was."""
    write, name = WRITES[way]
    tenant = started()
    assert write(talk(tenant), "x" * 1_800).status_code in (200, 201)
    (event,) = notices(tenant)
    assert f"{event['details']['method']} {event['details']['path']}" == name


@pytest.mark.parametrize("way", WRITES)
def test_a_write_past_the_allowance_is_refused_and_changes_nothing(talk: Any, way: str) -> None:
    """No user is made, changed or deleted, the message says why, and there is no event about the size."""
    write, _ = WRITES[way]
    tenant = started()
    before = [dict(user) for user in tenant.users]
    response = write(talk(tenant), "x" * 3_600)
    assert response.status_code == 400
    assert REFUSED in response.text
    assert [dict(user) for user in tenant.users][:1] == before
    assert len(tenant.users) == (2 if way == "link" else 1)
    assert notices(tenant) == []


def test_a_sign_up_is_refused_in_its_own_form(talk: Any) -> None:
    """The body is that of other refused sign-ups, and the log has a failed one."""
    tenant = started()
    body = _sign_up(talk(tenant), "x" * 3_600).json()
    assert body == {
        "name": "BadRequestError",
        "code": "invalid_signup",
        "description": REFUSED,
        "statusCode": 400,
    }
    assert tenant.logs[-1]["type"] == "fs"


def test_unlinking_leaves_everything_if_what_remains_is_too_large(talk: Any) -> None:
    """Neither is the identity removed nor does its user exist again."""
    tenant = started()
    api = talk(tenant)
    assert _link(api, "x").status_code == 201
    padded(tenant, 6_000)
    before = dict(tenant.users[ID])
    assert api("DELETE", "/api/v2/users/auth0%7Cann/identities/google-oauth2/7").status_code == 400
    assert dict(tenant.users[ID]) == before
    assert "google-oauth2|7" not in tenant.users


def test_unlinking_leaves_everything_if_the_other_user_would_be_too_large(talk: Any) -> None:
    """An identity whose data alone would be past the allowance stays linked."""
    tenant = started(switches=Switches(profile_limit=None))
    api = talk(tenant)
    assert _link(api, "x" * 3_600).status_code == 201
    tenant._state.switches = Switches(profile_limit=LIMIT, profile_limit_shrinking="accept")
    before = dict(tenant.users[ID])
    assert api("DELETE", "/api/v2/users/auth0%7Cann/identities/google-oauth2/7").status_code == 400
    assert dict(tenant.users[ID]) == before


def test_reads_searches_and_exports_return_what_is_too_large(talk: Any) -> None:
    """A stored profile past the allowance is still returned (documented)."""
    tenant = started(serve=True)
    padded(tenant, 8_000)
    api, profile = talk(tenant, sockets=True), dict(tenant.users[ID])
    file = io.BytesIO()
    with tenant, tenant.client() as client:
        assert api.get(ID).json() == profile
        assert api.list(q='email:"ann@example.com"').json() == [profile]
        assert api("GET", "/api/v2/users-by-email", params={"email": "ann@example.com"}).json() == [profile]
        client.jobs.download(client.jobs.wait(client.jobs.export_users(format="json")), file)
    assert json.loads(gzip.decompress(file.getvalue()))["app_metadata"] == profile["app_metadata"]


# Imports ---------------------------------------------------------------------------------------------------


def imported(api: Any, rows: list[dict[str, Any]], **fields: str) -> tuple[dict[str, Any], Any]:
    """Import rows, and return the job's summary and its errors."""
    files = {"users": ("users.json", json.dumps(rows))}
    made = api(
        "POST", "/api/v2/jobs/users-imports", data={"connection_id": CONNECTION, **fields}, files=files
    )
    job = f"/api/v2/jobs/{made.json()['id']}"
    errors = api("GET", f"{job}/errors")
    return api("GET", job).json()["summary"], errors.json() if errors.status_code == 200 else None


@pytest.mark.parametrize("upsert", ["false", "true"])
def test_a_row_past_the_allowance_is_refused_and_the_others_are_imported(talk: Any, upsert: str) -> None:
    """Its error has the documented code, and the rows before and after it are written."""
    tenant = started()
    rows = [
        {"email": "one@example.com", "user_metadata": {"a": 1}},
        {"email": "two@example.com", "user_metadata": {"a": "x" * LIMIT}},
        {"email": "three@example.com", "user_metadata": {"a": "x" * WARNING}},
    ]
    summary, errors = imported(talk(tenant), rows, upsert=upsert)
    assert summary == {"failed": 1, "updated": 0, "inserted": 2, "total": 3}
    assert errors == [{"user": rows[1], "errors": [{"code": "PROFILE_SIZE_EXCEEDED", "message": REFUSED}]}]
    assert {user["email"] for user in tenant.users} == {
        "ann@example.com",
        "one@example.com",
        "three@example.com",
    }
    (event,) = notices(tenant)
    assert event["details"] == {"feature": event["details"]["feature"]}
    assert tenant.users[event["user_id"]]["email"] == "three@example.com"


@pytest.mark.parametrize("stored", [100, LIMIT - 800])
def test_what_counts_is_the_profile_after_the_row(talk: Any, stored: int) -> None:
    """A row that is small itself is refused if what the profile keeps is too large with it, and leaves the user as before."""
    tenant = started()
    tenant.users[ID].patch(app_metadata={"kept": "x" * stored})
    before = dict(tenant.users[ID])
    row = {"email": "ann@example.com", "user_metadata": {"a": "x" * 900}}
    summary, errors = imported(talk(tenant), [row], upsert="true")
    if stored == 100:
        assert (summary["updated"], errors) == (1, None)
        assert tenant.users[ID].app_metadata == {"kept": "x" * stored}
    else:
        assert (summary["failed"], errors[0]["errors"][0]["code"]) == (1, "PROFILE_SIZE_EXCEEDED")
        assert dict(tenant.users[ID]) == before


def test_a_row_may_replace_what_is_too_large(talk: Any) -> None:
    """A profile past the allowance is updated by a row after which it is within it."""
    tenant = started()
    padded(tenant, 9_000)
    summary, errors = imported(
        talk(tenant), [{"email": "ann@example.com", "app_metadata": {"a": 1}}], upsert="true"
    )
    assert (summary["updated"], errors) == (1, None)
    assert tenant.users[ID].app_metadata == {"a": 1}


def test_the_path_of_the_error_is_a_switch(talk: Any) -> None:
    """By default the error has none."""
    switches = Switches(profile_limit=LIMIT, import_profile_size_path="app_metadata")
    rows = [{"email": "two@example.com", "app_metadata": {"a": "x" * LIMIT}}]
    _, errors = imported(talk(started(switches=switches)), rows)
    assert errors[0]["errors"][0]["path"] == "app_metadata"


# Logins ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("room", [500, -1])
def test_a_login_needs_room_for_its_own_fields(talk: Any, room: int) -> None:
    """A user past the allowance can't log in with a password; the log says why, and the profile stays as it was."""
    tenant = started()
    padded(tenant, LIMIT - room)
    api, before = talk(tenant), dict(tenant.users[ID])
    response = log_in(api)
    if room > 0:
        assert response.status_code == 200
        assert tenant.users[ID]["logins_count"] == 1
        (event,) = notices(tenant)
        assert (event["client_id"], event["details"]["path"]) == ("app", "/oauth/token")
    else:
        assert response.status_code == 403
        assert response.json() == {
            "error": "access_denied",
            "error_description": "The login could not be completed.",
        }
        assert dict(tenant.users[ID]) == before
        (event,) = tenant.logs
        assert (event["type"], event["user_id"], event["description"]) == ("f", ID, REFUSED)


def authorize(visitor: Visitor, tenant: LocalTenant) -> Visitor:
    """Visit the login page."""
    asked = {
        "response_type": "code",
        "client_id": "app",
        "redirect_uri": APP,
        "scope": "openid",
        "state": "s",
    }
    return visitor.get(f"{tenant.url}/authorize", **asked)


def test_a_login_on_the_page_fails_too() -> None:
    """The application gets `access_denied`, the trigger does not run, and there is no session: the next login asks again."""
    ran: list[Any] = []
    with LocalTenant(switches=SMALL, post_login=ran.append) as tenant, Visitor(stop=APP) as visitor:
        tenant.users.add(user_id=ID, email="ann@example.com")
        padded(tenant, LIMIT + 1)
        authorize(visitor, tenant).press(ID)
        assert (visitor.params["error"], visitor.params["state"]) == ("access_denied", "s")
        assert visitor.params["error_description"] == "The login could not be completed."
        assert ran == []
        assert authorize(visitor, tenant).page.status_code == 200
        assert [log["type"] for log in tenant.logs] == ["f"]
        tenant.users[ID].patch(app_metadata={"pad": "x" * 1_500})
        visitor.press(ID)
        assert "code" in visitor.params
        (event,) = notices(tenant)
        assert (event["client_id"], event["details"]["method"]) == ("app", "POST")


def test_a_new_user_of_the_page_must_fit() -> None:
    """The page says what is wrong, and no user is made."""
    with LocalTenant(switches=Switches(profile_limit=100)) as tenant, Visitor(stop=APP) as visitor:
        authorize(visitor, tenant).fill(username="new@example.com")
        assert "exceeds the allowed size of 100 bytes" in visitor.page.text
        assert len(tenant.users) == 0


@pytest.mark.parametrize("pad", [1_200, 3_000])
def test_a_trigger_that_stages_too_much_fails_the_login(pad: int) -> None:
    """Its PATCH is refused as any other is; the login fails, and the profile has the login's fields but nothing that was staged."""

    def stage(event: Any, api: Any) -> None:
        api.user.set_app_metadata("staged", "x" * pad)

    with LocalTenant(switches=SMALL) as tenant, tenant.client() as client, Visitor(stop=APP) as visitor:
        tenant.users.add(user_id=ID, email="ann@example.com")
        tenant.post_login = PostLoginTrigger(client, [stage])
        authorize(visitor, tenant).press(ID)
        assert tenant.users[ID]["logins_count"] == 1
        if pad < 3_000:
            assert "code" in visitor.params
            assert tenant.users[ID].app_metadata["staged"] == "x" * pad
        else:
            assert visitor.params["error"] == "access_denied"
            assert tenant.users[ID].app_metadata == {}
            assert tenant.logs[-1]["type"] == "f"


def test_a_ticket_is_refused_for_a_profile_that_is_too_large(talk: Any) -> None:
    """The password stays the old one, and the page says why."""
    with LocalTenant(switches=SMALL) as tenant, Visitor(stop="https://app.example.com/done") as visitor:
        tenant.users.add(user_id=ID, email="ann@example.com", email_verified=False, password=PASSWORD)
        api = talk(tenant, sockets=True)
        made = {
            kind: api("POST", f"/api/v2/tickets/{kind}", json={"user_id": ID}).json()["ticket"]
            for kind in ("email-verification", "password-change")
        }
        padded(tenant, LIMIT + 500)
        before = dict(tenant.users[ID])
        assert REFUSED in visitor.get(made["email-verification"]).page.text
        visitor.get(made["password-change"])
        assert REFUSED in visitor.fill(password="Compiler-1952").page.text
        assert dict(tenant.users[ID]) == before
        padded(tenant, 1_000)
        assert log_in(api).status_code == 200
