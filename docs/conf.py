from __future__ import annotations

from auth0_meta import __version__

project = "auth0_meta"
author = "auth0_meta contributors"
copyright = "2026, auth0_meta contributors"
release = version = __version__

extensions = ["myst_parser"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"auth0_meta {__version__}"
