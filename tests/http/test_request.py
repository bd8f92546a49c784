"""The path of a user: the id, percent-encoded once."""

from __future__ import annotations

from urllib.parse import quote, unquote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from auth0_meta.errors import MetadataError
from auth0_meta.http.request import user_path


@given(st.text(min_size=1))
@example("auth0|507f1f77bcf86cd799439020")
@example("oauth2|siwe|eip155%3A5")
@example("a b")
@example("a\u00a0b")
@example("..")
@example("\ud800")
def test_an_id_is_encoded_whole_or_refused(user_id: str) -> None:
    """Refused are white space, what can't be printed, and the names of folders."""
    refused = user_id in (".", "..") or any(c.isspace() or not c.isprintable() for c in user_id)
    if refused:
        with pytest.raises(MetadataError, match="nothing was sent"):
            user_path(user_id)
        return
    prefix, _, encoded = user_path(user_id).rpartition("/")
    assert (prefix, encoded, unquote(encoded)) == ("/api/v2/users", quote(user_id, safe=""), user_id)
