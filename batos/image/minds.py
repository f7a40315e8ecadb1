"""Persona to model to adapter, as data in the image: slots of the personas' prototypes, found by delegation.

A persona's prototype may say `model_id` and `adapter_name`; where it is silent `pLLM_obj` speaks. `pLLM_obj` holds the
adapters too (`lora_repository`: name → object with `adapter_name` and `model_blob`) and which models are pinned.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from batos.errors import UnknownTarget
from batos.image import blobs, lookup
from batos.image.objects import UvmObject

if TYPE_CHECKING:
    from batos.image.store import View

PERSONAS = ("ALFRED", "BRICK", "ROBIN", "BABS")
_PREFIX = "lora/"


def assigned(view: View, persona: str) -> dict[str, str]:
    """What the image says of a persona: `model` and `adapter`, empty where it says nothing."""
    prototype = view.root.get(f"{persona.lower()}_prototype_obj") or view.root["pLLM_obj"]
    return {"model": _text(prototype, "model_id"), "adapter": _text(prototype, "adapter_name")}


def attach(view: View, persona: str, adapter: str) -> None:
    """Give a persona an adapter; an empty name takes its own away.

    Raises:
        UnknownTarget: There is no such persona, or no such adapter.
    """
    key = f"{persona.lower()}_prototype_obj"
    if key not in view.root:
        raise UnknownTarget(f"There is no persona {persona!r}", f"There are {', '.join(PERSONAS)}.")
    if adapter and adapter not in _repository(view):
        raise UnknownTarget(f"The image has no adapter {adapter!r}", "`models list` names those that it has.")
    view.root[key]._slots["adapter_name"] = adapter


def take_in(view: View, name: str, about: dict[str, Any]) -> None:
    """Note an adapter whose files are in the image already, under `blob_name(name)`."""
    pllm = view.root["pLLM_obj"]
    record = UvmObject(parents=[view.root["traits_obj"]], adapter_name=name, model_blob=blob_name(name), **about)
    pllm._slots["lora_repository"] = {**_repository(view), name: record}


def adapters(view: View) -> list[dict[str, Any]]:
    """The adapters of the image: `name`, `sha256`, `rank`, `modules`, `base`, and the `personas` that have it."""
    users = {persona: assigned(view, persona)["adapter"] for persona in PERSONAS}
    return [
        {
            "name": name,
            **{key: record._slots.get(key) for key in ("sha256", "rank", "modules", "base", "model")},
            "personas": [persona for persona, adapter in users.items() if adapter == name],
        }
        for name, record in sorted(_repository(view).items())
    ]


def has_adapter(view: View, name: str, sha256: str) -> bool:
    """Tell whether the image has this adapter with this very content."""
    record = _repository(view).get(name)
    return record is not None and record._slots.get("sha256") == sha256


def adapter_digest(view: View, name: str) -> str:
    """The digest of an adapter's files.

    Raises:
        UnknownTarget: There is none of that name.
    """
    record = _repository(view).get(name)
    if record is None:
        raise UnknownTarget(f"The image has no adapter {name!r}", "`models list` names those that it has.")
    return str(record._slots["sha256"])


def remove_adapter(view: View, name: str) -> None:
    """Forget an adapter; personas that had it have none then.

    Raises:
        UnknownTarget: There is none of that name.
    """
    adapter_digest(view, name)
    view.root["pLLM_obj"]._slots["lora_repository"] = {k: v for k, v in _repository(view).items() if k != name}
    blobs.remove(view, blob_name(name))
    for persona in PERSONAS:
        if assigned(view, persona)["adapter"] == name:
            attach(view, persona, "")


def pins(view: View) -> list[str]:
    """The models that stay in memory once they are there."""
    return list(view.root["pLLM_obj"]._slots.get("pinned_models", []))


def set_pin(view: View, name: str, *, pinned: bool) -> None:
    """Pin a model, or let it go."""
    others = [other for other in pins(view) if other != name]
    view.root["pLLM_obj"]._slots["pinned_models"] = [*others, name] if pinned else others


def blob_name(adapter: str) -> str:
    """The name of an adapter's files among the image's weights."""
    return _PREFIX + adapter


def _repository(view: View) -> dict[str, Any]:
    return dict(view.root["pLLM_obj"]._slots.get("lora_repository") or {})


def _text(obj: UvmObject, name: str) -> str:
    found = lookup.find(obj, name)
    return found.value if found is not None and isinstance(found.value, str) else ""
