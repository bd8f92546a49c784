"""The semantics of the trigger as a context manager around your own login hook."""

from __future__ import annotations

from typing import Any

import pytest
from support.local_tenant import UID
from support.logins import SECRET, URL, Login

from auth0_meta import ActionTimeout, BadRequestError, InputError, MetadataWarning, NotFoundError, StateError
from auth0_meta.actions import Cache, Event, post_login


def test_leaving_the_block_commits_once() -> None:
    """Both metadata objects make one PATCH; the block sees the previous values; leaving it sets the outcome."""
    login = Login({"theme": "light"}, {"plan": "free"})
    with post_login(login.client, login.event()) as api:
        api.user.set_app_metadata("plan", "pro").user.set_user_metadata("theme", "dark")
        api.id_token.set_custom_claim("a", 1)
        with pytest.warns(MetadataWarning):
            assert api.event.user.app_metadata["plan"] == "free"
        assert api.outcome is None
        assert login.sent == []
    assert login.bodies == [{"user_metadata": {"theme": "dark"}, "app_metadata": {"plan": "pro"}}]
    assert api.outcome is not None
    assert api.outcome.allowed
    assert api.outcome.id_token_claims == {"a": 1}
    with pytest.raises(StateError):
        api.user.set_app_metadata("late", 1)


def test_nothing_new_sends_nothing() -> None:
    """Identical values, or no values at all, send no request."""
    login = Login(None, {"plan": "pro"})
    with post_login(login.client, login.event()) as api:
        api.user.set_app_metadata("plan", "pro")
    with post_login(login.client, login.event()):
        pass
    assert login.sent == []


def test_deny_commits() -> None:
    """A denial is an outcome and not an exception; what is staged is written."""
    login = Login()
    with post_login(login.client, login.event()) as api:
        api.user.set_app_metadata("a", 1)
        api.access.deny("no")
    assert login.app_metadata == {"a": 1}
    assert api.outcome is not None
    assert (api.outcome.denied, api.outcome.allowed) == ("no", False)


def test_an_exception_discards_and_reaches_the_caller() -> None:
    """The block's own exception reaches the caller and is in the outcome."""
    login = Login()
    with pytest.raises(LookupError), post_login(login.client, login.event()) as api:
        api.user.set_app_metadata("a", 1)
        raise LookupError
    assert login.sent == []
    assert api.outcome is not None
    assert isinstance(api.outcome.error, LookupError)


def test_ctrl_c_reaches_the_caller_without_an_outcome() -> None:
    """After an interruption nothing is written, and there is no outcome."""
    login = Login()
    with pytest.raises(KeyboardInterrupt), post_login(login.client, login.event()) as api:
        api.user.set_app_metadata("a", 1)
        raise KeyboardInterrupt
    assert (login.sent, api.outcome) == ([], None)


def test_a_refused_update_is_raised() -> None:
    """A failed write must not pass for a login: it is raised, and is in the outcome."""
    login = Login()
    login.tenant.fail(method="PATCH", status=400)
    with pytest.raises(BadRequestError), post_login(login.client, login.event()) as api:
        api.user.set_app_metadata("a", 1)
    assert api.outcome is not None
    assert isinstance(api.outcome.error, BadRequestError)
    assert not api.outcome.allowed


def test_a_spent_budget_raises_an_error() -> None:
    """Once the budget is spent, nothing is written."""
    login = Login()
    with pytest.raises(ActionTimeout), post_login(login.client, login.event(), budget=5) as api:
        api.user.set_app_metadata("a", 1)
        login.clock.sleep(5.0)
    assert login.sent == []


def test_unknown_metadata_is_read_on_entering() -> None:
    """One GET, and the block's event has both metadata objects."""
    login = Login({"theme": "dark"}, {"plan": "pro"})
    with post_login(login.client, Event.from_claims({"sub": UID})) as api:
        assert login.sent == ["GET"]
        assert api.event.user.app_metadata == {"plan": "pro"}
        api.user.set_user_metadata("theme", "light")
    assert login.sent == ["GET", "PATCH"]


class Lock:
    """A lock that logs when it is held."""

    def __init__(self) -> None:
        self.log: list[str] = []

    def __enter__(self) -> None:
        self.log.append("enter")

    def __exit__(self, *args: object) -> None:
        self.log.append("exit")


def test_a_lock_is_held_and_released() -> None:
    """It is held from before the read until after the update, and released even if the read or the block fails."""
    login, lock = Login(), Lock()
    settings: Any = {"lock": lambda user_id: lock}
    login.tenant.before("PATCH", UID, lambda _: lock.log.append("PATCH"))
    with post_login(login.client, login.event(), **settings) as api:
        api.user.set_app_metadata("a", 1)
    assert lock.log == ["enter", "PATCH", "exit"]
    with pytest.raises(LookupError), post_login(login.client, login.event(), **settings):
        raise LookupError
    with (
        pytest.raises(NotFoundError),
        post_login(login.client, Event.from_claims({"sub": "auth0|no"}), **settings),
    ):
        raise AssertionError
    assert lock.log[3:] == ["enter", "exit"] * 2


def test_a_lock_that_fails_on_release_is_not_raised() -> None:
    """It may not have protected the update, which the outcome and a warning say; the update stays written."""

    class Leased(Lock):
        def __exit__(self, *args: object) -> None:
            raise LookupError

    login = Login()
    with (
        pytest.warns(MetadataWarning, match="LookupError"),
        post_login(login.client, login.event(), lock=lambda user_id: Leased()) as api,
    ):
        api.user.set_app_metadata("a", 1)
    assert login.app_metadata == {"a": 1}
    assert api.outcome is not None
    assert (api.outcome.allowed, api.outcome.lock_lost) == (True, True)


def test_a_block_cannot_redirect() -> None:
    """A block can't be continued; the error names PostLoginTrigger.  Tokens can still be made."""
    login = Login()
    with pytest.raises(StateError, match="PostLoginTrigger"), post_login(login.client, login.event()) as api:
        assert api.redirect.can_redirect()
        assert api.redirect.encode_token(secret=SECRET)
        api.redirect.send_user_to(URL)
    assert login.sent == []


def test_a_block_can_be_entered_once() -> None:
    """Each login needs its own block, and an Event."""
    login = Login()
    block = post_login(login.client, login.event())
    with block:
        pass
    with pytest.raises(StateError), block:
        pass
    with pytest.raises(InputError):
        post_login(login.client, {"user": {"user_id": UID}})  # type: ignore[arg-type]


def test_a_cache_can_be_shared() -> None:
    """A block has its own cache, unless it is given one."""
    login = Login()
    cache = Cache(login.clock)
    for expected in (None, "x"):
        with post_login(login.client, login.event(), cache=cache) as api:
            record = api.cache.get("k")
            assert (record and record.value) == expected
            api.cache.set("k", "x")
