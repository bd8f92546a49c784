"""Jobs: when they run, when they fail, and when they are deleted."""

from __future__ import annotations

from typing import Any

import pytest

from auth0_meta.emulator import LocalTenant
from auth0_meta.errors import ConfigError, InputError
from auth0_meta.testing import FakeClock


def mail(api: Any, user_id: str = "auth0|1", **more: Any) -> Any:
    """Request a verification email."""
    return api("POST", "/api/v2/jobs/verification-email", json={"user_id": user_id, **more})


def status(api: Any, job: str) -> str:
    """Return a job's status."""
    return str(api("GET", f"/api/v2/jobs/{job}").json()["status"])


def test_a_verification_email_is_a_job(api: Any) -> None:
    """The response is a 201 and pending, with the recorded fields only; afterwards the job is completed."""
    api.tenant.users.add(user_id="auth0|1")
    response = mail(api)
    job = response.json()
    assert response.status_code == 201
    assert list(job) == ["type", "status", "created_at", "id"]
    assert (job["type"], job["status"]) == ("verification_email", "pending")
    assert api("GET", f"/api/v2/jobs/{job['id']}").json() == job | {"status": "completed"}


def test_an_email_to_a_user_without_an_address_fails(api: Any) -> None:
    """The job fails as a whole, as recorded, and shows nothing more."""
    made = api.create(connection="sms", phone_number="+358401234567").json()
    job = mail(api, made["user_id"]).json()
    assert api("GET", f"/api/v2/jobs/{job['id']}").json() == job | {"status": "failed"}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, 400),
        ({"user_id": 5}, 400),
        ({"user_id": "nobody"}, 400),
        ({"user_id": "auth0|1", "verify": True}, 400),
        ({"user_id": "auth0|2"}, 404),
        ({"user_id": "auth0|1", "client_id": "other-client"}, 400),
        ({"user_id": "auth0|1", "client_id": "a" * 32}, 201),
        ({"user_id": "auth0|1", "client_id": "mine", "identity": {"user_id": "1", "provider": "auth0"}}, 201),
    ],
)
def test_the_body_of_an_email_job_is_checked(api: Any, body: dict[str, Any], code: int) -> None:
    """It needs an existing user, known properties, and a client id that is well formed or registered."""
    api.tenant.users.add(user_id="auth0|1")
    api.tenant.add_client("mine")
    response = api("POST", "/api/v2/jobs/verification-email", json=body)
    assert response.status_code == code
    if "client_id" in body and code == 400:
        assert response.json()["message"] == (
            "Payload validation error: 'Object didn't pass validation for format client-id: other-client' on "
            "property client_id (client_id of the client (application). If no value provided, the global "
            "Client ID will be used.)."
        )


def test_a_job_may_finish_after_some_polls(api: Any) -> None:
    """The job is pending for the first n polls and finished at the next; a GET of its errors counts as a poll."""
    api.tenant.users.add(user_id="auth0|1")
    api.tenant.jobs.pace = "2 polls"
    job = mail(api).json()["id"]
    assert api("GET", f"/api/v2/jobs/{job}/errors").status_code == 204
    assert [status(api, job) for _ in range(3)] == ["pending", "completed", "completed"]


def test_a_job_may_finish_after_some_seconds(api: Any, clock: FakeClock) -> None:
    """The tenant's clock decides; the effects of a job are visible without a poll."""
    api.tenant.users.add(user_id="auth0|1")
    api.tenant.jobs.pace = "1.5 seconds"
    job = mail(api).json()["id"]
    clock.advance(1)
    assert status(api, job) == "pending"
    clock.advance(0.5)
    assert status(api, job) == "completed"


def test_a_job_may_be_finished_by_hand(api: Any) -> None:
    """A manual job waits for `finish` or `fail`, which end one job or all."""
    api.tenant.users.add(user_id="auth0|1")
    api.tenant.jobs.pace = "manual"
    one, two, three = (mail(api).json()["id"] for _ in range(3))
    api.tenant.jobs.finish(one)
    api.tenant.jobs.fail(two, status_details="out of stamps")
    assert [status(api, job) for job in (one, two, three)] == ["completed", "failed", "pending"]
    assert api("GET", f"/api/v2/jobs/{two}").json()["status_details"] == "out of stamps"
    api.tenant.jobs.finish()
    assert api.tenant.jobs[three].status == "completed"
    with pytest.raises(InputError, match="not pending"):
        api.tenant.jobs.finish(one)


def test_a_job_fails_after_two_hours(api: Any, clock: FakeClock) -> None:
    """A job that is pending for longer than the documented timeout fails, whatever its pace."""
    api.tenant.users.add(user_id="auth0|1")
    for pace in ("manual", "9000 seconds"):
        api.tenant.jobs.pace = pace
        mail(api)
    clock.advance(7199)
    api.list()
    assert [job.status for job in api.tenant.jobs] == ["pending"] * 2
    clock.advance(1)
    api.list()
    assert [job.status for job in api.tenant.jobs] == ["failed"] * 2


def test_a_job_is_deleted_after_a_day(api: Any, clock: FakeClock) -> None:
    """All job data is erased after 24 hours (documented): the job and its errors are 404."""
    api.tenant.users.add(user_id="auth0|1")
    job = mail(api).json()["id"]
    clock.advance(86_399)
    assert status(api, job) == "completed"
    clock.advance(1)
    for path in (f"/api/v2/jobs/{job}", f"/api/v2/jobs/{job}/errors"):
        response = api("GET", path)
        assert (response.status_code, response.json()["error"]) == (404, "Not Found")


@pytest.mark.parametrize("pace", ["", "soon", "-1 polls", "2 minutes", 3])
def test_an_invalid_pace_is_refused(pace: Any) -> None:
    """It is refused before anything is served."""
    with pytest.raises(ConfigError, match="the pace of jobs"):
        LocalTenant(serve=False, jobs=pace)


def test_a_reset_deletes_jobs_and_restores_the_pace(api: Any, talk: Any) -> None:
    """The pace is again the one that the tenant was created with."""
    tenant = LocalTenant(serve=False, jobs="1 polls", users=[{"user_id": "auth0|1"}])
    mail(talk(tenant))
    tenant.jobs.pace = "manual"
    tenant.reset()
    assert (len(tenant.jobs), tenant.jobs.pace) == (0, "1 polls")
    assert "1 polls" in repr(tenant.jobs)


def test_ids_depend_on_the_seed(talk: Any) -> None:
    """The same seed makes the same job ids."""
    ids = [
        mail(talk(LocalTenant(serve=False, seed=seed, users=[{"user_id": "auth0|1"}]))).json()["id"]
        for seed in (1, 1, 2)
    ]
    assert ids[0] == ids[1] != ids[2]


def test_the_journal_does_not_take_a_job_for_a_user(api: Any) -> None:
    """The id in a job's path is not a user's."""
    api("GET", "/api/v2/jobs/job_1")
    assert (api.tenant.journal[0].user_id, api.tenant.journal[0].route) == (None, "/api/v2/jobs/{id}")
