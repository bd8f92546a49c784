"""The environment variables and the code with which each SDK calls a local tenant.

Every recipe was tested with its tool: this package, curl, auth0-python 4.13 and 6.8, npm auth0 4.37 and 7.1,
express-openid-connect 3.4.
"""

from __future__ import annotations

import os
import secrets
import shlex
from collections.abc import Mapping
from typing import Any

from auth0_meta.redact import printable

TOOLS = ("python", "auth0-python", "node", "express", "nextjs", "curl")
# Which tools read which of these variables; their files contain what the tools have trusted so far, too.
_FOR_PYTHON = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_FOR_NODE = ("NODE_EXTRA_CA_CERTS",)
_NODE_TOOLS = ("node", "express", "nextjs")
# Where the frameworks' own examples have the application; what the environment says already is kept.
_APPLICATION_URL = "http://localhost:3000"
# The code that goes with the variables, by tool and whether the tenant has TLS; the entry without TLS is the default.
_HINTS = {
    ("python", False): """\
from auth0_meta import ManagementClient
client = ManagementClient.from_env()
""",
    ("auth0-python", False): """\
from auth0.management.client import Auth0      # auth0-python 5.1 or newer; ManagementClient requires https (--tls)
management = Auth0(base_url=os.environ["AUTH0_URL"] + "/api/v2", token=os.environ["AUTH0_API_TOKEN"])

from auth0.management import Users             # auth0-python 4
users = Users(os.environ["AUTH0_URL"].partition("//")[2], os.environ["AUTH0_API_TOKEN"], protocol="http")
""",
    ("auth0-python", True): """\
from auth0.management import ManagementClient  # auth0-python 5.1 or newer
management = ManagementClient(domain=os.environ["AUTH0_DOMAIN"],
    client_id=os.environ["AUTH0_CLIENT_ID"], client_secret=os.environ["AUTH0_CLIENT_SECRET"])
""",
    ("node", False): """\
const { ManagementClient } = require("auth0");  // 7 or newer; `fetch` is used for tokens too
const { AUTH0_URL, AUTH0_CLIENT_ID: clientId, AUTH0_CLIENT_SECRET: clientSecret } = process.env;
const domain = new URL(AUTH0_URL).host;
const local = (url, options) => fetch(url.replace("https:", "http:"), options);
const management = new ManagementClient({ domain, clientId, clientSecret, fetch: local });
""",
    ("node", True): """\
const { ManagementClient } = require("auth0");  // 4 or newer; node reads NODE_EXTRA_CA_CERTS when it starts
const management = new ManagementClient({ domain: process.env.AUTH0_DOMAIN,
  clientId: process.env.AUTH0_CLIENT_ID, clientSecret: process.env.AUTH0_CLIENT_SECRET });
""",
    ("express", False): """\
const { auth } = require("express-openid-connect");  // also needs SECRET, which is your application's own
app.use(auth({ authRequired: false, auth0Logout: true }));

const { auth } = require("express-oauth2-jwt-bearer");  // must have no SECRET
app.use(auth({ audience: "https://api.example.com" }));
""",
    ("nextjs", False): """\
@auth0/nextjs-auth0 3 reads AUTH0_ISSUER_BASE_URL and AUTH0_BASE_URL; 4 reads AUTH0_DOMAIN and APP_BASE_URL.
4 accepts neither a port nor localhost: serve --port 443 --tls --public-url https://tenant.test, and have the line
127.0.0.1 tenant.test in /etc/hosts.
""",
    ("curl", False): """\
curl -H "Authorization: Bearer $AUTH0_API_TOKEN" "$AUTH0_URL/api/v2/users"
curl "$AUTH0_URL/oauth/token" -d grant_type=client_credentials -d "client_id=$AUTH0_CLIENT_ID" \\
  -d "client_secret=$AUTH0_CLIENT_SECRET" --data-urlencode "audience=$AUTH0_URL/api/v2/"
""",
}


def exports(
    tool: str, facts: Mapping[str, Any], environment: Mapping[str, str] = os.environ
) -> dict[str, str]:
    """Return the environment that points `tool` at a tenant; `facts` are those of `process.running.facts_of`.

    The application's own address and secret are left out if `environment` has them.

    >>> facts = {"url": "http://127.0.0.1:8810", "client_id": "a", "client_secret": "b", "token": "t"}
    >>> exports("python", facts)["AUTH0_DOMAIN"], exports("python", facts | {"url": "https://localhost:1"})["AUTH0_DOMAIN"]
    ('http://127.0.0.1:8810', 'localhost:1')
    """
    url = facts["url"]
    secure = url.startswith("https:")
    variables = {
        # With https every tool expects the bare host.  Plain http needs a URL, which only this package accepts.
        "AUTH0_DOMAIN": url.partition("://")[2] if secure else url,
        "AUTH0_CLIENT_ID": facts["client_id"],
        "AUTH0_CLIENT_SECRET": facts["client_secret"],
        "AUTH0_URL": url,  # with its scheme, for login libraries and for curl
    }
    if tool in ("auth0-python", "curl"):
        variables["AUTH0_API_TOKEN"] = facts["token"]
    own: dict[str, str] = {}
    if tool == "express":  # its names have no prefix
        variables = {"CLIENT_ID": facts["client_id"], "CLIENT_SECRET": facts["client_secret"]}
        variables["ISSUER_BASE_URL"] = url
        own = {"BASE_URL": _APPLICATION_URL}
    elif tool == "nextjs":
        variables["AUTH0_ISSUER_BASE_URL"] = url
        own = dict.fromkeys(("APP_BASE_URL", "AUTH0_BASE_URL"), _APPLICATION_URL)
        own["AUTH0_SECRET"] = secrets.token_hex(32)
    variables |= {name: value for name, value in own.items() if not environment.get(name)}
    if "ca_file" in facts:
        names = _FOR_NODE if tool in _NODE_TOOLS else _FOR_PYTHON
        variables |= {name: facts[name] for name in names}
    return variables


def all_exports(facts: Mapping[str, Any]) -> dict[str, str]:
    """Return an environment that works for this package and every other tool, for a program that may use any."""
    # Names of frameworks only where they can mean nothing else: CLIENT_ID or SECRET may be anybody's.
    issuer = dict.fromkeys(("AUTH0_ISSUER_BASE_URL", "ISSUER_BASE_URL"), facts["url"])
    return exports("node", facts) | exports("python", facts) | issuer


def export_lines(tool: str, facts: Mapping[str, Any]) -> list[str]:
    """Return the lines that export the environment, with every value quoted for the shell."""
    return [f"export {name}={shlex.quote(value)}" for name, value in exports(tool, facts).items()]


def script(tool: str, facts: Mapping[str, Any]) -> str:
    """Return a shell script that exports the environment, with the code to use in comments.

    >>> facts = {"url": "http://127.0.0.1:8810", "client_id": "a", "client_secret": "b c"}
    >>> script("python", facts).splitlines()[2]
    "export AUTH0_CLIENT_SECRET='b c'"
    """
    lines = export_lines(tool, facts)
    if "ca_file" in facts:
        # A line break would end the comment, and the shell would run what follows.
        lines += ["", f"# The certificate authority: {printable(facts['ca_file'])}"]
    hint = _HINTS.get((tool, facts["url"].startswith("https:"))) or _HINTS[tool, False]
    lines += ["", *(f"# {line}".rstrip() for line in hint.splitlines())]
    return "\n".join(lines) + "\n"
