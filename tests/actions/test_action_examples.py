"""The example actions: what each writes, when it writes nothing, and that each file runs."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from auth0_meta.external import SqliteStore, save
from auth0_meta.testing import Simulation, simulate

EXAMPLES = Path(__file__).parent.parent.parent / "examples" / "actions"
SCRIPTS = sorted(path.name for path in EXAMPLES.glob("[!_]*.py"))
USER: dict[str, Any] = {"user_id": "auth0|1", "app_metadata": {}, "user_metadata": {}}


def example(name: str) -> ModuleType:
    """Import one example from its file."""
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def again(action: Any, login: Simulation, **sections: Any) -> Simulation:
    """Log the same user in once more."""
    user = {bag: login.user.get(bag, {}) for bag in ("app_metadata", "user_metadata")}
    fields = {name: value for name, value in login.user.items() if name not in user}
    return simulate(action, {"user": fields | user, **sections})


def test_every_example_is_tested_here() -> None:
    """There are four documented uses, and two with data outside of the profile."""
    assert SCRIPTS == [
        "expensive_value.py",
        "external_store.py",
        "offloaded_value.py",
        "operation_log.py",
        "saml_attributes.py",
        "store_application_data.py",
    ]


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_example_runs(script: str) -> None:
    """Without a tenant, each file prints what it sends; the one that only reads prints whom it let in."""
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / script)], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("CN=admins" if script == "offloaded_value.py" else "[('PATCH', {")


def test_application_data_is_stored_once() -> None:
    """One PATCH stores a plan and the language and ends an invitation; the second login sends nothing."""
    action = example("store_application_data").store_application_data
    login = simulate(
        action, {"user": USER | {"app_metadata": {"invited": True}}, "transaction": {"locale": "fi"}}
    )
    assert [r.body for r in login.requests] == [
        {
            "app_metadata": {"plan": {"name": "free", "seats": 1}, "invited": None},
            "user_metadata": {"lang": "fi"},
        }
    ]
    second = again(action, login, transaction={"locale": "en"})
    assert second.requests == ()
    assert (
        login.outcome.id_token_claims
        == second.outcome.id_token_claims
        == {"https://example.com/plan": "free"}
    )


def test_the_plan_that_is_stored_is_the_one_in_the_token() -> None:
    """A stored plan is neither replaced nor sent."""
    action = example("store_application_data").store_application_data
    login = simulate(action, {"user": USER | {"app_metadata": {"plan": {"name": "pro"}}}})
    assert login.requests == ()
    assert login.outcome.id_token_claims == {"https://example.com/plan": "pro"}


def test_the_log_is_bounded() -> None:
    """The newest entries stay, the oldest are dropped."""
    action = example("operation_log").OperationLog(keep=3, now=lambda: datetime(2026, 1, 2, tzinfo=UTC))
    login = simulate(action, {"user": USER, "request": {"ip": "192.0.2.0"}, "client": {"client_id": "app"}})
    for n in range(1, 5):
        login = again(action, login, request={"ip": f"192.0.2.{n}"}, client={"client_id": "app"})
        assert [r.method for r in login.requests] == ["PATCH"]
    assert login.user["app_metadata"]["logins"] == [
        {"at": "2026-01-02T00:00:00+00:00", "ip": f"192.0.2.{n}", "app": "app"} for n in (2, 3, 4)
    ]
    assert example("operation_log").utc_now().tzinfo is UTC


@pytest.mark.parametrize(
    "sections",
    [{"request": {"query": {"prompt": "none"}}}, {"transaction": {"protocol": "oauth2-refresh-token"}}],
)
def test_silent_logins_are_not_logged(sections: Any) -> None:
    """Single sign-on and refresh tokens run the trigger too; they write nothing."""
    assert simulate(example("operation_log").OperationLog(), {"user": USER, **sections}).requests == ()


def test_saml_attributes_are_mapped_when_they_differ() -> None:
    """Lists are mapped too; an attribute that is gone is removed; unchanged attributes send nothing."""
    module = example("saml_attributes")
    user = USER | {"user_id": "samlp|acme|1", "groups": ["a", "b"], "preferredLanguage": "fi"}
    user["app_metadata"] = {"department": "looms", "plan": "pro"}
    connection = {"id": module.CONNECTION}
    login = simulate(module.map_saml_attributes, {"user": user, "connection": connection})
    assert [r.body for r in login.requests] == [
        {"user_metadata": {"lang": "fi"}, "app_metadata": {"department": None, "saml_groups": ["a", "b"]}}
    ]
    assert again(module.map_saml_attributes, login, connection=connection).staged == {}


def test_attributes_of_other_connections_are_not_mapped() -> None:
    """A user of another connection can't choose their own groups."""
    action = example("saml_attributes").map_saml_attributes
    user = USER | {"groups": ["admin"]}
    assert simulate(action, {"user": user, "connection": {"id": "con_other"}}).requests == ()


class Crm:
    """A stand-in for the other system."""

    def __init__(self) -> None:
        self.calls: list[Any] = []
        self.down = False

    def fetch_token(self) -> str:
        """Return a token."""
        self.calls.append("token")
        return "t"

    def create_lead(self, token: str, profile: Any, *, idempotency_key: str) -> str:
        """Record a lead."""
        self.calls.append((token, profile["email"], idempotency_key))
        if self.down:
            raise ConnectionError
        return "lead-1"


def test_the_expensive_work_is_done_once(capsys: pytest.CaptureFixture[str]) -> None:
    """After a failure the login is allowed and no flag is set; the next login does the work, and the one after that skips it."""
    crm = Crm()
    action = example("expensive_value").RecordLead(fetch_token=crm.fetch_token, create_lead=crm.create_lead)
    user = USER | {"email": "ada@example.com", "email_verified": True}
    crm.down = True
    login = simulate(action, {"user": user})
    assert login.outcome.allowed
    assert (login.requests, capsys.readouterr().err) == ((), "no lead for auth0|1: ConnectionError\n")
    crm.down = False
    login = again(action, login)
    assert login.user["app_metadata"] == {"lead": "lead-1"}
    calls = len(crm.calls)
    assert again(action, login).requests == ()
    assert len(crm.calls) == calls
    assert ("t", "ada@example.com", "auth0|1") in crm.calls


def test_the_service_token_is_cached_across_logins() -> None:
    """Two users share one token; an unverified address makes no lead."""
    from auth0_meta.actions import Cache
    from auth0_meta.clock import SYSTEM_CLOCK

    crm, cache = Crm(), Cache(SYSTEM_CLOCK)
    action = example("expensive_value").RecordLead(fetch_token=crm.fetch_token, create_lead=crm.create_lead)
    for n in range(2):
        user = USER | {"user_id": f"auth0|{n}", "email": "a@example.com", "email_verified": True}
        assert simulate(action, {"user": user}, cache=cache).outcome.allowed
    assert crm.calls.count("token") == 1
    assert simulate(action, {"user": USER | {"email": "b@example.com"}}, cache=cache).requests == ()


def test_large_data_stays_outside(tmp_path: Path) -> None:
    """The first login stores a pointer, later ones send nothing; the store has every login."""
    module = example("external_store")
    history = module.History(tmp_path / "history.db")
    action = module.KeepHistory(history)
    login = simulate(action, {"user": USER, "request": {"ip": "192.0.2.0"}})
    assert [list(r.body["app_metadata"]) for r in login.requests] == [["history"]]
    for n in range(1, 30):
        login = again(action, login, request={"ip": f"192.0.2.{n}"})
        assert login.requests == ()
    pointer = login.user["app_metadata"]["history"]
    assert [entry["ip"] for entry in history.entries(pointer)] == [f"192.0.2.{n}" for n in range(30)]
    assert history.entries("other") == []


def test_an_offloaded_value_decides_as_it_did_in_the_profile(tmp_path: Path) -> None:
    """Members get in, others don't; without the store nobody does, except to applications that need no group."""
    module = example("offloaded_value")
    with SqliteStore(tmp_path / "big.db") as store:
        pointer = save(["a"], store=store, user_id="auth0|1", path="app_metadata.directory_groups")

    def allowed(groups: Any, file: str = "big.db", client_id: str = "backoffice", group: str = "a") -> bool:
        with SqliteStore(tmp_path / file, name="big") as store:
            action = module.RequireGroup(store, client_id="backoffice", group=group)
            user = USER | {"app_metadata": {} if groups is None else {"directory_groups": groups}}
            login = simulate(action, {"user": user, "client": {"client_id": client_id}})
        assert login.requests == ()
        assert login.outcome.error is None
        return login.outcome.allowed

    assert allowed(pointer)
    assert allowed(["a"])
    assert not allowed(pointer, group="b")
    assert not allowed(None)
    assert not allowed(pointer, file="empty.db")
    assert allowed(pointer, file="empty.db", client_id="shop")
