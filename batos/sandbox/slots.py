"""What an activation knows of one object: a snapshot, what the method made of it, and what others did to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from batos.codec import CodecError
from batos.sandbox.merge import Merge

if TYPE_CHECKING:
    from collections.abc import Callable

    from batos.codec import Codec
    from batos.sandbox.merge import Shared

SCALARS = (str, int, float, bool, type(None), bytes)


class Slots:
    """What an activation knows of one object.

    Attributes:
        packed: Slots that were not read yet.
        large: Names of slots that did not come along.
        understands: Its selectors.
        values: What was read or written.
        seen: Of that, what may be given again without a look at what other objects got meanwhile.
        baseline: Packed, what lists, maps and sets were when they were last looked at.
        dirty: Names of what changed since the kernel was last told.
        mine: Names of what was written here: the object's own, whatever its parents get.
        moment: The writes of this activation that the kernel knew when it gave this.
    """

    def __init__(self, moment: int, packed: dict[str, bytes], large: list[str], understands: list[str]) -> None:
        self.packed = packed
        self.large = set(large)
        self.understands = frozenset(understands)
        self.values: dict[str, Any] = {}
        self.baseline: dict[str, bytes] = {}
        self.seen: dict[str, Any] = {}
        self.dirty: set[str] = set()
        self.mine: set[str] = set()
        self.moment = moment

    def settle(self, encode: Callable[[Any], bytes]) -> list[str]:
        """Look for values that changed in place since they were last looked at.

        Returns:
            Their names.

        Raises:
            TypeError: A slot holds what is not plain data.
        """
        changed = []
        for name, value in self.values.items():
            if type(value) in SCALARS:
                continue
            try:
                now = encode(value)
            except CodecError as error:
                raise TypeError(f"the slot {name!r} cannot hold this: {error}") from None
            if self.baseline.get(name, now) != now:
                changed.append(name)
            self.baseline[name] = now
        self.dirty.update(changed)
        self.mine.update(changed)
        return changed

    def refresh(self, packed: dict[str, bytes], gone: list[str], codec: Codec, shared: Shared) -> None:
        """Take in what a callee changed; containers that the method already holds change in place."""
        for name in gone:
            for known in (self.packed, self.values, self.seen, self.baseline):
                known.pop(name, None)
        merge = Merge(codec.pack, shared)
        for name, data in packed.items():
            old = self.values.get(name)
            if type(old) in (list, dict, set, tuple):
                value = self.values[name] = merge.merged(old, codec.unpack(data))
                self.baseline[name] = codec.pack(value)
                if name in self.seen:
                    self.seen[name] = value
            else:
                for known in (self.values, self.seen, self.baseline):
                    known.pop(name, None)
                self.packed[name] = data

    def renew(self, packed: dict[str, bytes], large: list[str], codec: Codec, moment: int, shared: Shared) -> None:
        """Take a new snapshot in; what the method already holds changes in place, and only where it has to."""
        gone = [name for name in (*self.packed, *self.values, *self.large) if name not in packed and name not in large]
        self.large = set(large) - packed.keys()
        self.refresh(
            {name: data for name, data in packed.items() if self.baseline.get(name) != data}, gone, codec, shared
        )
        self.moment = moment
