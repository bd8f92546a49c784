"""Snapshots of any size reach a served tenant in pieces, and leave it unchanged if anything is wrong with them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from auth0_meta.cli import main
from auth0_meta.emulator import LocalTenant
from auth0_meta.emulator.control import restoring, snapshots
from auth0_meta.emulator.process import transfer
from auth0_meta.emulator.process.announced import announced
from auth0_meta.emulator.process.running import facts_of
from auth0_meta.errors import InputError


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalTenant]:
    """Yield a tenant that is served and announced, with users who take several pieces."""
    monkeypatch.setenv("AUTH0_META_EMULATOR_DIR", str(tmp_path / "runs"))
    monkeypatch.setattr(transfer, "_PIECE", 1000)
    monkeypatch.setattr(snapshots, "_BLOCK", 500)
    users = [{"user_id": f"auth0|{number}", "user_metadata": {"n": "x" * 100}} for number in range(50)]
    with LocalTenant(users=users) as tenant, announced(tenant.port, facts_of(tenant)):
        yield tenant


def test_a_snapshot_is_saved_and_loaded_in_pieces(served: LocalTenant, tmp_path: Path) -> None:
    """All of it arrives, and the file is the one that the tenant itself would write."""
    served.users["auth0|7"].patch(app_metadata={"plan": "pro"})
    before = [dict(user) for user in served.users]
    assert transfer.save(tmp_path / "s.json", served.port) == 50
    assert served.save(tmp_path / "own.json") == 50
    assert (tmp_path / "s.json").read_bytes() == (tmp_path / "own.json").read_bytes()
    served.users.clear()
    assert transfer.load(tmp_path / "s.json", served.port) == 50
    assert [dict(user) for user in served.users] == before
    (tmp_path / "users.yaml").write_text("- {user_id: one}\n")
    assert transfer.load(tmp_path / "users.yaml", served.port) == 1
    assert [user.user_id for user in served.users] == ["auth0|one"]


def test_progress_is_told_while_a_snapshot_is_read(
    served: LocalTenant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the number of users so far; a response that takes long is not given up."""
    monkeypatch.setattr(restoring, "_INTERVAL", 0.001)
    transfer.save(tmp_path / "s.json", served.port)
    replace, told = served.users.replace, list[int]()

    def slow(users: Any, **more: Any) -> None:
        def each() -> Iterator[Any]:
            for user in users:
                yield user
                served._state.stopped_within(0.002)

        replace(each(), **more)

    monkeypatch.setattr(served.users, "replace", slow)
    assert transfer.load(tmp_path / "s.json", served.port, on_progress=told.append) == 50
    assert told == sorted(told)
    assert any(0 < users < 50 for users in told)


def test_a_damaged_file_changes_nothing_and_is_named(
    served: LocalTenant, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whether this process finds it or the served tenant; the command says why in one line."""
    path = tmp_path / "s.json"
    transfer.save(path, served.port)
    text = path.read_text()
    for damaged, why in (
        (text[:-10], "ends too early"),
        (text.replace('"auth0|3"', '"auth0|4"', 1), "two users have the same user_id"),
        ("[{", "not valid JSON"),
    ):
        path.write_text(damaged)
        assert main(["emulator", "snapshot", "load", str(path), "--port", str(served.port)]) == 2
        error = capsys.readouterr().err
        assert why in error
        assert str(path) in error
        assert len(served.users) == 50


def test_an_upload_with_a_missing_piece_is_refused(served: LocalTenant) -> None:
    """Another upload has begun meanwhile, or a piece was lost: nothing is loaded from what is there."""
    with requests.Session() as session:
        session.headers["X-Emulator-Token"] = served.control_token
        url = f"{served.url}/_emulator/snapshot"

        def send(method: str, query: str, data: bytes = b"") -> requests.Response:
            return session.request(method, f"{url}?{query}", data=data)

        assert send("PUT", "uploaded=0").status_code == 400
        assert send("POST", "at=5", b"x").status_code == 400
        assert send("POST", "at=0", b'{"users"').json() == {"bytes": 8}
        assert send("POST", "at=7", b"x").status_code == 400
        assert send("POST", "at=0", b"[").json() == {"bytes": 1}
        assert send("POST", "at=1", b"]").json() == {"bytes": 2}
        assert send("PUT", "uploaded=8").status_code == 400
        assert len(served.users) == 50
        assert send("POST", "at=0", b"[").json() == {"bytes": 1}
        assert send("POST", "at=1", b"]").json() == {"bytes": 2}
        response = send("PUT", "uploaded=2")
        assert json.loads(response.text.splitlines()[-1]) == {"users": 0}
        assert len(served.users) == 0
        for wrong, why in ((b"{", "not valid JSON"), (b"5", "expected a list")):
            send("POST", "at=0", wrong)
            assert why in json.loads(send("PUT", "uploaded=1").text)["message"]


def test_a_tenant_that_stops_while_it_is_saved_leaves_the_file_as_it_was(
    served: LocalTenant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a snapshot is none."""
    path = tmp_path / "s.json"
    path.write_text("before")
    blocks = snapshots.blocks
    monkeypatch.setattr(
        "auth0_meta.emulator.control.routes.blocks",
        lambda lines: (next(iter(blocks(lines))) for _ in range(2)),
    )
    with pytest.raises(InputError, match="ends too early"):
        transfer.save(path, served.port)
    assert path.read_text() == "before"
