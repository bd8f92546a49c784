"""Lost responses and reading back (promise 7)."""

from __future__ import annotations

import contextlib
import pickle
import threading
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from requests.adapters import BaseAdapter
from support.local_tenant import UID, Local, bulk_transaction
from support.scripted_server import Reply, ScriptedServer

from auth0_meta import (
    Auth0MetaError,
    BadRequestError,
    ManagementClient,
    MetadataTransaction,
    NotFoundError,
    NotSentError,
    OutcomeUnknown,
    RateLimitError,
    ResourceConflictError,
    ServerError,
    StateError,
    TransportError,
)
from auth0_meta.testing import FakeClock
from auth0_meta.transactions.unit import State

STORED = {"theme": "light", "prefs": {"lang": "en"}, "log": [1], "n": 1}
CANARY = "canary-4f1c"
Block = Callable[[MetadataTransaction], object]

# How the response gets lost; APPLIED adds `commit`, with which the PATCH is applied all the same.
LOSSES: dict[str, dict[str, Any]] = {
    "reset": {"drop": "before_commit"},
    "500": {"status": 500},
    "502": {"status": 502, "body": "<html>Bad gateway</html>"},
    "503": {"status": 503, "body": ""},
    "HTML 200": {"status": 200, "body": f"<html>{CANARY}</html>"},
    "no object": {"status": 200, "body": [CANARY]},
    "empty 200": {"status": 200, "body": ""},
}
APPLIED: dict[str, dict[str, Any]] = {
    **{name: {**how, "commit": True} for name, how in LOSSES.items() if "status" in how},
    "reset": {"drop": "after_commit"},
    "timeout": {"delay": 60, "status": 200, "commit": True},
}
BLOCKS: dict[str, tuple[Block, dict[str, Any]]] = {
    "flat": (lambda tx: tx.user_metadata.update(theme=CANARY), {"theme": CANARY}),
    "delete": (lambda tx: tx.user_metadata.delete("theme"), {"theme": None}),
    "nested": (lambda tx: tx.user_metadata.set("prefs.lang", CANARY), {"prefs": {"lang": CANARY}}),
    "merge": (lambda tx: tx.user_metadata.merge({"prefs": {"tz": 1}}), {"prefs": {"lang": "en", "tz": 1}}),
    "clear": (lambda tx: tx.user_metadata.clear(), dict.fromkeys(STORED)),
    "replace": (lambda tx: tx.user_metadata.replace({"n": 1}), dict.fromkeys(STORED) | {"n": 1}),
    "append": (lambda tx: tx.user_metadata.append("log", CANARY), {"log": [1, CANARY]}),
    "increment": (lambda tx: tx.user_metadata.increment("n"), {"n": 2}),
    "after a read": (lambda tx: tx.user_metadata.update(theme=f"{CANARY}{tx.user_metadata['n']}"), {"theme": f"{CANARY}1"}),
}  # fmt: skip
blocks = pytest.mark.parametrize(("block", "change"), BLOCKS.values(), ids=BLOCKS)


def _after(change: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in (STORED | change).items() if value is not None}


@blocks
@pytest.mark.parametrize("loss", APPLIED.values(), ids=APPLIED)
def test_an_applied_patch_is_confirmed(block: Block, change: dict[str, Any], loss: dict[str, Any]) -> None:
    """If reading back finds what was sent, the commit is done with one PATCH, whatever kind of change it was."""
    local = Local(STORED)
    fault = local.tenant.fail(method="PATCH", **loss)
    with local.tx() as tx:
        block(tx)
    assert fault.fired == 1
    assert local.user_metadata == _after(change)
    assert local.sent.count("PATCH") == 1
    assert local.sent[-1] == "GET"
    assert tx.result is not None
    assert tx.result.outcome == "confirmed"
    assert tx.result.user is not None
    assert tx.result.user.user_metadata == _after(change)


@blocks
@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_a_lost_patch_is_sent_again(block: Block, change: dict[str, Any], loss: dict[str, Any]) -> None:
    """If reading back finds the profile unchanged, the change is applied to it and sent again, without another GET."""
    local = Local(STORED)
    local.tenant.fail(method="PATCH", **loss)
    with local.tx() as tx:
        block(tx)
    assert local.user_metadata == _after(change)
    assert local.sent[-3:] == ["PATCH", "GET", "PATCH"]
    assert tx.result is not None
    assert (tx.result.outcome, tx.result.attempts) == ("updated", 2)
    assert tx.result.waited > 0


@pytest.mark.parametrize("name", ["flat", "delete", "nested", "merge", "clear", "replace"])
def test_blind_changes_are_applied_to_what_is_found(name: str) -> None:
    """Set, delete and merge are applied to what a second writer left, so that both writers' changes stay."""
    block, change = BLOCKS[name]
    local = Local(STORED)
    local.tenant.fail(method="PATCH", drop="before_commit")
    nth = 1 if name in ("flat", "delete", "clear") else 2
    local.second_writer("GET", nth=nth, user_metadata={"prefs": {"lang": "en", "new": 1}, "theme": "other"})
    with local.tx() as tx:
        block(tx)
    if name == "clear":
        assert local.user_metadata == {}
    elif name == "replace":
        assert local.user_metadata == {"n": 1}
    else:
        found = local.user_metadata
        assert found.get("theme") == change.get("theme", "other")
        assert found["prefs"] == {"lang": "en", "new": 1} | change.get("prefs", {})


@pytest.mark.parametrize("name", ["append", "increment", "after a read"])
@pytest.mark.parametrize("drop", ["before_commit", "after_commit"])
def test_unsafe_changes_are_not_sent_blindly(name: str, drop: Any) -> None:
    """After a second writer, an increment, an append or a change based on reads is not sent again: OutcomeUnknown."""
    block, change = BLOCKS[name]
    local = Local(STORED)
    local.tenant.fail(method="PATCH", drop=drop)
    local.second_writer(
        "GET", nth=3 if "read" in name else 2, user_metadata={"n": 7, "log": [8], "theme": "other"}
    )
    tx = local.tx()
    with pytest.raises(OutcomeUnknown) as raised, tx:
        block(tx)
    error = raised.value
    assert local.sent.count("PATCH") == 1
    assert local.user_metadata == STORED | {"n": 7, "log": [8], "theme": "other"}
    (key,) = change
    assert error.user_id == UID
    assert error.sent.startswith(f"user_metadata({key} ")
    assert error.found.startswith(f"user_metadata({key} ")
    assert "may or may not have been applied" in str(error)
    assert UID in str(error)
    assert CANARY not in "".join(traceback.format_exception(error))
    again = pickle.loads(pickle.dumps(error))  # noqa: S301  # our own
    assert (str(again), again.sent, again.found, again.user_id) == (str(error), error.sent, error.found, UID)
    assert tx.state is State.FAILED
    assert tx.result is not None
    assert (tx.result.outcome, tx.result.document) == ("unknown", {"user_metadata": change})


# Emptying a bag, together with a change that can't be sent blindly: then every key of the bag counts.
EMPTYING: dict[str, Block] = {
    "clear after a read": lambda tx: tx.user_metadata["theme"] and tx.app_metadata.clear(),
    "replace after a read": lambda tx: tx.app_metadata.replace({"copy": tx.user_metadata["theme"]}),
    "clear and increment": lambda tx: (tx.app_metadata.clear(), tx.user_metadata.increment("n")),
    "replace and append": lambda tx: (tx.app_metadata.replace({"a": 2}), tx.user_metadata.append("log", 2)),
}


@pytest.mark.parametrize("block", EMPTYING.values(), ids=EMPTYING)
@pytest.mark.parametrize("drop", ["before_commit", "after_commit"])
def test_emptying_a_bag_is_not_sent_blindly(block: Block, drop: Any) -> None:
    """If an increment, an append or reads accompany clear or replace, a key that another writer added is not wiped."""
    local = Local(STORED, {"a": 1})
    local.tenant.fail(method="PATCH", drop=drop)

    def write(_: object) -> None:
        if local.sent[-1:] == ["PATCH"]:  # before it is read back
            local.write(app_metadata={"others": 1, "copy": None, "a": 5}, user_metadata={"log": [9]})

    local.tenant.before("GET", UID, write, nth=2)
    local.tenant.before("GET", UID, write, nth=3)
    with pytest.raises(OutcomeUnknown), local.tx() as tx:
        block(tx)
    assert local.sent.count("PATCH") == 1
    assert local.app_metadata["others"] == 1


@pytest.mark.parametrize("block", EMPTYING.values(), ids=EMPTYING)
def test_emptying_an_unchanged_bag_is_sent_again(block: Block) -> None:
    """If the whole bag is unchanged, the PATCH is sent again."""
    local = Local(STORED, {"a": 1})
    local.tenant.fail(method="PATCH", drop="before_commit")
    with local.tx() as tx:
        block(tx)
    assert local.sent.count("PATCH") == 2
    assert "a" not in local.app_metadata or local.app_metadata == {"a": 2}


def test_reads_of_the_other_bag_count() -> None:
    """A change based on a read is not sent again if what was read has changed, even in the other bag."""
    local = Local(STORED)
    local.tenant.fail(method="PATCH", drop="before_commit")
    local.second_writer("GET", nth=3, user_metadata={"n": 7})
    with pytest.raises(OutcomeUnknown), local.tx() as tx:
        tx.app_metadata["copy"] = tx.user_metadata["n"]
    assert local.app_metadata == {}


def test_found_names_keys_and_sizes_only() -> None:
    """`found` reports a deleted key as absent, and of any other key only the size of its value."""
    local = Local({"n": 1}, {"big": "x" * 50})
    local.tenant.fail(method="PATCH", drop="before_commit")
    local.second_writer("GET", nth=2, user_metadata={"n": None}, app_metadata={"big": "y" * 10})
    with pytest.raises(OutcomeUnknown) as raised, local.tx() as tx:
        tx.user_metadata.increment("n")
        tx.app_metadata["big"] = "z" * 20
    assert raised.value.found == "user_metadata(n absent), app_metadata(big 12 B)"
    assert raised.value.sent == "user_metadata(n 1 B), app_metadata(big 22 B)"


def test_several_lost_responses_in_a_row() -> None:
    """Each is followed by a read; the last PATCH succeeds, and the increment counts once."""
    local = Local(STORED)
    local.tenant.fail(method="PATCH", drop="before_commit", times=3)
    with local.tx() as tx:
        tx.user_metadata.increment("n")
    assert local.sent == ["GET", *["PATCH", "GET"] * 3, "PATCH"]
    assert local.user_metadata["n"] == 2


def test_a_long_wait_after_a_lost_response_means_reading_again() -> None:
    """Newer siblings and flat changes both survive."""
    local = Local(STORED)
    local.tenant.fail(method="PATCH", drop="before_commit")
    local.tenant.fail(method="PATCH", nth=2, status=429, reset=30)
    local.second_writer("GET", nth=2, user_metadata={"prefs": {"lang": "en", "new": 1}, "theme": "light"})
    with local.tx(base=local.profile()) as tx:
        tx.user_metadata.set("prefs.lang", "fi")
        tx.user_metadata["theme"] = "dark"
    assert local.sent == ["PATCH", "GET", "PATCH", "GET", "PATCH"]
    assert local.user_metadata == STORED | {"prefs": {"lang": "fi", "new": 1}, "theme": "dark"}


def test_without_a_wait_budget_the_user_is_still_read_back_once() -> None:
    """With max_wait=0 the user is read back at once: an applied PATCH is confirmed, any other is OutcomeUnknown."""
    local = Local(STORED)
    local.tenant.fail(method="PATCH", drop="after_commit")
    with local.tx(max_wait=0) as tx:
        tx.user_metadata["theme"] = "dark"
    assert tx.result is not None
    assert (tx.result.outcome, tx.result.waited) == ("confirmed", 0)
    local.tenant.fail(method="PATCH", status=503)
    with (
        pytest.raises(OutcomeUnknown, match=r"got a 503.*no time to send it again") as raised,
        local.tx(max_wait=0) as tx,
    ):
        tx.user_metadata["theme"] = "light"
    assert isinstance(raised.value.__cause__, ServerError)
    assert local.sent == ["PATCH", "GET", "PATCH", "GET"]


@pytest.mark.parametrize(
    ("fault", "cause"),
    [({"status": 404}, NotFoundError), ({"drop": "before_commit", "times": None}, TransportError), ({"status": 200, "body": "<html>"}, TransportError)],
)  # fmt: skip
def test_the_outcome_stays_unknown_if_reading_back_fails(
    fault: dict[str, Any], cause: type[Exception]
) -> None:
    """The failed read is the cause of the error."""
    local = Local(STORED)
    local.tenant.fail(method="PATCH", drop="after_commit")
    local.tenant.fail(method="GET", **fault)
    with (
        pytest.raises(OutcomeUnknown, match="reading the user back failed") as raised,
        local.tx(max_wait=5) as tx,
    ):
        tx.user_metadata["theme"] = "dark"
    assert isinstance(raised.value.__cause__, cause)
    assert raised.value.found == ""
    assert local.sent.count("PATCH") == 1


def test_the_outcome_stays_unknown_if_a_bag_is_not_an_object() -> None:
    """Reading back finds a bag that can't be compared."""
    local = Local(STORED)
    local.tenant.fail(method="PATCH", drop="before_commit")
    local.tenant.fail(method="GET", status=200, body={"user_id": UID, "user_metadata": ["odd"]})
    with pytest.raises(OutcomeUnknown, match="reading the user back failed"), local.tx() as tx:
        tx.user_metadata["theme"] = "dark"


def test_a_change_that_no_longer_applies_leaves_the_outcome_unknown() -> None:
    """A second writer has put a string on the change's path, and the first PATCH is still in doubt."""
    local = Local(STORED)
    local.tenant.fail(method="PATCH", drop="before_commit")
    local.second_writer("GET", nth=2, user_metadata={"prefs": "none"})
    with pytest.raises(OutcomeUnknown), local.tx() as tx:
        tx.user_metadata.set("prefs.lang", "fi")
    assert local.user_metadata["prefs"] == "none"


@pytest.mark.parametrize(
    ("status", "kind"), [(400, BadRequestError), (404, NotFoundError), (409, ResourceConflictError)]
)
def test_a_refusal_is_never_retried(status: int, kind: type[Exception]) -> None:
    """A 4xx is raised after one PATCH and without reading back."""
    local = Local(STORED)
    local.tenant.fail(method="PATCH", status=status)
    with pytest.raises(kind, match="Nothing was written"), local.tx() as tx:
        tx.user_metadata["theme"] = CANARY
    assert local.sent == ["PATCH"]
    assert local.user_metadata == STORED


@pytest.mark.parametrize(
    "fault", [{"drop": "before_commit", "times": None}, {"status": 200, "body": f"<html>{CANARY}"}]
)
def test_a_lost_read_leaves_no_unknown_outcome(fault: dict[str, Any]) -> None:
    """If the commit's GET fails, nothing was written, and the error is not OutcomeUnknown."""
    local = Local(STORED)
    local.tenant.fail(method="GET", **fault)
    with pytest.raises(TransportError) as raised, local.tx(max_wait=5) as tx:
        tx.user_metadata.increment("n")
    assert not isinstance(raised.value, OutcomeUnknown)
    assert raised.value.user_id == UID
    assert CANARY not in str(raised.value)
    assert "PATCH" not in local.sent
    assert tx.result is not None
    assert tx.result.document == {}


@pytest.mark.parametrize("fault", [{"drop": "before_commit"}, {"status": 503}])
@pytest.mark.parametrize("nested", [False, True])
def test_a_lost_token_request_leaves_no_unknown_outcome(fault: dict[str, Any], *, nested: bool) -> None:
    """Without a token the PATCH is never sent: the error is NotSentError, and nothing is read back."""
    local = Local(STORED)
    client = local.tenant.client(max_wait=5)
    local.tenant.fail(path="/oauth/token", times=None, **fault)
    with pytest.raises(NotSentError), client.transaction(UID) as tx:
        tx.user_metadata.set("prefs.lang" if nested else "theme", "fi")
    assert local.sent == []
    assert tx.result is not None
    assert (tx.result.requests, tx.result.document) == (0, {})


def test_an_equal_write_of_somebody_else_confirms_a_patch() -> None:
    """If the touched keys equal what was sent, the commit is done, whoever wrote them: there is no second PATCH."""
    local = Local(STORED)
    local.tenant.fail(method="PATCH", drop="before_commit")
    local.second_writer("GET", user_metadata={"theme": "dark"})
    with local.tx() as tx:
        tx.user_metadata["theme"] = "dark"
    assert tx.result is not None
    assert (tx.result.outcome, tx.result.attempts) == ("confirmed", 1)


def test_a_commit_ends_if_nothing_is_left_to_send() -> None:
    """If the user already has what the change would result in, there is no other PATCH."""
    local = Local({"a": 1})
    local.tenant.fail(method="PATCH", drop="before_commit")
    local.second_writer("GET", nth=2, user_metadata={"a": 1, "b": {"c": 2}, "keep": 1})
    with local.tx() as tx:
        tx.user_metadata.set("b.c", 2)
    assert tx.result is not None
    assert tx.result.outcome == "confirmed"
    local.tenant.fail(method="PATCH", drop="after_commit")
    local.second_writer("GET", nth=2, user_metadata={"b": {"c": 3, "d": 4}})
    with local.tx() as tx:
        tx.user_metadata.set("b.c", 3)
    assert tx.result is not None
    assert (tx.result.outcome, tx.result.attempts) == ("confirmed", 1)


def test_a_conflict_after_a_lost_patch_is_an_unknown_outcome() -> None:
    """A change that is found after a long wait may be that PATCH, applied late."""
    local = Local(STORED)
    local.tenant.fail(method="PATCH", drop="before_commit")
    local.tenant.fail(method="PATCH", nth=2, status=429, reset=30)
    local.second_writer("GET", nth=4, user_metadata={"n": 9})
    with pytest.raises(OutcomeUnknown), local.tx() as tx:
        tx.user_metadata["theme"] = str(tx.user_metadata["n"])
    assert local.sent.count("PATCH") == 2


def _late(local: Local, **bags: Any) -> None:
    """Lose a PATCH, have the next one refused for a long time, and apply the first one meanwhile."""
    local.tenant.fail(method="PATCH", drop="before_commit")
    local.tenant.fail(method="PATCH", nth=2, status=429, reset=30)

    def apply(_: object) -> None:
        if local.sent.count("PATCH") == 2:
            local.write(**bags)

    for nth in range(2, 6):
        local.tenant.before("GET", UID, apply, nth=nth)


@pytest.mark.parametrize("name", ["append", "increment", "after a read"])
def test_a_patch_that_is_applied_late_counts_once(name: str) -> None:
    """If the server applies a lost PATCH while the next one waits, the commit finds it and does not apply the change twice."""
    block, change = BLOCKS[name]
    local = Local(STORED)
    _late(local, user_metadata=change)
    with local.tx() as tx:
        block(tx)
    assert local.user_metadata == _after(change)
    assert tx.result is not None
    assert (tx.result.outcome, tx.result.attempts) == ("confirmed", 2)
    assert local.sent[-3:] == ["GET", "PATCH", "GET"]


def test_work_whose_patch_is_applied_late_is_not_run_again() -> None:
    """run_transaction does not mistake its own late PATCH for somebody else's."""
    local = Local(STORED)
    _late(local, user_metadata={"n": 2})
    runs = []

    def work(tx: MetadataTransaction) -> None:
        runs.append(tx.user_metadata["n"])
        tx.user_metadata["n"] = runs[-1] + 1

    local.client.run_transaction(UID, work)
    assert (runs, local.user_metadata["n"]) == ([1], 2)


@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        ({"status": 400}, BadRequestError),
        ({"status": 404}, NotFoundError),
        ({"status": 429, "reset": 3000}, RateLimitError),
    ],
)
@pytest.mark.parametrize("name", ["flat", "increment"])
def test_a_refused_repeat_leaves_the_first_in_doubt(
    name: str, fault: dict[str, Any], cause: type[Exception]
) -> None:
    """If the repeat is refused, the first PATCH may still be applied: the error does not claim that nothing was written."""
    local = Local(STORED)
    local.tenant.fail(method="PATCH", drop="before_commit")
    local.tenant.fail(method="PATCH", nth=2, **fault)
    with (
        pytest.raises(OutcomeUnknown, match=f"sending it again failed .{cause.__name__}") as raised,
        local.tx() as tx,
    ):
        BLOCKS[name][0](tx)
    assert isinstance(raised.value.__cause__, cause)
    assert "Nothing was written" not in str(raised.value)
    assert raised.value.user_id == UID
    assert tx.state is State.FAILED
    assert tx.result is not None
    assert tx.result.outcome == "unknown"


def test_a_lock_that_fails_while_in_doubt_is_an_unknown_outcome() -> None:
    """A commit is in doubt, and its lock can't be taken again."""
    local = Local(STORED)
    local.tenant.fail(method="PATCH", drop="before_commit")
    local.tenant.fail(method="PATCH", nth=2, status=429, reset=30)

    @contextlib.contextmanager
    def once() -> Iterator[None]:
        yield

    with pytest.raises(OutcomeUnknown) as raised, local.tx(lock=once()) as tx:
        tx.user_metadata["theme"] = "dark"
    assert isinstance(raised.value.__cause__, StateError)


def _token(local: Local, _: object) -> dict[str, Any]:
    def token() -> str:
        if local.sent[-1:] == ["PATCH"]:
            raise KeyError(CANARY)
        return "a.b.c"

    return {"token": token}


def _on_wait(_: Local, __: object) -> dict[str, Any]:
    def on_wait(_: object) -> None:
        raise ZeroDivisionError

    return {"on_wait": on_wait}


def _close(local: Local, clients: list[ManagementClient]) -> dict[str, Any]:
    local.tenant.before("PATCH", UID, lambda _: clients[0].close())
    return {}


@pytest.mark.parametrize(
    ("breaks", "cause"),
    [(_token, KeyError), (_on_wait, ZeroDivisionError), (_close, StateError)],
)
def test_a_later_error_does_not_hide_a_lost_patch(
    breaks: Callable[[Local, list[ManagementClient]], dict[str, Any]], cause: type[Exception]
) -> None:
    """If the caller's function raises or the client is closed after a lost PATCH, the error is OutcomeUnknown, with the other as its cause."""
    local = Local(STORED)
    local.tenant.fail(method="PATCH", drop="after_commit")
    clients: list[ManagementClient] = []
    clients.append(local.tenant.client(**{"token": "a.b.c", **breaks(local, clients)}))
    tx = clients[0].transaction(UID)
    tx.user_metadata.increment("n")
    with pytest.raises(OutcomeUnknown, match=f"reading the user back failed .{cause.__name__}") as raised:
        tx.commit()
    assert isinstance(raised.value.__cause__, cause)
    assert CANARY not in str(raised.value)
    assert tx.result is not None
    assert (tx.result.outcome, tx.result.attempts) == ("unknown", 1)
    assert local.user_metadata["n"] == 2


@pytest.mark.parametrize("applied", [False, True])
def test_an_adapter_that_breaks_leaves_the_outcome_open(*, applied: bool) -> None:
    """Once the PATCH may have been sent, no error of the transport proves that it was not."""
    local = Local(STORED)

    class Broken(BaseAdapter):
        def send(self, request: Any, **settings: Any) -> Any:
            if applied:
                inner.send(request, **settings)
            raise LookupError

        def close(self) -> None:
            """Do nothing."""

    inner = local.tenant.adapter()
    client = local.tenant.client(token="a.b.c", adapter=Broken())
    with (
        pytest.raises(OutcomeUnknown, match=r"sending it failed \(LookupError"),
        client.transaction(UID) as tx,
    ):
        tx.user_metadata["theme"] = "dark"
    assert tx.result is not None
    assert tx.result.outcome == "unknown"
    assert local.user_metadata["theme"] == ("dark" if applied else "light")


def test_a_closed_client_sends_nothing() -> None:
    """If the client was closed before the PATCH was sent, the error is StateError, and nothing is in doubt."""
    local = Local(STORED)
    with pytest.raises(StateError, match="closed"), local.tx() as tx:
        tx.user_metadata["theme"] = "dark"
        local.client.close()
    assert tx.result is not None
    assert tx.result.outcome == "failed"


def test_ctrl_c_while_reading_back_leaves_the_outcome_unknown() -> None:
    """KeyboardInterrupt is raised at once, and the result has the outcome "unknown"."""
    local = Local(STORED)
    local.tenant.fail(method="PATCH", drop="after_commit")

    def interrupt(_: object) -> None:
        raise KeyboardInterrupt

    local.tenant.before("GET", UID, interrupt)
    with pytest.raises(KeyboardInterrupt), local.tx() as tx:
        tx.user_metadata["theme"] = "dark"
    assert tx.result is not None
    assert (tx.result.outcome, tx.state) == ("unknown", State.FAILED)


@pytest.mark.parametrize("when", ["PATCH", "GET"])
def test_ctrl_c_during_the_commit_fails_the_transaction(when: str) -> None:
    """KeyboardInterrupt is raised at once; the transaction sends nothing more."""
    local = Local(STORED)

    def interrupt(_: object) -> None:
        raise KeyboardInterrupt

    local.tenant.before(when, UID, interrupt)
    with pytest.raises(KeyboardInterrupt), local.tx() as tx:
        tx.user_metadata.increment("n")
    assert local.user_metadata == STORED
    assert tx.state is State.FAILED
    with pytest.raises(StateError):
        tx.commit()
    assert tx.result is not None
    assert bool(tx.result.document) is (when == "PATCH")
    assert tx.result.outcome == ("unknown" if when == "PATCH" else "failed")
    with local.tx() as fresh:
        fresh.user_metadata.increment("n")
    assert local.user_metadata["n"] == 2


def test_a_batch_that_stops_finishes_what_is_under_way() -> None:
    """If a batch stops while the response to a PATCH is lost, the user is still read back."""
    local = Local(STORED, rate_limit="50@16")
    stopped = threading.Event()
    tx = bulk_transaction(local, stopped)
    tx.user_metadata.increment("n")
    local.tenant.fail(method="PATCH", drop="after_commit")
    local.tenant.before("PATCH", UID, lambda _: stopped.set())
    assert tx.commit().outcome == "confirmed"
    assert local.user_metadata["n"] == 2


def test_a_timeout_on_a_real_socket_is_read_back() -> None:
    """Over a socket, a read timeout on the PATCH and then a profile with the change confirm the commit."""
    profile = {"user_id": UID, "user_metadata": {"theme": "dark"}}
    with ScriptedServer(Reply(delay=0.4), Reply(200, profile)) as server:
        client = ManagementClient(server.url, token="a.b.c", timeout=(1, 0.2), clock=FakeClock())
        with client.transaction(UID) as tx:
            tx.user_metadata["theme"] = "dark"
        client.close()
        assert server.methods() == ["PATCH", "GET"]
    assert tx.result is not None
    assert tx.result.outcome == "confirmed"


def test_a_connection_closed_on_a_real_socket_is_read_back() -> None:
    """Over a socket, a connection that is closed without a response and then an unchanged profile mean one more PATCH."""
    old, new = ({"user_id": UID, "user_metadata": {"n": n}} for n in (1, 2))
    with ScriptedServer(Reply(200, old), Reply(close=True), Reply(200, old), Reply(200, new)) as server:
        client = ManagementClient(server.url, token="a.b.c", clock=FakeClock())
        with client.transaction(UID) as tx:
            tx.user_metadata.increment("n")
        client.close()
        assert server.methods() == ["GET", "PATCH", "GET", "PATCH"]
    assert tx.result is not None
    assert tx.result.outcome == "updated"


@pytest.mark.parametrize(
    "kind", [ServerError, OutcomeUnknown, NotFoundError, TransportError], ids=lambda kind: kind.__name__
)
@pytest.mark.parametrize("after_401", [False, True])
def test_what_a_token_function_raises_leaves_no_unknown_outcome(
    kind: type[Auth0MetaError], *, after_401: bool
) -> None:
    """A token function may raise this package's errors; they are not about the PATCH, which was not sent."""
    local = Local(STORED)

    def token() -> str:
        if after_401 and not local.sent:
            return "a.b.c"
        msg = "the vault is closed"
        raise kind(msg, status=503)

    local.client = local.tenant.client(token=token)
    local.tenant.fail(method="PATCH", status=401)
    with (
        pytest.raises(
            NotSentError, match="there is no token, so nothing was sent: the vault is closed"
        ) as raised,
        local.tx() as tx,
    ):
        tx.user_metadata["theme"] = "dark"
    assert type(raised.value.__cause__) is kind
    assert raised.value.user_id == UID
    assert tx.result is not None
    assert tx.result.outcome == "failed"
    assert local.sent == (["PATCH"] if after_401 else [])


def test_what_on_wait_raises_leaves_no_unknown_outcome() -> None:
    """After a 429, `on_wait` may raise any error: the PATCH was refused, and nothing is in doubt."""
    local = Local(STORED)

    def report(_: object) -> None:
        msg = "no"
        raise ServerError(msg, status=503)

    local.client = local.tenant.client(token="a.b.c", on_wait=report)
    local.tenant.fail(method="PATCH", status=429, reset=5)
    with pytest.raises(ServerError), local.tx() as tx:
        tx.user_metadata["theme"] = "dark"
    assert tx.result is not None
    assert (tx.result.outcome, local.sent) == ("failed", ["PATCH"])


@pytest.mark.parametrize("left", [{}, {"theme": "light"}])
def test_an_applied_clear_keeps_keys_that_were_added_later(left: dict[str, Any]) -> None:
    """If no key of the known base is left, the clear was applied; if one is left, the bag is cleared again."""
    local = Local(STORED)
    local.tenant.fail(method="PATCH", drop="after_commit")
    local.second_writer("GET", user_metadata={"new": 1, **left})
    with local.tx(base=local.profile()) as tx:
        tx.user_metadata.clear()
    assert tx.result is not None
    assert tx.result.outcome == ("updated" if left else "confirmed")
    assert local.user_metadata == ({} if left else {"new": 1})


class Silent(BaseAdapter):
    """Let a PATCH and every later request time out after 30 s; the batch is stopped meanwhile."""

    def __init__(self, local: Local, stopped: threading.Event) -> None:
        super().__init__()
        self._local, self._stopped = local, stopped
        self.sent: list[str] = []

    def send(self, request: Any, *_: Any, **__: Any) -> Any:
        """Time out."""
        self.sent.append(request.method)
        self._local.clock.advance(30)
        if len(self.sent) == 2:
            self._stopped.set()
        raise requests.ReadTimeout

    def close(self) -> None:
        """Do nothing."""


def test_a_batch_that_stops_does_not_wait_for_one_timeout_after_the_other() -> None:
    """Reading back ends half a minute after the stop by the clock; reads that time out count."""
    local = Local(STORED)
    stopped = threading.Event()
    adapter = Silent(local, stopped)
    local.client = local.tenant.client(token="a.b.c", adapter=adapter)
    tx = bulk_transaction(local, stopped, max_wait=None)
    tx.user_metadata["theme"] = "dark"
    with pytest.raises(OutcomeUnknown):
        tx.commit()
    assert adapter.sent == ["PATCH", "GET", "GET"]


REFUSED: dict[str, dict[str, Any]] = {
    "not found": {"status": 404},
    "a long rate limit": {"status": 429, "reset": 5000},
    "a failing server": {"status": 503, "times": None},
    "no token": {"status": 401, "times": None},
    "a lost response": {"drop": "before_commit", "times": None},
    "another user": {"status": 200, "body": {"user_id": "auth0|other"}},
    "no JSON": {"status": 200, "body": "<html>"},
}


@pytest.mark.parametrize("fault", REFUSED.values(), ids=REFUSED)
def test_a_read_of_a_commit_that_fails_says_that_nothing_was_written(fault: dict[str, Any]) -> None:
    """There something was to be written; a read by itself, and one in a block, say nothing about writing."""
    local = Local(STORED)
    local.tenant.fail(method="GET", **fault)
    with pytest.raises(Auth0MetaError, match=r"Nothing was written$") as raised, local.tx(max_wait=5) as tx:
        tx.user_metadata.increment("n")
    assert tx.result.outcome == "failed"
    assert str(raised.value).count("othing was written") == 1
    local = Local(STORED)
    local.tenant.fail(method="GET", **fault)
    with pytest.raises(Auth0MetaError) as raised:
        local.tx(max_wait=5).load()
    assert "written" not in str(raised.value)


def test_a_commit_that_could_not_be_sent_says_that_nothing_was_written() -> None:
    """So do errors that come before any request: a refused token, a tenant that can't be reached."""
    local = Local(STORED)
    client = local.tenant.client(token=lambda: "", max_wait=0)
    with pytest.raises(Auth0MetaError, match="nothing was sent"), client.transaction(UID) as tx:
        tx.user_metadata["theme"] = CANARY
    nowhere = ManagementClient("http://127.0.0.1:9", token="a.b.c", max_wait=0)
    with pytest.raises(Auth0MetaError, match="othing was written"), nowhere.transaction(UID) as tx:
        tx.user_metadata["theme"] = CANARY
