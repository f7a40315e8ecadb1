"""The golden dataset: the codex file, and what becomes of it."""

from __future__ import annotations

import asyncio
import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from batos.memory import catalog, golden, meaning
from batos.memory.service import FractalMemory
from tests.memory.weights import MODEL, embedding_mind

if TYPE_CHECKING:
    from batos.image.store import Image

SHIPPED = Path(__file__).parents[2] / "persona_codex.jsonl"
QUESTIONS = [
    ("What is the Living Image?", "What is the Living Image?"),
    ("In which operating system do objects learn new behaviour from language models?", "What is BAT OS?"),
    ("Where is everything that was learned kept when the process ends?", "What is the Living Image?"),
    ("What must a method do after it has changed its object?", "What is the Persistence Covenant?"),
    (
        "What happens when an object gets a message that nobody understands?",
        "What does doesNotUnderstand mean in BAT OS?",
    ),
    ("How does a living cell relate to BAT OS making itself?", "What is info-autopoiesis?"),
    ("Can BAT OS change itself without being stopped and rebuilt?", "What is operational closure?"),
    ("Is it still the same ship after every plank was replaced?", "How is BAT OS a Ship of Theseus?"),
    ("Why does a cognitive cycle end in one transaction?", "Why is the transaction the unit of thought?"),
    ("How do the four personas work together as one mind?", "What is the Composite Mind?"),
    ("How are documents cut into chunks and found again?", "What is Fractal Memory?"),
    (
        "Which states does a cognitive cycle pass through, from IDLE to COMPLETE?",
        "What is the Prototypal State Machine?",
    ),
    ("How do ROBIN and BRICK converse in counterpoint?", "What is the Socratic Contrapunto?"),
    ("Who is the moral and empathetic compass?", "Who is ROBIN?"),
    ("Who is the Deconstruction Engine?", "Who is BRICK?"),
    ("Which persona is the Knowledge Weaver?", "Who is BABS?"),
    ("Who looks after the system as its Steward?", "Who is ALFRED?"),
    ("What is the Workbench for the Self?", "Who are BRICKman and ROBIN, and what is the Workbench for the Self?"),
    (
        "How is the kernel upgraded from outside with update_instructions.json?",
        "What is an Allopoietic Upgrade?",
    ),
    ("What does BAT OS do when nobody asks anything of it?", "What is the autotelic heartbeat?"),
    (
        "What does a client send when it wants something new: selector, intent, arguments, examples?",
        "What is a mission brief?",
    ),
    ("What happens in one cognitive cycle, from the brief to COMPLETE or FAILED?", "What is a cognitive cycle?"),
    ("What are slots, parents and prototypes?", "What is a UvmObject?"),
]
"""A question for each entry of the codex, and the prompt of the entry that answers it."""


@pytest.fixture
def codex(tmp_path: Path) -> Path:
    """A codex of two good lines and several bad ones."""
    lines = [
        json.dumps({"prompt": "What is a bee?", "response": "An insect."}),
        "{broken",
        "",
        json.dumps(["no object"]),
        json.dumps({"prompt": "no response"}),
        json.dumps({"prompt": "", "response": "empty prompt"}),
        json.dumps({"prompt": "odd \ud800", "response": "r"}),
        json.dumps({"prompt": "What is a ship?", "response": "A vessel."}),
    ]
    file = tmp_path / "codex.jsonl"
    file.write_bytes("\n".join(lines).encode() + b"\n\xff\xfe\n")
    return file


class TestReading:
    def test_good_lines_become_documents(self, codex: Path) -> None:
        """Each good line is a document named by its place, with its source and the digest of its prompt."""
        entries = golden.read_codex(codex, report=lambda text: None)
        assert [entry.doc_id for entry in entries] == ["golden_dataset_0", "golden_dataset_7"]
        assert entries[0].text == "What is a bee?\n\nAn insect."
        digest = hashlib.sha256(b"What is a bee?").hexdigest()
        assert entries[0].metadata == {"source": "codex.jsonl", "prompt_hash": digest}

    def test_bad_lines_are_reported(self, codex: Path) -> None:
        """Each line that is left out is named with its number; blank ones are not."""
        told: list[str] = []
        golden.read_codex(codex, report=told.append)
        assert [text.partition(", line ")[2].split()[0] for text in told] == ["2", "4", "5", "6", "7", "9"]

    def test_a_missing_file_is_reported(self, tmp_path: Path) -> None:
        """Without the file nothing is learned, and that is said."""
        told: list[str] = []
        assert golden.read_codex(tmp_path / "none.jsonl", report=told.append) == []
        assert len(told) == 1


class TestShippedCodex:
    def test_it_is_whole_and_teaches(self, image: Image) -> None:
        """Each line of the shipped codex is good, is learned once, and answers questions about BAT OS."""
        entries = golden.read_codex(SHIPPED, report=pytest.fail)
        assert len(entries) >= 14
        assert image.transact_now(golden.index_golden, entries).value == len(entries)
        assert image.transact_now(golden.index_golden, entries).value == len(entries)
        assert image.read_now(catalog.statistics).value["documents"] == len(entries)

    def test_a_question_finds_its_answer(self, image: Image) -> None:
        """Each question of the table finds its entry first, by words alone."""
        entries = golden.read_codex(SHIPPED)
        assert {prompt for _, prompt in QUESTIONS} == {entry.text.splitlines()[0] for entry in entries}
        image.transact_now(golden.index_golden, entries)
        found = {question: image.read_now(catalog.search, question, 1).value[0] for question, _ in QUESTIONS}
        assert [(question, hit["text"].splitlines()[0]) for question, hit in found.items()] == QUESTIONS

    @pytest.mark.real
    async def test_a_question_finds_its_answer_by_meaning_too(
        self, image: Image, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """With real vectors the questions of the table find their entries first."""
        monkeypatch.setattr(meaning, "QUERY_SECONDS", 60)  # a busy machine shall not make it words alone
        mind = embedding_mind()
        memory = FractalMemory(image, mind.embed, MODEL)
        try:
            await image.transact(golden.index_golden, golden.read_codex(SHIPPED))
            await memory.start()
            memory.begin_weaving()
            async with asyncio.timeout(120):
                while (await image.read(catalog.statistics)).value["unwoven"]:
                    await asyncio.sleep(0.05)
            found = {question: await memory.search(question, 1) for question, _ in QUESTIONS}
            assert {reply["by"] for reply in found.values()} == {"words and meaning"}
            first = [(question, reply["results"][0]["text"].splitlines()[0]) for question, reply in found.items()]
            assert first == QUESTIONS
        finally:
            await memory.close()
            await mind.close()
