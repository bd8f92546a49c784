"""The tree of errors, and which attributes an error has."""

from __future__ import annotations

import copy
import inspect
import pickle
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

import auth0_meta
from auth0_meta import errors
from auth0_meta.errors import Auth0MetaError
from auth0_meta.http.error_responses import api_error

CLASSES = [one for _, one in inspect.getmembers(errors, inspect.isclass) if issubclass(one, Auth0MetaError)]


@pytest.mark.parametrize("kind", CLASSES)
def test_errors_pickle_with_their_attributes(kind: type[Auth0MetaError]) -> None:
    """Worker processes need this: class, message and attributes survive pickling and copying."""
    error = kind("what happened", status=418, user_id="auth0|1", paths=(("app_metadata", ("a",)),), more=[1])
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):  # noqa: S301
        assert type(again) is kind
        assert str(again) == str(error) == "what happened"
        assert vars(again) == vars(error)
        assert again.status == 418


@pytest.mark.parametrize("kind", CLASSES)
def test_every_attribute_of_an_error_has_a_default(kind: type[Auth0MetaError]) -> None:
    """The documented attributes always exist."""
    error = kind()
    assert str(error) == ""
    for base in kind.__mro__:
        for name in vars(base).get("__annotations__", {}):
            if issubclass(base, Auth0MetaError):
                getattr(error, name)


@pytest.mark.parametrize(
    ("kind", "builtin"),
    [
        (errors.InputError, ValueError),
        (errors.StateError, RuntimeError),
        (errors.TransportError, OSError),
        (errors.NotFoundError, LookupError),
        (errors.MissingExtraError, ImportError),
    ],
)
def test_errors_derive_from_built_in_classes(kind: type[Auth0MetaError], builtin: type[Exception]) -> None:
    """Each can be caught as the built-in class that one would expect."""
    with pytest.raises(builtin, match="x"):
        raise kind("x")


def test_the_tree_in_the_docstring_is_right() -> None:
    """The tree in the docstring of errors.py shows every class under its parent."""
    drawn: dict[str, str] = {}
    stack: list[tuple[int, str]] = []
    for line in (errors.__doc__ or "").splitlines():
        name = line.lstrip("\u2502\u251c\u2514\u2500 ").split(" ")[0]
        if name not in vars(errors) or not isinstance(vars(errors)[name], type):
            continue
        depth = len(line) - len(line.lstrip("\u2502\u251c\u2514\u2500 "))
        stack = [one for one in stack if one[0] < depth]
        if stack:
            drawn[name] = stack[-1][1]
        stack.append((depth, name))
    real = {
        one.__name__: next(b.__name__ for b in one.__bases__ if issubclass(b, Auth0MetaError))
        for one in CLASSES
        if one is not Auth0MetaError
    }
    assert drawn == real


def test_every_error_is_public() -> None:
    """Each class is listed in errors.py and importable from the package."""
    for one in CLASSES:
        assert one.__name__ in errors.__all__
        assert getattr(auth0_meta, one.__name__) is one


@given(st.integers(-1, 1000), st.none() | st.text(), st.text())
def test_every_status_has_a_class(status: int, code: str | None, message: str) -> None:
    """There is a class for any status, and 5xx is always a ServerError."""
    kind = api_error(status, error_code=code, message=message)
    assert issubclass(kind, errors.ApiError)
    assert (kind is errors.ServerError) == (status >= 500)


def test_an_error_from_another_process_keeps_its_attributes() -> None:
    """A worker process raises it."""
    code = (
        "from concurrent.futures import ProcessPoolExecutor\n"
        "import multiprocessing, pickle\n"
        "from auth0_meta import NotSentError\n"
        "def fail(): raise NotSentError('down', permanent=True, user_id='auth0|1')\n"
        "if __name__ == '__main__':\n"
        "    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context('fork')) as pool:\n"
        "        try: pool.submit(fail).result(30)\n"
        "        except NotSentError as error: print(error, error.permanent, error.user_id)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.split("\n")[0] == "down True auth0|1", done.stderr
