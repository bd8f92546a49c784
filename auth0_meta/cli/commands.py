"""The commands there are, with the line that help shows for each; needs no extra."""

from __future__ import annotations

COMMANDS = {
    "demo": "Tell the whole story on a local tenant: no account, no network.",
    "doctor": "Check token, scopes, audience, clock and rate limit, with a remedy for each failure.",
    "emulator": "Run a local Auth0 tenant.",
    "migrate": "Change many users: plan, apply at the tenant's pace, resume, undo.",
    "user": "Show or change one user's metadata.",
}
