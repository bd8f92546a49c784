from __future__ import annotations

from typing import get_args

from auth0_meta.checks.kinds import KINDS, KindName, Severity


def test_the_table_has_every_kind_and_words_for_it() -> None:
    """Each kind is found by its name, has a sentence and a next step, and the worst come first."""
    assert set(KINDS) == set(get_args(KindName))
    for name, kind in KINDS.items():
        assert kind.name == name
        assert kind.title
        assert kind.meaning.endswith(".")
        assert kind.advice
    severities = [get_args(Severity).index(kind.severity) for kind in KINDS.values()]
    assert severities == sorted(severities)
