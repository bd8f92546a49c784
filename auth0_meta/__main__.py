"""Run the command line as `python -m auth0_meta`."""

from __future__ import annotations

import sys

from auth0_meta.cli import main

sys.exit(main())
