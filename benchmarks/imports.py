"""Compare `from auth0_meta import ManagementClient, MetadataTransaction` with `import requests`.

Each run is a fresh interpreter; the two alternate, so that other work on the machine affects both.

    python benchmarks/imports.py [RUNS]
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile

STATEMENTS = {
    "requests": "import requests",
    "auth0_meta": "from auth0_meta import ManagementClient, MetadataTransaction",
}
# CPU time: the import runs on one thread and waits for nothing, and other processes must not count.  It is measured
# inside the interpreter, because starting one takes the same time for both and would hide the difference.
CODE = "import time; start = time.process_time(); {}; print(time.process_time() - start)"


def seconds(statement: str, bytecode: str) -> float:
    """Return how long one statement takes in a new interpreter, which keeps compiled modules in a folder."""
    # pip compiles what it installs.  Our checkout must be compiled too, even where the caller's settings forbid it.
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": bytecode, "PYTHONDONTWRITEBYTECODE": ""}
    line = [sys.executable, "-c", CODE.format(statement)]
    return float(subprocess.run(line, env=environment, capture_output=True, check=True).stdout)


def main(runs: int) -> None:
    """Print the medians and the median of the ratios."""
    took: dict[str, list[float]] = {name: [] for name in STATEMENTS}
    with tempfile.TemporaryDirectory() as bytecode:
        for run in range(runs + 1):
            for name, statement in STATEMENTS.items():
                figure = seconds(statement, bytecode)
                if run:  # the first one compiles
                    took[name].append(figure)
    for name, times in took.items():
        print(f"{name:11} {statistics.median(times) * 1000:7.1f} ms  (best {min(times) * 1000:.1f})")
    ratios = [ours / theirs for ours, theirs in zip(took["auth0_meta"], took["requests"], strict=True)]
    print(f"ratio       {statistics.median(ratios):7.2f}     ({min(ratios):.2f} - {max(ratios):.2f})")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 21)
