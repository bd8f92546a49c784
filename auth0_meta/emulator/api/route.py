"""`Route`: everything there is to know about one endpoint, declared in the file of its handler."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cached_property, partial

import attrs

from auth0_meta.emulator.http.errors import Refusal
from auth0_meta.emulator.http.message import Call, Reply
from auth0_meta.emulator.rules.limiter import Group
from auth0_meta.emulator.rules.schema import Body, Query
from auth0_meta.emulator.state.tenant_state import TenantState

MANAGEMENT_ROOT = "/api/v2/"
_FOR_APPLICATIONS = ("/continue", "/oidc/logout")
Handler = Callable[[TenantState, Call], Reply]


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


@attrs.frozen(eq=False, slots=False)  # without slots, for cached properties: each request asks for them
class Route:
    """One endpoint; scopes, OpenAPI, the page of routes, the validation of bodies and second writers derive from it.

    `handler` is called last, with `call.body` and `call.query` as `body` and `query` describe them.  `check` runs
    just before the second writers, and refuses what a token may not do to this user or with this body.  `group`
    names the bucket.  `log` notes in the tenant's log what became of a request.  A token needs any one of `scopes`, which are separated by spaces.  `latency` is (median,
    90th percentile) in seconds, as recorded.  `evidence` says what the response is based on, in the words of
    docs/emulator-fidelity.md.  `summary` is the first line of the handler's docstring unless given.
    """

    method: str
    template: str
    handler: Handler
    group: Group | None = attrs.field(default="other", kw_only=True)
    scopes: tuple[str, ...] = attrs.field(default="", converter=_words, kw_only=True)
    body: Body | None = attrs.field(default=None, kw_only=True)
    query: Query = attrs.field(factory=dict, kw_only=True)
    check: Callable[[TenantState, Call], object] | None = attrs.field(default=None, kw_only=True)
    log: Callable[[TenantState, Call, Reply | Refusal], None] | None = attrs.field(default=None, kw_only=True)
    latency: tuple[float, float] = attrs.field(default=(0.1, 0.3), kw_only=True)
    evidence: str = attrs.field(kw_only=True)
    summary: str = attrs.field(default="", kw_only=True)

    @cached_property
    def parameters(self) -> list[str]:
        """Return the names of the parameters in its path."""
        return re.findall(r"\{(\w+)\}", self.template)

    @cached_property
    def management(self) -> bool:
        """Return whether it belongs to the Management API, which requires a token."""
        return self.template.startswith(MANAGEMENT_ROOT)

    @cached_property
    def title(self) -> str:
        """Return what it does in a few words, such as "Update a user"."""
        about = self.summary or (self.handler.__doc__ or "").partition("\n")[0]
        return about.partition(";")[0].strip(" .")

    @cached_property
    def blind(self) -> bool:
        """Return whether it writes for callers who know no secret, so that any web page could use it.

        /continue takes the `state` of one login, and applications send their own form there; so they do to log out.
        """
        return not self.management and self.body is not None and self.template not in _FOR_APPLICATIONS

    @cached_property
    def names_user(self) -> bool:
        """Return whether the `{id}` in its path is a user's."""
        return self.template.startswith(("/api/v2/users/{id}", "/api/v2/user-blocks/{id}"))

    @cached_property
    def second_writers(self) -> bool:
        """Return whether `before` can add a second writer for it; it can't for logins and tokens."""
        return self.template.startswith((MANAGEMENT_ROOT, "/dbconnections/"))


recorded = partial(Route, evidence="recorded")
"""Declare an endpoint whose responses were recorded."""
documented = partial(Route, evidence="documented")
"""Declare an endpoint whose responses are documented, but were not recorded."""
