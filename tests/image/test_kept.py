"""Plain data in slots: whatever it is, it comes back the same."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from batos.codec import CodecError, Ref
from batos.image.kept import give, keep

if TYPE_CHECKING:
    from batos.image.store import Image

_VALUES: list[Any] = [
    None,
    {"a": [1, (2, {3})], (1, 2): frozenset("x")},
    b"bytes",
    {"target": Ref(b"\0" * 7 + b"\1"), "rest": [Ref(b"\xff" * 8)]},
    Ref(b"\0" * 8),
    [Decimal("1.50"), 2**70, 1j, dt.timedelta(days=1), dt.datetime(2024, 1, 1, tzinfo=dt.UTC)],
]


@pytest.mark.parametrize("value", _VALUES, ids=repr)
def test_values_come_back(image: Image, value: Any) -> None:
    """What is kept comes back equal and of the same type, references too, and as a copy."""
    back = image.read_now(lambda view: give(view, keep(value))).value
    assert back == value
    assert type(back) is type(value)
    assert back is not value or not isinstance(value, (dict, list))


def test_readable_where_it_can_be() -> None:
    """Data without references stays readable in its slot; only what a slot cannot hold is packed."""
    assert keep({"selector": "greet"}) == {"selector": "greet"}
    assert isinstance(keep({"to": Ref(b"\0" * 8)}), bytes)


def test_what_is_not_plain_is_refused() -> None:
    """An object that is not data is an error at once."""
    with pytest.raises(CodecError):
        keep(object())
