"""Memory that this process can do without for a while, and have again in place without any work.

A model whose turn is over leaves memory without being unloaded. What was mapped from its file needs nothing; what
llama.cpp laid out anew for the processor is written to a file once, and that file is mapped in the same place. From then
on the system may take all of it back, and gives it again, page by page, when it is touched. Linux only.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import shutil
import sys
import tempfile
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

MAP_FIXED = 0x10
BLOCK = 16 << 20
SPARE = 1 << 30


class Region(NamedTuple):
    """A part of this process's memory that nobody writes to any more.

    Args:
        start: Its first address.
        size: Its bytes.
        mapped: Whether it is mapped from a file already.
    """

    start: int
    size: int
    mapped: bool


class Pageable:
    """Regions that the system may take back at `give_back`; they stay readable all the time.

    Args:
        regions: The regions. Those that are not mapped from a file are written to one that has no name, which is gone
            with the process, and can only be read from then on.
        folder: Where that file goes.

    Raises:
        OSError: The disk has no room for it, or the system does not do this.
    """

    def __init__(self, regions: Sequence[Region], folder: Path) -> None:
        if sys.platform != "linux":
            raise OSError("only Linux maps files in place")
        inner = [region for region in map(_whole_pages, regions) if region.size > 0]
        needed = sum(region.size for region in inner if not region.mapped)
        if shutil.disk_usage(folder).free < needed + SPARE:
            raise OSError(f"{folder} has no room for {needed >> 20} MiB")
        self._regions: list[Region] = []
        try:
            for region in inner:
                if not region.mapped:
                    _map_in_place(region, folder)
                self._regions.append(region)
        except BaseException:
            self.release()  # the weights are gone then, and the model can only be closed
            raise

    @property
    def size(self) -> int:
        """Bytes of all regions."""
        return sum(region.size for region in self._regions)

    def give_back(self) -> None:
        """Let the system have the memory; what is read afterwards comes from the files again."""
        for region in self._regions:
            _libc().madvise(region.start, region.size, mmap.MADV_DONTNEED)

    def release(self) -> None:
        """Make the memory writable again, with nothing in it: whoever owns it frees it next, and others get it then."""
        for region in self._regions:
            if not region.mapped:
                flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | MAP_FIXED
                _libc().mmap(region.start, region.size, mmap.PROT_READ | mmap.PROT_WRITE, flags, -1, 0)


def _whole_pages(region: Region) -> Region:
    """The pages that lie in a region as a whole."""
    start = -(-region.start // mmap.PAGESIZE) * mmap.PAGESIZE
    end = (region.start + region.size) // mmap.PAGESIZE * mmap.PAGESIZE
    return Region(start, end - start, region.mapped)


def _map_in_place(region: Region, folder: Path) -> None:
    with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
        view = memoryview((ctypes.c_char * region.size).from_address(region.start)).cast("B")
        for place in range(0, region.size, BLOCK):
            _write_all(file.fileno(), view[place : place + BLOCK])
        flags = mmap.MAP_PRIVATE | MAP_FIXED
        found = _libc().mmap(region.start, region.size, mmap.PROT_READ, flags, file.fileno(), 0)
    if found != region.start:
        raise OSError(ctypes.get_errno(), "the file cannot be mapped in place")


def _write_all(descriptor: int, data: memoryview) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


@cache
def _libc() -> Any:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
    libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    return libc
