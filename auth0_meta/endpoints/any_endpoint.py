"""Any endpoint of the Management API that has no method of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl

from auth0_meta.changes.jsonvalue import JSONValue
from auth0_meta.errors import InputError
from auth0_meta.http.budget import MaxWait
from auth0_meta.http.channel import REPEATABLE, Channel
from auth0_meta.http.headers import check_headers
from auth0_meta.http.request import Endpoint, encode_query
from auth0_meta.models import UserId

METHODS = (*REPEATABLE, "POST", "PATCH")


def request(
    channel: Channel,
    method: str,
    path: str,
    values: Sequence[UserId | int],
    *,
    json: JSONValue,
    params: Mapping[str, Any] | None,
    headers: Mapping[str, str] | None,
    repeat: bool | None,
    max_wait: MaxWait,
) -> Any:
    """Do the work of `ManagementClient.request`."""
    verb = method.upper() if isinstance(method, str) else ""
    if verb not in METHODS:
        msg = f"method must be one of {', '.join(METHODS)}, not {method!r} (nothing was sent)"
        raise InputError(msg)
    endpoint = Endpoint.of(path, values)
    target = endpoint.path
    more = check_headers(headers)
    if params:
        given = {k: str(v).lower() if isinstance(v, bool) else v for k, v in params.items() if v is not None}
        target += ("&" if "?" in target else "?") + encode_query(given)
    # Errors are cleaned of the values of the query, whether it is in `params` or written into the path.
    sent = (params, dict(parse_qsl(target.partition("?")[2])))
    return channel.call(
        verb,
        target,
        json=json,
        sent=sent,
        user_id=endpoint.user_id,
        shown=endpoint.shown,
        template=endpoint.template,
        repeat=repeat,
        max_wait=max_wait,
        headers=more,
    )
