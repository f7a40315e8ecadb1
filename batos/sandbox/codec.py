"""Frames and values between the kernel and its workers.

A frame is a 4-byte big-endian length and one value of `batos.codec`. Inside the sandbox a reference is a 4-byte handle
that is valid for one activation: it names an entry of a list that the kernel keeps, so a worker can name no object that
it was not given. What the kernel reads here is hostile; whatever is wrong with it is a `ProtocolFault`.
"""

from __future__ import annotations

import struct
from collections import Counter
from typing import Any

from batos.codec import FROZENSET, MAP, SET, Codec, CodecError, Ref

LENGTH = struct.Struct("!I")
HANDLE = struct.Struct("!I")

MAX_HANDLES = 1 << 16
_SAME_HASH_LIMIT = 64


class ProtocolFault(CodecError):
    """A worker sent what no honest worker sends."""


class Handles:
    """The capability list of one activation: handle → reference."""

    def __init__(self) -> None:
        self._refs: list[Ref] = []
        self._numbers: dict[bytes, bytes] = {}

    def handle(self, value: Any) -> bytes | None:
        """Give the handle of a reference, a new one if it has none; None for anything that is no reference."""
        if type(value) is not Ref:
            return None
        known = self._numbers.get(value.oid)
        if known is None:
            if len(self._refs) >= MAX_HANDLES:
                raise CodecError(f"more than {MAX_HANDLES} references in one activation")
            known = self._numbers[value.oid] = HANDLE.pack(len(self._refs))
            self._refs.append(value)
        return known

    def ref(self, payload: bytes) -> Ref:
        """Give the reference that a handle stands for.

        Raises:
            ProtocolFault: This activation was never given such a handle.
        """
        number = HANDLE.unpack(payload)[0] if len(payload) == HANDLE.size else MAX_HANDLES
        if number >= len(self._refs):
            raise ProtocolFault("it named an object that it was never given")
        return self._refs[number]


class KernelCodec(Codec):
    """The kernel's side of one activation: references are handles, and sets that flood a hash table are refused."""

    def __init__(self, handles: Handles | None = None) -> None:
        handles = handles or Handles()
        super().__init__(handles.handle, handles.ref)
        self._faults: list[CodecError] = []

    def unpack(self, data: bytes | bytearray | memoryview) -> Any:
        """Decode what a worker sent.

        Raises:
            ProtocolFault: No honest worker sends this.
            CodecError: It is no plain data.
        """
        self._faults.clear()
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
        if code in (SET, FROZENSET, MAP):
            _refuse_flood(items, pairs=code == MAP)
        return super()._container(code, items)


def _refuse_flood(items: Any, *, pairs: bool) -> None:
    """Refuse many keys with one hash: building a set of them takes quadratic time, in the kernel."""
    if type(items) is not list or len(items) <= _SAME_HASH_LIMIT:
        return
    try:
        hashes = Counter(hash(item[0] if pairs else item) for item in items)
    except (TypeError, IndexError, KeyError):
        raise ProtocolFault("it sent a set or map with keys that are none") from None
    if max(hashes.values()) > _SAME_HASH_LIMIT:
        raise ProtocolFault("it sent a set or map whose keys share one hash")


def frame(payload: bytes) -> bytes:
    """Put the length before a packed value."""
    return LENGTH.pack(len(payload)) + payload


__all__ = ["HANDLE", "LENGTH", "Handles", "KernelCodec", "ProtocolFault", "frame"]
