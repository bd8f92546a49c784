"""Change one user's metadata from the shell, in one PATCH, and say which user a command is about."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import click

from auth0_meta import ManagementClient, MetadataTransaction, User
from auth0_meta.changes.jsonvalue import BAGS
from auth0_meta.cli.common import dump, flag, options, with_client
from auth0_meta.cli.groups import Command, json_option
from auth0_meta.errors import AmbiguousUserError
from auth0_meta.redact import count, outline, printable, size

Stage = Callable[[MetadataTransaction], None]
Path = tuple[str, tuple[str, ...]]
_SHORTEST_SHOWN = 0.05
_ITEM = re.compile(r"\[\d*\]$")
_FORM = "write user_metadata.KEY=TEXT or app_metadata.KEY:=JSON, without spaces around =; KEY may be a path such as a.b"
_how = options(
    flag("--dry-run", "Show the PATCH that would be sent; write nothing."),
    flag("--redact", "With --dry-run, show names and sizes instead of values."),
    json_option("Print the outcome as JSON, with names and sizes; with --dry-run also the PATCH."),
)


def _who(_: click.Context, __: click.Parameter, text: str) -> str:
    """Check that a word can be a user id or an e-mail address; an id may contain an address: `samlp|x|ada@example.com`."""
    who = text.strip()
    if "|" not in who and "@" not in who:
        kinds = f"{who!r} is neither a user id, such as 'auth0|123', nor an e-mail address"
        raise click.BadParameter(f"{kinds}. Put an id in quotes: the shell takes an unquoted | for a pipe")
    if re.search(r"\s", who):
        raise click.BadParameter("it contains white space, which neither a user id nor an e-mail address has")
    return who


user_argument = click.argument("who", metavar="ID|EMAIL", callback=_who)


def find_user(client: ManagementClient, who: str) -> User:
    """Return the profile of the user with this id or e-mail address."""
    if "|" in who:
        return client.users.get(who)
    try:
        return client.users.find(who)
    except AmbiguousUserError as error:
        ids = ", ".join(error.user_ids)
        msg = f"{len(error.user_ids)} users have this e-mail address: name one of them by its id: {ids}"
        raise AmbiguousUserError(msg, user_ids=error.user_ids) from None


def _id_of(client: ManagementClient, who: str) -> str:
    return who if "|" in who else find_user(client, who).user_id


@click.command(
    "set",
    cls=Command,
    epilog="""\b
auth0-meta user set 'auth0|1' user_metadata.theme=dark app_metadata.seats:=5
auth0-meta user set ada@example.com app_metadata.billing.plan=pro --dry-run""",
)
@user_argument
@click.argument("assignments", metavar="PATH=TEXT|PATH:=JSON ...", nargs=-1, required=True)
@_how
@with_client
def set_(client: ManagementClient, who: str, assignments: tuple[str, ...], **how: bool) -> None:
    """Set values in user_metadata and app_metadata, in one PATCH.

    After = the value is text, after := it is JSON, and null deletes. Siblings of a nested key stay.
    """
    changes = [parse_assignment(text) for text in assignments]
    # Text that may have been meant as JSON.  A value after `:=` is not text, or it was quoted.
    doubtful = {
        ".".join((bag, *path)): kind
        for text, (bag, path, value) in zip(assignments, changes, strict=True)
        if not text.partition("=")[0].endswith(":") and (kind := looks_like(value))
    }

    def stage(tx: MetadataTransaction) -> None:
        for bag, path, value in changes:
            getattr(tx, bag).set(path, value)

    _change(client, _id_of(client, who), stage, Notes(text=doubtful), **how)


@click.command(
    cls=Command,
    epilog="""\b
auth0-meta user merge 'auth0|1' '{"user_metadata": {"prefs": {"lang": "fi"}}}'
auth0-meta user merge ada@example.com @changes.json""",
)
@user_argument
@click.argument("document", metavar="JSON|@FILE|-")
@_how
@with_client
def merge(client: ManagementClient, who: str, document: str, **how: bool) -> None:
    """Merge a JSON object into user_metadata and app_metadata, in one PATCH.

    The object has the key user_metadata, app_metadata or both; null deletes at any depth.
    """
    bags = _bags(document)

    def stage(tx: MetadataTransaction) -> None:
        for bag, patch in bags.items():
            getattr(tx, bag).merge(patch)

    _change(client, _id_of(client, who), stage, Notes(), **how)


@click.command(
    cls=Command,
    epilog="""\b
auth0-meta user unset 'auth0|1' user_metadata.prefs.lang app_metadata.trial""",
)
@user_argument
@click.argument("paths", metavar="PATH ...", nargs=-1, required=True)
@_how
@with_client
def unset(client: ManagementClient, who: str, paths: tuple[str, ...], **how: bool) -> None:
    """Delete keys of user_metadata and app_metadata, in one PATCH.

    PATH names a key, such as user_metadata.theme or app_metadata.billing.trial. Its siblings stay. A key that is not
    stored is named and left out, which is not an error.
    """
    wanted = [parse_path(text) for text in paths]
    found = find_user(client, who)
    stored = [path for path in wanted if _is_stored(found.raw, path)]

    def stage(tx: MetadataTransaction) -> None:
        for bag, path in stored:
            getattr(tx, bag).delete(path)

    absent = [".".join((bag, *path)) for bag, path in wanted if (bag, path) not in stored]
    _change(client, found.user_id, stage, Notes(absent=absent), **how)


class Notes(NamedTuple):
    """What to say about a change: the values that are `text` but look like JSON, by path; the paths that are `absent`."""

    text: Mapping[str, str] = {}
    absent: Sequence[str] = ()

    def to_json(self) -> dict[str, Any]:
        """Return what --json prints of it."""
        found = {"stored_as_text": dict(self.text), "not_stored": list(self.absent)}
        return {name: value for name, value in found.items() if value}

    def print(self, *, dry_run: bool) -> None:
        """Print it to stderr."""
        for path in self.absent:
            click.echo(printable(f"not stored: {path}"), err=True)
        tense = "would be stored" if dry_run else "stored"
        for path, kind in self.text.items():
            hint = f"it looks like {kind}; to store JSON, write {path}:=..."
            click.echo(printable(f"{tense} as text: {path} ({hint})"), err=True)


def _change(
    client: ManagementClient,
    user_id: str,
    stage: Stage,
    notes: Notes,
    *,
    dry_run: bool,
    redact: bool,
    as_json: bool,
) -> None:
    """Commit what `stage` stages and print what was sent; with `dry_run` only print what a commit would send."""
    if dry_run:
        document = _planned(client, user_id, stage)
        outcome = "this PATCH would be sent; nothing was written" if document else "nothing to send"
        click.echo(f"dry run: {outcome}", err=True)
        if as_json:
            body = {} if redact else {"document": document}
            _print_outcome(user_id, "dry_run", document, **body, **notes.to_json())
        elif document:
            click.echo(outline(document) if redact else dump(document))
    else:
        with client.transaction(user_id) as tx:
            stage(tx)
        result = tx.result
        cost = {"requests": result.requests, "attempts": result.attempts, "waited": round(result.waited, 3)}
        if as_json:
            _print_outcome(user_id, result.outcome, result.document, **cost, **notes.to_json())
        elif result.outcome == "unchanged":
            click.echo(printable(f"{user_id} unchanged: nothing to send"))
        else:
            click.echo(f"{printable(user_id)} {result.outcome}: {outline(result.document)}")
            waited = f", {result.waited:.1f} s waited" if result.waited >= _SHORTEST_SHOWN else ""
            patches = f"{result.attempts} PATCH{'' if result.attempts == 1 else 'es'}"
            click.echo(f"{count(result.requests, 'request')}, {patches}{waited}", err=True)
    notes.print(dry_run=dry_run)


def _planned(client: ManagementClient, user_id: str, stage: Stage) -> dict[str, Any]:
    """Return the PATCH that a commit would send."""
    tx = client.transaction(user_id)
    stage(tx)
    change = tx.pending
    tx.rollback()
    return change.document(client.users.get(user_id).raw if change.needs_base else None)


def _print_outcome(user_id: str, outcome: str, document: Mapping[str, Any], /, **more: Any) -> None:
    """Print what became of a change for a program: sizes in bytes, null for a key that was deleted."""
    sizes = {
        bag: {key: None if value is None else size(value) for key, value in keys.items()}
        for bag, keys in document.items()
    }
    click.echo(dump({"user_id": user_id, "outcome": outcome, "sizes": sizes, **more}))


def _is_stored(profile: Mapping[str, Any], place: Path) -> bool:
    """Return whether a profile has a value at a path; metadata that is not an object is for the commit to judge."""
    bag, path = place
    value = profile.get(bag)
    if value is not None and not isinstance(value, Mapping):
        return True
    for key in path:
        if not isinstance(value, Mapping) or key not in value:
            return False
        value = value[key]
    return True


def looks_like(text: str) -> str | None:
    """Return what JSON value a text looks like, None if it is just text.

    >>> looks_like("5"), looks_like("True"), looks_like('["a"]'), looks_like("+358 40 123")
    ('a number', 'a boolean', 'a list', None)
    """
    word = text.strip()
    kinds = {"true": "a boolean", "false": "a boolean", "null": "null", "none": "null"}
    if word.lower() in kinds:
        return kinds[word.lower()]
    if word[:1] not in _BEGINNINGS:  # before the parser, which takes NaN and is slow with long text
        return None
    try:
        value = json.loads(word)
    except (ValueError, RecursionError):
        return None
    return _KINDS.get(type(value))


_BEGINNINGS = frozenset('-0123456789[{"')
_KINDS: dict[type, str] = {
    int: "a number",
    float: "a number",
    list: "a list",
    dict: "an object",
    str: "a quoted string",
}


def parse_path(text: str) -> Path:
    """Split `BAG.PATH` into the bag and the path.

    Raises `click.UsageError` for anything else.

    >>> parse_path("user_metadata.prefs.lang")
    ('user_metadata', ('prefs', 'lang'))
    """
    target, equals, _ = text.partition("=")
    if equals:
        raise click.UsageError(f"{target!r}: leave out = and what follows; unset takes paths only")
    return _split(target, "write user_metadata.KEY or app_metadata.KEY; KEY may be a path such as a.b")


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
    target = target.removesuffix(":")
    if not equals:
        raise click.UsageError(f"{target!r} has no =: {_FORM}")
    bag, path = _split(target, _FORM)
    if _ITEM.search(path[-1]):
        whole = _ITEM.sub("", target)
        raise click.UsageError(f"{target!r}: an item of a list has no path: set the list, {whole}:=[...]")
    if typed:
        value = _json(value, f"the value of {target}", f"; for text, write {target}=...")
    return bag, path, value


def _split(target: str, form: str) -> Path:
    """Split a path into the bag and the keys.  Errors show nothing else, because what follows "=" may be a secret."""
    bag, *path = target.split(".")
    if bag not in BAGS:
        raise click.UsageError(f"{target!r} does not begin with user_metadata or app_metadata: {form}")
    if not path:
        raise click.UsageError(f"{target!r} is the whole object: {form}")
    if not all(path):
        raise click.UsageError(f"{target!r} has an empty key: {form}")
    if any(key != key.strip() for key in path):  # `theme = dark` would make a key "theme "
        merge = "a key that really has it can be changed with merge"
        raise click.UsageError(f"{target!r} has white space around a key, which is refused; {merge}")
    return bag, tuple(path)


def _json(text: str, what: str, hint: str = "") -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno} column {error.colno}"
        raise click.UsageError(
            f"{what} is not valid JSON ({where}); strings need double quotes{hint}"
        ) from None
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
    named = not document.lstrip().startswith(("{", "[", "@", '"')) and document != "-"
    bags = _json(_text(document), "the document", f"; to read a file, write @{document}" if named else "")
    if not isinstance(bags, dict) or not bags or set(bags) - set(BAGS):
        msg = 'the document must be an object with user_metadata, app_metadata or both: {"user_metadata": {...}}'
        raise click.UsageError(msg)
    for bag, patch in bags.items():
        if not isinstance(patch, dict):
            raise click.UsageError(f"{bag} must be an object, not {type(patch).__name__}")
    return bags
