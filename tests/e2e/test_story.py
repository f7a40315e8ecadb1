"""The story that must work: real weights, a real kernel, the real client; then `kill -9`, and the method is still there."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from batos.mind import sources
from batos.mind.catalog import find
from batos.settings import Settings
from tests.kernel.harness import ROOT, Client, Kernel, mission

MODEL = "qwen2.5-coder-0.5b"
WORDS = "create a method to report the current system time"

pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def awake(tmp_path_factory):
    """A kernel whose personas share the real 0.5B."""
    if not sources.is_whole(find(MODEL), Settings.load().weights_cache):
        message = f"the weights are not in the cache: python -m batos models fetch {MODEL}"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)
    kernel = Kernel(tmp_path_factory.mktemp("home"), PERSONA_MODELS=MODEL)
    kernel.env["BATOS_ENGINE"] = "auto"
    if cache := os.environ.get("BATOS_WEIGHTS_CACHE"):
        kernel.env["BATOS_WEIGHTS_CACHE"] = cache
    kernel.start()
    yield kernel
    kernel.stop()


def _run(kernel, words):
    """Run one mission by the real client; gives its JSON lines."""
    command = [sys.executable, str(ROOT / "chat_client.py"), "--json", "--mission", words]
    done = subprocess.run(command, env=kernel.env, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_teach_once_then_directly_then_after_a_crash(awake):
    """Words become a method that tells the time; the same words are then answered without a model, also after `kill -9`."""
    taught = _run(awake, WORDS)
    end = taught[-1]
    assert (end["status"], end["installed"]) == ("COMPLETE", True)
    assert end["selector"] == "report_the_current_system_time"
    assert str(datetime.now(UTC).year) in str(end["result"])
    with Client(awake) as client:
        told = client.ask({"command": "explain", "target_oid": "genesis_obj", "selector": end["selector"]})
        tokens = client.ask({"command": "status"})["mind"]["tokens"]
    events = [json.loads(line)["event_type"] for line in (awake.home / "metacognition.jsonl").read_text().splitlines()]
    assert "MODEL_LOADED" in events
    assert told["provenance"]["author"]["model"] == MODEL
    assert told["provenance"]["author"]["model_sha256"] == find(MODEL).files[0].sha256

    again = _run(awake, WORDS)[-1]
    assert (again["status"], again["installed"]) == ("COMPLETE", False)
    with Client(awake) as client:
        assert client.ask({"command": "status"})["mind"]["tokens"] == tokens

    awake.kill()
    awake.start()
    after = _run(awake, WORDS)[-1]
    assert (after["status"], after["installed"]) == ("COMPLETE", False)


def test_a_state_changing_method_with_examples(awake):
    """A mission with examples over several calls installs a method whose effects last."""
    steps = [{"args": [5], "result": 5}, {"args": [7], "result": 12, "slots": {"total": 12}}]
    brief = {"intent": "add the number to the slot total, which begins at 0, and return the total", "args": [3]}
    request = mission("add_up", parameters=[{"name": "number"}], examples=[{"steps": steps}], **brief)
    with Client(awake) as client:
        reply = client.ask(request, timeout=400)
        assert reply["status"] == "COMPLETE", reply
        assert reply["result"] == 3
        assert client.call("add_up", 4)["result"] == 7
