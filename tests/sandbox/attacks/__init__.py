"""Our own attacks on the sandbox, by category. All of them are harmless: they would get in, and do nothing there."""

from __future__ import annotations

from tests.sandbox.attacks import files, harm, insides, kernel, native, others
from tests.sandbox.attacks.kinds import Attack

CATEGORIES: dict[str, list[Attack]] = {
    "files, reading": files.READING,
    "files, writing": files.WRITING,
    "network": others.NETWORK,
    "processes": others.PROCESSES,
    "privileges": others.PRIVILEGES,
    "introspection": insides.INTROSPECTION,
    "capabilities": kernel.ATTACKS,
    "exhaustion": harm.EXHAUSTION,
    "results and errors": harm.RESULTS,
    "system calls and machine code": native.ATTACKS,
    "source text": harm.TEXT,
    "past an audit": insides.EVADING,
}
ATTACKS: list[Attack] = [attack for attacks in CATEGORIES.values() for attack in attacks]


def sample(every: int) -> list[Attack]:
    """Give a part of the attacks: of each category, and in it of each way to do harm, one in so many, at least one."""
    kinds: dict[tuple[str, str], list[Attack]] = {}
    for category, attacks in CATEGORIES.items():
        for attack in attacks:
            kinds.setdefault((category, attack.alone), []).append(attack)
    return [attack for alike in kinds.values() for attack in alike[::every]]


# What the attacks import, loaded before the walls go up, so that it is the walls that stop them.
MODULES = [
    "array",
    "asyncio",
    "atexit",
    "batos.codec",
    "builtins",
    "codecs",
    "concurrent.futures",
    "concurrent.futures.thread",
    "ctypes",
    "dataclasses",
    "decimal",
    "functools",
    "gc",
    "glob",
    "importlib",
    "io",
    "json",
    "linecache",
    "marshal",
    "math",
    "mmap",
    "multiprocessing",
    "multiprocessing.popen_fork",
    "operator",
    "ormsgpack",
    "os",
    "pathlib",
    "pickle",
    "pty",
    "random",
    "re",
    "resource",
    "select",
    "signal",
    "socket",
    "sqlite3",
    "stat",
    "statistics",
    "string",
    "struct",
    "subprocess",
    "sys",
    "tempfile",
    "threading",
    "time",
    "typing",
    "urllib.request",
    "uuid",
    "zlib",
]

__all__ = ["ATTACKS", "CATEGORIES", "MODULES", "Attack", "sample"]
