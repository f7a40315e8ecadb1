"""The pure standard library: what generated code may import when the settings say nothing else."""

from __future__ import annotations

PURE_MODULES: frozenset[str] = frozenset(
    {
        "abc", "array", "base64", "binascii", "bisect", "calendar", "cmath", "codecs", "collections", "collections.abc",
        "colorsys", "contextlib", "copy", "csv", "dataclasses", "datetime", "decimal", "difflib", "enum", "fractions",
        "functools", "graphlib", "hashlib", "heapq", "hmac", "html", "html.parser", "io", "itertools", "json", "keyword",
        "locale", "math", "numbers", "operator", "pprint", "queue", "random", "re", "reprlib", "secrets", "shlex",
        "statistics", "string", "struct", "textwrap", "time", "types", "typing", "unicodedata", "urllib.parse", "uuid",
        "warnings", "zlib", "zoneinfo",
    }
)  # fmt: skip


def allowed(module: str, modules: frozenset[str] = PURE_MODULES) -> bool:
    """Whether a dotted module name is on the list, itself or under a package that is."""
    parts = module.split(".")
    return any(".".join(parts[:size]) in modules for size in range(1, len(parts) + 1))


def reachable(module: str, modules: frozenset[str] = PURE_MODULES) -> bool:
    """Whether `import module` may run: it is allowed, or it is the package of one that is (`urllib` of `urllib.parse`)."""
    return allowed(module, modules) or any(name.startswith(module + ".") for name in modules)
