"""The links of tickets do what they say, once: they verify an email address, or take a new password."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests
from support.page_visitor import Visitor

from auth0_meta.emulator import LocalTenant

NEW, OLD = "Analytical-1842", "Compiler-1952"
DONE = "https://app.example.com/done"


@pytest.fixture
def tenant() -> Iterator[LocalTenant]:
    """Serve a tenant with a user."""
    with LocalTenant() as tenant:
        tenant.users.add(user_id="auth0|ann", email="ann@example.com", email_verified=False, password=OLD)
        yield tenant


def ticket(tenant: LocalTenant, kind: str, **more: Any) -> str:
    """Make a ticket for Ann, and return its link."""
    body = {"user_id": "auth0|ann", **more}
    url, header = f"{tenant.url}/api/v2/tickets/{kind}", {"Authorization": "Bearer any"}
    response = requests.post(url, json=body, headers=header, timeout=10)
    assert response.status_code == 201
    return str(response.json()["ticket"])


def log_in(tenant: LocalTenant, password: str) -> int:
    """Return the status of a login with a password."""
    form = {"grant_type": "password", "username": "ann@example.com", "password": password, "client_id": "app"}
    return requests.post(f"{tenant.url}/oauth/token", data=form, timeout=10).status_code


def test_a_link_verifies_an_email_address_once(tenant: LocalTenant) -> None:
    """The browser ends at the ticket's result URL, which says whether it worked."""
    link = ticket(tenant, "email-verification", result_url=f"{DONE}?x=1", includeEmailInRedirect=True)
    with Visitor(stop=DONE) as visitor:
        assert visitor.get(link).params == {
            "x": "1",
            "email": "ann@example.com",
            "success": "true",
            "message": "Your email was verified. You can continue using the application.",
            "code": "success",
        }
        assert tenant.users["auth0|ann"]["email_verified"] is True
        again = visitor.get(link).params
        assert (again["success"], again["message"]) == ("false", "This URL can be used only once")
    assert tenant.logs[-1]["type"] == "sv"


def test_a_link_takes_a_new_password_once(tenant: LocalTenant) -> None:
    """A weak one is refused on the page, with what it lacks; then only the new one counts."""
    link = ticket(tenant, "password-change", mark_email_as_verified=True)
    with Visitor() as visitor:
        visitor.get(link).fill(password="weak")
        assert visitor.page.status_code == 400
        assert "At least 8 characters in length" in visitor.page.text
        assert (log_in(tenant, OLD), log_in(tenant, "weak")) == (200, 403)
        visitor.fill(password=NEW)
        assert (visitor.page.status_code, log_in(tenant, OLD), log_in(tenant, NEW)) == (200, 403, 200)
        assert visitor.get(link).page.status_code == 400
        assert "only once" in visitor.page.text
    ann = tenant.users["auth0|ann"]
    assert ann["email_verified"] is True
    assert "last_password_reset" in ann
    assert "scp" in [event["type"] for event in tenant.logs]
    assert NEW not in repr([list(tenant.logs), [entry.body for entry in tenant.journal]])


def test_a_link_expires_and_serves_one_purpose(tenant: LocalTenant) -> None:
    """After `ttl_sec`, for an unknown ticket, on the other page, and when the user is gone, nothing happens."""
    link = ticket(tenant, "email-verification", ttl_sec=60)
    for url in (link.replace("email-verification", "reset-password"), link.replace("ticket=", "ticket=x")):
        assert requests.get(url, timeout=10).status_code == 400
    tenant.clock.advance(61)
    assert requests.get(link, timeout=10).status_code == 400
    assert tenant.users["auth0|ann"]["email_verified"] is False
    link, reset = ticket(tenant, "email-verification"), ticket(tenant, "password-change")
    tenant.users["auth0|ann"].delete()
    assert requests.get(link, timeout=10).status_code == 400
    form = {"ticket": reset.partition("ticket=")[2].rstrip("#"), "password": NEW}
    assert requests.post(f"{tenant.url}/u/reset-password", data=form, timeout=10).status_code == 400


def test_a_result_url_cannot_add_headers(tenant: LocalTenant) -> None:
    """Line breaks in it are encoded."""
    link = ticket(tenant, "email-verification", result_url=f"{DONE}\r\nX-Evil: 1")
    response = requests.get(link, timeout=10, allow_redirects=False)
    assert "x-evil" not in response.headers
    assert response.headers["Location"].startswith(f"{DONE}%0D%0AX-Evil:%201?")
