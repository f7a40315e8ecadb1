"""A home whose disk is really full: who serves goes on serving, whoever dies comes back, and all goes on with room."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from batos.errors import ImageReadOnly

from .conftest import alive
from .ship import Ship

if TYPE_CHECKING:
    from pathlib import Path

_MIB = 1 << 20


@pytest.fixture
def ship(tmp_path):
    """A ship whose home is a small disk of its own."""
    home = tmp_path / "disk"
    home.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=32m", "none", str(home)]
    if (
        sys.platform != "linux"
        or os.getuid() != 0
        or subprocess.run(mount, check=False, capture_output=True).returncode
    ):
        pytest.skip("needs the right to mount a small disk")
    made = Ship(tmp_path / "ship", home)
    try:
        made.prepare()
        yield made
    finally:
        made.stop()
        subprocess.run(["umount", "--lazy", str(home)], check=True)


def _fill(file: Path) -> None:
    """Write until the disk takes nothing more, to the last byte."""
    handle = os.open(file, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    for size in (_MIB, 4096, 1):
        try:
            while os.write(handle, b"x" * size):
                pass
        except OSError:
            continue
    os.close(handle)


def _refused(ship: Ship, number: int) -> None:
    with pytest.raises(ImageReadOnly, match="No space left"):
        ship.ask_again("set", target_oid="tally", slots={"note": str(number) * 100_000})
    assert ship.ask_again("inspect", target_oid="tally")["slots"]["count"] == 0


def test_a_full_disk_stops_nobody(ship):
    """Writes are refused and reads answered, by kernels that start on the full disk too, under any watchdog."""
    filler = ship.home / "filler"
    _fill(filler)
    _refused(ship, 1)
    kernel = ship.kernel
    os.kill(kernel, signal.SIGKILL)
    ship.until(lambda: not alive(kernel))
    _refused(ship, 2)
    assert ship.watchdog is not None
    ship.watchdog.kill()
    ship.watchdog.wait()
    ship.start()
    _fill(filler)
    _refused(ship, 3)
    filler.unlink()
    ship.until(ship.serving, "a status that is true again")
    assert ship.kernel != kernel
    assert ship.mission()["result"] == 42
    ship.check()
    ship.image_check()
