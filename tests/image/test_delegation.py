"""What a connection remembers of lookups is right, whatever happens around it (`batos.image.delegation`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from transaction import TransactionManager
from ZODB.MappingStorage import MappingStorage
from ZODB.POSException import ConflictError

from batos.image import delegation, lookup
from batos.image.engine import ImageDB
from batos.image.methods import Primitive
from batos.image.objects import UvmObject

if TYPE_CHECKING:
    from batos.image.store import Image, View

COUNT = 5
NAMES = ("alpha", "beta", "gamma")
numbers = st.integers(0, COUNT - 1)
values = st.one_of(
    st.integers(0, 3), st.sampled_from(["clone", "infer"]).map(Primitive), st.lists(st.integers(), max_size=2)
)

Model = dict[int, dict[str, Any]]
"""Number → slots; `parents` are numbers."""


def copied(model: Model) -> Model:
    return {number: dict(slots) for number, slots in model.items()}


def expected(model: Model, number: int, name: str) -> Any:
    """Self's rule in plain Python: depth first, each object once."""
    seen: list[int] = []
    waiting = [number]
    while waiting:
        current = waiting.pop(0)
        if current in seen:
            continue
        seen.append(current)
        if name in model[current]:
            return model[current][name]
        waiting = [*model[current]["parents"], *waiting]
    return None


class Connections(RuleBasedStateMachine):
    """Two connections to one database write slots and parents, commit, conflict and abort; reads follow a model."""

    def __init__(self) -> None:
        super().__init__()
        self.db = ImageDB(MappingStorage(), cache_size=3)
        self.managers = [TransactionManager(explicit=True) for _ in range(2)]
        self.conns = [self.db.open(manager) for manager in self.managers]
        self.committed: Model = {number: {"parents": []} for number in range(COUNT)}
        with self.managers[0] as current:
            for number in range(COUNT):
                self.conns[0].root()[str(number)] = UvmObject(parents=[])
            current.note("furnish")
        self.seen: list[Model] = [{}, {}]
        self.changed: list[set[int]] = [set(), set()]

    @initialize()
    def begin_both(self) -> None:
        for who in (0, 1):
            self.begin(who)

    def begin(self, who: int) -> None:
        self.managers[who].begin()
        self.seen[who] = copied(self.committed)
        self.changed[who] = set()

    def object(self, who: int, number: int) -> Any:
        return self.conns[who].root()[str(number)]

    @rule(who=st.integers(0, 1), number=numbers, name=st.sampled_from(NAMES), value=values)
    def write(self, who: int, number: int, name: str, value: Any) -> None:
        setattr(self.object(who, number), name, value)
        self.seen[who][number][name] = value
        self.changed[who].add(number)

    @rule(who=st.integers(0, 1), number=numbers, name=st.sampled_from(NAMES))
    def delete(self, who: int, number: int, name: str) -> None:
        if name in self.seen[who][number]:
            delattr(self.object(who, number), name)
            del self.seen[who][number][name]
            self.changed[who].add(number)

    @rule(
        who=st.integers(0, 1), number=numbers, chosen=st.lists(numbers, max_size=3), kind=st.sampled_from([list, tuple])
    )
    def inherit(self, who: int, number: int, chosen: list[int], kind: type) -> None:
        self.object(who, number).parents = kind(self.object(who, index) for index in chosen)
        self.seen[who][number]["parents"] = chosen
        self.changed[who].add(number)

    @rule(who=st.integers(0, 1), number=numbers, other=numbers)
    def inherit_in_place(self, who: int, number: int, other: int) -> None:
        obj = self.object(who, number)
        if isinstance(obj.parents, list):
            listed = obj.parents
            self.everything_is_found()
            listed.append(self.object(who, other))
            obj._p_changed = True
            self.seen[who][number]["parents"] = [*self.seen[who][number]["parents"], other]
            self.changed[who].add(number)

    @rule(who=st.integers(0, 1))
    def commit(self, who: int) -> None:
        try:
            self.managers[who].commit()
        except ConflictError:
            self.managers[who].abort()
        else:
            for number in self.changed[who]:
                self.committed[number] = dict(self.seen[who][number])
        self.begin(who)

    @rule(who=st.integers(0, 1))
    def abort(self, who: int) -> None:
        self.managers[who].abort()
        self.begin(who)

    @rule(who=st.integers(0, 1))
    def deactivate(self, who: int) -> None:
        self.conns[who].cacheMinimize()

    @precondition(lambda self: self.seen[0])
    @rule(who=st.integers(0, 1), number=numbers, name=st.sampled_from(NAMES), value=values, back=st.booleans())
    def savepoint(self, who: int, number: int, name: str, value: Any, back: bool) -> None:
        point = self.managers[who].savepoint()
        before, changed = copied(self.seen[who]), set(self.changed[who])
        self.write(who, number, name, value)
        self.everything_is_found()
        if back:
            point.rollback()
            self.seen[who], self.changed[who] = before, changed

    @precondition(lambda self: self.seen[0])
    @invariant()
    def everything_is_found(self) -> None:
        for who, model in enumerate(self.seen):
            for number in model:
                obj = self.object(who, number)
                for name in NAMES:
                    wanted = expected(model, number, name)
                    assert getattr(obj, name, None) == wanted
                    found = lookup.find(obj, name)
                    assert (found.value if found else None) == wanted

    def teardown(self) -> None:
        for manager, conn in zip(self.managers, self.conns, strict=True):
            manager.abort()
            conn.close()
        self.db.close()


def test_lookups_follow_the_model() -> None:
    """Random slot and parent writes, aborts, savepoints and conflicts: every read is what plain Python finds."""
    run_state_machine_as_test(
        Connections,
        settings=settings(
            max_examples=40, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )


@pytest.fixture
def family(world: Image) -> Image:
    """`genesis_obj` below `traits_obj`, which has the data slot `n` and the primitive `clone`."""

    def furnish(view: View) -> None:
        view.resolve("traits_obj")._slots.update(n=1, clone=Primitive("clone"))

    world.transact_now(furnish)
    return world


def remembered(view: View) -> int:
    kept: dict[Any, Any] = view.conn.remembered.holders
    return len(kept)


class TestRemembering:
    def test_it_lasts_over_units_of_work(self, family: Image) -> None:
        """What a read found, the next unit of work does not search again; writes of data do not disturb it."""

        def ask(view: View) -> tuple[int, int]:
            return view.root["genesis_obj"].n, remembered(view)

        assert family.read_now(ask).value == (1, 1)
        family.transact_now(lambda view: setattr(view.root["traits_obj"], "n", 2))
        assert family.read_now(remembered).value == 1
        assert family.read_now(ask).value == (2, 1)

    def test_containers_are_never_remembered(self, family: Image) -> None:
        """A list found by delegation is the holder's own, also after the holder was loaded anew."""

        def ask(view: View) -> bool:
            genesis, traits = view.root["genesis_obj"], view.root["traits_obj"]
            first = genesis.notes is traits.notes
            view.conn.cacheMinimize()
            return first and genesis.notes is traits.notes

        family.transact_now(lambda view: setattr(view.root["traits_obj"], "notes", [1]))
        assert family.read_now(ask).value is True

    def test_objects_of_no_connection_are_searched(self, family: Image) -> None:
        """A new parent changes without a word to the connection: nothing that passes it is remembered."""

        def ask(view: View) -> list[object]:
            fresh, genesis = UvmObject(), view.root["genesis_obj"]
            genesis.parents = (fresh, *lookup.parents(genesis))
            before = genesis.n
            fresh.n = 5
            return [before, genesis.n, fresh.n]

        assert family.read_now(ask).value == [1, 5, 5]
        assert family.read_now(lambda view: view.root["genesis_obj"].n).value == 1

    def test_parents_can_be_taken_away(self, family: Image) -> None:
        """Without parents nothing is inherited, at once and after the commit."""

        def orphan(view: View) -> tuple[int, bool, bool]:
            genesis = view.root["genesis_obj"]
            before = genesis.n
            del genesis.parents
            return before, hasattr(genesis, "n"), hasattr(genesis, "parents")

        assert family.transact_now(orphan).value == (1, False, False)
        family.study_now(lambda view: view.conn.cacheMinimize())
        assert family.study_now(lambda view: hasattr(view.root["genesis_obj"], "n")).value is False

    def test_misses_are_remembered_too(self, family: Image) -> None:
        """A name that nobody has is searched once, and found when somebody gets it."""

        def miss(view: View) -> list[object]:
            genesis = view.root["genesis_obj"]
            before = [hasattr(genesis, "m"), hasattr(genesis, "m"), remembered(view)]
            view.root["traits_obj"].m = 3
            return [*before, genesis.m]

        assert family.read_now(miss).value == [False, False, 1, 3]

    def test_it_does_not_grow_without_end(self, family: Image, monkeypatch: pytest.MonkeyPatch) -> None:
        """Over its limit the memory begins anew."""
        monkeypatch.setattr(delegation, "MAX_REMEMBERED", 10)

        def many(view: View) -> int:
            for number in range(95):
                assert not hasattr(view.root["genesis_obj"], f"name{number}")
            return remembered(view)

        assert family.read_now(many).value <= 10


class TestQuickNames:
    def test_a_name_found_once_is_no_slot_of_the_class(self) -> None:
        """The class attribute of a quick name is not there for the class, for `dir`, or for who lacks the slot."""
        child = UvmObject(parents=UvmObject(swiftly=1))
        assert child.swiftly == 1
        assert "swiftly" in vars(UvmObject)
        assert not hasattr(UvmObject, "swiftly")
        assert not hasattr(UvmObject(), "swiftly")
        assert "swiftly" not in dir(child)
        assert "swiftly" in dir(child.parents)

    def test_names_of_classes_get_none(self) -> None:
        """A slot whose name Python asks classes for works, and leaves the class as it is."""
        assert UvmObject(parents=UvmObject(mro=1)).mro == 1
        assert UvmObject.mro()[0] is UvmObject

    def test_own_slots_win_over_quick_names(self) -> None:
        """An object's own slot is read, written and deleted as ever."""
        child = UvmObject(parents=UvmObject(swift=1))
        assert child.swift == 1
        child.swift = 2
        assert (child.swift, child.parents.swift) == (2, 1)
        del child.swift
        assert child.swift == 1
        with pytest.raises(AttributeError):
            del child.swift
