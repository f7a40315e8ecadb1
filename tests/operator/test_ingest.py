"""`python -m batos ingest`: files and folders become knowledge, the same on the stopped image and through the bridge."""

from __future__ import annotations

import json

import pytest

from batos.memory import catalog
from batos.memory.check import check
from batos.operator import cli, offline


def ingest(capsys, *paths):
    """Run it with --json; give the exit code and the answer."""
    code = cli.main(["ingest", *map(str, paths), "--json"])
    return code, json.loads(capsys.readouterr().out)


WORDS = ("zeppelin", "quetzal", "polish", "countess", "sphagnum", "albatross")


@pytest.fixture(params=["image", "bridge"])
def way(request):
    """Both ways: the stopped image, and a kernel that serves it; gives the settings and what a command must say."""
    return request.getfixturevalue("image" if request.param == "image" else "kernel"), request.param


@pytest.fixture
def notes(tmp_path):
    """A folder with a file of each kind, and some that are not to be read."""
    folder = tmp_path / "notes"
    (folder / "deep" / ".git").mkdir(parents=True)
    (folder / "plan.md").write_text("# Plan\n\nThe zeppelin leaves at dawn.\n\n## Later\n\nIt lands in Lakehurst.\n")
    (folder / "deep" / "log.txt").write_text("A quetzal was seen. " * 200)
    (folder / "deep" / "tool.py").write_text('def polish_lens(lens):\n    """Polish a lens."""\n    return lens\n')
    (folder / "codex.jsonl").write_text(
        '{"prompt": "Who is Ada?", "response": "A countess."}\n{"text": "b", "id": 7}\n'
    )
    (folder / "page.html").write_text("<title>Moss</title><p>Sphagnum holds water.</p><script>evil()</script>")
    (folder / "deep" / ".git" / "x.txt").write_text("hidden")
    (folder / "picture.png").write_bytes(b"\x89PNG")
    return folder


class Knowledge:
    """What the memory of a home knows, asked the same way as the ingest; a kernel has cut by meaning before it is asked."""

    def __init__(self, settings, until):
        with offline.way(settings) as asked:
            if isinstance(asked, offline.Stopped):
                image = asked.image
                self._learn(image.study_now(check).value, lambda query: image.read_now(catalog.search, query, 50).value)
            else:
                until(lambda: _woven(asked), "vectors")
                told = asked.ask("image", action="check")
                found = {**told["memory"], "bad": told["bad"]}
                self._learn(found, lambda query: asked.ask("search", query=query, top_k=50)["results"])

    def _learn(self, told, find):
        self.counts = told
        found = {word: find(word) for word in WORDS}
        self.metadata = {hit["doc_id"]: hit["metadata"] for hits in found.values() for hit in hits}
        # Vectors bring what is only a little like the word, too.
        self.hits = {
            word: [
                (hit["doc_id"], hit["chunk"], hit["start"], hit["end"]) for hit in hits if word in hit["text"].lower()
            ]
            for word, hits in found.items()
        }

    def first(self, word):
        """The document that is found first."""
        return self.hits[word][0][0]


def _woven(asked):
    memory = asked.ask("image", action="check")["memory"]
    return 0 < memory["chunks"] == memory["vectors"]


def test_a_folder_of_all_kinds(way, notes, capsys, until):
    """Every kind is found by its words under its place in the folder; again changes nothing; an edit replaces its text."""
    settings, through = way
    code, told = ingest(capsys, notes)
    assert (code, told["through"], told["failed"]) == (0, through, [])
    assert (told["files"], told["documents"]) == (5, 6)
    known = Knowledge(settings, until)
    assert known.counts["bad"] == []
    assert [known.first(word) for word in WORDS[:5]] == [
        "notes/plan.md",
        "notes/deep/log.txt",
        "notes/deep/tool.py",
        "notes/codex.jsonl#0",
        "notes/page.html",
    ]
    assert len(known.hits["quetzal"]) > 1
    assert known.metadata["notes/deep/tool.py"] == {"source": "notes/deep/tool.py", "format": "python"}

    code, again = ingest(capsys, notes)
    assert (code, again["documents"], again["failed"]) == (0, 6, [])
    same = Knowledge(settings, until)
    assert (same.counts, same.hits) == (known.counts, known.hits)

    (notes / "deep" / "log.txt").write_text("An albatross was seen.")
    code, edited = ingest(capsys, notes / "deep" / "log.txt", notes)
    assert (code, edited["files"]) == (0, 6)
    after = Knowledge(settings, until)
    assert after.counts["bad"] == []
    assert {hit[0] for hit in after.hits["albatross"]} == {"log.txt", "notes/deep/log.txt"}
    assert after.hits["quetzal"] == []
    assert after.hits["zeppelin"] == known.hits["zeppelin"]


def test_what_is_gone_is_removed(way, notes, capsys, until, monkeypatch):
    """Read again, a folder and a codex take back what they hold no more, and nothing else; everybody sees it at once."""
    monkeypatch.setattr("batos.operator.ingest._NAMES", 2)
    settings, _ = way
    (notes.parent / "more.jsonl").write_text("".join(f'{{"text": "polish {n}", "id": {n}}}\n' for n in range(9)))
    code, told = ingest(capsys, notes, notes.parent / "more.jsonl", notes / "plan.md")
    assert (code, told["removed"]) == (0, 0)
    (notes / "plan.md").unlink()
    (notes / "codex.jsonl").write_text('{"text": "b", "id": 7}\n')
    (notes.parent / "more.jsonl").write_text('{"text": "polish 4", "id": 4}\n')
    code, told = ingest(capsys, notes, notes.parent / "more.jsonl")
    assert (code, told["documents"], told["removed"], told["failed"]) == (0, 5, 10, [])
    known = Knowledge(settings, until)
    assert known.counts["bad"] == []
    assert {hit[0] for hit in known.hits["polish"]} == {"more.jsonl#4", "notes/deep/tool.py"}
    assert {hit[0] for hit in known.hits["zeppelin"]} == {"plan.md"}
    assert known.hits["countess"] == []
    assert cli.main(["ingest", str(notes)]) == 0
    assert "removed" not in capsys.readouterr().out
    (notes / "page.html").unlink()
    assert cli.main(["ingest", str(notes)]) == 0
    assert "learned 3 documents from 3 files, removed 1 that are gone" in capsys.readouterr().out


def test_what_cannot_be_learned(way, notes, capsys, until):
    """Files that are not what they say are listed with the reason and the rest is learned; a missing path learns nothing."""
    settings, through = way
    (notes / "broken.pdf").write_bytes(b"no pdf")
    (notes / "codex.jsonl").write_text('{"text": "good", "id": "g"}\n{broken\n')
    code, told = ingest(capsys, notes)
    assert (code, told["through"]) == (1, through)
    assert [(bad["file"].rpartition("/")[2], "line 2" in bad["why"]) for bad in told["failed"]] == [
        ("broken.pdf", False),
        ("codex.jsonl", True),
    ]
    assert Knowledge(settings, until).first("sphagnum") == "notes/page.html"

    code, told = ingest(capsys, notes / "missing.md", notes)
    assert code == 1
    assert told["error"]["type"] == "BadField"
    assert "missing.md" in told["error"]["message"]


def test_it_speaks_to_people(image, notes, capsys):
    """Without --json it says what was learned, with progress beside it, and which files were not."""
    (notes / "broken.pdf").write_bytes(b"no pdf")
    assert cli.main(["ingest", str(notes)]) == 1
    out, err = capsys.readouterr()
    assert "learned 6 documents from 6 files" in out
    assert "broken.pdf" in out
    assert "on the stopped image" in err
    assert "6 of 6 files, 6 documents" in err


def test_what_is_too_large_for_a_message(kernel, notes, capsys):
    """Through the bridge a text larger than a message is told and not waited for, and the rest is learned."""
    (notes / "huge.txt").write_text("word " * (kernel.max_message_bytes // 4))
    code, told = ingest(capsys, notes)
    assert (code, told["files"], told["documents"]) == (1, 6, 6)
    assert [bad["file"] for bad in told["failed"]] == ["notes/huge.txt"]
    assert "MAX_MESSAGE_BYTES" in told["failed"][0]["why"]
