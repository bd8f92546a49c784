"""Run something in a forked child, as a preloading server does."""

from __future__ import annotations

import os
import select
import signal
import warnings
from collections.abc import Callable


def in_child(work: Callable[[], str]) -> str:
    """Run `work` in a forked child and return its result; a child that hangs is killed after 30 s."""
    read, write = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # forking with threads is what this tests
        child = os.fork()
    if not child:
        try:
            result = work()
        except BaseException as error:  # noqa: BLE001  # reported to the parent
            result = repr(error)
        os.write(write, result.encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        if not select.select([pipe], [], [], 30)[0]:
            os.kill(child, signal.SIGKILL)
        result = pipe.read()
    os.waitpid(child, 0)
    return result
