"""Shapes of code that once passed and should not have, run beside the Guardian."""

from __future__ import annotations

import re

import pytest

from batos.guardian import mend
from batos.guardian.auditing import covenant_findings
from tests.guardian import generated, given_shapes, more_shapes
from tests.guardian.shapes import CLEANUPS, GIVEN_DATA, LIKE_THEM, OTHERS, SHAPES
from tests.guardian.test_oracle import left_unflagged

ALL_SHAPES = {**SHAPES, **more_shapes.SHAPES}
ALL_OTHERS = {**OTHERS, **given_shapes.OTHERS}
ALL_GIVEN_DATA = {**GIVEN_DATA, **given_shapes.GIVEN_DATA}
ALL_LIKE_THEM = {**LIKE_THEM, **more_shapes.LIKE_THEM}


def runnable(source: str) -> str:
    """The source with the name that the oracle calls."""
    found = re.search(r"def (\w+)\(self", source)
    assert found
    return re.sub(rf"\b{found[1]}\b", "go", source)


@pytest.mark.parametrize("name", sorted(ALL_SHAPES))
def test_they_break_it_are_found_and_mended(name):
    """It leaves a change unflagged when it runs, is found, and does the same with its changes flagged once it is mended."""
    source = runnable(ALL_SHAPES[name])
    assert left_unflagged(source)
    assert covenant_findings(source) != []
    mended, done = mend(source)
    assert done
    assert covenant_findings(mended) == []
    assert mend(mended) == (mended, [])
    assert not left_unflagged(mended)
    before, after = generated.run(source), generated.run(mended)
    assert before is not None
    assert after is not None
    assert after[1] == before[1]
    assert after[0].state() == before[0].state()


@pytest.mark.parametrize("name", sorted(CLEANUPS))
def test_changes_at_cleanup_are_found(name):
    """What changes the object when Python cleans up is found, with words that say why no flag helps."""
    source = runnable(CLEANUPS[name])
    assert left_unflagged(source)
    findings = covenant_findings(source)
    assert "cleanup" in {finding.rule for finding in findings}
    assert "cleanup" in {finding.rule for finding in covenant_findings(mend(source)[0])}
    assert any("nobody knows when" in finding.message for finding in findings)


@pytest.mark.parametrize("name", sorted(ALL_LIKE_THEM))
def test_what_is_like_them_passes(name):
    """What looks like one of the shapes and keeps the Covenant passes as it is."""
    source = runnable(ALL_LIKE_THEM[name])
    assert not left_unflagged(source)
    assert covenant_findings(source) == []


@pytest.mark.parametrize("name", sorted(ALL_OTHERS))
def test_changes_of_other_objects_want_the_flag(name):
    """A method that changes an object it was given is found, as at run time; mended it passes, and its flag is kept."""
    found = covenant_findings(ALL_OTHERS[name])
    assert [finding.rule for finding in found] == ["covenant"]
    mended, _ = mend(ALL_OTHERS[name])
    assert covenant_findings(mended) == []
    assert mend(mended) == (mended, [])


@pytest.mark.parametrize("name", sorted(ALL_GIVEN_DATA))
def test_data_that_was_given_is_the_methods_own(name):
    """A method that changes plain data it was given, or its own objects, needs no flag."""
    assert covenant_findings(ALL_GIVEN_DATA[name]) == []
