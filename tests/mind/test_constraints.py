"""Constrained decoding: whatever a model prefers, the answer satisfies its schema."""

import json
import random

import llguidance
import numpy as np
import pytest

from batos.errors import ModelError
from batos.mind.constraints import Grammar

QUERIES = {"type": "array", "items": {"type": "string", "maxLength": 12}, "minItems": 1, "maxItems": 3}
BRIEF = {
    "type": "object",
    "properties": {"kind": {"enum": ["teach", "send"]}, "n": {"type": "integer", "minimum": 0, "maximum": 99}},
    "required": ["kind", "n"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def tokenizer():
    """A tokenizer whose tokens are bytes."""
    return llguidance.LLTokenizer("byte")


def write(tokenizer, schema, seed, prefill=b""):
    """Write an answer as a model would that has no idea at all."""
    chance = random.Random(seed)
    constraint = Grammar(tokenizer, schema).constraint(tokenizer.tokenize_bytes(prefill))
    tokens = []
    while not constraint.complete and len(tokens) < 500:
        logits = np.array([chance.random() for _ in range(tokenizer.vocab_size)], dtype=np.float32)
        constraint.mask(logits)
        token = int(np.argmax(logits))
        if token == tokenizer.eos_token:
            break
        tokens += [token, *constraint.take(token)]
    return prefill + tokenizer.decode_bytes(tokens)


@pytest.mark.parametrize("seed", range(5))
def test_random_logits_make_valid_json(tokenizer, seed):
    """Random preferences, masked, always make an answer of the schema."""
    queries = json.loads(write(tokenizer, QUERIES, seed))
    assert 1 <= len(queries) <= 3
    assert all(isinstance(query, str) and len(query) <= 12 for query in queries)
    brief = json.loads(write(tokenizer, BRIEF, seed))
    assert brief["kind"] in ("teach", "send")
    assert 0 <= brief["n"] <= 99


def test_prefill_counts_as_written(tokenizer):
    """An answer goes on where its given beginning ends."""
    assert json.loads(write(tokenizer, BRIEF, 1, b'{"kind": "send", "n": '))["kind"] == "send"


def test_prefill_that_does_not_fit(tokenizer):
    """A beginning that the schema rules out is an error at once."""
    with pytest.raises(ModelError, match="does not fit"):
        Grammar(tokenizer, BRIEF).constraint(tokenizer.tokenize_bytes(b"[1"))


def test_token_that_was_ruled_out(tokenizer):
    """Taking a token against the mask is an error, not a broken answer."""
    with pytest.raises(ModelError, match="constrained decoding failed"):
        Grammar(tokenizer, BRIEF).constraint().take(ord("x"))


def test_vocabulary_beyond_the_tokenizer_is_ruled_out(tokenizer):
    """Logits past the tokenizer's vocabulary, as padded weights have them, are never chosen."""
    logits = np.zeros(tokenizer.vocab_size + 100, dtype=np.float32)
    Grammar(tokenizer, BRIEF).constraint().mask(logits)
    assert np.all(np.isneginf(logits[tokenizer.vocab_size + 32 :]))


def test_schema_that_cannot_be_decoded_by(tokenizer):
    """A schema that is none is an error that says so."""
    with pytest.raises(ModelError, match="schema"):
        Grammar(tokenizer, {"type": "no such type"})
