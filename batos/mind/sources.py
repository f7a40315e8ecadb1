"""Fetching weights: into the cache, from the first source that has them, and only with the right digest.

`<cache>/<model>/<file>` is where a fetched file lies. While it grows it is `<file>.part`; it gets its name when its
digest is right, so a half or broken download is never taken for weights. A fetch that was cut off goes on where it
was. The sources themselves are in `source_hub` and `source_index`.
"""

from __future__ import annotations

import errno
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from batos.errors import NoWeights
from batos.mind import source_hub, source_index
from batos.mind.catalog import Catalog, Entry, FileEntry, Source, find
from batos.mind.corelock import FileLock
from batos.mind.digests import file_digest
from batos.mind.download import Job, SourceFailed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from batos.mind.download import OnProgress

_SOURCES = {"hub": source_hub.fetch, "index": source_index.fetch}
_SPARE = 200 << 20


@dataclass(frozen=True, slots=True)
class Held:
    """What the cache has of a model: its path, its bytes, and whether every file is there with the right size."""

    path: Path
    bytes: int
    complete: bool


def fetch(
    name: str,
    cache: Path,
    on_progress: OnProgress | None = None,
    hub_seconds: float = 3.0,
    *,
    cancelled: Callable[[], bool] | None = None,
    entries: Catalog | None = None,
) -> Path:
    """Make a model's files be in the cache and give their path; blocking, safe to call from several processes.

    Args:
        name: A name of the catalog, or a hub id `owner/name`.
        cache: The weights cache.
        on_progress: Hears bytes done, bytes in all, and what is being done.
        hub_seconds: How long the hub may take to answer at all.
        cancelled: Asked often; True stops the fetch, what has come stays.
        entries: Another catalog than the one that ships.

    Returns:
        The file of a model that has one file, else its folder.

    Raises:
        NoWeights: No source had them; the message tells what each said.
        Cancelled: `cancelled` said so.
    """
    if is_hub_id(name):
        return _fetch_repository(name, cache, on_progress, hub_seconds, cancelled)
    entry = find(name, entries)
    job = Job(entry=entry, folder=cache / name, cache=cache, on_progress=on_progress, cancelled=cancelled)
    if is_whole(entry, cache, verify=True):
        return path_of(entry, cache)
    try:
        job.folder.mkdir(parents=True, exist_ok=True)
        with FileLock(cache / "locks" / f"{name}.lock", cancelled=cancelled):
            _fetch_missing(job, hub_seconds)
    except OSError as error:
        raise _disk_trouble(name, error) from None
    return path_of(entry, cache)


def _fetch_repository(
    name: str,
    cache: Path,
    on_progress: OnProgress | None,
    hub_seconds: float,
    cancelled: Callable[[], bool] | None,
) -> Path:
    """Fetch a whole model by its hub id and give its folder; the hub's own digests are what there is."""
    folder = cache / "hub" / name.replace("/", "--")
    done = folder / ".complete"
    if done.is_file():
        return folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(cache / "locks" / f"{folder.name}.lock", cancelled=cancelled):
            entry = source_hub.repository(name, hub_seconds)
            job = Job(entry=entry, folder=folder, cache=cache, on_progress=on_progress, cancelled=cancelled)
            job.missing = [
                file for file in entry.files if not _is_right(folder / file.path, file, cache, verify=bool(file.sha256))
            ]
            _check_space(job)
            source_hub.fetch(job, entry.sources[0], hub_seconds)
    except SourceFailed as failure:
        hint = "Look at the network; a gated model needs HF_TOKEN from an account that accepted its licence."
        raise NoWeights(f"the hub gave no weights of {name}: {failure}", hint) from None
    except OSError as error:
        raise _disk_trouble(name, error) from None
    done.touch()
    return folder


def path_of(entry: Entry, cache: Path) -> Path:
    """Where a model lies once it was fetched: its file if it has one, else its folder."""
    folder = cache / entry.name
    return folder / entry.files[0].path if len(entry.files) == 1 else folder


def is_whole(entry: Entry, cache: Path, *, verify: bool = False) -> bool:
    """Tell whether the cache has every file of a model; `verify` looks at digests, not only at sizes."""
    return not _missing(entry, cache, verify=verify)


def held(name: str, cache: Path, entries: Catalog | None = None) -> Held:
    """Tell what the cache has of a model, without reading its files."""
    entry = find(name, entries)
    folder = cache / name
    have = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) if folder.is_dir() else 0
    return Held(path_of(entry, cache), have, is_whole(entry, cache))


def verify(name: str, cache: Path, entries: Catalog | None = None) -> list[str]:
    """Read every file of a fetched model again and give the paths of those that are missing or wrong."""
    from batos.mind.digests import forget

    entry = find(name, entries)
    for file in entry.files:
        forget(cache / name / file.path, cache)
    return [file.path for file in _missing(entry, cache, verify=True)]


def remove(name: str, cache: Path) -> int:
    """Remove a model from the cache; what an image holds of it stays. Gives the bytes that came free."""
    folder = cache / name
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) if folder.is_dir() else 0
    shutil.rmtree(folder, ignore_errors=True)
    return size


def is_hub_id(name: str) -> bool:
    """Tell whether a name has the form of a hub id, `owner/name`."""
    owner, slash, repo = name.partition("/")
    return bool(owner and slash and repo) and "/" not in repo and not owner.startswith((".", "~"))


def _missing(entry: Entry, cache: Path, *, verify: bool) -> list[FileEntry]:
    return [file for file in entry.files if not _is_right(cache / entry.name / file.path, file, cache, verify=verify)]


def _is_right(path: Path, file: FileEntry, cache: Path, *, verify: bool) -> bool:
    if not path.is_file() or path.stat().st_size != file.size:
        return False
    return not verify or file_digest(path, cache) == file.sha256


def _fetch_missing(job: Job, hub_seconds: float) -> None:
    said = _said_of_damage(job)
    for source in job.entry.sources:
        job.missing = _missing(job.entry, job.cache, verify=True)
        if not job.missing:
            return
        try:
            _check_space(job)
            _SOURCES[source.kind](job, source, hub_seconds)
        except SourceFailed as failure:
            said.append(f"{_title(source)}: {failure}")
            job.report(job.done, f"{_title(source)}: {failure}")
    if _missing(job.entry, job.cache, verify=True):
        raise NoWeights(
            f"the weights of {job.entry.name} could not be fetched. " + "; ".join(said),
            "Look at the network and the package index's settings, then run `python -m batos models fetch "
            f"{job.entry.name}`; or name a file on disk in PERSONA_MODELS.",
        )


def _said_of_damage(job: Job) -> list[str]:
    """What is to be told of files that are there and have the wrong bytes."""
    damaged = [file.path for file in _missing(job.entry, job.cache, verify=True) if (job.folder / file.path).is_file()]
    said = [f"{path} is in the cache, but its digest or size is not the catalog's: it is broken" for path in damaged]
    for text in said:
        job.report(job.done, text)
    return said


def _check_space(job: Job) -> None:
    needed = sum(file.size for file in job.missing) - job.partial_bytes() + _SPARE
    free = shutil.disk_usage(job.folder).free
    if free < needed:
        raise NoWeights(
            f"{job.entry.name} needs {needed >> 20} MiB on the disk of {job.cache}, and {free >> 20} MiB are free",
            "Free space, or set WEIGHTS_CACHE to a folder on a larger disk.",
        )


def _disk_trouble(name: str, error: OSError) -> NoWeights:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    hint = "Free space, or set WEIGHTS_CACHE to a folder on a larger disk." if full else "Mend the permissions."
    return NoWeights(f"the weights of {name} cannot be written: {error}", hint)


def _title(source: Source) -> str:
    return f"hub ({source.repo})" if source.kind == "hub" else "package index"
