"""Demonstrate the package on a local tenant.  Every line of the output reports a real request or value."""

from __future__ import annotations

import difflib
import inspect
import json
import textwrap
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.live import Live
from rich.text import Text

from auth0_meta import CommitResult, ManagementClient, MetadataTransaction, Wait
from auth0_meta.changes.jsonvalue import BAGS
from auth0_meta.cli.common import console, print_code, print_line
from auth0_meta.cli.groups import Command
from auth0_meta.clock import SYSTEM_CLOCK

if TYPE_CHECKING:
    from auth0_meta.emulator import LocalTenant

Stage = Callable[[MetadataTransaction], None]
_USER = "auth0|ada"
_PROFILE = {
    "user_id": _USER,
    "email": "ada@example.com",
    "user_metadata": {"theme": "light", "prefs": {"lang": "en", "mail": True, "banner": "old"}},
    "app_metadata": {"billing": {"plan": "free", "seats": 3, "trial": "2026-12-01"}, "logins": 41},
}
# Small, so that it is soon empty: 3 requests at once, then one a second, full again after 3 s.
_RATE_LIMIT = "3@1"
_MANAGEMENT = "/api/v2/"
_OK = 200


def _nested(tx: MetadataTransaction) -> None:
    tx.user_metadata["theme"] = "dark"
    tx.user_metadata.merge({"prefs": {"lang": "fi", "banner": None}})
    tx.app_metadata.set("billing.plan", "pro")
    tx.app_metadata.delete("billing.trial")
    tx.app_metadata.increment("logins")


def _flat(tx: MetadataTransaction) -> None:
    tx.app_metadata["last_tenant"] = "acme"


@click.command(cls=Command)
def demo() -> None:
    """Show how the package works, on a local tenant: no account, no network, about 4 seconds.

    It shows what is staged, what is sent, how the client waits after a 429, and what is stored in the end.
    """
    from auth0_meta.emulator import LocalTenant  # noqa: PLC0415  # its extra may be missing

    with LocalTenant(rate_limit=_RATE_LIMIT, users=[_PROFILE]) as tenant:
        _Story(console(), tenant).tell()


class _Story:
    """Print the chapters; their facts come from the tenant's journal."""

    def __init__(self, out: Console, tenant: LocalTenant) -> None:
        self._out = out
        self._tenant = tenant
        self._told = 0
        self._live: Live | None = None
        self._over = 0.0

    def tell(self) -> None:
        """Run two transactions, and print what each of them staged, sent and changed."""
        out, tenant = self._out, self._tenant
        out.print(f"A local Auth0 tenant is running at {tenant.url}: no account, no network.", soft_wrap=True)
        out.print("Its rate limit allows 3 requests at once, then one per second.")
        before = _lines(tenant.users[_USER])
        with tenant.client(on_wait=self._wait) as client:
            self._chapter("Changes are staged; nothing is sent")
            first = self._run(client, _nested)
            self._chapter("Leaving the block sends one PATCH for both kinds of metadata")
            self._requests()
            self._note(
                "Auth0 replaces everything below the first level, so the siblings mail and seats are sent too."
            )
            self._note("The GET, sent as late as possible, reads them.")
            self._chapter("Another program uses up the rate limit; your next PATCH gets a 429")
            self._use_up()
            second = self._run(client, _flat)
            self._requests()
        self._chapter("What is stored now")
        for line in difflib.ndiff(before, _lines(tenant.users[_USER])):
            if line[0] != "?":
                print_line(out, f"  {line}", style={"-": "red", "+": "green"}.get(line[0]))
        out.print()
        sent = first.requests + second.requests
        out.print(
            f"[bold green]Done:[/] 6 changes in 2 transactions, {sent} requests, {second.waited:.1f} s waited. Next:"
        )
        out.print("  auth0-meta emulator serve        run a local tenant for your own code")
        out.print("  auth0-meta doctor                check your own tenant, named by AUTH0_DOMAIN")

    def _chapter(self, title: str) -> None:
        self._out.print()
        self._out.print(title, style="bold cyan")

    def _note(self, text: str) -> None:
        width = max(20, self._out.width - 4)
        for line in textwrap.wrap(text, width, initial_indent="  ", subsequent_indent="    "):
            print_line(self._out, line, style="dim")

    def _run(self, client: ManagementClient, stage: Stage) -> CommitResult:
        """Print the code that runs and run it; inside the block, show that nothing has been sent yet."""
        lines = [line for line in inspect.getsource(stage).splitlines() if line.lstrip().startswith("tx.")]
        print_code(self._out, "\n".join([f'with client.transaction("{_USER}") as tx:', *lines]), "python")
        try:
            with client.transaction(_USER) as tx:
                stage(tx)
                self._note(f"tx.pending is {tx.pending}")
                self._note(f"requests sent: {len(self._entries()) - self._told}")
        finally:
            self._end_countdown()
        assert tx.result is not None  # noqa: S101  # the block has ended
        return tx.result

    def _entries(self) -> list[Any]:
        return self._tenant.journal.requests(path=_MANAGEMENT)

    def _requests(self) -> None:
        """Print the requests that have arrived since the last call; for a PATCH that was applied, the body too."""
        for entry in self._entries()[self._told :]:
            refused = f"[bold red]{entry.status} Too Many Requests[/]"
            response = "[green]200 OK[/]" if entry.status == _OK else refused
            self._out.print(f"  [bold]{entry.method:5}[/] {entry.path}  {response}")
            if entry.committed:
                print_code(self._out, "\n".join(_lines(entry.body)), "json", indent=8)
        self._told = len(self._entries())

    def _use_up(self) -> None:
        """Spend every token that is left, as another program on the same tenant might."""
        with self._tenant.client() as other:
            while self._entries()[-1].tokens:
                other.users.get(_USER)
        self._told = len(self._entries())

    def _wait(self, wait: Wait) -> None:
        """Show a wait before it begins: a countdown on a terminal, one line elsewhere."""
        self._end_countdown()
        self._requests()
        until = "until X-RateLimit-Reset" if wait.reason == "rate limit" else f"({wait.reason})"
        if not self._out.is_terminal:
            self._out.print(f"  waiting {wait.seconds:.1f} s {until}")
            return
        self._over = SYSTEM_CLOCK.monotonic() + wait.seconds

        def countdown() -> Text:
            left = self._over - SYSTEM_CLOCK.monotonic()
            words = f"waiting {left:.1f} s" if left > 0 else f"waited {wait.seconds:.1f} s"
            return Text(f"  {words} {until}", style="yellow")

        self._live = Live(get_renderable=countdown, console=self._out, refresh_per_second=10)
        self._live.start()

    def _end_countdown(self) -> None:
        if self._live is not None:
            self._over = 0.0  # so that the last frame says how long it took
            self._live.stop()
            self._live = None


def _lines(profile: Mapping[str, Any]) -> list[str]:
    """Return both metadata objects as JSON, one line for each first-level key."""
    objects = []
    for bag in (bag for bag in BAGS if bag in profile):
        keys = ",\n".join(f'    "{key}": {json.dumps(value)}' for key, value in profile[bag].items())
        objects.append(f'  "{bag}": {{\n{keys}\n  }}')
    return ["{", *",\n".join(objects).split("\n"), "}"]
