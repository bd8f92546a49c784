"""The pytest plugin: its fixtures, settings and checks; and that it costs nothing if it is not used."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

pytest_plugins = ["pytester"]

USES = """
    import pytest, requests

    def call(tenant, method="GET", path="/api/v2/users"):
        headers = {"Authorization": "Bearer x"}
        return requests.request(method, tenant.url + path, headers=headers, timeout=5)
"""


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    """Return a suite that is as strict as this one."""
    pytester.makeini("[pytest]\naddopts = --strict-markers -p no:cacheprovider\nfilterwarnings = error\n")
    return pytester


def run(suite: pytest.Pytester, source: str, *options: str) -> pytest.RunResult:
    """Write one test file and run it in a process of its own."""
    suite.makepyfile(f"{USES}\n{source}")
    return suite.runpytest_subprocess(*options, timeout=60)


def test_each_test_has_a_tenant_of_its_own(suite: pytest.Pytester) -> None:
    """The fixture needs no conftest; the tenant is empty, listens on a free port, and is stopped afterwards."""
    result = run(
        suite,
        """
    urls = []

    @pytest.mark.parametrize("turn", [1, 2])
    def test_it(auth0_tenant, turn):
        assert len(auth0_tenant.users) == 0
        auth0_tenant.users.add()
        assert len(call(auth0_tenant).json()) == 1
        urls.append(auth0_tenant.url)

    def test_stopped():
        for url in urls:
            with pytest.raises(requests.ConnectionError):
                requests.get(url, timeout=5)
        """,
    )
    result.assert_outcomes(passed=3)


def test_the_nearest_setting_wins(suite: pytest.Pytester) -> None:
    """The ini file, the options, the class's mark, the test's mark: each overrides those before it."""
    suite.makeini("[pytest]\nauth0_rate_limit = 1@1\nauth0_seed = 5\n")
    source = """
    def limit(tenant):
        return int(call(tenant).headers["x-ratelimit-limit"])

    def test_plain(auth0_tenant):
        assert limit(auth0_tenant) == PLAIN
        with open("seeds", "a") as file:
            file.write(auth0_tenant.users.add().user_id + "\\n")

    @pytest.mark.auth0_tenant(rate_limit="3@1", users=[{"user_id": "auth0|1"}])
    class TestMarked:
        def test_of_the_class(self, auth0_tenant):
            assert limit(auth0_tenant) == 3

        @pytest.mark.auth0_tenant(rate_limit="4@1")
        def test_own(self, auth0_tenant):
            assert limit(auth0_tenant) == 4
            assert "auth0|1" in auth0_tenant.users
    """
    run(suite, source.replace("PLAIN", "1")).assert_outcomes(passed=3)
    options = ("--auth0-rate-limit=2@1", "--auth0-seed=6")
    run(suite, source.replace("PLAIN", "2"), *options).assert_outcomes(passed=3)
    run(suite, source.replace("PLAIN", "2"), *options).assert_outcomes(passed=3)
    seeds = (suite.path / "seeds").read_text().split()
    assert seeds[0] != seeds[1]
    assert seeds[1] == seeds[2]


STRICT = """
    import os
    from auth0_meta import ManagementClient
    from auth0_meta.errors import AuthError

    {mark}
    def test_credentials(auth0_tenant, auth0_env):
        assert call(auth0_tenant).status_code == {status}
        with ManagementClient.from_env() as client:
            auth0_tenant.users.add(email="ann@example.com")
            assert len(list(client.users.search(q="*"))) == 1
        with ManagementClient(auth0_tenant.url, client_id="made-up", client_secret="x") as client:
            try:
                list(client.users.search(q="*"))
            except AuthError:
                assert {status} == 400
            else:
                assert {status} == 200
"""


@pytest.mark.parametrize(
    ("mark", "options", "status"),
    [
        ("", (), 200),
        ("@pytest.mark.auth0_tenant(strict=True)", (), 400),
        ("", ("--auth0-strict",), 400),
        ("@pytest.mark.auth0_tenant(strict=False)", ("--auth0-strict",), 200),
    ],
)
def test_a_strict_tenant_tests_credentials(
    suite: pytest.Pytester, mark: str, options: tuple[str, ...], status: int
) -> None:
    """By the mark or for the whole run; the header says what holds without a mark."""
    result = run(suite, STRICT.format(mark=mark, status=status), *options)
    result.assert_outcomes(passed=1)
    lenient = "auth0_tenant: accepts any token and client secret*"
    result.stdout.fnmatch_lines(["auth0_tenant: strict" if options else lenient])


def test_the_ini_file_can_make_every_tenant_strict(suite: pytest.Pytester) -> None:
    """As the option."""
    suite.makeini("[pytest]\nauth0_strict = true\n")
    result = run(suite, STRICT.format(mark="", status=400))
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["auth0_tenant: strict"])


def test_the_mark_takes_keyword_arguments_only(suite: pytest.Pytester) -> None:
    """A positional argument and an unknown setting are errors."""
    result = run(
        suite,
        """
    @pytest.mark.auth0_tenant("free")
    def test_positional(auth0_tenant): ...

    @pytest.mark.auth0_tenant(rate="free")
    def test_unknown(auth0_tenant): ...
        """,
    )
    result.assert_outcomes(errors=2)
    result.stdout.fnmatch_lines(["*takes keyword arguments only*", "*unexpected keyword argument 'rate'*"])


FAULTS = """
    def test_unfired(auth0_tenant):
        auth0_tenant.fail(method="PATCH", status=503, nth=2)
        auth0_tenant.before("PATCH", "auth0|1", print)

    def test_not_served(auth0_tenant):
        assert call(auth0_tenant, "GET", "/api/v2/guardian/factors").status_code == 404

    def test_planned(auth0_tenant):
        auth0_tenant.fail(path="/api/v2/guardian/factors", status=404)
        assert call(auth0_tenant, "GET", "/api/v2/guardian/factors").status_code == 404

    def test_failing(auth0_tenant):
        auth0_tenant.fail(method="PATCH", status=503)
        assert False

    @pytest.mark.auth0_tenant(check=False)
    def test_excused(auth0_tenant):
        auth0_tenant.fail(method="PATCH", status=503)
"""


@pytest.mark.parametrize("way", ["option", "ini", "mark"])
def test_the_check_fails_a_test_at_its_end(suite: pytest.Pytester, way: str) -> None:
    """With the check, unfired faults and unserved routes are errors that name them, unless the test failed anyway."""
    source, options = FAULTS, ()
    if way == "option":
        options = ("--auth0-check",)
    elif way == "ini":
        suite.makeini("[pytest]\nauth0_check = true\n")
    else:
        source = "\n    pytestmark = pytest.mark.auth0_tenant(check=True)\n" + FAULTS
    result = run(suite, source, *options)
    result.assert_outcomes(passed=4, failed=1, errors=2)
    result.stdout.fnmatch_lines(
        [
            "*never fired: fail(method='PATCH', nth=2, status=503) (0 requests matched)",
            "*never fired: before(method='PATCH', user_id='auth0|1') (0 requests matched)",
            "*not served: GET /api/v2/guardian/factors",
        ]
    )


def test_nothing_is_checked_by_default(suite: pytest.Pytester) -> None:
    """Without the check, unfired faults and unserved routes fail nothing."""
    run(suite, FAULTS).assert_outcomes(passed=4, failed=1)


def test_the_environment_points_at_the_tenant(
    suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`auth0_env` sets what `from_env` reads, hides real credentials, and restores everything."""
    monkeypatch.setenv("AUTH0_DOMAIN", "production.example.com")
    monkeypatch.setenv("AUTH0_API_TOKEN", "a real one")
    monkeypatch.setenv("AUTH0_AUDIENCE", "https://production.example.com/api/v2/")
    result = run(
        suite,
        """
    import os
    from auth0_meta import ManagementClient

    def test_inside(auth0_tenant, auth0_env):
        assert auth0_env == auth0_tenant.env
        user = auth0_tenant.users.add()
        with ManagementClient.from_env() as client, client.transaction(user.user_id) as tx:
            tx.user_metadata["a"] = 1
        assert user.user_metadata == {"a": 1}

    def test_after():
        assert os.environ["AUTH0_DOMAIN"] == "production.example.com"
        assert os.environ["AUTH0_API_TOKEN"] == "a real one"
        """,
    )
    result.assert_outcomes(passed=2)


def test_workers_do_not_share_ports(suite: pytest.Pytester) -> None:
    """Under xdist each test has its own port."""
    pytest.importorskip("xdist", reason="pytest-xdist is not installed")
    result = run(
        suite,
        """
    @pytest.mark.parametrize("turn", range(8))
    def test_it(auth0_tenant, turn):
        auth0_tenant.users.add(user_id=f"auth0|{turn}")
        assert [user["user_id"] for user in call(auth0_tenant).json()] == [f"auth0|{turn}"]
        """,
        "-n2",
    )
    result.assert_outcomes(passed=8)


def test_a_suite_that_does_not_use_it_loads_nothing(suite: pytest.Pytester) -> None:
    """Without a use of the fixtures only the plugin's own module and the bare package are imported."""
    result = run(
        suite,
        """
    import sys

    def test_it():
        ours = {name for name in sys.modules if name.startswith("auth0_meta")}
        assert ours == {"auth0_meta", "auth0_meta._version", "auth0_meta.pytest_plugin"}
        """,
    )
    result.assert_outcomes(passed=1)


def test_the_mark_and_the_fixtures_have_descriptions(suite: pytest.Pytester) -> None:
    """`--markers` and `--fixtures` show them."""
    suite.runpytest_subprocess("--markers").stdout.fnmatch_lines(["@pytest.mark.auth0_tenant(check=False*"])
    suite.runpytest_subprocess("--fixtures").stdout.fnmatch_lines(["auth0_tenant*", "auth0_env*"])


def test_the_module_can_be_loaded_by_hand(tmp_path: Path) -> None:
    """If entry points are switched off, `-p auth0_meta.pytest_plugin` provides the fixtures."""
    (tmp_path / "test_it.py").write_text("def test_it(auth0_tenant):\n    assert auth0_tenant.url\n")
    line = [sys.executable, "-m", "pytest", "-q", "-p", "auth0_meta.pytest_plugin", str(tmp_path)]
    env = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(line, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_environment_of_a_tenant_with_tls_is_trusted(suite: pytest.Pytester) -> None:
    """With tls=True the variables name the certificate files, for this process and its children."""
    result = run(
        suite,
        """
    import subprocess, sys
    from auth0_meta import ManagementClient

    WORK = (
        "from auth0_meta import ManagementClient as Client\\n"
        "with Client.from_env() as client: client.users.update('auth0|1', {'user_metadata': {'b': 2}})"
    )

    @pytest.mark.auth0_tenant(tls=True)
    def test_inside(auth0_tenant, auth0_env):
        user = auth0_tenant.users.add(user_id="auth0|1")
        with ManagementClient.from_env() as client:
            client.users.update("auth0|1", {"user_metadata": {"a": 1}})
        subprocess.run([sys.executable, "-c", WORK], check=True, timeout=60)
        assert user.user_metadata == {"a": 1, "b": 2}
        assert requests.get(auth0_env["AUTH0_URL"], timeout=10).status_code == 200
        """,
    )
    result.assert_outcomes(passed=1)


def test_an_error_in_a_second_writer_fails_the_test_at_its_end(suite: pytest.Pytester) -> None:
    """This includes a failed assertion, with or without the check."""
    result = run(
        suite,
        """
    def wrong(tenant):
        assert 1 == 2

    def test_it(auth0_tenant):
        auth0_tenant.before("GET", None, wrong)
        headers = {"Authorization": "Bearer x"}
        assert requests.get(auth0_tenant.url + "/api/v2/users", headers=headers, timeout=5).status_code == 500
        """,
    )
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*raised AssertionError: before(method='GET')"])
