"""The Dockerfile and the compose example: each step runs in a bare folder, without a container engine."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from support.scripted_server import free_port

ROOT = Path(__file__).parent.parent
DOCKER = ROOT / "docker"
yaml = pytest.importorskip("yaml", reason="PyYAML comes with the extra `emulator`")
pytestmark = [
    pytest.mark.skipif(not DOCKER.is_dir(), reason="the wheel is tested without the checkout"),
    pytest.mark.skipif(os.name != "posix", reason="the image is a Linux one"),
]
# The application's container finds the tenant by the name of its service.
RESOLVER = """
import socket
real = socket.getaddrinfo
socket.getaddrinfo = lambda host, *rest, **more: real("127.0.0.1" if host == "auth0" else host, *rest, **more)
"""


def instructions() -> list[tuple[str, str]]:
    """Return the Dockerfile's instructions with their arguments, continued lines joined."""
    text = re.sub(r"^#.*\n", "", (DOCKER / "Dockerfile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    lines = text.replace("\\\n", " ").splitlines()
    return [(name, rest.strip()) for name, _, rest in (line.partition(" ") for line in lines if line)]


def last(name: str) -> str:
    """Return the argument of the last instruction of a kind, which is the one that counts."""
    return [rest for found, rest in instructions() if found == name][-1]


def compose() -> dict[str, Any]:
    """Return the compose file."""
    loaded: dict[str, Any] = yaml.safe_load((DOCKER / "compose.yaml").read_text(encoding="utf-8"))
    return loaded


def copied() -> list[str]:
    """Return what the image gets from the checkout."""
    return [source for name, rest in instructions() if name == "COPY" for source in rest.split()[:-1]]


def test_the_image_gets_exactly_what_the_context_lets_through() -> None:
    """Each source exists, and nothing else, such as a `.venv`, is sent to the engine."""
    assert [source for source in copied() if not (ROOT / source).exists()] == []
    ignored = (DOCKER / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    assert ignored[0] == "*"
    assert sorted(line[1:] for line in ignored if line.startswith("!")) == sorted(copied())


def test_the_image_runs_as_nobody_and_keeps_data_in_a_volume_of_its_own() -> None:
    """Its user is no root and owns /data, where a new volume begins."""
    user = last("USER").partition(":")[0]
    assert int(user) > 1000
    assert f"--owner={user} " in last("RUN")
    assert last("RUN").endswith(" /data")
    kept = [volume.split(":") for volume in compose()["services"]["auth0"]["volumes"]]
    assert [source for source, target, *_ in kept if target == "/data"] == list(compose()["volumes"])


def test_the_services_fit_together() -> None:
    """The application waits until the tenant is healthy, and may call it over plain http by its name only."""
    services = compose()["services"]
    command, environment = services["auth0"]["command"], services["app"]["environment"]
    assert services["app"]["depends_on"]["auth0"]["condition"] == "service_healthy"
    assert "_emulator/health" in last("HEALTHCHECK")
    assert environment["AUTH0_DOMAIN"] == f"http://{environment['AUTH0_META_ALLOW_HTTP']}"
    assert f"--hosts={environment['AUTH0_META_ALLOW_HTTP'].partition(':')[0]}" in command
    client = f"{environment['AUTH0_CLIENT_ID']}:{environment['AUTH0_CLIENT_SECRET']}"
    assert f"--client={client}" in command
    (published,) = services["auth0"]["ports"]
    assert published == f"127.0.0.1:{last('EXPOSE')}:{last('EXPOSE')}"
    for service in services.values():
        for volume in service["volumes"]:
            source = volume.partition(":")[0]
            assert not source.startswith(".") or (DOCKER / source).is_file()
        assert (DOCKER / service.get("build", {}).get("context", "..")).resolve() == ROOT


@pytest.mark.slow
def test_every_step_works_in_a_bare_folder(tmp_path: Path) -> None:
    """What is copied installs with its extras into an empty environment, serves, is healthy, and the application runs."""
    build, data, bare = tmp_path / "build", tmp_path / "data", tmp_path / "venv"
    build.mkdir()
    subprocess.run([sys.executable, "-m", "venv", bare], check=True, timeout=120)
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("AUTH0_", "PYTHON"))},
        "PATH": f"{bare}/bin:{os.environ['PATH']}",
        "AUTH0_META_EMULATOR_DIR": str(tmp_path / "runs"),
    }

    def here(text: str) -> str:
        """Put a port and paths of this test in the place of the container's; it stays on loopback."""
        for old, new in (
            ("8810", str(port)),
            ("0.0.0.0", "127.0.0.1"),  # noqa: S104
            ("10001", str(os.getuid())),
            ("/config", str(DOCKER)),
            ("/data", str(data)),
            ("/app/", f"{DOCKER}/"),
        ):
            text = text.replace(old, new)
        return text

    port = free_port()
    group = f"--group={os.getgid()}"
    for name, rest in instructions():
        if name == "COPY":
            *sources, target = rest.split()
            line = ["cp", "-r", *sources, str((build / target).resolve())]
            subprocess.run(line, cwd=ROOT, check=True, timeout=60)
        elif name == "RUN":
            step = re.sub(r"--group=\d+", group, here(rest))
            done = subprocess.run(
                ["sh", "-euc", step], cwd=build, env=environment, capture_output=True, text=True, timeout=280
            )
            assert done.returncode == 0, done.stderr
    services = compose()["services"]
    serve = [*json.loads(last("ENTRYPOINT")), *services["auth0"]["command"]]
    healthy = json.loads(last("HEALTHCHECK").partition("CMD")[2])
    (tmp_path / "sitecustomize.py").write_text(RESOLVER)
    app = environment | {name: here(value) for name, value in services["app"]["environment"].items()}
    for turn in (1, 2):  # the volume keeps the users
        with subprocess.Popen(
            [here(word) for word in serve], cwd=data, env=environment, stderr=subprocess.PIPE, text=True
        ) as tenant:
            assert tenant.stderr is not None
            wait_until_healthy([here(word) for word in healthy], environment, tenant)
            done = subprocess.run(
                [here(word) for word in services["app"]["entrypoint"]],
                env=app | {"PYTHONPATH": str(tmp_path)},
                capture_output=True,
                text=True,
                timeout=60,
            )
            assert (done.returncode, done.stdout, done.stderr) == (0, f"starts: {turn}\n", "")
            tenant.terminate()
            told = tenant.stderr.read()
            assert tenant.wait(timeout=30) == 0
        assert "PATCH /api/v2/users/auth0%7Cada 200" in told
    default = subprocess.Popen(
        [here(word) for word in (*json.loads(last("ENTRYPOINT")), *json.loads(last("CMD")))],
        cwd=data,
        env=environment,
        stderr=subprocess.PIPE,
    )
    with default as tenant:
        wait_until_healthy([here(word) for word in healthy], environment, tenant)
        tenant.terminate()
        tenant.communicate(timeout=60)  # it is healthy before it has said all, so somebody has to read that
    assert default.returncode == 0


def wait_until_healthy(
    command: list[str], environment: dict[str, str], tenant: subprocess.Popen[Any]
) -> None:
    """Repeat the health check, as an engine does, until it succeeds."""
    while subprocess.run(command, env=environment, capture_output=True, timeout=30).returncode:
        assert tenant.poll() is None, shlex.join(command)
        time.sleep(0.2)
