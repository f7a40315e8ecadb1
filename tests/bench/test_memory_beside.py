"""The bench of searches beside an ingest, with few documents."""

from __future__ import annotations

from batos.bench import memory_beside


def test_it_asks_while_a_folder_is_learned(monkeypatch):
    """The whole folder is learned and found meanwhile; both percentiles are told beside those of an idle memory."""
    monkeypatch.setattr(memory_beside, "_IDLE", 5)
    learned = []
    ingest = memory_beside._ingest

    async def kept(memory, folder):
        await ingest(memory, folder)
        learned.append(memory.statistics()["documents"])

    monkeypatch.setattr(memory_beside, "_ingest", kept)
    texts = [(f"d{n}", f"Word{n} stands in document number {n} alone.") for n in range(20)]
    p50, p99 = memory_beside.beside(texts, lambda _: None)
    assert learned == [20]
    assert 0 < p50.value <= p99.value
    assert (p50.figure, p99.figure) == (
        "search p50 while a folder is ingested",
        "search p99 while a folder is ingested",
    )
    assert "idle" in p50.note
