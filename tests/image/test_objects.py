"""`UvmObject`: slots, delegation by attribute, durability of changes (`batos.image.objects`)."""

from __future__ import annotations

import asyncio
import copy
import datetime as dt
import subprocess
import sys
import threading
from collections import Counter
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
from BTrees.OOBTree import OOBTree
from transaction import TransactionManager

from batos.codec import Ref
from batos.image.objects import UvmObject
from batos.image.values import Unstorable

if TYPE_CHECKING:
    from collections.abc import Callable

    from batos.image.store import Image, View


class Point(NamedTuple):
    x: int
    y: int


def make(view: View, slots: dict[str, object]) -> Ref:
    view.root["thing"] = obj = UvmObject(**slots)
    return view.ref(obj)


class TestSlots:
    def test_slots_are_attributes(self) -> None:
        """A slot is read, set and deleted like an attribute."""
        obj = UvmObject(a=1)
        obj.b = 2
        del obj.a
        assert dict(obj._slots) == {"b": 2}

    def test_the_view_of_slots_writes_too(self) -> None:
        """`_slots` is a live mapping of the own slots alone."""
        parent = UvmObject(inherited=1)
        obj = UvmObject(parents=[parent], a=1)
        obj._slots["b"] = 2
        obj._slots["_tmp_synthesis_data"] = {}
        del obj._slots["a"]
        assert obj.b == 2
        assert list(obj._slots) == ["parents", "b", "_tmp_synthesis_data"]
        assert "inherited" not in obj._slots
        assert len(obj._slots) == 3

    def test_a_missing_slot_is_named(self) -> None:
        """AttributeError names the slot; a missing own slot cannot be deleted."""
        obj = UvmObject(parents=[UvmObject(inherited=1)])
        with pytest.raises(AttributeError, match="'colour'"):
            _ = obj.colour
        with pytest.raises(AttributeError, match="'inherited'"):
            del obj.inherited
        with pytest.raises(KeyError):
            del obj._slots["inherited"]

    def test_probes_of_libraries_are_answered_with_attribute_errors(self) -> None:
        """Names that Python and libraries ask for start nothing, on an object with parents too."""
        obj = UvmObject(parents=UvmObject())
        for name in ("__deepcopy__x", "__await__", "_repr_html_", "__array__", "_ipython_display_", "awehoi234_wdf"):
            assert not hasattr(obj, name)

    def test_system_slots_are_own_alone(self) -> None:
        """A slot with a leading underscore is not inherited by attribute access."""
        obj = UvmObject(parents=UvmObject(_secret_=1, _process_synthesis_=2))
        assert not hasattr(obj, "_secret_")
        assert obj._process_synthesis_ == 2

    @pytest.mark.parametrize("name", ["", "a b", "1a", "__class__", "__foo__", "_slots", "__dict__"])
    def test_bad_names_are_refused(self, name: str) -> None:
        """What is no identifier, and what Python or persistence uses, cannot be a slot."""
        obj = UvmObject()
        with pytest.raises(AttributeError):
            setattr(obj, name, 1)
        with pytest.raises(AttributeError):
            obj._slots[name] = 1
        assert dict(obj._slots) == {}

    def test_volatile_names_are_no_slots(self, image: Image, reopen: Callable[[], Image]) -> None:
        """`_v_` attributes live in memory alone and do not make an object changed."""
        image.transact_now(make, {"n": 1})

        def touch(view: View) -> bool:
            obj = view.resolve("thing")
            obj._v_cache = 5
            return bool(obj._p_changed) or "_v_cache" in obj._slots

        assert image.transact_now(touch).value is False
        assert reopen().read_now(lambda view: hasattr(view.resolve("thing"), "_v_cache")).value is False

    def test_the_repr_names_oid_and_slots(self, image: Image) -> None:
        """The repr shows the oid and the own slots; a ghost's does not load it."""
        assert repr(UvmObject(a=1, b=2)) == "<UvmObject oid=new slots=['a', 'b']>"
        ref = image.transact_now(make, {"a": 1}).value

        def shown(view: View) -> list[str]:
            obj = view.get(ref)
            obj._p_deactivate()
            ghost = repr(obj)
            _ = obj.a
            return [ghost, repr(obj)]

        assert image.read_now(shown).value == [
            f"<UvmObject oid={ref.hex} slots=[…]>",
            f"<UvmObject oid={ref.hex} slots=['a']>",
        ]

    def test_copies_are_refused(self) -> None:
        """`copy` would share the containers and `deepcopy` take the parents: both name the right way."""
        obj = UvmObject(parents=UvmObject())
        with pytest.raises(TypeError, match="clone"):
            copy.copy(obj)
        with pytest.raises(TypeError, match="clone"):
            copy.deepcopy(obj)


class TestDelegation:
    def test_a_parent_may_be_one_object_or_a_list(self) -> None:
        """`parents` is an object or a list of objects."""
        parent = UvmObject(n=1)
        assert UvmObject(parents=parent).n == UvmObject(parents=[parent]).n == 1

    @pytest.mark.parametrize("bad", [5, "genesis_obj", [UvmObject(), None], {"a": 1}])
    def test_other_parents_are_refused(self, bad: object) -> None:
        """A parent that is no object is refused at the assignment."""
        with pytest.raises(Unstorable, match="parents"):
            UvmObject(parents=bad)

    def test_a_cycle_of_parents_ends(self) -> None:
        """Parents may form a cycle; a name that nobody has is simply missing."""
        one, two = UvmObject(), UvmObject(n=1)
        one.parents, two.parents = [two], [one]
        assert one.n == 1
        assert not hasattr(one, "missing")


class TestStorable:
    @pytest.mark.parametrize(
        ("value", "names"),
        [
            (lambda: 1, "install"),
            (len, "install"),
            ((n for n in ()), "generator"),
            (threading.Lock(), "lock"),
            (pytest, "module"),
            (ValueError("x"), "ValueError"),
            (Counter("aab"), "plain dict"),
            (Point(1, 2), "plain tuple"),
            (bytearray(b"x"), "bytearray"),
            (Ref(b"\0" * 8), "from_plain"),
            (dt.datetime(2020, 1, 1, tzinfo=type("Odd", (dt.tzinfo,), {})()), "time zone"),
            ([{"deep": ({1: object()},)}], "object"),
            (UvmObject()._p_repr, "install"),
            (asyncio.Lock(), "Lock"),
            (sys.stdin, "not data"),
        ],
    )
    def test_what_would_not_load_again_is_refused(self, value: object, names: str) -> None:
        """An unstorable value is refused at the assignment, naming slot, type and mend; the slot stays as it was."""
        obj = UvmObject(held=1)
        with pytest.raises(Unstorable, match=names) as caught:
            obj.held = value
        assert "'held'" in str(caught.value)
        assert type(value).__name__ in str(caught.value)
        assert obj.held == 1

    @pytest.mark.parametrize("value", [asyncio.Lock(), ValueError("x"), len, Path("x")])
    def test_what_came_in_place_is_refused_at_the_commit(self, image: Image, value: object) -> None:
        """A list that got something unstorable past the assignment stores nothing, and the error names the slot."""
        image.transact_now(make, {"notes": [1]})

        def spoil(view: View) -> None:
            obj = view.resolve("thing")
            obj.notes.append(value)
            obj._p_changed = True

        with pytest.raises(Unstorable, match="'notes'"):
            image.transact_now(spoil)
        assert image.read_now(lambda view: list(view.resolve("thing").notes)).value == [1]

    def test_objects_of_another_connection_are_refused(self, image: Image) -> None:
        """An object that another unit of work has is no value here, at the assignment or in a new object's slot."""
        image.transact_now(make, {"n": 1})

        def mix(view: View, *, new: bool) -> None:
            other = view.conn.db().open(TransactionManager(explicit=True))
            try:
                other.transaction_manager.begin()
                theirs = other.root()["thing"]
                if new:
                    view.root["other"] = UvmObject(friend=theirs)
                else:
                    view.root["thing"].friends = [{"a": theirs}]
            finally:
                other.transaction_manager.abort()
                other.close()

        for new in (False, True):
            with pytest.raises(Unstorable, match=r"'friends?' .*another connection"):
                image.transact_now(partial(mix, new=new))

    def test_a_container_that_holds_itself_is_refused(self) -> None:
        """A cycle in a container is found, not followed for ever."""
        loop: list[object] = []
        loop.append(loop)
        with pytest.raises(Unstorable, match="holds itself"):
            UvmObject(held=loop)

    def test_objects_and_trees_are_stored(self, image: Image, reopen: Callable[[], Image]) -> None:
        """Other objects and the index structures of the image are values like any other."""

        def build(view: View) -> None:
            tree = OOBTree()
            tree["k"] = UvmObject(n=1)
            view.root["thing"] = UvmObject(tree=tree, friends={"a": [UvmObject(n=2)]})

        image.transact_now(build)
        seen = reopen().read_now(
            lambda view: (view.resolve("thing").tree["k"].n, view.resolve("thing").friends["a"][0].n)
        )
        assert seen.value == (1, 2)


class TestDurability:
    @pytest.mark.parametrize("ghost", [False, True])
    def test_a_change_in_place_with_the_flag_is_durable(
        self, image: Image, reopen: Callable[[], Image], ghost: bool
    ) -> None:
        """`obj.notes.append(x); obj._p_changed = True` is stored, on a loaded object and on a ghost."""
        image.transact_now(make, {"notes": [1], "mapping": {"a": {1}}})

        def change(view: View) -> None:
            obj = view.resolve("thing")
            if ghost:
                obj._p_deactivate()
            obj.notes.append(2)
            obj.mapping["a"].add(2)
            obj._p_changed = True

        image.transact_now(change)
        seen = reopen().read_now(lambda view: (list(view.resolve("thing").notes), dict(view.resolve("thing").mapping)))
        assert seen.value == ([1, 2], {"a": {1, 2}})

    def test_another_process_sees_it(self, image: Image) -> None:
        """What the Covenant's last line made durable, a fresh process reads: a list, a nested one, on a ghost."""
        image.transact_now(make, {"notes": [1], "nested": {"a": [[1]]}})

        def change(view: View) -> None:
            view.conn.cacheMinimize()
            obj = view.resolve("thing")
            obj.notes.append(2)
            obj.nested["a"][0].append(2)
            obj._p_changed = True

        image.transact_now(change)
        image.close_now()
        script = (
            "import sys; from pathlib import Path; from batos.image.store import Image\n"
            "image = Image(Path(sys.argv[1]), Path(sys.argv[2]))\n"
            "print(image.read_now(lambda view: (view.resolve('thing').notes, view.resolve('thing').nested)).value)\n"
            "image.close_now()\n"
        )
        command = [sys.executable, "-c", script, str(image.db_file), str(image.blob_dir)]
        done = subprocess.run(
            command, cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=60, check=False
        )
        assert done.stdout.strip() == "([1, 2], {'a': [[1, 2]]})", done.stderr

    @pytest.mark.parametrize("write", ["attribute", "view", "delete", "view delete"])
    def test_a_write_to_a_ghost_is_durable(self, image: Image, reopen: Callable[[], Image], write: str) -> None:
        """Setting or deleting a slot of an object that is not loaded yet loses nothing."""
        image.transact_now(make, {"n": 1, "other": 2})

        def change(view: View) -> None:
            obj = view.resolve("thing")
            obj._p_deactivate()
            if write == "attribute":
                obj.n = 5
            elif write == "view":
                obj._slots["n"] = 5
            elif write == "delete":
                del obj.n
            else:
                del obj._slots["n"]

        image.transact_now(change)
        wanted = {"n": 5, "other": 2} if "delete" not in write else {"other": 2}
        assert reopen().read_now(lambda view: dict(view.resolve("thing")._slots)).value == wanted

    def test_an_object_is_one_record(self, image: Image) -> None:
        """Slots and plain containers lie in the object's own record."""
        before = image.statistics()["objects"]
        image.transact_now(make, {"notes": [1, [2]], "table": {"a": {"b": (1, 2)}}, "many": set(range(10))})
        assert image.statistics()["objects"] == before + 1

    def test_every_plain_type_comes_back_as_it_was(self, image: Image, reopen: Callable[[], Image]) -> None:
        """What the codec carries survives storing, with its type."""
        from zoneinfo import ZoneInfo

        slots = {
            "nothing": None,
            "yes": True,
            "big": 1 << 200,
            "real": 1.5,
            "turned": 1 + 2j,
            "text": "ü\ud800",
            "data": b"\0\xff",
            "money": Decimal("1.10"),
            "utc": dt.datetime(2024, 5, 6, tzinfo=dt.UTC),
            "berlin": dt.datetime(2024, 5, 6, 7, tzinfo=ZoneInfo("Europe/Berlin")),
            "naive": dt.datetime(2024, 5, 6),  # noqa: DTZ001
            "day": dt.date(2024, 5, 6),
            "noon": dt.time(12, tzinfo=dt.timezone(dt.timedelta(hours=2), "X")),
            "span": dt.timedelta(days=-1, microseconds=3),
            "pair": (1, (2, [3])),
            "some": {1, "a"},
            "fixed": frozenset({(1, 2)}),
            "keys": {(1, 2): 1, None: 2, 3: 3, True: 4, dt.date(2024, 1, 1): 5},
        }
        image.transact_now(make, slots)
        seen = reopen().read_now(lambda view: dict(view.resolve("thing")._slots)).value
        assert seen == slots
        assert {name: type(value) for name, value in seen.items()} == {k: type(v) for k, v in slots.items()}
        assert seen["berlin"].tzinfo.key == "Europe/Berlin"
