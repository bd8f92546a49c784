"""Tokens, scopes and the token endpoint behave as recorded and documented."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from jose import jwt

from auth0_meta.emulator import LocalTenant
from auth0_meta.errors import ConfigError, InputError
from auth0_meta.testing import FakeClock

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
DENIED = {"error": "access_denied", "error_description": "Unauthorized"}


def credentials(tenant: LocalTenant, **changes: str | None) -> dict[str, str]:
    """Return a valid token request, with changes; None removes a parameter."""
    form: dict[str, str | None] = {
        "grant_type": "client_credentials",
        "client_id": tenant.client_id,
        "client_secret": tenant.client_secret,
        "audience": f"{tenant.url}/api/v2/",
    }
    return {name: value for name, value in (form | changes).items() if value is not None}


@pytest.fixture
def strict(talk: Any, clock: FakeClock) -> Any:
    """Return an API caller for a strict tenant, with a valid token."""
    api = talk(LocalTenant(serve=False, clock=clock, strict=True))
    api.token = api.tenant.token()
    return api


@pytest.mark.parametrize("kind", ["data", "json"])
def test_a_token_looks_like_auth0s(api: Any, kind: str) -> None:
    """Form and JSON both get an RS256 token with Auth0's claims, which the published keys verify."""
    tenant = api.tenant
    response = api("POST", "/oauth/token", **{kind: credentials(tenant)})
    body = response.json()
    assert response.status_code == 200
    assert list(body) == ["access_token", "scope", "expires_in", "token_type"]
    assert (body["expires_in"], body["token_type"]) == (86_400, "Bearer")
    keys = api("GET", "/.well-known/jwks.json").json()["keys"]
    header = jwt.get_unverified_header(body["access_token"])
    assert len(keys) == 2
    assert all({"kty", "use", "kid", "n", "e", "x5t", "x5c"} <= set(key) for key in keys)
    assert header["alg"] == "RS256"
    assert header["kid"] == keys[0]["kid"] != keys[1]["kid"]
    assert header["kid"].startswith("local-")
    claims = jwt.decode(
        body["access_token"], {"keys": keys[:1]}, algorithms=["RS256"], audience=f"{tenant.url}/api/v2/"
    )
    assert claims["iss"] == f"{tenant.url}/"
    assert (claims["sub"], claims["azp"]) == (f"{tenant.client_id}@clients", tenant.client_id)
    assert claims["exp"] - claims["iat"] == 86_400
    assert (claims["gty"], claims["scope"]) == ("client-credentials", body["scope"])
    assert "update:users" in body["scope"].split()


def test_by_default_any_credentials_are_accepted(api: Any) -> None:
    """Any client gets all scopes for any audience that ends in /api/v2/, and no secret is kept."""
    form = credentials(
        api.tenant, client_id="mine", client_secret="wrong-1", audience="https://x.eu.auth0.com/api/v2/"
    )
    body = api("POST", "/oauth/token", data=form).json()
    api.token = body["access_token"]
    assert api.list().status_code == 200
    assert api.tenant.journal[0].body["client_secret"] == "<masked>"
    assert "wrong-1" not in repr(list(api.tenant.journal))


@pytest.mark.parametrize(
    ("changes", "status", "error"),
    [
        ({"audience": None}, 403, "access_denied"),
        ({"grant_type": None}, 400, "invalid_request"),
        ({"grant_type": "password"}, 403, "invalid_grant"),
        ({"client_secret": None}, 401, "access_denied"),
        ({"client_id": None}, 401, "access_denied"),
    ],
)
def test_a_bad_token_request_is_refused(
    api: Any, changes: dict[str, str | None], status: int, error: str
) -> None:
    """Each failure has the Authentication API's error body and its documented text."""
    response = api("POST", "/oauth/token", data=credentials(api.tenant, **changes))
    assert (response.status_code, response.json()["error"]) == (status, error)
    assert "statusCode" not in response.json()


def test_the_management_api_refuses_a_token_for_another_api(api: Any) -> None:
    """By default any audience gets a token, as recorded, but it has no scopes and is valid for that API only."""
    response = api("POST", "/oauth/token", data=credentials(api.tenant, audience="https://example.com/"))
    assert (response.status_code, sorted(response.json())) == (
        200,
        ["access_token", "expires_in", "token_type"],
    )
    api.token = response.json()["access_token"]
    refused = api.list()
    assert (refused.status_code, refused.json()["message"]) == (401, "Bad audience: https://example.com/")


def test_the_issuer_follows_the_host(talk: Any) -> None:
    """As with custom domains, `iss` is the host name of the request, port included."""
    tenant = LocalTenant(serve=False, hosts=["login.example.test"])
    api = talk(tenant)
    for host, issuer in (
        ("login.example.test", "http://login.example.test/"),
        ("login.example.test:99", "http://login.example.test:99/"),
        ("localhost:99", "http://localhost:99/"),
        ("LOCALHOST:99", "http://localhost:99/"),
        ("127.0.0.1:1", "http://127.0.0.1:1/"),
        ("[::1]:1", "http://[::1]:1/"),
    ):
        response = api("POST", "/oauth/token", data=credentials(tenant), headers={"Host": host})
        claims = jwt.get_unverified_claims(response.json()["access_token"])
        assert (claims["iss"], claims["aud"]) == (issuer, f"{tenant.url}/api/v2/")
        found = api("GET", "/.well-known/openid-configuration", headers={"Host": host}).json()
        assert found["issuer"] == issuer


def test_a_public_url_is_the_only_one(talk: Any) -> None:
    """URL, issuer, audience and links agree, whatever name a request used; its name is served too."""
    tenant = LocalTenant(
        serve=False, strict=True, hosts=["auth0"], public_url="https://Login.example.test:9000/"
    )
    assert (tenant.url, tenant.domain) == ("https://login.example.test:9000", "login.example.test:9000")
    assert tenant.env["AUTH0_DOMAIN"] == tenant.domain
    api = talk(tenant, token=tenant.token())
    user = tenant.users.add(email="ada@example.com")
    for host in ("auth0:8810", "localhost:8810", "login.example.test:9000", "login.example.test"):
        headers = {"Host": host}
        found = api("GET", "/.well-known/openid-configuration", headers=headers).json()
        assert found["issuer"] == f"{tenant.url}/"
        assert found["token_endpoint"] == f"{tenant.url}/oauth/token"
        response = api("POST", "/oauth/token", data=credentials(tenant), headers=headers)
        claims = jwt.get_unverified_claims(response.json()["access_token"])
        assert (claims["iss"], claims["aud"]) == (f"{tenant.url}/", f"{tenant.url}/api/v2/")
        link = api("POST", "/api/v2/tickets/password-change", json={"user_id": user.user_id}, headers=headers)
        assert link.json()["ticket"].startswith(f"{tenant.url}/u/")
    with tenant.client() as client:
        assert client.users.get(user.user_id).email == "ada@example.com"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:9000",
        "ftp://a",
        "http://a/b",
        "http://u@a",
        "http://a?b",
        "http://a#b",
        "http://a:x",
        "http://a:65536",
        "http://a:0",
        "http://a b",
    ],
)
def test_a_public_url_has_a_scheme_a_name_and_maybe_a_port(url: str) -> None:
    """Anything else is refused, and so is a name of Auth0's."""
    with pytest.raises(ConfigError, match="public_url"):
        LocalTenant(serve=False, public_url=url)
    with pytest.raises(ConfigError, match=r"auth0\.com"):
        LocalTenant(serve=False, public_url="https://tenant.eu.auth0.com")


@pytest.mark.parametrize(
    "audience", ["http://127.0.0.1:7", "https://localhost", "http://auth0:8810", "http://[::1]:7"]
)
def test_a_strict_tenant_has_an_audience_for_each_of_its_names(talk: Any, audience: str) -> None:
    """By https and by http; another host's is refused."""
    tenant = LocalTenant(serve=False, strict=True, hosts=["auth0"])
    api = talk(tenant)
    for base, status in (
        (audience, 200),
        ("http://127.0.0.1.example.com", 403),
        ("http://auth0.example", 403),
    ):
        form = credentials(tenant, audience=f"{base}/api/v2/")
        assert api("POST", "/oauth/token", data=form).status_code == status


@pytest.mark.parametrize("body", ["{", "[]", "[" * 100_000])
def test_a_json_token_request_must_be_an_object(api: Any, body: str) -> None:
    """Anything but a JSON object is an invalid request."""
    response = api("POST", "/oauth/token", data=body, headers={"Content-Type": "application/json"})
    assert (response.status_code, response.json()["error"]) == (400, "invalid_request")


def test_the_scopes_of_a_token_are_those_of_its_client(api: Any) -> None:
    """They decide what its requests may do."""
    api.tenant.add_client("mine", client_secret="s", scopes=["read:users"])
    form = credentials(api.tenant, client_id="mine", client_secret="s")
    api.token = api("POST", "/oauth/token", data=form).json()["access_token"]
    assert api.list().status_code == 200
    assert api.patch("auth0|1", {}).status_code == 403


def test_a_registered_client_is_always_checked(api: Any) -> None:
    """After add_client, secret and scopes count even if the tenant is not strict."""
    api.tenant.add_client("mine", client_secret="right", scopes=["read:users"])
    wrong = api("POST", "/oauth/token", data=credentials(api.tenant, client_id="mine", client_secret="wrong"))
    assert (wrong.status_code, wrong.json()) == (401, DENIED)
    right = api("POST", "/oauth/token", data=credentials(api.tenant, client_id="mine", client_secret="right"))
    assert right.json()["scope"] == "read:users"


def test_a_strict_tenant_knows_its_clients_and_its_audience(strict: Any) -> None:
    """It refuses unknown clients, wrong secrets and other audiences; in an audience https and http are the same."""
    tenant = strict.tenant
    for changes in ({"client_id": "other"}, {"client_secret": "wrong"}):
        response = strict("POST", "/oauth/token", data=credentials(tenant, **changes))
        assert (response.status_code, response.json()) == (401, DENIED)
    foreign = strict(
        "POST", "/oauth/token", data=credentials(tenant, audience="https://x.eu.auth0.com/api/v2/")
    )
    assert foreign.status_code == 403
    assert foreign.json()["error_description"].startswith("Service not enabled within domain: https://x.eu")
    https = credentials(tenant, audience=f"https://{tenant.domain}/api/v2/")
    strict.token = strict("POST", "/oauth/token", data=https).json()["access_token"]
    assert strict.list().status_code == 200
    assert (
        strict.create(connection="nowhere", email="a@example.com").json()["errorCode"]
        == "inexistent_connection"
    )


@pytest.mark.parametrize("header", ["Bearer", "Bearer ", "Basic abc", "Bearer a b", "token"])
def test_a_malformed_header_is_400(api: Any, header: str) -> None:
    """A header without a bearer token gets the recorded 400, with errorCode "Bearer"."""
    response = api("GET", "/api/v2/users", headers={"Authorization": header})
    assert response.status_code == 400
    assert response.json() == {
        "statusCode": 400,
        "error": "Bad Request",
        "message": "Bad HTTP authentication header format",
        "errorCode": "Bearer",
    }


def test_a_missing_header_is_401(api: Any) -> None:
    """The response has WWW-Authenticate and no errorCode."""
    api.token = None
    response = api.list()
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == "Bearer"
    assert response.json() == {
        "statusCode": 401,
        "error": "Unauthorized",
        "message": "Missing authentication",
    }


def test_a_strict_tenant_accepts_only_its_own_tokens(strict: Any) -> None:
    """Opaque tokens get a 400, tampered tokens and those of another tenant a 401."""
    assert strict.list().status_code == 200
    own = strict.token
    head, body, signature = own.split(".")
    expected = {
        "opaque": (400, "Bad HTTP authentication header format"),
        LocalTenant(serve=False).token(): (401, "Invalid token"),
        "a.b.c": (401, "Invalid token"),
        f"{head}.{body}.{signature[:-8]}AAAAAAAA": (
            401,
            "Invalid signature received for JSON Web Token validation",
        ),
        strict.tenant.token(audience="https://example.com/"): (401, "Bad audience: https://example.com/"),
    }
    for token, response in expected.items():
        strict.token = token
        refused = strict.list()
        assert (refused.status_code, refused.json()["message"]) == response


def test_a_tenants_tokens_stay_valid_after_a_reset(strict: Any) -> None:
    """reset() clears users and revocations, but keeps the tenant's keys."""
    strict.tenant.revoke(strict.token)
    assert strict.list().status_code == 401
    strict.tenant.reset()
    assert strict.list().status_code == 200


@pytest.mark.parametrize("strictly", [False, True])
def test_tokens_expire_by_the_tenants_clock(talk: Any, clock: FakeClock, strictly: bool) -> None:
    """A token is valid until its last second, and gets the recorded 401 from then on."""
    api = talk(LocalTenant(serve=False, clock=clock, strict=strictly))
    api.token = api.tenant.token(expires_in=60)
    clock.advance(59.9)
    assert api.list().status_code == 200
    clock.advance(0.1)
    message = "Expired token received for JSON Web Token validation"
    assert api.list().json() == {
        "statusCode": 401,
        "error": "Unauthorized",
        "message": message,
        "attributes": {"error": message},
    }


def test_tokens_can_be_revoked_and_expired(api: Any) -> None:
    """revoke ends one token, expire_tokens all that exist; later tokens are valid."""
    one, other = api.tenant.token(), api.tenant.token()
    assert one != other
    api.tenant.revoke(one)
    api.token = one
    assert api.list().json()["message"] == "Invalid token"
    api.token = other
    assert api.list().status_code == 200
    api.tenant.expire_tokens()
    assert "Expired" in api.list().json()["message"]
    api.token = api.tenant.token()
    assert api.list().status_code == 200


READ = "read:users,read:current_user,read:user_idp_tokens"
UPDATE = "update:users,update:users_app_metadata,update:current_user_metadata"


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/api/v2/users/auth0%7C1", READ),
        ("PATCH", "/api/v2/users/auth0%7C1", UPDATE),
        ("DELETE", "/api/v2/users/auth0%7C1", "delete:users"),
        ("POST", "/api/v2/users", "create:users"),
        ("GET", "/api/v2/users", "read:users,read:user_idp_tokens"),
        ("GET", "/api/v2/users-by-email", "read:users"),
    ],
)
def test_a_403_names_the_missing_scopes(api: Any, method: str, path: str, expected: str) -> None:
    """A token without a suitable scope gets the 403 before the body is checked."""
    api.token = api.tenant.token(scopes=["read:clients"])
    response = api(method, path)
    assert response.status_code == 403
    assert response.json() == {
        "statusCode": 403,
        "error": "Forbidden",
        "message": f"Insufficient scope, expected any of: {expected}",
        "errorCode": "insufficient_scope",
    }


@pytest.mark.parametrize(
    ("scopes", "subject", "body", "code"),
    [
        (["update:users"], None, {"user_metadata": {"a": 1}, "app_metadata": {"a": 1}}, None),
        (["update:users_app_metadata"], None, {"app_metadata": {"a": 1}}, None),
        (
            ["update:users_app_metadata"],
            None,
            {"app_metadata": {"a": 1}, "blocked": True},
            "insufficient_scope",
        ),
        (["update:current_user_metadata"], "auth0|1", {"user_metadata": {"a": 1}}, None),
        (["update:current_user_metadata"], "auth0|1", {"app_metadata": {"a": 1}}, "insufficient_scope"),
        (["update:current_user_metadata"], "auth0|2", {"user_metadata": {"a": 1}}, "unowned_resource"),
    ],
)
def test_narrow_scopes_allow_narrow_writes(
    api: Any, scopes: list[str], subject: str | None, body: dict[str, Any], code: str | None
) -> None:
    """update:users_app_metadata writes app_metadata only; update:current_user_metadata only the user_metadata of the token's own user."""
    user = api.tenant.users.add(user_id="auth0|1")
    api.token = api.tenant.token(scopes=scopes, subject=subject)
    response = api.patch("auth0|1", body)
    assert response.status_code == (200 if code is None else 403)
    assert response.json().get("errorCode") == code
    assert ("app_metadata" in user or "user_metadata" in user) is (code is None)


@pytest.fixture(scope="module")
def pem() -> tuple[str, str]:
    """Create a client's key pair."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return private.decode(), public.decode()


def assertion(
    tenant: LocalTenant, pem: tuple[str, str], algorithm: str = "RS256", **changes: Any
) -> dict[str, str]:
    """Return a token request with a signed assertion."""
    claims = {
        "iss": "mine",
        "sub": "mine",
        "aud": f"{tenant.url}/",
        "exp": int(tenant.now()) + 60,
        "jti": "1",
    } | changes
    text = jwt.encode({k: v for k, v in claims.items() if v is not None}, pem[0], algorithm=algorithm)
    changed = {"client_assertion": text, "client_assertion_type": ASSERTION_TYPE}
    return credentials(tenant, client_id="mine", client_secret=None, **changed)


@pytest.mark.parametrize("strictly", [False, True])
@pytest.mark.parametrize("algorithm", ["RS256", "RS384"])
def test_an_assertion_gets_a_token(talk: Any, pem: tuple[str, str], algorithm: str, strictly: bool) -> None:
    """private_key_jwt works like a secret, once per jti."""
    tenant = LocalTenant(serve=False, strict=strictly)
    api = talk(tenant)
    tenant.add_client("mine", public_key=pem[1])
    form = assertion(tenant, pem, algorithm)
    body = api("POST", "/oauth/token", data=form).json()
    assert jwt.get_unverified_claims(body["access_token"])["azp"] == "mine"
    again = api("POST", "/oauth/token", data=form)
    assert (again.status_code, again.json()) == (401, DENIED)


def test_a_strict_tenant_refuses_an_assertion_of_an_unknown_client(talk: Any, pem: tuple[str, str]) -> None:
    """By default, an unregistered client's assertion is accepted unverified."""
    for strictly, status in ((False, 200), (True, 401)):
        tenant = LocalTenant(serve=False, strict=strictly)
        assert talk(tenant)("POST", "/oauth/token", data=assertion(tenant, pem)).status_code == status


@pytest.mark.parametrize(
    "changes",
    [
        *({"exp": -1}, {"exp": None}, {"exp": 10**10}, {"iss": "other"}, {"sub": None}, {"jti": None}),
        *({"aud": ["a"]}, {"aud": "https://example.com/"}, {"pad": "x" * 2048}, {"iss": "you", "sub": "you"}),
    ],
)
def test_a_bad_assertion_is_refused(talk: Any, pem: tuple[str, str], changes: dict[str, Any]) -> None:
    """Assertions that are expired, valid too long, too large, or without the right issuer or audience get a 401."""
    tenant = LocalTenant(serve=False, strict=True)
    tenant.add_client("mine", public_key=pem[1])
    tenant.add_client("you", public_key=pem[1])
    response = talk(tenant)("POST", "/oauth/token", data=assertion(tenant, pem, **changes))
    assert (response.status_code, response.json()) == (401, DENIED)


def test_an_assertion_must_be_signed_by_the_registered_key(talk: Any, pem: tuple[str, str]) -> None:
    """Another key, no key, HS256, another assertion type and garbage are all refused."""
    tenant = LocalTenant(serve=False)
    api = talk(tenant)
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key()
    encoded = other.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    ).decode()
    for key in (encoded, None, "no key"):
        tenant.add_client("mine", public_key=key)
        assert api("POST", "/oauth/token", data=assertion(tenant, pem)).status_code == 401
    tenant.add_client("mine", public_key=pem[1])
    good = assertion(tenant, pem)
    for changes in (
        {
            "client_assertion": jwt.encode(
                jwt.get_unverified_claims(good["client_assertion"]), "secret", "HS256"
            )
        },
        {"client_assertion": "garbage"},
        {"client_assertion_type": "other"},
        {"client_id": "you"},
    ):
        assert api("POST", "/oauth/token", data=good | changes).status_code == 401
    assert api("POST", "/oauth/token", data=good).status_code == 200


def test_a_current_user_scope_reads_only_the_tokens_own_user(talk: Any) -> None:
    """Any wider scope reads every user."""
    tenant = LocalTenant(serve=False, strict=True)
    for number in (1, 2):
        tenant.users.add(user_id=f"auth0|{number}")
    api = talk(tenant, token=tenant.token(scopes=["read:current_user"], subject="auth0|1"))
    assert api.get("auth0|1").status_code == 200
    refused = api.get("auth0|2")
    assert refused.json() == {
        "statusCode": 403,
        "error": "Forbidden",
        "message": "User to be acted on does not match subject in bearer token.",
        "errorCode": "unowned_resource",
    }
    assert refused.status_code == api.get("auth0|nobody").status_code == 403
    for wider in ("read:users", "read:user_idp_tokens"):
        api.token = tenant.token(scopes=["read:current_user", wider], subject="auth0|1")
        assert api.get("auth0|2").status_code == 200


def test_a_test_makes_any_token(api: Any) -> None:
    """A user's own with scope, permissions and claims; the published keys verify it, and /userinfo takes it for openid."""
    tenant = api.tenant
    user = tenant.users.add(email="ann@example.com")
    token = tenant.token(
        user.user_id,
        audience="https://api.example.com",
        scope="openid email read:x",
        permissions=["read:x"],
        claims={"https://x/plan": "pro"},
        client_id="app",
    )
    keys = api("GET", "/.well-known/jwks.json").json()
    claims = jwt.decode(token, keys, algorithms=["RS256"], audience="https://api.example.com")
    assert (claims["sub"], claims["azp"], claims["scope"]) == (user.user_id, "app", "openid email read:x")
    assert (claims["permissions"], claims["https://x/plan"]) == (["read:x"], "pro")
    assert "gty" not in claims
    api.token = token
    assert api("GET", "/userinfo").json()["email"] == "ann@example.com"


def test_without_scopes_a_made_token_has_all_of_its_api(api: Any) -> None:
    """The Management API's, or those that an API defines; naming them twice is refused."""
    document = {"identifier": "https://api.example.com", "scopes": [{"value": "read:x"}]}
    api("POST", "/api/v2/resource-servers", json=document)
    own = jwt.get_unverified_claims(api.tenant.token(audience="https://api.example.com"))
    assert (own["scope"], own["gty"]) == ("read:x", "client-credentials")
    assert "scope" not in jwt.get_unverified_claims(api.tenant.token(audience="https://nobody.example.com"))
    assert "update:users" in jwt.get_unverified_claims(api.tenant.token())["scope"].split()
    assert jwt.get_unverified_claims(api.tenant.token(scopes=["read:users"]))["scope"] == "read:users"
    with pytest.raises(InputError, match="not both"):
        api.tenant.token(scope="read:x", scopes=["read:x"])


def test_threads_issue_different_tokens(api: Any) -> None:
    """However many are issued in the same second."""
    tenant = api.tenant
    with ThreadPoolExecutor(4) as pool:
        tokens = list(pool.map(lambda _: tenant.token(), range(20)))
    assert len(set(tokens)) == 20
