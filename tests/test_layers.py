"""The layer map of `batos/__init__.py`: imports point down only, and real processes hold only what they need."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

import batos

PACKAGE = Path(batos.__file__).parent
ROOT = PACKAGE.parent

LAYERS = (
    ("__main__",),
    ("operator",),
    ("bench",),
    ("kernel", "client", "watchdog"),
    ("cognition",),
    ("calls",),
    ("memory", "mind", "sandbox"),
    ("image",),
    ("guardian",),
    ("journal",),
    ("wire",),
    ("wire_cognition", "wire_image"),
    ("fields",),
    ("codec", "guarded", "plain", "settings", "errors"),
)
"""From the top down; a part may import what stands below it, and what SIDEWAYS says beside it."""

SIDEWAYS = {("watchdog", "client"), ("settings", "errors"), ("plain", "codec"), ("guarded", "codec")}
FORBIDDEN = {
    "client": {"kernel", "image", "watchdog"},
    "watchdog": {"kernel", "image", "cognition", "memory", "mind", "sandbox"},
    "sandbox": {"kernel", "image", "mind", "memory", "wire", "settings"},
    "mind": {"image"},
    "image": {"mind"},
    "guardian": {"wire", "journal", "settings", "codec", "plain"},
}
DATABASE = {"ZODB", "persistent", "BTrees", "transaction", "zope", "zodbpickle"}
DATABASE_HOMES = {"image": DATABASE, "memory": {"zope", "BTrees", "persistent"}, "bench": DATABASE}


def modules() -> dict[str, Path]:
    """Every module of the package by its dotted name."""
    return {
        ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): file
        for file in sorted(PACKAGE.rglob("*.py"))
    }


def imports(file: Path, name: str) -> set[str]:
    """The modules that a file imports when it runs, also inside functions; type checking alone does not count."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    skipped = {
        id(node)
        for test in ast.walk(tree)
        if isinstance(test, ast.If) and ast.unparse(test.test).endswith("TYPE_CHECKING")
        for statement in test.body
        for node in ast.walk(statement)
    }
    found: set[str] = set()
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= _from(node, name, is_package=file.name == "__init__.py")
    return found


def _from(node: ast.ImportFrom, name: str, *, is_package: bool) -> set[str]:
    if node.level:
        parts = name.split(".")
        parts = parts[: len(parts) - node.level + (1 if is_package else 0)]
        base = ".".join([*parts, *([node.module] if node.module else [])])
    else:
        base = node.module or ""
    return {f"{base}.{alias.name}" for alias in node.names} if base == "batos" else {base}


def part(module: str) -> str | None:
    """The part of the package that a module belongs to; None outside it and for the package itself."""
    pieces = module.split(".")
    return pieces[1] if pieces[0] == "batos" and len(pieces) > 1 else None


def rank(name: str) -> int:
    """The layer of a part, 0 at the top."""
    for number, names in enumerate(LAYERS):
        if name in names:
            return number
    raise AssertionError(f"{name} is not in the layer map: say in batos/__init__.py and here where it belongs")


EDGES = sorted(
    {
        (name, target)
        for name, file in modules().items()
        for target in imports(file, name)
        if part(name) not in (None, "testing") and part(target) not in (None, part(name), "__version__")
    }
)


@pytest.mark.parametrize(("module", "target"), EDGES, ids=str)
def test_imports_point_down(module: str, target: str):
    """A module imports only from layers below its own, and never what is forbidden to its part."""
    above, below = part(module), part(target)
    assert below not in FORBIDDEN.get(above, set())
    if below == "testing":  # a double that ships: whoever chooses an engine may choose it
        assert above in ("kernel", "mind", "client", "operator")
        return
    assert rank(above) < rank(below) or (above, below) in SIDEWAYS


def test_the_database_has_one_door():
    """Only `image` imports ZODB and transaction; `memory` may define persistent indexes."""
    wrong = [
        (name, target)
        for name, file in modules().items()
        for target in imports(file, name)
        if target.split(".")[0] in DATABASE - DATABASE_HOMES.get(part(name) or "", set())
    ]
    assert wrong == []


def test_every_part_is_in_the_map():
    """The map in the package's docstring names every part."""
    parts = {part(name) for name in modules()} - {None, "__main__"}
    assert [name for name in sorted(parts) if name not in (batos.__doc__ or "")] == []


LOOK = """
import json, sys
before = set(sys.modules)
{code}
print(json.dumps(sorted({{name.split(".")[0] for name in sys.modules}} | {{n for n in sys.modules if n.startswith("batos.")}})))
"""
HEAVY = {"torch", "llama_cpp", "transformers", "sentence_transformers", "bitsandbytes", "peft", "sklearn", "scipy"}


def loaded(code: str) -> set[str]:
    """The modules that a fresh process has after running some code."""
    done = subprocess.run(
        [sys.executable, "-c", LOOK.format(code=code)], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_the_kernel_process_holds_no_models():
    """The kernel's code loads neither torch nor llama.cpp nor anything as slow, and numpy only when it searches."""
    assert not loaded("import batos.kernel.main, batos.kernel.uvm") & (HEAVY | {"numpy"})


def test_the_clients_process_holds_no_image():
    """The client's code loads neither the database nor the kernel, and no models before it needs one."""
    found = loaded("import batos.client.console, batos.client.bridge")
    assert not found & (DATABASE | HEAVY)
    assert not {name for name in found if name.startswith(("batos.kernel", "batos.image"))}


def test_the_watchdogs_process_holds_no_image():
    """The watchdog's code loads neither the database nor the kernel nor a model."""
    found = loaded("import batos.watchdog.service, batos.watchdog.probe, batos.watchdog.main")
    assert not found & (DATABASE | HEAVY)
    assert not {name for name in found if name.startswith(("batos.kernel", "batos.image", "batos.cognition"))}


def test_the_sandbox_worker_holds_no_settings():
    """What a sandbox worker loads knows neither schemas nor settings nor the database."""
    found = loaded("import batos.codec, batos.errors, batos.guardian")
    assert not found & (DATABASE | HEAVY | {"pydantic", "zmq"})


def test_the_package_alone_is_light():
    """`import batos` loads none of its parts; a public name loads its own."""
    assert not {name for name in loaded("import batos") if name.startswith("batos.")}
    assert "batos.errors" in loaded("from batos import CovenantViolationError")


def test_a_script_beside_the_package_imports_the_package():
    """`batos.py` lies beside `batos/`, and `import batos` means the package from both."""
    done = subprocess.run([sys.executable, "batos.py", "--help"], capture_output=True, text=True, check=True, cwd=ROOT)
    assert "usage: batos.py" in done.stdout
    assert loaded("import batos; assert batos.__path__")
