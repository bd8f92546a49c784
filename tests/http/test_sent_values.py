"""What is cut out of the server's messages: the values of the request, and nothing else."""

from __future__ import annotations

import json
import re
import time
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth0_meta.http.sent_values import SentValues

CANARY = 'Canary "7" \u00e4/b'
OWN_WORDS = [
    "The user does not exist.",
    "The user already exists.",
    "Payload validation error: 'Expected type object but found type null'.",
    "Payload validation error: 'Additional properties not allowed: plan'.",
    "Payload validation error: 'Missing required property: connection'.",
    "Object didn't pass validation for format user-id: 65",
    "Query validation error: 'String does not match pattern'",
    "Insufficient scope, expected any of: update:users,update:users_app_metadata",
    "You can only page through the first 1000 records.",
    "The specified connection does not support this operation",
    "Invalid token",
    "Password is too weak",
    "The tenant has multiple verified custom domains.",
]


@pytest.mark.parametrize("message", OWN_WORDS)
def test_words_of_the_servers_own_sentences_stay(message: str) -> None:
    """They stay although each was sent as a value, in any case, and short values that they contain stay too."""
    words = [word.strip(".,:'") for word in message.split()]
    ordinary = [word for word in words if word.isalpha() and word.lower() not in ("plan", "didn")]
    for word in (*ordinary, "pro", "ect", "use", "oes not ex", "The user", "does not exist", "valid"):
        assert SentValues({"role": word}).cut(message) == message, word
        assert SentValues({"role": word.upper()}).cut(message) == message, word


@pytest.mark.parametrize(
    ("value", "message", "left"),
    [
        ("user", "Value 'user' is not allowed", "Value '***' is not allowed"),
        ("user", 'Value "user" is not allowed', 'Value "***" is not allowed'),
        ("user", "user", "***"),
        ("swordfish", "the password swordfish is too weak", "the password *** is too weak"),
        (
            "pro",
            "pro is no plan; prose, pro_rata and un-pro are",
            "*** is no plan; prose, pro_rata and un-pro are",
        ),
        ("4711", "47110 is not 4711.", "47110 is not ***."),
        (4711, "Value 4711 is too much", "Value *** is too much"),
        (5000.0, "5000 is too much, 5000.0 too", "*** is too much, *** too"),
        ("  padded value ", "got 'padded value'", "got '***'"),
        ("ab", "ab is short", "ab is short"),
    ],
)
def test_a_value_is_cut_where_it_stands_by_itself(value: Any, message: str, left: str) -> None:
    """Quoted, it is always taken for the value; parts of other words are not."""
    assert SentValues({"app_metadata": {"x": [value]}}).cut(message) == left


FORMS = {
    "as it is": CANARY,
    "lower case": CANARY.lower(),
    "upper case": CANARY.upper(),
    "JSON": json.dumps(CANARY)[1:-1],
    "JSON in UTF-8": json.dumps(CANARY, ensure_ascii=False)[1:-1],
    "JSON with escaped slashes": json.dumps(CANARY)[1:-1].replace("/", "\\/"),
    "a path": quote(CANARY),
    "a path segment": quote(CANARY, safe=""),
    "a path in lower case": quote(CANARY, safe="").lower(),
    "a form": quote_plus(CANARY),
    "HTML": "Canary &quot;7&quot; \u00e4/b",
    "shortened": CANARY[:9] + "...",
    "shortened much": CANARY[:4] + "\u2026",
    "shortened in the middle": CANARY[:5] + "..." + CANARY[-4:],
    "only its end": "..." + CANARY[-5:],
    "shortened without a sign": CANARY[:10],
    "shortened and escaped": json.dumps(CANARY)[1:14] + "...",
    "shortened in lower case": CANARY[:9].lower() + "...",
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("around", ["{} is not allowed", "not allowed: '{}' at x", "the end is {}", "<{}>"])
def test_every_form_of_a_value_is_cut(form: str, around: str) -> None:
    """So are changed case, escapes, and shortened values; the rest of the message stays."""
    assert SentValues({"x": CANARY}).cut(around.format(form)) == around.format("***")


@pytest.mark.parametrize(
    "echo",
    ["canary@example.com", "Ada Lovelace", "lovelace", "canary4711", "Wild", "user_id is 'auth0|canary'"],
)
def test_the_terms_of_a_query_are_cut(echo: str) -> None:
    """A message may repeat one term of a search; the names of fields stay."""
    query = 'email:"canary@example.com" AND (name:"Ada Lovelace" OR app_metadata.code:canary4711) NOT nick:Wild* user_id:auth0|canary'
    text = SentValues((None, {"q": query, "page": 0})).cut(
        f"Query validation error: {echo} on property email"
    )
    assert not any(part in text.lower() for part in ("canary", "lovelace", "wild"))
    assert text.endswith("on property email")
    assert "user_id" in text or "user_id" not in echo


# A query with a canary, and what a message may repeat of it.
QUERIES = [
    ("canary", "canary"),
    ("Canary", "cANARY"),
    ("canary~2", "canary~2"),
    ("canary~2", "canary"),
    ("canary^3.5", "canary"),
    ("canar*", "canar*"),
    ("+swordfish -canary", "-canary"),
    ("!canary", "!canary"),
    ("&&canary||swordfish", "canary"),
    ("name:(ada OR canary)", "canary)"),
    ("swordfish canary", "swordfish canary"),
    ("swordfish,canary;tuna", "canary;tuna"),
    ("swordfish AND canary_4711 AND", "canary_4711"),
    ("super-canary-secret", "canary"),
    ("canary@example.com", "canary"),
    ("ada@canary.com", "canary.com"),
    ("ada@canary.com", "ADA@CANARY.COM"),
    ("name:a:canary", "canary"),
    ("name:/canar.?y/", "canar.?y"),
    (r"can\:ary", "can:ary"),
    (r"can\:ary", r"can\:ary"),
    (r"O\'Canary", "O'Canary"),
    ("[canary TO canaryz}", "canaryz"),
    ("plan:>=canary", "canary"),
    ("canary-canary-canary", "canary-cana..."),
    ("canarycanary", "canarycan"),
    ("canary\u00e4", "canary\\u00e4"),
    ("canary\u00e4", "canary%C3%A4"),
    ("canary/x", "canary\\/x"),
    ('"ada canary', "canary"),
    ('"ada canary"~3', "ada canary"),
    ("user canary", "canary"),
]
SEARCH_MESSAGES = [
    "Query validation error: '{}' on property q (Search query).",
    "Failed to parse query [{}]",
    "Cannot parse {}: Encountered <EOF> at line 1, column 8.",
    "The term {} is not allowed",
    "{} is not a valid value",
    'Unexpected token "{}" at position 4',
    "no results for: {}",
    "({})",
]


@pytest.mark.parametrize(("query", "echo"), QUERIES)
def test_a_free_word_of_a_query_is_cut(query: str, echo: str) -> None:
    """It is a value although it stands without a field, in each form in which it may come back."""
    values = SentValues((None, {"q": query, "page": 0}))
    for message in SEARCH_MESSAGES:
        text = values.cut(message.format(echo))
        assert "canar" not in text.lower(), text
        assert "can:ary" not in text
        assert re.findall("[A-Za-z]{3,}", text) == re.findall("[A-Za-z]{3,}", message.format(""))


@pytest.mark.parametrize("message", OWN_WORDS)
def test_a_query_of_ordinary_words_cuts_nothing(message: str) -> None:
    """The words of a message stay, whoever searches for them, and so do the fields of a query."""
    for query in (
        "user",
        "User",
        "exist",
        "user AND exist",
        "the user",
        "name:user",
        "+token -invalid",
        "app_metadata.scope:update",
        "user~2 connection*",
        "validation^4 (page OR error)",
        "records. through, the; first",
        "object-found type/null",
        "[user TO type]",
        '"does not exist"',
        "_exists_:app_metadata.property",
        "*",
        "",
        "AND OR NOT",
        "a b c x: :x ~1 ^2 ()",
    ):
        assert SentValues((None, {"q": query})).cut(message) == message, query


def test_a_long_value_is_cut_wherever_it_is() -> None:
    """A token is no part of a word by chance."""
    token = "eyJhbGciOi.eyJzdWIi.c2ln-_" * 3
    assert SentValues(({}, token)).cut(f"x{token}y") == "x***y"


def test_codes_lose_values_but_not_words() -> None:
    """An error code is made of words; a value among them is cut only if it does not look like one."""
    assert SentValues({"a": "user", "b": "4711-x"}).cut_from_code("inexistent_user") == "inexistent_user"
    assert SentValues({"a": "user", "b": "4711-x"}).cut_from_code("no_4711-x") == "no_***"


@given(
    value=st.text(min_size=12, max_size=40).filter(lambda text: len(text.strip()) >= 12),
    before=st.sampled_from(["", "got ", "'", "(", "value: "]),
    after=st.sampled_from(["", " is bad", "'", ")", "."]),
)
def test_no_value_survives(value: str, before: str, after: str) -> None:
    """Whatever is sent, a message that repeats it does not show it, unless it is a common word."""
    value += "7"
    cut = SentValues({"x": value}).cut(before + value + after)
    assert value.strip() not in cut


def test_many_values_take_no_long_time() -> None:
    """A request of a megabyte has a hundred thousand values, and its error must not take seconds."""
    body = {"x": [f"value-{n}" for n in range(100_000)]}
    began = time.process_time()
    text = SentValues(body).cut(
        "Payload validation error: 'value-99999' on property x \\u00e4 %20 a+b &amp;..."
    )
    assert "99999" not in text
    assert time.process_time() - began < 20


@pytest.mark.parametrize(
    "unit",
    ["canary-4 ", "can... ", "...4711 ", "canary-4711x", 'a\\"b '],
    ids=["begun", "head", "tail", "glued", "escaped"],
)
def test_a_long_message_takes_no_long_time(unit: str) -> None:
    """A megabyte of anything costs no more than its beginning, at whose end no part of a value is left."""
    began = time.process_time()
    for before in range(30):
        text = SentValues({"x": "canary-4711", "y": 'a"b c'}).cut(
            "x" * before + " " + unit * (1_000_000 // len(unit))
        )
        assert len(text) < 20_000
        assert text.endswith(("...", "***"))
    assert time.process_time() - began < 20


def test_no_value_is_left_where_a_long_message_ends() -> None:
    """Wherever its end cuts through a value, and in a code too."""
    for length in range(9_980, 10_001):
        message = "-" * length + " canary-4711" + " and more" * 100
        assert "can" not in SentValues({"x": "canary-4711"}).cut(message)
    assert len(SentValues({"x": "canary-4711"}).cut_from_code("a" * 100_000)) < 20_000
