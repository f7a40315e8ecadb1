"""The image's past over the bridge: `as_of`, `diff`, `snapshot`, `changes`, `undo`, `explain` by moment."""

from __future__ import annotations

import itertools

import pytest

from batos.codec import Ref
from tests.kernel.harness import Client, Kernel

_NAMES = (f"past_{number}" for number in itertools.count())


@pytest.fixture
def box(client) -> str:
    """A fresh object with a slot and a method that writes it."""
    name = next(_NAMES)
    assert client.ask({"command": "create", "slots": {"n": 1}, "name": name})["status"] == "OK"
    source = "def bump(self, by=1):\n    self.n = self.n + by\n    self._p_changed = True\n    return self.n\n"
    done = client.ask({"command": "install", "target_oid": name, "selector": "bump", "source": source})
    assert done["status"] == "COMPLETE", done
    return name


def as_of(client, when: str, request: dict, field: str = "tid") -> dict:
    return client.ask({"command": "as_of", field: when, "request": request})


def inspect(name: str) -> dict:
    return {"command": "inspect", "target_oid": name}


def set_n(client, name: str, n: int) -> str:
    return client.ask({"command": "set", "target_oid": name, "slots": {"n": n}})["tid"]


class TestAsOf:
    def test_inspect_and_history(self, client, box):
        """Slots and versions are those of the moment, by tid, by time and by a snapshot's name."""
        tid = set_n(client, box, 5)
        client.ask({"command": "snapshot", "name": f"{box}_five"})
        set_n(client, box, 6)
        client.ask({"command": "rollback", "target_oid": box, "selector": "bump", "version": 1})
        row = next(row for row in client.ask({"command": "changes"})["changes"] if row["tid"] == tid)
        assert as_of(client, tid, inspect(box))["slots"] == {"n": 5}
        assert as_of(client, f"{box}_five", inspect(box))["slots"] == {"n": 5}
        assert as_of(client, row["time"], inspect(box), "time")["slots"] == {"n": 5}
        asked = {"command": "history", "target_oid": box, "selector": "bump"}
        assert [v["version"] for v in as_of(client, tid, asked)["versions"]] == [1]
        assert [v["version"] for v in client.ask(asked)["versions"]] == [1, 2]

    def test_a_message_to_the_past_changes_nothing(self, client, box):
        """The method runs on the old slots, answers, and neither the past nor the present has its write."""
        tid = set_n(client, box, 5)
        set_n(client, box, 100)
        send = {"command": "send", "target_oid": box, "selector": "bump", "args": [2]}
        for _ in range(2):
            told = as_of(client, tid, send)
            assert (told["status"], told["result"], told["tid"]) == ("OK", 7, tid)
        assert client.ask(inspect(box))["slots"] == {"n": 100}

    def test_what_was_not_understood_then(self, client, box):
        """A selector that came later is not understood in the past, and starts no mission."""
        row = client.ask({"command": "history", "target_oid": box, "selector": "bump"})["versions"][0]
        before = f"{int(row['tid'], 16) - 1:016x}"
        told = as_of(client, before, {"command": "send", "target_oid": box, "selector": "bump"})
        assert told["status"] == "NOT_UNDERSTOOD"

    def test_refusals(self, client, box):
        """Other commands, moments to come, primitives, and a request without a moment are refused by name."""
        tid = set_n(client, box, 5)
        cases = [
            ({"command": "set", "target_oid": box, "slots": {"n": 1}}, "BadField"),
            ({"command": "send", "target_oid": box}, "BadField"),
            ({"command": "send", "target_oid": box, "selector": "clone"}, "NotAllowed"),
            (inspect("nobody"), "UnknownTarget"),
        ]
        for request, error in cases:
            assert as_of(client, tid, request)["error"]["type"] == error, request
        assert as_of(client, "f" * 16, inspect(box))["error"]["type"] == "BadField"
        assert as_of(client, "2999-01-01", inspect(box), "time")["error"]["type"] == "BadField"
        assert client.ask({"command": "as_of", "request": inspect(box)})["error"]["type"] == "BadField"


class TestDiff:
    def test_two_versions_and_two_moments(self, client, box):
        """Versions give a unified difference; moments give slots and the methods that changed."""
        first = set_n(client, box, 5)
        source = "def bump(self, by=1):\n    return self.n + by\n"
        done = client.ask({"command": "install", "target_oid": box, "selector": "bump", "source": source})
        assert done["version"] == 2, done
        second = client.ask({"command": "set", "target_oid": box, "slots": {"n": 6, "tags": ["x"]}})["tid"]
        told = client.ask({"command": "diff", "target_oid": box, "selector": "bump", "versions": [1, 2]})
        assert "+    return self.n + by\n" in told["unified"]
        told = client.ask({"command": "diff", "target_oid": box, "tids": [first, second]})
        assert told["slots"] == {"added": {"tags": ["x"]}, "removed": {}, "changed": {"n": [5, 6]}}
        assert "-    self._p_changed = True\n" in told["unified"]
        assert client.ask({"command": "diff", "target_oid": box})["error"]["type"] == "BadField"


class TestExplain:
    def test_by_moment(self, client, box):
        """The version that was active at a moment is explained, whatever came later."""
        tid = set_n(client, box, 5)
        client.ask({"command": "rollback", "target_oid": box, "selector": "bump", "version": 1})
        asked = {"command": "explain", "target_oid": box, "selector": "bump"}
        assert client.ask({**asked, "tid": tid})["version"] == 1
        assert client.ask(asked)["version"] == 2


class TestChanges:
    def test_who_when_why_what(self, client, box):
        """An entry names the client's key, the command, the object and the slots that it changed."""
        tid = set_n(client, box, 9)
        told = client.ask({"command": "changes"})
        assert told["status"] == "OK", told
        entry = next(row for row in told["changes"] if row["tid"] == tid)
        assert entry["user"] == "client"
        assert entry["note"] == "set"
        assert entry["why"] == {"command": "set", "target_oid": box}
        assert [(row["name"], row["changed"]) for row in entry["objects"]] == [(box, ["n"])]
        assert entry["time"] > "2020"

    def test_sends_and_installs_are_told(self, client, box):
        """What a method wrote carries the message, what a mission installed its version."""
        tid = client.call("bump", target=box)["tid"]
        rows = client.ask({"command": "changes"})["changes"]
        entry = next(row for row in rows if row["tid"] == tid)
        assert entry["why"] == {"command": "send", "target_oid": box, "selector": "bump"}
        entry = next(row for row in rows if row["methods"])
        assert {k: entry["methods"][0][k] for k in ("selector", "version")} == {"selector": "bump", "version": 1}
        assert (entry["user"], entry["why"]["command"], entry["why"]["target_oid"]) == ("client", "install", box)


class TestUndo:
    def test_the_last_change_goes_back(self, client, box):
        """`undo` tells what it took back; the object is as before, and a second undo does it again."""
        set_n(client, box, 5)
        tid = set_n(client, box, 6)
        told = client.ask({"command": "undo"})
        assert (told["undone"]["tid"], told["undone"]["note"]) == (tid, "set")
        assert told["undone"]["objects"][0]["name"] == box
        assert client.ask(inspect(box))["slots"] == {"n": 5}
        assert client.ask({"command": "undo"})["undone"]["tid"] == told["tid"]
        assert client.ask(inspect(box))["slots"] == {"n": 6}

    def test_an_install_is_undone_and_the_kernel_goes_on(self, client, box):
        """A method that a mission installed is gone; the next mission gets the log and the version right."""
        told = client.ask({"command": "undo"})
        assert told["status"] == "OK", told
        assert client.ask(inspect(box))["methods"] == {}
        done = client.ask(
            {"command": "install", "target_oid": box, "selector": "bump", "source": "def bump(self):\n    return 1\n"}
        )
        assert (done["status"], done["version"]) == ("COMPLETE", 1)
        assert client.call("bump", target=box)["result"] == 1


class TestSnapshots:
    def test_named_listed_removed(self, client, box):
        """A moment gets a name, is listed with who named it, and loses it."""
        taken = client.ask({"command": "snapshot", "name": f"{box}_here"})
        assert taken["user"] == "client"
        assert taken["name"] in [row["name"] for row in client.ask({"command": "snapshot"})["snapshots"]]
        assert client.ask({"command": "snapshot", "name": f"{box}_here"})["error"]["type"] == "BadField"
        assert client.ask({"command": "snapshot", "name": f"{box}_here", "remove": True})["tid"] == taken["tid"]


def test_others_than_operators_may_look_but_not_touch(tmp_path):
    """A key without the role reads the past; undo, naming, the change log, binding states and the image's work are NotAllowed."""
    kernel = Kernel(tmp_path).start()
    try:
        authorized = tmp_path / "keys" / "authorized" / "client.key"
        authorized.write_text(authorized.read_text().replace('role = "operator"', 'role = ""'))
        kernel.stop()
        kernel.start()
        with Client(kernel) as client:
            oid = client.ask(inspect("genesis_obj"))["oid"]
            assert isinstance(oid, Ref)
            refused = [
                {"command": "undo"},
                {"command": "changes"},
                {"command": "bind", "state": "DECOMPOSING", "primitive": "psm.decomposing.words"},
                {"command": "snapshot", "name": "mine"},
                *({"command": "image", "action": action} for action in ("check", "pack", "census", "statistics")),
            ]
            for request in refused:
                assert client.ask(request)["error"]["type"] == "NotAllowed", request
            assert client.ask({"command": "snapshot"})["snapshots"] == []
            tid = client.ask({"command": "status"})["tid"]
            assert as_of(client, tid, inspect("genesis_obj"))["oid"] == oid
    finally:
        kernel.stop()
