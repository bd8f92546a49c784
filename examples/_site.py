"""What the three web examples share: the tenant, the actions of a login, the consent page and the other pages."""

from __future__ import annotations

import os
import secrets
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from html import escape
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import attrs

from auth0_meta import ManagementClient
from auth0_meta.actions import Api, Event, PostLoginTrigger
from auth0_meta.actions.web import ReturnUrls
from auth0_meta.errors import AuthError
from auth0_meta.jwt import sign_hs256, verify_hs256

if TYPE_CHECKING:
    from auth0_meta.emulator import LocalTenant

PORT = 3000
NO_STORE = {"Cache-Control": "no-store"}
"""For pages that show a profile or a token: neither browser nor proxy keeps them."""
USERS: list[dict[str, Any]] = [
    {"user_id": "auth0|ada", "email": "ada@example.com", "name": "Ada Lovelace"},
    {"user_id": "auth0|byron", "email": "byron@example.com", "name": "Annabella Byron"},
    {"user_id": "auth0|held", "email": "held@example.com", "name": "On Hold", "app_metadata": {"hold": True}},
]


def count_logins(event: Event, api: Api) -> None:
    """Count the user's logins, and refuse accounts that are on hold."""
    api.user.set_app_metadata("logins", event.user.app_metadata.get("logins", 0) + 1)
    if event.user.app_metadata.get("hold"):
        api.access.deny("This account is on hold.")


class Consent:
    """Ask for consent once, on a page of another site; without consent, refuse the login."""

    def __init__(self, url: str) -> None:
        self.url = url

    def on_execute_post_login(self, event: Event, api: Api) -> None:
        """Send a user without consent to the page; what is staged so far is written first."""
        if event.user.user_metadata.get("consent"):
            return
        if not api.redirect.can_redirect():
            api.access.deny("Please log in with a browser first, to give your consent.")
            return
        token = api.redirect.encode_token(secret=event.secrets["CONSENT"])
        api.redirect.send_user_to(self.url, query={"session_token": token})

    def on_continue_post_login(self, event: Event, api: Api) -> None:
        """Store the answer, if its signature, user and state are right."""
        answer = api.redirect.validate_token(secret=event.secrets["CONSENT"])
        if not answer.get("consent"):
            api.access.deny("A login needs your consent.")
            return
        api.user.set_user_metadata("consent", {"newsletter": True, "at": int(answer["iat"])})


@attrs.frozen
class Site:
    """A running example: its URL, the tenant where users log in, and the trigger of its logins."""

    url: str
    client: ManagementClient
    trigger: PostLoginTrigger
    domain: str
    client_id: str
    client_secret: str
    tenant: LocalTenant | None
    secret: str
    returns: ReturnUrls

    @property
    def metadata_url(self) -> str:
        """Return the URL where Authlib finds the tenant's endpoints and keys."""
        base = self.domain if "://" in self.domain else f"https://{self.domain}"
        return f"{base}/.well-known/openid-configuration"

    def moved_url(self, requested: str) -> str | None:
        """Return the URL to redirect to if `requested` has a different host name from this site, otherwise None.

        Browsers keep the cookies of localhost and of 127.0.0.1 apart, and a login needs all of its cookies.
        """
        parts = urlsplit(requested)
        here = urlsplit(self.url)
        return None if parts.netloc == here.netloc else parts._replace(netloc=here.netloc).geturl()

    def logout_url(self) -> str:
        """Return the URL that ends the tenant's session too."""
        return self.returns.logout(self.domain, client_id=self.client_id, return_to=f"{self.url}/")

    # The consent page, which would be on another site --------------------------------------------------

    def consent_page(self, query: Mapping[str, str]) -> str:
        """Return the consent page; each answer is a separate token, bound to the state and the user of this login."""
        try:
            _, claims = verify_hs256(query.get("session_token", ""), secret=self.secret)
        except AuthError:
            return page("This link is not valid", "<p>Please log in again.</p>")
        state, now = query.get("state", ""), int(time.time())
        if not claims["exp"] > now:
            return page("This link has expired", "<p>Please log in again.</p>")
        common = {"sub": claims["sub"], "iss": "consent", "iat": now, "exp": now + 300, "state": state}
        answers = [
            (text, sign_hs256({**common, "consent": yes}, secret=self.secret))
            for text, yes in (("Yes, please", True), ("No, thank you", False))
        ]
        buttons = "".join(
            f'<button name="session_token" value="{escape(token)}">{text}</button> '
            for text, token in answers
        )
        hidden = f'<input type="hidden" name="state" value="{escape(state)}">'
        form = f'<form method="post" action="{self.url}/continue">{hidden}{buttons}</form>'
        return page("May we write to you?", f"<p>We send one email a month, about engines.</p>{form}")

    # The other pages ---------------------------------------------------------------------------------

    def home_page(self, user: Mapping[str, Any] | None) -> str:
        """Return the home page; a user who is logged in sees their profile and the requests to the tenant."""
        if user is None:
            return page(
                "Example application",
                '<p>You are not logged in.</p><p><a class="go" href="/login">Log in</a></p>',
            )
        profile = self.client.users.get(user["sub"])
        bags = {"user_metadata": profile.user_metadata, "app_metadata": profile.app_metadata}
        rows = "".join(
            f"<dt>{bag}</dt><dd><code>{escape(str(dict(values or {})))}</code></dd>"
            for bag, values in bags.items()
        )
        shown = f"<p>{escape(str(user.get('email', user['sub'])))}</p><dl>{rows}</dl>{self.journal()}"
        return page(f"Welcome, {user.get('name', 'you')}", f'{shown}<p><a href="/logout">Log out</a></p>')

    def journal(self) -> str:
        """Return the requests to the local tenant's Management API, with names and no values."""
        if self.tenant is None:
            return ""
        items = [
            f"{entry.method} {entry.status} {' '.join(f'{bag}.{key}' for bag, values in (entry.body or {}).items() for key in values)}"
            for entry in self.tenant.journal.requests(path="/api/v2/")
        ]
        lines = "".join(f"<li><code>{escape(item.strip())}</code></li>" for item in items)
        return f"<h2>Requests to the tenant</h2><ol>{lines}</ol>"


def request_line(line: str) -> str:
    """Return a line of the request log without the query, which has a code, a state or a token.

    >>> request_line("GET /callback?code=secret HTTP/1.1")
    'GET /callback HTTP/1.1'
    """
    target, _, version = line.partition("?")
    return f"{target} {version.rpartition(' ')[2]}" if version else line


def refused_page(reason: str | None = None) -> str:
    """Return the page for a user who is not let in: the reason of an action, or nothing that says more than this.

    What failed is for the log.  An error of the tenant, too: anybody can write its text into a link to the callback.
    """
    return page(
        "Login refused",
        f'<p role="alert">{escape(reason or "The login failed. Please try again.")}</p><p><a href="/logout">Log out and try again as another user</a></p>',
    )


def page(title: str, content: str) -> str:
    """Return a page; `title` is text, `content` is markup."""
    style = (
        "body{font:17px/1.6 system-ui,sans-serif;max-width:38rem;margin:3rem auto;padding:0 1rem;color:#1c2030}"
        "code{background:#eef0f6;padding:.1rem .3rem;border-radius:4px;overflow-wrap:anywhere}dd{margin:0 0 .6rem}"
        "button,.go{font:inherit;background:#4f46e5;color:#fff;border:0;border-radius:10px;padding:.5rem 1rem;"
        "text-decoration:none;cursor:pointer}h2{font-size:1.05rem}"
    )
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{escape(title)}</title><style>{style}</style>'
    return f'<!doctype html><html lang="en"><head>{head}</head><body><h1>{escape(title)}</h1>{content}</body></html>'


@contextmanager
def site() -> Iterator[tuple[Site, int]]:
    """Yield the site and the port to serve on, from the command line or 3000.

    Users log in at the tenant of AUTH0_DOMAIN, AUTH0_CLIENT_ID and AUTH0_CLIENT_SECRET (an application that
    may also use the Management API, with this site's /callback in its list of callbacks), or at a local
    tenant that is started here.
    """
    port = _port(sys.argv[1:])
    url = f"http://127.0.0.1:{port}"
    with suppress(KeyboardInterrupt), _site_at(url) as running:
        print(f"open {url}", flush=True)
        yield running, port


def _port(arguments: list[str]) -> int:
    """Return the port to serve on, or exit with a message that says what to do."""
    port = arguments[0] if arguments else str(PORT)
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 65_536):
        sys.exit(f"{port!r} is not a port: python {sys.argv[0]} {PORT}")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", int(port)))
        except OSError as error:
            sys.exit(
                f"port {port} is not available ({error.strerror}): choose another, python {sys.argv[0]} PORT"
            )
    return int(port)


@contextmanager
def _site_at(url: str) -> Iterator[Site]:
    if os.environ.get("AUTH0_DOMAIN"):
        names = ("AUTH0_DOMAIN", "AUTH0_CLIENT_ID", "AUTH0_CLIENT_SECRET")
        missing = [name for name in names if not os.environ.get(name)]
        if missing:
            sys.exit(
                f"set {' and '.join(missing)}: users log in at an application of the tenant, and a token is not enough"
            )
        domain, client_id, client_secret = (os.environ[name] for name in names)
        with ManagementClient.from_env() as client:
            yield _site(url, client, domain, client_id, client_secret, None)
        return
    from auth0_meta.emulator import LocalTenant  # noqa: PLC0415  # a real tenant needs no emulator extra

    with LocalTenant(users=USERS) as tenant, tenant.client() as client:
        print(f"AUTH0_DOMAIN is not set: users log in at a local tenant, {tenant.url}", file=sys.stderr)
        yield _site(url, client, tenant.url, tenant.client_id, tenant.client_secret, tenant)


def _site(
    url: str,
    client: ManagementClient,
    domain: str,
    client_id: str,
    client_secret: str,
    tenant: LocalTenant | None,
) -> Site:
    secret = secrets.token_urlsafe(32)
    trigger = PostLoginTrigger(client, [count_logins, Consent(f"{url}/consent")], secrets={"CONSENT": secret})
    returns = ReturnUrls(f"{url}/")
    return Site(url, client, trigger, domain, client_id, client_secret, tenant, secret, returns)
