"""What headers mean, how long to wait, and which bucket a request uses."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from requests.structures import CaseInsensitiveDict

from auth0_meta import RateLimit
from auth0_meta.errors import ConfigError
from auth0_meta.ratelimit.headers import RateHeaders, ServerClock, backoff, parse_headers, wait_after_429
from auth0_meta.ratelimit.plans import GROUPS, PLANS, plan, route_group

DATE = 1_800_000_000.0
HTTP_DATE = "Fri, 15 Jan 2027 08:00:00 GMT"


def headers(**changes: str) -> CaseInsensitiveDict[str]:
    """Return the lower-case headers of a 2xx, with changes by their short names."""
    found = {"limit": "10", "remaining": "9", "reset": "1800000001", "date": HTTP_DATE} | changes
    names = {"date": "date", "after": "retry-after"}
    return CaseInsensitiveDict({names.get(k, f"x-ratelimit-{k}"): v for k, v in found.items()})


def test_headers_are_read_in_any_case() -> None:
    """The case of header names does not matter, values are whole numbers, and Date becomes epoch seconds."""
    assert parse_headers(headers()) == RateHeaders(10, 9, 1_800_000_001, DATE, None)
    assert parse_headers({}) == RateHeaders()


@pytest.mark.parametrize("text", ["", "soon", "-1", "1.5", "1" * 400, "0x10", "None", "1" * 5000])
def test_garbage_counts_as_absent(text: str) -> None:
    """A value that is not a whole number counts as absent; the other headers still count."""
    assert parse_headers(headers(reset=text)) == RateHeaders(10, 9, None, DATE, None)
    assert parse_headers(headers(remaining=text)).remaining is None
    assert parse_headers(headers(limit=text)).limit is None
    assert parse_headers(headers(after=text)).retry_after is None


@pytest.mark.parametrize(("limit", "remaining"), [("0", "0"), ("10", "11")])
def test_an_impossible_pair_counts_as_absent(limit: str, remaining: str) -> None:
    """Nothing is learned from a bucket of size 0, or from one with more tokens than its size."""
    found = parse_headers(headers(limit=limit, remaining=remaining))
    assert (found.limit, found.remaining) == (None, None)
    assert found.reset == 1_800_000_001


@pytest.mark.parametrize(
    "text",
    [
        "yesterday",
        "Fri, 15 Jan 2027 25:00:00 GMT",
        "Fri, 15 Foo 2027 08:00:00 GMT",
        "Fri, xx Jan 2027 08:00:00 GMT",
        "Fri, 15 Jan 2027 99:00:00 +0000",
        "",
    ],
)
def test_a_bad_date_counts_as_absent(text: str) -> None:
    """A Date that can't be read is None and raises nothing."""
    assert parse_headers(headers(date=text)).date is None


def test_old_date_formats_are_read() -> None:
    """HTTP once had two others."""
    assert parse_headers(headers(date="Friday, 15-Jan-27 08:00:00 GMT")).date == DATE
    assert parse_headers(headers(date="Fri, 15 Jan 2027 09:00:00 +0100")).date == DATE
    assert parse_headers(headers(date="Fri, 15 Jan 2027 08:00:00 -0000")).date == DATE


@given(st.datetimes(datetime(1980, 1, 1), datetime(2090, 1, 1)))  # noqa: DTZ001  # given a zone below
def test_dates_agree_with_the_standard_library(moment: datetime) -> None:
    """Every IMF-fixdate results in the time that it names."""
    moment = moment.replace(microsecond=0, tzinfo=UTC)
    assert parse_headers({"Date": format_datetime(moment, usegmt=True)}).date == moment.timestamp()


def test_retry_after_is_seconds_or_a_date() -> None:
    """A date counts from the response's Date; more than a day is garbage."""
    assert parse_headers(headers(after="7")).retry_after == 7
    later = format_datetime(datetime(2027, 1, 15, 8, 0, 0, tzinfo=UTC) + timedelta(seconds=9), usegmt=True)
    assert parse_headers(headers(after=later)).retry_after == 9
    assert parse_headers({"Retry-After": later}).retry_after is None
    assert parse_headers({"Retry-After": later}).retry_at == DATE + 9
    assert parse_headers(headers(after=later)).retry_at == DATE + 9
    assert parse_headers(headers(after="7")).retry_at is None
    assert parse_headers(headers(after="86400")).retry_after == 86_400
    assert parse_headers(headers(after="86401")).retry_after is None


def refusal(reset: int | None, *, date: float | None = DATE, after: float | None = None) -> RateHeaders:
    """Return the headers of a 429."""
    return RateHeaders(10, 0, reset, date, after)


@pytest.mark.parametrize("ahead", [-3600.0, -1.0, -0.5, 0.0, 0.2, 0.999, 1.5, 3600.0])
def test_the_local_clock_does_not_matter_where_there_is_a_date(ahead: float) -> None:
    """The wait counts from the receipt of the response and is Reset - Date, however well the local clock agrees."""
    seconds = wait_after_429(refusal(int(DATE) + 5), wall=DATE + ahead, refusals=1, jitter=0.0)
    assert seconds == pytest.approx(5.05)


@given(
    true=st.floats(0, 0.999),
    back=st.floats(0, 0.3),
    skew=st.floats(-7200, 7200),
    ahead=st.integers(1, 3600),
    jitter=st.floats(0, 1),
    form=st.sampled_from(["reset", "date"]),
)
def test_on_first_contact_a_wait_ends_after_reset_and_within_1_6_seconds(
    true: float, back: float, skew: float, ahead: int, jitter: float, form: str
) -> None:
    """By the server's clock, whatever the local one shows; the same goes for a date in Retry-After."""
    server = DATE + true  # when the response was sent; `back`: its way back
    at = int(DATE) + ahead
    found = refusal(at) if form == "reset" else refusal(None)._replace(retry_after=float(ahead), retry_at=at)
    seconds = wait_after_429(found, wall=server + back + skew, refusals=1, jitter=jitter)
    assert 0.05 - 1e-6 <= server + back + seconds - at <= 1.6


@given(true=st.floats(0, 0.999), bound=st.floats(0, 0.2), back=st.floats(0, 0.3), skew=st.floats(-7200, 7200))
def test_a_known_server_clock_brings_the_request_half_a_second_after_reset(
    true: float, bound: float, back: float, skew: float
) -> None:
    """Even an instant that passes while the response is on its way needs no more than the jitter."""
    received = DATE + true + back
    for found in (refusal(int(DATE) + 1), refusal(None)._replace(retry_after=1.0, retry_at=DATE + 1)):
        seconds = wait_after_429(found, wall=received + skew, refusals=1, jitter=1.0, server=received - bound)
        assert received + seconds >= DATE + 1.05 - 1e-6
        assert received + seconds <= max(DATE + 1, received) + 0.5


def test_earlier_responses_shorten_the_wait() -> None:
    """What earlier responses showed of the server's clock counts if it is later than this response's Date."""
    for server, waits in ((DATE + 0.7, 4.35), (DATE - 9.0, 5.05)):
        seconds = wait_after_429(refusal(int(DATE) + 5), wall=0.0, refusals=1, jitter=0.0, server=server)
        assert seconds == pytest.approx(waits)


@pytest.mark.parametrize("reset", [0, int(DATE) - 60, int(DATE)])
def test_the_wait_for_a_reset_in_the_past_doubles(reset: int) -> None:
    """If Reset is not in the future, the wait is 1 s and doubles with each refusal in a row, up to a minute."""
    waits = [wait_after_429(refusal(reset), wall=DATE, refusals=n, jitter=0.0) for n in (1, 2, 3, 7, 10_000)]
    assert waits == pytest.approx([1.05, 2.05, 4.05, 60.05, 60.05])
    assert wait_after_429(refusal(reset), wall=DATE + 9999, refusals=1, jitter=0.0) == pytest.approx(1.05)


def test_without_a_date_the_local_clock_decides() -> None:
    """The shortest wait is the same."""
    assert wait_after_429(
        refusal(int(DATE) + 9, date=None), wall=DATE, refusals=1, jitter=0.0
    ) == pytest.approx(9.05)
    assert wait_after_429(refusal(int(DATE), date=None), wall=DATE, refusals=2, jitter=0.0) == pytest.approx(
        2.05
    )


@pytest.mark.parametrize(
    ("after", "server", "seconds"),
    [(None, DATE + 0.5, 8.55), (None, None, 60.05), (300.0, None, 300.05)],
    ids=["known", "unknown", "retry-after"],
)
def test_without_a_date_a_wrong_local_clock_does_little_harm(
    after: float | None, server: float | None, seconds: float
) -> None:
    """Known bounds of the server's clock count; without them, a clock that is an hour slow costs at most a minute."""
    found = refusal(int(DATE) + 9, date=None, after=after)
    assert wait_after_429(found, wall=DATE - 3600, refusals=1, jitter=0.0, server=server) == pytest.approx(
        seconds
    )


def test_a_server_clock_is_bounded_by_what_it_showed() -> None:
    """Nothing is known before the first Date; later the bound moves with time, less a possible drift."""
    clock = ServerClock()
    assert clock.shows(5.0) is None
    clock.learn(DATE, 1.0, 2.0)
    assert clock.shows(2.0) == DATE
    assert clock.shows(1002.0) == pytest.approx(DATE + 1000 - 0.2)


@pytest.mark.parametrize("found", [RateHeaders(), refusal(None), refusal(int(DATE) + 86_402)])
def test_without_a_usable_reset_the_client_backs_off(found: RateHeaders) -> None:
    """A Reset that is missing, garbage or more than a day away means exponential backoff from half a second."""
    waits = [wait_after_429(found, wall=DATE, refusals=n, jitter=0.0) for n in (1, 2, 3)]
    assert waits == [0.5, 1.0, 2.0]


def test_a_reset_exactly_a_day_ahead_is_believed() -> None:
    """It is not garbage."""
    assert wait_after_429(refusal(int(DATE) + 86_400), wall=DATE, refusals=1, jitter=0.0) == pytest.approx(
        86_400.05
    )


def test_retry_after_takes_precedence_over_reset() -> None:
    """0 means the shortest wait."""
    assert wait_after_429(refusal(int(DATE) + 60, after=3.0), wall=DATE, refusals=1, jitter=0.0) == 3.05
    assert wait_after_429(refusal(int(DATE) + 60, after=0.0), wall=DATE, refusals=1, jitter=0.0) == 1.05


@given(st.integers(1, 10**9), st.floats(0, 1))
def test_backoff_is_bounded(attempt: int, jitter: float) -> None:
    """It starts at 0.5 s, never falls from one attempt to the next, and never exceeds 30 s."""
    seconds = backoff(attempt, jitter=jitter)
    assert 0.5 <= seconds <= 30.0
    assert backoff(attempt + 1, jitter=jitter) >= seconds


@pytest.mark.parametrize(
    ("method", "path", "group"),
    [
        ("GET", "users", "users read"),
        ("GET", "users?q=x&page=1", "users read"),
        ("GET", "/users/auth0%7C1", "users read"),
        ("GET", "users-by-email", "users read"),
        ("GET", "users/auth0%7C1/roles", "other"),
        ("POST", "users", "users write"),
        ("PATCH", "users/auth0%7C1", "users write"),
        ("DELETE", "users/auth0%7C1", "users write"),
        ("POST", "users/auth0%7C1/identities", "users write"),
        ("DELETE", "users/auth0%7C1/identities/auth0/2", "users write"),
        ("DELETE", "connections/con_1/users", "users write"),
        ("DELETE", "connections/con_1", "other"),
        ("POST", "users/auth0%7C1/roles", "other"),
        ("POST", "jobs/users-imports", "other"),
        ("GET", "jobs/job_1", "other"),
        ("PUT", "users/auth0%7C1", "other"),
        ("POST", "oauth/token", "token"),
        ("POST", "/oauth/token", "token"),
    ],
)
def test_requests_belong_to_auth0s_route_groups(method: str, path: str, group: str) -> None:
    """Each belongs to the group that Auth0's table names."""
    assert route_group(method, path) == group


def test_plans_have_their_published_buckets() -> None:
    """This goes for all route groups."""
    assert set(PLANS) == {"free", "essentials", "enterprise", "enterprise-dev"}
    assert all(set(groups) == set(GROUPS) for groups in PLANS.values())
    assert plan("free")["other"] == RateLimit(2, 2)
    assert plan("enterprise")["users read"] == RateLimit(50, 16)
    assert plan("enterprise-dev")["users write"] == RateLimit(10, 2)
    assert [plan("essentials")[group].burst for group in GROUPS] == [40, 20, 10]
    assert [round(plan("essentials")[group].per_second * 60) for group in GROUPS] == [500, 200, 150]


def test_a_limit_may_be_given() -> None:
    """None means that nothing is known; a RateLimit or SIZE@PER_SECOND applies to every group."""
    assert plan(None) == {}
    assert set(plan(RateLimit(7, 3)).values()) == {RateLimit(7, 3)}
    assert plan("50@16.67")["other"] == RateLimit(50, 16.67)


@pytest.mark.parametrize(
    "bad", ["", "gold", "10", "@2", "x@2", "10@", "10@x", "0@2", "10@0", "10@nan", "10@inf", 10]
)
def test_bad_limits_are_refused(bad: str) -> None:
    """The error repeats the value, and nothing is sent."""
    with pytest.raises(ConfigError, match="rate_limit="):
        plan(bad)
