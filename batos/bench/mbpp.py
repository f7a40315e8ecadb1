"""Problems in the form of MBPP: read, turned into missions and questions, and judged by their tests."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

JUDGE_SECONDS = 20
_FENCE = re.compile(r"```[a-zA-Z0-9_+-]*[ \t]*\n(.*?)(?:```|\Z)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem.

    Args:
        task: Its number.
        words: What is wanted.
        selector: The name of the function.
        parameters: The names of its parameters.
        example: The first test as an acceptance example; None where it is none.
        shown: That test as written; empty where there is no example.
        imports: What the tests import.
        tests: The tests that judge: all but the example.
    """

    task: int
    words: str
    selector: str
    parameters: tuple[str, ...]
    example: dict[str, Any] | None
    shown: str
    imports: tuple[str, ...]
    tests: tuple[str, ...]

    def brief(self) -> dict[str, Any]:
        """The problem as a mission brief."""
        brief: dict[str, Any] = {
            "type": "unhandled_message",
            "selector": self.selector,
            "intent": self.words,
            "parameters": [{"name": name} for name in self.parameters],
        }
        return brief if self.example is None else {**brief, "examples": [self.example]}

    def question(self) -> str:
        """The problem as one would ask a model directly: the same words, signature and example."""
        lines = [self.words, f"The function is `def {self.selector}({', '.join(self.parameters)}):`."]
        if self.shown:
            lines.append(f"For example, this must hold: `{self.shown}`")
        return "\n".join([*lines, "Answer with the Python code of the function, in one code block."])


def read(folder: Path) -> list[Problem]:
    """Read the problems of a folder, `*.jsonl` with `task_id`, `prompt`, `code`, `test_imports`, `test_list`.

    Rows whose function cannot be told are left out.
    """
    rows = [json.loads(line) for file in sorted(folder.glob("*.jsonl")) for line in file.read_text().splitlines()]
    return [problem for problem in map(_problem, rows) if problem is not None]


def code_of(answer: str, selector: str) -> str:
    """Cut the code out of a direct answer: the block that defines the function, else the first, else all of it."""
    blocks: list[str] = _FENCE.findall(answer)
    named = [block for block in blocks if re.search(rf"\bdef\s+{selector}\b", block)]
    return (named or blocks or [answer])[0]


def judge(problem: Problem, source: str, *, method: bool) -> str:
    """Run a problem's tests on a source, in a bounded process of their own.

    Args:
        problem: The problem.
        source: Python code that defines the function, or the method.
        method: Whether it is a method, which takes `self`.

    Returns:
        Empty when all tests pass, `not parsed` when the function is not there, else `wrong`.
    """
    asked = {"source": source, "selector": problem.selector, "method": method}
    asked |= {"imports": list(problem.imports), "tests": list(problem.tests)}
    with tempfile.TemporaryDirectory() as folder:
        try:
            done = subprocess.run(
                [sys.executable, "-I", "-c", _JUDGE],
                input=json.dumps(asked),
                capture_output=True,
                text=True,
                timeout=JUDGE_SECONDS,
                cwd=folder,
                check=False,
            )
        except (subprocess.TimeoutExpired, UnicodeDecodeError):
            return "wrong"
    verdict = done.stdout.rpartition("\n")[2]
    return {"passed": "", "not parsed": "not parsed"}.get(verdict, "wrong")


_JUDGE = """
import ast, io, json, sys
try:
    import resource
    for kind, most in (("RLIMIT_AS", 2 << 30), ("RLIMIT_CPU", 15), ("RLIMIT_FSIZE", 0)):
        resource.setrlimit(getattr(resource, kind), (most, most))
except (ImportError, ValueError):
    pass
asked, out, sys.stdout = json.load(sys.stdin), sys.stdout, io.StringIO()
space = {"__name__": "solution"}
try:
    tree = ast.parse(asked["source"])
    # The model's own tests and calls of it are no part of the function: they may be wrong where it is right.
    tree.body = [node for node in tree.body if not isinstance(node, (ast.Assert, ast.Expr))]
    exec(compile(tree, "solution", "exec"), space)
    found = space[asked["selector"]]
except BaseException:
    out.write("\\nnot parsed")
    sys.exit()
if asked["method"]:
    receiver = type("Receiver", (), {asked["selector"]: found})
    space[asked["selector"]] = lambda *args, **kwargs: getattr(receiver(), asked["selector"])(*args, **kwargs)
try:
    for line in asked["imports"] + asked["tests"]:
        exec(line, space)
    verdict = "passed"
except BaseException:
    verdict = "wrong"
out.write("\\n" + verdict)
"""


def _problem(row: dict[str, Any]) -> Problem | None:
    selector, parameters = _signature(row["code"], row["test_list"])
    if not selector:
        return None
    example = _example(row["test_list"][0], selector)
    tests = row["test_list"][1:] if example is not None else row["test_list"]
    return Problem(
        task=int(row["task_id"]),
        words=row["prompt"],
        selector=selector,
        parameters=parameters,
        example=example,
        shown=row["test_list"][0].strip() if example is not None else "",
        imports=tuple(row.get("test_imports", ())),
        tests=tuple(tests),
    )


def _signature(code: str, tests: list[str]) -> tuple[str, tuple[str, ...]]:
    """The function of a reference solution that its tests call."""
    called = {node.id for test in tests for node in ast.walk(ast.parse(test)) if isinstance(node, ast.Name)}
    for node in reversed(ast.parse(code).body):
        if isinstance(node, ast.FunctionDef) and node.name in called:
            return node.name, tuple(arg.arg for arg in node.args.args)
    return "", ()


def _example(test: str, selector: str) -> dict[str, Any] | None:
    """A test such as `assert f(1, 2) == 3` as an acceptance example; None for one of another form."""
    statement = ast.parse(test).body[0]
    compared = statement.test if isinstance(statement, ast.Assert) else None
    if not isinstance(compared, ast.Compare) or not isinstance(compared.ops[0], ast.Eq) or len(compared.ops) > 1:
        return None
    call, wanted = compared.left, compared.comparators[0]
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name) or call.func.id != selector:
        return None
    try:
        given = [ast.literal_eval(arg) for arg in call.args]
        named = {str(item.arg): ast.literal_eval(item.value) for item in call.keywords}
        return {"args": given, "kwargs": named, "result": ast.literal_eval(wanted)}
    except ValueError:
        return None
