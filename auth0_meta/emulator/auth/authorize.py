"""What a browser visits in a login: /authorize, the page to pick a user, /continue, /v2/logout."""

from __future__ import annotations

import re
import secrets
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import attrs
from werkzeug.http import parse_cookie

from auth0_meta.emulator.api.route import Route
from auth0_meta.emulator.auth import trigger
from auth0_meta.emulator.auth.forms import PageForm
from auth0_meta.emulator.auth.pages import login_page, trouble_page
from auth0_meta.emulator.auth.trigger import LoginOutcome, count_login
from auth0_meta.emulator.http.message import Call, Reply, Request
from auth0_meta.emulator.rules import profile as profiles
from auth0_meta.emulator.rules.loopback import is_loopback
from auth0_meta.emulator.rules.profile import Profile
from auth0_meta.emulator.state.logins import (
    BLOCKED,
    BY_LOGIN,
    PAGE_FOR,
    SESSION_FOR,
    SUSPENDED_FOR,
    AuthorizationRequest,
    Granted,
    Login,
    Session,
)
from auth0_meta.emulator.state.tenant_state import TenantState
from auth0_meta.emulator.state.tokens import Access

_SHOWN = 20
_PROTOCOL = "oidc-basic-profile"
_PROMPTS = (None, "none", "login", "consent", "select_account")
_AGAIN = ("login", "select_account")
_EMAIL = re.compile(r"[^\s@<>\"',;:\\()\[\]]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,185}[A-Za-z0-9])?")
_KEY = re.compile(r"[A-Za-z0-9_-]{43}")


# Cookies --------------------------------------------------------------------------------------------


def _cookie(state: TenantState, request: Request, name: str) -> str:
    """Return one of our cookies, "" where there is none; browsers send those of every port of a host."""
    found = parse_cookie(request.headers.get("cookie", "")).get(f"local_{name}_{state.name}", "")
    return found if _KEY.fullmatch(found) else ""


def _set(state: TenantState, reply: Reply, name: str, value: str) -> Reply:
    """Give the browser a cookie that no script reads; "" takes it away."""
    words = [f"local_{name}_{state.name}={value}", "Path=/", "HttpOnly", "SameSite=Lax"]
    if state.access.url.startswith("https"):
        words.append("Secure")
    if not value:
        words.append("Max-Age=0")
    return attrs.evolve(reply, headers=(*reply.headers, ("Set-Cookie", "; ".join(words))))


def _go(url: str) -> Reply:
    return Reply(302, b"", content_type="text/plain; charset=utf-8", headers=(("Location", url),))


def _with(url: str, **params: str | None) -> str:
    parts = urlsplit(url)
    given = [(name, value) for name, value in params.items() if value is not None]
    query = [*parse_qsl(parts.query, keep_blank_values=True), *given]
    return urlunsplit(parts._replace(query=urlencode(query)))


def _refuse(asked: AuthorizationRequest, error: str, description: str) -> Reply:
    """Tell the application that there will be no login."""
    back = _with(asked.redirect_uri, error=error, error_description=description, state=asked.state)
    return _go(back)


# /authorize ------------------------------------------------------------------------------------------


def authorize(state: TenantState, call: Call) -> Reply:
    """Begin a login: check the request, then send the browser to the page, or on if somebody is signed in."""
    query = call.request.query
    client_id, target = query.get("client_id", ""), query.get("redirect_uri", "")
    if not client_id or (state.access.strict and client_id not in state.access.applications):
        return trouble_page(400, "invalid_request", f"There is no application {client_id!r}.")
    if not target or not may_return(state.access, client_id, target):
        shown = f"The address {target!r} is none that the application may be called back at."
        return trouble_page(403, "unauthorized_client", shown)
    asked = AuthorizationRequest(
        client_id=client_id,
        redirect_uri=target,
        scopes=tuple(query.get("scope", "").split()),
        state=query.get("state"),
        nonce=query.get("nonce"),
        challenge=query.get("code_challenge"),
        audience=query.get("audience") or None,
        prompt=query.get("prompt") or None,
        hint=query.get("login_hint", ""),
        query=query,
    )
    for wrong, error, description in _complaints(query, asked):
        if wrong:
            return _refuse(asked, error, description)
    now = call.now
    session = _session(state, call)
    browser = _cookie(state, call.request, "browser") or secrets.token_urlsafe(32)
    if session is not None and asked.prompt not in _AGAIN:
        reply = _run(state, call, Login(asked, session, browser))
    elif asked.prompt == "none":
        return _refuse(asked, "login_required", "Nobody is signed in, and prompt=none forbids a page.")
    else:
        login_state = state.logins.pages.put((asked, browser), until=now + PAGE_FOR, now=now)
        reply = _go(f"/u/login?{urlencode({'state': login_state})}")
    return _set(state, reply, "browser", browser)


def _session(state: TenantState, call: Call) -> Session | None:
    """Return who is signed in in this browser; the session of a user who is gone has ended."""
    key = _cookie(state, call.request, "session")
    session = state.logins.sessions.get(key, now=call.now)
    if session is not None and state.users.get(session.user_id) is None:
        state.logins.sessions.take(key, now=call.now)
        return None
    return session


def _complaints(query: dict[str, str], asked: AuthorizationRequest) -> tuple[tuple[bool, str, str], ...]:
    """List what may be wrong with a request whose application is known, and how it is said."""
    method = query.get("code_challenge_method", "S256" if asked.challenge is None else "plain")
    return (
        (
            query.get("response_type") != "code",
            "unsupported_response_type",
            "This tenant serves response_type=code.",
        ),
        (
            query.get("response_mode", "query") != "query",
            "invalid_request",
            "This tenant serves response_mode=query.",
        ),
        (method != "S256", "invalid_request", "code_challenge_method must be S256."),
        (
            asked.challenge is not None and not _KEY.fullmatch(asked.challenge),
            "invalid_request",
            "code_challenge is no SHA-256 in base64url.",
        ),
        (
            asked.prompt not in _PROMPTS,
            "invalid_request",
            "prompt is none, login, consent or select_account.",
        ),
    )


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


# The page --------------------------------------------------------------------------------------------


def _stale() -> Reply:
    return trouble_page(
        400, "invalid_request", "This login has ended, is too old, or began in another browser."
    )


def show_login_page(state: TenantState, call: Call) -> Reply:
    """Show the page on which somebody picks a user."""
    login_state = call.request.query.get("state", "")
    found = state.logins.pages.get(login_state, now=call.now)
    if found is None or found[1] != _cookie(state, call.request, "browser"):
        return _stale()
    return _page(state, login_state, found[0])


def _page(
    state: TenantState,
    login_state: str,
    asked: AuthorizationRequest,
    *,
    notice: str = "",
    hint: str | None = None,
) -> Reply:
    return login_page(
        state=login_state,
        client=asked.client_id,
        where=urlsplit(asked.redirect_uri).netloc,
        users=[profile.root for profile in state.users.slice(0, _SHOWN)],
        more=max(0, len(state.users) - _SHOWN),
        hint=asked.hint if hint is None else hint,
        notice=notice,
    )


def sign_in(state: TenantState, call: Call) -> Reply:
    """Sign in whoever was picked, a new user for a new e-mail, and run the trigger."""
    form = call.body
    login_state, user_id = form.get("state", ""), form.get("user", "")
    found = state.logins.pages.get(login_state, now=call.now)
    if found is None or found[1] != _cookie(state, call.request, "browser"):
        return _stale()
    asked, browser = found
    if not user_id:
        signed_up = sign_up(state, form.get("email", ""))
        if signed_up is None:
            return _page(state, login_state, asked, notice="That is no e-mail.", hint=form.get("email", ""))
        user_id = signed_up.user_id
    profile = state.users.get(user_id)
    if profile is None:
        return _page(state, login_state, asked, notice="There is no such user any more.")
    if state.logins.pages.take(login_state, now=call.now) is None:
        return _stale()  # pragma: no cover  # a race: the page was sent twice
    if profile.root.get("blocked") is True:
        return _refuse(asked, *BLOCKED)
    count_login(state, user_id, trigger.PEER)
    session = Session(user_id, secrets.token_urlsafe(24), call.now)
    # The session begins before the trigger runs, so a refused login leaves one too.
    cookie = state.logins.sessions.put(session, until=call.now + SESSION_FOR, now=call.now)
    reply = _run(state, call, Login(asked, session, browser))
    return attrs.evolve(_set(state, reply, "session", cookie), committed=True)


def sign_up(state: TenantState, email: str) -> Profile | None:
    """Return the database user of an e-mail, a new one where there is none; None where it can't be an e-mail."""
    email = email.strip().lower()
    if not _EMAIL.fullmatch(email):
        return None
    with state.users.lock:
        for known in state.users.with_email(email):
            return known
        body = {"email": email, "connection": profiles.DEFAULT_CONNECTION}
        made = profiles.created(
            body,
            user_id=f"auth0|{state.new_object_id()}",
            now_ms=state.milliseconds(),
            switches=state.switches,
        )
        state.save(made, before=None, by=BY_LOGIN, limited=False)
    return made


# The trigger, and after it ---------------------------------------------------------------------------


def _run(state: TenantState, call: Call, login: Login) -> Reply:
    profile = state.users.get(login.session.user_id)
    if profile is None:
        return _refuse(login.asked, "access_denied", "The user does not exist.")
    if profile.root.get("blocked") is True:
        state.logins.sessions.take(_cookie(state, call.request, "session"), now=call.now)
        return _refuse(login.asked, *BLOCKED)
    verdict = trigger.run(state, call.request, login.asked, login.session, profile, protocol=_PROTOCOL)
    return _end(state, call, login, verdict)


def resume(state: TenantState, call: Call) -> Reply:
    """Resume the trigger, once, in the browser that it had sent away."""
    form = call.body or {}
    login_state = call.request.query.get("state") or form.get("state", "")
    waiting = state.logins.suspended.get(login_state, now=call.now)
    if waiting is None or waiting.browser != _cookie(state, call.request, "browser"):
        return _stale()
    login = state.logins.suspended.take(login_state, now=call.now)
    if login is None:
        return _stale()  # pragma: no cover  # a race: the link was followed twice
    verdict = trigger.resumed(state, call.request, login.asked, login.session, login_state, form)
    return _end(state, call, login, verdict)


def _end(state: TenantState, call: Call, login: Login, verdict: LoginOutcome) -> Reply:
    """Send the browser where the trigger says, or back to the application: with a code, or with the refusal."""
    asked, now = login.asked, state.now()
    if verdict.url is not None:
        state.logins.suspended.put(login, until=now + SUSPENDED_FOR, now=now, key=verdict.state)
        return _go(verdict.url)
    if verdict.error is not None:
        return _refuse(asked, verdict.error, verdict.reason)
    granted = Granted(
        asked=asked,
        session=login.session,
        scopes=verdict.scopes(asked.scopes),
        id_claims=verdict.id_claims,
        access_claims=verdict.access_claims,
    )
    code = state.logins.codes.put(granted, until=now + state.switches.code_lifetime, now=now)
    return _go(_with(asked.redirect_uri, code=code, state=asked.state))


# Out -------------------------------------------------------------------------------------------------


def log_out(state: TenantState, call: Call) -> Reply:
    """End the session and go to `returnTo`, which is listed or on loopback."""
    query = call.request.query
    target = query.get("returnTo")
    if target is not None and not may_return(state.access, query.get("client_id"), target, logout=True):
        shown = f"The address {target!r} is none that a logout may lead to."
        return trouble_page(400, "invalid_request", shown)
    state.logins.sessions.take(_cookie(state, call.request, "session"), now=call.now)
    reply = Reply(200, b"OK", content_type="text/plain; charset=utf-8") if target is None else _go(target)
    return _set(state, reply, "session", "")


_OPEN = "open: by the standards (OpenID Connect, RFC 7636)"
ROUTES = (
    Route("GET", "/authorize", authorize, group=None, evidence=_OPEN),
    Route("GET", "/u/login", show_login_page, group=None, evidence="open: this tenant's own page"),
    Route("POST", "/u/login", sign_in, group=None, body=PageForm(), evidence="open: this tenant's own page"),
    Route("GET", "/continue", resume, group=None, evidence="documented"),
    Route("POST", "/continue", resume, group=None, body=PageForm(), evidence="documented"),
    Route("GET", "/v2/logout", log_out, group=None, evidence="documented"),
)
