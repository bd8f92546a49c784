"""Integers past 2**53, which Auth0, as a JavaScript program, keeps as doubles: a warning says so, wherever they come from."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.local_tenant import UID, Local
from support.logins import Login

from auth0_meta import MetadataBatch, MetadataWarning, migrate
from auth0_meta.actions import post_login
from auth0_meta.transactions.bag import MetadataBag

EDGE = 2**53
WARNED = r"app_metadata of .*: {path} is an integer past 2\*\*53, which Auth0 keeps as a double"
Stage = Callable[[MetadataBag, Any], object]

# How a number is staged, and its path.
STAGED: dict[str, tuple[Stage, str]] = {
    "[]=": (lambda bag, n: bag.__setitem__("id", n), "id"),
    "[]= of an object": (lambda bag, n: bag.__setitem__("a", {"b": [{"id": n}]}), "a.b.0.id"),
    "set": (lambda bag, n: bag.set("a.id", n), "a.id"),
    "set of a list": (lambda bag, n: bag.set("a.ids", [1, n]), "a.ids.1"),
    "merge": (lambda bag, n: bag.merge({"a": {"id": n}}), "a.id"),
    "append": (lambda bag, n: bag.append("ids", n), "ids"),
    "append of an object": (lambda bag, n: bag.append("log", {"id": n}), "log.id"),
    "increment": (lambda bag, n: bag.increment("id", n), "id"),
    "replace": (lambda bag, n: bag.replace({"a": {"id": n}}), "a.id"),
    "update": (lambda bag, n: bag.update(id=n), "id"),
    "setdefault": (lambda bag, n: bag.setdefault("id", n), "id"),
}  # fmt: skip


def quiet(call: Callable[[], object]) -> None:
    """Call something that must not warn."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        call()


@pytest.mark.parametrize("number", [EDGE + 1, -EDGE - 1, 2**60, 10**30])
@pytest.mark.parametrize(("stage", "path"), STAGED.values(), ids=STAGED)
def test_an_integer_past_2_to_the_53_warns_once_and_is_sent(stage: Stage, path: str, number: int) -> None:
    """The warning names user and path, points at the caller's line and has no value; 2**60 is exact but is written otherwise."""
    local = Local({}, {})
    with local.tx() as tx:
        with pytest.warns(MetadataWarning, match=WARNED.format(path=path)) as caught:
            stage(tx.app_metadata, number)
        (warning,) = caught
        assert warning.filename == __file__
        assert str(number) not in str(warning.message)
        assert UID in str(warning.message)
    assert json.dumps(number) in json.dumps(local.app_metadata)


@pytest.mark.parametrize("number", [EDGE, EDGE - 1, -EDGE, float(EDGE) * 4])
@pytest.mark.parametrize("stage", [stage for stage, _ in STAGED.values()], ids=STAGED)
def test_up_to_2_to_the_53_nothing_is_said(stage: Stage, number: Any) -> None:
    """Every integer up to there is exact in a double, and floats are doubles already."""
    with Local({}, {}).tx() as tx:
        quiet(lambda: stage(tx.app_metadata, number))


def test_text_is_never_a_number() -> None:
    """That is what the warning advises."""
    with Local({}, {}).tx() as tx:
        quiet(lambda: tx.app_metadata.set("a.id", str(EDGE + 1)))


def test_many_numbers_in_one_call_are_one_warning() -> None:
    """The first one is named."""
    with Local({}, {}).tx() as tx:
        with pytest.warns(MetadataWarning, match=r"ids\.0 is") as caught:
            tx.user_metadata["ids"] = [EDGE + n for n in range(1, 500)]
        assert len(caught) == 1


@pytest.mark.parametrize("base", [False, True])
@pytest.mark.parametrize("read", [False, True])
def test_an_increment_that_takes_a_stored_number_too_far_warns_at_the_commit(
    *, base: bool, read: bool
) -> None:
    """Only then the sum is known; the warning comes once, and not for a stored one that is left alone."""
    local = Local({}, {"n": {"count": EDGE - 1, "other": EDGE + 5}})
    tx = local.tx(base=local.profile() if base else None)
    if read:
        tx.load()
    quiet(lambda: tx.app_metadata.increment("n.count"))
    quiet(tx.commit)
    tx = local.tx(base=local.profile() if base else None)
    quiet(lambda: tx.app_metadata.increment("n.count"))
    with pytest.warns(MetadataWarning, match=WARNED.format(path="n.count")) as caught:
        tx.commit()
    assert len(caught) == 1
    assert local.app_metadata["n"]["count"] == EDGE + 1


def test_a_sum_that_staging_knows_warns_when_it_is_staged() -> None:
    """After a set, or in an emptied bag, nothing has to be read for that."""
    with Local({}, {}).tx() as tx:
        tx.app_metadata["n"] = EDGE
        with pytest.warns(MetadataWarning, match=WARNED.format(path="n")):
            tx.app_metadata.increment("n")


def test_a_warning_turned_into_an_error_stages_and_sends_nothing() -> None:
    """At staging the block may continue; at the commit nothing is written."""
    local = Local({}, {"n": EDGE})
    with warnings.catch_warnings(), local.tx() as tx:
        warnings.simplefilter("error")
        with pytest.raises(MetadataWarning):
            tx.app_metadata["id"] = EDGE + 1
        assert not tx.pending
    tx = local.tx()
    tx.app_metadata.increment("n")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(MetadataWarning):
            tx.commit()
    assert "PATCH" not in local.sent


def test_batches_and_actions_warn_too() -> None:
    """They stage in the same way; an action's update is staged when the login ends."""
    local = Login({}, {})
    with pytest.warns(MetadataWarning, match=WARNED.format(path="id")), MetadataBatch(local.client) as batch:
        batch.user(UID).app_metadata["id"] = EDGE + 1
    with pytest.warns(MetadataWarning, match=WARNED.format(path="other")) as caught:
        local.run(lambda event, api: api.user.set_app_metadata("other", EDGE + 1) and None)
    assert len(caught) == 1
    with (
        pytest.warns(MetadataWarning, match=WARNED.format(path=r"hook\.id")),
        post_login(local.client, local.event()) as api,
    ):
        api.user.set_app_metadata("hook", {"id": EDGE + 1})


@pytest.mark.parametrize(
    ("name", "text", "warned"),
    [
        ("c.csv", f"user_id,app_metadata.id:=\n{UID},{EDGE + 1}\n{UID},{EDGE + 2}\n", "line 2: app_metadata id is"),
        ("c.csv", f"user_id,app_metadata.id:=,app_metadata.text\n{UID},{EDGE},{EDGE + 1}\n", None),
        ("c.ndjson", json.dumps({"user_id": UID, "user_metadata": {"a": {"id": -EDGE - 1}}}), "line 1: user_metadata a.id is"),
        ("c.ndjson", json.dumps({"user_id": UID, "user_metadata": {"a": {"id": -EDGE}}}), None),
    ],
    ids=["csv", "csv, exact", "ndjson", "ndjson, exact"],
)  # fmt: skip
def test_a_change_file_warns_once(tmp_path: Path, name: str, text: str, warned: str | None) -> None:
    """The warning names the first line and its path."""
    local = Local({}, {})
    file, job = tmp_path / name, tmp_path / "job.db"
    file.write_text(text)

    def plan() -> None:
        migrate.plan(file, to=job, client=local.client)

    if warned is None:
        quiet(plan)
    else:
        with pytest.warns(MetadataWarning, match=f"{name} {warned}") as caught:
            plan()
        assert len(caught) == 1


def test_a_migration_says_so_in_its_summary(tmp_path: Path) -> None:
    """For what its function stages, and for what its increments lead to."""
    rows = tmp_path / "rows.ndjson"
    users = [{"user_id": f"auth0|{n}", "app_metadata": {"count": EDGE - 1 + n}} for n in range(3)]
    rows.write_text("\n".join(map(json.dumps, users)))

    def function(user: Any, tx: Any) -> None:
        tx.app_metadata.increment("count")
        if user.user_id == "auth0|0":
            tx.app_metadata.set("a.id", EDGE + 1)

    summary = migrate.plan(function, to=tmp_path / "job.db", users=str(rows))
    assert (summary.changing, summary.advised) == (3, 3)
    assert [line.partition(" is an integer past")[0] for line in summary.advice] == [
        "app_metadata of auth0|0: a.id",
        "auth0|1: app_metadata: count",
        "auth0|2: app_metadata: count",
    ]
