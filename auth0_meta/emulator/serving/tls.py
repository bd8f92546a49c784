"""A certificate authority for one tenant, and the files that make clients trust it."""

from __future__ import annotations

import shutil
import ssl
import tempfile
import weakref
from functools import cached_property
from pathlib import Path
from typing import Any

_NAMES = ("localhost", "127.0.0.1", "::1")


class Authority:
    """A certificate authority whose key never leaves this process, and the server's TLS settings.

    `names` are further names and addresses that the server's certificate covers.
    """

    def __init__(self, names: tuple[str, ...] = ()) -> None:
        import trustme  # noqa: PLC0415  # tenants without TLS don't need it

        ca = trustme.CA(organization_name="auth0-meta local tenant, not for production")
        self.ca_pem: bytes = ca.cert_pem.bytes()
        """The authority's certificate."""
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        ca.issue_cert(*dict.fromkeys((*_NAMES, *names))).configure_cert(self.context)

    @cached_property
    def _directory(self) -> Path:
        """Create a directory, mode 0700, that is deleted with this object."""
        path = tempfile.mkdtemp(prefix="auth0-meta-")
        weakref.finalize(self, shutil.rmtree, path, ignore_errors=True)
        return Path(path)

    @cached_property
    def ca_file(self) -> Path:
        """Return a file with the certificate alone, for tools that add it to their own (`NODE_EXTRA_CA_CERTS`)."""
        path = self._directory / "ca.pem"
        path.write_bytes(self.ca_pem)
        return path

    @cached_property
    def bundle_file(self) -> Path:
        """Return a file that has the public authorities too, for tools that trust only this file (`SSL_CERT_FILE`)."""
        import certifi  # noqa: PLC0415

        path = self._directory / "bundle.pem"
        path.write_bytes(Path(certifi.where()).read_bytes() + b"\n" + self.ca_pem)
        return path


class LateHandshake:
    """TLS for cheroot with the handshake in the worker: a slow client must not block the thread that accepts."""

    def __init__(self, context: ssl.SSLContext, makefile: Any) -> None:
        self._context = context
        self.makefile = makefile

    def bind(self, sock: Any) -> Any:
        """Return the listening socket without TLS."""
        return sock

    def wrap(self, sock: Any) -> tuple[Any, dict[str, str]]:
        """Wrap an accepted socket; the first read does the handshake."""
        return self._context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False), {}
