"""`auth0-meta user`: who is meant, what is found and listed, what is deleted, and what is stored as text."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from auth0_meta.cli import main
from auth0_meta.cli.user_edit import looks_like
from auth0_meta.emulator import LocalTenant

ADA, SAML = "auth0|123", "samlp|corp|ada@example.com"
CANARY = "canary-51c0"
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def people(tenant: LocalTenant) -> LocalTenant:
    """Add four users, two of whom share an address."""
    prefs = {"prefs": {"lang": "en", "mail": True}, "theme": "light"}
    tenant.users.add(user_id=ADA, email="ada@example.com", name="Ada", user_metadata=prefs)
    tenant.users.add(user_id=SAML, email="ada@corp.example", name="Ada C")
    tenant.users.add(user_id="auth0|bob", email="bob@example.com")
    google = [{"provider": "google-oauth2", "user_id": "9", "connection": "google-oauth2"}]
    tenant.users.add(user_id="google-oauth2|9", email="bob@example.com", identities=google)
    return tenant


def said(capsys: Capture, *words: str) -> tuple[int, Any]:
    """Run a command with --json; return its exit code and what it printed."""
    code = main([*words, "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_every_user_command_of_the_documentation_works(
    people: LocalTenant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sections of docs/cli.md about `user`, one command after the other."""
    page = (Path(__file__).parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")
    sections = re.findall(r"^## `auth0-meta user \w+`\n(.*?)(?=^## )", page, re.MULTILINE | re.DOTALL)
    lines = [line for text in sections for line in re.findall(r"^auth0-meta .*$", text, re.MULTILINE)]
    assert len(lines) == 13
    monkeypatch.chdir(tmp_path)
    Path("changes.json").write_text('{"app_metadata": {"billing": {"trial": 1}}}', encoding="utf-8")
    for line in lines:
        words = shlex.split(line, comments=True)[1:]
        if words[-2] == "<":
            monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(Path(words[-1]).read_bytes())))
            words = words[:-2]
        assert main(words) == 0, line
    assert people.journal.count("PATCH") == 4  # of six commands, two of which find what they write
    assert "trial" not in people.users[ADA].app_metadata["billing"]


# Who is meant ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("who", [ADA, "ada@example.com", "Ada@Example.COM", " ada@example.com "])
def test_a_user_is_named_by_id_or_address(who: str, people: LocalTenant, capsys: Capture) -> None:
    """Every command that takes an id takes an address, in any case."""
    assert main(["user", "show", who]) == 0
    assert capsys.readouterr().out.startswith(f"{ADA}\n")
    assert main(["user", "set", who, "user_metadata.theme=dark"]) == 0
    assert main(["user", "merge", who, '{"app_metadata": {"plan": "pro"}}']) == 0
    assert main(["user", "unset", who, "user_metadata.prefs.lang"]) == 0
    user = people.users[ADA]
    assert (user.user_metadata, user.app_metadata) == (
        {"prefs": {"mail": True}, "theme": "dark"},
        {"plan": "pro"},
    )


def test_an_id_that_contains_an_address_is_an_id(people: LocalTenant, capsys: Capture) -> None:
    """What has a pipe is not looked up as an address."""
    assert main(["user", "show", SAML]) == 0
    assert capsys.readouterr().out.startswith(f"{SAML}\n")
    assert people.journal.count(path="/api/v2/users-by-email") == 0


@pytest.mark.parametrize(
    "words",
    [
        ["show"],
        ["set", "user_metadata.a=b"],
        ["merge", '{"user_metadata": {"a": "b"}}'],
        ["unset", "user_metadata.a"],
    ],
    ids=lambda words: str(words[0]),
)
def test_an_address_of_several_users_is_refused_with_their_ids(
    words: list[str], people: LocalTenant, capsys: Capture
) -> None:
    """Nothing is written, and the ids are in the message and in the JSON."""
    command, *rest = words
    code, out = said(capsys, "user", command, "bob@example.com", *rest)
    assert (code, out["error"]["type"]) == (1, "AmbiguousUserError")
    assert set(out["error"]["user_ids"]) == {"auth0|bob", "google-oauth2|9"}
    assert all(one in out["error"]["message"] for one in ("auth0|bob", "google-oauth2|9", "by its id"))
    assert people.journal.count("PATCH") == 0


def test_an_unknown_address_is_not_found(people: LocalTenant, capsys: Capture) -> None:
    """It is the same error as for an unknown id."""
    for words in (["show", "eve@example.com"], ["show", "auth0|eve"], ["find", "eve@example.com"]):
        code, out = said(capsys, "user", *words)
        assert (code, out["error"]["type"], out["error"]["status"]) == (1, "NotFoundError", 404)


@pytest.mark.parametrize(
    ("who", "message"),
    [
        ("auth0", "quotes"),
        ("507f1f77bcf86cd799439020", "neither a user id, such as 'auth0|123', nor an e-mail address"),
        ("", "neither a user id, such as 'auth0|123', nor an e-mail address"),
        ("auth0|a b", "white space"),
        ("ada @example.com", "white space"),
    ],
)
def test_what_can_be_neither_is_refused_before_any_request(
    who: str, message: str, people: LocalTenant, capsys: Capture
) -> None:
    """The message speaks of quoting, because an unquoted pipe leaves the first half of an id."""
    for words in (["show", who], ["set", who, "user_metadata.a=b"], ["unset", who, "user_metadata.a"]):
        assert main(["user", *words]) == 2
        assert message in capsys.readouterr().err
    assert len(people.journal) == 0


# find and list ---------------------------------------------------------------------------------------


def test_find_prints_ids_and_connections(people: LocalTenant, capsys: Capture) -> None:
    """A line for each user, in a pipe with a tab between id and connections."""
    assert main(["user", "find", "Bob@example.com"]) == 0
    assert sorted(capsys.readouterr().out.splitlines()) == [
        "auth0|bob\tUsername-Password-Authentication",
        "google-oauth2|9\tgoogle-oauth2",
    ]
    code, out = said(capsys, "user", "find", "ada@example.com")
    assert (code, out) == (0, [dict(people.users[ADA])])
    assert main(["user", "find", ADA]) == 2
    assert "user list" in capsys.readouterr().err


def test_list_prints_a_line_for_each_user(people: LocalTenant, capsys: Capture) -> None:
    """Id, address and name; stderr says that the index lags."""
    assert main(["user", "list", "--sort", "email"]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines()[:2] == [f"{SAML}\tada@corp.example\tAda C", f"{ADA}\tada@example.com\tAda"]
    assert len(out.splitlines()) == 4
    assert err == "4 users. The index that is searched shows a change only some seconds later.\n"
    for down in ("-email", "email:-1"):
        assert main(["user", "list", f"--sort={down}", "--limit", "1"]) == 0
        assert "bob@example.com" in capsys.readouterr().out


@pytest.mark.parametrize(("limit", "more"), [(3, True), (4, False), (5, False)])
def test_list_says_whether_more_users_match(
    limit: int,
    more: bool,
    people: LocalTenant,
    capsys: Capture,
) -> None:
    """On both sides of the number of users."""
    assert main(["user", "list", "--limit", str(limit)]) == 0
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == min(limit, 4)
    assert ("more match" in err) == more


def test_list_searches_and_shows_fields(people: LocalTenant, capsys: Capture) -> None:
    """--fields limits what is read and shown; what is not text is JSON; what is absent is empty."""
    query = [
        "user",
        "list",
        "email:*@example.com",
        "--fields",
        "email, identities, nickname",
        "--sort",
        "email:-1",
    ]
    people.users.add(user_id="auth0|eve", email="zoe@example.com", nickname="zo")
    assert main(query) == 0
    first, *rest = capsys.readouterr().out.splitlines()
    user_id, email, identities, nickname = first.split("\t")
    assert (user_id, email, nickname) == ("auth0|eve", "zoe@example.com", "zo")
    assert json.loads(identities)[0]["provider"] == "auth0"
    assert len(rest) == 3
    _, out = said(capsys, *query)
    assert {frozenset(one) for one in out} <= {
        frozenset(("user_id", "email", "identities", "nickname")),
        frozenset(("user_id", "email", "identities")),
    }


def test_a_search_ends_at_1000_users(people: LocalTenant, capsys: Capture) -> None:
    """More than that is refused; if there are as many, an export is named."""
    assert main(["user", "list", "--limit", "1001"]) == 2
    assert "1<=x<=1000" in capsys.readouterr().err
    for n in range(997):
        people.users.add(user_id=f"auth0|{n:04}")
    assert main(["user", "list", "--limit", "1000"]) == 0
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 1000
    assert "migrate plan --source export" in err


def test_redact_hides_what_is_personal(people: LocalTenant, capsys: Capture) -> None:
    """Ids and sizes remain."""
    for words in (["find", "ada@example.com"], ["list", "name:Ada"]):
        assert main(["user", *words, "--redact"]) == 0
        assert capsys.readouterr().out == f"{ADA}\tuser_metadata(prefs 25 B, theme 7 B)\n"
        code, out = said(capsys, "user", *words, "--redact")
        assert (code, out) == (0, [{"user_id": ADA, "user_metadata": {"prefs": 25, "theme": 7}}])


def test_columns_are_aligned_on_a_terminal(people: LocalTenant) -> None:
    """Tabs are for pipes."""
    ours, theirs = pty.openpty()
    line = [sys.executable, "-m", "auth0_meta", "user", "find", "bob@example.com"]
    with subprocess.Popen(line, stdout=theirs, stderr=subprocess.PIPE) as process:
        os.close(theirs)
        shown = b""
        try:
            while part := os.read(ours, 65536):
                shown += part
        except OSError:  # how Linux reports the end of file on a terminal
            pass
        process.wait(timeout=60)
    os.close(ours)
    assert sorted(shown.decode().splitlines()) == [
        "auth0|bob        Username-Password-Authentication",
        "google-oauth2|9  google-oauth2",
    ]


def test_nobody_is_an_empty_list(people: LocalTenant, capsys: Capture) -> None:
    """A search without results is not an error."""
    assert main(["user", "list", "email:nobody"]) == 0
    out, err = capsys.readouterr()
    assert (out, err.startswith("0 users. ")) == ("", True)
    assert said(capsys, "user", "list", "email:nobody") == (0, [])


# unset -----------------------------------------------------------------------------------------------


def test_unset_is_one_patch(people: LocalTenant, capsys: Capture) -> None:
    """Nested and first-level keys of both kinds of metadata go; siblings stay."""
    people.users[ADA].patch(app_metadata={"billing": {"plan": "pro", "trial": 1}, "old": 1})
    paths = [
        "user_metadata.prefs.lang",
        "user_metadata.theme",
        "app_metadata.billing.trial",
        "app_metadata.old",
    ]
    assert main(["user", "unset", ADA, *paths]) == 0
    user = people.users[ADA]
    assert (user.user_metadata, user.app_metadata) == (
        {"prefs": {"mail": True}},
        {"billing": {"plan": "pro"}},
    )
    assert people.journal.count("PATCH") == 1
    assert "theme deleted" in capsys.readouterr().out


def test_a_key_that_is_not_stored_is_named(people: LocalTenant, capsys: Capture) -> None:
    """The others are deleted; if there are none, nothing is sent."""
    absent = ["user_metadata.nope", "user_metadata.theme.x", "app_metadata.a.b"]
    assert main(["user", "unset", ADA, *absent]) == 0
    out, err = capsys.readouterr()
    assert out == f"{ADA} unchanged: nothing to send\n"
    assert err == "".join(f"not stored: {path}\n" for path in absent)
    assert people.journal.count("PATCH") == 0
    code, out = said(capsys, "user", "unset", ADA, "user_metadata.theme", *absent)
    assert (code, out["outcome"], out["not_stored"]) == (0, "updated", absent)
    assert people.users[ADA].user_metadata == {"prefs": {"lang": "en", "mail": True}}


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("user_metadata", "is the whole object"),
        ("theme", "does not begin with user_metadata or app_metadata"),
        ("user_metadata.", "write user_metadata.KEY"),
        ("user_metadata.theme=dark", "takes paths only"),
        ("user_metadata. theme", "white space"),
    ],
)
def test_unset_refuses_what_is_not_a_path(
    path: str, message: str, people: LocalTenant, capsys: Capture
) -> None:
    """Before any request."""
    assert main(["user", "unset", ADA, path]) == 2
    assert message in capsys.readouterr().err
    assert len(people.journal) == 0


def test_unset_has_a_dry_run(people: LocalTenant, capsys: Capture) -> None:
    """It shows the PATCH and sends none."""
    assert main(["user", "unset", ADA, "user_metadata.theme", "--dry-run"]) == 0
    assert json.loads(capsys.readouterr().out) == {"user_metadata": {"theme": None}}
    assert people.journal.count("PATCH") == 0


# set -------------------------------------------------------------------------------------------------


def test_a_text_that_looks_like_json_is_named(people: LocalTenant, capsys: Capture) -> None:
    """It is stored as text, as written; the hint has its path and what it looks like, and not the value."""
    words = [
        "user_metadata.n=5",
        "user_metadata.b=True",
        "user_metadata.s=fi",
        f'user_metadata.l=["{CANARY}"]',
    ]
    assert main(["user", "set", ADA, *words, "user_metadata.j:=5", 'user_metadata.q:="5"']) == 0
    stored = people.users[ADA].user_metadata
    assert {key: stored[key] for key in "nbsljq"} == {
        **{"n": "5", "b": "True", "s": "fi", "l": f'["{CANARY}"]', "j": 5, "q": "5"}
    }
    out, err = capsys.readouterr()
    assert CANARY not in out + err
    hints = [line for line in err.splitlines() if line.startswith("stored as text: ")]
    assert [line.split()[3] for line in hints] == ["user_metadata.n", "user_metadata.b", "user_metadata.l"]
    assert "it looks like a number; to store JSON, write user_metadata.n:=..." in hints[0]
    assert main(["user", "set", ADA, "user_metadata.n=5", "--dry-run"]) == 0
    assert "would be stored as text: user_metadata.n" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        *((text, "a number") for text in ("5", "-1", "0.5", "1e3", " 7 ")),
        *((text, "a boolean") for text in ("true", "False")),
        *((text, "null") for text in ("null", "None")),
        *((text, "a list") for text in ("[]", '["a"]')),
        ('{"a": 1}', "an object"),
        ('"pro"', "a quoted string"),
        *(
            (text, None)
            for text in ("", "dark", "007", "+358 40", "1.2.3", "NaN", "nullable", "[a]", "{}{", '"a')
        ),
        ("[" * 100_000, None),
    ],
    ids=lambda text: str(text)[:12],
)
def test_what_a_text_looks_like(text: str, kind: str | None) -> None:
    """JSON values, Python's spelling of three of them, and nothing that only begins like one."""
    assert looks_like(text) == kind


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["user_metadata.theme = dark"], "white space around a key"),
        (["user_metadata.prefs .lang=fi"], "white space around a key"),
        (["user_metadata.n :=5"], "'user_metadata.n '"),
        (
            ["user_metadata.theme", "=", "dark"],
            "'user_metadata.theme' has no =: write user_metadata.KEY=TEXT",
        ),
    ],
    ids=["around =", "in the path", "before :=", "three words"],
)
def test_spaces_around_the_sign_are_refused(
    words: list[str], message: str, people: LocalTenant, capsys: Capture
) -> None:
    """They would become a part of the key; a value may begin with one."""
    assert main(["user", "set", ADA, *words]) == 2
    assert message in capsys.readouterr().err
    assert len(people.journal) == 0
    assert main(["user", "set", ADA, "user_metadata.theme= dark"]) == 0
    assert people.users[ADA].user_metadata["theme"] == " dark"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["set", "theme=dark"],
            "'theme' does not begin with user_metadata or app_metadata: write user_metadata.KEY=TEXT",
        ),
        (["set", 'user_metadata:={"a": 1}'], "'user_metadata' is the whole object"),
        (["set", "user_metadata.tags[0]=x"], "set the list, user_metadata.tags:=[...]"),
        (["set", "user_metadata.theme:=dark"], "for text, write user_metadata.theme=..."),
        (["merge", "changes.json"], "to read a file, write @changes.json"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_change_that_was_written_wrongly_is_refused_with_a_way_out(
    words: list[str], message: str, people: LocalTenant, capsys: Capture
) -> None:
    """Before any request."""
    command, change = words
    assert main(["user", command, ADA, change]) == 2
    assert message in capsys.readouterr().err
    assert len(people.journal) == 0


# --json ----------------------------------------------------------------------------------------------


def test_a_change_is_reported_as_json_without_values(people: LocalTenant, capsys: Capture) -> None:
    """Names, sizes and what it cost; of a dry run also the PATCH, unless it is redacted."""
    words = ["user", "set", ADA, f"user_metadata.motto={CANARY}", "user_metadata.theme:=null"]
    code, out = said(capsys, *words, "--dry-run")
    assert (code, out["outcome"], out["document"]["user_metadata"]["motto"]) == (0, "dry_run", CANARY)
    code, out = said(capsys, *words, "--dry-run", "--redact")
    assert (code, "document" in out) == (0, False)
    code, out = said(capsys, *words)
    sizes = {"user_metadata": {"motto": len(CANARY) + 2, "theme": None}}
    assert (code, out.pop("waited") >= 0) == (0, True)
    assert out == {"user_id": ADA, "outcome": "updated", "sizes": sizes, "requests": 1, "attempts": 1}
    code, out = said(capsys, "user", "merge", ADA, '{"user_metadata": {"prefs": {"lang": "en"}}}')
    assert (code, out["outcome"], out["sizes"], out["attempts"]) == (0, "unchanged", {}, 0)
