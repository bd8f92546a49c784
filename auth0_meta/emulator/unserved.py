"""What a request gets that no route serves: the nearest route, in the form that its caller reads."""

from __future__ import annotations

import re
from difflib import SequenceMatcher
from itertools import zip_longest

from auth0_meta.emulator.api.route import MANAGEMENT_ROOT
from auth0_meta.emulator.auth.pages import not_served_page
from auth0_meta.emulator.http.errors import NOT_SERVED, NotServed, not_served, oauth_error
from auth0_meta.emulator.http.message import Reply, Request, to_json
from auth0_meta.emulator.routes import TABLE

_TEMPLATES = tuple(dict.fromkeys(route.template for route in TABLE))
_LIKE = 0.6
_LONGEST_PATH = 200  # what is longer resembles no route, and would take long to compare
# Auth0 shows pages there, whatever the caller accepts.
_PAGES = re.compile(r"/(authorize|u|login|logout|v2/logout|oidc|continue|activate|samlp|wsfed)(/|$)")
_PROGRAMS = (MANAGEMENT_ROOT, "/oauth/")


def unserved(method: str, path: str) -> NotServed:
    """Return the refusal of a request that no route serves; it names the nearest route.

    >>> unserved("GET", "/api/v2/users/auth0%7C1/role").message.partition(". ")[2]
    'The nearest route that it serves is GET /api/v2/users/{id}/roles.'
    """
    near = _nearest(path)
    methods = [route.method for route in TABLE if route.template == near]
    nearest = f"{method if method in methods else ', '.join(methods)} {near}" if near else ""
    return not_served(f"{method} {path}", nearest)


def _nearest(path: str) -> str:
    """Return the template that a path resembles most, whatever stands where the template has a parameter."""
    near, most = "", _LIKE
    for template in _TEMPLATES if len(path) <= _LONGEST_PATH else ():
        if path.startswith(MANAGEMENT_ROOT) is not template.startswith(MANAGEMENT_ROOT):
            continue  # and of two paths below it, this root says nothing
        pairs = zip_longest(
            *(one.removeprefix(MANAGEMENT_ROOT).split("/") for one in (path, template)), fillvalue=""
        )
        sent, known = zip(
            *(pair if "{" not in pair[1] or not pair[0] else ("", "") for pair in pairs), strict=True
        )
        matcher = SequenceMatcher(None, "/".join(sent), "/".join(known))
        if matcher.quick_ratio() > most and (likeness := matcher.ratio()) > most:
            near, most = template, likeness
    return near


def not_served_reply(request: Request, refusal: NotServed) -> Reply:
    """Return the refusal as the caller reads it: the Management API's error, OAuth's, or a page."""
    if _PAGES.match(request.path) or (
        "text/html" in request.headers.get("accept", "") and not request.path.startswith(_PROGRAMS)
    ):
        return not_served_page(refusal.message)
    if request.path.startswith(MANAGEMENT_ROOT):
        return Reply(refusal.status, to_json(refusal.body))
    # Both forms in one, so that a test recognizes it anywhere by the same names.
    both = {"errorCode": NOT_SERVED, "message": refusal.message}
    return Reply(
        refusal.status, to_json(oauth_error(refusal.status, NOT_SERVED, refusal.message, **both).body)
    )
