"""Behaviour in the image: versions of methods as source text, and the names of native primitives.

A method's slot holds its newest `MethodVersion`; each version is a persistent object of its own, is never changed, and
links to the one before. Taking back is a new version with the old source. A removed method leaves its last version in
the system slot `_removed_methods_`, so history outlives the removal and numbers go on from there.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from persistent import Persistent

from batos.errors import BadField, MethodError, NotAllowed, UnknownTarget
from batos.image import senders
from batos.image.delegation import Behaviour
from batos.image.objects import UvmObject, named, own
from batos.image.values import from_plain, to_plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from batos.image.store import View

REMOVED = "_removed_methods_"
_LOOK = "`inspect` shows what the object understands, `history` the versions of a method."


@dataclass(frozen=True, slots=True)
class Primitive(Behaviour):
    """Native behaviour by name, stored inside the slot; the kernel knows what runs."""

    name: str


class MethodVersion(Behaviour, Persistent):  # type: ignore[misc]
    """One version of a method, never changed once it is stored.

    Attributes:
        selector: The message.
        version: 1, 2, 3 …
        sha256: The digest of the source text, in hex.
        signature: Like `(self, name='you')`.
        summary: The first line of the docstring, or "".
        provenance: How it came to be, in stored form.
        time: When it was installed, ISO 8601, UTC.
        previous: The version before, None at the first.
    """

    def __init__(
        self,
        selector: str,
        source: str,
        *,
        previous: MethodVersion | None,
        provenance: dict[str, Any],
        signature: str,
        summary: str,
    ) -> None:
        super().__init__()
        self.selector = selector
        self.version: int = previous.version + 1 if previous is not None else 1
        self._source = source
        self.sha256 = digest(source)
        self.signature = signature
        self.summary = summary
        self.provenance = provenance
        self.time = now()
        self.previous = previous

    @property
    def source(self) -> str:
        """The source text.

        Raises:
            MethodError: The text is not what was installed: its digest is wrong.
        """
        if digest(self._source) != self.sha256:
            raise MethodError(
                f"The stored source of `{self.selector}` version {self.version} does not match its digest",
                "Roll back to another version, or restore a backup of the image.",
                selector=self.selector,
                version=self.version,
            )
        return self._source

    @property
    def tid(self) -> str | None:
        """The transaction that installed it, 16 hex digits; None before its commit."""
        self._p_activate()
        serial: bytes = self._p_serial
        return serial.hex() if any(serial) else None


def digest(source: str) -> str:
    """The sha256 of a source text, in hex."""
    return hashlib.sha256(source.encode("utf-8", "surrogatepass")).hexdigest()


def now() -> str:
    """The time now, ISO 8601, UTC."""
    return dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds")


def install(
    view: View,
    obj: UvmObject,
    selector: str,
    source: str,
    provenance: dict[str, Any],
    *,
    signature: str,
    summary: str,
) -> MethodVersion:
    """Make a source text the newest version of an object's method.

    Raises:
        BadField: The slot holds data, or the provenance is not plain data.
        NotAllowed: The slot holds a primitive.
        UnknownTarget: The provenance refers to no object.
    """
    _check_slot(obj, selector)
    version = MethodVersion(
        selector,
        source,
        previous=_last(obj, selector),
        provenance=from_plain(view, provenance),
        signature=signature,
        summary=summary,
    )
    before = own(obj).get(selector)
    setattr(obj, selector, version)
    senders.add(view, obj, selector, source, before._source if isinstance(before, MethodVersion) else "")
    return version


def rollback(
    view: View, obj: UvmObject, selector: str, version: int, provenance: dict[str, Any] | None = None
) -> MethodVersion:
    """Reinstall an old version's source as a new version; also brings a removed method back.

    Raises:
        UnknownTarget: The object has no such version of its own.
        MethodError: The old source does not match its digest.
    """
    old = _numbered(obj, selector, version)
    kept = to_plain(view, old.provenance)
    return install(
        view,
        obj,
        selector,
        old.source,
        {**kept, "rollback_of": version, **(provenance or {})},
        signature=old.signature,
        summary=old.summary,
    )


def remove_method(view: View, obj: UvmObject, selector: str, provenance: dict[str, Any] | None = None) -> MethodVersion:
    """Take a method out of its slot; its history stays. Gives the version that was active.

    Raises:
        UnknownTarget: The object has no such method of its own.
        NotAllowed: The slot holds a primitive.
    """
    value = own(obj).get(selector)
    if isinstance(value, Primitive):
        raise NotAllowed(f"`{selector}` is a primitive of the system")
    if not isinstance(value, MethodVersion):
        raise UnknownTarget(f"{named(obj)} has no method `{selector}` of its own", _LOOK)
    fact = {"version": value.version, "time": now(), "provenance": from_plain(view, provenance or {})}
    removed = dict(_removed(obj))
    earlier = removed.get(selector, {"facts": []})
    removed[selector] = {"last": value, "facts": [*earlier["facts"], fact]}
    setattr(obj, REMOVED, removed)
    delattr(obj, selector)
    senders.drop(view, obj, selector, value._source)
    return value


def history(view: View, obj: UvmObject, selector: str) -> list[dict[str, Any]]:
    """All versions of a method, oldest first, as the contract's `history` gives them.

    A version whose text does not match its digest has `source` None and `damaged` true.

    Raises:
        UnknownTarget: There is no such method, neither of the object's own nor by delegation.
    """
    holder, last = _holder(obj, selector)
    facts = {fact["version"]: fact for fact in _removed(holder).get(selector, {"facts": []})["facts"]}
    active = own(holder).get(selector)
    rows = [_describe(view, item, active=item is active, removed=facts.get(item.version)) for item in versions(last)]
    return rows[::-1]


def version(view: View, obj: UvmObject, selector: str, number: int | None = None) -> dict[str, Any]:
    """One version of a method with its whole provenance; the newest when no number is given.

    Raises:
        UnknownTarget: There is no such version.
    """
    rows = history(view, obj, selector)
    if number is None:
        return rows[-1]
    for row in rows:
        if row["version"] == number:
            return row
    raise UnknownTarget(f"`{selector}` has no version {number}; there are 1 to {rows[-1]['version']}")


def versions(last: MethodVersion | None) -> Iterator[MethodVersion]:
    """A version and those before it, newest first."""
    while last is not None:
        yield last
        last = last.previous


def _check_slot(obj: UvmObject, selector: str) -> None:
    value = own(obj).get(selector)
    if isinstance(value, Primitive):
        raise NotAllowed(f"`{selector}` is a primitive of the system and cannot be replaced")
    if selector == "parents" or (selector in own(obj) and not isinstance(value, MethodVersion)):
        raise BadField(f"The slot `{selector}` holds data", "Remove the slot first, or choose another selector.")


def _removed(obj: UvmObject) -> dict[str, Any]:
    value: dict[str, Any] = own(obj).get(REMOVED, {})
    return value


def _last(obj: UvmObject, selector: str) -> MethodVersion | None:
    """The newest version of an object's own, also of a removed method."""
    value = own(obj).get(selector)
    if isinstance(value, MethodVersion):
        return value
    last: MethodVersion | None = _removed(obj).get(selector, {}).get("last")
    return last


def _numbered(obj: UvmObject, selector: str, number: int) -> MethodVersion:
    for item in versions(_last(obj, selector)):
        if item.version == number:
            return item
    raise UnknownTarget(f"{named(obj)} has no version {number} of `{selector}` of its own", _LOOK)


def _holder(obj: UvmObject, selector: str) -> tuple[UvmObject, MethodVersion]:
    from batos.image import lookup

    for holder in lookup.walk(obj):
        last = _last(holder, selector)
        if last is not None:
            return holder, last
    raise UnknownTarget(f"{named(obj)} has no method `{selector}`", _LOOK)


def _describe(view: View, item: MethodVersion, *, active: bool, removed: dict[str, Any] | None) -> dict[str, Any]:
    row: dict[str, Any] = {
        "version": item.version,
        "tid": item.tid,
        "time": item.time,
        "sha256": item.sha256,
        "signature": item.signature,
        "summary": item.summary,
        "active": active,
        "provenance": to_plain(view, item.provenance),
    }
    try:
        row["source"] = item.source
    except MethodError:
        row |= {"source": None, "damaged": True}
    if removed is not None:
        row["removed"] = to_plain(view, removed)
    return row
