"""Whom a failure concerns: one user, everybody, or whoever else fails decides."""

from __future__ import annotations

import pytest

from auth0_meta import errors
from auth0_meta.migrate.blame import InARow, is_everybodys, is_open

USERS, EVERYBODYS, OPEN = "the user", "everybody", "open"


@pytest.mark.parametrize(
    ("error", "concerns"),
    [
        (errors.AuthError("", status=401), EVERYBODYS),
        (errors.ScopeError("", status=403), EVERYBODYS),
        (errors.RateLimitError("", status=429), EVERYBODYS),
        (errors.ConfigError(""), EVERYBODYS),
        (errors.StateError(""), EVERYBODYS),
        (errors.NotSentError("", permanent=True), EVERYBODYS),
        (errors.NotSentError(""), OPEN),
        (errors.TransportError(""), OPEN),
        (errors.OutcomeUnknown(""), OPEN),
        (errors.ServerError("", status=500), OPEN),
        (errors.ForbiddenError("", status=403), OPEN),
        *((errors.ApiError("", status=status), OPEN) for status in (300, 302, 399, 408, 425, 499)),
        *((errors.ApiError("", status=status), USERS) for status in (400, 409, 410, 418, 422, 451)),
        (errors.BadRequestError("", status=400), USERS),
        (errors.NotFoundError("", status=404, error_code="inexistent_user"), USERS),
        (errors.NotFoundError("", status=404, api_message="The user does not exist."), USERS),
        (errors.NotFoundError("", status=404), OPEN),
        (errors.NotFoundError("", status=404, api_message="no route", error_code="not_found"), OPEN),
        (errors.MetadataError(""), USERS),
    ],
    ids=repr,
)
def test_whom_an_error_concerns(error: errors.Auth0MetaError, concerns: str) -> None:
    """Some errors say it; a gateway may answer for one path or for all of them."""
    assert (EVERYBODYS if is_everybodys(error) else OPEN if is_open(error) else USERS) == concerns


def test_twenty_failures_in_a_row_concern_everybody() -> None:
    """A user who succeeds ends the row, and the failures before that are their users' own."""
    row: InARow[int] = InARow()
    assert not row
    assert not any(row.add(n, outage=False) for n in range(19))
    assert row.note_success() == list(range(19))
    assert not row
    assert [row.add(n, outage=False) for n in range(20)] == [False] * 19 + [True]
    assert row.take() == list(range(20))
    assert not row.add(20, outage=False)


def test_two_outages_in_a_row_concern_everybody() -> None:
    """One may be that user's own, whatever others fail in between; a success, or forgetting them, starts over."""
    row: InARow[int] = InARow()
    assert [row.add(0, outage=True), row.add(1, outage=False), row.add(2, outage=True)] == [
        False,
        False,
        True,
    ]
    row.take()
    assert not row.add(3, outage=True)
    row.note_success()
    assert not row.add(4, outage=True)


def test_an_outage_at_the_end_concerns_everybody_if_nobody_has_succeeded() -> None:
    """Later failures that are none change nothing; once a user has succeeded, the tenant was there."""
    row: InARow[int] = InARow()
    row.add(0, outage=False)
    assert not row.is_outage
    row.add(1, outage=True)
    row.add(2, outage=False)
    assert row.is_outage
    row.take()
    assert not row.is_outage
    row.note_success()
    row.add(3, outage=True)
    assert not row.is_outage
