"""The kernel's Mission Brief Translator: remembered words first, then the model, then rules."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

from batos.cognition import deciding, translation
from batos.errors import ModelSideError
from batos.image import cycles, mirrors
from batos.image.methods import MethodVersion
from batos.image.objects import own

if TYPE_CHECKING:
    from batos import wire
    from batos.cognition.rulebook import Translation
    from batos.image.store import Image, View
    from batos.mind.protocol import Mind
    from batos.settings import Settings


class KernelTranslator:
    """Answers `translate`."""

    def __init__(self, image: Image, mind: Mind, settings: Settings) -> None:
        self._image = image
        self._mind = mind
        self._rules_only = settings.translator == "rules"

    async def translate(self, request: wire.Translate) -> dict[str, Any]:
        """Turn words into a request to send, or a question to ask back.

        Returns:
            `kind`, `request` (None where there is none), `question`, and `source`: memory, model or rules; with
            `persona`, who asks back, and `notice` where a rule stood in for a model.
        """
        seen = (await self._image.read(_portrait, request.target_oid, request.text)).value
        target = request.target_oid
        if seen["remembered"] is not None:
            sent = {"command": "initiate_cognitive_cycle", "target_oid": target, "mission_brief": seen["remembered"]}
            return {"kind": "teach", "request": sent, "question": "", "source": "memory"}
        if request.remembered:
            return {
                "kind": "unclear",
                "request": None,
                "question": "",
                "source": "memory",
                "understands": seen["understands"],
            }
        certain = translation.explicit(request.text, seen["understands"], target=target)
        if certain is not None:
            return _shown(certain)
        return await self._ask(request.text, seen["understands"], target)

    async def _ask(self, text: str, understands: list[dict[str, Any]], target: Any) -> dict[str, Any]:
        if self._rules_only:
            return _shown(translation.rules(text, understands, target=target))
        try:
            found = await deciding.by_model(self._mind.generate, text, understands, target=target)
        except ModelSideError as error:
            notice = f"Translated by rules, because no model answered: {error.message}"
            return {**_shown(translation.rules(text, understands, target=target)), "notice": notice}
        return _shown(found)


def _shown(found: Translation) -> dict[str, Any]:
    told = {"kind": found.kind, "request": found.request, "question": found.question, "source": found.source}
    return {**told, "persona": found.persona} if found.persona else told


def _portrait(view: View, target: Any, words: str) -> dict[str, Any]:
    obj = view.resolve(target)
    return {
        "remembered": cycles.recall_words(view, words, view.ref(obj).hex),
        "understands": [_with_doc(view, item) for item in mirrors.understands(view, obj)],
    }


def _with_doc(view: View, item: dict[str, Any]) -> dict[str, Any]:
    """What is understood, with the whole docstring where it has more than a line: it may tell of parameters."""
    method = own(view.resolve(item["holder"])).get(item["selector"])
    if not isinstance(method, MethodVersion) or '"""' not in method.source:
        return item
    try:
        doc = ast.get_docstring(ast.parse(method.source).body[0])  # type: ignore[arg-type]
    except (SyntaxError, TypeError, ValueError, IndexError):
        return item
    return {**item, "doc": doc} if doc and "\n" in doc else item
