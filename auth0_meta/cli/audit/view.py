"""What `auth0-meta audit` prints for people: a summary, the findings by kind, and what to do next."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence

from rich.console import Console

from auth0_meta.audit.report_types import AuditJSON, DifferenceJSON, FindingJSON
from auth0_meta.audit.summary import (
    ESTIMATE,
    LIMIT,
    Group,
    differences,
    groups,
    headline,
    in_words,
    over_both,
    part,
    users_with,
    when,
)
from auth0_meta.checks.kinds import KINDS
from auth0_meta.cli.common import console, print_line
from auth0_meta.markup.charts import size_text
from auth0_meta.redact import count, printable

_STYLES = {"high": "bold red", "medium": "bold yellow", "low": "bold cyan"}
_ANY_WIDTH, _NARROWEST = 10_000, 40
# How many findings of a kind are printed: on a terminal somebody reads them, elsewhere a program may look for one.
_MOST_HERE, _MOST_ELSEWHERE = 15, 1_000
_MOST_HEAVY, _MOST_USERS, _MOST_KEYS, _MOST_GONE = 5, 5, 3, 20
_LONGEST_PATH, _WITH_IDS = 48, 76
_USERS = 9


def show(document: AuditJSON) -> None:
    """Print a report."""
    table = _Table(console())
    if not document["findings"] and not differences(document):
        table.line(_nothing(document), style="bold green")
        return
    table.summary(document)
    changed = differences(document)
    for group in groups(document):
        table.group(group, changed)
    table.gone([one for one in changed.values() if one["change"] == "gone"])
    table.heavy(document)
    table.largest(document)
    for note in document["notes"]:
        table.prose(f"Note: {note}.")


def _nothing(document: AuditJSON) -> str:
    """Return the one line about a tenant in which nothing was found."""
    if not document["users"]:
        return f"no users in {document['source']}: nothing to check"
    largest = f"the largest has {document['sizes']['largest']:,} B of JSON, by our estimate"
    return f"{headline(document)} ({document['source']}); {largest}"


class _Table:
    """Lines that fit the terminal, or are as long as they need to be if there is none."""

    def __init__(self, out: Console) -> None:
        self._out = out
        self._width = max(_NARROWEST, out.width) if out.is_terminal else _ANY_WIDTH
        self._most = _MOST_HERE if out.is_terminal else _MOST_ELSEWHERE

    def line(self, text: str = "", *, style: str | None = None) -> None:
        """Print one line as it is."""
        print_line(self._out, text, style=style)

    def prose(
        self, text: str, indent: str = "", *, hanging: str | None = None, style: str | None = None
    ) -> None:
        """Print a sentence, wrapped to fit; `hanging`: the indent from its second line on."""
        width = min(self._width, 100) if self._width < _ANY_WIDTH else _ANY_WIDTH
        for line in textwrap.wrap(
            printable(text),
            width,
            initial_indent=indent,
            subsequent_indent=indent if hanging is None else hanging,
        ):
            self.line(line, style=style)

    def summary(self, document: AuditJSON) -> None:
        """Print how many users there are and how large their profiles, and by when it matters."""
        self.line(headline(document), style="bold")
        for name, text, style in _facts(document):
            self.prose(f"  {name:12} {text}", hanging=" " * 15, style=style)
        self.line()
        self.prose(LIMIT)
        self.prose(ESTIMATE, style="dim")

    def group(self, group: Group, changed: Mapping[tuple[str, str], DifferenceJSON]) -> None:
        """Print the findings of one kind, and how to go on."""
        kind = group.kind
        self.line()
        self.line(f"{kind.title} ({kind.name})", style=_STYLES[kind.severity])
        self.prose(f"{kind.meaning} {kind.advice}", "  ")
        shown = group.findings[: self._most]
        wide = max(len(_fit(_place(one), self._room)) for one in shown)
        for one in shown:
            self._finding(one, changed.get((kind.name, one["path"])), wide)
        if len(group.findings) > len(shown):
            self.line(f"  {len(group.findings) - len(shown):,} more paths: see --json", style="dim")
        for command in group.commands:
            self.line(f"    {command}", style="green")

    @property
    def _room(self) -> int:
        """Return how wide a path may be: there must be room for the number and, on a usual terminal, for an id of usual length."""
        if self._width == _ANY_WIDTH:
            return _ANY_WIDTH
        return min(_LONGEST_PATH, self._width - (46 if self._width >= _WITH_IDS else 14))

    def _finding(self, one: FindingJSON, difference: DifferenceJSON | None, wide: int) -> None:
        """Print one finding: where, how many users, what has changed, and ids as far as there is room."""
        text = f"  {_fit(_place(one), self._room):{wide}} {one['users']:>{_USERS},}  "
        change = "" if difference is None else f"{in_words(difference)}  "
        if len(text + change) > self._width:  # below, with the ids
            self.line(text.rstrip())
            text = "    "
        text += change
        self.line((text + self._ids(one["examples"], self._width - len(text))).rstrip())

    @staticmethod
    def _ids(ids: Sequence[str], room: int) -> str:
        """Return as many ids as there is room for, and three dots if that is not all."""
        text = ""
        for n, one in enumerate(map(printable, ids)):
            more = f"{', ' if n else ''}{one}"
            if len(text) + len(more) > room - (5 if n + 1 < len(ids) else 0):
                return f"{text}, ..." if text else ""
            text += more
        return text

    def gone(self, ones: Sequence[DifferenceJSON]) -> None:
        """Print what the baseline had and this audit no longer finds."""
        if not ones:
            return
        self.line()
        self.line("Gone since the baseline", style="bold green")
        for one in ones[:_MOST_GONE]:
            title = KINDS[one["kind"]].title if one["kind"] in KINDS else one["kind"]  # type: ignore[index]
            place = f" at {_fit(printable(one['path']), self._room)}" if one["path"] else ""
            self.line(f"  {title}{place}: {count(one['before'], 'user')} before")
        if len(ones) > _MOST_GONE:
            self.line(f"  and {len(ones) - _MOST_GONE:,} more", style="dim")

    def heavy(self, document: AuditJSON) -> None:
        """Print which keys the large profiles consist of."""
        weights = document["weights"][:_MOST_HEAVY]
        if not weights:
            return
        self.line()
        self.line("What weighs in profiles of 8 KB and more (total, and each x users)", style="bold")
        wide = max(len(_fit(printable(one["path"]), self._room)) for one in weights)
        for one in weights:
            users, each = one["users"], size_text(one["bytes"] / max(1, one["users"]))
            name = f"{_fit(printable(one['path']), self._room):{wide}}"
            self.line(f"  {name} {size_text(one['bytes']):>{_USERS}}  {each} x {users:,}")

    def largest(self, document: AuditJSON) -> None:
        """Print the largest profiles."""
        users = document["oversized"][:_MOST_USERS]
        if not users:
            return
        self.line()
        self.line("The largest profiles", style="bold")
        wide = max(len(_fit(printable(one["user_id"]), self._room)) for one in users)
        for one in users:
            text = f"  {_fit(printable(one['user_id']), self._room):{wide}} {one['bytes']:>{_USERS},} B  "
            keys = sorted(one["keys"].items(), key=lambda item: -item[1])[:_MOST_KEYS]
            named = [f"{printable(path)} {size_text(size)}" for path, size in keys]
            self.line((text + self._ids(named, self._width - len(text))).rstrip())
        more = users_with(document, "oversized") - len(users)
        if more > 0:
            self.line(f"  {more:,} more: --csv writes a row for each", style="dim")


def _facts(document: AuditJSON) -> Iterator[tuple[str, str, str | None]]:
    """Yield the lines of the summary: a name, a number in words, and a style."""
    users, sizes = document["users"], document["sizes"]
    yield (
        "source",
        f"{document['source']}, {users:,} {'user' if users == 1 else 'users'}, {when(document['generated_at'])}",
        None,
    )
    for kind, name, style in (
        ("oversized", "over 10 KB", "red"),
        ("over_allowance", "over 100 KB", "red"),
        ("near_limit", "8 to 10 KB", "yellow"),
    ):
        number = users_with(document, kind)
        text = f"{number:,} ({part(number, users)})" if number else "none"
        both = over_both(document) if kind == "oversized" and number else None
        if both is not None:
            text += f", {both:,} of them over 10,240 B too"
        yield name, text, style if number else None
    yield (
        "sizes",
        f"largest {sizes['largest']:,} B, median {sizes['median']:,} B, 99 % up to {sizes['p99']:,} B",
        None,
    )
    if document["problems"]["count"]:
        yield "not read", count(document["problems"]["count"], "record"), "yellow"
    baseline = document.get("baseline")
    if baseline is not None:
        changes = [one["change"] for one in baseline["differences"]]
        words = ", ".join(
            f"{changes.count(name)} {name}" for name in ("new", "grew", "shrank", "gone") if name in changes
        )
        yield "baseline", f"{when(baseline['generated_at'])}: {words or 'no difference'}", None


def _place(finding: FindingJSON) -> str:
    return printable(finding["path"]) or "whole profile"


def _fit(text: str, width: int) -> str:
    """Return a text of at most `width` characters, with its beginning and its end."""
    if len(text) <= width:
        return text
    left = (width - 3) // 2
    return f"{text[:left]}...{text[len(text) - (width - 3 - left) :]}"
