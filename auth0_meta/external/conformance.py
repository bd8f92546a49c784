"""What every store must do, as tests that pytest runs for each of them."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

from auth0_meta.errors import ExternalDamagedError, ExternalMissingError
from auth0_meta.external.pointers import MOST_BYTES, MOST_ID, NAME, encode, pointer
from auth0_meta.external.store import ExternalStore
from auth0_meta.external.values import load, save

_PATH = "app_metadata.history"
_PATIENCE = 120.0
"""Seconds that a thread may take for its values."""
_THREADS, _EACH = 6, 5


class ExternalStoreTests:
    """Tests of a store, run by pytest for a subclass whose name begins with "Test".

    `open_store` returns a new object for the same store every time; before each test the store is empty.

    >>> class TestMyStore(ExternalStoreTests):
    ...     def open_store(self) -> ExternalStore:
    ...         return MyStore("bucket-for-tests")
    """

    def open_store(self) -> ExternalStore:
        """Return a new object for the store that is tested."""
        raise NotImplementedError

    @contextlib.contextmanager
    def opened(self) -> Iterator[ExternalStore]:
        """Open the store for a block."""
        with contextlib.closing(self.open_store()) as store:
            yield store

    def test_a_value_is_found_by_everybody(self) -> None:
        """What one object has stored, another one finds, whatever JSON it is."""
        values: list[object] = [
            *(None, True, False, 0, 1, 1.0, -0.0, 2**60 + 1, 1e-300, "", [], {}, [None], {"": None}),
            *("Åsa\u2028\U0001f600", "a\0b", "\ud800", {"deep": [{"er": [1, "1", {"\udfff": 1.5}]}]}),
        ]
        with self.opened() as store, self.opened() as other:
            for value in values:
                made = save(value, store=store, user_id="auth0|1", path=_PATH)
                found = load(made, store=other, user_id="auth0|1")
                assert (repr(found), type(found)) == (repr(value), type(value))
        with self.opened() as later:
            assert load(made, store=later) == values[-1]

    def test_the_largest_value(self) -> None:
        """4 MiB are stored and found."""
        data = encode("x" * (MOST_BYTES - 2))
        with self.opened() as store:
            key = self._put(store, data)
            assert store.get(key) == data

    def test_storing_again_changes_nothing(self) -> None:
        """Storing the same data under the same key again succeeds, through the same object or another one."""
        with self.opened() as store, self.opened() as other:
            keys = {self._put(one, b"[1]") for one in (store, store, other)}
            assert len(keys) == 1
            assert set(store.keys()) == keys

    def test_other_data_under_the_same_key_is_refused(self) -> None:
        """What is there stays."""
        with self.opened() as store:
            key = self._put(store, b"[1]")
            try:
                store.put(key, b"[2]", user_id="auth0|1", path=_PATH)
            except ExternalDamagedError as error:
                assert store.name in str(error)  # noqa: PT017  # pytest need not be installed
            else:
                raise AssertionError("other data under the same key was accepted")
            assert store.get(key) == b"[1]"

    def test_what_is_not_there(self) -> None:
        """For a missing key `get` raises a `LookupError`, `load` raises `ExternalMissingError`, and `delete` does nothing."""
        made = pointer(b"[1]", store="s", user_id="auth0|1", path=_PATH)
        key = made["external"].split("/")[1]
        with self.opened() as store:
            store.delete(key)
            assert store.forget("auth0|1") == 0
            assert [*store.keys(), *store.keys("auth0|1"), *store.users()] == []
            for expected, call in (
                (LookupError, lambda: store.get(key)),
                (
                    ExternalMissingError,
                    lambda: load({**made, "external": f"{store.name}/{key}"}, store=store),
                ),
            ):
                try:
                    call()
                except expected:
                    pass
                else:
                    raise AssertionError("a value that is not there was found")

    def test_deleting_one_value(self) -> None:
        """The others stay, and the same value can be stored again."""
        with self.opened() as store:
            first, second = self._put(store, b"[1]"), self._put(store, b"[2]")
            store.delete(first)
            assert list(store.keys()) == [second]
            assert self._put(store, b"[1]") == first
            assert store.get(first) == b"[1]"

    def test_forgetting_a_user(self) -> None:
        """Everything of that user is gone, and of nobody else, however similar the ids are."""
        users = [
            "auth0|1",
            "auth0|10",
            "AUTH0|1",
            "auth0|ä",
            "auth0|a",
            "auth0|%",
            "auth0|_",
            "auth0|1 ",
            "'; --",
            "x" * MOST_ID,
        ]
        with self.opened() as store:
            keys = {user: {self._put(store, data, user) for data in (b"[1]", b"[2]")} for user in users}
            assert set(store.users()) == set(users)
            assert sorted(store.users()) == sorted(users)
            for user in users:
                assert set(store.keys(user)) == keys[user]
                assert store.forget(user) == 2
                assert store.forget(user) == 0
                del keys[user]
                assert set(store.keys()) == {key for those in keys.values() for key in those}
                assert set(store.users()) == set(keys)

    def test_many_keys(self) -> None:
        """Each key and each user comes once, also if there are more than a page has, and if they are deleted meanwhile."""
        with self.opened() as store:
            for n in range(1, 42):
                for data in (b"[1]", b"[2]"):
                    self._put(store, data, f"auth0|{n}")
            keys = list(store.keys())
            assert len(keys) == len(set(keys)) == 82
            for key in store.keys(None):
                store.delete(key)
            assert list(store.keys()) == []

    def test_threads_share_a_store(self) -> None:
        """Threads that store different values, and the same ones at the same time, all succeed."""
        failures: list[BaseException] = []
        with self.opened() as store, self.opened() as other:

            def work(n: int) -> None:
                try:
                    for i in range(_EACH):
                        for user in (f"auth0|{n}", "auth0|shared"):
                            made = save([i], store=(store, other)[n % 2], user_id=user, path=_PATH)
                            assert load(made, store=(store, other)[i % 2]) == [i]
                except BaseException as error:  # noqa: BLE001  # any: the test's own thread reports it
                    failures.append(error)

            threads = [threading.Thread(target=work, args=(n,)) for n in range(_THREADS)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(_PATIENCE)
            assert not any(thread.is_alive() for thread in threads)
            assert failures == []
            assert len(list(store.keys())) == (_THREADS + 1) * _EACH

    def test_the_name(self) -> None:
        """All objects for a store have the same name, which is valid in a pointer; a store can be closed twice."""
        with self.opened() as store, self.opened() as other:
            assert NAME.fullmatch(store.name)
            assert other.name == store.name
            store.close()

    @staticmethod
    def _put(store: ExternalStore, data: bytes, user_id: str = "auth0|1") -> str:
        made = pointer(data, store=store.name, user_id=user_id, path=_PATH)
        key = made["external"].split("/")[1]
        store.put(key, data, user_id=user_id, path=_PATH)
        return key
