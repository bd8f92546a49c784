from __future__ import annotations

from auth0_meta import __version__

project = "auth0_meta"
author = "auth0_meta contributors"
copyright = "2026, auth0_meta contributors"
release = version = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc"]
autodoc_member_order = "bysource"
autodoc_typehints = "description"
add_module_names = False
default_role = "code"
nitpick_ignore_regex = [
    ("py:.*", ".*")
]  # the reference names types of other libraries and of modules that it does not list
myst_heading_anchors = 3
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"auth0_meta {__version__}"
