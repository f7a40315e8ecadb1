"""Reads files into documents: text, Markdown, Python, JSONL codices, HTML and PDF; pure, for clients too.

Which files, and what of them is gone, is told in `sources`. HTML and PDF need the extra `documents` (`pip install "batos[documents]"`). Nothing here touches the image.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from batos.errors import BadField, BatosError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MAX_BYTES = 64 << 20
"""Files larger than this are refused."""

MAX_NAME = 1000
"""Characters of a document's name, as the bridge takes it."""

_HINT = "Text, Markdown, Python, JSONL, HTML and PDF can be learned."
_HTML_BLOCKS = ["p", "div", "li", "dt", "dd", "tr", "section", "article", "table", "caption", "ul", "ol", "blockquote"]
_CODE_PLACE = re.compile(r"\0(\d{1,9})\0")


class Document(NamedTuple):
    """A document as the command `remember` takes it."""

    doc_id: str
    text: str
    metadata: dict[str, Any]
    origin: str = ""


def read_file(file: Path, name: str | None = None) -> Iterator[Document]:
    """Read one file; a JSONL file gives a document a line, any other file one.

    Args:
        file: The file.
        name: The document's name; the file's name when it is not given.

    Raises:
        BadField: It cannot be read as what its name says; the message tells why.
    """
    doc_id = name or file.name
    form, reader = READERS.get(file.suffix.lower(), ("text", _text))
    try:
        if file.stat().st_size > MAX_BYTES:
            raise BadField(f"{file} has more than {MAX_BYTES} bytes", "Split it.")
        data = file.read_bytes()
    except OSError as error:
        raise BadField(f"{file} cannot be read: {error.strerror}") from None
    metadata = {"source": doc_id, "format": form}
    if form == "jsonl":
        yield from _lines(doc_id, file, data, metadata)
        return
    try:
        text = reader(file, data)
    except BatosError:
        raise
    except Exception as error:  # noqa: BLE001  # whatever a parser meets in a broken file, the file is at fault
        raise BadField(f"{shown(file)} cannot be read as {form}: {error}") from None
    if text.strip():
        yield _document(file, doc_id, text, metadata)


def shown(path: Path) -> str:
    """Give a path as it can be printed and sent, whatever bytes its name has."""
    return str(path).encode("utf-8", "replace").decode()


def _document(file: Path, doc_id: str, text: str, metadata: dict[str, Any]) -> Document:
    if len(doc_id) > MAX_NAME or shown(Path(doc_id)) != str(Path(doc_id)):
        raise BadField(f"{shown(file)} has no name for a document: text of at most {MAX_NAME} characters")
    return Document(doc_id, text, metadata)


def _lines(doc_id: str, file: Path, data: bytes, metadata: dict[str, Any]) -> Iterator[Document]:
    """Read a codex: `{"prompt", "response"}` a line, or `{"text"}` with `_id` or `id` and `title`.

    The good lines are given, then the bad ones told.
    """
    bad = []
    for index, line in enumerate(data.split(b"\n")):
        if not line.strip():
            continue
        try:
            fields = json.loads(line)
            name, text = _of_line(fields, index)
        except (ValueError, TypeError, KeyError, AttributeError):
            bad.append(index + 1)
            continue
        more = {}
        if "prompt" in fields:
            more["prompt_hash"] = hashlib.sha256(str(fields["prompt"]).encode("utf-8", "surrogatepass")).hexdigest()
        yield _document(file, f"{doc_id}#{name}", text, {**metadata, **more})
    if bad:
        wanted = "a JSON object with `prompt` and `response`, or with `text`"
        others = f", nor are {len(bad) - 1} others" if bad[1:] else ""
        raise BadField(f"{shown(file)}, line {bad[0]} is not {wanted}{others}", "The other lines are learned.")


def _of_line(fields: Any, index: int) -> tuple[str, str]:
    name = str(fields.get("_id", fields.get("id", index)))
    parts = [fields["prompt"], fields["response"]] if "prompt" in fields else [fields.get("title"), fields["text"]]
    text = "\n\n".join(part.strip() for part in parts if part)
    text.encode()  # a lone surrogate is no text
    return name, text


def _text(file: Path, data: bytes) -> str:
    if b"\0" in data[:4096]:
        raise BadField(f"{file} is not text", _HINT)
    for encoding in ("utf-8-sig", "cp1252"):
        try:
            return data.decode(encoding).replace("\r\n", "\n")
        except UnicodeDecodeError:
            continue
    return data.decode("latin-1").replace("\r\n", "\n")


def _html(file: Path, data: bytes) -> str:
    """Give the visible text; headings and code become Markdown's, so that chunks respect them."""
    try:
        from bs4 import BeautifulSoup
    except ImportError:
        raise _missing(file, "beautifulsoup4") from None
    page = BeautifulSoup(data, "html.parser")
    title = page.title.get_text(" ", strip=True) if page.title else ""
    for tag in page(["title", "script", "style", "noscript", "template", "nav", "svg"]):
        tag.decompose()
    code: list[str] = []
    for pre in page("pre"):
        pre.replace_with(f"\n\n\0{len(code)}\0\n\n")
        code.append(_fenced(pre.get_text().strip("\n")))
    for heading in page(["h1", "h2", "h3", "h4", "h5", "h6"]):
        heading.insert_before("\n\n" + "#" * int(str(heading.name)[1]) + " ")
        heading.insert_after("\n\n")
    for block in page(_HTML_BLOCKS):
        block.insert_before("\n\n")
        block.insert_after("\n\n")
    for gap in page(["br", "td", "th", "option"]):
        gap.insert_before(" ")
    blocks = [" ".join(block.split()) for block in page.get_text().split("\n\n")]
    text = "\n\n".join(block for block in [title, *blocks] if block.strip("# "))
    return _CODE_PLACE.sub(lambda place: code[int(place[1])] if int(place[1]) < len(code) else "", text)


def _fenced(code: str) -> str:
    """Give code as a fenced block, with a fence that it does not hold itself."""
    fence = "`" * max(3, *(len(run) + 1 for run in re.findall("`+", code)), 3)
    return f"{fence}\n{code}\n{fence}"


def _pdf(file: Path, data: bytes) -> str:
    try:
        from pypdf import PdfReader
    except ImportError:
        raise _missing(file, "pypdf") from None
    import io

    pages = [page.extract_text() for page in PdfReader(io.BytesIO(data)).pages]
    text = "\n\n".join(pages).replace("\r\n", "\n")
    return text.encode("utf-8", "replace").decode()


def _missing(file: Path, package: str) -> BadField:
    return BadField(f"{file} needs the package {package}", 'Install the extra: pip install "batos[documents]".')


READERS: dict[str, tuple[str, Callable[[Path, bytes], str]]] = {
    **dict.fromkeys([".txt", ".rst", ".text", ".log"], ("text", _text)),
    **dict.fromkeys([".md", ".markdown"], ("markdown", _text)),
    ".py": ("python", _text),
    ".jsonl": ("jsonl", _text),
    **dict.fromkeys([".html", ".htm"], ("html", _html)),
    ".pdf": ("pdf", _pdf),
}
"""Form and reader by a file name's ending."""
