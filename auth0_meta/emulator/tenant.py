"""Offer a local Auth0 tenant: one object for tests, scripts and the command line."""

from __future__ import annotations

import os
import re
import secrets
import threading
import uuid
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from auth0_meta.clock import SYSTEM_CLOCK, Clock
from auth0_meta.emulator.control.recipes import all_exports
from auth0_meta.emulator.control.report import complaints
from auth0_meta.emulator.control.routes import Control
from auth0_meta.emulator.control.seed_files import Roster, read_users, to_snapshot, write_users
from auth0_meta.emulator.decorator import decorated
from auth0_meta.emulator.harness import Harness
from auth0_meta.emulator.pipeline import Pipeline
from auth0_meta.emulator.routes import ALL_SCOPES
from auth0_meta.emulator.rules.loopback import is_loopback
from auth0_meta.emulator.rules.switches import Switches
from auth0_meta.emulator.serving.server import TenantServer
from auth0_meta.emulator.serving.tls import Authority
from auth0_meta.emulator.serving.wsgi import wsgi_app
from auth0_meta.emulator.state.clock import TenantClock
from auth0_meta.emulator.state.faults import PlanRaised
from auth0_meta.emulator.state.journal import Journal
from auth0_meta.emulator.state.limiter import Limiter
from auth0_meta.emulator.state.tenant_state import TenantState
from auth0_meta.emulator.state.users import Store, UserStore
from auth0_meta.emulator.tenant_users import Users
from auth0_meta.errors import ConfigError, StateError

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

    from auth0_meta.client import ManagementClient
    from auth0_meta.emulator.serving.requests_adapter import TenantAdapter

_F = TypeVar("_F", bound=Callable[..., Any])
_CLIENT_ID = "local-client"
# The port in the URL of a tenant without a socket; nothing listens there.
_NOBODY = 1


def _store(db: str | os.PathLike[str] | None) -> Store:
    if db is None:
        return UserStore()
    from auth0_meta.emulator.state.users_sqlite import SqliteStore  # noqa: PLC0415  # most tenants do without it

    return SqliteStore(db)


class LocalTenant(Harness):
    """Be an Auth0 tenant on this machine: state, rules, limits, faults, and a journal.

    `rate_limit`: "off" (no limit, no headers), a plan ("free", "essentials", "enterprise",
    "enterprise-dev"), "SIZE@PER_SECOND", or an object with `burst` and `per_second`.  `window`:
    buckets refill all at once.  `retry_after`: a 429 carries Retry-After.  `seed` decides ids and
    latencies.  `port` 0 takes a free one; `host` is loopback unless told; `hosts` are further
    names that requests may use.  `clock` drives everything, `clock_offset` seconds beside it.
    `jobs`: when a job is carried out, "immediate", "3 polls", "1.5 seconds" or "manual".  `index_lag`:
    seconds after which a search sees a write.  `strict`: only tokens issued here, registered clients and existing connections.  `latency`:
    seconds per request, "realistic" (recorded medians and tails) or None.  `serve=False` opens
    no socket: use `adapter()`, `wsgi` or `client()`.  `users`: profiles to start with, as
    `users.add` takes them, or the name of a JSON or YAML file of them.  `db`: a SQLite file that
    keeps the users (None: memory); they are taken up again, and `users` counts where it holds none.
    `tls`: serve https with a certificate made for this run; see `ca_file`.  `switches` answer what is not known about Auth0.  `journal_limit`
    bounds the journal, None keeps everything.  `post_login`: what is run at the end of each login, see the attribute.

    Use it as a context manager, or call `start` and `stop`; state lives as long as the object.
    Raises `ConfigError` for settings that can't work, OSError when the port is taken.

    >>> with LocalTenant(rate_limit="enterprise", seed=7) as tenant:
    ...     user = tenant.users.add(email="ann@example.com", app_metadata={"plan": "free"})
    ...     with tenant.client() as client:
    ...         _ = client.users.update(user.user_id, {"app_metadata": {"plan": "pro"}})
    ...     user.app_metadata, tenant.journal.count("PATCH")
    ({'plan': 'pro'}, 1)
    """

    def __init__(
        self,
        *,
        rate_limit: Any = "off",
        seed: int = 0,
        port: int = 0,
        host: str = "127.0.0.1",
        hosts: Iterable[str] = (),
        clock: Clock = SYSTEM_CLOCK,
        clock_offset: float = 0.0,
        jobs: str = "immediate",
        index_lag: float = 0.0,
        strict: bool = False,
        window: bool = False,
        retry_after: bool = False,
        latency: float | str | None = None,
        serve: bool = True,
        users: Iterable[Mapping[str, Any]] | str | os.PathLike[str] = (),
        db: str | os.PathLike[str] | None = None,
        tls: bool = False,
        switches: Switches | None = None,
        journal_limit: int | None = None,
        post_login: Callable[..., Any] | None = None,
    ) -> None:
        for name in (host, *hosts):
            if re.sub(r":\d*$", "", name.strip().lower()).rstrip(".").endswith("auth0.com"):
                msg = f"the local tenant never answers for {name}: use a name of your own"
                raise ConfigError(msg)
        if not (latency is None or latency == "realistic" or (not isinstance(latency, str) and latency >= 0)):
            msg = "latency is a number of seconds, 'realistic' or None"
            raise ConfigError(msg)
        if tls and not serve:
            msg = "tls=True needs a socket: leave out serve=False"
            raise ConfigError(msg)
        self._serve, self._host, self._port = serve, host, port
        if isinstance(users, (str, os.PathLike)):
            self._given = read_users(users)
        else:
            self._given = Roster([dict(user) for user in users])
        self._tls = Authority((host, *hosts)) if tls else None
        self.clock = TenantClock(clock)
        """Its time: `freeze`, `advance`, `resume`."""
        shown = f"[{host}]" if ":" in host else host
        run = uuid.uuid4().hex[:12]
        self._state = TenantState(
            users=_store(db),
            clock=self.clock,
            clock_offset=clock_offset,
            limiter=Limiter(rate_limit, window=window),
            switches=switches or Switches(),
            seed=seed,
            name=run,
            strict=strict,
            all_scopes=ALL_SCOPES,
            hosts=frozenset(name.lower() for name in (shown, *hosts)),
            journal=Journal(limit=journal_limit),
            jobs=jobs,
            index_lag=index_lag,
        )
        self._pipeline = Pipeline(self._state, owner=self, latency=latency, retry_after=retry_after)
        self._shown = "127.0.0.1" if host in ("0.0.0.0", "::") else shown  # noqa: S104  # what to connect to
        if tls and self._shown == "127.0.0.1":
            self._shown = "localhost"  # some clients know names in certificates only
        self._server: TenantServer | None = None
        self._lock, self._entering = threading.Lock(), threading.Lock()
        self._depth, self._stays = 0, False
        self._told: list[PlanRaised] = []
        self.client_id = _CLIENT_ID
        """A registered client's id, good in strict mode too."""
        self.client_secret = f"local-secret-{secrets.token_urlsafe(32)}"
        """Its secret, made for this run and good for nothing else."""
        self.users = Users(self._state)
        """The users, read and written directly."""
        self.journal = self._state.journal
        """Every request so far."""
        self.jobs = self._state.jobs
        """The jobs, and their pace."""
        self.wsgi: WSGIApplication = wsgi_app(self._pipeline)
        """The tenant as a WSGI application."""
        self._control = Control(self, self._state, show_token=is_loopback(host))
        self._pipeline.control = self._control
        self.post_login = post_login
        if strict:
            self.add_client(self.client_id, client_secret=self.client_secret)
        if port or not serve:
            self._set_url(port or _NOBODY)
        if not len(self.users):
            self._take(self._given)

    def __repr__(self) -> str:
        where = self._state.access.url or "not started"
        return f"<LocalTenant {where}, {len(self.users)} users>"

    def __enter__(self) -> LocalTenant:
        return self.enter()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with self._entering:
            self._depth -= 1
        with self._lock:
            # Somebody may have come in between.
            if self._depth == 0 and not self._stays:
                self._stop()
        if error is None or isinstance(error, Exception):
            self._tell(error)

    def enter(self, *, anew: bool = False) -> LocalTenant:
        """Do what `with` does at its beginning; `anew` resets, unless the tenant is in use already.

        Blocks may stand in one another, and the outermost one stops the tenant at its end; with `anew`
        one that was started beforehand goes on.
        """
        with self._entering:
            if self._depth == 0:
                self._stays = anew and self._server is not None
                if anew and not self._stays:
                    self.reset()
            self._depth += 1
        try:
            return self.start()
        except BaseException:
            with self._entering:
                self._depth -= 1
            raise

    def __call__(self, function: _F) -> _F:
        """Decorate a function, sync, async or a generator: each call runs with this tenant serving and reset.

        A parameter named `tenant` is given this tenant.  Of a class, each method whose name begins with
        `test` is decorated, of a `unittest.TestCase` its `setUp` and `tearDown` with it.  A call within
        another one, or in a `with` of the same tenant, finds it as it is; so calls that overlap share it.

        >>> @LocalTenant(users=[{"user_id": "auth0|1"}])
        ... def names(tenant):
        ...     return [user.user_id for user in tenant.users]
        >>> names()
        ['auth0|1']
        """
        made: _F = decorated(self, function)
        return made

    def start(self) -> LocalTenant:
        """Bind and serve, unless it is serving already or `serve=False`; returns this tenant."""
        with self._lock:
            self._state.wake(stopped=False)
            if self._serve and self._server is None:
                context = self._tls.context if self._tls else None
                server = TenantServer(self._host, self._port, self._pipeline, tls=context)
                self._port = server.start()
                self._server = server
                self._set_url(self._port)
        return self

    def stop(self) -> None:
        """Close every socket and end every thread; the state stays, and `start` takes the same port."""
        with self._lock:
            self._stop()

    def _stop(self) -> None:
        self._state.wake(stopped=True)
        server, self._server = self._server, None
        if server is not None:
            server.stop()
        self._state.users.close()

    def reset(self) -> None:
        """Start over: the given users, an empty journal, full buckets, no faults, time running; tokens stay good."""
        self.clock.reset()
        self._state.reset()
        self._take(self._given)

    @property
    def url(self) -> str:
        """Return the base URL, such as `http://127.0.0.1:8810`; raises `StateError` before the first start."""
        if not self._state.access.url:
            msg = "the tenant has no URL before its first start: enter the with block, or call start()"
            raise StateError(msg)
        return self._state.access.url

    @property
    def port(self) -> int:
        """Return the port that is or was served, 0 before the first start on a free one."""
        return self._port

    @property
    def domain(self) -> str:
        """Return host and port without the scheme."""
        return self.url.partition("://")[2]

    @property
    def env(self) -> dict[str, str]:
        """Return the environment that points `ManagementClient.from_env`, and other programs, at this tenant.

        With `tls` it names the files that make a program trust the certificate, as `emulator exec` does.
        """
        facts = {"url": self.url, "client_id": self.client_id, "client_secret": self.client_secret}
        if self._tls is not None:
            facts |= {"ca_file": str(self._tls.ca_file), "bundle_file": str(self._tls.bundle_file)}
        return all_exports(facts)

    @property
    def control_token(self) -> str:
        """Return what the control routes want in the header X-Emulator-Token, made for this run."""
        return self._control.token

    @property
    def page_url(self) -> str:
        """Return where a browser can look at the tenant; with its token where other machines could ask too."""
        return f"{self.url}/" if is_loopback(self._host) else f"{self.url}/#{self.control_token}"

    @property
    def ca_file(self) -> Path | None:
        """Return a PEM file with the certificate authority of this run, None without `tls`.

        It goes when the tenant does; the authority's key never leaves this process.
        """
        return self._tls.ca_file if self._tls else None

    @property
    def bundle_file(self) -> Path | None:
        """Return a PEM file with that authority and the public ones, None without `tls`."""
        return self._tls.bundle_file if self._tls else None

    def save(self, path: str | os.PathLike[str]) -> int:
        """Write every user to a JSON file, mode 0600, whole or not at all; returns how many.

        The file is one that `users=` and `load` take.  Raises `InputError` where it can't be written.
        """
        snapshot = to_snapshot(self.users.documents())
        write_users(path, snapshot)
        return len(snapshot["users"])

    def load(self, path: str | os.PathLike[str]) -> int:
        """Replace every user by those of a JSON or YAML file, all or none; returns how many.

        The users of a snapshot are as they were when it was saved; what people wrote by hand gets defaults.
        History and `diff` start over.  Raises `InputError` for a file that can't be taken, and then
        changes nothing.
        """
        roster = read_users(path)
        self._take(roster)
        return len(roster.users)

    def now(self) -> float:
        """Return the tenant's time, epoch seconds: its clock and its offset."""
        return self._state.now()

    def adapter(self) -> TenantAdapter:
        """Return an adapter for `requests.Session.mount` that reaches the tenant without a socket."""
        from auth0_meta.emulator.serving.requests_adapter import TenantAdapter  # noqa: PLC0415  # requests loads on use

        return TenantAdapter(self.wsgi, clock=self.clock)

    def client(self, **settings: Any) -> ManagementClient:
        """Return a `ManagementClient` of this tenant; `settings` are that class's and win.

        It has the tenant's credentials and clock (without the offset), and no socket where
        `serve=False`.
        """
        # The island reaches the client here and nowhere else.
        from auth0_meta.client import ManagementClient  # noqa: PLC0415
        from auth0_meta.emulator.serving.requests_adapter import TrustingAdapter  # noqa: PLC0415

        if not settings.keys() & {"token", "private_key", "client_secret"}:
            settings = {"client_id": self.client_id, "client_secret": self.client_secret} | settings
        settings.setdefault("clock", self.clock)
        if not self._serve:
            settings.setdefault("adapter", self.adapter())
        if self._tls is not None:
            settings.setdefault("adapter", TrustingAdapter(self._tls.ca_file, pool_maxsize=64))
        return ManagementClient(self.url, **settings)

    def verify(self) -> None:
        """Raise AssertionError for what went wrong unseen, naming each.

        That is a plan that never fired, a request that is not served (501), and whatever a second writer
        or a predicate raised: the first of these is the error's cause.  The end of a `with` block raises
        for the last kind by itself, because the client may have tried again and got through.
        """
        raised = self._state.raised
        self._told = [*raised]
        lines = complaints(self.faults_unfired(), self.journal, raised)
        if lines:
            raise AssertionError("\n".join(lines)) from (raised[0].error if raised else None)

    def _tell(self, error: Exception | None) -> None:
        """Raise for what plans raised and nobody was told; `error` ends the block and stays in the chain."""
        untold = [raised for raised in self._state.raised if raised not in self._told]
        self._told = [*self._state.raised]
        if untold:
            first = untold[0].error
            if error is not None and first.__context__ is None and first is not error:
                first.__context__ = error
            raise AssertionError("\n".join(complaints((), (), untold))) from first

    def _take(self, roster: Roster) -> None:
        self.users.replace(roster.users, verbatim=roster.verbatim)

    def _set_url(self, port: int) -> None:
        self._state.access.url = f"{'https' if self._tls else 'http'}://{self._shown}:{port}"
