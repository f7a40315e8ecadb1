"""The heartbeat: what one beat does, and that it leaves a line of what it found."""

import json
from datetime import datetime, timedelta
from itertools import pairwise

import pytest

from tests.kernel.harness import DECOMPOSE, Client, Kernel, writes

GOOD = "def twice(self, n):\n    return n * 2\n"
RULES = [
    writes("late", "def late(self, n):\n    return ]\n", times=4),
    writes("late", "def late(self, n):\n    return n\n"),
    writes("never", "def never(self, n):\n    return ]\n"),
]


def _beats(home):
    lines = [json.loads(line) for line in (home / "metacognition.jsonl").read_text().splitlines()]
    return [line for line in lines if line["event_type"] == "HEARTBEAT"]


def test_a_beat_looks_after_everything_once(tmp_path, until):
    """Methods are audited, evidence is run again, a failed mission is retried once, the image is checked and packed."""
    kernel = Kernel(tmp_path, RULES, HEARTBEAT_SECONDS="2").start()
    try:
        with Client(kernel) as client:
            request = {"command": "install", "target_oid": "genesis_obj", "selector": "twice", "source": GOOD}
            assert client.ask({**request, "examples": [{"args": [2], "result": 4}]})["status"] == "COMPLETE"
            for selector in ("late", "never"):
                assert client.teach(selector, parameters=[{"name": "n"}])["status"] == "FAILED"
            until(lambda: client.call("late", 3)["status"] == "OK", "the retry that comes off")
            cycles = {"command": "cycles", "state": "FAILED"}
            until(lambda: len(client.ask(cycles)["cycles"]) == 3, "the retry that does not")
            seen = len(_beats(tmp_path))
            until(lambda: len(_beats(tmp_path)) >= seen + 2, "two more beats")
            # What was retried once is left alone.
            assert len(client.ask(cycles)["cycles"]) == 3
            told = client.ask({"command": "status"})["heartbeat"]
    finally:
        kernel.stop()
    assert told["last"]["audited"] >= 2
    assert told["last"]["rerun"] >= 1
    assert (told["last"]["findings"], told["last"]["failing"]) == ([], [])
    assert (told["last"]["image"], told["last"]["packed"]) == ("sound", True)
    beats = _beats(tmp_path)
    assert {beat["retried"] for beat in beats} == {"late", "never", None}
    assert all(beat["persona"] == "ALFRED" for beat in beats)


def _install(client, selector, source, *examples):
    request = {"command": "install", "target_oid": "genesis_obj", "selector": selector, "source": source}
    assert client.ask({**request, "examples": list(examples)})["status"] == "COMPLETE"


def _beaten(kernel, until, count=2):
    """Wait for so many more beats; gives them."""
    seen = len(_beats(kernel.home)) if (kernel.home / "metacognition.jsonl").exists() else 0
    until(lambda: len(_beats(kernel.home)) >= seen + count, "beats")
    return _beats(kernel.home)[seen:]


def _accepted(home):
    lines = [json.loads(line) for line in (home / "metacognition.jsonl").read_text().splitlines()]
    return [(line["selector"], line.get("asked_by")) for line in lines if line["event_type"] == "MISSION_ACCEPTED"]


@pytest.mark.parametrize("allowed", ["off", "on"])
def test_missions_of_its_own_making_only_where_set(tmp_path, until, allowed):
    """A method that breaks a permanent example is reported; it is repaired where SELF_MISSIONS is on, once and marked, else never."""
    wrong, right = "def twice(self, n):\n    return n + 2\n", "def twice(self, n):\n    return n * 2\n"
    kernel = Kernel(tmp_path, [writes("twice", wrong)], ATTEMPTS="1", SELF_MISSIONS=allowed).start()
    try:
        with Client(kernel) as client:
            _install(client, "twice", wrong)
            asked = {"command": "correct", "target_oid": "genesis_obj", "selector": "twice", "args": [5], "result": 10}
            assert client.ask(asked)["status"] == "FAILED"
        kernel.stop()
        (tmp_path / "script.json").write_text(json.dumps([DECOMPOSE, writes("twice", right)]))
        kernel.start(HEARTBEAT_SECONDS="0.2")
        beats = _beaten(kernel, until, 4)
        with Client(kernel) as client:
            result, versions = client.call("twice", 5)["result"], _history(client, "twice")
            asked_by = [row["asked_by"] for row in client.ask({"command": "cycles"})["cycles"]]
    finally:
        kernel.stop()
    failing = {"selector": "twice", "version": 1, "finding": "twice(5) must give 10, but gave 7"}
    assert failing.items() <= beats[0]["failing"][0].items()
    own = [(selector, by) for selector, by in _accepted(tmp_path) if by]
    if allowed == "on":
        assert (result, [beat["repaired"] for beat in beats]) == (10, ["twice", None, None, None])
        assert beats[-1]["failing"] == []
        assert own == [("twice", "heartbeat")]
        assert (versions[1]["origin"], versions[1]["asked_by"]) == ("repair", "heartbeat")
        assert asked_by.count("heartbeat") == 1
    else:
        assert (result, {beat["repaired"] for beat in beats}, len(versions)) == (7, {None}, 1)
        assert (own, set(asked_by)) == ([], {"requester"})
        assert beats[-1]["failing"]


def _history(client, selector):
    asked = {"command": "history", "target_oid": "genesis_obj", "selector": selector}
    return [row["provenance"] for row in client.ask(asked)["versions"]]


def test_a_bad_audit_is_reported(tmp_path, until):
    """A method that the Guardian of today would not let in is named with what is wrong, in the log and in `status`; it stays."""
    source = "def here(self):\n    import socket\n    return 1\n"
    kernel = Kernel(tmp_path).start(GUARDIAN_POLICY="warn")
    try:
        with Client(kernel) as client:
            _install(client, "here", source)
            _install(client, "twice", GOOD)
            genesis = client.ask({"command": "inspect", "target_oid": "genesis_obj"})["oid"].hex
        kernel.stop()
        kernel.start(HEARTBEAT_SECONDS="0.2")
        beats = _beaten(kernel, until)
        with Client(kernel) as client:
            told = client.ask({"command": "status"})["heartbeat"]["last"]
            assert client.ask({"command": "history", "target_oid": "genesis_obj", "selector": "here"})["versions"]
    finally:
        kernel.stop()
    for beat in (*beats, told):
        (finding,) = beat["findings"]
        assert finding.startswith(f"{genesis}.here: ")
        assert "socket" in finding
        assert beat["audited"] == 2


SLOW = "def a_slow(self, n):\n    for i in range(n):\n        i * i\n    return n\n"


def test_a_beat_gives_way_and_says_so(tmp_path, until):
    """A beat ends before its next method when a mission begins, and says `cut_short`; a later one does the whole."""
    slow = [writes(f"wait_{n}", f"def wait_{n}(self):\n    return 1\n", delay_s=1) for n in range(20)]
    kernel = Kernel(tmp_path, slow, CALL_SECONDS="60", HEARTBEAT_SECONDS="0.2").start()
    try:
        with Client(kernel) as client:
            _install(client, "a_slow", SLOW, {"args": [4_000_000], "result": 4_000_000})
            _install(client, "b_quick", GOOD.replace("twice", "b_quick"), {"args": [2], "result": 4})
            for number in range(20):
                until(lambda: _at_work(client), "evidence that is run again")
                assert client.teach(f"wait_{number}")["status"] == "COMPLETE"
                if _gave_way(tmp_path):
                    break
            later = _beaten(kernel, until)
    finally:
        kernel.stop()
    cut = _gave_way(tmp_path)
    assert cut
    for beat in cut:
        assert beat["audited"] < 2 + number
        assert (beat["retried"], "image" in beat, "packed" in beat) == (None, False, False)
    assert not later[-1].get("cut_short")
    assert (later[-1]["audited"] >= 2, later[-1]["rerun"], later[-1]["image"]) == (True, 2, "sound")


def _gave_way(home):
    """Beats that were cut short before their own time was over, which is ten seconds at least."""
    return [beat for beat in _beats(home) if beat.get("cut_short") and beat["seconds"] < 10]


def _at_work(client):
    figures = client.ask({"command": "status"})["sandbox"]
    return figures["alive"] > figures["idle"]


def test_never_two_beats_at_once(tmp_path, until):
    """Beats that take longer than the time between two come one after the other."""
    kernel = Kernel(tmp_path, [], CALL_SECONDS="60", HEARTBEAT_SECONDS="0.05").start()
    try:
        with Client(kernel) as client:
            _install(client, "a_slow", SLOW, {"args": [5_000_000], "result": 5_000_000})
        _beaten(kernel, until, 4)
    finally:
        kernel.stop()
    ends = [(datetime.fromisoformat(beat["timestamp"]), beat["seconds"], beat["rerun"]) for beat in _beats(tmp_path)]
    assert max(seconds for _, seconds, rerun in ends if rerun) > 0.05
    for (before, _, _), (after, seconds, _) in pairwise(ends):
        assert after - timedelta(seconds=seconds) >= before


def test_a_hopeless_method_holds_up_no_other(tmp_path, until):
    """Of two methods that break their examples one a beat is repaired; the one that cannot be is tried once, not for ever."""
    selectors = ("a_hopeless", "twice")
    sources = {name: f"def {name}(self, n):\n    return n + 2\n" for name in selectors}
    kernel = Kernel(tmp_path, [writes(name, sources[name]) for name in selectors], ATTEMPTS="1").start()
    try:
        with Client(kernel) as client:
            for name in selectors:
                _install(client, name, sources[name])
                asked = {"command": "correct", "target_oid": "genesis_obj", "selector": name, "args": [5], "result": 10}
                assert client.ask(asked)["status"] == "FAILED"
        kernel.stop()
        rules = [DECOMPOSE, writes("a_hopeless", sources["a_hopeless"]), writes("twice", GOOD)]
        (tmp_path / "script.json").write_text(json.dumps(rules))
        kernel.start(HEARTBEAT_SECONDS="0.2", SELF_MISSIONS="on")
        beats = _beaten(kernel, until, 4)
    finally:
        kernel.stop()
    assert [beat["repaired"] for beat in beats] == [None, "twice", None, None]
    assert [row["selector"] for row in beats[-1]["failing"]] == ["a_hopeless"]
    assert [(name, by) for name, by in _accepted(tmp_path) if by] == [(name, "heartbeat") for name in selectors]
