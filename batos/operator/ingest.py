"""`python -m batos ingest FILE…`: teach Fractal Memory files and whole folders."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batos.errors import BatosError, Busy, RequestError
from batos.memory import readers
from batos.operator import offline

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from batos.memory.readers import Document
    from batos.operator.show import Speaker
    from batos.settings import Settings

_BUSY_SECONDS = 0.5


def run(asked: argparse.Namespace, settings: Settings, speaker: Speaker) -> int:
    """Read files and hand them in; 1 when some could not be read."""
    report: dict[str, Any] = {"documents": 0, "chunks": 0, "failed": []}
    with offline.way(settings) as way:
        speaker.remark(offline.SAID[way.through])
        report["through"] = way.through
        learn(way, [Path(name) for name in asked.files], report, speaker)
    if speaker.json:
        speaker.value(report)
    else:
        speaker.out.print(f"learned {report['documents']} documents from {report['files']} files")
        speaker.table("not learned", ("file", "why"), [(bad["file"], bad["why"]) for bad in report["failed"]])
    return 1 if report["failed"] else 0


def learn(way: offline.Bridge | offline.Stopped, paths: list[Path], report: dict[str, Any], speaker: Speaker) -> None:
    """Read files and folders and hand them in; what came of it is put into the report."""
    files = list(readers.files_in(paths))
    report["files"] = len(files)
    documents = _documents(files, report, speaker)
    if isinstance(way, offline.Stopped):
        _into_image(way, documents, report)
    else:
        _through_bridge(way, documents, report)


def _documents(files: list[tuple[Path, str]], report: dict[str, Any], speaker: Speaker) -> Iterator[Document]:
    """Read file by file, so that memory holds one at a time; what cannot be read is reported."""
    told = time.monotonic()
    for done, (file, name) in enumerate(files, 1):
        try:
            for document in readers.read_file(file, name):
                report["documents"] += 1
                yield document
        except BatosError as error:
            report["failed"].append({"file": readers.shown(file), "why": error.message})
        if time.monotonic() - told > 1 or done == len(files):
            told = time.monotonic()
            speaker.remark(f"{done} of {len(files)} files, {report['documents']} documents")


def _through_bridge(way: offline.Bridge, documents: Iterator[Document], report: dict[str, Any]) -> None:
    """Hand all in, then wait for the last: documents are indexed in the order in which they came."""
    last: Document | None = None
    for document in documents:
        try:
            _ask(way, document, wait=False)
        except RequestError as error:
            # Too large for a message, say; the others may be fit.
            report["documents"] -= 1
            report["failed"].append({"file": document.doc_id, "why": error.message})
        else:
            last = document
    if last is not None:
        _ask(way, last, wait=True)
    report["chunks"] = way.ask("status")["fractal_memory"]["chunks"]


def _ask(way: offline.Bridge, document: Document, *, wait: bool) -> None:
    while True:
        try:
            way.ask("remember", doc_id=document.doc_id, text=document.text, metadata=document.metadata, wait=wait)
        except Busy:
            time.sleep(_BUSY_SECONDS)
        else:
            return


def _into_image(way: offline.Stopped, documents: Iterator[Document], report: dict[str, Any]) -> None:
    from batos.image.migrations import migrate
    from batos.memory import bulk, catalog

    migrate(way.image)
    bulk.learn(way.image, documents)
    report["chunks"] = way.image.read_now(catalog.statistics).value["chunks"]
