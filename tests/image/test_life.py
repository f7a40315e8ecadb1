"""An image's whole life against a model: install, modify, roll back, undo, pack, name moments, reopen, in any order.

What a second process reads from the file is compared with the model. `BATOS_IMAGE_STEPS=50000 pytest tests/image/test_life.py`
takes so many steps.
"""

from __future__ import annotations

import copy
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from batos.errors import BadField, Conflict, UnknownTarget
from batos.image import methods, migrations, packing, registry, snapshots, undo
from batos.image.store import Image
from tests.image.reader import Reader, state

if TYPE_CHECKING:
    from collections.abc import Iterator

    from batos.image.view import View

STEPS = int(os.environ.get("BATOS_IMAGE_STEPS", "1000"))
IN_A_LIFE = 50
OBJECTS = ["one", "two"]
objects = st.sampled_from(OBJECTS)
selectors = st.sampled_from(["says_a", "says_b"])
slots = st.sampled_from(["data_a", "data_b", "data_c"])

Model = dict[str, dict[str, Any]]


def install(view: View, name: str, selector: str, source: str, why: int) -> None:
    methods.install(view, view.root[name], selector, source, {"why": why}, signature="(self)", summary="")


def rollback(view: View, name: str, selector: str, number: int, why: int) -> None:
    methods.rollback(view, view.root[name], selector, number, {"why": why})


class Life(RuleBasedStateMachine):
    """One image from its awakening to its end."""

    reader: Reader
    steps = 0

    def __init__(self) -> None:
        super().__init__()
        self.home = Path(tempfile.mkdtemp(prefix="life-"))
        self.image = self.open()
        migrations.migrate(self.image)
        for name in OBJECTS:
            self.image.transact_now(registry.create, None, {}, name)
        self.now: Model = {name: {"slots": {}, "methods": {}} for name in OBJECTS}
        self.before: Model | None = None
        self.packed = False
        self.named: dict[str, Model] = {}
        self.number = 0

    def open(self) -> Image:
        return Image(self.home / "live_image.fs", self.home / "live_image.fs.blob")

    def change(self) -> int:
        """A change is about to be made; gives a number that was never used."""
        self.before, self.packed = copy.deepcopy(self.now), False
        self.step()
        self.number += 1
        return self.number

    def step(self) -> None:
        type(self).steps += 1

    def added(self, name: str, selector: str, source: str, why: int) -> None:
        versions = self.now[name]["methods"].setdefault(selector, [])
        for row in versions:
            row[2] = False
        versions.append([len(versions) + 1, source, True, why])

    @rule(name=objects, selector=selectors)
    def install(self, name: str, selector: str) -> None:
        number = self.change()
        source = f"def {selector}(self):\n    return {number}\n"
        self.image.transact_now(install, name, selector, source, number)
        self.added(name, selector, source, number)

    @rule(name=objects, selector=selectors, pick=st.integers(0, 20))
    def roll_back(self, name: str, selector: str, pick: int) -> None:
        versions = self.now[name]["methods"].get(selector)
        if versions:
            row = versions[pick % len(versions)]
            number = self.change()
            self.image.transact_now(rollback, name, selector, row[0], number)
            self.added(name, selector, row[1], number)

    @rule(name=objects, selector=selectors)
    def remove(self, name: str, selector: str) -> None:
        versions = self.now[name]["methods"].get(selector)
        if versions and versions[-1][2]:
            self.change()
            self.image.transact_now(registry.remove, name, selector)
            versions = self.now[name]["methods"][selector]
            versions[-1][2] = False

    @rule(name=objects, slot=slots)
    def modify(self, name: str, slot: str) -> None:
        number = self.change()
        self.image.transact_now(registry.set_slots, name, {slot: [number, {"deep": number}]})
        self.now[name]["slots"][slot] = [number, {"deep": number}]

    @rule(name=objects, slot=slots)
    def modify_in_place(self, name: str, slot: str) -> None:
        if slot not in self.now[name]["slots"]:
            return
        number = self.change()

        def append(view: View) -> None:
            obj = view.root[name]
            obj._slots[slot].append(number)
            obj._p_changed = True

        self.image.transact_now(append)
        self.now[name]["slots"][slot].append(number)

    @precondition(lambda self: self.before is not None)
    @rule()
    def undo(self) -> None:
        """The last change goes back; undone twice it is there again; what was packed away cannot be undone."""
        self.step()
        try:
            self.image.transact_now(undo.take_back, self.image.study_now(undo.find).value)
        except (Conflict, UnknownTarget):
            assert self.packed
            return
        assert self.before is not None
        self.now, self.before, self.packed = self.before, self.now, False

    @rule(days=st.sampled_from([0, 0, 1]))
    def pack(self, days: int) -> None:
        self.step()
        packing.pack(self.image, days)
        self.packed = True

    @rule(name=st.sampled_from(["dawn", "noon"]))
    def name_the_moment(self, name: str) -> None:
        self.step()
        if name in self.named:
            with pytest.raises(BadField):
                self.image.transact_now(snapshots.take, name)
            self.image.transact_now(snapshots.remove, name)
            del self.named[name]
        else:
            self.image.transact_now(snapshots.take, name)
            self.named[name] = copy.deepcopy(self.now)

    @rule()
    def fail(self) -> None:
        """A unit of work that raises leaves nothing behind."""
        self.step()

        def half(view: View) -> None:
            install(view, "one", "says_a", "def says_a(self): pass\n", 0)
            view.root["two"].data_a = 0
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            self.image.transact_now(half)

    @rule()
    def reopen(self) -> None:
        self.step()
        self.image.close_now()
        assert self.reader.ask(self.home / "live_image.fs") == self.now
        self.image = self.open()

    @rule()
    def look(self) -> None:
        """The present, and every named moment, are what they were, in this process and in another."""
        self.step()
        assert self.image.read_now(state, OBJECTS).value == self.now
        assert self.reader.ask(self.home / "live_image.fs") == self.now
        for name, model in self.named.items():
            tid = self.image.read_now(snapshots.tid_of, name).value
            assert self.image.study_now(state, OBJECTS, at=tid).value == model

    def teardown(self) -> None:
        try:
            self.look()
        finally:
            self.image.close_now()
            shutil.rmtree(self.home)


@pytest.fixture
def reader() -> Iterator[Reader]:
    process = Reader()
    yield process
    process.close()


@pytest.mark.timeout(36_000)
def test_a_life_follows_the_model(reader: Reader) -> None:
    """In whatever order things happen to an image, it holds what plain Python says it should."""
    Life.reader = reader
    Life.steps = 0
    lives = settings(
        max_examples=max(1, STEPS // IN_A_LIFE),
        stateful_step_count=IN_A_LIFE,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    while Life.steps < STEPS:
        run_state_machine_as_test(Life, settings=lives)
    print(f"{Life.steps} steps")
