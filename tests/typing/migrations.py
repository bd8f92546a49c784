"""Pin what type checkers see of migrations and their reports; none of this is run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from auth0_meta import ManagementClient, MetadataTransaction, User
from auth0_meta.migrate import (
    ApplyProgress,
    JobReport,
    MigrationEvent,
    RunReport,
    StatusReport,
    apply,
    plan,
    report,
    status,
)

if TYPE_CHECKING:
    from typing import assert_type


def migrate(user: User, tx: MetadataTransaction) -> None:
    """Be a migration."""
    tx.app_metadata.set("plan", user.app_metadata.get("billing.plan"))


def migrate_nothing(user: User) -> None:
    """Lack the transaction."""


def show(event: MigrationEvent) -> None:
    """Listen."""
    if isinstance(event, ApplyProgress):
        assert_type(event.done, int)


def steps(client: ManagementClient) -> None:
    """Plan, apply and report; report mistakes."""
    plan(migrate, to="job.db", client=client)
    plan(migrate_nothing, to="job.db", client=client)  # type: ignore[arg-type]
    plan(migrate, to="job.db", clinet=client)  # type: ignore[call-arg]
    apply("job.db", client, on_event=show, drift="skip")
    apply("job.db", client, drift="skp")  # type: ignore[arg-type]
    apply("job.db", client, on_event=migrate)  # type: ignore[arg-type]


def reports() -> None:
    """Read reports, whose keys are known."""
    found = report("job.db")
    assert_type(found, JobReport)
    assert_type(found["summary"]["costs"]["apply"]["seconds"], float | None)
    assert_type(found["trouble"][0]["user_id"], str)
    whole: Mapping[str, Any] = found
    assert whole["stagee"] == found["stagee"]  # type: ignore[typeddict-item]
    assert_type(status("job.db").to_json(), StatusReport)
    assert_type(status("job.db").runs, tuple[RunReport, ...])
