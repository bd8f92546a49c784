"""An application that logs users in at a local tenant with the code flow, as a browser and a server together do."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import requests
from jose import jwt

from auth0_meta.emulator import LocalTenant
from support.page_visitor import Visitor

CALLBACK = "http://127.0.0.1:9/callback"
VERIFIER = "a-verifier-of-this-test-that-is-long-enough-for-pkce"
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()


class App:
    """One application and one browser; a context manager.  `secret` is sent wherever it is set."""

    def __init__(self, tenant: LocalTenant, client_id: str = "app", secret: str | None = None) -> None:
        self.tenant, self.client_id, self.secret = tenant, client_id, secret
        self.visitor = Visitor(stop=CALLBACK)

    def __enter__(self) -> App:
        self.visitor.__enter__()
        return self

    def __exit__(self, *about: Any) -> None:
        self.visitor.__exit__(*about)

    def ask(self, **params: str) -> Visitor:
        """Visit /authorize; the login page is shown, or the callback reached."""
        asked = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": CALLBACK,
            "scope": "openid",
            "state": "the-state",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
        }
        return self.visitor.get(f"{self.tenant.url}/authorize", **(asked | params))

    def log_in(self, user_id: str | None, **params: str) -> dict[str, Any]:
        """Log a user in, None if somebody is signed in already, and return the response of the token endpoint."""
        self.ask(**params)
        if user_id is not None:
            self.visitor.press(user_id)
        assert "code" in self.visitor.params, (self.visitor.page.text, self.visitor.params)
        return self.tokens(
            grant_type="authorization_code",
            code=self.visitor.params["code"],
            redirect_uri=CALLBACK,
            code_verifier=VERIFIER,
        ).json()

    def refused(self, user_id: str | None = None, **params: str) -> tuple[str, str]:
        """Log a user in, and return the error and the description that the callback gets."""
        self.ask(**params)
        if user_id is not None:
            self.visitor.press(user_id)
        found = self.visitor.params
        assert found.get("state") == "the-state", self.visitor.page.text
        return found["error"], found["error_description"]

    def tokens(self, **form: str) -> requests.Response:
        """Send a form to the token endpoint."""
        secret = {"client_secret": self.secret} if self.secret else {}
        return self.post("/oauth/token", client_id=self.client_id, **secret, **form)

    def refresh(self, token: str, **form: str) -> requests.Response:
        """Exchange a refresh token."""
        return self.tokens(grant_type="refresh_token", refresh_token=token, **form)

    def post(self, path: str, **form: str) -> requests.Response:
        """Send a form."""
        return requests.post(self.tenant.url + path, data=form, timeout=10)

    def claims(self, token: str, audience: str) -> dict[str, Any]:
        """Return the claims of a token, verified with the published keys."""
        keys = requests.get(f"{self.tenant.url}/.well-known/jwks.json", timeout=10).json()
        claims: dict[str, Any] = jwt.decode(
            token,
            keys,
            algorithms=["RS256"],
            audience=audience,
            issuer=f"{self.tenant.url}/",
            options={"verify_at_hash": False},
        )
        return claims
