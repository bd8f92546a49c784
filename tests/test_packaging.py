"""Compare what is written in two places: versions, interpreters, pins, public names, shipped files."""

from __future__ import annotations

import ast
import configparser
import importlib.metadata
import importlib.resources
import inspect
import os
import pickle
import re
import subprocess
import sys
from pathlib import Path

import pytest

import auth0_meta
from auth0_meta import errors

ROOT = Path(__file__).parent.parent
PACKAGE = Path(auth0_meta.__path__[0])
LONGEST_FILE = 440  # "about 400 lines", with a tenth of slack


def ini(name: str) -> configparser.ConfigParser:
    """Read an ini file of the checkout, without interpolation."""
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(ROOT / name, encoding="utf-8")
    return parser


def minimums(*requirements: str) -> dict[str, str]:
    """Return {package: lowest version} for the requirement lines that give one."""
    found = {}
    for line in "\n".join(requirements).splitlines():
        match = re.match(r"\s*([A-Za-z0-9._-]+(?:\[\w+\])?)\s*[>=]=\s*([0-9.]+)", line)
        if match:
            found[match[1]] = match[2]
    return found


def padded(version: str) -> str:
    """Pad a version to three numbers: 8.1 becomes 8.1.0."""
    return ".".join([*version.split("."), "0", "0"][:3])


def test_version_is_the_metadata_version() -> None:
    """`__version__`, the installed metadata and the changelog's first entry agree."""
    assert auth0_meta.__version__ == importlib.metadata.version("auth0-meta")
    first = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert first is not None
    assert first[1] == auth0_meta.__version__


def test_interpreters_agree() -> None:
    """Classifiers, tox environments, python_requires and ruff's target name the same interpreters."""
    setup, tox = ini("setup.cfg"), ini("tox.ini")
    classified = re.findall(r"Python :: 3\.(\d+)", setup["metadata"]["classifiers"])
    environments = re.search(r"^py3\{([\d,]+)\}$", tox["tox"]["env_list"], re.MULTILINE)
    assert environments is not None
    assert environments[1].split(",") == classified
    assert setup["options"]["python_requires"] == f">=3.{classified[0]}"
    assert f'target-version = "py3{classified[0]}"' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")


def test_lowest_pins_are_the_minimums() -> None:
    """`tox -e lowest` installs the oldest version that setup.cfg allows of every package that the suite needs."""
    options = ini("setup.cfg")
    tools = ("lint", "typing", "docs")  # these only read the code
    extras = [value for name, value in options["options.extras_require"].items() if name not in tools]
    allowed = minimums(options["options"]["install_requires"], *extras)
    pinned = minimums(ini("tox.ini")["testenv:lowest"]["deps"])
    assert {name: padded(version) for name, version in pinned.items()} == {
        name: padded(version) for name, version in allowed.items()
    }


def test_pyproject_holds_only_what_no_ini_file_can() -> None:
    """pyproject.toml has [build-system] and [tool.ruff], and nothing that would shadow setup.cfg or tox.ini."""
    tables = re.findall(
        r"^\[([\w.-]+)\]$", (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert [name for name in tables if name != "build-system" and not name.startswith("tool.ruff")] == []


def test_public_names_are_sorted_and_complete() -> None:
    """`__all__` is sorted, each of its names loads, and type checkers see the same names."""
    assert list(auth0_meta.__all__) == sorted(auth0_meta.__all__)
    assert [name for name in auth0_meta.__all__ if not hasattr(auth0_meta, name)] == []
    assert set(auth0_meta.__all__) <= set(dir(auth0_meta))
    tree = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    imported = {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("auth0_meta")
        for alias in node.names
    }
    assert imported == set(auth0_meta.__all__)
    with pytest.raises(AttributeError, match="no_such_name"):
        auth0_meta.no_such_name  # noqa: B018  # the look-up is the test


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_no_module_is_too_long(path: Path) -> None:
    """No file of the package grows past about 400 lines."""
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST_FILE


def test_typing_marker_is_shipped() -> None:
    """py.typed is next to the modules, so that type checkers read our annotations."""
    assert (importlib.resources.files("auth0_meta") / "py.typed").is_file()


def test_the_right_copy_is_tested() -> None:
    """Under tox it is the built wheel, never the work tree; elsewhere it is the checkout, installed as editable."""
    if "TOX_ENV_NAME" in os.environ:
        assert "site-packages" in auth0_meta.__path__[0]
    else:
        assert PACKAGE == ROOT / "auth0_meta"


ERRORS = [
    value
    for name in errors.__all__
    if inspect.isclass(value := getattr(errors, name)) and issubclass(value, errors.Auth0MetaError)
]


@pytest.mark.parametrize("kind", ERRORS)
def test_every_error_survives_pickling(kind: type[errors.Auth0MetaError]) -> None:
    """An error keeps its class, message and attributes, because process pools pickle it."""
    error = kind("what happened", user_id="auth0|1", status=429)
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301  # our own bytes
    assert type(copy) is kind
    assert copy.args == error.args
    assert vars(copy) == vars(error)


def test_every_error_is_public_and_in_the_tree() -> None:
    """Each error class is exported, and is in the tree at the top of errors.py."""
    drawn = set(re.findall(r"(?:├── |└── |^)(\w+)", errors.__doc__ or "", re.MULTILINE))
    for kind in ERRORS:
        assert kind.__name__ in drawn
        assert getattr(auth0_meta, kind.__name__) is kind


def loaded_by(statements: str, *, after: str = "pass") -> set[str]:
    """Return the modules that a fresh interpreter loads for some statements, without those it had loaded before."""
    code = f"{after}\nimport sys\nbefore = set(sys.modules)\n{statements}\nprint(*set(sys.modules) - before)"
    line = [sys.executable, "-c", code]
    return set(subprocess.run(line, capture_output=True, text=True, check=True, timeout=60).stdout.split())


def test_the_package_alone_loads_almost_nothing() -> None:
    """`import auth0_meta` loads one small module; each public name loads its own on first use."""
    ours = {name for name in loaded_by("import auth0_meta") if name.startswith("auth0_meta")}
    assert ours == {"auth0_meta", "auth0_meta._version"}


# The cost of `from auth0_meta import ManagementClient, MetadataTransaction`, as a multiple of that of requests, is promised
# (see benchmarks/imports.py).  Add a name here only after you have measured it again.
LOADED = """
    _version arguments client clock errors forks models record redact warn
    auth auth.advice auth.credentials auth.tokens
    changes changes.bag_change changes.change changes.foreign_types changes.json_reader changes.jsonvalue changes.operations changes.profile changes.rules changes.views
    checks checks.names checks.sizes
    connection endpoints endpoints.any_endpoint endpoints.jobs endpoints.users
    http http.budget http.channel http.connections http.error_responses http.expected http.headers http.network http.plain_http http.request
    http.outages http.sender http.sent_values http.token_endpoint http.transport http.reports
    ratelimit ratelimit.bucket ratelimit.fixed_window ratelimit.headers ratelimit.lanes ratelimit.plans ratelimit.shared_buckets
    ratelimit.throttle telemetry telemetry.log telemetry.wire_log threads threads.errand
    transactions transactions.bag transactions.commit transactions.options transactions.readback transactions.savepoint
    transactions.transaction transactions.unit transactions.write"""


def test_a_client_loads_requests_and_nothing_optional() -> None:
    """Beyond requests and these modules of ours a client and a transaction load nothing: no attrs, no jose, no asyncio."""
    loaded = loaded_by(
        "from auth0_meta import ManagementClient, MetadataTransaction", after="import requests"
    )
    assert loaded == {"auth0_meta", *(f"auth0_meta.{name}" for name in LOADED.split())}


SIGNING = """
from cryptography.hazmat.primitives import serialization as s
from cryptography.hazmat.primitives.asymmetric import rsa

from auth0_meta import ManagementClient
from auth0_meta.actions.web import SigningKeys, verify_id_token
from auth0_meta.emulator import LocalTenant
from auth0_meta.jwt import sign_hs256, verify_hs256

key = rsa.generate_private_key(65537, 2048)
private = key.private_bytes(s.Encoding.PEM, s.PrivateFormat.PKCS8, s.NoEncryption()).decode()
public = key.public_key().public_bytes(s.Encoding.PEM, s.PublicFormat.SubjectPublicKeyInfo).decode()
verify_hs256(sign_hs256({"exp": 4e9}, secret="x" * 32), secret="x" * 32)
with LocalTenant(strict=True, users=[{"user_id": "auth0|1"}]) as tenant:
    tenant.add_client("jwt", public_key=public)
    with ManagementClient(tenant.url, client_id="jwt", private_key=private) as client:
        client.users.get("auth0|1")
"""


def test_what_python_jose_brings_along_is_never_imported() -> None:
    """ecdsa has a timing attack that is never to be mended, and rsa and pyasn1 are not needed either: SECURITY.md says so."""
    loaded = {name.partition(".")[0] for name in loaded_by(SIGNING)}
    assert {"jose", "cryptography"} <= loaded
    assert loaded.isdisjoint({"ecdsa", "rsa", "pyasn1"})
    assert "ecdsa" in (ROOT / "SECURITY.md").read_text(encoding="utf-8")
