"""The passwords of users, hashed and in memory."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading

_ROUNDS = 1000  # these are passwords of tests: few rounds are fast, and none is in memory as typed


class Passwords:
    """The password of each user; a user without one can't sign in with any.

    >>> passwords = Passwords()
    >>> passwords.put("auth0|1", "correct horse")
    >>> passwords.fits("auth0|1", "correct horse"), passwords.fits("auth0|1", ""), passwords.fits("auth0|2", "x")
    (True, False, False)
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[str, tuple[bytes, bytes]] = {}

    def put(self, user_id: str, password: str) -> None:
        """Set a user's password."""
        salt = secrets.token_bytes(16)
        with self._lock:
            self._kept[user_id] = salt, _hash(password, salt)

    def fits(self, user_id: str, password: str) -> bool:
        """Return whether this is the user's password."""
        salt, known = self._kept.get(user_id, (b"", b""))
        return hmac.compare_digest(_hash(password, salt), known)

    def forget(self, user_id: str) -> None:
        """Forget the password of a deleted user."""
        with self._lock:
            self._kept.pop(user_id, None)

    def clear(self) -> None:
        """Forget every password."""
        with self._lock:
            self._kept.clear()


def _hash(password: str, salt: bytes) -> bytes:
    return hashlib.pbkdf2_hmac("sha256", password.encode("utf-8", "replace"), salt, _ROUNDS)
