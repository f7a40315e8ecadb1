"""The golden dataset: what the first awakening learns from `persona_codex.jsonl`, one prompt and response a line."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from batos.memory import catalog

if TYPE_CHECKING:
    from pathlib import Path

    from batos.image.store import View

_log = logging.getLogger("batos.memory")

Report = Callable[[str], None]


class Entry(NamedTuple):
    """A document of the golden dataset, as `catalog.index_document` takes it."""

    doc_id: str
    text: str
    metadata: dict[str, Any]


def read_codex(file: Path, report: Report = _log.warning) -> list[Entry]:
    """Read a codex file of lines `{"prompt": str, "response": str}`.

    Documents are numbered by their line from 0, so that a bad line does not rename those after it. A missing file
    has no entries.

    Args:
        file: The codex.
        report: Told of each line that is left out, and why.

    Raises:
        OSError: The file is there but cannot be read.
    """
    try:
        lines = file.read_bytes().splitlines()
    except FileNotFoundError:
        report(f"{file} is missing; nothing is learned from it")
        return []
    entries = []
    for index, line in enumerate(lines):
        if not line.strip():
            continue
        try:
            entries.append(_entry(index, line, file.name))
        except ValueError as error:
            report(f"{file}, line {index + 1} is left out: {error}")
    return entries


def index_golden(view: View, entries: Iterable[Entry | tuple[str, str, dict[str, Any]]]) -> int:
    """Teach Fractal Memory the entries of a codex; gives how many documents it has of them. Again changes nothing."""
    return sum(1 for doc_id, text, metadata in entries if catalog.index_document(view, doc_id, text, metadata))


def _entry(index: int, line: bytes, source: str) -> Entry:
    fields = json.loads(line)
    if not isinstance(fields, dict):
        raise ValueError("it is not a JSON object")  # noqa: TRY004  # a fault of the file, not of a caller
    prompt, response = (_text(fields, key) for key in ("prompt", "response"))
    digest = hashlib.sha256(prompt.encode("utf-8", "surrogatepass")).hexdigest()
    return Entry(f"golden_dataset_{index}", f"{prompt}\n\n{response}", {"source": source, "prompt_hash": digest})


def _text(fields: dict[str, Any], key: str) -> str:
    value = fields.get(key)
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{key!r} is missing or no text")
    value.encode()  # a lone surrogate is no text either; UnicodeEncodeError is a ValueError
    return value.strip()
