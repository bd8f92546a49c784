"""Progress on stderr, for commands that read or write many users."""

from __future__ import annotations

import threading

from rich.live import Live
from rich.text import Text

from auth0_meta.audit.progress import AuditProgress
from auth0_meta.cli.common import console, print_line
from auth0_meta.cli.progress import Progress, line
from auth0_meta.clock import SYSTEM_CLOCK
from auth0_meta.migrate import events
from auth0_meta.migrate.ledger.records import BAD_OUTCOMES
from auth0_meta.models import Job

_QUIET_EVERY = 30.0
_QUIET_FIRST = 2.0
"""Seconds after which there is a first line where lines don't change; a wait that long is announced there."""
_TICK = 0.5
_ROOM = 4
_ANY_WIDTH = 10_000


class Bar:
    """Progress on stderr: one line that changes on a terminal; elsewhere a line after 2 s, then every 30 s, and for waits."""

    def __init__(self, word: str) -> None:
        self._word = word
        self._out = console(stderr=True)
        self._live = self._out.is_terminal and not self._out.is_dumb_terminal
        self._latest: Progress | None = None
        self._picture = Live(get_renderable=self._render, console=self._out, refresh_per_second=5)
        self._next_line = SYSTEM_CLOCK.monotonic() + _QUIET_FIRST
        self._said = ""
        self._ended = threading.Event()
        self._printing = threading.Lock()
        self._ticker = threading.Thread(target=self._tick, name="auth0-meta-progress", daemon=True)

    def __enter__(self) -> Bar:
        if self._live:
            self._picture.start()
        else:
            self._ticker.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._picture.stop()

    def _render(self) -> Text:
        # Room is left for the ^C that a terminal shows at the cursor.
        return Text(self._text(self._out.width - _ROOM))

    def _text(self, width: int) -> str:
        if self._latest is None:
            return f"{self._word}: starting"[:width]
        return line(self._latest, self._word, width)

    def _tick(self) -> None:
        """Print a line when one is due, even if nothing happens: a large file may take a minute to be opened."""
        while not self._ended.wait(_TICK):
            self._print_if_due()

    def _print_if_due(self) -> None:
        with self._printing:
            now = SYSTEM_CLOCK.monotonic()
            if not self._live and now >= self._next_line and not self._ended.is_set():
                self._next_line = now + _QUIET_EVERY
                print_line(self._out, self._text(_ANY_WIDTH))

    def say(self, text: str) -> None:
        """Print a line of its own, above the bar."""
        with self._printing:
            print_line(self._out, text)

    def show(self, event: events.MigrationEvent | AuditProgress) -> None:
        """Update the bar for an event; a user who could not be changed as planned gets a line that stays."""
        if isinstance(event, events.UserDone):
            if event.outcome in BAD_OUTCOMES:
                self.say(f"{event.user_id} {event.outcome}: {event.note}")
            return
        self._latest = event
        if isinstance(event, events.Waiting) and event.seconds >= _QUIET_FIRST and event.reason != self._said:
            self._said, self._next_line = event.reason, 0.0
        self._print_if_due()

    def show_export(self, job: Job) -> None:
        """Show the progress of an export."""
        percent = job.raw.get("percentage_done")
        known = percent if isinstance(percent, int | float) else None
        self.show(events.ExportProgress(status=job.status, percent=known))
