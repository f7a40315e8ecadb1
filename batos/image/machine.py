"""The Prototypal State Machine in the image: each state's prototype says by a slot how the state behaves.

A state is replaced at run time in two ways: its slot gets another primitive (`bind`), or another object takes its place in
`psm_prototypes_obj`, which may find the slot by delegation. Only behaviours that were made for the state are taken.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from batos.errors import BadField
from batos.image import lookup
from batos.image.genesis import STATES
from batos.image.methods import Primitive
from batos.image.objects import UvmObject, own

if TYPE_CHECKING:
    from batos.image.store import View

HOLDER: Final = "psm_prototypes_obj"
SLOT: Final = "_process_synthesis_"
WORDS: Final = "psm.decomposing.words"
"""DECOMPOSING without a model: the mission's own words are the query."""

BEHAVIOURS: Final[dict[str, tuple[str, ...]]] = {
    state: (f"psm.{state.lower()}", *((WORDS,) if state == "DECOMPOSING" else ())) for state in STATES
}
"""The primitives that each state may have; the first is the one that it is born with."""


def behaviour(view: View, state: str) -> str:
    """Name the primitive that a state behaves by; what is none is shown as it is."""
    found = _found(own(view.resolve(HOLDER)).get(state))
    return found.name if isinstance(found, Primitive) else repr(found)


def bind(view: View, state: str, primitive: str) -> str:
    """Let a state behave by another primitive; gives the name of the one before.

    Raises:
        BadField: There is no such state, or no such behaviour of it.
    """
    if state not in BEHAVIOURS:
        raise BadField(f"There is no state {state!r}", f"There are: {', '.join(STATES)}.", field="state")
    if primitive not in BEHAVIOURS[state]:
        raise BadField(
            f"{primitive!r} is no behaviour of the state {state}",
            f"It may have: {', '.join(BEHAVIOURS[state])}.",
            field="primitive",
        )
    before = behaviour(view, state)
    setattr(own(view.resolve(HOLDER))[state], SLOT, Primitive(primitive))
    return before


def is_place(obj: UvmObject, slot: str) -> bool:
    """Tell whether a slot of an object holds the prototype of a state."""
    return slot in BEHAVIOURS and isinstance(_found(own(obj).get(slot)), Primitive)


def check(state: str, value: Any) -> None:
    """See that a value may be a state's prototype.

    Raises:
        BadField: It does not behave as the state must, by its own slot or by delegation.
    """
    found = _found(value)
    if not isinstance(found, Primitive) or found.name not in BEHAVIOURS[state]:
        raise BadField(
            f"What is to be the state {state} has no behaviour of that state in `{SLOT}`",
            "Clone the prototype that is there, or create an object that delegates to it.",
        )


def _found(prototype: Any) -> Any:
    found = lookup.find(prototype, SLOT) if isinstance(prototype, UvmObject) else None
    return None if found is None else found.value
