"""A slice of the fault matrix with real processes; `python -m tests.watchdog.matrix` runs all of it many times."""

from __future__ import annotations

import pytest

from batos.watchdog import logbook

from .matrix import LINES
from .matrix import run as check_line
from .ship import Ship

SLICE = (
    *("crash", "sigstop", "starved_loop", "disk_full", "clock_jump", "upgrade", "import_error", "no_proof"),
    *("killed_in_migration", f"killed before {logbook.PROVEN}", f"power lost after {logbook.PROVEN}"),
)


@pytest.fixture(scope="module")
def ship(tmp_path_factory):
    """One ship for all lines: each leaves it serving."""
    made = Ship(tmp_path_factory.mktemp("ship"))
    try:
        made.prepare()
        yield made
        made.image_check()
    finally:
        made.stop()


@pytest.mark.parametrize("name", SLICE)
def test_a_fault_ends_in_service(ship, name):
    """A kernel serves, every acknowledged change is there, every mission ended once, and each file has one report."""
    check_line(ship, LINES[name])
