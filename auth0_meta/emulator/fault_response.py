"""The responses of faults, in the form in which Auth0, or a proxy in front of it, would send them."""

from __future__ import annotations

import math
from typing import Any

from auth0_meta.emulator.http.errors import problem, reason_of
from auth0_meta.emulator.http.message import BucketReading, Reply, to_json
from auth0_meta.emulator.state.faults import Fault

_KNOWN: dict[int, tuple[str, str | None]] = {429: ("Global limit has been reached", "too_many_requests")}
_OTHER = ("A fault of the local tenant", None)
# What a proxy in front of Auth0 sends on its own: HTML, even to clients that expect JSON.
_PAGE = (
    "<html>\r\n<head><title>{0}</title></head>\r\n<body>\r\n<center><h1>{0}</h1></center>\r\n"
    "<hr><center>cloudflare</center>\r\n</body>\r\n</html>\r\n"
)


def rate_headers(limit: int, remaining: int, reset: object) -> dict[str, str]:
    """Return the three headers as Auth0 names them.

    >>> rate_headers(10, 9, 100)["x-ratelimit-remaining"]
    '9'
    """
    return {
        "x-ratelimit-limit": str(limit),
        "x-ratelimit-remaining": str(remaining),
        "x-ratelimit-reset": str(reset),
    }


def fault_response(fault: Fault, *, management: bool, reading: BucketReading | None, now: float) -> Reply:
    """Return the response of a fault that has a status; `reading` is what its bucket reports, None without a limit."""
    status = fault.status or 500
    headers: dict[str, str] = {}
    if status == 429:
        seen = reading or BucketReading(False, 10, 0, int(now) + 1, "")
        reset = seen.reset if fault.reset is None else fault.reset
        if isinstance(fault.reset, (int, float)):
            reset = math.floor(now) + math.floor(fault.reset)
        headers.update(rate_headers(seen.limit, 0, reset))
    sent = tuple(headers.items())
    body = _body(fault, status, management=management)
    if isinstance(body, (str, bytes)):
        raw = body if isinstance(body, bytes) else body.encode()
        return Reply(
            status, raw, content_type="text/html; charset=utf-8", headers=sent, replaced=fault.headers
        )
    return Reply(status, to_json(body), headers=sent, replaced=fault.headers)


def _body(fault: Fault, status: int, *, management: bool) -> Any:
    if fault.body is not None:
        return fault.body
    if fault.html:
        return _PAGE.format(f"{status} {reason_of(status)}")
    message, code = _KNOWN.get(status, _OTHER)
    if management:
        return problem(status, message, code)
    return {"error": code or "access_denied", "error_description": message}
