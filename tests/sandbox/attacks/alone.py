"""What attacks do where no wall stands: each in a plain process, bounded in time and memory, in a folder of its own.

Run as a program it reads attacks as JSON from its input, forks a child for each, and writes what each did. A child stands
for a host that runs the method itself and trusts it: it turns the result or the error into text, and takes True for success.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from tests.sandbox.attacks import MODULES

if TYPE_CHECKING:
    from tests.sandbox.attacks.kinds import Attack

SECRET = "hunter2"
ROOT = Path(__file__).parents[3]
_AT_ONCE = 4
_LONG_ENOUGH = 0.5
_PATIENCE = 30.0
_TEXT_LIMIT = 1 << 20
_FORBIDDEN_ELSEWHERE = 0.15
_LIMITS = {"AS": 3 << 29, "FSIZE": 1 << 23, "CORE": 0}
_WON, _SPOILT, _HARMLESS = 10, 11, 12
_WORDS = {_WON: "wins", _SPOILT: "spoils", _HARMLESS: "nothing"}

# Become user 1234, who may read files (the interpreter may lie in root's home) and nothing else.
BECOME_ORDINARY = """
import ctypes, os, struct
libc = ctypes.CDLL(None)
libc.prctl(8, 1, 0, 0, 0)
os.setgroups([]); os.setresgid(1234, 1234, 1234); os.setresuid(1234, 1234, 1234)
only = struct.pack("=IIIIII", 4, 4, 4, 0, 0, 0)
number = 126 if os.uname().machine == "x86_64" else 91
libc.syscall(number, struct.pack("=Ii", 0x20080522, 0), only)
libc.prctl(47, 2, 2, 0, 0)
libc.prctl(4, 1, 0, 0, 0)
"""


def run_alone(attacks: list[Attack]) -> dict[str, str]:
    """Run attacks without walls; gives what each did: `wins`, `hangs`, `dies`, `spoils` or `nothing`."""
    become = BECOME_ORDINARY if os.getuid() == 0 else ""
    program = become + "from tests.sandbox.attacks.alone import main; main()"
    asked = json.dumps([[attack.name, attack.alone, attack.shown] for attack in attacks])
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        done = subprocess.run(
            [sys.executable, "-P", "-c", program, folder, SECRET],
            input=asked.encode(),
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT), "BATOS_ATTACK_SECRET": SECRET},
            check=True,
        )
    found: dict[str, str] = json.loads(done.stdout)
    return found


def others_than_said(attacks: list[Attack]) -> dict[str, tuple[str, str]]:
    """Run attacks without walls; gives those that do something else than is said of them: that, and what they do.

    Raises:
        AssertionError: They are more than a container or an older system may forbid by itself.
    """
    found = run_alone(attacks)
    other = {
        attack.name: (attack.alone, found[attack.name]) for attack in attacks if found[attack.name] != attack.alone
    }
    assert len(other) <= len(attacks) * _FORBIDDEN_ELSEWHERE, other
    return other


def main() -> None:
    """Fork a child for each attack, a few at once."""
    warnings.simplefilter("ignore")
    for module in MODULES:
        __import__(module)
    waiting: list[list[str]] = json.loads(sys.stdin.buffer.read())
    running: dict[int, tuple[str, float]] = {}
    found: dict[str, str] = {}
    while waiting or running:
        while waiting and len(running) < _AT_ONCE:
            name, alone, source = waiting.pop(0)
            patience = _LONG_ENOUGH if alone == "hangs" else _PATIENCE
            running[_start(name, source)] = name, time.monotonic() + patience
        for pid, (name, deadline) in list(running.items()):
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                code = os.waitstatus_to_exitcode(status)
                found[name] = _WORDS.get(code, "dies")
            elif time.monotonic() > deadline:
                found[name] = "hangs"
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
            else:
                continue
            # What it started goes too.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)
            del running[pid]
        time.sleep(0.002)
    print(json.dumps(found))


def _start(name: str, source: str) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        os.setpgid(0, 0)
        folder = Path(sys.argv[1], name)
        folder.mkdir()
        (folder / "victim").write_text("x")
        os.chdir(folder)
        nothing = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(nothing, descriptor)
        for limit, value in _LIMITS.items():
            resource.setrlimit(getattr(resource, f"RLIMIT_{limit}"), (value, value))
        code = _host(source)
    finally:
        os._exit(code)


def _host(source: str) -> int:
    """Be a host that trusts what it runs."""
    scope: dict[str, Any] = {"__name__": "method"}
    try:
        try:
            exec(compile(source, "<method>", "exec", dont_inherit=True), scope)
            result = scope["attack"](SimpleNamespace(n=1))
        except Exception as error:
            _tell(str(error))
            return _SPOILT
        _tell(str(result), repr(result), json.dumps(result))
    except BaseException:
        return _SPOILT
    return _WON if result is True else _HARMLESS


def _tell(*texts: str) -> None:
    for text in texts:
        if len(text.encode()) > _TEXT_LIMIT:
            raise MemoryError
