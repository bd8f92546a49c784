"""The lines of progress: as much as the terminal has room for, and never more."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth0_meta.audit.progress import AuditProgress
from auth0_meta.cli.progress import Progress, line
from auth0_meta.migrate.events import ApplyProgress, ExportProgress, PlanProgress, Waiting

some = st.integers(0, 10**7)
seconds = st.floats(0, 10**6)
waits = st.sampled_from(["", "pacing, 3 s", "requests under way, 12 s so far", "a\nb\x1b[31m"])
parts = st.none() | st.floats(0, 1)
EVENTS: st.SearchStrategy[Progress] = st.one_of(
    st.builds(Waiting, reason=waits, seconds=seconds),
    st.builds(ExportProgress, status=st.sampled_from(["pending", "processing"]), percent=st.none() | st.floats(0, 100)),
    st.builds(AuditProgress, users=some, seconds=seconds, waiting=waits, part=parts, eta=st.none() | seconds),
    st.builds(
        PlanProgress, read=some, changing=some, invalid=some, seconds=seconds, waiting=waits, part=parts, eta=st.none() | seconds
    ),
    st.builds(
        ApplyProgress, total=some, done=some, before=some, counts=st.fixed_dictionaries({}, optional={"failed": some}), requests=some,
        refusals=some, per_second=seconds, seconds=seconds, eta=st.none() | seconds, waiting=waits,
    ),
)  # fmt: skip


@given(event=EVENTS, width=st.integers(0, 200))
def test_a_line_never_exceeds_its_width(event: Progress, width: int) -> None:
    """It is one line, and a wider terminal shows at least as much."""
    text = line(event, "planning", width)
    assert len(text) <= width
    assert text.isprintable()
    assert len(line(event, "planning", width + 60)) >= len(text)


def applying(*, done: int = 12, total: int = 44, before: int = 16, eta: float | None = 0.4) -> ApplyProgress:
    """Return the progress of a run that was resumed."""
    return ApplyProgress(
        total=total,
        done=done,
        before=before,
        counts={},
        requests=0,
        refusals=0,
        per_second=2.2,
        seconds=9.0,
        eta=eta,
    )


@pytest.mark.parametrize(
    ("width", "text"),
    [
        (80, "[###########             ] 28/60 users, 2.2 requests/s, under 1 s left"),
        (60, "[#####       ] 28/60 users, 2.2 requests/s, under 1 s left"),
        (50, "[#####       ] 28/60 users, under 1 s left"),
        (40, "28/60 users, under 1 s left"),
        (12, "28/60 users"),
    ],
)
def test_a_narrow_line_keeps_what_matters_most(width: int, text: str) -> None:
    """How many of all users, those of earlier runs included, and how long it will take."""
    assert line(applying(), "applying", width) == text


def test_a_bar_is_full_only_at_the_end() -> None:
    """Nothing to do is all done, and the first seconds have no estimate."""
    nearly, nothing = (
        applying(done=9_999, total=10_000, before=0, eta=None),
        applying(done=0, total=0, before=0),
    )
    assert line(nearly, "applying", 80).startswith(
        "[####################### ] 9999/10000 users, 2.2 requests/s"
    )
    assert "left" not in line(nearly, "applying", 80)
    assert "under 1 s left" in line(applying(done=43), "applying", 80)
    assert "left" not in line(applying(done=44), "applying", 80)
    assert line(nothing, "applying", 80).startswith("[########################] 0/0 users")


def test_a_plan_shows_a_bar_once_it_is_known_how_much_there_is() -> None:
    """A user is one user, and what can't be planned is counted only if there is some."""
    unknown = PlanProgress(read=1, changing=1, invalid=0, seconds=1.0)
    known = PlanProgress(read=30, changing=10, invalid=2, seconds=9.0, part=0.25, eta=75.0)
    assert line(unknown, "planning", 80) == "1 user read, 1 to change"
    assert (
        line(known, "planning", 90)
        == "[######                  ] 30 users read, 10 to change, 1 min 15 s left, 2 invalid"
    )
    assert line(known, "planning", 50) == "[###         ] 30 users read, 1 min 15 s left"


def test_an_audit_shows_how_fast_it_is() -> None:
    """Not in its first second: it would be a guess."""
    event = AuditProgress(users=90_000, seconds=9.0, part=0.25, eta=27.0)
    assert (
        line(event, "auditing", 80)
        == "[######                  ] 90000 users read, 10,000 per second, 27 s left"
    )
    assert line(AuditProgress(users=3, seconds=0.5), "auditing", 80) == "3 users read"
