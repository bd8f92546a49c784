"""`client.jobs`: its requests, waiting, errors, and the download."""

from __future__ import annotations

import io
import ssl
from typing import Any

import pytest
import trustme
from support.scripted_server import Reply, ScriptedServer, boom, connect

from auth0_meta import (
    ConfigError,
    ForbiddenError,
    InputError,
    JobError,
    NotSentError,
    RateLimitError,
    TransportError,
)
from auth0_meta.testing import FakeClock

JOB = {"type": "users_import", "status": "pending", "connection_id": "con_0000000000000001", "id": "job_1"}
CONNECTION = "con_0000000000000001"


def test_an_import_is_a_multipart_form() -> None:
    """The users are sent as a file along with the settings, and nobody gets an email unless requested."""
    with ScriptedServer(Reply(202, JOB)) as server, connect(server) as client:
        job = client.jobs.import_users(
            [{"email": "å@x"}], connection_id=CONNECTION, upsert=True, external_id="e1"
        )
        assert (job.id, job.status, job.type) == ("job_1", "pending", "users_import")
        (seen,) = server.seen
        assert (seen.method, seen.path) == ("POST", "/api/v2/jobs/users-imports")
        boundary = seen.headers["Content-Type"].partition("boundary=")[2]
        parts = seen.body.split(f"--{boundary}".encode())
        assert parts[0] == b""
        assert parts[-1] == b"--\r\n"
        fields = {
            part.split(b'name="')[1].split(b'"')[0].decode(): part.split(b"\r\n\r\n", 1)[1][:-2]
            for part in parts[1:-1]
        }
        assert fields == {
            "connection_id": CONNECTION.encode(),
            "upsert": b"true",
            "send_completion_email": b"false",
            "external_id": b"e1",
            "users": '[{"email":"å@x"}]'.encode(),
        }


@pytest.mark.parametrize(
    ("users", "settings", "message"),
    [
        ([], {}, "1 user"),
        ([{"name": "x" * 600_000}], {}, "split it"),
        ([{"name": {1, 2}}], {}, "JSON"),
        ([{"email": "a"}], {"connection_id": "x"}, "con_"),
        ([{"email": "a"}], {"external_id": 'a"\r\nb'}, "one line"),
    ],
)
def test_a_bad_import_is_refused_before_it_leaves(users: Any, settings: Any, message: str) -> None:
    """An import that Auth0 would refuse is refused before it is sent."""
    with ScriptedServer(Reply(202, JOB)) as server, connect(server) as client:
        with pytest.raises(InputError, match=message):
            client.jobs.import_users(users, **{"connection_id": CONNECTION, **settings})
        assert server.seen == []


def test_a_429_for_active_imports_is_raised_at_once() -> None:
    """Two imports are active, and waiting until Reset would not end them."""
    message = (
        "There are 2 active import users jobs, please wait until some of them are finished and try again"
    )
    with ScriptedServer(boom(429, "Too Many Requests", message)) as server, connect(server) as client:
        with pytest.raises(RateLimitError, match="active import users jobs"):
            client.jobs.import_users([{"email": "a"}], connection_id=CONNECTION)
        assert len(server.seen) == 1


def test_an_export_sends_its_settings() -> None:
    """Fields, connection and limit are sent as Auth0 names them."""
    with ScriptedServer(Reply(200, JOB | {"type": "users_export"})) as server, connect(server) as client:
        client.jobs.export_users(
            format="csv",
            fields=["user_id", {"name": "email", "export_as": "mail"}],
            connection_id=CONNECTION,
            limit=5,
        )
        assert server.seen[0].json == {
            "format": "csv",
            "fields": [{"name": "user_id"}, {"name": "email", "export_as": "mail"}],
            "connection_id": CONNECTION,
            "limit": 5,
        }
        with pytest.raises(InputError, match="format"):
            client.jobs.export_users(format="xml")


def test_an_export_without_settings_leaves_the_choice_to_auth0() -> None:
    """Only the format is sent, since Auth0 has defaults for the rest."""
    with ScriptedServer(Reply(200, JOB | {"type": "users_export"})) as server, connect(server) as client:
        client.jobs.export_users()
        assert server.seen[0].json == {"format": "json"}


def test_waiting_reads_until_the_job_has_ended() -> None:
    """The pauses grow, and the finished job is returned."""
    clock = FakeClock()
    replies = [
        Reply(200, JOB),
        Reply(200, JOB | {"status": "processing"}),
        Reply(200, JOB | {"status": "completed"}),
    ]
    statuses: list[str] = []
    with ScriptedServer(*replies) as server, connect(server, clock=clock) as client:
        job = client.jobs.wait("job_1", on_progress=lambda job: statuses.append(job.status))
    assert job.status == "completed"
    assert statuses == ["pending", "processing", "completed"]
    assert clock.slept == [1.0, 1.5]


def test_a_job_that_fails_or_takes_too_long_is_an_error() -> None:
    """Both raise `JobError`, which carries the job."""
    with (
        ScriptedServer(Reply(200, JOB | {"status": "failed", "status_details": "bad file"})) as server,
        connect(server) as client,
    ):
        with pytest.raises(JobError, match="bad file") as caught:
            client.jobs.wait("job_1")
        assert caught.value.job.status == "failed"
    with ScriptedServer(Reply(200, JOB)) as server, connect(server, clock=FakeClock()) as client:
        with pytest.raises(JobError, match="the job continues"):
            client.jobs.wait("job_1", timeout=10)
        assert 3 < len(server.seen) < 12


def test_what_a_job_says_of_itself_is_printable() -> None:
    """Its id, status and details come from the server, and an error with them goes to terminals and logs."""
    for job in (
        JOB | {"status": "failed", "status_details": "bad\x1b[31m\n\u202efile"},
        JOB | {"status": "odd\x1b[31m\n\u202e"},
    ):
        with ScriptedServer(Reply(200, job)) as server, connect(server, clock=FakeClock()) as client:
            for call in (
                lambda: client.jobs.wait("job_1", timeout=1),
                lambda: client.jobs.download("job_1", io.BytesIO()),
            ):
                with pytest.raises(JobError) as caught:
                    call()
                assert str(caught.value).isprintable()


def test_the_errors_of_an_import_are_read() -> None:
    """204 means no errors; rows are returned unchanged; the failure of a whole job is one object."""
    rows = [{"user": {"email": "a"}, "errors": [{"code": "DUPLICATED_USER", "message": "m"}]}]
    with ScriptedServer(Reply(204), Reply(200, rows), Reply(200, JOB)) as server, connect(server) as client:
        assert client.jobs.errors("job/1") == []
        assert client.jobs.errors("job_1") == rows
        assert client.jobs.errors("job_1") == [JOB]
        assert server.seen[0].path == "/api/v2/jobs/job%2F1/errors"


def test_an_empty_id_and_a_response_without_a_job_are_refused() -> None:
    """An empty id is refused before sending, and a 2xx without a job is an error."""
    with ScriptedServer(Reply(200, {"x": 1})) as server, connect(server) as client:
        for bad in ("", None):
            with pytest.raises(InputError):
                client.jobs.get(bad)  # type: ignore[arg-type]  # what a caller may do
        with pytest.raises(TransportError, match="not a job"):
            client.jobs.get("job_1")


def finished(**more: Any) -> dict[str, Any]:
    """Return an export that is done."""
    return JOB | {"status": "completed"} | more


def test_a_download_has_a_size_limit() -> None:
    """A file of more than `max_bytes` is refused."""
    with (
        ScriptedServer(Reply(200, raw=b"x" * 1000)) as files,
        ScriptedServer() as server,
        connect(server) as client,
    ):
        server.replies = [Reply(200, finished(location=f"{files.url}/f?sig=canary"))]
        with pytest.raises(JobError, match="max_bytes=999"):
            client.jobs.download("job_1", io.BytesIO(), max_bytes=999)
        to = io.BytesIO(b"head")
        to.seek(4)
        assert client.jobs.download("job_1", to) == 1000
        assert to.getvalue() == b"head" + b"x" * 1000
        assert files.seen[-1].path == "/f?sig=canary"
        assert "Authorization" not in files.seen[-1].headers


def test_a_download_uses_plain_http_only_for_loopback() -> None:
    """A link without a scheme means https, and a job without a link is an error."""
    with ScriptedServer() as server, connect(server, clock=FakeClock()) as client:
        server.replies = [Reply(200, finished(location="http://files.example.com/f"))]
        with pytest.raises(ConfigError, match="loopback only"):
            client.jobs.download("job_1", io.BytesIO())
        server.replies = [Reply(200, finished(location="nowhere.invalid/f"))]
        with pytest.raises(NotSentError, match=r"https://nowhere\.invalid"):
            client.jobs.download("job_1", io.BytesIO())
        server.replies = [Reply(200, JOB)]
        with pytest.raises(JobError, match="wait for it first"):
            client.jobs.download("job_1", io.BytesIO())


def test_a_tenant_over_https_has_no_links_over_plain_http() -> None:
    """Such a link could make this machine fetch what only it can reach; nothing is sent to it."""
    authority = trustme.CA()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    with (
        ScriptedServer() as inside,
        ScriptedServer(tls=tls) as server,
        authority.cert_pem.tempfile() as bundle,
    ):
        server.replies = [Reply(200, finished(location=f"{inside.url}/admin"))]
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("REQUESTS_CA_BUNDLE", bundle)
            client = connect(server, clock=FakeClock())
        with client, pytest.raises(JobError, match="without https"):
            client.jobs.download("job_1", io.BytesIO())
        assert inside.seen == []


def test_an_expired_link_is_renewed_and_then_an_error() -> None:
    """If a link is refused, a new one is fetched, for five tries in all; no response body is shown."""
    with (
        ScriptedServer(Reply(403, raw=b"canary")) as files,
        ScriptedServer(Reply(200, {})) as server,
        connect(server, clock=FakeClock()) as client,
    ):
        server.replies = [Reply(200, finished(location=f"{files.url}/f?sig=canary"))]
        with pytest.raises(ForbiddenError) as caught:
            client.jobs.download("job_1", io.BytesIO())
        assert "canary" not in str(caught.value)
        assert len(files.seen) == 5


def test_a_download_that_starts_again_leaves_nothing_of_the_first() -> None:
    """If the first try breaks off with more bytes than the second has in all, only the second's bytes are kept."""
    link = {"id": "job_1", "type": "users_export", "status": "completed"}
    with ScriptedServer(
        lambda _: Reply(200, link),
        Reply(raw=b"a longer file than the next one", missing=10),
        lambda _: Reply(200, link),
        Reply(raw=b"short"),
    ) as server:
        link["location"] = f"{server.url}/export.gz"
        with connect(server, clock=FakeClock()) as client:
            file = io.BytesIO(b"before")
            file.seek(0, io.SEEK_END)
            assert client.jobs.download("job_1", file) == 5
            assert file.getvalue() == b"beforeshort"
            assert server.paths()[1::2] == ["/export.gz"] * 2
