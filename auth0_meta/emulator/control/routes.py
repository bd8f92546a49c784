"""Answer the control routes and the page: what a person does to a running tenant from outside.

Any web page can send requests to loopback, so each request must name this tenant as its host, come
from the tenant's own page or from no page at all, and carry the token of this run.
"""

from __future__ import annotations

import hmac
import json
import logging
import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from auth0_meta.emulator.control.events import Feed, entry_shown, fault_shown
from auth0_meta.emulator.control.page import PAGE_HEADERS, asset
from auth0_meta.emulator.control.seed_files import as_roster, to_snapshot
from auth0_meta.emulator.http.errors import Refusal, problem
from auth0_meta.emulator.http.message import JSON_TYPE, Answer, Request, to_json
from auth0_meta.emulator.pipeline import CONTROL_ROOT, check_host
from auth0_meta.emulator.rules.differences import ABSENT
from auth0_meta.emulator.state.history import Change
from auth0_meta.emulator.state.tenant_state import TenantState
from auth0_meta.errors import InputError

if TYPE_CHECKING:
    from auth0_meta.emulator.tenant import LocalTenant

TOKEN_HEADER = "x-emulator-token"  # noqa: S105  # the header's name
_log = logging.getLogger("auth0_meta.emulator")
_SAFE = (
    ("X-Content-Type-Options", "nosniff"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Cache-Control", "no-store"),
)
_MOST_USERS = 200
# What may be said of a fault from outside; the rest takes code.
_FAULT_WORDS = frozenset(
    (
        *("method", "path", "user_id", "nth", "times", "probability", "status", "reset", "drop", "delay"),
        *("slow", "truncate", "html", "commit", "expire_token", "rows"),
    )
)


def _refused(status: int, message: str) -> Refusal:
    return Refusal(status, problem(status, message))


class Control:
    """Be the tenant's front desk: `control(request)` answers the page at `/` and `/_emulator/...`.

    `token` must come with every control request in the header `X-Emulator-Token`.  `show_token`:
    the page at `/` carries it, because only this machine can fetch it.
    """

    def __init__(self, tenant: LocalTenant, state: TenantState, *, show_token: bool) -> None:
        self.token = secrets.token_urlsafe(32)
        self._tenant, self._state, self._show_token = tenant, state, show_token
        self._feed = Feed(state)
        self._routes: dict[tuple[str, str], Callable[[Request], Any]] = {
            ("GET", "state"): lambda _: self._feed.state(),
            ("GET", "events"): self._events,
            ("POST", "reset"): self._reset,
            ("GET", "users"): self._users,
            ("POST", "users"): self._add_user,
            ("GET", "user"): self._user,
            ("GET", "journal"): self._journal,
            ("GET", "faults"): lambda _: [fault_shown(plan) for plan in state.faults.plans()],
            ("POST", "faults"): self._fail,
            ("DELETE", "faults"): self._forget_faults,
            ("POST", "clock"): self._clock,
            ("GET", "snapshot"): lambda _: to_snapshot(tenant.users.documents()),
            ("PUT", "snapshot"): self._restore,
        }

    def __call__(self, request: Request) -> Answer:
        """Answer one request."""
        try:
            check_host(request, self._state.hosts)
            page = asset(request.path, self.token if self._show_token else "")
            if page is not None and request.method in ("GET", "HEAD"):
                return self._answer(200, page.body, page.content_type, PAGE_HEADERS)
            self._check(request)
            answer = self._find(request)(request)
            if isinstance(answer, Answer):
                return answer
            return self._answer(200, to_json({} if answer is None else answer))
        except Refusal as refusal:
            return self._answer(refusal.status, to_json(refusal.body))
        except InputError as error:
            return self._answer(400, to_json(problem(400, str(error))))
        except Exception:  # noqa: BLE001  # a bug here must be an answer, not a closed connection
            _log.exception("the local tenant failed on %s %s", request.method, request.path)
            return self._answer(500, to_json(problem(500, "The local tenant failed; its log says where.")))

    def _answer(
        self, status: int, body: bytes, kind: str = JSON_TYPE, more: tuple[tuple[str, str], ...] = ()
    ) -> Answer:
        return Answer(status, [("Content-Type", kind), *_SAFE, *more], body, None, None, self._state.pause)

    def _check(self, request: Request) -> None:
        """Refuse what a foreign page may have sent, and what has no token."""
        origin, host = request.headers.get("origin"), request.headers.get("host", "")
        site = request.headers.get("sec-fetch-site", "none")
        if (origin is not None and urlsplit(origin).netloc.lower() != host.lower()) or site not in (
            "same-origin",
            "none",
        ):
            raise _refused(
                403, "The control routes answer this tenant's own page and programs, no other page."
            )
        given = request.headers.get(TOKEN_HEADER, "")
        if not hmac.compare_digest(given.encode("utf-8", "replace"), self.token.encode()):
            raise _refused(403, "The control routes need this run's token in the header X-Emulator-Token.")

    def _find(self, request: Request) -> Callable[[Request], Any]:
        name = request.path.removeprefix(CONTROL_ROOT)
        route = self._routes.get((request.method, name))
        if route is None:
            methods = [method for method, path in self._routes if path == name]
            if methods:
                raise _refused(405, f"{request.path} takes {', '.join(methods)}.")
            raise _refused(404, f"There is no control route {request.path}.")
        return route

    # What the routes do ----------------------------------------------------------------------------

    def _events(self, request: Request) -> Answer:
        stream = self._feed.open(_number(request.query, "since", 0))
        if stream is None:
            raise _refused(503, "Too many pages are watching this tenant: close one.")
        headers = [("Content-Type", "text/event-stream; charset=utf-8"), *_SAFE]
        return Answer(200, headers, b"", None, None, self._state.pause, feed=lambda: stream)

    def _reset(self, _: Request) -> None:
        self._tenant.reset()

    def _users(self, request: Request) -> dict[str, Any]:
        asked = request.query
        start, count = _number(asked, "start", 0), _number(asked, "count", 50)
        if count > _MOST_USERS:
            raise _refused(400, f"count is at most {_MOST_USERS}.")
        sought = asked.get("find", "").strip().lower()
        if not sought:
            found = self._state.users.slice(start, count + 1)
        else:
            found = []
            matches = (profile for profile in self._state.users.all() if sought in _words(profile.root))
            for number, profile in enumerate(matches):
                if number >= start:
                    found.append(profile)
                if len(found) > count:
                    break
        users = [
            {name: profile.root.get(name) for name in ("user_id", "email", "name", "updated_at")}
            for profile in found[:count]
        ]
        return {"total": len(self._state.users), "more": len(found) > count, "users": users}

    def _add_user(self, request: Request) -> dict[str, Any]:
        (user,) = as_roster([_object(request)]).users
        return {"user_id": self._tenant.users.add(**user).user_id}

    def _user(self, request: Request) -> dict[str, Any]:
        user_id = request.query.get("id", "")
        profile = self._state.users.get(user_id)
        if profile is None:
            raise _refused(404, "The user does not exist.")
        history = [_change_shown(change) for change in reversed(self._state.history.of(user_id))]
        return {"profile": profile.document(), "history": history}

    def _journal(self, request: Request) -> dict[str, Any]:
        total, entries = self._state.journal.since(_number(request.query, "since", 0))
        first = total - len(entries) + 1
        return {
            "total": total,
            "entries": [entry_shown(number, entry) for number, entry in enumerate(entries, first)],
        }

    def _fail(self, request: Request) -> dict[str, Any]:
        words = _object(request)
        unknown = sorted(words.keys() - _FAULT_WORDS)
        if unknown:
            raise _refused(400, f"A fault has no {', '.join(unknown)}.")
        try:
            return fault_shown(self._tenant.fail(**words))
        except (TypeError, AttributeError):
            raise _refused(400, "A member of this fault has the wrong type.") from None

    def _forget_faults(self, _: Request) -> None:
        self._state.faults.clear()

    def _clock(self, request: Request) -> dict[str, Any]:
        words, clock = _object(request), self._tenant.clock
        match words.get("do"):
            case "freeze":
                clock.freeze()
            case "resume":
                clock.resume()
            case "advance":
                seconds = words.get("seconds")
                if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
                    raise _refused(400, "advance needs a number of seconds.")
                clock.advance(seconds)
            case _:
                raise _refused(400, "do is freeze, resume or advance.")
        return {"now": self._state.now(), "frozen": clock.frozen}

    def _restore(self, request: Request) -> dict[str, Any]:
        roster = as_roster(_parsed(request))
        self._tenant.users.replace(roster.users, verbatim=roster.verbatim)
        return {"users": len(roster.users)}


def _parsed(request: Request) -> Any:
    # Of a foreign page's requests only this type is announced by a preflight, which is refused.
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise _refused(415, "The body must be application/json.")
    try:
        return json.loads(request.body)
    except (ValueError, RecursionError):
        raise _refused(400, "The body is no JSON.") from None


def _object(request: Request) -> dict[str, Any]:
    value = _parsed(request)
    if not isinstance(value, dict):
        raise _refused(400, "The body is no JSON object.")
    return value


def _number(query: dict[str, str], name: str, default: int) -> int:
    text = query.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) <= 12):  # far past any count
        raise _refused(400, f"{name} is a whole number of 0 or more.")
    return int(text)


def _words(root: dict[str, Any]) -> str:
    return "\n".join(str(root.get(name, "")) for name in ("user_id", "email", "name", "username")).lower()


def _change_shown(change: Change) -> dict[str, Any]:
    """Show a write as JSON: a side that is not there is left out."""
    changed = []
    for path, (before, after) in change.changed.items():
        sides = {"before": before, "after": after}
        changed.append({"path": path} | {side: value for side, value in sides.items() if value is not ABSENT})
    return {"time": change.time, "by": change.by, "changed": changed}
