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
        {"fields": None, "profile": {"user_id": "auth0|1", "app_metadata": {"plan": "x" * 9999}}}
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
        assert "ops" in answer
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
