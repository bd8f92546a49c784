"""Run actions after a login, as Auth0's post-login trigger does: they stage metadata, and one update ends the login."""

from __future__ import annotations

from auth0_meta.actions.api import Action, ActionObject, Api
from auth0_meta.actions.cache import Cache, CacheRecord, CacheResult
from auth0_meta.actions.event.event import Event
from auth0_meta.actions.execution import AllOrThis, LockFactory
from auth0_meta.actions.login_hook import post_login
from auth0_meta.actions.outcome import LoginOutcome, Redirect
from auth0_meta.actions.suspended_logins import MemoryStates, SqliteStates, States
from auth0_meta.actions.trigger import PostLoginTrigger, TriggerSettings

__all__ = [
    "Action",
    "ActionObject",
    "AllOrThis",
    "Api",
    "Cache",
    "CacheRecord",
    "CacheResult",
    "Event",
    "LockFactory",
    "LoginOutcome",
    "MemoryStates",
    "PostLoginTrigger",
    "Redirect",
    "SqliteStates",
    "States",
    "TriggerSettings",
    "post_login",
]
