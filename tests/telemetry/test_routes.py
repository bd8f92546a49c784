"""The route of a path: no id, no name and no query is in it."""

from __future__ import annotations

import pytest
from support.scripted_server import ScriptedServer, connect

from auth0_meta import RequestInfo
from auth0_meta.emulator.routes import ROUTES
from auth0_meta.http.headers import _NAMES_A_DOMAIN
from auth0_meta.http.request import user_path
from auth0_meta.telemetry.routes import route_of


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/api/v2/users", "users"),
        ("/api/v2/users?q=name%3Aada", "users"),
        ("/api/v2/users-by-email?email=ada%40example.com", "users-by-email"),
        ("/api/v2/users/auth0%7C1/roles", "users/{id}/roles"),
        ("/api/v2/users/auth0%7C1/identities/google-oauth2/117", "users/{id}/identities/{id}/{id}"),
        ("/api/v2/jobs/users-exports", "jobs/users-exports"),
        ("/api/v2/jobs/job_1/errors/", "jobs/{id}/errors"),
        ("/api/v2/organizations/name/roles", "organizations/name/{id}"),
        ("/api/v2/resource-servers/users", "resource-servers/{id}"),
        ("/api/v2/rules-configs/secrets", "rules-configs/{id}"),
        ("/api/v2/prompts/login/custom-text/fi", "prompts/{id}/custom-text/{id}"),
        ("/api/v2/of-next-year/ada@example.com", "{id}/{id}"),
        ("/oauth/token", "oauth/token"),
    ],
)
def test_words_of_the_api_stay_and_the_rest_is_an_id(path: str, route: str) -> None:
    """Whatever is not known as a word of the API may be an id."""
    assert route_of(path) == route


@pytest.mark.parametrize("user_id", ["auth0|1", "users", "a/b", "x?y", "{id}", "oauth2|siwe|eip155%3A5"])
def test_an_id_of_any_form_is_one_segment(user_id: str) -> None:
    """No user id changes the route of the user, not even one that is a word of the API."""
    assert route_of(user_path(user_id)) == "users/{id}"


def test_every_route_of_the_local_tenant_is_its_own() -> None:
    """For each template that the emulator serves, a path with opaque ids leads back to the template."""
    templates = {r.template for r in ROUTES if r.template.startswith("/api/v2/")}
    assert len(templates) > 50
    for template in templates:
        parts = template.removeprefix("/api/v2/").split("/")
        path = "/".join("x%7C1" if "{" in part else part for part in parts)
        assert route_of("/api/v2/" + path) == "/".join("{id}" if "{" in part else part for part in parts)


def test_the_templates_that_name_a_domain_are_known() -> None:
    """The words of the other table of routes are words here, too."""
    for _, template in _NAMES_A_DOMAIN:
        assert route_of(f"/api/v2/{template.replace('{}', 'x%7C1')}") == template.replace("{}", "{id}")


@pytest.mark.parametrize(
    ("template", "route"),
    [
        ("users/{}/roles", "users/{id}/roles"),
        ("actions/triggers/{}/bindings", "actions/triggers/{id}/bindings"),
        ("of-next-year/{}/parts", "of-next-year/{id}/parts"),
        ("organizations/org_1/members/{}", "organizations/{id}/members/{id}"),
        ("users/auth0%7C1/x/{}", "users/{id}/x/{id}"),
        ("users/ada/x/{}", "users/{id}/x/{id}"),
        ("x/a{}b/", "x/{id}"),
    ],
)
def test_the_words_of_a_template_are_known(template: str, route: str) -> None:
    """What stands in its braces is an id, even a word of the API; what can be an id is one elsewhere, too."""
    assert route_of("/api/v2/whatever/it/became", template) == route


def test_the_route_of_a_request_is_that_of_its_template() -> None:
    """`on_request` gets it; a path without values is judged by its words."""
    infos: list[RequestInfo] = []
    with ScriptedServer() as server, connect(server, on_request=infos.append) as client:
        client.request("GET", "novelties/{}/parts?page=1", "roles")
        client.request("GET", "novelties/roles/parts?page=1")
    assert [info.route for info in infos] == ["novelties/{id}/parts", "{id}/roles/{id}"]
    assert [info.bucket for info in infos] == ["other", "other"]
