"""Opening a transaction, bases, sizes, and what a transaction shows of itself."""

from __future__ import annotations

import logging
import pickle
import threading
import traceback
import warnings
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

import pytest
from support.local_tenant import UID, Local, bulk_transaction
from support.scripted_server import Reply, ScriptedServer, connect

from auth0_meta import (
    Auth0MetaError,
    ConfigError,
    ConflictError,
    InputError,
    MetadataError,
    MetadataTransaction,
    MetadataWarning,
    NotFoundError,
    PathError,
    RateLimitError,
    StateError,
    StoredDataError,
    TransportError,
    User,
)
from auth0_meta.changes.rules import MAX_REQUEST
from auth0_meta.checks.sizes import PROFILE_LIMIT, profile_size
from auth0_meta.clock import Cancelled
from auth0_meta.transactions.unit import State
from auth0_meta.warn import notice

CANARY = "canary-91c3"


@pytest.mark.parametrize("user_id", ["", None, 5, "a b", ".", "..", "a\n", b"auth0|1"])
def test_bad_user_ids_fail_when_opened(user_id: Any) -> None:
    """An empty or impossible user id is refused when the transaction is opened."""
    local = Local()
    with pytest.raises(MetadataError, match="user id"):
        local.client.transaction(user_id)
    assert len(local.tenant.journal) == 0


@pytest.mark.parametrize(
    ("settings", "kind"),
    [
        ({"oversize": "ignore"}, InputError),
        ({"base_check": True}, InputError),
        ({"base": [1]}, InputError),
        ({"base": {"user_id": "auth0|other"}}, InputError),
        ({"max_wait": -1}, ConfigError),
        ({"max_wait": "1"}, ConfigError),
        ({"lock": 1}, InputError),
    ],
)
def test_bad_settings_fail_when_opened(settings: dict[str, Any], kind: type[Exception]) -> None:
    """Settings that can't work are refused before anything is staged or sent."""
    local = Local()
    with pytest.raises(kind):
        local.tx(**settings)
    assert len(local.tenant.journal) == 0


def test_the_class_and_the_method_open_the_same_transaction() -> None:
    """They are MetadataTransaction(client, id) and client.transaction(id)."""
    local = Local()
    with MetadataTransaction(local.client, UID) as tx:
        tx.user_metadata["a"] = 1
    assert local.user_metadata == {"a": 1}
    assert type(local.tx()) is MetadataTransaction


def test_a_bag_of_null_is_empty() -> None:
    """A bag that is stored as null counts as absent, which counts as empty."""
    local = Local()
    local.tenant.fail(method="GET", status=200, body={"user_id": UID, "user_metadata": None})
    with local.tx() as tx:
        tx.user_metadata.increment("a.b")
    assert local.user_metadata == {"a": {"b": 1}}


# Bases.


@pytest.mark.parametrize("wrap", [dict, MappingProxyType, User.from_dict])
def test_a_base_may_be_any_profile(wrap: Any) -> None:
    """A dict, any mapping, nested ones too, and a User can be a base; a dict without user_id counts as this user's."""
    local = Local({"a": {"b": 1, "c": [1]}})
    base = {"user_metadata": MappingProxyType({"a": MappingProxyType({"b": 1, "c": (1,)})})}
    with local.tx(base=wrap(base)) as tx:
        assert tx.user_metadata.get("a.b") == 1
        tx.user_metadata.append("a.c", 2)
        assert tx.app_metadata == {}
    assert local.sent == ["PATCH"]
    assert local.user_metadata == {"a": {"b": 1, "c": [1, 2]}}


def test_a_bag_that_was_not_requested_is_unknown() -> None:
    """A User read with fields= is a base for the bags it has: those cost no GET, the others are read."""
    local = Local({"a": {"b": 1}}, {"c": {"d": 1}})

    def base() -> User:
        return User({"user_id": UID, "user_metadata": local.user_metadata}, frozenset({"app_metadata"}))

    with local.tx(base=base()) as tx:
        tx.user_metadata.set("a.x", 2)
    assert local.sent == ["PATCH"]
    with local.tx(base=base()) as tx:
        tx.user_metadata.set("a.y", 2)
        tx.app_metadata.set("c.x", 2)
    assert local.sent == ["PATCH", "GET", "PATCH"]
    assert local.bodies[-1] == {
        "user_metadata": {"a": {"b": 1, "x": 2, "y": 2}},
        "app_metadata": {"c": {"d": 1, "x": 2}},
    }


def test_reading_a_bag_that_the_base_lacks_reads_the_user() -> None:
    """From then on it is a transaction without a base."""
    local = Local({"a": 1}, {"c": 1})
    base = User({"user_id": UID, "user_metadata": {"a": 1}}, frozenset({"app_metadata"}))
    with pytest.raises(ConflictError), local.tx(base=base) as tx:
        tx.user_metadata["copy"] = tx.app_metadata["c"]
        local.write(app_metadata={"c": 2})
    assert local.sent == ["GET", "GET"]
    with local.tx(base=base) as tx:
        tx.load()
        tx.load()
        assert tx.app_metadata["c"] == 2
        tx.rollback()
    assert local.sent == ["GET", "GET", "GET"]


def test_the_first_read_of_a_path_decides_about_conflicts() -> None:
    """A later read of the same path, from a newer profile, does not hide that the first one is out of date."""
    local = Local({"a": 1}, {"c": 1})
    base = User({"user_id": UID, "user_metadata": {"a": 1}}, frozenset({"app_metadata"}))
    with pytest.raises(ConflictError) as raised, local.tx(base=base) as tx:
        decided_on = tx.user_metadata["a"]
        local.write(user_metadata={"a": 2})
        tx.load()
        assert tx.user_metadata["a"] == 2
        tx.app_metadata["copy"] = decided_on
    assert raised.value.paths == (("user_metadata", ("a",)),)
    assert local.app_metadata == {"c": 1}


def test_a_given_base_is_not_read() -> None:
    """load() with a whole base sends nothing."""
    local = Local({"a": 1})
    with local.tx(base=local.profile()) as tx:
        tx.load()
    assert local.sent == []


_DEEP: Any = 1
for _ in range(300):
    _DEEP = {"a": _DEEP}


@pytest.mark.parametrize(
    ("bag", "what", "path"),
    [
        ({"p": {"v": datetime(2027, 1, 15, tzinfo=UTC)}}, "datetime", ("p", "v")),
        ({"p": [1, {"v": {2}}]}, "set", ("p", "1", "v")),
        ({"p": float("nan")}, "NaN", ("p",)),
        ({"p": float("-inf")}, "NaN or Infinity", ("p",)),
        ({1: "canary"}, "a key of type int", ()),
        (_DEEP, "200 levels", ("a", "a", "a")),
    ],
)
def test_a_base_must_be_json(bag: Any, what: str, path: tuple[str, ...]) -> None:
    """A base that JSON can't represent is refused at once, with bag and path and without the value."""
    local = Local()
    with pytest.raises(
        MetadataError, match=f"can't be read as JSON: it holds .*{what}.*nothing was sent"
    ) as raised:
        local.tx(base={"user_id": UID, "app_metadata": bag})
    error = raised.value
    assert (error.bag, error.path, error.user_id) == ("app_metadata", path, UID)
    assert UID in str(error)
    assert "canary" not in str(error)


@pytest.mark.parametrize("oversize", ["warn", "off"])
def test_other_fields_of_a_base_may_be_anything(oversize: str) -> None:
    """A row that also has dates is a base too: only the bags matter."""
    local = Local()
    row = {
        "user_id": UID,
        "created_at": datetime(2027, 1, 15, tzinfo=UTC),
        "logins": 1.5,
        "app_metadata": None,
        "user_metadata": {"rate": 0.5, "tags": ("a", True)},
    }
    with local.tx(base=row, oversize=oversize) as tx:
        tx.user_metadata.merge({"rate": 0.5, "tags": ["a", True]})
        tx.app_metadata.set("p.lang", "fi")
    assert local.bodies == [{"app_metadata": {"p": {"lang": "fi"}}}]


@pytest.mark.parametrize("oversize", ["warn", "off"])
def test_a_stored_lone_surrogate_does_no_harm(oversize: str) -> None:
    """Stored text that is not valid Unicode, next to what is changed, neither stops the change nor is altered by it."""
    raw = b'{"user_id":"auth0|1","name":"\\ud83d","app_metadata":{"p":{"note":"\\ud83d cut","lang":"en"}}}'
    with ScriptedServer(Reply(raw=raw)) as server, connect(server) as client:
        with client.transaction("auth0|1", oversize=oversize) as tx:
            tx.app_metadata.set("p.lang", "fi")
        assert server.seen[-1].json == {"app_metadata": {"p": {"note": "\ud83d cut", "lang": "fi"}}}
        assert tx.result is not None
        assert tx.result.outcome == "updated"


def test_a_stored_number_that_is_too_large_is_an_error() -> None:
    """A number that can't be sent back is a typed error before the PATCH; the value is not shown."""
    raw = b'{"user_id":"auth0|1","app_metadata":{"p":{"x":1e999,"y":"canary"}}}'
    with ScriptedServer(Reply(raw=raw)) as server, connect(server) as client:
        with (
            pytest.raises(StoredDataError, match="Nothing was written") as raised,
            client.transaction("auth0|1") as tx,
        ):
            tx.app_metadata.set("p.lang", "fi")
        assert "canary" not in "".join(traceback.format_exception(raised.value))
        assert server.methods() == ["GET"]


@pytest.mark.parametrize("depth", [198, 199, 5_000, 100_000])
@pytest.mark.parametrize("read", [False, True])
def test_a_stored_bag_may_be_nested_200_levels_deep(depth: int, *, read: bool) -> None:
    """One more level is a typed error, with nothing written."""
    inner = b'{"a":' * depth + b"1" + b"}" * depth
    raw = b'{"user_id":"auth0|1","app_metadata":{"p":{"x":' + inner + b"}}}"
    raised: Exception | None = None
    with ScriptedServer(Reply(raw=raw)) as server, connect(server, max_wait=0) as client:
        try:
            with client.transaction("auth0|1") as tx:
                if read:
                    assert tx.app_metadata["p"] == tx.app_metadata.to_dict()["p"]
                tx.app_metadata.set("p.lang", "fi")
        except (StoredDataError, TransportError) as error:
            raised = error
        assert server.methods().count("PATCH") == (raised is None)
    assert (raised is None) is (depth == 198)
    assert raised is None or "nested" in str(raised)


# Sizes.


def _filled(local: Local, size: int) -> str:
    """Return the text that, stored as `big` in user_metadata, makes the profile `size` bytes long."""
    profile = local.profile()
    profile["user_metadata"] = {**profile.get("user_metadata", {}), "big": ""}
    return "x" * (size - profile_size(profile))


@pytest.mark.parametrize("nested", [False, True])
def test_a_profile_of_more_than_10_kb_warns(*, nested: bool) -> None:
    """With a known base, given or read at commit, a profile one byte past 10 KB warns; a profile of 10 KB does not."""
    local = Local({"a": {}})
    for size in (PROFILE_LIMIT, PROFILE_LIMIT + 1):
        local.write(user_metadata={"a": {}, "big": None})
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            with local.tx(base=None if nested else local.profile()) as tx:
                tx.user_metadata["big"] = _filled(local, size)
                tx.user_metadata.delete("a.none")
        assert len(caught) == (size > PROFILE_LIMIT)
        assert profile_size(local.profile()) == size
    (warning,) = caught
    assert warning.category is MetadataWarning
    assert warning.filename == __file__
    assert UID in str(warning.message)
    assert f"{PROFILE_LIMIT + 1} B" in str(warning.message)


def test_a_profile_of_more_than_10_kb_may_be_refused() -> None:
    """oversize="error" refuses it before the PATCH, unless the change makes the profile smaller."""
    local = Local({"a": 1})
    with (
        pytest.raises(MetadataError, match=r"past Auth0's limit.*Nothing was written") as raised,
        local.tx(base=local.profile(), oversize="error") as tx,
    ):
        tx.user_metadata["big"] = _filled(local, PROFILE_LIMIT + 1)
    assert UID in str(raised.value)
    assert local.sent == []
    with local.tx(base=local.profile(), oversize="error") as tx:
        tx.user_metadata["big"] = _filled(local, PROFILE_LIMIT)
    local.write(user_metadata={"big": "x" * 3 * PROFILE_LIMIT})
    with pytest.warns(MetadataWarning), local.tx(base=local.profile(), oversize="error") as tx:
        tx.user_metadata["big"] = "x" * 2 * PROFILE_LIMIT
    assert len(local.user_metadata["big"]) == 2 * PROFILE_LIMIT


def test_the_size_check_can_be_turned_off() -> None:
    """oversize="off" gives no warning."""
    local = Local({"a": 1})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with local.tx(base=local.profile(), oversize="off") as tx:
            tx.user_metadata["big"] = "x" * 2 * PROFILE_LIMIT


def test_without_a_base_only_what_is_staged_counts() -> None:
    """Nothing is read for the size: values past the limit warn or are refused, smaller ones do not."""
    local = Local({"a": 1})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with local.tx() as tx:
            tx.user_metadata["half"] = "x" * (PROFILE_LIMIT // 2)
    with pytest.warns(MetadataWarning, match="or more"), local.tx() as tx:
        tx.user_metadata["big"] = "x" * 2 * PROFILE_LIMIT
    assert tx.result.requests == 1
    with pytest.raises(MetadataError, match="Nothing was written"), local.tx(oversize="error") as tx:
        tx.user_metadata["big"] = "x" * 3 * PROFILE_LIMIT
    assert local.sent.count("PATCH") == 2


def test_a_size_causes_only_one_warning() -> None:
    """A PATCH that is sent again does not repeat the warning."""
    local = Local({"n": 1})
    local.tenant.fail(method="PATCH", drop="before_commit")
    local.tenant.fail(method="PATCH", nth=2, status=429, reset=30)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with local.tx() as tx:
            tx.user_metadata.increment("n")
            tx.user_metadata["big"] = "x" * 2 * PROFILE_LIMIT
    assert local.sent.count("PATCH") == 3
    assert len(caught) == 1


def test_siblings_count_against_the_megabyte() -> None:
    """A nested change is refused before the PATCH if its first-level value, with what is stored, exceeds 1 MB."""
    local = Local({"a": {"old": "x" * (MAX_REQUEST - 50)}})
    with pytest.raises(MetadataError, match="Nothing was written") as raised, local.tx(oversize="off") as tx:
        tx.user_metadata.set("a.new", "x" * 100)
    assert UID in str(raised.value)
    assert local.sent == ["GET"]


# What it shows of itself.


def test_the_result_shows_what_happened() -> None:
    """Requests, attempts, waits, document and user are counted and shown; None before the end."""
    local = Local({"n": 1})
    local.tenant.fail(method="PATCH", status=429, reset=2)
    with local.tx() as tx:
        with pytest.raises(StateError, match="no result"):
            tx.result  # noqa: B018
        tx.user_metadata.increment("n")
    result = tx.result
    assert result is not None
    assert (result.outcome, result.requests, result.attempts) == ("updated", 4, 2)
    assert 2 <= result.waited <= 2.3
    assert result.document == {"user_metadata": {"n": 2}}
    assert result.user is not None
    assert result.user.raw == local.profile()
    again = pickle.loads(pickle.dumps(result))  # noqa: S301  # our own
    assert again == result


def test_pending_shows_both_bags() -> None:
    """`pending` is what is staged so far; later staging does not change a value that was taken earlier."""
    local = Local()
    with local.tx() as tx:
        tx.user_metadata["a"] = 1
        before = tx.pending
        tx.app_metadata["b"] = 2
        assert repr(before) == "<Change user_metadata(a 1 B)>"
        assert tx.pending.touched == (("user_metadata", "a"), ("app_metadata", "b"))
        tx.rollback()
        assert not tx.pending


def test_max_wait_limits_the_waits() -> None:
    """A 429 whose Reset is past max_wait raises at once, without a wait, and names user and time."""
    local = Local({"a": 1})
    local.tenant.fail(method="PATCH", status=429, reset=4 * 3600)
    with pytest.raises(RateLimitError, match="Nothing was written") as raised, local.tx(max_wait=60) as tx:
        tx.user_metadata["a"] = 2
    assert local.clock.slept == []
    assert raised.value.user_id == UID
    assert raised.value.retry_at is not None
    assert 4 * 3600 <= raised.value.retry_at - local.clock.time() <= 4 * 3600 + 2
    assert tx.result is not None
    assert (tx.result.outcome, tx.result.requests) == ("failed", 1)


def test_a_patch_that_was_never_sent_leaves_no_document() -> None:
    """While a 429 closes the bucket for longer than max_wait, nothing is sent, and the result says so."""
    local = Local({"a": 1}, max_wait=1)
    local.tenant.fail(method="PATCH", status=429, reset=30)
    with pytest.raises(RateLimitError):
        local.client.users.update(UID, {"user_metadata": {"a": 2}})
    with pytest.raises(RateLimitError, match="was not sent"), local.tx() as tx:
        tx.user_metadata["a"] = 2
    assert local.sent == ["PATCH"]
    assert tx.result is not None
    assert (tx.result.requests, tx.result.document) == (0, {})


def test_max_wait_limits_a_wait_between_get_and_patch_too() -> None:
    """The wait that makes the base out of date counts like any other."""
    local = Local({"n": 1})
    for nth in (1, 2):
        local.tenant.fail(method="PATCH", status=429, reset=30, nth=nth)
    with pytest.raises(RateLimitError), local.tx(max_wait=50) as tx:
        tx.user_metadata.increment("n")
    assert tx.result is not None
    assert 30 <= tx.result.waited <= 31
    assert local.user_metadata == {"n": 1}


def test_the_error_for_an_unknown_user_names_it() -> None:
    """It has the id and the next step."""
    local = Local()
    with (
        pytest.raises(NotFoundError, match=r"auth0\|nobody.*Nothing was written.*Check the user id"),
        local.client.transaction("auth0|nobody") as tx,
    ):
        tx.user_metadata["a"] = 1
    assert tx.state is State.FAILED


def test_errors_survive_pickling() -> None:
    """Errors of a commit keep message, user, bag and path."""
    local = Local({"s": CANARY})
    with pytest.raises(PathError) as raised, local.tx() as tx:
        tx.user_metadata.increment("s")
    again = pickle.loads(pickle.dumps(raised.value))  # noqa: S301  # our own
    assert (type(again), str(again), again.user_id, again.bag, again.path) == (
        PathError, str(raised.value), UID, "user_metadata", ("s",),
    )  # fmt: skip


def test_no_value_reaches_a_log_or_an_error(caplog: pytest.LogCaptureFixture) -> None:
    """A run with waits, lost responses, refusals and conflicts shows no value in logs, errors, reprs or waits."""
    caplog.set_level(logging.DEBUG)
    shown: list[str] = []
    local = Local({"s": CANARY, "n": 1}, on_wait=lambda wait: shown.append(repr(wait)))
    faults: list[dict[str, Any]] = [
        {"status": 429, "reset": 2},
        {"drop": "after_commit"},
        {"status": 400, "body": "echo"},
        {"status": 500, "body": "echo"},
        {"status": 200, "body": "echo"},
    ]
    for number, fault in enumerate(faults):
        value = f"{CANARY}-{number}"
        echo = {"statusCode": 400, "message": f"Payload validation error: {value!r}", "error": "Bad Request"}
        local.tenant.fail(method="PATCH", **({**fault, "body": echo} if "body" in fault else fault))
        tx = local.tx()
        try:
            with tx:
                tx.user_metadata["t"] = value
                tx.user_metadata["u"] = tx.user_metadata["s"]
                tx.user_metadata.increment("n")
        except Auth0MetaError as error:
            shown += traceback.format_exception(error)
        shown += [repr(tx), repr(tx.result), repr(tx.pending), repr(tx.user_metadata)]
    assert len(shown) > 10
    assert CANARY not in "".join(shown) + caplog.text


def test_another_thread_may_commit() -> None:
    """One thread may commit what another staged, as a batch does; the blocks of the two stay separate."""
    local = Local()
    tx = local.tx()
    tx.user_metadata["a"] = 1
    worker = threading.Thread(target=tx.commit)
    worker.start()
    worker.join()
    assert local.user_metadata == {"a": 1}
    assert tx.state is State.COMMITTED


def test_a_bulk_transaction_can_be_stopped_before_it_is_sent() -> None:
    """The batch's event ends it when it would have to wait, with nothing sent."""
    local = Local(rate_limit="2@1")
    stop = threading.Event()
    for _ in range(2):
        local.client.users.get(UID)
    tx = bulk_transaction(local, stop)
    tx.user_metadata["a"] = 1
    stop.set()
    with pytest.raises(Cancelled):
        tx.commit()
    assert local.user_metadata == {}


def test_a_warning_has_a_line_without_a_callers_frame() -> None:
    """A warning is still given if every frame on the stack is the package's own."""
    with pytest.warns(MetadataWarning, match="hello"):
        exec("notice('hello')", {"notice": notice, "__name__": "auth0_meta.any"})  # noqa: S102  # a frame of ours


def test_a_closed_client_writes_nothing() -> None:
    """A transaction of a closed client raises StateError, and has failed."""
    local = Local()
    local.client.close()
    with pytest.raises(StateError, match="closed"), local.tx() as tx:
        tx.user_metadata["a"] = 1
    assert tx.state is State.FAILED
