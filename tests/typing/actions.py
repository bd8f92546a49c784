"""Pin what type checkers see of an action's `event` and `api`; none of this is run.

An ignored error that is not reported is itself an error (`warn_unused_ignores`), so each one below proves that a checker
reports the mistake.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from auth0_meta.actions import Api, Event

if TYPE_CHECKING:
    from typing import assert_type


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
