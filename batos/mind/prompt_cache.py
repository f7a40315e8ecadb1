"""What a context has read, kept by its tokens: a prompt that begins like an earlier one is read only from there on.

Prompts are read in chunks of a fixed size, and only whole chunks are kept and put back, each time into an empty
context. So a text does not depend on what was asked before it: numbers computed in chunks of another shape, or lying
elsewhere in the cache, would differ in their last digits, and a sampled text with them.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from batos.mind.llama_native import Context

SEQUENCE = 0
LIMIT_BYTES = 256 << 20


class PromptCache:
    """Beginnings of prompts that a context has read.

    Args:
        context: The context; prompts are read into its sequence 0.
        chunk: Tokens that are read at once.
        limit: Bytes that are kept; the beginning that was used least lately goes first.
    """

    def __init__(self, context: Context, chunk: int, limit: int = LIMIT_BYTES) -> None:
        self._context = context
        self._chunk = chunk
        self._limit = limit
        self._kept: OrderedDict[tuple[int, ...], Any] = OrderedDict()
        self.reused = 0

    def begin(self, tokens: Sequence[int]) -> int:
        """Empty the context, put back what it has read of a prompt, and give how many tokens that is.

        It is a whole number of chunks, and never the whole prompt: the logits of the last token are needed.
        """
        self._context.cut(-1)
        wanted = tokens[: self._whole(tokens)]
        best = max(self._kept, key=lambda kept: common_length(kept, wanted), default=())
        common = common_length(best, wanted) // self._chunk * self._chunk
        if not common:
            return 0
        self._kept.move_to_end(best)
        if not self._context.restore(SEQUENCE, self._kept[best]):
            self._context.cut(-1)
            return 0
        self._context.cut(SEQUENCE, common)
        self.reused += common
        return common

    def note(self, tokens: Sequence[int], read: int) -> None:
        """Hear how many tokens of a prompt have been read; at the last whole chunk they are kept."""
        key = tuple(tokens[:read])
        if read != self._whole(tokens) or not key or key in self._kept:
            return
        self._kept[key] = self._context.save(SEQUENCE)
        while len(self._kept) > 1 and sum(map(len, self._kept.values())) > self._limit:
            self._kept.popitem(last=False)

    def move(self, context: Context) -> None:
        """Go on with another context of the same model."""
        self._context = context

    def trim(self, limit: int) -> None:
        """Keep so many bytes at most, of the beginnings that were used last."""
        while self._kept and sum(map(len, self._kept.values())) > limit:
            self._kept.popitem(last=False)

    def _whole(self, tokens: Sequence[int]) -> int:
        """Tokens in a prompt's whole chunks, its last token left out."""
        return (len(tokens) - 1) // self._chunk * self._chunk


def common_length(one: Sequence[int], other: Sequence[int]) -> int:
    """How many tokens two prompts begin with alike."""
    for i, (a, b) in enumerate(zip(one, other, strict=False)):
        if a != b:
            return i
    return min(len(one), len(other))
