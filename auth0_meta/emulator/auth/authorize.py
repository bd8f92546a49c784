"""Answer what a browser visits in a login: /authorize, the page to pick a user, /continue, /v2/logout."""

from __future__ import annotations

import re
import secrets
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import attrs
from werkzeug.http import parse_cookie

from auth0_meta.emulator.auth import trigger as hosted
from auth0_meta.emulator.auth.pages import login_page, trouble_page
from auth0_meta.emulator.auth.trigger import Verdict
from auth0_meta.emulator.http.call import Call
from auth0_meta.emulator.http.message import Reply, Request
from auth0_meta.emulator.state.logins import (
    BLOCKED,
    PAGE_FOR,
    SESSION_FOR,
    SUSPENDED_FOR,
    Asked,
    Granted,
    Login,
    Session,
    count_login,
    may_return,
    sign_up,
)

if TYPE_CHECKING:
    from auth0_meta.emulator.pipeline import App

_SHOWN = 20
_PROTOCOL = "oidc-basic-profile"
_PROMPTS = (None, "none", "login", "consent", "select_account")
_AGAIN = ("login", "select_account")
_KEY = re.compile(r"[A-Za-z0-9_-]{43}")


# Cookies --------------------------------------------------------------------------------------------


def _cookie(app: App, request: Request, name: str) -> str:
    """Return one of our cookies, "" where there is none; browsers send those of every port of a host."""
    found = parse_cookie(request.headers.get("cookie", "")).get(f"local_{name}_{app.name}", "")
    return found if _KEY.fullmatch(found) else ""


def _set(app: App, reply: Reply, name: str, value: str) -> Reply:
    """Give the browser a cookie that no script reads; "" takes it away."""
    words = [f"local_{name}_{app.name}={value}", "Path=/", "HttpOnly", "SameSite=Lax"]
    if app.access.url.startswith("https"):
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


def _refuse(asked: Asked, error: str, description: str) -> Reply:
    """Tell the application that there will be no login."""
    back = _with(asked.redirect_uri, error=error, error_description=description, state=asked.state)
    return _go(back)


def _form(request: Request) -> dict[str, str]:
    return dict(parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True))


# /authorize ------------------------------------------------------------------------------------------


def authorize(app: App, call: Call) -> Reply:
    """Answer GET /authorize: check what is asked, then go to the page, or on where somebody is signed in."""
    query = call.request.query
    client_id, target = query.get("client_id", ""), query.get("redirect_uri", "")
    if not client_id or (app.access.strict and client_id not in app.access.applications):
        return trouble_page(400, "invalid_request", f"There is no application {client_id!r}.")
    if not target or not may_return(app.access, client_id, target):
        shown = f"The address {target!r} is none that the application may be called back at."
        return trouble_page(403, "unauthorized_client", shown)
    asked = Asked(
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
    session = _session(app, call)
    browser = _cookie(app, call.request, "browser") or secrets.token_urlsafe(32)
    if session is not None and asked.prompt not in _AGAIN:
        reply = _run(app, call, Login(asked, session, browser))
    elif asked.prompt == "none":
        return _refuse(asked, "login_required", "Nobody is signed in, and prompt=none forbids a page.")
    else:
        state = app.login.pages.put((asked, browser), until=now + PAGE_FOR, now=now)
        reply = _go(f"/u/login?{urlencode({'state': state})}")
    return _set(app, reply, "browser", browser)


def _session(app: App, call: Call) -> Session | None:
    """Return who is signed in in this browser; the session of a user who is gone has ended."""
    key = _cookie(app, call.request, "session")
    session = app.login.sessions.get(key, now=call.now)
    if session is not None and app.store.get(session.user_id) is None:
        app.login.sessions.take(key, now=call.now)
        return None
    return session


def _complaints(query: dict[str, str], asked: Asked) -> tuple[tuple[bool, str, str], ...]:
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


# The page --------------------------------------------------------------------------------------------


def _stale() -> Reply:
    return trouble_page(
        400, "invalid_request", "This login has ended, is too old, or began in another browser."
    )


def pick(app: App, call: Call) -> Reply:
    """Answer GET /u/login: the page on which somebody picks a user."""
    state = call.request.query.get("state", "")
    found = app.login.pages.get(state, now=call.now)
    if found is None or found[1] != _cookie(app, call.request, "browser"):
        return _stale()
    return _page(app, state, found[0])


def _page(app: App, state: str, asked: Asked, *, notice: str = "", hint: str | None = None) -> Reply:
    return login_page(
        state=state,
        client=asked.client_id,
        where=urlsplit(asked.redirect_uri).netloc,
        users=[profile.root for profile in app.store.slice(0, _SHOWN)],
        more=max(0, len(app.store) - _SHOWN),
        hint=asked.hint if hint is None else hint,
        notice=notice,
    )


def choose(app: App, call: Call) -> Reply:
    """Answer POST /u/login: sign in whoever was picked, a new user for a new e-mail, and run the trigger."""
    form = _form(call.request)
    state, user_id = form.get("state", ""), form.get("user", "")
    found = app.login.pages.get(state, now=call.now)
    if found is None or found[1] != _cookie(app, call.request, "browser"):
        return _stale()
    asked, browser = found
    if not user_id:
        signed_up = sign_up(app, form.get("email", ""))
        if signed_up is None:
            return _page(app, state, asked, notice="That is no e-mail.", hint=form.get("email", ""))
        user_id = signed_up.user_id
    profile = app.store.get(user_id)
    if profile is None:
        return _page(app, state, asked, notice="There is no such user any more.")
    if app.login.pages.take(state, now=call.now) is None:
        return _stale()  # pragma: no cover  # a race: the page was sent twice
    if profile.root.get("blocked") is True:
        return _refuse(asked, *BLOCKED)
    count_login(app, user_id, hosted.PEER)
    session = Session(user_id, secrets.token_urlsafe(24), call.now)
    # The session begins before the trigger runs, so a refused login leaves one too.
    cookie = app.login.sessions.put(session, until=call.now + SESSION_FOR, now=call.now)
    reply = _run(app, call, Login(asked, session, browser))
    return attrs.evolve(_set(app, reply, "session", cookie), committed=True)


# The trigger, and after it ---------------------------------------------------------------------------


def _run(app: App, call: Call, login: Login) -> Reply:
    profile = app.store.get(login.session.user_id)
    if profile is None:
        return _refuse(login.asked, "access_denied", "The user does not exist.")
    if profile.root.get("blocked") is True:
        app.login.sessions.take(_cookie(app, call.request, "session"), now=call.now)
        return _refuse(login.asked, *BLOCKED)
    verdict = hosted.run(app, call.request, login.asked, login.session, profile, protocol=_PROTOCOL)
    return _end(app, call, login, verdict)


def go_on(app: App, call: Call) -> Reply:
    """Answer GET and POST /continue: let the trigger go on, once, in the browser that it had sent away."""
    form = _form(call.request) if call.request.method == "POST" else {}
    state = call.request.query.get("state") or form.get("state", "")
    waiting = app.login.suspended.get(state, now=call.now)
    if waiting is None or waiting.browser != _cookie(app, call.request, "browser"):
        return _stale()
    login = app.login.suspended.take(state, now=call.now)
    if login is None:
        return _stale()  # pragma: no cover  # a race: the link was followed twice
    verdict = hosted.resumed(app, call.request, login.asked, login.session, state, form)
    return _end(app, call, login, verdict)


def _end(app: App, call: Call, login: Login, verdict: Verdict) -> Reply:
    """Send the browser where the trigger says, or back to the application: with a code, or with the refusal."""
    asked, now = login.asked, app.now()
    if verdict.url is not None:
        app.login.suspended.put(login, until=now + SUSPENDED_FOR, now=now, key=verdict.state)
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
    code = app.login.codes.put(granted, until=now + app.switches.code_lifetime, now=now)
    return _go(_with(asked.redirect_uri, code=code, state=asked.state))


# Out -------------------------------------------------------------------------------------------------


def log_out(app: App, call: Call) -> Reply:
    """Answer GET /v2/logout: end the session and go to `returnTo`, which is listed or on loopback."""
    query = call.request.query
    target = query.get("returnTo")
    if target is not None and not may_return(app.access, query.get("client_id"), target, logout=True):
        shown = f"The address {target!r} is none that a logout may lead to."
        return trouble_page(400, "invalid_request", shown)
    app.login.sessions.take(_cookie(app, call.request, "session"), now=call.now)
    reply = Reply(200, b"OK", content_type="text/plain; charset=utf-8") if target is None else _go(target)
    return _set(app, reply, "session", "")
