"""Readers: files and folders become documents; what cannot be read is told, never guessed."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from batos.errors import BadField
from batos.memory import readers

if TYPE_CHECKING:
    from pathlib import Path


def _read(file: Path) -> list[readers.Document]:
    return list(readers.read_file(file))


@pytest.mark.parametrize(("name", "form"), [("a.txt", "text"), ("a.md", "markdown"), ("a.py", "python")])
def test_text_files_are_read_whole(tmp_path: Path, name: str, form: str) -> None:
    """Text comes as it is, with its name, source and form; a byte order mark and Windows line ends go."""
    file = tmp_path / name
    file.write_bytes("\ufeffone ü\r\ntwo".encode())
    assert _read(file) == [readers.Document(name, "one ü\ntwo", {"source": name, "format": form})]


def test_a_codex_gives_a_document_a_line(tmp_path: Path) -> None:
    """Lines with prompt and response, and lines with title, text and id, are documents of their own."""
    file = tmp_path / "c.jsonl"
    rows = [{"prompt": "Q?", "response": "A."}, {"_id": "x", "title": "T", "text": "body"}]
    file.write_text("\n\n".join(map(json.dumps, rows)))
    assert [(d.doc_id, d.text) for d in _read(file)] == [("c.jsonl#0", "Q?\n\nA."), ("c.jsonl#x", "T\n\nbody")]


@pytest.mark.parametrize("line", ["{broken", "[1]", '{"other": 1}', '{"text": 5}', '{"text": "\\ud800"}'])
def test_a_bad_line_names_itself(tmp_path: Path, line: str) -> None:
    """A line that is no document is an error with its number."""
    file = tmp_path / "c.jsonl"
    file.write_text('{"text": "good"}\n' + line)
    with pytest.raises(BadField, match="line 2"):
        _read(file)


def test_good_lines_beside_bad_ones_are_learned(tmp_path: Path) -> None:
    """Bad lines are told once, with the first one's number, after all good lines were given."""
    file = tmp_path / "c.jsonl"
    file.write_text('{broken\n{"text": "one"}\n[]\n{"text": "two"}\n')
    given: list[str] = []
    with pytest.raises(BadField, match=r"line 1 .* nor are 1 others"):
        given.extend(document.text for document in readers.read_file(file))
    assert given == ["one", "two"]


def test_html_gives_its_visible_text(tmp_path: Path) -> None:
    """Headings stay headings; scripts, styles and navigation are left out."""
    file = tmp_path / "p.html"
    file.write_text(
        "<html><head><title>T</title><style>x{}</style></head><body><nav>menu</nav><h2>Head</h2><p>One <b>two</b>.</p>"
        "<script>evil()</script><ul><li>a</li><li>b</li></ul></body></html>"
    )
    assert _read(file)[0].text == "T\n\n## Head\n\nOne two.\n\na\n\nb"


def test_html_keeps_words_apart_and_code_as_it_is(tmp_path: Path) -> None:
    """Cells and broken lines do not run together; preformatted text becomes fenced code, line by line."""
    file = tmp_path / "p.html"
    file.write_text(
        "<p>one<br>two</p><table><tr><td>bee</td><td>7</td></tr></table>after"
        "<pre><code>def f():\n    return `1`\n\n# no heading\n</code></pre><svg><text>drawn</text></svg>"
    )
    code = "```\ndef f():\n    return `1`\n\n# no heading\n```"
    assert _read(file)[0].text == f"one two\n\nbee 7\n\nafter\n\n{code}"


def test_a_parser_that_gives_up_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a library raises over a broken file is that file's error, so that the other files are learned."""

    def broken(file: Path, data: bytes) -> str:
        raise AssertionError("odd bytes")

    monkeypatch.setitem(readers.READERS, ".pdf", ("pdf", broken))
    file = tmp_path / "b.pdf"
    file.write_bytes(b"%PDF-")
    with pytest.raises(BadField, match=r"b\.pdf cannot be read as pdf: odd bytes"):
        _read(file)


def test_pdf_gives_its_text(tmp_path: Path) -> None:
    """A PDF's text is read, and a broken one is an error that names the file."""
    stream = b"BT /F1 24 Tf 72 720 Td (A bee flies) Tj ET"
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>",
        b"<</Length %d>>stream\n%s\nendstream" % (len(stream), stream),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    body, places = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, 1):
        places.append(len(body))
        body += b"%d 0 obj%s endobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    tail = b"xref\n0 6\n0000000000 65535 f \n%strailer<</Size 6/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF" % (
        table,
        len(body),
    )
    file = tmp_path / "b.pdf"
    file.write_bytes(body + tail)
    assert "A bee flies" in _read(file)[0].text
    file.write_bytes(b"no pdf at all")
    with pytest.raises(BadField, match=r"b\.pdf"):
        _read(file)


def test_what_is_no_text_is_refused(tmp_path: Path) -> None:
    """A binary file is an error; an empty file is no document."""
    (tmp_path / "x.bin").write_bytes(b"\0\1\2")
    with pytest.raises(BadField, match="not text"):
        _read(tmp_path / "x.bin")
    (tmp_path / "empty.txt").write_text(" \n")
    assert _read(tmp_path / "empty.txt") == []


def test_names_that_no_document_can_have(tmp_path: Path) -> None:
    """A file or a line whose name cannot be sent is an error that can be printed, not one in the middle of the learning."""
    odd = tmp_path / os.fsdecode(b"odd\xff.txt")
    try:
        odd.write_text("text")
    except OSError:
        pytest.skip("this file system takes text alone")
    with pytest.raises(BadField, match=r"odd\?\.txt") as caught:
        _read(odd)
    caught.value.message.encode()
    file = tmp_path / "c.jsonl"
    file.write_text(json.dumps({"text": "t", "id": "x" * 2000}))
    with pytest.raises(BadField, match="no name"):
        _read(file)
