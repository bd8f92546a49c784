"""The sample "small": three users, whom the examples of the documentation change."""

from __future__ import annotations

from typing import Any

SMALL: tuple[dict[str, Any], ...] = (
    {
        "user_id": "auth0|123",
        "email": "ada@example.com",
        "name": "Ada Lovelace",
        "user_metadata": {"prefs": {"lang": "en", "old": 1, "mail": True}},
        "app_metadata": {
            "billing": {"plan": "free", "trial": "2026-12-01"},
            "counters": {"logins": 41},
            "legacy": 1,
        },
    },
    {
        "user_id": "auth0|456",
        "email": "grace@example.com",
        "name": "Grace Hopper",
        "user_metadata": {"theme": "dark"},
        "app_metadata": {"plan": "pro", "tenants": ["acme", "globex"]},
    },
    {
        "user_id": "google-oauth2|789",
        "email": "alan@example.com",
        "name": "Alan Turing",
        "app_metadata": {"plan": "free"},
    },
)
"""A few users to experiment with; the examples in the documentation change auth0|123."""
