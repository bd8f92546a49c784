"""Where a browser may be sent after a login or a logout."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth0_meta.actions.web import ReturnUrls
from auth0_meta.errors import ConfigError, InputError


@pytest.mark.parametrize(
    "url",
    [
        None,
        "",
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example/",
        "\\\\evil.example",
        "/\t/evil.example/",
        "javascript:alert(1)",
        "https://app.example.com/welcome?and=more",
        "https://app.example.com/welcome/../x",
        "orders",
    ],
)
def test_a_foreign_url_becomes_home(url: str | None) -> None:
    """Only paths of the same site, and URLs exactly as listed, are allowed."""
    assert ReturnUrls("https://app.example.com/welcome", home="/home").pick(url) == "/home"


@given(st.text())
def test_a_return_url_never_leaves_the_site(text: str) -> None:
    """For any text, the result is a path of the same site."""
    picked = ReturnUrls().pick(text)
    assert picked.startswith("/")
    assert not picked.startswith(("//", "/\\"))
    assert not any(c.isspace() or not c.isprintable() for c in picked)


def test_listed_urls_are_absolute_and_home_is_allowed() -> None:
    """A list that can't work is refused when it is created; a logout leads only to a listed URL."""
    urls = ReturnUrls("https://app.example.com/", home="https://app.example.com/")
    assert urls.pick("/x") == "/x"
    assert 7 not in urls
    for listed, home in (
        ("/path", "/"),
        ("app.example.com", "/"),
        ("https://a.example/", "https://b.example/"),
    ):
        with pytest.raises(ConfigError):
            ReturnUrls(listed, home=home)
    with pytest.raises(InputError):
        urls.logout("t.auth0.com", client_id="c", return_to="/")
