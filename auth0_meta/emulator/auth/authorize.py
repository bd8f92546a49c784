"""What a browser visits during a login: /authorize, the page for picking a user, /continue, /v2/logout."""

from __future__ import annotations

import re
import secrets
from urllib.parse import urlencode

import attrs

from auth0_meta.emulator.api import logs
from auth0_meta.emulator.api.connections import connection_named
from auth0_meta.emulator.api.route import Route, documented
from auth0_meta.emulator.api.tenants import settings
from auth0_meta.emulator.auth import trigger
from auth0_meta.emulator.auth.checks import completed, fits_connection, refused_request, session_suffices
from auth0_meta.emulator.auth.forms import PageForm, open_record
from auth0_meta.emulator.auth.logout import logout_target
from auth0_meta.emulator.auth.organizations import organization_named
from auth0_meta.emulator.auth.pages import error_page, login_page
from auth0_meta.emulator.auth.responses import (
    grant,
    may_receive,
    protocol_of,
    redirect,
    refuse,
    refused_response,
    response_asked,
    with_query,
)
from auth0_meta.emulator.auth.trigger import LoginOutcome
from auth0_meta.emulator.http.errors import Refusal
from auth0_meta.emulator.http.message import Call, Reply
from auth0_meta.emulator.rules import profile as profiles
from auth0_meta.emulator.rules.application import logout_allowed
from auth0_meta.emulator.rules.profile import Profile, ProfileTooLarge
from auth0_meta.emulator.state.logins import (
    BLOCKED,
    BY_LOGIN,
    PAGE_LIFETIME,
    SESSION_LIFETIME,
    SUSPENDED_LIFETIME,
    AuthorizationRequest,
    Login,
    Session,
)
from auth0_meta.emulator.state.tenant_state import TenantState

_WRONG = "Wrong email or password."
_USERS_SHOWN = 20
_TEXT = "text/plain; charset=utf-8"
_PROMPTS = {"none", "login", "consent", "select_account"}
_PAGE_PROMPTS = {"login", "select_account"}
_EMAIL = re.compile(r"[^\s@<>\"',;:\\()\[\]]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,185}[A-Za-z0-9])?")
_KEY = re.compile(r"[A-Za-z0-9_-]{43}")
_CHALLENGES = {"S256": _KEY, "plain": re.compile(r"[A-Za-z0-9._~-]{43,128}")}


# Cookies --------------------------------------------------------------------------------------------


def _cookie(state: TenantState, call: Call, name: str) -> str:
    """Return a cookie, "" if absent; its name contains the tenant's, because browsers send cookies to every port."""
    from werkzeug.http import parse_cookie  # noqa: PLC0415  # werkzeug loads on use

    found = parse_cookie(call.request.headers.get("cookie", "")).get(f"local_{name}_{state.name}", "")
    return found if _KEY.fullmatch(found) else ""


def _set_cookie(state: TenantState, reply: Reply, name: str, value: str) -> Reply:
    """Set a cookie that no script can read; "" deletes it.

    As Auth0's it comes along in a frame of any site, for logins without a page; over http browsers allow that only to
    pages of the same site, which all ports of `localhost` are.
    """
    words = [f"local_{name}_{state.name}={value}", "Path=/", "HttpOnly"]
    words += ["SameSite=None", "Secure"] if state.access.url.startswith("https") else ["SameSite=Lax"]
    if not value:
        words.append("Max-Age=0")
    return attrs.evolve(reply, headers=(*reply.headers, ("Set-Cookie", "; ".join(words))))


# /authorize ------------------------------------------------------------------------------------------


def authorize(state: TenantState, call: Call) -> Reply:
    """Begin a login: check the request, then redirect to the login page, or straight on if a user is signed in."""
    query = call.request.query
    client_id, target = query.get("client_id", ""), query.get("redirect_uri", "")
    application = state.application(client_id)
    if application is None:
        return error_page(400, "invalid_request", f"The application {client_id!r} does not exist.")
    organization = organization_named(state, query.get("organization"))
    if not target or not application.may_return_to(target, (organization or {}).get("name")):
        shown = f"The application does not allow callbacks to {target!r}."
        return error_page(403, "unauthorized_client", shown)
    authorization = AuthorizationRequest(
        client_id=client_id,
        redirect_uri=target,
        scopes=tuple(query.get("scope", "").split()),
        state=query.get("state"),
        nonce=query.get("nonce"),
        challenge=query.get("code_challenge"),
        challenge_method=query.get("code_challenge_method", "plain"),
        audience=query.get("audience") or None,
        prompt=query.get("prompt") or None,
        hint=query.get("login_hint", ""),
        query=query,
        **response_asked(query),
    )
    if not may_receive(application, authorization):
        shown = f"The application's web_origins don't list the origin of {target!r}, so it gets no message."
        return error_page(403, "unauthorized_client", shown)
    authorization = completed(state, authorization)
    unsupported = (
        refused_response(application, authorization)
        or _unsupported(authorization)
        or refused_request(state, application, authorization)
    )
    if unsupported is not None:
        return refuse(authorization, *unsupported)
    now = call.now
    session = _session(state, call, authorization)
    browser = _cookie(state, call, "browser") or secrets.token_urlsafe(32)
    if session is not None and _PAGE_PROMPTS.isdisjoint(authorization.prompts):
        reply = _run(state, call, Login(authorization, session, browser))
    elif authorization.prompt == "none":
        logs.note(state, call.request, "fsa", client_id=client_id, description="Login required")
        return refuse(authorization, "login_required", "Login required")
    else:
        login_state = state.logins.pages.put((authorization, browser), until=now + PAGE_LIFETIME, now=now)
        reply = redirect(f"/u/login?{urlencode({'state': login_state})}")
    return _set_cookie(state, reply, "browser", browser)


def _session(state: TenantState, call: Call, authorization: AuthorizationRequest) -> Session | None:
    """Return this browser's session, if it suffices for the request; the session of a deleted user has ended."""
    key = _cookie(state, call, "session")
    session = state.logins.sessions.get(key, now=call.now)
    profile = None if session is None else state.users.get(session.user_id)
    if session is None or profile is None:
        state.logins.sessions.take(key, now=call.now)
        return None
    return session if session_suffices(state, authorization, session, profile, now=call.now) else None


def _unsupported(authorization: AuthorizationRequest) -> tuple[str, str] | None:
    """Return an error and its description if the application requests something unsupported, else None."""
    challenge, method = authorization.challenge, authorization.challenge_method
    if method not in _CHALLENGES:
        return "invalid_request", "code_challenge_method must be S256 or plain."
    if challenge is not None and not _CHALLENGES[method].fullmatch(challenge):
        return (
            "invalid_request",
            "code_challenge must be a SHA-256 in base64url, or 43 to 128 characters if plain.",
        )
    prompts = authorization.prompts
    if not _PROMPTS.issuperset(prompts) or ("none" in prompts and authorization.prompt != "none"):
        return "invalid_request", "prompt must be none, or be made of login, consent and select_account."
    return None


# The page --------------------------------------------------------------------------------------------


def _stale() -> Reply:
    why = "This login has ended, is too old, or began in another browser."
    return error_page(400, "invalid_request", why)


def _waiting(state: TenantState, call: Call, login_state: str) -> AuthorizationRequest | None:
    """Return the request that the page belongs to; None if the login has ended or began in another browser."""
    authorization, browser = state.logins.pages.get(login_state, now=call.now) or (None, "")
    return authorization if browser == _cookie(state, call, "browser") else None


def show_login_page(state: TenantState, call: Call) -> Reply:
    """Show the page for picking a user."""
    login_state = call.request.query.get("state", "")
    authorization = _waiting(state, call, login_state)
    return _stale() if authorization is None else _page(state, login_state, authorization)


def _page(
    state: TenantState, login_state: str, authorization: AuthorizationRequest, notice: str = ""
) -> Reply:
    users = [profile.root for profile in state.users.slice(0, _USERS_SHOWN)]
    return login_page(login_state, authorization, users, max(0, len(state.users) - _USERS_SHOWN), notice)


def sign_in(state: TenantState, call: Call) -> Reply:
    """Sign in the user that was picked or has this name and password, or a new one, and run the trigger."""
    form = call.body
    login_state, user_id = form.get("state", ""), form.get("user", "")
    authorization = _waiting(state, call, login_state)
    if authorization is None:
        return _stale()
    if not user_id:
        named = _named(state, call, authorization, form.get("username", "").strip(), form.get("password", ""))
        if isinstance(named, str):
            if named == _WRONG:
                logs.wrong_password(
                    state, call.request, form.get("username", ""), client_id=authorization.client_id
                )
            authorization = attrs.evolve(authorization, hint=form.get("username", ""))
            return _page(state, login_state, authorization, named)
        user_id = named.user_id
    profile = state.users.get(user_id)
    if profile is None:
        return _page(state, login_state, authorization, "This user no longer exists.")
    if not fits_connection(state, authorization, profile):
        return _page(state, login_state, authorization, "This user is not in the connection of this login.")
    if state.logins.pages.take(login_state, now=call.now) is None:
        return _stale()  # pragma: no cover  # a race: the form was submitted twice
    if profile.root.get("blocked") is True:
        about = {"client_id": authorization.client_id, "description": BLOCKED[1]}
        logs.note(state, call.request, "f", user=profile, **about)
        return refuse(authorization, *BLOCKED)
    try:
        trigger.count_login(state, call, user_id, client_id=authorization.client_id)
    except ProfileTooLarge:
        return refuse(authorization, "access_denied", state.switches.login_failure_description)
    session = Session(user_id, secrets.token_urlsafe(24), call.now)
    # The session begins before the trigger runs, so a refused login leaves a session too.
    cookie = state.logins.sessions.put(session, until=call.now + SESSION_LIFETIME, now=call.now)
    reply = _run(state, call, Login(authorization, session, _cookie(state, call, "browser")))
    return attrs.evolve(_set_cookie(state, reply, "session", cookie), committed=True)


def _named(
    state: TenantState, call: Call, authorization: AuthorizationRequest, name: str, password: str
) -> Profile | str:
    """Return the user with this email or username, or what is wrong; a password counts if one of these users has one.

    A new email without a password becomes a user of the connection that was asked for, by default the database.
    """
    resources, email = state.resources, name.lower()
    with state.users.lock:
        both = (*state.users.with_email(email), *state.users.with_username(name))
        known = [user for user in both if fits_connection(state, authorization, user)]
        without = [user for user in known if not resources.has_password(user.user_id)]
        for user in known:
            if resources.password_matches(user.user_id, password):
                return user
        if without and not (password and len(without) < len(known)):
            return without[0]
        if known or password:
            return _WRONG
        if not _EMAIL.fullmatch(email):
            return "That is not an email address."
        connection = connection_named(state, authorization.connection or profiles.DEFAULT_CONNECTION)
        body = {"email": email, "connection": connection.name}
        new, now_ms = f"{connection.strategy}|{state.new_object_id()}", state.milliseconds()
        made = profiles.created(body, user_id=new, now_ms=now_ms, switches=state.switches)
        try:
            state.save(made, before=None, by=BY_LOGIN, call=call, client_id=authorization.client_id)
        except ProfileTooLarge as error:
            return error.message
    return made


# The trigger, and after it ---------------------------------------------------------------------------


def _run(state: TenantState, call: Call, login: Login) -> Reply:
    profile = state.users.get(login.session.user_id)
    if profile is None:
        return refuse(login.authorization, "access_denied", "The user does not exist.")
    if profile.root.get("blocked") is True:
        state.logins.sessions.take(_cookie(state, call, "session"), now=call.now)
        return refuse(login.authorization, *BLOCKED)
    outcome = trigger.run(state, call.request, login, profile, protocol=protocol_of(login.authorization))
    return _end(state, call, login, outcome)


def resume(state: TenantState, call: Call) -> Reply:
    """Resume the trigger, once, in the browser that it redirected."""
    form = call.body or {}
    login_state = call.request.query.get("state") or form.get("state", "")
    waiting = state.logins.suspended.get(login_state, now=call.now)
    if waiting is None or waiting.browser != _cookie(state, call, "browser"):
        return _stale()
    login = state.logins.suspended.take(login_state, now=call.now)
    if login is None:
        return _stale()  # pragma: no cover  # a race: the link was followed twice
    outcome = trigger.resume(state, call.request, login, login_state, form)
    return _end(state, call, login, outcome)


def _end(state: TenantState, call: Call, login: Login, outcome: LoginOutcome) -> Reply:
    """Redirect to where the trigger sends the browser, or answer the application."""
    authorization, now = login.authorization, state.now()
    if outcome.url is not None:
        state.logins.suspended.put(login, until=now + SUSPENDED_LIFETIME, now=now, key=outcome.state)
        return redirect(outcome.url)
    if outcome.error is not None:
        return refuse(authorization, outcome.error, outcome.reason)
    return grant(state, call, outcome.granted(state, login, authorization.scopes))


# Logging out -------------------------------------------------------------------------------------------------


def log_out(state: TenantState, call: Call) -> Reply:
    """End the session and redirect to `returnTo`, which must be listed or on loopback."""
    query = call.request.query
    target = query.get("returnTo")
    if target is not None and not _may_log_out_to(state, query.get("client_id"), target):
        shown = f"The application does not allow a logout to redirect to {target!r}."
        return error_page(400, "invalid_request", shown)
    return _logged_out(state, call, target)


def end_session(state: TenantState, call: Call) -> Reply:
    """End the session and redirect to `post_logout_redirect_uri`, which the client or the tenant must list.

    Auth0 asks whether to log out if neither hint belongs to the session; no such page is served.
    """
    sent = call.request.query if call.body is None else call.body
    try:
        target = logout_target(state, sent)
    except Refusal as refusal:
        return error_page(refusal.status, refusal.body["error"], refusal.body["error_description"])
    if target is not None and "state" in sent:
        target = with_query(target, {"state": sent["state"]})
    return _logged_out(state, call, target)


def _logged_out(state: TenantState, call: Call, target: str | None) -> Reply:
    """End the browser's session, and redirect if there is a target."""
    headers = call.request.headers
    if headers.get("sec-fetch-site") == "cross-site" and headers.get("sec-fetch-dest") != "document":
        # An image or a frame of any page could end the session; applications send the whole window here.
        return error_page(403, "access_denied", "A page of another site can't log a user out unseen.")
    reply = Reply(200, b"OK", content_type=_TEXT) if target is None else redirect(target)
    session = state.logins.sessions.take(_cookie(state, call, "session"), now=call.now)
    if session is not None:
        client_id = call.request.query.get("client_id")
        logs.logged_out(state, call.request, session.user_id, client_id=client_id)
    return _set_cookie(state, reply, "session", "")


def _may_log_out_to(state: TenantState, client_id: str | None, target: str) -> bool:
    """Return whether a logout may redirect to `target`: the client's list decides, without a client the tenant's."""
    if not client_id:
        return logout_allowed(settings(state).get("allowed_logout_urls"), target)
    application = state.application(client_id)
    return application is not None and application.may_log_out_to(target)


_OPEN = "open: follows the standards (OpenID Connect, RFC 7636)"
ROUTES = (
    Route("GET", "/authorize", authorize, group=None, evidence=_OPEN),
    Route("GET", "/u/login", show_login_page, group=None, evidence="open: this tenant's own page"),
    Route("POST", "/u/login", sign_in, group=None, body=PageForm(), evidence="open: this tenant's own page"),
    documented("GET", "/continue", resume, group=None),
    documented("POST", "/continue", resume, group=None, body=PageForm()),
    documented("GET", "/v2/logout", log_out, group=None),
    documented("GET", "/oidc/logout", end_session, group=None),
    documented("POST", "/oidc/logout", end_session, group=None, body=PageForm(open_record())),
)
