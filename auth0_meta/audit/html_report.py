"""An audit as one HTML page with plots as inline SVG; ids, key names, counts and sizes, never values; PURE."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from auth0_meta._version import __version__
from auth0_meta.audit.report_types import AuditJSON, DifferenceJSON, FindingJSON, OversizedJSON, WeightJSON
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
)  # fmt: skip
from auth0_meta.checks.kinds import KINDS
from auth0_meta.checks.sizes import ALLOWANCE_BYTES, NEAR_BYTES, PROFILE_BYTES
from auth0_meta.markup import charts
from auth0_meta.markup.charts import Limit, across, histogram, size_text
from auth0_meta.markup.page import cell, head, page, table, text
from auth0_meta.redact import count

_SHOWN = 20
_MOST_ROWS = 200
_MOST_USERS = 1_000
_MOST_WEIGHTS, _LIGHTEST = 15, 0.005
_MOST_KEYS = 4
_MOST_CHANGES = 100
_LONGEST = 160
_COLORS = {"high": "bad", "medium": "warn", "low": ""}
_SEVERITIES = {
    "high": "Breaks writes or security",
    "medium": "Grows until it does",
    "low": "Makes search or code worse",
}

_STYLE = (
    charts.STYLE
    + """
.over { margin: 0 0 .35rem; color: var(--soft); font-size: .875rem } .lead { margin: .9rem 0 0; font-size: 1.05rem }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(8.5rem, 1fr)); gap: .75rem; margin: 1.75rem 0 0 }
.tiles div { padding: .7rem .9rem .8rem; background: var(--panel); border: 1px solid var(--line); border-radius: .5rem }
.tiles dt { color: var(--soft); font-size: .85rem } .tiles dd { margin: 0 } .tiles b { display: block; font-size: 1.55rem; line-height: 1.3; font-weight: 600; font-variant-numeric: tabular-nums; letter-spacing: -.01em }
.tiles .bad b { color: var(--bad) } .tiles .warn b { color: var(--warn) } .tiles small { color: var(--soft); font-size: .8rem }
.kind { margin: 0 0 2.25rem; padding-top: 1rem; border-top: 2px solid var(--line) } .kind.bad { border-color: var(--bad-fill) } .kind.warn { border-color: var(--warn-fill) }
.kind header { display: flex; flex-wrap: wrap; gap: .1rem .75rem; align-items: baseline } .tag { font-size: .8rem; color: var(--soft) } .bad > header .tag { color: var(--bad) } .warn > header .tag { color: var(--warn) }
.new, .grew { color: var(--bad); font-weight: 600 } .gone, .shrank { color: var(--soft) }
.columns2, .columns3 { table-layout: fixed } .columns2 th:nth-child(2) { width: 7rem } .columns3 th:nth-child(1) { width: 40% } .columns3 th:nth-child(2) { width: 6rem } .bars td { padding-bottom: .6rem } .bars th:first-child { width: 36% }
.ids { font-size: .85em; color: var(--soft) } .ids code { margin-right: .75em } footer { margin-top: 3rem; padding-top: 1rem; border-top: 1px solid var(--line); color: var(--soft); font-size: .875rem }
@media (max-width: 40rem) { .tiles { grid-template-columns: 1fr 1fr; gap: .5rem } .tiles b { font-size: 1.3rem } .columns2 th:nth-child(2), .columns3 th:nth-child(2) { width: 4.4rem } }
@media print { .tiles { grid-template-columns: repeat(3, 1fr) } .kind > header, .kind > p { break-after: avoid } }
"""
)


def render(document: AuditJSON) -> str:
    """Return the page for a report's JSON, which may have a `baseline`."""
    found = groups(document)
    return page(
        f"Audit of user profiles, {when(document['generated_at'])}",
        (
            *_top(document),
            _since(document),
            _sizes(document),
            _weights(document["weights"]),
            _by_kind(found, document["users"]),
            *_findings(found, differences(document)),
            _users(document["oversized"], users_with(document, "oversized")),
            _problems(document),
            _foot(document),
        ),
        style=_STYLE,
    )


def _top(document: AuditJSON) -> Iterator[str]:
    """Yield the verdict, what it means, and the numbers that matter."""
    users, sizes = document["users"], document["sizes"]
    yield (
        f'<header><p class="over">Audit of user profiles &middot; {text(document["source"] or "unknown source")} &middot; '
        f"{text(when(document['generated_at']))}</p><h1>{text(headline(document))}</h1>"
    )
    yield f'<p class="lead">{text(LIMIT)}</p>'
    yield f'<p class="soft">{text(ESTIMATE)}</p></header>'
    if not users:
        return
    tiles: list[tuple[str, str, str, str]] = [("Users", f"{users:,}", "", "")]
    for kind, name, css in (
        ("oversized", "Over 10 KB", "bad"),
        ("over_allowance", "Over 100 KB", "bad"),
        ("near_limit", "8 to 10 KB", "warn"),
    ):
        number = users_with(document, kind)
        both = over_both(document) if kind == "oversized" and number else None
        more = "" if both is None else f"; {both:,} over 10,240 B too"
        tiles.append((name, f"{number:,}", f"{part(number, users)} of users{more}", css if number else ""))
    tiles.append(("Largest profile", size_text(sizes["largest"]), f"{sizes['largest']:,} B", ""))
    tiles.append(("Median profile", size_text(sizes["median"]), f"p99: {size_text(sizes['p99'])}", ""))
    yield (
        '<dl class="tiles">'
        + "".join(
            f'<div class="{css}"><dt>{text(name)}</dt><dd><b>{text(value)}</b><small>{text(more)}</small></dd></div>'
            for name, value, more, css in tiles
        )
        + "</dl>"
    )


def _since(document: AuditJSON) -> str:
    """Return what has changed since the baseline, if there is one."""
    baseline = document.get("baseline")
    if baseline is None:
        return ""
    title = f"<h2>Since {text(when(baseline['generated_at']))}</h2>"
    changed = baseline["differences"]
    if not changed:
        return f"{title}<p>Nothing is new, nothing grew, and nothing is gone.</p>"
    rows = (
        (
            head(_title(one["kind"])),
            f"<td>{_path(one['path'])}</td>",
            f'<td class="{one["change"]}">{text(in_words(one))}</td>',
        )
        for one in changed[:_MOST_CHANGES]
    )
    return (
        title
        + table(("Kind", "Path", "Change"), rows, label="Changes")
        + _more(len(changed) - _MOST_CHANGES, "changes")
    )


def _sizes(document: AuditJSON) -> str:
    """Draw how large the profiles are."""
    sizes, over = document["sizes"], users_with(document, "oversized")
    edges = sizes["edges"]
    if len(edges) != len(sizes["counts"]) + 1 or sorted({*edges}) != edges:
        return ""  # somebody has edited the report
    plot = histogram(
        sizes["edges"],
        sizes["counts"],
        limits=(
            Limit(PROFILE_BYTES, f"10 KB: {over:,} over it"),
            Limit(ALLOWANCE_BYTES, f"100 KB: {users_with(document, 'over_allowance'):,} over it"),
        ),
        style=lambda size: "bad" if size >= PROFILE_BYTES else "warn" if size >= NEAR_BYTES else "",
        label=f"Users by size of profile: {over:,} of {document['users']:,} are over 10,000 bytes; the largest has {sizes['largest']:,}",
        noun="users",
    )
    if not plot:
        return ""
    rows = [
        (f'<th scope="row" class="n">{low:,}</th>', cell(high), cell(users))
        for low, high, users in zip(sizes["edges"], sizes["edges"][1:], sizes["counts"], strict=False)
        if users
    ]
    return (
        "<h2>How large the profiles are</h2><figure><figcaption>Users by size of profile. Both axes are logarithmic, so that "
        f"a few large profiles can be seen beside many small ones.</figcaption>{plot}</figure>"
        "<details><summary>The numbers of this plot</summary>"
        + table(
            ("Over bytes", "Up to bytes", "Users"),
            rows,
            numbers=("Over bytes", "Up to bytes", "Users"),
            label="Users by size",
        )
        + "</details>"
    )


def _weights(weights: Sequence[WeightJSON]) -> str:
    """Draw which keys the large profiles consist of."""
    total = sum(one["bytes"] for one in weights)
    shown = [one for one in weights[:_MOST_WEIGHTS] if one["bytes"] >= _LIGHTEST * total]
    if not total:
        return ""
    most = max(one["bytes"] for one in shown)
    each = {one["path"]: one["bytes"] / max(1, one["users"]) for one in shown}
    rows = (
        (
            f'<th scope="row">{_path(one["path"])}</th>',
            f"<td>{size_text(one['bytes'])} {across(one['bytes'] / most)}</td>",
            f"<td>{size_text(each[one['path']])} &times; {one['users']:,} {across(each[one['path']] / max(each.values()))}</td>",
            f'<td class="n">{size_text(one["largest"])}</td>',
        )
        for one in shown
    )
    names = ("Key", "Total", "Per user", "Largest")
    return (
        "<h2>What weighs</h2><figure><figcaption>The first-level keys of profiles near the limit or over it, the heaviest first: "
        "all users together, and each user who has the key."
        f"</figcaption>{table(names, rows, numbers=names[3:], label='Weight by key', css='bars')}</figure>"
        + _more(len(weights) - len(shown), "keys")
    )


def _by_kind(found: Sequence[Group], users: int) -> str:
    """Draw how many users each kind of finding concerns."""
    if not found:
        return "<h2>Findings</h2><p>Nothing found.</p>" if users else ""
    most = max(group.users for group in found)
    rows = (
        (
            f'<th scope="row"><a href="#{group.kind.name}">{text(group.kind.title)}</a></th>',
            f"<td>{group.users:,} {across(group.users / most, _COLORS[group.kind.severity])}</td>",
            cell(len(group.findings))
            if group.findings[0]["path"]
            else '<td class="n soft">whole profile</td>',
        )
        for group in found
    )
    return (
        "<h2>Findings by kind</h2><figure><figcaption>Users with each kind of finding, the worst kind first. A user with a kind at two "
        f"paths counts twice.</figcaption>{table(('Kind', 'Users', 'Paths'), rows, numbers=('Paths',), label='Findings by kind', css='bars')}</figure>"
    )


def _findings(found: Sequence[Group], changed: dict[tuple[str, str], DifferenceJSON]) -> Iterator[str]:
    """Yield a section for each kind: what it means, what to do, and where it was found."""
    if found:
        yield "<h2>What to do</h2>"
    for group in found:
        kind = group.kind
        yield f'<section class="kind {_COLORS[kind.severity]}" id="{kind.name}"><header><h3>{text(kind.title)}</h3>'
        yield f'<span class="tag">{_SEVERITIES[kind.severity]}</span></header><p>{text(kind.meaning)} {text(kind.advice)}</p>'
        yield "".join(f"<pre>{text(command)}</pre>" for command in group.commands)
        yield _folded(
            [_finding(one, changed.get((kind.name, one["path"]))) for one in group.findings[:_MOST_ROWS]]
        )
        yield _more(len(group.findings) - _MOST_ROWS, "paths") + "</section>"


def _finding(finding: FindingJSON, difference: DifferenceJSON | None) -> tuple[str, ...]:
    """Return the cells of a finding."""
    change = (
        ""
        if difference is None
        else f' <span class="{difference["change"]}">{text(in_words(difference))}</span>'
    )
    ids = " ".join(f"<code>{_short(one)}</code>" for one in finding["examples"])
    examples = f'<div class="ids">{ids}</div>' if ids else ""
    return f'<th scope="row">{_path(finding["path"])}{change}{examples}</th>', cell(finding["users"])


def _users(oversized: Sequence[OversizedJSON], over: int) -> str:
    """List the largest users."""
    if not oversized:
        return ""
    rows = [
        (
            f'<th scope="row"><code>{_short(one["user_id"])}</code></th>',
            cell(one["bytes"]),
            f'<td class="ids">{", ".join(_weighed(path, size) for path, size in _heaviest(one))}</td>',
        )
        for one in oversized[:_MOST_USERS]
    ]
    rest = _more(over - len(rows), "users", "; --csv writes a row for each")
    return "<h2>The largest profiles</h2>" + _folded(rows, ("User", "Bytes", "Heaviest keys")) + rest


def _heaviest(user: OversizedJSON) -> list[tuple[str, int]]:
    return sorted(user["keys"].items(), key=lambda item: -item[1])[:_MOST_KEYS]


def _weighed(path: str, size: int) -> str:
    return f"{_path(path)}&nbsp;{size_text(size).replace(' ', '&nbsp;')}"


def _problems(document: AuditJSON) -> str:
    """List what could not be read, and what was counted together."""
    parts, problems = [], document["problems"]
    if problems["count"]:
        parts.append(
            f"<h2>Not read</h2><p>{text(count(problems['count'], 'record'))} could not be read and so could not be checked.</p>"
        )
        parts.append(_list(problems["examples"]))
    if document["notes"]:
        parts.append("<h2>Notes</h2>" + _list(document["notes"]))
    return "".join(parts)


def _foot(document: AuditJSON) -> str:
    """Return how the report was made, and where to read on."""
    checks = "sizes only" if document["checks"] == "sizes" else "all checks"
    return (
        f"<footer><p>auth0-meta {__version__}, {checks}, {document['seconds']:,.0f} s. This page has names of keys, sizes and user ids, but no "
        "metadata value. The migrations in <code>examples/migrations</code> are in the source of auth0-meta; edit the names "
        "of the keys in them before you plan.</p></footer>"
    )


def _folded(
    rows: Sequence[tuple[str, ...]], names: Sequence[str] = ("Path, and some of the users", "Users")
) -> str:
    """Return a table of which only the first rows are shown until it is opened."""
    css, label = f"columns{len(names)}", " and ".join(names[:2])

    def some(few: Sequence[tuple[str, ...]]) -> str:
        return table(names, few, numbers=names[1:2], css=css, label=label)

    left = len(rows) - _SHOWN
    more = f"<details><summary>{left:,} more</summary>{some(rows[_SHOWN:])}</details>" if left > 0 else ""
    return some(rows[:_SHOWN]) + more


def _more(number: int, noun: str, how: str = "; --json has all of them") -> str:
    """Return a line about how many are left out, if any."""
    return (
        f'<p class="soft">{number:,} more {noun} are not on this page{text(how)}.</p>' if number > 0 else ""
    )


def _list(lines: Iterable[str]) -> str:
    return f"<ul>{''.join(f'<li>{_short(line)}</li>' for line in lines)}</ul>"


def _title(kind: str) -> str:
    """Return the words for a kind; the name itself if another version found it."""
    return KINDS[kind].title if kind in KINDS else kind  # type: ignore[index]


def _path(path: str) -> str:
    return f"<code>{_short(path)}</code>" if path else "whole profile"


def _short(value: str) -> str:
    """Return a text of bounded length: a key may have many KB."""
    half = _LONGEST // 2
    return text(value if len(value) <= _LONGEST else f"{value[:half]} ... {value[-half:]}")
