"""Serve the page and the control routes, with which people and programs control a running tenant.

Any web page can send requests to loopback.  Therefore each request must name this tenant as its host, come
from the tenant's own page or from no page at all, and carry the token of this run.
"""

from __future__ import annotations

import hmac
import json
import logging
import secrets
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from itertools import islice
from typing import Any

import attrs

from auth0_meta.emulator.control.entries import in_full, rows, with_request
from auth0_meta.emulator.control.events import EventStreams
from auth0_meta.emulator.control.fault_words import fault_json
from auth0_meta.emulator.control.recipes import TOOLS, script
from auth0_meta.emulator.control.restoring import Restoring
from auth0_meta.emulator.control.seed_files import as_roster
from auth0_meta.emulator.control.snapshots import blocks, snapshot_lines
from auth0_meta.emulator.control.tenant_json import registered, user_in_full, user_row
from auth0_meta.emulator.http.errors import Refusal, problem
from auth0_meta.emulator.http.message import JSON_TYPE, Request, Response, to_any_json, to_json
from auth0_meta.emulator.pipeline import CONTROL_ROOT, check_host, check_origin
from auth0_meta.emulator.state.faults import Fault
from auth0_meta.emulator.state.tenant_state import TenantState
from auth0_meta.emulator.tenant_users import Users
from auth0_meta.errors import InputError

TOKEN_HEADER = "x-emulator-token"  # noqa: S105  # the header's name
HEALTHY = {"status": "up"}
"""What `GET /_emulator/health` returns, to anybody: it is for programs that wait for a tenant, such as Docker's HEALTHCHECK."""
_HEALTH = f"{CONTROL_ROOT}health"
_log = logging.getLogger("auth0_meta.emulator")
_COMMON_HEADERS = (
    ("X-Content-Type-Options", "nosniff"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Cache-Control", "no-store"),
)
# Scripts, styles and connections only from the tenant; no other page may frame it; no text becomes markup.
_PAGE_HEADERS = (
    (
        "Content-Security-Policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'",
    ),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Referrer-Policy", "no-referrer"),
)
_SCRIPTS = (
    *("page", "dom", "api", "stream", "clock", "buckets", "journal", "entry", "users", "user", "faults"),
    *("registered", "connect"),
)
_FILES = {
    "/": ("page.html", "text/html; charset=utf-8"),
    f"{CONTROL_ROOT}page.css": ("page.css", "text/css; charset=utf-8"),
    f"{CONTROL_ROOT}icon.svg": ("icon.svg", "image/svg+xml"),
    **{f"{CONTROL_ROOT}{name}.js": (f"{name}.js", "text/javascript; charset=utf-8") for name in _SCRIPTS},
}
_MAX_USERS = 200
_MAX_FAULTS = 1000  # every request looks at all of them
# The arguments of `fail`, except the predicate, which is code.
_FAULT_ARGUMENTS = {field.name for field in attrs.fields(Fault) if field.init} - {"when"}
_TOKEN_ARGUMENTS = ("subject", "audience", "scope")


def _refused(status: int, message: str) -> Refusal:
    return Refusal(status, problem(status, message))


@cache
def _read(name: str) -> bytes:
    from importlib.resources import files  # noqa: PLC0415  # loads on use

    return (files("auth0_meta.emulator.control") / "static" / name).read_bytes()


class Control:
    """Serve the page at `/` and the routes below `/_emulator/`; call it with a request.

    Every control request must carry `token` in the header `X-Emulator-Token`.  With `show_token` the page
    contains it, which is safe only if no other machine can fetch the page; without `page` there is none.
    `reset` resets the tenant, `issue` is `LocalTenant.token`, and `facts` returns what `recipes.script` needs to know.
    """

    def __init__(
        self,
        state: TenantState,
        *,
        users: Users,
        reset: Callable[..., None],
        issue: Callable[..., str],
        facts: Callable[[], Mapping[str, Any]],
        page: bool,
        show_token: bool,
    ) -> None:
        self.token = secrets.token_urlsafe(32)
        self._state, self._users = state, users
        self._page, self._show_token = page, show_token
        self._issue, self._facts = issue, facts
        self._reset, self._streams, self._restoring = reset, EventStreams(state), Restoring(users)
        self._routes: dict[tuple[str, str], Callable[[Request], Any]] = {
            ("GET", "state"): lambda _: self._streams.state(),
            ("GET", "events"): self._events,
            ("POST", "reset"): self._start_over,
            ("GET", "users"): self._list_users,
            ("POST", "users"): self._add_user,
            ("GET", "user"): self._user,
            ("POST", "token"): self._token,
            ("GET", "journal"): self._journal,
            ("DELETE", "journal"): lambda _: state.journal.clear(),
            ("GET", "request"): self._request,
            ("GET", "faults"): lambda _: [fault_json(fault) for fault in state.faults.all()],
            ("POST", "faults"): self._add_fault,
            ("DELETE", "faults"): self._remove_faults,
            ("GET", "registered"): lambda _: registered(state),
            ("GET", "connect"): lambda _: self._connect(),
            ("POST", "clock"): self._clock,
            ("GET", "snapshot"): lambda _: self._stream(lambda: blocks(snapshot_lines(state)), JSON_TYPE),
            ("POST", "snapshot"): self._upload,
            ("PUT", "snapshot"): self._restore,
        }

    def __call__(self, request: Request) -> Response:
        """Return the response to one request."""
        try:
            check_host(request, self._state.hosts)
            if request.path in _FILES and request.method in ("GET", "HEAD"):
                if not self._page:
                    raise _refused(404, "This tenant was started without its page.")
                name, kind = _FILES[request.path]
                token = self.token if self._show_token else ""
                body = _read(name).replace(b"{{token}}", token.encode())
                return self._response(200, body, kind, _PAGE_HEADERS)
            if request.path == _HEALTH and request.method in ("GET", "HEAD"):
                return self._response(200, to_json(HEALTHY))
            self._check(request)
            result = self._find(request)(request)
            if isinstance(result, Response):
                return result
            return self._response(200, to_any_json({} if result is None else result))
        except Refusal as refusal:
            return self._response(refusal.status, to_json(refusal.body))
        except InputError as error:
            return self._response(400, to_json(problem(400, str(error))))
        except Exception:  # noqa: BLE001  # a bug here must be a response, not a closed connection
            _log.exception("the local tenant failed on %s %s", request.method, request.path)
            return self._response(500, to_json(problem(500, "The local tenant failed: see its log.")))

    def _response(
        self, status: int, body: bytes, kind: str = JSON_TYPE, more: tuple[tuple[str, str], ...] = ()
    ) -> Response:
        return Response(
            status, [("Content-Type", kind), *_COMMON_HEADERS, *more], body, None, None, self._state.pause
        )

    def _check(self, request: Request) -> None:
        """Refuse a request that another page may have sent, or that lacks the token."""
        check_origin(request, self._state.access.url)
        if not self.has_token(request.headers):
            message = "The control routes need the token of this run in the header X-Emulator-Token."
            raise _refused(403, message)

    def has_token(self, headers: Mapping[str, str]) -> bool:
        """Return whether a request with these headers carries the token of this run."""
        token = headers.get(TOKEN_HEADER, "")
        return hmac.compare_digest(token.encode("utf-8", "replace"), self.token.encode())

    def _find(self, request: Request) -> Callable[[Request], Any]:
        name = request.path.removeprefix(CONTROL_ROOT)
        route = self._routes.get((request.method, name))
        if route is None:
            methods = [method for method, path in self._routes if path == name]
            if methods:
                raise _refused(405, f"{request.path} takes {', '.join(methods)}.")
            raise _refused(404, f"There is no control route {request.path}.")
        return route

    # The routes ----------------------------------------------------------------------------

    def _events(self, request: Request) -> Response:
        stream = self._streams.open(_number(request.query, "since", 0))
        if stream is None:
            raise _refused(503, "Too many pages are open for this tenant: close one.")
        return self._stream(lambda: stream, "text/event-stream; charset=utf-8")

    def _list_users(self, request: Request) -> dict[str, Any]:
        query = request.query
        start, count = _number(query, "start", 0), _number(query, "count", 50)
        if count > _MAX_USERS:
            raise _refused(400, f"count must be at most {_MAX_USERS}.")
        text, users = query.get("find", "").strip().lower(), self._state.users
        if text:
            matches = (profile for profile in users.all() if text in _searchable_text(profile.root))
            found = list(islice(matches, start, start + count + 1))
        else:
            found = users.slice(start, count + 1)
        shown = [user_row(profile) for profile in found[:count]]
        return {"total": len(users), "more": len(found) > count, "users": shown}

    def _add_user(self, request: Request) -> dict[str, Any]:
        (user,) = as_roster([_object(request)]).users
        return {"user_id": self._users.add(**user).user_id}

    def _user(self, request: Request) -> dict[str, Any]:
        profile = self._state.users.get(request.query.get("id", ""))
        if profile is None:
            raise _refused(404, "The user does not exist.")
        return user_in_full(self._state, profile)

    def _token(self, request: Request) -> dict[str, Any]:
        wanted = _object(request)
        if any(name not in _TOKEN_ARGUMENTS or not isinstance(text, str) for name, text in wanted.items()):
            raise _refused(400, f"A token takes {', '.join(_TOKEN_ARGUMENTS)}, each of them a string.")
        return {"token": self._issue(**wanted)}

    def _connect(self) -> dict[str, str]:
        facts = self._facts()
        return {tool: script(tool, facts) for tool in TOOLS}

    def _journal(self, request: Request) -> dict[str, Any]:
        total, entries = self._state.journal.since(_number(request.query, "since", 0))
        return {"total": total, "entries": [with_request(*one) for one in rows(total, entries)]}

    def _request(self, request: Request) -> dict[str, Any]:
        number = _number(request.query, "number", 0)
        total, entries = self._state.journal.since(max(0, number - 1))
        first, entry = rows(total, entries)[0] if entries else (0, None)
        if entry is None or first != number:
            raise _refused(404, "The journal does not have this request, or no longer.")
        return in_full(number, entry, self._state.access.url)

    def _add_fault(self, request: Request) -> dict[str, Any]:
        arguments = _object(request)
        unknown = sorted(arguments.keys() - _FAULT_ARGUMENTS)
        if unknown:
            raise _refused(400, f"A fault has no argument {', '.join(unknown)}.")
        try:
            fault = Fault(**arguments)
        except (TypeError, AttributeError):
            raise _refused(400, "An argument of this fault has the wrong type.") from None
        if len(self._state.faults.all()) >= _MAX_FAULTS:
            raise _refused(400, f"There are {_MAX_FAULTS} faults already: clear them first.")
        self._state.faults.add(fault)
        return fault_json(fault)

    def _remove_faults(self, request: Request) -> None:
        if "number" not in request.query:
            self._state.faults.clear()
        elif not self._state.faults.remove(_number(request.query, "number", 0)):
            raise _refused(404, "No fault has this number.")

    def _clock(self, request: Request) -> dict[str, Any]:
        command, clock = _object(request), self._state.clock
        match command.get("do"):
            case "freeze":
                clock.freeze()
            case "resume":
                clock.resume()
            case "advance":
                seconds = command.get("seconds")
                if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
                    raise _refused(400, "advance needs a number of seconds.")
                clock.advance(seconds)
            case _:
                raise _refused(400, "do must be freeze, resume or advance.")
        return {"now": self._state.now(), "frozen": clock.frozen}

    def _start_over(self, request: Request) -> None:
        self._reset(wipe=bool(request.body) and _object(request).get("wipe") is True)

    def _upload(self, request: Request) -> dict[str, Any]:
        return {"bytes": self._restoring.add(request.body, at=_number(request.query, "at", 0))}

    def _restore(self, request: Request) -> Any:
        if "uploaded" in request.query:
            size = _number(request.query, "uploaded", 0)
            return self._stream(self._restoring.begin(size), "application/x-ndjson")
        roster = as_roster(_parsed(request))
        self._users.replace(roster.users, verbatim=roster.verbatim, rows=roster.rows)
        return {"users": len(self._users)}

    def _stream(self, feed: Callable[[], Iterator[bytes]], kind: str) -> Response:
        return Response(
            200, [("Content-Type", kind), *_COMMON_HEADERS], b"", None, None, self._state.pause, feed=feed
        )


def _parsed(request: Request) -> Any:
    # Another page can send this type only after a preflight, which is refused; other types need none.
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise _refused(415, "The body must be application/json.")
    if not request.body.strip():
        raise _refused(400, "The body is empty or too long.")
    try:
        return json.loads(request.body)
    except (ValueError, RecursionError):
        raise _refused(400, "The body is not valid JSON.") from None


def _object(request: Request) -> dict[str, Any]:
    value = _parsed(request)
    if not isinstance(value, dict):
        raise _refused(400, "The body is not a JSON object.")
    return value


def _number(query: dict[str, str], name: str, default: int) -> int:
    text = query.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) <= 12):  # more than any count
        raise _refused(400, f"{name} must be a whole number of at least 0.")
    return int(text)


def _searchable_text(root: dict[str, Any]) -> str:
    return "\n".join(str(root.get(name, "")) for name in ("user_id", "email", "name", "username")).lower()
