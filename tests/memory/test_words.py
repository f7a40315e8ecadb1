"""Words: how text is cut for the index."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batos.memory import words
from batos.memory.words import MAX_WORD, STOP_WORDS, distinct, words_of

_HEADS = ["relat", "condit", "rat", "form", "organ", "general", "oper", "hope", "care", "use", "electric", "adjust"]
_TAILS = ["ional", "ization", "ations", "ingly", "fulness", "ements", "ively", "alities", "iveness", "abilities"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("report_the_current_system_time", ["report", "current", "system", "time"]),
        ("parseHTTPResponse getX2", ["pars", "http", "respons", "get", "x2"]),
        ("The methods, the Method's cities", ["method", "method", "s", "citi"]),
        ("running runs RUN", ["run", "run", "run"]),
        ("\ufb01ne STRASSE straße", ["fine", "strass", "strass"]),
        ("URLs of LLMs by parseURLs URL", ["url", "llm", "pars", "url", "url"]),
        ("AND or NOT the of", []),
        ("naïve Ünïcode 数え 42", ["naïv", "ünïcode", "数え", "42"]),
    ],
)
def test_words_are_cut_and_stemmed(text: str, words: list[str]) -> None:
    """Identifiers give their parts, the forms of a word their stem, stop words nothing."""
    assert words_of(text) == words


@given(st.text())
def test_words_are_short_and_say_something(text: str) -> None:
    """No word is empty or without bound, and case never matters to plain letters."""
    words = words_of(text)
    assert all(0 < len(word) <= 4 * MAX_WORD for word in words)
    if text.isascii() and text.islower():
        assert words_of(text.upper()) == words


def test_threads_do_not_share_letters() -> None:
    """Words that several threads stem at once get the stems that they get alone."""
    texts = [" ".join(f"{head}{tail}" for tail in _TAILS for head in heads) for heads in (_HEADS[:6], _HEADS[6:])]
    alone = [words_of(text) for text in texts]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(len(texts)) as pool:
            for _ in range(20):
                words._stemmed.cache_clear()
                assert list(pool.map(words_of, texts)) == alone
    finally:
        sys.setswitchinterval(interval)


def test_stop_words_are_no_words() -> None:
    """None of the stop words is indexed, alone or in a sentence."""
    assert words_of(" ".join(STOP_WORDS)) == []


def test_distinct_keeps_the_order() -> None:
    """Each word once, in the order of first use."""
    assert distinct("bee ant bees wasp ants") == ["bee", "ant", "wasp"]
