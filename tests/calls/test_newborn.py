"""Objects that methods make: part of the call's transaction, or never there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from batos.errors import MethodError
from batos.image import mirrors, registry
from tests.calls.conftest import make

if TYPE_CHECKING:
    from batos.codec import Ref
    from batos.image.store import Image

pytestmark = pytest.mark.asyncio(loop_scope="module")

SPAWN = """def spawn(self, name):
    twin = self.clone()
    twin.name = name
    self.children = getattr(self, 'children', []) + [twin]
    self._p_changed = True
    return twin
"""
BEAR = """def bear(self):
    child = self.create(level=self.level + 1)
    grandchild = child.create(level=child.level + 1)
    child.heir = grandchild
    self._p_changed = True
    return [child, grandchild, grandchild.level, grandchild.told(), grandchild.word]
"""
TOLD = "def told(self):\n    return f'level {self.level}'\n"
FAIL = "def fail(self):\n    self.clone()\n    self.n = 2\n    self._p_changed = True\n    raise ValueError('no')\n"
HALF = """def half(self):
    try:
        self.fail()
    except ValueError:
        pass
    return self.clone()
"""
NAMES = "def names(self):\n    return [child.name for child in self.children]\n"


def objects(image: Image) -> int:
    """How many objects the registry keeps."""
    return image.read_now(lambda view: len(registry.registered(view))).value


def slots(image: Image, ref: Ref) -> dict:
    """An object's own data, read from the image."""
    return image.read_now(mirrors.inspect, ref).value["slots"]


async def test_a_clone_is_made_with_the_call(image, caller):
    """A clone keeps slots and methods, has its own later ones, and its reference lives in a slot and in the result."""
    ref = image.transact_now(make, None, {"name": "first", "tags": ["a"]}, SPAWN, NAMES).value
    sent = await caller.send(ref, "spawn", ["second"], {})
    again = await caller.send(sent.result, "spawn", ["third"], {})
    assert objects(image) == 3
    assert slots(image, sent.result)["name"] == "second"
    assert slots(image, again.result)["tags"] == ["a"]
    assert slots(image, ref)["children"] == [sent.result]
    assert slots(image, again.result).get("children") is None
    assert (await caller.send(ref, "names", [], {})).result == ["second"]


async def test_children_delegate_before_they_are_there(image, caller):
    """An object created from a prototype answers by delegation inside the call that made it, and afterwards too."""
    ref = image.transact_now(make, None, {"level": 1, "word": "w"}, BEAR, TOLD).value
    child, grandchild, level, told, word = (await caller.send(ref, "bear", [], {})).result
    assert (level, told, word) == (3, "level 3", "w")
    assert slots(image, child)["heir"] == grandchild
    assert image.read_now(mirrors.inspect, grandchild).value["parents"] == [child]
    assert (await caller.send(grandchild, "told", [], {})).result == "level 3"


async def test_an_error_leaves_no_object(image, caller):
    """A call that raises leaves none of the objects that it made; one whose callee raised leaves only its own."""
    ref = image.transact_now(make, None, {"n": 1}, FAIL, HALF).value
    with pytest.raises(MethodError):
        await caller.send(ref, "fail", [], {})
    assert (objects(image), slots(image, ref)["n"]) == (1, 1)
    twin = (await caller.send(ref, "half", [], {})).result
    assert (objects(image), slots(image, twin)["n"]) == (2, 1)


async def test_what_cannot_be_made_says_why(image, caller):
    """Too many objects, arguments that do not fit, and primitives with other effects are errors that name the reason."""
    ref = image.transact_now(
        make,
        None,
        {},
        "def many(self):\n    for _ in range(300):\n        self.create()\n",
        "def named(self):\n    return self.clone('x')\n",
        "def odd(self):\n    return self.create(**{'a b': 1})\n",
        "def adopted(self):\n    return self.create(parents=[self])\n",
        "def ask(self):\n    return self.infer_('hello')\n",
    ).value
    with pytest.raises(MethodError, match="256 objects"):
        await caller.send(ref, "many", [], {})
    with pytest.raises(MethodError, match="no arguments"):
        await caller.send(ref, "named", [], {})
    for selector in ("odd", "adopted"):
        with pytest.raises(MethodError, match="is not a slot"):
            await caller.send(ref, selector, [], {})
    with pytest.raises(MethodError, match="'infer' cannot be sent from inside a method"):
        await caller.send(ref, "ask", [], {})
    assert objects(image) == 1


async def test_nothing_is_made_in_the_past(image, caller):
    """A method that is sent to the past runs there, and what it makes is gone with the answer, which says so."""
    commit = image.transact_now(make, None, {"name": "x"}, SPAWN)
    sent = await caller.send(commit.value, "spawn", ["y"], {}, at=commit.tid)
    assert (sent.result, objects(image)) == ("<a new object>", 1)


async def test_what_two_objects_cannot_share_is_not_cloned(image, caller):
    """Cloning an object of the system whose slots hold an index is an error that the method may catch."""
    source = """def copy_it(self, other):
    try:
        return other.clone()
    except TypeError as error:
        return str(error)
"""
    ref = image.transact_now(make, None, {}, source).value
    catalog = image.read_now(lambda view: view.ref(view.root["knowledge_catalog_obj"])).value
    assert "cannot share" in (await caller.send(ref, "copy_it", [catalog], {})).result


async def test_a_written_parent_answers_its_children(image, caller):
    """What a call writes to a prototype shows in its children at once, as a slot and as a message."""
    source = """def teach_all(self):
    child = self.create()
    self.motto = 'new'
    self._p_changed = True
    return [child.motto, child.say()]
"""
    say = "def say(self):\n    return self.motto\n"
    ref = image.transact_now(make, None, {"motto": "old"}, source, say).value
    assert (await caller.send(ref, "teach_all", [], {})).result == ["new", "new"]
