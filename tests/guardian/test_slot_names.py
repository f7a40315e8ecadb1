"""Slots that are named as slots cannot be are renamed throughout, and nothing else changes."""

import ast

import pytest

from batos.guardian.auditing import audit
from batos.guardian.mending import mend
from batos.guardian.slot_names import rename_slots, slots_of


def _renamed(source):
    return rename_slots(source, ast.parse(source))[0]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("self._items = []", "self.items = []"),
        ("x = getattr(self, '_items', []) + self._items", "x = getattr(self, 'items', []) + self.items"),
        ("self._items = self.items", "self.items_slot = self.items"),
        ('self.f = getattr(self, "f", 0)', "self.f_value = getattr(self, 'f_value', 0)"),
        ("self._f = 1", "self.f_slot = 1"),
        ("self.ärger = self._ärger = 1", "self.ärger = self.ärger_slot = 1"),
        ("'ä'; self._x = self._x + self._xy", "'ä'; self.x = self.x + self.xy"),
        ("self._class = 1", "self.class_slot = 1"),
        ("self.__x = 1", "self.__x = 1"),
        ("self._p_changed = True", "self._p_changed = True"),
        ("self.f(1); other._x = 2", "self.f(1); other._x = 2"),
        ("return self.f(n - 1)", "return self.f(n - 1)"),
    ],
)
def test_names(before, after):
    """Leading underscores go, a slot called like the method gets another name, taken names are avoided."""
    head = "def f(self, n):\n    "
    assert _renamed(f"{head}{before}\n") == f"{head}{after}\n"


@pytest.mark.parametrize(
    "body",
    [
        "class Item:\n        def __init__(self, rank): self._rank = rank\n        def __lt__(self, other): return self._rank < other._rank\n    return Item(1) < Item(n)",
        "def kept(self): return getattr(self, '_x', self._x)\n    return kept(n)",
        "return [self._x for self in n]",
        "return (lambda self: self._x + self.f)(n)",
    ],
)  # fmt: skip
def test_another_self_keeps_its_names(body):
    """What a class or function inside calls `self` is not the method's object, and its names stay as they are."""
    source = f"def f(self, n):\n    {body}\n"
    assert _renamed(source) == source
    assert slots_of(ast.parse(source)) == []


def test_the_receiver_inside_of_functions_is_renamed():
    """A function inside that sees the method's own `self` names the same slots, and so do a source's other methods."""
    source = "def f(self):\n    return (lambda: self._x)()\n\ndef g(self):\n    return self._x\n"
    assert _renamed(source) == source.replace("_x", "x")


def test_a_mended_counter_passes():
    """The counter that small models write is mended into one that passes the audit, and says how."""
    source = "def count(self):\n    self._count = getattr(self, '_count', 0) + 1\n    return self._count\n"
    mended, done = mend(source)
    assert audit(mended, selector="count") == []
    assert done[0] == "renamed the slot `_count` to `count_slot`"
    assert mend(mended) == (mended, [])


@pytest.mark.parametrize("how", ["getattr(other, '_x')", "hasattr(other, '_x')", "setattr(other, '_x', 1)"])
def test_underscores_in_texts_are_found(how):
    """A name that begins with an underscore is a policy finding, also where it is spelt as a text."""
    assert [f.rule for f in audit(f"def f(self, other):\n    return {how}\n") if f.rule == "underscore"] == [
        "underscore"
    ]
