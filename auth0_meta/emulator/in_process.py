"""What needs no address: the methods that tests call on a tenant."""

from __future__ import annotations

import copy
import os
import re
import secrets
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Self

from auth0_meta.emulator.api.clients import client_document
from auth0_meta.emulator.auth.access import api_for, secret_of
from auth0_meta.emulator.control.config import Config, apply_config
from auth0_meta.emulator.control.report import findings
from auth0_meta.emulator.control.seed_files import Roster, open_users
from auth0_meta.emulator.control.snapshots import snapshot_lines, write_snapshot
from auth0_meta.emulator.http.errors import NotServed
from auth0_meta.emulator.openapi import describe
from auth0_meta.emulator.pipeline import Pipeline
from auth0_meta.emulator.rules.differences import differences
from auth0_meta.emulator.serving.wsgi import wsgi_app
from auth0_meta.emulator.state.faults import CallbackRaised, Drop, Fault, Hook
from auth0_meta.emulator.state.resources import NEW_TENANT
from auth0_meta.emulator.state.tenant_state import TenantState
from auth0_meta.emulator.state.tokens import LIFETIME
from auth0_meta.emulator.tenant_users import Users
from auth0_meta.errors import ConfigError, InputError, StateError
from auth0_meta.redact import discreet

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

_CALLBACK = re.compile(r"[a-z][a-z0-9+.-]*://[!-\"$-~]+", re.IGNORECASE)


@discreet
class InProcessTenant:
    """A tenant that is used in this process only; `LocalTenant` adds an address to it."""

    def __init__(
        self,
        state: TenantState,
        users: Roster,
        config: Config | None,
        *,
        latency: float | str | None,
        retry_after: bool,
    ) -> None:
        self._state, self._initial_users, self._config = state, users, config
        self._callbacks: list[tuple[str, str]] = []
        self.clock = state.clock
        """Its clock, with `freeze`, `advance` and `resume`."""
        self._pipeline = Pipeline(state, owner=self, latency=latency, retry_after=retry_after)
        self._reported: list[CallbackRaised] = []
        self.client_id = "local-client"
        """The id of a client that is registered even in strict mode."""
        self.client_secret = f"local-secret-{secrets.token_urlsafe(32)}"
        """That client's secret, made for this run and useless elsewhere."""
        self.users = Users(state)
        """The users, to read and write directly."""
        self.journal = state.journal
        """Every request so far."""
        self.jobs = state.jobs
        """The jobs and their pace."""
        self.wsgi: WSGIApplication = wsgi_app(self._pipeline)
        """The tenant as a WSGI application."""
        self._register(self.client_id, client_secret=self.client_secret, lenient=True)
        if not len(self.users):
            initial = self._initial_users
            rows = initial.rows if state.users.is_new else None
            self.users.replace(initial.users, verbatim=initial.verbatim, rows=rows)
        if config is not None:
            apply_config(state, config)

    def reset(self, *, wipe: bool = False) -> None:
        """Restore the initial state, empty the journal, fill the buckets, delete faults, reset the clock; tokens stay valid.

        What a file keeps (`db`) stays as it is, users included, unless `wipe`: then the file too is as it was at the start.

        >>> from auth0_meta.emulator import LocalTenant
        >>> tenant = LocalTenant(serve=False, users=[{"user_id": "auth0|1"}])
        >>> _ = tenant.users.add()
        >>> tenant.reset()
        >>> [user.user_id for user in tenant.users]
        ['auth0|1']
        """
        keep = self._state.users.is_kept and not wipe
        self.clock.reset()
        self._state.reset(keep=keep)
        if not keep:
            initial = self._initial_users
            rows = NEW_TENANT if initial.rows is None else initial.rows
            self.users.replace(initial.users, verbatim=initial.verbatim, rows=rows)
            if self._config is not None:
                apply_config(self._state, self._config)
        for client_id, url in self._callbacks:
            if client_id in self._state.resources.of("clients"):  # or it was made by a request
                self._allow(client_id, url)

    def verify(self) -> None:
        """Raise AssertionError if something went wrong unnoticed, naming each case.

        These are faults and second writers that never fired, requests for routes, and whatever else in a request, that are not served,
        and whatever a second writer or predicate raised; the first such error is the cause.  The end of a
        `with` block raises for the last kind by itself, because the client may have retried and succeeded.
        """
        __tracebackhide__ = True
        raised = self._state.raised
        self._reported = [*raised]
        lines = findings(self.faults_unfired(), self.journal.not_served, raised)
        if lines:
            raise AssertionError("\n".join(lines)) from (raised[0].error if raised else None)

    def _raise_unreported(self, error: Exception | None) -> None:
        """Raise for errors of second writers and predicates that `verify` has not reported; `error` ends the block."""
        __tracebackhide__ = True
        new = [raised for raised in self._state.raised if raised not in self._reported]
        self._reported = [*self._state.raised]
        if new:
            first = new[0].error
            # Without this, the error that ended the block would vanish from the traceback.
            if error is not None and first.__context__ is None and first is not error:
                first.__context__ = error
            raise AssertionError("\n".join(findings(raised=new))) from first

    def openapi(self) -> dict[str, Any]:
        """Return an OpenAPI 3.1 document of the routes that are served.

        >>> from auth0_meta.emulator import LocalTenant
        >>> LocalTenant(serve=False).openapi()["openapi"]
        '3.1.0'
        """
        return describe(self._state.access.url)

    # Tokens, clients and logins -------------------------------------------------------------------

    def token(
        self,
        subject: str | None = None,
        *,
        audience: str | None = None,
        scope: str | None = None,
        permissions: Iterable[str] | None = None,
        claims: Mapping[str, Any] | None = None,
        scopes: Iterable[str] | None = None,
        expires_in: float = LIFETIME,
        client_id: str | None = None,
    ) -> str:
        """Return a signed token that expires after `expires_in` seconds by the tenant's clock.

        `subject` None is `{client_id}@clients`, a machine; a user id makes it that user's own token.  `audience` None is
        the Management API.  `scope`, separated by spaces, or `scopes` are granted whatever an API defines; without
        either it is all that the API defines.  `permissions` and `claims` are added to the token's claims.  With `openid`, a user's token is for /userinfo too.

        >>> from auth0_meta.emulator import LocalTenant
        >>> token = LocalTenant(serve=False).token("auth0|1", audience="https://api.example.com", scope="read:x")
        >>> token.count(".")
        2
        """
        if scope is not None and scopes is not None:
            raise InputError("token() takes scope=, a text, or scopes=, an iterable of texts, not both")
        if scope is not None:
            scopes = scope.split()
        api = None if audience is None else api_for(self._state, audience)
        if scopes is None and audience is not None:
            scopes = () if api is None else api.scopes
        try:
            secret = secret_of(api)
        except NotServed as error:
            raise InputError(error.message) from None
        listed = {} if permissions is None else {"permissions": list(permissions)}
        granted, now = None if scopes is None else tuple(scopes), self._state.now()
        token = self._state.access.issue(
            now,
            client_id=client_id or self.client_id,
            scopes=granted,
            expires_in=expires_in,
            audience=audience,
            subject=subject,
            more={**listed, **(claims or {})},
            secret=secret,
        )
        if subject is not None and secret is None and "openid" in (granted or ()):
            shown: tuple[str, tuple[str, ...], Mapping[str, Any]] = (subject, granted or (), {})
            self._state.logins.access_tokens.put(shown, until=now + expires_in, now=now, key=token)
        return token

    def revoke(self, token: str) -> None:
        """Refuse `token` with 401 from now on."""
        self._state.access.revoke(token)

    def expire_tokens(self) -> None:
        """Treat every token that was issued or seen so far as expired."""
        self._state.access.expire()

    def rotate_keys(self, *, revoke: bool = False) -> None:
        """Sign with the next key from now on; the previous key stays published and valid, unless `revoke`.

        >>> from auth0_meta.emulator import LocalTenant
        >>> LocalTenant(serve=False).rotate_keys()
        """
        self._state.access.keys.rotate(revoke=revoke)
        if revoke:
            self._state.access.forget()

    def add_client(
        self,
        client_id: str,
        *,
        client_secret: str | None = None,
        public_key: str | None = None,
        scopes: Iterable[str] | None = None,
        callbacks: Iterable[str] | None = None,
        logout_urls: Iterable[str] | None = None,
    ) -> None:
        """Register a client, so that its secret or the signature of its key (`public_key`, PEM) is checked.

        `scopes` None grants all scopes.  `callbacks` and `logout_urls` are the URLs that a login and a
        logout may lead to, None for any on loopback.  Clients that are not registered get a token for
        anything, unless the tenant is strict.
        """
        self._register(
            client_id,
            client_secret=client_secret,
            public_key=public_key,
            scopes=scopes,
            callbacks=callbacks,
            logout_urls=logout_urls,
        )

    def add_callback(self, client_id: str, url: str) -> None:
        """Let the logins of a client return to `url` too; it may have a scheme of its own, such as `com.example.app://cb`.

        The client is then held to the callbacks that it lists.  One that accepts any secret keeps those on loopback;
        so does an id that is not registered, which a strict tenant refuses with `ConfigError`, as an unusable URL is.
        """
        if _CALLBACK.fullmatch(url) is None:
            raise ConfigError(
                "a callback must be a URL with a scheme, such as https://app.test/cb, and no fragment"
            )
        clients = self._state.resources.of("clients")
        if client_id not in clients:
            if self._state.access.checks_clients:
                raise ConfigError("a callback names a client that does not exist: add the client first")
            self._register(client_id, lenient=True)
        self._callbacks.append((client_id, url))
        self._allow(client_id, url)

    def _allow(self, client_id: str, url: str) -> None:
        """Add a callback to a client's document, unless it is there, as in a file that was kept."""
        document = self._state.resources.of("clients")[client_id]
        callbacks = list(dict.fromkeys([*(document.get("callbacks") or ()), url]))
        self._state.resources.change("clients", client_id, {**document, "callbacks": callbacks})

    def _register(self, client_id: str, **settings: Any) -> None:
        """Store a client's document, now and after each reset."""
        self._state.resources.register("clients", client_id, client_document(client_id, **settings))

    @property
    def post_login(self) -> Callable[[dict[str, Any]], object] | None:
        """The post-login trigger; assign to it to change it, None for none.

        It is called with the login's event, Auth0's as a dict, and returns None or an outcome: an object with some of
        `denied`, `error`, `redirect` (`url` and `state`), `validation_errors`, `id_token_claims`,
        `access_token_claims`, `added_scopes`, `removed_scopes`.  A trigger that redirects also has
        `resume(state, query=, body=, request=)`.  If it raises, the login fails and the error is in `logs`.

        >>> from auth0_meta.emulator import LocalTenant
        >>> LocalTenant(serve=False, post_login=print).post_login
        <built-in function print>
        """
        return self._state.logins.hook

    @post_login.setter
    def post_login(self, trigger: Callable[[dict[str, Any]], object] | None) -> None:
        self._state.logins.hook = trigger

    # Faults and second writers --------------------------------------------------------------------

    def fail(
        self,
        *,
        method: str | None = None,
        path: str | None = None,
        user_id: str | None = None,
        when: Callable[[str, str, bytes], bool] | None = None,
        probability: float | None = None,
        nth: int = 1,
        times: int | None = 1,
        status: int | None = None,
        body: dict[str, Any] | list[Any] | str | bytes | None = None,
        html: bool = False,
        headers: Mapping[str, str | None] | None = None,
        drop: Drop | None = None,
        delay: float | None = None,
        slow: float | None = None,
        truncate: int | None = None,
        reset: float | str | None = None,
        commit: bool = False,
        expire_token: bool = False,
        rows: int | None = None,
    ) -> Fault:
        """Inject a fault, and return it; its `fired` counts how often it struck.

        Which requests: `method`, `path` (a template such as `/api/v2/users/{id}`, a whole path, or a
        prefix that ends in `/` or `*`; for a path that no route serves, the path itself), `user_id` and
        `when(method, path, body)` must all match.  The fault strikes from the `nth` of them on, `times` in
        all (None: always), each with `probability` (by the tenant's seed; None: certainly).

        What happens: `status` is the response, instead of the real one or, with `commit`, after the request
        took effect.  `body` is sent as JSON if it is a dict or list, else as it is; None is Auth0's own
        body, or with `html` the page of a proxy.  `headers` replace those of the same name, in any case; None removes one.  A 429 carries the
        rate-limit headers: `reset` is a number of seconds after the response's Date, or text to send as it
        is.  `drop` closes the connection without a response, "before_commit" or "after_commit", or resets it
        before ("reset").  `delay` waits this many seconds before the request takes effect, or after it if the
        fault strikes after it.  `slow` spreads the body over this many seconds, `truncate` sends only this many
        bytes of it.  `expire_token` expires the request's token.  `rows` makes an import fail as a whole after
        it has written this many users.

        If several faults match, the one added first strikes.  A fault's response takes no token from a bucket.
        If `when` raises, the client gets a 500, and `verify` and the end of the `with` block raise.
        Raises `InputError` for a fault that has no effect or contradicts itself.

        >>> from auth0_meta.emulator import LocalTenant
        >>> tenant = LocalTenant(serve=False)
        >>> fault = tenant.fail(method="PATCH", status=429, reset=2)
        >>> fault.fired, tenant.faults_unfired() == [fault]
        (0, True)
        """
        fault = Fault(
            method=method,
            path=path,
            user_id=user_id,
            when=when,
            probability=probability,
            nth=nth,
            times=times,
            status=status,
            body=body,
            html=html,
            headers=dict(headers or {}),
            drop=drop,
            delay=delay,
            slow=slow,
            truncate=truncate,
            reset=reset,
            commit=commit,
            expire_token=expire_token,
            rows=rows,
        )
        self._state.faults.add(fault)
        return fault

    def before(
        self,
        method: str,
        user_id: str | None,
        run: Callable[[Self], object],
        *,
        nth: int = 1,
        times: int | None = 1,
    ) -> Hook:
        """Add a second writer: `run(tenant)` is called just before a request for that user takes effect.

        It runs after the token and the rate limit were checked, so a refused request does not trigger it.
        `user_id` None means any user.  Returns a hook, whose `fired` counts the calls.  If `run` raises, a
        failed assert included, the client gets a 500, and `verify` and the end of the `with` block raise.
        """
        hook = Hook(method=method, user_id=user_id, nth=nth, times=times, run=run)
        self._state.faults.add(hook)
        return hook

    def faults_unfired(self) -> list[Fault | Hook]:
        """Return every fault and second writer that never fired."""
        return [item for item in self._state.faults.all() if item.fired == 0]

    # State ----------------------------------------------------------------------------------------

    def now(self) -> float:
        """Return the tenant's time in epoch seconds: its clock plus its offset."""
        return self._state.now()

    @property
    def logs(self) -> list[dict[str, Any]]:
        """The latest thousand log events, but those of API writes (`sapi`), which only /api/v2/logs has.

        Their types are Auth0's: `s` is a login, `f`, `fp` and `fu` a failed one, `ss` a sign-up, `seacft` the exchange of a code,
        `depnote` a profile over 10 KB.
        """
        return copy.deepcopy(self._state.logs)

    def mark(self) -> None:
        """Make `diff` compare with the users as they are now."""
        self._state.history.mark()

    def diff(self) -> dict[str, dict[str, tuple[Any, Any]]]:
        """Return what requests and second writers changed since the start or `mark`, by user and path.

        Each value is (before, after).  A user who was created or deleted has the path "".
        `updated_at` is left out, and so is a user in whom nothing else differs.  Raises `StateError` if more than
        100,000 users were written (2,000 with `db`), or 256 MB of profiles (16 MB).

        >>> from auth0_meta.emulator import LocalTenant
        >>> tenant = LocalTenant(serve=False)
        >>> user = tenant.users.add(user_id="auth0|1", app_metadata={"plan": "free"})
        >>> _ = user.patch(app_metadata={"plan": "pro"})
        >>> tenant.diff()
        {'auth0|1': {'app_metadata.plan': ('free', 'pro')}}
        """
        changed, marked = {}, self._state.history.at_mark()
        if marked is None:
            most = self._state.history.most
            msg = f"diff() compares at most {most:,} users, within bounds in bytes: call mark() before fewer of them are written"
            raise StateError(msg)
        for user_id, before in marked.items():
            now = self._state.users.get(user_id)
            changed[user_id] = differences(before and before.document(), now and now.document())
        return {user_id: paths for user_id, paths in changed.items() if paths}

    def save(self, path: str | os.PathLike[str]) -> int:
        """Write a snapshot to a file, mode 0600, or leave the file as it was; returns how many users it has.

        It is JSON with the users, the hashes of their passwords, and everything else that requests can make: clients
        with their secrets, roles, organizations, connections, APIs, grants, and what links them.  `users=` and `load`
        take the file.  Raises `InputError` if it can't be written.
        """
        return write_snapshot(path, snapshot_lines(self._state))

    def load(self, path: str | os.PathLike[str]) -> int:
        """Replace all users with those in a JSON or YAML file, or nothing; returns how many.

        A snapshot replaces everything else too, and all is as it was when it was saved.  With a file that holds users
        only, as people write them and 0.1.0 did, everything else stays, and so do the passwords, roles and memberships
        of users who are in the file; unless it is a snapshot, its users get defaults.  History and `diff`
        start over.  Raises `InputError` for an invalid file, and then changes nothing.
        """
        with open_users(path) as roster:
            self.users.replace(roster.users, verbatim=roster.verbatim, rows=roster.rows)
        return len(self.users)
