"""A voice of the Contrapunto: what it has from Fractal Memory, by words and by meaning."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batos.cognition.conversation import Contrapunto
from tests.cognition.knowing import woven

if TYPE_CHECKING:
    from batos.cognition.services import Services


async def _sources(services: Services, text: str) -> list[str]:
    """The documents that ROBIN has to answer from."""
    talk = Contrapunto(services.image, services.memory, services.mind, lambda _persona, _piece: None)
    return [source["doc_id"] for source in (await talk.speak(text, "ROBIN", [])).sources]


async def test_a_voice_knows_what_is_meant(services: Services) -> None:
    """What shares words with the question is a source, with vectors also what means the same; the rest is not."""
    await services.memory.remember("insects", "Beware of the wasp.", {})
    await services.memory.remember("travel", "Take a ship.", {})
    assert await _sources(services, "Should I take a ship?") == ["travel"]
    assert await _sources(services, "Does a sting hurt?") == []
    await woven(services)
    assert await _sources(services, "Does a sting hurt?") == ["insects"]
