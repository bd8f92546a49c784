"""What a transaction costs and what it sends: promises 1, 2 and 3."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from support.local_tenant import UID, Local

from auth0_meta import ConflictError, InputError, MetadataTransaction, User

Block = Callable[[MetadataTransaction], object]
STORED = {"theme": "light", "prefs": {"lang": "en", "tz": "UTC"}, "flag": True, "n": 1}


def _merge_siblings(tx: MetadataTransaction) -> None:
    tx.user_metadata.merge({"prefs": {"lang": "fi"}})


def _two_bags(tx: MetadataTransaction) -> None:
    tx.user_metadata["theme"] = "dark"
    tx.app_metadata["plan"] = "pro"


def _read_then_write(tx: MetadataTransaction) -> None:
    if tx.user_metadata.get("theme") == "light":
        tx.user_metadata["theme"] = "dark"


def _clear_then_set(tx: MetadataTransaction) -> None:
    tx.user_metadata.clear()
    tx.user_metadata["only"] = 1


def _cleared_by_hand(tx: MetadataTransaction) -> None:
    for key in STORED:
        del tx.user_metadata[key]


WITHOUT_BASE: list[tuple[str, Block, list[str], dict[str, Any] | None]] = [
    ("flat", lambda tx: tx.user_metadata.update(theme="dark"), ["PATCH"], {"user_metadata": {"theme": "dark"}}),
    ("same flat value", lambda tx: tx.user_metadata.update(theme="light"), ["PATCH"], {"user_metadata": {"theme": "light"}}),
    ("flat delete", lambda tx: tx.user_metadata.delete("theme"), ["PATCH"], {"user_metadata": {"theme": None}}),
    ("delete absent", lambda tx: tx.user_metadata.delete("none"), ["PATCH"], {"user_metadata": {"none": None}}),
    ("flat merge", lambda tx: tx.user_metadata.merge({"a": 1, "theme": None}), ["PATCH"], {"user_metadata": {"a": 1, "theme": None}}),
    ("two bags", _two_bags, ["PATCH"], {"user_metadata": {"theme": "dark"}, "app_metadata": {"plan": "pro"}}),
    ("nested", _merge_siblings, ["GET", "PATCH"], {"user_metadata": {"prefs": {"lang": "fi", "tz": "UTC"}}}),
    ("nested set", lambda tx: tx.user_metadata.set("a.b.c", 1), ["GET", "PATCH"], {"user_metadata": {"a": {"b": {"c": 1}}}}),
    ("nested, no effect", lambda tx: tx.user_metadata.set("prefs.lang", "en"), ["GET"], None),
    ("append", lambda tx: tx.user_metadata.append("log", 1), ["GET", "PATCH"], {"user_metadata": {"log": [1]}}),
    ("increment", lambda tx: tx.user_metadata.increment("n"), ["GET", "PATCH"], {"user_metadata": {"n": 2}}),
    ("whole then nested", lambda tx: (tx.user_metadata.set("prefs", {}), tx.user_metadata.set("prefs.a", 1)), ["PATCH"], {"user_metadata": {"prefs": {"a": 1}}}),
    ("read, write", _read_then_write, ["GET", "GET", "PATCH"], {"user_metadata": {"theme": "dark"}}),
    ("read, no effect", lambda tx: (tx.user_metadata.get("n"), tx.user_metadata.set("theme", "light")), ["GET", "GET"], None),
    ("read alone", lambda tx: tx.user_metadata.get("theme"), ["GET"], None),
    ("loaded, flat", lambda tx: (tx.load(), tx.load(), tx.user_metadata.set("theme", "dark")), ["GET", "PATCH"], {"user_metadata": {"theme": "dark"}}),
    ("read of what is staged", lambda tx: (tx.user_metadata.set("a", 1), tx.user_metadata["a"]), ["PATCH"], {"user_metadata": {"a": 1}}),
    ("clear", lambda tx: tx.user_metadata.clear(), ["PATCH"], {"user_metadata": {}}),
    ("clear both", lambda tx: (tx.user_metadata.clear(), tx.app_metadata.clear()), ["PATCH"], {"user_metadata": {}, "app_metadata": {}}),
    ("clear then set", _clear_then_set, ["GET", "PATCH"], {"user_metadata": {"theme": None, "prefs": None, "flag": None, "n": None, "only": 1}}),
    ("replace", lambda tx: tx.user_metadata.replace({"theme": "dark", "flag": True}), ["GET", "PATCH"], {"user_metadata": {"theme": "dark", "prefs": None, "n": None}}),
    ("replace by the same", lambda tx: tx.user_metadata.replace(dict(STORED)), ["GET"], None),
    ("replace by nothing", lambda tx: tx.user_metadata.replace({}), ["PATCH"], {"user_metadata": {}}),
    ("every key deleted", _cleared_by_hand, ["PATCH"], {"user_metadata": dict.fromkeys(STORED)}),
    ("merge of nothing", lambda tx: tx.user_metadata.merge({}), [], None),
    ("nothing", lambda tx: None, [], None),
    ("pending", lambda tx: tx.pending, [], None),
]  # fmt: skip


@pytest.mark.parametrize(
    ("block", "sent", "body"), [row[1:] for row in WITHOUT_BASE], ids=[row[0] for row in WITHOUT_BASE]
)
def test_each_block_costs_the_promised_requests(
    block: Block, sent: list[str], body: dict[str, Any] | None
) -> None:
    """Each kind of block sends exactly the keys that change."""
    local = Local(STORED, {"plan": "free"})
    with local.tx() as tx:
        block(tx)
        if body is None and "GET" not in sent:
            assert local.sent == []
    assert local.sent == sent
    assert local.bodies == ([] if body is None else [body])
    assert tx.result is not None
    assert (tx.result.requests, tx.result.attempts) == (len(sent), sent.count("PATCH"))
    assert tx.result.outcome == ("unchanged" if body is None else "updated")
    assert tx.result.document == (body or {})


WITH_BASE: list[tuple[str, Block, dict[str, Any] | None]] = [
    ("flat", lambda tx: tx.user_metadata.update(theme="dark"), {"user_metadata": {"theme": "dark"}}),
    ("nested", _merge_siblings, {"user_metadata": {"prefs": {"lang": "fi", "tz": "UTC"}}}),
    ("read, write", _read_then_write, {"user_metadata": {"theme": "dark"}}),
    ("same value", lambda tx: tx.user_metadata.update(theme="light"), None),
    ("same nested", lambda tx: tx.user_metadata.merge({"prefs": {"lang": "en"}, "n": 1.0}), None),
    ("True is not 1", lambda tx: tx.user_metadata.update(flag=1), {"user_metadata": {"flag": 1}}),
    ("1 is not True", lambda tx: tx.user_metadata.update(n=True), {"user_metadata": {"n": True}}),
    ("delete absent", lambda tx: tx.user_metadata.delete("none.at.all"), None),
    ("replace", lambda tx: tx.user_metadata.replace({"n": 1}), {"user_metadata": {"theme": None, "prefs": None, "flag": None}}),
    ("clear", lambda tx: tx.user_metadata.clear(), {"user_metadata": {}}),
    ("clear of an empty bag", lambda tx: tx.app_metadata.clear(), None),
    ("changed and changed back", lambda tx: (tx.user_metadata.set("n", 2), tx.user_metadata.set("n", 1)), None),
]  # fmt: skip


@pytest.mark.parametrize("as_user", [False, True])
@pytest.mark.parametrize(("block", "body"), [row[1:] for row in WITH_BASE], ids=[row[0] for row in WITH_BASE])
def test_with_a_base_each_block_costs_one_request_or_none(
    block: Block, body: dict[str, Any] | None, *, as_user: bool
) -> None:
    """Nothing is read: there is one PATCH with what differs, or none if nothing does."""
    local = Local(STORED)
    base = User.from_dict(local.profile()) if as_user else local.profile()
    with local.tx(base=base) as tx:
        block(tx)
    assert local.sent == ([] if body is None else ["PATCH"])
    assert local.bodies == ([] if body is None else [body])


def test_base_check_brings_the_read_back() -> None:
    """base_check=True reads at commit, so that siblings newer than the base survive."""
    local = Local(STORED)
    base = local.profile()
    local.write(user_metadata={"prefs": {"lang": "en", "tz": "EET"}})
    with local.tx(base=base, base_check=True) as tx:
        _merge_siblings(tx)
    assert local.sent == ["GET", "PATCH"]
    assert local.user_metadata["prefs"] == {"lang": "fi", "tz": "EET"}


def test_base_check_without_a_change_reads_and_sends_no_patch() -> None:
    """With base_check=True, that nothing differs from the base is checked too."""
    local = Local(STORED)
    with local.tx(base=local.profile(), base_check=True) as tx:
        tx.user_metadata["theme"] = "light"
    assert local.sent == ["GET"]
    assert tx.result.outcome == "unchanged"


EARLIER: dict[str, Callable[[Local], MetadataTransaction]] = {
    "a base to be checked": lambda local: local.tx(base=local.profile(), base_check=True),
    "a read": lambda local: _begun(local, lambda tx: tx.user_metadata.get("n")),
    "a read of the same key": lambda local: _begun(local, lambda tx: tx.app_metadata["plan"]),
    "a load": lambda local: _begun(local, lambda tx: tx.load()),
}


def _begun(local: Local, block: Block) -> MetadataTransaction:
    tx = local.tx()
    block(tx)
    return tx


@pytest.mark.parametrize("earlier", EARLIER.values(), ids=EARLIER)
def test_an_earlier_read_drops_no_write(earlier: Callable[[Local], MetadataTransaction]) -> None:
    """A value that an earlier profile already had is written if somebody else has changed it since, or conflicts."""
    local = Local({"n": 1}, {"plan": "pro"})
    tx = earlier(local)
    local.write(app_metadata={"plan": "free"})
    tx.app_metadata["plan"] = "pro"
    try:
        tx.commit()
    except ConflictError:
        assert earlier is EARLIER["a read of the same key"]
    else:
        assert tx.result.outcome == "updated"
        assert local.app_metadata == {"plan": "pro"}


def test_an_unchecked_base_is_taken_at_its_word() -> None:
    """With base= alone nothing is read, so a difference that the base does not show is not seen."""
    local = Local({}, {"plan": "pro"})
    base = local.profile()
    local.write(app_metadata={"plan": "free"})
    with local.tx(base=base) as tx:
        tx.app_metadata["plan"] = "pro"
    assert (tx.result.outcome, local.sent) == ("unchanged", [])


def test_without_base_check_newer_siblings_are_overwritten() -> None:
    """Without base_check a base is trusted, so a newer sibling in the same first-level key is lost, as documented."""
    local = Local(STORED)
    base = local.profile()
    local.write(user_metadata={"prefs": {"lang": "en", "tz": "EET"}})
    with local.tx(base=base) as tx:
        _merge_siblings(tx)
    assert local.user_metadata["prefs"] == {"lang": "fi", "tz": "UTC"}


def test_the_read_at_commit_is_late() -> None:
    """A sibling that is written after staging and before the commit survives: the operation is applied to fresh data."""
    local = Local(STORED)
    with local.tx() as tx:
        _merge_siblings(tx)
        local.write(user_metadata={"prefs": {"lang": "en", "tz": "EET"}})
    assert local.user_metadata["prefs"] == {"lang": "fi", "tz": "EET"}


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit, GeneratorExit])
def test_an_exception_sends_nothing(error: type[BaseException]) -> None:
    """An exception in the block, Ctrl-C included, is raised, and nothing is sent."""
    local = Local(STORED)
    with pytest.raises(error), local.tx() as tx:
        _two_bags(tx)
        raise error
    assert local.sent == []
    assert tx.result is not None
    assert tx.result.outcome == "rolled_back"


def test_values_are_copied_when_staged() -> None:
    """Changing a value after staging it changes nothing, at any depth."""
    local = Local()
    value = {"list": [1, {"a": 1}]}
    with local.tx() as tx:
        tx.user_metadata["v"] = value
        tx.user_metadata.append("w", value)
        tx.user_metadata.merge({"m": value})
        value["list"].append(2)
        value["list"][1]["a"] = 2  # type: ignore[index]
    assert local.user_metadata == {
        "v": {"list": [1, {"a": 1}]},
        "w": [{"list": [1, {"a": 1}]}],
        "m": {"list": [1, {"a": 1}]},
    }


def test_claims_are_not_a_base() -> None:
    """An ID token's claims contain no metadata; used as a profile, they would wipe what they lack."""
    local = Local({"prefs": {"lang": "en"}})
    with pytest.raises(InputError, match="claims"):
        local.tx(base={"sub": UID, "email": "ada@example.org"})
    assert local.sent == []


def test_the_base_is_copied_when_given() -> None:
    """Changing the profile that was passed as base has no effect."""
    local = Local(STORED)
    base = local.profile()
    with local.tx(base=base) as tx:
        base["user_metadata"]["prefs"]["tz"] = "EET"
        _merge_siblings(tx)
    assert local.bodies == [{"user_metadata": {"prefs": {"lang": "fi", "tz": "UTC"}}}]


def test_ten_helpers_cost_one_patch() -> None:
    """Ten helpers that each open a transaction inside one cost one PATCH together."""
    local = Local()

    def helper(number: int) -> None:
        with local.tx() as tx:
            tx.app_metadata[f"k{number}"] = number

    with local.tx():
        for number in range(10):
            helper(number)
    assert local.sent == ["PATCH"]
    assert local.app_metadata == {f"k{n}": n for n in range(10)}


@pytest.mark.parametrize("bag", ["user_metadata", "app_metadata"])
def test_an_untouched_bag_is_never_sent(bag: str) -> None:
    """Only the bag that changes is in the document, even after a read of both."""
    local = Local({"a": {"b": 1}}, {"a": {"b": 1}})
    with local.tx() as tx:
        len(tx.user_metadata), len(tx.app_metadata)
        getattr(tx, bag).set("a.c", 2)
    assert local.bodies == [{bag: {"a": {"b": 1, "c": 2}}}]


def test_user_ids_survive_the_path() -> None:
    """A user id with |, /, %, : and # reaches the tenant unchanged."""
    local = Local()
    odd = "oauth2|a/b%3A:c#d"
    local.tenant.users.add(user_id=odd)
    with local.client.transaction(odd) as tx:
        tx.user_metadata.set("a.b", 1)
    assert local.tenant.users[odd].user_metadata == {"a": {"b": 1}}
    assert tx.user_id == odd != UID
