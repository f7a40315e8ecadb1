"""The embedding engine: a sentence-transformers folder on the cores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from batos.errors import Cancelled, ModelError
from batos.mind.corelock import core_lock
from batos.mind.device import cores

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from batos.mind.protocol import ModelSpec

BATCH = 32


class EmbeddingEngine:
    """One embedding model.

    Args:
        spec: The model; `path` is its folder.

    Raises:
        ModelError: sentence-transformers is not installed, or the folder is broken.
    """

    def __init__(self, spec: ModelSpec) -> None:
        try:
            import sentence_transformers
            import torch
        except ImportError as error:
            hint = "Install BAT OS in full; the light installation searches by words alone."
            raise ModelError(f"embeddings need sentence-transformers: {error}", hint) from None
        torch.set_num_threads(cores())
        try:
            self._model: Any = sentence_transformers.SentenceTransformer(spec.path, device="cpu", local_files_only=True)
        except (OSError, ValueError, KeyError) as error:
            raise ModelError(f"the embedding model in {spec.path} cannot be loaded: {error}") from None

    def embed(self, texts: Sequence[str], cancelled: Callable[[], bool]) -> list[list[float]]:
        """Give a unit vector for each text.

        Raises:
            Cancelled: `cancelled` said so.
        """
        vectors: list[list[float]] = []
        for start in range(0, len(texts), BATCH):
            if cancelled():
                raise Cancelled
            with core_lock(cancelled=cancelled):
                batch = self._model.encode(
                    list(texts[start : start + BATCH]), normalize_embeddings=True, show_progress_bar=False
                )
            vectors += batch.tolist()
        return vectors

    def sleep(self) -> bool:
        """Tell that this engine gives memory back only by being closed."""
        return False

    def wake(self) -> None:
        """Nothing to do: it never sleeps."""

    def close(self) -> None:
        """Let the model go."""
        self._model = None
