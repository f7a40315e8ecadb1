"""An object as a folder of readable text files that git can compare, with its methods, all their versions, and why.

::

    object.json                what it is called, its parents, data slots, primitives, methods
    methods/greet.py           the active source of a method
    methods/greet.json         its versions: number, time, digest, provenance; and when it was removed
    methods/greet/0001.py      the source of an older version
    objects/1/…                an object without a name that it refers to, in the same form

Other objects are named: `.` is the exported object, `objects/1` one beside it, `name:genesis_obj` a root object that the
other image must have. Oids and transactions belong to one image and do not travel, and neither do slots of the system
(grants, quarantines): what an object may do is for each image to say.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from batos.image import lookup, methods, portable, registry
from batos.image.methods import MethodVersion, Primitive
from batos.image.objects import UvmObject, own
from batos.image.values import NotPlain, to_plain

if TYPE_CHECKING:
    from batos.codec import Ref
    from batos.image.registry import Target
    from batos.image.view import View

FORMAT = 1
OBJECT = "object.json"
MAIN = "."
NAMED = "name:"

PROTOCOL = frozenset({"_process_synthesis_"})
"""A state's primitive: it has an underscore and travels all the same."""

Files = dict[str, bytes]
"""Contents by path within the folder, with `/`."""

_DEVICES = frozenset({"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(10))})


def export(view: View, target: Target) -> Files:
    """Give an object as files.

    Raises:
        UnknownTarget: There is no such object.
    """
    obj = view.resolve(target)
    return _Exporter(view, obj).files()


def stem(selector: str) -> str:
    """The name of a method's files: its selector, with a mark where some file system would take two for one."""
    simple = selector.isascii() and selector == selector.lower() and selector not in _DEVICES and len(selector) < 100
    return selector if simple else f"{selector[:60]}-{hashlib.sha256(selector.encode()).hexdigest()[:8]}"


def version_file(selector: str, number: int) -> str:
    """Where the source of an older version lies."""
    return f"methods/{stem(selector)}/{number:04}.py"


class _Exporter:
    def __init__(self, view: View, main: UvmObject) -> None:
        self._view = view
        self._labels: dict[bytes, str] = {view.ref(main).oid: MAIN}
        self._names = registry.names(view)
        self._waiting = [main]
        self._count = 0

    def files(self) -> Files:
        found: Files = {}
        while self._waiting:
            obj = self._waiting.pop(0)
            label = self._labels[self._view.ref(obj).oid]
            prefix = "" if label == MAIN else f"{label}/"
            found |= {prefix + path: content for path, content in self._object(obj).items()}
        return dict(sorted(found.items()))

    def _label(self, ref: Ref) -> str:
        """What an object is called in the files; one without a name comes along."""
        if ref.oid not in self._labels:
            if ref.oid in self._names:
                self._labels[ref.oid] = NAMED + self._names[ref.oid]
            else:
                self._waiting.append(self._view.get(ref))
                self._count += 1
                self._labels[ref.oid] = f"objects/{self._count}"
        return self._labels[ref.oid]

    def _object(self, obj: UvmObject) -> Files:
        slots = own(obj)
        data, left_out = self._data(slots)
        histories = dict(sorted(_histories(obj).items()))
        ref = self._view.ref(obj)
        about = {
            "format": FORMAT,
            "name": self._names.get(ref.oid),
            "registered": ref.oid in self._view.root.get(registry.REGISTRY, ()),
            "removed": slots.get(registry.REMOVED),
            "parents": [self._view.ref(parent) for parent in lookup.parents(obj)],
            "slots": data,
            "primitives": {name: value.name for name, value in sorted(slots.items()) if isinstance(value, Primitive)},
            "methods": list(histories),
            "left_out": left_out,
        }
        found = {OBJECT: self._text(about)}
        for selector, last in histories.items():
            found |= self._method(obj, selector, last)
        return found

    def _data(self, slots: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
        data, left_out = {}, {}
        for name, value in sorted(slots.items()):
            if name.startswith("_") or name == "parents" or lookup.is_behaviour(value):
                continue
            try:
                data[name] = to_plain(self._view, value)
            except NotPlain:
                left_out[name] = type(value).__name__
        return data, left_out

    def _method(self, obj: UvmObject, selector: str, last: MethodVersion) -> Files:
        slots = own(obj)
        active = slots.get(selector) is last
        chain = list(methods.versions(last))[::-1]
        facts = slots.get(methods.REMOVED, {}).get(selector, {"facts": []})["facts"]
        about = {
            "selector": selector,
            "active": active,
            "versions": [self._version(item) for item in chain],
            "removed": [to_plain(self._view, fact) for fact in facts],
        }
        found = {f"methods/{stem(selector)}.json": self._text(about)}
        for item in chain:
            newest = active and item is last
            path = f"methods/{stem(selector)}.py" if newest else version_file(selector, item.version)
            found[path] = item._source.encode("utf-8", "surrogatepass")
        return found

    def _version(self, item: MethodVersion) -> dict[str, Any]:
        return {
            "version": item.version,
            "time": item.time,
            "sha256": item.sha256,
            "signature": item.signature,
            "summary": item.summary,
            "provenance": to_plain(self._view, item.provenance),
        }

    def _text(self, value: dict[str, Any]) -> bytes:
        return portable.dumps(value, self._label).encode("utf-8", "surrogatepass")


def _histories(obj: UvmObject) -> dict[str, MethodVersion]:
    """The newest version of each method that an object has or had."""
    slots = own(obj)
    found = {selector: entry["last"] for selector, entry in slots.get(methods.REMOVED, {}).items()}
    return found | {name: value for name, value in slots.items() if isinstance(value, MethodVersion)}
