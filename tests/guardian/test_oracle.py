"""The Guardian against an oracle: methods made by chance are run, and what they did is compared with the verdict.

`BATOS_ORACLE_METHODS` says how many (200 000 once by hand, `pytest tests/guardian/test_oracle.py`); `BATOS_ORACLE_SEED`
where to begin.
"""

from __future__ import annotations

import gc
import os
import warnings
from collections import Counter
from random import Random

import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from batos.guardian import mend
from batos.guardian.auditing import covenant_findings
from tests.guardian import generated

METHODS = int(os.environ.get("BATOS_ORACLE_METHODS", "2000"))
MENDED = max(METHODS // 20, 100)
SEED = int(os.environ.get("BATOS_ORACLE_SEED", "4"))
ODD = settings(deadline=None, suppress_health_check=list(HealthCheck), database=None)


pytestmark = pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")


@pytest.fixture(autouse=True)
def collected():
    """What methods leave behind, coroutines that nobody awaits among it, goes within the test that ran them."""
    yield
    gc.collect()


def left_unflagged(source: str) -> bool:
    """Run a method; whether it changed its object after its last flag and left without raising."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ran = generated.run(source)
    return ran is not None and ran[1].startswith("answers") and ran[0].unflagged


def test_no_unflagged_change_passes():
    """No method that changed its object and left without the flag passes the audit."""
    seen: Counter[str] = Counter()

    @seed(SEED)
    @settings(ODD, max_examples=METHODS)
    @given(st.integers(0, 1 << 62))
    def check(number):
        source = generated.method(Random(number))
        if generated.is_python(source):
            breaks = left_unflagged(source)
            passes = covenant_findings(source) == []
            seen.update(methods=1, breaks=breaks, passes=passes)
            assert not (breaks and passes), source

    check()
    # The methods are worth asking about: many break the Covenant, many keep it.
    assert seen["methods"] > 0.9 * METHODS
    assert seen["breaks"] > 0.1 * METHODS
    assert seen["passes"] > 0.2 * METHODS


@seed(SEED)
@settings(ODD, max_examples=MENDED)
@given(st.integers(0, 1 << 62))
def test_mends_do_the_same_and_keep_it(number):
    """A mended method passes, flags what it changes, answers and leaves the same; mended again it stays as it is."""
    source = generated.method(Random(number))
    if not generated.is_python(source):
        return
    mended, _ = mend(source)
    assert covenant_findings(mended) == []
    assert mend(mended) == (mended, [])
    before, after = generated.run(source), generated.run(mended)
    if before is not None and after is not None:
        assert after[1] == before[1]
        assert after[0].state() == before[0].state()
        assert not (after[1].startswith("answers") and after[0].unflagged)


def test_what_came_out_once():
    """What the oracle found once stays found: a value that was put into a slot is the slot's from then on."""
    for body in (
        "x = []\n    self.x = x\n    self._p_changed = True\n    x.append(1)",
        "kept = [[]]\n    self.box.v = kept\n    self._p_changed = True\n    kept[0].append(1)",
        "x = []\n    self.rows.append(x)\n    self._p_changed = True\n    x.append(1)",
        "x = []\n    self.rows += [x]\n    self._p_changed = True\n    x.append(1)",
        "x = []\n    setattr(self, 'x', x)\n    self._p_changed = True\n    x.append(1)",
        "x = [[]]\n    y = x.copy()\n    y[0].append(self.a)\n    x[0][0].append(1)",
    ):
        assert covenant_findings(f"def go(self):\n    {body}\n"), body
