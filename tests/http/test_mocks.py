"""Libraries that stand in for the network in tests: no request gets past one of them while it is active."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
import requests_mock
import responses
import vcr
from requests.adapters import HTTPAdapter

from auth0_meta import ManagementClient, NotSentError
from auth0_meta.emulator import LocalTenant
from auth0_meta.http.connections import BoundedAdapter
from auth0_meta.http.network import is_mocked
from auth0_meta.testing import FakeClock

ID = "auth0|1"
MOCKED = {"user_id": ID, "app_metadata": {"plan": "mocked"}}
Standing = Callable[[str], AbstractContextManager[object]]


@contextmanager
def _responses(url: str) -> Iterator[object]:
    with responses.RequestsMock() as mock:
        for method in ("GET", "PATCH"):
            mock.add(method, url, json=MOCKED)
        mock.assert_all_requests_are_fired = False
        yield mock


@contextmanager
def _requests_mock(url: str) -> Iterator[object]:
    with requests_mock.Mocker() as mock:
        for method in ("GET", "PATCH"):
            mock.register_uri(method, url, json=MOCKED)
        yield mock


BOTH = pytest.mark.parametrize(
    "stand_in", [_responses, _requests_mock], ids=lambda one: one.__name__.strip("_")
)


@pytest.fixture
def tenant() -> Iterator[LocalTenant]:
    """Serve a tenant that stands for the real one, which no request may reach."""
    with LocalTenant(users=[{"user_id": ID, "app_metadata": {"plan": "real"}}]) as tenant:
        yield tenant


def _client(tenant: LocalTenant) -> ManagementClient:
    return ManagementClient(tenant.url, token="a.b.c", clock=FakeClock())


def _url(tenant: LocalTenant) -> str:
    return f"{tenant.url}/api/v2/users/auth0%7C1"


@BOTH
@pytest.mark.parametrize("when", ["before the client", "after it", "after its first request"])
def test_an_active_mock_gets_every_request(stand_in: Standing, when: str, tenant: LocalTenant) -> None:
    """It does not matter when the client was made, nor that it has a connection to the tenant already."""
    if when == "before the client":
        with stand_in(_url(tenant)):
            client = _client(tenant)
    else:
        client = _client(tenant)
    if when == "after its first request":
        assert client.users.get(ID).app_metadata["plan"] == "real"
    before = len(tenant.journal)
    with stand_in(_url(tenant)):
        assert is_mocked()
        assert client.users.get(ID).app_metadata["plan"] == "mocked"
        with client.transaction(ID) as tx:
            tx.app_metadata.set("billing.plan", "pro")
        assert (tx.result.outcome, tx.result.requests) == ("updated", 2)
    assert len(tenant.journal) == before
    assert not is_mocked()
    assert client.users.get(ID).app_metadata["plan"] == "real"


@BOTH
def test_a_request_without_a_registered_response_is_refused_at_once(
    stand_in: Standing, tenant: LocalTenant
) -> None:
    """It was not sent, is not tried again, and the error says why."""
    client = _client(tenant)
    refused = pytest.raises(NotSentError, match="/users/auth0%7C1 was not sent: HTTP is mocked here")
    with stand_in(f"{tenant.url}/other"), refused as caught, client.transaction(ID) as tx:
        tx.app_metadata["plan"] = "pro"
    assert caught.value.permanent
    assert tx.result.attempts == 1
    assert len(tenant.journal) == 0
    assert tenant.users[ID].app_metadata == {"plan": "real"}


def test_requests_mock_may_let_requests_through(tenant: LocalTenant) -> None:
    """`real_http=True` is an explicit wish."""
    with requests_mock.Mocker(real_http=True):
        assert _client(tenant).users.get(ID).app_metadata["plan"] == "real"
    assert len(tenant.journal) == 1


@BOTH
def test_a_tenant_in_process_is_reached_in_any_case(stand_in: Standing) -> None:
    """What replaces the network was passed by the test itself."""
    tenant = LocalTenant(serve=False, users=[{"user_id": ID}])
    with stand_in("https://elsewhere.example"):
        assert tenant.client().users.get(ID).user_id == ID


@pytest.mark.parametrize("opened", [False, True], ids=["new", "open"])
def test_a_cassette_records_and_replays(opened: bool, tenant: LocalTenant, tmp_path: Path) -> None:
    """vcrpy sees the requests of a client that has open connections too; the token is left out as its settings say."""
    cassettes = vcr.VCR(record_mode="once", filter_headers=["authorization"])
    client, path = _client(tenant), str(tmp_path / "user.yaml")
    if opened:
        client.users.get(ID)
    before = len(tenant.journal)
    with cassettes.use_cassette(path):
        assert client.users.get(ID).app_metadata["plan"] == "real"
    assert len(tenant.journal) == before + 1
    tenant.users[ID].patch(app_metadata={"plan": "later"})
    with cassettes.use_cassette(path) as cassette:
        assert client.users.get(ID).app_metadata["plan"] == "real"
        assert cassette.play_count == 1
        with pytest.raises(NotSentError, match="no response is registered"):
            client.users.get("auth0|2")
    assert len(tenant.journal) == before + 1
    text = Path(path).read_text()
    assert "a.b.c" not in text
    assert '"plan":"real"' in text.replace(" ", "").replace("\\", "")


def test_without_one_of_them_nothing_is_different(tenant: LocalTenant) -> None:
    """Importing such a library, or wrapping a function for tracing, does not count."""
    assert not is_mocked()
    outer = requests.Session.send

    def traced(*args: Any, **kwargs: Any) -> Any:
        return outer(*args, **kwargs)

    traced.__module__ = outer.__module__  # as functools.wraps does
    requests.Session.send = traced  # type: ignore[method-assign]
    try:
        assert not is_mocked()
    finally:
        requests.Session.send = outer  # type: ignore[method-assign]


@pytest.mark.parametrize("where", [requests.Session, HTTPAdapter], ids=lambda where: where.__name__)
def test_what_only_watches_keeps_connections_and_limits(
    where: Any, tenant: LocalTenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A function put over `send` may be a mock; if it passes requests on, they go over the client's own connections."""
    own, adapters = HTTPAdapter.send, []

    def seen(self: Any, *args: Any, **kwargs: Any) -> Any:
        return outer(self, *args, **kwargs)

    def noted(self: Any, *args: Any, **kwargs: Any) -> Any:
        adapters.append(self)
        return own(self, *args, **kwargs)

    monkeypatch.setattr(HTTPAdapter, "send", noted)
    outer = where.send
    monkeypatch.setattr(where, "send", seen)
    client = _client(tenant)
    for _ in range(3):
        client.users.get(ID)
    assert len(set(map(id, adapters))) == 1
    assert isinstance(adapters[0], BoundedAdapter)


@BOTH
def test_other_threads_are_mocked_too(stand_in: Standing, tenant: LocalTenant) -> None:
    """What is patched is patched for all of them."""
    client, found = _client(tenant), []
    with stand_in(_url(tenant)):
        threads = [threading.Thread(target=lambda: found.append(client.users.get(ID))) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert [user.app_metadata["plan"] for user in found] == ["mocked"] * 3
    assert len(tenant.journal) == 0
