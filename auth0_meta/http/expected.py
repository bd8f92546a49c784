"""What a 2xx response must be so that it is believed; PURE.

A cache, a proxy or a captive portal may answer in Auth0's place: with another user's profile, with a page of another
search, with an error.  So a response is believed only if it is what was asked for.  `believed` alone decides that, for
every caller, and the other functions here say what each kind of response has to be.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from auth0_meta.changes.json_reader import NotReadable, read_json
from auth0_meta.changes.jsonvalue import ABSENT, BAGS
from auth0_meta.errors import OutcomeUnknown, TransportError
from auth0_meta.http.error_responses import TOKEN_PATH
from auth0_meta.http.request import Request, Target
from auth0_meta.http.transport import Response

Expected = Callable[[Any], "str | None"]
"""Takes a parsed response, `ABSENT` for an empty one; returns what it is instead of what was asked for, or None."""

_PARTIAL = 206
_FIRST_ERROR = 400
MISTAKEN = "a proxy or cache between this machine and Auth0 may have answered in its place"
_PROXY = f": {MISTAKEN}"
_OTHER = f"not the JSON that Auth0 sends here{_PROXY}"
# The fields that identify a new user.  Auth0 may change their case, and puts the provider before an id.
_KNOWN_BY = ("email", "username")


def believed(response: Response, request: Request, expected: Expected, *, user_id: str | None = None) -> Any:
    """Return the parsed body of a 2xx response, None for an empty one, if it is what was asked for.

    Otherwise raises `TransportError`, and for a write `OutcomeUnknown`: the server may have carried it out.
    """
    data: Any = ABSENT
    try:
        if response.body:
            data = read_json(response.body)
        partial = "only a part of what was asked for" if response.status == _PARTIAL else None
        what = partial or _error_object(data) or expected(data)
    except NotReadable as error:
        what = f"{error}{_PROXY}"
    if what is None:
        return None if data is ABSENT else data
    msg = f"{request.method} {request.shown} got a {response.status} with {len(response.body)} B that are {what}"
    if request.method in ("GET", "HEAD"):
        raise TransportError(msg, user_id=user_id)
    if request.path != TOKEN_PATH:
        msg = f"{msg}. It may have been applied: read before you write again"
    raise OutcomeUnknown(msg, user_id=user_id)


def _error_object(data: Any) -> str | None:
    """Return what this is if it is one of Auth0's error objects, which has come with a 2xx; else None."""
    if not isinstance(data, dict) or not ("error" in data or "message" in data):
        return None
    status = data.get("statusCode")
    if not isinstance(status, int) or status < _FIRST_ERROR:
        return None
    return f"an error with the status {status}{_PROXY}"


def anything(data: Any) -> None:
    """Expect any JSON, or nothing: what an endpoint returns that this package does not know."""


def an_object(data: Any) -> str | None:
    """Expect an object, whose fields the caller checks."""
    return None if isinstance(data, dict) else _OTHER


# Users ------------------------------------------------------------------------------------------------


def the_object(target: Target, document: Mapping[str, Any] | None = None) -> Expected:
    """Expect the very object that was asked for, with metadata that is an object where `document` was written."""
    noun, id_field = target.kind.noun, target.kind.id_field

    def check(data: Any) -> str | None:
        if not isinstance(data, dict) or data.get(id_field) != target.id:
            return f"not the {noun} that was asked for{_PROXY}"
        # What the document does not touch may well be stored as something else.
        if any(not isinstance(data.get(bag), Mapping | None) for bag in document or () if bag in BAGS):
            return f"a {noun} whose metadata is not an object"
        return None

    return check


def nothing(target: Target) -> Expected:
    """Expect the empty response to a DELETE; a server may also return what it has deleted."""
    deleted = the_object(target)

    def check(data: Any) -> str | None:
        return None if data is ABSENT or deleted(data) is None else _OTHER

    return check


def new_user(profile: Mapping[str, Any]) -> Expected:
    """Expect the user that was made from this profile."""

    def check(data: Any) -> str | None:
        if not _is_user(data):
            return f"not a user{_PROXY}"
        given = profile.get("user_id")
        same = not isinstance(given, str) or data["user_id"] == given or data["user_id"].endswith(f"|{given}")
        if same and all(_same_text(profile.get(field), data.get(field)) for field in _KNOWN_BY):
            return None
        return f"not the user that was to be created{_PROXY}"

    return check


def users_by_email(email: str) -> Expected:
    """Expect a list of users who have this address, themselves or as one of their identities."""

    def check(data: Any) -> str | None:
        if not isinstance(data, list) or not all(map(_is_user, data)):
            return f"not a list of users{_PROXY}"
        if all(_has_email(user, email) for user in data):
            return None
        return f"not users with the address that was asked for{_PROXY}"

    return check


def users_page(number: int, per_page: int) -> Expected:
    """Expect one page of a search: a list of users, or an object with the list and where it stands in the whole.

    A server may limit pages more than was asked for, and says so in `limit`.
    """

    def check(data: Any) -> str | None:
        page = data if isinstance(data, dict) else {"users": data}
        users = page.get("users")
        if not isinstance(users, list) or not all(map(_is_user, users)):
            return f"not a page of users{_PROXY}"
        limit = page.get("limit", per_page)
        if not _is_count(limit) or not max(1, len(users)) <= limit <= per_page:
            return f"not a page of at most {per_page} users{_PROXY}"
        start = page.get("start", number * limit)
        total = page.get("total", start)
        if not _is_count(start) or start != number * limit:
            return f"not page {number}, which was asked for{_PROXY}"
        counted = page.get("length", len(users))
        if not _is_count(counted) or counted != len(users) or not _is_count(total):
            return f"a page of users that is counted wrongly{_PROXY}"
        if users and "total" in page and total < start + len(users):
            return f"a page of more users than its total{_PROXY}"
        if not users and not number and total:
            return f"a page without any of the users that it counts{_PROXY}"
        return None

    return check


def _is_user(data: Any) -> bool:
    if not isinstance(data, dict):
        return False
    user_id = data.get("user_id")
    return isinstance(user_id, str) and bool(user_id)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _same_text(given: object, found: object) -> bool:
    """Return whether two texts are equal but for their case; a missing one equals any other."""
    if not isinstance(given, str) or not isinstance(found, str):
        return True
    return given.strip().casefold() == found.strip().casefold()


def _has_email(user: Mapping[str, Any], email: str) -> bool:
    identities = user.get("identities")
    known = [user.get("email")]
    for identity in identities if isinstance(identities, list) else ():
        profile = identity.get("profileData") if isinstance(identity, dict) else None
        known.append(profile.get("email") if isinstance(profile, dict) else None)
    texts = [one for one in known if isinstance(one, str)]
    return not texts or any(_same_text(email, one) for one in texts)


# Jobs -------------------------------------------------------------------------------------------------


def the_job(job_id: str) -> Expected:
    """Expect the very job that was asked for."""

    def check(data: Any) -> str | None:
        if not _is_job(data):
            return f"not a job{_PROXY}"
        return None if data["id"] == job_id else f"not the job that was asked for{_PROXY}"

    return check


def new_job(kind: str, connection_id: str | None) -> Expected:
    """Expect a job that was just started."""

    def check(data: Any) -> str | None:
        if not _is_job(data):
            return f"not a job{_PROXY}"
        given = (("type", kind), ("connection_id", connection_id))
        if all(value in (None, data.get(name, value)) for name, value in given):
            return None
        return f"not the job that was to be started{_PROXY}"

    return check


def job_errors(job_id: str) -> Expected:
    """Expect the rows that an import could not take, nothing if there are none, or the job that failed as a whole."""
    the_whole = the_job(job_id)

    def check(data: Any) -> str | None:
        if isinstance(data, dict):
            return the_whole(data)
        if data is ABSENT or (isinstance(data, list) and all(map(_is_failed_row, data))):
            return None
        return f"not the errors of a job{_PROXY}"

    return check


def _is_job(data: Any) -> bool:
    """Return whether this is a job; `type` may be missing, and without a status nobody could wait for it."""
    if not isinstance(data, dict):
        return False
    texts = (data.get("id"), data.get("status"), data.get("type", "-"))
    return all(isinstance(text, str) and text for text in texts)


def _is_failed_row(row: Any) -> bool:
    if not isinstance(row, dict) or not isinstance(row.get("errors"), list):
        return False
    return all(isinstance(error, dict) for error in row["errors"])
