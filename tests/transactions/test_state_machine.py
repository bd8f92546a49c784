"""Random transactions on a local tenant; a model on plain dicts judges every commit request by request."""

from __future__ import annotations

import contextlib
import copy
import json
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import requests
from hypothesis import Phase, event, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from requests.adapters import BaseAdapter
from support import json_strategies as own
from support.local_tenant import UID
from urllib3.exceptions import ConnectTimeoutError

from auth0_meta import Auth0MetaError, ConflictError, MetadataTransaction, OutcomeUnknown, PathError, User
from auth0_meta.emulator import LocalTenant
from auth0_meta.testing import FakeClock

# 30 runs in the suite; HYPOTHESIS_PROFILE=long makes it thousands.
RUNS = settings.default.max_examples * 3 // 10
PHASES = (
    Phase.explicit,
    Phase.reuse,
    Phase.generate,
    Phase.shrink,
)  # Hypothesis's explain phase takes minutes here

Prim = tuple[Any, ...]  # ("reset",) or (key, what, path below it, value, keep)
Bags = dict[str, dict[str, Any]]
MISSING: Any = object()


class Clash(Exception):
    """The model found the wrong type."""


# The model: what staging means, on plain dicts -------------------------------------------------------


def prims(call: own.Call) -> list[Prim]:
    """Split a staged call by first-level key."""
    name, args, keywords = call
    if name in ("replace", "clear"):
        document = args[0] if args else {}
        return [("reset",), *((k, "set", (), v, None) for k, v in document.items() if v is not None)]
    if name == "merge":
        return [
            (k, "merge" if isinstance(v, dict) else "delete" if v is None else "set", (), v, None)
            for k, v in args[0].items()
        ]
    path, value = args[0], args[1] if len(args) > 1 else None
    if name == "set" and value is None:
        name = "delete"
    return [(path[0], name, path[1:], value, keywords.get("keep"))]


def after(ops: list[Prim], call: own.Call) -> list[Prim]:
    """Stage a call: a reset discards the bag's operations so far, a whole value those of its key."""
    for op in prims(call):
        if op[0] == "reset":
            ops = []
        elif op[1] in ("set", "delete") and not op[2]:
            ops = [old for old in ops if old[0] != op[0]]
        ops = [*ops, op]
    return ops


def play(bag: dict[str, Any], ops: list[Prim], *, key: str | None = None) -> dict[str, Any]:
    """Return the bag after the operations; with `key`, after those on that key."""
    held = {"": copy.deepcopy(bag)}
    for op in copy.deepcopy(ops):
        if op[0] == "reset":
            held[""] = {}
        elif key is None or op[0] == key:
            _do(held[""], (op[0], *op[2]), *op[1::2][:1], op[3], op[4])
    return held[""]


def _do(node: dict[str, Any], path: tuple[str, ...], what: str, value: Any, keep: Any) -> None:
    for step in path[:-1]:
        if step not in node:
            if what == "delete":
                return
            node[step] = {}
        node = node[step]
        if not isinstance(node, dict):
            if what == "delete":
                return
            raise Clash
    last = path[-1]
    old = node.get(last, MISSING)
    if what == "delete":
        node.pop(last, None)
    elif what == "set":
        node[last] = value
    elif what == "merge":
        node[last] = _rfc7396(old, value)
    elif what == "append":
        if old is not MISSING and not isinstance(old, list):
            raise Clash
        node[last] = [*([] if old is MISSING else old), value][-keep if keep else 0 :]
    else:
        if old is not MISSING and (isinstance(old, bool) or not isinstance(old, int | float)):
            raise Clash
        node[last] = value + (0 if old is MISSING else old)


def _rfc7396(target: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return patch
    target = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            target.pop(key, None)
        else:
            target[key] = _rfc7396(target.get(key), value)
    return target


def fixes(op: Prim, path: tuple[str, ...]) -> bool:
    """Return whether what is at `path` after `op` is the same whatever was there before."""
    if op[0] == "reset":
        return True
    if not path or op[1] in ("append", "increment"):
        return False
    if op[1] == "merge":
        node = {op[0]: op[3]}
        for step in path:
            if step not in node:
                return False
            node = node[step]
            if not isinstance(node, dict):
                return True
        return False
    target = (op[0], *op[2])
    return path[: len(target)] == target


def canon(value: Any) -> Any:
    """Return equal results for values that are equal as JSON, and only for these."""
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return (type(value).__name__, value)
    if isinstance(value, int | float):
        return ("number", value)
    if isinstance(value, list):
        return [canon(item) for item in value]
    if value is MISSING:
        return "missing"
    return {key: canon(item) for key, item in value.items()}


def at(value: Any, path: tuple[str, ...]) -> Any:
    """Return what is at a path, or MISSING."""
    for step in path:
        if not isinstance(value, dict) or step not in value:
            return MISSING
        value = value[step]
    return value


def merged(bag: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    """Write as Auth0 does: merge the first level, null deletes, {} clears."""
    if not change:
        return {}
    return {key: value for key, value in (bag | copy.deepcopy(change)).items() if value is not None}


class Staged:
    """What is staged, as the promises describe it."""

    def __init__(self) -> None:
        self.ops: dict[str, list[Prim]] = {bag: [] for bag in own.BAGS}

    def copy(self) -> Staged:
        """Return a savepoint."""
        new = Staged()
        new.ops = {bag: list(ops) for bag, ops in self.ops.items()}
        return new

    def reset(self, bag: str) -> bool:
        """Return whether the bag was cleared or replaced."""
        return ("reset",) in self.ops[bag]

    def touched(self, bag: str) -> list[str]:
        """Return the first-level keys that are staged."""
        ops = self.ops[bag]
        if self.reset(bag):
            return list(play({}, ops))
        return list(dict.fromkeys(op[0] for op in ops))

    def needs_base(self, bag: str) -> bool:
        """Return whether what to send depends on what is stored."""
        if self.reset(bag):
            return bool(self.touched(bag))
        return any(
            not any(op[1] in ("set", "delete") and not op[2] for op in self.ops[bag] if op[0] == key)
            for key in self.touched(bag)
        )

    @property
    def unsafe(self) -> bool:
        """Return whether an append or increment depends on what is stored."""
        return any(
            op[1] in ("append", "increment")
            and not any(whole[1] in ("set", "delete") and not whole[2] for whole in ops if whole[0] == op[0])
            for bag, ops in self.ops.items()
            if not self.reset(bag)
            for op in ops
        )

    def document(self, profile: Bags | None) -> dict[str, Any]:
        """Return the PATCH body that the promises require."""
        body = {}
        for bag, ops in self.ops.items():
            base = {} if profile is None else profile[bag]
            result = play(base, ops)
            keys = [*self.touched(bag), *(base if self.reset(bag) else ())]
            part = {
                k: result.get(k)
                for k in keys
                if profile is None or canon(at(result, (k,))) != canon(at(base, (k,)))
            }
            if self.reset(bag) and not result and (base or profile is None):
                part = {}
                body[bag] = part
            elif part:
                body[bag] = part
        return body


# The wire: every request, what happened to it, and a second writer before it -------------------------


class Plan(NamedTuple):
    """What happens to one request."""

    fault: str
    writes: Bags | None


class Step(NamedTuple):
    """One request and its fate: "ok", "refused" (never applied, and the client knows), or "lost"."""

    method: str
    body: Any
    fate: str
    found: Bags
    sent: float
    answered: float
    locked: bool


REFUSED: dict[str, dict[str, Any]] = {
    "429 now": {"status": 429, "reset": 0},
    "429 soon": {"status": 429, "headers": {"x-ratelimit-reset": None}},
    "429 long": {"status": 429, "reset": 20},
}
LOST: dict[str, dict[str, Any]] = {
    "drop": {"drop": "before_commit"},
    "commit, drop": {"drop": "after_commit"},
    "503": {"status": 503},
    "commit, 500": {"status": 500, "commit": True},
}
# The response is lost, and the PATCH is applied before the nth later request, or at the very end.
LATE: dict[str, int] = {"late 1": 1, "late 2": 2, "late 3": 3, "late": 99}
LOST |= dict.fromkeys(LATE, LOST["drop"])
HTML: dict[str, dict[str, Any]] = {
    "HTML": {"status": 200, "body": "<html>"},
    "commit, HTML": {"status": 200, "body": "<html>", "commit": True},
}
FAULTS = ("none", "none", "none", "unreached", *REFUSED, *LOST, *HTML)


class Wire(BaseAdapter):
    """An adapter between client and tenant that carries out the plans and records every step."""

    def __init__(self, tenant: LocalTenant, clock: FakeClock) -> None:
        super().__init__()
        self.tenant, self.clock, self.inner = tenant, clock, tenant.adapter()
        self.plans: list[Plan] = []
        self.steps: list[Step] = []
        self.held: Bags = {"user_metadata": {}, "app_metadata": {}}
        self.late: list[tuple[int, Bags]] = []
        self.locked = False

    def write(self, change: Bags) -> None:
        """Write as somebody else."""
        self.tenant.users[UID].patch(**{bag: part for bag, part in change.items() if part})
        for bag, part in change.items():
            if part:
                self.held[bag] = merged(self.held[bag], part)

    def apply_late(self, *, all_of_it: bool = False) -> None:
        """Apply the lost PATCHes that are due."""
        due = [body for count, body in self.late if all_of_it or count == 1]
        self.late = [] if all_of_it else [(count - 1, body) for count, body in self.late if count > 1]
        for body in due:
            self.tenant.users[UID].patch(**body)
            for bag, part in body.items():
                self.held[bag] = merged(self.held[bag], part)

    def send(self, request: requests.PreparedRequest, **settings: Any) -> Any:  # type: ignore[override]
        """Carry out the plan for one request."""
        self.apply_late()
        plan = self.plans.pop(0) if self.plans else Plan("none", None)
        if plan.writes is not None:
            self.write(plan.writes)
        method, sent = request.method or "", self.clock.time()
        fault = plan.fault if method == "PATCH" or plan.fault not in HTML else "none"
        details = {**REFUSED, **LOST, **HTML}.get(fault)
        planned = self.tenant.fail(method=method, **details) if details else None
        body = json.loads(request.body) if request.body else None
        fate = "ok" if fault == "none" else "lost" if fault in LOST or fault in HTML else "refused"
        if method == "PATCH" and (fate == "ok" or fault.startswith("commit")):
            for bag, part in body.items():
                self.held[bag] = merged(self.held[bag], part)
        if method == "PATCH" and fault in LATE:
            self.late.append((LATE[fault], body))
        try:
            if fault == "unreached":
                raise requests.ConnectTimeout(ConnectTimeoutError("nobody there"), request=request)
            return self.inner.send(request, **settings)
        finally:
            assert planned is None or planned.fired == 1
            found = copy.deepcopy(self.held)
            self.steps.append(Step(method, body, fate, found, sent, self.clock.time(), self.locked))

    def close(self) -> None:
        """Do nothing: there is nothing to close."""


# Keys that keep their types, so that increments, appends and equal values often meet another writer's.
flags = st.sampled_from([True, 1, 1.0, False, 0])
counted = st.fixed_dictionaries(
    {}, optional={"n": st.integers(0, 3), "log": st.lists(st.integers(0, 3), max_size=2), "flag": flags}
)
parts = st.just({}) | counted | st.builds(lambda some, more: some | more, own.json_objects, counted)
profile_parts = st.fixed_dictionaries(dict.fromkeys(own.BAGS, parts))
writes = st.none() | st.none() | profile_parts
any_fault = st.builds(Plan, st.sampled_from(FAULTS), writes)
answered, lost = st.just(Plan("none", None)), st.builds(Plan, st.sampled_from([*LOST, *HTML]), st.none())
late, waits = st.builds(Plan, st.sampled_from([*LATE]), st.none()), st.just(Plan("429 long", None))
met = st.builds(Plan, st.just("none"), st.fixed_dictionaries(dict.fromkeys(own.BAGS, counted)))
plans = (
    st.lists(any_fault, max_size=7)
    | st.tuples(answered, lost, met, any_fault, any_fault).map(list)
    | st.tuples(met, any_fault, met, any_fault).map(list)
    | st.tuples(answered, late, answered, waits, any_fault, any_fault, any_fault).map(list)
)
simple: st.SearchStrategy[own.Call] = st.sampled_from(
    [
        ("increment", (("n",), 1), {}),
        ("increment", (("n",), 2), {}),
        ("append", (("log",), 1), {"keep": 2}),
        ("delete", (("n",),), {}),
        ("clear", (), {}),
    ]
) | st.tuples(st.just("set"), st.tuples(st.just(("flag",)), flags), st.just({}))


bases = st.sampled_from(["none", "none", "base", "check"])
bags = st.sampled_from(own.BAGS)
some_calls = st.lists(own.calls, min_size=1, max_size=3) | st.lists(simple, min_size=1, max_size=2)


class Transactions(RuleBasedStateMachine):
    """Open, stage, read, nest and end transactions, while others write and responses get lost."""

    @initialize(bags=profile_parts)
    def start(self, bags: Bags) -> None:
        """Create a tenant with one user, and a client that has reached it once."""
        self.clock = FakeClock()
        self.tenant = LocalTenant(serve=False, clock=self.clock)
        self.tenant.users.add(user_id=UID)
        self.wire = Wire(self.tenant, self.clock)
        self.client = self.tenant.client(token="a.b.c", adapter=self.wire, max_wait=None, failure_wait=None)
        self.wire.write(bags)
        self.client.users.get(UID)
        self.old: list[Bags] = [copy.deepcopy(self.wire.held)]
        self.open: list[tuple[MetadataTransaction, Staged]] = []

    @precondition(lambda self: not self.open)
    @rule(data=st.data(), base=bases, lock=st.booleans(), bag=bags, calls=some_calls)
    def begin(self, data: st.DataObject, base: str, bag: str, calls: list[own.Call], *, lock: bool) -> None:
        """Open a transaction, without a base or with one that may be old, and stage something."""
        given: dict[str, Any] = {}
        self.known: Bags | None = None
        self.given, self.check = base != "none", base == "check"
        if self.given:
            self.known = copy.deepcopy(data.draw(st.sampled_from(self.old)))
            profile = {"user_id": UID, **copy.deepcopy(self.known)}
            given = {"base": data.draw(st.sampled_from([dict, User]))(profile), "base_check": self.check}
        if lock:
            given["lock"] = self._lock
        self.lock = lock
        self.wire.steps, self.began, self.staged = [], self.clock.time(), Staged()
        self.reads: dict[tuple[str, tuple[str, ...]], Any] = {}
        tx = self.client.transaction(UID, oversize="off", **given)
        assert tx.__enter__() is tx
        self.open.append((tx, Staged()))
        self.stage(bag=bag, calls=calls)

    @contextlib.contextmanager
    def _lock(self) -> Iterator[None]:
        assert not self.wire.locked
        self.wire.locked = True
        try:
            yield
        finally:
            self.wire.locked = False

    @precondition(lambda self: 0 < len(self.open) < 4)
    @rule(joined=st.booleans())
    def open_part(self, *, joined: bool) -> None:
        """Open a savepoint, or a helper's transaction that joins."""
        outer = self.open[-1][0]
        part = self.client.transaction(UID) if joined else outer.nested()
        part.__enter__()
        self.open.append((part, self.staged.copy()))

    @precondition(lambda self: self.open)
    @rule(bag=bags, calls=some_calls)
    def stage(self, bag: str, calls: list[own.Call]) -> None:
        """Stage calls; those that meet the wrong type must raise, and no others may."""
        for call in calls:
            name, arguments, keywords = call
            ops = after(self.staged.ops[bag], call)
            keys = {op[0] for op in prims(call)} - {"reset"}
            clashes = _clashes({}, ops) or (
                self.known is not None and any(_clashes(self.known[bag], ops, key=key) for key in keys)
            )
            view = getattr(self.open[-1][0], bag)
            before = len(self.wire.steps)
            try:
                getattr(view, name)(*copy.deepcopy(arguments), **keywords)
            except PathError:
                assert clashes
            else:
                assert not clashes
                self.staged.ops[bag] = ops
            assert len(self.wire.steps) == before, "staging sent a request"

    @precondition(lambda self: self.open)
    @rule(bag=bags, path=st.just(()) | own.paths, faults=plans)
    def read(self, bag: str, path: tuple[str, ...], faults: list[Plan]) -> None:
        """Read a path or a whole bag: the value comes from staging, or from the base, which is read once."""
        ops, before = self.staged.ops[bag], len(self.wire.steps)
        fixed = any(fixes(op, path) for op in ops)
        self.wire.plans = list(faults)
        view = getattr(self.open[-1][0], bag)
        clashed = False
        try:
            seen = view.to_dict() if not path else view.get(path, MISSING)
        except PathError:
            clashed = True
        self.wire.plans = []
        sent = self.wire.steps[before:]
        if fixed or self.known is not None:
            assert sent == []
        else:
            assert [step.method for step in sent if step.fate == "ok"] == ["GET"]
            self.known = copy.deepcopy(sent[-1].found)
        if not fixed:
            assert self.known is not None
            self.reads.setdefault((bag, path), at(self.known[bag], path))
        base = {} if self.known is None else self.known[bag]
        relevant = [op for op in ops if not path or op[0] in ("reset", path[0])]
        assert clashed == _clashes(base, relevant)
        if not clashed:
            assert canon(seen) == canon(at(play(base, relevant), path))

    @rule(change=profile_parts)
    def second_writer(self, change: Bags) -> None:
        """Write as somebody else."""
        self.wire.write(change)
        self.old = [*self.old[-2:], copy.deepcopy(self.wire.held)]

    @precondition(lambda self: len(self.open) > 1)
    @rule(how=st.sampled_from(["well", "error", "rollback"]))
    def close_part(self, how: str) -> None:
        """Leave the innermost savepoint: its changes merge, or are discarded."""
        part, savepoint = self.open.pop()
        before = len(self.wire.steps)
        if how == "rollback":
            part.rollback()
        self._leave(part, error=how == "error")
        if how != "well":
            self.staged = savepoint
        assert len(self.wire.steps) == before, "a savepoint sent a request"

    @precondition(lambda self: self.open)
    @rule(how=st.sampled_from(["error", "rollback", "interrupt"]))
    def give_up(self, how: str) -> None:
        """Leave every block with an exception, or roll back: nothing is sent."""
        before = len(self.wire.steps)
        root = self.open[0][0]
        while self.open:
            tx = self.open.pop()[0]
            if how == "rollback":
                tx.rollback()
            self._leave(
                tx, error=how != "rollback", kind=KeyboardInterrupt if how == "interrupt" else LookupError
            )
        assert len(self.wire.steps) == before, "a request was sent after an exception"
        assert root.result is not None
        assert root.result.outcome == "rolled_back"

    @precondition(lambda self: self.open)
    @rule(faults=plans, by_hand=st.booleans())
    def commit(self, faults: list[Plan], *, by_hand: bool) -> None:
        """Leave every block without an exception; judge what was sent and how it ended."""
        while len(self.open) > 1:
            self._leave(self.open.pop()[0])
        tx = self.open.pop()[0]
        reads = len(self.wire.steps)
        self.wire.plans = list(faults)
        error: Exception | None = None
        try:
            if by_hand:
                tx.commit()
            self._leave(tx)
        except (ConflictError, OutcomeUnknown, PathError) as raised:
            error = raised
            self._leave(tx, error=True)
        self.wire.plans = []
        self._judge(tx, self.wire.steps[reads:], error)
        self.wire.apply_late(all_of_it=True)
        event(f"{'' if error is None else type(error).__name__} {tx.result and tx.result.outcome}")
        assert tx.result is not None
        assert tx.result.requests == len(self.wire.steps)
        assert tx.result.attempts == sum(step.method == "PATCH" for step in self.wire.steps)
        assert abs(tx.result.waited - (self.clock.time() - self.began)) < 0.01
        self.old = [*self.old[-2:], copy.deepcopy(self.wire.held)]

    @precondition(lambda self: self.open)
    @rule()
    def commit_without_faults(self) -> None:
        """Leave every block without an exception and without faults."""
        self.commit(faults=[], by_hand=False)

    @precondition(lambda self: not self.open)
    @rule(faults=plans, attempts=st.integers(1, 4))
    def run_transaction(self, faults: list[Plan], attempts: int) -> None:
        """Increment a value that was read: each success adds exactly one to what was there when it was written."""
        self.wire.plans, self.wire.steps = [Plan("none", p.writes) for p in faults], []
        runs: list[Any] = []

        def work(tx: MetadataTransaction) -> int:
            seen = tx.user_metadata.get("a")
            runs.append(seen)
            value = (
                seen + 1 if isinstance(seen, int) and not isinstance(seen, bool) and abs(seen) < 10**6 else 0
            )
            tx.user_metadata.set("a", value)
            return value

        try:
            value = self.client.run_transaction(UID, work, attempts=attempts, oversize="off")
        except ConflictError:
            assert len(runs) == attempts
            assert all(step.method == "GET" for step in self.wire.steps)
        else:
            gets = [step for step in self.wire.steps if step.method == "GET"]
            assert canon(at(gets[-1].found, ("user_metadata", "a"))) == canon(
                MISSING if runs[-1] is None and "a" not in gets[-1].found["user_metadata"] else runs[-1]
            )
            assert canon(self.wire.held["user_metadata"]["a"]) == canon(value)
            assert len(runs) <= attempts
        self.wire.plans = []

    def _leave(
        self, tx: MetadataTransaction, *, error: bool = False, kind: type[BaseException] = LookupError
    ) -> None:
        tx.__exit__(*((kind, kind(), None) if error else (None, None, None)))

    def _judge(self, tx: MetadataTransaction, steps: list[Step], error: Exception | None) -> None:
        """Replay a commit, request by request, by the promises."""
        staged, result = self.staged, tx.result
        assert result is not None

        def ends(step: Step | None, outcome: str, kind: type[Exception] | None = None) -> None:
            assert (step is None and not steps) or step is steps[-1], "a request was sent after the end"
            assert result is not None
            assert result.outcome == outcome
            assert (type(error) if error else None) is kind, error

        touched = any(staged.touched(bag) or staged.reset(bag) for bag in own.BAGS)
        if not touched:
            return ends(None, "unchanged")
        if self.known is not None and self.given and not self.check:
            try:
                if not staged.document(self.known):
                    return ends(None, "unchanged")
            except Clash:
                return ends(None, "failed", PathError)
        reading = self.check or (
            not self.given and (any(map(staged.needs_base, own.BAGS)) or bool(self.reads))
        )
        base, read_at = (self.known if self.given else None), None
        doubted: Any = None  # the body in doubt and the profile it was computed from, kept to the end
        unread = False  # nothing has been read since
        careful = staged.unsafe or bool(self.reads)
        gets = 0
        assert steps, "a change was lost"
        for step in steps:
            assert step.locked is self.lock
            if step.method == "PATCH":
                assert base is not None or not reading, "a PATCH without the GET that it needs"
                assert not unread, "a second PATCH without a read"
                if read_at is not None and gets <= 5:
                    assert step.sent - read_at <= 1.0, "a PATCH on an old base"
                assert step.body
                assert canon(step.body) == canon(staged.document(base))
                assert canon(result.document) == canon(step.body) or step is not steps[-1]
                if careful and doubted is not None:
                    assert canon(step.body) == canon(doubted[0]), "a document other than the one in doubt"
                if step.fate == "ok":
                    return ends(step, "updated")
                if step.fate == "lost":
                    doubted, unread = (step.body, base), True
                continue
            assert reading or doubted is not None, "a GET that nothing needed"
            if step.fate != "ok":
                continue
            found = step.found
            gets += not unread
            base, read_at, unread = copy.deepcopy(found), step.answered, False
            differs = [p for p, seen in self.reads.items() if canon(seen) != canon(at(found[p[0]], p[1]))]
            if doubted is not None:
                reading = True
                body, was = doubted
                if all(
                    # An emptied bag has none of the keys that it had; somebody may have added others since.
                    found[bag].keys().isdisjoint((was or {}).get(bag) or found[bag])
                    if not part
                    else all(
                        canon(at(found[bag], (k,))) == canon(MISSING if v is None else v)
                        for k, v in part.items()
                    )
                    for bag, part in body.items()
                ):
                    return ends(step, "confirmed")
                if careful:
                    old = was or {bag: {} for bag in own.BAGS}
                    same = all(
                        canon(old[b]) == canon(found[b])
                        if staged.reset(b)
                        else canon([at(old[b], (k,)) for k in staged.touched(b)])
                        == canon([at(found[b], (k,)) for k in staged.touched(b)])
                        for b in own.BAGS
                    )
                    if not same or differs:
                        return ends(step, "unknown", OutcomeUnknown)
            elif differs:
                ends(step, "failed", ConflictError)
                assert isinstance(error, ConflictError)
                assert sorted(error.paths) == sorted(differs)
                return None
            try:
                if not staged.document(found):
                    return ends(step, "unchanged" if doubted is None else "confirmed")
            except Clash:
                if doubted is not None:
                    return ends(step, "unknown", OutcomeUnknown)
                return ends(step, "failed", PathError)
        raise AssertionError("it ended too early")

    @invariant()
    def the_tenant_stores_what_the_model_says(self) -> None:
        """Check this after every step, whatever happened."""
        if hasattr(self, "wire"):
            user = self.tenant.users[UID]
            assert canon({bag: getattr(user, bag) for bag in own.BAGS}) == canon(self.wire.held)

    def teardown(self) -> None:
        """Leave the blocks that are still open."""
        for tx, _ in reversed(getattr(self, "open", [])):
            self._leave(tx, error=True)


def _clashes(bag: dict[str, Any], ops: list[Prim], *, key: str | None = None) -> bool:
    try:
        play(bag, ops, key=key)
    except Clash:
        return True
    return False


@settings(max_examples=settings.default.max_examples, deadline=None, phases=PHASES)
@given(st.data(), profile_parts, st.lists(profile_parts, max_size=1), some_calls, plans)
def test_one_transaction_keeps_its_promises(
    data: st.DataObject, held: Bags, writes: list[Bags], calls: list[own.Call], faults: list[Plan]
) -> None:
    """One block, whatever goes wrong: the commit is what the promises say, request by request."""
    machine = Transactions()
    machine.start(bags=held)
    for write in writes:
        machine.second_writer(change=write)
    machine.begin(
        data=data, base=data.draw(bases), bag=data.draw(bags), calls=calls, lock=data.draw(st.booleans())
    )
    if data.draw(st.booleans()):
        path = data.draw(st.sampled_from([("n",), ("flag",), ()]) | own.paths)
        machine.read(bag=data.draw(bags), path=path, faults=[])
    machine.commit(faults=faults, by_hand=False)
    machine.the_tenant_stores_what_the_model_says()


def test_transactions_keep_their_promises() -> None:
    """Any sequence of blocks, faults and second writers: each commit is what the promises say, request by request."""
    run_state_machine_as_test(
        Transactions,
        settings=settings(max_examples=RUNS, stateful_step_count=20, deadline=None, phases=PHASES),
    )


def _count(tx: MetadataTransaction) -> None:
    tx.user_metadata["n"] = tx.user_metadata["n"] + 1


COUNTING: dict[str, Callable[[MetadataTransaction], None]] = {
    "increment": lambda tx: tx.user_metadata.increment("n"),
    "read": _count,
    "increment and clear": lambda tx: (tx.user_metadata.increment("n"), tx.app_metadata.clear())[0],
    "read and replace": lambda tx: tx.user_metadata.replace({"n": tx.user_metadata["n"] + 1}),
}
beside = st.none() | st.fixed_dictionaries(
    {"user_metadata": st.just({}), "app_metadata": st.just({"other": 1})}
)
mixed_plans = st.lists(st.builds(Plan, st.sampled_from(FAULTS), beside), max_size=9) | st.tuples(
    answered, late, answered, waits, *[st.builds(Plan, st.sampled_from(FAULTS), beside)] * 4
).map(list)


@settings(max_examples=settings.default.max_examples * 2, deadline=None, phases=PHASES)
@given(
    st.sampled_from([*COUNTING]),
    st.sampled_from([None, None, 0.0, 3.0, 60.0]),
    st.sampled_from(["block", "base", "run"]),
    mixed_plans,
)
def test_an_increment_counts_once_or_not_at_all(
    how: str, max_wait: float | None, way: str, faults: list[Plan]
) -> None:
    """Whatever is lost, late or refused: one more after a success, none after an error that says so, and never two."""
    clock = FakeClock()
    tenant = LocalTenant(serve=False, clock=clock)
    tenant.users.add(user_id=UID)
    wire = Wire(tenant, clock)
    client = tenant.client(token="a.b.c", adapter=wire, max_wait=max_wait, failure_wait=None)
    wire.write({"user_metadata": {"n": 5}, "app_metadata": {"some": 1}})
    client.users.get(UID)
    wire.plans = list(faults)
    error: Auth0MetaError | None = None
    in_the_block = False

    def work(tx: MetadataTransaction) -> None:
        nonlocal in_the_block
        in_the_block = True
        COUNTING[how](tx)
        in_the_block = False

    try:
        if way == "run":
            client.run_transaction(UID, work)
        else:
            base = dict(tenant.users[UID]) if way == "base" else None
            with client.transaction(UID, base=base) as tx:
                work(tx)
    except Auth0MetaError as raised:
        error = raised
    least, most = (6, 6) if error is None else (5, 6) if isinstance(error, OutcomeUnknown) else (5, 5)
    # A read in the block is a read like any other; whatever fails in a commit says what was written.
    assert most == 6 or ("othing was written" in str(error)) is not in_the_block
    event(f"{least} to {most}")
    wire.apply_late(all_of_it=True)
    assert least <= tenant.users[UID].user_metadata["n"] <= most
