"""The settings of a tenant, and what is answered as a tenant does that has none of it."""

from __future__ import annotations

from typing import Any

import pytest

from auth0_meta.emulator.api.as_empty import ROUTES


def test_settings_are_stored_and_flags_merged(api: Any) -> None:
    """A logout without a client goes by the tenant's list, once it has one."""
    path = "/api/v2/tenants/settings"
    before = api("GET", path).json()
    assert before["enabled_locales"] == ["en"]
    api("PATCH", path, json={"flags": {"a": True}, "friendly_name": "Local"})
    after = api("PATCH", path, json={"flags": {"b": False}}).json()
    assert after == before | {"flags": {"a": True, "b": False}, "friendly_name": "Local"}
    logout = "/v2/logout?returnTo="

    def status(target: str) -> int:
        return int(api("GET", logout + target, allow_redirects=False).status_code)

    assert [status(url) for url in ("http://localhost:3000", "https://app.test/bye")] == [302, 400]
    api("PATCH", path, json={"allowed_logout_urls": ["https://app.test/bye"]})
    assert [status(url) for url in ("http://localhost:3000", "https://app.test/bye?a=b")] == [400, 302]
    assert api("PATCH", path, json={"allowed_logout_urls": "x"}).status_code == 400
    assert api("GET", path).json()["allowed_logout_urls"] == ["https://app.test/bye"]


READ = [route for route in ROUTES if route.method == "GET"]
WRITTEN = [route for route in ROUTES if route.method != "GET"]


@pytest.mark.parametrize("route", READ, ids=lambda route: route.template)
def test_what_a_copy_of_a_tenant_asks_for_is_empty(api: Any, route: Any) -> None:
    """Lists have no items, in each form of a list, and objects nothing that is on."""
    path = route.template.format(id="org_1", prompt="login", language="en")
    plain = api("GET", path).json()
    assert plain == [] or not any(plain.values())
    if "include_totals" in route.query:
        assert api("GET", f"{path}?include_totals=true").json()["total"] == 0
    assert api("POST", path, json={}).json()["errorCode"] == "not_served_by_local_tenant"


@pytest.mark.parametrize("route", WRITTEN, ids=lambda route: route.template)
def test_settings_take_a_write_that_changes_nothing(api: Any, route: Any) -> None:
    """Any other is not served, and is gathered like all that is not."""
    known = {"enabled": False}
    if "risk-assessments" not in route.template:
        known = api("GET", route.template).json()
    assert api(route.method, route.template, json=known).json() == known
    assert not api.tenant.journal.not_served
    changed = ["x"] if known == [] else {**known, "enabled": True}
    refused = api(route.method, route.template, json=changed)
    assert (refused.status_code, refused.json()["errorCode"]) == (404, "not_served_by_local_tenant")
    assert len(api.tenant.journal.not_served) == 1
