"""Native behaviour: what a `Primitive` in the image's slots names, resolved at run time.

Arguments come from the bridge and are hostile.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from batos import plain, wire
from batos.cognition.orchestrator import Mandate
from batos.errors import BadField, MethodError
from batos.image import registry
from batos.mind.protocol import GenerateRequest
from batos.settings import CAPABILITIES

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from batos.calls.overlay import Capabilities
    from batos.codec import Ref
    from batos.kernel.uvm import BatOS_UVM

_TOP_K = 5


class Primitives:
    """Runs native primitives by name."""

    def __init__(self, uvm: BatOS_UVM) -> None:
        self._uvm = uvm
        self._named: dict[str, Callable[[Ref, list[Any], dict[str, Any]], Awaitable[Any]]] = {
            "clone": self._clone,
            "create": self._create,
            "infer": self._infer,
            "search": self._search,
            "index_document": self._index_document,
            "start_cycle": self._start_cycle,
        }

    def capabilities(self) -> Capabilities:
        """What may be granted by the settings: primitives without an effect on any object, by name."""
        return {name: self._named[name] for name in CAPABILITIES if name in self._uvm.settings.grants}

    async def run(self, name: str, ref: Ref, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """Run a primitive on an object.

        Raises:
            MethodError: This kernel has no such primitive, or it cannot be sent as a message.
            BadField: The arguments do not fit.
        """
        primitive = self._named.get(name)
        if primitive is None:
            raise MethodError(f"The primitive {name!r} cannot be sent as a message")
        return await primitive(ref, args, kwargs)

    async def _clone(self, ref: Ref, args: list[Any], kwargs: dict[str, Any]) -> Ref:
        _bind("clone", (), args, kwargs)
        return (await self._uvm.image.transact(registry.clone, ref, None, note="clone")).value

    async def _create(self, ref: Ref, args: list[Any], kwargs: dict[str, Any]) -> Ref:
        if args:
            raise BadField("create takes slots by name")
        return (await self._uvm.image.transact(registry.create, [ref], kwargs, note="create")).value

    async def _infer(self, ref: Ref, args: list[Any], kwargs: dict[str, Any]) -> str:
        given = _bind("infer_", ("prompt", "persona"), args, kwargs, optional=1)
        prompt, persona = str(given["prompt"]), str(given.get("persona") or self._uvm.settings.default_persona_model)
        request = GenerateRequest(
            state="CONVERSING", persona=persona.upper(), messages=({"role": "user", "content": prompt},)
        )
        return (await self._uvm.mind.generate(request)).texts[0]

    async def _search(self, ref: Ref, args: list[Any], kwargs: dict[str, Any]) -> list[dict[str, Any]]:
        given = _bind("search_", ("query", "top_k"), args, kwargs, optional=1)
        top_k = given.get("top_k", _TOP_K)
        if not isinstance(given["query"], str) or type(top_k) is not int or not 0 < top_k <= 1000:
            raise BadField("search_ takes a query (a text) and top_k (1 to 1000)")
        found: list[dict[str, Any]] = (await self._uvm.memory.search(given["query"], top_k))["results"]
        return found

    async def _index_document(self, ref: Ref, args: list[Any], kwargs: dict[str, Any]) -> int:
        given = _bind("index_document_", ("doc_id", "text", "metadata"), args, kwargs, optional=1)
        doc_id, text, metadata = given["doc_id"], given["text"], given.get("metadata") or {}
        if not isinstance(doc_id, str) or not isinstance(text, str) or not isinstance(metadata, dict):
            raise BadField("index_document_ takes a doc_id and a text, and metadata as a map")
        return await self._uvm.memory.remember(doc_id, text, metadata) or 0

    async def _start_cycle(self, ref: Ref, args: list[Any], kwargs: dict[str, Any]) -> str:
        given = _bind("start_cognitive_cycle_for_", ("brief", "target"), args, kwargs)
        message = {
            "command": "initiate_cognitive_cycle",
            "target_oid": given["target"],
            "mission_brief": given["brief"],
        }
        request = wire.read_request(message)
        assert isinstance(request, wire.InitiateCognitiveCycle)
        brief = request.mission_brief.given()
        return await self._uvm.orchestrator.accept(
            Mandate(target=request.target_oid, brief=brief, brief_hash=plain.brief_hash(given["brief"]))
        )


def _bind(
    name: str, names: tuple[str, ...], args: list[Any], kwargs: dict[str, Any], *, optional: int = 0
) -> dict[str, Any]:
    given = dict(zip(names, args, strict=False)) | kwargs
    required = names[: len(names) - optional]
    if len(args) > len(names) or set(kwargs) - set(names) or any(n not in given for n in required):
        raise BadField(f"{name} takes ({', '.join(names)})")
    return given
