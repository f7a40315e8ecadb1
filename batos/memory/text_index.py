"""`PersistentTextIndex`: the text index of Fractal Memory, stock zope.index Okapi under its own name.

The image stores the path of the class; move it only with a migration. Ranking is Okapi BM25. A query is a bag of
words: it is cut into words like a document, the words are joined by OR, and no query language is ever parsed.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, NamedTuple

import BTrees
from zope.index.text.lexicon import Lexicon
from zope.index.text.okapiindex import OkapiIndex, inverse_doc_frequency
from zope.index.text.textindex import TextIndex

if TYPE_CHECKING:
    from collections.abc import Container

MAX_WORD = 64
_STOP = (
    "a about all am an and any are as at be been but by can could did do does for from had has have he her his how i if "
    "in into is it its just may me my no nor not of on or our please shall she should so some such than that the their "
    "them then there these they this those to too up us very was we were what when where which while who whom will with "
    "would you your"
)
STOP_WORDS = frozenset(_STOP.split())

_RUN = re.compile(r"[^\W_]+")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


class Hit(NamedTuple):
    """A document that a search found; `score` lies in (0, 1], more is better."""

    docid: int
    score: float


def words_of(text: str) -> list[str]:
    """Cut text into words as they are indexed: folded, without stop words; `snake_case` and `camelCase` give parts."""
    plain = unicodedata.normalize("NFKC", text)
    parts = (part for run in _RUN.findall(plain) for part in (_HUMP.split(run) if run.isascii() else (run,)))
    lower = (part[:MAX_WORD].casefold() for part in parts)
    kept = (fold(word) for word in lower if word not in STOP_WORDS)
    return [word for word in kept if word not in STOP_WORDS]


def fold(word: str) -> str:
    """Give the singular of a plain English plural, by the three rules of Harman's S stemmer."""
    if len(word) < 4 or not word.endswith("s"):
        return word
    if word.endswith("ies") and not word.endswith(("eies", "aies")):
        return word[:-3] + "y"
    if word.endswith("es") and not word.endswith(("aes", "ees", "oes")):
        return word[:-1]
    return word if word.endswith(("us", "ss")) else word[:-1]


class PersistentTextIndex(TextIndex):  # type: ignore[misc]
    """A text index whose documents are named by 64-bit integers."""

    def __init__(self) -> None:
        # Words are cut here, so the image stores no pipeline of ours.
        lexicon = Lexicon()
        super().__init__(lexicon, OkapiIndex(lexicon, family=BTrees.family64))

    def index_doc(self, docid: int, text: str) -> None:
        """Index a text under an id, in place of what was there before."""
        super().index_doc(docid, words_of(text))

    def apply(self, querytext: str, start: int = 0, count: int | None = None) -> list[Hit]:
        """Search as zope.index names it; see `best`."""
        return self.best(querytext)[start : None if count is None else start + count]

    def best(self, text: str, within: Container[int] | None = None) -> list[Hit]:
        """Find the documents that share a word with a text, best first; equal scores in the order of their ids.

        Args:
            text: Any text; nothing in it has a special meaning.
            within: The documents that the answer is limited to.
        """
        words = _distinct(text)
        scores = self.index.search(words) if words else None
        if not scores:
            return []
        top = self.index.query_weight(words)
        hits = (Hit(docid, score / top) for docid, score in scores.items() if within is None or docid in within)
        return sorted(hits, key=lambda hit: (-hit.score, hit.docid))

    def coverage(self, text: str, docid: int) -> float:
        """Tell how much of a text a document has: 0 nothing, 1 each of its words.

        Rare words count for more than common ones; a word that no document has counts as the rarest.
        """
        total = met = 0.0
        has = set(self.index.get_words(docid))
        for word in _distinct(text):
            known = max(1, len(self.index.search([word])))
            weight = inverse_doc_frequency(known, max(1, self.documentCount()))
            total += weight
            met += weight if self.lexicon.get_wid(word) in has else 0.0
        return met / total if total else 0.0


def _distinct(text: str) -> list[str]:
    return list(dict.fromkeys(words_of(text)))
