"""Present journal entries to the page and to programs: as rows, in full, as curl commands, and as assertions."""

from __future__ import annotations

import json
import shlex
from typing import Any

from auth0_meta.emulator.rules.journal_entry import Entry

_LONGEST_REASON = 300
LONGEST_TEXT = 2000
"""How much of a path or an id a row shows: it may have 64 KB, and a page gets a thousand rows at once."""
_ROW = (
    *("time", "duration", "method", "path", "query", "route", "user_id", "status", "outcome", "not_served"),
    *("tokens", "committed"),
)
# What curl sends by itself, and what only a browser or a connection needs.
_OWN_HEADERS = frozenset(
    (
        *("host", "user-agent", "content-length", "content-type", "connection", "accept-encoding"),
        *("transfer-encoding", "origin", "referer", "cookie", "accept-language", "authorization"),
    )
)


def rows(total: int, entries: list[Entry]) -> list[tuple[int, Entry]]:
    """Return entries with their numbers, which count from 1; the last one is the `total`-th."""
    return list(enumerate(entries, total - len(entries) + 1))


def row(number: int, entry: Entry) -> dict[str, Any]:
    """Return an entry as a JSON value without headers and bodies."""
    values = ((name, getattr(entry, name)) for name in _ROW)
    return (
        {"number": number}
        | {name: value[:LONGEST_TEXT] if isinstance(value, str) else value for name, value in values}
        # "planned" keeps its name, because other programs read it from the control routes.
        | {"planned": entry.fault is not None, "fault": entry.fault and entry.fault.number}
        | {"reason": reason(entry)}
    )


def with_request(number: int, entry: Entry) -> dict[str, Any]:
    """Return an entry as a JSON value with what was requested."""
    return row(number, entry) | {"headers": entry.headers, "body": entry.body}


def in_full(number: int, entry: Entry, url: str) -> dict[str, Any]:
    """Return everything about an entry as a JSON value."""
    shown, response = with_request(number, entry), entry.response
    if response is not None:
        parts = {"headers": response.headers, "body": response.body, "length": response.length}
        shown["response"] = {"status": response.status, **parts}
    return shown | {"curl": as_curl(entry, url), "assert_called": as_assertion(entry)}


def reason(entry: Entry) -> str:
    """Return in a few words which rule or fault decided a request's response; "" if it is an ordinary one."""
    if entry.outcome == "plan_raised":
        return "a second writer or predicate raised"
    if entry.fault is not None:
        return f"fault {entry.fault.number}"
    if entry.not_served:
        return "not served"
    if entry.status is None or entry.status < 400 or entry.response is None:
        return ""
    body = entry.response.body
    texts = body if isinstance(body, dict) else {}
    message = next((texts[name] for name in ("message", "error_description") if texts.get(name)), "")
    if entry.status == 429 or texts.get("error") == "too_many_requests":
        return "rate limit"
    if texts.get("errorCode") == "insufficient_scope":
        return "scope missing: " + str(message).rpartition("expected any of: ")[2].replace(",", ", ")
    text = str(message or texts.get("description") or texts.get("error") or "")
    return text if len(text) <= _LONGEST_REASON else f"{text[: _LONGEST_REASON - 1]}\N{HORIZONTAL ELLIPSIS}"


def as_curl(entry: Entry, url: str) -> str:
    """Return the command that sends a request again; the reader fills in the token and other secrets.

    What was masked is a placeholder, and a body that the journal does not have is left out.
    """
    body = entry.body
    method = [] if entry.method == "GET" and body is None else ["-X", shlex.quote(entry.method)]
    address = f"{url}{entry.path}" + (f"?{entry.query}" if entry.query else "")
    lines = [" ".join(["curl", *method, shlex.quote(address)])]
    if "authorization" in entry.headers:
        lines.append('-H "Authorization: Bearer $TOKEN"')
    for name, value in entry.headers.items():
        if name not in _OWN_HEADERS and not name.startswith("sec-"):
            lines.append("-H " + shlex.quote(f"{name}: {value}"))
    if isinstance(body, dict) and "form-urlencoded" in entry.headers.get("content-type", ""):
        lines += ["--data-urlencode " + shlex.quote(f"{name}={value}") for name, value in body.items()]
    elif body is not None:
        text = json.dumps(body, ensure_ascii=False)
        lines += ["-H 'Content-Type: application/json'", "-d " + shlex.quote(text)]
    return " \\\n  ".join(lines)


def as_assertion(entry: Entry) -> str:
    """Return the line of a test that finds this request in the journal."""
    arguments = [repr(entry.method), repr(entry.route or entry.path)]
    if entry.user_id is not None:
        arguments.append(f"user_id={entry.user_id!r}")
    if entry.status is not None:
        arguments.append(f"status={entry.status}")
    if entry.body is not None:
        arguments.append(f"json={entry.body!r}")
    return f"tenant.journal.assert_called({', '.join(arguments)})"
