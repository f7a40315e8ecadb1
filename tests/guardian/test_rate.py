"""The methods that the Guardian's speed is measured with."""

from __future__ import annotations

from batos.bench.guardian_rate import LINES, guardian_rate, methods
from batos.guardian import audit


def test_they_are_what_they_are_said_to_be():
    """The same ones every time, of 30 lines or so, readable; some keep the Covenant, some break it."""
    sources = methods(60)
    assert sources == methods(60)
    assert {abs(len(source.splitlines()) - LINES) <= 2 for source in sources} == {True}
    kinds = [{finding.kind for finding in audit(source)} for source in sources]
    assert set() in kinds
    assert {"covenant"} in kinds
    assert not any("syntax" in found for found in kinds)


def test_a_rate_is_measured():
    """The figure is methods a second."""
    assert guardian_rate(count=5, rounds=1) > 0
