"""The context is a budget: what may be left out goes first, and what does not fit then is an error that says by how much."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from batos.errors import ContextTooLong

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from batos.mind.protocol import GenerateRequest

ROOM_SHARE = 4

Messages = tuple[dict[str, str], ...]


class Fitted(NamedTuple):
    """A prompt that fits: its tokens, and how many optional parts were left out for it."""

    tokens: list[int]
    dropped: int


def fit(request: GenerateRequest, encode: Callable[[Messages], list[int]], context: int) -> Fitted:
    """Cut a request's prompt into tokens, leaving out optional parts, the least useful first, until it fits.

    As long as there are optional parts, the answer's room is kept free too: `max_tokens`, but a quarter of the context
    at most.

    Args:
        request: The request; `optional` are parts of its messages' contents, the most useful first.
        encode: Renders messages and cuts them into the model's own tokens.
        context: The model's context, in tokens.

    Raises:
        ContextTooLong: It does not fit without them either; `details` has `tokens`, `context` and `over`.
    """
    messages, parts = request.messages, list(request.optional)
    tokens = encode(messages)
    room = min(request.max_tokens, context // ROOM_SHARE)
    while parts and len(tokens) + room > context:
        messages = without(messages, parts.pop())
        tokens = encode(messages)
    over = len(tokens) + 1 - context
    if over > 0:
        raise ContextTooLong(
            f"the prompt has {len(tokens)} tokens, {over} more than the context of {context} has room for",
            tokens=len(tokens),
            context=context,
            over=over,
        )
    return Fitted(tokens, len(request.optional) - len(parts))


def without(messages: Sequence[dict[str, str]], part: str) -> Messages:
    """The messages without a part of their contents."""
    return tuple({**message, "content": message["content"].replace(part, "", 1)} for message in messages)
