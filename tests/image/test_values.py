"""Stored form and plain data (`batos.image.values`)."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from BTrees.OOBTree import OOBTree
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from persistent.mapping import PersistentMapping

from batos import codec
from batos.codec import Ref
from batos.errors import BadField, UnknownTarget
from batos.image import values
from batos.image.objects import UvmObject

if TYPE_CHECKING:
    from batos.image.store import Image, View

GONE = Ref(b"\0\0\0\0\0\0\xff\xff")

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
    | st.binary(max_size=5)
    | st.decimals(allow_nan=False)
    | st.datetimes(timezones=st.sampled_from([None, dt.UTC]))
    | st.timedeltas()
    | st.sampled_from(["REF 0", "REF 1"])
)
keys = st.recursive(scalars, lambda inner: st.tuples(inner, inner) | st.frozensets(inner, max_size=2), max_leaves=4)
plain = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner)
        | st.dictionaries(keys, inner, max_size=3)
        | st.sets(keys, max_size=3)
        | st.frozensets(keys, max_size=3)
    ),
    max_leaves=12,
)


def two(view: View) -> list[Ref]:
    view.root["two"] = pair = UvmObject(pair=[UvmObject(), UvmObject()])
    return [view.ref(obj) for obj in pair.pair]


def with_refs(value: object, refs: list[Ref]) -> object:
    """Put references where the strategy left marks."""
    if value in ("REF 0", "REF 1"):
        return refs[int(value[-1])]
    if isinstance(value, dict):
        return {with_refs(key, refs): with_refs(item, refs) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return type(value)(with_refs(item, refs) for item in value)
    return value


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(value=plain)
def test_plain_data_comes_back_from_the_disk(image: Image, value: object) -> None:
    """Any plain data with references anywhere, in keys too, is stored as objects and comes back the same."""
    refs = image.transact_now(two).value
    wanted = with_refs(value, refs)

    def keep(view: View) -> None:
        view.root["kept"] = UvmObject(held=values.from_plain(view, wanted))

    def show(view: View) -> object:
        return values.to_plain(view, view.root["kept"].held)

    image.transact_now(keep)
    image.read_now(lambda view: view.conn.db().cacheMinimize())
    seen = image.read_now(show).value
    assert seen == wanted
    assert codec.unpack(codec.pack(seen)) == wanted


def test_objects_lie_where_references_stood(world: Image) -> None:
    """`from_plain` gives the objects themselves: in lists, maps, keys, tuples and sets."""

    def check(view: View) -> bool:
        genesis = view.resolve("genesis_obj")
        ref = view.ref(genesis)
        stored = values.from_plain(view, {"a": [ref], ref: (ref, {ref}, frozenset([ref]))})
        assert stored == {"a": [genesis], genesis: (genesis, {genesis}, frozenset([genesis]))}
        return True

    assert world.read_now(check).value


def test_containers_are_never_shared(world: Image) -> None:
    """What leaves the image, and what comes in, are copies."""
    coming = {"list": [1]}

    def keep(view: View) -> dict[str, list[int]]:
        view.resolve("genesis_obj").held = values.from_plain(view, coming)
        return values.to_plain(view, view.resolve("genesis_obj").held)

    going = world.transact_now(keep).value
    coming["list"].append(2)
    going["list"].append(3)
    assert world.read_now(lambda view: values.to_plain(view, view.resolve("genesis_obj").held)).value == {"list": [1]}


@pytest.mark.parametrize("value", [GONE, [GONE], {"a": (GONE,)}, {GONE: 1}, {GONE}])
def test_a_reference_to_nothing_is_unknown(world: Image, value: object) -> None:
    """A reference that points at no object is refused, however deep it lies."""
    with pytest.raises(UnknownTarget):
        world.read_now(lambda view: values.from_plain(view, value))


@pytest.mark.parametrize("value", [object(), [len], {"a": Counter("ab")}, {1: bytearray(b"x")}])
def test_what_is_not_plain_is_a_bad_field(world: Image, value: object) -> None:
    """Values that cannot come over the wire are refused with the mend."""
    with pytest.raises(BadField):
        world.read_now(lambda view: values.from_plain(view, value))


def test_deep_nesting_is_refused(world: Image) -> None:
    """Values nested deeper than the codec carries do not come in."""
    deep: object = 1
    for _ in range(70):
        deep = [deep]
    with pytest.raises(BadField):
        world.read_now(lambda view: values.from_plain(view, deep))


def test_what_has_no_plain_form_says_so(world: Image) -> None:
    """Indexes do not leave the image; persistent mappings do, as maps."""

    def check(view: View) -> object:
        with pytest.raises(values.NotPlain, match="OOBTree"):
            values.to_plain(view, [OOBTree()])
        return values.to_plain(view, PersistentMapping({"a": Decimal(1)}))

    assert world.read_now(check).value == {"a": Decimal(1)}
