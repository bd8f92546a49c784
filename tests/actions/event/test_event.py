"""How an event is built from what an application has; it can't be changed."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth0_meta import InputError, MetadataError, StateError, User
from auth0_meta.actions import Event

FULL: dict[str, Any] = {
    "user": {
        "user_id": "samlp|acme|ada",
        "email": "ada@example.com",
        "email_verified": True,
        "enrolledFactors": [{"type": "phone"}],
        "identities": [{"provider": "samlp", "isSocial": False}],
        "department": "engines",
        "app_metadata": {"plan": "pro", "tags": ["a"]},
        "user_metadata": {"prefs": {"lang": "fi"}},
    },
    "request": {
        "ip": "192.0.2.1",
        "query": {"prompt": "login"},
        "body": {},
        "geoip": {"countryCode": "FI", "countryCode3": "FIN", "latitude": 60.2},
    },
    "client": {"client_id": "app", "name": "App", "metadata": {"a": "b"}},
    "connection": {"id": "con_1", "name": "acme", "strategy": "samlp"},
    "authentication": {"methods": [{"name": "pwd"}], "riskAssessment": {"confidence": "low"}},
    "organization": {"id": "org_1", "name": "acme"},
    "transaction": {"protocol": "oidc-basic-profile", "metadata": {"step": 1}},
    "secrets": {"KEY": "s3cret"},
    "stats": {"logins_count": 3},
    "tenant": {"id": "t"},
    "configuration": {},
    "of_tomorrow": {"x": 1},
}
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


def reloaded(value: Any) -> Any:
    """Return a value after a round trip through pickle, as in a process pool."""
    return pickle.loads(pickle.dumps(value))  # noqa: S301  # our own


def test_documented_fields_are_attributes_in_snake_case() -> None:
    """A field that Auth0 spells in camelCase is an attribute in snake_case, and keeps its name in []."""
    event = Event.from_dict(FULL)
    assert event.request.geoip.country_code == event.request.geoip["countryCode"] == "FI"
    assert event.request.geoip.country_code3 == "FIN"
    assert event.user.enrolled_factors == [{"type": "phone"}]
    assert event.authentication is not None
    assert event.authentication.risk_assessment is not None
    assert event.authentication.risk_assessment.confidence == "low"
    assert event.organization is not None
    assert event.organization.id == "org_1"
    assert event.secrets["KEY"] == "s3cret"
    assert event.user.app_metadata["plan"] == "pro"
    assert event.user.user_metadata["prefs"]["lang"] == "fi"


def test_absent_fields_are_none_and_unknown_fields_are_kept() -> None:
    """An absent documented field is None, an undocumented field is an attribute, and a typo raises."""
    event = Event.from_dict(FULL)
    assert event.user.phone_number is None
    assert event.session is None
    assert event.user.department == "engines"
    assert event.of_tomorrow == {"x": 1}
    with pytest.raises(AttributeError, match="emial"):
        _ = event.user.emial
    with pytest.raises(AttributeError, match="it has no fields"):
        _ = Event.from_dict({"user": {"user_id": "auth0|1"}}).tenant.nmae
    assert {"email", "phone_number", "department"} <= set(dir(event.user))


def test_the_sections_that_auth0_always_sends_exist() -> None:
    """The sections that Auth0 always sends are never None, and query, body, geoip and metadata are objects."""
    event = Event.from_dict(
        {"user": {"user_id": "auth0|1"}, "request": {"query": None}, "organization": None}
    )
    assert event.request.query == event.request.body == event.transaction.metadata == event.secrets == {}
    assert event.request.geoip.city_name is None
    assert event.client.client_id is event.stats.logins_count is event.tenant.id is event.organization is None


@given(json_values)
def test_an_event_takes_any_json(value: Any) -> None:
    """Any JSON that a source has is returned unchanged, as plain data."""
    event = Event.from_dict({"user": {"user_id": "auth0|1", "x": value}, "more": value})
    assert event.user["x"] == event["more"] == value
    for plain in (event.copy(), copy.copy(event), copy.deepcopy(event), reloaded(event)):
        assert type(plain) is dict
        assert plain["more"] == value
        assert type(plain["user"]) is dict
    assert json.loads(json.dumps(event))["more"] == json.loads(json.dumps(value))


@pytest.mark.parametrize(
    "change",
    [
        lambda e: e.user.app_metadata.__setitem__("plan", "free"),
        lambda e: e.user.app_metadata.update(plan="free"),
        lambda e: e.user.app_metadata.pop("plan"),
        lambda e: e.user.app_metadata["tags"].append("b"),
        lambda e: e.user.app_metadata["tags"].__setitem__(0, "b"),
        lambda e: e.__setitem__("user", {}),
        lambda e: e.user.__delitem__("email"),
        lambda e: e.secrets.clear(),
    ],
)
def test_an_event_cannot_be_changed(change: Any) -> None:
    """Every attempt raises an error that names the api, and changes nothing."""
    event = Event.from_dict(FULL)
    with pytest.raises(InputError, match=r"api\.user\.set_app_metadata"):
        change(event)
    assert event == Event.from_dict(FULL)


def test_attributes_cannot_be_set() -> None:
    """Assigning an attribute raises as well."""
    event = Event.from_dict(FULL)
    with pytest.raises(AttributeError):
        event.user.email = "other@example.com"


def test_copies_are_plain_and_mutable() -> None:
    """`|`, `+`, slices and copy() return plain deep copies."""
    bag = Event.from_dict(FULL).user.app_metadata
    mine = bag | {"more": 1}
    mine["tags"].append("b")
    tags = copy.copy(bag["tags"])
    tags.append("c")
    assert (mine, tags, bag["tags"] + ["d"], bag["tags"][:]) == (
        {"plan": "pro", "tags": ["a", "b"], "more": 1},
        ["a", "c"],
        ["a", "d"],
        ["a"],
    )
    assert type(copy.deepcopy(bag["tags"])) is type(reloaded(bag["tags"])) is list
    assert bag == {"plan": "pro", "tags": ["a"]}


def test_reprs_show_no_values() -> None:
    """A repr names fields; the only value it shows is the user id."""
    event = Event.from_dict(FULL)
    shown = " ".join(
        map(
            repr, (event, event.user, event.user.app_metadata, event.secrets, event.user.app_metadata["tags"])
        )
    )
    assert "samlp|acme|ada" in shown
    assert not any(value in shown for value in ("s3cret", "ada@example.com", "pro", "'a'"))


@pytest.mark.parametrize(
    ("event", "error"),
    [
        ({}, MetadataError),
        ({"user": {}}, MetadataError),
        ({"user": {"user_id": ""}}, MetadataError),
        ({"user": {"user_id": "a b"}}, MetadataError),
        ({"user": "auth0|1"}, InputError),
        ({"user": {"user_id": "auth0|1"}, "request": "GET /"}, InputError),
        ({"user": {"user_id": "auth0|1"}, "request": {"query": "a=b"}}, InputError),
        ({"user": {"user_id": "auth0|1"}, "secrets": None}, InputError),
        ({"user": {"user_id": "auth0|1", "born": b"1815"}}, InputError),
        ({"user": {"user_id": "auth0|1"}, "more": [{1: 2}]}, InputError),
    ],
)
def test_malformed_events_are_refused(event: Any, error: type[Exception]) -> None:
    """A user without an id, a section that is not an object, and a value that JSON can't represent are refused."""
    with pytest.raises(error):
        Event.from_dict(event)


@pytest.mark.parametrize("build", [Event.from_dict, Event.from_profile, Event.from_claims])
@pytest.mark.parametrize("source", [None, "auth0|1", []])
def test_sources_must_be_objects(build: Any, source: Any) -> None:
    """If the source is not a dict, the error says to pass one."""
    with pytest.raises(InputError, match="pass a dict"):
        build(source)


def test_metadata_that_the_source_lacks_is_unknown() -> None:
    """Metadata that is absent from an event's JSON is unknown: reading it raises, and does not return {}."""
    event = Event.from_dict({"user": {"user_id": "auth0|1", "app_metadata": {}, "user_metadata": None}})
    assert event.unknown == ("user_metadata",)
    assert event.user.app_metadata == {}
    with pytest.raises(StateError, match=r"auth0\|1"):
        _ = event.user.user_metadata


def test_metadata_that_a_profile_lacks_is_empty() -> None:
    """Auth0 leaves empty metadata out of profiles; it is unknown only after a read with fields=."""
    assert Event.from_profile({"user_id": "auth0|1"}).unknown == ()
    read = User({"user_id": "auth0|1", "app_metadata": {"a": 1}}, frozenset({"user_metadata"}))
    event = Event.from_profile(read, connection={"strategy": "samlp"})
    assert event.unknown == ("user_metadata",)
    assert event.connection.strategy == "samlp"


def test_claims_become_an_event() -> None:
    """The claims of an ID token fill user, client, organization and session; both metadata objects are unknown."""
    claims = {
        "iss": "https://t.example.com/",
        "sub": "auth0|1",
        "aud": "app",
        "exp": 2,
        "iat": 1,
        "nonce": "n",
        "email": "ada@example.com",
        "phone_number_verified": True,
        "org_id": "org_1",
        "sid": "s1",
        "https://example.com/roles": ["admin"],
        "app_metadata": {"never": "trusted"},
    }
    event = Event.from_claims(claims, request={"ip": "192.0.2.1"})
    assert event.unknown == ("user_metadata", "app_metadata")
    assert event.user == {
        "user_id": "auth0|1",
        "email": "ada@example.com",
        "phone_verified": True,
        "https://example.com/roles": ["admin"],
    }
    assert (event.client.client_id, event.request.ip) == ("app", "192.0.2.1")
    assert event.organization == {"id": "org_1", "name": None}
    assert event.session == {"id": "s1"}
    several = Event.from_claims({"sub": "auth0|1", "aud": ["app", "api"]})
    assert several.client == {}
    assert several.organization is several.session is None
    with pytest.raises(MetadataError):
        Event.from_claims({"aud": "app"})


def test_an_event_can_be_built_from_another() -> None:
    """Sections of one event can be used for another: `{**event, "request": ...}`."""
    event = Event.from_dict(FULL)
    other = Event.from_dict({**event, "request": {"ip": "192.0.2.9"}})
    assert (other.request.ip, other.user.email) == ("192.0.2.9", "ada@example.com")
    assert other.user == event.user
    assert Event.from_dict(event) == event


DOCUMENTED = (
    "client.refresh_token.policies",
    "client.authentication",
    "client.external_client_id",
    "client.external_metadata_type",
    "transaction.target_scopes",
    "transaction.actor.sub",
    "transaction.actor.act.sub",
    "agent.agent_id",
    "anonymous_session.session_id",
    "experiment.variation_id",
    "session_transfer_token.client_id",
    "session_transfer_token.request.geoip.country_code",
    "session.cookie.mode",
    "session.device.last_ip",
    "session.actor.sub",
    "refresh_token.device.last_ip",
)
LISTED = (
    "authentication.methods.name",
    "user.identities.is_social",
    "user.enrolled_factors.type",
    "client.refresh_token.policies.audience",
    "session.clients.client_id",
    "refresh_token.resource_servers.scopes",
)


def reach(event: Any, path: str) -> Any:
    """Follow attributes, and into the first item of a list."""
    for name in path.split("."):
        event = event[0] if isinstance(event, list) else event
        event = getattr(event, name)
    return event


@pytest.mark.parametrize("path", [*DOCUMENTED, *LISTED])
def test_documented_fields_are_attributes(path: str) -> None:
    """They exist at any depth, and are None if the object that contains them is empty."""
    wire = {"is_social": "isSocial", "enrolled_factors": "enrolledFactors", "country_code": "countryCode"}
    *above, last = (wire.get(name, name) for name in path.split("."))
    for content, found in (({last: "here"}, "here"), ({}, None)):
        event: Any = content
        for depth, name in enumerate(reversed(above)):
            event = {name: [event] if path in LISTED and depth == 0 else event}
        user = {"user_id": "auth0|1", **event.get("user", {})}
        assert reach(Event.from_dict({**event, "user": user}), path) == found


def test_of_several_audiences_azp_is_the_application() -> None:
    """A single audience in a list is the application too."""
    claims = {"sub": "auth0|1", "aud": ["app", "api"], "azp": "app"}
    assert Event.from_claims(claims).client.client_id == "app"
    assert Event.from_claims({"sub": "auth0|1", "aud": ["app"]}).client.client_id == "app"


def test_sections_override_claims_field_by_field() -> None:
    """A field in the section wins; the other claims stay."""
    claims = {"sub": "auth0|1", "aud": "app", "org_id": "org_1", "email": "ada@example.com"}
    event = Event.from_claims(
        claims, client={"name": "Shop"}, organization={"id": "org_2", "metadata": {"a": "b"}}
    )
    assert event.client == {"client_id": "app", "name": "Shop"}
    assert event.organization == {"id": "org_2", "name": None, "metadata": {"a": "b"}}
    assert Event.from_claims(claims, organization=None).organization is None


def test_a_number_that_json_cannot_represent_is_refused() -> None:
    """It could not be stored during a redirect."""
    with pytest.raises(InputError, match=r"event\.user\.score is nan"):
        Event.from_dict({"user": {"user_id": "auth0|1", "score": float("nan")}})
