"""Every kind of plain data that the contract names, through a real worker and into a slot."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from batos.errors import MethodError
from tests.sandbox.test_runner import FLAG, answer

pytestmark = pytest.mark.asyncio(loop_scope="module")

NOON = dt.datetime.fromisoformat("2026-11-28T12:30:01.000005")
KINDS = {
    "nothing and truth": [None, True, False],
    "integers": [0, -1, (1 << 63) - 1, 1 << 63, -(1 << 63), -(1 << 63) - 1, 1 << 300, -(1 << 300)],
    "floats": [0.0, -0.0, 1.5, 1e308, 5e-324, float("inf"), float("-inf"), float("nan")],
    "texts": ["", "é\0\n", "\U0001f987" * 3, b"", b"\xff\0"],
    "tuples": [(), (1,), ((1, [2]), "a")],
    "sets": [set(), {1}, frozenset(), frozenset({(1, "a")}), {frozenset({2})}],
    "times": [
        NOON,
        NOON.replace(tzinfo=dt.UTC),
        NOON.replace(tzinfo=ZoneInfo("Europe/Paris")),
        NOON.date(),
        NOON.time(),
        NOON.time().replace(tzinfo=ZoneInfo("Europe/Paris")),
        NOON.replace(fold=1),
        dt.time(2, 30, fold=1),
    ],
    "ends of the calendar": [
        dt.datetime.min.replace(tzinfo=ZoneInfo(zone)) for zone in ("Europe/Berlin", "Asia/Tokyo")
    ],
    "spans": [dt.timedelta(days=-1, microseconds=1), dt.timedelta(seconds=3)],
    "decimals": [Decimal("1.10"), Decimal("-0"), Decimal("Infinity"), Decimal("NaN"), Decimal("1E+40")],
    "complex": [1 + 2j, complex("-inf")],
    "maps": [{}, {"a": 1}, {1: "a", False: 2, None: 3}, {(1, 2): "b", 1.5: "c", b"k": "d", dt.date(2026, 1, 1): 1}],
}


@pytest.mark.parametrize("name", sorted(KINDS))
async def test_each_kind_comes_back_and_is_kept_as_it_was(sandbox, world, name):
    """A value of any kind is the same inside, as a result, and in a slot: type, value and, for floats, sign."""
    value = KINDS[name]
    ref = world.add()
    got, seen = await answer(
        sandbox, world, ref, "self.kept = args[0]", FLAG, "return [args[0], repr(args[0])]", args=[value]
    )
    assert repr(got) == repr(value)
    assert seen == repr(value)
    assert repr(world.slots[ref]["kept"]) == repr(value)
    assert repr(await answer(sandbox, world, ref, "return self.kept")) == repr(value)


async def test_a_time_that_cannot_be_told_is_an_error_of_the_method(sandbox, world):
    """What no reader could make of a time does not end the worker: the method hears that it is no plain data."""
    zone = [
        "import datetime",
        "class Zone(datetime.tzinfo):",
        "    key = 'Mars/Base'",
        "    def utcoffset(self, when): return None",
    ]
    for line in ("return datetime.time(1, tzinfo=Zone())", "return datetime.datetime(2026, 1, 1, tzinfo=Zone())"):
        with pytest.raises(MethodError, match="Mars/Base"):
            await answer(sandbox, world, world.add(), *zone, line)
