"""What a unit of work sees of the image, and what it gives back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from persistent import Persistent
from ZODB.POSException import POSKeyError

from batos.codec import Ref
from batos.errors import Stopping, UnknownTarget
from batos.fields import is_oid_text
from batos.image.objects import UvmObject

if TYPE_CHECKING:
    from threading import Event

T = TypeVar("T")


class Commit(NamedTuple, Generic[T]):
    """What a unit of work gave back, and its transaction.

    Attributes:
        value: Plain data.
        tid: 16 hex digits: of the write, or of the snapshot that was read.
    """

    value: T
    tid: str


class View:
    """What a unit of work sees of the image; valid only inside it.

    Attributes:
        conn: The ZODB connection.
        root: The root mapping.
        tid: Of the snapshot, 16 hex digits.
    """

    def __init__(self, conn: Any, tid: str, closing: Event | None = None) -> None:
        self.conn = conn
        self.root: Any = conn.root()
        self.tid = tid
        self._closing = closing

    def get(self, ref: Ref) -> UvmObject:
        """The object of a reference.

        Raises:
            UnknownTarget: There is none, or it is not a `UvmObject`.
        """
        try:
            obj = self.conn.get(ref.oid)
            if isinstance(obj, UvmObject):
                # The cache may hold the ghost of an object that a pack has taken away.
                obj._p_activate()
                return obj
        except POSKeyError:
            pass
        raise UnknownTarget(f"There is no object with the oid {ref.hex}")

    def resolve(self, target: str | Ref | int) -> UvmObject:
        """The object that a request names: a root object's name, an oid, or a reference.

        Raises:
            UnknownTarget: There is none, or it was removed.
        """
        ref = _as_ref(target)
        if ref is None:
            named = self.root.get(target)
            if not isinstance(named, UvmObject):
                raise UnknownTarget(f"There is no object named {target!r}")
            return named
        obj = self.get(ref)
        if "_removed_" in obj._slots:
            raise UnknownTarget(f"The object {ref.hex} was removed")
        return obj

    def ref(self, obj: UvmObject) -> Ref:
        """The reference of an object; a new one gets its oid now."""
        if obj._p_oid is None:
            self.conn.add(obj)
        return Ref(obj._p_oid)

    def breathe(self) -> None:
        """Between the steps of a long study: let go of objects that were read, and stop when the image closes.

        Raises:
            Stopping: The image is closing.
        """
        if self._closing is not None and self._closing.is_set():
            raise Stopping("The image is closing")
        self.conn.cacheGC()


def plain(value: T) -> T:
    """See that a unit of work gives no live object of the image away.

    Raises:
        TypeError: It does.
    """
    if isinstance(value, (Persistent, View)):
        raise TypeError(f"A unit of work gives plain data back, not a {type(value).__name__}: use `view.ref`")
    return value


def _as_ref(target: str | Ref | int) -> Ref | None:
    if isinstance(target, Ref):
        return target
    if isinstance(target, int):
        return Ref(target.to_bytes(8, "big"))
    if is_oid_text(target):
        number = int(target, 16) if len(target) == 16 else int(target)
        if number < 1 << 64:
            return Ref(number.to_bytes(8, "big"))
    return None
