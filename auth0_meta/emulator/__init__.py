"""An Auth0 emulator: local tenants with Auth0's rules and limits on real sockets; no account needed.

Start with `LocalTenant`; `Switches` settle what is not known about Auth0.  Needs the extra `emulator`.
"""

from __future__ import annotations

from importlib.util import find_spec

from auth0_meta.emulator.rules.journal_entry import Entry, RecordedResponse
from auth0_meta.emulator.rules.switches import Switches
from auth0_meta.emulator.state.clock import TenantClock
from auth0_meta.emulator.state.faults import Drop, Fault, Hook
from auth0_meta.emulator.state.history import Change
from auth0_meta.emulator.state.journal import Journal
from auth0_meta.emulator.tenant import LocalTenant
from auth0_meta.emulator.tenant_users import LiveUser, Users
from auth0_meta.errors import MissingExtraError

for _name in ("luqum", "werkzeug"):
    # They load on use, which is too late for saying that they are missing.
    if find_spec(_name) is None:
        raise MissingExtraError(f'the emulator needs {_name}: pip install "auth0-meta[emulator]"')

__all__ = [
    "Change",
    "Drop",
    "Entry",
    "Fault",
    "Hook",
    "Journal",
    "LiveUser",
    "LocalTenant",
    "RecordedResponse",
    "Switches",
    "TenantClock",
    "Users",
]
