"""The commands, with the line that help shows for each; importing this needs no extra."""

from __future__ import annotations

COMMANDS = {
    "audit": "Find oversized profiles, and what else in user metadata will cause trouble.",
    "completion": "Print the script that lets a shell complete commands and options.",
    "demo": "Show how the package works, on a local tenant: no account, no network.",
    "doctor": "Check token, scopes, audience, clock and rate limit, and say how to fix them.",
    "emulator": "Run a local Auth0 tenant.",
    "migrate": "Change many users: plan, review, apply at the tenant's pace, resume, undo.",
    "offload": "Move large values out of the profiles into a database of your own: plan it.",
    "user": "Find, list and show users, and change one user's metadata.",
}
