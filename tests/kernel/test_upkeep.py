"""The command `image` of a kernel that serves: reports, progress, and nobody waits for it."""

from __future__ import annotations

import threading

import pytest

from batos.image import blobs, graph, mirrors, restore
from batos.image.store import Image
from tests.kernel.harness import Client

BUMP = "def bump(self):\n    self.n = getattr(self, 'n', 0) + 1\n    self._p_changed = True\n    return self.n\n"


def image(client, action: str, timeout: float = 60, **fields) -> dict:
    return client.ask({"command": "image", "action": action, **fields}, timeout)


@pytest.fixture(scope="module")
def taught(kernel):
    """The kernel, with an object whose method calls and writes."""
    with Client(kernel) as client:
        client.ask({"command": "create", "name": "counter", "slots": {"n": 0}})
        done = client.ask({"command": "install", "target_oid": "counter", "selector": "bump", "source": BUMP})
        assert done["status"] == "COMPLETE", done
        done = client.ask(
            {
                "command": "install",
                "target_oid": "counter",
                "selector": "twice",
                "source": "def twice(self):\n    return self.bump() + self.bump()\n",
            }
        )
        assert done["status"] == "COMPLETE", done
    return kernel


class Load:
    """Sends without a pause from a thread of its own, and notes every answer that is not good."""

    def __init__(self, kernel) -> None:
        self._kernel = kernel
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.answers: list[dict] = []

    def _run(self) -> None:
        with Client(self._kernel) as client:
            while not self._stop.is_set():
                self.answers.append(client.call("bump", target="counter"))

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()


class TestLooks:
    def test_census_statistics_implementors_senders_references(self, taught, client):
        """Each action answers of the image that serves."""
        assert image(client, "check")["bad"] == []
        figures = image(client, "statistics")
        assert figures["door"]["commits"] > 0
        kinds = {row["kind"]: row["records"] for row in image(client, "census")["kinds"]}
        assert kinds["MethodVersion"] == figures["versions"]
        assert "counter" in [row["name"] for row in image(client, "implementors", selector="bump")["implementors"]]
        rows = image(client, "senders", selector="bump")["senders"]
        assert ("counter", "twice") in [(row["name"], row["selector"]) for row in rows]
        rows = image(client, "references", target_oid="counter")["references"]
        assert "PersistentMapping" in [row["kind"] for row in rows]

    def test_fields_are_asked_for(self, client):
        """An action without what it needs, or one that is none, is a bad field that says so."""
        for action in ("backup", "export", "import", "references", "senders", "implementors", "burn"):
            assert image(client, action)["error"]["type"] == "BadField", action


class TestUnderLoad:
    def test_a_backup_is_one_moment(self, taught, client, tmp_path):
        """Taken while messages write, restored elsewhere: the graph of one moment, progress told, all sends answered."""
        with Load(taught) as load:
            told = image(client, "backup", folder=str(tmp_path / "backup"))
            whats = {event["what"] for event in client.events}
        assert told["status"] == "OK", told
        assert whats >= {"copy", "compare"}
        assert [event["seq"] for event in client.events] == list(range(1, len(client.events) + 1))
        assert all(answer["status"] == "OK" for answer in load.answers)
        restore.restore(tmp_path / "backup", tmp_path / "i.fs", tmp_path / "i.fs.blob")
        copy = Image(tmp_path / "i.fs", tmp_path / "i.fs.blob")
        try:
            found = copy.study_now(lambda view: graph.fingerprint(graph.of_view(view))).value
            assert found.sha256 == told["graph"]["sha256"]
            assert copy.tid == told["tid"]
            n = copy.read_now(mirrors.inspect, "counter").value["slots"]["n"]
            assert n <= load.answers[-1]["result"]
            assert copy.read_now(blobs.listing).value == []
        finally:
            copy.close_now()

    def test_sends_go_on_while_it_packs(self, taught, client):
        """Every message sent while packs run is answered, in order, none is lost and none fails."""
        with Load(taught) as load:
            for _ in range(3):
                report = image(client, "pack", days=0)
                assert report["status"] == "OK", report
        results = [answer["result"] for answer in load.answers]
        assert results == list(range(results[0], results[0] + len(results)))
        assert client.call("n", target="counter")["result"] == results[-1]

    def test_the_past_before_a_pack(self, taught, client):
        """What was packed away is told with the moment from which history is kept; versions are still there."""
        tid = client.call("bump", target="counter")["tid"]
        client.call("bump", target="counter")
        client.call("bump", target="counter")
        image(client, "pack", days=0)
        for request in (
            {"command": "inspect", "target_oid": "counter"},
            {"command": "send", "target_oid": "counter", "selector": "bump"},
        ):
            told = client.ask({"command": "as_of", "tid": tid, "request": request})
            assert told["error"]["type"] == "UnknownTarget"
            assert "history is kept from" in told["error"]["message"]
        told = client.ask({"command": "explain", "target_oid": "counter", "selector": "bump", "tid": tid})
        assert (told["version"], told["source"]) == (1, BUMP)


class TestExchange:
    def test_an_object_moves(self, taught, client):
        """An export comes back under another name with its history, answers, and is found by meaning."""
        files = image(client, "export", target_oid="counter")["files"]
        assert files["methods/bump.py"] == BUMP.encode()
        told = image(client, "import", files=files, name="moved")
        assert told["status"] == "OK", told
        assert client.call("bump", target="moved")["result"] == client.call("bump", target="counter")["result"]
        rows = client.ask({"command": "history", "target_oid": "moved", "selector": "bump"})["versions"]
        assert rows[0]["provenance"]
        assert image(client, "check")["bad"] == []

    def test_what_breaks_the_covenant_does_not_come_in(self, taught, client):
        """The Guardian reads active sources first; force takes them all the same."""
        import hashlib
        import json

        files = dict(image(client, "export", target_oid="counter")["files"])
        source = b"def bump(self):\n    self.n = 1\n    return self.n\n"
        about = json.loads(files["methods/bump.json"])
        about["versions"][-1]["sha256"] = hashlib.sha256(source).hexdigest()
        files |= {"methods/bump.py": source, "methods/bump.json": json.dumps(about).encode()}
        told = image(client, "import", files=files, name="unkept")
        assert told["error"]["type"] == "CovenantViolationError", told
        assert image(client, "import", files=files, name="unkept", force=True)["status"] == "OK"
