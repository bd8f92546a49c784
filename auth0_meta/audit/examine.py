"""Look at one profile after the other, and count what is wrong by path; PURE.

This runs for every key of every user, so what depends on a key alone is decided once for each path, and what depends
on a value begins with a comparison that ordinary values fail.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping
from typing import Any, Final

import attrs

from auth0_meta.audit.measure import SizeCounter, key_sizes
from auth0_meta.audit.paths import Node, Paths, Tally
from auth0_meta.audit.report import Finding, KeyWeight, OversizedUser
from auth0_meta.checks.cards import FEWEST_DIGITS, MOST_DIGITS
from auth0_meta.checks.kinds import KINDS, KindName
from auth0_meta.checks.numbers import LONGEST_BY_CHANCE, by_chance
from auth0_meta.checks.secrets import SHORTEST, secret, secret_number
from auth0_meta.checks.sizes import FIELD_BYTES, LIST_ITEMS, NEAR_BYTES, PROFILE_BYTES, json_size, size_kinds
from auth0_meta.redact import count, printable

MOST_LEVELS: Final = 100
"""How many levels below a bag are examined; the first-level keys are the first."""
MOST_OVERSIZED: Final = 1_000
MOST_WEIGHTS: Final = 200
MOST_FINDINGS: Final = 5_000
MOST_KEYS: Final = 20
"""How many keys of one user are named, the heaviest first."""
_MOST_FIELDS: Final = 100
_LEVELS_OF_LARGE: Final = 20
"""How many levels down the smallest large value is looked for: each of them is measured again."""
_LEAST_CARD: Final = 10 ** (FEWEST_DIGITS - 1)
_PAST_CARDS: Final = 10**MOST_DIGITS
_LONGEST_ESCAPE: Final = 6
_OF_ITS_VALUE: Final[tuple[KindName, ...]] = ("authorization_in_user_metadata", "device_state")
"""The kinds for which a key that holds null does not count."""
_NULL: Final = type(None)
_NAMES: Final = {int: "number", float: "number"}


@attrs.frozen
class Row:
    """What is wrong with one user, as far as that depends on nobody else."""

    user_id: str
    bytes: int
    kinds: tuple[KindName, ...]
    keys: Mapping[str, int]


class Examiner:
    """Examine profiles.

    `everything`: their keys and values too, and not only their sizes.  `rows`: return what is wrong with each user.
    """

    def __init__(self, *, everything: bool, rows: bool = False) -> None:
        self._everything, self._rows = everything, rows
        self._paths = Paths()
        self._profile_kinds: dict[KindName, Tally] = {}
        self._fields: dict[str, Node] = {}
        self._oversized: list[tuple[int, int, OversizedUser]] = []
        self._too_deep = Tally()
        self._unnamed_findings = 0
        self._kinds: set[KindName] = set()
        self._user_id = ""
        self.sizes = SizeCounter()
        self.users = 0

    def add(self, user_id: str, profile: Mapping[str, Any], size: int) -> Row | None:
        """Count a user; return what is wrong with this one, None if it is nothing.

        `size`: of the profile in bytes.
        """
        self.users += 1
        self._user_id = user_id
        self._kinds.clear()
        self.sizes.add(size)
        if self._everything:
            for bag, root in self._paths.roots.items():
                value = profile.get(bag)
                if value is not None:
                    self._examine(root, value)
                    if size > FIELD_BYTES:
                        self._find_large(root, value, is_bag=True)
        row = self._row(profile, size) if size >= NEAR_BYTES or (self._rows and self._kinds) else None
        if self._paths.is_full:
            self._paths.shrink(self.users, user_id)
        return row

    def _row(self, profile: Mapping[str, Any], size: int) -> Row:
        for kind in size_kinds(size):
            self._kinds.add(kind)
            tally = self._profile_kinds.get(kind)
            if tally is None:
                tally = self._profile_kinds[kind] = Tally()
            tally.add(self.users, self._user_id)
        nodes: dict[Node, int] = {}
        for name, key, taken in key_sizes(profile):
            node = self._weighed_node(name, key)
            nodes[node] = nodes.get(node, 0) + taken
        heaviest = heapq.nlargest(MOST_KEYS, nodes.items(), key=lambda item: item[1])
        keys = {node.path: taken for node, taken in heaviest}
        user_id = printable(self._user_id)
        if size >= NEAR_BYTES:
            for node, taken in nodes.items():
                node.weigh(taken)
        if size > PROFILE_BYTES:
            # An earlier user comes before a later one of the same size.
            entry = (size, -self.users, OversizedUser(user_id=user_id, bytes=size, keys=keys))
            push = heapq.heappush if len(self._oversized) < MOST_OVERSIZED else heapq.heappushpop
            push(self._oversized, entry)
        kinds = tuple(kind for kind in KINDS if kind in self._kinds)
        return Row(user_id, size, kinds, keys)

    def _weighed_node(self, name: str, key: str | None) -> Node:
        root = self._paths.roots.get(name)
        if root is None:
            known = self._fields.get(name)
            if known is None:
                shown = printable(name) if len(self._fields) < _MOST_FIELDS else "<field>"
                known = self._fields.setdefault(shown, Node(None, shown))
            return known
        if key is None:
            return root
        child = root.children.get(key)
        return self._paths.child(root, key) if child is None else child

    # What is in a profile -------------------------------------------------------------------------------

    def _find(self, node: Node, kind: KindName) -> None:
        self._kinds.add(kind)
        tally = node.found.get(kind)
        if tally is None:
            tally = node.find(kind)
        tally.add(self.users, self._user_id)

    def _examine(self, node: Node, value: Any) -> None:
        """Examine the value of a bag."""
        kind = type(value)
        (node.types.get(kind) or node.tally(kind)).add(self.users, self._user_id)
        if kind is dict:
            self._object(node, value)
        elif kind is list:
            self._list(node, value)
        elif kind is str:
            self._text(node, value, secret(value))

    def _object(self, node: Node, value: dict[str, Any]) -> None:
        number, user_id = self.users, self._user_id
        children = node.children
        for key, inner in value.items():
            child = children.get(key)
            if child is None:
                child = self._paths.child(node, key)
            if child.kinds:
                self._judge_name(child, inner)
            kind = type(inner)
            tally = child.types.get(kind)
            if tally is None:
                tally = child.tally(kind)
            if tally.last != number:
                # Written out here, because it happens for every key of every user: see Tally.add.
                tally.last = number
                tally.users = users = tally.users + 1
                if users <= 5:
                    tally.ids.append(user_id)
            if kind is dict:
                if inner:
                    if child.depth < MOST_LEVELS:
                        self._object(child, inner)
                    else:
                        self._too_deep.add(number, user_id)
            elif kind is list:
                if inner:
                    self._list(child, inner)
            elif kind is str:
                length = len(inner)
                # Most texts are decided here, without a call more: this is what an audit spends most time with.
                if length >= SHORTEST or child.telling:
                    what = secret(inner, key)
                    if what is not None or (length <= LONGEST_BY_CHANCE and inner[-1:].isdecimal()):
                        self._text(child, inner, what)
            elif kind is int and (child.telling or inner >= _LEAST_CARD):
                self._number(child, inner, key)

    def _list(self, node: Node, items: list[Any], *, levels: int = MOST_LEVELS) -> None:
        """Examine a list; its items are at the same path, as they are for Auth0's search."""
        if len(items) > LIST_ITEMS:
            self._find(node, "growing_list")
        kinds = set(map(type, items))
        if levels == MOST_LEVELS:
            for kind in kinds:
                (node.item_types.get(kind) or node.tally(kind, items=True)).add(self.users, self._user_id)
        if dict in kinds or list in kinds:
            if node.depth >= MOST_LEVELS or not levels:
                self._too_deep.add(self.users, self._user_id)
                return
            for item in items:
                if type(item) is dict:
                    self._object(node, item)
                elif type(item) is list:
                    self._list(node, item, levels=levels - 1)
        if str in kinds or int in kinds:
            for item in items:
                if type(item) is str:
                    if len(item) >= SHORTEST or node.telling:
                        self._text(node, item, secret(item, node.name))
                elif type(item) is int and (node.telling or item >= _LEAST_CARD):
                    self._number(node, item, node.name)

    def _number(self, node: Node, number: int, key: str) -> None:
        if secret_number(number, key) is not None:
            self._find(node, "secret")
        elif _LEAST_CARD <= number < _PAST_CARDS:
            text = str(number)
            self._text(node, text, secret(text, key))

    def _text(self, node: Node, text: str, what: str | None) -> None:
        """Count what a text looks like; whether one that a check digit shows is a secret, many of them decide."""
        if by_chance(text):
            node.numbers += 1
            if what is not None:
                node.valid += 1
                node.by_chance.add(self.users, self._user_id)
                if node.are_secret:
                    self._kinds.add("secret")
        elif what is not None:
            self._find(node, "secret")

    def _judge_name(self, node: Node, value: Any) -> None:
        """Count what the name of a key says by itself."""
        for kind in node.kinds:
            if value is not None or kind not in _OF_ITS_VALUE:
                self._find(node, kind)

    def _find_large(
        self, node: Node, value: Any, *, is_bag: bool = False, levels: int = _LEVELS_OF_LARGE
    ) -> None:
        """Find the smallest values that are too large to be searched; this one is too large, unless it is a bag."""
        inside = False
        if levels and node.depth < MOST_LEVELS:
            if type(value) is dict:
                for key, inner in value.items():
                    if _is_large(inner):
                        inside = True
                        child = node.children.get(key) or self._paths.child(node, key)
                        self._find_large(child, inner, levels=levels - 1)
            elif type(value) is list:
                for item in value:
                    if _is_large(item):
                        inside = True
                        self._find_large(node, item, levels=levels - 1)
        if not inside and not (is_bag and (type(value) is dict or not _is_large(value))):
            self._find(node, "unsearchable")

    # What it comes to -----------------------------------------------------------------------------------

    def findings(self) -> tuple[Finding, ...]:
        """Return all findings, the worst kind first; call it once, at the end."""
        if self._everything:
            self._paths.finish(self.users)
        found: dict[tuple[KindName, str], Tally] = {
            (kind, ""): tally for kind, tally in self._profile_kinds.items()
        }
        for root in self._paths.roots.values():
            for node in root.walk():
                tallies = dict(node.found)
                if node.are_secret:
                    tallies["secret"] = Tally()
                    tallies["secret"].absorb(
                        [node.by_chance, *([node.found["secret"]] if "secret" in node.found else ())]
                    )
                mixed = [] if node.is_any else [*_rarer(node.types), *_rarer(node.item_types)]
                if mixed:
                    tallies["mixed_types"] = Tally()
                    tallies["mixed_types"].absorb(mixed)
                for kind, tally in tallies.items():
                    # Two nodes may have one path: a key with a dot in it looks like two keys.
                    found.setdefault((kind, node.path), Tally()).absorb([tally])
        order = list(KINDS)
        sorted_ = sorted(
            found.items(), key=lambda item: (order.index(item[0][0]), -item[1].users, item[0][1])
        )
        self._unnamed_findings = max(0, len(sorted_) - MOST_FINDINGS)
        return tuple(
            Finding(
                kind=kind,
                path=path,
                users=min(tally.users, self.users),
                examples=tuple(map(printable, tally.ids)),
            )
            for (kind, path), tally in sorted_[:MOST_FINDINGS]
        )

    def oversized(self) -> tuple[OversizedUser, ...]:
        """Return the largest profiles over the limit, the largest first."""
        return tuple(
            user for _, _, user in sorted(self._oversized, key=lambda entry: entry[:2], reverse=True)
        )

    def weights(self) -> tuple[KeyWeight, ...]:
        """Return what weighs in profiles near the limit and over it, the heaviest first."""
        roots = self._paths.roots.values()
        nodes = [*self._fields.values(), *roots]
        for root in roots:
            nodes += [*root.children.values(), *((root.others,) if root.others else ())]
        by_path: dict[str, list[Node]] = {}
        for node in nodes:
            if node.weighed:
                by_path.setdefault(node.path, []).append(node)
        weights = (
            KeyWeight(
                path=path,
                bytes=sum(node.bytes for node in same),
                users=sum(node.weighed for node in same),
                largest=max(node.largest for node in same),
            )
            for path, same in by_path.items()
        )
        return tuple(sorted(weights, key=lambda one: (-one.bytes, one.path))[:MOST_WEIGHTS])

    def notes(self) -> tuple[str, ...]:
        """Return what was left out or counted together to bound the memory; call it after `findings`."""
        notes = []
        if self._paths.was_full:
            notes.append("there are so many paths that the rarest keys are counted together as <key>")
        if self._too_deep.users:
            who = f"{count(self._too_deep.users, 'user')}, such as {printable(self._too_deep.ids[0])}"
            notes.append(f"values nested more than {MOST_LEVELS} levels deep were not examined ({who})")
        if self._unnamed_findings:
            notes.append(f"{count(self._unnamed_findings, 'more finding')} with fewer users were left out")
        return tuple(notes)


def _is_large(value: Any) -> bool:
    """Return whether a value has more than `FIELD_BYTES` as JSON."""
    kind = type(value)
    if kind is str:
        length = len(value)
        if length > FIELD_BYTES:
            return True
        if length * _LONGEST_ESCAPE < FIELD_BYTES - 2:
            return False
    elif (kind is not dict and kind is not list) or not value:
        return False
    return json_size(value) > FIELD_BYTES


def _rarer(types: Mapping[type, Tally]) -> Iterable[Tally]:
    """Return the tallies of all types of a path but the most common one; null is not a type."""
    tallies = {
        id(tally): (tally.users, kind.__name__, tally) for kind, tally in types.items() if kind is not _NULL
    }
    return [tally for _, _, tally in sorted(tallies.values(), key=lambda one: (-one[0], one[1]))[1:]]
