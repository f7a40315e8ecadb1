"""What a context has read, kept by its tokens: a prompt that begins like an earlier one is read only from there on.

The context itself holds the latest prompt. A prompt that is displaced by a different one is saved, so that the states
of a cycle, which ask in turn, each find their own beginning again.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from batos.mind.llama_native import Context

SEQUENCE = 0
LIMIT_BYTES = 256 << 20
WORTHWHILE = 64


class PromptCache:
    """The prompt in sequence 0 of a context, and saved ones beside it.

    Args:
        context: The context.
        limit: Bytes of saved prompts; the one that was used least lately goes first.
    """

    def __init__(self, context: Context, limit: int = LIMIT_BYTES) -> None:
        self._context = context
        self._limit = limit
        self._tokens: list[int] = []
        self._saved: OrderedDict[tuple[int, ...], Any] = OrderedDict()
        self.reused = 0

    def begin(self, tokens: Sequence[int]) -> int:
        """Prepare sequence 0 for a prompt and give how many of its tokens are already there.

        At least the last token is always left to read, because its logits are needed.
        """
        wanted = list(tokens[:-1])
        common = common_length(self._tokens, wanted)
        best = max(self._saved, key=lambda saved: common_length(saved, wanted), default=())
        if common_length(best, wanted) >= common + WORTHWHILE:
            common = self._swap(best, wanted)
        elif len(self._tokens) >= 2 * common + WORTHWHILE:
            self._save()
        self._context.cut(SEQUENCE, common)
        self._tokens = self._tokens[:common]
        self.reused += common
        return common

    def holds(self, tokens: Sequence[int]) -> None:
        """Note that sequence 0 holds these tokens now."""
        self._tokens = list(tokens)

    def reset(self) -> None:
        """Empty the context; saved prompts stay."""
        self._context.cut(-1)
        self._tokens = []

    def _swap(self, saved: tuple[int, ...], wanted: list[int]) -> int:
        self._save()
        self._context.cut(SEQUENCE)
        self._tokens = []
        state = self._saved.get(saved)
        if state is None or not self._context.restore(SEQUENCE, state):
            self._context.cut(SEQUENCE)
            return 0
        self._saved.move_to_end(saved)
        self._tokens = list(saved)
        return common_length(saved, wanted)

    def _save(self) -> None:
        if len(self._tokens) < WORTHWHILE:
            return
        self._saved[tuple(self._tokens)] = self._context.save(SEQUENCE)
        self._saved.move_to_end(tuple(self._tokens))
        while len(self._saved) > 1 and sum(map(len, self._saved.values())) > self._limit:
            self._saved.popitem(last=False)


def common_length(one: Sequence[int], other: Sequence[int]) -> int:
    """How many tokens two prompts begin with alike."""
    for i, (a, b) in enumerate(zip(one, other, strict=False)):
        if a != b:
            return i
    return min(len(one), len(other))
