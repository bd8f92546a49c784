"""A tenant's certificate, the authority that signed it, and the files that make clients trust it."""

from __future__ import annotations

import os
import shutil
import ssl
import tempfile
import weakref
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path

from auth0_meta.emulator.serving.ca_bundle import certificate_files
from auth0_meta.emulator.serving.ca_directory import kept_authority
from auth0_meta.errors import missing_extra

_NAMES = ("localhost", "127.0.0.1", "::1")
# Browsers refuse a server's certificate that is valid for longer.  It is made anew at each start.
_LIFETIME = timedelta(days=397)


class Authority:
    """A certificate authority, and the TLS settings of a server whose certificate it has signed.

    `names` are further names and addresses that the certificate covers.  With `directory` the authority is kept
    there; otherwise its key never leaves this process.
    """

    def __init__(
        self, names: tuple[str, ...] = (), *, directory: str | os.PathLike[str] | None = None
    ) -> None:
        try:
            import trustme  # noqa: PLC0415  # tenants without TLS don't need it
        except ModuleNotFoundError as error:
            raise missing_extra(error, "emulator") from None

        self._kept: Path | None = None
        if directory is None:
            ca = trustme.CA(organization_name="auth0-meta local tenant, not for production")
        else:
            ca, self._kept = kept_authority(directory)
        self._ca_pem = ca.cert_pem.bytes()
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        now = datetime.now(UTC)
        leaf = ca.issue_cert(
            *dict.fromkeys((*_NAMES, *names)),
            # A virtual machine's clock may be behind.
            not_before=now - timedelta(days=1),
            not_after=now - timedelta(days=1) + _LIFETIME,
        )
        leaf.configure_cert(self.context)

    @cached_property
    def directory(self) -> Path:
        """Create a directory, mode 0700, that is deleted with this object."""
        path = tempfile.mkdtemp(prefix="auth0-meta-")
        weakref.finalize(self, shutil.rmtree, path, ignore_errors=True)
        return Path(path)

    @cached_property
    def ca_file(self) -> Path:
        """Return a file with the authority's certificate alone, for tools that add it to their own (`NODE_EXTRA_CA_CERTS`)."""
        if self._kept is not None:
            return self._kept
        path = self.directory / "ca.pem"
        path.write_bytes(self._ca_pem)
        return path

    @property
    def bundle_file(self) -> Path:
        """Return a file that has the authorities trusted so far too, for tools that trust only this file (`SSL_CERT_FILE`)."""
        return Path(self.files()["SSL_CERT_FILE"])

    def files(self) -> dict[str, str]:
        """Return the file for each variable that names certificate authorities."""
        return certificate_files(self.ca_file, self.directory)
