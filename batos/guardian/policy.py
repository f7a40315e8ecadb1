"""What a method looks like, and what methods do not use.

These findings give a clear message before the sandbox's walls stop the code. They are no wall themselves.
"""

from __future__ import annotations

import ast
import builtins
from functools import cached_property

from batos.guardian.findings import Finding
from batos.guardian.modules import PURE_MODULES, allowed, reachable
from batos.guardian.syntax import FUNCTIONS, METHODS, children, table, walk

NODE_LIMIT = 8000


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_ABSENT = _words(
    """open exec eval compile __import__ input breakpoint globals locals vars help exit quit copyright credits license
    aiter anext"""
)
_ANOTHER_MODULE = "Use a module that ALLOWED_MODULES names, or do without."
_INSTEAD = {
    "open": "A method has no files: take the text as an argument, or keep it in a slot.",
    "input": "A method has no terminal: take it as an argument.",
    "exec": "Write the statements themselves.",
    "compile": "Write the statements themselves.",
    "eval": "Write the expression itself, or read data with json.loads.",
    "__import__": "Write an import statement.",
    "globals": "Keep it in a slot of self.",
    "locals": "Use the variables by their names, or a dict.",
    "vars": "Name the slots that you mean, or use getattr and setattr with names.",
    "exit": "Return, or raise an exception.",
    "quit": "Return, or raise an exception.",
}
_INSIDES = _words(
    """gi_frame gi_code cr_frame cr_code ag_frame ag_code tb_frame tb_next f_back f_globals f_locals f_builtins f_code
    func_globals mro"""
)
_OPEN_UNDERSCORES = frozenset({"__name__", "__doc__", "__class__", "_clone_persistent_", "_doesNotUnderstand_"})
_TELLING = ("__globals__", "__subclasses__", "__builtins__", "__import__", "__code__", "__mro__", "__bases__")


def shape(tree: ast.Module, selector: str | None) -> list[Finding]:
    """Check that a source is one method: imports, and one plain `def selector(self, …)`."""
    defs = [node for node in tree.body if not _is_preamble(node)]
    if len(defs) != 1 or not isinstance(defs[0], (ast.FunctionDef, ast.AsyncFunctionDef)):
        place = next((node for node in defs if not isinstance(node, ast.FunctionDef)), tree)
        return [_finding("syntax", "shape", place, "a method is one `def`", "Write one def, with imports before it.")]
    method = defs[0]
    if isinstance(method, ast.AsyncFunctionDef):
        return [_finding("syntax", "async", method, "a method is no coroutine", "Write a plain def.")]
    found = []
    if selector is not None and method.name != selector:
        found.append(_finding("syntax", "name", method, f"the def is named {method.name!r}", f"Name it {selector!r}."))
    args = [*method.args.posonlyargs, *method.args.args]
    if not args or args[0].arg != "self":
        found.append(_finding("syntax", "self", method, "the first parameter is not self", "Put self first."))
    return found


def _is_preamble(node: ast.stmt) -> bool:
    text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    return text or isinstance(node, (ast.Import, ast.ImportFrom))


def policy(tree: ast.Module, modules: frozenset[str] = PURE_MODULES) -> list[Finding]:
    """Find what methods do not use."""
    nodes = walk(tree)
    search = _Search(tree, nodes, modules)
    for node in nodes[:NODE_LIMIT]:
        rule = _RULES.get(node.__class__)
        if rule is not None:
            rule(search, node)
    if len(nodes) > NODE_LIMIT:
        search.note("size", tree, "the method is too large", "Divide it into several methods.")
    return sorted(search.found, key=lambda finding: (finding.line, finding.column))


class _Search:
    """Looks at one node after the other.

    Args:
        tree: The source.
        nodes: All nodes of it.
        modules: What it may import.
    """

    def __init__(self, tree: ast.Module, nodes: list[ast.AST], modules: frozenset[str]) -> None:
        self.found: list[Finding] = []
        self._tree = tree
        self._nodes = nodes
        self._modules = modules

    def note(self, rule: str, node: ast.AST, message: str, mend: str) -> None:
        """One more finding."""
        self.found.append(_finding("policy", rule, node, message, mend))

    @cached_property
    def _bound(self) -> set[str]:
        return bound_names(self._tree)

    @cached_property
    def _in_classes(self) -> set[int]:
        return {id(part) for node in self._nodes if isinstance(node, ast.ClassDef) for part in walk(node)}

    def _import(self, node: ast.Import) -> None:
        for alias in node.names:
            if not reachable(alias.name, self._modules):
                self._module(node, alias.name)

    def _import_from(self, node: ast.ImportFrom) -> None:
        module, names = node.module or "", [alias.name for alias in node.names]
        whole = allowed(module, self._modules) or all(allowed(f"{module}.{name}", self._modules) for name in names)
        if node.level or not whole:
            self._module(node, "." * node.level + module)
        elif "*" in names:
            self.note("import", node, "import * hides what is used", "Name what you import.")

    def _module(self, node: ast.stmt, name: str) -> None:
        self.note("import", node, f"the module {name!r} is not on the list", _ANOTHER_MODULE)

    def _name(self, node: ast.Name) -> None:
        name = node.id
        if name in _ABSENT and name not in self._bound:
            self.note("builtin", node, f"{name} is not for methods", _INSTEAD.get(name, "Do without it."))
        elif name.startswith("__") and name not in _OPEN_UNDERSCORES and name != "__":
            self._underscore(node, name)

    def _attribute(self, node: ast.Attribute) -> None:
        if node.attr in _INSIDES or (node.attr.startswith("_") and not self._is_open(node)):
            self._underscore(node, node.attr)

    def _is_open(self, node: ast.Attribute) -> bool:
        if node.attr == "_p_changed":
            return isinstance(node.value, ast.Name)
        return node.attr in _OPEN_UNDERSCORES or (not node.attr.startswith("__") and id(node) in self._in_classes)

    def _underscore(self, node: ast.AST, name: str) -> None:
        mend = "Use a name without it; only self._p_changed may be set."
        self.note("underscore", node, f"{name!r} is not for methods", mend)

    def _call(self, node: ast.Call) -> None:
        match node:
            case ast.Call(
                func=ast.Name(id="getattr" | "setattr" | "hasattr" | "delattr"),
                args=[_, ast.Constant(value=str(name)), *_],
            ) if name.startswith("_") and name not in _OPEN_UNDERSCORES | {"_p_changed"}:
                self._underscore(node, name)
            case _:
                pass

    def _constant(self, node: ast.Constant) -> None:
        text = node.value
        if text.__class__ is str and "__" in text and any(word in text for word in _TELLING):
            self.note("insides", node, "a text names Python's insides", "Do without it.")

    def _global(self, node: ast.Global) -> None:
        self.note("global", node, "a method has no globals", "Keep it in a slot of self.")

    def _try_star(self, node: ast.TryStar) -> None:
        self.note("except*", node, "except* is not for methods", "Use except.")

    def _function(self, node: ast.FunctionDef) -> None:
        first = node.args.args[0].arg if node.args.args else ""
        if node.decorator_list and first == "self" and id(node) not in self._in_classes:
            self.note("decorator", node.decorator_list[0], "a method has no decorators", "Remove the decorator.")

    def _yield(self, node: ast.Yield | ast.YieldFrom) -> None:
        if self._own_yield is node:
            self.note("generator", node, "a method that yields answers no data", "Collect a list and return it.")

    @cached_property
    def _own_yield(self) -> ast.AST | None:
        """The first yield of the method itself, not of functions inside it."""
        todo: list[ast.AST] = [part for node in self._tree.body if isinstance(node, METHODS) for part in node.body]
        while todo:
            node = todo.pop()
            if isinstance(node, (ast.Yield, ast.YieldFrom)):
                return node
            if not isinstance(node, (*FUNCTIONS, ast.ClassDef)):
                todo += children(node)
        return None


_RULES = table(
    _Search,
    _import="Import",
    _import_from="ImportFrom",
    _name="Name",
    _attribute="Attribute",
    _call="Call",
    _constant="Constant",
    _global="Global",
    _try_star="TryStar",
    _function="FunctionDef",
    _yield="Yield YieldFrom",
)


def bound_names(tree: ast.AST) -> set[str]:
    """Every name that a source binds anywhere."""
    found: set[str] = set()
    for node in walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
                found.add(name)
            case ast.arg(arg=name):
                found.add(name)
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                found.add(name)
            case ast.alias():
                found.add((node.asname or node.name).split(".")[0])
            case ast.ExceptHandler(name=str() as name) | ast.MatchAs(name=str() as name):
                found.add(name)
            case ast.MatchStar(name=str() as name) | ast.MatchMapping(rest=str() as name):
                found.add(name)
            case _:
                pass
    return found


def unbound_names(tree: ast.AST) -> set[str]:
    """The names that a source uses and nobody binds, built-ins left out."""
    used = {node.id for node in walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    return used - bound_names(tree) - set(dir(builtins))


def _finding(kind: str, rule: str, node: ast.AST, message: str, mend: str) -> Finding:
    line, column = getattr(node, "lineno", 1), getattr(node, "col_offset", 0)
    return Finding("syntax" if kind == "syntax" else "policy", rule, line, column, message, mend)
