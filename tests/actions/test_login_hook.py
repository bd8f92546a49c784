"""Hold the trigger's semantics as a context manager around a hook of one's own."""

from __future__ import annotations

from typing import Any

import pytest
from support.local_tenant import UID
from support.logins import SECRET, URL, Login

from auth0_meta import ActionTimeout, BadRequestError, InputError, MetadataWarning, NotFoundError, StateError
from auth0_meta.actions import Cache, Event, post_login


def test_leaving_the_block_commits_once() -> None:
    """Both bags in one PATCH; the block sees what was before; the outcome is set on leaving."""
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
    """Identical values, and no setter at all, are 0 requests."""
    login = Login(None, {"plan": "pro"})
    with post_login(login.client, login.event()) as api:
        api.user.set_app_metadata("plan", "pro")
    with post_login(login.client, login.event()):
        pass
    assert login.sent == []


def test_deny_commits() -> None:
    """A denial is an outcome, not an exception; what is staged is written."""
    login = Login()
    with post_login(login.client, login.event()) as api:
        api.user.set_app_metadata("a", 1)
        api.access.deny("no")
    assert login.app_metadata == {"a": 1}
    assert api.outcome is not None
    assert (api.outcome.denied, api.outcome.allowed) == ("no", False)


def test_an_exception_discards_and_goes_on() -> None:
    """The block's own exception reaches the caller, and the outcome."""
    login = Login()
    with pytest.raises(LookupError), post_login(login.client, login.event()) as api:
        api.user.set_app_metadata("a", 1)
        raise LookupError
    assert login.sent == []
    assert api.outcome is not None
    assert isinstance(api.outcome.error, LookupError)


def test_ctrl_c_goes_on_without_an_outcome() -> None:
    """What is no Exception writes nothing and is nobody's outcome."""
    login = Login()
    with pytest.raises(KeyboardInterrupt), post_login(login.client, login.event()) as api:
        api.user.set_app_metadata("a", 1)
        raise KeyboardInterrupt
    assert (login.sent, api.outcome) == ([], None)


def test_a_refused_update_is_raised() -> None:
    """Nobody may take a failed write for a login: it is raised, and the outcome holds it."""
    login = Login()
    login.tenant.fail(method="PATCH", status=400)
    with pytest.raises(BadRequestError), post_login(login.client, login.event()) as api:
        api.user.set_app_metadata("a", 1)
    assert api.outcome is not None
    assert isinstance(api.outcome.error, BadRequestError)
    assert not api.outcome.allowed


def test_a_spent_budget_is_raised() -> None:
    """Nothing is written after the budget."""
    login = Login()
    with pytest.raises(ActionTimeout), post_login(login.client, login.event(), budget=5) as api:
        api.user.set_app_metadata("a", 1)
        login.clock.sleep(5.0)
    assert login.sent == []


def test_unknown_bags_are_read_on_entering() -> None:
    """One GET, and the block's event knows both bags."""
    login = Login({"theme": "dark"}, {"plan": "pro"})
    with post_login(login.client, Event.from_claims({"sub": UID})) as api:
        assert login.sent == ["GET"]
        assert api.event.user.app_metadata == {"plan": "pro"}
        api.user.set_user_metadata("theme", "light")
    assert login.sent == ["GET", "PATCH"]


class Lock:
    """Note when it is held."""

    def __init__(self) -> None:
        self.log: list[str] = []

    def __enter__(self) -> None:
        self.log.append("enter")

    def __exit__(self, *args: object) -> None:
        self.log.append("exit")


def test_a_lock_is_held_and_given_back() -> None:
    """From before the read to after the update, also when the read or the block fails."""
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


def test_a_lock_that_ran_out_is_raised() -> None:
    """It may not have protected, so the outcome is no allowed login either."""

    class Leased(Lock):
        def __exit__(self, *args: object) -> None:
            raise LookupError

    login = Login()
    with (
        pytest.raises(LookupError),
        post_login(login.client, login.event(), lock=lambda user_id: Leased()) as api,
    ):
        api.user.set_app_metadata("a", 1)
    assert login.app_metadata == {"a": 1}
    assert api.outcome is not None
    assert not api.outcome.allowed


def test_a_block_can_not_redirect() -> None:
    """There is nothing to continue; the error names PostLoginTrigger.  Tokens can be made."""
    login = Login()
    with pytest.raises(StateError, match="PostLoginTrigger"), post_login(login.client, login.event()) as api:
        assert api.redirect.can_redirect()
        assert api.redirect.encode_token(secret=SECRET)
        api.redirect.send_user_to(URL)
    assert login.sent == []


def test_a_block_is_entered_once() -> None:
    """Each login needs its own; an event is asked for."""
    login = Login()
    block = post_login(login.client, login.event())
    with block:
        pass
    with pytest.raises(StateError), block:
        pass
    with pytest.raises(InputError):
        post_login(login.client, {"user": {"user_id": UID}})  # type: ignore[arg-type]


def test_a_cache_can_be_shared() -> None:
    """A block has a cache of its own unless it is given one."""
    login = Login()
    cache = Cache(login.clock)
    for expected in (None, "x"):
        with post_login(login.client, login.event(), cache=cache) as api:
            record = api.cache.get("k")
            assert (record and record.value) == expected
            api.cache.set("k", "x")
