"""What users would write is accepted by mypy --strict, and their mistakes are reported; tox and .ci/run add pyright strict."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from support.doc_blocks import ROOT, write_modules


@pytest.mark.slow
def test_mypy_accepts_the_code_of_the_documentation_and_reports_mistakes(tmp_path: Path) -> None:
    """Every block of README.md and docs/ is clean; in tests/typing/, an ignored error that is not reported is an error."""
    pytest.importorskip("mypy")
    files = write_modules(tmp_path) + len(list((ROOT / "tests" / "typing").glob("*.py")))
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--cache-dir",
        str(tmp_path / "cache"),
        str(tmp_path),
        "tests/typing",
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    # A block's module is named after its page, and its lines have the numbers that they have there.
    assert (done.returncode, done.stdout.splitlines()[-1:]) == (0, done.stdout.splitlines()[:1]), done.stdout
    assert f"no issues found in {files} source files" in done.stdout
