"""Kill a migration's run as a machine does that loses its power, and start it again."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

from auth0_meta.emulator import LocalTenant

USERS = int(os.environ.get("AUTH0_META_KILL_USERS", "150"))
KILLS = int(os.environ.get("AUTH0_META_KILLS", "3"))
RATE = os.environ.get("AUTH0_META_KILL_RATE", "200@120")


def start(tenant: LocalTenant, job: Path, step: str) -> subprocess.Popen[bytes]:
    """Start a run as a user would."""
    line = [sys.executable, "-m", "auth0_meta", "migrate", step, str(job), "--yes"]
    return subprocess.Popen(
        line, env={**os.environ, **tenant.env}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )


def killed_until_done(tenant: LocalTenant, job: Path, step: str, seed: int) -> int:
    """Run a step to its end, and kill it `KILLS` times while it writes; return how many kills hit it at work."""
    chance = random.Random(seed)
    kills = 0
    for _ in range(KILLS):
        before = tenant.journal.count("PATCH")
        process = start(tenant, job, step)
        while process.poll() is None and tenant.journal.count("PATCH") == before:
            time.sleep(0.005)
        time.sleep(chance.uniform(0, 0.4))
        kills += process.poll() is None
        process.kill()
        process.communicate()
    last = start(tenant, job, step)
    _, talk = last.communicate(timeout=600)
    assert last.returncode == 0, talk.decode()
    return kills
