"""Replay recorded flows of the real service, and compare every status and every field that can be compared.

The recordings are not part of this repository.  AUTH0_META_RECORDINGS names a file with them: a JSON list of
flows, each with a `source` (where it comes from) and `steps` of `request` (method, path, query, body) and
`response` (status, body).
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest
from support.requirements import RECORDINGS

from auth0_meta.emulator import LocalTenant

# Ids and times differ in every run, so their form is compared instead.
VOLATILE = {
    "created_at": "moment",
    "updated_at": "moment",
    "last_password_reset": "moment",
    "user_id": "id",
    "access_token": "token",
    "location": "link",
}

pytestmark = pytest.mark.recordings


def comparable(value: Any) -> Any:
    """Return a document with its volatile values replaced by a description of their form."""
    if isinstance(value, dict):
        shown = {
            key: f"<{VOLATILE[key]}>" if key in VOLATILE else comparable(item) for key, item in value.items()
        }
        return shown | {"id": "<job>"} if str(value.get("id", "")).startswith("job_") else shown
    return [comparable(item) for item in value] if isinstance(value, list) else value


def is_done(steps: list[dict[str, Any]]) -> bool:
    """Return whether the recording found the job finished: how long that takes is not a rule."""
    for step in steps:
        body = step["response"]["body"]
        if step["request"]["path"].endswith("/users-by-email"):
            return bool(body)
        if "/jobs/job_" in step["request"]["path"]:
            return not isinstance(body, dict) or body["status"] != "pending"
    return True


class Replay:
    """Send a flow's steps in order, with ids translated, and compare each response."""

    def __init__(self, api: Any, flow: dict[str, Any]) -> None:
        self.api, self.flow = api, flow
        self.ids: dict[str, str] = {}
        self.last_user = ""

    def run(self) -> int:
        """Return how many steps matched: all of them, or the test fails."""
        for index, step in enumerate(self.flow["steps"]):
            self.step(step, self.flow["steps"][index + 1 :])
        return len(self.flow["steps"])

    def step(self, step: dict[str, Any], rest: list[dict[str, Any]]) -> None:
        """Send one step and compare; the `rest` of the flow shows whether jobs have finished by then."""
        request, expected = step["request"], step["response"]
        method, path = request["method"], request["path"]
        jobs = self.api.tenant.jobs
        jobs.pace = "immediate" if is_done(rest) else "manual"
        self.make_up_for_a_job_made_off_stage(path, expected)
        response = self.api(method, self.target(path), params=request["query"], **self.payload(request))
        found = response.json() if response.content else ""
        where = f"{self.flow['source']}: {method} {path}"
        assert response.status_code == expected["status"], where
        assert comparable(found) == comparable(expected["body"]), where
        self.learn(found, expected["body"], where)

    def payload(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return the recorded body as it was sent: JSON, or a form as text."""
        body = request["body"]
        if isinstance(body, str) and body.startswith("--"):
            kind = f"multipart/form-data; boundary={body.splitlines()[0][2:]}"
            return {"data": body.encode(), "headers": {"Content-Type": kind}}
        return {"json": body or None}

    def target(self, path: str) -> str:
        """Return the path with the recorded ids replaced by ours."""
        _, _, head, *parts = path.removeprefix("/").split("/", 3) if path.count("/") > 2 else ("", "", path)
        if not parts:
            return path
        given, slash, tail = parts[0].partition("/")
        return f"/api/v2/{head}/{quote(self.ids.get(given, given), safe='')}{slash}{tail}"

    def make_up_for_a_job_made_off_stage(self, path: str, expected: dict[str, Any]) -> None:
        """Create the job that a flow asks about without having recorded its creation."""
        given = path.rpartition("/")[2]
        if not given.startswith("job_") or given in self.ids:
            return
        jobs, status = self.api.tenant.jobs, expected["body"]["status"]
        assert expected["body"]["type"] == "verification_email"
        jobs.pace = "manual"
        made = self.api("POST", "/api/v2/jobs/verification-email", json={"user_id": self.last_user})
        assert made.status_code == 201
        self.ids[given] = made.json()["id"]
        if status == "failed":
            jobs.fail()
        elif status == "completed":
            jobs.finish()

    def learn(self, found: Any, recorded: Any, where: str) -> None:
        """Remember which of our ids stands for which recorded id."""
        pairs = (value if isinstance(value, list) else [value] for value in (found, recorded))
        for ours, theirs in zip(*pairs, strict=True):
            if not isinstance(ours, dict):
                continue
            for name in ("user_id", "id"):
                if name in ours and name in theirs:
                    self.ids[theirs[name]] = ours[name]
            if "user_id" in ours:
                self.last_user = ours["user_id"]
                moments = ours["created_at"] == ours["updated_at"]
                assert moments is (theirs["created_at"] == theirs["updated_at"]), where


def test_every_recorded_flow_replays(talk: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """Every step gets the recorded status and body."""
    flows = json.loads(RECORDINGS.read_text(encoding="utf-8"))
    matched = sum(Replay(talk(LocalTenant(serve=False)), flow).run() for flow in flows)
    steps = sum(len(flow["steps"]) for flow in flows)
    with capsys.disabled():
        print(f"\nrecordings: {matched} of {steps} steps of {len(flows)} flows match")  # noqa: T201
    assert matched == steps > 0
