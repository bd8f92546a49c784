"""What the job file of an offload says of its rule and its store, and the store that a run uses."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from auth0_meta.errors import ConfigError, ExternalMissingError, InputError
from auth0_meta.external import ExternalStore, SqliteStore, SqlStore, open_store
from auth0_meta.migrate.ledger.ledger import Ledger
from auth0_meta.migrate.ledger.records import State
from auth0_meta.migrate.ledger.sqlite import damaged
from auth0_meta.migrate.offloading.evaluator import OffloadEvaluator
from auth0_meta.migrate.offloading.keeper import Keeper
from auth0_meta.migrate.offloading.paths import dotted
from auth0_meta.migrate.offloading.rule import Rule

KIND = "offload"
"""What the facts of a job file call this kind of migration."""
VARIABLE = "AUTH0_META_STORE"
"""The environment variable with the URL of the store, which may have a password."""
_SAMPLE = 20
"""Users who are looked up in the store before a run goes on."""


@attrs.frozen
class OffloadJob:
    """What a run of an offload works with: the rule for users who have changed since, and the keeper of the values."""

    evaluator: OffloadEvaluator
    keeper: Keeper


def facts_of(rule: Rule, url: str | None) -> dict[str, Any]:
    """Return what a job file keeps of an offload; `url`: where the store is, None if only a program knows."""
    name = f"offload of {', '.join(map(dotted, rule.paths))}"
    return {"kind": KIND, "migration": name, KIND: {**rule.to_json(), "url": url}}


def store_in(facts: Mapping[str, Any]) -> str | None:
    """Return where the facts of a job say that values are moved to, None if it moves none."""
    if facts.get("kind") != KIND:
        return None
    found: Any = facts[KIND]
    return str(found["store"] if found["url"] is None else found["url"])


@contextlib.contextmanager
def opened(store: ExternalStore | str, /) -> Iterator[ExternalStore]:
    """Open the store of a URL for the block; a store that is open already stays open."""
    if not isinstance(store, str):
        if not callable(getattr(store, "put", None)) or not isinstance(getattr(store, "name", None), str):
            raise InputError(
                f"store must be a URL or an external store, not {type(store).__name__} (nothing was sent)"
            )
        yield store
        return
    with open_store(store) as one:
        yield one


def url_of(store: ExternalStore) -> str | None:
    """Return where a store is, None if only a program knows."""
    return store.url if isinstance(store, SqliteStore | SqlStore) else None


@contextlib.contextmanager
def working(ledger: Ledger, store: ExternalStore | str | None) -> Iterator[OffloadJob | None]:
    """Yield what a run of this job needs to move values, None if it is not an offload.

    `store`: where to, None for what AUTH0_META_STORE or the job file says.  Nothing was sent if this raises.
    """
    if ledger.facts.get("kind") != KIND:
        if KIND in ledger.facts:  # as another kind of job it would send the pointers and store nothing
            raise damaged(ledger.path)
        if store is not None:
            raise InputError(f"{ledger.path} is not an offload: leave the store out (nothing was sent)")
        yield None
        return
    try:
        facts = ledger.facts[KIND]
        rule, url = Rule.from_json(facts), facts["url"]
        if not isinstance(url, str | None):
            raise TypeError
    except (InputError, ValueError, TypeError, LookupError, AttributeError):
        raise damaged(ledger.path) from None
    chosen = store or os.environ.get(VARIABLE) or url
    if chosen is None:
        what = f"{ledger.path} was planned with a store of a program"
        raise InputError(f"{what}: pass that one as store= (nothing was sent)")
    with opened(chosen) as one:
        if one.name != rule.store:
            what = (
                f"{ledger.path} moves values to the store {rule.store!r}, and this is the store {one.name!r}"
            )
            raise ConfigError(f"{what}. Nothing was sent: name the right one (--store, store=, {VARIABLE})")
        _check_earlier(ledger, rule, one)
        yield OffloadJob(OffloadEvaluator(rule), Keeper(rule, one))


def _check_earlier(ledger: Ledger, rule: Rule, store: ExternalStore) -> None:
    """Refuse a store that lacks what an earlier run has moved: it is another one, or an older copy.

    Some users may have been forgotten since, so one value that is there is enough.
    """
    at = ""
    for n in ledger.numbers((State.DONE,))[:_SAMPLE]:
        (user,) = ledger.checked_records(n - 1, 1)
        for move in rule.of(user.user_id, user.plan.before, user.plan.document) or ():
            at = move.pointer["external"]
            with contextlib.suppress(LookupError):
                store.get(at.split("/")[1])
                return
    if at:
        what = f"the store {store.name!r} has nothing of what an earlier run of {ledger.path} has moved"
        cure = "Nothing was sent: is it the right one, or an older copy?"
        raise ExternalMissingError(f"{at}: {what}. {cure}", store=store.name, pointer=at)
