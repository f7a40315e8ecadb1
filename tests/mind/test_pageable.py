"""Memory that goes back to the system and comes again in place."""

import ctypes
import mmap
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from batos.mind import pageable
from batos.mind.pageable import Pageable, Region

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux maps files in place")

SIZE = 8 << 20


@pytest.fixture
def memory():
    """Anonymous memory with something in it, and the region in it that begins and ends inside a page."""
    held = mmap.mmap(-1, SIZE)
    held[:] = os.urandom(1 << 20) * (SIZE >> 20)
    start = ctypes.addressof(ctypes.c_char.from_buffer(held))
    return held, Region(start + 100, SIZE - 300, mapped=False)


def resident(start):
    """Bytes of the mapping at an address that are in memory."""
    found = False
    for line in Path("/proc/self/smaps").read_text(encoding="ascii").splitlines():
        first = line.split()[0]
        if "-" in first and not first.endswith(":"):
            low, high = (int(part, 16) for part in first.split("-"))
            found = low <= start < high
        elif found and first == "Rss:":
            return int(line.split()[1]) << 10
    return 0


def test_same_bytes_in_the_same_place(memory, tmp_path):
    """What is given back is out of memory, reads as before, again and again, and leaves no file behind."""
    held, region = memory
    before = bytes(held)
    pages = Pageable([region], tmp_path)
    middle = region.start + SIZE // 2
    for _ in range(2):
        pages.give_back()
        assert resident(middle) == 0
        assert bytes(held) == before
        assert resident(middle) > SIZE // 2
    assert pages.size == SIZE - 2 * mmap.PAGESIZE
    assert list(tmp_path.iterdir()) == []


def test_a_disk_without_room_is_told_before_anything_is_done(memory, tmp_path, monkeypatch):
    """Where the file would not fit, nothing is written and the memory stays what it is."""
    held, region = memory
    usage = SimpleNamespace(free=pageable.SPARE)
    monkeypatch.setattr(pageable.shutil, "disk_usage", lambda folder: usage)
    before = bytes(held)
    with pytest.raises(OSError, match="no room for 7 MiB"):
        Pageable([region], tmp_path)
    held[SIZE // 2] = before[SIZE // 2] ^ 1  # still writable: it was not mapped anew


def test_what_is_mapped_from_a_file_needs_no_other(tmp_path):
    """A mapping of a file goes back without a copy of it."""
    file = tmp_path / "weights"
    file.write_bytes(os.urandom(SIZE))
    with file.open("rb") as stream, mmap.mmap(stream.fileno(), 0, prot=mmap.PROT_READ) as held:
        held_bytes = bytes(held)
        import numpy as np

        start = np.frombuffer(held, np.uint8).ctypes.data
        Pageable([Region(start, SIZE, mapped=True)], tmp_path).give_back()
        assert resident(start) == 0
        assert bytes(held) == held_bytes


def test_other_systems_do_not_do_this(memory, tmp_path, monkeypatch):
    """Elsewhere it is refused, so that the model is closed instead."""
    monkeypatch.setattr(pageable.sys, "platform", "darwin")
    with pytest.raises(OSError, match="only Linux"):
        Pageable([memory[1]], tmp_path)
