"""Strangers: what a method may hold that is neither plain data, nor an object of the image, nor a function of its own.

What comes over the wall is plain data or an object of the image: what slots hold, what arguments are, what messages
answer. A message to such an object is an activation of its own, which is given copies and keeps the Covenant by itself;
plain data understands nothing but the methods that `names.py` knows, and to call it raises. So an unknown message
changes nothing that this method has to answer for, unless it goes to a stranger: an object of a class (`random.Random`),
a function of a module that is handed about, what an unknown function answered.

Strangers are followed through variables and containers by the same rules as the values of slots.
"""

from __future__ import annotations

import ast
import datetime as dt
import decimal
from typing import TYPE_CHECKING

from batos.guardian import names as known
from batos.guardian.bindings import Bindings
from batos.guardian.depths import Depths, is_class_name
from batos.guardian.levels import CLEAN
from batos.guardian.syntax import parameters, table

if TYPE_CHECKING:
    from collections.abc import Callable

_KINDS = (list, dict, set, frozenset, tuple, str, bytes, bytearray, int, float, bool, complex)
_TIMES = (dt.datetime, dt.date, dt.time, dt.timedelta, decimal.Decimal)
# What plain data understands besides what `names.py` knows; anything else with such a name raises, or is a message.
DATA_DUNDERS = frozenset(
    name for kind in (*_KINDS, *_TIMES, object, type(None)) for name in dir(kind) if name[:2] == "__"
)

_NAMES_OF_KINDS = frozenset(kind.__name__ for kind in _KINDS)
_READING_DUNDERS = (known.READERS | known.NAMING | {"__dict__"}) - {
    "__class__",
    "__getattribute__",
    "__getstate__",
    "__reduce__",
    "__reduce_ex__",
}
_BUILTINS = known.NEW_FUNCTIONS | known.COPY_FUNCTIONS | known.ELEMENT_FUNCTIONS | {"vars", "setattr", "delattr"}
_DATA_CLASSES = frozenset({"Decimal", "Fraction", "Counter", "OrderedDict", "UUID"})
# Modules whose functions give data, iterators or patterns: nothing that changes what it is given.
_PLAIN_MODULES = frozenset(
    {
        "base64", "binascii", "bisect", "cmath", "collections", "copy", "datetime", "decimal", "fractions", "functools",
        "hashlib", "heapq", "hmac", "html", "itertools", "json", "keyword", "math", "operator", "os", "random", "re",
        "secrets", "statistics", "string", "struct", "textwrap", "time", "typing", "unicodedata", "urllib", "uuid", "zlib",
    }
)  # fmt: skip
_STRANGE = frozenset({"decimal.localcontext", "decimal.getcontext", "operator.attrgetter", "type", "super"})


class Strangers:
    """The strangers of one method.

    Args:
        depths: What is known of the method.
        function: The method.
    """

    def __init__(self, depths: Depths, function: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        search = _Search(depths)
        for kind, rule in _RULES.items():
            search.seeds += [node for node in depths.scopes.kinds.get(kind, ()) if rule(search, node)]
        doubtful = [arg for arg in parameters(function) if arg.arg in _doubtful(function.args)]
        self._taints: Depths | None = None
        self._anywhere = search.anywhere
        if not self._anywhere and (search.seeds or doubtful):
            taints = self._taints = Depths(depths.scopes, depths.me, depths.modules, receiver=CLEAN)
            taints.seeds.update(map(id, search.seeds))
            keys = depths.scopes.keys
            taints.levels.update((keys[id(node)], 0) for node in (*search.classes, *doubtful))
            Bindings(taints, function, messages_keep=False).settle()

    def reach(self, node: ast.AST) -> bool:
        """Whether an expression may give a stranger."""
        return self._anywhere or (self._taints is not None and self._taints.of(node) < CLEAN)


def _doubtful(args: ast.arguments) -> set[str]:
    """The parameters that are something else than data when nobody hands them over."""
    plain = [*args.posonlyargs, *args.args]
    pairs = [*zip(plain[len(plain) - len(args.defaults) :], args.defaults, strict=True)]
    pairs += [(arg, value) for arg, value in zip(args.kwonlyargs, args.kw_defaults, strict=True) if value is not None]
    return {arg.arg for arg, value in pairs if not _is_reading_default(value)}


def _is_reading_default(node: ast.expr) -> bool:
    if isinstance(node, ast.UnaryOp):
        node = node.operand
    if isinstance(node, ast.BinOp):
        return _is_reading_default(node.left) and _is_reading_default(node.right)
    return isinstance(node, ast.Constant) or (isinstance(node, ast.Attribute) and node.attr in known.READERS)


class _Search:
    """Looks at one node after the other for what gives a stranger.

    Args:
        depths: What is known of the method.
    """

    def __init__(self, depths: Depths) -> None:
        self._depths = depths
        self._parents = depths.scopes.parents
        self.seeds: list[ast.AST] = []
        self.classes: list[ast.AST] = []
        self.anywhere = False

    def _always(self, _node: ast.AST) -> bool:
        return True

    def _global(self, _node: ast.Global) -> bool:
        self.anywhere = True
        return False

    def _class(self, node: ast.ClassDef) -> bool:
        self.classes.append(node)
        return False

    def _name(self, node: ast.Name) -> bool:
        if node.ctx.__class__ is not ast.Load:
            return False
        qualified = self._depths.qualified(node)
        return bool(qualified) and not self._is_handled(node) and not self._is_harmless(qualified)

    def _is_handled(self, node: ast.AST) -> bool:
        """Whether it is only called, asked for a member, compared or raised."""
        above = self._parents.get(id(node))
        if isinstance(above, ast.Tuple):
            above = self._parents.get(id(above))
        if isinstance(above, ast.Call):
            return above.func is node or self._depths.qualified(above.func) in {"isinstance", "issubclass"}
        if isinstance(above, ast.Attribute):
            return bool(self._depths.qualified(above)) or above.attr in _READING_DUNDERS
        return isinstance(above, (ast.Compare, ast.Raise, ast.ExceptHandler, ast.arg))

    def _attribute(self, node: ast.Attribute) -> bool:
        name = node.attr
        if name in known.INSIDES or (name == "__dict__" and self._depths.may_be_class(node.value)):
            return True
        if name == "__class__":
            return not self._is_handled(node)
        if name[:2] == "__" and name in DATA_DUNDERS and name not in _READING_DUNDERS:
            return True
        if node.ctx.__class__ is not ast.Load:
            return False
        qualified = self._depths.qualified(node)
        return bool(qualified) and not self._is_handled(node) and not self._is_harmless(qualified)

    def _is_harmless(self, qualified: str) -> bool:
        """Whether a function or constant of Python may be handed about: whoever calls it changes nothing."""
        if qualified in _NAMES_OF_KINDS or known.is_exception(qualified):
            return True
        if qualified in known.CALLS_ITS_ARGUMENT or qualified in _STRANGE | {"getattr", "vars"}:
            return False
        return (qualified in _BUILTINS or _is_plain(qualified)) and known.only_reads(qualified)

    def _call(self, call: ast.Call) -> bool:
        depths, func = self._depths, call.func
        qualified = depths.qualified(func)
        if not qualified:
            return not depths.is_local(func) and depths.is_constructor(func)
        if qualified == "getattr":
            return not _names_reader(call) and not (call.args and depths.is_me(call.args[0]) and _names_message(call))
        if qualified == "vars" and call.args and depths.may_be_class(call.args[0]):
            return True  # the methods of a class, by their names
        plain = qualified in _BUILTINS or _is_plain(qualified) or known.is_exception(qualified)
        return not plain or qualified in _STRANGE


def _is_plain(qualified: str) -> bool:
    """Whether a function of the standard library gives data."""
    module, _, name = qualified.rpartition(".")
    if qualified in _STRANGE or (qualified in known.CHANGES_SOMETHING and qualified != "json.dump"):
        return False
    return module.partition(".")[0] in _PLAIN_MODULES and (not is_class_name(name) or name in _DATA_CLASSES)


def _names_reader(call: ast.Call) -> bool:
    """Whether `getattr` names what it takes, and that changes nothing."""
    match call.args[1:2]:
        case [ast.Constant(value=str(name))]:
            return name not in known.MUTATORS and not name.startswith("__")
        case _:
            return False


def _names_message(call: ast.Call) -> bool:
    """Whether the name that `getattr` takes begins like that of a message."""
    match call.args[1:2]:
        case [ast.Constant(value=str(start))]:
            pass
        case [ast.JoinedStr(values=[ast.Constant(value=str(start)), *_])] | [
            ast.BinOp(left=ast.Constant(value=str(start)))
        ]:
            pass
        case _:
            return False
    return not start.startswith("__") and start.strip("_%{") != ""


_RULES: dict[type[ast.AST], Callable[..., bool]] = table(
    _Search,
    _always="Yield YieldFrom",
    _global="Global",
    _class="ClassDef",
    _name="Name",
    _attribute="Attribute",
    _call="Call",
)
