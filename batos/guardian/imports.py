"""Which import a name wants that a method uses and nobody binds."""

from __future__ import annotations

import ast

from batos.guardian.modules import PURE_MODULES, allowed
from batos.guardian.policy import unbound_names
from batos.guardian.syntax import walk

_FROM = {
    "collections": "Counter OrderedDict defaultdict deque namedtuple ChainMap",
    "dataclasses": "dataclass asdict astuple",
    "datetime": "date timedelta timezone",
    "decimal": "Decimal ROUND_HALF_UP",
    "enum": "Enum IntEnum",
    "fractions": "Fraction",
    "functools": "reduce partial lru_cache cmp_to_key wraps",
    "heapq": "heappush heappop heapify nlargest nsmallest",
    "itertools": "permutations combinations product groupby chain accumulate islice zip_longest takewhile dropwhile",
    "math": "sqrt factorial gcd lcm ceil floor isqrt comb perm prod",
    "random": "randint choice shuffle sample uniform",
    "statistics": "mean median stdev",
    "string": "ascii_lowercase ascii_uppercase ascii_letters digits punctuation",
    "textwrap": "dedent",
    "time": "sleep",
    "typing": "Any Callable Dict Iterable Iterator List Literal Mapping Optional Sequence Set Tuple Union",
    "uuid": "uuid4",
    "zoneinfo": "ZoneInfo",
}
_HOME = {name: module for module, names in _FROM.items() for name in names.split()}
_OF_DATETIME_MODULE = frozenset(
    {"datetime", "date", "time", "timedelta", "timezone", "tzinfo", "UTC", "MINYEAR", "MAXYEAR"}
)


def missing_imports(tree: ast.AST, modules: frozenset[str] = PURE_MODULES) -> list[str]:
    """Give the import lines that would bind what is used and not bound, as far as allowed modules have it."""
    lines = []
    for name in sorted(unbound_names(tree)):
        line = _line_for(name, tree)
        if line and allowed(line.split()[1], modules):
            lines.append(line)
    return lines


def _line_for(name: str, tree: ast.AST) -> str:
    if name == "datetime":
        return "import datetime" if _is_datetime_module(tree) else "from datetime import datetime"
    if name in _HOME:
        return f"from {_HOME[name]} import {name}"
    return f"import {name}" if _attributes(name, tree) else ""


def _is_datetime_module(tree: ast.AST) -> bool:
    """Whether `datetime` is used as the module: by names that only the module has."""
    return bool(_attributes("datetime", tree) & _OF_DATETIME_MODULE - {"time", "date"}) or bool(
        _chained("datetime", {"time", "date"}, tree)
    )


def _attributes(name: str, tree: ast.AST) -> set[str]:
    return {
        node.attr
        for node in walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == name
    }


def _chained(name: str, attributes: set[str], tree: ast.AST) -> bool:
    """Whether something of an attribute is used, like `datetime.date.today`."""
    return any(
        isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Attribute)
        and node.value.attr in attributes
        and isinstance(node.value.value, ast.Name)
        and node.value.value.id == name
        for node in walk(tree)
    )
