"""A traceback ends at the program's own line, and nothing is chained to an error but its cause."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import subprocess
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from auth0_meta import (
    AmbiguousUserError,
    AuthError,
    BadRequestError,
    ConfigError,
    ConflictError,
    ExternalDamagedError,
    ExternalMismatchError,
    ExternalMissingError,
    InputError,
    LedgerError,
    ManagementClient,
    MetadataBatch,
    MetadataError,
    MetadataTransaction,
    MetadataWarning,
    NotFoundError,
    NotSentError,
    OutcomeUnknown,
    PathError,
    RateLimit,
    RateLimitError,
    ServerError,
    StateError,
    StoredDataError,
    User,
    errors,
    migrate,
    redact,
)
from auth0_meta.actions import Event, PostLoginTrigger, post_login
from auth0_meta.actions.web import ReturnUrls, SigningKeys, verify_id_token
from auth0_meta.emulator import LocalTenant
from auth0_meta.external import Pointer, SqliteStore, load, pointer, save
from auth0_meta.jwt import verify_hs256
from auth0_meta.testing import FakeClock, simulate

PACKAGES = (
    "auth0_meta", "auth0_meta.actions", "auth0_meta.actions.web", "auth0_meta.audit", "auth0_meta.emulator",
    "auth0_meta.external", "auth0_meta.jwt", "auth0_meta.migrate", "auth0_meta.testing",
)  # fmt: skip
# Values: nothing that they do can fail but for a bug, or they are used so often that a wrapper would cost too much.
VALUES = """
    ActionObject Api ApplyProgress BagChange BatchResult BatchResults ByEmail CacheRecord CacheResult Change
    AuditProgress Check Clock CommitResult Cost Difference Entry ExportProgress ExternalStore FakeClock Fault Finding Found Hook Job KeyWeight Login
    Moved OversizedUser Page PathMoved PlanProgress PlanSummary Problems Progress Rates RecordedResponse Redirect RunResult Sizes Source
    State States Status Switches UserDone
    Wait Waiting"""
# What no mistake below raises.
ELSEWHERE = """
    ActionTimeout AlreadyExistsError ApiError BatchError ExternalError ExternalUnavailableError ForbiddenError JobError MissingExtraError PagingError
    RedirectError ResourceConflictError ScopeError TransportError"""


class Case:
    """What a mistake may use: a tenant with one user, and a client of it."""

    def __init__(self, tenant: LocalTenant, tmp_path: Path) -> None:
        self.tenant, self.path, self.cleanup = tenant, tmp_path, ExitStack()
        self.user = tenant.users.add(app_metadata={"n": 5, "text": "x", "deep": {"a": 1}})
        self.id = self.user.user_id
        self.client = tenant.client(clock=FakeClock())
        self.tx = self.client.transaction(self.id)


def _nothing(user: User, tx: MetadataTransaction) -> None:
    """Stage nothing."""


Mistake = Callable[[Case], object]
MISTAKES: dict[str, tuple[type[BaseException], Mistake]] = {}


def mistake(kind: type[BaseException]) -> Callable[[Mistake], Mistake]:
    """Register a mistake and what it raises."""

    def note(function: Mistake) -> Mistake:
        MISTAKES[function.__name__.strip("_")] = kind, function
        return function

    return note


@mistake(NotFoundError)
def _an_unknown_user(case: Case) -> None:
    case.client.users.get("auth0|124")


@mistake(NotFoundError)
def _a_write_to_an_unknown_user(case: Case) -> None:
    with case.client.transaction("auth0|124") as tx:
        tx.user_metadata["theme"] = "dark"


@mistake(NotFoundError)
def _a_nested_write_to_an_unknown_user(case: Case) -> None:
    with MetadataTransaction(case.client, "auth0|124") as tx:
        tx.user_metadata.set("prefs.lang", "fi")


@mistake(BadRequestError)
def _a_malformed_id(case: Case) -> None:
    case.client.users.get("124")


@mistake(InputError)
def _an_empty_id(case: Case) -> None:
    case.client.transaction("")


@mistake(InputError)
def _swapped_arguments(case: Case) -> None:
    case.client.users.update({"app_metadata": {}}, case.id)  # type: ignore[arg-type]


@mistake(MetadataError)
def _a_path_between_brackets(case: Case) -> None:
    case.tx.app_metadata["billing.plan"] = "pro"


@mistake(MetadataError)
def _a_key_with_a_dollar(case: Case) -> None:
    case.tx.app_metadata.merge({"billing": {"$plan": 1}})


@mistake(MetadataError)
def _bytes_as_a_value(case: Case) -> None:
    case.tx.user_metadata.update(avatar=b"")


@mistake(MetadataError)
def _not_a_number(case: Case) -> None:
    case.tx.user_metadata.set("score", float("nan"))


@mistake(MetadataError)
def _an_increment_by_text(case: Case) -> None:
    case.tx.app_metadata.increment("n", "1")  # type: ignore[arg-type]


@mistake(InputError)
def _an_assignment_to_a_bag(case: Case) -> None:
    case.tx.user_metadata = {"theme": "dark"}


@mistake(MetadataError)
def _an_assignment_to_what_was_read(case: Case) -> None:
    case.client.users.get(case.id).app_metadata["deep"]["a"] = 2


@mistake(KeyError)
def _a_missing_key(case: Case) -> None:
    case.tx.app_metadata["nope"]


@mistake(KeyError)
def _a_missing_field(case: Case) -> None:
    case.client.users.get(case.id)["nope"]


@mistake(KeyError)
def _a_missing_user_of_the_tenant(case: Case) -> None:
    case.tenant.users["auth0|124"]


@mistake(PathError)
def _an_append_to_a_number(case: Case) -> None:
    with case.tx as tx:
        tx.app_metadata.append("n", 1)


@mistake(PathError)
def _an_increment_of_a_text(case: Case) -> None:
    case.client.run_transaction(case.id, lambda tx: tx.app_metadata.increment("text"))


@mistake(PathError)
def _a_contradiction(case: Case) -> None:
    with case.client.transaction(case.id, base={"user_id": case.id, "app_metadata": {"n": 1}}) as tx:
        tx.app_metadata.set("n.deep", 1)


@mistake(MetadataError)
def _a_profile_that_is_too_large(case: Case) -> None:
    with case.client.transaction(case.id, oversize="error") as tx:
        tx.app_metadata.set("deep.large", "x" * 20_000)


@mistake(ConflictError)
def _a_conflict(case: Case) -> None:
    with case.tx as tx:
        tx.app_metadata["n"] = tx.app_metadata["n"] + 1
        case.user.patch(app_metadata={"n": 7})


@mistake(StoredDataError)
def _a_bag_that_is_not_an_object(case: Case) -> None:
    _ = User.from_dict({"user_id": "auth0|1", "app_metadata": [1]}).app_metadata


@mistake(StateError)
def _a_result_before_the_end(case: Case) -> None:
    _ = case.tx.result


@mistake(StateError)
def _a_block_that_is_entered_twice(case: Case) -> None:
    with case.tx, case.tx:
        pass


@mistake(StateError)
def _a_change_after_the_end(case: Case) -> None:
    with case.tx as tx:
        pass
    tx.user_metadata["theme"] = "dark"


@mistake(StateError)
def _a_commit_of_a_part(case: Case) -> None:
    with case.tx as tx, tx.nested() as part:
        part.commit()


@mistake(StateError)
def _a_part_that_is_left_open(case: Case) -> None:
    with case.tx as tx:
        tx.nested().__enter__()


@mistake(StateError)
def _a_closed_client(case: Case) -> None:
    case.client.close()
    case.client.users.get(case.id)


@mistake(TypeError)
def _a_missing_argument(case: Case) -> None:
    case.client.users.get()  # type: ignore[call-arg]


@mistake(TypeError)
def _a_misspelt_setting(case: Case) -> None:
    case.client.transaction(case.id, max_wiat=1)  # type: ignore[call-arg]


@mistake(TypeError)
def _a_misspelt_setting_of_the_client(case: Case) -> None:
    ManagementClient.from_env(domain="tenant.eu.auth0.com", token="a.b.c", max_wiat=1)


@mistake(ConfigError)
def _a_path_in_the_domain(case: Case) -> None:
    ManagementClient("tenant.eu.auth0.com/api", token="a.b.c")


@mistake(ConfigError)
def _no_credentials(case: Case) -> None:
    ManagementClient("tenant.eu.auth0.com")


@mistake(ConfigError)
def _a_key_that_is_none(case: Case) -> None:
    ManagementClient("tenant.eu.auth0.com", client_id="abc", private_key="-----BEGIN")


@mistake(ConfigError)
def _a_rate_of_zero(case: Case) -> None:
    RateLimit(5, 0)


@mistake(InputError)
def _an_unknown_method(case: Case) -> None:
    case.client.request("FETCH", "users")


@mistake(InputError)
def _a_body_that_json_has_no_word_for(case: Case) -> None:
    case.client.request("POST", "roles", json={"name": b""})


@mistake(BadRequestError)
def _a_query_that_cannot_be_parsed(case: Case) -> None:
    list(case.client.users.search(q="name:["))


@mistake(AmbiguousUserError)
def _two_users_of_one_address(case: Case) -> None:
    for _ in range(2):
        case.tenant.users.add(email="ann@example.com")
    case.client.users.find("ann@example.com")


@mistake(BadRequestError)
def _a_job_of_a_connection_that_does_not_exist(case: Case) -> None:
    case.client.jobs.export_users(connection_id="nope")


@mistake(AuthError)
def _a_secret_that_is_wrong(case: Case) -> None:
    with LocalTenant(strict=True) as tenant:
        ManagementClient(tenant.url, client_id="abc", client_secret="zzz").users.get(case.id)


@mistake(NotSentError)
def _nobody_listens(case: Case) -> None:
    ManagementClient("http://127.0.0.1:9", token="a.b.c", max_wait=0).users.get(case.id)


@mistake(NotSentError)
def _no_token_is_to_be_had(case: Case) -> None:
    case.tenant.fail(path="/oauth/token", status=503, times=None)
    settings = {"client_id": "a", "client_secret": "b", "clock": FakeClock()}
    with ManagementClient(case.tenant.url, **settings).transaction(case.id) as tx:  # type: ignore[arg-type]
        tx.app_metadata["n"] = 1


@mistake(OSError)
def _a_token_function_that_fails(case: Case) -> None:
    def token() -> str:
        raise OSError("the vault is sealed")

    ManagementClient("http://127.0.0.1:9", token=token).users.get(case.id)


@mistake(RateLimitError)
def _a_wait_that_is_too_long(case: Case) -> None:
    case.tenant.fail(status=429, headers={"x-ratelimit-reset": "9999999999"})
    with case.client.transaction(case.id, max_wait=0) as tx:
        tx.app_metadata["n"] = 1


@mistake(ServerError)
def _a_server_that_is_broken(case: Case) -> None:
    case.tenant.fail(path="/api/", status=503, times=None)
    case.client.users.get(case.id)


@mistake(OutcomeUnknown)
def _a_lost_response(case: Case) -> None:
    case.tenant.fail(method="PATCH", status=500, times=None)
    case.tenant.fail(method="GET", status=500, times=None)
    with case.tx as tx:
        tx.app_metadata["n"] = 1


@mistake(AssertionError)
def _a_request_that_never_came(case: Case) -> None:
    case.client.users.get(case.id)
    case.tenant.journal.assert_called("PATCH", "/api/v2/users/{id}")


@mistake(AssertionError)
def _a_fault_that_never_fired(case: Case) -> None:
    case.tenant.fail(status=500)
    case.tenant.verify()


@mistake(InputError)
def _a_user_of_the_tenant_that_json_has_no_word_for(case: Case) -> None:
    case.tenant.users.add(app_metadata={"when": b""})


@mistake(InputError)
def _a_fault_with_an_impossible_status(case: Case) -> None:
    case.tenant.fail(status=12)


@mistake(ConfigError)
def _an_impossible_rate_limit(case: Case) -> None:
    LocalTenant(serve=False, rate_limit="plenty")


@mistake(InputError)
def _an_event_without_a_user(case: Case) -> None:
    Event.from_dict({"request": {}})


@mistake(InputError)
def _a_trigger_without_actions(case: Case) -> None:
    PostLoginTrigger(case.client, [5])  # type: ignore[list-item]


@mistake(InputError)
def _a_login_of_nobody(case: Case) -> None:
    simulate(lambda event, api: None, {"user": {"user_id": "1"}})


@mistake(MetadataError)
def _a_key_of_a_login_hook(case: Case) -> None:
    with post_login(case.client, Event.from_dict({"user": {"user_id": case.id}})) as api:
        api.user.set_app_metadata("a.b", 1)


@mistake(AuthError)
def _a_token_that_nobody_made(case: Case) -> None:
    verify_hs256("a.b.c", secret="s" * 32)


@mistake(AuthError)
def _an_id_token_that_is_none(case: Case) -> None:
    verify_id_token("a.b.c", keys=SigningKeys(case.client), audience="abc", nonce=None)


@mistake(ConfigError)
def _a_return_address_that_is_none(case: Case) -> None:
    ReturnUrls("nowhere")


@mistake(LedgerError)
def _a_job_file_that_is_none(case: Case) -> None:
    path = case.path / "job.db"
    path.write_bytes(b"no job")
    migrate.status(path)


@mistake(LedgerError)
def _a_job_file_that_is_missing(case: Case) -> None:
    migrate.apply(case.path / "job.db", case.client)


@mistake(InputError)
def _a_source_that_is_missing(case: Case) -> None:
    migrate.plan(_nothing, to=case.path / "job.db", client=case.client, users=str(case.path / "users.ndjson"))


@mistake(InputError)
def _a_job_that_exists(case: Case) -> None:
    (case.path / "job.db").write_bytes(b"x")
    migrate.plan(_nothing, to=case.path / "job.db", client=case.client, users=str(case.path / "users.ndjson"))


def _saved(case: Case, value: object) -> tuple[SqliteStore, Pointer]:
    store = case.cleanup.enter_context(SqliteStore(case.path / "big.db"))
    return store, save(value, store=store, user_id=case.id, path="app_metadata.history")


@mistake(ConfigError)
def _a_store_that_is_none(case: Case) -> None:
    (case.path / "big.db").write_bytes(b"x")
    SqliteStore(case.path / "big.db")


@mistake(InputError)
def _a_value_that_no_store_takes(case: Case) -> None:
    _saved(case, {1})


@mistake(ExternalMissingError)
def _a_pointer_to_a_value_that_is_gone(case: Case) -> None:
    store, made = _saved(case, [1])
    store.forget(case.id)
    load(made, store=store)


@mistake(ExternalMismatchError)
def _a_pointer_to_another_store(case: Case) -> None:
    store, _ = _saved(case, [1])
    load(pointer(b"[1]", store="other", user_id=case.id, path="app_metadata.history"), store=store)


@mistake(ExternalDamagedError)
def _a_pointer_that_was_changed(case: Case) -> None:
    store, made = _saved(case, [1])
    load({**made, "sha256": "0" * 64}, store=store)


@mistake(ValueError)
def _a_use_of_a_batch_outside_of_its_block(case: Case) -> None:
    MetadataBatch(case.client, share=7)


@mistake(NotFoundError)
def _an_await(case: Case) -> None:
    async def job() -> None:
        async with case.client.atransaction("auth0|124") as tx:
            tx.user_metadata["theme"] = "dark"

    asyncio.run(job())


@mistake(BadRequestError)
def _an_awaited_search(case: Case) -> None:
    async def job() -> None:
        async for _ in case.client.aio.users.search(q="name:["):
            pass

    asyncio.run(job())


@mistake(NotFoundError)
def _a_stack_of_blocks(case: Case) -> None:
    with ExitStack() as stack:
        stack.enter_context(case.client.transaction("auth0|124")).user_metadata["theme"] = "dark"


@mistake(MetadataWarning)
def _a_warning_that_is_an_error(case: Case) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        case.tx.user_metadata["api_key"] = "sk_live_4eC39HqLyjWDarjtT1zdp7dc"


@pytest.fixture
def case(tmp_path: Path) -> Iterator[Case]:
    """Return what a mistake needs."""
    with LocalTenant() as tenant:
        case = Case(tenant, tmp_path)
        with case.cleanup:
            yield case


@pytest.fixture(autouse=True)
def _short_tracebacks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let these tests pass in Python's development mode and under `--full-trace`."""
    monkeypatch.setattr(redact, "whole_tracebacks", False)


def frames(error: BaseException) -> list[traceback.FrameSummary]:
    """Return the frames of a traceback, the ones of the standard library excluded: asyncio and contextlib call us."""
    library = Path(traceback.__file__).parent
    packages = library / "site-packages"
    found = traceback.extract_tb(error.__traceback__)
    return [
        frame
        for frame in found
        if packages in Path(frame.filename).parents or library not in Path(frame.filename).parents
    ]


@pytest.mark.parametrize("name", MISTAKES)
def test_a_traceback_ends_at_the_line_of_the_program(name: str, case: Case) -> None:
    """No line of this package is in it, and nothing is chained to it but a cause that the message can't replace."""
    kind, function = MISTAKES[name]
    with pytest.raises(kind) as caught:
        function(case)
    error = caught.value
    assert {frame.filename for frame in frames(error)} == {__file__}
    # OutcomeUnknown names what kept it from being settled, and a token that can't be had who refused it.
    causes = 1 if isinstance(error, OutcomeUnknown) or name == "no_token_is_to_be_had" else 0
    shown = "".join(traceback.format_exception(error))
    assert shown.count("The above exception was the direct cause") == causes
    assert "During handling" not in shown
    assert "auth0_meta/" not in shown.replace("\\", "/")


def test_every_kind_of_error_is_among_the_mistakes() -> None:
    """An error that is added gets a mistake here, unless it is only raised elsewhere."""
    raised = {base for kind, _ in MISTAKES.values() for base in kind.__mro__}
    known = {name for name in errors.__all__ if name[0].isupper()}
    assert known - {kind.__name__ for kind in raised} <= set(ELSEWHERE.split())


def _public() -> Iterator[tuple[str, Callable[..., Any]]]:
    """Yield every public function, and every public method of the public classes, with its name."""
    for package in PACKAGES:
        module = importlib.import_module(package)
        for name in getattr(module, "__all__", [one for one in vars(module) if one[0].islower()]):
            one = getattr(module, name)
            if inspect.isfunction(one):
                yield f"{package}.{name}", one
            if not inspect.isclass(one) or issubclass(one, Exception | Warning) or name in VALUES.split():
                continue
            for base in one.__mro__:
                if not base.__module__.startswith("auth0_meta"):
                    continue
                for method, member in vars(base).items():
                    found = getattr(member, "fget", None) or getattr(member, "__func__", member)
                    if not method.startswith("_") and method != "copy" and inspect.isfunction(found):
                        yield f"{package}.{name}.{method}", found


@pytest.mark.parametrize(
    ("name", "function"), list(_public()), ids=lambda one: one if isinstance(one, str) else ""
)
def test_whatever_is_public_prepares_its_errors(name: str, function: Callable[..., Any]) -> None:
    """A public function, or a public method of a public class, is decorated; that is what empties and hides frames."""
    assert function.__code__.co_filename == redact.__file__, (
        f"decorate {name} with auth0_meta.redact.discreet"
    )


def test_a_bug_of_the_package_shows_where_it_is(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error that nobody raises on purpose keeps all its lines."""
    monkeypatch.setattr(case.client._channel.throttle, "acquire", lambda *_, **__: None)
    with pytest.raises(AttributeError) as caught:
        case.client.users.get(case.id)
    assert traceback.extract_tb(caught.value.__traceback__)[-1].filename.endswith("sender.py")


@pytest.mark.parametrize("kind", [LookupError, NotFoundError], ids=lambda kind: kind.__name__)
def test_the_lines_of_a_function_that_was_handed_over_stay(kind: type[Exception], case: Case) -> None:
    """The program's own lines on both sides of this package stay, whoever's error it is."""

    def work(tx: MetadataTransaction) -> None:
        raise kind("mine") if kind is LookupError else NotFoundError("mine")

    with pytest.raises(kind) as caught:
        case.client.run_transaction(case.id, work)
    assert [frame.name for frame in frames(caught.value)] == [
        "test_the_lines_of_a_function_that_was_handed_over_stay",
        "work",
    ]


def test_an_error_that_the_program_handles_stays_chained(case: Case) -> None:
    """Only what was handled inside this package is left out."""
    with pytest.raises(NotFoundError) as caught:
        try:
            raise LookupError("mine")
        except LookupError:
            case.client.users.get("auth0|124")
    shown = "".join(traceback.format_exception(caught.value))
    assert "LookupError: mine" in shown
    assert shown.count("During handling of the above exception") == 1


DEVELOPMENT = """
from auth0_meta import ManagementClient
ManagementClient("tenant.eu.auth0.com/api", token="a.b.c")
"""


@pytest.mark.parametrize("option", ["-I", "-Xdev"])
def test_the_development_mode_of_python_shows_every_line(option: str) -> None:
    """`python -X dev` is for those who look for a bug of this package; without it the program's line is the last one."""
    done = subprocess.run(
        [sys.executable, option, "-c", DEVELOPMENT], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert ("transport.py" in done.stderr) is (option == "-Xdev"), done.stderr


@pytest.mark.parametrize(
    ("blocked", "statement", "extra"),
    [
        ("flask", "import auth0_meta.actions.web.flask", "flask"),
        ("django", "import auth0_meta.actions.web.django", "django"),
        ("starlette", "import auth0_meta.actions.web.fastapi", "fastapi"),
        ("werkzeug", "import auth0_meta.emulator", "emulator"),
        ("luqum", "import auth0_meta.emulator", "emulator"),
        ("luqum", "from auth0_meta.testing import simulate; simulate(print, {'user': {'user_id': 'a|1'}})", "emulator"),
        ("trustme", "from auth0_meta.emulator import LocalTenant; LocalTenant(tls=True)", "emulator"),
        ("yaml", "from auth0_meta.emulator import LocalTenant; LocalTenant(config='tenant.yaml')", "emulator"),
        ("sqlalchemy", "from auth0_meta.external import open_store; open_store('postgresql://host/db')", "sql"),
        ("psycopg", "from auth0_meta.external import SqlStore; SqlStore('postgresql://host/db')", "sql"),
    ],
    ids=lambda one: one.partition(" ")[0],
)  # fmt: skip
def test_a_missing_extra_is_all_that_a_traceback_is_about(
    blocked: str, statement: str, extra: str, tmp_path: Path
) -> None:
    """Neither the failed import of the library nor anything else is chained to it, and few lines stand above it."""
    (tmp_path / "tenant.yaml").write_text("clients: []\n")
    program = f"import sys; sys.modules[{blocked!r}] = None\n{statement}\n"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    shown = done.stderr
    assert shown.splitlines()[-1].endswith(f'{blocked}: pip install "auth0-meta[{extra}]"')
    assert shown.splitlines()[-1].startswith("auth0_meta.errors.MissingExtraError: ")
    assert shown.count("Traceback (most recent call last)") == 1
    assert shown.count('File "<string>"') == 1
    assert shown.count("  File ") <= 3


UNKNOWN_USER = """
def test_unknown(auth0_tenant):
    client = auth0_tenant.client()
    client.users.get("auth0|124")

def test_assertion(auth0_tenant):
    auth0_tenant.journal.assert_called("PATCH")

def test_verified(auth0_tenant):
    auth0_tenant.fail(status=500)
    auth0_tenant.verify()
"""


@pytest.mark.slow
@pytest.mark.parametrize("options", [(), ("-l", "--tb=short")], ids=" ".join)
def test_pytest_shows_the_line_of_the_test(options: tuple[str, ...], tmp_path: Path) -> None:
    """Neither a frame nor the source of this package is in what pytest prints; a failure takes a dozen lines."""
    shown = _pytest(tmp_path, *options)
    assert "auth0_meta/" not in shown.replace("\\", "/")
    assert 'client.users.get("auth0|124")' in shown
    assert 'auth0_tenant.journal.assert_called("PATCH")' in shown
    assert "auth0_tenant.verify()" in shown
    assert "__tracebackhide__" not in shown
    assert len(shown.splitlines()) < 80


@pytest.mark.slow
def test_pytest_shows_every_line_with_full_trace(tmp_path: Path) -> None:
    """`--full-trace` is what pytest has for that."""
    assert "sender.py" in _pytest(tmp_path, "--full-trace")


def _pytest(tmp_path: Path, *options: str) -> str:
    """Return what pytest prints of three tests that fail."""
    (tmp_path / "test_it.py").write_text(UNKNOWN_USER)
    line = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        str(tmp_path),
        *options,
        str(tmp_path),
    ]
    done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert "3 failed" in done.stdout
    return done.stdout


UNITTEST = """
import unittest
from auth0_meta.emulator import LocalTenant

class Case(unittest.TestCase):
    def test_unknown(self):
        with LocalTenant() as tenant:
            tenant.client().users.get("auth0|124")

    @LocalTenant()
    def test_assertion(self, tenant):
        tenant.journal.assert_called("PATCH")

unittest.main()
"""


def test_unittest_shows_the_line_of_the_test(tmp_path: Path) -> None:
    """No frame of this package is in what unittest prints, but for the decorator's own around a whole test."""
    (tmp_path / "cases.py").write_text(UNITTEST)
    done = subprocess.run(
        [sys.executable, str(tmp_path / "cases.py")], capture_output=True, text=True, timeout=60, check=False
    )
    own = [line for line in done.stderr.splitlines() if "auth0_meta" in line and "File" in line]
    assert "errors=1" in done.stderr
    assert "failures=1" in done.stderr
    assert all("decorator.py" in line for line in own)
