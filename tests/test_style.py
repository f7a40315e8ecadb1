"""The bar of style that the project holds itself to, counted with ast over the package and the tests."""

from __future__ import annotations

import ast
import shutil
import statistics
import subprocess
from pathlib import Path

import pytest

import batos

PACKAGE = Path(batos.__file__).parent
ROOT = PACKAGE.parent
SOURCES = sorted(PACKAGE.rglob("*.py"))
SCRIPTS = [ROOT / name for name in ("batos.py", "chat_client.py", "min_watchdog_service.py")]
TESTS = sorted((ROOT / "tests").rglob("*.py"))
TREES = {file: ast.parse(file.read_text(encoding="utf-8")) for file in (*SOURCES, *SCRIPTS, *TESTS)}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def lines(file: Path) -> int:
    """The number of lines of a file."""
    return len(file.read_text(encoding="utf-8").splitlines())


def functions(files: list[Path]) -> list[tuple[Path, Function]]:
    """Every function and method of some files."""
    return [(file, node) for file in files for node in ast.walk(TREES[file]) if isinstance(node, Function)]


def length(node: Function) -> int:
    """The lines of a function without its docstring."""
    total = (node.end_lineno or node.lineno) - node.lineno + 1
    first = node.body[0]
    if ast.get_docstring(node) is not None:
        total -= (first.end_lineno or first.lineno) - first.lineno + 1
    return total


def named(file: Path, node: Function | ast.ClassDef) -> str:
    """Where something stands, for a message."""
    return f"{file.relative_to(ROOT)}:{node.lineno} {node.name}"


def test_files_are_short():
    """The median file has at most 250 lines, none has over 400, and no test file over 600."""
    sizes = {file: lines(file) for file in SOURCES}
    assert statistics.median(sizes.values()) <= 250
    assert [file.name for file, size in sizes.items() if size > 400] == []
    assert [file.name for file in TESTS if lines(file) > 600] == []


def test_functions_are_short():
    """The median function has at most 7 lines, nine of ten have at most 30, hardly any over 50, none over 60."""
    sizes = sorted(length(node) for _, node in functions(SOURCES))
    assert statistics.median(sizes) <= 7
    assert sizes[int(len(sizes) * 0.9)] <= 30
    assert sum(size > 50 for size in sizes) / len(sizes) < 0.025
    assert [named(file, node) for file, node in functions(SOURCES) if length(node) > 60] == []


@pytest.mark.parametrize("file", [*SOURCES, *SCRIPTS], ids=lambda file: str(file.relative_to(ROOT)))
def test_every_module_says_what_lives_in_it(file: Path):
    """Each module begins with a docstring."""
    assert ast.get_docstring(TREES[file])


def test_public_names_are_described():
    """At least nine of ten public functions, methods and classes have a docstring."""
    public = [
        (file, node)
        for file in SOURCES
        for node in ast.walk(TREES[file])
        if isinstance(node, (*Function.__args__, ast.ClassDef)) and not node.name.startswith("_")
    ]
    bare = [named(file, node) for file, node in public if not ast.get_docstring(node)]
    assert len(bare) / len(public) < 0.1, bare


def test_everything_is_annotated():
    """Each parameter and each result of the package has an annotation."""
    bare = []
    for file, node in functions(SOURCES):
        arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs, node.args.vararg, node.args.kwarg]
        missing = [a.arg for a in arguments if a is not None and a.annotation is None and a.arg not in ("self", "cls")]
        if missing or node.returns is None:
            bare.append(named(file, node))
    assert bare == []


def test_every_test_says_what_it_proves():
    """Each test function has a docstring, and checks something."""
    tests = [(file, node) for file, node in functions(TESTS) if node.name.startswith("test_")]
    assert [named(file, node) for file, node in tests if not ast.get_docstring(node)] == []
    hollow = [named(f, n) for f, n in tests if not any(w in ast.unparse(n) for w in ("assert", "raises", "check"))]
    assert hollow == []


def test_scripts_are_thin():
    """The three scripts parse nothing themselves: they call one function."""
    assert [file.name for file in SCRIPTS if lines(file) > 30] == []


@pytest.mark.parametrize("script", ["puter.sh", ".ci/run"])
def test_shell_scripts_parse(script: str):
    """The shell scripts are valid, executable, strict, and clean under shellcheck where that is installed."""
    file = ROOT / script
    assert file.stat().st_mode & 0o111
    assert "set -euo pipefail" in file.read_text(encoding="utf-8")
    subprocess.run(["bash", "-n", str(file)], check=True)
    checker = shutil.which("shellcheck")
    if checker is not None:
        subprocess.run([checker, str(file)], check=True)
