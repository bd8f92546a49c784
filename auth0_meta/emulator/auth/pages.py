"""The pages of a login: pick a user, or read why the login can't continue.  Every value is escaped.

Two pages run a script, which is always the same; it reads what it sends from the page.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from functools import cache
from html import escape
from typing import Any
from urllib.parse import quote

from auth0_meta.emulator.http.errors import NOT_SERVED
from auth0_meta.emulator.http.message import Reply
from auth0_meta.emulator.rules.application import origin_of
from auth0_meta.emulator.state.logins import AuthorizationRequest

_SHELL = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<main>
<p class="tenant">Local tenant</p>
<h1>{title}</h1>
{content}
</main>
</body>
</html>
"""
_PICK = """<p class="to">to <strong>{client}</strong>, which is at <code>{where}</code></p>
{notice}
<form method="post" action="/u/login" class="users">
<input type="hidden" name="state" value="{state}">
<ul>
{users}
</ul>
</form>
{more}
<form method="post" action="/u/login" class="other">
<input type="hidden" name="state" value="{state}">
{heading}
<label for="username">Email address</label>
<input id="username" name="username" value="{hint}" placeholder="ada@example.com" autocomplete="username" autocapitalize="none" spellcheck="false" inputmode="email" required>
<label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="current-password">
<button type="submit" name="action" value="default">Continue</button>
</form>
<p class="note">{note} A user without a password needs none. A new email address without a password creates a new user.</p>"""
_USER = """<li><button name="user" value="{id}"><span class="face" aria-hidden="true">{face}</span>
<span class="who"><span>{name}</span><small>{detail}</small></span></button></li>"""
_ERROR = """<p class="error" role="alert">{message}</p>
<p class="note"><code>{code}</code>: go back to the application and log in again.</p>"""

_NEW_PASSWORD = """{notice}
<form method="post" action="/u/reset-password" class="other">
<input type="hidden" name="ticket" value="{ticket}">
<label for="password">New password</label>
<input id="password" name="password" type="password" autocomplete="new-password" required>
<button type="submit" name="action" value="default">Change password</button>
</form>"""  # noqa: S105  # a form
_NOT_SERVED = """<p class="error" role="alert">{message}</p>
<p class="note"><code>{code}</code>: Auth0 may well have this page.</p>"""

_BACK = "Back to the application"
_FIELD = '<input type="hidden" name="{name}" value="{value}">'
_FORM_POST = """<form method="post" action="{target}" class="other">
{fields}
<button>Continue</button>
</form>"""
_SUBMIT = "document.forms[0].submit()"
_WEB_MESSAGE = """<p id="message" class="note" data-target="{target}" data-message="{message}">This window can be closed.</p>"""
_SEND = """const { target, message } = document.getElementById("message").dataset;
(window.opener || window.parent).postMessage(JSON.parse(message), target);"""


@cache
def _style() -> str:
    from importlib.resources import files  # noqa: PLC0415  # loads on use

    return (files("auth0_meta.emulator.control") / "static" / "login.css").read_text(encoding="utf-8")


@cache
def _policy(script: str, framed_by: str) -> str:
    """Return the policy that allows the style sheet, this script, and frames in pages of this origin only.

    There is no `form-action`: browsers apply it to the redirects that follow a form too, and those lead to the
    application, or wherever its trigger sends users.
    """
    style, run = (
        base64.b64encode(hashlib.sha256(one.encode()).digest()).decode() for one in (_style(), script)
    )
    allowed = f"script-src 'sha256-{run}'; " if script else ""
    return f"default-src 'none'; style-src 'sha256-{style}'; {allowed}base-uri 'none'; frame-ancestors {framed_by}"


def _page(
    status: int,
    title: str,
    content: str,
    *,
    script: str = "",
    framed_by: str = "'none'",
    referrer: str = "same-origin",  # with no-referrer a browser names no origin for the form either
) -> Reply:
    headers = (
        ("Content-Security-Policy", _policy(script, framed_by)),
        ("Referrer-Policy", referrer),
        ("X-Content-Type-Options", "nosniff"),
    )
    if script:
        content = f"{content}\n<script>{script}</script>"
    body = _SHELL.format(title=escape(title), style=_style(), content=content)
    return Reply(
        status, body.encode("utf-8", "replace"), content_type="text/html; charset=utf-8", headers=headers
    )


def login_page(
    login_state: str, authorization: AuthorizationRequest, users: list[dict[str, Any]], more: int, notice: str
) -> Reply:
    """Return the page for picking one of `users`, or entering an email; there are `more` users than these."""
    items = [_item(user) for user in users]
    content = _PICK.format(
        client=escape(authorization.client_id),
        where=escape(origin_of(authorization.redirect_uri).partition("://")[2]),
        state=escape(login_state),
        users="\n".join(items),
        more=f'<p class="note">and {more} more: enter an email address to pick one of them.</p>'
        if more
        else "",
        heading='<p class="or">or</p>' if items else "",
        note="Anyone in the list logs in with a click." if items else "",
        hint=escape(authorization.hint),
        notice=f'<p class="error" role="alert">{escape(notice)}</p>' if notice else "",
    )
    return _page(400 if notice else 200, "Log in", content)


def _item(user: Mapping[str, Any]) -> str:
    user_id = str(user["user_id"])
    detail = str(user.get("email") or user_id)
    name = str(user.get("name") or detail)
    return _USER.format(
        id=escape(user_id),
        face=escape(name[:1].upper()),
        name=escape(name),
        detail=escape(detail if detail != name else user_id),
    )


def form_post_page(target: str, params: Mapping[str, str]) -> Reply:
    """Return the page that posts the response of a login to the application's callback."""
    fields = "\n".join(_FIELD.format(name=escape(name), value=escape(params[name])) for name in params)
    content = _FORM_POST.format(target=escape(target), fields=fields)
    # The application is another site, and may want to know where the form came from.
    return _page(200, _BACK, content, script=_SUBMIT, referrer="origin")


def web_message_page(origin: str, params: Mapping[str, str]) -> Reply:
    """Return the page that hands the response of a login to the page around it, or to the one that opened it.

    The browser delivers the message, and shows the page in a frame, only if that page is of this origin.
    """
    message = json.dumps({"type": "authorization_response", "response": dict(params)})
    content = _WEB_MESSAGE.format(target=escape(origin), message=escape(message))
    return _page(200, _BACK, content, script=_SEND, framed_by=quote(origin, ":/[]", errors="replace"))


def message_page(status: int, title: str, message: str) -> Reply:
    """Return a page that says what happened."""
    return _page(status, title, f'<p role="status">{escape(message)}</p>')


def password_page(ticket: str, notice: str = "") -> Reply:
    """Return the form for a new password."""
    shown = f'<p class="error" role="alert">{escape(notice)}</p>' if notice else ""
    content = _NEW_PASSWORD.format(notice=shown, ticket=escape(ticket))
    return _page(400 if notice else 200, "Change your password", content)


def not_served_page(message: str) -> Reply:
    """Return the page that says what the local tenant does not serve."""
    return _page(404, "Not served", _NOT_SERVED.format(message=escape(message), code=NOT_SERVED))


def error_page(status: int, code: str, message: str) -> Reply:
    """Return the page that says why a login can't continue, for errors that can't be sent to the application."""
    return _page(
        status, "This login can't continue", _ERROR.format(message=escape(message), code=escape(code))
    )
