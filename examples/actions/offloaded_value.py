"""Read a value that was moved into a store of your own, at the logins that need it.

    python examples/actions/offloaded_value.py

This simulates two logins at a local tenant in this process; AUTH0_DOMAIN is not used.

`auth0-meta offload app_metadata.directory_groups --store sqlite:///big.db ...` leaves a pointer in the profile.  `resolve`
returns what it leads to, and a value that is still in the profile as it is, so this action can be deployed before the
move.  Only logins to one application open the store, and if it is down, these are refused: nobody gets in without a check.
"""

from __future__ import annotations

from auth0_meta.actions import Api, Event
from auth0_meta.errors import ExternalError
from auth0_meta.external import ExternalStore, resolve


class RequireGroup:
    """Let only members of a group log in to an application; their groups are in the profile or in the store."""

    def __init__(self, store: ExternalStore, *, client_id: str, group: str) -> None:
        self.store, self.client_id, self.group = store, client_id, group

    def on_execute_post_login(self, event: Event, api: Api) -> None:
        """Deny who is not in the group."""
        if event.client.client_id != self.client_id:
            return
        stored = event.user.app_metadata.get("directory_groups", [])
        try:
            groups = resolve(stored, store=self.store, user_id=event.user.user_id)
        except ExternalError:
            api.access.deny("Your groups can't be read at the moment. Please try again later.")
            return
        if self.group not in groups:
            api.access.deny("This application is for another group.")


if __name__ == "__main__":
    import tempfile
    from typing import Any

    from auth0_meta.external import SqliteStore, save
    from auth0_meta.testing import simulate

    with tempfile.TemporaryDirectory() as folder, SqliteStore(f"{folder}/big.db") as store:
        path = "app_metadata.directory_groups"
        pointer = save(["CN=admins"], store=store, user_id="auth0|1", path=path)
        user: dict[str, Any] = {"user_id": "auth0|1", "app_metadata": {"directory_groups": pointer}}
        for group in ("CN=admins", "CN=finance"):
            action = RequireGroup(store, client_id="backoffice", group=group)
            login = simulate(action, {"user": user, "client": {"client_id": "backoffice"}})
            print(
                group,
                "denied" if login.outcome.denied else "allowed",
                f"{pointer['bytes']} bytes in the store",
            )
