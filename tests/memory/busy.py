"""A process that teaches Fractal Memory until it is killed, and says before and after each step what it does.

`python -m tests.memory.busy HOME SEED`: `trying NAME VERSION` goes before a step, `done NAME VERSION` follows when it was
acknowledged; version 0 means forgotten. A seed divisible by 3 teaches in bulk, as `ingest` does with a stopped image.
"""

from __future__ import annotations

import asyncio
import random
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from batos.image.migrations import migrate
from batos.image.store import Image
from batos.memory import bulk
from batos.memory.readers import Document
from batos.memory.service import FractalMemory
from batos.testing.scripted import hash_vector

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ASKERS, NAMES = 4, 8
ORIGIN = "busy"
_WORDS = [
    "bee",
    "ant",
    "wasp",
    "fly",
    "hive",
    "nest",
    "sting",
    "wing",
    "queen",
    "drone",
    "honey",
    "comb",
    "swarm",
    "larva",
    "pollen",
    "nectar",
]


def text_of(name: str, version: int) -> str:
    """The text of a document's version; long ones have many chunks."""
    chance = random.Random(f"{name} {version}")
    sentences = [
        " ".join(chance.choices(_WORDS, k=chance.randint(4, 12))).capitalize() + "."
        for _ in range(chance.randint(1, 80))
    ]
    return f"# {name} in version {version}\n\n" + "\n\n".join(sentences)


def document(name: str, version: int) -> Document:
    """A document's version as it is handed in."""
    return Document(name, text_of(name, version), {"version": version, "kind": "note"})


def say(*words: object) -> None:
    """Tell the killer."""
    print(*words, flush=True)


async def embed(texts: Sequence[str]) -> list[list[float]]:
    """Vectors that every process makes alike."""
    return [hash_vector(text) for text in texts]


async def ask(memory: FractalMemory, who: int, seed: int) -> None:
    """Teach, edit and forget documents of its own, for ever."""
    chance = random.Random(seed * 100 + who)
    version = seed * 1000
    while True:
        version += 1
        name, verb = f"doc{who}.{chance.randrange(NAMES)}", chance.random()
        if verb < 0.15:
            say("trying", name, 0)
            await memory.forget(name, origin=ORIGIN)
            say("done", name, 0)
        else:
            say("trying", name, version)
            await memory.remember(*document(name, version)[:3], wait=verb < 0.5, origin=ORIGIN)
            say("done", name, version)


def pour(seed: int) -> Iterator[Document]:
    """Documents for the bulk, more than one lives to learn."""
    for round_ in range(1, 1000):
        for number in range(NAMES * ASKERS):
            version = seed * 1000 + round_
            say("trying", f"bulk{number}", version)
            yield document(f"bulk{number}", version)


async def serve(image: Image, seed: int) -> None:
    """Be the memory of a kernel."""
    memory = FractalMemory(image, embed, "hash")
    await memory.start()
    memory.begin_weaving()
    say("ready")
    await asyncio.gather(*(ask(memory, who, seed) for who in range(ASKERS)))


def main(home: Path, seed: int) -> None:
    """Live until killed."""
    image = Image(home / "live_image.fs", home / "live_image.fs.blob")
    migrate(image)
    if seed % 3 == 0:
        bulk.BATCH = 20
        say("ready")
        bulk.learn(image, pour(seed))
    else:
        asyncio.run(serve(image, seed))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
