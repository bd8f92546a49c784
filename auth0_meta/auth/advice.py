"""What to do about a refused credential or audience, in words that fit what the client was made with; PURE."""

from __future__ import annotations

from typing import NamedTuple

CANONICAL = "https://YOUR_TENANT.REGION.auth0.com/api/v2/"


class Advice(NamedTuple):
    """The advice of one client; the defaults are for one with a secret and an audience of its domain."""

    credentials: str = "Check client_id and client_secret (AUTH0_CLIENT_ID, AUTH0_CLIENT_SECRET), also for quotes around them"
    """When the token endpoint refuses them."""
    token: str = "Check the token, or pass client_id and client_secret"  # noqa: S105  # a sentence
    """When the Management API refuses a token."""
    audience: str = (
        f"Pass audience={CANONICAL!r} (AUTH0_AUDIENCE): with a custom domain it stays the canonical one"
    )
    """When the audience is not one of the tenant's APIs."""


_BY_KEY = (
    "Check client_id, key_id and algorithm, and that the application has the public key of this private_key"
)
_OWN_TOKEN = (
    "The tenant refuses a token that it has issued: check that domain and audience belong to one tenant"  # noqa: S105
)
_GIVEN_AUDIENCE = (
    f"The audience that you passed (AUTH0_AUDIENCE) is not the Management API of this tenant: check it against {CANONICAL!r}, "
    "with the tenant's own name and region"
)
_OF_GIVEN_TOKEN = f"Get a token whose audience is {CANONICAL!r}, from this domain: with a custom domain, too, it is the canonical one"


def advice_for(*, token: bool, private_key: bool, audience: bool) -> Advice:
    """Return the advice for a client, by what it was given; with none of it, it has a secret."""
    if token:
        return Advice(audience=_OF_GIVEN_TOKEN)
    advice = Advice(token=_OWN_TOKEN)
    if private_key:
        advice = advice._replace(credentials=_BY_KEY)
    return advice._replace(audience=_GIVEN_AUDIENCE) if audience else advice
