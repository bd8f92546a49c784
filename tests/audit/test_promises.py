"""What holds for every profile: nothing is raised, no value is shown, and the order of users changes nothing."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from auth0_meta.audit import audit
from auth0_meta.audit.measure import measured
from auth0_meta.checks.sizes import profile_size

CANARY = "canary"
# Values, and keys that are made from them; all of them contain the word.
canaries = st.text(max_size=5).map(lambda text: f"{CANARY} {text}")
secret_values = st.one_of(
    canaries,
    st.integers(),
    st.floats(allow_nan=False),
    st.none(),
    st.booleans(),
    canaries.map(lambda one: one * 400),
)
dynamic_keys = st.sampled_from([
    "canary@example.com", "mfa_canary_5f0c3b1e-8f4e-4f43-9d3e-0a8d2f6b7c11".replace("canary_", ""), "auth0|canarycanarycanary",
    "AKIAIOSFODNN7CANARYX", "canary " * 30,
])  # fmt: skip
keys = st.one_of(
    st.text(alphabet="ab.$\ud800\x1b é", max_size=3),
    st.sampled_from(["roles", "password", "sessions", "email"]),
    dynamic_keys,
)
values = st.recursive(
    secret_values | secret_values.map(lambda one: [one] * 101),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=12,
)
profiles = st.fixed_dictionaries(
    {"user_id": st.sampled_from([f"auth0|{n}" for n in range(20)])},
    optional={"user_metadata": values, "app_metadata": values, "identities": values, "name": secret_values},
)


@given(st.lists(profiles, max_size=4))
@settings(deadline=None)
def test_no_profile_is_too_odd_and_no_value_is_shown(some: list[Any]) -> None:
    """Neither a value nor a key that is made from one; whatever a report says can be written."""
    report = audit(some)
    assert report.users + report.problems.count == len(some)
    shown = json.dumps(report.to_json(), ensure_ascii=False)
    shown.encode()
    assert CANARY.lower() not in shown.lower()
    assert not re.search(r"[\x00-\x1f\x7f]", shown)


@given(st.lists(profiles, max_size=6), st.randoms(use_true_random=False))
@settings(deadline=None)
def test_the_order_of_users_changes_no_finding(some: list[Any], order: random.Random) -> None:
    """Examples are the first ones, but how many users have what does not depend on who comes first."""
    shuffled = list(some)
    order.shuffle(shuffled)

    def counted(rows: list[Any]) -> Any:
        return [(one.kind, one.path, one.users) for one in audit(rows).findings]

    assert counted(some) == counted(shuffled)


json_texts = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.text(alphabet='a"\\ \té\ud83d/:,{}[]\n', max_size=8)
    ),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(alphabet='a" :\\', max_size=4), inner, max_size=4)
    ),
)


def levels(value: Any) -> int:
    """Return how many objects and lists there are in a value."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + sum(map(levels, inner))


@given(
    value=json_texts,
    separators=st.sampled_from([(",", ":"), (", ", ": "), (" ,\t", "  :\r")]),
    ascii_=st.booleans(),
)
def test_the_size_of_a_text_is_that_of_its_value(
    value: Any, separators: tuple[str, str], *, ascii_: bool
) -> None:
    """White space between values does not count, and white space inside of texts does."""
    profile = {"user_id": "auth0|1", "value": value}
    line = json.dumps(profile, separators=separators, ensure_ascii=ascii_).encode("utf-8", "surrogatepass")
    size, brackets = measured(line)
    assert size == profile_size(profile) or (size is None and ascii_)
    assert brackets == levels(profile)


@given(st.lists(profiles, min_size=1, max_size=3))
@settings(deadline=None, max_examples=30)
def test_a_file_and_the_profiles_in_it_lead_to_the_same_report(
    tmp_path_factory: Any, some: list[Any]
) -> None:
    """Whether they are passed or read."""
    path: Path = tmp_path_factory.mktemp("audit") / "users.ndjson"
    path.write_text("".join(json.dumps(one) + "\n" for one in some))
    read, passed = audit(path), audit(some)
    assert (read.findings, read.sizes, read.weights, read.oversized) == (
        passed.findings, passed.sizes, passed.weights, passed.oversized
    )  # fmt: skip
