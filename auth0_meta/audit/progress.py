"""What `on_progress` is called with: how far an audit is; PURE."""

from __future__ import annotations

import attrs


@attrs.frozen(kw_only=True)
class AuditProgress:
    """How far an audit is; sent a few times a second, and at the end.

    `users`: who have been examined; `seconds`: since the audit began.  `part`: the part of the source that has been
    read, from 0 to 1; `eta`: seconds left; each is None while it can't be estimated.  `waiting`: what the audit is waiting
    for, "" if nothing.
    """

    users: int
    seconds: float
    part: float | None = None
    eta: float | None = None
    waiting: str = ""
