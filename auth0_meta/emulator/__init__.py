"""An Auth0 emulator: local tenants with Auth0's rules and limits on real sockets; no account needed.

Start with `LocalTenant`; `Switches` settle what is not known about Auth0.  Needs the extra `emulator`.
"""

from __future__ import annotations

from auth0_meta.errors import MissingExtraError

try:
    from auth0_meta.emulator.rules.journal_entry import Entry
    from auth0_meta.emulator.rules.switches import Switches
    from auth0_meta.emulator.state.faults import Fault, Hook
    from auth0_meta.emulator.state.journal import Journal
    from auth0_meta.emulator.tenant import LocalTenant
    from auth0_meta.emulator.tenant_users import LiveUser, Users
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] not in ("luqum", "werkzeug"):
        raise
    msg = f'the emulator needs {error.name}: pip install "auth0-meta[emulator]"'
    raise MissingExtraError(msg) from error

__all__ = ["Entry", "Fault", "Hook", "Journal", "LiveUser", "LocalTenant", "Switches", "Users"]
