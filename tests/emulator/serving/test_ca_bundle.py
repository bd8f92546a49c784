"""The files of certificate authorities: what the environment names already stays in them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import certifi
import pytest
import trustme

from auth0_meta.emulator.serving.ca_bundle import VARIABLES, certificate_files


def authority() -> str:
    """Make an authority and return its certificate."""
    return trustme.CA().cert_pem.bytes().decode()


@pytest.fixture
def ca_file(tmp_path: Path) -> Path:
    """Write the certificate of a tenant's authority."""
    (tmp_path / "ca.pem").write_text(authority())
    return tmp_path / "ca.pem"


def texts(ca_file: Path, environment: dict[str, str]) -> dict[str, str]:
    """Return what is in the file for each variable."""
    files = certificate_files(ca_file, ca_file.parent, environment)
    assert tuple(files) == VARIABLES
    return {name: Path(path).read_text() for name, path in files.items()}


def test_without_variables_the_public_authorities_are_kept(ca_file: Path) -> None:
    """Node has them by itself, so its file has the tenant's alone."""
    found = texts(ca_file, {})
    own = ca_file.read_text()
    public = Path(certifi.where()).read_text().count("BEGIN CERT")
    for name in VARIABLES[:3]:
        assert own in found[name]
        assert found[name].count("BEGIN CERT") == public + 1
    assert found["NODE_EXTRA_CA_CERTS"] == own


@pytest.mark.parametrize("name", VARIABLES)
def test_what_a_variable_names_stays_in_its_file(ca_file: Path, tmp_path: Path, name: str) -> None:
    """The file has exactly the authorities that the variable named and the tenant's; keys are left out."""
    company, key = authority(), trustme.CA().private_key_pem.bytes().decode()
    (tmp_path / "company.pem").write_bytes(
        f"# ours\r\n{key}{company}{company}".replace("\n", "\r\n").encode()
    )
    found = texts(ca_file, {name: str(tmp_path / "company.pem")})[name]
    assert found.split() == (company + ca_file.read_text()).split()


def test_each_program_keeps_what_it_would_have_read(ca_file: Path, tmp_path: Path) -> None:
    """requests also reads curl's variable, and curl and OpenSSL read SSL_CERT_DIR."""
    one, two = authority(), authority()
    (tmp_path / "one.pem").write_text(one)
    (tmp_path / "certs").mkdir()
    (tmp_path / "certs" / "two.pem").write_text(two)
    found = texts(
        ca_file,
        {
            "CURL_CA_BUNDLE": str(tmp_path / "one.pem"),
            "SSL_CERT_DIR": f"/nowhere{os.pathsep}{tmp_path}/certs",
        },
    )
    assert [one in found[name] for name in VARIABLES] == [False, True, True, False]
    assert [two in found[name] for name in VARIABLES] == [True, False, False, False]
    assert two in texts(ca_file, {"SSL_CERT_DIR": str(tmp_path / "certs")})["CURL_CA_BUNDLE"]


@pytest.mark.parametrize("kind", ["missing", "text", "directory", "pipe"])
def test_a_variable_that_names_no_certificates_counts_as_unset(
    ca_file: Path, tmp_path: Path, kind: str
) -> None:
    """It may be what an earlier tenant has left in the shell."""
    path = tmp_path / "odd"
    if kind == "text":
        path.write_text("no certificate")
    elif kind == "directory":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    found = texts(ca_file, dict.fromkeys(VARIABLES, str(path)))
    assert found == texts(ca_file, {})


def test_a_file_that_has_the_authority_already_stays_the_same(ca_file: Path) -> None:
    """Evaluating `env` twice changes nothing."""
    files = certificate_files(ca_file, ca_file.parent, {})
    assert certificate_files(ca_file, ca_file.parent, files) == files
    assert all(oct(os.stat(path).st_mode)[-3:] == "600" for path in set(files.values()) - {str(ca_file)})


def test_other_files_are_never_next_to_a_kept_authority(ca_file: Path, tmp_path: Path) -> None:
    """Even if the environment names exactly that one already."""
    (tmp_path / "private").mkdir()
    environment = dict.fromkeys(VARIABLES, str(ca_file))
    files = certificate_files(ca_file, tmp_path / "private", environment)
    assert {Path(path).parent for path in [files[name] for name in VARIABLES[:3]]} == {tmp_path / "private"}
    assert files["NODE_EXTRA_CA_CERTS"] == str(ca_file)


def test_exec_within_exec_reaches_both_tenants() -> None:
    """The inner command trusts the outer tenant too."""
    ask = "import os, requests; [requests.get(os.environ[n]+'/_emulator/health').raise_for_status() for n in ('OUTER', 'AUTH0_URL')]"
    run = [sys.executable, "-m", "auth0_meta", "emulator", "exec", "--tls", "--"]
    shell = f'OUTER=$AUTH0_URL exec {" ".join(run)} {sys.executable} -c "{ask}"'
    done = subprocess.run([*run, "sh", "-c", shell], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
