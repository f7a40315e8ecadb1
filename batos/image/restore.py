"""Puts a backup in the place of a stopped image: read and proven first, the old image kept aside, then put there."""

from __future__ import annotations

import datetime as dt
import os
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import zc.lockfile

from batos.errors import ImageDamaged, ImageInUse, NotAllowed
from batos.image import backup, blobs
from batos.image.graph import quiet

if TYPE_CHECKING:
    from collections.abc import Iterator

    from batos.image.graph import Tell


def restore(folder: Path, db_file: Path, blob_dir: Path, *, force: bool = False, tell: Tell = quiet) -> dict[str, Any]:
    """Put a backup where the image lies. No process may have the image open.

    Args:
        folder: The backup.
        db_file: Where the database goes.
        blob_dir: Where the blobs go.
        force: Take the place of an image that is there; it is kept aside.
        tell: Hears of progress.

    Returns:
        What the backup's manifest says, `kept` (where the old image and its blobs lie now; empty when there was none),
        and `left_out`, the weights that have to be fetched again.

    Raises:
        BadField: The folder is no backup.
        NotAllowed: There is an image already, and `force` is not given.
        ImageInUse: A process has the image open.
        ImageDamaged: The backup is not what it was when it was made; nothing was changed.
        OSError: The disk refuses.
    """
    manifest = backup.read_manifest(folder)
    there = [place for place in (db_file, blob_dir) if _has_something(place)]
    if there and not force:
        raise NotAllowed(
            f"There is an image at {there[0]} already",
            "With `--force` the backup takes its place and it is kept aside.",
        )
    db_file.parent.mkdir(parents=True, exist_ok=True)
    with _alone(db_file):
        staged = db_file.with_name(f"{db_file.name}.restoring")
        staged_blobs = blob_dir.with_name(f"{blob_dir.name}.restoring")
        _clear(staged, staged_blobs)
        try:
            _stage(folder, manifest, staged, staged_blobs, tell)
            kept = _swap(there, {staged_blobs: blob_dir, staged: db_file})
            blobs.sync_folder(db_file.parent)
        finally:
            _clear(staged, staged_blobs)
    return {**backup.summary(manifest), "kept": [str(place) for place in kept]}


def verify(folder: Path, tell: Tell = quiet) -> dict[str, Any]:
    """Prove that a backup is what it was when it was made: its file, its graph and every blob; gives its summary.

    Raises:
        BadField: The folder is no backup.
        ImageDamaged: It is not what it was.
    """
    manifest = backup.read_manifest(folder)
    _check_blobs(folder / backup.BLOBS, manifest, tell)
    _check_database(folder / backup.DATABASE, manifest, tell)
    return backup.summary(manifest)


def _stage(folder: Path, manifest: dict[str, Any], staged: Path, staged_blobs: Path, tell: Tell) -> None:
    shutil.copyfile(folder / backup.DATABASE, staged)
    blobs._sync_file(staged)
    _check_database(staged, manifest, tell)
    staged_blobs.mkdir()
    layout = folder / backup.BLOBS / ".layout"
    if layout.exists():
        shutil.copyfile(layout, staged_blobs / ".layout")
    for row in _taken(manifest):
        inside = blobs._inside(row["path"])
        target = staged_blobs / inside
        target.parent.mkdir(parents=True, exist_ok=True)
        if not (folder / backup.BLOBS / inside).is_file():
            raise _damaged(folder / backup.BLOBS / inside)
        blobs._link(folder / backup.BLOBS / inside, target)
        blobs._sync_file(target)
    _check_blobs(staged_blobs, manifest, tell)
    for place, _folders, _names in os.walk(staged_blobs):
        blobs.sync_folder(Path(place))


def _check_database(file: Path, manifest: dict[str, Any], tell: Tell) -> None:
    if not file.is_file() or blobs.digest(file) != manifest["sha256"]:
        raise _damaged(file)
    found = backup.print_of(file, bytes.fromhex(manifest["tid"]), tell, manifest["graph"]["records"])
    Path(f"{file}.index").unlink(missing_ok=True)
    if found.sha256 != manifest["graph"]["sha256"]:
        raise _damaged(file)


def _check_blobs(base: Path, manifest: dict[str, Any], tell: Tell) -> None:
    rows = _taken(manifest)
    for number, row in enumerate(rows):
        file = base / blobs._inside(row["path"])
        if not file.is_file() or file.stat().st_size != row["size"] or blobs.digest(file) != row["sha256"]:
            raise _damaged(file)
        tell("blobs", number + 1, len(rows))


def _taken(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    return [row for row in manifest["blobs"] if not row["left_out"]]


def _damaged(file: Path) -> ImageDamaged:
    return ImageDamaged(f"{file} is not what it was when the backup was made", "Restore another backup.")


def _swap(there: list[Path], new: dict[Path, Path]) -> list[Path]:
    """Set what is there aside and put the new in its place; where that fails all is as before. Gives what was kept.

    The blobs come first and the database last: killed in between, there is no image, which says so at the next start.
    """
    stamp = dt.datetime.now(dt.UTC).strftime("%Y%m%dT%H%M%S%f")
    aside = {place: place.with_name(f"{place.name}.before-restore-{stamp}") for place in there}
    done: list[tuple[Path, Path]] = []
    try:
        for source, target in [*aside.items(), *new.items()]:
            if target.is_dir():
                target.rmdir()  # an empty one, or it would have been set aside
            target.unlink(missing_ok=True)
            for place in (source, target):
                Path(f"{place}.index").unlink(missing_ok=True)
            source.rename(target)
            done.append((source, target))
    except OSError:
        for source, target in reversed(done):
            target.rename(source)
        raise
    return list(aside.values())


def _has_something(place: Path) -> bool:
    return any(place.iterdir()) if place.is_dir() else place.exists() and place.stat().st_size > 0


def _clear(staged: Path, staged_blobs: Path) -> None:
    for place in (staged, Path(f"{staged}.index"), Path(f"{staged}.lock")):
        place.unlink(missing_ok=True)
    shutil.rmtree(staged_blobs, ignore_errors=True)


@contextmanager
def _alone(db_file: Path) -> Iterator[None]:
    try:
        lock = zc.lockfile.LockFile(f"{db_file}.lock")
    except zc.lockfile.LockError:
        raise ImageInUse(
            f"{db_file} is open in another process: a backup is restored on a stopped image",
            "Stop the system (`./puter.sh stop`) and restore again.",
        ) from None
    try:
        yield
    finally:
        lock.close()
