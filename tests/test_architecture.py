"""Hold the import layers: who may import whom, as a table, checked on the syntax tree."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest

import auth0_meta

PACKAGE = Path(auth0_meta.__path__[0])

# Top to bottom: a module imports only from lines below its own. A module that is on no line fails.
LAYERS: tuple[tuple[str, ...], ...] = (
    ("__main__",),
    ("cli", "cli.*"),
    ("testing", "pytest_plugin"),
    ("__init__",),
    ("migrate.*", "actions.*"),
    ("transactions.batch", "transactions.retry", "transactions.async_transaction"),
    ("ratelimit.concurrency",),
    ("transactions.transaction", "doctor"),
    ("client",),
    ("endpoints.users", "endpoints.jobs"),
    ("transactions.commit", "transactions.bag", "changes.profile"),
    ("http.sender", "auth.credentials", "transactions.readback"),
    ("http.transport", "ratelimit.throttle", "auth.tokens"),
    ("http.error_answers", "auth.jwt", "ratelimit.bucket", "changes.change", "http.budget"),
    ("ratelimit.refill_rate", "ratelimit.fixed_window", "ratelimit.shared_buckets"),
    ("changes.bag_change",),
    ("changes.paths", "changes.operations"),
    ("changes.rules", "ratelimit.headers"),
    ("changes.jsonvalue", "transactions.batch_result"),
    ("models",),
    ("redact", "warn", "http.given"),
    ("errors", "transactions.joining", "transactions.states", "clock", "http.patience", "_version"),
)
PURE = (
    "http.error_answers",
    "changes.profile",
    "transactions.batch_result",
    "ratelimit.bucket",
    "ratelimit.concurrency",
    "ratelimit.refill_rate",
    "ratelimit.shared_buckets",
    "ratelimit.fixed_window",
    "ratelimit.headers",
    "changes.change",
    "http.patience",
    "changes.bag_change",
    "transactions.readback",
    "changes.paths",
    "changes.operations",
    "changes.rules",
    "changes.jsonvalue",
    "models",
    "redact",
    "transactions.states",
    "errors",
    "http.given",
)
# What reads a clock, draws a number, waits, or leaves the process.
IMPURE = (
    *("asyncio", "datetime.date", "datetime.datetime", "logging", "os", "random", "secrets", "socket"),
    *("subprocess", "threading", "time", "uuid"),
)

# The emulator is an island: a shared merge or limiter would agree with its own mistake.
ISLAND = {"errors", "clock", "_version", "redact"}

# Reaching up is allowed here only, and only inside a function.
UPWARD = {
    ("client", "transactions.transaction"),  # client.transaction() builds one
    ("client", "transactions.async_transaction"),  # client.atransaction() builds one
    ("client", "transactions.retry"),  # client.run_transaction() calls it
    ("client", "doctor"),  # client.check() is its answer
    ("emulator.tenant", "client"),  # tenant.client() hands out a connected one
}

# The only importers of each package that is not ours and not the standard library; "lazy" means inside a function.
THIRD_PARTY: dict[str, dict[str, str]] = {
    "attrs": {"*": "top"},
    "requests": {"http.transport": "top", "emulator.serving.requests_adapter": "top"},
    "urllib3": {"http.transport": "top", "emulator.serving.requests_adapter": "top"},
    "jose": {"auth.jwt": "lazy", "emulator.state.keys": "lazy"},
    "cryptography": {"emulator.state.keys": "lazy"},
    "luqum": {"emulator.rules.search": "lazy"},
    "werkzeug": {"emulator.*": "top"},
    "cheroot": {"emulator.*": "top"},
    "trustme": {"emulator.serving.tls": "lazy"},
    "certifi": {"emulator.serving.tls": "lazy"},
    "yaml": {"emulator.control.seed_files": "lazy"},
    "pytest": {"pytest_plugin": "top"},
    "flask": {"actions.web.flask": "top"},
    "django": {"actions.web.django": "top"},
    "starlette": {"actions.web.fastapi": "top"},
    "click": {"cli.*": "top"},
    "rich": {"cli.*": "top"},
}


def name_of(path: Path) -> str:
    """Return a module's dotted name without the package's; a sub-package stands as `emulator.__init__`."""
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts)


MODULES = {name_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def imports(path: Path) -> Iterator[tuple[str, bool]]:
    """Yield (dotted name, inside a function) for every import outside `if TYPE_CHECKING`."""

    def walk(node: ast.AST, *, lazy: bool) -> Iterator[tuple[str, bool]]:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            return
        if isinstance(node, ast.Import):
            yield from ((alias.name, lazy) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: relative imports hide the layer"
            for alias in node.names:
                yield f"{node.module}.{alias.name}", lazy
        lazy = lazy or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for child in ast.iter_child_nodes(node):
            yield from walk(child, lazy=lazy)

    yield from walk(ast.parse(path.read_text(encoding="utf-8")), lazy=False)


def internal(dotted: str) -> str | None:
    """Return the module of ours that a dotted import names, None for somebody else's."""
    if dotted.split(".")[0] != "auth0_meta":
        return None
    parts = dotted.split(".")[1:]
    while parts:
        for name in (".".join(parts), ".".join([*parts, "__init__"])):
            if name in MODULES:
                return name
        parts.pop()
    return "__init__"


def layer(module: str) -> int:
    """Return the line of `LAYERS` that holds a module."""
    return next(i for i, line in enumerate(LAYERS) if any(fnmatch(module, pattern) for pattern in line))


@pytest.mark.parametrize("module", MODULES)
def test_every_module_has_its_place(module: str) -> None:
    """A module stands on exactly one line of the table, or on the island."""
    lines = [line for line in LAYERS if any(fnmatch(module, pattern) for pattern in line)]
    if module.endswith(".__init__") and not lines:
        return  # a package of the house says only what is in it
    assert len(lines) == (0 if module.startswith("emulator.") else 1), f"say in LAYERS where {module} belongs"


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_down(module: str) -> None:
    """A module imports only what lies below it; the island imports only its own and four plain rooms."""
    for dotted, lazy in imports(MODULES[module]):
        target = internal(dotted)
        if target is None or target == module:
            continue
        package = target.removesuffix(".__init__")
        if lazy and ((module, package) in UPWARD or (module.split(".")[0], package) in UPWARD):
            continue
        if module.startswith("emulator."):
            assert target.startswith("emulator.") or target in ISLAND, f"{module} imports {target}"
        elif target.startswith("emulator."):
            assert module.startswith("cli.") or module in ("testing", "pytest_plugin"), (
                f"{module} imports {target}"
            )
            assert lazy, f"{module} imports {target} at its top: the extra may be missing"
        elif target == "__init__":
            assert module.split(".")[0] in ("cli", "__main__"), f"{module} imports the package itself"
        elif "." in module and module.split(".")[0] == target.split(".")[0]:
            continue  # within cli, actions, migrate
        else:
            assert layer(module) < layer(target), f"{module} imports {target}, which is not below it"


@pytest.mark.parametrize("module", PURE)
def test_pure_rooms_touch_nothing(module: str) -> None:
    """A pure room imports pure rooms and the harmless part of the standard library."""
    for dotted, _ in imports(MODULES[module]):
        top = dotted.split(".")[0]
        assert top not in IMPURE, f"{module} imports {dotted}"
        assert dotted not in IMPURE, f"{module} imports {dotted}"
        target = internal(dotted)
        assert target in PURE if target else top in {"attrs", *sys.stdlib_module_names}, f"{module}: {dotted}"


@pytest.mark.parametrize("module", MODULES)
def test_third_parties_have_one_door(module: str) -> None:
    """Each foreign package is imported only where the table says, late where it says so; time only in clock."""
    for dotted, lazy in imports(MODULES[module]):
        top = dotted.split(".")[0]
        if top == "time":
            assert module == "clock", f"{module} imports time: take a Clock"
        if top in sys.stdlib_module_names or top == "auth0_meta":
            continue
        doors = THIRD_PARTY.get(top)
        assert doors is not None, f"{module} imports {top}, which the table does not know"
        rule = next((how for pattern, how in doors.items() if fnmatch(module, pattern)), None)
        assert rule is not None, f"{module} imports {top}: its doors are {sorted(doors)}"
        assert rule == "top" or lazy, f"{module} imports {top} at its top: it loads on use"
