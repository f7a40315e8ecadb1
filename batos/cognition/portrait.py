"""What a model is shown of the target: its persona's codex, and those of its slots that the mission may be about.

Small models use whatever they are shown, so slots that have nothing to do with the mission are left out.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from batos.cognition.words import VERBS
from batos.image import dispatch, lookup, methods
from batos.memory.words import words_of
from batos.plain import shown

if TYPE_CHECKING:
    from batos.codec import Ref
    from batos.image.store import View

_SHOWN_CHARACTERS = 1200
_VALUE_CHARACTERS = 160
_SLOT = re.compile(r"\bself\.([A-Za-z]\w*)|\battr\(self, ['\"]([A-Za-z]\w*)['\"]")
_COMMON = frozenset(
    words_of(
        " ".join(VERBS)
        + " number text list value name method object string call result given python function write check find whether"
    )
)
"""Words that say nothing of what a mission is about."""


def codex_of(view: View, name: str) -> dict[str, Any]:
    """The codex of a persona's prototype."""
    return dict(dispatch.snapshot(view, view.ref(view.resolve(name))).slots.get("codex") or {})


def telling_words(text: str) -> set[str]:
    """The words of a text that say what it is about."""
    return set(words_of(text)) - _COMMON


def self_portrait(view: View, target: Ref, persona: str, words: str) -> dict[str, Any]:
    """What the synthesis prompt shows of the target: `codex`, and `slots` as one line of text."""
    slots = relevant(view, target, words)
    listed = ", ".join(f"{name} = {shown(value, _VALUE_CHARACTERS)}" for name, value in slots.items())
    return {"codex": codex_of(view, f"{persona.lower()}_prototype_obj"), "slots": listed[:_SHOWN_CHARACTERS]}


def relevant(view: View, target: Ref, words: str) -> dict[str, Any]:
    """The target's own slots that a mission in these words may be about, with their values."""
    about = telling_words(words)
    near = _slots_of_near_methods(view, target, about)
    return {
        name: value
        for name, value in dispatch.own_slots(view, target).items()
        if name in near or about & set(words_of(name.replace("_", " ")))
    }


def _slots_of_near_methods(view: View, target: Ref, about: set[str]) -> set[str]:
    """The slots that the target's methods on the same matter use."""
    found: set[str] = set()
    obj = view.get(target)
    for selector, holder in lookup.understood(obj).items():
        method = holder._slots[selector]
        if not isinstance(method, methods.MethodVersion):
            continue
        if about & set(words_of(f"{selector.replace('_', ' ')} {method.summary}")):
            found |= {name or quoted for name, quoted in _SLOT.findall(method.source)}
    return found
