"""The look at the image's file before it is opened, because the engine itself is too trusting.

The file is a row of transactions; each starts with a header and ends with its length once more. FileStorage has no
checksums: a flipped bit in one length makes it cut the file there, and a tail of zeros or garbage (power loss) stops
it from opening at all. So: a tail that never was a whole transaction is cut off here, with a copy kept beside the file;
damage with whole transactions behind it is left as it is, and the image does not open.

A file whose saved index covers it to the last byte was closed in order. A small one is read all the same; a large one
would take too long, so `Image` reads it in the background once it is open.
"""

from __future__ import annotations

import datetime as dt
import mmap
import os
import pickle
import re
import struct
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from batos.errors import ImageDamaged

if TYPE_CHECKING:
    from collections.abc import Callable

MAGIC = b"FS30"
_HEADER = struct.Struct(">8sQcHHH")
_RECORD = struct.Struct(">8s8sQQHQ")
_LENGTH = struct.Struct(">Q")
# A header that may begin here: any tid, a length below 2**40, a status of a finished transaction.
_CANDIDATE = re.compile(rb"(?s)(?=.{8}\x00\x00\x00.{5}[ pu])")

SMALL = 2 << 20
"""A file of at most so many bytes is read at every start."""
_BREATH = 250

Bytes = bytes | mmap.mmap


class Damage(NamedTuple):
    """The first place where the file is not a row of transactions.

    Attributes:
        offset: Of the transaction that is damaged: all before it is whole.
        tail: Whether nothing whole follows, so that cutting it off loses no finished transaction.
        finding: What is wrong there.
    """

    offset: int
    tail: bool
    finding: str


class Health(NamedTuple):
    """What the preflight found.

    Attributes:
        state: `new`, `clean` (closed in order), `sound` (read and found whole), `healed`, `unwritable` (opened for
            reading, as it was found), or `damaged` (found after the start).
        healed_bytes: Bytes of a torn tail that were cut off.
        kept: Where the cut bytes lie.
        damage: What was found after the start.
    """

    state: str
    healed_bytes: int = 0
    kept: Path | None = None
    damage: Damage | None = None


def check(db_file: Path, blob_dir: Path) -> Health:
    """Check the image's file, and heal it where nothing finished is lost. The caller holds the writer's lock.

    Raises:
        ImageDamaged: It needs a repair by a person; nothing was changed.
    """
    recovered = _finish_pack(db_file)
    size = db_file.stat().st_size if db_file.exists() else 0
    if size == 0:
        _refuse_orphans(db_file, blob_dir)
        return Health("new")
    covered = _covered(db_file)
    if covered == size > SMALL and not recovered:
        return Health("clean")
    found = find_damage(db_file, start=covered if covered < size and size > SMALL else None)
    if found is not None and covered < size:
        # The index may be older than a pack: its place is no border of transactions then.
        found = find_damage(db_file)
    if found is None:
        return Health("healed" if recovered else "clean" if covered == size else "sound")
    if not found.tail:
        raise damaged(db_file, found)
    return _cut(db_file, found.offset)


def damaged(db_file: Path, found: Damage) -> ImageDamaged:
    """The error that tells of damage in the middle."""
    return ImageDamaged(
        f"{db_file} is damaged at byte {found.offset}: {found.finding}; whole transactions follow it",
        offset=found.offset,
        finding=found.finding,
    )


def find_damage(
    db_file: Path, *, start: int | None = None, end: int | None = None, breathe: Callable[[], None] | None = None
) -> Damage | None:
    """Read the file's structure and give the first damage, None when there is none.

    Args:
        db_file: The image's file, not empty; nobody writes to it meanwhile, or only behind `end`.
        start: Where a transaction begins; None reads all.
        end: Where to stop, behind a whole transaction; None: at the end of the file.
        breathe: Called now and then, so that others get their turn; what it raises ends the reading.
    """
    with db_file.open("rb") as file, mmap.mmap(file.fileno(), end or 0, access=mmap.ACCESS_READ) as data:
        if data[:4] != MAGIC:
            return Damage(0, tail=False, finding="it does not begin as an image")
        position, size, last = start if start is not None and start >= 4 else 4, len(data), b""
        while position < size:
            finding = _transaction(data, position, last, breathe)
            if finding is not None:
                return Damage(position, tail=not _whole_behind(data, position, last), finding=finding)
            last = data[position : position + 8]
            position += _LENGTH.unpack_from(data, position + 8)[0] + 8
    return None


def last_packed(db_file: Path | str) -> bytes:
    """The tid of the last transaction that a pack has rewritten; eight zero bytes when the file was never packed."""
    last = bytes(8)
    with Path(db_file).open("rb") as file:
        position = 4
        while True:
            file.seek(position)
            header = file.read(_HEADER.size)
            # Packed transactions stand together at the beginning.
            if len(header) < _HEADER.size or header[16:17] != b"p":
                return last
            last = header[:8]
            position += _LENGTH.unpack_from(header, 8)[0] + 8


def _transaction(data: Bytes, position: int, last: bytes, breathe: Callable[[], None] | None = None) -> str | None:
    """What is wrong with the transaction at a position; None when it is whole."""
    if position + _HEADER.size > len(data):
        return "a header is torn"
    tid, length, status, user, note, extension = _HEADER.unpack_from(data, position)
    end = position + length
    if end + 8 > len(data):
        return "a transaction is torn"
    if length < _HEADER.size + user + note + extension or _LENGTH.unpack_from(data, end)[0] != length:
        return "the two lengths of a transaction differ"
    if status == b"c":
        return "a transaction was not finished"
    if status not in b" pu":
        return f"a transaction has the status {status!r}"
    if tid <= last:
        return "a transaction is older than the one before"
    if status == b"u":
        return None
    return _records(data, tid, position, position + _HEADER.size + user + note + extension, end, breathe)


def _records(
    data: Bytes, tid: bytes, begin: int, position: int, end: int, breathe: Callable[[], None] | None
) -> str | None:
    """What is wrong with the records of a transaction; None when they fill it exactly."""
    count = 0
    while position < end:
        count += 1
        if breathe is not None and count % _BREATH == 1:
            breathe()
        if position + _RECORD.size > end:
            return "a record is torn"
        _oid, serial, before, transaction, version, length = _RECORD.unpack_from(data, position)
        if serial != tid or transaction != begin or version != 0 or before >= begin:
            return "a record's header is wrong"
        # Without data there is the place of the data in an older record.
        position += _RECORD.size + (length or 8)
    return None if position == end else "a record is longer than its transaction"


def _whole_behind(data: Bytes, position: int, last: bytes) -> bool:
    """Tell whether a whole transaction, younger than the last good one, lies behind a damaged place."""
    for match in _CANDIDATE.finditer(data, position + 1):
        at = match.start()
        if data[at : at + 8] > last and _transaction(data, at, last) is None and _holds_records(data, at):
            return True
    return False


def _holds_records(data: Bytes, position: int) -> bool:
    _tid, length, _status, user, note, extension = _HEADER.unpack_from(data, position)
    return bool(length > _HEADER.size + user + note + extension)


def _covered(db_file: Path) -> int:
    """How far the saved index goes; 0 without one."""
    try:
        with Path(f"{db_file}.index").open("rb") as file:
            position = _NumbersOnly(file).load()
    except (OSError, EOFError, ValueError, pickle.UnpicklingError, AttributeError, IndexError, KeyError):
        return 0
    return position if type(position) is int and position >= 4 else 0


class _NumbersOnly(pickle.Unpickler):
    """Reads the first value of an index file and nothing that runs."""

    def find_class(self, module: str, name: str) -> None:
        raise pickle.UnpicklingError(f"an index does not name {module}.{name}")


def _cut(db_file: Path, offset: int) -> Health:
    """Cut a torn tail off, after it was copied aside."""
    stamp = dt.datetime.now(dt.UTC).strftime("%Y%m%dT%H%M%S")
    kept = db_file.with_name(f"{db_file.name}.tail-{stamp}-{offset}")
    with db_file.open("r+b") as file:
        file.seek(0, os.SEEK_END)
        size = file.tell()
        with kept.open("wb") as aside:
            _copy(file, offset, aside)
        file.truncate(offset)
        os.fsync(file.fileno())
    Path(f"{db_file}.index").unlink(missing_ok=True)
    return Health("healed", size - offset, kept)


def _copy(source: BinaryIO, offset: int, target: BinaryIO) -> None:
    source.seek(offset)
    while chunk := source.read(1 << 20):
        target.write(chunk)
    target.flush()
    os.fsync(target.fileno())


def _finish_pack(db_file: Path) -> bool:
    """Undo a pack that was killed between its two renames: the old file is still the whole image."""
    old = Path(f"{db_file}.old")
    if db_file.exists() or not old.exists():
        return False
    old.rename(db_file)
    return True


def _refuse_orphans(db_file: Path, blob_dir: Path) -> None:
    """Blobs without their image, or a restore that was cut short: opening would make a new image in their place."""
    if Path(f"{db_file}.restoring").exists():
        raise ImageDamaged(
            f"{db_file} is missing: a restore of a backup was cut short",
            "Restore it again with `--force`; the image before lies beside it as `….before-restore-…`.",
        )
    if blob_dir.is_dir() and any(entry.name.startswith("0x") for entry in blob_dir.iterdir()):
        raise ImageDamaged(
            f"{db_file} is missing or empty, but {blob_dir} holds its blobs",
            "Put the image's file back (or restore a backup), or move the blobs away to begin anew.",
        )
