"""Hold the logins of one tenant: what an application asked for, who signs in, who is signed in."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import attrs

from auth0_meta.emulator.http.message import to_json
from auth0_meta.emulator.rules import profile as profiles
from auth0_meta.emulator.rules.loopback import is_loopback
from auth0_meta.emulator.rules.profile import Profile
from auth0_meta.emulator.state.expiring_store import Kept

if TYPE_CHECKING:
    from auth0_meta.emulator.pipeline import App
    from auth0_meta.emulator.state.tokens import Access

PAGE_FOR = 1800
SUSPENDED_FOR = 900
SESSION_FOR = 259_200
REFRESH_FOR = 2_592_000
_EMAIL = re.compile(r"[^\s@<>\"',;:\\()\[\]]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,185}[A-Za-z0-9])?")
_BY = "a login"
BLOCKED = ("unauthorized", "user is blocked")
"""How a login of a blocked user is refused."""


@attrs.frozen(kw_only=True)
class Asked:
    """Hold what an application asked of /authorize, checked; `query` is all of it, as it came."""

    client_id: str
    redirect_uri: str
    scopes: tuple[str, ...] = ()
    state: str | None = None
    nonce: str | None = None
    challenge: str | None = None
    audience: str | None = None
    prompt: str | None = None
    hint: str = ""
    query: Mapping[str, str] = attrs.field(factory=dict)


@attrs.frozen
class Session:
    """Hold that a browser is signed in: whose it is, and the id that tokens carry as `sid`."""

    user_id: str
    sid: str
    since: float


@attrs.frozen
class Login:
    """Hold a login under way, bound to the browser that began it."""

    asked: Asked
    session: Session
    browser: str


@attrs.frozen(kw_only=True)
class Granted:
    """Hold what a finished login may fetch at /oauth/token."""

    asked: Asked
    session: Session
    scopes: tuple[str, ...]
    id_claims: Mapping[str, Any] = attrs.field(factory=dict)
    access_claims: Mapping[str, Any] = attrs.field(factory=dict)


class Logins:
    """Hold the login side's state of one tenant; `hook` is the trigger that it hosts, see `Harness.post_login`."""

    def __init__(self) -> None:
        self.hook: Callable[..., Any] | None = None
        self.pages = Kept[tuple[Asked, str]]()
        """The users that are to be picked: what was asked, and by which browser."""
        self.suspended = Kept[Login]()
        self.sessions = Kept[Session]()
        self.codes = Kept[Granted]()
        self.refresh_tokens = Kept[Granted]()
        self.access_tokens = Kept[tuple[str, tuple[str, ...]]]()
        """Who may ask /userinfo, and about what."""

    def reset(self) -> None:
        """Forget every login, session, code and token; the hook stays."""
        for kept in (self.pages, self.suspended, self.sessions, self.codes):
            kept.clear()
        self.refresh_tokens.clear()
        self.access_tokens.clear()


def may_return(access: Access, client_id: str | None, url: str, *, logout: bool = False) -> bool:
    """Tell whether a browser may be sent to `url`: listed for the client, or on loopback where there is no list."""
    application = access.applications.get(client_id or "")
    listed = None if application is None else application.logout_urls if logout else application.callbacks
    if listed is not None:
        return url in listed
    if any(c.isspace() or not c.isprintable() or c == "\\" for c in url):
        return False
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return False
    plain = parts.scheme in ("http", "https") and "@" not in parts.netloc and not parts.fragment
    return plain and is_loopback(host)


def sign_up(app: App, email: str) -> Profile | None:
    """Return the database user of an e-mail, a new one where there is none; None where it can't be an e-mail."""
    email = email.strip().lower()
    if not _EMAIL.fullmatch(email):
        return None
    with app.store.lock:
        for known in app.store.with_email(email):
            return known
        body = {"email": email, "connection": profiles.DEFAULT_CONNECTION}
        made = profiles.created(
            body,
            user_id=f"auth0|{app.new_object_id()}",
            now_ms=app.milliseconds(),
            switches=app.switches,
        )
        app.save(made, before=None, size=len(to_json(made.document())), by=_BY)
    return made


def count_login(app: App, user_id: str, ip: str) -> Profile | None:
    """Note a login with credentials in the profile; None where the user is gone.

    `last_login`, `last_ip`, `logins_count` and `updated_at` move before the trigger runs, whatever comes of it.
    Source: Auth0 docs, "User profile structure"; staff in the community for the order.
    """
    with app.store.lock:
        before = app.store.get(user_id)
        if before is None:
            return None  # pragma: no cover  # a race: deleted since the page was sent
        count = before.root.get("logins_count", 0)
        moved = {"last_ip": ip, "last_login": profiles.iso(app.milliseconds())}
        after = profiles.patched(
            before,
            {**moved, "logins_count": count + 1 if isinstance(count, int) else 1},
            now_ms=app.milliseconds(),
            switches=app.switches,
        )
        ordered = {"user_id": user_id} | {name: after.root[name] for name in sorted(after.root)}
        after = attrs.evolve(after, root=ordered)
        app.save(after, before=before, size=len(to_json(after.document())), by=_BY)
    return after
