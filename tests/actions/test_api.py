"""Hold what an action may ask for: claims, scopes, attributes, transaction metadata; and what exists in Auth0 only."""

from __future__ import annotations

from typing import Any

import pytest
from support.logins import Login

from auth0_meta import InputError
from auth0_meta.actions import Api
from auth0_meta.actions.unsupported import UNSUPPORTED


def api_of(login: Login, use: Any) -> Any:
    """Run `use(api)` in an action; return what it gives, or raise what failed the login."""
    found: list[Any] = []
    outcome = login.run(lambda event, api: found.append(use(api)))
    if outcome.error is not None:
        raise outcome.error
    return found[0]


def test_claims_and_scopes_reach_the_outcome() -> None:
    """Later calls win; a scope is added or removed, not both; claims are copies."""

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
    """Reserved names, wrong types and more than Auth0's limits raise at the call."""
    with pytest.raises(InputError):
        api_of(Login(), use)


def test_saml_attributes_can_be_taken_back() -> None:
    """None removes an attribute; removing an absent one is no error."""

    def action(event: Any, api: Any) -> None:
        api.saml_response.set_attribute("a", ["x", "y"]).saml_response.set_attribute("b", 1)
        api.saml_response.set_attribute("b", None).saml_response.set_attribute("c", None)

    assert Login().run(action).saml_attributes == {"a": ["x", "y"]}


def test_transaction_metadata_shows_at_once() -> None:
    """The same action and later ones see it; None removes; nothing is sent for it."""
    login, seen = Login(), []

    def first(event: Any, api: Any) -> None:
        api.transaction.set_metadata("a", 1).transaction.set_metadata("b", True)
        api.transaction.set_metadata("a", None).transaction.set_metadata("c", None)
        seen.append(dict(event.transaction.metadata))

    assert login.run(first, lambda event, api: seen.append(dict(event.transaction.metadata))).allowed
    assert seen == [{"b": True}, {"b": True}]
    assert login.sent == []


def test_the_bags_in_effect() -> None:
    """api.user shows what will be stored: stored, staged by earlier actions, staged by this one."""
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
def test_what_exists_in_auth0_only_says_why(namespace: str, method: str) -> None:
    """Each such call raises NotImplementedError with the reason, whatever its arguments."""
    with pytest.raises(
        NotImplementedError, match=rf"api\.{namespace}\.{method} makes no sense outside Auth0: "
    ):
        api_of(Login(), lambda api: getattr(getattr(api, namespace), method)("x", y=1))


@pytest.mark.parametrize("name", ["usr", "user.set_metadata", "session.end", "saml_response.set_atribute"])
def test_what_auth0_does_not_have_is_an_attribute_error(name: str) -> None:
    """A typing error is not mistaken for a part of Auth0."""

    def use(api: Any) -> None:
        for part in name.split("."):
            api = getattr(api, part)

    with pytest.raises(AttributeError):
        api_of(Login(), use)


def test_the_repr_holds_no_values() -> None:
    """Names and sizes only."""

    def use(api: Api) -> str:
        api.user.set_app_metadata("plan", "secret-plan")
        assert api.event.user.user_id
        return repr(api)

    shown = api_of(Login(), use)
    assert "plan 13 B" in shown
    assert "secret-plan" not in shown


@pytest.mark.parametrize("value", [float("nan"), float("inf"), [float("-inf")]])
def test_numbers_that_json_can_not_hold_are_refused(value: Any) -> None:
    """In claims, attributes and transaction metadata, when they are set."""
    for call in (
        lambda api: api.id_token.set_custom_claim("k", value),
        lambda api: api.access_token.set_custom_claim("k", value),
        lambda api: api.saml_response.set_attribute("k", value),
        lambda api: api.transaction.set_metadata("k", value),
    ):
        with pytest.raises(InputError):
            api_of(Login(), call)


def test_a_name_as_in_javascript_is_translated() -> None:
    """The error says what the call is named here."""
    with pytest.raises(AttributeError, match=r"no api\.idToken: names are in snake_case, api\.id_token$"):
        api_of(Login(), lambda api: api.idToken)
    with pytest.raises(AttributeError, match=r"api\.multifactor\.Enable: .* api\.multifactor\.enable$"):
        api_of(Login(), lambda api: api.multifactor.Enable)
    with pytest.raises(AttributeError, match=r"no api\.idTokens$"):
        api_of(Login(), lambda api: api.idTokens)


@pytest.mark.parametrize(
    ("call", "why"),
    [
        (lambda api: api.authentication.set_primary_user("x"), r"users/\{id\}/identities"),
        (lambda api: api.groups.get_user_groups(), r"users/\{id\}/groups"),
        (lambda api: api.roles.get_user_effective_roles(), r"users/\{id\}/roles"),
    ],
)
def test_what_the_management_api_does_instead_is_named(call: Any, why: str) -> None:
    """The reason is that of the method."""
    with pytest.raises(NotImplementedError, match=why):
        api_of(Login(), call)
