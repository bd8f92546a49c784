"""The paths that an audit has met, and how many users have what there; in bounded memory; PURE.

A million users may have a million different keys.  So keys that are recognizably made from data share the node of their
template; a parent with too many children has its rarest ones counted together, as `<key>`; and so has every parent if
there are too many paths in all.  What was found at a path that is given up is added to the one that takes its place.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from auth0_meta.changes.jsonvalue import BAGS
from auth0_meta.checks.kinds import KindName
from auth0_meta.checks.names import bad_key, reserved
from auth0_meta.checks.placement import authorization, device_state
from auth0_meta.checks.secrets import secret, telling_name
from auth0_meta.checks.telling import Telling
from auth0_meta.checks.templates import dynamic
from auth0_meta.redact import printable

EXAMPLES: Final = 5
"""How many users are named for a finding."""
ANY_KEY: Final = "<key>"
MOST_CHILDREN: Final = 1_000
"""From how many different keys on a parent's rarest ones are counted together."""
MOST_PATHS: Final = 20_000
_BURST: Final = 2
"""How many times as many there may be until the user at hand is done."""
_LONGEST_KEY: Final = 100
_RARE_USERS: Final = 2
_RARE_KEYS: Final = 50
_RARE_FIRST_LEVEL_KEYS: Final = 200
_RARE_PART: Final = 0.8
_HOLDERS: Final = 5
_SPARSE_PART: Final = 0.01
_SPARSE_KEYS: Final = 200
"""Keys are made from data if a parent has at least 50 that at most 2 users have each, and these are 80 % of its keys; or
200 that at most 1 % of its users have each.  A bag has many fixed keys itself, so there it takes 200 of the former.  And
it takes five users: one who has hundreds of keys that nobody else has may have them from anywhere."""


class Tally:
    """How many users have something, and the ids of the first of them; `last`: the number of the latest one."""

    __slots__ = ("ids", "last", "users")

    def __init__(self) -> None:
        self.users = self.last = 0
        self.ids: list[str] = []

    def add(self, number: int, user_id: str) -> None:
        """Count a user once, however often this is called before the next user comes."""
        if self.last != number:
            self.last = number
            self.users += 1
            if self.users <= EXAMPLES:
                self.ids.append(user_id)

    def absorb(self, others: Iterable[Tally], number: int = 0, user_id: str = "") -> None:
        """Add what others have counted: a user once if all of them are known, as often as counted otherwise.

        `number`, `user_id`: the latest user, who may have been counted here already.
        """
        known = {} if self.users > len(self.ids) else dict.fromkeys(self.ids)
        users = 0 if known else self.users
        for other in others:
            if other.users == len(other.ids):
                known.update(dict.fromkeys(other.ids))
            else:
                users += other.users
                self.ids.extend(other.ids)
        if users and self.last == number:
            known.pop(user_id, None)
        self.users = users + len(known)
        self.ids = list(dict.fromkeys((*self.ids, *known)))[:EXAMPLES]


class Node:
    """A path: how it is shown, what its name says by itself, and what users have there."""

    __slots__ = (
        "bag", "by_chance", "bytes", "children", "depth", "found", "is_any", "item_types", "kinds", "largest", "name", "numbers",
        "others", "parent", "telling", "types", "valid", "weighed",
    )  # fmt: skip

    def __init__(self, parent: Node | None, name: str) -> None:
        self.parent, self.name = parent, name
        self.bag: str = name if parent is None else parent.bag
        self.depth: int = 0 if parent is None else parent.depth + 1
        self.is_any: bool = parent is not None and parent.is_any
        """Whether it is `<key>` or below one: then its values need not have anything in common."""
        self.kinds: tuple[KindName, ...] = ()
        """What is wrong with the name, for every user who has it."""
        self.telling: Telling = ""
        """What the name says of secrets below it."""
        self.types: dict[type, Tally] = {}
        self.item_types: dict[type, Tally] = {}
        self.found: dict[KindName, Tally] = {}
        self.children: dict[str | tuple[str, bool], Node] = {}
        self.others: Node | None = None
        """What the children come to that are counted together."""
        self.weighed = self.bytes = self.largest = 0
        self.numbers = self.valid = 0
        """Texts in the form of a number that is known by its check digit alone, and those with the right one."""
        self.by_chance = Tally()
        """The users of the latter."""

    @property
    def are_secret(self) -> bool:
        """Return whether the numbers with the right check digit have it on purpose: at random, one in ten has it."""
        return 0 < self.numbers <= 2 * self.valid

    @property
    def keys(self) -> tuple[str, ...]:
        """Return the keys that lead here, without the bag."""
        keys: list[str] = []
        node = self
        while node.parent is not None:
            keys.append(node.name)
            node = node.parent
        return tuple(reversed(keys))

    @property
    def path(self) -> str:
        """Return the path as findings show it: the bag, and the keys with dots between them."""
        return ".".join((self.bag, *self.keys))

    @property
    def users(self) -> int:
        """Return how many users have the key, at most; one with values of two types here counts twice."""
        return sum(tally.users for tally in {id(one): one for one in self.types.values()}.values())

    @property
    def is_named(self) -> bool:
        """Return whether the name says something by itself; then it is neither a rare fixed name nor data."""
        return bool(self.kinds or self.telling)

    @property
    def has_findings(self) -> bool:
        """Return whether something was found here or below, or is wrong with a name."""
        return any(node.found or node.kinds or node.are_secret for node in self.walk())

    def tally(self, kind: type, *, items: bool = False) -> Tally:
        """Return the tally of a JSON type, which is one for all numbers; `items`: of the items of a list."""
        types = self.item_types if items else self.types
        twin = {int: float, float: int}.get(kind)
        known = None if twin is None else types.get(twin)
        tally = types[kind] = Tally() if known is None else known
        return tally

    def find(self, kind: KindName) -> Tally:
        """Return the tally of a kind of finding."""
        tally = self.found.get(kind)
        if tally is None:
            tally = self.found[kind] = Tally()
        return tally

    def weigh(self, size: int) -> None:
        """Add the bytes of a user's value."""
        self.weighed += 1
        self.bytes += size
        self.largest = max(self.largest, size)

    def walk(self) -> Iterator[Node]:
        """Yield this node and all below it."""
        yield self
        for node in (*self.children.values(), *((self.others,) if self.others else ())):
            yield from node.walk()


class Paths:
    """All paths below both bags."""

    def __init__(self) -> None:
        self.roots: dict[str, Node] = {bag: Node(None, bag) for bag in BAGS}
        self.count = 0
        self.was_full = False
        """Whether there were too many paths in all."""
        self._crowded: list[Node] = []

    def child(self, node: Node, key: str) -> Node:
        """Return the node of a key that `node.children` does not have: a new one, or that of its template."""
        template = "<text>" if len(key) > _LONGEST_KEY else dynamic(key)
        kinds: list[KindName] = ["bad_key"] if bad_key(key) else []
        if template is None and secret(key):
            template = "<secret>"
            kinds.append("secret")
        if template is None:
            return self._new(node, key, printable(key), kinds)
        known = node.children.get((template, "bad_key" in kinds))
        return known or self._new(
            node, (template, "bad_key" in kinds), printable(template), ["dynamic_keys", *kinds]
        )

    def _new(self, node: Node, key: str | tuple[str, bool], name: str, kinds: list[KindName]) -> Node:
        if len(node.children) >= MOST_CHILDREN * _BURST:
            others = self._others(node)
            others.kinds = ("dynamic_keys",)
            return others
        if self.count >= MOST_PATHS * _BURST:
            return self._others(node)
        child = node.children[key] = Node(node, name)
        self.count += 1
        if len(node.children) == MOST_CHILDREN + 1:
            self._crowded.append(node)
        if isinstance(key, str):
            child.telling = telling_name(key)
            if node.parent is None and reserved(node.bag, key):
                kinds.append("reserved_name")
        keys = child.keys
        if node.bag == "user_metadata" and authorization(keys):
            kinds.append("authorization_in_user_metadata")
        if device_state(keys):
            kinds.append("device_state")
        child.kinds = tuple(kinds)
        return child

    def _others(self, node: Node) -> Node:
        if node.others is None:
            node.others = Node(node, ANY_KEY)
            node.others.is_any = True
        return node.others

    @property
    def is_full(self) -> bool:
        """Return whether `shrink` is due."""
        return bool(self._crowded) or self.count > MOST_PATHS

    def shrink(self, number: int, user_id: str) -> None:
        """Count rare keys together, once a user is done: `number` and `user_id` are of the latest one."""
        latest = number, user_id
        while self._crowded:
            node = self._crowded.pop()
            if len(node.children) > MOST_CHILDREN:
                self._fold(node, MOST_CHILDREN // 2, latest, is_finding=True)
        # Fewer and fewer keys are kept under each parent, in the end none, which leaves one path for each level.
        most, room = MOST_CHILDREN, MOST_PATHS
        while self.count > room and most:
            self.was_full = True
            most, room = most // 4, MOST_PATHS // 2
            for root in self.roots.values():
                for node in reversed(list(root.walk())):  # the deepest first
                    if len(node.children) > most:
                        self._fold(node, most, latest, is_finding=False)
            self._count()
        self._crowded.clear()

    def finish(self, number: int) -> None:
        """Find the keys that only many users together show to be made from data."""
        for root in self.roots.values():
            todo = [root]
            while todo:
                node = todo.pop()
                rare = self._made_from_data(node)
                if rare:
                    self._merge_children(node, rare, (number, ""), is_finding=True)
                todo += [*node.children.values(), *((node.others,) if node.others else ())]

    def _made_from_data(self, node: Node) -> list[str | tuple[str, bool]]:
        """Return the keys of a node's children that are too many, and too rare, to be fixed names."""
        known = node.others.found.get("dynamic_keys") if node.others is not None else None
        if len(node.children) < _RARE_KEYS and known is None:
            return []
        users = {key: child.users for key, child in node.children.items() if not child.is_named}
        objects = sum(types[dict].users for types in (node.types, node.item_types) if dict in types)
        is_bag = node.parent is None
        sparse = [key for key, n in users.items() if n <= max(_RARE_USERS, objects * _SPARSE_PART)]
        if known is not None or (len(sparse) >= _SPARSE_KEYS and not is_bag):
            made = sparse
        else:
            made = [key for key, n in users.items() if n <= _RARE_USERS]
            least = _RARE_FIRST_LEVEL_KEYS if is_bag else _RARE_KEYS
            if len(made) < max(least, len(users) * _RARE_PART):
                return []
        if (self._holders(node, made) if known is None else known.users) < _HOLDERS:
            return []
        if not is_bag:
            return made
        # A bag has fixed names too, so what was found under a few of the rare keys keeps its name.
        plain = [key for key in made if not node.children[key].has_findings]
        return plain if len(made) - len(plain) <= _RARE_FIRST_LEVEL_KEYS else made

    def _holders(self, node: Node, keys: Iterable[str | tuple[str, bool]]) -> int:
        """Return how many different users have one of the keys, as far as they are known."""
        holders: set[str] = set()
        for key in keys:
            for tally in node.children[key].types.values():
                holders.update(tally.ids)
            if len(holders) >= _HOLDERS:
                break
        return len(holders)

    def _fold(self, node: Node, most: int, latest: tuple[int, str], *, is_finding: bool) -> None:
        def worth(key: str | tuple[str, bool]) -> tuple[bool, int, int]:
            child = node.children[key]
            return child.is_named or bool(child.found), child.users, child.bytes

        by_worth = sorted(node.children, key=worth, reverse=True)
        self._merge_children(node, by_worth[most:], latest, is_finding=is_finding)

    def _merge_children(
        self, node: Node, keys: Iterable[str | tuple[str, bool]], latest: tuple[int, str], *, is_finding: bool
    ) -> None:
        """Count children together; `is_finding`: because they are made from data."""
        others = self._others(node)
        merged = [node.children.pop(key) for key in keys]
        if is_finding:
            tallies = {id(tally): tally for child in merged for tally in child.types.values()}
            others.find("dynamic_keys").absorb(tallies.values(), *latest)
        self._merge(others, merged, latest)

    def _merge(self, target: Node, merged: list[Node], latest: tuple[int, str]) -> None:
        """Add what users have at some nodes to another one."""
        self.count -= len(merged)
        for items in (False, True):
            theirs = [node.item_types if items else node.types for node in merged]
            done: set[int] = set()
            for kind in {kind: None for types in theirs for kind in types}:
                tallies = {id(types[kind]): types[kind] for types in theirs if kind in types}
                ours = target.item_types if items else target.types
                tally = ours.get(kind) or target.tally(kind, items=items)
                # All numbers have one tally, which is listed twice.
                tally.absorb((one for key, one in tallies.items() if key not in done), *latest)
                done |= tallies.keys()
        for what in {what: None for node in merged for what in node.found}:
            target.find(what).absorb((node.found[what] for node in merged if what in node.found), *latest)
        target.numbers += sum(node.numbers for node in merged)
        target.valid += sum(node.valid for node in merged)
        target.by_chance.absorb((node.by_chance for node in merged), *latest)
        target.weighed += sum(node.weighed for node in merged)
        target.bytes += sum(node.bytes for node in merged)
        target.largest = max(target.largest, *(node.largest for node in merged))
        below: dict[str | tuple[str, bool], list[Node]] = {}
        for node in merged:
            for key, child in node.children.items():
                below.setdefault(key, []).append(child)
        for key, nodes in below.items():
            if key not in target.children:
                child = target.children[key] = Node(target, nodes[0].name)
                child.kinds, child.telling = nodes[0].kinds, nodes[0].telling
                self.count += 1
                if len(target.children) == MOST_CHILDREN + 1:
                    self._crowded.append(target)
            self._merge(target.children[key], nodes, latest)
        rest = [node.others for node in merged if node.others is not None]
        if rest:
            self.count += len(rest)
            self._merge(self._others(target), rest, latest)

    def _count(self) -> None:
        self.count = sum(1 for root in self.roots.values() for _ in root.walk()) - len(self.roots)
