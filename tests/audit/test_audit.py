"""What an audit finds in profiles, by kind; and what it leaves alone."""

from __future__ import annotations

import csv
import json
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from auth0_meta import ConfigError, InputError
from auth0_meta.audit import AuditProgress, AuditReport, KeyWeight, audit
from auth0_meta.emulator import LocalTenant
from auth0_meta.migrate import BadLine, ByEmail, ExportProgress, ExportSource, FileSource, Found
from auth0_meta.testing import FakeClock

UUIDS = ["5f0c3b1e-8f4e-4f43-9d3e-0a8d2f6b7c11", "0b9a4e6c-2d0f-4c3e-8a57-6f1c2b3d4e5f"]


def user(n: int, app: Any = None, user_metadata: Any = None, **fields: Any) -> dict[str, Any]:
    """Return a profile."""
    bags = {"app_metadata": app, "user_metadata": user_metadata}
    return {
        "user_id": f"auth0|{n}",
        **fields,
        **{bag: value for bag, value in bags.items() if value is not None},
    }


def found(profiles: Iterable[Any], **options: Any) -> dict[tuple[str, str], tuple[int, tuple[str, ...]]]:
    """Return the findings of an audit, by kind and path."""
    findings = audit(profiles, **options).findings
    assert len({(one.kind, one.path) for one in findings}) == len(findings)
    return {(one.kind, one.path): (one.users, one.examples) for one in findings}


def of_size(n: int, size: int) -> dict[str, Any]:
    """Return a profile of exactly that many bytes, with nothing else to find in it."""
    profile = user(n, {f"part_{i:03}": "" for i in range(size // 1_000)})
    missing = size - len(json.dumps(profile, separators=(",", ":")))
    for key in profile["app_metadata"]:
        profile["app_metadata"][key] = "x" * min(missing, 1_500)
        missing -= min(missing, 1_500)
    assert len(json.dumps(profile, separators=(",", ":"))) == size
    return profile


@pytest.mark.parametrize(
    ("size", "kinds"),
    [
        (7_999, []),
        (8_000, ["near_limit"]),
        (10_000, ["near_limit"]),
        (10_001, ["oversized"]),
        (100_000, ["oversized"]),
        (100_001, ["over_allowance", "oversized"]),
    ],
)
def test_a_profile_is_judged_by_its_size(size: int, kinds: list[str]) -> None:
    """Near from 8,000 bytes on, oversized past 10,000, over the allowance past ten times that."""
    report = audit([of_size(1, size), of_size(2, 5_000)])
    assert [one.kind for one in report.findings] == kinds
    assert all(one.path == "" and one.examples == ("auth0|1",) for one in report.findings)
    assert [one.bytes for one in report.oversized] == [size] * (size > 10_000)
    assert (report.sizes.largest, report.sizes.total) == (size, size + 5_000)


def test_profiles_over_ten_kilobytes_of_either_kind_are_counted_apart() -> None:
    """Nobody says how many bytes a KB has: 10,240 is over 10 KB in one of them only."""
    sizes = audit([of_size(n, size) for n, size in enumerate((10_000, 10_001, 10_240, 10_241, 30_000))]).sizes
    assert sizes.over_10240 == 2
    assert sum(sizes.counts[sizes.edges.index(10_000) :]) == 4


def test_the_keys_that_weigh_are_named_with_their_bytes() -> None:
    """In the profiles near the limit and over it: by user, and over all of them; other fields if they are heavy."""
    heavy = user(
        1, {"history": ["x" * 98] * 99, "plan": "pro"}, {"bio": "y" * 1_998}, identities=[{"a": "z" * 1_990}]
    )
    near = user(2, {"history": ["x" * 98] * 80})
    light = user(3, {"history": ["x"]})
    report = audit([light, near, heavy])
    assert report.oversized[0].keys == {
        "app_metadata.history": 10_000,
        "user_metadata.bio": 2_000,
        "identities": 2_000,
        "app_metadata.plan": 5,
    }
    history = 80 * 101 + 1
    assert report.weights[0] == KeyWeight(
        path="app_metadata.history", bytes=10_000 + history, users=2, largest=10_000
    )


def test_a_thousand_of_the_largest_users_are_named() -> None:
    """The largest first; of equals the earlier one."""
    report = audit(user(n, {"text": "x" * (10_000 + n % 7)}) for n in range(1_100))
    assert len(report.oversized) == 1_000
    sizes = [(-one.bytes, int(one.user_id.removeprefix("auth0|"))) for one in report.oversized]
    assert sizes == sorted(sizes)
    assert report.findings[0].users == 1_100


def test_keys_that_auth0_refuses_are_found_at_any_depth() -> None:
    """Dots, dollars and empty keys, in lists of objects too; a user counts once for a path."""
    profiles = [
        user(1, {"a.b": 1, "ok": {"$set": [{"x.y": 1}, {"x.y": 2}]}}, {"": 1}),
        user(2, {"a.b": None}),
    ]
    assert found(profiles) == {
        ("bad_key", "app_metadata.a.b"): (2, ("auth0|1", "auth0|2")),
        ("bad_key", "app_metadata.ok.$set"): (1, ("auth0|1",)),
        ("bad_key", "app_metadata.ok.$set.x.y"): (1, ("auth0|1",)),
        ("bad_key", "user_metadata."): (1, ("auth0|1",)),
    }


def test_reserved_names_are_those_of_the_first_level_of_app_metadata() -> None:
    """Elsewhere they are names like any other."""
    assert found([user(1, {"email": "x", "crm": {"email": "x"}}, {"email": "x"})]) == {
        ("reserved_name", "app_metadata.email"): (1, ("auth0|1",))
    }


def test_keys_made_from_data_are_shown_as_their_template() -> None:
    """All keys of a template are one finding, and so is what is found below them."""
    profiles = [
        user(n, {"sessions": {UUIDS[0]: {"log": [0] * 101}, UUIDS[1]: {}}, "mail": {f"u{n}@example.com": 1}})
        for n in (1, 2)
    ]
    both = (2, ("auth0|1", "auth0|2"))
    assert found(profiles) == {
        ("bad_key", "app_metadata.mail.<email>"): both,
        ("dynamic_keys", "app_metadata.mail.<email>"): both,
        ("dynamic_keys", "app_metadata.sessions.<uuid>"): both,
        ("growing_list", "app_metadata.sessions.<uuid>.log"): both,
        ("device_state", "app_metadata.sessions"): both,
    }


def test_keys_that_only_many_users_show_to_be_data_are_found_too() -> None:
    """Fifty keys that hardly anybody shares are not names; fixed keys beside them stay as they are."""

    def shares(n: int) -> dict[str, Any]:
        name = "".join(chr(97 + int(digit)) for digit in f"{n:04}")
        return user(n, {"shares": {f"x{name}": {"note": "sk_live_" + "a" * 24}}, "plan": "pro"})

    everybody = (60, tuple(f"auth0|{n}" for n in range(5)))
    assert found(shares(n) for n in range(60)) == {
        ("dynamic_keys", "app_metadata.shares.<key>"): everybody,
        ("secret", "app_metadata.shares.<key>.note"): everybody,
    }
    few = found(shares(n) for n in range(49))
    assert {kind for kind, _ in few} == {"secret"}


def test_fixed_keys_that_many_users_have_are_not_dynamic_however_many_there_are() -> None:
    """Translations into a hundred languages are no data in keys."""
    codes = [f"{chr(97 + n // 10)}{chr(97 + n % 10)}" for n in range(100)]
    profiles = (
        user(n, {"texts": {codes[(n * 7 + i * 13) % 100]: "x" for i in range(10)}}) for n in range(500)
    )
    assert found(profiles) == {}


def test_a_path_with_several_types_names_the_users_with_the_rarer_ones() -> None:
    """All numbers are one type, null is none, and the bag itself is a path."""
    profiles = [user(n, {"age": n, "tags": ["a"], "deep": [{"at": 1}]}) for n in range(6)]
    profiles += [user(6, {"age": 1.5, "tags": None, "deep": []}), user(7, {"age": "7", "tags": "a,b"})]
    profiles += [user(8, "[object Object]"), user(9, {"deep": [{"at": 1}, {"at": True}], "tags": [1]})]
    assert found(profiles) == {
        ("mixed_types", "app_metadata"): (1, ("auth0|8",)),
        ("mixed_types", "app_metadata.age"): (1, ("auth0|7",)),
        ("mixed_types", "app_metadata.tags"): (2, ("auth0|7", "auth0|9")),
        ("mixed_types", "app_metadata.deep.at"): (1, ("auth0|9",)),
    }


@pytest.mark.parametrize(
    "large", ["x" * 1_999, "é" * 1_000, "\x01" * 340, {"a": ["x" * 50] * 40}, [{"b": "x" * 400}] * 6]
)
def test_the_smallest_value_that_is_too_large_to_search_is_named(large: Any) -> None:
    """More than 2,000 bytes as JSON in UTF-8; a bag that is only large in sum has no such value."""
    profile = user(1, {"outer": {"inner": {"value": large}, "small": "x" * 1_000}})
    path = "app_metadata.outer.inner.value" + (".a" if isinstance(large, dict) else "")
    assert found([profile]) == {("unsearchable", path): (1, ("auth0|1",))}


@pytest.mark.parametrize("small", ["x" * 1_998, "é" * 999, ["x" * 97] * 19 + ["x" * 96]])
def test_a_value_of_two_thousand_bytes_is_searchable(small: Any) -> None:
    """The bag may have many of them."""
    profile = user(1, {f"text_{n}": small for n in range(3)})
    assert found([profile]) == {}


def test_a_bag_that_is_no_object_is_judged_as_a_value() -> None:
    """It has no keys, but it may be too large, too long or secret."""
    assert set(found([user(1, "x" * 2_500, list(range(101)))])) == {
        ("unsearchable", "app_metadata"),
        ("growing_list", "user_metadata"),
    }
    assert set(found([user(1, "AKIAIOSFODNN7EXAMPLE")])) == {("secret", "app_metadata")}


@pytest.mark.parametrize(("items", "grows"), [(100, False), (101, True)])
def test_a_list_of_more_than_a_hundred_items_grows(items: int, *, grows: bool) -> None:
    """At any depth, lists in lists included."""
    profiles = [user(1, {"a": {"b": [0] * items}, "c": [[0] * items]})]
    paths = [("growing_list", "app_metadata.a.b"), ("growing_list", "app_metadata.c")]
    assert sorted(found(profiles)) == (paths if grows else [])


@pytest.mark.parametrize(
    ("app", "path"),
    [
        ({"note": "card 4111 1111 1111 1111"}, "app_metadata.note"),
        ({"a": [{"b": "AKIAIOSFODNN7EXAMPLE"}]}, "app_metadata.a.b"),
        ({"a": ["x", "AKIAIOSFODNN7EXAMPLE"]}, "app_metadata.a"),
        ({"a": [["AKIAIOSFODNN7EXAMPLE"]]}, "app_metadata.a"),
        ({"n": 4111111111111111}, "app_metadata.n"),
        ({"password": "x"}, "app_metadata.password"),
        ({"password": ["x"]}, "app_metadata.password"),
        ({"\u0141": "AKIAIOSFODNN7EXAMPLE"}, "app_metadata.\u0141"),
    ],
)
def test_secrets_are_found_in_either_bag(app: Any, path: str) -> None:
    """In texts, numbers and lists; by what they look like, or by the name of their key."""
    assert found([user(1, app)]) == {("secret", path): (1, ("auth0|1",))}
    assert ("secret", path.replace("app_", "user_")) in found([user(1, None, app)])


@pytest.mark.parametrize("app", [{"password": ""}, {"password": None}, {"password": True}, {"password": {}}])
def test_a_name_for_secrets_needs_a_value(app: Any) -> None:
    """Whether there is a password is no secret."""
    assert found([user(1, app)]) == {}


def test_a_key_that_is_a_secret_is_not_shown() -> None:
    """Its place is, and that it is one."""
    assert found([user(1, {"keys": {"AKIAIOSFODNN7EXAMPLE": 1}})]) == {
        ("secret", "app_metadata.keys.<secret>"): (1, ("auth0|1",)),
        ("dynamic_keys", "app_metadata.keys.<secret>"): (1, ("auth0|1",)),
    }


def test_authorization_belongs_into_app_metadata_only() -> None:
    """A key with null decides about nothing."""
    assert found(
        [user(1, {"roles": ["a"]}, {"roles": ["a"], "org": {"plan": "x"}, "permissions": None})]
    ) == {
        ("authorization_in_user_metadata", "user_metadata.roles"): (1, ("auth0|1",)),
        ("authorization_in_user_metadata", "user_metadata.org.plan"): (1, ("auth0|1",)),
    }


def test_data_of_a_device_is_found_in_either_bag() -> None:
    """A key with null has none."""
    assert found([user(1, {"device_id": "a"}, {"device_id": "b", "session_id": None})]) == {
        ("device_state", "app_metadata.device_id"): (1, ("auth0|1",)),
        ("device_state", "user_metadata.device_id"): (1, ("auth0|1",)),
    }


def test_five_users_are_named_for_a_finding_and_all_are_counted() -> None:
    """Those are the first of the source."""
    report = audit(user(n, {"a.b": 1}) for n in range(9))
    assert (report.findings[0].users, report.findings[0].examples) == (
        9,
        tuple(f"auth0|{n}" for n in range(5)),
    )


def test_the_worst_kind_comes_first_and_then_the_most_users() -> None:
    """Paths of equally many users are sorted."""
    profiles = [
        user(1, {"l": [0] * 101, "k": [0] * 101, "a.b": 1}),
        user(2, {"m": [0] * 101}),
        user(3, {"m": [0] * 101}),
    ]
    assert [(one.kind, one.path) for one in audit(profiles).findings] == [
        ("bad_key", "app_metadata.a.b"),
        ("growing_list", "app_metadata.m"),
        ("growing_list", "app_metadata.k"),
        ("growing_list", "app_metadata.l"),
    ]


def test_sizes_alone_are_looked_at_on_request() -> None:
    """The findings are those that depend on the size; the rest of the report is the same."""
    profiles = [user(1, {"log": ["x" * 98] * 150, "a.b": 1}), user(2, {"a.b": 1})]
    whole, sizes = audit(profiles), audit(profiles, checks="sizes")
    assert [one.kind for one in sizes.findings] == ["oversized"]
    assert (sizes.checks, whole.checks) == ("sizes", "all")
    assert (sizes.sizes, sizes.oversized, sizes.weights) == (whole.sizes, whole.oversized, whole.weights)


def test_a_report_says_when_it_was_made_and_how_long_that_took() -> None:
    """By the clock that is given."""
    clock = FakeClock(start=1_796_126_400.0)

    def profiles() -> Iterable[dict[str, Any]]:
        yield user(1)
        clock.advance(2.5)

    report = audit(profiles(), clock=clock)
    assert (report.generated_at, report.seconds, report.source, report.users) == (
        "2026-12-01T12:00:00Z", 2.5, "profiles", 1
    )  # fmt: skip


# Records that can't be read ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("record", "problem"),
    [
        (5, "not a profile, but int"),
        (None, "not a profile, but NoneType"),
        ({}, "not a JSON object with a user_id"),
        ({"user_id": 5}, "not a JSON object with a user_id"),
        ({"user_id": ""}, "not a JSON object with a user_id"),
        ({"user_id": "x" * 1_001}, "not a JSON object with a user_id"),
        ({"user_id": "auth0|1", "app_metadata": {"s3cret": {1, 2}}}, "a profile that JSON can't represent"),
        ({"user_id": "auth0|1", "s3cret": float("nan")}, "not valid JSON (it contains NaN)"),
    ],
)
def test_a_record_that_is_no_profile_is_counted_and_named_by_its_place(record: Any, problem: str) -> None:
    """It holds up nothing, and no value of it is shown."""
    report = audit([user(1), record, user(2)])
    assert (report.users, report.problems.count) == (2, 1)
    assert report.problems.examples == (f"profile 2: {problem}",)


def test_the_first_twenty_problems_are_described() -> None:
    """All of them are counted."""
    report = audit([{}] * 50)
    assert (report.users, report.problems.count, len(report.problems.examples)) == (0, 50, 20)


def nested(levels: int) -> Any:
    """Return objects in each other."""
    value: Any = {"x.y": 1}
    for _ in range(levels):
        value = {"a": value}
    return value


def test_what_is_nested_deeply_is_measured_and_not_followed_for_ever() -> None:
    """Past a hundred levels it is noted, past two hundred the record is a problem."""
    deep = (("x", 30), ("y", 150), ("z", 250))
    report = audit(user(n, {key: nested(levels)}) for n, (key, levels) in enumerate(deep, 1))
    assert [(one.kind, one.users) for one in report.findings] == [("bad_key", 1)]
    assert (report.users, report.problems.examples) == (
        2,
        ("profile 3: JSON nested more than 200 levels deep",),
    )
    assert report.notes == (
        "values nested more than 100 levels deep were not examined (1 user, such as auth0|2)",
    )
    assert audit([user(1, {"deep": nested(5_000)})]).problems.count == 1


def test_odd_values_do_no_harm() -> None:
    """Lone surrogates, huge numbers, control characters in keys, and bags of any type."""
    odd = [
        user(1, {"\ud800": "\udfff", "n": 10**400, "a\x1bb.c": 1}),
        user(2, 5, [None, {}]),
        user(3, True, {}),
    ]
    report = audit(odd)
    assert (report.users, report.problems.count) == (3, 0)
    assert "app_metadata.a\\u001bb.c" in [one.path for one in report.findings]
    json.dumps(report.to_json(), ensure_ascii=False).encode()


# Sources ----------------------------------------------------------------------------------------------


def test_a_source_of_migrations_is_a_source_of_audits() -> None:
    """What it can't read is counted; a user without a profile can't be examined."""

    class Rows:
        name = "rows"
        part = 0.25

        def users(self, _connect: object) -> Any:
            yield Found("auth0|1", {"app_metadata": {"a.b": 1}})
            yield Found("auth0|2")
            yield ByEmail("row 3", "ada@example.com")
            yield BadLine("row 4", "no user")

    seen: list[Any] = []
    report = audit(Rows(), on_progress=seen.append)
    assert (report.source, report.users, report.findings[0].path) == ("rows", 1, "app_metadata.a.b")
    why = "names a user, but does not have the profile"
    assert report.problems.examples == (
        f"record 2 of rows: {why}",
        f"record 3 of rows: {why}",
        "row 4: no user",
    )
    assert (seen[-1].users, seen[-1].part) == (1, 0.25)


def test_a_search_and_an_export_are_read_from_the_tenant() -> None:
    """The export asks for all fields that weigh, and says how far it is."""
    with LocalTenant() as tenant, tenant.client() as client:
        for n in range(3):
            tenant.users.add(
                user_id=f"auth0|{n}", app_metadata={"a.b": n} if n else {"c": n}, picture="x" * 1_500
            )
        seen: list[Any] = []
        export = audit(client=client, on_progress=seen.append)
        search = audit("search:user_id:*", client=client)
        limited = audit(ExportSource(limit=1), client=client)
    assert (export.source, export.users, search.users, limited.users) == ("export", 3, 3, 1)
    assert export.findings == search.findings
    assert export.sizes.total > 4_500
    assert isinstance(seen[0], ExportProgress)
    assert seen[-1].part == 1.0


def test_what_has_to_be_read_from_a_tenant_needs_a_client() -> None:
    """A file and profiles do not."""
    with pytest.raises(ConfigError, match="this audit needs to read users from the tenant: pass a client"):
        audit()
    assert audit([]).users == 0


@pytest.mark.parametrize("source", [5, {"user_id": "auth0|1"}, b"export"])
def test_anything_else_is_no_source(source: Any) -> None:
    """The error says what is one."""
    with pytest.raises(InputError, match=r"source must be a source, text that names one"):
        audit(source)


def test_arguments_are_checked_before_anything_is_read(tmp_path: Path) -> None:
    """A file that can't be written, too."""
    with LocalTenant() as tenant, tenant.client() as client:
        with pytest.raises(InputError, match='checks must be "all" or "sizes"'):
            audit(client=client, checks="some")  # type: ignore[arg-type]
        with pytest.raises(InputError, match="on_progress must be a function, not int"):
            audit(client=client, on_progress=5)  # type: ignore[arg-type]
        with pytest.raises(InputError, match="can't be written"):
            audit(client=client, csv=tmp_path / "absent" / "users.csv")
        with pytest.raises(InputError, match="does not exist"):
            audit(tmp_path / "absent.ndjson", client=client)
        assert not tenant.journal


# The file of users, and progress ----------------------------------------------------------------------


def rows(path: Path) -> list[list[str]]:
    """Return the rows of a CSV file."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def test_the_csv_file_never_takes_the_place_of_the_profiles(tmp_path: Path) -> None:
    """An export may be the only copy of what a profile was."""
    path = tmp_path / "users.ndjson"
    path.write_text(json.dumps({"user_id": "auth0|1", "app_metadata": {"a.b": 1}}), encoding="utf-8")
    before = path.read_bytes()
    with pytest.raises(InputError, match="is the file of profiles"):
        audit(path, csv=path)
    assert path.read_bytes() == before


def test_the_csv_file_has_a_row_for_each_user_with_findings_of_their_own(tmp_path: Path) -> None:
    """What only a comparison with other users shows is not among them."""
    path = tmp_path / "users.csv"
    profiles = [
        user(1, {"a.b": 1, "age": "5", "log": ["x" * 98] * 101}),
        user(2, {"age": 5}),
        user(3, {"age": 5, "password": "x"}),
    ]
    report = audit(profiles, csv=path)
    assert ("mixed_types", 1) in [(one.kind, one.users) for one in report.findings]
    assert rows(path) == [
        ["user_id", "bytes", "kinds", "keys"],
        ["auth0|1", "10265", "oversized bad_key growing_list unsearchable", "app_metadata.log 10202; app_metadata.age 3; app_metadata.a.b 1"],
        ["auth0|3", "61", "secret", "app_metadata.password 3; app_metadata.age 1"],
    ]  # fmt: skip
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_an_audit_that_is_interrupted_leaves_the_earlier_file(tmp_path: Path) -> None:
    """Half a file would look like a whole one."""
    path = tmp_path / "users.csv"
    path.write_text("earlier")

    def profiles() -> Iterable[dict[str, Any]]:
        yield user(1, {"a.b": 1})
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        audit(profiles(), csv=path)
    assert path.read_text() == "earlier"
    assert list(tmp_path.iterdir()) == [path]


def test_a_spreadsheet_takes_no_cell_for_a_formula(tmp_path: Path) -> None:
    """A user id may begin like one."""
    audit([{"user_id": "=1+1", "app_metadata": {"a.b": 1}}], csv=tmp_path / "users.csv")
    assert rows(tmp_path / "users.csv")[1][0] == "'=1+1"


def test_progress_is_announced_a_few_times_a_second_and_at_the_end(tmp_path: Path) -> None:
    """With the part of the file that has been read, and the time that is left."""
    clock = FakeClock()
    path = tmp_path / "users.ndjson"
    path.write_text("".join(json.dumps(user(n)) + "\n" for n in range(1_000)))
    seen: list[AuditProgress] = []

    class Slow(FakeClock):
        def monotonic(self) -> float:
            clock.advance(1.0)
            return clock.monotonic()

    audit(path, clock=Slow(), on_progress=seen.append)  # type: ignore[arg-type]
    assert len(seen) > 5
    assert [one.users for one in seen] == sorted(one.users for one in seen)
    assert all(one.eta is not None for one in seen[3:])
    assert (seen[-1].users, seen[-1].part, seen[-1].eta) == (1_000, 1.0, 0.0)


def test_a_file_source_is_read_as_whole_profiles(tmp_path: Path) -> None:
    """A row without metadata is a user without metadata, and not one to be read."""
    path = tmp_path / "users.ndjson"
    path.write_text(json.dumps(user(1)) + "\n" + json.dumps(user(2, {"a.b": 1})) + "\n")
    report = audit(FileSource(path))
    assert (report.users, report.source, len(report.findings)) == (2, "file users.ndjson", 1)


def test_the_report_is_a_value() -> None:
    """Equal profiles lead to equal reports but for the time that it took."""
    profiles = [user(n, {"log": ["x" * 98] * (50 + n), "a.b": 1}) for n in range(40)]
    first, second = (audit(profiles, clock=FakeClock()) for _ in range(2))
    assert isinstance(first, AuditReport)
    assert first == second
