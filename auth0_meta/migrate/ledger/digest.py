"""Digests that show whether a plan is as it was made: one for each thousand users, and one over all of these; PURE."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256

BLOCK = 1000
"""Users per digest: a run verifies the blocks that it works on and need not read the whole file."""
_SEAL = 16

Stored = str | bytes | None


def block_of(n: int) -> int:
    """Return the block that a user's number is in; numbers begin at 1.

    >>> block_of(1), block_of(1000), block_of(1001)
    (0, 0, 1)
    """
    return (n - 1) // BLOCK


def digest(rows: Iterable[tuple[int, str, Stored]]) -> str:
    """Return the SHA-256 over the (n, user id, packed plan) of a block's users, in their order."""
    total = sha256()
    for n, user_id, plan in rows:
        total.update(f"{n}:{len(user_id)}:{user_id}".encode("utf-8", "surrogatepass"))
        total.update(_bytes(plan))
    return total.hexdigest()


def digest_of_all(blocks: Iterable[tuple[int, int, str]]) -> str:
    """Return the digest of a whole plan, from (block, users in it, digest) in their order."""
    total = sha256()
    for block, users, one in blocks:
        total.update(f"{block}:{users}:{one}\n".encode())
    return total.hexdigest()


def seal(user_id: str, again: Stored) -> str:
    """Return a short digest that ties a plan made again during a run to its user and its content."""
    return sha256(f"{user_id}\n".encode("utf-8", "surrogatepass") + _bytes(again)).hexdigest()[:_SEAL]


def _bytes(stored: Stored) -> bytes:
    data = stored.encode("utf-8", "surrogatepass") if isinstance(stored, str) else stored or b""
    return b"%d:%b" % (len(data), data)
