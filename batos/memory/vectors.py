"""Meaning vectors in the image: bytes in blocks, one signed byte a component.

A row is a chunk's number. `blocks` maps number // ROWS to a `bytes` value: first a 32-bit float a row (its scale, 0 where
the row is empty), then the rows themselves. A vector is `scale * row`. `stamps` says when a block changed last, so that a
reader takes in again only what is new to it.

numpy is loaded with the first vector that is used: a kernel meets this class when it starts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from BTrees.IIBTree import IIBTree
from BTrees.IOBTree import IOBTree
from persistent import Persistent

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

ROWS = 64
"""Vectors of one block."""


class VectorBlock(Persistent):  # type: ignore[misc]
    """Up to `ROWS` vectors as bytes; a record of its own, so that one is loaded without the others."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self.data = data


class VectorIndex(Persistent):  # type: ignore[misc]
    """The vectors of chunks, by number.

    Attributes:
        model: Name of the model that made them; vectors of different models do not meet.
        dims: Their length.
        blocks: Block number → `VectorBlock`.
        stamps: Block number → the index's change at which it changed last.
        changes: Counts the changes.
    """

    def __init__(self, model: str, dims: int) -> None:
        super().__init__()
        self.model = model
        self.dims = dims
        self.blocks = IOBTree()
        self.stamps = IIBTree()
        self.changes = 0

    def put(self, vectors: Mapping[int, Sequence[float]]) -> None:
        """Store vectors by number, in place of those that were there.

        Raises:
            ValueError: One has another length.
        """
        import numpy as np

        for block, rows in _by_block(vectors).items():
            scales, data = self._open(block)
            numbers = [number % ROWS for number in rows]
            given = np.asarray([vectors[number] for number in rows], dtype=np.float32)
            if given.shape != (len(rows), self.dims):
                raise ValueError(f"vectors of {self.model} have {self.dims} components")
            scales[numbers] = np.abs(given).max(axis=1) / 127
            safe = np.where(scales[numbers] > 0, scales[numbers], 1)[:, None]
            data[numbers] = np.rint(given / safe).astype(np.int8)
            self._close(block, scales, data)

    def drop(self, numbers: Iterable[int]) -> None:
        """Take vectors out; those that are not there do no harm. A block without vectors goes."""
        for block, rows in _by_block(numbers).items():
            if block not in self.blocks:
                continue
            scales, data = self._open(block)
            places = [number % ROWS for number in rows]
            scales[places], data[places] = 0, 0
            self._close(block, scales, data)

    def read(self, block: int) -> tuple[Floats, Floats]:
        """Give a block's scales and its vectors, one a row; rows that are empty are 0."""
        import numpy as np

        scales, data = self._open(block)
        return scales, data.astype(np.float32) * scales[:, None]

    def numbers(self) -> list[int]:
        """Give the numbers that have a vector, in order."""
        import numpy as np

        return [block * ROWS + int(row) for block in self.blocks for row in np.flatnonzero(self._open(block)[0])]

    def _open(self, block: int) -> tuple[Floats, Any]:
        import numpy as np

        held = self.blocks.get(block)
        if held is None:
            return np.zeros(ROWS, np.float32), np.zeros((ROWS, self.dims), np.int8)
        scales = np.frombuffer(held.data, np.float32, ROWS).copy()
        data = np.frombuffer(held.data, np.int8, offset=4 * ROWS).reshape(ROWS, self.dims).copy()
        if held._p_jar is not None and not held._p_changed:
            held._p_deactivate()
        return scales, data

    def _close(self, block: int, scales: Floats, data: Any) -> None:
        self.changes += 1
        self.stamps[block] = self.changes
        if not scales.any():
            self.blocks.pop(block, None)
        elif block in self.blocks:
            self.blocks[block].data = scales.tobytes() + data.tobytes()
        else:
            self.blocks[block] = VectorBlock(scales.tobytes() + data.tobytes())


def _by_block(numbers: Iterable[int]) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for number in numbers:
        found.setdefault(number // ROWS, []).append(number)
    return found
