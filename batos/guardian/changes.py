"""Where a method may change its object: each place with a sentence that says why."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from batos.guardian import names as known
from batos.guardian.bindings import depths_of
from batos.guardian.changers import LATER, Changers
from batos.guardian.cleanup import at_cleanup
from batos.guardian.defaults import ASKING, Defaults
from batos.guardian.depths import is_class_name
from batos.guardian.helpers import with_helpers
from batos.guardian.levels import CLEAN, element_of
from batos.guardian.others import Others
from batos.guardian.places import Change
from batos.guardian.strangers import DATA_DUNDERS, Strangers
from batos.guardian.syntax import METHODS, children, handed_over, imported, parameters, table, walk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from batos.guardian.depths import Depths
    from batos.guardian.places import Words

_DECIDED_NOT = "; that cannot be decided"


_BY_NAME = frozenset({"setattr", "delattr"})


class Changes:
    """The changes of one method, by the expression that makes them.

    A function that changes something when it is called counts as a change wherever its name is used, because from
    there on anybody may call it.

    Args:
        method: The method.
        around: The source that it stands in: its imports, and the functions beside the method.
    """

    def __init__(self, method: ast.FunctionDef | ast.AsyncFunctionDef, around: ast.Module) -> None:
        function = with_helpers(method, around)
        self._depths = depths_of(function, imported(around.body))
        self._scopes = self._depths.scopes
        self._function = function
        self._strangers: Strangers | None = None
        self._others = Others(self._depths, function)
        self._own = {self._scopes.key(arg) for arg in parameters(function)}
        self._callees: set[int] = set()
        self._handed_on: list[ast.AST] = []
        self._at: dict[int, Change] = {}
        self._touched: set[int] = set()
        self._changers: Changers | None = None
        later = self._find()
        self._hand_on_undecidable()
        self._touch()
        if self._handed_on or any(id(node) in self._touched for node in later if node is not function):
            self._changers = Changers(self._depths, function)
            self._changers.spread(self._handed_on, self._note)

    def __bool__(self) -> bool:
        return bool(self._at)

    @property
    def rebinding(self) -> ast.AST | None:
        """The first place that binds the receiver's name to something else."""
        return self._scopes.rebinding(self._depths.me)

    @property
    def whenever(self) -> ast.AST | None:
        """The first function that changes something when Python cleans up, so that nobody knows when."""
        functions = self._scopes.those(*METHODS) if self._at else ()
        return next((node for node in functions if any(map(self.inside, at_cleanup(node, self._scopes)))), None)

    def beside(self, flags: list[ast.stmt]) -> bool:
        """Whether there are changes other than the setting of the flag."""
        own = {id(part) for flag in flags for part in walk(flag)}
        return any(node not in own for node in self._at)

    def inside(self, node: ast.AST) -> Change | None:
        """The first change anywhere in a node, also in what only runs later."""
        if id(node) not in self._touched:
            return None
        return next((self._at[id(part)] for part in walk(node) if id(part) in self._at), None)

    def now(self, node: ast.AST) -> Change | None:
        """The first change that evaluating an expression or a simple statement makes, or hands to somebody."""
        if id(node) not in self._touched:
            return None
        if id(node) in self._at:
            return self._at[id(node)]
        if isinstance(node, (ast.Lambda, ast.GeneratorExp)):
            change = self.inside(node)
            return change._replace(words=(*change.words, ", later")) if change else None
        if isinstance(node, METHODS):
            return self.first(_at_definition(node))
        return self.first(children(node))

    def first(self, nodes: Iterable[ast.AST]) -> Change | None:
        """The first change that any of the nodes makes."""
        return next((change for node in nodes if (change := self.now(node)) is not None), None)

    def lingering(self, nodes: Iterable[ast.AST]) -> Change | None:
        """The first thing in some expressions that may change the object later, by whoever holds their values."""
        if self._changers is not None:
            for node in nodes:
                for part in walk(node):
                    if self._changers.holds(part):
                        return Change(part, (part, " changes the object when it is called"))
        return None

    def qualified(self, node: ast.AST) -> str:
        """The dotted name of a function of the standard library or a built-in; empty for anything else."""
        return self._depths.qualified(node)

    def of_class(self, node: ast.ClassDef) -> Change | None:
        """The first change that making a class from its body makes: by decorators, parents, and `__set_name__` of what it binds."""
        change = self.first([*node.decorator_list, *node.bases, *node.keywords])
        if change is None and "__set_name__" in self._scopes.members:
            change = self.lingering(part for part in node.body if not isinstance(part, METHODS))
        return change

    def hides_receiver(self, node: ast.ClassDef) -> bool:
        """Whether a class body binds the receiver's name to something of its own."""
        me = self._depths.me.partition(":")[2]
        return any(key.partition(":")[2] == me for key in self._scopes.class_names[id(node)])

    # --- finding them

    def _find(self) -> list[ast.AST]:
        """Note every change that a node makes by itself; give the nodes that run later."""
        scopes = self._scopes
        self._callees = scopes.called
        defaults = Defaults(self._depths)
        for node in scopes.those(*ASKING) if defaults else ():
            for asked in defaults.asks(node):
                if self._is_below(asked):
                    self._at[id(node)] = Change(node, (asked, " puts in what it lacks when it is asked for it"))
        for kind, rule in _RULES.items():
            for node in scopes.kinds.get(kind, ()):
                words = rule(self, node)
                if words:
                    self._at[id(node)] = Change(node, words)
        return scopes.those(*LATER)

    def _hands_changers(self) -> bool:
        return any(map(self._is_changer, self._scopes.those(ast.Name, ast.Attribute)))

    def _is_changer(self, node: ast.Name | ast.Attribute) -> bool:
        """Whether a function that changes its first argument is handed about: nobody sees what it is called with."""
        if id(node) in self._callees:
            return False
        by_class = (
            isinstance(node, ast.Attribute) and node.attr in known.MUTATORS and self._depths.may_be_class(node.value)
        )
        return by_class or self._depths.qualified(node) in known.CHANGES_FIRST_ARGUMENT

    def _hand_on_undecidable(self) -> None:
        """`exec` and its like under another name do what they do, wherever it is used."""
        for node in self._scopes.kinds.get(ast.Name, ()):
            if node.id in known.UNDECIDABLE and id(node) in self._depths.seeds:
                self._at[id(node)] = Change(node, (node, " is handed on, and may do anything", _DECIDED_NOT))
                self._handed_on.append(node)

    def _note(self, names: list[ast.Name]) -> Callable[[ast.AST], bool]:
        for node in names:
            self._at.setdefault(id(node), Change(node, (node, " changes the object when it is called")))
        self._touch()
        return lambda node: id(node) in self._touched

    def _touch(self) -> None:
        for decorator, made in self._scopes.applied.values():
            for node in made:
                if id(node) in self._at:
                    self._at.setdefault(id(decorator), self._at[id(node)]._replace(node=decorator))
        self._touched = self._scopes.ancestors(change.node for change in self._at.values())

    # --- one node

    def _of_attribute(self, node: ast.Attribute) -> Words:
        if node.ctx.__class__ is not ast.Load:
            return self._of_place(node)
        if node.attr not in known.MUTATORS or id(node) in self._callees or self._depths.is_me(node.value):
            return ()
        if not (self._is_below(node.value) or self._depths.may_be_class(node.value)):
            return ()
        self._handed_on.append(node)
        return (node, " is handed on, and changes its object when called")

    def _of_place(self, node: ast.Attribute | ast.Subscript) -> Words:
        if node.ctx.__class__ is ast.Load:
            return ()
        is_other = isinstance(node, ast.Attribute) and self._others.are(node.value)
        return (node, " is changed") if is_other or self._is_below(node.value) else ()

    def _is_below(self, node: ast.AST) -> bool:
        """Whether an expression gives what was reached through the object, or lies in another one."""
        return self._depths.of(node) == 0 or self._others.hold(node)

    def _of_augmented(self, node: ast.AugAssign) -> Words:
        target = node.target
        if not self._is_below(target):
            return ()
        if not known.changes_in_place(type(node.op).__name__, value_is_number=self._is_number(node.value)):
            return ()
        return (target, " came from a slot and may change in place", _DECIDED_NOT)

    def _is_number(self, node: ast.expr) -> bool:
        match node:
            case ast.Constant(value=value):
                return isinstance(value, (int, float, complex))
            case ast.UnaryOp(operand=operand):
                return isinstance(node.op, ast.Not) or self._is_number(operand)
            case ast.BinOp(left=left, right=right):
                return self._is_number(left) and self._is_number(right)
            case ast.Call(func=func):
                return self._depths.qualified(func) in known.GIVES_NUMBER
            case ast.Compare():
                return True
            case _:
                return False

    def _of_call(self, call: ast.Call) -> Words:
        depths, func = self._depths, call.func
        if depths.is_local(func) or depths.is_constructor(func):
            return ()  # a body in here is looked at itself, and a new object is nobody's
        given = depths.given(call)
        if given and any(map(self._others.hold, handed_over(call))) and self._hands_changers():
            given = 0
        qualified = depths.qualified(func)
        if qualified:
            return self._of_known(call, qualified, given)
        if isinstance(func, ast.Attribute):
            return self._of_method(call, func, given)
        if self._is_taken_method(func):
            return ()  # where it was taken says whether it changes anything
        if min(given, depths.of(func)) < CLEAN and not self._is_outside(func):
            return (func, " may change what it is given", _DECIDED_NOT)
        return ()

    def _is_outside(self, func: ast.expr) -> bool:
        """Whether what is called is a message to an object of the image, or raises: its changes are not this method's."""
        if isinstance(func, ast.Attribute) and func.attr in DATA_DUNDERS:
            return False
        if isinstance(func, ast.Name) and self._scopes.key(func) in self._own:
            return False  # whoever calls an argument means a function
        if self._strangers is None:
            self._strangers = Strangers(self._depths, self._function)
        return not self._strangers.reach(func.value if isinstance(func, ast.Attribute) else func)

    def _is_taken_method(self, func: ast.expr) -> bool:
        """Whether a name stands for nothing but known methods of values, as in `add = rows.append`."""
        if not isinstance(func, ast.Name):
            return False
        scopes = self._scopes
        binders = [node for node in scopes.binders if scopes.keys[id(node)] == scopes.key(func)]
        return bool(binders) and all(_takes_method(node, scopes.parents.get(id(node))) for node in binders)

    def _of_known(self, call: ast.Call, qualified: str, given: int) -> Words:
        if qualified in known.UNDECIDABLE:
            return (qualified, " may do anything", _DECIDED_NOT)
        if qualified in known.CHANGES_FIRST_ARGUMENT:
            what = call.args[0] if call.args else "its argument"
            is_other = isinstance(what, ast.expr) and (
                self._others.are if qualified in _BY_NAME else self._others.hold
            )(what)
            return (qualified, " changes ", what) if is_other or self._first_argument(call) == 0 else ()
        if given == CLEAN:
            return ()
        called = self._calls_unknown(call, qualified)
        if called is not None:
            if self._is_lazy(call, qualified):
                self._handed_on.append(called)
            return (qualified, " calls ", called, " with what came from a slot", _DECIDED_NOT)
        if known.only_reads(qualified) and not self._changes_unbound(call, qualified):
            return ()
        return (qualified, " may change what it is given", _DECIDED_NOT)

    def _is_lazy(self, call: ast.Call, qualified: str) -> bool:
        """Whether a function calls its argument later, when somebody takes out of what it gives."""
        above = self._scopes.parents.get(id(call))
        at_once = isinstance(above, ast.Call) and self._depths.qualified(above.func) in known.EAGER_FUNCTIONS
        return qualified in known.LAZY_FUNCTIONS and not at_once

    def _changes_unbound(self, call: ast.Call, qualified: str) -> bool:
        """Whether it is a changing method of a class of a module, as in `collections.abc.MutableSet.add(self.seen, 1)`."""
        return (
            qualified.count(".") > 1
            and qualified.rpartition(".")[2] in known.MUTATORS
            and self._first_argument(call) == 0
        )

    def _first_argument(self, call: ast.Call) -> int:
        if not call.args:
            return self._depths.given(call)
        first = call.args[0]
        depth = 0 if self._others.hold(first) else self._depths.of(first)
        return element_of(depth) if isinstance(first, ast.Starred) else depth

    def _calls_unknown(self, call: ast.Call, qualified: str) -> ast.expr | None:
        """The argument that a function calls with what came from a slot, where nobody knows what that does."""
        handed = [word.value for word in call.keywords if word.arg in known.CALLED_KEYWORDS]
        if qualified in known.CALLS_ITS_ARGUMENT:
            place = known.CALLS_ITS_ARGUMENT[qualified]
            handed += call.args[place : place + 1]
            handed += [part for part in call.args[: place + 1] if isinstance(part, ast.Starred)]
        return next((value for value in handed if not self._is_harmless(value)), None)

    def _is_harmless(self, node: ast.expr) -> bool:
        """Whether calling what an expression gives changes nothing, or is seen to at its own place."""
        depths = self._depths
        if isinstance(node, (ast.Lambda, ast.Constant)) or depths.is_local(node):
            return True
        if isinstance(node, ast.Attribute) and (node.attr in known.READERS or depths.is_me(node.value)):
            return True
        if isinstance(node, ast.Call) and depths.qualified(node.func) in known.GIVES_READER:
            return all(self._is_harmless(value) for value in handed_over(node))
        qualified = depths.qualified(node)
        if qualified in known.CALLS_ITS_ARGUMENT:
            return False
        if qualified:
            return known.only_reads(qualified) or qualified in known.TYPES or depths.is_constructor(node)
        return depths.is_constructor(node)

    def _of_method(self, call: ast.Call, func: ast.Attribute, given: int) -> Words:
        depths, name = self._depths, func.attr
        if depths.is_me(func.value) or _is_super(depths, func.value) or self._is_parents(call, func):
            # A message to itself: its method keeps the Covenant by itself.
            plain = name in known.READERS or name not in DATA_DUNDERS
            return () if plain else (func, " may change the object", _DECIDED_NOT)
        if name in known.READERS:
            return ()
        base = depths.of(func.value)
        if name in known.MUTATORS:
            return self._of_mutator(call, func, base)
        if (base == CLEAN and given == CLEAN) or self._is_outside(func):
            return ()
        # Who takes in a function that changes things may call it later.
        self._handed_on += [part for part in call.args if depths.qualified(part) in known.CHANGES_FIRST_ARGUMENT]
        return (func, " may change the object", _DECIDED_NOT)

    def _is_parents(self, call: ast.Call, func: ast.Attribute) -> bool:
        """Whether the method of a class of this source is called for `self`: `Parent.method(self)`."""
        depths, base = self._depths, func.value
        if not isinstance(base, ast.Name) or not call.args or not depths.is_me(call.args[0]):
            return False
        known_elsewhere = base.id in known.TYPES or known.is_exception(base.id) or depths.qualified(base) != base.id
        return is_class_name(base.id) and not known_elsewhere and func.attr not in known.MUTATORS

    def _of_mutator(self, call: ast.Call, func: ast.Attribute, base: int) -> Words:
        if base == 0 or self._others.hold(func.value):
            return () if func.attr in known.OF_STREAMS and self._is_outside(func) else (func, " changes it in place")
        if self._depths.may_be_class(func.value) and self._first_argument(call) == 0:
            return (func, " changes ", call.args[0] if call.args else "its argument", " in place")
        called = self._calls_unknown(call, "") if base < CLEAN else None
        if called is not None:
            return (func, " calls ", called, " with what came from a slot", _DECIDED_NOT)
        # What is stored in a local container lowers its depth; nothing of the image changes.
        return ()


_RULES = table(
    Changes,
    _of_attribute="Attribute",
    _of_place="Subscript",
    _of_augmented="AugAssign",
    _of_call="Call",
)


def _takes_method(target: ast.AST, above: ast.AST | None) -> bool:
    if not isinstance(above, ast.Assign) or target not in above.targets:
        return False
    return isinstance(above.value, ast.Attribute) and above.value.attr in known.MUTATORS | known.READERS


def _is_super(depths: Depths, node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and depths.qualified(node.func) == "super"


def _at_definition(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[ast.AST]:
    """What is evaluated where a function is defined."""
    args = function.args
    parts = [*function.decorator_list, *args.defaults, *args.kw_defaults, function.returns]
    return [part for part in [*parts, *(arg.annotation for arg in parameters(function))] if part is not None]
