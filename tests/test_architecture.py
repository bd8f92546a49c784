"""The package's layers, checked on the syntax tree: imports go down, there are no cycles, and no folder is crowded."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest

import auth0_meta

PACKAGE = Path(auth0_meta.__path__[0])

# From top to bottom.  A module imports what is below its own line, and modules of its own folder; the
# packages on one line don't import each other.  Imports in functions and under TYPE_CHECKING count.
ORDER = """
__main__
cli
testing pytest_plugin
__init__ users jobs bag jwt
audit
actions migrate emulator
client
aio
endpoints connection
transactions doctor
http
telemetry
models
changes ratelimit auth external
checks
warn arguments threads markup
files
errors clock forks redact record _version
"""

# The folders of the larger packages, in the same order.
SUBLAYERS = {
    "migrate": "__init__ > html_report review > api offload_api > plan_file > applying > offloading > planning > ledger > waits > blame estimate events report_types",
    "actions": "web > __init__ > login_hook > trigger > runner > execution > api > redirect"
    " > suspended_logins > staging cache unsupported outcome registry failure claims > event",
    "emulator": "process > __init__ > tenant > in_process decorator > control > tenant_users > serving > pipeline > fault_response unserved"
    " > openapi > routes > auth > api > state > rules samples > http",
}

# The emulator is an island: a shared merge or limiter would agree with its own mistake.
# `files` is about paths and knows nothing of Auth0: one judgement of what a name leads to, for all who open one.
ISLAND = {"errors", "clock", "redact", "files", "_version"}
# tenant.client() hands out a client, imported in the function, and takes its settings.
CONNECTED = {("emulator.tenant", "client"), ("emulator.tenant", "connection")}
MOST_FILES = 16
# Import paths that the documentation once named, kept for the code that uses them; three lines each.
EARLIER_PATHS = ("users.py", "jobs.py", "bag.py", "jwt.py")

# The only importers of each package that is not ours and not the standard library; "lazy" means inside a function.
THIRD_PARTY: dict[str, dict[str, str]] = {
    "_typeshed": {"*": "lazy"},
    "attrs": {"*": "top"},
    "requests": {
        "http.connections": "top",
        "http.network": "top",
        "http.transport": "top",
        "client": "lazy",
        "connection": "lazy",
        "emulator.process.announced": "lazy",
        "emulator.serving.requests_adapter": "top",
    },
    "urllib3": {
        "http.connections": "top",
        "http.network": "top",
        "http.transport": "top",
        "emulator.serving.requests_adapter": "top",
    },
    "jose": {"auth.jwt": "lazy", "emulator.state.keys": "lazy"},
    "cryptography": {
        "auth.private_key": "lazy",
        "emulator.state.keys": "lazy",
        "emulator.serving.ca_directory": "lazy",
    },
    "sqlalchemy": {"external.sql_store": "lazy", "external.urls": "lazy"},
    "luqum": {"emulator.rules.search": "lazy"},
    "werkzeug": {"emulator.*": "lazy"},
    "trustme": {"emulator.serving.tls": "lazy", "emulator.serving.ca_directory": "lazy"},
    "certifi": {"emulator.serving.ca_bundle": "lazy"},
    "yaml": {"emulator.control.seed_files": "lazy"},
    "pytest": {"pytest_plugin": "top"},
    "flask": {"actions.web.flask": "top"},
    "django": {"actions.web.django": "top"},
    "asgiref": {"actions.web.django": "top"},  # Django's own
    "starlette": {"actions.web.fastapi": "top"},
    "fastapi": {"actions.web.fastapi": "lazy"},
    "click": {"cli.*": "top"},
    "rich": {"cli.*": "top"},
}

# Packages and modules that decide and do no I/O; and so are all modules that call themselves PURE in their first line.
PURE = (
    "record",
    "markup.*",
    "changes.*",
    "checks.*",
    "redact",
    "errors",
    "actions.event.*",
    "emulator.rules.*",
    "migrate.offloading.evaluator",
)
# What reads a clock, draws a random number, waits, or does I/O.
IMPURE = {
    *("asyncio", "datetime.date", "datetime.datetime", "logging", "os", "random", "secrets", "socket"),
    *("subprocess", "threading", "time", "uuid"),
}


def name_of(path: Path) -> str:
    """Return a module's dotted name without the package's; a sub-package is `emulator.__init__`."""
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts)


MODULES = {name_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def imports(path: Path) -> Iterator[tuple[str, bool]]:
    """Yield (dotted name, whether it is lazy) for every import; those in functions and under TYPE_CHECKING are lazy."""

    def walk(node: ast.AST, *, lazy: bool) -> Iterator[tuple[str, bool]]:
        if isinstance(node, ast.Import):
            yield from ((alias.name, lazy) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name} has a relative import, which hides the layer"
            for alias in node.names:
                yield f"{node.module}.{alias.name}", lazy
        lazy = lazy or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        lazy = lazy or (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test))
        for child in ast.iter_child_nodes(node):
            yield from walk(child, lazy=lazy)

    yield from walk(ast.parse(path.read_text(encoding="utf-8")), lazy=False)


def internal(dotted: str) -> str | None:
    """Return the module of this package that a dotted import names, or None."""
    if dotted.split(".")[0] != "auth0_meta":
        return None
    parts = dotted.split(".")[1:]
    while parts:
        for name in (".".join(parts), ".".join([*parts, "__init__"])):
            if name in MODULES:
                return name
        parts.pop()
    return "__init__"


ARROWS = {
    module: {t for dotted, _ in imports(path) if (t := internal(dotted)) not in (None, module)}
    for module, path in MODULES.items()
}


def layers(text: str, break_at: str) -> dict[str, int]:
    """Return the number of each name's layer, counted from the top."""
    return {name: i for i, line in enumerate(text.strip().split(break_at)) for name in line.split()}


LAYER_OF = layers(ORDER, "\n")
SUBLAYER_OF = {part: layers(order, ">") for part, order in SUBLAYERS.items()}


@pytest.mark.parametrize("module", MODULES)
def test_imports_go_down(module: str) -> None:
    """A module imports only modules of lower layers and of its own folder."""
    part, *inside = module.split(".")
    assert part in LAYER_OF, f"{part} is in no layer: add it to ORDER"
    if part in SUBLAYER_OF:
        assert inside[0] in SUBLAYER_OF[part], f"{module} is in no layer: add it to SUBLAYERS"
    for target in sorted(ARROWS[module]):
        other, *below = target.split(".")
        if part == other:
            if part in SUBLAYER_OF and inside[0] != below[0]:
                here, there = SUBLAYER_OF[part][inside[0]], SUBLAYER_OF[part][below[0]]
                assert here < there, f"{module} imports {target}, which is not in a lower layer"
        elif part == "emulator":
            assert other in ISLAND or (module, other) in CONNECTED, f"{module} imports {target}"
        else:
            assert LAYER_OF[part] < LAYER_OF[other], (
                f"{module} imports {target}, which is not in a lower layer"
            )
            if other == "emulator":
                lazy = all(late for dotted, late in imports(MODULES[module]) if internal(dotted) == target)
                assert lazy, f"{module} imports {target} at its top, but the extra may be missing"


def test_there_is_no_import_cycle() -> None:
    """No module imports itself through others, not even by imports in functions."""
    done: set[str] = set()

    def visit(module: str, way: tuple[str, ...]) -> None:
        assert module not in way, " -> ".join((*way[way.index(module) :], module))
        if module not in done:
            for target in sorted(ARROWS[module]):
                # The package's own names are loaded on use; importing any module of it runs nothing more.
                if target != "__init__":
                    visit(target, (*way, module))
            done.add(module)

    for module in MODULES:
        visit(module, ())


def test_no_folder_is_crowded() -> None:
    """A folder has at most 16 code files; the Management API, with a file for each tag, may have 24."""
    for folder in {path.parent for path in MODULES.values()}:
        most = 24 if folder.parts[-2:] == ("emulator", "api") else MOST_FILES
        files = [path for path in folder.glob("*.py") if folder != PACKAGE or path.name not in EARLIER_PATHS]
        assert len(files) <= most, folder


@pytest.mark.parametrize(
    "package", ["", ".actions", ".actions.web", ".audit", ".external", ".migrate", ".emulator"]
)
def test_no_module_hides_a_public_name(package: str) -> None:
    """No module or folder has the name of something that its package exports: importing the module would hide it."""
    public = __import__(f"auth0_meta{package}", fromlist=["__all__"])
    folder = Path(public.__path__[0])
    modules = {path.stem for path in folder.iterdir() if path.suffix == ".py" or path.is_dir()}
    assert not modules & set(public.__all__)


def is_pure(module: str) -> bool:
    """Return whether a module is listed as pure, or says so itself."""
    first_line = MODULES[module].read_text(encoding="utf-8").partition("\n")[0]
    return "PURE" in first_line or any(fnmatch(module, pattern) for pattern in PURE)


@pytest.mark.parametrize("module", [*filter(is_pure, MODULES)])
def test_pure_modules_do_no_io(module: str) -> None:
    """A pure module imports nothing that reads a clock, draws a random number, waits or does I/O."""
    for dotted, _ in imports(MODULES[module]):
        top, target = dotted.split(".")[0], internal(dotted)
        assert top not in IMPURE, f"{module} imports {dotted}"
        assert dotted not in IMPURE, f"{module} imports {dotted}"
        if target is None:
            known = {"attrs", *sys.stdlib_module_names} | {
                p for p, importers in THIRD_PARTY.items() if module in importers
            }
            assert top in known, f"{module}: {dotted}"


@pytest.mark.parametrize("module", MODULES)
def test_third_party_packages_have_few_importers(module: str) -> None:
    """Each third-party package is imported only by the modules in the table, and on use if it says so; `time` only by clock."""
    for dotted, lazy in imports(MODULES[module]):
        top = dotted.split(".")[0]
        if top == "time":
            assert module == "clock", f"{module} imports time: take a Clock"
        if top in sys.stdlib_module_names or top == "auth0_meta":
            continue
        importers = THIRD_PARTY.get(top)
        assert importers is not None, f"{module} imports {top}, which is not in THIRD_PARTY"
        rule = next((how for pattern, how in importers.items() if fnmatch(module, pattern)), None)
        assert rule is not None, f"{module} imports {top}, but only {sorted(importers)} may"
        assert rule == "top" or lazy, f"{module} imports {top} at its top, but must import it on use"
