"""Objects that a call makes: references that nobody else knows until the call is applied.

Inside the call a new object is a provisional reference, its slots are writes of the overlay, and what it inherits is read
from the object that it was made from. `Nursery` makes the real objects in the transaction that applies the call.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from batos.codec import Ref
from batos.image import dispatch, registry
from batos.image.view import View

if TYPE_CHECKING:
    from collections.abc import Mapping

    from batos.image.objects import UvmObject

_FIRST = 0xFF << 56  # far above every oid that a storage gives


class Newborn(NamedTuple):
    """An object that a call made.

    Attributes:
        kind: `clone`: it shares methods and parents of `base`, its data is all in the overlay; `child`: `base` is its
            one parent.
        base: The object that it was made from; for a child it may be new itself.
    """

    kind: Literal["clone", "child"]
    base: Ref


def provisional(number: int) -> Ref:
    """The reference of the call's n-th new object."""
    return Ref((_FIRST + number).to_bytes(8, "big"))


def original(view: View, ref: Ref) -> tuple[dict[str, Any], dispatch.Reads]:
    """What a clone begins with: the object's own data slots, and the serial that they depend on.

    Raises:
        BadField: It cannot be cloned, because a slot holds what two objects cannot share.
        UnknownTarget: There is no such object.
    """
    obj = view.get(ref)
    # It shows that the clone can be made when the call is applied.
    registry.copies(obj)
    return dispatch.own_slots(view, ref), {ref.oid: obj._p_serial}


class Nursery(View):
    """A unit of work in which provisional references mean the objects made for them.

    Attributes:
        real: The reference that each new object has got.
    """

    def __init__(self, view: View, born: Mapping[Ref, Newborn]) -> None:
        super().__init__(view.conn, view.tid)
        self.real: dict[Ref, Ref] = {}
        for ref, newborn in born.items():
            base = self.real.get(newborn.base, newborn.base)
            made = registry.clone(view, base) if newborn.kind == "clone" else registry.create(view, [base], {})
            self.real[ref] = made

    def get(self, ref: Ref) -> UvmObject:
        """The object of a reference, also of a provisional one."""
        return super().get(self.real.get(ref, ref))


def settled(value: Any, real: Mapping[Ref, Any]) -> Any:
    """Replace provisional references in plain data by what they stand for."""
    if not real:
        return value
    kind = type(value)
    if kind is Ref:
        return real.get(value, value)
    if kind is dict:
        return {settled(key, real): settled(item, real) for key, item in value.items()}
    if kind in (list, tuple, set, frozenset):
        return kind(settled(item, real) for item in value)
    return value
