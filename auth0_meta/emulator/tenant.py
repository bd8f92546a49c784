"""`LocalTenant`: a tenant with an address, for tests, scripts and the command line."""

from __future__ import annotations

import os
import re
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Concatenate, Literal, ParamSpec, Self, TypeVar, Unpack, overload
from urllib.parse import urlsplit

from auth0_meta.clock import SYSTEM_CLOCK, Clock
from auth0_meta.emulator.control.config import read_config
from auth0_meta.emulator.control.recipes import all_exports
from auth0_meta.emulator.control.routes import Control
from auth0_meta.emulator.control.seed_files import initial_users
from auth0_meta.emulator.decorator import decorated
from auth0_meta.emulator.in_process import InProcessTenant
from auth0_meta.emulator.routes import ALL_SCOPES
from auth0_meta.emulator.rules.loopback import is_loopback
from auth0_meta.emulator.rules.switches import Switches
from auth0_meta.emulator.serving.server import TenantServer
from auth0_meta.emulator.state.clock import TenantClock
from auth0_meta.emulator.state.journal import Journal
from auth0_meta.emulator.state.limiter import Limiter
from auth0_meta.emulator.state.tenant_state import TenantState
from auth0_meta.emulator.state.users import Store, UserStore
from auth0_meta.errors import ConfigError, StateError
from auth0_meta.redact import discreet

if TYPE_CHECKING:
    from auth0_meta.client import ManagementClient
    from auth0_meta.connection import ClientSettings
    from auth0_meta.emulator.serving.requests_adapter import TenantAdapter
    from auth0_meta.emulator.serving.tls import Authority

_F = TypeVar("_F", bound=Callable[..., Any])
_C = TypeVar("_C")
_R = TypeVar("_R")
_P = ParamSpec("_P")
_NAME = re.compile(r"([a-z0-9_]([a-z0-9_.-]{0,251}[a-z0-9_])?|\[[0-9a-f:.]+\])(:[0-9]{1,5})?", re.IGNORECASE)
_TOKEN = re.compile(r"[!-~]{16,1000}")
# The port in the URL of a tenant without a socket; nothing listens there.
_UNUSED_PORT = 1
_PUBLIC_URL = re.compile(r"(https?)://((?:\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::([0-9]{1,5}))?)/?", re.IGNORECASE)


@discreet
class LocalTenant(InProcessTenant):
    """An Auth0 tenant on this machine: state, rules, rate limits, faults and a journal.

    Rate limit: `rate_limit` is "off" (no limit, no headers), a plan ("free", "essentials", "enterprise",
    "enterprise-dev"), "SIZE@PER_SECOND", or an object with `burst` and `per_second`.  With `window` buckets
    refill all at once; with `retry_after` a 429 carries Retry-After.

    Address: `port` 0 picks a free port; `host` is loopback by default, and any other needs `strict` or `token`; `hosts` are further names that
    requests may use.  Tokens name as their issuer the name that a request used.  `public_url` is the one address in `url`, issuer and
    audience instead, if clients reach the tenant through a mapped port or a proxy.  `tls` serves https with a certificate authority
    made for this run, see `ca_file`; `ca` is a directory that keeps the authority for later runs.
    `serve=False` opens no socket: use `adapter()`, `wsgi` or `client()`.  `page=False` serves no page at `/`: on loopback it holds
    the control token, so every user of this machine can read it.

    Users: `users` are the profiles to start with, as `users.add` takes them, or the name of a JSON, NDJSON or YAML
    file that holds them.  `sample` takes its place: "small" has three users, and "oversized" 400, of whom some have
    profiles beyond Auth0's limits, and whatever else is wrong with metadata.  `db` is a SQLite file that keeps the users
    and everything else that requests can make (None: memory); if it holds users already, `users` and `sample` are ignored.

    Everything else: `config` is a file in the form of auth0-deploy-cli's tenant.yaml, or a mapping like it: clients,
    databases, connections, resourceServers, clientGrants, roles, organizations and tenant.  What exists already under
    the same name is changed.  `##NAME##` and `@@NAME@@` in the file stand for variables of the environment.

    Time: `clock` drives everything, with `clock_offset` seconds added.  `latency` is how many seconds each
    request takes, "realistic" (recorded medians and tails) or None.  `jobs` says when a job runs:
    "immediate", "3 polls", "1.5 seconds" or "manual".  `index_lag` is how many seconds a
    search takes to see a write.

    Rules: `strict` accepts only tokens issued here, registered clients and existing connections.  `token` is a token of your own for
    the Management API; with it no other is accepted but those issued here, to registered clients.
    `switches` settle what is not known about Auth0.  `seed` determines ids and random latencies.
    `journal_limit` bounds the journal (None: keep everything).  `post_login` runs at the end of each login;
    see the attribute.

    Use it as a context manager, or call `start` and `stop`; the state lives as long as the object.
    Raises `ConfigError` for settings that can't work, and OSError if the port is taken.

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
        host: str = "localhost",
        hosts: Iterable[str] = (),
        public_url: str | None = None,
        clock: Clock = SYSTEM_CLOCK,
        clock_offset: float = 0.0,
        jobs: str = "immediate",
        index_lag: float = 0.0,
        strict: bool = False,
        token: str | None = None,
        page: bool = True,
        window: bool = False,
        retry_after: bool = False,
        latency: float | str | None = None,
        serve: bool = True,
        users: Iterable[Mapping[str, Any]] | str | os.PathLike[str] = (),
        sample: Literal["small", "oversized"] | None = None,
        config: Mapping[str, Any] | str | os.PathLike[str] | None = None,
        db: str | os.PathLike[str] | None = None,
        tls: bool = False,
        ca: str | os.PathLike[str] | None = None,
        switches: Switches | None = None,
        journal_limit: int | None = None,
        post_login: Callable[[dict[str, Any]], object] | None = None,
    ) -> None:
        hosts = tuple(hosts)
        for name in (host, *hosts):
            _refuse_auth0_name(name)
        if not all(isinstance(name, str) and _NAME.fullmatch(name) for name in hosts):
            raise ConfigError(
                "each of hosts must be a host name such as auth0 or tenant.test, without scheme and path"
            )
        tls = tls or ca is not None
        if tls and not serve:
            raise ConfigError("tls=True needs a socket: leave out serve=False")
        if not (latency is None or latency == "realistic" or (not isinstance(latency, str) and latency >= 0)):
            raise ConfigError("latency must be a number of seconds, 'realistic' or None")
        if token is not None and _TOKEN.fullmatch(token) is None:
            raise ConfigError(
                "token must have 16 to 1000 characters, as in an Authorization header, without spaces"
            )
        if serve and not strict and token is None and not is_loopback(host):
            msg = (
                f"on {host} other machines could read and write every user with any token: add strict=True (--strict), "
                "so that only tokens issued here are accepted, or token=... (--token) with one of your own, or "
                "serve on localhost"
            )
            raise ConfigError(msg)
        roster = initial_users(users, sample)
        made = None if config is None else read_config(config)
        self._serve, self._host, self._port, self._page = serve, host, port, page
        host_in_url = f"[{host}]" if ":" in host else host
        self._public_url = None if public_url is None else _base_url(public_url)
        if self._public_url is not None:
            hosts = (*hosts, re.sub(r"^https?://|:[0-9]+$", "", self._public_url))
        covered = (host, *(urlsplit(f"//{name}").hostname or "" for name in hosts))
        self._tls: Authority | None = None
        if tls:
            from auth0_meta.emulator.serving.tls import Authority  # noqa: PLC0415  # most tenants don't need it

            self._tls = Authority(covered, directory=ca)
        state = TenantState(
            users=_store(db),
            clock=TenantClock(clock),
            clock_offset=clock_offset,
            limiter=Limiter(rate_limit, window=window),
            switches=switches or Switches(),
            seed=seed,
            name=uuid.uuid4().hex[:12],
            strict=strict,
            token=token,
            all_scopes=ALL_SCOPES,
            hosts=frozenset(name.lower() for name in (host_in_url, *hosts)),
            journal=Journal(limit=journal_limit),
            jobs=jobs,
            index_lag=index_lag,
            post_login=post_login,
        )
        super().__init__(state, roster, made, latency=latency, retry_after=retry_after)
        if host in ("0.0.0.0", "::"):  # noqa: S104  # where it listens; a client connects to loopback
            host_in_url = "localhost"
        if tls and host_in_url == "127.0.0.1":
            host_in_url = "localhost"  # some clients accept only names in a certificate, not addresses
        self._host_in_url = host_in_url
        self._server: TenantServer | None = None
        # The first is held while the server starts or stops, the second while blocks are counted.
        self._lock, self._entering = threading.Lock(), threading.Lock()
        self._depth, self._keep_serving = 0, False
        self._control = Control(
            self._state,
            users=self.users,
            reset=self.reset,
            issue=self.token,
            facts=lambda: {**self._facts(), "token": self.token()},
            page=page,
            show_token=self._is_private,
        )
        self._pipeline.control = self._control
        if port or not serve or self._public_url:
            self._set_url()

    def __repr__(self) -> str:
        return f"<LocalTenant {self._state.access.url or 'not started'}, {len(self.users)} users>"

    # Starting and stopping ------------------------------------------------------------------------

    def __enter__(self) -> Self:
        return self.enter()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with self._entering:
            self._depth -= 1
        with self._lock:
            # Another thread may have entered since the count went down: check again under this lock.
            if self._depth == 0 and not self._keep_serving:
                self._stop()
        if error is None or isinstance(error, Exception):
            self._raise_unreported(error)

    def enter(self, *, anew: bool = False) -> Self:
        """Begin a `with` block; with `anew` reset the tenant first, unless a block is open already.

        Blocks can be nested, and the end of the outermost one stops the tenant.  With `anew`, a tenant
        that was started before the block keeps its state and continues to serve after it.
        """
        with self._entering:
            if self._depth == 0:
                self._keep_serving = anew and self._server is not None
                if anew and not self._keep_serving:
                    self.reset()
            self._depth += 1
        try:
            return self.start()
        except BaseException:
            with self._entering:
                self._depth -= 1
            raise

    @contextmanager
    def _anew(self) -> Iterator[None]:
        self.enter(anew=True)
        with ExitStack() as block:
            block.push(self)
            yield

    @overload
    def __call__(self, function: type[_C], /) -> type[_C]: ...
    @overload
    def __call__(self, function: Callable[Concatenate[LocalTenant, _P], _R], /) -> Callable[_P, _R]: ...
    @overload
    def __call__(self, function: _F, /) -> _F: ...
    def __call__(self, function: Any, /) -> Any:
        """Decorate a function, sync, async or a generator: each call starts this tenant and resets it.

        A parameter named `tenant` receives this tenant.  On a class, each method whose name begins with
        `test` is decorated; in a `unittest.TestCase`, `setUp` and `tearDown` run with the tenant too.  A call
        inside another one, or inside a `with` block of the same tenant, does not reset it, so calls that
        overlap share its state.

        >>> @LocalTenant(users=[{"user_id": "auth0|1"}])
        ... def names(tenant):
        ...     return [user.user_id for user in tenant.users]
        >>> names()
        ['auth0|1']
        """
        return decorated(function, self, self._anew)

    def start(self) -> Self:
        """Bind and serve, unless it is serving already or has `serve=False`; returns this tenant."""
        with self._lock:
            self._state.wake(stopped=False)
            if self._serve and self._server is None:
                context = self._tls.context if self._tls else None
                # Programs differ in which of the two they try first.
                hosts = ("127.0.0.1", "::1") if self._host == "localhost" else (self._host,)
                server = TenantServer(hosts, self._port, self._pipeline, tls=context)
                self._port = server.start()
                self._server = server
                self._set_url()
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

    # Where it is, and how to reach it -------------------------------------------------------------

    @property
    def url(self) -> str:
        """The base URL, such as `http://localhost:8810`; raises `StateError` before the first start."""
        if not self._state.access.url:
            msg = "the tenant has no URL before its first start: enter the with block, or call start()"
            raise StateError(msg)
        return self._state.access.url

    @property
    def local_url(self) -> str:
        """The URL at which programs on this machine reach it, whatever `public_url` is."""
        return f"{'https' if self._tls else 'http'}://{self._host_in_url}:{self._port or _UNUSED_PORT}"

    @property
    def accepts_any_token(self) -> bool:
        """Whether any Bearer token will do for the Management API, and any secret for a token: neither `strict` nor `token`."""
        return not self._state.access.checks_clients

    def _set_url(self) -> None:
        self._state.access.url = self._public_url or self.local_url
        self._state.access.public = self._public_url is not None

    @property
    def port(self) -> int:
        """The port that it serves or served on; 0 before the first start on a free port."""
        return self._port

    @property
    def domain(self) -> str:
        """The host and port without the scheme."""
        return self.url.partition("://")[2]

    @property
    def env(self) -> dict[str, str]:
        """The environment that points `ManagementClient.from_env`, and other programs, at this tenant.

        With `tls` it names the files that make a program trust the certificate, as `emulator exec` does.
        """
        return all_exports(self._facts())

    def _facts(self) -> dict[str, str]:
        facts = {"url": self.url, "client_id": self.client_id, "client_secret": self.client_secret}
        return facts | self.certificate_files

    @property
    def control_token(self) -> str:
        """The token of this run, which the control routes require in the header X-Emulator-Token."""
        return self._control.token

    @property
    def page_url(self) -> str:
        """The address of its page, "" without one; with the control token if other machines can reach the tenant."""
        if not self._page:
            return ""
        return f"{self.url}/" if self._is_private else f"{self.url}/#{self.control_token}"

    @property
    def _is_private(self) -> bool:
        """Whether only this machine can reach it; a public URL may be that of a proxy."""
        public = urlsplit(self._public_url or "").hostname
        return is_loopback(self._host) and (public is None or is_loopback(public))

    @property
    def ca_file(self) -> Path | None:
        """A PEM file with the tenant's certificate authority, None without `tls`.

        Without `ca` it is deleted with the tenant, and the authority's key never leaves this process.
        """
        return self._tls.ca_file if self._tls else None

    @property
    def bundle_file(self) -> Path | None:
        """A PEM file with that authority and those that SSL_CERT_FILE names, else the public ones, None without `tls`."""
        return self._tls.bundle_file if self._tls else None

    @property
    def certificate_files(self) -> dict[str, str]:
        """The `ca_file`, and the file for each variable that makes a program trust it, such as SSL_CERT_FILE; empty without `tls`.

        Each file also has the authorities that the environment of this process names for that variable.
        """
        return {"ca_file": str(self._tls.ca_file), **self._tls.files()} if self._tls else {}

    def adapter(self) -> TenantAdapter:
        """Return an adapter for `requests.Session.mount` that reaches the tenant without a socket."""
        from auth0_meta.emulator.serving.requests_adapter import TenantAdapter  # noqa: PLC0415  # requests loads on use

        return TenantAdapter(self._pipeline, clock=self.clock)

    def client(self, **settings: Unpack[ClientSettings]) -> ManagementClient:
        """Return a `ManagementClient` for this tenant; `settings` are that class's and take precedence.

        It has the tenant's credentials and clock (without the offset), and uses no socket if the tenant
        has `serve=False` or a `public_url`, which may lead here from elsewhere only.
        """
        # The only place where the emulator imports the client: if they shared code, no test would reveal a mistake in it.
        from auth0_meta.client import ManagementClient  # noqa: PLC0415
        from auth0_meta.emulator.serving.requests_adapter import TrustingAdapter  # noqa: PLC0415

        if not settings.keys() & {"token", "private_key", "client_secret"}:
            settings = {"client_id": self.client_id, "client_secret": self.client_secret, **settings}
        settings.setdefault("clock", self.clock)
        if not self._serve or self._public_url is not None:
            settings.setdefault("adapter", self.adapter())
        if self._tls is not None:
            settings.setdefault("adapter", TrustingAdapter(self._tls.ca_file, pool_maxsize=64))
        return ManagementClient(self.url, **settings)


def _refuse_auth0_name(name: str) -> None:
    """Raise `ConfigError` for a name under auth0.com, with or without a port."""
    if re.sub(r":\d*$", "", name.strip().lower()).rstrip(".").endswith("auth0.com"):
        raise ConfigError(f"a local tenant can't serve {name}: use a name outside auth0.com")


def _base_url(url: str) -> str:
    """Return `url` without a slash at its end; raises `ConfigError` unless it is a scheme, a name and maybe a port."""
    found = _PUBLIC_URL.fullmatch(url)
    if found is None or not 0 < int(found[3] or 1) < 65536:
        raise ConfigError("public_url must be http or https, a name and maybe a port: http://localhost:9000")
    _refuse_auth0_name(found[2])
    return f"{found[1]}://{found[2]}".lower()


def _store(db: str | os.PathLike[str] | None) -> Store:
    if db is None:
        return UserStore()
    from auth0_meta.emulator.state.users_sqlite import SqliteStore  # noqa: PLC0415  # most tenants don't need it

    return SqliteStore(db)
