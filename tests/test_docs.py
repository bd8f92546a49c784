"""Run the Python blocks of README.md and docs/ in order, against a local tenant, and check what the pages list."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest
from click import Command, Context, Group
from support import (
    shell_sessions,
    web_adapters,
)  # it configures Django, as the page's snippet expects of a project
from support.doc_blocks import PACKAGES, PAGES, ROOT, blocks
from support.log_lines import loggers_restored

from auth0_meta import errors
from auth0_meta.checks.kinds import KINDS
from auth0_meta.cli.app import root
from auth0_meta.cli.commands import COMMANDS
from auth0_meta.emulator import LocalTenant

assert web_adapters.settings.configured
USER = {
    "user_id": "auth0|123",
    "user_metadata": {"prefs": {"lang": "en", "old": 1, "mail": True}},
    "app_metadata": {
        "billing": {"plan": "free", "trial": "2026-12-01"},
        "counters": {"logins": 41},
        "legacy": 1,
    },
}


def commands(command: Command, name: str) -> list[str]:
    """Return the full names of a command and of all its subcommands."""
    below = command.list_commands(Context(command)) if isinstance(command, Group) else ()
    return [name, *(full for key in below for full in commands(loaded(command, key), f"{name} {key}"))]


def loaded(group: Group, name: str) -> Command:
    """Return a command of a group, which may load it for this."""
    command = group.get_command(Context(group), name)
    assert command is not None
    return command


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page)], ids=lambda page: page.name)
def test_every_python_block_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The blocks of a page run from top to bottom, as one program in an empty folder, whose AUTH0_DOMAIN is a local tenant."""
    monkeypatch.chdir(tmp_path)
    with loggers_restored(), LocalTenant(users=[USER]) as tenant:
        for name, value in tenant.env.items():
            monkeypatch.setenv(name, value)
        names: dict[str, object] = {"__name__": "docs", "tenant": tenant}
        for line, source in blocks(page):
            exec(compile("\n" * line + source, str(page), "exec"), names)  # noqa: S102  # our own pages


@pytest.mark.slow
@pytest.mark.parametrize(
    "page", [page for page in PAGES if shell_sessions.steps(page)], ids=lambda page: page.name
)
def test_every_shell_session_is_as_shown(page: Path, tmp_path: Path) -> None:
    """The console blocks of a page run from top to bottom in one shell, beside the local tenant that the first one starts."""
    assert "\n".join(shell_sessions.run(page, tmp_path)) == ""


def test_the_page_on_profile_sizes_has_the_words_of_the_checks() -> None:
    """docs/profile-size.md has a row for each kind of finding, worst first, in the words of `checks.kinds`."""
    page = (ROOT / "docs" / "profile-size.md").read_text(encoding="utf-8")
    rows = "".join(f"| `{kind.name}` | {kind.meaning} | {kind.advice} |\n" for kind in KINDS.values())
    assert f"\n| --- | --- | --- |\n{rows}\n" in page, f"the table should be\n{rows}"


def test_ci_runs_the_test_command_of_the_readme() -> None:
    """`.ci/run` calls it word for word."""
    last = (ROOT / ".ci" / "run").read_text(encoding="utf-8").strip().splitlines()[-1]
    assert f"\n{last}\n" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_every_command_has_help_and_is_documented() -> None:
    """docs/cli.md has a section for each command, and no command lacks a line of help."""
    page = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    titles = set(re.findall(r"^#+ `(auth0-meta[a-z ]*)`", page, re.MULTILINE))
    every = commands(root, "auth0-meta")
    leaves = {name for name in every if not any(other.startswith(f"{name} ") for other in every)}
    assert leaves - titles == set()
    assert [loaded(root, name).name for name in COMMANDS] == root.list_commands(Context(root))
    assert [name for name in COMMANDS if not loaded(root, name).help] == []


def test_every_error_is_documented() -> None:
    """docs/errors.md has a row for each error class and for no other."""
    page = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    named = set(re.findall(r"^\| `(\w+)`", page, re.MULTILINE))
    assert named == {name for name in errors.__all__ if name[0].isupper()}


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_is_in_the_reference(package: str) -> None:
    """docs/reference.md lists what each package exports; errors have their own page."""
    page = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
    listed = set(
        re.findall(rf"^\.\. (?:auto\w+|py:data):: {re.escape(package)}\.(\w+)(?:\(\))?$", page, re.MULTILINE)
    )
    for module in re.findall(
        rf"^\.\. automodule:: {re.escape(package)}\n   :members: (.*)$", page, re.MULTILINE
    ):
        listed |= set(module.split(", "))
    exported = set(importlib.import_module(package).__all__) - {"__version__"}
    assert exported - listed - set(errors.__all__) == set()


def test_every_page_is_in_the_index() -> None:
    """docs/index.md lists every page."""
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^([\w-]+)$", index, re.MULTILINE))
    assert {page.stem for page in PAGES[1:]} - {"index"} <= listed


def test_the_map_in_contributing_is_true() -> None:
    """CONTRIBUTING.md names every top-level package and module, and no path that does not exist."""
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([\w./-]+(?:\.py|\.md|\.ini|\.cfg|/))`", page))
    package = ROOT / "auth0_meta"  # not the installed one, which has no README.md inside
    modules = {path.name for path in package.glob("*.py")} - {"__main__.py", "_version.py"}
    packages = {f"{path.parent.name}/" for path in package.glob("*/__init__.py")}
    assert (modules | packages) - named == set()
    roots = (ROOT, package, *(package / name for name in packages))
    assert {name for name in named if not any((root / name).exists() for root in roots)} == set()
