"""What /authorize sends to an application (`response_type`), and how it is sent (`response_mode`).

Source: Auth0 docs, "OAuth 2.0 Authorization Framework", "Configure Silent Authentication" and "Call Your API Using the
Hybrid Flow"; for what they leave open, OAuth 2.0 Multiple Response Type Encoding Practices and OpenID Connect Core.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

from auth0_meta.emulator.auth.grants import issue_access_token, issue_id_token
from auth0_meta.emulator.auth.pages import form_post_page, web_message_page
from auth0_meta.emulator.http.message import Call, Reply
from auth0_meta.emulator.rules.application import Application, origin_of
from auth0_meta.emulator.state.logins import AuthorizationRequest, Granted
from auth0_meta.emulator.state.tenant_state import TenantState

_TYPES = frozenset(("code", "id_token", "token"))
_MODES = ("query", "fragment", "form_post", "web_message")
_TEXT = "text/plain; charset=utf-8"
_PRINTABLE = bytes(range(0x21, 0x7F))
# A token needs the grant `implicit`, alone and beside a code (documented).
_GRANTS = {"code": "authorization_code", "token": "implicit", "id_token": "implicit"}
_PROTOCOLS = {(True, False): "oidc-basic-profile", (False, True): "oidc-implicit-profile"}


def response_asked(query: Mapping[str, str]) -> dict[str, Any]:
    """Return the response types of a request, and the mode in which even an error can be sent.

    Tokens never go into a query, which servers log; without a mode, and for one that does not exist, the type decides.
    """
    types = tuple(dict.fromkeys(query.get("response_type", "").split()))
    mode = query.get("response_mode", "")
    if mode not in _MODES or (mode == "query" and not {*types} <= {"code"}):
        mode = "query" if {*types} <= {"code"} or not _TYPES.issuperset(types) else "fragment"
    return {"response_types": types, "response_mode": mode}


def refused_response(application: Application, authorization: AuthorizationRequest) -> tuple[str, str] | None:
    """Return the error and its description if the application can't have this response, else None."""
    types, mode = authorization.response_types, authorization.query.get("response_mode")
    if not types or not _TYPES.issuperset(types):
        return "unsupported_response_type", "response_type must be made of code, id_token and token."
    if mode is not None and mode not in _MODES:
        return "invalid_request", f"response_mode must be one of {', '.join(_MODES)}."
    if mode == "query" and authorization.response_mode != "query":
        return "invalid_request", "response_mode=query is for a code alone: tokens don't belong in a query."
    if "id_token" in types and not authorization.nonce:
        return "invalid_request", "A nonce is required for an ID token from /authorize."
    for grant in (_GRANTS[one] for one in types):
        if not application.grants(grant):
            return "unauthorized_client", f"Grant type '{grant}' not allowed for the client."
    return None


def may_receive(application: Application, authorization: AuthorizationRequest) -> bool:
    """Return whether the page at the callback's origin may get the response, if it is asked for as a message."""
    return authorization.response_mode != "web_message" or application.allows_message_to(
        origin_of(authorization.redirect_uri)
    )


def protocol_of(authorization: AuthorizationRequest) -> str:
    """Return what the post-login event calls this kind of login."""
    code = "code" in authorization.response_types
    token = "token" in authorization.response_types or "id_token" in authorization.response_types
    return _PROTOCOLS.get((code, token), "oidc-hybrid-profile")


def refuse(authorization: AuthorizationRequest, error: str, description: str) -> Reply:
    """Send an error to the application."""
    return _respond(authorization, error=error, error_description=description)


def grant(state: TenantState, call: Call, granted: Granted) -> Reply:
    """Send the application what it asked for: a code, tokens, or both."""
    authorization, session = granted.login.authorization, granted.login.session
    profile = state.users.get(session.user_id)
    if profile is None:
        return refuse(authorization, "access_denied", "The user does not exist.")
    params: dict[str, str] = {}
    hashes: dict[str, str] = {}
    if "code" in authorization.response_types:
        until = call.now + state.switches.code_lifetime
        params["code"] = state.logins.codes.put(granted, until=until, now=call.now)
        hashes["c_hash"] = _half_hash(params["code"])
    if "token" in authorization.response_types:
        token = issue_access_token(state, call, granted, in_browser=True)
        params |= {"access_token": token.text, "expires_in": str(token.lifetime), "token_type": "Bearer"}
        params |= {"scope": " ".join(token.scopes)} if token.scopes else {}
        hashes["at_hash"] = _half_hash(token.text)
    if "id_token" in authorization.response_types:
        params["id_token"] = issue_id_token(state, call, granted, profile, authorization.nonce, **hashes)
    return _respond(authorization, **params)


def _half_hash(text: str) -> str:
    """Return the hash that binds an ID token to what came with it, as for RS256."""
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()[:16]).rstrip(b"=").decode()


def _respond(authorization: AuthorizationRequest, **params: str) -> Reply:
    if authorization.state is not None:
        params["state"] = authorization.state
    target = authorization.redirect_uri.partition("#")[0]  # documented: Auth0 drops a fragment
    match authorization.response_mode:
        case "query":
            return redirect(with_query(target, params))
        case "fragment":
            return redirect(f"{target}#{urlencode(params)}")
        case "form_post":
            return form_post_page(target, params)
        case _:
            return web_message_page(origin_of(target), params)


def with_query(url: str, params: Mapping[str, str]) -> str:
    """Return an address, whatever it is, with more parameters in its query."""
    rest, mark, fragment = url.partition("#")
    path, _, query = rest.partition("?")
    return f"{path}?{'&'.join(filter(None, (query, urlencode(params))))}{mark}{fragment}"


def redirect(url: str) -> Reply:
    """Send the browser to an address; what no header may contain, a line break say, is sent percent-encoded."""
    return Reply(
        302, content_type=_TEXT, headers=(("Location", quote(url.encode("utf-8", "replace"), _PRINTABLE)),)
    )
