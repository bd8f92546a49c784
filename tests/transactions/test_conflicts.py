"""Conflicts, and waits between the GET and the PATCH: promises 2 and 5."""

from __future__ import annotations

import contextlib
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import requests
from requests.adapters import BaseAdapter
from support.local_tenant import UID, Local
from urllib3.exceptions import ConnectTimeoutError

from auth0_meta import ConflictError, MetadataTransaction, RateLimitError

STORED = {"theme": "light", "prefs": {"lang": "en", "tz": "UTC"}, "log": [1], "n": 1}
Block = Callable[[MetadataTransaction], object]

# (what the block reads, what somebody else then writes, the conflicting path or None)
READS: dict[str, tuple[Block, dict[str, Any], tuple[str, ...] | None]] = {
    "the path": (lambda tx: tx.user_metadata.get("prefs.lang"), {"prefs": {"lang": "sv", "tz": "UTC"}}, ("prefs", "lang")),
    "a sibling below": (lambda tx: tx.user_metadata.get("prefs.lang"), {"prefs": {"lang": "en", "tz": "EET"}}, None),
    "another key": (lambda tx: tx.user_metadata.get("prefs.lang"), {"theme": "dark"}, None),
    "below what was read": (lambda tx: tx.user_metadata["prefs"], {"prefs": {"lang": "sv", "tz": "UTC"}}, ("prefs",)),
    "what was absent": (lambda tx: tx.user_metadata.get("new.key"), {"new": {"key": None}}, ("new", "key")),
    "absent still": (lambda tx: tx.user_metadata.get("new.key"), {"new": {}}, None),
    "as JSON: 1.0 for 1": (lambda tx: tx.user_metadata["n"], {"n": 1.0}, None),
    "as JSON: True for 1": (lambda tx: tx.user_metadata["n"], {"n": True}, ("n",)),
    "iteration": (lambda tx: list(tx.user_metadata), {"new": 1}, ()),
    "in": (lambda tx: "theme" in tx.user_metadata, {"new": 1}, ()),
    "not in": (lambda tx: "none" in tx.user_metadata, {"new": 1}, ()),
    "len": (lambda tx: len(tx.user_metadata), {"n": 2}, ()),
    "==": (lambda tx: tx.user_metadata == {}, {"n": 2}, ()),
    "to_dict": (lambda tx: tx.user_metadata.to_dict(), {"n": 2}, ()),
    "items": (lambda tx: dict(tx.user_metadata.items()), {"n": 2}, ()),
    "the other bag": (lambda tx: len(tx.app_metadata), {"n": 2}, None),
    "append": (lambda tx: tx.user_metadata.append("log", 2), {"log": [0]}, None),
    "increment": (lambda tx: tx.user_metadata.increment("n"), {"n": 5}, None),
    "pending": (lambda tx: (tx.pending, repr(tx), repr(tx.user_metadata)), {"n": 5}, None),
    "load": (lambda tx: tx.load(), {"n": 5}, None),
    "what is staged": (lambda tx: (tx.user_metadata.set("theme", "x"), tx.user_metadata["theme"]), {"theme": "dark"}, None),
    "staged over": (lambda tx: (tx.user_metadata.replace({"a": 1}), len(tx.user_metadata)), {"theme": "dark"}, None),
    "set": (lambda tx: tx.user_metadata.set("prefs.lang", "fi"), {"prefs": {"lang": "sv"}}, None),
}  # fmt: skip


@pytest.mark.parametrize(("block", "written", "path"), READS.values(), ids=READS)
def test_what_was_read_is_compared(
    block: Block, written: dict[str, Any], path: tuple[str, ...] | None
) -> None:
    """Only a later change to what was read is a conflict, and then nothing is written."""
    local = Local(STORED)
    tx = local.tx()
    with contextlib.nullcontext() if path is None else pytest.raises(ConflictError) as raised, tx:
        block(tx)
        tx.app_metadata.set("a.b", 1)
        local.write(user_metadata=written)
    if path is None:
        assert local.app_metadata == {"a": {"b": 1}}
        return
    assert local.app_metadata == {}
    assert "PATCH" not in local.sent
    assert tx.result is not None
    assert tx.result.outcome == "failed"
    error = raised.value
    assert error.user_id == UID
    assert [place for place in error.paths if place[1] == path] == [("user_metadata", path)]
    assert ".".join(("user_metadata", *path)) in str(error)
    assert UID in str(error)
    assert "Nothing was written" in str(error)
    again = pickle.loads(pickle.dumps(error))  # noqa: S301  # our own
    assert (str(again), again.paths, again.user_id) == (str(error), error.paths, UID)


def test_an_append_applies_to_the_fresh_profile() -> None:
    """Appends and increments of two writers both count."""
    local = Local(STORED)
    with local.tx() as tx:
        tx.user_metadata.append("log", 2)
        tx.user_metadata.increment("n")
        local.write(user_metadata={"log": [1, 9], "n": 5})
    assert (local.user_metadata["log"], local.user_metadata["n"]) == ([1, 9, 2], 6)


def test_a_base_hides_conflicts() -> None:
    """With base= the commit reads nothing, so it finds no conflict; base_check=True finds it."""
    local = Local(STORED)
    base = local.profile()
    local.write(user_metadata={"theme": "dark"})
    for check in (False, True):
        tx = local.tx(base=base, base_check=check)

        def work(tx: MetadataTransaction = tx) -> None:
            with tx:
                if tx.user_metadata["theme"] == "light":
                    tx.app_metadata["seen"] = "light"

        if check:
            local.write(app_metadata={})
            with pytest.raises(ConflictError):
                work()
            assert local.app_metadata == {}
        else:
            work()
            assert local.app_metadata == {"seen": "light"}


class Lock:
    """A lock that logs when it is acquired and released, and how many requests had been sent by then."""

    def __init__(self, local: Local) -> None:
        self.local, self.log, self.held = local, [], False  # type: ignore[var-annotated]

    def __enter__(self) -> None:
        assert not self.held
        self.held = True
        self.log.append(("taken", len(self.local.sent)))

    def __exit__(self, kind: Any, *_: object) -> None:
        self.held = False
        self.log.append(("given", len(self.local.sent)))


def test_the_lock_spans_get_and_patch() -> None:
    """The lock is acquired before the commit's GET and released after the response to the PATCH."""
    local = Local(STORED)
    lock = Lock(local)
    with local.tx(lock=lock) as tx:
        tx.user_metadata.get("n")
        tx.user_metadata.increment("n")
        assert lock.log == []
    assert lock.log == [("taken", 1), ("given", 3)]


def test_the_lock_is_held_until_the_outcome_is_known() -> None:
    """After a lost response the lock is held while the user is read back."""
    local = Local(STORED)
    local.tenant.fail(method="PATCH", drop="after_commit")
    lock = Lock(local)
    with local.tx(lock=lock) as tx:
        tx.user_metadata["theme"] = "dark"
    assert local.sent == ["PATCH", "GET"]
    assert lock.log == [("taken", 0), ("given", 2)]


def test_a_commit_that_sends_nothing_takes_no_lock() -> None:
    """There is nothing to protect."""
    local = Local(STORED)
    lock = Lock(local)
    with local.tx(lock=lock, base=local.profile()) as tx:
        tx.user_metadata["theme"] = "light"
    assert lock.log == []


@pytest.mark.parametrize(("into_the_second", "long"), [(0.5, False), (0.0, True)])
def test_a_wait_of_more_than_a_second_releases_the_lock(into_the_second: float, *, long: bool) -> None:
    """After such a wait before the PATCH, the user is read again; a shorter wait does neither."""
    local = Local(STORED)
    lock = Lock(local)
    local.client.users.by_email(
        "nobody@example.com"
    )  # on a full second: from here on the client knows the server's clock
    local.clock.advance(into_the_second)
    local.tenant.fail(method="PATCH", status=429, reset=1)  # to the next full second, plus the jitter
    with local.tx(lock=lock) as tx:
        tx.user_metadata.increment("n")
    assert tx.result is not None
    assert 1 - into_the_second < tx.result.waited < 1.3 - into_the_second
    if long:
        assert local.sent == ["GET", "PATCH", "GET", "PATCH"]
        assert lock.log == [("taken", 0), ("given", 2), ("taken", 2), ("given", 4)]
    else:
        assert local.sent == ["GET", "PATCH", "PATCH"]
        assert lock.log == [("taken", 0), ("given", 3)]
    assert local.user_metadata["n"] == 2


def test_the_lock_is_released_during_long_waits() -> None:
    """Long waits of the GET and of the PATCH happen without the lock, and `on_wait` is called once for each."""
    local = Local(STORED)
    waits: list[tuple[float, bool]] = []
    lock = Lock(local)
    local.client = local.tenant.client(
        token="a.b.c", on_wait=lambda wait: waits.append((wait.seconds, lock.held))
    )
    local.tenant.fail(method="GET", status=429, reset=30)
    local.tenant.fail(method="PATCH", status=429, reset=20)
    with local.tx(lock=lock) as tx:
        tx.user_metadata.increment("n")
    assert [held for _, held in waits] == [False, False]
    assert [round(seconds) for seconds, _ in waits] == [30, 20]
    assert local.sent == ["GET", "GET", "PATCH", "GET", "PATCH"]
    assert tx.result is not None
    assert tx.result.waited == pytest.approx(50, abs=1)


def test_a_flat_change_releases_the_lock_too() -> None:
    """A change that needs no read reads nothing after the wait either."""
    local = Local(STORED)
    lock = Lock(local)
    local.tenant.fail(method="PATCH", status=429, reset=20)
    with local.tx(lock=lock) as tx:
        tx.user_metadata["theme"] = "dark"
    assert local.sent == ["PATCH", "PATCH"]
    assert lock.log == [("taken", 0), ("given", 1), ("taken", 1), ("given", 2)]


def test_the_change_is_computed_again_after_a_long_wait() -> None:
    """What others write during the wait survives: the operations are applied to a fresh read."""
    local = Local(STORED)
    local.tenant.fail(method="PATCH", status=429, reset=30)
    local.second_writer("GET", nth=2, user_metadata={"n": 5, "prefs": {"lang": "en", "tz": "EET"}})
    with local.tx() as tx:
        tx.user_metadata.increment("n")
        tx.user_metadata.set("prefs.lang", "fi")
    assert local.sent == ["GET", "PATCH", "GET", "PATCH"]
    assert (local.user_metadata["n"], local.user_metadata["prefs"]) == (6, {"lang": "fi", "tz": "EET"})


def test_reads_are_compared_again_after_a_long_wait() -> None:
    """A conflict that arises during the wait is found."""
    local = Local(STORED)
    local.tenant.fail(method="PATCH", status=429, reset=30)
    local.second_writer("GET", nth=3, user_metadata={"theme": "dark"})
    with pytest.raises(ConflictError), local.tx() as tx:
        tx.user_metadata["copy"] = tx.user_metadata["theme"]
    assert local.sent == ["GET", "GET", "PATCH", "GET"]
    assert "copy" not in local.user_metadata


def test_a_bucket_of_one_token_causes_no_livelock() -> None:
    """If each GET takes the token that the PATCH needs, the commit stops reading again and sends the change."""
    local = Local(STORED, rate_limit="1@0.2")
    with local.tx() as tx:
        tx.user_metadata.increment("n")
    assert local.user_metadata["n"] == 2
    assert local.tenant.journal.count("GET", user_id=UID, status=200) <= 6
    assert tx.result is not None
    assert tx.result.waited < 120


def test_a_lock_may_be_made_by_a_function() -> None:
    """A function returns a new context manager each time the lock is acquired."""
    local = Local(STORED)
    made: list[Lock] = []

    def make() -> Lock:
        made.append(Lock(local))
        return made[-1]

    local.tenant.fail(method="PATCH", status=429, reset=30)
    with local.tx(lock=make) as tx:
        tx.user_metadata.increment("n")
    assert [len(lock.log) for lock in made] == [2, 2]


def test_an_error_of_the_lock_writes_nothing() -> None:
    """If the lock can't be acquired, its own error is raised, and nothing was sent."""
    local = Local(STORED)

    def make() -> Lock:
        raise TimeoutError

    with pytest.raises(TimeoutError), local.tx(lock=make) as tx:
        tx.user_metadata["theme"] = "dark"
    assert local.sent == []
    assert tx.result is not None
    assert tx.result.outcome == "failed"


def test_short_waits_add_up() -> None:
    """Several short waits of more than 1 s in all make the base as old as one long wait does."""
    local = Local(STORED)
    local.client.users.by_email(
        "nobody@example.com"
    )  # on a full second: from here on the client knows the server's clock
    local.clock.advance(0.5)
    local.tenant.fail(method="PATCH", status=429, reset=1, times=2)
    local.second_writer("GET", nth=2, user_metadata={"n": 5})
    with local.tx() as tx:
        tx.user_metadata.increment("n")
    assert local.sent == ["GET", "PATCH", "PATCH", "GET", "PATCH"]
    assert local.user_metadata["n"] == 6


class Held(BaseAdapter):
    """Delay the first PATCHes by `seconds`, during which somebody else writes, and fail them; pass on everything else."""

    def __init__(self, local: Local, seconds: float, times: int = 1) -> None:
        super().__init__()
        self._local, self._seconds, self._left = local, seconds, times
        self._inner = local.tenant.adapter()

    def send(self, request: Any, *args: Any, **settings: Any) -> Any:
        """Time out while connecting, for the first `times` PATCHes."""
        if request.method == "PATCH" and self._left:
            self._left -= 1
            self._local.clock.advance(self._seconds)
            self._local.write(user_metadata=OTHERS)
            raise requests.ConnectTimeout(ConnectTimeoutError())
        return self._inner.send(request, *args, **settings)

    def close(self) -> None:
        """Do nothing."""


OTHERS = {"n": 5, "prefs": {"lang": "en", "new": 1}}


def _both(tx: MetadataTransaction) -> None:
    tx.user_metadata.increment("n")
    tx.user_metadata.set("prefs.lang", "fi")


def test_a_slow_connection_makes_the_base_old() -> None:
    """The time spent on connecting counts like a wait: the lock is released, and the user is read again."""
    local = Local(STORED)
    lock = Lock(local)
    local.client = local.tenant.client(token="a.b.c", adapter=Held(local, 10))
    with local.tx(lock=lock) as tx:
        _both(tx)
    assert (local.user_metadata["n"], local.user_metadata["prefs"]) == (6, {"lang": "fi", "new": 1})
    assert local.sent == ["GET", "GET", "PATCH"]
    assert [what for what, _ in lock.log] == ["taken", "given"] * 2


def test_a_slow_token_request_makes_the_base_old() -> None:
    """The time spent on a new token after a 401 counts too."""
    local = Local(STORED)

    def token() -> str:
        if local.sent[-1:] != ["PATCH"]:
            return "a.b.c" if "PATCH" not in local.sent else "b.c.d"
        local.clock.advance(10)
        local.write(user_metadata=OTHERS)
        return "b.c.d"

    local.client = local.tenant.client(token=token)
    local.tenant.fail(method="PATCH", status=401)
    with local.tx() as tx:
        _both(tx)
    assert (local.user_metadata["n"], local.user_metadata["prefs"]) == (6, {"lang": "fi", "new": 1})
    assert local.sent == ["GET", "PATCH", "GET", "PATCH"]


def test_a_token_function_that_is_always_slow_causes_no_livelock() -> None:
    """Even if it takes 5 s each time, the change is sent."""
    local = Local(STORED)

    def token() -> str:
        local.clock.advance(5)
        return "a.b.c"

    local.client = local.tenant.client(token=token)
    with local.tx() as tx:
        _both(tx)
    assert local.user_metadata["n"] == 2
    assert local.sent == ["GET", "GET", "GET", "GET", "PATCH"]


@pytest.mark.parametrize("reads", [False, True])
def test_the_user_is_read_again_after_each_long_wait(*, reads: bool) -> None:
    """However often the PATCH is refused, a second writer is noticed."""
    local = Local(STORED)
    refused = local.tenant.fail(method="PATCH", status=429, reset=30, times=8)

    def write(_: object) -> None:
        if refused.fired == 8:
            local.write(user_metadata=OTHERS)

    local.client = local.tenant.client(token="a.b.c", on_wait=write)
    with pytest.raises(ConflictError) if reads else contextlib.nullcontext(), local.tx() as tx:
        _both(tx)
        if reads:
            tx.user_metadata["copy"] = tx.user_metadata["n"]
    assert local.user_metadata["n"] == (5 if reads else 6)
    assert local.sent[-2:] == (["PATCH", "GET"] if reads else ["GET", "PATCH"])


def test_only_the_wait_budget_ends_refusals() -> None:
    """If every PATCH is refused, `max_wait` ends the commit, and nothing is written."""
    local = Local(STORED)
    local.tenant.fail(method="PATCH", status=429, reset=30, times=None)
    with pytest.raises(RateLimitError), local.tx(max_wait=300) as tx:
        _both(tx)
    assert local.user_metadata == STORED
    assert tx.result is not None
    assert 250 < tx.result.waited <= 300
