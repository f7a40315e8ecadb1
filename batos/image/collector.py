"""What a pack may take away: only what nothing reaches at the pack's time, nor from anything written since.

The engine's own collector looks at the moment of the pack alone. An object that nothing held then, and that an undo has
put back later, would be lost by it. It also stops at the first reference to an object that is missing, as an image
that was recovered from damage may have some.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ZODB.FileStorage.FileStorage import FileStorageError
from ZODB.FileStorage.fspack import GC, FileStoragePacker

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class Collector(GC):  # type: ignore[misc]
    """Finds what is reached.

    Attributes:
        gone: The oids of what is not.
    """

    gone: frozenset[bytes] = frozenset()

    def findReachableAtPacktime(self, roots: Iterable[bytes]) -> None:  # noqa: N802  # the engine's name
        """Mark all that is reached from some objects at the pack's time."""
        waiting = list(roots)
        while waiting:
            oid = waiting.pop()
            position = self.oid2curpos.get(oid)
            # None: it was made later, or it is missing.
            if position is not None and oid not in self.reachable:
                self.reachable[oid] = position
                waiting.extend(self.findrefs(position))

    def findReachableFromFuture(self) -> None:  # noqa: N802  # the engine's name
        """Mark all that was written since, and what that refers to."""
        super().findReachableFromFuture()
        for oids in self.references_between(self.packpos, self.eof):
            self.findReachableAtPacktime(oids)
        self.gone = frozenset(oid for oid in self.oid2curpos if oid not in self.reachable)

    def references_between(self, begin: int, end: int) -> Iterator[list[bytes]]:
        """The oids that each record between two borders of transactions refers to."""
        while begin < end:
            transaction = self._read_txn_header(begin)
            border = begin + transaction.tlen
            begin += transaction.headerlen()
            while begin < border:
                record = self._read_data_header(begin)
                if record.plen:
                    yield self.referencesf(self._file.read(record.plen))
                begin += record.recordlen()
            begin = border + 8


class Packer(FileStoragePacker):  # type: ignore[misc]
    """Packs with our collector."""

    def __init__(self, storage: Any, referencesf: Any, stop: bytes, gc: bool = True) -> None:
        super().__init__(storage, referencesf, stop, gc)
        self.gc = Collector(self._file, self.file_end, stop, gc, referencesf)

    def copyRest(self, ipos: int) -> None:  # noqa: N802  # the engine's name
        """Take over what was committed meanwhile; nobody commits now.

        Raises:
            FileStorageError: It holds something that the pack would take away.
        """
        self.gc._file = self._file
        for oids in self.gc.references_between(self.gc.eof, self.file_end):
            if not self.gc.gone.isdisjoint(oids):
                raise FileStorageError("something that was to go was put back meanwhile")
        super().copyRest(ipos)


def pack(storage: Any, referencesf: Any, stop: bytes, gc: bool) -> tuple[int, Any] | None:
    """Write the packed file beside the storage's own.

    Returns:
        Its length and its index, the storage's commit lock held; None when there was nothing to drop.
    """
    packer = Packer(storage, referencesf, stop, gc)
    try:
        length = packer.pack()
        return None if length is None else (length, packer.index)
    finally:
        packer.close()
