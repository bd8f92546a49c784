"""`auth0-meta user` on metadata that is not an object, and with numbers that Auth0 may not keep."""

from __future__ import annotations

import pytest

from auth0_meta.cli import main
from auth0_meta.emulator import LocalTenant

UID = "samlp|corp|ada"


@pytest.fixture
def odd(tenant: LocalTenant) -> LocalTenant:
    """Add a user whose user_metadata is a text."""
    tenant.users.add(user_id=UID, user_metadata="a text", app_metadata={"billing": {"plan": "free"}})
    return tenant


@pytest.mark.parametrize(
    "words",
    [
        ["set", UID, "app_metadata.billing.plan=pro"],
        ["merge", UID, '{"app_metadata": {"billing": {"plan": "pro"}}}'],
    ],
    ids=lambda words: words[0],
)
def test_the_other_bag_can_be_changed(odd: LocalTenant, words: list[str]) -> None:
    """The broken one stays as it is; a dry run shows the same."""
    assert main(["user", *words, "--dry-run"]) == 0
    assert main(["user", *words]) == 0
    user = odd.users[UID]
    assert (user.app_metadata, user.user_metadata) == ({"billing": {"plan": "pro"}}, "a text")


@pytest.mark.parametrize("dry_run", [[], ["--dry-run"]], ids=["", "dry run"])
def test_a_change_to_the_broken_one_says_what_repairs_it(
    odd: LocalTenant, capsys: pytest.CaptureFixture[str], dry_run: list[str]
) -> None:
    """It fails without showing what is stored."""
    assert main(["user", "set", UID, "user_metadata.prefs.lang=fi", *dry_run]) == 1
    shown = "".join(capsys.readouterr())
    assert "user_metadata.clear()" in shown
    assert "a text" not in shown


@pytest.mark.parametrize("redact", [[], ["--redact"]], ids=["", "redact"])
@pytest.mark.parametrize("stored", ["a text", "", 0, False, []], ids=repr)
def test_show_says_that_it_is_not_an_object(
    tenant: LocalTenant, capsys: pytest.CaptureFixture[str], stored: object, redact: list[str]
) -> None:
    """Nothing of it is called empty."""
    tenant.users.add(user_id=UID, user_metadata=stored)
    assert main(["user", "show", UID, *redact]) == 0
    out = capsys.readouterr().out
    assert "B, not an object" in out
    assert out.count("empty") == 1


@pytest.mark.parametrize(
    "words",
    [
        ["set", UID, f"app_metadata.id:={2**53 + 1}"],
        ["merge", UID, f'{{"app_metadata": {{"id": {-(2**53) - 1}}}}}'],
    ],
    ids=lambda words: words[0],
)
@pytest.mark.filterwarnings("default")
def test_a_number_past_2_to_the_53_is_warned_of(
    odd: LocalTenant, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    """On stderr, with its path; it is written all the same."""
    assert main(["user", *words]) == 0
    assert "warning: app_metadata of samlp|corp|ada: id is an integer past 2**53" in capsys.readouterr().err
    assert abs(odd.users[UID].app_metadata["id"]) == 2**53 + 1
