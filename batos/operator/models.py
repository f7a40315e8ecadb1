"""`models list|fetch|remove|verify`: the weights in the cache that all images share."""

from __future__ import annotations

import signal
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from batos.mind import catalog, sources
from batos.settings import PERSONAS

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator
    from types import FrameType

    from batos.operator.show import Speaker
    from batos.settings import Settings

_MIB = 1 << 20
_LINE_SECONDS = 5.0


def list_models(asked: argparse.Namespace, settings: Settings, speaker: Speaker) -> int:
    """List the catalog: sizes, licences, what is in the cache, what the settings ask for."""
    del asked
    wanted = set(wanted_names(settings))
    rows: list[dict[str, Any]] = []
    for name, entry in catalog.catalog().items():
        held = sources.held(name, settings.weights_cache)
        state = "ready" if held.complete else "partial" if held.bytes else "absent"
        rows.append(
            {
                "name": name,
                "title": entry.title,
                "kind": entry.kind,
                "license": entry.license,
                "bytes": entry.size,
                "state": state,
                "path": str(held.path) if held.complete else None,
                "wanted": name in wanted,
            }
        )
    if speaker.json:
        speaker.value(rows)
        return 0
    speaker.table(
        f"models (cache: {settings.weights_cache})",
        ("name", "what", "MiB", "state", "asked for"),
        [(r["name"], r["title"], f"{r['bytes'] / _MIB:.0f}", r["state"], "yes" if r["wanted"] else "") for r in rows],
    )
    for name in sorted(wanted - {row["name"] for row in rows}):
        speaker.out.print(f"also asked for: {name}", markup=False)
    return 0


def fetch(asked: argparse.Namespace, settings: Settings, speaker: Speaker) -> int:
    """Fetch models into the cache; without names what the settings ask for. `--paths` prints where they lie."""
    names = asked.names or wanted_names(settings)
    if not names:
        speaker.remark(f"The engine {settings.engine.partition(':')[0]} needs no weights.")
    fetched = {name: str(_fetch(name, settings)) for name in names}
    if speaker.json:
        speaker.value(fetched)
    elif asked.paths:
        sys.stdout.writelines(path + "\n" for path in fetched.values())
    else:
        for name, path in fetched.items():
            speaker.out.print(f"{name}: {path}", markup=False)
    return 0


def remove(asked: argparse.Namespace, settings: Settings, speaker: Speaker) -> int:
    """Remove models from the cache; images keep what they took in."""
    freed = {name: sources.remove(catalog.find(name).name, settings.weights_cache) for name in asked.names}
    if speaker.json:
        speaker.value(freed)
    for name, size in freed.items() if not speaker.json else ():
        speaker.out.print(f"{name}: {size / _MIB:.0f} MiB free again", markup=False)
    return 0


def verify(asked: argparse.Namespace, settings: Settings, speaker: Speaker) -> int:
    """Read models again and compare digests; exit code 1 when a file is wrong or missing."""
    cache = settings.weights_cache
    names = asked.names or [name for name in catalog.catalog() if sources.held(name, cache).bytes]
    found: dict[str, list[str]] = {name: sources.verify(name, cache) for name in names}
    if speaker.json:
        speaker.value(found)
    else:
        for name, bad in found.items():
            speaker.out.print(f"{name}: {'wrong or missing: ' + ', '.join(bad) if bad else 'every digest holds'}")
        if not found:
            speaker.out.print("There is nothing in the cache.")
    return 1 if any(found.values()) else 0


def wanted_names(settings: Settings) -> list[str]:
    """Name the models that these settings ask for: none with an engine that brings its own."""
    if settings.engine == "openai" or settings.scripted_file is not None:
        return []
    from batos.mind import select

    return sorted({select.model_for(settings, persona) for persona in PERSONAS})


def _fetch(name: str, settings: Settings) -> Path:
    if Path(name).expanduser().exists():
        return Path(name).expanduser().resolve()
    with Progress(name) as progress, _remembered_interrupt() as interrupted:
        return sources.fetch(name, settings.weights_cache, progress, settings.hub_seconds, cancelled=interrupted)


@contextmanager
def _remembered_interrupt() -> Iterator[Callable[[], bool]]:
    """Ctrl-C ends the fetch at once, and at its next block where a library's callback swallows the exception."""
    seen = threading.Event()

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        seen.set()
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield seen.is_set
    finally:
        signal.signal(signal.SIGINT, before)


class Progress:
    """Shows how far a fetch is: a line that grows on a terminal, a line every few seconds elsewhere.

    Args:
        name: The model.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._tty = sys.stderr.isatty()
        self._began = time.monotonic()
        self._first: int | None = None
        self._shown_at = 0.0
        self._shown = ("", "")

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the line."""
        if self._tty and self._shown_at:
            sys.stderr.write("\n")

    def __call__(self, done: int, total: int, what: str) -> None:
        """Show bytes done, bytes in all, the rate, and what is being done."""
        now = time.monotonic()
        self._first = done if self._first is None else self._first
        wait = 0.1 if self._tty else _LINE_SECONDS
        if now - self._shown_at < wait and done < total and what == self._shown[0]:
            return
        rate = (done - self._first) / max(now - self._began, 0.001)
        line = f"{self._name}: {done / _MIB:,.1f} of {total / _MIB:,.1f} MiB, {rate / _MIB:.1f} MiB/s, {what}"
        if line == self._shown[1]:
            return
        self._shown_at, self._shown = now, (what, line)
        sys.stderr.write(f"\r\033[K{line[:110]}" if self._tty else line + "\n")
        sys.stderr.flush()
