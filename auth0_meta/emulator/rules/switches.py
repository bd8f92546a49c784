"""Every question about Auth0 that neither recordings nor documentation settle, and the emulator's answer to it.

Everything else that the emulator does follows recorded traffic or Auth0's documentation.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from functools import cache
from types import UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

import attrs

from auth0_meta.errors import ConfigError

_DIGITS = 12  # of a number


@attrs.frozen(kw_only=True)
class Switches:
    """The answers to the open questions; the defaults are the likeliest ones, but none of them is certain.

    Raises `ConfigError` for a value that a switch can't have.

    >>> Switches(nested_null="drop").nested_null
    'drop'
    """

    nested_null: Literal["store", "drop"] = "store"
    """Open: a null below the first level.  "store" keeps it as data, "drop" removes that key."""
    bag_null: Literal["reject", "clear"] = "reject"
    """Open: `"user_metadata": null`.  "reject" responds with 400 (the schema requires an object), "clear" acts like `{}`."""
    last_key_null: Literal["as_wipe", "empty", "absent"] = "as_wipe"
    """Open: what remains when null deletes the last key.  "as_wipe": the same as after `{}` (user_metadata `{}`,
    app_metadata absent); "empty": `{}` for both; "absent": neither exists."""
    empty_patch: Literal["accept", "reject"] = "accept"
    """Open: a PATCH of `{}`.  "accept" responds with 200 and changes updated_at, "reject" responds with 400."""
    dotted_depth: Literal["any", "first"] = "any"
    """Open: whether `.` and `$` are refused in nested names too.  Documented: they are refused in names."""
    dotted_error_code: str | None = None
    """Open: the errorCode that goes with the documented message for a dotted key, if any."""
    forbidden_name_message: str = (
        "Payload validation error: 'Property not allowed: {name}' on property app_metadata."
    )
    """Open: the message of the 400 for a reserved name in app_metadata; `{name}` is replaced."""
    unknown_properties: Literal["reject", "accept"] = "reject"
    """Open: unknown properties of a PATCH or POST body.  In 2017 live requests with them got a 400, but the
    schema that is published today allows them; "accept" ignores them."""
    email_change_unverifies: bool = True
    """Open: whether a PATCH of `email` without `email_verified` sets `email_verified` to false."""
    body_limit: int = 1_048_576
    """Open: how many bytes the documented "1 MB" per request is."""
    oversize_body_status: int = 413
    """Open: the status of a body over `body_limit`; users-imports responds with 413 over its own limit."""
    profile_limit: int | None = 102_400
    """Documented: 10 KB with an allowance of about ten times that; a write, a login or a row of an import that leaves a
    profile past it fails.  Open: how many bytes that is, and that JSON as GET returns it is what counts (Auth0 counts an
    internal form).  None for no limit: a tenant with "Uncapped User Profile Data"."""
    profile_limit_status: int = 400
    """Open: the status of a write over `profile_limit`."""
    profile_limit_message: str = "The user profile exceeds the allowed size of {limit} bytes"
    """Open: the message of a write over `profile_limit`, also in the errors of an import; `{limit}` is replaced."""
    profile_limit_error_code: str | None = None
    """Open: the errorCode of a write over `profile_limit`, if any."""
    profile_limit_shrinking: Literal["refuse", "accept"] = "refuse"
    """Open: a write that makes a profile smaller and leaves it over `profile_limit`.  "refuse": documented is a check
    of the profile's size, to which logins are subject too, and these hardly change it.  "accept" refuses growth only."""
    profile_warning: int | None = 10_240
    """Documented: a write of more than 10 KB succeeds and adds a log event.  Open: whether KB are 1,024 bytes or 1,000.
    None for no event."""
    profile_log: Literal["depnote", "user_profile_size_exceeded"] = "depnote"
    """Documented: a tenant that has not migrated logs a deprecation notice, "depnote"; one that has, events of the other
    type.  Open: the fields of the latter; here it has those of the notice."""
    new_user_credentials: Literal["require", "accept"] = "require"
    """Documented: a user who is created in a database needs an email and a password, and a username where the connection
    requires one.  Open: the wording of the 400.  "accept" creates users without them."""
    weak_password_error: str | None = "auth0_idp_error"  # noqa: S105  # an errorCode
    """Open: the errorCode of the 400 for a weak password in POST and PATCH of users; the message is reported."""
    import_absent_bag: Literal["keep", "clear"] = "keep"
    """Open: an upserted row without user_metadata or app_metadata.  Documented: if the row has it, it replaces the stored one."""
    import_profile_size_path: str | None = None
    """Open: the path in the error PROFILE_SIZE_EXCEEDED of an import row, if any.  The code is documented."""
    import_unknown_property_code: str = "OBJECT_ADDITIONAL_PROPERTIES"
    """Open: the error code of an import row with an unknown property; the documented list has none."""
    export_link_scheme: bool = True
    """Open: whether an export's `location` begins with its scheme; in the documented sample it does not."""
    client_id_format: str = "[A-Za-z0-9_-]{32}"
    """Open: what a client_id may look like (a malformed one gets 400, recorded); those of registered clients are accepted."""
    connection_metadata: Literal["replace", "merge"] = "replace"
    """Open: how a PATCH writes a connection's metadata; in recordings it only writes the value that was already there."""
    search_operator: Literal["OR", "AND"] = "OR"
    """Open: the operator between two terms of a `q` if none is given."""
    search_words: Literal["whole", "any"] = "whole"
    """Open: whether an unquoted term must match a whole text or any word of it; a quoted one must match exactly."""
    search_missing: Literal["reject", "negate"] = "reject"
    """Open: `_missing_:name`, which search engine v2 had and the documentation of v3 no longer mentions.  "reject"
    responds with 400, "negate" means `NOT _exists_:name`."""
    search_engine_v2: Literal["reject", "accept"] = "reject"
    """Open: `search_engine=v2`.  "reject" responds with 400, as the schema says today; "accept" searches as v3 does,
    and responds with 200, as in one recording of 2021."""
    query_limit: int = 8_000
    """Documented: 414 for a query that is too long.  Open: the limit."""
    paging_cap: int = 1000
    """Documented: 1000 results per search.  Open: whether (page + 1) x per_page is limited, however many users match."""
    error_rate_headers: bool = False
    """Open since 2021: rate-limit headers on a 4xx of the Management API other than 429.  No recorded one has them."""
    limit_before_auth: bool = False
    """Open: whether a request that fails authentication takes a token from the bucket."""
    token_limit_status: Literal[429, 500] = 429
    """Open: the status of /oauth/token over its limit.  500 is reported, with the error `access_denied`."""
    machine_scopes: Literal["granted", "requested"] = "granted"
    """Open: whether client credentials with `scope` limit the token to it.  Auth0's support says that a token always
    has all granted scopes; one page of its documentation reads as if "requested" were true."""
    login_failure_description: str = "The login could not be completed."
    """Open: what an application is told if the post-login trigger fails, where the real reason may contain secrets, or
    if the user's profile is over `profile_limit`."""
    claims_limit: int = 102_400
    """Documented: a login fails if the custom claims of one token exceed 100 KB.  Open: how many bytes that is."""
    code_lifetime: float = 600.0
    """Open: how many seconds an authorization code is valid."""

    def __attrs_post_init__(self) -> None:
        for name, kind in _kinds().items():
            value = getattr(self, name)
            if not _fits(name, value, kind):
                raise ConfigError(f"the switch {name} can be {_described(name, kind)}, not {value!r:.40}")
        try:
            re.compile(self.client_id_format)
        except re.error:
            raise ConfigError("the switch client_id_format must be a regular expression") from None


def read_switch(text: str) -> tuple[str, Any]:
    """Parse NAME=VALUE and return the switch's name and value; raises `ConfigError` for an unknown switch.

    >>> read_switch("profile_limit=none"), read_switch("nested_null=drop")
    (('profile_limit', None), ('nested_null', 'drop'))
    """
    name, equals, value = text.partition("=")
    kind = _kinds().get(name)
    if kind is None or not equals:
        near = difflib.get_close_matches(name, _kinds(), 1)
        meant = f": did you mean {near[0]}?" if near else ""
        raise ConfigError(f"a switch is set as NAME=VALUE, and the name must be one that there is{meant}")
    for reading in _readings(value):
        if _fits(name, reading, kind):
            return name, reading
    raise ConfigError(f"the switch {name} can be {_described(name, kind)}")


def _readings(text: str) -> Iterator[Any]:
    """Yield what a text may stand for, the text itself last."""
    named = {"none": None, "null": None, "true": True, "false": False}
    if text.lower() in named:
        yield named[text.lower()]
    if text.isascii() and text.isdecimal() and len(text) <= _DIGITS:
        yield int(text)
    yield text


@cache
def _kinds() -> dict[str, Any]:
    return get_type_hints(Switches)


def _fits(name: str, value: Any, kind: Any) -> bool:
    """Return whether a switch of this type can have this value; a number is not negative, and a status is that of an error."""
    if get_origin(kind) is Literal:
        return any(type(one) is type(value) and one == value for one in get_args(kind))
    if get_origin(kind) is UnionType:
        return any(_fits(name, value, one) for one in get_args(kind))
    if kind is float and type(value) is int:
        kind = int
    if type(value) is not kind:
        return False
    if kind is int and name.endswith("_status"):
        return bool(400 <= value < 600)
    return kind not in (int, float) or bool(0 <= value < 10**_DIGITS)


def _described(name: str, kind: Any) -> str:
    """Return in words what a switch of this type can be."""
    if get_origin(kind) is Literal:
        return " or ".join(map(str, get_args(kind)))
    if get_origin(kind) is UnionType:
        return " or ".join(_described(name, one) for one in get_args(kind))
    number = "a status from 400 to 599" if name.endswith("_status") else "a number"
    return {int: number, float: number, bool: "true or false", str: "a text"}.get(kind, "none")
