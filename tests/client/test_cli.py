"""`chat_client.py` as people and programs run it: a process of its own, against a double of the kernel."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.client.double import Double

ROOT = Path(__file__).parents[2]
CLIENT = str(ROOT / "chat_client.py")


async def run(kernel: Double, *args: str, stdin: str = "", **env: str) -> tuple[int, str]:
    """Run the client; gives its exit code and what it printed."""
    settings = {
        "BATOS_HOME": str(kernel.home),
        "BATOS_ZMQ_ENDPOINT": kernel.endpoint,
        "BATOS_TRANSLATOR": "rules",
        **env,
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, CLIENT, *args),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, "PYTHONUTF8": "1", **settings},
    )
    out, _ = await process.communicate(stdin.encode())
    return process.returncode or 0, out.decode().replace("\r\n", "\n")


@pytest.fixture
def taught(kernel: Double) -> Double:
    """A double that completes every mission and answers every message."""

    async def cycle(request: dict[str, Any], say: Any) -> dict[str, Any]:
        await say({"event": "accepted", "cycle_id": "c1", "seq": 1})
        await say({"event": "transition", "from": "IDLE", "to": "DECOMPOSING", "seq": 2})
        selector = request["mission_brief"]["selector"]
        source = f"def {selector}(self):\n    return 'noon'\n"
        word = {"status": "COMPLETE", "cycle_id": "c1", "selector": selector, "installed": True, "version": 1}
        return {**word, "source": source, "result": "noon"}

    kernel.answers["initiate_cognitive_cycle"] = cycle
    kernel.answers["send"] = lambda r, _s: {"status": "OK", "result": r["args"], "tid": "0" * 16}
    kernel.answers["translate"] = lambda _r, _s: {
        "status": "OK",
        "kind": "unclear",
        "request": None,
        "source": "memory",
        "understands": [{"selector": "greet_user", "signature": "(self, name)", "summary": ""}],
    }
    return kernel


async def test_a_mission_is_shown_from_words_to_result(taught: Double) -> None:
    """`--mission` prints states, the source and the result as plain text, and exits 0."""
    code, out = await run(taught, "--mission", "create a method to report the current system time")
    assert code == 0
    shown = [line.split("  ")[0] for line in out.splitlines()]
    assert shown[:4] == ["→ report_the_current_system_time()", "· accepted as c1", "· DECOMPOSING", shown[3]]
    assert shown[3].startswith("✓ report_the_current_system_time version 1 is installed")
    assert out.splitlines()[4:] == ["def report_the_current_system_time(self):", "    return 'noon'", "noon"]


async def test_json_lines_and_a_question_back(taught: Double) -> None:
    """`--json` prints only JSON lines; one mission that is asked back makes the exit code 1."""
    code, out = await run(taught, "--json", "--mission", "greet Ada", "--mission", "fizz", "--target", "abacus")
    lines = [json.loads(line) for line in out.splitlines()]
    assert code == 1
    assert [line.get("event") or line["status"] for line in lines] == ["translated", "OK", "translated", "UNCLEAR"]
    assert lines[1]["result"] == ["Ada"]
    assert lines[0]["request"]["target_oid"] == "abacus"


async def test_lines_come_from_a_pipe(taught: Double) -> None:
    """Without a terminal each line of stdin is a mission or a slash command; a backslash joins lines; `exit` ends."""
    code, out = await run(taught, stdin='greet_user("A\\nda")\n/help\n\ngreet \\\nAda\nexit\n/nonsense\n')
    assert code == 0
    assert "['A\\nda']" in out
    assert "['Ada']" in out
    assert "/rollback SELECTOR VERSION" in out
    assert "nonsense" not in out


async def test_no_kernel_is_code_2(kernel: Double, tmp_path: Path) -> None:
    """Without a kernel, or without its keys, the client says what to do and exits 2."""
    await kernel.stop()
    code, out = await run(kernel, "--mission", "hello", "--wait", "0.2")
    assert (code, "puter.sh" in out) == (2, True)
    code, out = await run(kernel, "--mission", "hello", "--wait", "0.2", "--json", BATOS_HOME=str(tmp_path / "empty"))
    assert (code, json.loads(out)["error"]["type"]) == (2, "Unreachable")


async def test_a_bad_setting_is_code_5(kernel: Double) -> None:
    """A wrong setting is refused with its name."""
    code, out = await run(kernel, "--mission", "hello", BATOS_TRANSLATOR="magic")
    assert code == 5
    assert "BATOS_TRANSLATOR" in out


def test_the_process_holds_no_image_and_no_torch() -> None:
    """Everything that the client may import brings in neither ZODB nor torch nor the kernel."""
    program = (
        "import sys; from batos.client import bridge, cli, console, live, missions, narrate, render, session, show, sync, "
        "translator; import batos.cognition.translation; print('\\n'.join(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert not [
        name for name in loaded if name.split(".")[0] in ("ZODB", "BTrees", "transaction", "torch", "llama_cpp")
    ]
    readers = {"batos.memory", "batos.memory.readers", "batos.memory.sources"}  # they know files alone
    ours = [name for name in loaded if name.startswith(("batos.kernel", "batos.image", "batos.memory"))]
    assert set(ours) <= readers


def test_help_is_quick_and_light() -> None:
    """`--help` needs neither rich nor prompt_toolkit nor ZeroMQ."""
    program = (
        "import sys, contextlib\nfrom batos.client.cli import main\n"
        "with contextlib.suppress(SystemExit): main(['--help'])\n"
        "print(sorted({'rich', 'prompt_toolkit', 'zmq', 'llama_cpp'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "--mission TEXT" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"
