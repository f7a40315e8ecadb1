"""Frames between the kernel and its mind host."""

import io
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batos.codec import CodecError
from batos.mind.frames import LIMIT, read_frame, write_frame

PLAIN = st.recursive(st.none() | st.booleans() | st.integers() | st.text() | st.binary(), st.lists, max_leaves=8)


@given(st.lists(PLAIN, max_size=4))
def test_frames_come_as_they_went(values):
    """Frames written one after the other are read one after the other, then the stream ends."""
    stream = io.BytesIO()
    for value in values:
        write_frame(stream, value)
    stream.seek(0)
    assert [read_frame(stream) for _ in values] == values
    with pytest.raises(EOFError):
        read_frame(stream)


@given(st.integers(1, 20))
def test_torn_frame_is_an_end(size):
    """A stream that ends within a frame has ended."""
    stream = io.BytesIO()
    write_frame(stream, "x" * 40)
    with pytest.raises(EOFError):
        read_frame(io.BytesIO(stream.getvalue()[:size]))


def test_sizes_are_limited():
    """A length over the limit is refused before anything of it is read, and none is written."""
    with pytest.raises(CodecError, match="too large"):
        read_frame(io.BytesIO(struct.pack(">I", LIMIT + 1)))
    with pytest.raises(CodecError, match="too large"):
        write_frame(io.BytesIO(), b"x" * (LIMIT + 1))
