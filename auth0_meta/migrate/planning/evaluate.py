"""Load a migration's function, and call `migrate(user, tx)` for one profile on a transaction that can't send."""

from __future__ import annotations

import inspect
import os
import sys
import types
import warnings
from collections.abc import Callable, Coroutine, Generator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, Self, cast

from auth0_meta.errors import Auth0MetaError, InputError, MetadataWarning, StateError
from auth0_meta.http.budget import WaitBudget
from auth0_meta.http.channel import Channel
from auth0_meta.migrate.planning.failure_text import describe, where
from auth0_meta.migrate.planning.outcome import Outcome, outcome_of
from auth0_meta.migrate.planning.watched_user import Fields, Reads, WatchedUser
from auth0_meta.models import CommitResult, User
from auth0_meta.transactions.transaction import MetadataTransaction
from auth0_meta.transactions.unit import State, Unit
from auth0_meta.warn import Place

Function = Callable[[User, MetadataTransaction], object]
Profile = Mapping[str, Any]
TOO_DEEP = "the profile is nested too deeply to work with"
_MODULE = "auth0_meta_migration"
_ANYWHERE = Place("", 0, {})
_ONLY_STAGES = "migrate(user, tx) only stages; apply sends later: leave out tx.commit() and with tx"


class _NoTenant(Channel):
    """The client, and the channel, of a transaction that only stages: it has nothing to send through."""

    def __init__(self) -> None:
        """Make nothing that could send."""

    def budget(self, *_: Any, **__: Any) -> WaitBudget:
        return WaitBudget(max_wait=0.0)

    @property
    def _channel(self) -> Channel:
        return self


class _StagingTransaction(MetadataTransaction):
    """A transaction that refuses to commit, even if nothing is staged yet."""

    _ends_with_a_call = False

    def _open(self, unit: Unit) -> None:
        super()._open(unit)
        self._staged_at = _ANYWHERE  # nobody needs to know where, and finding out takes time

    def __enter__(self) -> Self:
        raise StateError(_ONLY_STAGES)

    def commit(self) -> CommitResult:
        raise StateError(_ONLY_STAGES)


def _about_returned(value: object) -> str:
    """Return the error for a function that returned something, and close what would complain that nobody awaited it."""
    if isinstance(value, Coroutine | Generator):
        value.close()
    return (
        f"migrate() must return None, and it returned {type(value).__name__}: only what it stages on tx is planned, "
        "such as tx.app_metadata.set(...)"
    )


def load(path: str | os.PathLike[str], digest: str | None = None) -> tuple[Function, str]:
    """Run a migration file and return its `migrate`, and the SHA-256 of the bytes that ran.

    The file can import the modules beside it, as under `python FILE`.  Raises `InputError` if it has
    no plain function of two arguments, and before it is run if its SHA-256 is not `digest`; what the file itself raises
    passes through.
    """
    file = Path(path).resolve()
    source = file.read_bytes()
    found = sha256(source).hexdigest()
    if digest not in (None, found):
        raise InputError("it is not the file that was planned with: plan again, or leave it out")
    module = types.ModuleType(_MODULE)
    module.__file__ = str(file)
    sys.modules[_MODULE] = module  # dataclasses look their module up here
    sys.path.insert(0, str(file.parent))
    exec(compile(source, str(file), "exec"), module.__dict__)  # noqa: S102  # the file that the caller named
    return check(getattr(module, "migrate", None), str(path)), found


def check(function: object, where: str) -> Function:
    """Return the function if it can be called as `migrate(user, tx)`, else raise `InputError`."""
    if not callable(function):
        raise InputError(f"{where} has no function migrate(user, tx)")
    kinds = (inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction)
    if any(kind(function) for kind in kinds):
        what = "migrate(user, tx) must be a plain function, neither async nor a generator"
        raise InputError(f"{where}: {what}")
    try:
        inspect.signature(function).bind(None, None)
    except TypeError:
        what = "migrate must take two arguments, the user and the transaction"
        raise InputError(f"{where}: {what}") from None
    return cast("Function", function)


def evaluate(
    function: Function,
    profile: Profile,
    *,
    fields: Fields = None,
    file: str = "",
    ops: bool = False,
    **known: Any,
) -> dict[str, Any]:
    """Return what the function's changes come to for a profile, as JSON: an `Outcome`, or {"error"}.

    `ops`: add the operations that it stages.  `known`: see `outcome_of`.  Errors hold no value: if an exception is not
    this package's, `describe` keeps only the parts that can't be values.
    """
    reads = Reads()
    try:
        tx = _StagingTransaction(_NoTenant(), profile["user_id"], base=profile, join=False, oversize="off")
        user = WatchedUser(profile, reads, fields=fields)
    except Auth0MetaError as error:
        return {"error": str(error)}
    except RecursionError:
        return {"error": TOO_DEEP}
    with warnings.catch_warnings(record=True) as advice:
        warnings.simplefilter("always")
        try:
            returned = function(user, tx)
            if returned is not None:
                return {"error": _about_returned(returned)}
            if tx._unit.state is not State.ACTIVE:
                return {"error": "migrate() ended its transaction: leave out commit() and rollback()"}
            change = tx._unit.change
        except Auth0MetaError as error:
            return {"error": f"{error} ({where(error, file)})"}
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001  # SystemExit too: that user failed, the others go on
            return {"error": describe(error, file)}
    for bag, path in tx._unit.reads:
        reads.note((bag, *path))
    warned = [_advice(item) for item in advice if issubclass(item.category, UserWarning)]
    staged = change.to_json()
    try:
        outcome = outcome_of(change, profile, ops=staged, reads=reads.behind(change), advice=warned, **known)
    except Auth0MetaError as error:
        return {"error": str(error), "advice": warned}
    except RecursionError:
        return {"error": TOO_DEEP, "advice": warned}
    answer: dict[str, Any] = dict(zip(Outcome._fields, outcome, strict=True))
    return answer | {"ops": staged} if ops else answer


def _advice(warning: warnings.WarningMessage) -> str:
    """Return what a warning says if it is one of this package's; any other may quote metadata."""
    if issubclass(warning.category, MetadataWarning):
        return str(warning.message)
    return f"{warning.category.__name__} ({Path(warning.filename).name} line {warning.lineno})"
