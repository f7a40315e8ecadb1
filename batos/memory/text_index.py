"""`PersistentTextIndex`: the text index of Fractal Memory, zope.index's Okapi index under its own name.

The image stores the paths of the classes here; move them only with a migration. A query is a bag of words: it is cut
into words like a document, and no query language is ever parsed. Searches of the catalog read the postings from here
and rank them in `recall`; `best` ranks by stock Okapi BM25.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

from BTrees.IIBTree import IIBTree
from zope.index.text import widcode
from zope.index.text.lexicon import Lexicon
from zope.index.text.okapiindex import OkapiIndex, inverse_doc_frequency
from zope.index.text.textindex import TextIndex

from batos.memory.words import distinct, words_of

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping

_FEW = 12


class Hit(NamedTuple):
    """A text that a search found; `score` lies in (0, 1], more is better."""

    docid: int
    score: float


class Postings(OkapiIndex):  # type: ignore[misc]
    """An Okapi index that takes many texts at once and stores its counts as integers.

    `_wordinfo` maps a word's id to a dict of its first postings, later to an `IIBTree`: text id → count. Each word is
    touched once for a batch, and a count takes two bytes where the stock index stores a float of nine.
    """

    def index_many(self, texts: Iterable[tuple[int, list[str]]]) -> None:
        """Index texts that are not in the index yet: id and words of each."""
        added: dict[int, dict[int, int]] = {}
        total = texts_added = 0
        for docid, words in texts:
            wids = self._lexicon.sourceToWordIds(words)
            for wid, count in Counter(wids).items():
                added.setdefault(wid, {})[docid] = count
            self._docweight[docid] = len(wids)
            self._docwords[docid] = widcode.encode(wids)
            total += len(wids)
            texts_added += 1
        new_words = sum([self._add_postings(wid, counts) for wid, counts in added.items()])
        self.wordCount.change(new_words)
        self.documentCount.change(texts_added)
        self._change_doc_len(total)

    def index_doc(self, docid: int, text: list[str]) -> None:
        """Index one text, in place of what was there before."""
        self.unindex_doc(docid)
        self.index_many([(docid, text)])

    def unindex_doc(self, docid: int) -> None:
        """Take one text out; one that is not there does no harm."""
        if docid in self._docwords:
            self._change_doc_len(-self._docweight[docid])
            for wid in set(self.get_words(docid)):
                self._del_wordinfo(wid, docid)
            del self._docwords[docid], self._docweight[docid]
            self.documentCount.change(-1)

    def postings(self, word: str) -> Mapping[int, int]:
        """Give the texts that have a word, and how often."""
        found: Mapping[int, int] = self._wordinfo.get(self._lexicon.get_wid(word), {})
        return found

    def lengths(self) -> Mapping[int, int]:
        """Give the number of words of each text."""
        lengths: Mapping[int, int] = self._docweight
        return lengths

    def clear(self) -> None:
        """Forget all texts; the lexicon keeps its words."""
        super().clear()
        self._docweight = IIBTree()

    def _add_postings(self, wid: int, counts: dict[int, int]) -> int:
        """Add a word's postings; gives 1 when the word is new, else 0."""
        there = self._wordinfo.get(wid)
        if isinstance(there, IIBTree):
            there.update(counts)
            return 0
        joined = {**there, **counts} if there else counts
        self._wordinfo[wid] = joined if len(joined) <= _FEW else IIBTree(joined)
        return 0 if there else 1


class PersistentTextIndex(TextIndex):  # type: ignore[misc]
    """A text index whose texts are named by small integers."""

    def __init__(self) -> None:
        # Words are cut here, so the image stores no pipeline of ours.
        lexicon = Lexicon()
        super().__init__(lexicon, Postings(lexicon))
        self.changes = 0

    def changed(self) -> None:
        """Say that this unit of work changes the catalog, so that readers in memory notice."""
        self.changes += 1

    @property
    def is_current(self) -> bool:
        """Whether it was made by this layout; an older one is made anew from the chunks."""
        return isinstance(self.index, Postings)

    def index_doc(self, docid: int, text: str) -> None:
        """Index a text under an id, in place of what was there before."""
        self.index.index_doc(docid, words_of(text))

    def index_many(self, texts: Iterable[tuple[int, str]]) -> None:
        """Index texts whose ids are new; much quicker than one by one."""
        self.index.index_many((docid, words_of(text)) for docid, text in texts)

    def apply(self, querytext: str, start: int = 0, count: int | None = None) -> list[Hit]:
        """Search as zope.index names it; see `best`."""
        return self.best(querytext)[start : None if count is None else start + count]

    def best(self, text: str, within: Container[int] | None = None) -> list[Hit]:
        """Find the texts that share a word with a text, best first; equal scores in the order of their ids.

        Args:
            text: Any text; nothing in it has a special meaning.
            within: The texts that the answer is limited to.
        """
        words = distinct(text)
        scores: Any = self.index.search(words) if words else None
        if not scores:
            return []
        top = self.index.query_weight(words)
        hits = (Hit(docid, score / top) for docid, score in scores.items() if within is None or docid in within)
        return sorted(hits, key=lambda hit: (-hit.score, hit.docid))

    def coverage(self, text: str, docid: int) -> float:
        """Tell how much of a query a text has: 0 nothing, 1 each of its words.

        Rare words count for more than common ones; a word that no text has counts as the rarest.
        """
        total = met = 0.0
        for word in distinct(text):
            postings = self.index.postings(word)
            weight = inverse_doc_frequency(max(1, len(postings)), max(1, self.documentCount()))
            total += weight
            met += weight if docid in postings else 0.0
        return met / total if total else 0.0
