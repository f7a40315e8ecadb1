"""The backup of the image that an upgrade takes, and putting it back; on files alone, the image is never opened here.

The image's file only grows, save for a pack, which replaces it. So the part that was committed is copied while the kernel
still serves, and only what came after that once it has stopped. Blobs never change and are hard links.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batos.watchdog import files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from batos.settings import Settings

_CHUNK = 8 << 20
_SPARE_BYTES = 64 << 20
_BLOB_LAYOUT = ".layout"


@dataclass(frozen=True)
class Kept:
    """What a backup holds, and how the image looked when it was taken.

    Args:
        folder: Where it lies.
        bytes: The image's size; None where there was no image.
        changed: The image's time of change, in nanoseconds.
    """

    folder: str
    bytes: int | None
    changed: int

    def plain(self) -> dict[str, Any]:
        """The same as plain data."""
        return asdict(self)


class Safekeeping:
    """One backup: begun while the kernel serves, completed when it has stopped.

    Args:
        settings: Say where image and blobs lie.
        name: The upgrade's id.
        tick: Called now and then.
    """

    def __init__(self, settings: Settings, name: str, tick: Callable[[], None]) -> None:
        self._image = settings.image_path
        self._blobs = settings.blob_path
        self.folder = settings.home / "backups" / f"upgrade-{name}"
        self._copy = self.folder / self._image.name
        self._tick = tick
        self._copied: tuple[int, int] | None = None

    def begin(self, committed: int) -> None:
        """Copy what is committed while the kernel serves, and link the blobs that are there.

        Args:
            committed: How many bytes of the image are whole transactions that nothing changes any more.

        Raises:
            OSError: There is no room, or the place cannot be written.
        """
        size = self._image.stat().st_size if self._image.exists() else 0
        self.folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(self.folder).free
        if free < size + _SPARE_BYTES:
            raise OSError(f"a backup of the image needs {size + _SPARE_BYTES} bytes, the disk has {free} left")
        self._link_blobs()
        if size:
            with self._image.open("rb") as source, self._copy.open("wb") as target:
                self._append(source, target, committed)
                self._copied = os.fstat(source.fileno()).st_ino, committed

    def complete(self) -> Kept:
        """Finish the backup of the stopped image and bring it to the disk."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._link_blobs()
        if not self._image.exists():
            return Kept(str(self.folder), None, 0)
        with self._image.open("rb") as source:
            now = os.fstat(source.fileno())
            inode, copied = self._copied or (0, 0)
            same = inode == now.st_ino and copied <= now.st_size and self._copy.exists()
            with self._copy.open("r+b" if same else "wb") as target:
                source.seek(copied if same else 0)
                target.seek(copied if same else 0)
                target.truncate()
                self._append(source, target, now.st_size)
                target.flush()
                os.fsync(target.fileno())
        files.sync_folder(self.folder)
        return Kept(str(self.folder), now.st_size, now.st_mtime_ns)

    def differs(self, kept: Kept) -> bool:
        """Whether something was written into the image since the backup was completed."""
        if not self._image.exists():
            return kept.bytes is not None
        now = self._image.stat()
        return (now.st_size, now.st_mtime_ns) != (kept.bytes, kept.changed)

    def restore(self, kept: Kept) -> None:
        """Put the image back as it was; doing it twice does no harm. No kernel may run.

        The image grows at its end, so what came is cut off: that needs no room. One that was packed is copied back.
        """
        index = self._image.with_name(f"{self._image.name}.index")
        index.unlink(missing_ok=True)
        if kept.bytes is None:
            self._image.unlink(missing_ok=True)
        elif not self._cut(kept.bytes):
            new = self._image.with_name(f"{self._image.name}.restored")
            with self._copy.open("rb") as source, new.open("wb") as target:
                self._append(source, target, kept.bytes)
                target.flush()
                os.fsync(target.fileno())
            shutil.copymode(self._copy, new)
            new.replace(self._image)
        self._drop_new_blobs()
        files.sync_folder(self._image.parent)

    def _cut(self, size: int) -> bool:
        """Cut off what came after the backup; False where the image does not begin with it."""
        if not self._image.exists() or self._image.stat().st_size < size or self._copy.stat().st_size < size:
            return False
        with self._copy.open("rb") as kept, self._image.open("r+b") as now:
            left = size
            while left > 0:
                chunk = kept.read(min(_CHUNK, left))
                if not chunk or chunk != now.read(len(chunk)):
                    return False
                left -= len(chunk)
                self._tick()
            now.truncate(size)
            os.fsync(now.fileno())
        return True

    def discard(self) -> None:
        """Remove this backup."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def prune(self, most: int = 2) -> None:
        """Keep only the newest backups of upgrades."""
        found = [entry for entry in self.folder.parent.glob("upgrade-*") if entry.is_dir()]
        for old in sorted(found, key=lambda entry: entry.stat().st_mtime)[:-most]:
            shutil.rmtree(old, ignore_errors=True)

    def _append(self, source: Any, target: Any, until: int) -> None:
        left = until - source.tell()
        while left > 0 and (chunk := source.read(min(_CHUNK, left))):
            target.write(chunk)
            left -= len(chunk)
            self._tick()
        if left > 0:
            raise OSError(f"{self._image} is shorter than it was")

    def _blob_files(self, root: Path) -> Iterator[Path]:
        """The files of a blob folder, without its staging place."""
        for folder, names, found in os.walk(root):
            names[:] = [name for name in names if name != "tmp"]
            for name in found:
                yield (Path(folder) / name).relative_to(root)

    def _link_blobs(self) -> None:
        """Link what is not linked yet, and bring the links to the disk: blobs that a backup lacks are removed by it."""
        kept = self.folder / "blobs"
        touched = {self.folder.parent, self.folder}
        for file in self._blob_files(self._blobs):
            target = kept / file
            if target.exists():
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            touched.update((target.parent, *target.parent.parents[: len(file.parts)]))
            with contextlib.suppress(FileNotFoundError):  # a pack took it away meanwhile
                try:
                    target.hardlink_to(self._blobs / file)
                except OSError:
                    shutil.copy2(self._blobs / file, target)
                    files.sync_file(target)
            self._tick()
        for folder in touched:
            files.sync_folder(folder)

    def _drop_new_blobs(self) -> None:
        """Blobs that the restored image does not know would lie there for ever."""
        for file in self._blob_files(self._blobs):
            if file.name != _BLOB_LAYOUT and not (self.folder / "blobs" / file).exists():
                (self._blobs / file).unlink(missing_ok=True)
        for file in self._blob_files(self.folder / "blobs"):
            target = self._blobs / file
            if not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(self.folder / "blobs" / file, target)
                files.sync_file(target)
                files.sync_folder(target.parent)
