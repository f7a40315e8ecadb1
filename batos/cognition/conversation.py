"""The Socratic Contrapunto: two personas answer in turn, from Fractal Memory, and the second builds on the first."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from batos.cognition.portrait import codex_of
from batos.errors import BadField
from batos.memory import catalog
from batos.mind.protocol import GenerateRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from batos.image.store import Image
    from batos.memory.service import FractalMemory
    from batos.mind.protocol import Mind

VOICES = ("ROBIN", "BRICK")
"""Who speaks, in this order; a technical question turns it round."""

_KNOWN = ("ALFRED", "BABS", "BRICK", "ROBIN")
_SOURCES = 3
_RELEVANT = 0.3
_MOST_TOKENS = 320
_TECHNICAL = re.compile(
    r"\b(code|python|method|function|bug|error|exception|traceback|algorithm|implement\w*|compile\w*|api|regex|sql|json"
    r"|class|thread\w*|memory leak|performance|install\w*|configur\w*|database|index\w*|parameter\w*|selector|slot)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Utterance:
    """What one persona said.

    Args:
        persona: Who.
        text: What.
        sources: The chunks it had before it: `doc_id`, `chunk`, `score`.
        again: Whether it was asked a second time, because it did not refer to the first voice.
    """

    persona: str
    text: str
    sources: list[dict[str, Any]]
    again: bool = False

    def plain(self) -> dict[str, Any]:
        """The utterance as event fields."""
        return {"persona": self.persona, "text": self.text, "sources": self.sources}


def voices(text: str, wanted: Sequence[str] | None) -> list[str]:
    """Who speaks, in order: those who were asked for, else ROBIN and BRICK, BRICK first where it is technical.

    Raises:
        BadField: There is no such persona.
    """
    if wanted:
        named = [name.upper() for name in wanted]
        unknown = [name for name in named if name not in _KNOWN]
        if unknown:
            raise BadField(f"There is no persona {unknown[0]!r}", f"There are {', '.join(_KNOWN)}.")
        return named
    return list(VOICES[::-1] if _TECHNICAL.search(text) else VOICES)


def refers(text: str, said: Utterance) -> bool:
    """Tell whether a text refers to what another persona said: by name."""
    return re.search(rf"\b{said.persona}\b", text, re.IGNORECASE) is not None


class Contrapunto:
    """One conversation turn.

    Args:
        image: Where the codices are.
        memory: What is known.
        mind: Who speaks.
        on_token: Hears the persona and the pieces of text as they come; what is taken back is never heard.
    """

    def __init__(self, image: Image, memory: FractalMemory, mind: Mind, on_token: Callable[[str, str], None]) -> None:
        self._image = image
        self._memory = memory
        self._mind = mind
        self._on_token = on_token

    async def speak(self, text: str, persona: str, before: Sequence[Utterance]) -> Utterance:
        """Let a persona answer, after those who spoke before; a second try where it does not refer to the last of them."""
        codex = (await self._image.read(codex_of, f"{persona.lower()}_prototype_obj")).value
        hits = _near((await self._memory.search(text, _SOURCES))["results"])
        messages = _messages(codex, hits, text, before)
        sources = [{key: hit[key] for key in ("doc_id", "chunk", "score")} for hit in hits]
        if not before:
            return Utterance(persona, await self._generate(persona, messages, ""), sources)
        last = before[-1]
        held = _Held(lambda piece: self._on_token(persona, piece), lambda so_far: refers(so_far, last))
        answer = await self._generate(persona, messages, "", held)
        if refers(answer, last):
            return Utterance(persona, answer, sources)
        return Utterance(
            persona, await self._generate(persona, messages, f"What {last.persona} says "), sources, again=True
        )

    async def _generate(
        self,
        persona: str,
        messages: tuple[dict[str, str], ...],
        prefill: str,
        hear: Callable[[str], None] | None = None,
    ) -> str:
        heard = hear or (lambda piece: self._on_token(persona, piece))
        if prefill:
            heard(prefill)
        request = GenerateRequest(
            state="CONVERSING",
            persona=persona,
            messages=messages,
            prefill=prefill,
            max_tokens=_MOST_TOKENS,
            intent=messages[-1]["content"],
        )
        return (prefill + (await self._mind.generate(request, heard)).texts[0]).strip()


class _Held:
    """Holds pieces of text back until they are known to stay."""

    def __init__(self, hear: Callable[[str], None], stays: Callable[[str], bool]) -> None:
        self._hear = hear
        self._stays = stays
        self._text = ""
        self._free = False

    def __call__(self, piece: str) -> None:
        self._text += piece
        if self._free:
            self._hear(piece)
        elif self._stays(self._text):
            self._free = True
            self._hear(self._text)


def _near(hits: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    told = [hit for hit in hits if hit["metadata"].get("kind") != catalog.METHOD]
    best = max((hit["score"] for hit in told), default=0.0)
    return [hit for hit in told if hit["score"] >= max(_RELEVANT, best / 2)]


def _messages(
    codex: dict[str, Any], hits: Sequence[dict[str, Any]], text: str, before: Sequence[Utterance]
) -> tuple[dict[str, str], ...]:
    system = (
        f"You are {codex.get('core_identity')}. {codex.get('portrait', '')} {codex.get('voice', '')}"
        " Answer the Architect in a few sentences. Keep to what Fractal Memory says, and say so where it says nothing."
    )
    parts = []
    if hits:
        told = "\n".join(f"[{number}] {hit['text']}" for number, hit in enumerate(hits, 1))
        parts.append(f"From Fractal Memory:\n{told}\n")
    parts.append(f"The Architect says: {text}")
    parts += [f"\n{said.persona} answered: {said.text}" for said in before]
    if before:
        name = before[-1].persona
        parts.append(
            f"\nAnswer now. Name {name}, take up a point of what {name} said, and build on it; do not repeat it."
        )
    return {"role": "system", "content": system}, {"role": "user", "content": "\n".join(parts)}
