"""users-imports as recorded and documented: the form, the rows, upserts and limits."""

from __future__ import annotations

import json
from typing import Any

import pytest

from auth0_meta.emulator import LocalTenant, Switches
from auth0_meta.testing import FakeClock

CONNECTION = "con_ftSSLHb0O7rcUGmF"


def send(api: Any, rows: Any, *, first: bool = False, **fields: str) -> Any:
    """Send an import as the SDKs do, with the file last or first."""
    data = rows if isinstance(rows, bytes) else json.dumps(rows).encode()
    parts: list[tuple[str, Any]] = [
        (name, (None, value)) for name, value in {"connection_id": CONNECTION, **fields}.items()
    ]
    file = ("users", ("users.json", data, "application/json"))
    return api("POST", "/api/v2/jobs/users-imports", files=[file, *parts] if first else [*parts, file])


def done(api: Any, rows: Any, **fields: str) -> tuple[dict[str, Any], Any]:
    """Import, and return the finished job and its errors (None for 204)."""
    made = send(api, rows, **fields)
    assert made.status_code == 202, made.text
    job = api("GET", f"/api/v2/jobs/{made.json()['id']}").json()
    errors = api("GET", f"/api/v2/jobs/{made.json()['id']}/errors")
    return job, errors.json() if errors.status_code == 200 else None


@pytest.mark.parametrize("first", [False, True])
def test_an_import_inserts_users_as_recorded(api: Any, first: bool) -> None:
    """The response is a 202 with a pending job; later the job has a summary, and the user has the recorded fields and no metadata."""
    made = send(
        api,
        [{"email": "Ann@example.com", "email_verified": True}],
        first=first,
        upsert="true",
        external_id="",
        send_completion_email="false",
    )
    job = made.json()
    assert made.status_code == 202
    assert job == {
        "type": "users_import",
        "status": "pending",
        "connection_id": CONNECTION,
        "connection": "Username-Password-Authentication",
        "created_at": "2027-01-15T08:00:00.000Z",
        "id": job["id"],
    }
    assert len(job["id"]) == 20
    done = api("GET", f"/api/v2/jobs/{job['id']}").json()
    assert done == job | {
        "status": "completed",
        "summary": {"failed": 0, "updated": 0, "inserted": 1, "total": 1},
    }
    (user,) = api("GET", "/api/v2/users-by-email?email=ann@example.com").json()
    assert set(user) == {
        *("email", "email_verified", "created_at", "updated_at", "identities"),
        *("user_id", "name", "picture", "nickname"),
    }
    assert user["email_verified"] is True
    assert user["picture"].startswith("https://secure.gravatar.com/avatar/")
    assert api("GET", f"/api/v2/jobs/{job['id']}/errors").status_code == 204


def test_ids_names_and_metadata_in_a_row_are_stored(api: Any) -> None:
    """user_id gets the prefix; secrets of the row are not stored; external_id is returned."""
    row = {
        "email": "a@example.com",
        "user_id": "7",
        "username": "ann",
        "picture": "https://example.com/a.png",
        "password_hash": "$2b$10$" + "a" * 53,
        "app_metadata": {"plan": "pro"},
        "user_metadata": {},
        "mfa_factors": [{"totp": {"secret": "x"}}],
    }
    job, errors = done(api, [row], external_id="batch-1")
    assert (job["external_id"], errors) == ("batch-1", None)
    user = api.tenant.users["auth0|7"]
    assert (user["username"], user.app_metadata, user["user_metadata"]) == ("ann", {"plan": "pro"}, {})
    assert user["picture"] == "https://example.com/a.png"
    assert not {"password_hash", "mfa_factors"} & set(user)


def test_without_upsert_any_match_is_a_duplicate(api: Any) -> None:
    """Email, id, username and phone number each count, with the recorded code and message."""
    api.tenant.users.add(
        user_id="auth0|1", email="a@example.com", username="ann", phone_number="+358401234567"
    )
    rows = [
        {"email": "A@example.com"},
        {"email": "b@example.com", "user_id": "1"},
        {"email": "c@example.com", "username": "ann"},
        {"email": "d@example.com", "phone_number": "+358401234567"},
        {"email": "e@example.com", "phone_number": "+358401234568"},
    ]
    job, errors = done(api, rows)
    assert job["summary"] == {"failed": 4, "updated": 0, "inserted": 1, "total": 5}
    duplicated = {
        "code": "DUPLICATED_USER",
        "message": "The user already exist and upsert parameter is false",
    }
    assert errors == [{"user": row, "errors": [duplicated]} for row in rows[:4]]


def test_an_upsert_matches_by_email_and_replaces_metadata(api: Any, clock: FakeClock) -> None:
    """It is replaced, not merged; metadata that the row lacks stays, and so do other root attributes."""
    user = api.tenant.users.add(
        email="a@example.com",
        username="ann",
        blocked=True,
        app_metadata={"old": 1},
        user_metadata={"old": 1},
    )
    before = user["updated_at"]
    row = {"email": "A@example.com", "name": "Ann", "username": "other", "app_metadata": {"new": 2}}
    job, errors = done(api, [row], upsert="true")
    assert (job["summary"]["updated"], errors) == (1, None)
    assert (user["name"], user["username"], user["blocked"]) == ("Ann", "ann", True)
    assert (user.app_metadata, user.user_metadata) == ({"new": 2}, {"old": 1})
    assert user["updated_at"] > before
    done(api, [{"email": "a@example.com", "app_metadata": {}, "user_metadata": {}}], upsert="true")
    assert "app_metadata" not in user
    assert user["user_metadata"] == {}


def test_a_switch_lets_an_upsert_clear_absent_metadata(talk: Any) -> None:
    """import_absent_bag="clear" deletes metadata that the row does not have."""
    api = talk(LocalTenant(serve=False, switches=Switches(import_absent_bag="clear")))
    user = api.tenant.users.add(email="a@example.com", app_metadata={"old": 1}, user_metadata={"old": 1})
    done(api, [{"email": "a@example.com"}], upsert="true")
    assert "app_metadata" not in user
    assert user["user_metadata"] == {}


def test_an_upsert_that_conflicts_with_another_user_is_refused(api: Any) -> None:
    """Without a match by email, a user_id or username that is taken is refused with its own code."""
    api.tenant.users.add(user_id="auth0|1", email="a@example.com", username="ann")
    rows = [{"email": "b@example.com", "user_id": "1"}, {"email": "c@example.com", "username": "ann"}]
    job, errors = done(api, rows, upsert="true")
    assert job["summary"]["failed"] == 2
    assert [error["errors"][0]["code"] for error in errors] == ["CONFLICT", "CONFLICT_USERNAME"]


def test_only_users_of_the_connection_match(api: Any) -> None:
    """A user of another connection with the same address is a different user."""
    other = api.create(connection="other", email="a@example.com").json()
    job, _ = done(api, [{"email": "a@example.com"}], upsert="true")
    assert job["summary"]["inserted"] == 1
    assert api.tenant.users[other["user_id"]]["identities"][0]["connection"] == "other"


def test_a_second_row_for_the_same_user_is_an_error(api: Any) -> None:
    """A row with the email, id or username of an earlier row is refused, upsert or not."""
    rows = [
        {"email": "a@example.com", "user_id": "1", "username": "ann"},
        {"email": "A@example.com"},
        {"email": "b@example.com", "user_id": "1"},
        {"email": "c@example.com", "username": "ann"},
    ]
    job, errors = done(api, rows, upsert="true")
    assert job["summary"] == {"failed": 3, "updated": 0, "inserted": 1, "total": 4}
    assert {error["errors"][0]["code"] for error in errors} == {"DUPLICATED_USER"}


@pytest.mark.parametrize(
    ("more", "code", "path"),
    [
        ({"email": 5}, "INVALID_TYPE", "email"),
        ({"email": "nobody"}, "FORMAT", "email"),
        ({"email_verified": "yes"}, "INVALID_TYPE", "email_verified"),
        ({"phone_number": "0401234567"}, "PATTERN", "phone_number"),
        ({"user_id": "a b"}, "PATTERN", "user_id"),
        ({"user_id": "a" * 256}, "MAX_LENGTH", "user_id"),
        ({"given_name": ""}, "MIN_LENGTH", "given_name"),
        ({"password_hash": "plain"}, "PATTERN", "password_hash"),
        ({"custom_password_hash": {"hash": {"value": "x"}}}, "OBJECT_REQUIRED", None),
        (
            {"custom_password_hash": {"algorithm": "rot13", "hash": {}}},
            "ENUM_MISMATCH",
            "custom_password_hash.algorithm",
        ),
        ({"mfa_factors": []}, "ARRAY_LENGTH_SHORT", "mfa_factors"),
        ({"mfa_factors": [{"totp": {}}] * 11}, "ARRAY_LENGTH_LONG", "mfa_factors"),
        ({"mfa_factors": [{"smoke": {}}]}, "ANY_OF_MISSING", "mfa_factors[0]"),
        ({"app_metadata": {"identities": 1}}, "NOT_PASSED", "app_metadata.identities"),
        ({"app_metadata": []}, "INVALID_TYPE", "app_metadata"),
        ({"user_metadata": {"a": {"b.c": 1}}}, "NOT_PASSED", "user_metadata"),
        ({"logins_count": 3}, "OBJECT_ADDITIONAL_PROPERTIES", None),
    ],
)
def test_a_row_that_breaks_the_schema_is_listed_with_its_code(
    api: Any, more: dict[str, Any], code: str, path: str | None
) -> None:
    """The job completes, the good row is imported, and the bad one is listed as it was sent."""
    bad = {"email": "bad@example.com", **more}
    job, errors = done(api, [{"email": "good@example.com"}, bad])
    assert (job["status"], job["summary"]["failed"], job["summary"]["inserted"]) == ("completed", 1, 1)
    ((error,),) = [entry["errors"] for entry in errors]
    assert (error["code"], error.get("path")) == (code, path)
    assert errors[0]["user"].keys() == bad.keys()
    assert len(api.tenant.users) == 1


def test_rows_that_are_not_users_are_refused(api: Any) -> None:
    """A row that is not an object, or has no email, is refused; the others are imported."""
    _, errors = done(api, ["ann", {"name": "Ann"}])
    assert [error["errors"][0]["code"] for error in errors] == ["INVALID_TYPE", "OBJECT_REQUIRED"]


def test_hashes_are_redacted_in_the_errors(api: Any) -> None:
    """Rows that the errors quote never contain a hash (documented)."""
    row = {
        "email": "bad",
        "password_hash": "$2b$10$" + "a" * 53,
        "custom_password_hash": {"algorithm": "md5", "hash": {"value": "secret"}},
    }
    _, errors = done(api, [row, {"email": "bad", "custom_password_hash": {"algorithm": "md5", "hash": "x"}}])
    assert errors[0]["user"]["password_hash"] == "*****"
    assert errors[0]["user"]["custom_password_hash"]["hash"] == {"value": "*****"}
    assert "secret" not in json.dumps(errors)


def test_only_the_row_of_a_profile_that_is_too_large_is_refused(api: Any) -> None:
    """The profile limit applies to imports too, and a large profile leaves the documented log."""
    rows = [
        {"email": "big@example.com", "app_metadata": {"x": "y" * 103_000}},
        {"email": "fat@example.com", "app_metadata": {"x": "y" * 11_000}},
        {"email": "odd@example.com", "app_metadata": {"x": 1}},
    ]
    job, errors = done(api, rows)
    assert (job["summary"]["failed"], errors[0]["user"]["email"]) == (1, "big@example.com")
    (log,) = api.tenant.logs
    assert log["type"] == "depnote"
    assert log["details"]["feature"]["operation"] == "users.save"


@pytest.mark.parametrize(
    "data", [b"not json", b'{"email": "a@example.com"}', b"[NaN]", b"[1e999]", b"[" * 100_000]
)
def test_a_file_that_is_not_an_array_fails_the_job(api: Any, data: bytes) -> None:
    """The job fails as a whole, and the errors endpoint shows the job."""
    job, errors = done(api, data)
    assert job["status"] == "failed"
    assert errors == job


@pytest.mark.parametrize(
    ("missing", "rows"), [("users", None), ("connection_id", [{"email": "a@example.com"}]), ("empty", b"")]
)
def test_a_form_that_lacks_something_is_refused(api: Any, missing: str, rows: Any) -> None:
    """Without a file, with an empty file or without a connection, the response is a 400 and there is no job."""
    files = []
    if rows is not None:
        data = rows if isinstance(rows, bytes) else json.dumps(rows).encode()
        files.append(("users", ("users.json", data, "application/json")))
    if missing != "connection_id":
        files.append(("connection_id", (None, CONNECTION)))
    response = api("POST", "/api/v2/jobs/users-imports", files=files)
    assert response.status_code == 400
    assert len(api.tenant.jobs) == 0


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "application/json"},
        {"Content-Type": "multipart/form-data"},
        {"Content-Type": "multipart/form-data; boundary=x"},
    ],
)
def test_a_body_that_is_not_a_form_is_refused(api: Any, headers: dict[str, str]) -> None:
    """Another content type, no boundary, or a body without the boundary gets a 400."""
    assert api("POST", "/api/v2/jobs/users-imports", data=b"{}", headers=headers).status_code == 400


def test_the_file_may_be_sent_without_a_file_name(api: Any) -> None:
    """A part without a file name is a file all the same."""
    files = [
        ("users", (None, '[{"email": "a@example.com"}]')),
        ("connection_id", (None, CONNECTION)),
    ]
    assert api("POST", "/api/v2/jobs/users-imports", files=files).status_code == 202
    assert len(api.tenant.users) == 1


@pytest.mark.parametrize(
    "fields", [{"connection_id": "con_1"}, {"upsert": "maybe"}, {"send_completion_email": "1"}]
)
def test_bad_fields_are_refused(api: Any, fields: dict[str, str]) -> None:
    """The connection's id and the booleans are checked."""
    assert send(api, [{"email": "a@example.com"}], **fields).status_code == 400


def test_a_strict_tenant_knows_only_its_own_connections(talk: Any) -> None:
    """Otherwise any well-formed id stands for the default connection."""
    tenant = LocalTenant(serve=False, strict=True)
    api = talk(tenant, token=tenant.token())
    assert send(api, [{"email": "a@example.com"}]).json()["errorCode"] == "inexistent_connection"
    good = send(api, [{"email": "a@example.com"}], connection_id="con_localDatabase001")
    assert good.status_code == 202


def test_more_than_500_kb_is_refused(api: Any) -> None:
    """The size of the request decides; the body of the 413 is the reported one."""
    response = send(api, b" " * 512_000 + b"[]")
    assert response.status_code == 413
    assert response.json() == {
        "statusCode": 413,
        "error": "Request Entity Too Large",
        "message": "Payload content length greater than maximum allowed: 512000",
    }


def test_a_third_active_import_is_refused(api: Any) -> None:
    """Two pending jobs are allowed; the 429 has its own message, and no Reset to wait for."""
    api.tenant.jobs.pace = "manual"
    for number in range(2):
        assert send(api, [{"email": f"{number}@example.com"}]).status_code == 202
    response = send(api, [{"email": "late@example.com"}])
    assert response.status_code == 429
    assert response.json()["message"].startswith("There are 2 active import users jobs, please wait until")
    assert "x-ratelimit-reset" not in response.headers
    api.tenant.jobs.finish()
    assert send(api, [{"email": "late@example.com"}]).status_code == 202


def test_a_partial_import_writes_the_first_rows_and_fails(api: Any) -> None:
    """A fault ends the job once, between two rows."""
    fault = api.tenant.fail(path="/api/v2/jobs/users-imports", rows=2)
    rows = [{"email": f"{number}@example.com"} for number in range(5)]
    job, errors = done(api, rows)
    assert (job["status"], len(api.tenant.users), fault.fired) == ("failed", 2, 1)
    assert errors == job
    job, _ = done(api, rows, upsert="true")
    assert job["summary"] == {"failed": 0, "updated": 2, "inserted": 3, "total": 5}


def test_imports_need_create_users(talk: Any) -> None:
    """A token without the scope gets a 403."""
    tenant = LocalTenant(serve=False)
    api = talk(tenant, token=tenant.token(scopes=["read:users"]))
    assert send(api, []).json()["message"] == "Insufficient scope, expected any of: create:users"
