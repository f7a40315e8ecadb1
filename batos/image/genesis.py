"""The Prototypal Awakening: the primordial objects, made once in an empty image.

What they understand is primitives, native behaviour by name; the kernel knows what each name runs. The indexes of
Fractal Memory are made by `memory` when the first document comes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from BTrees.LOBTree import LOBTree
from BTrees.OOBTree import OOBTree

from batos.errors import Conflict
from batos.image.methods import Primitive
from batos.image.objects import UvmObject

if TYPE_CHECKING:
    from batos.image.store import View

STATES: Final = ("IDLE", "DECOMPOSING", "DELEGATING", "SYNTHESIZING", "VALIDATING", "COMPLETE", "FAILED")
"""The states of the Prototypal State Machine."""

PRIMORDIAL: Final = (
    "traits_obj",
    "pLLM_obj",
    "genesis_obj",
    "knowledge_catalog_obj",
    "orchestrator_obj",
    "psm_prototypes_obj",
    "alfred_prototype_obj",
    "brick_prototype_obj",
    "robin_prototype_obj",
    "babs_prototype_obj",
)
"""The names of the primordial objects in the root."""

_TREES: Final[dict[str, Any]] = {
    "object_registry": OOBTree,
    "active_cycles": OOBTree,
    "cycle_archive": OOBTree,
    "requests": OOBTree,
    "documents": OOBTree,
    "weights": OOBTree,
    "journal_outbox": LOBTree,
}


def awaken(view: View, codex: Mapping[str, Mapping[str, Any]]) -> None:
    """Make the primordial objects.

    Args:
        view: The unit of work.
        codex: The four personas' codices by name (`codices.CODICES`).

    Raises:
        Conflict: The image has awoken before.
    """
    if "genesis_obj" in view.root:
        raise Conflict("The image has awoken before", "Open it as it is.")
    for key, make in _TREES.items():
        if key not in view.root:
            view.root[key] = make()
    root = view.root
    traits = root["traits_obj"] = _traits()
    pllm = root["pLLM_obj"] = UvmObject(parents=[traits], model_id=None, infer_=Primitive("infer"), lora_repository={})
    root["genesis_obj"] = UvmObject(parents=[pllm, traits])
    root["knowledge_catalog_obj"] = _catalog(traits)
    for persona, text in codex.items():
        root[f"{persona.lower()}_prototype_obj"] = UvmObject(parents=[pllm, traits], codex=_own(text))
    root["orchestrator_obj"] = UvmObject(
        parents=[pllm, root["alfred_prototype_obj"], traits], start_cognitive_cycle_for_=Primitive("start_cycle")
    )
    root["psm_prototypes_obj"] = UvmObject(parents=[traits], **{state: _state(traits, state) for state in STATES})


def _traits() -> UvmObject:
    return UvmObject(
        _clone_persistent_=Primitive("clone"),
        clone=Primitive("clone"),
        create=Primitive("create"),
        _doesNotUnderstand_=Primitive("does_not_understand"),
    )


def _catalog(traits: UvmObject) -> UvmObject:
    return UvmObject(
        parents=[traits],
        index_document_=Primitive("index_document"),
        search_=Primitive("search"),
        text_index=None,
        metadata_index=OOBTree(),
        chunk_storage=OOBTree(),
    )


def _state(traits: UvmObject, name: str) -> UvmObject:
    return UvmObject(parents=[traits], name=name, _process_synthesis_=Primitive(f"psm.{name.lower()}"))


def _own(value: Any) -> Any:
    """Copy plain data, so that the image shares no container with the module that wrote it."""
    if isinstance(value, Mapping):
        return {key: _own(item) for key, item in value.items()}
    return [_own(item) for item in value] if isinstance(value, list) else value
