"""What an action may do: set claims, scopes, attributes and transaction metadata; and what exists only inside Auth0."""

from __future__ import annotations

from typing import Any

import pytest
from support.logins import Consent, Login, state_of

from auth0_meta import InputError, MetadataWarning
from auth0_meta.actions import Api
from auth0_meta.actions.unsupported import UNSUPPORTED


def api_of(login: Login, use: Any) -> Any:
    """Run `use(api)` in an action, and return its result, or raise the error of the login."""
    results: list[Any] = []
    outcome = login.run(lambda event, api: results.append(use(api)))
    if outcome.error is not None:
        raise outcome.error
    return results[0]


def test_claims_and_scopes_reach_the_outcome() -> None:
    """Later calls win; a scope is either added or removed; claims are copied."""

    def action(event: Any, api: Any) -> None:
        roles = ["a"]
        api.id_token.set_custom_claim("https://example.com/roles", roles).id_token.set_custom_claim("n", 1)
        roles.append("b")
        api.access_token.set_custom_claim("n", None).id_token.set_custom_claim("n", 2)
        api.access_token.add_scope(" read:x ").access_token.add_scope("read:x").access_token.add_scope(
            "write:x"
        )
        api.access_token.remove_scope("write:x").access_token.remove_scope("z").access_token.add_scope("z")

    outcome = Login().run(action)
    assert outcome.id_token_claims == {"https://example.com/roles": ["a"], "n": 2}
    assert outcome.access_token_claims == {"n": None}
    assert (outcome.added_scopes, outcome.removed_scopes) == (("read:x", "z"), ("write:x",))


@pytest.mark.parametrize(
    "use",
    [
        lambda api: api.id_token.set_custom_claim("scope", "x"),
        lambda api: api.access_token.set_custom_claim("scope", "x"),
        lambda api: api.id_token.set_custom_claim("", 1),
        lambda api: api.id_token.set_custom_claim("a", b"x"),
        lambda api: api.access_token.add_scope(""),
        lambda api: api.access_token.add_scope("a b"),
        lambda api: api.access_token.add_scope("x" * 281),
        lambda api: api.access_token.remove_scope(5),
        lambda api: [api.access_token.add_scope(f"s{n}") for n in range(1001)],
        lambda api: api.access.deny(""),
        lambda api: api.access.deny(None),
        lambda api: api.validation.error("x" * 101, "m"),
        lambda api: api.validation.error("c", ""),
        lambda api: api.saml_response.set_attribute("", "x"),
        lambda api: api.saml_response.set_attribute("x" * 1025, "x"),
        lambda api: api.saml_response.set_attribute("x", "x" * 2049),
        lambda api: [api.saml_response.set_attribute(f"a{n}", "x" * 2000) for n in range(6)],
        lambda api: [api.saml_response.set_attribute(f"a{n}", "x") for n in range(101)],
        lambda api: api.transaction.set_metadata("x" * 65, 1),
        lambda api: api.transaction.set_metadata("a", {"b": 1}),
        lambda api: api.transaction.set_metadata("a", 2**53),
        lambda api: api.transaction.set_metadata("a", "x" * 8191),
        lambda api: [api.transaction.set_metadata(f"a{n}", "x" * 8000) for n in range(3)],
    ],
)
def test_what_auth0_refuses_is_refused(use: Any) -> None:
    """Reserved names, wrong types and values beyond Auth0's limits raise at the call."""
    with pytest.raises(InputError):
        api_of(Login(), use)


def test_saml_attributes_can_be_removed() -> None:
    """None removes an attribute; removing an absent one is not an error."""

    def action(event: Any, api: Any) -> None:
        api.saml_response.set_attribute("a", ["x", "y"]).saml_response.set_attribute("b", 1)
        api.saml_response.set_attribute("b", None).saml_response.set_attribute("c", None)

    assert Login().run(action).saml_attributes == {"a": ["x", "y"]}


def test_transaction_metadata_shows_at_once() -> None:
    """The same action and later ones see it; None removes it; no request is sent for it."""
    login, seen = Login(), []

    def first(event: Any, api: Any) -> None:
        api.transaction.set_metadata("a", 1).transaction.set_metadata("b", True)
        api.transaction.set_metadata("a", None).transaction.set_metadata("c", None)
        seen.append(dict(event.transaction.metadata))

    assert login.run(first, lambda event, api: seen.append(dict(event.transaction.metadata))).allowed
    assert seen == [{"b": True}, {"b": True}]
    assert login.sent == []


def test_api_user_has_the_metadata_that_will_be_stored() -> None:
    """It includes what is stored, what earlier actions staged, and what this action staged."""
    login, seen = Login({"u": 1}, {"a": 1, "b": 1}), []

    def action(event: Any, api: Any) -> None:
        api.user.set_app_metadata("b", None).user.set_app_metadata("c", [1])
        seen.append((dict(api.user.app_metadata), dict(api.user.user_metadata)))
        with pytest.raises(InputError):
            api.user.app_metadata["c"].append(2)

    login.run(lambda event, api: api.user.set_app_metadata("a", 2) and None, action)
    assert seen == [({"a": 2, "c": [1]}, {"u": 1})]


@pytest.mark.parametrize(
    ("namespace", "method"), [(n, m) for n, (_, methods) in UNSUPPORTED.items() for m in methods]
)
def test_a_call_that_exists_only_inside_auth0_says_why(namespace: str, method: str) -> None:
    """Each such call raises NotImplementedError with a reason, whatever its arguments."""
    with pytest.raises(
        NotImplementedError, match=rf"api\.{namespace}\.{method} makes no sense outside Auth0: "
    ):
        api_of(Login(), lambda api: getattr(getattr(api, namespace), method)("x", y=1))


@pytest.mark.parametrize("name", ["usr", "user.set_metadata", "session.end", "saml_response.set_atribute"])
def test_a_name_that_auth0_does_not_have_is_an_attribute_error(name: str) -> None:
    """A typo is not mistaken for a part of Auth0's api."""

    def use(api: Any) -> None:
        for part in name.split("."):
            api = getattr(api, part)

    with pytest.raises(AttributeError):
        api_of(Login(), use)


def test_the_repr_shows_no_values() -> None:
    """It shows names and sizes only."""

    def use(api: Api) -> str:
        api.user.set_app_metadata("plan", "secret-plan")
        assert api.event.user.user_id
        return repr(api)

    shown = api_of(Login(), use)
    assert "plan 13 B" in shown
    assert "secret-plan" not in shown


@pytest.mark.parametrize("value", [float("nan"), float("inf"), [float("-inf")]])
def test_numbers_that_json_cannot_represent_are_refused(value: Any) -> None:
    """Claims, attributes and transaction metadata are checked when they are set."""
    for call in (
        lambda api: api.id_token.set_custom_claim("k", value),
        lambda api: api.access_token.set_custom_claim("k", value),
        lambda api: api.saml_response.set_attribute("k", value),
        lambda api: api.transaction.set_metadata("k", value),
    ):
        with pytest.raises(InputError):
            api_of(Login(), call)


def test_a_javascript_name_is_translated() -> None:
    """The error has the name in snake_case."""
    with pytest.raises(AttributeError, match=r"no api\.idToken: names are in snake_case, api\.id_token$"):
        api_of(Login(), lambda api: api.idToken)
    with pytest.raises(AttributeError, match=r"api\.multifactor\.Enable: .* api\.multifactor\.enable$"):
        api_of(Login(), lambda api: api.multifactor.Enable)
    with pytest.raises(AttributeError, match=r"no api\.idTokens$"):
        api_of(Login(), lambda api: api.idTokens)


@pytest.mark.parametrize(
    ("call", "why"),
    [
        (lambda api: api.authentication.set_primary_user("x"), r"users/\{\}/identities"),
        (lambda api: api.groups.get_user_groups(), r"users/\{\}/groups"),
        (lambda api: api.roles.get_user_effective_roles(), r"users/\{\}/roles"),
    ],
)
def test_the_management_api_call_to_use_instead_is_named(call: Any, why: str) -> None:
    """The reason is specific to the method."""
    with pytest.raises(NotImplementedError, match=why):
        api_of(Login(), call)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("roles", "keeps this name"),
        ("permissions", "keeps this name"),
        ("sub", "keeps this name"),
        ("https://tenant.auth0.com/roles", "belongs to Auth0"),
        ("urn:auth0:roles", "belongs to Auth0"),
        ("email", "the scope email"),
    ],
)
@pytest.mark.parametrize("token", ["id_token", "access_token"])
def test_a_claim_that_auth0_leaves_out_is_left_out_with_a_warning(name: str, why: str, token: str) -> None:
    """The warning names the claim and the reason, not the value, and points at the action; the login goes on."""
    login = Login()

    def action(event: Any, api: Any) -> None:
        claims = getattr(api, token)
        assert claims.set_custom_claim(name, "canary") is api
        claims.set_custom_claim("https://example.com/a", 1)

    event = login.event(transaction={"requested_scopes": ["openid", "profile"]})
    with pytest.warns(MetadataWarning) as caught:
        outcome = login.trigger(action).run(event)
    assert outcome.allowed
    assert getattr(outcome, f"{token}_claims") == {"https://example.com/a": 1}
    (warning,) = caught
    assert name in str(warning.message)
    assert why in str(warning.message)
    assert "canary" not in str(warning.message)
    assert warning.filename == __file__


def test_an_access_token_for_an_api_of_auth0_takes_only_names_that_begin_with_a_url() -> None:
    """The event says for which API it is; an ID token takes the name, and so does a token for any other API."""

    def action(event: Any, api: Any) -> None:
        api.access_token.set_custom_claim("n", 1).id_token.set_custom_claim("n", 1)
        api.access_token.set_custom_claim("https://example.com/n", 1)

    login = Login()
    event = login.event(resource_server={"identifier": "https://tenant.auth0.com/api/v2/"})
    with pytest.warns(MetadataWarning, match="an API of Auth0"):
        outcome = login.trigger(action).run(event)
    assert outcome.id_token_claims == {"n": 1}
    assert outcome.access_token_claims == {"https://example.com/n": 1}
    other = login.event(resource_server={"identifier": "https://api.example.com/"})
    assert len(login.trigger(action).run(other).access_token_claims) == 2


def large(size: int, name: str = "https://example.com/large") -> Any:
    """Return an action that sets a claim of so many bytes, its name included, in each token."""

    def action(event: Any, api: Any) -> None:
        text = "x" * (size - len(name) - 4)
        api.user.set_app_metadata("a", 1)
        api.id_token.set_custom_claim(name, text).access_token.set_custom_claim(name, text)

    return action


def test_claims_of_more_than_100_kb_fail_the_login() -> None:
    """Each token has its own 100 KB, names included; one byte more is too much, and nothing is written."""
    login = Login()
    assert login.run(large(102_400)).allowed
    login = Login()
    outcome = login.run(large(102_401))
    assert isinstance(outcome.error, InputError)
    assert "ID token have 102401 B" in str(outcome.error)
    assert "'https://example.com/large'" in str(outcome.error)
    assert "xxx" not in str(outcome.error)
    assert outcome.failed_in is None
    assert login.app_metadata == {}
    assert login.sent == []
    two = Login().run(large(60_000), large(60_000, name="https://example.com/more"))
    assert isinstance(two.error, InputError)


def test_only_the_claims_that_a_token_gets_are_measured() -> None:
    """A smaller value wins over a larger one; a denied login gets no token, and one that redirects none yet."""
    assert Login().run(large(200_000), large(2_000)).allowed

    def denied(event: Any, api: Any) -> None:
        large(200_000)(event, api)
        api.access.deny("no")

    assert Login().run(denied).denied == "no"

    class Away(Consent):
        def on_execute_post_login(self, event: Any, api: Any) -> None:
            large(200_000)(event, api)
            super().on_execute_post_login(event, api)

    login = Login()
    trigger = login.trigger(Away())
    away = trigger.run(login.event())
    assert away.error is None
    assert isinstance(trigger.resume(state_of(away)).error, InputError)
