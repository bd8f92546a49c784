"""`users.find`: the one user with an email address."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from support.scripted_server import Reply, ScriptedServer, Seen, connect

from auth0_meta.emulator import LocalTenant
from auth0_meta.errors import AmbiguousUserError, InputError, NotFoundError, TransportError
from auth0_meta.testing import FakeClock

Profile = dict[str, Any]


def someone(user_id: str, email: str, *connections: str) -> Profile:
    """Return a profile with an identity in each connection."""
    identities = [{"connection": name, "provider": user_id.split("|")[0]} for name in connections]
    return {"user_id": user_id, "email": email, "identities": identities}


def by_email(*profiles: Profile) -> Callable[[Seen], Reply]:
    """Respond as Auth0 does, which compares addresses exactly."""

    def respond(seen: Seen) -> Reply:
        (email,) = parse_qs(urlsplit(seen.path).query)["email"]
        return Reply(200, [one for one in profiles if one["email"] == email])

    return respond


DATABASE = someone("auth0|1", "ada@example.com", "Users")
GOOGLE = someone("google-oauth2|2", "ada@example.com", "google-oauth2")
SAML = someone("samlp|acme|3", "Ada@Example.com", "acme")
LINKED = someone("auth0|4", "ada@example.com", "Users", "github")


@pytest.mark.parametrize(
    ("stored", "email", "connection", "user_id", "requests"),
    [
        ([DATABASE], "ada@example.com", None, "auth0|1", 1),
        ([DATABASE], "Ada@Example.com", None, "auth0|1", 2),
        ([DATABASE], "  ada@example.com\n", None, "auth0|1", 1),
        ([SAML], "Ada@Example.com", None, "samlp|acme|3", 2),
        ([DATABASE, GOOGLE], "ada@example.com", "google-oauth2", "google-oauth2|2", 1),
        ([DATABASE, SAML], "Ada@Example.com", "Users", "auth0|1", 2),
        ([LINKED, GOOGLE], "ada@example.com", "github", "auth0|4", 1),
        ([DATABASE, SAML], "ada@example.com", None, "auth0|1", 1),
    ],
)
def test_the_one_user_is_found(
    stored: list[Profile], email: str, connection: str | None, user_id: str, requests: int
) -> None:
    """An address is looked up as written and in lower case; a connection is that of any identity."""
    with ScriptedServer(by_email(*stored)) as server, connect(server) as client:
        assert client.users.find(email, connection=connection).user_id == user_id
        assert len(server.seen) == requests


@pytest.mark.parametrize(
    ("email", "connection"),
    [("eve@example.com", None), ("ada@example.com", "github"), ("ADA@EXAMPLE.ORG", None)],
)
def test_nobody_is_an_error(email: str, connection: str | None) -> None:
    """The error has the status of an unknown id, and neither it nor its message has the address."""
    with ScriptedServer(by_email(DATABASE, GOOGLE)) as server, connect(server) as client:
        with pytest.raises(NotFoundError, match="nobody") as caught:
            client.users.find(email, connection=connection)
        assert caught.value.status == 404
        assert isinstance(caught.value, LookupError)
        assert email.lower() not in str(caught.value).lower()
        assert (connection or "") in str(caught.value)


def test_several_users_are_named() -> None:
    """One can choose by the ids, and see the connections; the address itself is not shown."""
    with ScriptedServer(by_email(DATABASE, GOOGLE, SAML)) as server, connect(server) as client:
        with pytest.raises(AmbiguousUserError) as caught:
            client.users.find("Ada@Example.com")
        assert caught.value.user_ids == ("samlp|acme|3", "auth0|1", "google-oauth2|2")
        assert pickle.loads(pickle.dumps(caught.value)).user_ids == caught.value.user_ids  # noqa: S301
        assert "3 users" in str(caught.value)
        assert "google-oauth2|2 (google-oauth2)" in str(caught.value)
        assert "example.com" not in str(caught.value).lower()
        with pytest.raises(AmbiguousUserError) as caught:
            client.users.find("ada@example.com")
        assert caught.value.user_ids == ("auth0|1", "google-oauth2|2")


@pytest.mark.parametrize(("users", "more"), [(5, ""), (6, " and 1 more"), (9, " and 4 more")])
def test_a_message_names_a_few_users(users: int, more: str) -> None:
    """All ids are in `user_ids`, however many they are."""
    many = [someone(f"auth0|{n}", "a@example.com", f"c{n}") for n in range(users)]
    with ScriptedServer(by_email(*many)) as server, connect(server) as client:
        with pytest.raises(AmbiguousUserError) as caught:
            client.users.find("a@example.com")
        assert len(caught.value.user_ids) == users
        assert f"auth0|4 (c4){more}. Name" in str(caught.value)


@pytest.mark.parametrize(
    ("email", "connection"),
    [
        ("", None),
        (" ", None),
        (None, None),
        (5, None),
        (b"a@b", None),
        ("a@b", ""),
        ("a@b", 5),
        ("a@b", b"c"),
    ],
    ids=repr,
)
def test_a_bad_argument_sends_nothing(email: Any, connection: Any) -> None:
    """What can't be an address or a connection is refused before the first request."""
    with ScriptedServer() as server, connect(server) as client:
        with pytest.raises(InputError):
            client.users.find(email, connection=connection)
        assert server.seen == []


@pytest.mark.parametrize("identities", [None, [], "x", [5], [{}], [{"connection": 5}]])
def test_a_user_without_connections_is_found_too(identities: Any) -> None:
    """Identities of any form are no reason to fail; such a user is in no connection."""
    odd = {"user_id": "auth0|1", "email": "a@b", "identities": identities}
    with ScriptedServer(Reply(200, [odd])) as server, connect(server, clock=FakeClock()) as client:
        assert client.users.find("a@b").user_id == "auth0|1"
        with pytest.raises(NotFoundError):
            client.users.find("a@b", connection="Users")


def test_users_with_another_address_are_not_believed() -> None:
    """A cache's response about somebody else is an error."""
    with ScriptedServer(Reply(200, [GOOGLE])) as server, connect(server, clock=FakeClock()) as client:
        with pytest.raises(TransportError):
            client.users.find("eve@example.com")
        assert len(server.seen) == 1


def test_a_local_tenant_finds_a_database_user_in_any_case() -> None:
    """It keeps addresses in lower case, as Auth0 does; with a second connection the choice is the caller's."""
    with LocalTenant() as tenant, tenant.client() as client:
        one = client.users.create(
            {
                "connection": "Username-Password-Authentication",
                "email": "Ada@Example.com",
                "password": "Analytical-1842",
            }
        )
        assert client.users.find("ADA@example.com") == client.users.get(one)
        other = tenant.users.add(user_id="google-oauth2|9", email="ada@example.com")
        with pytest.raises(AmbiguousUserError) as caught:
            client.users.find("ada@example.com")
        assert set(caught.value.user_ids) == {one.user_id, other.user_id}
        assert client.users.find("ada@example.com", connection="google-oauth2").user_id == other.user_id
