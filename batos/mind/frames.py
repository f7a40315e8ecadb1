"""Frames between the kernel and its mind host: four bytes of length, then plain data by `codec`."""

from __future__ import annotations

import struct
from typing import IO, Any

from batos.codec import CodecError, pack, unpack

LIMIT = 64 << 20
_HEAD = struct.Struct(">I")


def write_frame(stream: IO[bytes], value: Any) -> None:
    """Write one frame and flush it.

    Raises:
        OSError: The other side is gone.
        CodecError: The value is not plain data, or it is too large.
    """
    data = pack(value)
    if len(data) > LIMIT:
        raise CodecError(f"a frame of {len(data)} bytes is too large; the limit is {LIMIT}")
    stream.write(_HEAD.pack(len(data)) + data)
    stream.flush()


def read_frame(stream: IO[bytes]) -> Any:
    """Read one frame.

    Raises:
        EOFError: The stream ended, between frames or within one.
        CodecError: What came is not a frame.
    """
    head = _read(stream, _HEAD.size)
    (size,) = _HEAD.unpack(head)
    if size > LIMIT:
        raise CodecError(f"a frame of {size} bytes is too large; the limit is {LIMIT}")
    return unpack(_read(stream, size))


def _read(stream: IO[bytes], size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        block = stream.read(size - len(data))
        if not block:
            raise EOFError
        data += block
    return bytes(data)
