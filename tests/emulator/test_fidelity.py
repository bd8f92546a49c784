"""The fidelity page names every switch, and evidence for every rule."""

from __future__ import annotations

import re
from pathlib import Path

import attrs
import pytest

from auth0_meta.emulator import Switches

PAGE = Path(__file__).parents[2] / "docs" / "emulator-fidelity.md"

pytestmark = pytest.mark.skipif(not PAGE.is_file(), reason="the documentation is not beside the tests")


def test_every_switch_is_on_the_page() -> None:
    """Every switch has a row, and no row names a switch that does not exist."""
    rows = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row.rsplit("|", 2)[-2])}
    assert named == {field.name for field in attrs.fields(Switches)}


def test_every_rule_has_evidence() -> None:
    """A row has four columns, and the second names the kind of evidence."""
    rows = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    for row in rows:
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        assert len(cells) == 4, row
        assert cells[1] == "Evidence" or re.search("recorded|documented|reported|source|open", cells[1]), row
