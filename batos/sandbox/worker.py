"""The life of a worker: forked, confined, warmed, one task, gone.

It talks on descriptor 3 and has no other. Once generated code has started, the kernel trusts nothing that it says.
"""

from __future__ import annotations

import builtins
import os
import sys
import types
from typing import Any, NoReturn

from batos.codec import CodecError
from batos.guardian.modules import reachable
from batos.guardian.review import review
from batos.sandbox import library
from batos.sandbox.codec import LENGTH, frame
from batos.sandbox.guest import RemoteError, UvmObject, activation, remote_error, strict_getattr, strict_hasattr
from batos.sandbox.selftest import probe

SOCKET = 3
_READ_SIZE = 1 << 16
_TEXT_LIMIT = 2000
_TRACEBACK_LINES = 8
_UNPRINTABLE = "the method raised something that cannot be told"
_MEMORY_FAULT = "the method ran out of memory"

_BUILTINS = (
    "abs", "all", "any", "ascii", "bin", "bool", "bytearray", "bytes", "callable",
    "chr", "classmethod", "complex", "delattr", "dict", "dir", "divmod", "enumerate", "filter",
    "float", "format", "frozenset", "getattr", "hasattr", "hash", "hex", "id", "int",
    "isinstance", "issubclass", "iter", "len", "list", "map", "max", "memoryview", "min",
    "next", "object", "oct", "ord", "pow", "print", "property", "range", "repr",
    "reversed", "round", "set", "setattr", "slice", "sorted", "staticmethod", "str", "sum",
    "super", "tuple", "type", "zip", "__build_class__", "Ellipsis", "NotImplemented", "__debug__",
)  # fmt: skip


_PROPS = {"n": 1, "name": "rehearsal", "rate": 1.5, "things": [1, "two"]}
_PLAY = """\
def play(self, count, word="you"):
    self.things.append([word, self.rate])
    self.n = getattr(self, "total", 0) + count
    self._p_changed = True
    return self.name, count
"""


class Output:
    """Takes what the method prints, up to a limit of bytes."""

    encoding = "utf-8"

    def __init__(self, limit: int) -> None:
        self._room = limit
        self._parts: list[str] = []

    def write(self, text: str) -> int:
        """Keep a text; what is over the limit is cut, which the kernel says once."""
        kept = str(text)[: max(self._room, 0)]
        self._room -= len(kept)
        if kept:
            self._parts.append(kept)
        return len(text)

    def flush(self) -> None:
        """Nothing to do."""

    def isatty(self) -> bool:
        """It is no terminal."""
        return False

    def take(self) -> str:
        """Give what was printed since the last time."""
        text, self._parts = "".join(self._parts), []
        return clean(text)


def clean(text: str) -> str:
    """Make a text that can be packed: lone surrogates become escapes."""
    return text.encode("utf-8", "backslashreplace").decode()


def receive() -> bytes:
    """Read one frame; the process ends when the kernel has gone."""
    data = bytearray()
    while len(data) < LENGTH.size or len(data) < LENGTH.size + LENGTH.unpack_from(data)[0]:
        wanted = _READ_SIZE if len(data) < LENGTH.size else LENGTH.size + LENGTH.unpack_from(data)[0] - len(data)
        part = os.read(SOCKET, wanted)
        if not part:
            os._exit(0)
        data += part
    return bytes(data[LENGTH.size :])


def transmit(message: list[Any]) -> None:
    """Write one frame."""
    send_all(activation.codec.pack(message))


def send_all(payload: bytes) -> None:
    """Write a packed value as one frame."""
    data = memoryview(frame(payload))
    while data:
        data = data[os.write(SOCKET, data) :]


def serve(settings: dict[str, Any], layers: dict[str, Any], *, rehearsed: bool) -> NoReturn:
    """Announce this worker, do one task, and leave.

    Args:
        settings: `builtins` (the names that methods get), and `reuse`: serve more than one task, for measuring alone.
        layers: What this worker's confinement achieved.
        rehearsed: Whether it plays a call before it says that it is ready: the first call is quicker then, the way to it longer.
    """
    library.shuffle_chance()
    if rehearsed:
        rehearse(settings)
    transmit(["ready", layers])
    while True:
        task, fields = activation.codec.unpack(receive())
        if task == "call":
            send_all(run(settings, fields))
        elif task == "audit":
            audit(fields)
        else:
            transmit(["probed", probe(fields)])
        if not settings["reuse"]:
            os._exit(0)


def rehearse(settings: dict[str, Any]) -> None:
    """Play a whole call, so that the pages that a call touches are copied before it and not in it."""
    slots = {name: activation.codec.pack(value) for name, value in _PROPS.items()}
    fields = {
        "source": _PLAY, "selector": "play", "self": UvmObject(bytes(4)), "slots": [slots, [], ["play"]],
        "args": [2], "kwargs": {"word": "x"}, "fixed": False, "output": 99, "bytes": 1 << 20, "frame": 1 << 20,
    }  # fmt: skip
    activation.codec.unpack(run(settings, activation.codec.unpack(activation.codec.pack(fields))))


def builtins_for(settings: dict[str, Any]) -> dict[str, Any]:
    """Give the built-in names that generated code gets."""
    if settings["bare"]:
        names = dict(vars(builtins))
    else:
        names = {name: getattr(builtins, name) for name in _BUILTINS}
        names |= {name: value for name, value in vars(builtins).items() if _is_exception(value)}
        names["__import__"] = _importer(frozenset(settings["modules"]))
    return names | {"getattr": strict_getattr, "hasattr": strict_hasattr}


def _is_exception(value: Any) -> bool:
    return isinstance(value, type) and issubclass(value, BaseException)


def _importer(modules: frozenset[str]) -> Any:
    def guarded(name: str, scope: Any = None, local: Any = None, wanted: Any = (), level: int = 0) -> Any:
        del scope, local
        # The C code of datetime and time imports _strptime with the caller's rights.
        if level or not (name == "_strptime" or reachable(name, modules)):
            raise ImportError(f"the module {name!r} is not available to methods")
        return __import__(name, None, None, wanted, 0)

    return guarded


def run(settings: dict[str, Any], fields: dict[str, Any]) -> bytes:
    """Run one activation; gives the packed word that tells how it ended."""
    output = Output(fields["output"])
    sys.stdout = sys.stderr = output
    out_of_memory = activation.codec.pack(["fail", {"type": "MemoryError", "text": _MEMORY_FAULT}, ""])
    unprintable = activation.codec.pack(["fail", {"type": "Exception", "text": _UNPRINTABLE}, ""])
    try:
        if fields["fixed"]:
            library.fix_clock()
            library.fix_chance()
        activation.ask = _ask
        activation.print_out = output.take
        reply = activation.codec.pack(_activate(settings, fields, output))
        if len(reply) > fields["frame"]:
            reply = _failure({"type": "ValueError", "text": "the result and the changes are too large"}, output)
    except MemoryError:
        reply = out_of_memory
    except BaseException as error:  # noqa: BLE001 - whatever generated code raises is told to the kernel
        try:
            reply = _failure(describe(error, fields["source"]), output)
        except MemoryError:
            reply = out_of_memory
        except BaseException:  # noqa: BLE001 - even its text may raise
            reply = unprintable
    return reply


def _failure(fields: dict[str, Any], output: Output) -> bytes:
    return activation.codec.pack(["fail", fields, output.take()])


def _activate(settings: dict[str, Any], fields: dict[str, Any], output: Output) -> list[Any]:
    """Compile, call, and pack what comes out."""
    module = types.ModuleType("method")
    # Classes that a method defines look their module up.
    sys.modules["method"] = module
    scope = vars(module)
    scope["__builtins__"] = settings["builtins"]
    me, selector = fields["self"], fields["selector"]
    activation.begin(me, fields["slots"])
    exec(compile(fields["source"], "<method>", "exec", dont_inherit=True), scope)  # noqa: S102
    result = scope[selector](me, *fields["args"], **fields["kwargs"])
    _check_result(result, fields["bytes"])
    delta = activation.delta()
    broken = activation.broken_covenant()
    if broken:
        return ["broken", broken, output.take()]
    return ["done", result, delta, output.take()]


def _check_result(result: Any, limit: int) -> None:
    try:
        size = len(activation.codec.pack(result))
    except CodecError as error:
        raise TypeError(f"the method answered what is not plain data: {error}") from None
    if size > limit:
        raise ValueError(f"the result has {size} bytes; the limit is {limit}")


def _ask(question: list[Any]) -> Any:
    """Ask the kernel and wait for its answer."""
    try:
        transmit(question)
    except CodecError as error:
        raise TypeError(f"this cannot be sent: {error}") from None
    answer = activation.codec.unpack(receive())
    if answer[0] == "error":
        raise remote_error(*answer[1:])
    return answer[1]


def describe(error: BaseException, source: str) -> dict[str, Any]:
    """Tell of an exception in plain data: type, text, line and a short traceback."""
    lines = _method_lines(error)
    text_of = source.splitlines()
    traceback = [f"line {n}: {text_of[n - 1].strip()[:200]}" for n in lines if 0 < n <= len(text_of)]
    if isinstance(error, SyntaxError) and error.filename == "<method>":
        lines = [error.lineno or 0]
    return {
        "type": clean(str(type(error).__name__))[:100],
        "text": clean(str(error))[:_TEXT_LIMIT],
        "line": lines[-1] if lines else 0,
        "traceback": traceback[-_TRACEBACK_LINES:],
        "remote": error.index if isinstance(error, RemoteError) else -1,
    }


def _method_lines(error: BaseException) -> list[int]:
    lines: list[int] = []
    step = error.__traceback__
    while step is not None and len(lines) < 10_000:
        if step.tb_frame.f_code.co_filename == "<method>":
            lines.append(step.tb_lineno)
        step = step.tb_next
    return lines


def audit(fields: dict[str, Any]) -> None:
    """Audit a source text: in here, because hostile text can crash the parser."""
    try:
        report = review(fields["source"], fields["selector"], frozenset(fields["modules"]))
        if not report["findings"]:
            # The compiler refuses some of what the parser takes.
            compile(report["source"], "<method>", "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        report = {"refused": clean(str(error))[:_TEXT_LIMIT] or type(error).__name__}
    transmit(["audited", report])
