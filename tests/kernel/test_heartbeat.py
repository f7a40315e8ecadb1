"""The heartbeat: what one beat does, and that it leaves a line of what it found."""

import json

from tests.kernel.harness import Client, Kernel, writes

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
