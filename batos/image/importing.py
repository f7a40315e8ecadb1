"""Takes an exported object into an image: the same methods, versions, provenance and data under new oids."""

from __future__ import annotations

import json
import keyword
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from batos.errors import BadField, CovenantViolationError, PolicyViolation
from batos.image import changes, exporting, lookup, methods, portable, registry, senders
from batos.image.exporting import MAIN, NAMED, OBJECT, Files
from batos.image.methods import MethodVersion, Primitive
from batos.image.objects import UvmObject, own
from batos.image.values import from_plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from batos.codec import Ref
    from batos.image.registry import Target
    from batos.image.view import View


def take_in(
    view: View, files: Files, name: str | None = None, into: Target | None = None, force: bool = False
) -> dict[str, Any]:
    """Make an object, and those beside it, from the files of an export.

    Args:
        view: The unit of work.
        files: Contents by path, as `exporting.export` gives them.
        name: What it is called here; None: what it was called there.
        into: Add its methods and slots to this object instead of making one; its own parents stay.
        force: Into an object: let a method whose history differs become a new version, and replace slots that differ.

    Returns:
        `oid`, `name`, `objects` (how many came), and `methods`: `oid`, `selector`, `signature`, `summary`, `versions`
        (how many came) of each that is active.

    Raises:
        BadField: A file is missing or wrong, a digest does not match, the name is taken, or this image lacks an object
            that the export names.
        UnknownTarget: There is no object `into`.
    """
    with _well_formed():
        return _Importer(view, files, force=force).run(name, into)


def active_sources(files: Files) -> list[tuple[str, str]]:
    """The selector and source of every method in an export that would be active: what an audit has to read first.

    Raises:
        BadField: A file is not what an export writes.
    """
    found = []
    for path, content in sorted(files.items()):
        folder, _, name = path.rpartition("/")
        source = files.get(f"{path.removesuffix('.json')}.py")
        if folder.rpartition("/")[2] != "methods" or not name.endswith(".json") or source is None:
            continue
        with _well_formed():
            selector = json.loads(content.decode("utf-8", "surrogatepass"))["selector"]
            found.append((str(selector), source.decode("utf-8", "surrogatepass")))
    return found


def refuse(selector: str, findings: list[dict[str, Any]]) -> None:
    """Refuse a method by what an audit has found; does nothing where it found nothing.

    Raises:
        CovenantViolationError, PolicyViolation: It found something.
    """
    if not findings:
        return
    error = PolicyViolation if all(found["kind"] == "policy" for found in findings) else CovenantViolationError
    said = "; ".join(f"line {found['line']}: {found['message']}" for found in findings)
    raise error(f"`{selector}`: {said}", "Mend it where it comes from, or import with `force`.", findings=findings)


class _Importer:
    def __init__(self, view: View, files: Files, *, force: bool) -> None:
        self._view = view
        self._files = files
        self._force = force
        self._objects: dict[str, UvmObject] = {}
        self._came: list[dict[str, Any]] = []

    def run(self, name: str | None, into: Target | None) -> dict[str, Any]:
        labels = sorted(
            (path.removesuffix(f"/{OBJECT}") for path in self._files if path.endswith(f"/{OBJECT}")),
            key=lambda label: (len(label), label),
        )
        # In the order of their labels, so that their oids are in that order too.
        self._objects[MAIN] = UvmObject() if into is None else self._view.resolve(into)
        self._view.ref(self._objects[MAIN])
        for label in labels:
            self._objects[label] = UvmObject()
            self._view.ref(self._objects[label])
        abouts = {label: self._read(label, OBJECT) for label in self._objects}
        for label, about in abouts.items():
            self._fill(label, about, into_there=label == MAIN and into is not None)
        main = self._objects[MAIN]
        if into is None:
            self._register(main, abouts[MAIN], name or abouts[MAIN]["name"], always=True)
        for label in labels:
            self._register(self._objects[label], abouts[label], None, always=False)
        ref = self._view.ref(main)
        return {
            "oid": ref,
            "name": registry.names(self._view).get(ref.oid),
            "objects": len(self._objects),
            "methods": self._came,
        }

    def _register(self, obj: UvmObject, about: dict[str, Any], name: str | None, *, always: bool) -> None:
        if always or about["registered"]:
            registry.register(self._view, obj, name)
        if about["removed"] is not None and not always:
            setattr(obj, registry.REMOVED, str(about["removed"]))

    def _fill(self, label: str, about: dict[str, Any], *, into_there: bool) -> None:
        obj = self._objects[label]
        if about.get("format") != exporting.FORMAT:
            raise BadField(f"{_path(label, OBJECT)} has the format {about.get('format')!r}")
        if not into_there:
            obj.parents = [self._stored(parent) for parent in about["parents"]]
        for slot, value in about["slots"].items():
            self._put(obj, slot, self._stored(value), there=into_there and slot in own(obj))
        for slot, primitive in about["primitives"].items():
            _check_behaviour(slot)
            if slot not in own(obj):
                setattr(obj, slot, Primitive(str(primitive)))
        for selector in about["methods"]:
            _check_behaviour(selector)
            self._method(label, obj, selector)

    def _put(self, obj: UvmObject, slot: str, value: Any, *, there: bool) -> None:
        if there and not changes.same(own(obj)[slot], value) and not self._force:
            raise BadField(f"The slot `{slot}` holds something else already", "Replace it with `force`.")
        registry.put(obj, {slot: value})

    def _method(self, label: str, obj: UvmObject, selector: str) -> None:
        about = self._read(label, f"methods/{exporting.stem(selector)}.json")
        rows = about["versions"]
        # What the audit has read must be what comes in.
        if about["selector"] != selector or not rows:
            raise BadField(f"{_path(label, f'methods/{exporting.stem(selector)}.json')} is not of `{selector}`")
        sources = [self._source(label, about, row) for row in rows]
        last = methods._last(obj, selector)
        known = [item.sha256 for item in methods.versions(last)][::-1]
        new = [row["sha256"] for row in rows]
        shared = min(len(known), len(new))
        if known[:shared] != new[:shared]:
            if not self._force:
                raise BadField(
                    f"`{selector}` has another history here",
                    "With `force` the imported source becomes a new version of it.",
                )
            shared = len(new) - 1
        for row, source in list(zip(rows, sources, strict=True))[shared:]:
            last = self._version(selector, row, source, last)
        assert last is not None  # there is at least one row
        self._place(obj, selector, last, about, came=len(new) - shared)

    def _place(self, obj: UvmObject, selector: str, last: MethodVersion, about: dict[str, Any], *, came: int) -> None:
        facts = [self._stored(fact) for fact in about["removed"]]
        if facts and selector not in methods._removed(obj):
            removed = next(item for item in methods.versions(last) if item.version == facts[-1]["version"])
            setattr(obj, methods.REMOVED, {**methods._removed(obj), selector: {"last": removed, "facts": facts}})
        if not about["active"] or own(obj).get(selector) is last:
            return
        before = own(obj).get(selector)
        if before is not None and not isinstance(before, MethodVersion):
            raise BadField(f"The slot `{selector}` holds something that is no method")
        setattr(obj, selector, last)
        senders.add(self._view, obj, selector, last._source, before._source if before is not None else "")
        told = {"selector": selector, "signature": last.signature, "summary": last.summary, "versions": came}
        self._came.append({"oid": self._view.ref(obj), **told})

    def _version(
        self, selector: str, row: dict[str, Any], source: str, previous: MethodVersion | None
    ) -> MethodVersion:
        version = MethodVersion(
            selector,
            source,
            previous=previous,
            provenance=self._stored(row["provenance"]),
            signature=str(row["signature"]),
            summary=str(row["summary"]),
        )
        version.time = str(row["time"])
        return version

    def _source(self, label: str, about: dict[str, Any], row: dict[str, Any]) -> str:
        selector, newest = about["selector"], row is about["versions"][-1]
        path = exporting.version_file(selector, row["version"])
        if about["active"] and newest:
            path = f"methods/{exporting.stem(selector)}.py"
        source = self._text(label, path)
        if methods.digest(source) != row["sha256"]:
            raise BadField(
                f"{_path(label, path)} does not match the digest in its history",
                "An import brings back what was exported: use `install` for a source of your own.",
            )
        return source

    def _stored(self, value: Any) -> Any:
        return from_plain(self._view, value)

    def _read(self, label: str, path: str) -> dict[str, Any]:
        try:
            found = portable.from_json(json.loads(self._text(label, path)), self._find)
        except ValueError as error:
            raise BadField(f"{_path(label, path)} cannot be read: {error}") from None
        if not isinstance(found, dict):
            raise BadField(f"{_path(label, path)} holds no map")
        return found

    def _text(self, label: str, path: str) -> str:
        content = self._files.get(_path(label, path))
        if content is None:
            raise BadField(f"{_path(label, path)} is missing")
        try:
            return content.decode("utf-8", "surrogatepass")
        except UnicodeDecodeError as error:
            raise BadField(f"{_path(label, path)} is not UTF-8: {error}") from None

    def _find(self, label: str) -> Ref:
        if label in self._objects:
            return self._view.ref(self._objects[label])
        there = self._view.root.get(label.removeprefix(NAMED)) if label.startswith(NAMED) else None
        if not isinstance(there, UvmObject):
            raise BadField(f"The export names the object {label!r}, which this image has not", "Import that one first.")
        return self._view.ref(there)


def _check_behaviour(name: str) -> None:
    """See that a name may be that of a method or primitive: no slot of the system comes in by a file."""
    public = lookup.is_public(name) or name in exporting.PROTOCOL
    if not public or not name.isidentifier() or keyword.iskeyword(name):
        raise BadField(f"{name!r} cannot be the name of a method")


@contextmanager
def _well_formed() -> Iterator[None]:
    """What a file lacks or has too much of is the file's fault."""
    try:
        yield
    except (KeyError, ValueError, AttributeError, TypeError, IndexError, StopIteration) as error:
        raise BadField(f"The files are not those of an export: {type(error).__name__}: {error}") from None


def _path(label: str, path: str) -> str:
    return path if label == MAIN else f"{label}/{path}"
