"""The text index: words, ranking, and queries that can hold anything."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

import batos
from batos.memory.text_index import PersistentTextIndex
from batos.memory.words import words_of


def _index(*texts: str) -> PersistentTextIndex:
    index = PersistentTextIndex()
    for docid, text in enumerate(texts):
        index.index_doc(docid, text)
    return index


def _found(index: PersistentTextIndex, query: str) -> list[int]:
    return [hit.docid for hit in index.best(query)]


class TestSearch:
    def test_one_known_word_is_enough(self) -> None:
        """Words are joined by OR: an unknown word beside a known one hides nothing."""
        assert _found(_index("mount the disk", "read a book"), "unmountable disk zzz") == [0]

    def test_more_shared_words_rank_higher(self) -> None:
        """A document that has more of the query's words, or rarer ones, comes first."""
        index = _index("time", "system time", "the current system time", "book")
        assert _found(index, "current system time") == [2, 1, 0]

    def test_scores_lie_between_0_and_1(self) -> None:
        """A score is a share of the best score possible."""
        scores = [hit.score for hit in _index("a bee", "bee bee bee", "bee hive").best("bee hive")]
        assert scores == sorted(scores, reverse=True)
        assert all(0 < score <= 1 for score in scores)

    @given(st.text(st.sampled_from('ab"()-*?& \u2028|~\\andortNOT')) | st.text())
    def test_no_text_breaks_a_query(self, text: str) -> None:
        """Whatever a person types is a bag of words, never a syntax error."""
        index = _index("a bee and an ant", "not or and")
        assert all(hit.docid in (0, 1) for hit in index.best(text))

    @given(st.text(min_size=1), st.integers(min_value=1, max_value=2**31 - 2))
    def test_each_document_is_found_by_its_own_text(self, text: str, docid: int) -> None:
        """A document with any indexed word is found by its own text, whatever its id; unindexed it is gone."""
        index = _index("bee", "ant")
        index.index_doc(docid + 1, text)
        assert (docid + 1 in _found(index, text)) == bool(words_of(text))
        index.unindex_doc(docid + 1)
        assert docid + 1 not in _found(index, text)

    def test_within_limits_the_answer(self) -> None:
        """Only documents in the given set are answered."""
        index = _index("bee", "bee", "bee")
        assert [hit.docid for hit in index.best("bee", {0, 2})] == [0, 2]

    def test_indexed_again_replaces(self) -> None:
        """A second text under the same id takes the first one's place."""
        index = _index("bee", "ant")
        index.index_doc(0, "wasp")
        assert _found(index, "bee") == []
        assert _found(index, "wasp") == [0]
        assert index.apply("wasp") == index.best("wasp")
        assert index.apply("wasp", 0, 0) == []


class TestBatches:
    @given(st.lists(st.text(st.sampled_from("ab cd"), max_size=30), max_size=40), st.sets(st.integers(0, 39)))
    def test_a_batch_is_the_same_as_one_by_one(self, texts: list[str], gone: set[int]) -> None:
        """Texts indexed at once are found as those indexed singly, also after some were taken out again."""
        singly, at_once = _index(*texts), PersistentTextIndex()
        at_once.index_many(enumerate(texts))
        for index in (singly, at_once):
            for docid in gone:
                index.unindex_doc(docid)
        assert singly.best("ab ba cd") == at_once.best("ab ba cd")
        assert (singly.documentCount(), singly.wordCount()) == (at_once.documentCount(), at_once.wordCount())


class TestCoverage:
    def test_all_words_cover_and_none_do_not(self) -> None:
        """Coverage is 1 with each of the words, 0 with none, and no word at all covers nothing."""
        index = _index("greet a user", "calculate the factorial of a number")
        assert index.coverage("please greet the user", 0) == 1
        assert index.coverage("please greet the user", 1) == 0
        assert index.coverage("the of", 0) == 0

    def test_an_unknown_word_weighs_as_a_rare_one(self) -> None:
        """A word that nobody has lowers coverage more than a common word that the document lacks."""
        index = _index("greet user", "greet number", "greet number two")
        assert index.coverage("greet zebra", 0) < index.coverage("greet number", 0) < 1


def test_public_name() -> None:
    """`PersistentTextIndex` keeps its public name."""
    assert batos.PersistentTextIndex is PersistentTextIndex
