"""Leave out the modules whose packages have their own tox environment, except in that environment."""

from __future__ import annotations

from support.requirements import ENVIRONMENT

_OWN_ENVIRONMENT = {
    "test_python_logins.py": "logins",
    "test_schemathesis.py": "openapi",
    "test_sdk4.py": "sdk4",
}
collect_ignore = [name for name, environment in _OWN_ENVIRONMENT.items() if environment != ENVIRONMENT]
