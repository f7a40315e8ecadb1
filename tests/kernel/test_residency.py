"""Which models are in memory, who waits, how often they changed, which adapters there are: as `status` and `models` show it."""

import json
import sys
import time

import pytest

from tests.kernel.doubled import begun, doubled
from tests.kernel.harness import Client, mission

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the host's doubles use signals")
MODELS = {"ALFRED": "tiny.gguf", "BRICK": "tiny.gguf", "ROBIN": "other.gguf", "BABS": "tiny.gguf"}


def started(home, **env):
    """A kernel of two text models, and room in memory for one of them."""
    kernel = doubled(home, json.dumps(MODELS), MEMORY_BUDGET="10", **env)
    (home / "other.gguf").write_bytes(b"GGUF other")
    return kernel.start()


@pytest.fixture
def kernel(tmp_path):
    """Such a kernel."""
    running = started(tmp_path)
    yield running
    running.stop()


def mind(client):
    return client.ask({"command": "status"})["mind"]


def seen(client, wanted):
    """Look at `status` until it shows what is wanted; gives that."""
    deadline = time.monotonic() + 30
    while not wanted(found := mind(client)):
        assert time.monotonic() < deadline, found
    return found


def names(found):
    """The text models in memory; the one for embeddings comes and goes with what is to be woven."""
    return [model["name"] for model in found["models"] if model["name"] != "vectors"]


def pids(found):
    return [host["pid"] for host in found["hosts"].values()]


def test_who_waits_and_what_changed_is_shown(kernel):
    """While a mission writes with one model another one waits for its turn; then the models change, and `status` counts it."""
    with Client(kernel) as client, Client(kernel) as other:
        seen(client, lambda found: names(found) == ["tiny"])
        before = mind(client)
        writing, cycle = begun(client, "wait_here", persona="BRICK")
        loading = other.send({"command": "models", "action": "load", "name": "other.gguf"})
        with Client(kernel) as third:
            found = seen(third, lambda found: found["waiting"] == 1)
            assert (names(found), found["switches"]) == (["tiny"], before["switches"])
            assert third.ask({"command": "cancel", "cycle_id": cycle})["status"] == "OK"
        assert client.last_word(writing)["error"]["type"] == "Cancelled"
        assert other.last_word(loading)["status"] == "OK"
        after = mind(client)
        assert (names(after), after["waiting"]) == (["other"], 0)
        assert after["switches"] == before["switches"] + 1
        assert sum(model["bytes"] for model in after["models"]) <= after["budget"] == 10


def test_idle_models_leave_and_status_shows_it(tmp_path):
    """After MODEL_IDLE_SECONDS without a request the models of both hosts are gone, and so are the hosts; a pinned one stays."""
    kernel = started(tmp_path, MODEL_IDLE_SECONDS="0.5")
    try:
        with Client(kernel) as client:
            assert client.ask(mission("write_this", persona="BRICK"))["status"] == "COMPLETE"
            found = seen(client, lambda found: not found["models"] and pids(found) == [0, 0])
            assert found["hosts"]["embedding"]["starts"] >= 1
            assert client.ask({"command": "models", "action": "pin", "name": "tiny.gguf"})["pinned"] == ["tiny"]
            assert client.ask(mission("write_that", persona="BRICK"))["status"] == "COMPLETE"
            found = seen(client, lambda found: names(found) == ["tiny"] and 0 in pids(found))
            assert found["pinned"] == ["tiny"]
            assert client.ask({"command": "models", "action": "unload", "name": "tiny"})["models"] == []
    finally:
        kernel.stop()


def test_adapters_that_are_staged_at_the_start_are_shown(tmp_path):
    """What lies in the staging folder is taken in or refused after the start without a command; `models` and the folder say which."""
    for name in ("bard", "alien"):
        folder = tmp_path / "lora_adapters" / name
        folder.mkdir(parents=True)
        (folder / "adapter_config.json").write_text(json.dumps({"r": 2}))
        (folder / "adapter_model.safetensors").write_bytes(name.encode())
    kernel = started(tmp_path)
    try:
        with Client(kernel) as client:
            deadline = time.monotonic() + 30
            while not (listed := client.ask({"command": "models", "action": "list"})["adapters"]):
                assert time.monotonic() < deadline
            assert [(adapter["name"], adapter["rank"], adapter["personas"]) for adapter in listed] == [("BARD", 2, [])]
            assert "another base" in (tmp_path / "lora_adapters" / "ALIEN.refused.txt").read_text()
            attach = {"command": "models", "action": "attach", "name": "BARD", "persona": "ROBIN"}
            assert client.ask(attach)["adapters"][0]["personas"] == ["ROBIN"]
            end = client.ask(mission("sing_this", persona="ROBIN"))
            told = client.ask(
                {"command": "explain", "target_oid": "genesis_obj", "selector": "sing_this", "version": 1}
            )
        assert end["status"] == "COMPLETE"
        assert told["provenance"]["author"]["adapter"] == f"BARD {listed[0]['sha256']}"
    finally:
        kernel.stop()
