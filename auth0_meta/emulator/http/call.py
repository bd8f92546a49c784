"""Hold what is known about the request being answered."""

from __future__ import annotations

from typing import Any

import attrs

from auth0_meta.emulator.http.message import Request
from auth0_meta.emulator.rules.limiter import Verdict
from auth0_meta.emulator.state.tokens import Grant


@attrs.define
class Call:
    """Gather what the stages learn: route, decoded parameters, grant, bucket, parsed body.

    `user_id` is set where the path names a user.
    """

    request: Request
    now: float
    template: str = ""
    params: dict[str, str] = attrs.field(factory=dict)
    user_id: str | None = None
    grant: Grant | None = None
    verdict: Verdict | None = None
    body: Any = None
    fault: Any = None
    outcome: str = "answered"
    committed: bool = False
