"""The service: one writer with a queue in the image, weaving when there is a model, searches that wait for neither."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest

from batos import codec
from batos.errors import BadField, ImageReadOnly, ModelError
from batos.memory import catalog, intake, records, service
from batos.memory.check import check
from batos.memory.service import FractalMemory
from batos.testing.scripted import hash_vector

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from batos.image.store import Image

_LONG = "\n\n".join(
    f"Paragraph {n} speaks of the {word}. " * 12 for n, word in enumerate(["bee", "ant", "wasp", "fly"])
)


class Embedder:
    """Embeds by hash while it is there."""

    def __init__(self) -> None:
        self.there = True

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        if not self.there:
            raise ModelError("no embedding model", "Fetch it.")
        return [hash_vector(text) for text in texts]


@pytest.fixture
def embedder() -> Embedder:
    return Embedder()


@pytest.fixture
async def memory(image: Image, embedder: Embedder) -> AsyncIterator[FractalMemory]:
    """Fractal Memory at work, not weaving yet."""
    made = FractalMemory(image, embedder.embed, "hash")
    await made.start()
    yield made
    await made.close()


async def _woven(memory: FractalMemory) -> None:
    async with asyncio.timeout(60):
        while memory.statistics()["unwoven"] or memory.statistics()["meaning"] == "unknown":
            await asyncio.sleep(0.01)


async def _names(memory: FractalMemory, query: str) -> list[str]:
    return [hit["doc_id"] for hit in (await memory.search(query, 9))["results"]]


async def test_what_was_awaited_is_found(memory: FractalMemory) -> None:
    """`remember` that waits answers with the count of chunks when the document is found."""
    assert await memory.remember("insects", _LONG, {"a": 1}) == len(catalog.draft("insects", _LONG, {}).chunks)
    assert (await _names(memory, "wasp"))[0] == "insects"


async def test_many_at_once_are_all_found(memory: FractalMemory, image: Image) -> None:
    """A hundred documents from a hundred askers are all there, and everything agrees."""
    counts = await asyncio.gather(*(memory.remember(f"d{n}", f"number word{n} bee", {}) for n in range(100)))
    assert counts == [1] * 100
    assert image.read_now(check).value == {"documents": 100, "chunks": 100, "vectors": 0, "bad": []}


async def test_forgetting_comes_after_what_was_handed_in_before(memory: FractalMemory) -> None:
    """Order is kept: a document handed in and forgotten at once is gone."""
    await memory.remember("d", "a bee", {}, wait=False)
    assert await memory.forget("d") == 1
    assert await memory.forget("d") == 0
    assert await _names(memory, "bee") == []


async def test_what_is_queued_survives(image: Image, embedder: Embedder) -> None:
    """What was handed in while no kernel ran is indexed by the next one."""
    image.transact_now(intake.hand_in, "d", "a bee", {"a": 1})
    made = FractalMemory(image, embedder.embed, "hash")
    await made.start()
    try:
        await made.remember("last", "an ant", {})
        assert await _names(made, "bee") == ["d"]
        assert image.read_now(intake.length).value == 0
    finally:
        await made.close()


async def test_a_source_takes_back_its_own_alone(memory: FractalMemory, image: Image) -> None:
    """What belongs to a source is listed and forgotten as its own; what another has handed in since is not touched."""
    for doc_id in ("n/a", "n/b", "n/c"):
        await memory.remember(doc_id, f"a bee in {doc_id}", {}, origin="here")
    await memory.remember("n/a", "a bee in n/a", {}, origin="there")
    await memory.remember("n/b", "another bee", {})
    assert await memory.names("n/", "here", "", 9) == ["n/c"]
    assert await memory.names("n/", "there", "", 9) == ["n/a"]
    assert [await memory.forget(doc_id, origin="here") for doc_id in ("n/a", "n/b", "n/c")] == [0, 0, 1]
    assert await memory.names("n/", "", "", 9) == ["n/a", "n/b"]
    assert image.read_now(check).value["bad"] == []


async def test_names_are_listed_in_parts(memory: FractalMemory) -> None:
    """Names come in order, those with a prefix alone, and a list goes on after its last name."""
    for doc_id in ("m", "n/a", "n/b", "n/c", "o"):
        await memory.remember(doc_id, "a bee", {})
    assert await memory.names("n/", "", "", 2) == ["n/a", "n/b"]
    assert await memory.names("n/", "", "n/b", 2) == ["n/c"]
    assert await memory.names("", "", "n/c", 9) == ["o"]


async def test_weaving_leaves_a_document_to_its_source(memory: FractalMemory, image: Image) -> None:
    """A document that is cut anew by its meaning still belongs to the source that handed it in."""
    words = [f"The {word} number {n} flies. " for word in ("bee", "ship") for n in range(60)]
    await memory.remember("insects", "".join(words), {}, origin="here")
    await memory.remember("later", "an ant", {})
    before = image.read_now(lambda view: records.record(view, "insects")).value
    memory.begin_weaving()
    await _woven(memory)
    after = image.read_now(lambda view: records.record(view, "insects")).value
    assert before["first"] != after["first"], "it was not cut anew"
    assert await memory.names("", "here", "", 9) == ["insects"]


async def test_an_older_queue_is_read(memory: FractalMemory, image: Image) -> None:
    """What a kernel queued before documents had a source is indexed all the same."""

    def older(view: Any) -> None:
        number = intake.hand_in(view, "d", "a bee", {})
        view.root["intake"].entries[number].data = codec.pack(["d", "a bee", {}])

    image.transact_now(older)
    await memory.remember("last", "an ant", {})
    assert await _names(memory, "bee") == ["d"]


async def test_bad_names_are_refused_at_the_door(memory: FractalMemory) -> None:
    """What cannot be stored never enters the queue."""
    with pytest.raises(BadField):
        await memory.remember("", "text", {})
    assert memory.statistics()["queued"] == 0


async def test_weaving_gives_vectors_and_search_says_so(memory: FractalMemory, image: Image) -> None:
    """Woven documents have a vector a chunk; the search goes by meaning from then on, and everything agrees."""
    await memory.remember("insects", _LONG, {"a": 1})
    assert (await memory.search("wasp", 3))["by"] == "words"
    memory.begin_weaving()
    await _woven(memory)
    report = image.read_now(check).value
    assert report["bad"] == []
    assert report["vectors"] == report["chunks"] > 1
    assert (await memory.search("wasp", 3))["by"] == "words and meaning"


async def test_without_a_model_words_do(
    memory: FractalMemory, embedder: Embedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A missing model costs only meaning, is told of, and what it missed is caught up when it arrives."""
    monkeypatch.setattr("batos.memory.meaning.RETRY_SECONDS", 0.05)
    embedder.there = False
    memory.begin_weaving()
    await memory.remember("d", "a bee", {})
    assert (await memory.search("bee", 3))["by"] == "words"
    async with asyncio.timeout(30):
        while memory.statistics()["meaning"] != "missing":
            await asyncio.sleep(0.01)
    assert memory.statistics()["trouble"] == "no embedding model"
    embedder.there = True
    await _woven(memory)
    assert (await memory.search("bee", 3))["by"] == "words and meaning"


@pytest.mark.parametrize("fault", [ImageReadOnly("No space left"), ValueError("nobody thought of it")])
async def test_weaving_goes_on_after_a_fault(
    memory: FractalMemory, image: Image, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    """A write that fails, and a fault that nobody thought of, end no weaver; what waits is tried again, unasked."""
    monkeypatch.setattr(service, "_PAUSE_SECONDS", 0.0)
    real, faults = image.transact, [fault, fault]

    async def transact(fn: Any, *args: Any, **more: Any) -> Any:
        if fn is catalog.weave and faults:
            raise faults.pop()
        return await real(fn, *args, **more)

    monkeypatch.setattr(image, "transact", transact)
    await memory.remember("d", "a bee", {})
    memory.begin_weaving()
    await _woven(memory)
    assert faults == []
    assert image.read_now(check).value["vectors"] == 1


async def test_weaving_begins_whatever_the_first_words_meet(image: Image, monkeypatch: pytest.MonkeyPatch) -> None:
    """An embedder that fails in an unforeseen way when it is first asked is asked again."""
    monkeypatch.setattr(service, "_PAUSE_SECONDS", 0.0)
    faults = [OSError(28, "No space left on device")]

    async def embed(texts: Sequence[str]) -> list[list[float]]:
        if faults:
            raise faults.pop()
        return [hash_vector(text) for text in texts]

    memory = FractalMemory(image, embed, "hash")
    await memory.start()
    try:
        memory.begin_weaving()
        await memory.remember("d", "a bee", {})
        await _woven(memory)
        assert (await memory.search("bee", 3))["by"] == "words and meaning"
    finally:
        await memory.close()


async def test_a_search_does_not_wait_for_a_slow_model(image: Image, monkeypatch: pytest.MonkeyPatch) -> None:
    """A query whose vector does not come in time is answered by words."""
    monkeypatch.setattr("batos.memory.meaning.QUERY_SECONDS", 0.01)
    slow = asyncio.Event()
    slow.set()

    async def embed(texts: Sequence[str]) -> list[list[float]]:
        await slow.wait()
        return [hash_vector(text) for text in texts]

    made = FractalMemory(image, embed, "hash")
    await made.start()
    try:
        await made.remember("d", "a bee", {})
        made.begin_weaving()
        await _woven(made)
        slow.clear()
        answer: dict[str, Any] = await made.search("bee", 3)
        assert answer["by"] == "words"
        assert [hit["doc_id"] for hit in answer["results"]] == ["d"]
    finally:
        await made.close()


@pytest.mark.parametrize("held", ["intake.drafts", "intake.settle", "catalog.weave"])
async def test_a_search_waits_for_no_indexing(
    memory: FractalMemory, held: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a batch is cut, stored or woven, its transaction open, searches answer from what was there before."""
    await memory.remember("before", "a bee", {})
    inside, go_on = threading.Event(), threading.Event()
    part, name = held.split(".")
    work = getattr({"intake": intake, "catalog": catalog}[part], name)

    def stopped(*args: Any) -> Any:
        done = work(*args)
        inside.set()
        assert go_on.wait(60)
        return done

    monkeypatch.setattr(f"batos.memory.{held}", stopped)
    if held == "catalog.weave":
        memory.begin_weaving()
    else:
        await memory.remember("after", "a bee too", {}, wait=False)
    try:
        assert await asyncio.to_thread(inside.wait, 30)
        search = asyncio.create_task(_names(memory, "bee"))
        await asyncio.wait({search}, timeout=20)
        answered = search.done()
    finally:
        go_on.set()
    assert answered
    assert search.result() == ["before"]
    await memory.remember("after", "a bee too", {})
    assert sorted(await _names(memory, "bee")) == ["after", "before"]


async def test_an_older_layout_is_made_anew(image: Image, embedder: Embedder) -> None:
    """Indexes of the first layout are rebuilt from their chunks; nothing of the documents is lost."""
    from zope.index.text.lexicon import Lexicon
    from zope.index.text.okapiindex import OkapiIndex

    image.transact_now(catalog.index_document, "insects", _LONG, {"a": 1})

    def age(view: Any) -> None:
        held = view.resolve("knowledge_catalog_obj")._slots
        held["text_index"].index = OkapiIndex(Lexicon())
        for name in ("chunk_numbers", "document_spans", "unwoven", "vector_index"):
            del held[name]

    image.transact_now(age)
    assert image.read_now(catalog.search, "wasp").value == []
    made = FractalMemory(image, embedder.embed, "hash")
    await made.start()
    try:
        assert (await made.search("wasp", 1, {"a": 1}))["results"][0]["doc_id"] == "insects"
        assert image.read_now(check).value["bad"] == []
        assert await made.remember("insects", _LONG, {"a": 1})
    finally:
        await made.close()
