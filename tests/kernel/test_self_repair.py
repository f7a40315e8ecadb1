"""Twenty methods with planted faults: which are found, which are repaired, and that no call that worked is harmed."""

from tests.kernel.harness import Client, Kernel, writes

COUNT = 20
HOPELESS = range(15, COUNT)
"""For these the mind has only repairs that do harm."""


def _source(number, body):
    return f"def part_{number}(self, n):\n    return {body}\n"


def _rules():
    rules = []
    for number in range(COUNT):
        harmful = writes(f"part_{number}", _source(number, "0.0"))
        good = writes(f"part_{number}", _source(number, f"(n + {number}) / (n - {number}) if n != {number} else 0.0"))
        rules += [harmful] if number in HOPELESS else [{**harmful, "times": 1}, good]
    return rules


def _install(client, number):
    source = _source(number, f"(n + {number}) / (n - {number})")
    request = {"command": "install", "target_oid": "genesis_obj", "selector": f"part_{number}", "source": source}
    assert client.ask(request)["status"] == "COMPLETE"


def test_detected_repaired_and_never_harmed(tmp_path, until):
    """Each fault is found, each that can be repaired without harm is, and every good call answers as before."""
    kernel = Kernel(tmp_path, _rules(), RECORD_EVERY="1", FAILURE_LIMIT="2", ATTEMPTS="3").start()
    try:
        with Client(kernel) as client:

            def figures():
                return client.ask({"command": "status"})["repair"]

            good = {}
            for number in range(COUNT):
                _install(client, number)
                for n in (number + 1, number + 4):
                    good[number, n] = client.call(f"part_{number}", n)["result"]
            until(lambda: figures()["kept_calls"] >= len(good), "the good calls", 120)
            for number in range(COUNT):
                for _ in range(2):
                    assert client.call(f"part_{number}", number)["error"]["type"] == "MethodError"
            until(lambda: figures()["repairs"] == COUNT, "twenty repairs", 120)
            until(lambda: client.ask({"command": "status"})["cycles"]["in_progress"] == 0, "their ends", 120)
            calls = {number: client.call(f"part_{number}", number) for number in range(COUNT)}
            harmed = [key for key, was in good.items() if client.call(f"part_{key[0]}", key[1])["result"] != was]
    finally:
        kernel.stop()
    repaired = {number for number, reply in calls.items() if reply["status"] == "OK"}
    assert repaired == set(range(COUNT)) - set(HOPELESS)
    assert harmed == []
