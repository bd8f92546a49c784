"""Find, list and show users from the shell."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Sequence
from typing import Any

import click

from auth0_meta import ManagementClient, User
from auth0_meta.changes.jsonvalue import BAGS
from auth0_meta.cli.commands import COMMANDS
from auth0_meta.cli.common import console, dump, flag, print_code, print_line, with_client
from auth0_meta.cli.groups import Group, json_option
from auth0_meta.cli.user_edit import find_user, merge, set_, unset, user_argument
from auth0_meta.errors import NotFoundError
from auth0_meta.redact import count, outline, printable, size

_NOT_FOUND = 404
_MOST = 1000
"""How many users Auth0 lets a search find."""
_LAG = "The index that is searched shows a change only some seconds later."

user = Group("user", COMMANDS["user"])
_redact = flag("--redact", "Show ids, names and sizes instead of values.")


@user.command(epilog="\b\nauth0-meta user find ada@example.com")
@click.argument("email", metavar="EMAIL")
@json_option("Print the profiles as a JSON array.")
@_redact
@with_client
def find(client: ManagementClient, email: str, *, as_json: bool, redact: bool) -> None:
    """Print the users that have an e-mail address: a line with the id and the connections of each.

    The address is looked up as written and in lower case, because Auth0 compares it exactly. If nobody has it, the exit
    code is 1.
    """
    if "@" not in email:
        raise click.UsageError(f"{email!r} is not an e-mail address; to search, use auth0-meta user list")
    found: dict[str, User] = {}
    for spelling in dict.fromkeys((email.strip(), email.strip().lower())):
        found |= {one.user_id: one for one in client.users.by_email(spelling)}
    if not found:
        msg = f"nobody has the e-mail address {email}, as written or in lower case"
        raise NotFoundError(f"{msg}. Check it, and that this is the right tenant", status=_NOT_FOUND)
    _print_users(
        [*found.values()],
        lambda one: (one.user_id, ", ".join(_connections(one))),
        as_json=as_json,
        redact=redact,
    )


@user.command(
    "list",
    epilog="""\b
auth0-meta user list 'app_metadata.plan:"free"'
auth0-meta user list --limit 1000 --fields email,logins_count --sort email""",
)
@click.argument("query", metavar="[QUERY]", required=False)
@click.option(
    "--limit",
    metavar="N",
    type=click.IntRange(1, _MOST),
    default=50,
    help="How many users to list; a search finds 1000 at most.",
)
@click.option(
    "--fields", metavar="NAME,NAME", help="Read and show only these fields of the profiles, and the id."
)
@click.option("--sort", metavar="[-]NAME", help="The field to sort by; with - from the largest value down.")
@json_option("Print the profiles as a JSON array.")
@_redact
@with_client
def list_(
    client: ManagementClient,
    query: str | None,
    *,
    limit: int,
    fields: str | None,
    sort: str | None,
    as_json: bool,
    redact: bool,
) -> None:
    """List users, all or those that match a QUERY in Auth0's search syntax (Lucene).

    Auth0 searches an index, which shows a change only some seconds later; find and show don't use it. A line has the
    id, the e-mail address and the name, or the fields that you name, separated by tabs in a pipe.
    """
    names = None if fields is None else [name for name in map(str.strip, fields.split(",")) if name]
    down = sort is not None and sort.startswith("-")
    order = sort if sort is None or ":" in sort else f"{sort.removeprefix('-')}:{-1 if down else 1}"
    # Reading one more than is shown reveals whether there are more.
    search = client.users.search(q=query, sort=order, fields=names, limit=min(limit + 1, _MOST))
    found = list(itertools.islice(search, limit + 1))
    shown = ("user_id", *(name for name in names or ("email", "name") if name != "user_id"))
    _print_users(
        found[:limit],
        lambda one: [_cell(one.raw.get(name)) for name in shown],
        as_json=as_json,
        redact=redact,
    )
    more = ""
    if len(found) > limit:
        more = f"; more match, and --limit takes up to {_MOST}"
    elif len(found) == _MOST:
        more = "; a search finds no more than that, an export does: migrate plan --source export"
    click.echo(f"{count(min(len(found), limit), 'user')}{more}. {_LAG}", err=True)


@user.command(
    epilog="\b\nauth0-meta user show 'auth0|507f1f77bcf86cd799439020'\nauth0-meta user show ada@example.com --json"
)
@user_argument
@json_option("Print the whole profile as JSON.")
@_redact
@with_client
def show(client: ManagementClient, who: str, *, as_json: bool, redact: bool) -> None:
    """Show a user's profile, user_metadata and app_metadata."""
    found = find_user(client, who)
    if as_json:
        click.echo(dump(_profile(found, redact=redact)))
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


for command in (set_, merge, unset):
    user.add_command(command)


def _print_users(
    users: Sequence[User], cells: Callable[[User], Sequence[str]], *, as_json: bool, redact: bool
) -> None:
    """Print a line for each user: in columns on a terminal, separated by tabs elsewhere; or all as JSON."""
    if as_json:
        click.echo(dump([_profile(one, redact=redact) for one in users]))
        return
    out = console()
    rows = [tuple(map(printable, _sizes_row(one) if redact else cells(one))) for one in users]
    if not out.is_terminal:
        for row in rows:
            click.echo("\t".join(row))
        return
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print_line(
            out, "  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        )


def _sizes_row(one: User) -> tuple[str, str]:
    bags = {bag: stored for bag in BAGS if (stored := one.get(bag)) not in (None, {})}
    return one.user_id, outline(bags) if bags else "no metadata"


def _cell(value: object) -> str:
    """Return a field's value for a line: text as it is, anything else as JSON, nothing if it is absent."""
    if value is None or isinstance(value, str):
        return value or ""
    return json.dumps(value, ensure_ascii=False)


def _connections(one: User) -> list[str]:
    """Return the connections in which a user has an identity."""
    identities = one.raw.get("identities")
    found = identities if isinstance(identities, list) else []
    return [str(identity.get("connection", "")) for identity in found if isinstance(identity, dict)]


def _profile(one: User, *, redact: bool) -> dict[str, Any]:
    """Return a profile, or for --redact the id and the size of each first-level key in bytes."""
    if not redact:
        return dict(one.raw)
    bags = {bag: stored for bag in BAGS if (stored := one.get(bag)) not in (None, {})}
    sizes: dict[str, Any] = {
        bag: {key: size(value) for key, value in stored.items()} if isinstance(stored, dict) else size(stored)
        for bag, stored in bags.items()
    }
    return {"user_id": one.user_id, **sizes}
