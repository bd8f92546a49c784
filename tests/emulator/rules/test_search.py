"""Searches: the documented query syntax, its limits, and an index that lags behind."""

from __future__ import annotations

from typing import Any

import pytest

from auth0_meta.emulator import LocalTenant, Switches
from auth0_meta.testing import FakeClock

PEOPLE = [
    {
        "user_id": "ann",
        "email": "ann@example.com",
        "name": "Ann Lee",
        "logins_count": 3,
        "app_metadata": {"plan": "pro", "seats": 5, "tags": ["a", "b"], "my:key": "x", "deep": {"on": True}},
        "user_metadata": {
            "city": "Paris",
            "addresses": [{"city": "Oulu"}, {"city": "Turku"}],
            "secret": "zq",
        },
    },
    {
        "user_id": "bob",
        "email": "bob@other.org",
        "name": "Bob",
        "blocked": True,
        "logins_count": 12,
        "app_metadata": {"plan": "Pro", "seats": 50.5, "tags": [], "none": None},
    },
    {"user_id": "cid", "email": "cid@example.com", "name": "Cid Lee Jr", "user_metadata": {"city": "paris"}},
]


@pytest.fixture
def people(api: Any) -> Any:
    """Return an API caller for a tenant with three users."""
    api.tenant.users.add_many(PEOPLE)
    return api


def found(api: Any, q: str, **params: Any) -> list[str]:
    """Return the local ids that a query finds, in order."""
    response = api.list(q=q, **params)
    assert response.status_code == 200, response.text
    return [user["user_id"][6:] for user in response.json()]


@pytest.mark.parametrize(
    ("q", "who"),
    [
        # Everybody.
        ("*", "ann bob cid"),
        ("*:*", "ann bob cid"),
        ('*:* AND app_metadata.plan:"pro"', "ann"),
        ("NOT *", ""),
        # Operators are upper case (documented); in lower case they are terms.
        ('email:"ann@example.com" AND name:"x"', ""),
        ('email:"ann@example.com" and name:"x"', "ann"),
        # Case: five root attributes ignore it, everything else respects it.
        ('name:"ann lee"', "ann"),
        ('email:"ANN@example.com"', "ann"),
        ('app_metadata.plan:"pro"', "ann"),
        ('app_metadata.plan:"Pro"', "bob"),
        ('user_metadata.city:"Paris"', "ann"),
        ('user_id:"auth0|ANN"', ""),
        # A quoted value matches exactly; a word must be the whole value too (a switch).
        ("name:bob", "bob"),
        ("name:ann", ""),
        ('name:"Ann"', ""),
        # Paths, arrays, escapes, types.
        ('user_metadata.addresses.city:"Turku"', "ann"),
        ('app_metadata.tags:"b"', "ann"),
        (r'app_metadata.my\:key:"x"', "ann"),
        ("app_metadata.seats:5", "ann"),
        ('app_metadata.seats:"5"', "ann"),
        ("app_metadata.seats:50.5", "bob"),
        ("app_metadata.deep.on:true", "ann"),
        ("app_metadata.deep.on:1", ""),
        ("blocked:true", "bob"),
        ('identities.connection:"Username-Password-Authentication"', "ann bob cid"),
        ('email.domain:"example.com"', "ann cid"),
        (r"user_id:auth0\|bob", "bob"),
        # Operators and groups.
        ('email.domain:"example.com" AND NOT name:"Cid Lee Jr"', "ann"),
        ('name:("bob" OR "ann lee")', "ann bob"),
        ('(name:"bob" OR name:"ann lee") AND blocked:true', "bob"),
        ('name:"bob" name:"ann lee"', "ann bob"),
        ('+blocked:true name:"ann lee"', "bob"),
        ('-blocked:true email.domain:"other.org"', ""),
        ('-blocked:true email.domain:"example.com"', "ann cid"),
        # Wildcards.
        ("name:*", "ann bob cid"),
        ("name:a*", "ann"),
        ("name:*lee", "ann"),
        ("name:*lee*", "ann cid"),
        ("name:b?b", "bob"),
        ("app_metadata.plan:p*", "ann"),
        (r"name:a\*", ""),
        ("app_metadata.seats:5*", ""),
        ("user_metadata.city:*", "ann cid"),
        # Ranges.
        ("logins_count:[3 TO 12]", "ann bob"),
        ("logins_count:{3 TO 12]", "bob"),
        ("logins_count:[3 TO 12}", "ann"),
        ("logins_count:[* TO 5]", "ann"),
        ("logins_count:>3", "bob"),
        ("logins_count:>=3", "ann bob"),
        ("logins_count:<12", "ann"),
        ("logins_count:<=12", "ann bob"),
        ("logins_count:[a TO z]", ""),
        ("blocked:[0 TO 9]", ""),
        ("app_metadata.seats:[4 TO 6]", "ann"),
        ("name:[B TO C]", "bob"),
        ("created_at:[2027-01-15 TO *]", "ann bob cid"),
        ('created_at:["2027-01-16" TO *]', ""),
        # Null and empty arrays are not indexed.
        ("_exists_:app_metadata.tags", "ann"),
        ("_exists_:app_metadata.none", ""),
        ("NOT _exists_:blocked", "ann cid"),
        ("_exists_:app_metadata", "ann bob"),
        # Without a field: everything except user_metadata.
        ('"bob"', "bob"),
        ("pro", "ann"),
        ("zq", ""),
        ("an*@example.com", "ann"),
    ],
)
def test_each_query_finds_the_documented_users(people: Any, q: str, who: str) -> None:
    """The list covers the documented query syntax."""
    assert found(people, q) == who.split()


@pytest.mark.parametrize(
    "q",
    [
        "user_metadata.city:P*",
        "user_metadata.n:[1 TO 2]",
        "name:*ee",
        "name:ann~",
        'name:"ann lee"~2',
        "name:ann^2",
        "name:/a.*/",
        "[1 TO 2]",
        "name:(",
        'name:"ann',
        "AND",
        "a:(b:c)",
        "(" * 2000 + "a" + ")" * 2000,
    ],
)
def test_unsupported_queries_are_refused(people: Any, q: str) -> None:
    """A query that is not supported or can't be parsed gets a 400, never a wrong list."""
    response = people.list(q=q)
    assert response.status_code == 400
    assert response.json()["errorCode"] == "invalid_query_string"


def test_switches_decide_open_questions_of_search(talk: Any) -> None:
    """With switches, a word may match a part of a text, and two terms may both be required."""
    tenant = LocalTenant(
        serve=False, users=PEOPLE, switches=Switches(search_words="any", search_operator="AND")
    )
    api = talk(tenant)
    assert found(api, "name:LEE") == ["ann", "cid"]
    assert found(api, "name:lee name:jr") == ["cid"]
    assert found(api, "logins_count:3") == ["ann"]
    assert found(api, "app_metadata.plan:Pro") == ["bob"]


def test_a_query_that_is_too_long_is_refused(people: Any) -> None:
    """The response is the documented 414; the limit is a switch."""
    assert people.list(q="a" * 8_000).status_code == 200
    assert people.list(q="a" * 8_001).status_code == 414


@pytest.mark.parametrize("params", [{"search_engine": "v1"}, {"search_engine": "v2"}, {"search_engine": "x"}])
def test_only_search_engine_v3_is_accepted(people: Any, params: dict[str, str]) -> None:
    """v1 and v2 get a 400."""
    assert people.list(**params).status_code == 400
    assert people.list(search_engine="v3", primary_order="false").status_code == 200


def test_a_switch_accepts_search_engine_v2(talk: Any) -> None:
    """One recording has it: v2 then searches as v3 does; v1 is still refused."""
    api = talk(LocalTenant(serve=False, switches=Switches(search_engine_v2="accept")))
    api.tenant.users.add(user_id="auth0|ann")
    found = api.list(search_engine="v2", q="updated_at:{2016-01-01 TO *}", fields="user_id")
    assert (found.status_code, found.json()) == (200, [{"user_id": "auth0|ann"}])
    assert api.list(search_engine="v1").status_code == 400


@pytest.mark.parametrize(
    "sort", ["name", "name:up", "user_metadata:1", "app_metadata:-1", "app_metadata.a:1"]
)
def test_unsupported_sorts_are_refused(people: Any, sort: str) -> None:
    """A sort needs a direction, and sorting by metadata is refused."""
    assert people.list(sort=sort).json()["errorCode"] == "invalid_query_string"


def test_results_are_sorted(people: Any) -> None:
    """Numbers sort as numbers, text ignores case, and users without the field come last, with or without a query."""
    assert found(people, "", sort="logins_count:1") == ["ann", "bob", "cid"]
    assert found(people, "", sort="name:-1") == ["cid", "bob", "ann"]
    assert found(people, 'email.domain:"example.com"', sort="email:-1") == ["cid", "ann"]


def test_pages_past_the_first_thousand_are_refused(people: Any) -> None:
    """A query returns at most 1000 results, however many there are."""
    assert people.list(page=9, per_page=100).status_code == 200
    assert people.list(page=10, per_page=100).json()["errorCode"] == "invalid_paging"


class TestTheIndexLags:
    """A search sees a write only after the lag; reads by id and by email see it at once."""

    @pytest.fixture
    def slow(self, talk: Any, clock: FakeClock) -> Any:
        """Return an API caller for a tenant whose index lags by one second."""
        return talk(LocalTenant(serve=False, clock=clock, index_lag=1.0, users=PEOPLE))

    def test_a_new_user_is_not_found_at_first(self, slow: Any, clock: FakeClock) -> None:
        """For a second, a new user is neither found nor listed nor counted."""
        slow.create(email="new@example.com")
        assert len(slow("GET", "/api/v2/users-by-email?email=new@example.com").json()) == 1
        assert found(slow, 'email:"new@example.com"') == []
        assert slow.list(include_totals="true").json()["total"] == 3
        clock.advance(1)
        assert len(found(slow, 'email:"new@example.com"')) == 1

    def test_an_old_value_is_found_until_its_lag_is_over(self, slow: Any, clock: FakeClock) -> None:
        """Each of several updates has its own lag."""
        slow.patch("auth0|ann", {"app_metadata": {"plan": "team"}})
        clock.advance(0.5)
        slow.patch("auth0|ann", {"app_metadata": {"plan": "gold"}})
        assert slow.get("auth0|ann").json()["app_metadata"]["plan"] == "gold"
        assert found(slow, "app_metadata.plan:pro") == ["ann"]
        clock.advance(0.5)
        assert found(slow, "app_metadata.plan:team") == ["ann"]
        clock.advance(0.5)
        assert found(slow, "app_metadata.plan:gold") == ["ann"]

    def test_a_deleted_user_is_still_found_for_a_while(self, slow: Any, clock: FakeClock) -> None:
        """A deleted user is still found for a while."""
        slow.delete("auth0|bob")
        assert slow.get("auth0|bob").status_code == 404
        assert found(slow, "name:bob") == ["bob"]
        clock.advance(1)
        assert found(slow, "name:bob") == []

    def test_a_user_deleted_within_the_lag_is_never_found(self, slow: Any, clock: FakeClock) -> None:
        """No search finds a user who is created and deleted within the lag."""
        made = slow.create(email="new@example.com").json()["user_id"]
        slow.delete(made)
        assert found(slow, 'email:"new@example.com"') == []
        clock.advance(1)
        assert found(slow, 'email:"new@example.com"') == []


@pytest.mark.parametrize("q", ["_missing_:blocked", "*:x", "app_metadata.*:x"])
def test_queries_that_would_silently_find_nobody_are_refused(people: Any, q: str) -> None:
    """A 400 is better than an empty list that looks like a result."""
    response = people.list(q=q)
    assert (response.status_code, response.json()["errorCode"]) == (400, "invalid_query_string")


def test_a_switch_serves_the_missing_operator(talk: Any) -> None:
    """With a switch, `_missing_` of the older engine works and means "not _exists_"."""
    api = talk(LocalTenant(serve=False, users=PEOPLE, switches=Switches(search_missing="negate")))
    assert found(api, "_missing_:blocked") == ["ann", "cid"]
    assert found(api, "_exists_:blocked") == ["bob"]
