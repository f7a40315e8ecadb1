"""Taking a callee's changes in where the method already holds the containers, however deep they lie.

What was packed and unpacked is another object than before; a method that holds `row = self.rows["x"]` while another method changes
the rows must find the changes in `row`, and what it does to `row` must count. So the old containers take over what the new ones hold.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    Shared = frozenset[int]

_DEPTH = 64


class Merge:
    """Puts what a new value holds into an old one.

    Args:
        pack: Tells values apart.
        shared: Ids of containers that lie in more than one place. In the image each place has its own, so none of them changes.
    """

    def __init__(self, pack: Callable[[Any], bytes], shared: Shared) -> None:
        self._pack = pack
        self._shared = shared

    def merged(self, old: Any, fresh: Any, depth: int = 0) -> Any:
        """Give the old value with what the new one holds, or the new one where the old one cannot take it."""
        kind = type(old)
        if type(fresh) is not kind or depth > _DEPTH:
            return fresh
        if kind is tuple:
            items = self._items(old, fresh, depth)
            same = len(items) == len(old) and all(new is before for new, before in zip(items, old, strict=True))
            return old if same else tuple(items)
        if kind not in (list, dict, set) or id(old) in self._shared:
            return fresh
        if kind is list:
            old[:] = self._items(old, fresh, depth)
        else:
            entries = {key: self._kept(old.get(key), fresh[key], depth) for key in fresh} if kind is dict else fresh
            old.clear()
            old.update(entries)
        return old

    def _kept(self, old: Any, fresh: Any, depth: int) -> Any:
        if not _can_hold(old) or type(fresh) is not type(old):
            return fresh
        return old if self._pack(old) == self._pack(fresh) else self.merged(old, fresh, depth + 1)

    def _items(self, old: list[Any] | tuple[Any, ...], fresh: list[Any] | tuple[Any, ...], depth: int) -> list[Any]:
        """Find each item's old self: the equal one, or the changed one that stood after the same equal one."""
        if not any(map(_can_hold, old)):
            return list(fresh)
        homes = _homes([self._pack(item) for item in old], [self._pack(item) for item in fresh])
        items = [old[homes[place]] if place in homes else item for place, item in enumerate(fresh)]
        gone = _strangers(len(old), {place: place for place in homes.values()})
        for anchor, places in _strangers(len(fresh), homes).items():
            before = gone.get(anchor, [])
            # Fewer than before: some were removed, and nobody can tell which.
            if len(before) <= len(places):
                for place, home in zip(places, before, strict=False):
                    items[place] = self.merged(old[home], fresh[place], depth + 1)
        return items


def _homes(olds: list[bytes], news: list[bytes]) -> dict[int, int]:
    """Where each item stood that did not change: at its own place, if need be elsewhere."""
    homes = {place: place for place, (one, other) in enumerate(zip(olds, news, strict=False)) if one == other}
    free: dict[bytes, list[int]] = {}
    for place in reversed(range(len(olds))):
        if place not in homes:
            free.setdefault(olds[place], []).append(place)
    for place, data in enumerate(news):
        if place not in homes and free.get(data):
            homes[place] = free[data].pop()
    return homes


def _strangers(size: int, homes: dict[int, int]) -> dict[int, list[int]]:
    """The places of what changed, by the old place of the unchanged item before them."""
    found: dict[int, list[int]] = {}
    anchor = -1
    for place in range(size):
        if place in homes:
            anchor = homes[place]
        else:
            found.setdefault(anchor, []).append(place)
    return found


def shared(values: Iterable[Any]) -> Shared:
    """Give the ids of containers that lie in more than one place of these values."""
    counts = Counter(id(part) for value in values for part in _parts(value))
    return frozenset(number for number, count in counts.items() if count > 1)


def _parts(value: Any, depth: int = 0) -> Iterator[Any]:
    if not isinstance(value, (list, dict, set, tuple)) or depth > _DEPTH:
        return
    yield value
    if not isinstance(value, set):
        for item in dict.values(value) if isinstance(value, dict) else value:
            yield from _parts(item, depth + 1)


def _can_hold(value: Any) -> bool:
    return type(value) in (list, dict, set, tuple)
