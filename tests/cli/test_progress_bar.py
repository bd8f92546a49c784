"""What commands that take long say on stderr while they work, where lines can't change."""

from __future__ import annotations

import io
import re
import threading

import pytest
from rich.console import Console

from auth0_meta.cli import progress_bar
from auth0_meta.migrate.events import ApplyProgress, ExportProgress, PlanProgress, Waiting
from auth0_meta.testing import FakeClock


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    """Let the bar's time pass only when it is advanced."""
    clock = FakeClock()
    monkeypatch.setattr(progress_bar, "SYSTEM_CLOCK", clock)
    monkeypatch.setattr(progress_bar, "_TICK", 3600.0)  # no line but those of events
    return clock


def plan_at(read: int, waiting: str = "") -> PlanProgress:
    """Return the progress of a plan."""
    return PlanProgress(read=read, changing=0, invalid=0, seconds=0.0, waiting=waiting)


def test_progress_begins_after_two_seconds(clock: FakeClock, capsys: pytest.CaptureFixture[str]) -> None:
    """Then there is a line every half minute, which says what is waited for; nothing goes to stdout."""
    with progress_bar.Bar("planning") as bar:
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
        "[############            ] export processing, 50 %",
        "3 users read, 0 to change, waiting (server error, 12 s)",
    ]


def test_a_wait_is_announced_at_once(clock: FakeClock, capsys: pytest.CaptureFixture[str]) -> None:
    """Each reason once in a while, if the wait takes two seconds or more."""
    with progress_bar.Bar("applying") as bar:
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


def test_a_line_is_due_even_if_nothing_happens(
    clock: FakeClock, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """To open a large job file takes long, and no event says so."""
    monkeypatch.setattr(progress_bar, "_TICK", 0.001)
    printed = threading.Event()
    original = progress_bar.print_line

    def note(out: Console, text: str) -> None:
        original(out, text)
        printed.set()

    monkeypatch.setattr(progress_bar, "print_line", note)
    with progress_bar.Bar("applying"):
        clock.advance(2.0)
        assert printed.wait(60)
    assert capsys.readouterr().err == "applying: starting\n"


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_the_bar_stays_on_one_line(clock: FakeClock, width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also with the ^C that the terminal shows beside it; what is said on its own has its own line."""
    screen = io.StringIO()
    terminal = Console(file=screen, force_terminal=True, width=width, _environ={"TERM": "xterm"})
    monkeypatch.setattr(progress_bar, "console", lambda **_: terminal)
    with progress_bar.Bar("applying") as bar:
        for done in (0, 7, 38):
            bar.show(
                ApplyProgress(
                    total=44, done=done, counts={"failed": 3}, requests=4, refusals=0, per_second=12.5, seconds=40.0, eta=7300.0,
                    waiting="pacing, 3 s", before=16,
                )
            )  # fmt: skip
            bar._picture.refresh()
        bar.say("finishing what is under way")
    lines = [
        part for part in re.split(r"[\r\n]", re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen.getvalue())) if part
    ]
    assert "finishing what is under way" in lines
    shown = [part for part in lines if "/60" in part]
    assert {re.search(r"(\d+)/60", part)[1] for part in shown} == {"16", "23", "54"}  # type: ignore[index]
    assert all(len(part) <= width - 4 and "left" in part for part in shown)


def test_a_dumb_terminal_gets_lines_as_a_pipe_does(clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line can't change there."""
    screen = io.StringIO()
    terminal = Console(file=screen, force_terminal=True, width=60, _environ={"TERM": "dumb"})
    monkeypatch.setattr(progress_bar, "console", lambda **_: terminal)
    with progress_bar.Bar("planning") as bar:
        clock.advance(2.0)
        bar.show(plan_at(3))
        bar.show(plan_at(4))
    assert screen.getvalue() == "3 users read, 0 to change\n"
