"""The shell sessions that a page shows: its ```console blocks, run in one shell, and compared with what it prints.

A line that begins with `$ ` is a command, and lines that begin with `> ` continue it; the lines below are its output.  `...`
stands for anything in a line, and alone on a line for any lines.  How wide a column is does not matter.  A command must exit with 0, unless the next one is `echo $?`,
which shows the exit code.  The first command of a page opens the shell: a page's blocks are one session.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from support.doc_blocks import ROOT

_SECONDS = 280
_SHOWS_CODE = "echo $?"


class Step(NamedTuple):
    """A command, where the page has it, and the lines of output that the page shows below it."""

    line: int
    command: str
    shown: list[str]


def steps(page: Path) -> list[Step]:
    """Return the commands of all console blocks of a page, in order."""
    found: list[Step] = []
    text = page.read_text(encoding="utf-8")
    for block in re.finditer(r"^( *)```console\n(.*?)^\1```$", text, re.MULTILINE | re.DOTALL):
        first = text.count("\n", 0, block.start(2)) + 1
        for number, line in enumerate(textwrap.dedent(block[2]).splitlines(), first):
            if line.startswith("$ "):
                found.append(Step(number, line[2:], []))
            elif line.startswith("> ") and not found[-1].shown:
                found[-1] = found[-1]._replace(command=f"{found[-1].command}\n{line[2:]}")
            else:
                found[-1].shown.append(line)
    return found


def run(page: Path, folder: Path) -> Iterator[str]:
    """Run a page's session in a folder with the repository's examples, and yield what is not as the page shows it."""
    opening, *rest = steps(page)
    (folder / "work").mkdir()
    (folder / "work" / "examples").symlink_to(ROOT / "examples")
    script = folder / "session.sh"
    script.write_text("".join(_recorded(number, step.command) for number, step in enumerate(rest)))
    code, said = _run([*shlex.split(opening.command), str(script)], folder)
    for number, step in enumerate(rest):
        results = [folder / f"{number}.{what}" for what in ("out", "err", "code")]
        if not results[-1].exists():
            yield f"{page.name}:{step.line}: {step.command}: never ran; the shell exited with {code}: {said}"
            return
        out, err, exit_code = (path.read_text(encoding="utf-8") for path in results)
        shows_code = rest[number + 1].command == _SHOWS_CODE if number + 1 < len(rest) else False
        if exit_code.strip() != "0" and not shows_code:
            yield f"{page.name}:{step.line}: {step.command}: exit code {exit_code}{out}{err}"
        elif step.shown and not matches(step.shown, out.splitlines(), err.splitlines()):
            yield f"{page.name}:{step.line}: {step.command}: this is what it prints now:\n{out}{err}"


def matches(shown: list[str], out: list[str], err: list[str]) -> bool:
    """Return whether a page shows a command's output: every line of `out`, and of `err` whatever it likes, in order.

    >>> matches(["3 users", "..."], ["3 users", "a", "b"], ["waiting"])
    True
    >>> matches(["waiting ... s", "3 users"], ["3 users"], ["ready", "waiting 2 s"])
    True
    >>> matches(["3 users"], ["3 users", "a"], [])
    False
    """
    talk = iter(err)
    rest = [line for line in shown if line == "..." or not _next(talk, line, err)]
    pattern = "".join(r"(?:.*\n)*?" if line == "..." else _pattern(line) + r"\n" for line in rest)
    return re.fullmatch(pattern, "".join(f"{line.rstrip()}\n" for line in out)) is not None


def _next(talk: Iterator[str], shown: str, err: list[str]) -> bool:
    """Return whether a shown line comes next in stderr; lines before it are passed over only if it comes at all."""
    if not any(re.fullmatch(_pattern(shown), line.rstrip()) for line in err):
        return False
    return any(re.fullmatch(_pattern(shown), line.rstrip()) for line in talk)


def _pattern(line: str) -> str:
    parts = (re.escape(part) for part in re.split(r"\s{2,}", line.rstrip()))
    return r"\s+".join(parts).replace(r"\.\.\.", ".*")


def _recorded(number: int, command: str) -> str:
    """Return the lines of a script that run a command in the same shell, and keep what it prints and its exit code."""
    at = f'"$SESSION"/{number}'
    return f"{{ {command}\n}} > {at}.out 2> {at}.err\ncode=$?; echo $code > {at}.code; (exit $code)\n"


def _run(command: list[str], folder: Path) -> tuple[int | None, str]:
    """Run a command as a stranger would: no tenant and no settings of this machine are known to it."""
    tools = folder / "bin"
    tools.mkdir()
    for name, words in (("auth0-meta", "-m auth0_meta "), ("python", "")):
        (tools / name).write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {words}"$@"\n')
        (tools / name).chmod(0o755)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AUTH0_", "XDG_"))}
    own = {
        "HOME": str(folder),
        "SESSION": str(folder),
        "COLUMNS": "100",
        "NO_COLOR": "1",
        "LC_ALL": "C.UTF-8",
    }
    own["PATH"] = f"{tools}{os.pathsep}{os.environ['PATH']}"
    process = subprocess.Popen(
        command, cwd=folder / "work", env=kept | own, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, start_new_session=True, executable=tools / command[0],
    )  # fmt: skip
    try:
        said = process.communicate(timeout=_SECONDS)[0]
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    return process.returncode, said
