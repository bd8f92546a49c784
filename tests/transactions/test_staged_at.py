"""An error at the commit that one staged change causes names the line that staged it."""

from __future__ import annotations

import asyncio
import inspect
import pickle
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from auth0_meta import ManagementClient, MetadataBag, MetadataBatch, MetadataWarning, PathError
from auth0_meta.emulator import LocalTenant

ID = "auth0|1"
STORED = {
    "number": 5,
    "text": "canary",
    "deep": {"list": [1], "text": "canary"},
    "huge": 2**53 - 1,
    "large": 1.7e308,
}
Stage = Callable[[MetadataBag], object]
CLASHES: dict[str, tuple[Stage, int]] = {}
"""What clashes with `STORED` -> (how to stage it, the line that does)."""


def _line() -> int:
    """Return the line of the caller."""
    frame = inspect.currentframe()
    assert frame is not None
    assert frame.f_back is not None
    return frame.f_back.f_lineno


CLASHES["append to a number"] = (lambda bag: bag.append("number", 1), _line())
CLASHES["append to a text"] = (lambda bag: bag.append("deep.text", "canary"), _line())
CLASHES["increment of a text"] = (lambda bag: bag.increment("text"), _line())
CLASHES["increment of a list"] = (lambda bag: bag.increment("deep.list", by=2), _line())
CLASHES["path through a number"] = (lambda bag: bag.set("number.a", "canary"), _line())
CLASHES["path through a text"] = (lambda bag: bag.set(("deep", "text", "a"), 1), _line())
CLASHES["append through a list"] = (lambda bag: bag.append("deep.list.a", 1), _line())
CLASHES["increment past the largest number"] = (lambda bag: bag.increment("large", 1.7e308), _line())


@pytest.fixture
def client() -> Iterator[ManagementClient]:
    """Return a client whose tenant has one user."""
    with LocalTenant(serve=False, users=[{"user_id": ID, "app_metadata": STORED}]) as tenant:
        yield tenant.client()


def _with(client: ManagementClient, stage: Stage) -> None:
    with client.transaction(ID) as tx:
        tx.app_metadata["flat"] = 1
        stage(tx.app_metadata)


def _commit(client: ManagementClient, stage: Stage) -> None:
    tx = client.transaction(ID)
    stage(tx.app_metadata)
    tx.user_metadata.set("prefs.lang", "fi")
    tx.commit()


def _nested(client: ManagementClient, stage: Stage) -> None:
    with client.transaction(ID) as tx, tx.nested() as outer, outer.nested() as part:
        stage(part.app_metadata)


def _joined(client: ManagementClient, stage: Stage) -> None:
    with client.transaction(ID):
        helper = client.transaction(ID)
        stage(helper.app_metadata)
        with helper:
            pass


def _function(client: ManagementClient, stage: Stage) -> None:
    client.run_transaction(ID, lambda tx: stage(tx.app_metadata))


def _batch(client: ManagementClient, stage: Stage) -> None:
    with MetadataBatch(client, on_error="collect") as batch:
        stage(batch.user(ID).app_metadata)
    (failure,) = batch.results.failures
    assert failure.error is not None
    raise failure.error


def _asynchronous(client: ManagementClient, stage: Stage) -> None:
    async def job() -> None:
        async with client.atransaction(ID) as tx:
            stage(tx.app_metadata)

    asyncio.run(job())


def _read(client: ManagementClient, stage: Stage) -> None:
    with client.transaction(ID) as tx:
        stage(tx.app_metadata)
        tx.app_metadata.to_dict()


WAYS = [_with, _commit, _nested, _joined, _function, _batch, _asynchronous, _read]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__.strip("_"))
@pytest.mark.parametrize("clash", CLASHES)
def test_the_line_is_named(
    clash: str, way: Callable[[ManagementClient, Stage], None], client: ManagementClient
) -> None:
    """Whatever commits it, the message names file and line, the attribute has both, and no value is in either."""
    stage, line = CLASHES[clash]
    with pytest.raises(PathError) as caught:
        way(client, stage)
    assert str(caught.value).endswith(f"nothing was written (staged at {Path(__file__).name}:{line})")
    assert caught.value.staged_at == (__file__, line)
    assert caught.value.user_id == ID
    assert "canary" not in f"{caught.value} {vars(caught.value)}"
    assert pickle.loads(pickle.dumps(caught.value)).staged_at == (__file__, line)  # noqa: S301


@pytest.mark.parametrize("clash", CLASHES)
def test_an_error_at_the_line_itself_does_not_name_it(clash: str, client: ManagementClient) -> None:
    """With a known base it is raised there, so the traceback ends at the line."""
    stage, line = CLASHES[clash]
    with client.transaction(ID, base={"user_id": ID, "app_metadata": STORED}) as tx:
        with pytest.raises(PathError) as caught:
            stage(tx.app_metadata)
        assert "staged at" not in str(caught.value)
        assert caught.value.staged_at is None
        assert caught.traceback[-1].lineno + 1 == line
        tx.rollback()


def test_a_line_that_comes_by_way_of_the_standard_library(client: ManagementClient) -> None:
    """`setdefault` and `update` are Python's own methods; the line is the program's all the same."""
    with pytest.raises(PathError) as caught, client.transaction(ID) as tx:
        tx.user_metadata.update(theme="dark")
        tx.app_metadata.set("number.a", 1)
        line = _line() - 1
    assert caught.value.staged_at == (__file__, line)


@pytest.mark.parametrize(
    ("stage", "noted"),
    [
        (lambda bag: bag.update(a=1), False),
        (lambda bag: bag.set("a", {"b": 1}), False),
        (lambda bag: bag.merge({"a": {"b": 1}}), False),
        (lambda bag: bag.delete("a.b"), False),
        (lambda bag: bag.replace({"a": 1}), False),
        (lambda bag: bag.set("a.b", 1), True),
        (lambda bag: bag.append("a", 1), True),
        (lambda bag: bag.increment("a"), True),
    ],
)
def test_only_what_may_clash_is_noted(stage: Stage, noted: bool, client: ManagementClient) -> None:
    """What can't fail at the commit costs nothing more when it is staged."""
    tx = client.transaction(ID)
    stage(tx.app_metadata)
    (operation,) = tx.pending.app_metadata.keys["a"]
    assert (operation.staged_at is not None) is noted
    assert pickle.loads(pickle.dumps(tx.pending)) == tx.pending  # noqa: S301
    tx.rollback()


def test_a_warning_at_the_commit_points_at_the_line_that_staged_it(client: ManagementClient) -> None:
    """That an increment makes a stored number inexact is known only then."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with client.transaction(ID) as tx:
            tx.app_metadata.increment("huge", 5)
            line = _line() - 1
    (warning,) = caught
    assert warning.category is MetadataWarning
    assert (warning.filename, warning.lineno) == (__file__, line)


def test_a_task_of_its_own_has_no_line_of_the_program(client: ManagementClient) -> None:
    """`wait_for` makes such a task; a line of asyncio would help nobody."""

    async def job() -> None:
        await asyncio.wait_for(client.aio.users.set_metadata(ID, app={"number.a": 1}), 60)

    with pytest.raises(PathError, match=r"nothing was written$") as caught:
        asyncio.run(job())
    assert caught.value.staged_at is None


def test_a_stored_operation_has_no_line(client: ManagementClient) -> None:
    """An operation from a job file was staged elsewhere."""
    tx = client.transaction(ID)
    tx.app_metadata.append("number", 1)
    change = type(tx.pending).from_json(tx.pending.to_json())
    tx.rollback()
    with pytest.raises(PathError, match=r"nothing was written$") as caught:
        change.document({"user_id": ID, "app_metadata": STORED})
    assert caught.value.staged_at is None
