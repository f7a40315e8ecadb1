"""Plain data from those who may mean harm: what would take its reader far longer than its size is refused.

A set or map compares keys of one hash with each other, one by one. Honest data has few of them (-1 and -2 share a hash, so do
2 and 2 ** 62, and with them the points of a grid); what they cost together is counted, and bounded for each message.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import ormsgpack

from batos.codec import FROZENSET, MAP, SET, Codec, CodecError

ROOM = 1_000_000
"""Steps of some 30 ns that comparing keys may take in one message, besides one for each byte of it."""

_SAME_HASH_LIMIT = 64
_KEYS = "a map has keys of that kind in extension 12"
_KEY_HEADS = frozenset(
    [*range(0x80), *range(0xA0, 0xC1), 0xC2, 0xC3, *range(0xCC, 0xD4), *range(0xD9, 0xDC), *range(0xE0, 0x100)]
)
_FIXED = {
    **dict.fromkeys([0xCC, 0xD0], 2), **dict.fromkeys([0xCD, 0xD1], 3), **dict.fromkeys([0xCA, 0xCE, 0xD2], 5),
    **dict.fromkeys([0xCB, 0xCF, 0xD3], 9), 0xD4: 3, 0xD5: 4, 0xD6: 6, 0xD7: 10, 0xD8: 18,
    **{0xA0 + size: 1 + size for size in range(32)},
}  # fmt: skip
_SIZED = {0xC4: 1, 0xC5: 2, 0xC6: 4, 0xC7: 1, 0xC8: 2, 0xC9: 4, 0xD9: 1, 0xDA: 2, 0xDB: 4}
_EXTENSIONS = frozenset([0xC7, 0xC8, 0xC9])
_NESTS = {0xDC: (2, 1), 0xDD: (4, 1), 0xDE: (2, 2), 0xDF: (4, 2)}


class GuardedCodec(Codec):
    """Unpacks what a stranger sent."""

    _room: int
    _faults: list[CodecError]

    def unpack(self, data: bytes | bytearray | memoryview) -> Any:
        """Decode one value.

        Raises:
            CodecError: It is no plain data, or made to keep its reader busy.
        """
        self._room, self._faults = ROOM + len(data), []
        try:
            return super().unpack(data)
        except CodecError as error:
            # ormsgpack drops what `_ext` raised, and that says more.
            raise (self._faults or [error])[0] from None

    def _ext(self, depth: int, code: int, data: bytes) -> Any:
        try:
            return super()._ext(depth, code, data)
        except CodecError as error:
            self._faults.append(error)
            raise

    def _container(self, code: int, items: Any) -> Any:
        if code in (SET, FROZENSET, MAP) and type(items) is list and items:
            self._room -= self._work(self._pair_keys(items) if code == MAP else items)
        return super()._container(code, items)

    def _keys_option(self, data: bytes | bytearray | memoryview) -> int | None:
        option = super()._keys_option(data)
        if option is None or _all_text(data):
            return None
        check_keys(bytes(data))
        return option

    def _fault(self, what: str) -> CodecError:
        return CodecError(f"it has {what}")

    def _pair_keys(self, items: list[Any]) -> list[Any]:
        if not all(type(item) is list and len(item) == 2 for item in items):
            raise self._fault("a map of what is no pairs")
        return [key for key, _ in items]

    def _work(self, keys: list[Any]) -> int:
        """Give at least the steps that comparing these keys takes."""
        try:
            if len(set(map(hash, keys))) == len(keys):
                return 0
        except TypeError:
            raise self._fault("a set or map with keys that are none") from None
        counts = Counter(map(hash, keys))
        weights: Counter[int] = Counter()
        work, most = 0, math.isqrt(self._room)
        for key in keys:
            shared = hash(key)
            if counts[shared] > 1:
                work -= weights[shared] ** 2
                weights[shared] += weight(key, most)
                work += weights[shared] ** 2
                if work > self._room or counts[shared] > _SAME_HASH_LIMIT:
                    raise self._fault("a set or map whose keys share one hash")
        return work


def weight(key: Any, most: int) -> int:
    """Give a number whose product with another key's is at least the steps that comparing the two takes; stops over `most`.

    Sets compare each element with each; a Decimal makes a Decimal of the number that it meets, in quadratic time.
    """
    total, rest = 1, [key]
    while rest and total <= most:
        part = rest.pop()
        kind = type(part)
        if kind in (tuple, frozenset):
            total += len(part)
            if total <= most:
                rest.extend(part)
        elif kind is int:
            total += (part.bit_length() >> 9) ** 2
        elif kind in (str, bytes):
            total += len(part) >> 9
        elif kind is float:
            total += 3
        elif kind is not bool and part is not None:
            total += 15
    return total


def _all_text(data: bytes | bytearray | memoryview) -> bool:
    """Whether it has maps with text keys alone, as nearly all messages; what lies in extensions is not looked at."""
    try:
        ormsgpack.unpackb(data, ext_hook=lambda code, payload: None)  # noqa: ARG005
    except ValueError:
        return False
    return True


def check_keys(data: bytes) -> None:
    """Look at the keys of every map before any is made.

    Raises:
        CodecError: One is neither text nor an integer, a boolean or nil; or the bytes end too early.
    """
    place, left, steps = 0, [1], [1]
    try:
        while left:
            if not left[-1]:
                left.pop()
                steps.pop()
                continue
            left[-1] -= 1
            head = data[place]
            if steps[-1] == 2 and left[-1] % 2 and head not in _KEY_HEADS:
                raise CodecError(_KEYS)
            size, count, step = _measure(data, place, head)
            place += size
            if count:
                left.append(count)
                steps.append(step)
    except IndexError:
        raise CodecError("the bytes end too early") from None


def _measure(data: bytes, place: int, head: int) -> tuple[int, int, int]:
    """Give the bytes of one item without what it holds, how many items it holds, and 2 where they are keys and values."""
    if 0x80 <= head < 0xA0:
        step = 1 if head >= 0x90 else 2
        return 1, (head & 0x0F) * step, step
    if head in _NESTS:
        width, step = _NESTS[head]
        return 1 + width, _number(data, place, width) * step, step
    if head in _SIZED:
        width = _SIZED[head]
        return 1 + width + _number(data, place, width) + (head in _EXTENSIONS), 0, 1
    return _FIXED.get(head, 1), 0, 1


def _number(data: bytes, place: int, width: int) -> int:
    return int.from_bytes(data[place + 1 : place + 1 + width], "big")


__all__ = ["ROOM", "GuardedCodec", "check_keys", "weight"]
