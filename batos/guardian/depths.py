"""How far the values of a method are from the image.

Depth 0 is what was reached through `self`: changing it changes the object. Depth 1 is something new that holds such
things (a copy of a list from a slot): changing it changes nothing, changing one of its elements does. And so on, up to
`CLEAN`: nothing of the image in it. The depth of a variable is the least that it ever has, wherever it is assigned;
what is stored into a local container lowers the container, and every other name of it (`bindings.py` does that).
"""

from __future__ import annotations

import ast
from functools import lru_cache
from typing import TYPE_CHECKING

from batos.guardian import names as known
from batos.guardian.levels import CLEAN, anything_of, copy_of, element_of, flattened, holding, opaque
from batos.guardian.syntax import Function, handed_over, table

if TYPE_CHECKING:
    from collections.abc import Iterable

    from batos.guardian.scopes import Scopes


class Depths:
    """The depths of all variables and expressions of one method.

    The same rules follow what changes the object when it is called (`changers.py`): then the receiver is clean, and
    the seeds are those functions.

    Args:
        scopes: The method's names.
        me: The key of its receiver.
        modules: Names that are bound to modules or their functions, with the dotted name that they stand for.
        receiver: The depth of the receiver, and of what its messages answer.

    Attributes:
        levels: The depth of each variable that is not clean, by its key.
        functions: The local functions that a variable may be, by its key.
        returns: The least depth that each local function answers, by the `id` of its node.
        mine: The keys of the variables that may be the receiver itself.
        mixed: The keys of the variables that may be local functions and other things, too.
        classes: The keys of the variables that may be a class.
        seeds: The ids of expressions that are of depth 0 whatever they are made of.
        memory: The depths of calls that are known, by `id`; whoever lowers anything forgets them before the next round.
    """

    def __init__(self, scopes: Scopes, me: str, modules: dict[str, str], receiver: int = 0) -> None:
        self.scopes = scopes
        self.me = me
        self.modules = modules
        self.receiver = receiver
        self.levels: dict[str, int] = {me: receiver} if receiver < CLEAN else {}
        self.seeds: set[int] = set()
        self.memory: dict[int, int] = {}
        self.functions: dict[str, list[Function]] = {}
        self.returns: dict[int, int] = {}
        self.mine = {me}
        self.mixed: set[str] = set()
        self.classes: set[str] = set()
        self._keys = scopes.keys
        self._module_names = {part for name in modules.values() for part in _prefixes(name)}
        self._qualified: dict[int, str] = {}

    def is_me(self, node: ast.AST) -> bool:
        """Whether this is the name of the receiver."""
        return node.__class__ is ast.Name and self._keys.get(id(node)) == self.me

    def qualified(self, node: ast.AST) -> str:
        """The dotted name of a function of the standard library or a built-in; empty for anything else."""
        name = self._qualified.get(id(node))
        if name is None:
            name = self._qualified[id(node)] = self._qualify(node)
        return name

    def _qualify(self, node: ast.AST) -> str:
        if isinstance(node, ast.Attribute):
            base = self.qualified(node.value) if isinstance(node.value, (ast.Name, ast.Attribute)) else ""
            return f"{base}.{node.attr}".removeprefix("builtins.") if base in self._module_names else ""
        if not isinstance(node, ast.Name):
            return ""
        key = self._keys.get(id(node), "")
        if node.id in self.modules and key not in self.scopes.assigned:
            return self.modules[node.id].removeprefix("builtins.")
        return "" if key in self.scopes.bound else node.id

    # --- the depth of an expression

    def of(self, node: ast.AST) -> int:
        """The depth of what an expression gives."""
        if self.seeds and id(node) in self.seeds:
            return 0
        handler = _DEPTHS.get(node.__class__)
        return CLEAN if handler is None else handler(self, node)

    def least(self, nodes: Iterable[ast.AST]) -> int:
        """The least depth of some expressions."""
        return min(map(self.of, nodes), default=CLEAN)

    def given(self, call: ast.Call) -> int:
        """The least depth of what a call hands over."""
        if not call.args and not call.keywords:
            return CLEAN
        depth = min(map(self._of_argument, call.args), default=CLEAN)
        keyed = call.keywords and self._is_keyed(call.func)
        for keyword in call.keywords:
            if keyed and keyword.arg == "key":
                continue
            inner = self.of(keyword.value)
            depth = min(depth, inner if keyword.arg else element_of(inner))
        return depth

    def _is_keyed(self, func: ast.expr) -> bool:
        name = self.qualified(func) or (func.attr if isinstance(func, ast.Attribute) else "")
        return name in known.KEYED

    def _of_argument(self, node: ast.expr) -> int:
        return element_of(self.of(node.value)) if isinstance(node, ast.Starred) else self.of(node)

    def _name(self, node: ast.Name) -> int:
        return self.levels.get(self._keys.get(id(node), ""), CLEAN)

    def _attribute(self, node: ast.Attribute) -> int:
        if node.attr in known.NAMING and node.attr not in self.scopes.members:
            return CLEAN
        if node.attr in known.INSIDES or (node.attr in known.OF_EXCEPTIONS and self._is_caught(node.value)):
            return self.receiver
        return element_of(self.of(node.value))

    def _is_caught(self, node: ast.AST) -> bool:
        """Whether it is the name that a handler gives to what it caught: Python puts what was asked for into it."""
        return node.__class__ is ast.Name and self._keys.get(id(node), "") in self.scopes.caught

    def _subscript(self, node: ast.Subscript) -> int:
        base = self.of(node.value)
        is_slice = isinstance(node.slice, ast.Slice) and "__getitem__" not in self.scopes.members
        return copy_of(base) if is_slice else element_of(base)

    def _boolean(self, node: ast.BoolOp) -> int:
        return self.least(node.values)

    def _choice(self, node: ast.IfExp) -> int:
        return min(self.of(node.body), self.of(node.orelse))

    def _same(self, node: ast.Await | ast.Starred) -> int:
        return self.of(node.value)

    def _walrus(self, node: ast.NamedExpr) -> int:
        return min(self.of(node.target), self.of(node.value))

    def _binary(self, node: ast.BinOp) -> int:
        depth = min(self.of(node.left), self.of(node.right))
        return anything_of(depth) if self._understand(known.BINARY) else copy_of(depth)

    def _unary(self, node: ast.UnaryOp) -> int:
        return anything_of(self.of(node.operand)) if self._understand(known.UNARY) else CLEAN

    def _compare(self, node: ast.Compare) -> int:
        return anything_of(self.least([node.left, *node.comparators])) if self._understand(known.COMPARING) else CLEAN

    def _understand(self, names: frozenset[str]) -> bool:
        """Whether objects of a local class may be asked by one of some names, and answer what they like."""
        return bool(self.scopes.members) and not names.isdisjoint(self.scopes.members)

    def _display(self, node: ast.List | ast.Tuple | ast.Set) -> int:
        depth = CLEAN
        for part in node.elts:
            spread = part.__class__ is ast.Starred
            depth = min(depth, copy_of(self.of(part)) if spread else holding(self.of(part)))
        return depth

    def _map(self, node: ast.Dict) -> int:
        depth = CLEAN
        for key, value in zip(node.keys, node.values, strict=True):
            depth = min(
                depth, copy_of(self.of(value)) if key is None else holding(min(self.of(value), self.as_key(key)))
            )
        return depth

    def as_key(self, node: ast.AST) -> int:
        """The depth of a key: what can be one cannot be changed in place, unless it is the receiver itself."""
        if isinstance(node, ast.Tuple):
            return holding(min(map(self.as_key, node.elts), default=CLEAN))
        return self.of(node) if self.scopes.key(node) in self.mine else CLEAN

    def _comprehension(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp) -> int:
        return holding(self.of(node.elt))

    def _map_comprehension(self, node: ast.DictComp) -> int:
        return holding(min(self.of(node.value), self.as_key(node.key)))

    def _yield(self, _node: ast.Yield | ast.YieldFrom) -> int:
        return self.receiver

    # --- the depth of a call

    def _call(self, call: ast.Call) -> int:
        depth = self.memory.get(id(call))
        if depth is None:
            depth = self.memory[id(call)] = self._answer(call)
        return depth

    def _answer(self, call: ast.Call) -> int:
        func = call.func
        local = self.local_functions(func)
        if local:
            answers = min(map(self.answer_of, local))
            return answers if self.is_local(func) else min(answers, self._unknown(call))
        qualified = self.qualified(func)
        if qualified in known.ASKING and self._understand(known.ASKING[qualified]):
            return anything_of(self.given(call))
        if qualified == "sum":
            # Where there is nothing to add, it gives what it was to begin with.
            return min(flattened(self.given(call)), self.least(handed_over(call)[1:]))
        if qualified == "getattr" and not any(isinstance(node, ast.Starred) for node in call.args):
            # What lies under a name has nothing of the name in it.
            return min(element_of(self.least(call.args[:1])), self.least(call.args[2:]))
        if qualified == "json.loads":
            return element_of(self.least(keyword.value for keyword in call.keywords))
        if qualified and not self._is_unknown_class(qualified):
            return self._known_call(call, qualified)
        if self.is_constructor(func):
            return min(opaque(self.given(call)), self.of(func))
        if isinstance(func, ast.Attribute):
            return self._method(call, func)
        return self._unknown(call)

    def _is_unknown_class(self, qualified: str) -> bool:
        return "." not in qualified and is_class_name(qualified) and not known.is_exception(qualified)

    def _unknown(self, call: ast.Call) -> int:
        return anything_of(min(self.given(call), self.of(call.func)))

    def _known_call(self, call: ast.Call, qualified: str) -> int:
        given = self.given(call)
        if given == CLEAN:
            return self._known(qualified, given)
        if qualified == "type" and len(call.args) != 1:
            return opaque(given)  # a class that holds what it is made of
        if qualified == "itertools.chain.from_iterable":
            return flattened(given)
        if qualified in known.MAPS and call.args:
            named = self.least(keyword.value for keyword in call.keywords)
            return min(*map(self._of_pairs, call.args), holding(named))
        if qualified in known.CALLS_ITS_ARGUMENT and not self._calls_own(call, qualified):
            return (
                anything_of(given)
                if qualified == "functools.reduce"
                else min(opaque(given), self._known(qualified, given))
            )
        return self._known(qualified, given)

    def _of_pairs(self, node: ast.expr) -> int:
        """The depth of a map made of something: of pairs, or of a map."""
        match node:
            case ast.ListComp(elt=ast.Tuple(elts=[key, value])) | ast.GeneratorExp(elt=ast.Tuple(elts=[key, value])):
                return holding(min(self.as_key(key), self.of(value)))
            case _:
                return flattened(self._of_argument(node))

    def _calls_own(self, call: ast.Call, qualified: str) -> bool:
        """Whether what a function calls is a function of this method: what that answers is known."""
        place = known.CALLS_ITS_ARGUMENT[qualified]
        return all(self.local_functions(node) for node in call.args[place : place + 1])

    def _lambda(self, node: ast.Lambda) -> int:
        """A function that is handed on may be called by whoever has it: what it answers comes out of anything then."""
        return self.of(node.body)

    def answer_of(self, function: Function) -> int:
        """The depth of what a call of a local function gives."""
        if isinstance(function, ast.Lambda):
            return self.returns.get(id(function), CLEAN)
        # What a decorator makes of it, nobody knows.
        plain = all(self.qualified(node) in known.PLAIN_DECORATORS for node in function.decorator_list)
        return self.returns.get(id(function), CLEAN) if plain else self.receiver

    def _known(self, qualified: str, given: int) -> int:
        if qualified in known.NEW_FUNCTIONS:
            return CLEAN
        if qualified in known.COPY_FUNCTIONS:
            return copy_of(given)
        if qualified in known.ELEMENT_FUNCTIONS:
            return element_of(given)
        if qualified in known.SAME_FUNCTIONS:
            return given if qualified == "vars" else self.receiver
        if known.is_exception(qualified):
            return holding(given)
        if qualified in known.UNDECIDABLE:
            return self.receiver
        kind = known.module_gives(qualified)
        if kind == "new":
            # An object of a class holds what it was made of.
            return opaque(given) if is_class_name(qualified.rpartition(".")[2]) else CLEAN
        if kind == "unknown":
            return anything_of(given)
        return copy_of(given) if kind == "copy" else element_of(given)

    def _method(self, call: ast.Call, func: ast.Attribute) -> int:
        if self.is_me(func.value):
            answer = min(self.receiver, self.of(func.value))
            return copy_of(answer) if func.attr == "copy" else answer
        name = func.attr
        of_data = name not in self.scopes.members
        if name in known.GIVES_NEW and of_data:
            return CLEAN
        base = self.of(func.value)
        given = self.least(handed_over(call)[1:]) if name in known.KEY_FIRST else self.given(call)
        if name in known.GIVES_COPY and of_data:
            return copy_of(min(base, given))
        if (name in known.GIVES_ELEMENT or name in known.MUTATORS) and of_data:
            return min(element_of(base), given)
        return anything_of(min(base, given))

    def is_constructor(self, node: ast.AST) -> bool:
        """Whether a callee is a class: by its name, or because it is somebody's class."""
        match node:
            case ast.Name(id=name):
                bound = self._keys.get(id(node), "") in self.scopes.bound
                return (name == "__class__" or is_class_name(name) or bound) and self.may_be_class(node)
            case ast.Attribute(attr=name):
                return (name == "__class__" or is_class_name(name)) and self.of(node) == CLEAN
            case ast.Call(func=ast.Name(id="type")):
                return True
            case _:
                return False

    def may_be_class(self, node: ast.AST) -> bool:
        """Whether an expression may give a class: its methods then change what they are handed first."""
        match node:
            case ast.Name(id=name):
                key = self._keys.get(id(node), "")
                return key in self.classes or (
                    key not in self.scopes.bound and (is_class_name(name) or name in known.TYPES)
                )
            case ast.Attribute(attr="__class__"):
                return True
            case ast.Attribute(attr=name):
                return is_class_name(name) or bool(self.qualified(node))
            case ast.Call():
                return self.qualified(node.func) == "type"
            case _:
                return False

    def local_functions(self, node: ast.AST) -> list[Function]:
        """The functions of this method that a callee may be."""
        if node.__class__ is ast.Name:
            return self.functions.get(self._keys.get(id(node), ""), [])
        return [node] if isinstance(node, ast.Lambda) else []

    def is_local(self, node: ast.AST) -> bool:
        """Whether a callee is a function of this method for sure."""
        if node.__class__ is ast.Name:
            key = self._keys.get(id(node), "")
            return key in self.functions and key not in self.mixed
        return isinstance(node, ast.Lambda)


_DEPTHS = table(
    Depths,
    _name="Name",
    _attribute="Attribute",
    _subscript="Subscript",
    _call="Call",
    _boolean="BoolOp",
    _choice="IfExp",
    _same="Await Starred",
    _walrus="NamedExpr",
    _binary="BinOp",
    _unary="UnaryOp",
    _compare="Compare",
    _display="List Tuple Set",
    _map="Dict",
    _comprehension="ListComp SetComp GeneratorExp",
    _map_comprehension="DictComp",
    _yield="Yield YieldFrom",
    _lambda="Lambda",
)


@lru_cache(maxsize=1024)
def is_class_name(name: str) -> bool:
    """Whether a name is written like that of a class."""
    bare = name.lstrip("_")
    return bare[:1].isupper() and not bare.isupper()


def _prefixes(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:size]) for size in range(1, len(parts) + 1)]
