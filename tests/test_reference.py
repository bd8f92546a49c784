"""What completion shows is what docs/reference.md documents, and a setting is the same wherever it may be given."""

from __future__ import annotations

import ast
import enum
import functools
import importlib
import inspect
import itertools
import re
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from typing import Any, TypeVar

import pytest
from support.doc_blocks import PACKAGES, ROOT

import auth0_meta
from auth0_meta import ManagementClient, MetadataTransaction, User
from auth0_meta.actions import Api, Event, PostLoginTrigger, TriggerSettings, post_login
from auth0_meta.actions.event.sections import EventSections
from auth0_meta.emulator import LocalTenant
from auth0_meta.testing import simulate

PAGE = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
OF_ANY: dict[type, Iterable[str]] = {
    dict: dir(dict),
    Mapping: dir(Mapping),
    MutableMapping: dir(MutableMapping),
    enum.Enum: ("name", "value"),
    EventSections: inspect.get_annotations(EventSections),
}
"""What these have needs no entry in the reference: it is Python's own, or Auth0's."""
USER_ID = "auth0|1"


def documented(kind: type) -> tuple[set[str], set[str]]:
    """Return the members of a class that the page lists, and those that it shows by its docstrings."""
    where = rf"auth0_meta(?:\.\w+)*\.{kind.__name__}"
    found = re.search(rf"^\.\. auto\w+:: {where}(?:\(\))?\n((?:   :.*\n)*)", PAGE, re.MULTILINE)
    in_a_module = re.search(rf"^   :members:.*\b{kind.__name__}\b", PAGE, re.MULTILINE)
    assert found or in_a_module, f"the reference does not list {kind.__name__}"
    options = dict(re.findall(r"^   :([\w-]+): ?(.*)$", found[1], re.MULTILINE)) if found else {"members": ""}
    fields = set(re.findall(r"`(\w+)`", inspect.getdoc(kind) or ""))
    if "members" not in options:
        return set(), fields
    if options["members"]:
        return set(options["members"].split(", ")), fields
    homes = kind.__mro__ if "inherited-members" in options else (kind,)
    every = {name for home in homes for name, value in vars(home).items() if getattr(value, "__doc__", None)}
    methods = {name for name in every if not name.startswith("_")}
    return set(), fields.union(methods, *map(attributes, homes))


def attributes(kind: type) -> set[str]:
    """Return the attributes that `__init__` sets and describes on the next line."""
    init = vars(kind).get("__init__")
    if not kind.__module__.startswith("auth0_meta") or not inspect.isfunction(init):
        return set()
    (function,) = ast.parse(textwrap.dedent(inspect.getsource(init))).body
    assert isinstance(function, ast.FunctionDef)
    names = set()
    for line, after in itertools.pairwise(function.body):
        target = line.targets[0] if isinstance(line, ast.Assign) else getattr(line, "target", None)
        if (
            isinstance(target, ast.Attribute)
            and isinstance(after, ast.Expr)
            and isinstance(after.value, ast.Constant)
        ):
            names.add(target.attr)
    return names


def a_client() -> ManagementClient:
    """Return one that sends nothing."""
    return ManagementClient("tenant.eu.auth0.com", token="a.b.c")


def a_transaction() -> MetadataTransaction:
    """Return one that stays empty."""
    return MetadataTransaction(a_client(), USER_ID)


def an_event() -> Event:
    """Return one with which no user has to be read."""
    return Event.from_dict({"user": {"user_id": USER_ID, "user_metadata": {}, "app_metadata": {}}})


def an_api() -> Api:
    """Return what a block gets."""
    with post_login(a_client(), an_event()) as api:
        return api


SHOWN: dict[str, Callable[[], Any]] = {
    "client": a_client,
    "client.users": lambda: a_client().users,
    "client.jobs": lambda: a_client().jobs,
    "aclient": lambda: a_client().aio,
    "aclient.users": lambda: a_client().aio.users,
    "aclient.jobs": lambda: a_client().aio.jobs,
    "aclient.batch()": lambda: auth0_meta.AsyncMetadataBatch(a_client()),
    "tx": a_transaction,
    "tx, asyncio": lambda: a_client().atransaction(USER_ID),
    "tx.nested()": lambda: a_transaction().nested(),
    "tx.app_metadata": lambda: a_transaction().app_metadata,
    "tx.state": lambda: a_transaction().state,
    "tx.result": lambda: auth0_meta.CommitResult(outcome="unchanged"),
    "batch": lambda: auth0_meta.MetadataBatch(a_client()),
    "batch.results": lambda: auth0_meta.MetadataBatch(a_client()).results,
    "batch, on_result": lambda: auth0_meta.BatchResult(user_id=USER_ID, outcome="updated"),
    "user": lambda: User.from_dict({"user_id": USER_ID}),
    "user.app_metadata": lambda: User.from_dict({"user_id": USER_ID}).app_metadata,
    "trigger": lambda: PostLoginTrigger(a_client(), []),
    "outcome": lambda: PostLoginTrigger(a_client(), []).run(an_event()),
    "event": an_event,
    "api": an_api,
    "api.user": lambda: an_api().user,
    "api.access": lambda: an_api().access,
    "api.validation": lambda: an_api().validation,
    "api.id_token": lambda: an_api().id_token,
    "api.access_token": lambda: an_api().access_token,
    "api.saml_response": lambda: an_api().saml_response,
    "api.transaction": lambda: an_api().transaction,
    "api.redirect": lambda: an_api().redirect,
    "api.cache": lambda: an_api().cache,
    "simulation": lambda: simulate([], an_event()),
    "tenant": lambda: LocalTenant(serve=False),
}


@pytest.mark.parametrize("name", SHOWN)
def test_completion_shows_what_the_reference_documents(name: str) -> None:
    """No internal name is among the public ones, and no documented one is missing."""
    shown = SHOWN[name]()
    kind = next(home for home in type(shown).__mro__ if re.search(rf"\.{home.__name__}(\(\))?\n", PAGE))
    listed, described = documented(kind)
    public = {member for member in dir(shown) if not member.startswith("_")}
    of_its_kind = {member for base, names in OF_ANY.items() if isinstance(shown, base) for member in names}
    assert public - listed - described - of_its_kind == set()
    assert listed - public == set()


def test_completion_shows_no_more_for_the_transaction_of_a_batch() -> None:
    """What `batch.user()` returns shows what any transaction shows."""
    with auth0_meta.MetadataBatch(a_client()) as batch:
        shown = {name for name in dir(batch.user(USER_ID)) if not name.startswith("_")}
    assert shown == documented(MetadataTransaction)[0]


SETTINGS: dict[str, tuple[type, Callable[..., Any]]] = {
    "ClientSettings": (auth0_meta.ClientSettings, ManagementClient),
    "BatchSettings": (auth0_meta.BatchSettings, auth0_meta.MetadataBatch),
    "TransactionSettings": (auth0_meta.TransactionSettings, MetadataTransaction),
    "TriggerSettings": (TriggerSettings, PostLoginTrigger),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_settings_are_those_of_the_constructor(name: str) -> None:
    """A TypedDict that stands for the keyword arguments of a class has their names and types."""
    settings, kind = SETTINGS[name]
    parameters = inspect.signature(kind).parameters.values()
    expected = {p.name: p.annotation for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY}
    given = {key: getattr(hint, "__forward_arg__", hint) for key, hint in settings.__annotations__.items()}
    assert given == expected


# What annotations name ----------------------------------------------------------------------------------

NOT_EXPORTED = {"HasChannel", "ListOrTuple"}
"""Nobody needs the names of these protocols: a client has a channel, and the other is in the definition of `JSONValue`."""


def listed_objects() -> Iterator[tuple[object, bool]]:
    """Yield each class and function that the page lists, and whether users call it."""
    found = re.findall(
        r"^\.\. auto(?:class|function):: (auth0_meta[\w.]*)\.(\w+)(\(\))?$", PAGE, re.MULTILINE
    )
    for module, name, made_by_us in found:
        yield getattr(importlib.import_module(module), name), not made_by_us
    for module, names in re.findall(r"^\.\. automodule:: (\S+)\n   :members: (.*)$", PAGE, re.MULTILINE):
        for name in names.split(", "):
            yield getattr(importlib.import_module(module), name), True


def annotated() -> Iterator[tuple[str, Any]]:
    """Yield (module, annotation) of all that the listed classes and functions take, return and hold."""
    for listed, called in listed_objects():
        if not isinstance(listed, type):
            yield from signature(listed)
            continue
        members = set().union(*documented(listed))
        if called:
            yield from signature(vars(listed).get("__init__"))
        for home in listed.__mro__:
            for name in members.intersection(vars(home)):
                member = vars(home)[name]
                yield from signature(getattr(member, "fget", None) or getattr(member, "__func__", member))
            for name in members.intersection(inspect.get_annotations(home)):
                yield home.__module__, inspect.get_annotations(home)[name]


def signature(member: object) -> Iterator[tuple[str, Any]]:
    """Yield (module, annotation) of the parameters and the result of a function."""
    function: Any = inspect.unwrap(member) if callable(member) else None
    if inspect.isfunction(function):
        yield from ((function.__module__, hint) for hint in function.__annotations__.values())


@functools.cache
def names_in(module: str) -> dict[str, str]:
    """Return the names of ours that a module's annotations may use, each with the module that defines it."""
    tree = ast.parse(inspect.getsource(importlib.import_module(module)))
    ours = {node.name: module for node in tree.body if isinstance(node, ast.ClassDef)}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("auth0_meta"):
            ours |= {alias.name: str(node.module) for alias in node.names}
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            ours[node.targets[0].id] = module
    return ours


def test_whatever_an_annotation_names_can_be_imported_from_a_public_package() -> None:
    """Every class and alias of ours in a documented signature is exported, or listed under its own path."""
    public = [importlib.import_module(package) for package in PACKAGES]
    missing = set()
    for module, hint in annotated():
        text = hint if isinstance(hint, str) else getattr(hint, "__forward_arg__", "")
        for name in re.findall(r"[A-Za-z_]\w*", re.sub(r"\"[^\"]*\"|'[^']*'", "", text)):
            home = names_in(module).get(name)
            if home is None or name.startswith("_") or name in NOT_EXPORTED:
                continue
            value = getattr(importlib.import_module(home), name)
            if isinstance(value, TypeVar):
                continue
            if (
                not any(getattr(package, name, None) == value for package in public)
                and f"{home}.{name}" not in PAGE
            ):
                missing.add(f"{home}.{name}")
    assert sorted(missing) == []
