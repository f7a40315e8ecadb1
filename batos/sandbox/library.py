"""What the zygote loads before the walls go up: modules, codecs, time zones; and the fixed clock of trials.

Behind the walls nothing can be read from disk, so everything that pure code may ask for must be in memory already.
"""

from __future__ import annotations

import codecs
import datetime as dt
import importlib
import io
import os
import random
import time
import uuid
import zoneinfo
from pathlib import Path
from typing import TYPE_CHECKING, Any, SupportsIndex

if TYPE_CHECKING:
    from collections.abc import Iterable

# Loaded by the standard library's C code or on first use, with the caller's rights.
_LATE_MODULES = (
    "_strptime", "ast", "encodings.ascii", "encodings.idna", "encodings.latin_1", "linecache", "locale", "random",
    "stringprep", "traceback", "zoneinfo._common",
)  # fmt: skip
_CODECS = (
    "utf_16", "utf_16_le", "utf_16_be", "utf_32", "utf_32_le", "utf_32_be", "utf_7", "utf_8_sig", "ascii", "latin_1",
    "cp1250", "cp1251", "cp1252", "cp437", "cp850", "iso8859_2", "iso8859_15", "mac_roman", "idna", "punycode",
    "unicode_escape", "raw_unicode_escape", "hex_codec", "base64_codec", "rot_13", "zlib_codec", "quopri_codec",
)  # fmt: skip
_ZONE_MAGIC = b"TZif"

# Python's pools of small objects: their size, what stands at their beginning, and the largest object in one.
_POOL, _POOL_HEADER, _LARGEST_SMALL = 1 << 14, 48, 512
_IN_A_ROW, _MOST_FILLERS = 12, 20_000

FIXED_INSTANT = 1767268800.0  # 2026-01-01 12:00:00 UTC
FIXED_SEED = 20260101


def preload(modules: Iterable[str]) -> list[str]:
    """Import the allowed modules and what they load late.

    Returns:
        The names that could not be imported.
    """
    missing = []
    for name in [*_LATE_MODULES, *sorted(modules)]:
        try:
            importlib.import_module(name)
        except Exception:  # noqa: BLE001 - a module of the operator's list may fail in any way; it is reported
            missing.append(name)
    for name in _CODECS:
        codecs.lookup(name)
    time.tzset()
    time.localtime()
    dt.datetime.strptime("2024-01-01", "%Y-%m-%d").astimezone()
    uuid.getnode()
    return missing


def keep_time_zones() -> int:
    """Hold every time zone in memory and have `zoneinfo` read them from there.

    Returns:
        How many zones there are.
    """
    zones = _zones_on_disk() or _zones_of_tzdata()

    def load(key: str) -> io.BytesIO:
        try:
            return io.BytesIO(zones[key])
        except KeyError:
            raise zoneinfo.ZoneInfoNotFoundError(f"No time zone found with key {key}") from None

    common = importlib.import_module("zoneinfo._common")
    common.load_tzdata = load  # type: ignore[attr-defined]
    zoneinfo.reset_tzpath(())
    zoneinfo.available_timezones = lambda: set(zones)
    return len(zones)


def _zones_on_disk() -> dict[str, bytes]:
    for root in zoneinfo.TZPATH:
        zones = {}
        for folder, _, files in os.walk(root):
            for file in files:
                path = Path(folder, file)
                key = path.relative_to(root).as_posix()
                if not key.startswith(("posix/", "right/")):
                    data = path.read_bytes()
                    if data.startswith(_ZONE_MAGIC):
                        zones[key] = data
        if zones:
            return zones
    return {}


def _zones_of_tzdata() -> dict[str, bytes]:
    import importlib.resources

    try:
        folder = importlib.resources.files("tzdata.zoneinfo")
    except ModuleNotFoundError:
        return {}
    return {key: folder.joinpath(key).read_bytes() for key in zoneinfo.available_timezones()}


class _FrozenMeta(type):
    """Takes every plain datetime for one of the frozen class."""

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, cls.__mro__[1])

    def __subclasscheck__(cls, subclass: type) -> bool:
        return issubclass(subclass, cls.__mro__[1])


class _FrozenDatetime(dt.datetime, metaclass=_FrozenMeta):
    @classmethod
    def now(cls, tz: dt.tzinfo | None = None) -> Any:
        return cls.fromtimestamp(_clock.now, tz)

    @classmethod
    def today(cls) -> Any:
        return cls.fromtimestamp(_clock.now)

    @classmethod
    def utcnow(cls) -> Any:
        return cls.fromtimestamp(_clock.now, dt.UTC).replace(tzinfo=None)

    def date(self) -> Any:
        return _FrozenDate(self.year, self.month, self.day)

    def __repr__(self) -> str:
        return "datetime." + super().__repr__().removeprefix("datetime.")


class _FrozenDate(dt.date, metaclass=_FrozenMeta):
    @classmethod
    def today(cls) -> Any:
        return cls.fromtimestamp(_clock.now)

    def __repr__(self) -> str:
        return "datetime." + super().__repr__().removeprefix("datetime.")


class _Clock:
    """The fixed clock: it moves only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = FIXED_INSTANT
        self._sleep = time.sleep

    def seconds(self) -> float:
        return self.now

    def nanoseconds(self) -> int:
        return round(self.now * 1e9)

    def sleep(self, seconds: float | SupportsIndex) -> None:
        self._sleep(seconds)
        self.now += float(seconds)


_clock = _Clock()


def fix_clock() -> None:
    """Freeze every clock of the standard library at `FIXED_INSTANT`, in this process, for good."""
    for name, frozen in (("datetime", _FrozenDatetime), ("date", _FrozenDate)):
        frozen.__name__ = frozen.__qualname__ = name
        frozen.__module__ = "datetime"
        setattr(dt, name, frozen)
    for name in ("time", "monotonic", "perf_counter", "process_time", "thread_time"):
        setattr(time, name, _clock.seconds)
        setattr(time, f"{name}_ns", _clock.nanoseconds)
    time.sleep = _clock.sleep
    for name in ("localtime", "gmtime", "ctime"):
        _fix_default(name, lambda: _clock.now)
    setattr(time, "strftime", _strftime(time.strftime))  # noqa: B010 - its stub is overloaded
    time.asctime = _asctime(time.asctime)


def _strftime(real: Any) -> Any:
    return lambda format, t=None: real(format, time.localtime() if t is None else t)  # noqa: A006


def _asctime(real: Any) -> Any:
    return lambda t=None: real(time.localtime() if t is None else t)


def _fix_default(name: str, default: Any) -> None:
    real = getattr(time, name)
    setattr(time, name, lambda secs=None: real(default() if secs is None else secs))


def fix_chance() -> None:
    """Make every source of chance repeatable in this process, for good."""
    source = random.Random(FIXED_SEED)  # noqa: S311 - it is meant to be repeatable
    random.seed(FIXED_SEED)
    os.urandom = source.randbytes
    random._urandom = source.randbytes  # type: ignore[attr-defined]  # noqa: SLF001
    uuid._generate_time_safe = None  # type: ignore[attr-defined]  # noqa: SLF001
    uuid._node = 0x0123456789AB  # type: ignore[attr-defined]  # noqa: SLF001


def shuffle_chance() -> None:
    """Give this process its own chance; without it all workers of one zygote would draw the same."""
    random.seed()


def fill_pools() -> list[object]:
    """Fill the gaps in Python's pools of small objects, so that workers make theirs side by side, on few pages.

    Returns:
        What fills them, to be kept; what a worker makes then lies in fresh pools.
    """
    return [filler for size in range(16, _LARGEST_SMALL + 1, 16) for filler in _fill(size)]


def _fill(size: int) -> list[object]:
    """Make objects of one size until they come from a fresh pool."""
    made: list[object] = []
    row = last = 0
    while len(made) < _MOST_FILLERS and row < _IN_A_ROW:
        filler = _filler(size, len(made))
        made.append(filler)
        place = id(filler)
        row = row + 1 if place - last == size and row else int(place % _POOL == _POOL_HEADER)
        last = place
    return made


def _filler(size: int, number: int) -> object:
    if size == 16:
        return object()
    return number + (1 << 20) if size == 32 else bytes(size - 33 - 8)
