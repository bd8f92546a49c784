"""Faults in mid-run, on real sockets and in real time: a batch and plain threads lose nothing.

test_bucket.py has the arithmetic, benchmarks/pace.py the figures.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from urllib.parse import unquote

import pytest
from support.bucket_simulation import EPOCH, Tenant
from support.scripted_server import Reply, ScriptedServer, Seen, connect

from auth0_meta import ManagementClient, MetadataBatch
from auth0_meta.emulator import LocalTenant

pytestmark = pytest.mark.slow

UPDATES = 100
SIZE, RATE = 20, 40.0
IDEAL = (UPDATES - SIZE) / RATE


def by_batch(client: ManagementClient, share: float = 1.0) -> None:
    """Update every user with a batch."""
    with MetadataBatch(client, share=share) as batch:
        for n in range(UPDATES):
            batch.user(f"auth0|{n}").app_metadata["n"] = n
    assert batch.results.done == UPDATES


def by_threads(client: ManagementClient) -> None:
    """Update every user with eight plain threads."""
    left, lock, done = iter(range(UPDATES)), threading.Lock(), []

    def work() -> None:
        while True:
            with lock:
                n = next(left, None)
            if n is None:
                return
            with client.transaction(f"auth0|{n}") as tx:
                tx.app_metadata["n"] = n
            done.append(n)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(done) == list(range(UPDATES))


def _double(tenant: Tenant) -> None:
    tenant.size *= 2


def _halve(tenant: Tenant) -> None:
    tenant.size //= 2
    tenant.tokens = min(tenant.tokens, tenant.size)


def _slower(tenant: Tenant) -> None:
    tenant.rate /= 2


def _vanish(tenant: Tenant) -> None:
    tenant.headers = "none"


def _empty(tenant: Tenant) -> None:
    tenant.tokens = 0.0


def _later(tenant: Tenant) -> None:
    tenant.offset += 3600


def _earlier(tenant: Tenant) -> None:
    tenant.offset -= 3600


def _storm(tenant: Tenant) -> None:
    tenant.deaf_until = tenant.at + 1.0


@pytest.mark.parametrize("work", [by_batch, by_threads])
@pytest.mark.parametrize("fault", [_double, _halve, _slower, _vanish, _empty, _later, _earlier, _storm])
def test_faults_in_mid_run_lose_nothing(
    fault: Callable[[Tenant], None], work: Callable[[ManagementClient], None]
) -> None:
    """Whatever happens to the bucket or the clock after 40 updates, each user is written once and few requests are refused."""
    tenant = Tenant(SIZE, RATE)
    start, lock = time.monotonic(), threading.Lock()
    written: Counter[str] = Counter()

    def respond(seen: Seen) -> Reply:
        with lock:
            ok, headers = tenant.take(time.monotonic() - start)
            if ok:
                written[seen.path] += 1
                if sum(written.values()) == 40:
                    fault(tenant)
        body = (
            {"user_id": unquote(seen.path.rpartition("/")[2])}
            if ok
            else {"statusCode": 429, "error": "Too Many Requests", "message": "Global limit"}
        )
        return Reply(200 if ok else 429, body, headers, date=False)

    with ScriptedServer(respond) as server, connect(server) as client:
        work(client)
    took = time.monotonic() - start
    assert len(written) == UPDATES
    assert set(written.values()) == {1}
    assert tenant.refused <= 20
    assert took < 4 * IDEAL + 4
    assert tenant.clock(0) >= EPOCH - 3600


@pytest.mark.parametrize("drop", ["before_commit", "after_commit", "reset"])
def test_dropped_connections_lose_nothing(drop: str) -> None:
    """Five percent drop; each loss costs at most a read-back, and every user ends up as intended."""
    with LocalTenant(rate_limit="50@50", seed=3) as tenant, tenant.client(token="any.given.token") as client:
        for n in range(UPDATES):
            tenant.users.add(user_id=f"auth0|{n}")
        fault = tenant.fail(path="/api/v2/users/{id}", probability=0.05, times=None, drop=drop)  # type: ignore[arg-type]
        by_batch(client)
        assert fault.fired
        assert [tenant.users[f"auth0|{n}"].app_metadata for n in range(UPDATES)] == [
            {"n": n} for n in range(UPDATES)
        ]
        assert tenant.journal.count(status=429) <= 2


def test_a_storm_of_refusals_stops_everybody_at_one_gate() -> None:
    """Ten refusals in a row don't cause a hundred more."""
    with LocalTenant(rate_limit="50@100") as tenant, tenant.client(token="any.given.token") as client:
        for n in range(UPDATES):
            tenant.users.add(user_id=f"auth0|{n}")
        tenant.fail(method="PATCH", nth=30, times=10, status=429, reset=1)
        by_threads(client)
        assert 10 <= tenant.journal.count(status=429) <= 14
        assert tenant.journal.count("PATCH", status=200) == UPDATES
