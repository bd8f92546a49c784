"""Logins at a tenant whose answers are not what was asked for: the login fails and says why, and no other user is touched.

The tenant is a socket that this file scripts, not the emulator.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support.logins import Consent
from support.scripted_server import Reply, ScriptedServer, Seen

from auth0_meta import ManagementClient, OutcomeUnknown, StoredDataError, TransportError
from auth0_meta.actions import Event, LoginOutcome, MemoryStates, PostLoginTrigger, post_login

UID, OTHER = "auth0|1", "auth0|2"


class Tenant:
    """Two users, first-level merge, and answers that a test replaces."""

    def __init__(self) -> None:
        self.users: dict[str, dict[str, Any]] = {
            UID: {"user_id": UID, "app_metadata": {"n": 1}},
            OTHER: {"user_id": OTHER, "app_metadata": {"n": 7, "iban": "theirs"}},
        }
        self.instead: dict[str, Reply] = {}
        """What answers the next request of a method, after it has been carried out."""
        self.written: list[tuple[str, Any]] = []

    def __call__(self, seen: Seen) -> Reply:
        """Answer one request."""
        user = self.users[seen.path.rpartition("/")[2].replace("%7C", "|")]
        if seen.method == "PATCH":
            self.written.append((user["user_id"], seen.json))
            for bag, keys in seen.json.items():
                user[bag] = {**user.get(bag, {}), **keys}
        return self.instead.pop(seen.method, None) or Reply(200, user)


@pytest.fixture
def tenant() -> Tenant:
    """Return a tenant."""
    return Tenant()


@pytest.fixture
def client(tenant: Tenant) -> Iterator[ManagementClient]:
    """Return a client of the tenant."""
    with ScriptedServer(tenant) as server, ManagementClient(server.url, token="any.given.token") as client:
        yield client


def count(event: Any, api: Any) -> None:
    """Count the login."""
    api.user.set_app_metadata("n", event.user.app_metadata.get("n", 0) + 1)


class Away(Consent):
    """Send the user away, and count on return."""

    on_continue_post_login = staticmethod(count)  # type: ignore[assignment]


def run(client: ManagementClient, tenant: Tenant, broken: dict[str, Reply]) -> LoginOutcome:
    """Log in with the claims of an ID token."""
    tenant.instead |= broken
    return PostLoginTrigger(client, [count]).run(Event.from_claims({"sub": UID}))


def run_locked(client: ManagementClient, tenant: Tenant, broken: dict[str, Reply]) -> LoginOutcome:
    """Log in with a profile that is read again under a lock."""
    event = Event.from_profile(tenant.users[UID])
    tenant.instead |= broken
    return PostLoginTrigger(client, [count], lock=lambda user_id: threading.Lock()).run(event)


def resume(client: ManagementClient, tenant: Tenant, broken: dict[str, Reply]) -> LoginOutcome:
    """Come back from a redirect."""
    trigger = PostLoginTrigger(client, [Away()], states=MemoryStates())
    outcome = trigger.run(Event.from_claims({"sub": UID}))
    assert outcome.redirect is not None
    tenant.written.clear()
    tenant.instead |= broken
    return trigger.resume(outcome.redirect.state)


def block(client: ManagementClient, tenant: Tenant, broken: dict[str, Reply]) -> LoginOutcome:
    """Log in with a block."""
    tenant.instead |= broken
    try:
        with post_login(client, Event.from_claims({"sub": UID})) as api:
            count(api.event, api)
    except Exception as error:  # noqa: BLE001  # it raises what the others return
        return LoginOutcome(user_id=UID, error=error)
    assert api.outcome is not None
    return api.outcome


logins = pytest.mark.parametrize("log_in", [run, run_locked, resume, block])
LogIn = Callable[[ManagementClient, Tenant, dict[str, Reply]], LoginOutcome]

NO_PROFILE = {
    "null": Reply(200, None),
    "a list": Reply(200, [{"user_id": UID}]),
    "a string": Reply(200, UID),
    "nothing": Reply(200, raw=b""),
    "HTML": Reply(200, raw=b"<html>busy</html>"),
    "an empty object": Reply(200, {}),
    "an error": Reply(200, {"statusCode": 503, "message": "maintenance"}),
    "an id that is a list": Reply(200, {"user_id": [UID], "app_metadata": {}}),
    "another user": Reply(200, {"user_id": OTHER, "app_metadata": {"n": 7, "iban": "theirs"}}),
    "NaN": Reply(200, raw=b'{"user_id": "auth0|1", "app_metadata": {"n": NaN}}'),
    "the same key twice": Reply(200, raw=b'{"user_id": "auth0|2", "user_id": "auth0|1"}'),
    "UTF-16": Reply(200, raw='{"user_id": "auth0|1"}'.encode("utf-16")),
    "a deep nest": Reply(200, raw=b'{"user_id": "auth0|1", "a": ' + b"[" * 50_000 + b"]" * 50_000 + b"}"),
}


def profile(**fields: Any) -> Reply:
    """Return a profile of the user who was asked for."""
    return Reply(200, {"user_id": UID, **fields})


UNUSABLE = {
    "a bag that is a list": profile(app_metadata=["n"]),
    "a bag that is a string": profile(app_metadata="n"),
    "a bag that is false": profile(app_metadata=False),
    "a deep bag": Reply(
        200, raw=b'{"user_id": "auth0|1", "app_metadata": ' + b'{"a":' * 300 + b"1" + b"}" * 300 + b"}"
    ),
    "a number past 1e308": Reply(200, raw=b'{"user_id": "auth0|1", "logins_count": 1e999}'),
}


@logins
@pytest.mark.parametrize("answer", NO_PROFILE.values(), ids=NO_PROFILE)
def test_a_read_that_is_not_answered_with_the_users_profile_fails_the_login(
    client: ManagementClient, tenant: Tenant, log_in: LogIn, answer: Reply
) -> None:
    """There is no usable response; nothing is written to anybody."""
    before = json.dumps(tenant.users[OTHER])
    outcome = log_in(client, tenant, {"GET": answer})
    assert isinstance(outcome.error, TransportError), outcome.error
    assert UID in str(outcome.error)
    assert (outcome.allowed, outcome.user_id, tenant.written) == (False, UID, [])
    assert json.dumps(tenant.users[OTHER]) == before


@logins
@pytest.mark.parametrize("answer", UNUSABLE.values(), ids=UNUSABLE)
def test_a_profile_that_no_action_can_work_with_fails_the_login(
    client: ManagementClient, tenant: Tenant, log_in: LogIn, answer: Reply
) -> None:
    """The error is about what is stored, not about an argument or an attribute."""
    outcome = log_in(client, tenant, {"GET": answer})
    assert isinstance(outcome.error, StoredDataError), outcome.error
    assert outcome.error.user_id == UID
    assert UID in str(outcome.error)
    assert (outcome.allowed, tenant.written) == (False, [])


@logins
@pytest.mark.parametrize("answer", NO_PROFILE.values(), ids=NO_PROFILE)
def test_an_update_that_is_not_answered_with_the_users_profile_is_read_back(
    client: ManagementClient, tenant: Tenant, log_in: LogIn, answer: Reply
) -> None:
    """What is found decides, and the update is sent once."""
    outcome = log_in(client, tenant, {"PATCH": answer} if log_in is not resume else {})
    assert outcome.commit is not None
    assert outcome.commit.outcome == ("updated" if log_in is resume else "confirmed")
    assert outcome.allowed
    assert tenant.written == [(UID, {"app_metadata": {"n": 2}})]


@pytest.mark.parametrize("log_in", [run, run_locked])
def test_an_update_that_cannot_be_read_back_either_is_unknown(
    client: ManagementClient, tenant: Tenant, log_in: LogIn
) -> None:
    """Another user's profile is no evidence of what became of it."""
    another = NO_PROFILE["another user"]

    class Always(dict[str, Reply]):
        def pop(self, method: str, default: Any = None) -> Any:
            return another if tenant.written else default

    tenant.instead = Always()
    outcome = log_in(client, tenant, {})
    assert isinstance(outcome.error, OutcomeUnknown)
    assert outcome.commit is not None
    assert outcome.commit.outcome == "unknown"
    assert tenant.written == [(UID, {"app_metadata": {"n": 2}})]


def test_an_event_whose_metadata_is_no_object_says_so() -> None:
    """An action that reads it fails with the reason, not with an AttributeError."""
    event = Event.from_dict({"user": {"user_id": UID, "app_metadata": ["n"], "user_metadata": {}}})
    outcome = PostLoginTrigger(ManagementClient("http://127.0.0.1:1", token="t"), [count]).run(event)
    assert isinstance(outcome.error, StoredDataError)
    assert "list" in str(outcome.error)
    assert (outcome.error.user_id, outcome.error.bag) == (UID, "app_metadata")
