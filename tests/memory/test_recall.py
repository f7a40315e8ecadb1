"""Recall: words and meaning together, and a warm index that is never behind what a search sees."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batos.memory import catalog, records
from batos.memory.check import check

if TYPE_CHECKING:
    from batos.image.store import Image
    from batos.image.view import View

_AXES = {"bee": [1.0, 0.0, 0.0], "ship": [0.0, 1.0, 0.0], "other": [0.0, 0.0, 1.0]}


def _weave(view: View, doc_id: str, vector: list[float], model: str = "m") -> bool:
    """Give a document of one chunk its vector."""
    known = records.record(view, doc_id)
    slots = records.slots_of(view)
    assert known is not None
    assert slots is not None
    text = records.text_of(slots, doc_id, known)
    return catalog.weave(view, catalog.draft(doc_id, text, {}), known["digest"], [vector], model)


def _learn(image: Image, **texts: str) -> None:
    image.transact_now(catalog.index_many, [catalog.draft(name, text, {}) for name, text in texts.items()])


def _found(image: Image, query: str, vector: list[float] | None = None) -> list[str]:
    hits: list[dict[str, Any]] = image.read_now(catalog.search, query, 9, None, vector).value
    return [hit["doc_id"] for hit in hits]


def test_meaning_finds_what_words_do_not(image: Image) -> None:
    """A document that shares no word with the query is found by its vector, and words and meaning add up."""
    _learn(image, insects="an insect with a sting", sea="a vessel at sea", hive="bees live in a hive")
    for name, axis in (("insects", "bee"), ("sea", "ship"), ("hive", "bee")):
        assert image.transact_now(_weave, name, _AXES[axis]).value
    assert _found(image, "bee") == ["hive"]
    assert _found(image, "bee", _AXES["bee"]) == ["hive", "insects"]
    assert _found(image, "", _AXES["ship"]) == ["sea"]


def test_what_has_no_vector_yet_is_found_by_words(image: Image) -> None:
    """While the weaving catches up, a document without a vector competes by its words."""
    _learn(image, woven="a bee", fresh="a bee in the garden")
    image.transact_now(_weave, "woven", _AXES["bee"])
    assert _found(image, "garden bees", _AXES["bee"]) == ["woven", "fresh"]


def test_an_edit_loses_its_vector(image: Image) -> None:
    """The vector of an old text never finds the new one, and a stale weaving is left alone."""
    _learn(image, doc="a bee")
    image.transact_now(_weave, "doc", _AXES["bee"])
    old = image.read_now(records.record, "doc").value
    _learn(image, doc="a ship")
    assert _found(image, "", _AXES["bee"]) == []
    assert old is not None
    stale = catalog.draft("doc", "a bee", {})
    assert not image.transact_now(catalog.weave, stale, old["digest"], [_AXES["bee"]], "m").value
    assert image.read_now(check).value["bad"] == []


def test_weaving_again_changes_the_vector_alone(image: Image) -> None:
    """A document that has its vector may get another one; everything agrees, and nothing waits."""
    _learn(image, doc="a bee")
    assert image.transact_now(_weave, "doc", _AXES["ship"]).value
    assert image.transact_now(_weave, "doc", _AXES["bee"]).value
    assert _found(image, "", _AXES["ship"]) == []
    assert _found(image, "", _AXES["bee"]) == ["doc"]
    assert image.read_now(check).value["bad"] == []


def test_another_model_begins_anew(image: Image) -> None:
    """Vectors of two models never meet: the first vector of the new one makes all others wait for theirs."""
    _learn(image, a="a bee", b="a ship")
    image.transact_now(_weave, "a", _AXES["bee"])
    image.transact_now(_weave, "b", _AXES["ship"])
    image.transact_now(_weave, "a", [1.0, 0.0], "new")
    assert [item[0] for item in image.read_now(catalog.unwoven, 9).value] == ["b"]
    assert _found(image, "", _AXES["bee"]) == []
    assert _found(image, "", [1.0, 0.0]) == ["a"]


def test_a_vector_of_another_length_searches_by_words(image: Image) -> None:
    """A query's vector that does not fit is no error; the words decide."""
    _learn(image, a="a bee")
    image.transact_now(_weave, "a", _AXES["bee"])
    assert _found(image, "bee", [1.0]) == ["a"]


def test_a_unit_of_work_sees_its_own_writes(image: Image) -> None:
    """A search within the transaction that learns finds what was just learned; after an abort nobody does."""

    def work(view: View) -> list[str]:
        catalog.index_document(view, "doc", "a bee", {})
        return [hit["doc_id"] for hit in catalog.search(view, "bee")]

    assert image.read_now(work).value == ["doc"]
    assert _found(image, "bee") == []


def test_the_past_is_searched_as_it_was(image: Image) -> None:
    """A search of an old moment knows nothing of later documents, and does not disturb the newest."""
    _learn(image, first="a bee")
    then = image.tid
    _learn(image, second="a bee too")
    past = image.read_now(catalog.search, "bee", at=then).value
    assert [hit["doc_id"] for hit in past] == ["first"]
    assert sorted(_found(image, "bee")) == ["first", "second"]


_STEPS = st.lists(
    st.tuples(
        st.sampled_from(["learn", "forget", "weave", "search"]), st.integers(0, 5), st.sampled_from(["bee", "ship"])
    ),
    max_size=12,
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=_STEPS)
def test_the_warm_index_is_never_behind(image: Image, steps: list[tuple[str, int, str]]) -> None:
    """Whatever was learned, forgotten and woven, in any order: a search finds exactly what is there, and all agrees."""
    there: dict[str, str] = {}
    for number in range(6):
        image.transact_now(catalog.forget, f"d{number}")
    for step, number, word in steps:
        name = f"d{number}"
        if step == "learn":
            _learn(image, **{name: f"a {word} number {number}"})
            there[name] = word
        elif step == "forget":
            image.transact_now(catalog.forget, name)
            there.pop(name, None)
        elif step == "weave" and name in there:
            image.transact_now(_weave, name, _AXES[there[name]])
        assert sorted(_found(image, word)) == sorted(name for name, held in there.items() if held == word)
    assert image.read_now(check).value["bad"] == []
