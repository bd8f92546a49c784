"""The table of an audit: summary first, then each kind with what to do next, as wide as the terminal."""

from __future__ import annotations

import io
import re
import shlex

import pytest
from rich.console import Console
from support.audits import hostile_report, large_report, report

from auth0_meta.audit import AuditReport, Finding, OversizedUser, Sizes
from auth0_meta.checks.kinds import KINDS
from auth0_meta.cli.audit import view

COLOR = re.compile(r"\x1b\[[0-9;]*m")


def printed(
    one: AuditReport, monkeypatch: pytest.MonkeyPatch, *, width: int = 0, baseline: AuditReport | None = None
) -> str:
    """Return what is printed; `width`: of a terminal, 0 for a pipe."""
    screen = io.StringIO()
    out = Console(file=screen, force_terminal=bool(width), width=width or None, _environ={"TERM": "xterm"})
    monkeypatch.setattr(view, "console", lambda: out)
    view.show(one.to_json(baseline=baseline))
    return screen.getvalue()


def test_the_summary_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has what there is to decide about, by when, and how sure the numbers are."""
    one = report(
        users=2_000,
        findings=(
            Finding(kind="over_allowance", path="", users=1),
            Finding(kind="oversized", path="", users=2),
            Finding(kind="near_limit", path="", users=30),
        ),
        oversized=(
            OversizedUser(user_id="auth0|1", bytes=120_000, keys={"app_metadata.history": 119_000}),
            OversizedUser(user_id="auth0|2", bytes=10_100, keys={}),
        ),
        sizes=Sizes(median=812, p99=8_400, largest=120_000),
    )
    lines = printed(one, monkeypatch).splitlines()
    assert lines[:6] == [
        "2 of 2,000 users are over 10 KB",
        "  source       export, 2,000 users, 2026-12-01 12:00 UTC",
        "  over 10 KB   2 (0.1 %), 1 of them over 10,240 B too",
        "  over 100 KB  1 (0.05 %)",
        "  8 to 10 KB   30 (1.5 %)",
        "  sizes        largest 120,000 B, median 812 B, 99 % up to 8,400 B",
    ]
    assert "4 March 2027" in lines[7]
    assert "estimates" in lines[8]
    assert "  auth0|1   120,000 B  app_metadata.history 119 KB" in lines


def test_each_kind_has_its_words_and_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command stands alone on its line, so that it can be pasted."""
    lines = printed(large_report(24), monkeypatch).splitlines()
    for kind in KINDS.values():
        start = lines.index(f"{kind.title} ({kind.name})")
        assert lines[start + 1] == f"  {kind.meaning} {kind.advice}"
        after = lines[start:]
        words = [shlex.split(line) for line in after[: after.index("")] if line.startswith("    auth0-meta")]
        assert len(words) == len(kind.commands)


def test_a_finding_has_path_users_and_examples(monkeypatch: pytest.MonkeyPatch) -> None:
    """In columns."""
    found = (
        Finding(
            kind="growing_list", path="app_metadata.history", users=1_200, examples=("auth0|1", "auth0|2")
        ),
        Finding(kind="growing_list", path="user_metadata.x", users=1, examples=("auth0|3",)),
    )
    lines = printed(report(findings=found), monkeypatch).splitlines()
    assert "  app_metadata.history     1,200  auth0|1, auth0|2" in lines
    assert "  user_metadata.x              1  auth0|3" in lines


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_lines_fit_the_terminal(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """All but commands, which are pasted as one line, and headings with the name of a kind."""
    text = COLOR.sub("", printed(large_report(300), monkeypatch, width=width, baseline=report()))
    for line in text.splitlines():
        if not line.startswith("    auth0-meta") and not line.endswith(")"):
            assert len(line) <= width, line
    assert "more paths: see --json" in text


def test_a_pipe_gets_every_path_in_full(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program may look for one; nothing is in color."""
    one = large_report(1_200)
    text = printed(one, monkeypatch)
    assert "\x1b" not in text
    assert all(f"  {finding.path} " in text for finding in one.findings if finding.path)


def test_names_can_not_control_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Control characters and bidi controls are escaped, in color too."""
    for width in (0, 200):
        text = COLOR.sub("", printed(hostile_report(), monkeypatch, width=width, baseline=hostile_report()))
        assert not {"\x1b", "\u202e"} & set(text)
        assert "auth0-meta offload" not in text
    assert "\\u202e" in text


def test_what_has_changed_is_marked(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is gone too, even if nothing is left."""
    before = report(findings=(Finding(kind="secret", path="user_metadata.a", users=2),))
    after = report(findings=(Finding(kind="secret", path="user_metadata.a", users=5),))
    text = printed(after, monkeypatch, baseline=before)
    assert "  baseline     2026-12-01 12:00 UTC: 1 grew" in text
    assert "  user_metadata.a         5  grew from 2 to 5 users" in text
    text = printed(report(), monkeypatch, baseline=before)
    assert "Nothing found in 100 profiles" in text
    assert "  Secret or personal number at user_metadata.a: 2 users before" in text
    assert "baseline     2026-12-01 12:00 UTC: no difference" in printed(after, monkeypatch, baseline=after)


def test_nothing_found_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """It still says how large the largest profile is."""
    text = printed(report(sizes=Sizes(largest=812)), monkeypatch)
    assert text == "Nothing found in 100 profiles (export); the largest has 812 B of JSON, by our estimate\n"
    assert printed(report(users=0), monkeypatch) == "no users in export: nothing to check\n"
