"""Pin what type checkers see of an action's `event` and `api`; none of this is run.

An ignored error that is not reported is itself an error (`warn_unused_ignores`), so each one below proves that a checker
reports the mistake.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from auth0_meta.actions import Api, Event, LoginOutcome

if TYPE_CHECKING:
    from typing import assert_type


def use(*values: object) -> None:
    """Take values of any type."""


def an_action(event: Event, api: Api) -> None:
    """Fields and calls are typed."""
    assert_type(event.user.email, str | None)
    assert_type(event.request.geoip.country_code, str | None)
    assert_type(api.user.set_app_metadata("plan", "pro"), Api)
    assert_type(api.redirect.can_redirect(), bool)


def a_misspelled_namespace(event: Event, api: Api) -> None:
    """Report it, and still check the lines below it."""
    api.usr.set_app_metadata("plan", "pro")  # type: ignore[attr-defined]
    api.access.deny(5)  # type: ignore[arg-type]


def a_misspelled_field(event: Event, api: Api) -> None:
    """Report an attribute that Auth0 does not document; `[]` takes any name."""
    api.access.deny(event.user.emial)  # type: ignore[attr-defined]
    api.user.set_user_metadata("department", event.user["department"])


def a_call_that_makes_no_sense_outside_auth0(event: Event, api: Api) -> None:
    """Report what would raise NotImplementedError."""
    api.multifactor.enable("any")  # type: ignore[attr-defined]
    api.saml_response.set_audience("x")  # type: ignore[attr-defined]


def a_misspelled_field_of_any_section(event: Event) -> None:
    """Report it in each section that a login always has."""
    use(event.usr)  # type: ignore[attr-defined]
    use(event.user.emial)  # type: ignore[attr-defined]
    use(event.user.app_metadata.plan)  # type: ignore[attr-defined]
    use(event.request.hostnam)  # type: ignore[attr-defined]
    use(event.request.geoip.country)  # type: ignore[attr-defined]
    use(event.request.query.prompt)  # type: ignore[attr-defined]
    use(event.transaction.protocl)  # type: ignore[attr-defined]
    use(event.client.nam)  # type: ignore[attr-defined]
    use(event.connection.strateg)  # type: ignore[attr-defined]
    use(event.stats.logins)  # type: ignore[attr-defined]
    use(event.tenant.nam)  # type: ignore[attr-defined]
    use(event.secrets.KEY)  # type: ignore[attr-defined]
    use(event.configuration.key)  # type: ignore[attr-defined]


def a_misspelled_field_of_a_section_that_may_be_absent(event: Event) -> None:
    """Report it once the section is known to be there."""
    if event.authentication is not None:
        use(event.authentication.method)  # type: ignore[attr-defined]
    if event.authorization is not None:
        use(event.authorization.role)  # type: ignore[attr-defined]
    if event.organization is not None:
        use(event.organization.nam)  # type: ignore[attr-defined]
    if event.session is not None:
        use(event.session.idd)  # type: ignore[attr-defined]
    if event.refresh_token is not None:
        use(event.refresh_token.idd)  # type: ignore[attr-defined]
    if event.resource_server is not None:
        use(event.resource_server.ident)  # type: ignore[attr-defined]
    if event.custom_domain is not None:
        use(event.custom_domain.domian)  # type: ignore[attr-defined]
    if event.security_context is not None:
        use(event.security_context.ja5)  # type: ignore[attr-defined]
    if event.prompt is not None:
        use(event.prompt.idd)  # type: ignore[attr-defined]
    if event.agent is not None:
        use(event.agent.agent)  # type: ignore[attr-defined]
    if event.experiment is not None:
        use(event.experiment.idd)  # type: ignore[attr-defined]
    if event.anonymous_session is not None:
        use(event.anonymous_session.idd)  # type: ignore[attr-defined]
    if event.session_transfer_token is not None:
        use(event.session_transfer_token.idd)  # type: ignore[attr-defined]


def a_misspelled_field_in_a_list(event: Event) -> None:
    """Report it: the items are sections too."""
    for identity in event.user.identities or ():
        assert_type(identity.provider, str | None)
        use(identity.provder)  # type: ignore[attr-defined]
    if event.authentication is not None:
        for method in event.authentication.methods or ():
            use(method.nam)  # type: ignore[attr-defined]


def a_misspelled_call_of_any_namespace(api: Api) -> None:
    """Report it in each namespace."""
    use(api.user.set_app_metdata)  # type: ignore[attr-defined]
    use(api.access.denied)  # type: ignore[attr-defined]
    use(api.validation.err)  # type: ignore[attr-defined]
    use(api.id_token.set_claim)  # type: ignore[attr-defined]
    use(api.access_token.add_scop)  # type: ignore[attr-defined]
    use(api.saml_response.set_attr)  # type: ignore[attr-defined]
    use(api.transaction.set_meta)  # type: ignore[attr-defined]
    use(api.redirect.send_user)  # type: ignore[attr-defined]
    use(api.cache.gett)  # type: ignore[attr-defined]
    use(api.event.usr)  # type: ignore[attr-defined]
    use(api.outcom)  # type: ignore[attr-defined]


def a_misspelled_field_of_an_outcome(outcome: LoginOutcome) -> None:
    """Report it there as well."""
    assert_type(outcome.raise_for_error().allowed, bool)
    use(outcome.allowd, outcome.redirect)  # type: ignore[attr-defined]
