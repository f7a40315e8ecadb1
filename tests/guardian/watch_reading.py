"""Finds methods of the standard library that change nothing, by watching them at work.

    python -m tests.guardian.watch_reading > tests/guardian/reading.txt

The standard library's own tests are run. Each method of its classes is watched: everything that its object reaches is
compared before and after each call. A method gets on the list when every line of it has run (those of `raise`
statements aside), and no call has changed anything. The list names the methods with a digest of their source, so that a
test only takes those that it knows.
"""

from __future__ import annotations

import ast
import collections
import contextlib
import functools
import hashlib
import importlib
import inspect
import io
import json
import os
import subprocess
import sys
import textwrap
import types
import unittest
from typing import Any

WATCHED_CALLS = 40
LARGEST = 3000
SECONDS = 150

# Modules, and the tests that exercise them.
SUBJECTS = {
    "argparse": "argparse", "ast": "ast unparse", "base64": "base64", "calendar": "calendar", "cmd": "cmd", "code": "code", "codecs": "codecs",
    "collections": "collections", "collections.abc _collections_abc": "collections ordered_dict", "configparser": "configparser", "contextlib": "contextlib",
    "copy": "copy", "csv": "csv", "dataclasses": "dataclasses", "datetime _pydatetime": "datetime", "_pydecimal decimal": "decimal", "difflib": "difflib",
    "email.message email.header email.charset email.headerregistry email._header_value_parser email.policy email._policybase email.contentmanager email.generator email.errors email.feedparser email.parser email.utils":
        "test_email.test_email test_email.test_message test_email.test_headerregistry test_email.test__header_value_parser test_email.test_policy",
    "enum": "enum", "fileinput": "fileinput", "filecmp": "filecmp", "fractions": "fractions", "functools": "functools", "gettext": "gettext",
    "graphlib": "graphlib", "gzip": "gzip", "html.parser": "htmlparser", "http.cookies": "http_cookies", "http.cookiejar": "http_cookiejar",
    "importlib.metadata importlib.metadata._text importlib.metadata._meta importlib.metadata._collections": "test_importlib.test_main test_importlib.test_metadata_api", "inspect": "inspect",
    "io _pyio": "io memoryio", "ipaddress": "ipaddress", "json.decoder json.encoder": "json", "logging logging.handlers logging.config": "logging",
    "mailbox": "mailbox", "mimetypes": "mimetypes", "modulefinder": "modulefinder", "netrc": "netrc", "numbers": "numeric_tower abstract_numbers",
    "operator": "operator", "optparse": "optparse", "pathlib": "pathlib", "pickle": "pickle", "pickletools": "pickletools", "plistlib": "plistlib",
    "pprint": "pprint", "queue": "queue", "random": "random", "reprlib": "reprlib", "sched": "sched", "shelve": "shelve", "shlex": "shlex",
    "statistics": "statistics", "string": "string", "symtable": "symtable", "tarfile": "tarfile", "tempfile": "tempfile", "textwrap": "textwrap",
    "threading": "threading", "timeit": "timeit", "tokenize": "tokenize", "traceback": "traceback", "types": "types", "typing": "typing",
    "unittest.mock unittest.case unittest.suite unittest.loader unittest.result unittest.runner": "unittest", "urllib.parse urllib.request urllib.response urllib.error": "urlparse urllib urllib2 urllib_response",
    "urllib.robotparser": "robotparser", "uuid": "uuid", "warnings": "warnings", "weakref _weakrefset": "weakref weakset",
    "wsgiref.headers wsgiref.handlers wsgiref.util": "wsgiref", "xml.dom.minidom xml.dom.expatbuilder xml.dom.minicompat": "minidom", "xml.etree.ElementTree": "xml_etree",
    "xml.sax.xmlreader xml.sax.saxutils xml.sax.handler xml.sax.expatreader": "sax", "xmlrpc.client": "xmlrpc", "zipfile": "zipfile", "zoneinfo zoneinfo._zoneinfo": "zoneinfo",
    "bdb": "bdb", "dis": "dis", "locale": "locale", "selectors": "selectors", "ssl": "ssl", "imaplib": "imaplib", "ftplib": "ftplib", "poplib": "poplib",
    "http.client": "httplib", "http.server": "httpservers", "socketserver": "socketserver", "tracemalloc": "tracemalloc", "string.templatelib": "string", "cProfile profile pstats": "pstats profile",
    "asyncio.base_futures asyncio.locks asyncio.queues asyncio.events": "test_asyncio.test_locks test_asyncio.test_queues", "concurrent.futures._base": "concurrent_futures",
}  # fmt: skip


class _Watch:
    """What was seen of one method."""

    def __init__(self, function: types.FunctionType) -> None:
        self.function = function
        self.calls = 0
        self.answered = 0
        self.changed = False
        self.unsure = False
        self.ran: set[int] = set()


def fingerprint(root: Any) -> tuple[Any, ...] | None:
    """Everything that an object reaches, as something that can be compared; None: too much.

    Objects are compared by what they are and hold; those that were compared are kept alive by the answer.
    """
    found: list[Any] = []
    seen: set[int] = set()
    todo = [root]
    while todo:
        node = todo.pop()
        found.append(_value(node))
        if id(node) in seen or isinstance(
            node, (type, types.ModuleType, types.FunctionType, types.FrameType, types.CodeType)
        ):
            continue
        seen.add(id(node))
        if len(seen) > LARGEST:
            return None
        below = _below(node)
        found.append(len(below))
        todo += below
    return tuple(found)


def _value(node: Any) -> Any:
    if isinstance(node, (int, float, complex, str, bytes, type(None))):
        return type(node), node if node == node else "nan"
    return _Same(node)


class _Same:
    """One and the same object."""

    def __init__(self, held: Any) -> None:
        self.held = held

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.held is other.held

    __hash__ = None  # type: ignore[assignment]


def _below(node: Any) -> list[Any]:
    below: list[Any] = []
    if isinstance(node, dict):
        below += [part for item in dict.items(node) for part in item]
    elif isinstance(node, (list, tuple, collections.deque)):
        below += (
            list(type(node).__iter__(node))
            if type(node) in (list, tuple, collections.deque)
            else list(
                tuple.__iter__(node)
                if isinstance(node, tuple)
                else list.__iter__(node)
                if isinstance(node, list)
                else collections.deque.__iter__(node)
            )
        )
    elif isinstance(node, (set, frozenset)):
        below += sorted((set if isinstance(node, set) else frozenset).__iter__(node), key=id)
    elif isinstance(node, bytearray):
        below.append(bytes(node))
    elif isinstance(node, io.BytesIO | io.StringIO) and not node.closed:
        below += [node.getvalue(), node.tell()]
    with contextlib.suppress(AttributeError):
        below.append(object.__getattribute__(node, "__dict__"))
    for kind in type(node).__mro__:
        slots = kind.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            try:
                below.append(
                    object.__getattribute__(
                        node,
                        name
                        if not name.startswith("__") or name.endswith("__")
                        else f"_{kind.__name__.lstrip('_')}{name}",
                    )
                )
            except AttributeError:
                below.append(_Same)
    return below


_BUSY = False


def _watched(watch: _Watch) -> Any:
    function = watch.function
    code = function.__code__

    def local(frame: types.FrameType, event: str, _arg: Any) -> Any:
        if event == "line":
            lines.append(frame.f_lineno)
        return local

    def outer(frame: types.FrameType, _event: str, _arg: Any) -> Any:
        return local if frame.f_code is code else None

    lines: list[int] = []

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        global _BUSY  # noqa: PLW0603 - watching is not watched
        if _BUSY or not args or watch.calls >= WATCHED_CALLS or watch.changed:
            return function(*args, **kwargs)
        watch.calls += 1
        _BUSY = True
        try:
            before = fingerprint(args[0])
        except Exception:
            before = None
        finally:
            _BUSY = False
        lines.clear()
        traced = sys.gettrace()
        sys.settrace(outer)
        failed = True
        try:
            answer = function(*args, **kwargs)
            failed = False
            return answer
        finally:
            sys.settrace(traced)
            ran = set(lines)
            _BUSY = True
            try:
                after = fingerprint(args[0])
                if before is None or after is None:
                    watch.unsure = True
                elif before != after:
                    watch.changed = watch.changed or not failed
                else:
                    watch.ran |= ran
                    watch.answered += not failed
            except Exception:
                watch.unsure = True
            finally:
                _BUSY = False

    return wrapper


def _watch_module(module: types.ModuleType, watches: dict[str, _Watch]) -> None:
    for cls in list(vars(module).values()):
        if not isinstance(cls, type) or cls.__module__ != module.__name__:
            continue
        for name, member in list(vars(cls).items()):
            function = member.fget if isinstance(member, property) else member
            if not isinstance(function, types.FunctionType) or function.__code__.co_flags & (
                inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR
            ):
                continue
            if (
                function.__module__ != module.__name__
                or function.__code__.co_filename.startswith("<")
                or hasattr(function, "__wrapped__")
            ):
                continue
            watch = _Watch(function)
            wrapper = _watched(watch)
            try:
                setattr(
                    cls,
                    name,
                    property(wrapper, member.fset, member.fdel, member.__doc__)
                    if isinstance(member, property)
                    else wrapper,
                )
            except (AttributeError, TypeError):
                continue
            watches[f"{module.__name__}:{cls.__qualname__}.{name}"] = watch


def _lines(function: types.FunctionType, source: str) -> set[int]:
    """The lines that must run: those of `raise` statements need not."""
    first = function.__code__.co_firstlineno
    raising = {
        line
        for node in ast.walk(ast.parse(source))
        if isinstance(node, (ast.Raise, ast.Assert))
        for line in range(first + node.lineno - 1, first + (node.end_lineno or node.lineno))
    }
    return {line for _, _, line in function.__code__.co_lines() if line and line != first} - raising


def digest(source: str) -> str:
    """A short digest of a source text."""
    return hashlib.sha256(source.encode()).hexdigest()[:12]


def watch(modules: str, tests: str) -> list[str]:
    """Run tests and say which methods of some modules changed nothing."""
    watches: dict[str, _Watch] = {}
    for name in modules.split():
        try:
            _watch_module(importlib.import_module(name), watches)
        except ImportError:
            continue
    for name in tests.split():
        try:
            suite = unittest.defaultTestLoader.loadTestsFromName(
                f"test.test_{name}" if "." not in name else f"test.{name}"
            )
            unittest.TextTestRunner(stream=io.StringIO(), buffer=True).run(suite)
        except BaseException as error:
            print(f"# {name}: {type(error).__name__} {error}", file=sys.stderr)
    found = []
    for name, seen in sorted(watches.items()):
        if seen.answered and not seen.changed and not seen.unsure:
            try:
                source = textwrap.dedent(inspect.getsource(seen.function))
                if source.startswith(("def ", "@")) and _lines(seen.function, source) <= seen.ran:
                    found.append(f"{name} {digest(source)}")
            except (OSError, SyntaxError, TypeError):
                continue
    return found


def main() -> None:
    """Watch every module in a process of its own."""
    if len(sys.argv) > 1:
        found = watch(*json.loads(sys.argv[1]))
        sys.__stderr__.write("")
        os.write(int(sys.argv[2]), "\n".join(found).encode() + b"\n")
        os._exit(0)
    names: set[str] = set()
    for modules, tests in SUBJECTS.items():
        read, write = os.pipe()
        command = [sys.executable, "-m", "tests.guardian.watch_reading", json.dumps([modules, tests]), str(write)]
        with open(read, encoding="utf-8") as answers:
            try:
                subprocess.run(
                    command,
                    pass_fds=[write],
                    timeout=SECONDS,
                    check=False,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    stdin=subprocess.DEVNULL,
                    env={**os.environ, "PYTHONWARNINGS": "ignore"},
                )
            except subprocess.TimeoutExpired:
                print("# too long:", modules, file=sys.stderr)
            os.close(write)
            new = set(answers.read().split("\n")) - {""}
        print(f"# {modules[:40]}: {len(new)}", file=sys.stderr)
        names |= new
    print("\n".join(sorted(names)))


if __name__ == "__main__":
    main()
