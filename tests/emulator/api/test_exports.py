"""users-exports as recorded and documented: formats, fields, links."""

from __future__ import annotations

import gzip
import json
from typing import Any
from urllib.parse import urlsplit

import pytest

from auth0_meta.emulator import LocalTenant, Switches
from auth0_meta.testing import FakeClock

CONNECTION = "con_ftSSLHb0O7rcUGmF"


def send(api: Any, **body: Any) -> Any:
    """Request an export."""
    return api("POST", "/api/v2/jobs/users-exports", json=body)


def location(api: Any, **body: Any) -> str:
    """Export, and return the path of the link to the file."""
    made = send(api, **body)
    assert made.status_code == 200, made.text
    link = urlsplit(api("GET", f"/api/v2/jobs/{made.json()['id']}").json()["location"])
    return f"{link.path}?{link.query}"


def fetch(api: Any, **body: Any) -> str:
    """Export, and return the text of the file, fetched without a token as the link allows."""
    path = location(api, **body)
    api.token = None
    response = api("GET", path)
    api.token = "opaque"
    assert (response.status_code, response.headers["Content-Type"]) == (200, "application/gzip")
    return gzip.decompress(response.content).decode()


def test_an_export_starts_as_recorded(api: Any) -> None:
    """The response is 200 and pending, and repeats the request; the default format is csv."""
    fields = [{"name": "email"}, {"name": "identities[0].connection"}]
    response = send(api, connection_id=CONNECTION, format="json", limit=5, fields=fields)
    assert response.status_code == 200
    assert response.json() == {
        "type": "users_export",
        "status": "pending",
        "connection_id": CONNECTION,
        "format": "json",
        "limit": 5,
        "fields": fields,
        "connection": "Username-Password-Authentication",
        "created_at": "2027-01-15T08:00:00.000Z",
        "id": response.json()["id"],
    }
    bare = send(api).json()
    assert (bare["format"], "connection_id" in bare, "limit" in bare) == ("csv", False, False)


def test_null_counts_as_absent(api: Any) -> None:
    """Some SDKs send null for arguments that their caller left out."""
    assert send(api, connection_id=None, format=None, limit=None, fields=None).json()["format"] == "csv"


def test_ndjson_contains_whole_metadata(api: Any) -> None:
    """There is one object per line; export_as renames a field, an absent field is left out, and the limit is kept."""
    for number in range(3):
        api.tenant.users.add(
            user_id=f"auth0|{number}", email=f"{number}@example.com", app_metadata={"n": {"deep": number}}
        )
    fields = [
        {"name": "user_id"},
        {"name": "app_metadata"},
        {"name": "identities[0].provider", "export_as": "provider"},
        {"name": "identities[1].provider"},
        {"name": "user_metadata.country"},
        {"name": "email.domain"},
    ]
    lines = fetch(api, format="json", fields=fields, limit=2).splitlines()
    assert [json.loads(line) for line in lines] == [
        {"user_id": f"auth0|{n}", "app_metadata": {"n": {"deep": n}}, "provider": "auth0"} for n in range(2)
    ]


def test_ndjson_without_fields_contains_profiles(api: Any) -> None:
    """It has every user of the tenant, as stored; an empty tenant makes an empty file."""
    assert fetch(api, format="json") == ""
    user = api.tenant.users.add(user_metadata={"a": 1})
    assert json.loads(fetch(api, format="json")) == user


def test_csv_has_the_documented_quirks(api: Any) -> None:
    """Strings get a leading apostrophe and doubled quotes; whole objects are not exported."""
    api.tenant.users.add(
        user_id="auth0|1", email="a@example.com", name='Ann "A" Lee', user_metadata={"n": 5, "ok": True}
    )
    fields = [
        *({"name": name} for name in ("user_id", "email_verified", "name")),
        {"name": "user_metadata.n", "export_as": "n"},
        *({"name": name} for name in ("user_metadata.ok", "user_metadata", "family_name")),
    ]
    assert fetch(api, fields=fields) == (
        "user_id,email_verified,name,n,user_metadata.ok,user_metadata,family_name\n"
        '"\'auth0|1",false,"\'Ann ""A"" Lee",5,true,,\n'
    )
    assert fetch(api).startswith("user_id,email,email_verified,name,nickname")


def test_an_export_of_a_connection_has_only_its_users(api: Any) -> None:
    """The default connection's users are in it, users of other connections are not."""
    api.tenant.users.add(user_id="auth0|1", email="a@example.com")
    api.create(connection="other", email="b@example.com")
    fields = [{"name": "email"}]
    assert fetch(api, connection_id=CONNECTION, fields=fields) == 'email\n"\'a@example.com"\n'
    assert fetch(api, fields=fields).count("\n") == 3


def test_an_export_reads_the_users_when_it_runs(api: Any) -> None:
    """What is written while the job is pending is in the file."""
    api.tenant.jobs.pace = "1 polls"
    job = send(api, format="json").json()["id"]
    api.tenant.users.add(user_id="auth0|late")
    assert "location" not in api("GET", f"/api/v2/jobs/{job}").json()
    done = api("GET", f"/api/v2/jobs/{job}").json()
    assert (done["status"], done["percentage_done"]) == ("completed", 100)
    assert b"auth0|late" in gzip.decompress(api.tenant.jobs[job].file or b"")


def test_a_link_is_valid_for_a_minute(api: Any, clock: FakeClock) -> None:
    """By the tenant's clock that is 60 seconds; another GET of the job returns a new link; no other link works."""
    job = send(api).json()["id"]

    def link() -> str:
        parts = urlsplit(api("GET", f"/api/v2/jobs/{job}").json()["location"])
        assert parts.path.endswith(f"/{job}/local.csv.gz")
        return f"{parts.path}?{parts.query}"

    first = link()
    clock.advance(59.5)
    assert api("GET", first).status_code == 200
    clock.advance(0.5)
    gone = api("GET", first)
    assert (gone.status_code, gone.headers["Content-Type"]) == (403, "application/xml")
    assert b"AccessDenied" in gone.content
    second = link()
    assert api("GET", second).status_code == 200
    path = second.partition("?")[0]
    for forged in (path, f"{path}?Expires=soon&Signature=x", second.replace("Signature=", "Signature=0")):
        assert api("GET", forged).status_code == 403
    assert api("GET", "/exports/job_none/local.csv.gz?Expires=9999999999&Signature=x").status_code == 403
    clock.advance(86_400)
    assert api("GET", second).status_code == 403


def test_a_switch_leaves_the_scheme_out_of_links(talk: Any) -> None:
    """The documented sample has none."""
    api = talk(LocalTenant(serve=False, switches=Switches(export_link_scheme=False)))
    job = send(api).json()["id"]
    assert api("GET", f"/api/v2/jobs/{job}").json()["location"].startswith("localhost")


@pytest.mark.parametrize(
    "body",
    [
        {"format": "xml"},
        {"limit": 0},
        {"limit": "5"},
        {"limit": True},
        {"fields": [{"export_as": "x"}]},
        {"fields": ["email"]},
        {"fields": [{"name": "a" * 101}]},
        {"fields": [{"name": "email", "as": "x"}]},
        {"fields": [{"name": "email"}] * 31},
        {"connection_id": "con_1"},
        {"users": []},
    ],
)
def test_bad_exports_are_refused(api: Any, body: dict[str, Any]) -> None:
    """The response is a 400, and there is no job."""
    assert send(api, **body).status_code == 400
    assert len(api.tenant.jobs) == 0


def test_only_csv_is_limited_to_thirty_fields(api: Any) -> None:
    """NDJSON has no such limit."""
    assert send(api, fields=[{"name": "email"}] * 30).status_code == 200
    assert send(api, format="json", fields=[{"name": "email"}] * 31).status_code == 200


def test_exports_need_read_users(talk: Any) -> None:
    """A token without the scope gets a 403."""
    tenant = LocalTenant(serve=False)
    api = talk(tenant, token=tenant.token(scopes=["create:users"]))
    assert send(api).status_code == 403
