"""Keep what urllib3 logs of our own requests free of queries, signatures and headers."""

from __future__ import annotations

import logging
import threading

_LEFT_OUT = "a message about a request was left out: it may contain values"
# What urllib3 logs of every request and connection.  Anything else may quote a URL, a header or an exception in any
# form, and no list of what to cut out of it would ever be complete.
_KNOWN = frozenset({
    "Starting new HTTP connection (%d): %s:%s",
    "Starting new HTTPS connection (%d): %s:%s",
    "Resetting dropped connection: %s",
    "Connection pool is full, discarding connection: %s. Connection pool size: %s",
    '%s://%s:%s "%s %s %s" %s %s',
    "Converted retries value: %r -> %r",
})  # fmt: skip


class _OnlyKnown(logging.Filter):
    """Let the known messages about our requests pass without queries; of any other, only say that there was one."""

    def __init__(self) -> None:
        super().__init__()
        self.ours = threading.local()

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record pass; records of requests that are not ours stay unchanged."""
        if not getattr(self.ours, "now", False):
            return True
        if record.msg in _KNOWN and isinstance(record.args, tuple):
            record.args = tuple(one.partition("?")[0] if isinstance(one, str) else one for one in record.args)
        else:
            record.msg, record.args, record.exc_info, record.exc_text = _LEFT_OUT, (), None, None
        return True


_filter = _OnlyKnown()
ours = _filter.ours
"""`ours.now`: whether the request that this thread sends is a client's, and not somebody else's."""


def watch() -> None:
    """Filter every logger that urllib3 has."""
    # A filter of the parent would not see the records of its children.
    for name in [name for name in logging.root.manager.loggerDict if name.partition(".")[0] == "urllib3"]:
        logging.getLogger(name).addFilter(_filter)
