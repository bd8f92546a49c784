"""A transaction's commit: what to send for a staged change, and when sending it would be wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from auth0_meta.changes import rules
from auth0_meta.changes.change import Applied, Change
from auth0_meta.changes.jsonvalue import Bag, Path, json_equal
from auth0_meta.checks.sizes import profile_size
from auth0_meta.errors import Auth0MetaError, ConflictError, MetadataError, OutcomeUnknown
from auth0_meta.http.budget import WaitBudget
from auth0_meta.http.channel import Channel
from auth0_meta.http.request import Target
from auth0_meta.models import Outcome
from auth0_meta.transactions.options import TransactionOptions
from auth0_meta.transactions.readback import LostPatch
from auth0_meta.transactions.write import Write
from auth0_meta.warn import notice

Reads = Mapping[tuple[Bag, Path], Any]
"""What a block has read: (bag, path) -> what was stored there."""

# Long enough for a pause between two requests and for one token of a slow bucket, too short for a person to edit.
_FRESH_FOR = 1.0


class Commit:
    """Send one change as a transaction promises to; this is the intent of a `Write`.

    `base` is a profile that the caller vouches for, so that nothing needs to be read, or None.  `reads` is what the block
    has read.
    """

    def __init__(
        self,
        channel: Channel,
        target: Target,
        options: TransactionOptions,
        budget: WaitBudget,
        *,
        change: Change,
        base: Mapping[str, Any] | None,
        reads: Reads,
    ) -> None:
        self._target = target
        self._oversize = options.oversize
        self._budget = budget
        self._change = change
        self._reads = reads
        self._base = base
        self._applied: tuple[Mapping[str, Any] | None, Applied] | None = None
        self._warned = self._warned_of_numbers = False
        self._lost: LostPatch | None = None
        self.reads = options.base_check or (base is None and (change.needs_base or bool(reads)))
        self.write = Write(channel, target, self, budget, fresh_for=_FRESH_FOR, lock=options.lock)
        self._nothing_to_do = False

    @property
    def outcome(self) -> Outcome:
        """Return what became of it.  This is right at any instant, because an interrupt may end the commit at any."""
        write = self.write
        if write.answered:
            return "updated"
        if write.ended:
            return "confirmed" if write.lost else "unchanged"
        if self._nothing_to_do:
            return "unchanged"
        return "unknown" if write.in_doubt else "failed"

    def run(self) -> None:
        """Send the change; `outcome` tells what became of it.

        Once a PATCH is in doubt, whatever ends this unfinished is raised as `OutcomeUnknown`: "not found" or "no
        token" would read as if nothing had been written.
        """
        # That nothing changes is taken from a base that is not to be checked, or from this commit's own read (see
        # `document`).  What the block has read, or a base that is to be checked, may be older than somebody else's write,
        # and the staged change is to overwrite that.
        taken_as_stored = self._base is not None and not self.reads
        if not self._change or (taken_as_stored and not self._apply_to(self._base).document):
            self._nothing_to_do = True
            self.write.let_go()
            return
        write = self.write
        try:
            write.run()
        except Exception as error:
            if not write.in_doubt:
                _say_nothing_was_written(error)
                raise
            if isinstance(error, OutcomeUnknown):
                raise
            why = f"{write.doing} failed ({type(error).__name__})"
            raise self._in_doubt(write.document, error).error(why) from error
        finally:
            self._lost = None  # it holds an error, whose frames hold this object

    def _in_doubt(self, document: Mapping[str, Any], cause: BaseException) -> LostPatch:
        """Return the PATCH in doubt: the last one whose response was lost, or else one that an interrupt has ended."""
        return self._lost or LostPatch(self._target, self._change, document, self._base, cause)

    # The intent ---------------------------------------------------------------------------------------

    def document(self, found: Mapping[str, Any] | None, *, time_left: bool) -> Mapping[str, Any]:
        """Return the PATCH document for what is stored; raise if something that was read has changed."""
        if found is not None:
            if self._is_applied(found, time_left=time_left):
                return {}
            self._base = found
        document, after = self._apply_to(self._base)
        if document:
            self._check_profile(after)
            self._warn_of_numbers(after)
        return document

    def _apply_to(self, base: Mapping[str, Any] | None) -> Applied:
        """Apply the change to a profile, once: for a given base the result is needed twice."""
        if self._applied is None or self._applied[0] is not base:
            self._applied = base, self._change.applied_to(base)
        return self._applied[1]

    def lost(self, document: Mapping[str, Any], cause: BaseException) -> None:
        """Note that a PATCH has left and may or may not have been applied."""
        self._lost = LostPatch(self._target, self._change, document, self._base, cause)

    def _is_applied(self, found: Mapping[str, Any], *, time_left: bool) -> bool:
        """Return whether the PATCH in doubt is found applied; raise if the change must not be sent (again).

        A change that counts up, appends, or rests on reads is computed again only to the same document: the one in
        doubt may yet be applied, and then both together have the effect of one.
        """
        differing, lost = self._differing(found), self._lost
        if lost is None:
            if differing:
                raise self._conflict(differing)
            return False
        if lost.applied(found):
            return True
        repeatable = (self._change.repeatable and not self._reads) or lost.as_before(found)
        if differing or not repeatable:
            why = "what is stored now is neither what was sent nor what the change was computed on"
            raise lost.error(why, found=found) from lost.cause
        if not time_left:
            why = f"it was not there when read back, and {self._budget.bound} leaves no time to send it again"
            raise lost.error(why, found=found) from lost.cause
        return False

    def _conflict(self, differing: tuple[tuple[Bag, Path], ...]) -> ConflictError:
        where = ", ".join(".".join((bag, *path)) for bag, path in differing)
        msg = (
            f"{self._target.id} has changed since this transaction read it: {where}. Nothing was written. "
            "Run the work again on fresh data (client.run_transaction does)"
        )
        return ConflictError(msg, user_id=self._target.id, paths=differing)

    def _differing(self, profile: Mapping[str, Any]) -> tuple[tuple[Bag, Path], ...]:
        """Return where `profile` differs from what the block has read."""
        return tuple(
            (bag, path)
            for (bag, path), seen in self._reads.items()
            if not json_equal(seen, rules.read({} if profile.get(bag) is None else profile[bag], path))
        )

    def _warn_of_numbers(self, after: Mapping[str, Any]) -> None:
        """Warn once of a stored number that an increment takes too far."""
        if not self._warned_of_numbers and (found := self._change.outgrown(after)) is not None:
            self._warned_of_numbers = True
            bag, increment, reason = found
            notice(f"{bag} of {self._target.id}: {reason}", at=increment.staged_at)

    def _check_profile(self, after: Mapping[str, Any]) -> None:
        """Warn once of a profile past 10 KB, or refuse it; if it is unknown, only what is staged counts."""
        if self._oversize == "off" or self._warned:
            return
        then, most = profile_size(after), self._target.kind.most_stored
        if then <= most:
            return
        size = f"{then} B{' or more' if self._base is None else ''}"
        msg = (
            f"the profile of {self._target.id} would take {size}, past Auth0's limit of {most} B: "
            "keep large data elsewhere and a pointer in app_metadata"
        )
        # A change that makes it smaller is welcome.
        if self._oversize == "error" and then >= profile_size(self._base or {}):
            raise MetadataError(f"{msg}. Nothing was written")
        self._warned = True
        notice(msg)


def _say_nothing_was_written(error: Exception) -> None:
    """Add this to an error that does not say so, such as that of a read: here something was to be written."""
    text = str(error)
    if isinstance(error, Auth0MetaError) and "othing was " not in text:
        error.args = (f"{text.removesuffix('.')}. Nothing was written", *error.args[1:])
