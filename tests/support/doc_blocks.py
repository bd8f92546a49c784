"""The Python blocks of README.md and docs/; and each as a module, for type checkers.

    python tests/support/doc_blocks.py DIRECTORY

This writes the modules, and the configuration of pyright.  A block imports from the blocks before it on its page what it uses
of theirs, so a name may mean something else in a later block.  Lines keep their numbers.
"""

from __future__ import annotations

import ast
import json
import re
import symtable
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PACKAGES = (
    "auth0_meta",
    "auth0_meta.actions",
    "auth0_meta.actions.event",
    "auth0_meta.actions.web",
    "auth0_meta.audit",
    "auth0_meta.emulator",
    "auth0_meta.external",
    "auth0_meta.migrate",
    "auth0_meta.testing",
)
"""What docs/reference.md describes: the packages that users import from."""

# What the tests give each page.
_GIVEN = "from auth0_meta.emulator import LocalTenant\n\ntenant = LocalTenant()\n"
# An import may be for a later block.
_PYRIGHT = {"typeCheckingMode": "strict", "reportUnusedImport": False}
# Pyright finds no types for these, so strict would complain about every line that uses them; and Django's own source
# is misleading about a request's session and a response's content.
_UNTYPED = {
    "django": "standard, reportAttributeAccessIssue=false, reportArgumentType=false",
    "authlib": "standard",
}


def blocks(page: Path) -> list[tuple[int, str]]:
    """Return (line number, source) of every fenced Python block of a page."""
    text = page.read_text(encoding="utf-8")
    found = re.finditer(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [(text.count("\n", 0, match.start(1)), match[1]) for match in found]


def write_modules(directory: Path) -> int:
    """Write a module for each block, and return how many there are."""
    directory.mkdir(parents=True, exist_ok=True)
    modules = {"given": _GIVEN} | {name: text for page in PAGES for name, text in _modules(page)}
    for name, text in modules.items():
        (directory / f"{name}.py").write_text(text, encoding="utf-8")
    (directory / "pyrightconfig.json").write_text(json.dumps(_PYRIGHT), encoding="utf-8")
    return len(modules)


def _modules(page: Path) -> Iterator[tuple[str, str]]:
    known = {"tenant": "from given import tenant"}  # name -> the import that brings it
    modes: dict[str, str] = {}
    for line, source in blocks(page):
        module = f"{page.stem.replace('-', '_').lower()}_{line}"
        table = symtable.symtable(source, str(page), "exec")
        bound = {s.get_name() for s in table.get_symbols() if s.is_assigned() or s.is_imported()}
        used = {n for n in _used(table) & known.keys() if n not in bound or _is_read_first(source, n)}
        head = "; ".join(sorted(known[name] for name in used))
        imported = f"{head}\n{source}"
        mode = next((mode for name, mode in _UNTYPED.items() if f"from {name}" in imported), "")
        mode = mode or next((modes[n] for n in used if n in modes), "")
        yield module, f"{head}\n{mode and f'# pyright: {mode}'}\n" + "\n" * (line - 2) + source
        known |= {name: f"from {module} import {name}" for name in bound} | _imports(source)
        modes |= dict.fromkeys(bound, mode) if mode else {}


def _imports(source: str) -> dict[str, str]:
    """Return the names that a block imports, each with the statement that imports it."""
    found = {}
    for node in ast.parse(source).body:
        for alias in node.names if isinstance(node, ast.Import | ast.ImportFrom) else ():
            one = ast.copy_location(type(node)(**{**vars(node), "names": [alias]}), node)
            found[alias.asname or alias.name.partition(".")[0]] = ast.unparse(one)
    return found


def _used(table: symtable.SymbolTable) -> set[str]:
    """Return the global names that a scope and those inside it use."""
    top = table.get_type() == "module"
    own = {s.get_name() for s in table.get_symbols() if s.is_referenced() and (top or s.is_global())}
    return own.union(*map(_used, table.get_children()))


def _is_read_first(source: str, name: str) -> bool:
    """Return whether a block reads a name before it binds it; an assignment binds it at its end."""
    read, bound = [], []
    ends: dict[ast.AST, tuple[int, int]] = {}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Assign):
            ends |= dict.fromkeys(node.targets, (node.end_lineno or 0, node.end_col_offset or 0))
        if isinstance(node, ast.Name) and node.id == name:
            where = ends.get(node, (node.lineno, node.col_offset))
            (read if isinstance(node.ctx, ast.Load) else bound).append(where)
    return bool(read) and min(read) < min(bound, default=(0, 0))


if __name__ == "__main__":
    print(write_modules(Path(sys.argv[1])), "modules")  # noqa: T201
