"""Frames and values between the kernel and its workers.

A frame is a 4-byte big-endian length and one value of `batos.codec`. Inside the sandbox a reference is a 4-byte handle
that is valid for one activation: it names an entry of a list that the kernel keeps, so a worker can name no object that
it was not given. msgpack's own maps have text keys alone: any other map comes as extension 12, and its keys are looked at.
What the kernel reads here is hostile; whatever is wrong with it is a `ProtocolFault`.
"""

from __future__ import annotations

import struct
from typing import Any

from batos.codec import CodecError, Ref
from batos.guarded import GuardedCodec

LENGTH = struct.Struct("!I")
HANDLE = struct.Struct("!I")

MAX_HANDLES = 1 << 16


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


class KernelCodec(GuardedCodec):
    """The kernel's side of one activation: references are handles, and what would keep the kernel busy is refused."""

    def __init__(self, handles: Handles | None = None) -> None:
        handles = handles or Handles()
        super().__init__(handles.handle, handles.ref, text_keys=True)

    def _fault(self, what: str) -> CodecError:
        return ProtocolFault(f"it sent {what}")


def frame(payload: bytes) -> bytes:
    """Put the length before a packed value."""
    return LENGTH.pack(len(payload)) + payload


__all__ = ["HANDLE", "LENGTH", "Handles", "KernelCodec", "ProtocolFault", "frame"]
