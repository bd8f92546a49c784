"""Plan, review, apply, watch, undo and purge migrations from the shell."""

from auth0_meta.cli.migrate.commands import migrate

__all__ = ["migrate"]
