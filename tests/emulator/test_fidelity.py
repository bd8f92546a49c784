"""Hold the page on fidelity to the switches and routes that exist."""

from __future__ import annotations

import re
from pathlib import Path

import attrs
import pytest

from auth0_meta.emulator import Switches

PAGE = Path(__file__).parents[2] / "docs" / "emulator-fidelity.md"

pytestmark = pytest.mark.skipif(not PAGE.is_file(), reason="the documentation is not beside the tests")


def test_every_switch_is_on_the_page() -> None:
    """No open question without its row, and no row for a switch that is gone."""
    rows = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row.rsplit("|", 2)[-2])}
    assert named == {field.name for field in attrs.fields(Switches)}


def test_every_rule_says_what_it_rests_on() -> None:
    """Four columns, the second naming its kind of evidence."""
    rows = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    for row in rows:
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        assert len(cells) == 4, row
        assert cells[1] == "Evidence" or re.search("recorded|documented|reported|source|open", cells[1]), row
