"""An authority that is kept: made once, private, judged before each use, and used for each new certificate."""

from __future__ import annotations

import datetime
import os
import shutil
import socket
import ssl
import subprocess
import sys
from pathlib import Path

import pytest
import requests
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from auth0_meta.emulator import LocalTenant
from auth0_meta.errors import ConfigError

posix = pytest.mark.skipif(os.name != "posix", reason="modes and owners are POSIX")


def mode(path: Path) -> str:
    """Return the permissions of a file in octal."""
    return oct(path.stat().st_mode)[-3:]


def served(tenant: LocalTenant, ca_file: Path) -> x509.Certificate:
    """Return the certificate of a served tenant, which `ca_file` must verify."""
    context = ssl.create_default_context(cafile=str(ca_file))
    with (
        socket.create_connection(("127.0.0.1", tenant.port), timeout=5) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as sock,
    ):
        data = sock.getpeercert(binary_form=True)
    assert data is not None
    return x509.load_der_x509_certificate(data)


def test_a_kept_authority_is_trusted_once(tmp_path: Path) -> None:
    """Later runs have a new certificate of the same authority; it is valid for as long as browsers accept."""
    folder = tmp_path / "new" / "ca"
    with LocalTenant(ca=folder) as tenant:
        assert tenant.ca_file == folder / "ca.pem"
        assert tenant.url.startswith("https://")
        first, trusted = served(tenant, tenant.ca_file), tenant.ca_file.read_text()
    assert [mode(path) for path in (folder, folder / "authority.pem", folder / "ca.pem")] == [
        "700",
        "600",
        "600",
    ]
    assert "PRIVATE" not in trusted
    (folder / "ca.pem").unlink()
    with LocalTenant(ca=folder, hosts=["tenant.test"]) as tenant:
        assert (folder / "ca.pem").read_text() == trusted
        second = served(tenant, folder / "ca.pem")
        with tenant.client() as client:
            assert list(client.users.search(q="*")) == []
    assert first.serial_number != second.serial_number
    assert first.issuer == second.issuer
    assert first.not_valid_after_utc - first.not_valid_before_utc < datetime.timedelta(days=398)
    assert sorted(path.name for path in folder.iterdir()) == ["authority.pem", "ca.pem"]


def test_processes_that_start_together_share_one_authority(tmp_path: Path) -> None:
    """None of them sees half of an authority, or another one than the file that is left."""
    code = "from auth0_meta.emulator import LocalTenant; print(LocalTenant(ca='ca').ca_file.read_text())"
    started = [
        subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    printed = {process.communicate(timeout=60)[0].strip() for process in started}
    assert printed == {(tmp_path / "ca" / "ca.pem").read_text().strip()}


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """Return a directory with an authority."""
    LocalTenant(ca=tmp_path / "ca")
    return tmp_path / "ca"


@posix
@pytest.mark.parametrize(
    ("name", "bits", "told"),
    [
        ("", 0o777, "others may write to it"),
        ("", 0o720, "others may write to it"),
        ("authority.pem", 0o640, "others may read the key"),
        ("authority.pem", 0o604, "others may read the key"),
        ("authority.pem", 0o622, "others may write to it"),
    ],
)
def test_a_key_that_others_can_reach_is_refused(kept: Path, name: str, bits: int, told: str) -> None:
    """Nothing is changed: not even the mode."""
    (kept / name).chmod(bits)
    with pytest.raises(ConfigError, match=told):
        LocalTenant(ca=kept)
    assert int(mode(kept / name), 8) == bits


@posix
@pytest.mark.parametrize("kind", ["link", "hard link", "directory", "pipe"])
def test_a_key_that_is_not_a_file_of_its_own_is_refused(kept: Path, kind: str) -> None:
    """A link may lead to somebody else's key, and a second name may be elsewhere."""
    key = kept / "authority.pem"
    other = kept.parent / "other.pem"
    key.rename(other)
    {"link": key.symlink_to, "hard link": key.hardlink_to}.get(kind, lambda _: None)(other)
    if kind == "directory":
        key.mkdir()
    elif kind == "pipe":
        os.mkfifo(key)
    with pytest.raises(ConfigError, match="can't be used"):
        LocalTenant(ca=kept)


@posix
def test_what_belongs_to_others_is_refused(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody else's directory, key or link is not used."""
    real = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: real + 1)
    with pytest.raises(ConfigError, match="belongs to another user"):
        LocalTenant(ca=kept)


@posix
def test_a_link_of_ones_own_to_the_directory_is_followed(kept: Path) -> None:
    """The directory behind it is judged."""
    (kept.parent / "link").symlink_to(kept)
    assert LocalTenant(ca=kept.parent / "link").ca_file == kept.parent / "link" / "ca.pem"
    kept.chmod(0o777)
    with pytest.raises(ConfigError, match="others may write"):
        LocalTenant(ca=kept.parent / "link")


def test_what_is_not_a_directory_is_refused(tmp_path: Path) -> None:
    """A file in its place stays as it was."""
    (tmp_path / "file").write_text("text")
    with pytest.raises(ConfigError, match="not a directory"):
        LocalTenant(ca=tmp_path / "file")
    with pytest.raises(ConfigError, match="can't keep a certificate authority"):
        LocalTenant(ca=tmp_path / "file" / "below")
    assert (tmp_path / "file").read_text() == "text"


def test_an_empty_name_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It comes of a variable that isn't set; no key is written to the working directory."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="has no name"):
        LocalTenant(ca="")
    assert not list(tmp_path.iterdir())


def rewrite(kept: Path, data: bytes) -> None:
    """Replace the content of the authority's file."""
    (kept / "authority.pem").write_bytes(data)


def test_an_unusable_authority_is_named(kept: Path) -> None:
    """Text, a key without its certificate, another key's certificate, and a server's certificate are refused."""
    ca, other = trustme.CA(), trustme.CA()
    leaf = ca.issue_cert("localhost")
    for data in (
        b"",
        b"text",
        b"x" * 70_000,
        ca.private_key_pem.bytes(),
        ca.private_key_pem.bytes() + other.cert_pem.bytes(),
        leaf.private_key_pem.bytes() + leaf.cert_chain_pems[0].bytes(),
    ):
        rewrite(kept, data)
        with pytest.raises(ConfigError, match=r"authority\.pem"):
            LocalTenant(ca=kept)


def test_an_expired_authority_is_named(kept: Path) -> None:
    """The error says when it expired and what to do."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([])
    start = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, start, start + datetime.timedelta(days=9))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    rewrite(kept, pem + certificate.public_bytes(serialization.Encoding.PEM))
    with pytest.raises(ConfigError, match=r"expired on 2020-01-10: delete it, and trust the new one"):
        LocalTenant(ca=kept)


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
def test_the_command_line_keeps_an_authority(tmp_path: Path) -> None:
    """`exec --ca DIR` serves https; the environment trusts it."""
    line = [sys.executable, "-m", "auth0_meta", "emulator", "exec", "--ca", str(tmp_path / "ca"), "--"]
    shell = 'curl -sS "$AUTH0_URL/_emulator/health"'
    done = subprocess.run([*line, "sh", "-c", shell], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, '{"status":"up"}', "")
    with LocalTenant(ca=tmp_path / "ca") as tenant:
        response = requests.get(
            f"{tenant.url}/_emulator/health", verify=str(tmp_path / "ca/ca.pem"), timeout=5
        )
    assert response.json() == {"status": "up"}
