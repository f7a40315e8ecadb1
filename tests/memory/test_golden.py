"""The golden dataset: the codex file, and what becomes of it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from batos.memory import catalog, golden

if TYPE_CHECKING:
    from batos.image.store import Image

SHIPPED = Path(__file__).parents[2] / "persona_codex.jsonl"


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

    @pytest.mark.parametrize(
        "question",
        [
            "What is the Living Image?",
            "Who is ALFRED?",
            "What is the Persistence Covenant?",
            "What is an Allopoietic Upgrade?",
            "What is Fractal Memory?",
            "What is a mission brief?",
        ],
    )
    def test_a_question_finds_its_answer(self, image: Image, question: str) -> None:
        """The entry that a question was written for is found first."""
        image.transact_now(golden.index_golden, golden.read_codex(SHIPPED))
        assert image.read_now(catalog.search, question, 1).value[0]["text"].startswith(question)
