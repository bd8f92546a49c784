"""One task at a time: what a worker makes of a PATCH whose response was lost."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from support.local_tenant import UID, Local

from auth0_meta.migrate.applying.task import Task, TaskResult
from auth0_meta.migrate.applying.worker import work

PLAN = {"app_metadata": {"plan": "pro"}}


def _task(**facts: Any) -> Task:
    before, after = {"app_metadata": {"plan": "free"}}, {"app_metadata": {"plan": "pro"}}
    return Task(
        n=1, user_id=UID, **{"kind": "apply", "document": PLAN, "before": before, "after": after} | facts
    )


def _work(local: Local, **settings: Any) -> TaskResult:
    return work(local.client, settings.pop("task", _task()), share=1.0, **settings)


UNDO = _task(
    kind="undo", before={"app_metadata": {"plan": "trial"}}, after={"app_metadata": {"plan": "free"}}
)


@pytest.fixture
def local() -> Local:
    """Return a tenant whose user is as before."""
    return Local({}, {"plan": "free"})


def test_a_user_found_as_before_is_no_longer_in_doubt(local: Local) -> None:
    """Once a read has shown that nothing was applied, what somebody writes later is drift, and the user is planned again."""
    local.tenant.fail(method="PATCH", drop="before_commit")
    local.tenant.fail(method="PATCH", nth=2, status=429, reset=30)  # long enough to read once more
    local.second_writer("GET", nth=3, app_metadata={"plan": "team"})
    result = _work(local)
    assert (result.outcome, result.in_doubt) == ("drifted", False)
    assert result.found is not None
    assert result.found["app_metadata"] == {"plan": "team"}
    assert local.sent == ["GET", "PATCH", "GET", "PATCH", "GET"]


def test_a_user_in_doubt_whom_somebody_has_changed_is_unclear(local: Local) -> None:
    """If the user was never found as before, somebody else's change may have come on top of ours."""
    local.tenant.fail(method="PATCH", drop="before_commit")
    local.second_writer("GET", nth=2, app_metadata={"plan": "team"})
    result = _work(local)
    assert (result.outcome, result.in_doubt) == ("unclear", True)
    assert local.sent == ["GET", "PATCH", "GET"]


@pytest.mark.parametrize("kind", ["apply", "undo"])
@pytest.mark.parametrize("drop", ["before_commit", "after_commit"])
def test_a_cancelled_run_finds_out_what_became_of_its_patch(local: Local, kind: Any, drop: Any) -> None:
    """It does so after a lost response, however long that takes."""
    cancelled = threading.Event()
    local.tenant.fail(method="PATCH", drop=drop)
    local.tenant.before("PATCH", UID, lambda _: cancelled.set())
    local.tenant.fail(method="GET", status=429, reset=90, nth=2)  # longer than a stopped batch would wait
    task = (
        _task()
        if kind == "apply"
        else _task(kind="undo", before={}, after={"app_metadata": {"plan": "free"}})
    )
    result = _work(local, task=task, cancelled=cancelled)
    assert result.outcome == {"apply": "done", "undo": "undone"}[kind]
    assert local.app_metadata == ({"plan": "pro"} if kind == "apply" else {})
    assert local.sent.count("PATCH") == (1 if drop == "after_commit" else 2)


@pytest.mark.parametrize(("fault", "shares"), [(429, [0.5] * 4), (503, [0.5] * 3 + [None])])
def test_a_cancelled_run_yields_to_live_traffic_unless_there_is_an_outage(
    local: Local, fault: int, shares: list[float | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Waiting for the rate limit, it remains bulk work; an outage is waited out only as long as anybody would."""
    cancelled, seen = threading.Event(), []
    acquire = local.client._channel.throttle.acquire

    def watched(group: str, **settings: Any) -> Any:
        seen.append(settings["share"])
        if len(seen) == 3:  # it reads back
            cancelled.set()
        return acquire(group, **settings)

    monkeypatch.setattr(local.client._channel.throttle, "acquire", watched)
    local.tenant.fail(method="PATCH", drop="after_commit")
    local.tenant.fail(method="GET", status=fault, reset=3, nth=2)
    result = work(local.client, _task(), share=0.5, cancelled=cancelled)
    assert (result.outcome, local.sent) == ("done", ["GET", "PATCH", "GET", "GET"])
    assert seen == shares


def test_a_cancelled_run_sends_nothing_new(local: Local) -> None:
    """Before the PATCH has been sent, cancelling ends the task at once."""
    cancelled = threading.Event()
    local.tenant.before("GET", UID, lambda _: cancelled.set())
    result = _work(local, cancelled=cancelled)
    assert (result.outcome, result.in_doubt, local.sent) == ("cancelled", False, ["GET"])


@pytest.mark.parametrize(
    ("method", "status", "outcome", "tried", "in_doubt"),
    [
        ("GET", 400, "failed", False, False),
        ("GET", 403, "failed", False, False),
        ("GET", 401, "stopped", False, False),
        ("GET", 404, "gone", False, False),
        ("PATCH", 400, "failed", True, False),
        ("PATCH", 403, "failed", True, False),
        ("PATCH", 404, "gone", True, False),
        ("PATCH", 401, "stopped", False, False),
        ("PATCH", 503, "failed", False, True),
    ],
)
def test_a_patch_that_was_refused_has_been_tried(
    local: Local, method: str, status: int, outcome: str, *, tried: bool, in_doubt: bool
) -> None:
    """Nothing else is: no read, nothing that fails whoever the user is, and nothing that may have been applied."""
    gone = {"statusCode": 404, "message": "The user does not exist.", "errorCode": "inexistent_user"}
    local.tenant.fail(method=method, status=status, times=None, body=gone if status == 404 else None)
    result = _work(local)
    assert (result.outcome, result.tried, result.in_doubt) == (outcome, tried, in_doubt)
    assert local.app_metadata == {"plan": "free"}


@pytest.mark.parametrize("task", [_task(), UNDO], ids=["apply", "undo"])
def test_a_refused_repeat_is_not_in_doubt(local: Local, task: Task) -> None:
    """Reading has shown in between that what had left was not applied."""
    local.tenant.fail(method="PATCH", drop="before_commit")
    local.tenant.fail(method="PATCH", status=400, nth=2)
    result = _work(local, task=task)
    assert (result.outcome, result.tried, result.in_doubt) == ("failed", True, False)
    assert local.sent == ["GET", "PATCH", "GET", "PATCH"]


def test_what_was_tried_is_forgotten_once_it_is_known_not_to_be_applied(local: Local) -> None:
    """Who writes the same later is somebody else; as long as nobody could look, it may have been the earlier PATCH."""
    local.tenant.fail(method="PATCH", status=401, times=None)
    result = _work(local, task=_task(tried=True))
    assert (result.outcome, result.tried) == ("stopped", False)
    local.tenant.fail(method="GET", status=401, times=None)
    result = _work(local, task=_task(tried=True))
    assert (result.outcome, result.tried) == ("stopped", True)


def test_what_the_response_holds_instead_is_kept(local: Local) -> None:
    """An undo needs to know it; of an emptied bag these are the keys that the bag had."""
    stored = {"plan": "team", "other": 1}
    local.tenant.fail(method="PATCH", status=200, times=None, body={"user_id": UID, "app_metadata": stored})
    assert _work(local).after == {"app_metadata": {"plan": "team"}}
    emptied = _task(document={"app_metadata": {}}, after={"app_metadata": {}})
    assert _work(local, task=emptied).after == {"app_metadata": {"plan": "team"}}


def test_a_patch_that_could_not_be_read_back_is_in_doubt(local: Local) -> None:
    """It may have been applied, so the refusal of the read is not taken for that of the PATCH."""
    local.tenant.fail(method="PATCH", drop="after_commit")
    local.tenant.fail(method="GET", status=400, nth=2)
    result = _work(local)
    assert (result.outcome, result.tried, result.in_doubt) == ("failed", False, True)
    assert result.note.startswith("a PATCH may have been applied, and finding out failed")
    assert local.sent == ["GET", "PATCH", "GET"]


def test_trusting_the_plan_reads_only_after_a_lost_response(local: Local) -> None:
    """Without reads, nothing is checked at first; a user in doubt is read, and one whose response was lost."""
    assert _work(local, trust=True).outcome == "done"
    assert local.sent == ["PATCH"]
    local.write(app_metadata={"plan": "free"})
    local.tenant.fail(method="PATCH", drop="after_commit")
    assert _work(local, trust=True).outcome == "done"
    assert local.sent == ["PATCH", "PATCH", "GET"]
    assert _work(local, trust=True, task=_task(in_doubt=True)).outcome == "done"
    assert local.sent[3:] == ["GET"]


@pytest.mark.parametrize("kind", ["apply", "undo"])
@pytest.mark.parametrize("status", [503, 408, 302])
def test_a_patch_that_never_gets_a_response_is_given_up_in_doubt(
    local: Local, status: int, kind: str
) -> None:
    """After some minutes the user fails and stays in doubt: the last PATCH may be applied late."""
    fault = local.tenant.fail(method="PATCH", status=status, times=None)
    result = _work(local, task=_task() if kind == "apply" else UNDO)
    assert (result.outcome, result.in_doubt) == ("failed", True)
    assert 5 < fault.fired < 15
    assert sum(local.clock.slept) < 600
    assert local.sent[-1] == "GET"
    assert "othing was written" not in result.note


@pytest.mark.parametrize("in_doubt", [False, True])
def test_a_last_patch_that_was_applied_is_found(local: Local, *, in_doubt: bool) -> None:
    """Even with no time left to send it again, reading back settles the outcome."""
    other = Local({}, {"plan": "free"})
    tries = other.tenant.fail(method="PATCH", status=503, times=None)
    _work(other)
    local.tenant.fail(method="PATCH", status=503, times=tries.fired - 1)
    local.tenant.fail(method="PATCH", nth=tries.fired, status=503, commit=True)
    result = _work(local, task=_task(in_doubt=in_doubt))
    assert (result.outcome, local.app_metadata) == ("done", {"plan": "pro"})
