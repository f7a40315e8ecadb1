"""What generated code sees of the image: objects with slots, and messages.

One activation in one process, so its state lives in one `Activation` here. Slots are read from a snapshot; what changes
is collected, in-place changes of lists, maps and sets too, and leaves as a delta with the next message or the result.
Nothing here protects anything: the walls do. This is the language that methods are written in.
"""

from __future__ import annotations

import builtins
import keyword
from typing import TYPE_CHECKING, Any, NoReturn

from batos.codec import Codec, CodecError
from batos.sandbox.merge import shared
from batos.sandbox.slots import SCALARS, Slots
from batos.sandbox.world import PROTOCOL_MESSAGES

if TYPE_CHECKING:
    from collections.abc import Callable

_MISSING: Any = object()


class RemoteError(Exception):
    """A message that this method sent ended with an error.

    Attributes:
        index: Its place in the kernel's list of this call's errors.
    """

    index = -1

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class MessageNotUnderstood(RemoteError, AttributeError):
    """Nobody understood a message that this method sent."""


def remote_error(class_name: str, type_name: str, text: str, index: int) -> RemoteError:
    """Make the exception that a failed message raises: also of the built-in type that the callee raised."""
    if class_name == "MessageNotUnderstood":
        error: RemoteError = MessageNotUnderstood(text)
    else:
        error = _class_for(type_name)(text)
    error.index = index
    return error


def _class_for(type_name: str) -> type[RemoteError]:
    base = getattr(builtins, type_name, None)
    if not isinstance(base, type) or not issubclass(base, Exception) or base is Exception:
        return RemoteError
    try:
        made = type(type_name, (RemoteError, base), {"__module__": "builtins"})
        made("")
    except TypeError:
        return RemoteError
    return made


class UvmObject:
    """An object of the image, as generated code holds it: a handle."""

    __slots__ = ("_handle",)

    def __init__(self, handle: bytes) -> None:
        object.__setattr__(self, "_handle", handle)

    def __getattribute__(self, name: str) -> Any:
        try:
            # What was read before, in the fewest steps: methods read slots in loops.
            return _read_before[_handle(self)][name]
        except KeyError:
            pass
        if name.startswith("__"):
            return object.__getattribute__(self, name)
        value = activation.read(handle_of(self), name)
        return Message(self, name) if value is _MISSING else value

    def __setattr__(self, name: str, value: Any) -> None:
        activation.write(handle_of(self), name, value)

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"a method cannot remove the slot {name!r}; set it to None instead")

    def __dir__(self) -> list[str]:
        return activation.names(handle_of(self))

    def __repr__(self) -> str:
        return f"<UvmObject {int.from_bytes(handle_of(self), 'big')}>"

    def __eq__(self, other: object) -> bool:
        return type(other) is UvmObject and handle_of(other) == handle_of(self)

    def __hash__(self) -> int:
        return hash(handle_of(self))

    def __copy__(self) -> UvmObject:
        return self

    def __deepcopy__(self, memo: Any) -> UvmObject:
        return self


_handle: Callable[[UvmObject], bytes] = vars(UvmObject)["_handle"].__get__
_read_before: dict[bytes, dict[str, Any]] = {}


def handle_of(thing: UvmObject) -> bytes:
    """Give the handle of an object."""
    return _handle(thing)


class Message:
    """`thing.name` where `name` is no data slot: it can be called, which sends the message, and nothing else."""

    __slots__ = ("_name", "_target")

    def __init__(self, target: UvmObject, name: str) -> None:
        self._target = target
        self._name = name

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Send the message."""
        return activation.send(self._target, self._name, args, kwargs)

    def __getattr__(self, name: str) -> NoReturn:
        self._refuse()

    def _refuse(self, *_: Any) -> NoReturn:
        known = activation.understands(handle_of(self._target), self._name)
        raise AttributeError(taken(self._name) if known else absent(self._name))

    __bool__ = __iter__ = __len__ = __contains__ = __getitem__ = __setitem__ = __delitem__ = __next__ = _refuse
    __add__ = __radd__ = __iadd__ = __sub__ = __rsub__ = __isub__ = __mul__ = __rmul__ = __imul__ = _refuse
    __truediv__ = __rtruediv__ = __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = __pow__ = __rpow__ = _refuse
    __and__ = __rand__ = __or__ = __ror__ = __xor__ = __rxor__ = __neg__ = __pos__ = __abs__ = __invert__ = _refuse
    __lt__ = __le__ = __gt__ = __ge__ = __eq__ = __ne__ = _refuse
    __str__ = __repr__ = __format__ = __int__ = __float__ = __index__ = __round__ = __enter__ = __exit__ = _refuse
    __hash__ = _refuse


def absent(name: str) -> str:
    """Say that a slot is missing, and what to do."""
    return f"no slot {name!r}; set it first, or read it with getattr(self, {name!r}, default)"


def taken(name: str) -> str:
    """Say that a name means a message, and what to do."""
    return f"{name!r} is a message of the object and no slot; keep the value in a slot of another name"


class Activation:
    """The state of the one activation of this process."""

    def __init__(self) -> None:
        self.codec = Codec(_reference_out, self._reference_in, text_keys=True)
        self.ask: Callable[[list[Any]], Any] = _not_connected
        self.print_out: Callable[[], str] = str
        self._things: dict[bytes, UvmObject] = {}
        self._slots: dict[bytes, Slots] = {}
        self._unflagged: dict[bytes, set[str]] = {}
        self._moment = 0
        self._writers: dict[str, dict[bytes, int]] = {}
        self._unmoved: set[tuple[bytes, bytes, str]] = set()

    def _reference_in(self, handle: bytes) -> UvmObject:
        return self._things.setdefault(handle, UvmObject(handle))

    def begin(self, me: UvmObject, loaded: list[Any]) -> None:
        """Start with the receiver's snapshot; nothing of an activation before is left."""
        self._me = handle_of(me)
        self._slots = {}
        self._unflagged = {}
        self._writers = {}
        self._unmoved = set()
        _read_before.clear()
        self._know(self._me, Slots(self._moment, *loaded))

    def _know(self, handle: bytes, slots: Slots) -> Slots:
        self._slots[handle] = slots
        _read_before[handle] = slots.seen
        return slots

    def slots(self, handle: bytes) -> Slots:
        """Give what is known of an object; asks the kernel the first time."""
        known = self._slots.get(handle)
        if known is None:
            loaded = self.ask(["load", self._things[handle], self.delta()])
            known = self._know(handle, Slots(self._moment, *loaded))
        return known

    def read(self, handle: bytes, name: str) -> Any:
        """Read a data slot; a marker where there is none."""
        if name.startswith("_"):
            return self._read_reserved(handle, name)
        known = self.slots(handle)
        if name in self._writers and (writers := self._others(handle, known, name)):
            self._look_again(handle, known, name, writers)
        if name in known.values:
            return known.seen.setdefault(name, known.values[name])
        if name in known.large:
            known.packed[name] = self.ask(["slot", self._things[handle], name])
            known.large.discard(name)
        if name not in known.packed:
            return _MISSING
        value = known.values[name] = known.seen[name] = self.codec.unpack(known.packed.pop(name))
        if type(value) not in SCALARS:
            known.baseline[name] = self.codec.pack(value)
        return value

    def _others(self, handle: bytes, known: Slots, name: str) -> list[bytes]:
        """Whose write of this slot may show through an object since it was loaded, because it inherits from them."""
        if name in known.mine:
            return []
        return [
            writer
            for writer, moment in self._writers[name].items()
            if writer != handle and moment > known.moment and (handle, writer, name) not in self._unmoved
        ]

    def _look_again(self, handle: bytes, known: Slots, name: str, writers: list[bytes]) -> None:
        """Load an object anew; whose write did not show through it then need not be thought of again."""
        thing = self._things[handle]
        packed, large, understands = self.ask(["load", thing, self.delta()])
        for held in [slot for slot in large if slot in known.values or slot == name]:
            packed[held] = self.ask(["slot", thing, held])
        known.renew(packed, large, self.codec, self._moment, self._shared())
        known.understands = frozenset(understands)
        for writer in writers:
            written = self._slots[writer].values
            if name in written and packed.get(name) != self.codec.pack(written[name]):
                self._unmoved.add((handle, writer, name))

    def _wrote(self, handle: bytes, name: str) -> None:
        """Note that others may show another value under this name from now on."""
        self._moment += 1
        self._writers.setdefault(name, {})[handle] = self._moment
        if name == "parents":
            self._unmoved.clear()
        for other, known in self._slots.items():
            if other != handle and name in known.seen and self._others(other, known, name):
                del known.seen[name]

    def _read_reserved(self, handle: bytes, name: str) -> Any:
        if name == "_p_changed":
            return bool(self._unflagged.get(handle))
        if name in PROTOCOL_MESSAGES:
            return _MISSING
        raise AttributeError(f"{name!r} is not for methods: names that start with an underscore are reserved")

    def write(self, handle: bytes, name: str, value: Any) -> None:
        """Set a data slot, or the Covenant's flag."""
        if name == "_p_changed":
            self._flag(handle, value)
            return
        if name.startswith("_") or not name.isidentifier() or keyword.iskeyword(name):
            raise AttributeError(f"{name!r} is not a slot name")
        if type(value) is Message:
            value._refuse()  # noqa: SLF001
        known = self.slots(handle)
        known.values[name] = known.seen[name] = value
        known.mine.add(name)
        self._wrote(handle, name)
        known.baseline.pop(name, None)
        known.packed.pop(name, None)
        known.large.discard(name)
        known.dirty.add(name)
        self._unflagged.setdefault(handle, set()).add(name)

    def _flag(self, handle: bytes, value: Any) -> None:
        if value is not True:
            raise AttributeError("_p_changed can only be set to True")
        self._settle()
        if handle == self._me:
            self._unflagged.clear()
        else:
            self._unflagged.pop(handle, None)

    def _settle(self) -> None:
        for handle, known in self._slots.items():
            for name in known.settle(self.codec.pack):
                self._unflagged.setdefault(handle, set()).update(known.dirty)
                self._wrote(handle, name)

    def delta(self) -> list[Any]:
        """Give what changed since the last delta: `[object, {slot: value}]` each."""
        self._settle()
        out = []
        for handle, known in self._slots.items():
            if known.dirty:
                out.append([self._things[handle], {name: known.values[name] for name in sorted(known.dirty)}])
                known.dirty = set()
        return out

    def broken_covenant(self) -> list[str]:
        """Name the slots that changed after the flag was last set."""
        return sorted({name for names in self._unflagged.values() for name in names})

    def send(self, target: UvmObject, selector: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Send a message and wait for its answer; the callee sees what this method has written."""
        question = ["send", target, selector, list(args), kwargs, self.delta(), self.print_out()]
        value, refreshed = self.ask(question)
        if refreshed:
            self._unmoved.clear()
            among = self._shared()
        for thing, packed, gone in refreshed:
            self._slots[handle_of(thing)].refresh(packed, gone, self.codec, among)
        return value

    def _shared(self) -> frozenset[int]:
        return shared(value for known in self._slots.values() for value in known.values.values())

    def understands(self, handle: bytes, name: str) -> bool:
        """Whether the object would answer the message."""
        return name in PROTOCOL_MESSAGES or name in self.slots(handle).understands

    def names(self, handle: bytes) -> list[str]:
        """List slots and selectors."""
        known = self.slots(handle)
        return sorted({*known.values, *known.packed, *known.large, *known.understands})


def strict_getattr(thing: Any, name: str, *default: Any) -> Any:
    """`getattr` that gives the default for what is neither a slot nor understood."""
    if type(thing) is not UvmObject or name.startswith("__"):
        return getattr(thing, name, *default)
    try:
        value = activation.read(handle_of(thing), name)
    except AttributeError:
        value = _MISSING
    if value is not _MISSING:
        return value
    if activation.understands(handle_of(thing), name):
        return Message(thing, name)
    if default:
        return default[0]
    raise AttributeError(absent(name))


def strict_hasattr(thing: Any, name: str) -> bool:
    """`hasattr` in the sense of `strict_getattr`."""
    return strict_getattr(thing, name, _MISSING) is not _MISSING


def _reference_out(value: Any) -> bytes | None:
    if type(value) is UvmObject:
        return handle_of(value)
    if type(value) is Message:
        raise CodecError(
            f"{object.__getattribute__(value, '_name')!r} is a message and not a value: call it, or keep the value in a slot of another name"
        )
    return None


def _not_connected(question: list[Any]) -> NoReturn:
    raise RuntimeError(f"no kernel to ask {question[0]!r}")


activation = Activation()
