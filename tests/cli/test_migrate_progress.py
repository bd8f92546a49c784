"""What plan, apply and undo say on stderr while they work, where lines can't change."""

from __future__ import annotations

import pytest

from auth0_meta.cli import migrate_view
from auth0_meta.migrate.events import ApplyProgress, ExportProgress, PlanProgress, Waiting
from auth0_meta.testing import FakeClock


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    """Let the bar's time pass only when it is advanced."""
    clock = FakeClock()
    monkeypatch.setattr(migrate_view, "SYSTEM_CLOCK", clock)
    return clock


def plan_at(read: int, waiting: str = "") -> PlanProgress:
    """Return the progress of a plan."""
    return PlanProgress(read=read, changing=0, invalid=0, seconds=0.0, waiting=waiting)


def test_progress_begins_after_two_seconds(clock: FakeClock, capsys: pytest.CaptureFixture[str]) -> None:
    """Then there is a line every half minute, which says what is waited for; nothing goes to stdout."""
    with migrate_view.Bar("planning") as bar:
        bar.show(plan_at(1))
        clock.advance(2.0)
        bar.show(ExportProgress(status="processing", percent=50.0))
        clock.advance(29.0)
        bar.show(plan_at(2))
        clock.advance(1.0)
        bar.show(plan_at(3, "server error, 12 s"))
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "export processing, 50 %",
        "3 users read, 0 to change, 0 invalid, waiting (server error, 12 s)",
    ]


def test_a_wait_is_announced_at_once(clock: FakeClock, capsys: pytest.CaptureFixture[str]) -> None:
    """Each reason once in a while, if the wait takes two seconds or more."""
    with migrate_view.Bar("applying") as bar:
        for reason, seconds in (
            ("server error", 1.0),
            ("server error", 4.0),
            ("server error", 8.0),
            ("rate limit", 12.0),
        ):
            bar.show(Waiting(reason=reason, seconds=seconds))
            clock.advance(0.1)
        clock.advance(30.0)
        bar.show(
            ApplyProgress(
                total=4, done=2, counts={"done": 2}, requests=4, refusals=0, per_second=1.0, seconds=40.0, eta=None, waiting="pacing, 3 s",
            )
        )  # fmt: skip
    assert capsys.readouterr().err.splitlines() == [
        "applying: waiting (server error, 4 s)",
        "applying: waiting (rate limit, 12 s)",
        "[############            ] 2/4 users, 1.0 requests/s, waiting (pacing, 3 s)",
    ]
