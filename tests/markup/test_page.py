"""Pages: complete without anything else, and what others wrote is only text."""

from __future__ import annotations

from html import unescape

from hypothesis import given
from hypothesis import strategies as st

from auth0_meta.markup.page import cell, head, page, table, text
from auth0_meta.redact import printable


@given(st.text())
def test_text_is_only_text(value: str) -> None:
    """It comes back as it was, but for what a terminal or a browser would obey."""
    assert unescape(text(value)) == printable(value)
    assert not set("<>\"'") & set(text(value))


def test_a_page_runs_and_loads_nothing() -> None:
    """Its policy says so, before anything else."""
    whole = page("<b>", ["<p>one</p>", "", "<p>two</p>"], style=".x { color: red }")
    assert whole.index(
        "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
    ) < whole.index("<title>")
    assert "<title>&lt;b&gt;</title>" in whole
    assert "<main>\n<p>one</p>\n<p>two</p>\n</main>" in whole
    assert not any(word in whole for word in ("<script", "src=", "url(", "@import", "http://", "https://"))


def test_a_table_has_headers() -> None:
    """Numbers stand on the right, with their header; a table without rows is left out."""
    rows = [(head("<a>"), cell(12_000), cell("x"))]
    assert table(("Key", "Users", "Note"), rows, numbers=("Users",), label="Keys", css="c") == (
        '<table class="c" aria-label="Keys"><thead><tr><th scope="col">Key</th><th scope="col" class="n">Users</th>'
        '<th scope="col">Note</th></tr></thead><tbody><tr><th scope="row">&lt;a&gt;</th><td class="n">12,000</td>'
        "<td>x</td></tr></tbody></table>"
    )
    assert table(("Key",), []) == ""
    assert "<thead>" not in table((), [(cell(True),)])
