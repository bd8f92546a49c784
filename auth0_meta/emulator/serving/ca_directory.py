"""Keep a certificate authority in a directory, so that browsers and machines have to trust it only once."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from auth0_meta.errors import ConfigError
from auth0_meta.files.paths import check_owner, read_file, refusal, replacing, status_of

if TYPE_CHECKING:
    import trustme

# The key and the certificate in one file, which is made at once, or two processes could leave halves of two authorities.
_PRIVATE, _PUBLIC = "authority.pem", "ca.pem"
_MOST = 65_536


def kept_authority(directory: str | os.PathLike[str]) -> tuple[trustme.CA, Path]:
    """Return the authority that a directory keeps, and the file with its certificate; make both if they don't exist.

    Raises `ConfigError` if the directory or the key in it could be somebody else's, or if the authority can't be used.
    """
    if not os.fspath(
        directory
    ):  # as of a variable that isn't set; the key would be written to the working directory
        raise ConfigError("the directory for the certificate authority has no name")
    folder = Path(directory)
    try:
        _check_directory(folder)
        if status_of(folder / _PRIVATE, follow=False) is None:
            _create(folder / _PRIVATE)
        authority = _load(folder / _PRIVATE)
        certificate = authority.cert_pem.bytes()
        public = folder / _PUBLIC
        if status_of(public) is None or read_file(public, most=_MOST) != certificate:
            with replacing(public) as file:
                file.write(certificate.decode("ascii"))
    except OSError as error:
        raise ConfigError(f"{folder} can't keep a certificate authority: {error.strerror or error}") from None
    return authority, public


def _check_directory(folder: Path) -> None:
    """Make the directory if it doesn't exist; refuse one that others can change, or a link that others made to it."""
    link = status_of(folder, follow=False)
    if link is None:
        folder.mkdir(mode=0o700, parents=True)
    elif stat.S_ISLNK(link.st_mode):
        check_owner(link, 0, what="the symbolic link")
    status = os.stat(folder)
    if not stat.S_ISDIR(status.st_mode):
        raise refusal("it is not a directory")
    check_owner(status)
    if os.name == "posix" and status.st_mode & 0o022:
        raise refusal("others may write to it: chmod 700 it")


def _create(path: Path) -> None:
    import trustme  # noqa: PLC0415  # tenants without TLS don't need it

    made = trustme.CA(organization_name="auth0-meta local tenants, not for production")
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".auth0-meta-")  # mode 0600
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(made.private_key_pem.bytes() + made.cert_pem.bytes())
        with contextlib.suppress(FileExistsError):  # another process was faster: its authority is used
            os.link(name, path)
    finally:
        os.unlink(name)


def _load(path: Path) -> trustme.CA:
    import trustme  # noqa: PLC0415
    from cryptography import x509  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415

    try:
        data = read_file(path, most=_MOST, private=True)
        if os.name == "posix" and os.stat(path).st_mode & 0o077:
            raise refusal("others may read the key in it: delete it, and distrust its certificate")
    except OSError as error:
        raise ConfigError(f"{path} can't be used: {error.strerror or error}") from None
    try:
        certificate = x509.load_pem_x509_certificate(data)
        signs = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        fits = load_pem_private_key(data, None).public_key() == certificate.public_key()
    except (ValueError, TypeError, x509.ExtensionNotFound):
        signs = fits = False
    if not (signs and fits):
        raise ConfigError(f"{path} is not a certificate authority with its key: delete it to get a new one")
    end = certificate.not_valid_after_utc
    if end <= datetime.now(UTC):
        msg = (
            f"the certificate authority in {path} expired on {end:%Y-%m-%d}: delete it, and trust the new one"
        )
        raise ConfigError(msg)
    return trustme.CA.from_pem(data, data)
