"""`python -m batos ingest FILE…`: teach Fractal Memory files and whole folders."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batos.errors import BatosError, Busy, RequestError
from batos.memory import readers
from batos.memory.sources import Source
from batos.operator import offline

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from batos.memory.readers import Document
    from batos.operator.show import Speaker
    from batos.settings import Settings

_BUSY_SECONDS = 0.5
_NAMES = 1000


def run(asked: argparse.Namespace, settings: Settings, speaker: Speaker) -> int:
    """Read files and hand them in; 1 when some could not be read."""
    report: dict[str, Any] = {"documents": 0, "chunks": 0, "removed": 0, "failed": []}
    with offline.way(settings) as way:
        speaker.remark(offline.SAID[way.through])
        report["through"] = way.through
        learn(way, [Path(name) for name in asked.files], report, speaker)
    if speaker.json:
        speaker.value(report)
    else:
        gone = f", removed {report['removed']} that are gone" if report["removed"] else ""
        speaker.out.print(f"learned {report['documents']} documents from {report['files']} files{gone}")
        speaker.table("not learned", ("file", "why"), [(bad["file"], bad["why"]) for bad in report["failed"]])
    return 1 if report["failed"] else 0


def learn(way: offline.Bridge | offline.Stopped, paths: list[Path], report: dict[str, Any], speaker: Speaker) -> None:
    """Read files and folders and hand them in, and remove what they hold no more; the report hears what came of it."""
    sources = [Source(path) for path in paths]
    files = [(source, file, name) for source in sources for file, name in source.files()]
    report["files"] = len(files)
    report["failed"] += [
        {"file": readers.shown(Path(name)), "why": why} for source in sources for name, why in source.unread.items()
    ]
    documents = _documents(files, report, speaker)
    if isinstance(way, offline.Stopped):
        _into_image(way, sources, documents, report)
    else:
        _through_bridge(way, sources, documents, report)


def _documents(files: list[tuple[Source, Path, str]], report: dict[str, Any], speaker: Speaker) -> Iterator[Document]:
    """Read file by file, so that memory holds one at a time; what cannot be read is reported."""
    told = time.monotonic()
    for done, (source, file, name) in enumerate(files, 1):
        try:
            for document in source.read(file, name):
                report["documents"] += 1
                yield document
        except BatosError as error:
            report["failed"].append({"file": readers.shown(file), "why": error.message})
        if time.monotonic() - told > 1 or done == len(files):
            told = time.monotonic()
            speaker.remark(f"{done} of {len(files)} files, {report['documents']} documents")


def _through_bridge(
    way: offline.Bridge, sources: list[Source], documents: Iterator[Document], report: dict[str, Any]
) -> None:
    """Hand all in, then wait for the last: documents are indexed in the order in which they came."""
    last: Document | None = None
    for document in documents:
        try:
            _ask(way, "remember", wait=False, **document._asdict())
        except RequestError as error:
            # Too large for a message, say; the others may be fit.
            report["documents"] -= 1
            report["failed"].append({"file": document.doc_id, "why": error.message})
        else:
            last = document
    if last is not None:
        _ask(way, "remember", wait=True, **last._asdict())
    for source in sources:
        report["removed"] += _remove_gone(way, source)
    report["chunks"] = way.ask("status")["fractal_memory"]["chunks"]


def _remove_gone(way: offline.Bridge, source: Source) -> int:
    """Forget what a source has not any more; gives how many documents that were."""
    asked: dict[str, Any] = {"prefix": source.prefix, "origin": source.origin, "limit": _NAMES}
    names = way.ask("documents", **asked)["documents"]
    gone = source.gone(names)
    while len(names) == _NAMES:
        names = way.ask("documents", **asked, after=names[-1])["documents"]
        gone += source.gone(names)
    for place, doc_id in enumerate(gone, 1):
        _ask(way, "forget", doc_id=doc_id, origin=source.origin, wait=place == len(gone))
    return len(gone)


def _ask(way: offline.Bridge, command: str, **fields: Any) -> None:
    while True:
        try:
            way.ask(command, **fields)
        except Busy:
            time.sleep(_BUSY_SECONDS)
        else:
            return


def _into_image(
    way: offline.Stopped, sources: list[Source], documents: Iterator[Document], report: dict[str, Any]
) -> None:
    from batos.image.migrations import migrate
    from batos.memory import bulk, catalog

    migrate(way.image)
    bulk.learn(way.image, documents)
    report["removed"] = sum(bulk.remove_gone(way.image, source) for source in sources)
    report["chunks"] = way.image.read_now(catalog.statistics).value["chunks"]
