"""A kernel with the scripted mind whose embedding model arrives late: it is missing until the file `embedding` lies in its home.

`python -m tests.kernel.late_embedding`, in place of `batos.py`. A missing model is asked for often.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from batos.errors import NoWeights
from batos.kernel.main import main
from batos.memory import meaning
from batos.testing.scripted import ScriptedMind

if TYPE_CHECKING:
    from collections.abc import Sequence

_embed = ScriptedMind.embed


async def embed(self: ScriptedMind, texts: Sequence[str]) -> list[list[float]]:
    """Embed as the scripted mind does, once the model is there."""
    if not (Path(os.environ["BATOS_HOME"]) / "embedding").exists():
        raise NoWeights("the embedding model is not there yet")
    return await _embed(self, texts)


if __name__ == "__main__":
    ScriptedMind.embed = embed
    meaning.RETRY_SECONDS = 0.1
    sys.exit(main(sys.argv[1:]))
