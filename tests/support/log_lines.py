"""The forms of the lines in the logs `auth0_meta` and `auth0_meta.migrate`, and loggers as they were."""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Iterator

REQUEST = re.compile(
    r"(?P<method>[A-Z]+) (?P<path>\S+)(?: for (?P<user>\S+))?: (?P<status>\d+|no response|not sent) in (?P<ms>\d+) ms, "
    r"attempt (?P<attempt>\d+)(?:, waited (?P<waited>[\d.]+) s)?(?:, request id (?P<id>\S+))?"
)
WAIT = re.compile(
    r"waiting (?P<seconds>[\d.]+) s before (?P<method>[A-Z]+) (?P<path>\S+)(?: for (?P<user>\S+))? "
    r"\((?P<reason>[a-z ]+), (?P<bucket>[a-z ]+), attempt (?P<attempt>\d+)\)"
)
COMMIT = re.compile(
    r"commit (?P<user>\S+): (?P<outcome>\w+)(?: \((?P<error>\w+)\))? in (?P<ms>\d+) ms, (?P<requests>\d+) requests?"
    r"(?:, waited (?P<waited>[\d.]+) s(?: \((?P<why>[a-z ,]+)\))?)?(?:, request id (?P<id>\S+))?"
)
USER = re.compile(r"(?:apply|undo) \S+: \w+(?: \(\w+\))? in \d+ ms, \d+ requests?(?:, waited [\d.]+ s)?")
RUN = re.compile(
    r"(?:plan|apply|undo) of \S+ (?:begins|stopped \(\w+\)|ended in [\d.]+ s: .*, \d+ requests?(?:, waited [\d.]+ s)?)"
)


@contextlib.contextmanager
def loggers_restored() -> Iterator[None]:
    """Give the loggers that a page configures their levels and handlers back."""
    loggers = [logging.getLogger(name) for name in ("auth0_meta", "urllib3", None)]
    before = [(one, one.level, list(one.handlers)) for one in loggers]
    try:
        yield
    finally:
        for one, level, handlers in before:
            one.setLevel(level)
            one.handlers[:] = handlers
