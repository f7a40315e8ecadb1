"""Random and hostile queries: none raises, and a word that Fractal Memory knows is found whatever stands around it.

`BATOS_QUERY_FUZZ=100000 pytest tests/memory/test_query_fuzz.py` asks so many.
"""

from __future__ import annotations

import os
import random
import sys
from typing import TYPE_CHECKING

from batos.memory import catalog, records
from batos.testing.scripted import hash_vector

if TYPE_CHECKING:
    from batos.image.store import Image
    from batos.image.view import View

QUERIES = int(os.environ.get("BATOS_QUERY_FUZZ", "300"))
BATCH = 1000

WORDS = [
    "zeppelin",
    "quetzal",
    "Straße",
    "naïve",
    "snake_case_name",
    "camelCaseName",
    "HTTPServer",
    "été",
    "日本語",
    "x86",
]
HOSTILE = [
    *["AND", "OR", "NOT", "(", ")", '"', "*", "?", "and not", "~", "^", "+", "-", ":", "[", "]", "{", "}", "\\", "/", "|"],
    *["%", "_", "__class__", "'; DROP TABLE documents; --", "${jndi:x}", "{{7*7}}", "<script>", "../../etc/passwd", "%s%n"],
    *["(((((((((((((((", "a" * 5000, "(a+)+$", "\0", "\x7f", "\x1b[31m", "\r\n", "\u202e", "\u200b", "\ufeff", "\ufffd"],
    *["\ud800", "\udfff", "\U0010ffff", "e\u0301" * 50, "\u0301" * 200, "ﷺ", "ﬃ", "İ", "ß" * 100, "🦇", "👨‍👩‍👧‍👦", "١٢٣", "Ⅷ", "½"],
    *["the of and a", "what is the", "method", "doc:x", "zeppelin*", "*zeppelin", '"quetzal', "1e309", "-0", "NaN", "None"],
]  # fmt: skip
ALPHABETS = [
    (0x20, 0x7E),
    (0x00, 0x1F),
    (0x80, 0x2FF),
    (0x300, 0x36F),
    (0x600, 0x6FF),
    (0x2000, 0x206F),
    (0x4E00, 0x4FFF),
    (0xAC00, 0xAFFF),
    (0xD800, 0xDFFF),
    (0x1F300, 0x1F6FF),
    (0, sys.maxunicode),
]


def teach(view: View) -> None:
    """Documents that have the known words, some vectors, and a capability."""
    drafts = [catalog.draft(f"d{n}", f"Here is {word} among others.", {"n": n % 3}) for n, word in enumerate(WORDS)]
    catalog.index_many(view, drafts)
    genesis = view.ref(view.root["genesis_obj"])
    catalog.index_capability(view, genesis.hex, "fly_zeppelin", "(self)", "Fly the zeppelin.", "fly it")
    for draft in drafts[::2]:
        known = records.record(view, draft.doc_id)
        assert known is not None
        assert catalog.weave(view, draft, known["digest"], [hash_vector(draft.text)], "hash")


def noise(chance: random.Random) -> str:
    """A piece of a query: hostile, or of random characters."""
    if chance.random() < 0.4:
        return chance.choice(HOSTILE)
    low, high = chance.choice(ALPHABETS)
    return "".join(chr(chance.randint(low, high)) for _ in range(chance.choice([0, 1, 3, 10, 60])))


def dressed(chance: random.Random, word: str) -> str:
    """A known word as somebody may type it."""
    return chance.choice(
        [word, word.upper() if word.islower() else word, f"({word})", f'"{word}', f"{word}*", f"-{word}:"]
    )


def ask(view: View, first: int, count: int) -> list[str]:
    """Ask queries by their numbers; gives those that should have been answered and were not."""
    unanswered = []
    target = view.ref(view.root["genesis_obj"])
    for number in range(first, first + count):
        chance = random.Random(number)
        word = chance.choice([*WORDS, None])
        pieces = [noise(chance) for _ in range(chance.randint(0, 5))]
        if word is not None:
            pieces.insert(chance.randint(0, len(pieces)), dressed(chance, word))
        query = " ".join(pieces)
        vector = chance.choice([None, hash_vector("any"), [chance.gauss(0, 1) for _ in range(64)], [1.0], []])
        hits = catalog.search(view, query, chance.choice([1, 5, 50]), None, vector)
        assert all(0 < hit["score"] <= 1 and 0 <= hit["likeness"] <= 1 for hit in hits)
        assert [hit["score"] for hit in hits] == sorted((hit["score"] for hit in hits), reverse=True)
        if word is not None and not hits:
            unanswered.append(f"{number}: {query!r}")
        if number % 10 == 0:
            catalog.similar(view, target, query, 5, vector)
            assert catalog.search(view, query, 0, None, vector) == []
            plain = query.encode("utf-8", "replace").decode()
            wanted = {chance.choice(["n", plain]): chance.choice([1, plain[:9], None])}
            filtered = catalog.search(view, query, 50, wanted, vector)
            assert all(hit["metadata"].get("n") == 1 for hit in filtered)
    return unanswered


def test_no_query_breaks_the_search(image: Image) -> None:
    """No text raises, scores are in order and in their bounds, and no query with a known word comes back empty."""
    image.transact_now(teach)
    for first in range(0, QUERIES, BATCH):
        assert image.study_now(ask, first, min(BATCH, QUERIES - first)).value == []
