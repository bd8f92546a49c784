"""The pytest fixtures `auth0_tenant` and `auth0_env`; pytest loads this module by its entry point.

Every pytest run in an environment with this package imports it, so it imports nothing else of the package before
a test uses a fixture.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from auth0_meta.emulator import LocalTenant

_MARK = "auth0_tenant"
# These would lead the code under test to a real tenant, or away from the local one.
_OTHER_CREDENTIALS = ("AUTH0_API_TOKEN", "AUTH0_AUDIENCE", "AUTH0_CUSTOM_DOMAIN")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the settings of a whole run; a mark wins over the option, the option over the ini file."""
    group = parser.getgroup("auth0", "local Auth0 tenant (auth0-meta)")
    group.addoption(
        "--auth0-rate-limit",
        metavar="PLAN",
        help="rate limit of the auth0_tenant fixture: off, free, essentials, enterprise, enterprise-dev "
        "or SIZE@PER_SECOND",
    )
    group.addoption("--auth0-seed", type=int, metavar="N", help="seed of the auth0_tenant fixture")
    group.addoption(
        "--auth0-check",
        action="store_true",
        default=None,
        help="fail a test if one of its faults never fired, or if it requested what the local tenant does not serve",
    )
    group.addoption(
        "--auth0-strict",
        action="store_true",
        default=None,
        help="the auth0_tenant fixture accepts only registered clients and tokens that it issued",
    )
    parser.addini("auth0_rate_limit", "rate limit of the auth0_tenant fixture", default="off")
    parser.addini("auth0_seed", "seed of the auth0_tenant fixture", default="0")
    parser.addini("auth0_check", "as --auth0-check", type="bool", default=False)
    parser.addini("auth0_strict", "as --auth0-strict", type="bool", default=False)


def pytest_configure(config: pytest.Config) -> None:
    """Register the mark; with `--full-trace`, keep the frames of this package in the tracebacks of its errors."""
    if config.getoption("fulltrace"):
        from auth0_meta import redact  # noqa: PLC0415

        config.add_cleanup(partial(setattr, redact, "whole_tracebacks", redact.whole_tracebacks))
        redact.whole_tracebacks = True
    config.addinivalue_line(
        "markers",
        f"{_MARK}(check=False, **settings): settings of the auth0_tenant fixture, as LocalTenant takes them; "
        "check=True fails the test if one of its faults never fired or a request was not served",
    )


def pytest_report_header(config: pytest.Config) -> str:
    """Say whether the tenants of this run test credentials, unless a mark says otherwise."""
    if config.getoption("auth0_strict") or config.getini("auth0_strict"):
        return "auth0_tenant: strict"
    return "auth0_tenant: accepts any token and client secret (--auth0-strict, or strict=True in the mark, tests them)"


@pytest.fixture
def auth0_tenant(request: pytest.FixtureRequest) -> Iterator[LocalTenant]:
    """Serve a local tenant for this test alone, on loopback and a free port.

    `@pytest.mark.auth0_tenant(rate_limit="free", users=[...], check=True)` on the test, its class or its module
    changes the settings; the nearest mark wins.  With `strict=True` only registered clients and tokens that it issued
    are accepted; `auth0_env` and `auth0_tenant.client()` have such credentials.
    """
    from auth0_meta.emulator import LocalTenant  # noqa: PLC0415  # its extra may be missing

    settings = _settings(request)
    check = settings.pop("check")
    failed = request.session.testsfailed
    with LocalTenant(**settings) as tenant:
        yield tenant
    # A failed test may have ended before it came to what `check` looks for.
    if check and request.session.testsfailed == failed:
        tenant.verify()


@pytest.fixture
def auth0_env(auth0_tenant: LocalTenant, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Point AUTH0_DOMAIN, AUTH0_CLIENT_ID and AUTH0_CLIENT_SECRET at this test's tenant, and return them.

    AUTH0_API_TOKEN, AUTH0_AUDIENCE and AUTH0_CUSTOM_DOMAIN are unset for the test.
    """
    for name in _OTHER_CREDENTIALS:
        monkeypatch.delenv(name, raising=False)
    for name, value in auth0_tenant.env.items():
        monkeypatch.setenv(name, value)
    return auth0_tenant.env


def _settings(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Merge the ini file, the command line and the marks; the later ones win."""
    config = request.config
    settings: dict[str, Any] = {
        "rate_limit": config.getini("auth0_rate_limit"),
        "seed": int(config.getini("auth0_seed")),
        "check": config.getini("auth0_check"),
        "strict": config.getini("auth0_strict"),
    }
    options = {name: config.getoption(f"auth0_{name}") for name in settings}
    settings.update((name, value) for name, value in options.items() if value is not None)
    for mark in reversed(list(request.node.iter_markers(_MARK))):
        if mark.args:
            raise pytest.UsageError(f"the {_MARK} mark takes keyword arguments only")
        settings.update(mark.kwargs)
    return settings
