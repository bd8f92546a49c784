"""Sign and verify the session tokens that an action's redirect carries to another site and back."""

from auth0_meta.auth.jwt import sign_hs256 as sign_hs256
from auth0_meta.auth.jwt import verify_hs256 as verify_hs256
