"""`migrate show`: whom a job file changes and how, as text, as CSV and as JSON."""

from __future__ import annotations

import contextlib
import csv
import itertools
import sys
from collections.abc import Iterable
from typing import Any, Literal

import click

from auth0_meta.changes.jsonvalue import ABSENT
from auth0_meta.cli.common import console, dump, patience, print_line
from auth0_meta.cli.migrate.view import print_changes, show_contents, show_status, shown
from auth0_meta.migrate.ledger.records import Record
from auth0_meta.migrate.review import Review, reviewing
from auth0_meta.redact import count, printable, size

_FIRST = 20
# A spreadsheet takes a cell that begins with one of these for a formula; the last four are the wide forms.
_FORMULA = tuple("=+-@\uff1d\uff0b\uff0d\uff20")

Form = Literal["text", "csv", "json"]


def show_job(
    job: str, *, user_id: str | None, everyone: bool, form: Form, redact: bool, whole: bool = False
) -> None:
    """Print a job's users, or one of them; it is an error if the job has nothing about that one.

    `redact` and `whole`: see `print_changes`.
    """
    with contextlib.ExitStack() as opened:
        with patience(f"reading {job} ..."):
            review = opened.enter_context(reviewing(job))
        if form == "text" and user_id is None:
            _print_job(job, review, everyone=everyone, redact=redact, whole=whole)
            review.require_values()
            return
        review.require_values()
        users, problems = review.users(), review.problems()
        if user_id is not None:
            user = review.user(user_id)
            users = iter(() if user is None else (user,))
            problems = [problem for problem in problems if problem[0] == printable(user_id)]
            if user is None and not problems:
                why = "the migration leaves it unchanged, or it was not among the users that were read"
                raise click.ClickException(f"{user_id} is not in {job}: {why}")
        if form == "csv":
            _write_csv(review, users, redact=redact)
        elif form == "json":
            some = [_to_json(review, user) for user in itertools.islice(users, _FIRST)]
            left_out = [
                {"user_id": name, "kind": kind, "note": note} for name, kind, note in problems[:_FIRST]
            ]
            click.echo(dump({"job": job, **review.status.to_json(), "users": some, "invalid": left_out}))
        else:
            _print_users(review, users, redact=redact, whole=whole)
            for name, kind, note in problems:
                print_line(console(), f"{name} not planned: {kind}: {note}", style="red")


def _print_job(job: str, review: Review, *, everyone: bool, redact: bool, whole: bool) -> None:
    """Print what the job is, what could not be planned, and the first users or all."""
    show_status(job, review.status)
    show_contents(review.status.summary, review.problems(-1 if everyone else _FIRST))
    users = review.users()
    some = users if everyone else itertools.islice(users, _FIRST)
    _print_users(review, some, redact=redact, whole=whole)
    if next(users, None) is not None:
        rest = f"{_FIRST} of {count(sum(review.status.counts.values()), 'user')} shown"
        how = "--all shows all, --user ID one, --csv writes a row for each path"
        click.echo(f"\n{rest}: {how}")


def _print_users(review: Review, users: Iterable[Record], *, redact: bool, whole: bool) -> None:
    """Print of each user the state, the note of the last run, and what differs."""
    out = console()
    for user in users:
        print_line(out, "")
        note = f": {user.note}" if user.note else ""
        style = "bold red" if user.state.needs_a_look else "bold"
        print_line(out, f"{user.user_id} {user.state.word}{note}", style=style)
        print_changes(out, review.changes(user), redact=redact, whole=whole)


def _write_csv(review: Review, users: Iterable[Record], *, redact: bool) -> None:
    """Write a row for each path of each user to standard output."""
    rows = csv.writer(sys.stdout, lineterminator="\n")
    rows.writerow(("user_id", "state", "path", "before", "after"))
    for user in users:
        # Only an id can look like a formula: a path begins with the name of a bag, and JSON with a letter, a quote, a
        # bracket or a number.  A ' before text is what Auth0's own exports have.
        user_id = ("'" if user.user_id.startswith(_FORMULA) else "") + printable(user.user_id)
        for change in review.changes(user):
            both = (
                "" if value is ABSENT else printable(shown(value, redact=redact))
                for value in (change.before, change.after)
            )
            rows.writerow((user_id, user.state.word, printable(change.path), *both))


def _to_json(review: Review, user: Record) -> dict[str, Any]:
    """Return a user as JSON: names and sizes, no value."""
    changes = [
        {
            "path": change.path,
            "change": change.kind,
            "before_bytes": None if change.before is ABSENT else size(change.before),
            "after_bytes": None if change.after is ABSENT else size(change.after),
        }
        for change in review.changes(user)
    ]
    return {"user_id": user.user_id, "state": user.state.word, "note": user.note, "changes": changes}
