"""Keep the last logins of a user in `app_metadata`, in a list of limited length.

    python examples/actions/operation_log.py

This simulates a login at a local tenant in this process; AUTH0_DOMAIN is not used.

A profile may have up to 10 KB, so the list keeps only the newest entries; for a complete log use your own
store, see external_store.py.  If a user logs in twice at the same moment, the later update wins and one entry
is lost, unless the trigger has a `lock=`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from auth0_meta import JSONValue
from auth0_meta.actions import Api, Event


def utc_now() -> datetime:
    """Return the current time, with its zone."""
    return datetime.now(UTC)


class OperationLog:
    """Append each real login to `app_metadata.logins`, and keep the newest `keep` entries."""

    def __init__(self, *, keep: int = 20, now: Callable[[], datetime] = utc_now) -> None:
        self.keep = keep
        self.now = now

    def on_execute_post_login(self, event: Event, api: Api) -> None:
        """Log this login, unless it is silent or exchanges a refresh token."""
        if (
            event.request.query.get("prompt") == "none"
            or event.transaction.protocol == "oauth2-refresh-token"
        ):
            return
        entry = {
            "at": self.now().isoformat(timespec="seconds"),
            "ip": event.request.ip,
            "app": event.client.client_id,
        }
        before: list[JSONValue] = event.user.app_metadata.get("logins") or []
        api.user.set_app_metadata("logins", [*before, entry][-self.keep :])


if __name__ == "__main__":
    from auth0_meta.testing import simulate

    user = {"user_id": "auth0|1", "app_metadata": {"logins": [{"at": "2026-01-01T00:00:00+00:00"}] * 3}}
    login = simulate(
        OperationLog(keep=3), {"user": {**user, "user_metadata": {}}, "request": {"ip": "192.0.2.1"}}
    )
    print([(request.method, request.body) for request in login.requests])
