"""Show and change one user's metadata from the shell."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import click

from auth0_meta import ManagementClient, MetadataTransaction, User
from auth0_meta.changes.jsonvalue import BAGS
from auth0_meta.cli.commands import COMMANDS
from auth0_meta.cli.common import console, dump, flag, group, options, print_code, print_line, with_client
from auth0_meta.redact import count, outline, printable, size

Stage = Callable[[MetadataTransaction], None]
_SHORTEST_SHOWN = 0.05
_dry_run = options(
    flag("--dry-run", "Show the PATCH that would be sent; write nothing."),
    flag("--redact", "With --dry-run, show names and sizes instead of values."),
)

user = group("user", COMMANDS["user"])


@user.command(epilog="\b\nauth0-meta user show 'auth0|507f1f77bcf86cd799439020'")
@click.argument("user_id", metavar="ID")
@flag("--json", "Print the whole profile as JSON.", "as_json")
@flag("--redact", "Show names and sizes instead of values.")
@with_client
def show(client: ManagementClient, user_id: str, *, as_json: bool, redact: bool) -> None:
    """Show a user's profile, user_metadata and app_metadata."""
    found = client.users.get(user_id)
    if as_json:
        click.echo(dump(_sizes(found) if redact else dict(found.raw)))
        return
    out = console()
    print_line(out, found.user_id, style="bold")
    personal = () if redact else (("email", found.email), ("name", found.name))
    for label, value in (*personal, ("created", found.created_at), ("updated", found.updated_at)):
        if value:
            print_line(out, f"  {label:8} {value}")
    for bag in BAGS:
        stored = found.get(bag)
        empty, kind = stored in (None, {}), "" if isinstance(stored, dict | None) else ", not an object"
        out.print(f"\n[bold]{bag}[/]  {'empty' if empty else f'{size(stored)} B{kind}'}")
        if not empty and not redact:
            print_code(out, dump(stored), "json")
        elif isinstance(stored, dict):
            for key, value in stored.items():
                print_line(out, f"  {key}  {size(value)} B")


def _sizes(user: User) -> dict[str, Any]:
    """Describe a user for --redact: the id, and the size of each first-level key in bytes."""
    bags = {bag: stored for bag in BAGS if (stored := user.get(bag)) not in (None, {})}
    sizes: dict[str, Any] = {
        bag: {key: size(value) for key, value in stored.items()} if isinstance(stored, dict) else size(stored)
        for bag, stored in bags.items()
    }
    return {"user_id": user.user_id, **sizes}


@user.command(
    "set", epilog="\b\nauth0-meta user set 'auth0|1' user_metadata.theme=dark app_metadata.seats:=5"
)
@click.argument("user_id", metavar="ID")
@click.argument("assignments", metavar="PATH=TEXT|PATH:=JSON ...", nargs=-1, required=True)
@_dry_run
@with_client
def set_(client: ManagementClient, user_id: str, assignments: tuple[str, ...], **how: bool) -> None:
    """Set values in user_metadata and app_metadata, in one PATCH.

    After = the value is text, after := it is JSON, and null deletes. Siblings of a nested key stay.
    """
    changes = [parse_assignment(text) for text in assignments]

    def stage(tx: MetadataTransaction) -> None:
        for bag, path, value in changes:
            getattr(tx, bag).set(path, value)

    _change(client, user_id, stage, **how)


@user.command(
    epilog="""\b
auth0-meta user merge 'auth0|1' '{"user_metadata": {"prefs": {"lang": "fi"}}}'
auth0-meta user merge 'auth0|1' @changes.json"""
)
@click.argument("user_id", metavar="ID")
@click.argument("document", metavar="JSON|@FILE|-")
@_dry_run
@with_client
def merge(client: ManagementClient, user_id: str, document: str, **how: bool) -> None:
    """Merge a JSON object into user_metadata and app_metadata, in one PATCH.

    The object has the key user_metadata, app_metadata or both; null deletes at any depth.
    """
    bags = _bags(document)

    def stage(tx: MetadataTransaction) -> None:
        for bag, patch in bags.items():
            getattr(tx, bag).merge(patch)

    _change(client, user_id, stage, **how)


def _change(client: ManagementClient, user_id: str, stage: Stage, *, dry_run: bool, redact: bool) -> None:
    """Commit what `stage` stages and print what was sent; with `dry_run` only print what a commit would send."""
    if dry_run:
        tx = client.transaction(user_id)
        stage(tx)
        change = tx.pending
        tx.rollback()
        document = change.document(client.users.get(user_id).raw if change.needs_base else None)
        outcome = "this PATCH would be sent; nothing was written" if document else "nothing to send"
        click.echo(f"dry run: {outcome}", err=True)
        if document:
            click.echo(outline(document) if redact else dump(document))
        return
    with client.transaction(user_id) as tx:
        stage(tx)
    result = tx.result
    if result.outcome == "unchanged":
        click.echo(printable(f"{user_id} unchanged: nothing to send"))
        return
    waited = f", {result.waited:.1f} s waited" if result.waited >= _SHORTEST_SHOWN else ""
    click.echo(f"{printable(user_id)} {result.outcome}: {outline(result.document)}")
    click.echo(f"{count(result.requests, 'request')}, {result.attempts} PATCH{waited}", err=True)


def parse_assignment(text: str) -> tuple[str, tuple[str, ...], Any]:
    """Split `BAG.PATH=TEXT` or `BAG.PATH:=JSON` into bag, path and value.

    Raises `click.UsageError` for anything else.

    >>> parse_assignment("user_metadata.prefs.lang=fi")
    ('user_metadata', ('prefs', 'lang'), 'fi')
    >>> parse_assignment("app_metadata.seats:=5")
    ('app_metadata', ('seats',), 5)
    """
    target, equals, value = text.partition("=")
    typed = target.endswith(":")
    bag, *path = target.removesuffix(":").split(".")
    if not equals or bag not in BAGS or not path or not all(path):
        # Show only the target: what follows "=" may be a secret.
        msg = f"{target!r}: write user_metadata.KEY=TEXT or app_metadata.KEY:=JSON; KEY may be a path such as a.b"
        raise click.UsageError(msg)
    return bag, tuple(path), _json(value, f"the value of {target.removesuffix(':')}") if typed else value


def _json(text: str, what: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno} column {error.colno}"
        raise click.UsageError(f"{what} is not valid JSON ({where}); strings need double quotes") from None
    except RecursionError:
        raise click.UsageError(f"{what} is nested too deeply") from None


def _text(argument: str) -> str:
    """Return the document that an argument names: itself, @FILE, or - for standard input."""
    if argument != "-" and not argument.startswith("@"):
        return argument
    name = "standard input" if argument == "-" else argument[1:]
    try:
        with click.open_file(argument.removeprefix("@"), "rb") as file:
            return str(file.read(), "utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise click.UsageError(f"{name}: {getattr(error, 'strerror', None) or 'not UTF-8 text'}") from None


def _bags(document: str) -> dict[str, dict[str, Any]]:
    """Parse the argument of `merge`."""
    bags = _json(_text(document), "the document")
    if not isinstance(bags, dict) or not bags or set(bags) - set(BAGS):
        msg = 'the document must be an object with user_metadata, app_metadata or both: {"user_metadata": {...}}'
        raise click.UsageError(msg)
    for bag, patch in bags.items():
        if not isinstance(patch, dict):
            raise click.UsageError(f"{bag} must be an object, not {type(patch).__name__}")
    return bags
