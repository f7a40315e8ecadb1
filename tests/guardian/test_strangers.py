"""What plain data understands is known, so that anything else is a message, or raises."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest

from batos.guardian.names import MUTATORS, READERS
from batos.guardian.strangers import DATA_DUNDERS


@pytest.mark.parametrize("kind", [list, dict, set])
def test_every_method_that_changes_data_is_known(kind):
    """Lists, maps and sets have no method, by a plain name, that the Guardian does not know to read or to change."""
    own = {name for name in dir(kind) if not name.startswith("_")}
    assert own - READERS - MUTATORS == set()


def test_the_known_readers_do_read():
    """No method that is taken for a reader changes a list, map or set that it is called on."""
    for value in ([[1], [2]], {"k": [1]}, {1, 2}):
        before = repr(value)
        for name in dir(value):
            if name in READERS and name not in {"__getstate__", "__reduce__", "__reduce_ex__"}:
                for args in ((), (0,), ([],), ("k",), ("k", 1)):
                    try:
                        getattr(value, name)(*args)
                    except Exception:
                        continue
        assert repr(value) == before


@pytest.mark.parametrize(
    "value", [[1], {"k": 1}, {1}, (1,), "x", b"x", 1, 1.5, True, None, Decimal(1), dt.date(2026, 1, 1), object()]
)
def test_names_of_pythons_own_protocol_are_no_messages(value):
    """What data understands under a name like `__init__` is never taken for a message."""
    assert {name for name in dir(value) if name.startswith("__")} <= DATA_DUNDERS
