"""Find oversized profiles and what else in user metadata will cause trouble, from the shell."""

from auth0_meta.cli.audit.command import audit

__all__ = ["audit"]
