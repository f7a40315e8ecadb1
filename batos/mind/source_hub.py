"""Weights from the model hub: its local cache first, then the network if it answers at all.

A machine without the hub must notice in seconds, and the hub's own library takes long to give up, so it is asked only
after a quick probe. `HF_HUB_OFFLINE` and the hub's other variables hold.
"""

from __future__ import annotations

import hashlib
import shutil
import threading
import urllib.error
import urllib.request
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batos.mind.catalog import Entry, FileEntry, Source
from batos.mind.digests import feed
from batos.mind.download import SourceFailed, part_of, place

if TYPE_CHECKING:
    from batos.mind.download import Job

_FOLDER_FILES = ["*.json", "*.safetensors", "*.model", "*.txt", "*.jinja"]


def fetch(job: Job, source: Source, hub_seconds: float) -> None:
    """Fetch the missing files of a job.

    Raises:
        SourceFailed: The hub is not there, refuses, or its bytes are wrong.
        Cancelled: Somebody cancelled the job.
    """
    hub = _library()
    for file in job.missing:
        _take_cached(job, hub, source, file)
    if not job.missing:
        return
    _ask(hub, hub_seconds)
    for file in job.missing:
        _download(job, hub, source, file)
    shutil.rmtree(_staging(job), ignore_errors=True)


def repository(name: str, hub_seconds: float) -> Entry:
    """What the hub has of a model that no catalog lists, by its hub id: the files that an engine needs.

    Returns:
        An entry whose files have the hub's own digests; small files have none there.

    Raises:
        SourceFailed: The hub is not there, has no such model, or asks for a token.
    """
    hub = _library()
    _ask(hub, hub_seconds)
    try:
        info = hub.model_info(name, files_metadata=True)
    except Exception as error:
        raise SourceFailed(_said(error)) from error
    files = tuple(
        FileEntry(item.rfilename, int(item.size or 0), item.lfs.sha256 if item.lfs else "")
        for item in info.siblings or []
        if any(fnmatch(item.rfilename, pattern) for pattern in _FOLDER_FILES)
    )
    if not any(file.path.endswith(".safetensors") for file in files):
        raise SourceFailed("it has no safetensors files there")
    source = Source(kind="hub", repo=name, revision=info.sha or "main")
    return Entry(name, name, "", "", "transformers", 0, files, (source,))


def probe(endpoint: str, seconds: float) -> bool:
    """Tell whether a server answers within some seconds; name resolution, which may hang, counts too."""
    answered = threading.Event()

    def ask() -> None:
        request = urllib.request.Request(endpoint, method="HEAD")  # noqa: S310 - the user's own HF_ENDPOINT
        try:
            with urllib.request.urlopen(request, timeout=seconds):  # noqa: S310
                answered.set()
        except urllib.error.HTTPError:
            answered.set()
        except (OSError, ValueError):
            return

    thread = threading.Thread(target=ask, name="batos-hub-probe", daemon=True)
    thread.start()
    thread.join(seconds)
    return answered.is_set()


def _library() -> Any:
    try:
        import huggingface_hub.constants  # the package gives its functions by itself, but not this module
    except ImportError:
        raise SourceFailed("the package huggingface_hub is not installed") from None
    return huggingface_hub


def _ask(hub: Any, seconds: float) -> None:
    if hub.constants.HF_HUB_OFFLINE:
        raise SourceFailed("HF_HUB_OFFLINE is set")
    if not probe(hub.constants.ENDPOINT, seconds):
        raise SourceFailed("it does not answer")


def _take_cached(job: Job, hub: Any, source: Source, file: FileEntry) -> None:
    """Take a file from the hub's local cache, if it is there and the right one."""
    if not file.sha256:
        return
    cached = hub.try_to_load_from_cache(source.repo, file.path, revision=source.revision)
    if not isinstance(cached, str) or Path(cached).stat().st_size != file.size:
        return
    hasher = hashlib.sha256()
    feed(hasher, Path(cached), job.cancelled)
    if hasher.hexdigest() != file.sha256:
        return
    part = part_of(job.folder / file.path)
    part.parent.mkdir(parents=True, exist_ok=True)
    part.unlink(missing_ok=True)
    shutil.copyfile(cached, part)
    place(job, file, part, file.sha256)


def _download(job: Job, hub: Any, source: Source, file: FileEntry) -> None:
    base = job.present_bytes()
    bar = _progress_bar(job, base, file.path)
    try:
        path = hub.hf_hub_download(
            source.repo, file.path, revision=source.revision, local_dir=_staging(job), tqdm_class=bar
        )
    except Exception as error:
        job.check()  # a cancelled job raises inside the library, which may wrap it
        raise SourceFailed(_said(error)) from error
    hasher = hashlib.sha256()
    feed(hasher, Path(path), job.cancelled)
    known = file if file.sha256 else replace(file, sha256=hasher.hexdigest())
    place(job, known, Path(path), hasher.hexdigest())


def _staging(job: Job) -> Path:
    return job.folder / ".hub"


def _progress_bar(job: Job, base: int, text: str) -> Any:
    """A class in the shape of tqdm that reports to the job."""
    from tqdm.auto import tqdm  # type: ignore[import-untyped, unused-ignore]

    class Bar(tqdm):  # type: ignore[misc, type-arg, unused-ignore]
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            kwargs.update(disable=True)
            kwargs.pop("name", None)
            super().__init__(*args, **kwargs)
            self._come = int(kwargs.get("initial") or 0)

        def update(self, n: float | None = 1) -> bool | None:
            self._come += int(n or 0)
            job.report(base + self._come, f"downloading {text}")
            return None

    return Bar


def _said(error: Exception) -> str:
    first = str(error).strip().splitlines()
    return f"{type(error).__name__}: {first[0] if first else ''}"[:300]
