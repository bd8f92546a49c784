"""Run the trigger in a web application's login: each of the modules `flask`, `django` and `fastapi` has a class `PostLogin`.

Authlib does the OpenID Connect part and verifies the ID token; `verify_id_token` is for applications without
Authlib.
"""

from __future__ import annotations

from auth0_meta.actions.web.core import Login
from auth0_meta.actions.web.idtoken import SigningKeys, verify_id_token
from auth0_meta.actions.web.urls import ReturnUrls

__all__ = ["Login", "ReturnUrls", "SigningKeys", "verify_id_token"]
