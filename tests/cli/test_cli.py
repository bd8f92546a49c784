"""The command line: what it prints and where, what reaches the tenant, and its exit codes."""

from __future__ import annotations

import errno
import io
import json
import os
import pty
import re
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from jose import jwt as jose_jwt
from rich.console import Console
from test_docs import USER as DOCUMENTED

from auth0_meta import __version__
from auth0_meta.cli import main
from auth0_meta.cli.app import root
from auth0_meta.cli.commands import COMMANDS
from auth0_meta.emulator import LocalTenant

USER = "auth0|123"
PROFILE = {
    "user_id": USER,
    "email": "ada@example.com",
    "name": "Ada",
    "user_metadata": {"prefs": {"lang": "en", "mail": True}, "theme": "light"},
    "app_metadata": {"billing": {"plan": "free", "seats": 3}},
}
CANARY = "canary-7f3a"
COLOUR = re.compile(r"\x1b\[[\d;]*(3|9)\dm")


@pytest.fixture
def tenant(monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalTenant]:
    """Serve a tenant with one user; AUTH0_* point at it."""
    with LocalTenant(users=[PROFILE]) as local:
        for name, value in local.env.items():
            monkeypatch.setenv(name, value)
        yield local


def command(*words: str, **settings: Any) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own."""
    line = [sys.executable, "-m", "auth0_meta", *words]
    return subprocess.run(line, capture_output=True, text=True, timeout=60, check=False, **settings)


UNNEEDED = ["requests", "auth0_meta.client", "auth0_meta.migrate", "rich.syntax"]


def leaves(group: click.Group) -> Iterator[tuple[str, ...]]:
    """Yield the words of every command and group."""
    context = click.Context(group)
    for name in group.list_commands(context):
        sub = group.get_command(context, name)
        yield (name,)
        if isinstance(sub, click.Group):
            yield from ((name, *below) for below in leaves(sub))


# Starting --------------------------------------------------------------------------------------------


def test_version_and_help_are_printed() -> None:
    """Both the module and the console script print the version and the commands."""
    assert command("--version").stdout == f"auth0-meta {__version__}\n"
    script = Path(sys.executable).with_name("auth0-meta")
    shown = subprocess.run([script, "--help"], capture_output=True, text=True, timeout=60, check=True).stdout
    assert all(name in shown for name in COMMANDS)


@pytest.mark.parametrize("words", list(leaves(root)), ids=" ".join)
def test_every_command_has_help(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    """`--help` of each command says what it does and exits with 0."""
    assert main([*words, "--help"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("Usage: auth0-meta " + " ".join(words))
    assert err == ""


@pytest.mark.parametrize("words", [[], ["user"], ["emulator"]], ids=" ".join)
def test_a_group_alone_shows_its_help(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Without a command, the help goes to stdout, and the exit code is 0."""
    assert main(words) == 0
    out, err = capsys.readouterr()
    assert "Commands:" in out
    assert err == ""


@pytest.mark.parametrize("missing", ["click", "rich"])
def test_without_the_cli_extra_only_help_and_version_work(
    missing: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without click or rich, every other command names the extra and exits with 2."""
    for name in list(sys.modules):
        if name.startswith("auth0_meta.cli.") or name.partition(".")[0] == missing:
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    for word in ("--version", "-V"):
        assert main([word]) == 0
        assert capsys.readouterr().out == f"auth0-meta {__version__}\n"
    for words in (["--help"], ["-h"], ["help"], []):
        assert main(words) == 0
        out = capsys.readouterr().out
        assert all(name in out for name in COMMANDS)
        assert "pip install 'auth0-meta[cli]'" in out
    assert main(["demo"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "pip install 'auth0-meta[cli]'" in err


def test_another_missing_module_is_not_taken_for_a_missing_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken installation fails with its own error."""
    for name in list(sys.modules):
        if name.startswith("auth0_meta.cli."):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "auth0_meta.cli.demo", None)
    with pytest.raises(ModuleNotFoundError, match=r"auth0_meta\.cli\.demo"):
        main(["demo"])
    assert main(["--version"]) == 0  # a command loads nothing of another


def test_serving_a_tenant_loads_neither_the_client_nor_migrations() -> None:
    """What a command does not need would double the time until it responds."""
    statements = "from auth0_meta.cli import main; main(['emulator', 'serve', '--help'])"
    program = f"import sys; {statements}; sys.exit([name for name in {UNNEEDED} if name in sys.modules] or 0)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("words", [["demo"], ["emulator", "serve"]], ids=" ".join)
def test_without_the_emulator_extra_its_commands_name_it(words: list[str]) -> None:
    """They exit with 2."""
    block = "import sys; sys.modules.update(werkzeug=None); from auth0_meta.cli import main; "
    line = [sys.executable, "-c", f"{block}sys.exit(main({words!r}))"]
    done = subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "auth0-meta[emulator]" in done.stderr
    assert "Traceback" not in done.stderr


# Errors ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["frobnicate"], 2, "No such command 'frobnicate'"),
        (["user", "show"], 2, "Missing argument 'ID|EMAIL'"),
        (["user", "show", "auth0|nobody"], 1, "The user does not exist"),
        (["user", "show", USER, "--domain", "http://example.com"], 2, "plain http is for loopback only"),
        (["user", "show", USER, "--token", "two words"], 2, "the token must be"),
        (["user", "set", USER, "theme=dark"], 2, "write user_metadata.KEY=TEXT"),
        (["user", "set", USER, "user_metadata=dark"], 2, "write user_metadata.KEY=TEXT"),
        (["user", "set", USER, "user_metadata.a..b=dark"], 2, "write user_metadata.KEY=TEXT"),
        (["user", "set", USER, "user_metadata.theme"], 2, "write user_metadata.KEY=TEXT"),
        (
            ["user", "set", USER, "user_metadata.n:=dark"],
            2,
            "user_metadata.n is not valid JSON (line 1 column 1)",
        ),
        (["user", "set", USER, "user_metadata.n:=" + "[" * 100_000], 2, "nested too deeply"),
        (["user", "set", USER, "user_metadata.n:=NaN"], 2, "user_metadata 'n'"),
        (["user", "set", USER, "app_metadata.email=x"], 2, "Auth0 reserves this name"),
        (["user", "set", USER, "user_metadata.theme.x=1"], 2, "user_metadata 'theme'"),
        (["user", "merge", USER, "{"], 2, "the document is not valid JSON"),
        (["user", "merge", USER, "[]"], 2, "the document must be an object with user_metadata"),
        (["user", "merge", USER, "{}"], 2, "the document must be an object with user_metadata"),
        (["user", "merge", USER, '{"name": "Ada"}'], 2, "the document must be an object with user_metadata"),
        (["user", "merge", USER, '{"user_metadata": null}'], 2, "user_metadata must be an object"),
        (["user", "merge", USER, "@/no/such/file"], 2, "/no/such/file: No such file"),
        (["emulator", "serve", "--rate-limit", "plenty"], 2, "rate_limit 'plenty' is unknown"),
        (["emulator", "serve", "--port", "70000"], 2, "70000 is not in the range"),
    ],
    ids=lambda value: " ".join(value)[:60] if isinstance(value, list) else None,
)
def test_a_failure_is_one_line_and_a_code(
    words: list[str], code: int, message: str, tenant: LocalTenant, capsys: pytest.CaptureFixture[str]
) -> None:
    """A failure is explained on the last line of stderr; nothing is printed to stdout or written to the tenant."""
    assert main(words) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines()[-1].startswith("error: ")
    assert message in err.splitlines()[-1]
    assert tenant.journal.count("PATCH") == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize(
    "words", [["user", "show", USER], ["user", "show", USER, "--json"], ["doctor"], ["--help"]]
)
def test_output_that_cannot_be_written_is_one_line(words: list[str], tenant: LocalTenant) -> None:
    """A full disk behind stdout is one line on stderr, and exit code 1."""
    line = [sys.executable, "-m", "auth0_meta", *words]
    for env in (None, {**os.environ, "PYTHONUNBUFFERED": "1"}):
        with open("/dev/full", "wb") as full:
            done = subprocess.run(
                line, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False, env=env
            )
        assert done.returncode == 1
        assert done.stderr.startswith("error: the output can't be written: No space left on device. ")
        assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (
            OSError(errno.EINVAL, "Invalid argument"),
            "error: the system refused an operation: Invalid argument. ",
        ),
        (
            OSError(errno.EMFILE, "Too many open files"),
            "error: the system refused an operation: Too many open",
        ),
        (BlockingIOError(), "error: the system refused an operation: BlockingIOError. "),
        (PermissionError(errno.EACCES, "Permission denied", "x.txt"), "error: x.txt: Permission denied"),
    ],
)
def test_an_error_of_the_system_is_not_called_an_output_that_cannot_be_written(
    error: OSError, line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only what comes from printing is about the output."""

    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("auth0_meta.migrate.status", fail)
    assert main(["migrate", "status", "job.db"]) == 1
    assert capsys.readouterr().err.startswith(line)


def test_without_any_output_there_is_no_traceback(tenant: LocalTenant) -> None:
    """If both outputs are full or closed, there is only the exit code."""
    line = [sys.executable, "-m", "auth0_meta", "user", "show", "auth0|nobody"]
    with open("/dev/full" if Path("/dev/full").exists() else os.devnull, "wb") as full:
        done = subprocess.run(line, stdout=full, stderr=full, timeout=60, check=False)
    assert done.returncode == 1


@pytest.mark.parametrize(
    "words", [("--version",), ("user", "show", USER), ("migrate", "show", "JOB", "--csv")]
)
@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_a_closed_output_is_like_none(
    words: tuple[str, ...], closed: str, tenant: LocalTenant, tmp_path: Path
) -> None:
    """A command does its work, and its exit code is the same."""
    (tmp_path / "a.csv").write_text(f"user_id,app_metadata.a\n{USER},x\n", encoding="utf-8")
    job = tmp_path / "job.db"
    assert command("migrate", "plan", str(tmp_path / "a.csv"), "-o", str(job)).returncode == 0
    line = shlex.join(
        [sys.executable, "-m", "auth0_meta", *(str(job) if word == "JOB" else word for word in words)]
    )
    done = subprocess.run(["sh", "-c", f"{line} {closed}"], capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def test_an_output_without_unicode_gets_escapes(tenant: LocalTenant) -> None:
    """Characters that stdout's encoding lacks are escaped as in JSON, and JSON stays JSON."""
    user = tenant.users.add(user_id="auth0|1", name="Åsa 名", user_metadata={"名": "\U0001f600 é"})
    ascii_only = {**os.environ, "LC_ALL": "C", "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    shown = command("user", "show", "auth0|1", env=ascii_only)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "\\u00c5sa \\u540d" in shown.stdout
    as_json = command("user", "show", "auth0|1", "--json", env=ascii_only)
    assert json.loads(as_json.stdout) == dict(user)


def test_nothing_that_a_user_wrote_controls_the_terminal(
    tenant: LocalTenant, capsys: pytest.CaptureFixture[str]
) -> None:
    """Control and bidi characters in names, keys, values and messages of the tenant are escaped."""
    evil = "\x1b]0;pwned\x07\u009b31m\u202e\nEVIL"
    tenant.users.add(
        user_id="auth0|1", name=f"Eve{evil}", user_metadata={f"k{evil}": evil}, app_metadata=evil
    )
    patch = json.dumps({"user_metadata": {f"k{evil}": evil * 2}})
    tenant.fail(method="GET", user_id="auth0|2", status=404, body={"statusCode": 404, "message": evil})
    output = ""
    for words in (
        *(["show", "auth0|1", *flags] for flags in ([], ["--json"], ["--redact"], ["--redact", "--json"])),
        *(["merge", "auth0|1", patch, *flags] for flags in (["--dry-run"], ["--dry-run", "--redact"], [])),
        ["show", "auth0|2"],
    ):
        main(["user", *words])
        captured = capsys.readouterr()
        output += captured.out + captured.err
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]|^EVIL", output, re.MULTILINE)
    assert "  name     Eve\\u001b]0;pwned\\u0007\\u009b31m\\u202e\\u000aEVIL" in output
    assert "auth0|1 updated: user_metadata(k\\u001b]" in output
    assert "was refused: 404" in output


def test_data_that_looks_like_markup_is_left_alone(
    tenant: LocalTenant, capsys: pytest.CaptureFixture[str]
) -> None:
    """Emoji codes and rich's markup in a profile are printed unchanged."""
    tenant.users.add(user_id="auth0|1", name="[red]:heart:[/]", user_metadata={":heart:": "[b]:heart:"})
    assert main(["user", "show", "auth0|1"]) == 0
    out = capsys.readouterr().out
    assert "name     [red]:heart:[/]\n" in out
    assert '":heart:": "[b]:heart:"' in out


def test_missing_settings_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    """Without AUTH0_DOMAIN, the error asks for it."""
    assert main(["user", "show", USER]) == 2
    assert "AUTH0_DOMAIN is not set" in capsys.readouterr().err


def test_refused_credentials_and_scopes_exit_with_4(
    tenant: LocalTenant, capsys: pytest.CaptureFixture[str]
) -> None:
    """A revoked token and a missing scope exit with 4, and the error says what to do."""
    revoked = tenant.token()
    tenant.revoke(revoked)
    assert main(["user", "show", USER, "--token", revoked]) == 4
    assert revoked not in capsys.readouterr().err
    reader = tenant.token(scopes=["read:users"])
    assert main(["user", "set", USER, "user_metadata.a=b", "--token", reader]) == 4
    assert "update:users" in capsys.readouterr().err


def test_ctrl_c_exits_with_130(tenant: LocalTenant) -> None:
    """An interrupted command prints one word and no traceback."""
    tenant.fail(method="GET", user_id=USER, delay=30)
    line = [sys.executable, "-m", "auth0_meta", "user", "show", USER]
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        wait = threading.Event()
        while not tenant.journal.count("POST") and not wait.wait(0.05):
            pass
        wait.wait(0.5)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert (out, err.strip()) == ("", "interrupted")


@pytest.mark.parametrize("flags", [(), ("--json",)], ids=" ".join)
@pytest.mark.parametrize("size", [10, 200_000], ids=["short", "long"])
def test_a_reader_that_goes_away_is_not_an_error(
    size: int, flags: tuple[str, ...], tenant: LocalTenant
) -> None:
    """If its output is closed early, as by `| head`, the command ends silently."""
    tenant.users[USER].patch(user_metadata={"long": "x" * size})
    line = [sys.executable, "-m", "auth0_meta", "user", "show", USER, *flags]
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == ""
    assert process.returncode in (0, 1)  # click exits with 0, rich and older versions of click with 1


def test_a_library_warning_is_one_line(tenant: LocalTenant) -> None:
    """A MetadataWarning is printed without Python's source line, and the change is made."""
    done = command("user", "set", USER, "user_metadata.card=4111 1111 1111 1111")
    assert done.returncode == 0
    warning = done.stderr.splitlines()[0]
    assert warning.startswith("warning: ")
    assert "card" in warning
    assert "4111" not in done.stderr + done.stdout
    assert tenant.journal.count("PATCH") == 1


# user ------------------------------------------------------------------------------------------------


def test_show_prints_the_profile(tenant: LocalTenant, capsys: pytest.CaptureFixture[str]) -> None:
    """`user show` prints id, email, user_metadata and app_metadata; `--json` prints the whole profile."""
    assert main(["user", "show", USER]) == 0
    out = capsys.readouterr().out
    for part in (USER, "ada@example.com", '"lang": "en"', '"plan": "free"'):
        assert part in out
    assert main(["user", "show", USER, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == dict(tenant.users[USER])


def test_show_prints_valid_json_or_says_why_not(
    tenant: LocalTenant, capsys: pytest.CaptureFixture[str]
) -> None:
    """A number that no double can hold would come out as `Infinity`, which is not JSON."""
    body = f'{{"user_id": "{USER}", "app_metadata": {{"n": 1e400}}}}'
    tenant.fail(method="GET", status=200, body=body)
    assert main(["user", "show", USER, "--json"]) == 1
    out, err = capsys.readouterr()
    assert "too large for a double" in json.loads(out)["error"]["message"]
    assert "too large for a double" in err


def test_show_redacts(tenant: LocalTenant, capsys: pytest.CaptureFixture[str]) -> None:
    """With --redact, both forms show only names and sizes, and nothing personal."""
    assert main(["user", "show", USER, "--redact"]) == 0
    assert main(["user", "show", USER, "--redact", "--json"]) == 0
    out = capsys.readouterr().out
    assert "prefs" in out
    for hidden in ("ada@example.com", "Ada", "free", "light"):
        assert hidden not in out
    data = json.loads(out[out.index("{") :])
    assert data == {
        "user_id": USER,
        "user_metadata": {"prefs": 25, "theme": 7},
        "app_metadata": {"billing": 25},
    }


@pytest.mark.parametrize("flags", [[], ["--json"], ["--redact"], ["--redact", "--json"]], ids=" ".join)
def test_show_accepts_odd_metadata(
    flags: list[str], tenant: LocalTenant, capsys: pytest.CaptureFixture[str]
) -> None:
    """Metadata that is empty, absent or not an object is shown as it is."""
    odd = tenant.users.add(user_id="auth0|odd", app_metadata="a text", user_metadata={})
    assert main(["user", "show", odd.user_id, *flags]) == 0
    out = capsys.readouterr().out
    assert ("a text" in out) == ("--redact" not in flags)


def test_show_leaves_out_absent_fields(tenant: LocalTenant, capsys: pytest.CaptureFixture[str]) -> None:
    """A profile with few fields is shown with those fields."""
    tenant.fail(method="GET", status=200, body={"user_id": USER})
    assert main(["user", "show", USER]) == 0
    out = capsys.readouterr().out
    assert out == f"{USER}\n\nuser_metadata  empty\n\napp_metadata  empty\n"


def test_set_is_one_patch(tenant: LocalTenant, capsys: pytest.CaptureFixture[str]) -> None:
    """Strings, JSON and deletions in both kinds of metadata are one PATCH; siblings stay; no value is printed."""
    words = [
        "user_metadata.prefs.lang=fi",
        f"user_metadata.motto=a=b {CANARY}",
        "user_metadata.theme:=null",
        'app_metadata.billing.plan:="pro"',
        "app_metadata.ids:=[1, null]",
    ]
    assert main(["user", "set", USER, *words]) == 0
    user = tenant.users[USER]
    assert user.user_metadata == {"prefs": {"lang": "fi", "mail": True}, "motto": f"a=b {CANARY}"}
    assert user.app_metadata == {"billing": {"plan": "pro", "seats": 3}, "ids": [1, None]}
    assert tenant.journal.count("PATCH") == 1
    out, err = capsys.readouterr()
    assert out.startswith(f"{USER} updated: user_metadata(")
    assert err == "2 requests, 1 PATCH\n"
    assert CANARY not in out + err


def test_set_says_when_there_is_nothing_to_do(
    tenant: LocalTenant, capsys: pytest.CaptureFixture[str]
) -> None:
    """A nested change that makes no difference sends no PATCH and says so."""
    assert main(["user", "set", USER, "user_metadata.prefs.lang=en"]) == 0
    assert capsys.readouterr().out == f"{USER} unchanged: nothing to send\n"
    assert tenant.journal.count("PATCH") == 0
    assert main(["user", "set", USER, "user_metadata.prefs.lang=en", "--dry-run"]) == 0
    assert capsys.readouterr() == ("", "dry run: nothing to send\n")


def test_set_waits_and_says_so(tenant: LocalTenant, capsys: pytest.CaptureFixture[str]) -> None:
    """A 429 is retried after a wait, which is announced on stderr and counted."""
    tenant.fail(method="PATCH", status=429, reset=1)
    assert main(["user", "set", USER, "user_metadata.theme=dark"]) == 0
    out, err = capsys.readouterr()
    assert out == f"{USER} updated: user_metadata(theme 6 B)\n"
    assert re.fullmatch(
        r"waiting \d\.\d s \(rate limit\)\n(waiting .*\n)*2 requests, 2 PATCHes, \d\.\d s waited\n", err
    )


@pytest.mark.parametrize(
    ("words", "document"),
    [
        (["user_metadata.theme=dark"], {"user_metadata": {"theme": "dark"}}),
        (["app_metadata.billing.seats:=4"], {"app_metadata": {"billing": {"plan": "free", "seats": 4}}}),
    ],
    ids=["flat", "nested"],
)
def test_dry_run_shows_what_would_be_sent(
    words: list[str], document: Any, tenant: LocalTenant, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--dry-run` writes nothing, and prints exactly the body that the same command then sends."""
    assert main(["user", "set", USER, *words, "--dry-run"]) == 0
    assert json.loads(capsys.readouterr().out) == document
    assert tenant.journal.count("PATCH") == 0
    assert main(["user", "set", USER, *words, "--dry-run", "--redact"]) == 0
    assert " B)" in capsys.readouterr().out
    assert main(["user", "set", USER, *words]) == 0
    assert [entry.body for entry in tenant.journal.requests("PATCH")] == [document]


@pytest.mark.parametrize("source", ["argument", "file", "stdin"])
def test_merge_takes_a_document(
    source: str, tenant: LocalTenant, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """`user merge` merges deeply, from an argument, a file (with a BOM too) or stdin; null deletes."""
    document = '{"user_metadata": {"prefs": {"lang": "å", "mail": null}}, "app_metadata": {"new": {"a": 1}}}'
    (tmp_path / "changes.json").write_text(document, encoding="utf-8-sig")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(document.encode())))
    argument = {"argument": document, "file": f"@{tmp_path / 'changes.json'}", "stdin": "-"}[source]
    assert main(["user", "merge", USER, argument]) == 0
    user = tenant.users[USER]
    assert user.user_metadata == {"prefs": {"lang": "å"}, "theme": "light"}
    assert user.app_metadata == {"billing": {"plan": "free", "seats": 3}, "new": {"a": 1}}
    assert tenant.journal.count("PATCH") == 1


def test_merge_refuses_bytes_that_are_not_text(
    monkeypatch: pytest.MonkeyPatch, tenant: LocalTenant, capsys: pytest.CaptureFixture[str]
) -> None:
    """Bytes that are not UTF-8 are a usage error."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\xff")))
    assert main(["user", "merge", USER, "-"]) == 2
    assert "standard input: not UTF-8 text" in capsys.readouterr().err


# doctor ----------------------------------------------------------------------------------------------


def test_doctor_passes_good_settings(
    tenant: LocalTenant, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every check is ok and nothing is written; no rate limit leaves a check open, and so does any token that is accepted."""
    assert main(["doctor"]) == 0
    assert capsys.readouterr().out.endswith("\n5 passed, 2 could not be determined.\n")
    with LocalTenant(rate_limit="enterprise", strict=True) as limited, monkeypatch.context() as patch:
        for name, value in limited.env.items():
            patch.setenv(name, value)
        assert main(["doctor"]) == 0
    out = capsys.readouterr().out
    assert "FAIL" not in out
    assert out.endswith("All checks passed.\n")
    assert main(["doctor", "--json"]) == 0
    checks = json.loads(capsys.readouterr().out)
    assert {"token", "audience", "scopes", "clock"} <= {check["name"] for check in checks}
    assert not any(entry.committed for entry in tenant.journal)


def test_doctor_does_not_count_open_checks_as_passed(
    tenant: LocalTenant, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An opaque token leaves two checks open; they are counted separately, with or without a failure."""
    assert main(["doctor", "--token", "opaque"]) == 0
    assert re.search(r"\n\d passed, \d could not be determined\.\n$", capsys.readouterr().out)
    tenant.fail(method="GET", status=500, times=None)
    monkeypatch.setattr("auth0_meta.doctor._BUDGET", 0.0)
    assert main(["doctor", "--token", "opaque"]) == 4
    assert re.search(r"\n1 of 4 checks failed, 2 could not be determined\.\n$", capsys.readouterr().out)


@pytest.mark.parametrize("width", [60, 80])
def test_doctor_fits_a_terminal(
    width: int, tenant: LocalTenant, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its lines are wrapped beside the names of the checks; in a pipe each text is one line."""
    expired = jose_jwt.encode({"exp": 1}, "secret", algorithm="HS256")
    assert main(["doctor", "--token", expired]) == 4
    piped = capsys.readouterr().out
    monkeypatch.setattr(
        "auth0_meta.cli.doctor.console",
        lambda: Console(width=width, force_terminal=True, no_color=True, highlight=False),
    )
    assert main(["doctor", "--token", expired]) == 4
    lines = re.sub("\x1b\\[[0-9;]*m", "", capsys.readouterr().out).splitlines()
    assert max(map(len, lines)) <= width
    assert len(lines) > len(piped.splitlines())
    assert " ".join(" ".join(lines).split()) == " ".join(piped.split())
    assert re.search(r"given, \d+ characters, ended \d+ days ago", piped)


def test_doctor_names_a_missing_scope(tenant: LocalTenant, capsys: pytest.CaptureFixture[str]) -> None:
    """A token without update:users fails the scope check, which says what to grant; exit code 4."""
    assert main(["doctor", "--token", tenant.token(scopes=["read:users"])]) == 4
    out = capsys.readouterr().out
    assert re.search(r"FAIL +scopes +missing: update:users\n +Grant", out)
    assert re.search(r"1 of \d checks failed, 2 could not be determined\.\n$", out)


def test_doctor_names_refused_credentials(tenant: LocalTenant, capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong secret fails the token check with exit code 4, and is not shown."""
    tenant.add_client("mine", client_secret="right")
    os.environ["AUTH0_CLIENT_ID"], os.environ["AUTH0_CLIENT_SECRET"] = "mine", CANARY
    assert main(["doctor", "--json"]) == 4
    out, err = capsys.readouterr()
    failed = [check for check in json.loads(out) if check["ok"] is False]
    assert failed[0]["name"] == "token"
    assert failed[0]["remedy"]
    assert CANARY not in out + err


def test_doctor_names_an_unreachable_tenant(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A domain that does not respond fails the domain check with exit code 1."""
    monkeypatch.setenv("AUTH0_DOMAIN", "http://127.0.0.1:9")
    monkeypatch.setenv("AUTH0_CLIENT_ID", "a")
    monkeypatch.setenv("AUTH0_CLIENT_SECRET", "b")
    assert main(["doctor"]) == 1
    assert re.search(r"FAIL +domain ", capsys.readouterr().out)


# emulator and demo -----------------------------------------------------------------------------------


def test_emulator_serve_runs_until_interrupted() -> None:
    """It prints to stderr what to export, serves there, and exits with 0 on Ctrl-C."""
    line = [sys.executable, "-m", "auth0_meta", "emulator", "serve", "--port", "0", "--rate-limit", "10@2"]
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        exported: dict[str, str] = {}
        while "AUTH0_CLIENT_SECRET" not in exported:
            text = process.stderr.readline()
            assert text, "the server ended early"
            name, equals, value = text.strip().removeprefix("export ").partition("=")
            if equals:
                exported[name] = value
        doctor = command("doctor", "--json", env={**os.environ, **exported})
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=30)
    assert doctor.returncode == 0, doctor.stdout
    assert "of 10 tokens left" in doctor.stdout
    assert process.returncode == 0
    assert out == ""


def test_a_sample_tenant_has_the_user_of_the_documentation(capsys: pytest.CaptureFixture[str]) -> None:
    """`--sample` starts with the user that the pages of the documentation change; it can't be combined with --users."""
    show = [sys.executable, "-m", "auth0_meta", "user", "show", USER, "--json"]
    done = command("emulator", "exec", "--sample", "--", *show)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert {name: found[name] for name in DOCUMENTED} == DOCUMENTED
    assert main(["emulator", "serve", "--sample", "--users", "x.json"]) == 2
    assert "--sample and --users" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "users"),
    [
        (("--sample",), 3),
        (("--sample", "--port", "0"), 3),
        (("--sample", "small"), 3),
        (("--sample=oversized",), 400),
        (("--seed", "--sample", "--sample", "oversized"), None),
        (("--port", "0", "--sample", "oversized", "--"), 400),
    ],
)
def test_the_name_of_a_sample_may_be_left_out(words: tuple[str, ...], users: int | None) -> None:
    """What follows `--sample` is its name only if there is such a sample, so a command to run may follow; an option's value is never taken for it."""
    listing = [sys.executable, "-m", "auth0_meta", "user", "list", "--limit", "1000", "--json"]
    done = command("emulator", "exec", *words, *listing)
    if users is None:
        assert done.returncode == 2
        assert "'--sample' is not a valid integer" in done.stderr
    else:
        assert done.returncode == 0, done.stderr
        assert len(json.loads(done.stdout)) == users


def test_a_sample_that_does_not_exist_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """The error lists those that there are."""
    assert main(["emulator", "serve", "--sample=large"]) == 2
    assert "'small', 'oversized'" in capsys.readouterr().err


def test_the_command_line_knows_every_sample() -> None:
    """It lists them without the extra that makes them."""
    from auth0_meta.cli import emulator
    from auth0_meta.emulator.samples import SAMPLES

    assert list(SAMPLES) == list(emulator._SAMPLES)


def test_emulator_serve_reports_a_port_in_use(tenant: LocalTenant) -> None:
    """The error is one line that asks for another port, and the exit code is 1."""
    done = command("emulator", "serve", "--port", tenant.url.rpartition(":")[2])
    assert done.returncode == 1
    assert done.stderr.startswith("error: can't listen on localhost:")
    assert done.stderr.endswith("Choose another --port\n")


@pytest.mark.slow
def test_demo_is_plain_text_in_a_pipe() -> None:
    """It shows what was staged, the PATCH, the 429 with its wait, and the result."""
    done = command("demo")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "\x1b" not in done.stdout
    story = done.stdout
    patches = re.findall(r"PATCH /api/v2/users/auth0%7Cada +(\d{3})", story)
    assert patches == ["200", "429", "200"]
    assert re.search(r"waiting [1-4]\.\d s until X-RateLimit-Reset", story)
    assert '"prefs": {"lang": "fi", "mail": true}' in story
    assert "requests sent: 0" in story
    assert max(map(len, story.splitlines())) <= 100


@pytest.mark.parametrize("no_color", [False, True], ids=["color", "NO_COLOR"])
@pytest.mark.slow
def test_demo_counts_down_on_a_terminal(no_color: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The wait counts down, in color unless NO_COLOR is set."""
    monkeypatch.setenv("TERM", "xterm-256color")
    if no_color:
        monkeypatch.setenv("NO_COLOR", "1")
    ours, theirs = pty.openpty()
    shown = b""
    with subprocess.Popen(
        [sys.executable, "-m", "auth0_meta", "demo"], stdin=theirs, stdout=theirs, stderr=theirs
    ) as process:
        os.close(theirs)
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:  # how Linux reports the end of file on a terminal
                break
            if not part:
                break
            shown += part
        process.wait(timeout=30)
    os.close(ours)
    assert process.returncode == 0
    story = shown.decode()
    assert bool(COLOUR.search(story)) != no_color
    assert len(set(re.findall(r"waiting (\d\.\d) s until", story))) > 5
    assert re.search(r"waited \d\.\d s until X-RateLimit-Reset", story)


# Ctrl-C before and after the command ----------------------------------------------------------------------

INTERRUPT = "import os, signal; os.kill(os.getpid(), signal.SIGINT)"


@pytest.mark.skipif(sys.platform == "win32", reason="sends itself a signal")
@pytest.mark.parametrize(
    ("block", "code", "said"),
    [
        (f"cli.load = lambda: exec({INTERRUPT!r})", 130, "interrupted\n"),
        (f"cli.main = lambda: exec({INTERRUPT!r})", 130, "interrupted\n"),
        (f"import atexit; atexit.register(exec, {INTERRUPT!r}, {{}}); cli.main = lambda: 3", 3, ""),
        (
            f"signal.signal(2, signal.SIG_IGN); cli.load = lambda: exec({INTERRUPT!r}); cli.main = lambda: 3",
            3,
            "",
        ),
    ],
    ids=[
        "while modules are loaded",
        "in the command",
        "while the interpreter shuts down",
        "ignored by the caller",
    ],
)
def test_an_interrupted_process_ends_with_130_at_any_instant(block: str, code: int, said: str) -> None:
    """Python would end it as if by the signal, because the interrupt struck inside a text that it executes."""
    program = f"import signal, sys; signal.signal(2, signal.default_int_handler); from auth0_meta import cli; {block}"
    run = subprocess.run(
        [sys.executable, "-c", f"{program}\nfrom auth0_meta.__main__ import start\nsys.exit(start())"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (run.returncode, run.stderr, run.stdout) == (code, said, "")
