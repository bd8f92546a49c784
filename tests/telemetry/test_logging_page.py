"""docs/logging.md: its lines are what is logged, and its recipes give Prometheus and OpenTelemetry the right numbers."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.trace import SpanKind, StatusCode
from prometheus_client import generate_latest
from support.log_lines import COMMIT, REQUEST, RUN, USER, WAIT, loggers_restored

from auth0_meta import NotFoundError, RequestInfo
from auth0_meta.emulator import LocalTenant

PAGE = (Path(__file__).parents[2] / "docs" / "logging.md").read_text(encoding="utf-8")
"""The page, whose Python blocks are executed in order."""


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """Run the page's blocks against a local tenant, and return their names."""
    users = [{"user_id": "auth0|123", "app_metadata": {"billing": {}}}]
    with loggers_restored(), LocalTenant(users=users) as tenant:
        for name, value in tenant.env.items():
            monkeypatch.setenv(name, value)
        names: dict[str, Any] = {"__name__": "page", "tenant": tenant}
        exec("\n".join(re.findall(r"(?ms)^```python\n(.*?)^```$", PAGE)), names)  # noqa: S102  # our own page
        yield names


def test_the_lines_of_the_page_have_the_form_of_real_ones() -> None:
    """Each line shown is matched by the pattern that real lines are matched by, at the level that the table gives."""
    lines = [
        line
        for block in re.findall(r"(?ms)^```text\n(.*?)^```$", PAGE)
        for line in block.splitlines()
        if line[0] != "{"
    ]
    assert len(lines) > 12
    levels: dict[re.Pattern[str], set[str]] = {}
    for line in lines:
        level, logger, message = line.split(" ", 2)
        (form,) = [one for one in (REQUEST, WAIT, COMMIT, USER, RUN) if one.fullmatch(message)]
        levels.setdefault(form, set()).add(level)
        assert logger == ("auth0_meta.migrate" if form in (USER, RUN) else "auth0_meta")
    assert levels == {
        REQUEST: {"DEBUG"}, WAIT: {"DEBUG", "WARNING"}, COMMIT: {"INFO", "WARNING"}, USER: {"WARNING"}, RUN: {"INFO"},
    }  # fmt: skip


def test_the_json_of_the_page_is_what_its_formatter_makes(page: dict[str, Any]) -> None:
    """The sample has the keys of a real commit."""
    (sample,) = [json.loads(line) for line in PAGE.splitlines() if line.startswith('{"time"')]
    made: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: made.append(page["JsonLines"]().format(record))  # type: ignore[method-assign]
    logger = logging.getLogger("auth0_meta")
    logger.addHandler(handler)
    page["tenant"].client().users.set_metadata("auth0|123", app={"plan": "pro"})
    logger.removeHandler(handler)
    (commit,) = [one for one in map(json.loads, made) if one["event"] == "commit"]
    assert list(commit) == list(sample)
    assert commit["message"].startswith("commit auth0|123: updated in ")


def test_the_table_of_fields_is_complete() -> None:
    """It lists every field of `RequestInfo`."""
    listed = set(re.findall(r"`(\w+)`", re.search(r"(?s)\| field \|.*?\n\n", PAGE)[0]))  # type: ignore[index]
    assert set(RequestInfo._fields) <= listed


def test_prometheus_counts_requests_by_route_and_status(page: dict[str, Any]) -> None:
    """The histogram has every request, a 404 too, with templates for paths; the counters have every wait."""
    client, tenant = page["client"], page["tenant"]
    counting = client.with_options(on_request=page["count_request"])
    tenant.fail(method="PATCH", status=503, times=1)
    waiting = tenant.client(on_request=page["count_request"], on_wait=page["count_wait"])
    waiting.users.update("auth0|123", {"app_metadata": {"canary": "canary"}})
    with pytest.raises(NotFoundError):
        counting.users.get("auth0|canary")
    text = generate_latest(page["registry"]).decode()
    counts = dict(re.findall(r"^auth0_request_seconds_count\{(.*?)\} ([\d.]+)$", text, re.MULTILINE))
    api = {labels: n for labels, n in counts.items() if "oauth" not in labels}
    assert api == {
        'method="GET",route="users/{id}",status="200"': "1.0",
        'method="GET",route="users/{id}",status="404"': "1.0",
        'method="PATCH",route="users/{id}",status="200"': "1.0",
        'method="PATCH",route="users/{id}",status="503"': "1.0",
    }
    assert 'auth0_waits_total{bucket="users write",reason="server error"} 1.0' in text
    waited = float(re.findall(r'auth0_waited_seconds_total\{bucket="users write"\} ([\d.]+)', text)[0])
    assert waited > 0.4
    assert "canary" not in text


def test_opentelemetry_gets_a_span_for_each_request(page: dict[str, Any]) -> None:
    """They are children of the span that was current, with method, route, status and times; a failure is an error."""
    exporter, tracer = page["exporter"], page["tracer"]
    client = page["tenant"].client(token="any.given.token", on_request=page["trace"])
    exporter.clear()
    with tracer.start_as_current_span("parent") as parent:
        client.users.set_metadata("auth0|123", app={"billing.canary": "canary"})
        with pytest.raises(NotFoundError):
            client.users.get("auth0|404")
    read, patch, missing, _ = exporter.get_finished_spans()
    assert [span.name for span in (read, patch, missing)] == [
        "GET users/{id}",
        "PATCH users/{id}",
        "GET users/{id}",
    ]
    assert {span.parent.span_id for span in (read, patch, missing)} == {parent.get_span_context().span_id}
    assert {span.kind for span in (read, patch, missing)} == {SpanKind.CLIENT}
    assert [span.attributes["http.response.status_code"] for span in (read, patch, missing)] == [
        200,
        200,
        404,
    ]
    assert [span.status.status_code for span in (patch, missing)] == [StatusCode.UNSET, StatusCode.ERROR]
    assert read.start_time <= read.end_time <= patch.end_time
    assert "canary" not in "".join(span.to_json() for span in (read, patch, missing))


def test_opentelemetry_measures_requests_by_route(page: dict[str, Any]) -> None:
    """The page's own request is in the histogram, with the labels that the page names."""
    (metric,) = page["reader"].get_metrics_data().resource_metrics[0].scope_metrics[0].metrics
    assert (metric.name, metric.unit) == ("http.client.request.duration", "s")
    (point,) = [one for one in metric.data.data_points if one.attributes["http.request.method"] == "GET"]
    assert point.count == 1
    assert dict(point.attributes) == {
        "http.request.method": "GET", "url.template": "users/{id}", "http.response.status_code": 200,
    }  # fmt: skip


def test_each_line_says_for_which_request_it_was(page: dict[str, Any]) -> None:
    """The context variable of the page is in the lines, and the header at the tenant."""
    lines: list[str] = []
    page["handler"].emit = lambda record: lines.append(page["handler"].format(record))
    before = len(page["tenant"].journal)
    page["serve"]("web-1")
    assert lines
    assert {line.split()[0] for line in lines} == {"web-1"}
    entries = page["tenant"].journal.requests()[before:]
    assert {entry.headers.get("x-correlation-id") for entry in entries if "oauth" not in entry.path} == {
        "web-1"
    }
