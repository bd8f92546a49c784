"""TLS: certificates that verify, clients that trust them, and clients that don't."""

from __future__ import annotations

import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from auth0_meta import ManagementClient
from auth0_meta.emulator import LocalTenant
from auth0_meta.errors import ConfigError, NotSentError

HEADERS = {"Authorization": "Bearer x"}


@pytest.fixture(autouse=True)
def without_certificate_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the certificate files of the environment that runs the tests."""
    for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def secure() -> Iterator[LocalTenant]:
    """Yield one tenant that is served over https."""
    with LocalTenant(tls=True, hosts=["tenant.test"]) as tenant:
        yield tenant


def connect(tenant: LocalTenant, name: str) -> ssl.SSLSocket:
    """Connect with TLS, using a name for SNI."""
    context = ssl.create_default_context(cafile=str(tenant.ca_file))
    return context.wrap_socket(
        socket.create_connection(("127.0.0.1", tenant.port), timeout=5), server_hostname=name
    )


def test_its_own_client_trusts_it(secure: LocalTenant) -> None:
    """`client()` trusts the certificate without any setting, for the token request too."""
    user = secure.users.add()
    assert secure.url == f"https://localhost:{secure.port}"
    with secure.client() as client, client.transaction(user.user_id) as tx:
        tx.user_metadata["theme"] = "dark"
    assert user.user_metadata == {"theme": "dark"}


def test_an_environment_variable_makes_clients_trust_it(
    secure: LocalTenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the bundle in OpenSSL's variable, the bare host is enough; without it nothing is sent."""
    user = secure.users.add()
    settings = {"client_id": secure.client_id, "client_secret": secure.client_secret, "max_wait": 0}
    with (
        ManagementClient(secure.domain, **settings) as client,
        pytest.raises(NotSentError, match="certificate"),
    ):
        client.users.get(user.user_id)
    for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"):
        with monkeypatch.context() as patch:
            patch.setenv(name, str(secure.bundle_file))
            with ManagementClient(secure.domain, **settings) as client:
                assert client.users.get(user.user_id).user_id == user.user_id


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "::1", "tenant.test"])
def test_the_certificate_covers_every_local_name(secure: LocalTenant, name: str) -> None:
    """The usual local names and the given hosts verify; any other name does not."""
    with connect(secure, name) as sock:
        assert sock.version() in ("TLSv1.2", "TLSv1.3")
    with pytest.raises(ssl.SSLCertVerificationError):
        connect(secure, "tenant.eu.auth0.com")


def test_the_bundle_holds_the_public_authorities_too(secure: LocalTenant) -> None:
    """A tool that trusts only this file still trusts public servers."""
    assert secure.bundle_file is not None
    assert secure.ca_file is not None
    assert secure.ca_file.read_text() in secure.bundle_file.read_text()
    assert secure.bundle_file.read_text().count("BEGIN CERTIFICATE") > 50
    assert "PRIVATE KEY" not in secure.bundle_file.read_text()


def test_each_run_has_its_own_authority(secure: LocalTenant) -> None:
    """Trusting the certificate of one run does not mean trusting that of another."""
    other = LocalTenant(tls=True)
    assert other.ca_file is not None
    with pytest.raises(requests.exceptions.SSLError):
        requests.get(f"{secure.url}/api/v2/users", verify=str(other.ca_file), timeout=5)


def test_clients_without_a_handshake_do_no_harm(secure: LocalTenant) -> None:
    """Clients that send plain http, nothing or garbage block no other client."""
    silent = [socket.create_connection(("127.0.0.1", secure.port), timeout=5) for _ in range(4)]
    with pytest.raises(requests.ConnectionError):
        requests.get(f"http://127.0.0.1:{secure.port}/api/v2/users", timeout=5)
    silent[0].sendall(b"\x00garbage" * 10)
    response = requests.get(
        f"{secure.url}/api/v2/users", headers=HEADERS, verify=str(secure.ca_file), timeout=5
    )
    assert response.status_code == 200
    for sock in silent:
        sock.close()


def test_large_bodies_arrive_and_connections_are_kept(secure: LocalTenant) -> None:
    """A body of many TLS records arrives whole, and one connection serves many requests."""
    user = secure.users.add()
    with requests.Session() as session:
        session.verify = str(secure.ca_file)
        for _ in range(3):
            path = f"{secure.url}/api/v2/users/{user.user_id.replace('|', '%7C')}"
            body = {"user_metadata": {"long": "x" * 60_000}}
            response = session.patch(path, json=body, headers=HEADERS, timeout=5)
            assert response.json()["user_metadata"] == body["user_metadata"]


def test_the_files_are_deleted_when_the_process_ends() -> None:
    """No certificate file is left, and no warning is printed."""
    code = (
        "from auth0_meta.emulator import LocalTenant\n"
        "tenant = LocalTenant(tls=True).start()\n"
        "print(tenant.ca_file, tenant.bundle_file.parent)\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    ca_file, directory = done.stdout.split()
    assert not Path(ca_file).exists()
    assert not Path(directory).exists()


def test_without_tls_there_are_no_files() -> None:
    """A tenant on plain http has no certificate, and one without a socket can't have TLS."""
    tenant = LocalTenant()
    assert (tenant.ca_file, tenant.bundle_file) == (None, None)
    with pytest.raises(ConfigError, match="needs a socket"):
        LocalTenant(tls=True, serve=False)
