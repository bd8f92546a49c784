"""Which custom claims reach a token: the emulator's table, and the trigger's, which is another one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth0_meta.actions import claims as client
from auth0_meta.emulator.rules.claims import claims_size, custom_claims, is_auth0_api

# Auth0 docs, "Create Custom Claims".
RESTRICTED = (
    "acr act active amr at_hash ath attest aud auth_time authorization_details azp c_hash client_id cnf cty dest "
    "entitlements events exp groups gty htm htu iat internalService iss jcard jku jti jwe jwk kid may_act mky nbf nonce "
    "object_id org_id org_name orig origid permissions roles rph s_hash sid sip_callid sip_cseq_num sip_date "
    "sip_from_tag sip_via_branch sub sub_jwk toe txn typ uuid vot vtm x5t#S256"
)
PROFILE = (
    "address birthdate email email_verified family_name gender given_name locale middle_name name nickname phone_number "
    "phone_number_verified picture preferred_username profile updated_at website zoneinfo"
)
SCOPES = ("openid", "profile", "email", "address", "phone")


def is_added(name: str, *, scopes: tuple[str, ...] = SCOPES, only_namespaced: bool = False) -> bool:
    """Return whether the emulator adds a claim."""
    added, ignored = custom_claims({name: 1}, scopes=scopes, only_namespaced=only_namespaced)
    assert (name in added) != (name in ignored)
    return name in added


@pytest.mark.parametrize("name", RESTRICTED.split())
def test_a_restricted_name_is_ignored(name: str) -> None:
    """Both tables have each name of the documentation."""
    assert not is_added(name)
    assert client.left_out(name, "id_token")
    assert client.left_out(name, "access_token")


OF_AUTH0 = (
    *(
        "https://auth0.com/roles",
        "http://auth0.com",
        "https://example.auth0.com",
        "https://a.eu.auth0.com/x?y#z",
    ),
    *(
        "https://webtask.io/a",
        "https://x.webtask.run/a",
        "HTTPS://APP.AUTH0.COM/a",
        "https://auth0.com:8443/a",
    ),
    *("https://user@auth0.com/a", "https://auth0.com./a", "https://auth0.com?a", "https://auth0.com#a"),
    *("urn:auth0", "urn:auth0:roles", "URN:Auth0:roles"),
)
OF_OTHERS = (
    *("https://example.com/roles", "http://example.com/auth0.com", "https://auth0.com.example.com/a"),
    *(
        "https://notauth0.com/a",
        "https://auth0.community/a",
        "https://example.com/?https://auth0.com/",
        "https://auth0.com@example.com",
        "https://[auth0.com/a",
    ),
    *(
        "urn:auth0x:a",
        "urn:example:auth0",
        "auth0.com/a",
        "//auth0.com/a",
        "employee_id",
        "Roles",
        "x5t#s256",
        "ROLES",
    ),
)


@pytest.mark.parametrize("name", OF_AUTH0)
def test_a_namespace_of_auth0_is_ignored(name: str) -> None:
    """With any scheme, port, path and case, and below its domains."""
    assert not is_added(name)
    assert client.left_out(name, "id_token")


@pytest.mark.parametrize("name", OF_OTHERS)
def test_any_other_name_is_added(name: str) -> None:
    """A domain that only contains Auth0's, and a private name."""
    assert is_added(name)
    assert client.left_out(name, "id_token") is None


@pytest.mark.parametrize("name", PROFILE.split())
def test_a_claim_of_the_profile_needs_its_scope(name: str) -> None:
    """Without the scope it is ignored, in both tokens; other claims need none."""
    assert is_added(name)
    assert not is_added(name, scopes=("openid",))
    for kind in client.CALLED:
        assert client.left_out(name, kind, scopes=SCOPES) is None
        assert client.left_out(name, kind) is None
        assert "scope" in (client.left_out(name, kind, scopes=["openid"]) or "")


API = "https://tenant.eu.auth0.com/api/v2/"
OWN = "http://127.0.0.1:8810"
HOSTS = ("127.0.0.1",)


@pytest.mark.parametrize(
    "audience",
    [
        API,
        API[:-1],
        "https://tenant.auth0.com/api",
        "https://tenant.auth0app.com/mfa",
        "HTTPS://Tenant.Auth0.com/mfa/",
    ],
)
def test_an_access_token_for_an_api_of_auth0_takes_namespaces_only(audience: str) -> None:
    """A private name is ignored there; an ID token has no such rule, and /userinfo is not among those APIs."""
    assert is_auth0_api(audience.replace("HTTPS", "https"), hosts=HOSTS)
    assert not is_added("employee_id", only_namespaced=True)
    assert not is_added("urn:example:a", only_namespaced=True)
    assert is_added("https://example.com/a", only_namespaced=True)
    for name in ("employee_id", "urn:example:a"):
        assert client.left_out(name, "access_token", audience=audience)
        assert client.left_out(name, "id_token", audience=audience) is None
    assert client.left_out("https://example.com/a", "access_token", audience=audience) is None


@pytest.mark.parametrize(
    "audience",
    [
        *(
            "",
            "https://tenant.auth0.com/userinfo",
            "https://api.example.com/api/v2/",
            "urn:api",
            "api",
            "/api/v2",
        ),
        *(
            "https://auth0.com.example.com/api",
            "https://tenant.auth0.com/api/v3",
            "ftp://tenant.auth0.com/api",
        ),
    ],
)
def test_another_api_takes_any_name(audience: str) -> None:
    """Such as your own, with a path that looks like Auth0's."""
    assert not is_auth0_api(audience, hosts=HOSTS)
    assert client.left_out("employee_id", "access_token", audience=audience) is None


def test_the_apis_of_this_tenant_are_auth0s() -> None:
    """They have its own URL."""
    assert is_auth0_api(f"{OWN}/api/v2/", hosts=HOSTS)
    assert is_auth0_api(f"{OWN}/mfa", hosts=HOSTS)
    assert not is_auth0_api(f"{OWN}/userinfo", hosts=HOSTS)


NAMES = st.one_of(
    st.sampled_from([*RESTRICTED.split(), *PROFILE.split(), *OF_AUTH0, *OF_OTHERS]),
    st.text(),
    st.builds(
        "{}{}{}{}".format,
        st.sampled_from(["https://", "http://", "HTTP://", "urn:", "ftp://", "//", ""]),
        st.sampled_from(["", "a.", "x-y.z.", "user:pw@"]),
        st.sampled_from(
            ["auth0.com", "webtask.io", "webtask.run", "example.com", "auth0", "Auth0.COM", "xauth0.com"]
        ),
        st.sampled_from(["", "/", "/roles", ":443/a", ":a", "?a=b", "#c", ".", ".org/a"]),
    ),
)


@given(name=NAMES, scopes=st.sets(st.sampled_from(SCOPES)), only_namespaced=st.booleans())
def test_the_two_tables_agree(name: str, scopes: set[str], only_namespaced: bool) -> None:
    """The trigger leaves out what the local tenant would."""
    if name == "scope":
        return  # the trigger raises
    audience, kind = (API, "access_token") if only_namespaced else (None, "id_token")
    left_out = client.left_out(name, kind, audience=audience, scopes=scopes)  # type: ignore[arg-type]
    assert is_added(name, scopes=tuple(scopes), only_namespaced=only_namespaced) == (left_out is None)


@given(st.dictionaries(st.text(), st.none() | st.text() | st.integers() | st.lists(st.text())))
def test_both_measure_claims_alike(claims: dict[str, object]) -> None:
    """The size of the names counts too."""
    assert claims_size(claims) == client.size(claims)
