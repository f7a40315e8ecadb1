"""Who sends a message: an index of the names that methods call, kept when a method comes, goes, or comes back.

`root["senders"]` (an OOBTree) holds for each called name a set of `(oid, selector)`. A call is any `….name(…)` in the
source: what it is called on is known only at run time. The index may name a method that is gone; who asks looks again.
"""

from __future__ import annotations

import ast
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from BTrees.OOBTree import OOBTree, OOTreeSet

from batos.codec import Ref
from batos.errors import UnknownTarget
from batos.image.objects import UvmObject, own

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from batos.image.view import View

SENDERS = "senders"

Key = tuple[bytes, str]


@lru_cache(maxsize=4096)
def calls(source: str) -> frozenset[str]:
    """The names that a source text calls on something; none where it is not Python."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return frozenset()
    called = (node.func for node in ast.walk(tree) if isinstance(node, ast.Call))
    return frozenset(func.attr for func in called if isinstance(func, ast.Attribute))


def add(view: View, obj: UvmObject, selector: str, source: str, before: str = "") -> None:
    """Note what an object's method calls now.

    Args:
        view: The unit of work.
        obj: The object that holds the method.
        selector: The method.
        source: Its source text.
        before: The source text that it had; "" for none.
    """
    key, new, old = (view.ref(obj).oid, selector), calls(source), calls(before)
    index = _index(view)
    _discard(index, old - new, key)
    for name in new - old:
        if name not in index:
            index[name] = OOTreeSet()
        index[name].add(key)


def drop(view: View, obj: UvmObject, selector: str, source: str) -> None:
    """Note that an object's method is gone."""
    _discard(_index(view), calls(source), (view.ref(obj).oid, selector))


def of(view: View, name: str, everyone: Iterable[UvmObject]) -> list[tuple[UvmObject, str]]:
    """The methods that call a name: the object that holds each, and its selector; by oid.

    Args:
        view: The unit of work.
        name: The message.
        everyone: All objects: they are asked where the image has no index yet.
    """
    index = view.root.get(SENDERS)
    if index is None:
        return [(obj, selector) for obj, selector, source in _active(everyone) if name in calls(source)]
    found = []
    for oid, selector in index.get(name, ()):
        obj = _object(view, oid)
        if obj is not None and any(name in calls(source) for _, s, source in _active([obj]) if s == selector):
            found.append((obj, selector))
    return found


def missing(view: View, everyone: Iterable[UvmObject]) -> list[tuple[UvmObject, str, str]]:
    """What the index should have and has not: object, selector and called name each; none without an index."""
    index = view.root.get(SENDERS)
    if index is None:
        return []
    wanted = ((obj, selector, name) for obj, selector, source in _active(everyone) for name in calls(source))
    return [(o, s, n) for o, s, n in wanted if (view.ref(o).oid, s) not in index.get(n, ())]


def build(view: View, everyone: Iterable[UvmObject]) -> None:
    """Make the index anew from all active methods."""
    index = view.root[SENDERS] = OOBTree()
    for obj, selector, source in _active(everyone):
        for name in calls(source):
            index.setdefault(name, OOTreeSet()).add((view.ref(obj).oid, selector))


def _index(view: View) -> Any:
    if SENDERS not in view.root:
        from batos.image import mirrors

        build(view, mirrors.everyone(view))
    return view.root[SENDERS]


def _discard(index: Any, names: Iterable[str], key: Key) -> None:
    for name in names:
        keys = index.get(name)
        if keys is not None and key in keys:
            keys.remove(key)
            if not keys:
                del index[name]


def _active(objects: Iterable[UvmObject]) -> Iterator[tuple[UvmObject, str, str]]:
    from batos.image.methods import MethodVersion

    for obj in objects:
        for selector, value in own(obj).items():
            if isinstance(value, MethodVersion):
                yield obj, selector, value._source


def _object(view: View, oid: bytes) -> UvmObject | None:
    try:
        return view.resolve(Ref(oid))
    except UnknownTarget:
        return None
