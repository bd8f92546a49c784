"""Offer what a test does to a tenant beside its requests: tokens, faults, second writers, what changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from auth0_meta.emulator.openapi import describe
from auth0_meta.emulator.rules.differences import differences
from auth0_meta.emulator.state.faults import Drop, Fault, Hook
from auth0_meta.emulator.state.tenant_state import TenantState
from auth0_meta.emulator.state.tokens import LIFETIME, Application

if TYPE_CHECKING:
    from auth0_meta.emulator.tenant import LocalTenant


class Harness:
    """Hold the part of `LocalTenant` that plans, grants and compares; not for use by itself."""

    _state: TenantState
    client_id: str

    def token(
        self,
        *,
        scopes: Iterable[str] | None = None,
        expires_in: float = LIFETIME,
        audience: str | None = None,
        client_id: str | None = None,
        subject: str | None = None,
    ) -> str:
        """Return a signed token; `scopes` None is all, `expires_in` seconds by the tenant's clock.

        `subject` None is `{client_id}@clients`; a user id makes it that user's own token.
        """
        return self._state.access.issue(
            self._state.now(),
            client_id=client_id or self.client_id,
            scopes=scopes,
            expires_in=expires_in,
            audience=audience,
            subject=subject,
        )

    def revoke(self, token: str) -> None:
        """Refuse `token` with 401 from now on."""
        self._state.access.revoke(token)

    def expire_tokens(self) -> None:
        """Refuse every token that was issued or seen so far as expired."""
        self._state.access.expire()

    def rotate_keys(self, *, revoke: bool = False) -> None:
        """Sign with the next key from now on; the previous one stays published and good, unless `revoke`.

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
        """Register a client: its secret, or the signature by its key (PEM), is then really checked.

        `scopes` None grants all.  `callbacks` and `logout_urls` are where a login and a logout may lead, None
        for any address on loopback.  Clients that are not registered get a token for anything, unless
        the tenant is strict.
        """
        self._state.access.applications[client_id] = Application(
            client_id,
            client_secret,
            public_key,
            None if scopes is None else tuple(scopes),
            callbacks=None if callbacks is None else tuple(callbacks),
            logout_urls=None if logout_urls is None else tuple(logout_urls),
        )

    @property
    def post_login(self) -> Callable[..., Any] | None:
        """Return the post-login trigger that is hosted; assign to it to change it, None for none.

        It is called with the login's event, Auth0's as a dict, and returns None or an outcome: an object with some of
        `denied`, `error`, `redirect` (`url` and `state`), `validation_errors`, `id_token_claims`,
        `access_token_claims`, `added_scopes`, `removed_scopes`.  One that redirects has
        `resume(state, query=, body=, request=)` too.  What it raises fails the login, and is in `logs`.

        >>> from auth0_meta.emulator import LocalTenant
        >>> LocalTenant(serve=False, post_login=print).post_login
        <built-in function print>
        """
        return self._state.logins.hook

    @post_login.setter
    def post_login(self, hook: Callable[..., Any] | None) -> None:
        self._state.logins.hook = hook

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
        """Plan a fault, and return it: its `fired` counts how often it struck.

        Which requests: `method`, `path` (a template such as `/api/v2/users/{id}`, a whole path, or a
        prefix that ends in `/` or `*`; where no route is served, the path itself), `user_id` and
        `when(method, path, body)` must all hold; the `nth` of them is struck first,
        `times` in all (None: for ever), each with `probability` (by the tenant's seed; None: surely).
        What happens: `status` answers instead (with `commit`, after the request was carried out);
        `body` is JSON for a dict or list, else sent as it is, None being Auth0's own, or with
        `html` a proxy's page; `headers` are added, None takes one away.  A 429 carries the rate-limit
        headers: `reset` is a number of seconds after the answer's Date, or text to send as it is.
        `drop` closes the connection without an answer, "before_commit", "after_commit" or with a
        "reset" (before).  `delay` waits so many seconds, before the request is carried out, or after
        it where that is what is late.  `slow` sends the answer's body over so many seconds,
        `truncate` only so many bytes of it.  `expire_token` makes the request's token expired from
        here on.  `rows` lets an import write so many users, then fail as a whole.

        Of several plans that are due, the first made strikes.  A planned answer takes no token.  What
        `when` raises is a 500, and `verify` and the end of the `with` block raise for it.
        Raises `InputError` for a plan that says nothing or contradicts itself.

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
        run: Callable[[LocalTenant], object],
        *,
        nth: int = 1,
        times: int | None = 1,
    ) -> Hook:
        """Plan a second writer: `run(tenant)` goes just before a request for that user is processed.

        It runs after the token and limit were checked, so a refused request does not set it off.
        `user_id` None means any.  Returns the plan, which counts `fired`.  What `run` raises, a failed
        assert included, is a 500 to the client; `verify` and the end of the `with` block raise for it.
        """
        hook = Hook(method=method, user_id=user_id, nth=nth, times=times, run=run)
        self._state.faults.add(hook)
        return hook

    def faults_unfired(self) -> list[Fault | Hook]:
        """Return every planned fault and second writer that never came about."""
        return self._state.faults.unfired()

    def openapi(self) -> dict[str, Any]:
        """Return an OpenAPI 3.1 document of the routes that are served.

        >>> from auth0_meta.emulator import LocalTenant
        >>> LocalTenant(serve=False).openapi()["openapi"]
        '3.1.0'
        """
        return describe(self._state.access.url)

    @property
    def logs(self) -> list[dict[str, Any]]:
        """Return the tenant's log events, the newest thousand: `s` a login, `f` one that failed, `depnote` a profile past 10 KB."""
        return list(self._state.logs)

    def mark(self) -> None:
        """Make `diff` count from here."""
        self._state.history.mark()

    def diff(self) -> dict[str, dict[str, tuple[Any, Any]]]:
        """Return what requests and second writers changed since the start or `mark`, by user and path.

        Each value is (before, after).  A user who came or went shows under the path "".
        `updated_at` is left out, and so is a user in whom nothing else differs.

        >>> from auth0_meta.emulator import LocalTenant
        >>> tenant = LocalTenant(serve=False)
        >>> user = tenant.users.add(user_id="auth0|1", app_metadata={"plan": "free"})
        >>> _ = user.patch(app_metadata={"plan": "pro"})
        >>> tenant.diff()
        {'auth0|1': {'app_metadata.plan': ('free', 'pro')}}
        """
        state, found = self._state, {}
        for user_id, before in state.history.first().items():
            now = state.users.get(user_id)
            changed = differences(
                None if before is None else before.document(), None if now is None else now.document()
            )
            if changed:
                found[user_id] = changed
        return found
