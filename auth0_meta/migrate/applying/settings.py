"""Check the arguments that `apply` and `undo` share."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Executor

import attrs

from auth0_meta.arguments import callback, number, whole
from auth0_meta.errors import InputError
from auth0_meta.migrate.events import MigrationEvent


@attrs.frozen
class Settings:
    """The arguments that `apply` and `undo` share; wrong ones raise `InputError`."""

    share: float
    concurrency: int | None
    executor: Executor | None
    cancel: threading.Event | None
    on_event: Callable[[MigrationEvent], object] | None

    def __attrs_post_init__(self) -> None:
        number("share", self.share, above=0, most=1)
        if self.concurrency is not None:
            whole("concurrency", self.concurrency)
        for name, value, method in (("executor", self.executor, "submit"), ("cancel", self.cancel, "is_set")):
            if value is not None and not callable(getattr(value, method, None)):
                raise InputError(f"{name} must have a method {method}(), and {type(value).__name__} has none")
        callback("on_event", self.on_event)
