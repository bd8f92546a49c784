"""The services that tests use are real: each responds to its own client program."""

from __future__ import annotations

import subprocess

import pytest
from support.services import program

pytestmark = pytest.mark.service


def test_redis_responds(redis_url: str) -> None:
    """A value that was set is read back."""
    for words, expected in ((["set", "plan", "pro"], "OK"), (["get", "plan"], "pro")):
        done = subprocess.run(
            [program("redis-cli"), "-u", redis_url, *words],
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        )
        assert done.stdout.strip() == expected


def test_postgresql_responds(postgres_url: str) -> None:
    """A query is computed by the server."""
    done = subprocess.run(
        [program("psql"), "-At", "-c", "select '{\"plan\": \"pro\"}'::jsonb ->> 'plan'", postgres_url],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert done.stdout.strip() == "pro"
