"""Announce a served tenant in a file, so that other commands of the same user find it and call its control routes."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from auth0_meta.clock import SYSTEM_CLOCK, Clock
from auth0_meta.emulator.control.routes import HEALTHY, TOKEN_HEADER
from auth0_meta.emulator.pipeline import CONTROL_ROOT
from auth0_meta.emulator.serving.ca_bundle import VARIABLES, certificate_files
from auth0_meta.errors import InputError
from auth0_meta.files.paths import read_file, status_of
from auth0_meta.redact import printable

_VARIABLE = "AUTH0_META_EMULATOR_DIR"
_MOST = 65_536
_NEEDED = {"url", "local_url", "client_id", "client_secret", "token", "control_token"}
_NEEDED_FOR_TLS = {"ca_file", *VARIABLES}
_TIMEOUT = 120
_TIMEOUT_HEALTH = 5
_POLL, _TOLD_EVERY = 0.1, 2.0


def run_directory() -> Path:
    """Return the directory of the files: AUTH0_META_EMULATOR_DIR, else the user's runtime directory, else home."""
    if os.environ.get(_VARIABLE):
        return Path(os.environ[_VARIABLE])
    if os.environ.get("XDG_RUNTIME_DIR"):
        return Path(os.environ["XDG_RUNTIME_DIR"]) / "auth0-meta"
    return Path.home() / ".auth0-meta"


def _file(port: int) -> Path:
    return run_directory() / f"emulator-{port}.json"


@contextmanager
def announced(port: int, facts: dict[str, Any]) -> Iterator[Path | None]:
    """Keep a file about the tenant on `port` while the block runs; only this user can read it.

    Yields its path, or None if it can't be written; that does not stop the tenant.
    """
    path = _file(port)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if status_of(path, follow=False) is not None:
            read_file(path, most=_MOST, private=True)  # what is not an announcement of this user stays
            path.unlink()
        # The token in it must never be readable by others, not even for a moment, so the mode is set at creation.
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError:
        yield None
        return
    text = json.dumps({**facts, "pid": os.getpid()}).encode()
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(text)
        yield path
    finally:
        with suppress(OSError):
            # Another tenant may have announced itself there meanwhile.
            if read_file(path, most=_MOST, private=True) == text:
                path.unlink()


def find_run(port: int) -> dict[str, Any]:
    """Return what was announced for `port`; raises `InputError` if nothing was, or if somebody else may have done it."""
    path = _file(port)
    try:
        facts = json.loads(read_file(path, most=_MOST, private=True))
    except FileNotFoundError:
        facts = None
    except OSError as error:
        raise InputError(f"{path} can't be trusted to announce a local tenant: {error.strerror}") from None
    except (ValueError, RecursionError):
        facts = None
    if isinstance(facts, dict) and "url" in facts:
        facts.setdefault("local_url", facts["url"])  # 0.1.0 had one URL only
    if not _is_announcement(facts):
        msg = (
            f"no local tenant was announced for port {port}: start one with "
            f"`auth0-meta emulator serve --port {port}`, or give its port with --port"
        )
        raise InputError(msg)
    return dict(facts)


def _is_announcement(facts: Any) -> bool:
    """Return whether a tenant wrote this: the environment of other programs is made of it."""
    if not isinstance(facts, dict) or not facts.keys() >= _NEEDED:
        return False
    texts = [value for name, value in facts.items() if name != "pid"]
    if not all(isinstance(text, str) and text.isprintable() for text in texts):
        return False
    secure = facts["local_url"].startswith("https://")
    return all(re.fullmatch(r"https?://[^\s/@]+", facts[name]) for name in ("url", "local_url")) and (
        not secure or facts.keys() >= _NEEDED_FOR_TLS
    )


class Foreign(Exception):
    """A response that no tenant sends."""


@contextmanager
def session(port: int, *, timeout: float = _TIMEOUT) -> Iterator[Callable[..., Any]]:
    """Yield a function that sends a control request to the tenant on `port` and returns its response, if that is a success.

    Raises `InputError` if no tenant responds there, if it refuses, or if the block raises `Foreign`.
    """
    import requests  # noqa: PLC0415  # loads on use

    facts = find_run(port)
    with requests.Session() as connection:
        connection.trust_env = False  # no proxy: the tenant is on this machine
        connection.verify = facts.get("ca_file", True)
        connection.headers[TOKEN_HEADER] = facts["control_token"]

        def send(method: str, name: str, **options: Any) -> requests.Response:
            url = facts["local_url"] + CONTROL_ROOT + name
            response = connection.request(method, url, timeout=timeout, stream=True, **options)
            if response.ok:
                return response
            why = response.json()
            if not isinstance(why, dict) or not isinstance(why.get("message"), str):
                raise Foreign
            raise InputError(f"the tenant on port {port} refused: {printable(why['message'])}")

        try:
            yield send
        except (json.JSONDecodeError, Foreign):
            raise InputError(f"what responds on port {port} is not the tenant that was announced") from None
        except OSError:
            raise not_responding(port) from None


def find_serving(
    port: int,
    *,
    wait: float = 0.0,
    clock: Clock = SYSTEM_CLOCK,
    on_wait: Callable[[float], object] | None = None,
) -> dict[str, Any]:
    """Return what was announced for `port`, with certificate files for the environment of this process.

    Raises `InputError` if no tenant responds there now or, with `wait`, within so many seconds.  While it waits,
    `on_wait` is called every other second with the seconds so far.
    """
    started, told = clock.monotonic(), _TOLD_EVERY
    while True:
        try:
            with session(port, timeout=_TIMEOUT_HEALTH) as send:
                if send("GET", "health").json() == HEALTHY:
                    break
                raise Foreign
        except InputError:
            spent = clock.monotonic() - started
            if spent >= wait:
                raise
        if spent >= told and on_wait is not None:
            on_wait(spent)
            told += _TOLD_EVERY
        clock.sleep(min(_POLL, wait - spent))
    facts = find_run(port)
    if "ca_file" in facts:
        ca_file, directory = Path(facts["ca_file"]), Path(facts["SSL_CERT_FILE"]).parent
        try:
            facts |= certificate_files(ca_file, directory)
        except OSError:
            raise not_responding(port) from None
    return facts


def not_responding(port: int) -> InputError:
    """Return the error for a tenant that was announced and does not respond."""
    msg = f"the tenant announced for port {port} does not respond: it may have been killed, so start it again"
    return InputError(msg)
