"""Constrained decoding by llguidance: at each step only tokens that keep the answer valid may follow."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from batos.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Sequence


class Grammar:
    """A JSON schema made ready for one tokenizer.

    Args:
        tokenizer: The model's `LLTokenizer`.
        schema: The JSON schema.

    Raises:
        ModelError: The schema is not one that can be decoded by.
    """

    def __init__(self, tokenizer: Any, schema: dict[str, Any]) -> None:
        import llguidance

        # One form of white space, the one that models know best: a small model could write blanks for ever.
        defaults = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
        try:
            text = llguidance.LLMatcher.grammar_from_json_schema(json.dumps(schema), defaults=defaults)
        except ValueError as error:
            raise ModelError(f"the JSON schema cannot be decoded by: {error}") from None
        self._first = llguidance.LLMatcher(tokenizer, text, log_level=0)
        if self._first.is_error():
            raise ModelError(f"the JSON schema cannot be decoded by: {self._first.get_error().splitlines()[0]}")

    def constraint(self, prefill: Sequence[int] = ()) -> Constraint:
        """Begin one answer; `prefill` is what it already begins with.

        Raises:
            ModelError: The prefill does not fit the schema.
        """
        return Constraint(self._first.deep_copy(), prefill)


class Constraint:
    """What one answer may go on with."""

    def __init__(self, matcher: Any, prefill: Sequence[int] = ()) -> None:
        self._matcher = matcher
        if prefill and not matcher.consume_tokens(list(prefill)):
            raise ModelError("the beginning that was given for the answer does not fit its JSON schema")

    def mask(self, logits: Any) -> None:
        """Rule out, in place, every token that may not follow; `logits` is a float array over the vocabulary."""
        import numpy as np

        bits = np.frombuffer(self._matcher.compute_bitmask(), dtype=np.uint8)
        allowed = np.unpackbits(bits, bitorder="little")
        size = min(len(allowed), len(logits))
        logits[:size][allowed[:size] == 0] = -np.inf
        logits[size:] = -np.inf

    def take(self, token: int) -> list[int]:
        """Take the token that was chosen, and give those that must follow it.

        Raises:
            ModelError: The token was not allowed, or the grammar grew too complex.
        """
        if not self._matcher.consume_token(token):
            raise ModelError(f"constrained decoding failed: {self._matcher.get_error().splitlines()[0]}")
        if self._matcher.is_stopped():
            return []
        forced = list(self._matcher.compute_ff_tokens())
        if forced and not self._matcher.consume_tokens(forced):
            raise ModelError(f"constrained decoding failed: {self._matcher.get_error().splitlines()[0]}")
        return forced

    @property
    def complete(self) -> bool:
        """Whether the answer satisfies the schema and nothing may follow."""
        return bool(self._matcher.is_stopped())
