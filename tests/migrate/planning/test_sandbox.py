"""The process of a migration's function: it ends with its parent, and leaves nothing on the terminal."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from auth0_meta.migrate.planning import sandbox
from auth0_meta.migrate.planning.sandbox import Sandbox

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")


def child(path: Path) -> subprocess.Popen[str]:
    """Start the child alone, as a parent that can be lost at any moment."""
    return subprocess.Popen(
        [sys.executable, "-c", sandbox._CHILD, str(path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


@pytest.mark.parametrize("moment", ["loading", "answering", "in a line"])
def test_a_child_whose_parent_is_killed_ends_without_a_word(move: Path, moment: str) -> None:
    """Whatever it was doing when the pipes broke, there is no traceback."""
    process = child(move)
    talk = process.stderr
    assert process.stdin is not None
    assert process.stdout is not None
    assert talk is not None
    line = json.dumps(
        {
            "fields": None,
            "ops": False,
            "profile": {"user_id": "auth0|1", "app_metadata": {"plan": "x" * 9999}},
        }
    )
    if moment != "loading":
        process.stdout.readline()
        process.stdin.write((line + "\n") * 30 + (line[:100] if moment == "in a line" else ""))
    if moment != "in a line":
        process.stdout.close()  # before the input ends, so that an answer meets a broken pipe
        process.stdin.close()
    else:
        process.stdin.close()
        process.stdout.read()
        process.stdout.close()
    with talk:
        assert talk.read() == ""
    assert process.wait(30) == 0


def test_ctrl_c_on_the_terminal_does_not_reach_the_child(move: Path) -> None:
    """It is not in the terminal's foreground process group, and it ignores the signal from its first line on."""
    evaluator = Sandbox(move)
    try:
        assert os.getpgid(evaluator._process.pid) != os.getpgid(0)
        evaluator._process.send_signal(signal.SIGINT)
        answer = next(evaluator.run([{"user_id": "auth0|1", "app_metadata": {"plan": "pro"}}]))
        assert answer["keys"] == ["app_metadata.billing", "app_metadata.plan"]
    finally:
        evaluator.close()


def test_a_process_that_is_forgotten_ends(move: Path) -> None:
    """An interrupt may come when nobody can close it yet; it must not stay for as long as the program runs."""
    evaluator = Sandbox(move)
    pid, output = evaluator._process.pid, evaluator._output
    with pytest.warns(ResourceWarning, match="still running"):
        del evaluator
    ends = time.monotonic() + 20
    while not output.closed and time.monotonic() < ends:
        time.sleep(0.01)
    assert output.closed
    os.waitpid(pid, 0)


def test_an_interrupt_while_the_file_is_loaded_ends_the_child(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody else has a reference to the process then."""
    slow = tmp_path / "slow.py"
    slow.write_text("import time\ntime.sleep(60)\ndef migrate(user, tx): ...\n", encoding="utf-8")
    ended: list[Sandbox] = []

    def interrupt(self: Sandbox, seconds: float) -> None:
        ended.append(self)
        raise KeyboardInterrupt

    monkeypatch.setattr(Sandbox, "_next", interrupt)
    with pytest.raises(KeyboardInterrupt):
        Sandbox(slow)
    assert ended[0]._process.returncode is not None


HOLDS_THE_LOCK = """
import re

def migrate(user, tx):
    if user.user_id == "auth0|3":
        re.match("(a+)+$", "a" * 64 + "b")
    tx.app_metadata["n"] = user.user_id
"""


@pytest.mark.slow
def test_a_function_that_holds_the_lock_of_python_is_ended_too(tmp_path: Path) -> None:
    """The process takes in nothing then, so what is sent to it must not wait for it; only that user fails."""
    path = tmp_path / "stuck.py"
    path.write_text(HOLDS_THE_LOCK, encoding="utf-8")
    users = [{"user_id": f"auth0|{n}", "app_metadata": {"text": "x" * 20_000}} for n in range(40)]
    evaluator = Sandbox(path, timeout=5.0)
    try:
        answers = list(evaluator.run(users))
    finally:
        evaluator.close()
    assert [n for n, answer in enumerate(answers) if "error" in answer] == [3]
    assert answers[3]["error"] == "migrate() did not return within 5 s"
    assert [f'"auth0|{n}"' in answer["plan"] for n, answer in enumerate(answers) if n != 3] == [True] * 39


DIES = """
import os

def migrate(user, tx):
    if user.user_id.endswith("7"):
        os._exit(9)
    tx.app_metadata.set("of", [user.user_id, str(os.getpid())])
"""


def test_several_processes_share_the_batches_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever computes it, and whoever dies meanwhile, each answer is that of its own user."""
    monkeypatch.setattr(sandbox, "_ALONE", 1)
    monkeypatch.setattr(sandbox, "_processors", lambda: 2)
    path = tmp_path / "dies.py"
    path.write_text(DIES, encoding="utf-8")
    evaluator = sandbox.Sandboxes(path)
    assert evaluator.ahead == 1
    try:
        batches = [[{"user_id": f"auth0|{10 * b + n}"} for n in range(5, 9)] for b in range(4)]
        begun = [evaluator.run(batch) for batch in batches]
        assert evaluator.ahead == 2
        answers = [list(one) for one in begun]
    finally:
        evaluator.close()
    processes = set()
    for batch, found in zip(batches, answers, strict=True):
        for user, answer in zip(batch, found, strict=True):
            if user["user_id"].endswith("7"):
                assert answer["error"] == "migrate() ended its process (exit code 9)"
            else:
                ((_, _, (user_id, process)),) = json.loads(answer["plan"])[0]["app_metadata"]["ops"]
                assert user_id == user["user_id"]
                processes.add(process)
    assert len(processes) > 2


def test_a_plan_with_large_profiles_stays_one_batch_ahead_at_most(
    move: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What waits for its answers is bounded in bytes, not only in users."""
    evaluator = sandbox.Sandboxes(move)
    try:
        monkeypatch.setattr(sandbox, "_MOST_AHEAD", 100)
        answers = evaluator.run([{"user_id": "auth0|1", "app_metadata": {"plan": "x" * 100}}])
        assert evaluator.ahead == 0
        assert len(list(answers)) == 1
        assert evaluator.ahead == 1
    finally:
        evaluator.close()
