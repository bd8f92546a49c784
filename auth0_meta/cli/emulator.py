"""Serve a local tenant from the shell, run commands alongside it, and call one that is running."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

from auth0_meta.cli.common import dump, flag, options, patience
from auth0_meta.cli.groups import Command, Group, json_option
from auth0_meta.redact import count

if TYPE_CHECKING:
    from auth0_meta.emulator import LocalTenant

_F = TypeVar("_F", bound=Callable[..., Any])
_PORT = 8810
_ANY_PORT = "The port to listen on; 0 picks a free one."
_TOOLS = ("python", "auth0-python", "node", "express", "nextjs", "curl")
# What leads a program to a tenant.  It is unset if there is none, or the program would call an earlier or a real one.
_FAILED = (
    "unset AUTH0_DOMAIN AUTH0_CLIENT_ID AUTH0_CLIENT_SECRET AUTH0_URL AUTH0_API_TOKEN "
    "AUTH0_ISSUER_BASE_URL ISSUER_BASE_URL\nfalse"
)
_FILE = click.Path(dir_okay=False)
_SAMPLE, _SAMPLES = "--sample", ("small", "oversized")  # as in emulator.samples, whose extra may be missing


def _port(text: str, *, default: int = _PORT, least: int = 0) -> Callable[[_F], _F]:
    ports = click.IntRange(least, 65535)
    return click.option("--port", metavar="PORT", default=default, type=ports, help=text)


_serving_port = _port("The port of the running tenant.", least=1)


def _client(_: click.Context, __: click.Parameter, texts: tuple[str, ...]) -> list[tuple[str, str | None]]:
    """Split ID:SECRET; the error doesn't repeat it."""
    clients = []
    for text in texts:
        client_id, colon, secret = text.partition(":")
        if not client_id or (colon and not secret) or not text.isprintable() or " " in text:
            raise click.BadParameter("it must be ID:SECRET, or ID alone for a public client, without spaces")
        clients.append((client_id, secret or None))
    return clients


def _callback(_: click.Context, __: click.Parameter, texts: tuple[str, ...]) -> list[tuple[str, str]]:
    """Split ID=URL."""
    callbacks = [(client_id, url) for client_id, _, url in (text.partition("=") for text in texts)]
    if not all(client_id and url for client_id, url in callbacks):
        raise click.BadParameter("it must be ID=URL, such as my-app=https://app.test/callback")
    return callbacks


_settings = options(
    click.option(
        "--hosts",
        multiple=True,
        metavar="NAME",
        help="A further name by which requests may call the tenant, such as auth0 or tenant.test. Repeatable.",
    ),
    click.option(
        "--public-url",
        metavar="URL",
        help="The address that clients use, if it is another one: of a mapped port or a proxy.",
    ),
    click.option(
        "--rate-limit",
        default="off",
        metavar="PLAN",
        help="off, free, essentials, enterprise, enterprise-dev, or SIZE@PER_SECOND such as 10@2.",
    ),
    click.option("--seed", metavar="N", default=0, help="The same seed gives the same random choices."),
    click.option(
        "--users", type=_FILE, metavar="FILE", help="Start with the users in a JSON, NDJSON or YAML file."
    ),
    click.option(
        "--config",
        type=_FILE,
        metavar="FILE",
        help="Make the clients, APIs, roles, organizations and grants of a YAML file in auth0-deploy-cli's form.",
    ),
    click.option(
        _SAMPLE,
        type=click.Choice(_SAMPLES),
        is_flag=False,
        flag_value=_SAMPLES[0],
        metavar="[NAME]",
        help="Start with sample users: small, which is what --sample alone means, has three, one of them auth0|123; "
        "oversized has 400, some with profiles past Auth0's limits.",
    ),
    click.option("--db", type=_FILE, metavar="FILE", help="Keep the tenant in a SQLite file."),
    flag("--tls", "Serve https, with a certificate authority made for this run."),
    click.option(
        "--ca",
        type=click.Path(file_okay=False),
        metavar="DIR",
        help="Serve https, with a certificate authority that is kept in DIR for later runs.",
    ),
    click.option(
        "--client",
        "clients",
        multiple=True,
        callback=_client,
        metavar="ID:SECRET",
        help="Register a client; ID alone is a public one, such as a single-page or mobile app. Repeatable. "
        "Other users of this machine can see it on the command line.",
    ),
    click.option(
        "--callback",
        "callbacks",
        multiple=True,
        callback=_callback,
        metavar="ID=URL",
        help="Let logins of client ID return to URL, which may have a scheme of its own. Repeatable.",
    ),
    flag("--strict", "Accept only clients, tokens and connections that you have created."),
    click.option(
        "--token",
        metavar="TOKEN",
        envvar="AUTH0_META_EMULATOR_TOKEN",
        help="Accept this token for the Management API, and no others but those issued to registered clients. "
        "By default AUTH0_META_EMULATOR_TOKEN, which others can't see on the command line.",
    ),
    click.option(
        "--switch",
        "switches",
        multiple=True,
        metavar="NAME=VALUE",
        help="Answer an open question about Auth0 otherwise, such as profile_limit=none or nested_null=drop; the "
        "documentation lists them on the page Fidelity. Repeatable.",
    ),
    flag("--log-requests", "Print a line on stderr for each request: method, path, status, milliseconds."),
    click.option(
        "--no-page",
        "page",
        is_flag=True,
        flag_value=False,
        default=True,
        show_default=False,
        help="Serve no page at /, in which every user of this machine finds the control token.",
    ),
)


def _given(settings: dict[str, Any]) -> dict[str, Any]:
    """Leave out options that were not given, and read switches."""
    if settings["sample"] is not None and settings["users"] is not None:
        both = "both name the users to start with"
        raise click.UsageError(f"--sample and --users exclude each other: {both}")
    if settings["switches"]:
        from auth0_meta.emulator.rules.switches import Switches, read_switch  # noqa: PLC0415  # its extra may be missing

        settings["switches"] = Switches(**dict(map(read_switch, settings["switches"])))
    else:
        settings["switches"] = None
    return {name: value for name, value in settings.items() if value is not None}


def _listening(command: _F) -> _F:
    """Turn the error for a port that is taken or not allowed into one line that says what to do."""

    @functools.wraps(command)
    def run(*args: Any, host: str, port: int, **kwargs: Any) -> Any:
        try:
            return command(*args, host=host, port=port, **kwargs)
        except OSError as error:
            what = f"can't listen on {host}:{port}: {error.strerror or error}"
            raise click.ClickException(f"{what}. Choose another --port") from error

    return run  # type: ignore[return-value]  # the same command


class _Starting(Command):
    """A command that starts a tenant: the name after --sample may be left out, before a command to run too."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        with_value = {
            name for option in self.params if not getattr(option, "is_flag", False) for name in option.opts
        }
        named, place = [*args], 0
        while place < len(args) and args[place].startswith("-") and args[place] != "--":
            following = args[place + 1 : place + 2]
            if args[place] == _SAMPLE and following and following[0] not in _SAMPLES:
                # Else click would take what follows for the name, even the command that `exec` is to run.
                named[place] = f"{_SAMPLE}={_SAMPLES[0]}"
                place += 1
            else:
                place += 2 if args[place] in with_value else 1
        return super().parse_args(ctx, named)


emulator = Group("emulator", "Run a local Auth0 tenant: no account, no network.")
snapshot = Group("snapshot", "Save what the running tenant keeps, or load it.")
emulator.add_command(snapshot)


@emulator.command(cls=_Starting)
@click.option(
    "--host",
    metavar="HOST",
    default="localhost",
    help="The address to listen on. One that other machines can reach needs --strict or --token.",
)
@_port(_ANY_PORT)
@_settings
@json_option("Print one line of JSON when the tenant is up: what to export, and the tenant's url.")
@_listening
def serve(*, host: str, port: int, rate_limit: str, as_json: bool, **settings: Any) -> int:
    """Serve a local tenant until interrupted."""
    from auth0_meta.emulator.process.serve import serve as run  # noqa: PLC0415  # its extra may be missing

    with patience(_starting(settings)) as started:

        def ready(tenant: LocalTenant) -> None:
            started()
            if as_json:
                _print_exports(tenant)

        return run(host, port, rate_limit, on_ready=ready, **_given(settings))


def _print_exports(tenant: LocalTenant) -> None:
    """Print what a program needs to call the tenant, on one line."""
    from auth0_meta.emulator.control.recipes import exports  # noqa: PLC0415  # its extra may be missing
    from auth0_meta.emulator.process.running import facts_of  # noqa: PLC0415

    click.echo(json.dumps(exports("python", facts_of(tenant))))


def _starting(settings: dict[str, Any]) -> str:
    """Return what to print about a tenant that takes long to start."""
    files = [settings[name] for name in ("users", "config", "db") if settings[name] is not None]
    return f"loading {' and '.join(files)} ..." if files else "the local tenant is starting ..."


@emulator.command(name="exec", cls=_Starting, context_settings={"allow_interspersed_args": False})
@_port(_ANY_PORT, default=0)
@_settings
@click.option("--save", type=_FILE, metavar="FILE", help="Write a snapshot at the end.")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def execute(*, command: tuple[str, ...], port: int, **settings: Any) -> int:
    """Run COMMAND alongside a local tenant; exit with its exit code.

    The environment points COMMAND at the tenant: AUTH0_DOMAIN, AUTH0_CLIENT_ID, AUTH0_CLIENT_SECRET,
    AUTH0_URL, ISSUER_BASE_URL, AUTH0_ISSUER_BASE_URL, and with --tls the certificate files. Signals
    are passed on to it.
    """
    from auth0_meta.emulator.process.exec import execute as run  # noqa: PLC0415  # its extra may be missing

    with patience(_starting(settings)) as started:
        return _listening(run)(
            command, host="localhost", port=port, on_ready=lambda _: started(), **_given(settings)
        )


class _ForEval(Command):
    """A command whose output a shell evaluates: if it fails, the output makes the shell fail too."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        with self._failing(as_json="--json" in args):
            return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        with self._failing(as_json=ctx.params["as_json"]):
            return super().invoke(ctx)

    @contextmanager
    def _failing(self, *, as_json: bool) -> Iterator[None]:
        try:
            yield
        except click.exceptions.Exit:  # --help
            raise
        except BaseException:
            if not as_json:
                click.echo(_FAILED)
            raise


@emulator.command(cls=_ForEval)
@click.option("--for", "tool", type=click.Choice(_TOOLS), default="python", help="The tool to set up.")
@_serving_port
@click.option(
    "--wait",
    default=0.0,
    type=click.FloatRange(0, 86_400),
    metavar="SECONDS",
    help="How long to wait for the tenant, if it is still starting.",
)
@json_option("Print the variables as JSON.")
def env(*, tool: str, port: int, wait: float, as_json: bool) -> None:
    """Print the settings that point a tool at the running tenant.

    These are the environment variables, and example code for the tool. Use it as
    eval "$(auth0-meta emulator env)". If no tenant responds, that command fails, and no AUTH0_DOMAIN of
    an earlier tenant is left.
    """
    from auth0_meta.emulator.control import recipes  # noqa: PLC0415  # its extra may be missing
    from auth0_meta.emulator.process import announced  # noqa: PLC0415  # its extra may be missing

    def on_wait(seconds: float) -> None:
        click.echo(f"waiting for the local tenant on port {port} ({seconds:.0f} s so far)", err=True)

    facts = announced.find_serving(port, wait=wait, on_wait=on_wait)
    click.echo(dump(recipes.exports(tool, facts)) if as_json else recipes.script(tool, facts), nl=as_json)


@snapshot.command()
@click.argument("file", type=_FILE)
@_serving_port
@json_option("Print as JSON how many users were saved.")
def save(*, file: str, port: int, as_json: bool) -> None:
    """Write all that the tenant keeps to FILE as JSON; - is the standard output.

    These are the users, the hashes of their passwords, clients with their secrets, roles, organizations and so on. Only
    you can read the file, and it is written completely or not at all.
    """
    from auth0_meta.emulator.process import transfer  # noqa: PLC0415  # its extra may be missing

    if file == "-":
        if as_json:
            raise click.UsageError("--json would be mixed with the snapshot: name a file")
        with transfer.snapshot(port) as lines:
            for line in lines:
                click.echo(line, nl=False)
        return
    with patience(f"saving {file} ..."):
        users = transfer.save(file, port)
    if as_json:
        click.echo(dump({"file": file, "users": users}))
    click.echo(f"{count(users, 'user')} saved to {file}", err=True)


@snapshot.command()
@click.argument("file", type=_FILE)
@_serving_port
@json_option("Print as JSON how many users were loaded.")
def load(*, file: str, port: int, as_json: bool) -> None:
    """Replace what the tenant keeps with the snapshot in FILE.

    With a file of users only (JSON or YAML), all users are replaced and everything else stays.
    """
    from auth0_meta.emulator.process import transfer  # noqa: PLC0415  # its extra may be missing

    def show(users: int) -> None:
        if users and sys.stderr.isatty():
            click.echo(f"{count(users, 'user')} read\r", nl=False, err=True)

    with patience(f"loading {file} ..."):
        loaded = transfer.load(file, port, on_progress=show)
    if as_json:
        click.echo(dump({"file": file, "users": loaded}))
    click.echo(f"{count(loaded, 'user')} loaded from {file}", err=True)
