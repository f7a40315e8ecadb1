"""Copies of a code folder and its environment, so that an upgrade changes the copies and the originals stay as they are.

Files are copied, or share their blocks until one of the two is written to where the file system can do that; only git's
objects, which nothing ever changes, become hard links.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    Tick = Callable[[], None]

SPARE_BYTES = 256 << 20
"""What a disk must have left beside the copies: the steps write too, and the image goes on growing."""
_TEXT_BYTES = 256 << 10
_SLICE_SECONDS = 0.2
_FICLONE = 0x40049409
_CACHES = frozenset({"__pycache__", ".venv", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis"})


def copy_code(source: Path, target: Path, leave: Collection[Path], tick: Tick) -> None:
    """Copy a code folder without caches, its environment, and what `leave` names (the state, where it lies within).

    Links that lead out of the folder are followed; the history in `.git` comes along, also that of a worktree.
    """
    left = {path.resolve() for path in leave}

    def wanted(entry: os.DirEntry[str]) -> bool:
        return entry.name not in _CACHES and entry.name != ".git" and Path(entry.path).resolve() not in left

    _copy_tree(source, target, wanted, lambda _: False, tick, root=source)
    _copy_history(source / ".git", target / ".git", tick)


def copy_environment(source: Path, target: Path, renamed: dict[Path, Path], tick: Tick) -> None:
    """Copy a virtual environment and let its scripts and path files name the new folders.

    Args:
        source: The environment's folder.
        target: Where the copy goes.
        renamed: Folders that its texts name, and what they are called from now on (the code of an editable install).
        tick: Called now and then.
    """
    _copy_tree(source, target, lambda _: True, lambda _: False, tick, root=source)
    names = {str(old).encode(): str(new).encode() for old, new in {source: target, **renamed}.items()}
    # In one pass, the longest first: one folder lies in the other, and the new one perhaps in both.
    longest = sorted(names, key=len, reverse=True)
    pattern = re.compile(rb"(?:%s)(?![\w.-])" % b"|".join(map(re.escape, longest)))
    for file in _texts(target):
        text = file.read_bytes()
        new = pattern.sub(lambda match: names[match[0]], text)
        if new != text and b"\0" not in text:
            mode = file.stat().st_mode
            file.unlink()
            file.write_bytes(new)
            file.chmod(mode)


def _texts(environment: Path) -> list[Path]:
    """The files of an environment that name folders: scripts, its configuration, path files of editable installs."""
    scripts = [file for name in ("bin", "Scripts") for file in (environment / name).glob("*")]
    sites = [*environment.glob("lib/python*/site-packages"), *environment.glob("Lib/site-packages")]
    patterns = ("*.pth", "__editable__*", "*.dist-info/direct_url.json", "*.egg-link")
    paths = [file for site in sites for pattern in patterns for file in site.glob(pattern)]
    found = {environment / "pyvenv.cfg", *scripts, *paths}  # each once: a name replaced twice is wrong
    return [file for file in found if file.is_file() and not file.is_symlink() and file.stat().st_size < _TEXT_BYTES]


def _copy_tree(
    source: Path,
    target: Path,
    wanted: Callable[[os.DirEntry[str]], bool],
    linked: Callable[[os.DirEntry[str]], bool],
    tick: Tick,
    root: Path,
) -> None:
    tick()
    target.mkdir(parents=True)
    with os.scandir(source) as entries:
        for entry in entries:
            if not wanted(entry):
                continue
            if entry.is_symlink() and _stays(Path(entry.path), root):
                (target / entry.name).symlink_to(Path(entry.path).readlink())
            elif entry.is_dir():
                _copy_tree(Path(entry.path), target / entry.name, wanted, linked, tick, root)
            elif entry.is_file():
                _place(entry.path, target / entry.name, link=linked(entry))


def _stays(link: Path, root: Path) -> bool:
    """Whether a link means the same in a copy of the folder: it is relative and stays inside, or it names a program."""
    to = link.readlink()
    if to.is_absolute():
        return link.is_file() and os.access(link, os.X_OK) and link.parent.name in ("bin", "Scripts")
    return link.exists() and link.resolve().is_relative_to(root.resolve())


def _place(source: str, target: Path, *, link: bool) -> None:
    if link:
        try:
            target.hardlink_to(source)
        except OSError:  # another file system, or one without links
            pass
        else:
            return
    if _clone(source, target):
        shutil.copystat(source, target)
    else:
        shutil.copy2(source, target)


if sys.platform == "linux":

    def _clone(source: str, target: Path) -> bool:
        """Let the copy share the original's blocks until one is written to; False where the file system cannot."""
        import fcntl

        try:
            with open(source, "rb") as old, target.open("wb") as new:  # noqa: PTH123 - a path of scandir
                fcntl.ioctl(new.fileno(), _FICLONE, old.fileno())
        except OSError:
            return False
        return True

else:  # pragma: no cover

    def _clone(source: str, target: Path) -> bool:
        """Other systems are asked for a plain copy."""
        del source, target
        return False


def patiently(work: Callable[[], object], tick: Tick) -> None:
    """Do what may take long in a thread, and tick meanwhile; what `tick` raises is raised when the work is done."""
    with ThreadPoolExecutor(1, "patience") as pool:
        done = pool.submit(work)
        while not done.done():
            wait([done], _SLICE_SECONDS)
            tick()
        done.result()


def room_for(code: Path, environment: Path | None, leave: Collection[Path], place: Path) -> None:
    """See that copies of code and environment fit on the disk of a place.

    Raises:
        OSError: They do not; it says how much is missing.
    """
    left = {path.resolve() for path in leave}
    need = SPARE_BYTES + _size(
        code, lambda entry: entry.name in _CACHES | {".git"} or Path(entry.path).resolve() in left
    )
    need += _size(environment, lambda _: False) if environment is not None else 0
    free = shutil.disk_usage(place).free
    if free < need:
        raise OSError(f"a new release needs {need >> 20} MiB, the disk has {free >> 20} left")


def _size(folder: Path, left: Callable[[os.DirEntry[str]], bool]) -> int:
    total = 0
    with os.scandir(folder) as entries:
        for entry in entries:
            if not entry.is_symlink() and not left(entry):
                total += _size(Path(entry.path), left) if entry.is_dir() else entry.stat().st_size
    return total


def _copy_history(source: Path, target: Path, tick: Tick) -> None:
    """Copy git's folder; of a worktree, the repository's with the worktree's own place in it."""
    if source.is_file():
        own = (source.parent / source.read_text(encoding="utf-8").removeprefix("gitdir:").strip()).resolve()
        shared = own / "commondir"
        common = (own / shared.read_text(encoding="utf-8").strip()).resolve() if shared.is_file() else own
        _copy_git(common, target, tick)
        for name in ("HEAD", "index"):
            if (own / name).is_file():
                shutil.copy2(own / name, target / name)
    elif source.is_dir():
        _copy_git(source, target, tick)


def _copy_git(source: Path, target: Path, tick: Tick) -> None:
    def wanted(entry: os.DirEntry[str]) -> bool:
        return entry.name != "worktrees" and not entry.name.endswith(".lock")

    def immutable(entry: os.DirEntry[str]) -> bool:
        return f"{os.sep}objects{os.sep}" in entry.path

    _copy_tree(source, target, wanted, immutable, tick, root=source)
