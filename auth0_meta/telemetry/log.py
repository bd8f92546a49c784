"""The lines of the logs `auth0_meta` and `auth0_meta.migrate`, each with its fields for structured logging.

They name users, requests, outcomes, times and request ids.  Nothing else goes in: no value, no header, no query (what
somebody searches for may be personal) and no error message, which may quote the program.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

from auth0_meta.models import CommitResult, RequestInfo, Wait
from auth0_meta.ratelimit.throttle import PACING
from auth0_meta.redact import count, printable

_log = logging.getLogger("auth0_meta")
_migrations = logging.getLogger("auth0_meta.migrate")
_BAD = ("failed", "unclear", "unknown")


# Every request and commit asks this first, so it is one call and no more.
logs_requests = partial(_log.isEnabledFor, logging.DEBUG)
logs_commits = partial(_log.isEnabledFor, logging.INFO)


def logs_wait(reason: str) -> bool:
    """Return whether anybody wants a line for such a wait."""
    return _log.isEnabledFor(_level(reason))


def _level(reason: str) -> int:
    """Return the level of a wait; waits for the pace of a bucket are many and short, so they are details."""
    return logging.DEBUG if reason == PACING else logging.WARNING


def log_wait(wait: Wait, path: str) -> None:
    """Log a wait before it begins."""
    whom = f" for {wait.user_id}" if wait.user_id is not None and wait.user_id not in path else ""
    _log.log(
        _level(wait.reason),
        "waiting %.1f s before %s %s%s (%s, %s, attempt %d)",
        *(wait.seconds, wait.method, path, whom, wait.reason, wait.bucket, wait.attempt),
        extra=_fields("wait", path=path, **vars(wait)),
    )


def log_request(info: RequestInfo, path: str, *, sent: bool = True) -> None:
    """Log a request after its response, or after it was lost or could not be sent."""
    status = "not sent" if not sent else "no response" if info.status is None else info.status
    whom = f" for {info.user_id}" if info.user_id is not None and info.user_id not in path else ""
    _log.debug(
        "%s %s%s: %s in %s, attempt %d%s%s",
        *(info.method, path, whom, status, _ms(info.duration), info.attempt),
        *(_waited(info.waited), _request_id(info.request_id)),
        extra=_fields("request", path=path, sent=sent, **vars(info)),
    )


def log_commit(
    user_id: str,
    result: CommitResult,
    *,
    seconds: float,
    reasons: Collection[str],
    request_id: str | None,
    error: BaseException | None,
) -> None:
    """Log a commit once its outcome is known; `reasons`: why it waited."""
    name = None if error is None else type(error).__name__
    _log.log(
        logging.WARNING if result.outcome == "unknown" else logging.INFO,
        "commit %s: %s%s in %s, %s%s%s",
        *(user_id, result.outcome, f" ({name})" if name else "", _ms(seconds)),
        *(count(result.requests, "request"), _waited(result.waited, reasons), _request_id(request_id)),
        extra=_fields(
            "commit",
            user_id=user_id,
            outcome=result.outcome,
            error=name,
            duration=seconds,
            requests=result.requests,
            attempts=result.attempts,
            waited=result.waited,
            reasons=list(reasons),
            request_id=request_id,
        ),
    )


def log_user(
    kind: str, user_id: str, outcome: str, *, requests: int, seconds: float, waited: float, error: str | None
) -> None:
    """Log what became of one user in a migration: a detail, unless somebody should look at that user."""
    level = logging.WARNING if outcome in _BAD else logging.DEBUG
    if not _migrations.isEnabledFor(level):
        return  # millions of users have a line that nobody wants
    _migrations.log(
        level,
        "%s %s: %s%s in %s, %s%s",
        *(kind, user_id, outcome, f" ({error})" if error else "", _ms(seconds)),
        *(count(requests, "request"), _waited(waited)),
        extra=_fields(
            "user",
            kind=kind,
            user_id=user_id,
            outcome=outcome,
            error=error,
            duration=seconds,
            requests=requests,
            waited=waited,
        ),
    )


@contextmanager
def logged_run(kind: str, job: object) -> Iterator[Callable[..., None]]:
    """Log that a plan, an apply or an undo begins, and how it ends.

    It yields a function to call with the number of users by outcome and what the run took; `remaining`: how many users
    are left for the next run.
    """
    job = printable(str(job))
    facts = {"kind": kind, "job": job}
    _migrations.info("%s of %s begins", kind, job, extra=_fields("begin", **facts))

    def ended(
        users: Mapping[str, int], *, seconds: float, requests: int, waited: float = 0.0, remaining: int = 0
    ) -> None:
        told = [f"{n} {outcome}" for outcome, n in users.items() if n]
        told += [f"{remaining} remaining"] if remaining else []
        _migrations.info(
            "%s of %s ended in %.1f s: %s, %s%s",
            *(kind, job, seconds, ", ".join(told) or "nothing to do"),
            *(count(requests, "request"), _waited(waited)),
            extra=_fields(
                "end",
                **facts,
                error=None,
                duration=seconds,
                users=dict(users),
                requests=requests,
                waited=waited,
                remaining=remaining,
            ),
        )

    try:
        yield ended
    except BaseException as error:
        name = type(error).__name__
        _migrations.warning(
            "%s of %s stopped (%s)", kind, job, name, extra=_fields("end", **facts, error=name)
        )
        raise


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms"


def _waited(seconds: float, reasons: Collection[str] = ()) -> str:
    why = f" ({', '.join(reasons)})" if reasons else ""
    return f", waited {seconds:.2f} s{why}" if seconds >= 0.005 or reasons else ""


def _request_id(request_id: str | None) -> str:
    return f", request id {request_id}" if request_id else ""


def _fields(event: str, **fields: Any) -> dict[str, Any]:
    """Return the fields of a line, as one attribute of its record: names such as "message" would clash with logging's."""
    return {"auth0_meta": {"event": event, **fields}}
