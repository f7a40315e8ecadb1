"""The catalog: whole documents in, ranked chunks out, nothing left behind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batos import codec
from batos.codec import Ref
from batos.errors import BadField, UnknownTarget
from batos.image import methods
from batos.image.objects import UvmObject
from batos.image.store import Image
from batos.memory import catalog
from batos.memory.chunking import Chunk

if TYPE_CHECKING:
    from pathlib import Path

    from batos.image.store import View

_LONG = "\n\n".join(
    f"Paragraph {n} speaks of the {word}. " * 12 for n, word in enumerate(["bee", "ant", "wasp", "hornet"])
)


def _learn(image: Image, doc_id: str, text: str, metadata: dict[str, Any] | None = None) -> int:
    return image.transact_now(catalog.index_document, doc_id, text, metadata).value


def _search(image: Image, query: str, **more: Any) -> list[dict[str, Any]]:
    return image.read_now(lambda view: catalog.search(view, query, **more)).value


def _inside(view: View) -> dict[str, Any]:
    """All that the catalog holds, for comparison."""
    slots = view.resolve("knowledge_catalog_obj")._slots
    index = slots["text_index"]
    return {
        "chunks": {key: (c.document_id, c.chunk_index, c.text) for key, c in slots["chunk_storage"].items()},
        "metadata": {key: len(ids) for key, ids in slots["metadata_index"].items()},
        "numbers": (len(slots["chunk_numbers"]), len(slots["document_spans"]), len(slots["unwoven"])),
        "indexed": (index.documentCount(), index.wordCount()),
        "documents": {name: codec.unpack(data)["digest"] for name, data in view.root["documents"].items()},
    }


class TestDocuments:
    def test_a_document_is_found_by_what_it_says(self, image: Image) -> None:
        """The best chunk of the right document comes first, with offsets into the source and its metadata."""
        count = _learn(image, "insects", _LONG, {"topic": "insects"})
        _learn(image, "ships", "A ship sails over the sea.")
        assert count > 1
        best = _search(image, "what is said of the wasp?")[0]
        assert (best["doc_id"], best["metadata"]) == ("insects", {"topic": "insects"})
        assert "wasp" in best["text"]
        assert _LONG[best["start"] : best["end"]] == best["text"]
        assert 0 < best["score"] <= 1

    def test_chunks_are_objects_of_the_image(self, image: Image) -> None:
        """A chunk is an object with parent traits and the slots of its place, kept under its key."""
        _learn(image, "a::b", "A ship sails.", {"n": 1})

        def look(view: View) -> tuple[Any, ...]:
            chunk = view.resolve("knowledge_catalog_obj").chunk_storage["a::b::0"]
            assert isinstance(chunk, UvmObject)
            return (
                chunk.document_id,
                chunk.chunk_index,
                chunk.text,
                chunk.metadata,
                chunk.parents == [view.root["traits_obj"]],
            )

        assert image.read_now(look).value == ("a::b", 0, "A ship sails.", {"n": 1}, True)

    def test_the_same_again_changes_nothing(self, image: Image) -> None:
        """Indexing is idempotent by content: the same text and metadata write nothing."""
        _learn(image, "insects", _LONG, {"a": 1, "b": [1, 2]})
        before = image.read_now(lambda view: view.tid).value
        assert _learn(image, "insects", _LONG, {"b": [1, 2], "a": 1}) > 1
        assert image.read_now(lambda view: view.tid).value == before

    @pytest.mark.parametrize("metadata", [None, {"topic": "sea"}])
    def test_an_edit_replaces_all_chunks(self, image: Image, metadata: dict[str, Any] | None) -> None:
        """After an edit only the new text is found, and no trace of the old is left in any index."""
        _learn(image, "doc", "A ship sails over the sea.", metadata)
        clean = image.read_now(_inside).value
        _learn(image, "doc", _LONG, {"topic": "insects"})
        assert _search(image, "ship sea") == []
        _learn(image, "doc", "A ship sails over the sea.", metadata)
        assert image.read_now(_inside).value == clean

    def test_forgetting_leaves_nothing(self, image: Image) -> None:
        """Forgetting removes chunks, words, metadata and the document itself; twice is no error."""
        _learn(image, "stays", "A ship sails over the sea.", {"a": 1})
        clean = image.read_now(_inside).value
        count = _learn(image, "goes", _LONG, {"a": 1, "ref": Ref(b"\0" * 8), "big": "x" * 500, "map": {"k": {1, 2}}})
        assert image.transact_now(catalog.forget, "goes").value == count
        assert image.transact_now(catalog.forget, "goes").value == 0
        assert image.read_now(_inside).value == clean
        assert not image.read_now(catalog.has, "goes").value

    def test_it_survives_a_restart(self, image: Image, tmp_path: Path) -> None:
        """What was learned is there when the image is opened again."""
        _learn(image, "insects", _LONG)
        before = _search(image, "hornet")
        image.close_now()
        again = Image(tmp_path / "live_image.fs", tmp_path / "live_image.fs.blob")
        try:
            assert _search(again, "hornet") == before
        finally:
            again.close_now()

    def test_a_failed_unit_of_work_learns_nothing(self, image: Image) -> None:
        """Documents are learned in the transaction around them, whole or not at all."""

        def fails(view: View) -> None:
            catalog.index_document(view, "insects", _LONG, {})
            raise RuntimeError

        with pytest.raises(RuntimeError):
            image.transact_now(fails)
        assert _search(image, "bee") == []
        assert image.read_now(catalog.statistics).value == {"documents": 0, "chunks": 0, "words": 0, "unwoven": 0}

    def test_chunks_may_be_cut_before(self, image: Image) -> None:
        """Chunks that were cut elsewhere are taken as they are."""
        image.transact_now(catalog.index_document, "d", "one two", {}, [Chunk(0, 3, "one"), Chunk(4, 7, "two")])
        assert [(r["chunk"], r["start"]) for r in _search(image, "two")] == [(1, 4)]

    def test_an_empty_text_is_a_document(self, image: Image) -> None:
        """A text without words has no chunks, and is known all the same."""
        assert _learn(image, "empty", " \n ") == 0
        assert image.read_now(catalog.has, "empty").value

    @pytest.mark.parametrize(
        ("doc_id", "metadata"), [("", {}), ("x" * 2000, {}), ("d", {"a": object()}), ("d", {1: 2})]
    )
    def test_unfit_names_and_metadata_are_refused(self, image: Image, doc_id: str, metadata: dict[Any, Any]) -> None:
        """A name that is empty or too long, or metadata that is not plain data, is the request's fault."""
        with pytest.raises(BadField):
            _learn(image, doc_id, "text", metadata)


class TestSearch:
    def test_before_the_first_document_nothing_is_found(self, image: Image) -> None:
        """An empty catalog answers nothing, without an error."""
        assert _search(image, "bee", filter={"a": 1}) == []

    def test_filters_match_by_value_and_type(self, image: Image) -> None:
        """A filter holds for equal metadata only: numbers by value, booleans and texts as what they are."""
        for doc_id, value in {"one": 1, "true": True, "text": "1", "list": [1], "none": None}.items():
            _learn(image, doc_id, "bee", {"v": value, "all": "yes"})
        cases = [(1, "one"), (1.0, "one"), (True, "true"), ("1", "text"), ([1], "list"), ((1,), "list"), (None, "none")]
        for value, doc_id in cases:
            assert [r["doc_id"] for r in _search(image, "bee", filter={"v": value, "all": "yes"})] == [doc_id]
        assert _search(image, "bee", filter={"v": 1, "all": "no"}) == []
        assert _search(image, "bee", filter={"w": 1}) == []

    def test_a_filter_must_be_plain(self, image: Image) -> None:
        """A filter that is not plain data is the request's fault."""
        _learn(image, "d", "bee")
        with pytest.raises(BadField):
            _search(image, "bee", filter={"a": object()})

    def test_top_k_cuts_by_score(self, image: Image) -> None:
        """The best are kept, over all documents."""
        for n in range(6):
            _learn(image, f"d{n}", "bee " + "filler words here " * n)
        assert [r["doc_id"] for r in _search(image, "bee", top_k=2)] == ["d0", "d1"]

    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(query=st.text() | st.sampled_from(["and", "-bee", "(", '"', "bee AND", "*", "bee*", "NOT bee"]))
    def test_no_query_is_an_error(self, image: Image, query: str) -> None:
        """Whatever is searched for, the answer is a list."""
        if not image.read_now(catalog.has, "d").value:
            _learn(image, "d", "bee and ant")
        assert len(_search(image, query)) <= 1


class TestCapabilities:
    @pytest.fixture
    def target(self, image: Image) -> Ref:
        """An object below genesis, and two capabilities: one of its own, one of genesis."""

        def make(view: View) -> Ref:
            genesis = view.resolve("genesis_obj")
            view.root["child_obj"] = child = UvmObject(parents=[genesis])
            for obj, selector, intent in (
                (genesis, "report_the_current_system_time", "create a method to report the current system time"),
                (child, "greet_user", "Please write a method to greet a user."),
            ):
                source = f"def {selector}(self):\n    return 1\n"
                methods.install(view, obj, selector, source, {}, signature="(self)", summary="")
                catalog.index_capability(view, view.ref(obj).hex, selector, "(self)", "", intent)
            return view.ref(child)

        return image.transact_now(make).value

    def test_the_meaning_finds_the_selector(self, image: Image, target: Ref) -> None:
        """Words of the intent or the name find the capability, by delegation too; the nearest meaning comes first."""
        similar = image.read_now(catalog.similar, target, "report the system time", 3).value
        assert [hit["selector"] for hit in similar] == ["report_the_current_system_time"]
        assert similar[0]["score"] == 1
        both = image.read_now(catalog.similar, target, "greet the user and report", 3).value
        assert [hit["selector"] for hit in both] == ["greet_user", "report_the_current_system_time"]
        assert 1 > both[0]["score"] > both[1]["score"] > 0

    def test_the_whole_docstring_counts(self, image: Image, target: Ref) -> None:
        """What a docstring says after its first line finds the method, too."""
        source = 'def ledger(self, of):\n    """Tell the balance.\n\n    Debts to the harbour are counted twice.\n    """\n    return of\n'

        def learn(view: View) -> None:
            about = ("ledger", "(self, of)", "Tell the balance.", "")
            catalog.index_capability(view, view.ref(view.resolve("genesis_obj")).hex, *about, source=source)

        image.transact_now(learn)
        hits = image.read_now(catalog.search, "debts to the harbour", 1).value
        assert "Debts to the harbour are counted twice." in hits[0]["text"]
        assert hits[0]["text"].count("Tell the balance.") == 1

    def test_other_objects_do_not_count(self, image: Image, target: Ref) -> None:
        """A capability of an object that the target does not delegate to is not its own."""
        genesis = image.read_now(lambda view: view.ref(view.resolve("genesis_obj"))).value
        assert image.read_now(catalog.similar, genesis, "greet a user", 3).value == []
        assert image.read_now(catalog.similar, target, "plant a tree", 3).value == []

    def test_documents_are_no_capabilities(self, image: Image, target: Ref) -> None:
        """A document that says the same, whatever its metadata claims, is never offered as a selector."""
        _learn(image, "fake", "greet a user", {"kind": "document"})
        assert [h["selector"] for h in image.read_now(catalog.similar, target, "greet a user", 9).value] == [
            "greet_user"
        ]

    def test_a_removed_or_hidden_method_is_not_offered(self, image: Image, target: Ref) -> None:
        """Only what the target answers with now is offered, also when the catalog knows of more."""

        def change(view: View) -> None:
            child = view.get(target)
            methods.remove_method(view, child, "greet_user")
            child.report_the_current_system_time = "a data slot that hides it"

        image.transact_now(change)
        assert image.read_now(catalog.similar, target, "greet a user, report the system time", 9).value == []

    def test_capabilities_are_documents_too(self, image: Image, target: Ref) -> None:
        """A search finds a capability as `method:<oid>:<selector>`, and forgetting it is enough to lose it."""
        hit = _search(image, "greet", filter={"kind": "method"})[0]
        assert hit["doc_id"] == f"method:{target.hex}:greet_user"
        image.transact_now(catalog.forget_capability, target.hex, "greet_user")
        assert _search(image, "greet") == []

    def test_an_unknown_target_is_an_error(self, image: Image, target: Ref) -> None:
        """A reference to nothing has no capabilities to offer."""
        with pytest.raises(UnknownTarget):
            image.read_now(catalog.similar, Ref(b"\1" * 8), "greet", 3)

    def test_nothing_known_offers_nothing(self, image: Image) -> None:
        """Before the first capability nothing is offered."""
        genesis = image.read_now(lambda view: view.ref(view.resolve("genesis_obj"))).value
        assert image.read_now(catalog.similar, genesis, "greet", 3).value == []
