"""`PersistentTextIndex`: the text index of Fractal Memory, stock zope.index Okapi under its own name.

The image stores the paths of the classes here; move them only with a migration. The figures of the ranking are Okapi
BM25's. A query is a bag of words: it is cut into words like a document, the words are joined by OR, and no query
language is ever parsed.
"""

from __future__ import annotations

import re
import unicodedata
from typing import NamedTuple

import BTrees
from zope.index.text.lexicon import Lexicon
from zope.index.text.okapiindex import OkapiIndex, inverse_doc_frequency
from zope.index.text.textindex import TextIndex

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


class WordSplitter:
    """Cuts text into words; `snake_case` and `camelCase` give their parts."""

    def process(self, texts: list[str]) -> list[str]:
        """Cut each text; compatibility forms of letters (ligatures, full width) become plain ones."""
        return [
            part[:MAX_WORD]
            for text in texts
            for run in _RUN.findall(unicodedata.normalize("NFKC", text))
            for part in (_HUMP.split(run) if run.isascii() else (run,))
        ]


class WordFolder:
    """Drops case, stop words and plain English plurals, so that `methods` finds `Method`."""

    def process(self, words: list[str]) -> list[str]:
        """Fold each word that is not a stop word; doing it again changes nothing."""
        kept = (fold(word) for word in map(str.casefold, words) if word not in STOP_WORDS)
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


_PIPELINE = (WordSplitter(), WordFolder())


class PersistentTextIndex(TextIndex):  # type: ignore[misc]
    """A text index whose documents are named by 64-bit integers."""

    def __init__(self) -> None:
        lexicon = Lexicon(*_PIPELINE)
        super().__init__(lexicon, OkapiIndex(lexicon, family=BTrees.family64))

    def words(self, text: str) -> list[str]:
        """Give the distinct words of a text as they are indexed, in the order of their first use."""
        words = [text]
        for element in _PIPELINE:
            words = element.process(words)
        return list(dict.fromkeys(words))

    def best(self, text: str, within: object | None = None) -> list[Hit]:
        """Find the documents that share a word with the text, best first; equal scores in the order of their ids.

        Args:
            text: Any text; nothing in it has a special meaning.
            within: A set of docids (anything with `in`) that the answer is limited to.
        """
        words = self.words(text)
        if not words:
            return []
        scores = self.index.search(words)
        top = self.index.query_weight(words) or 1.0
        found = scores.items() if within is None else ((i, s) for i, s in scores.items() if i in within)  # type: ignore[operator]
        return sorted((Hit(docid, score / top) for docid, score in found), key=lambda hit: (-hit.score, hit.docid))

    def coverage(self, text: str, docid: int) -> float:
        """Tell how much of a text's meaning a document carries: 0 nothing, 1 each of its words.

        Rare words count for more than common ones; a word that no document has counts as the rarest.
        """
        total = met = 0.0
        has = set(self.index.get_words(docid))
        for word in self.words(text):
            weight = inverse_doc_frequency(max(1, len(self.index.search([word]))), max(1, self.documentCount()))
            total += weight
            met += weight if self.lexicon.get_wid(word) in has else 0.0
        return met / total if total else 0.0
