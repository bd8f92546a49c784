"""The files that make other programs trust a tenant's certificate, besides the authorities that they trust already."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from auth0_meta.files.paths import read_file, replacing, status_of

# For each variable, where the program that reads it looks for authorities: the first of these that is set.  Node
# trusts the public ones whatever its variable names.
_LOOKED_UP = {
    "SSL_CERT_FILE": ("SSL_CERT_FILE", "SSL_CERT_DIR"),
    "REQUESTS_CA_BUNDLE": ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
    "CURL_CA_BUNDLE": ("CURL_CA_BUNDLE", "SSL_CERT_DIR", "SSL_CERT_FILE"),
    "NODE_EXTRA_CA_CERTS": ("NODE_EXTRA_CA_CERTS",),
}
VARIABLES = tuple(_LOOKED_UP)
"""The variables in which programs look for certificate authorities."""
# Only certificates: such a file may hold a key as well.
_CERTIFICATE = re.compile(
    rb"-----BEGIN ((?:X509 |TRUSTED )?CERTIFICATE)-----\s[A-Za-z0-9+/=\s]+-----END \1-----"
)
_MOST = 16 * 1024 * 1024
_MOST_FILES = 2000


def certificate_files(
    ca_file: Path, directory: Path, environment: Mapping[str, str] = os.environ
) -> dict[str, str]:
    """Return, for each variable that names certificate authorities, the file that it should name.

    A file has the authorities that `environment` names for that variable, else the public ones, and the one in
    `ca_file`.  New files are written to `directory`, which must be private.
    """
    own = _in(ca_file.read_bytes())
    files = {}
    for variable, names in _LOOKED_UP.items():
        trusted = next((found for name in names if (found := _certificates(environment.get(name)))), None)
        node = variable == "NODE_EXTRA_CA_CERTS"
        if trusted is None:
            trusted = [] if node else _public()
        certificates = list(dict.fromkeys(trusted + own))
        files[variable] = str(ca_file if node and certificates == own else _written(certificates, directory))
    return files


def _certificates(path: str | None) -> list[bytes]:
    """Return the certificates in a file or in the files of a directory; none if it can't be read, as after the end of a run."""
    if not path:
        return []
    found: list[bytes] = []
    for file in _files(path):
        try:
            found += _in(read_file(file, most=_MOST))
        except OSError:
            continue
        if sum(map(len, found)) > _MOST:
            break
    return found


def _files(path: str) -> Iterable[str]:
    # SSL_CERT_DIR may be several directories, and REQUESTS_CA_BUNDLE may be one.
    for part in [path] if os.path.exists(path) else path.split(os.pathsep):
        try:
            with os.scandir(part) as entries:
                yield from sorted(entry.path for entry, _ in zip(entries, range(_MOST_FILES), strict=False))
        except OSError:
            yield part


def _public() -> list[bytes]:
    import certifi  # noqa: PLC0415  # tenants without TLS don't need it

    return _in(Path(certifi.where()).read_bytes())


def _in(data: bytes) -> list[bytes]:
    return [match[0].replace(b"\r\n", b"\n") for match in _CERTIFICATE.finditer(data)]


def _written(certificates: list[bytes], directory: Path) -> Path:
    """Write a file whose name depends on its content, unless it is there already."""
    data = b"\n".join(certificates) + b"\n"
    path = directory / f"bundle-{hashlib.sha256(data).hexdigest()[:16]}.pem"
    if status_of(path) is None:
        with replacing(path) as file:
            file.write(data.decode("ascii"))
    return path
