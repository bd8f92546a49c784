"""The commands exec, env and snapshot, and each recipe with the tool that it is for."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import trustme
from support.scripted_server import Reply, ScriptedServer

from auth0_meta.cli import main
from auth0_meta.emulator import LocalTenant
from auth0_meta.emulator.control.recipes import TOOLS, exports, script
from auth0_meta.emulator.process.announced import announced, find_run, find_serving, run_directory
from auth0_meta.emulator.process.exec import execute
from auth0_meta.emulator.process.running import facts_of
from auth0_meta.emulator.serving.ca_bundle import VARIABLES
from auth0_meta.errors import InputError
from auth0_meta.testing import FakeClock

NODE_MODULES = os.environ.get("AUTH0_META_LIVE_NODE_MODULES", "nowhere")
posix = pytest.mark.skipif(os.name != "posix", reason="signals and modes are POSIX")


@pytest.fixture(autouse=True)
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Announce tenants in a directory of this test."""
    monkeypatch.setenv("AUTH0_META_EMULATOR_DIR", str(tmp_path / "runs"))
    return tmp_path / "runs"


def python(code: str) -> list[str]:
    """Write a command that runs Python code."""
    return [sys.executable, "-c", code]


def emulator(*words: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run `auth0-meta emulator ...` in a process of its own."""
    line = [sys.executable, "-m", "auth0_meta", "emulator", *words]
    return subprocess.run(line, capture_output=True, text=True, timeout=60, **options)


# exec ------------------------------------------------------------------------------------------------

WORK = """
import os
from auth0_meta import ManagementClient
with ManagementClient.from_env() as client, client.transaction("auth0|1") as tx:
    tx.app_metadata["done"] = True
    assert "AUTH0_API_TOKEN" not in os.environ
print(os.environ["AUTH0_DOMAIN"])
"""
ISSUER = """
assert os.environ["AUTH0_ISSUER_BASE_URL"] == os.environ["ISSUER_BASE_URL"] == os.environ["AUTH0_URL"]
"""


@pytest.mark.parametrize(
    "options", [(), ("--tls",), ("--strict",), ("--tls", "--strict", "--rate-limit", "free")]
)
def test_exec_points_a_command_at_the_tenant(
    tmp_path: Path, options: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The environment alone leads the command to the tenant, also over https; real credentials are hidden."""
    monkeypatch.setenv("AUTH0_API_TOKEN", "a real one")
    monkeypatch.setenv("AUTH0_DOMAIN", "production.example.com")
    monkeypatch.setenv("AUTH0_ISSUER_BASE_URL", "https://production.example.com")
    users, saved = tmp_path / "users.yaml", tmp_path / "saved.json"
    users.write_text("- {user_id: auth0|1}\n")
    done = emulator(
        "exec", *options, "--users", str(users), "--save", str(saved), "--", *python(WORK + ISSUER)
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("localhost:" if "--tls" in options else "http://localhost:")
    assert json.loads(saved.read_text())["users"][0]["app_metadata"] == {"done": True}


@pytest.mark.parametrize("code", [0, 3, 255])
def test_exec_exits_with_the_commands_exit_code(code: int) -> None:
    """It leaves the command's output alone, and passes on the options after the command's name."""
    done = emulator(
        "exec", *python(f"import sys; print(sys.argv[1:]); sys.exit({code})"), "--port", "x", "--", "-v"
    )
    assert done.returncode == code
    assert done.stdout == "['--port', 'x', '--', '-v']\n"


def test_exec_reports_a_command_that_cannot_be_started(tmp_path: Path) -> None:
    """As in a shell, the exit code is 127 for a missing command and 126 for one that can't be executed; the error is one line."""
    out = io.StringIO()
    assert execute(["no-such-command-here"], out=out) == 127
    (tmp_path / "plain").write_text("text")
    assert execute([str(tmp_path / "plain")], out=out) == 126
    assert "no such command" in out.getvalue()
    assert out.getvalue().count("\n") == 2
    assert main(["emulator", "exec"]) == 2


def test_exec_lists_routes_that_are_not_served() -> None:
    """Each is named at once and listed at the end, so that nobody mistakes it for success."""
    out = io.StringIO()
    code = "import os, urllib.request as r; r.urlopen(os.environ['AUTH0_URL'] + '/api/v2/guardian/factors')"
    assert (
        execute(python(code + " if 0 else None\n" + code.replace("r.urlopen", "0 and r.urlopen")), out=out)
        == 0
    )
    assert out.getvalue() == ""
    code = (
        "import os, urllib.request as r, urllib.error\n"
        "try: r.urlopen(os.environ['AUTH0_URL'] + '/api/v2/guardian/factors')\n"
        "except urllib.error.HTTPError as error: assert error.code == 404; error.close()\n"
    )
    assert execute(python(code), out=out) == 0
    assert out.getvalue() == (
        "not served (404): GET /api/v2/guardian/factors\n"
        "warning: not served: GET /api/v2/guardian/factors by the local tenant\n"
    )


@posix
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1])
def test_exec_passes_signals_on(number: signal.Signals) -> None:
    """A signal to exec reaches the command, whose reaction decides the exit code."""
    code = (
        "import signal, sys, time\n"
        f"signal.signal({int(number)}, lambda *_: sys.exit(42))\n"
        "print('ready', flush=True)\n"
        "time.sleep(30)\n"
    )
    line = [sys.executable, "-m", "auth0_meta", "emulator", "exec", "--", *python(code)]
    with subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        assert process.wait(timeout=30) == 42


@posix
def test_a_signal_while_the_command_starts_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """It reaches the command as soon as that has started."""
    begin = subprocess.Popen

    def late(*args: Any, **kwargs: Any) -> Any:
        os.kill(os.getpid(), signal.SIGUSR1)
        return begin(*args, **kwargs)

    monkeypatch.setattr(subprocess, "Popen", late)
    assert execute(python("import time; time.sleep(30)")) == 128 + signal.SIGUSR1


@posix
def test_a_terminal_interrupts_the_command_once() -> None:
    """Ctrl-C reaches both exec and the command, so exec does not pass it on again."""
    code = (
        "import signal, time\n"
        "got = []\n"
        "signal.signal(signal.SIGINT, lambda *_: got.append(1))\n"
        "print('ready', flush=True)\n"
        "end = time.monotonic() + 20\n"
        "while not got and time.monotonic() < end: time.sleep(0.05)\n"
        "time.sleep(0.5)\n"
        "print('interrupted', len(got), flush=True)\n"
    )
    spawn = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))"
    line = [*python(spawn), sys.executable, "-m", "auth0_meta", "emulator", "exec", "--", *python(code)]
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline().strip() == b"ready"
        process.stdin.write(b"\x03")
        process.stdin.flush()
        told = process.stdout.read()
        assert process.wait(timeout=30) == 0
    assert b"interrupted 1" in told


@posix
def test_exec_reports_a_command_that_a_signal_ended() -> None:
    """The exit code is 128 plus the signal's number, as in a shell."""
    assert execute(python("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")) == 128 + 9


@posix
def test_signal_handlers_are_restored() -> None:
    """After exec this process has the signal handlers it had before."""
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    execute(python(""))
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)] == before


def test_a_port_in_use_is_an_error_of_one_line() -> None:
    """exec then runs nothing."""
    with LocalTenant() as tenant:
        done = emulator("exec", "--port", str(tenant.port), "--", *python("print('ran')"))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.endswith("Choose another --port\n")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--users", "none.json"), "No such file"),
        (("--db", "nowhere/x.db"), "can't keep the tenant"),
        (("--rate-limit", "much"), "unknown"),
    ],
)
def test_a_wrong_setting_is_an_error_of_one_line(words: tuple[str, ...], told: str, tmp_path: Path) -> None:
    """An unusable file or rate limit is a usage error, and nothing runs."""
    done = emulator("exec", *words, "--", *python("print('ran')"), cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_a_name_of_auth0_is_refused() -> None:
    """A local tenant can't pass for a real one."""
    done = emulator("serve", "--host", "tenant.eu.auth0.com", "--port", "0")
    assert done.returncode == 2
    assert "can't serve tenant.eu.auth0.com" in done.stderr


# serve, env and snapshot -----------------------------------------------------------------------------


@pytest.fixture
def served(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[int]:
    """Serve a tenant in another process, and return its port."""
    words = getattr(request, "param", ())
    line = [sys.executable, "-m", "auth0_meta", "emulator", "serve", "--port", "0", *words]
    with subprocess.Popen(
        line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path
    ) as process:
        assert process.stderr is not None
        while "Ctrl-C" not in process.stderr.readline():
            assert process.poll() is None
        (run,) = run_directory().glob("emulator-*.json")
        yield int(run.stem.partition("-")[2])
        process.terminate()
        assert process.wait(timeout=30) == 0
    assert list(run_directory().iterdir()) == []


@pytest.mark.parametrize("served", [(), ("--tls",), ("--strict",)], indirect=True)
def test_env_and_snapshot_reach_the_served_tenant(served: int, tmp_path: Path) -> None:
    """`env` prints a shell script; `snapshot save` and `load` transfer users, also over https."""
    port = str(served)
    variables = json.loads(emulator("env", "--json", "--port", port).stdout)
    facts = find_run(served)
    assert variables["AUTH0_CLIENT_SECRET"] == facts["client_secret"]
    (tmp_path / "users.yml").write_text("- {user_id: auth0|1, app_metadata: {plan: free}}\n")
    loaded = emulator("snapshot", "load", str(tmp_path / "users.yml"), "--port", port)
    assert (loaded.returncode, loaded.stdout, loaded.stderr.split()[0]) == (0, "", "1")
    done = subprocess.run(
        python(WORK), env={**os.environ, **variables}, capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 0, done.stderr
    saved = emulator("snapshot", "save", str(tmp_path / "saved.json"), "--port", port)
    assert saved.returncode == 0, saved.stderr
    (user,) = json.loads((tmp_path / "saved.json").read_text())["users"]
    assert user["app_metadata"] == {"plan": "free", "done": True}
    shown = emulator("snapshot", "save", "-", "--port", port)
    assert (json.loads(shown.stdout), shown.stderr) == (json.loads((tmp_path / "saved.json").read_text()), "")


@pytest.mark.skipif(shutil.which("sh") is None, reason="there is no sh")
@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize("secure", [False, True])
def test_env_is_a_script_that_a_shell_runs(
    tool: str, secure: bool, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`eval "$(auth0-meta emulator env ...)"` sets exactly the documented variables and prints nothing."""
    monkeypatch.setenv("AUTH0_SECRET", "of the application")  # otherwise random
    with LocalTenant(tls=secure) as tenant:
        facts = facts_of(tenant)
        text = script(tool, {**facts, "client_secret": "it's $HOME `x`"})
        wanted = exports(tool, {**facts, "client_secret": "it's $HOME `x`"})
        code = "import os, json; print(json.dumps(dict(os.environ)))"
        line = ["sh", "-euc", 'eval "$0"; exec "$1" -c "$2"', text, sys.executable, code]
        done = subprocess.run(line, capture_output=True, text=True, timeout=30)
    assert done.stderr == ""
    assert wanted.items() <= json.loads(done.stdout).items()
    for secret in ("x\ntouch PWNED", "x\n$(touch PWNED)"):  # in a value, and in the comment
        planted = script(
            tool, {**facts, "client_secret": secret, "ca_file": secret, **dict.fromkeys(VARIABLES, secret)}
        )
        line = ["sh", "-euc", 'eval "$0"; echo /PWNED* PWNED*', planted]
        done = subprocess.run(line, capture_output=True, text=True, timeout=30, cwd=runs.parent)
        assert (done.stdout, done.stderr) == ("/PWNED* PWNED*\n", "")
    if secure:
        assert f"# The certificate authority: {tenant.ca_file}" in text


def facts_at(url: str) -> dict[str, str]:
    """Return what a tenant of another run would have announced."""
    return {
        "url": url,
        "local_url": url,
        **dict.fromkeys(("client_id", "client_secret", "token", "control_token"), "old"),
    }


def test_env_and_snapshot_fail_if_nothing_is_served(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """They say which port they tried and how to start a tenant, even if the announcement is broken."""
    assert main(["emulator", "env", "--port", "4"]) == 2
    assert "no local tenant was announced for port 4" in capsys.readouterr().err
    runs.mkdir(exist_ok=True)
    (runs / "emulator-4.json").write_text("{")
    assert main(["emulator", "snapshot", "save", "x.json", "--port", "4"]) == 2
    assert "emulator serve --port 4" in capsys.readouterr().err
    with announced(4, facts_at("http://127.0.0.1:4")):
        assert main(["emulator", "snapshot", "save", "x.json", "--port", "4"]) == 2
        assert "does not respond" in capsys.readouterr().err


@posix
@pytest.mark.parametrize("words", ["--port 4", "--port 4 --wait 0.1", "--port x", "--no-such-option"])
def test_a_shell_that_evaluates_a_failed_env_fails_too(words: str) -> None:
    """No variable of an earlier tenant is left; with `set -e` the shell ends.  Whatever shells there are agree."""
    variables = ("AUTH0_DOMAIN", "AUTH0_API_TOKEN", "AUTH0_CLIENT_SECRET", "ISSUER_BASE_URL")
    old = {**os.environ, **dict.fromkeys(variables, "canary")}
    evaluate = f'eval "$({sys.executable} -m auth0_meta emulator env {words})"'
    text = f"{evaluate}; echo $?; env\nset -eu; {evaluate}; echo canary"
    for shell in filter(shutil.which, ("sh", "bash", "zsh")):
        done = subprocess.run([shell, "-c", text], env=old, capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stdout.partition("\n")[0]) == (1, "1"), shell
        assert "canary" not in done.stdout
        assert done.stderr.count("error: ") == 2


def test_a_failed_env_unsets_whatever_a_recipe_sets() -> None:
    """Except for the names without a prefix, which lead nowhere without an issuer, and what is the application's."""
    facts = facts_at("http://127.0.0.1:4")
    names = {name for tool in TOOLS for name in exports(tool, facts)}
    own = {
        "APP_BASE_URL",
        "AUTH0_BASE_URL",
        "AUTH0_SECRET",
        "BASE_URL",
        "SECRET",
        "CLIENT_ID",
        "CLIENT_SECRET",
    }
    unset = emulator("env", "--port", "4").stdout
    assert set(unset.split()) - {"unset", "false"} == names - own
    for port, kind in (("4", "InputError"), ("x", "UsageError")):
        assert json.loads(emulator("env", "--port", port, "--json").stdout)["error"]["type"] == kind
    assert "false" not in emulator("env", "--help").stdout.split()


def test_env_waits_for_a_tenant_that_is_still_starting() -> None:
    """It polls until the tenant responds, and says every other second that it still waits."""
    told: list[float] = []
    with LocalTenant() as tenant, ExitStack() as block:
        facts = facts_of(tenant)

        def on_wait(seconds: float) -> None:
            told.append(seconds)
            if len(told) == 2:
                block.enter_context(announced(tenant.port, facts))

        found = find_serving(tenant.port, wait=60, clock=FakeClock(), on_wait=on_wait)
        assert found["url"] == tenant.url
        assert [int(seconds) for seconds in told] == [2, 4]
    with announced(tenant.port, facts), pytest.raises(InputError, match="does not respond"):
        find_serving(tenant.port, wait=3, clock=FakeClock(), on_wait=told.append)
    assert [int(seconds) for seconds in told] == [2, 4, 2]


def test_env_keeps_the_authorities_of_its_own_environment(tmp_path: Path) -> None:
    """The shell that evaluates the output may trust others than the process that serves."""
    company = trustme.CA().cert_pem.bytes().decode()
    (tmp_path / "company.pem").write_text(company)
    with LocalTenant(tls=True) as tenant, announced(tenant.port, facts_of(tenant)):
        here = {**os.environ, "SSL_CERT_FILE": str(tmp_path / "company.pem")}
        done = emulator("env", "--json", "--port", str(tenant.port), env=here)
        bundle = Path(json.loads(done.stdout)["SSL_CERT_FILE"]).read_text()
        assert tenant.ca_file is not None
        assert bundle.split() == (company + tenant.ca_file.read_text()).split()


def test_the_recipes_of_frameworks_keep_what_is_the_applications(monkeypatch: pytest.MonkeyPatch) -> None:
    """They have the names that express-openid-connect and nextjs-auth0 read."""
    facts = facts_at("http://localhost:4")
    for name in ("APP_BASE_URL", "AUTH0_BASE_URL", "BASE_URL", "AUTH0_SECRET"):
        monkeypatch.delenv(name, raising=False)
    express, nextjs = exports("express", facts), exports("nextjs", facts)
    assert len(nextjs.pop("AUTH0_SECRET")) == 64
    assert express == {
        "CLIENT_ID": "old",
        "CLIENT_SECRET": "old",
        "ISSUER_BASE_URL": "http://localhost:4",
        "BASE_URL": "http://localhost:3000",
    }
    assert nextjs == {
        "AUTH0_DOMAIN": "http://localhost:4",
        "AUTH0_CLIENT_ID": "old",
        "AUTH0_CLIENT_SECRET": "old",
        "AUTH0_URL": "http://localhost:4",
        "AUTH0_ISSUER_BASE_URL": "http://localhost:4",
        "APP_BASE_URL": "http://localhost:3000",
        "AUTH0_BASE_URL": "http://localhost:3000",
    }
    theirs = {"APP_BASE_URL": "https://app.test", "AUTH0_SECRET": "canary"}
    assert exports("nextjs", facts, theirs).keys() & theirs.keys() == set()


def test_a_refusal_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The tenant refuses the token of another run, and the error says so."""
    with LocalTenant() as tenant, announced(tenant.port, facts_at(tenant.url)):
        assert (
            main(["emulator", "snapshot", "save", str(tmp_path / "x.json"), "--port", str(tenant.port)]) == 2
        )
    assert "refused: The control routes need" in capsys.readouterr().err


def test_another_server_on_the_port_is_not_the_tenant(capsys: pytest.CaptureFixture[str]) -> None:
    """The tenant was killed, and something else has taken its port."""
    replies = (Reply(200, raw=b"<html>"), Reply(200, []), Reply(500, ["x"]), Reply(403, {"message": 1}))
    with ScriptedServer(*replies) as other:
        port = int(other.url.rpartition(":")[2])
        for _ in replies:
            with announced(port, facts_at(other.url)):
                assert main(["emulator", "snapshot", "save", "x.json", "--port", str(port)]) == 2
            assert "is not the tenant" in capsys.readouterr().err


@posix
def test_an_announcement_is_private_and_removed(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its mode is 0600 in a directory of mode 0700, and it is removed afterwards; if it can't be written, the block runs all the same."""
    with announced(7, facts_at("http://127.0.0.1:7")) as path:
        assert path is not None
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert find_run(7)["url"] == "http://127.0.0.1:7"
    assert list(runs.iterdir()) == []
    (runs.parent / "file").write_text("")
    monkeypatch.setenv("AUTH0_META_EMULATOR_DIR", str(runs.parent / "file"))
    with announced(7, {}) as path:
        assert path is None


def test_announcements_go_to_a_directory_of_the_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It is the directory that the variable names, else the user's runtime directory, else the home directory."""
    assert run_directory() == tmp_path / "runs"
    monkeypatch.delenv("AUTH0_META_EMULATOR_DIR")
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/1")
    assert run_directory() == Path("/run/user/1/auth0-meta")
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert run_directory() == tmp_path / ".auth0-meta"


# The recipes, each with its tool ---------------------------------------------------------------------


def comments(text: str) -> str:
    """Return the code that a script shows as comments."""
    lines = [line[2:] if line != "#" else "" for line in text.splitlines() if line.startswith("#")]
    return "\n".join(line for line in lines if "certificate authority" not in line) + "\n"


def environment(tool: str, tenant: LocalTenant) -> dict[str, str]:
    """Return this process's environment, updated by a recipe's."""
    hidden = ("_proxy", "_PROXY")
    kept = {name: value for name, value in os.environ.items() if not name.endswith(hidden)}
    return {**kept, **exports(tool, facts_of(tenant))}


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
@pytest.mark.parametrize("secure", [False, True])
def test_the_curl_recipe_works(secure: bool) -> None:
    """Both lines work as printed: they list the users and get a token."""
    with LocalTenant(tls=secure, users=[{"user_id": "auth0|1"}]) as tenant:
        code = comments(script("curl", facts_of(tenant))).replace("curl ", "curl -sS --fail ")
        done = subprocess.run(
            ["sh", "-euc", code], env=environment("curl", tenant), capture_output=True, text=True, timeout=30
        )
    assert done.returncode == 0, done.stderr
    assert '"user_id":"auth0|1"' in done.stdout
    assert '"access_token":' in done.stdout


@pytest.mark.parametrize("secure", [False, True])
def test_the_auth0_python_recipe_works(secure: bool) -> None:
    """The newest generation of Auth0's own SDK reads and writes with the printed code."""
    pytest.importorskip("auth0.management.client", reason="auth0-python is not installed")
    with LocalTenant(tls=secure, users=[{"user_id": "auth0|1"}]) as tenant:
        code = comments(script("auth0-python", facts_of(tenant))).partition("\n\n")[0]
        code = f"import os\n{code}\nmanagement.users.update('auth0|1', app_metadata={{'plan': 'pro'}})\n"
        done = subprocess.run(
            python(code), env=environment("auth0-python", tenant), capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        assert tenant.users["auth0|1"].app_metadata == {"plan": "pro"}


@pytest.mark.own_environment("node")
@pytest.mark.parametrize("secure", [False, True])
def test_the_node_recipe_works(secure: bool, tmp_path: Path) -> None:
    """npm's `auth0` reads and writes with the printed code, and requests its own token."""
    with LocalTenant(tls=secure, strict=True, users=[{"user_id": "auth0|1"}]) as tenant:
        code = comments(script("node", facts_of(tenant)))
        code += 'management.users.update("auth0|1", { app_metadata: { plan: "pro" } }).catch((e) => { throw e; });\n'
        (tmp_path / "recipe.js").write_text(code)
        env = {**environment("node", tenant), "NODE_PATH": NODE_MODULES}
        done = subprocess.run(
            ["node", str(tmp_path / "recipe.js")], env=env, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        assert tenant.users["auth0|1"].app_metadata == {"plan": "pro"}


def test_an_unwritable_snapshot_is_an_error_before_the_command_runs(tmp_path: Path) -> None:
    """If its directory is missing, nothing is started."""
    done = emulator("exec", "--save", str(tmp_path / "nowhere" / "x.json"), "--", *python("print('ran')"))
    assert (done.returncode, done.stdout) == (2, "")
    assert "can't write" in done.stderr
    assert "nothing was started" in done.stderr


@pytest.mark.parametrize("code", [0, 7])
def test_a_snapshot_that_fails_at_the_end_keeps_the_commands_failure(tmp_path: Path, code: int) -> None:
    """The exit code of a command that failed stays; a successful command fails without its snapshot."""
    folder = tmp_path / "gone"
    folder.mkdir()
    command = python(f"import os, sys; os.rmdir({str(folder)!r}); sys.exit({code})")
    out = io.StringIO()
    if code:
        assert execute(command, out=out, save=str(folder / "x.json")) == code
        assert "can't write" in out.getvalue()
    else:
        with pytest.raises(InputError, match="can't write"):
            execute(command, out=out, save=str(folder / "x.json"))


@posix
def test_a_read_only_directory_is_an_error_before_the_command_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A directory that is not writable, or a directory in place of the file, is noticed before the start."""
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match="it is a directory"):
        execute(python(""), save=str(tmp_path / "folder"))
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(InputError, match="you may not write to the directory"):
        execute(python(""), save=str(tmp_path / "x.json"))


def test_env_does_not_export_a_tenant_that_was_killed(capsys: pytest.CaptureFixture[str]) -> None:
    """It says that the tenant is no longer served."""
    with LocalTenant() as tenant:
        port, facts = tenant.port, facts_of(tenant)
    with announced(port, facts):
        assert main(["emulator", "env", "--port", str(port)]) == 2
    told = capsys.readouterr()
    assert "export" not in told.out
    assert "may have been killed" in told.err
