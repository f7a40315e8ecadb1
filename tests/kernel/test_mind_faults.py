"""Faults of models seen from outside: what the user reads, and that the kernel serves on. Real weights, a real host."""

import json
import os
import signal
import threading
import time

import pytest

from batos.mind import sources
from batos.mind.catalog import find
from batos.settings import Settings
from tests.kernel.harness import Client, Kernel, mission
from tests.mind.test_adoption import matrices, stage

MODEL = "smollm2-135m"

pytestmark = [pytest.mark.real, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def kernel(tmp_path_factory):
    """A kernel with a small model, a truncated one, one that is not there, and one adapter of each kind staged."""
    cache = Settings.load().weights_cache
    if not sources.is_whole(find(MODEL), cache):
        message = f"the weights are not in the cache: python -m batos models fetch {MODEL}"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)
    home = tmp_path_factory.mktemp("home")
    with sources.path_of(find(MODEL), cache).open("rb") as whole:
        (home / "cut.gguf").write_bytes(whole.read(20 << 20))
    (home / "text.gguf").write_text("this is no model")
    (home / "large.gguf").write_bytes(b"GGUF" + bytes(200 << 20))
    stage(home / "lora_adapters", "bard", matrices())
    stage(home / "lora_adapters", "alien", matrices(outer=100))
    models = {"ALFRED": MODEL, "BRICK": MODEL, "ROBIN": MODEL, "BABS": "cut.gguf"}
    running = Kernel(home, PERSONA_MODELS=json.dumps(models), MEMORY_BUDGET=str(150 << 20))
    running.env["BATOS_ENGINE"] = "llama.cpp"
    running.env["BATOS_WEIGHTS_CACHE"] = str(cache)
    running.env["XDG_CACHE_HOME"] = str(home / "cache")
    running.start()
    yield running
    running.stop()


@pytest.fixture
def client(kernel):
    """A client of that kernel; when the test is over the kernel must still answer."""
    with Client(kernel) as connected:
        yield connected
        assert connected.ask({"command": "ping"})["ready"]


def models(client, action, name=None, **more):
    return client.ask({"command": "models", "action": action, "name": name, **more}, timeout=120)


@pytest.mark.parametrize(
    ("name", "kind", "said", "hint"),
    [
        ("cut.gguf", "ModelError", "cannot load", "models verify"),
        ("text.gguf", "ModelError", "cannot load", "models verify"),
        ("large.gguf", "ModelError", "200 MiB, and the budget for models is 150 MiB", "MEMORY_BUDGET"),
        ("absent.gguf", "NoWeights", "there is no model", "PERSONA_MODELS"),
    ],
)
def test_weights_that_do_not_load(client, name, kind, said, hint):
    """Broken, too large or missing weights: what is wrong and what to do; the next model loads."""
    error = models(client, "load", name)["error"]
    assert error["type"] == kind
    assert said in error["message"]
    assert hint in error["hint"]
    assert models(client, "load", MODEL)["status"] == "OK"


def test_a_mission_whose_model_is_broken_fails_with_the_reason(client):
    """A cycle whose persona has broken weights ends FAILED with the model's error; nothing is installed."""
    end = client.ask(mission("sing", persona="BABS", intent="sing a song"), timeout=200)
    assert end["status"] == "FAILED"
    assert "cannot load" in end["error"]["message"]
    assert client.call("sing", learn=False)["status"] in ("NOT_UNDERSTOOD", "ERROR")


def test_a_killed_host_costs_one_generation(kernel, client):
    """`kill -9` of the host while a model writes: the mission goes on or says why, and the next generation works."""
    models(client, "load", MODEL)
    before = client.ask({"command": "status"})["mind"]["hosts"]["text"]

    def kill():
        with Client(kernel) as other:
            while not other.ask({"command": "status"})["mind"]["hosts"]["text"]["waiting"]:
                time.sleep(0.01)
        os.kill(before["pid"], signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    end = client.ask(mission("count_sheep", intent="count sheep and tell a long story of each"), timeout=250)
    killer.join()
    assert end["status"] in ("COMPLETE", "FAILED")
    after = client.ask({"command": "status"})["mind"]["hosts"]["text"]
    assert after["deaths"] == before["deaths"] + 1
    assert "SIGKILL" in after["last_death"]
    assert models(client, "load", MODEL)["status"] == "OK"


def test_adapters_are_taken_in_or_refused_with_a_reason(kernel, client):
    """A staged adapter enters the image, one for another base stays with its reason; attaching and pinning are kept."""
    report = models(client, "adopt")
    assert "BARD" in report["taken"] + report["known"]
    assert "another base" in report["refused"]["ALIEN"]
    assert "another base" in (kernel.home / "lora_adapters/ALIEN.refused.txt").read_text()
    assert models(client, "attach", "BARD", persona="ROBIN")["adapters"][0]["personas"] == ["ROBIN"]
    assert models(client, "attach", "NOBODY", persona="ROBIN")["error"]["type"] == "UnknownTarget"
    assert models(client, "attach", "BARD")["error"]["type"] == "BadField"
    assert models(client, "pin", MODEL)["pinned"] == [MODEL]
    kernel.stop()
    kernel.start()
    with Client(kernel) as again:
        listed = models(again, "list")
        assert listed["pinned"] == [MODEL]
        assert listed["adapters"][0]["personas"] == ["ROBIN"]
        assert models(again, "detach", persona="ROBIN")["adapters"][0]["personas"] == []
        assert models(again, "unpin", MODEL)["pinned"] == []
