"""Many clients at once: one last word each, no lost update, and what was reported is what is there."""

import json
import subprocess
import sys
import threading
from functools import partial

from batos.image.store import Image
from tests.kernel.harness import ROOT, Client, Kernel, mission, writes

JOBS = [writes(f"job_{n}", f"def job_{n}(self):\n    return {n}\n") for n in range(40)]
BROKEN = [writes(f"bad_{n}", "def nothing(:\n") for n in range(10)]
COUNT = writes(
    "count_calls",
    "def count_calls(self):\n    self.calls = getattr(self, 'calls', 0) + 1\n    self._p_changed = True\n    return self.calls\n",
)


def _together(kernel, works):
    """Run each work with a client of its own, at once; gives what they returned."""
    results = [None] * len(works)

    def run(index, work):
        with Client(kernel) as client:
            results[index] = work(client)

    threads = [threading.Thread(target=run, args=item) for item in enumerate(works)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_missions_from_many_clients(tmp_path):
    """50 missions from 8 clients get one last word each; the stopped image holds exactly what was reported installed."""
    kernel = Kernel(tmp_path, [*JOBS, *BROKEN, COUNT]).start()
    names = [f"job_{n}" for n in range(40)] + [f"bad_{n}" for n in range(10)]
    try:
        replies = _together(kernel, [partial(_teach_all, selectors=names[k::8]) for k in range(8)])
    finally:
        assert kernel.stop() == 0
    words = {selector: reply for part in replies for selector, reply in part.items()}
    installed = {s for s, reply in words.items() if reply["status"] == "COMPLETE" and reply["installed"]}
    assert installed == {f"job_{n}" for n in range(40)}
    assert all(words[f"job_{n}"]["result"] == n for n in range(40))
    command = [sys.executable, "-m", "batos", "inspect", "genesis_obj", "--json"]
    seen = json.loads(subprocess.run(command, cwd=ROOT, env=kernel.env, check=True, capture_output=True).stdout)
    assert set(seen["methods"]) == installed
    image = Image(tmp_path / "live_image.fs", tmp_path / "live_image.fs.blob")
    try:
        assert image.read_now(lambda view: len(view.root["active_cycles"])).value == 0
    finally:
        image.close_now()


def _teach_all(client, selectors):
    """Send all missions at once; gives the last word of each, and sees that no other comes."""
    numbers = {client.send(mission(selector)): selector for selector in selectors}
    words = {}
    while len(words) < len(numbers):
        reply = client.receive(60)
        assert reply is not None
        if "status" in reply:
            assert numbers[reply["id"]] not in words
            words[numbers[reply["id"]]] = reply
    assert client.receive(0.2) is None
    return words


def test_no_update_is_lost(tmp_path):
    """Increments of one slot by eight clients at once are all there."""
    kernel = Kernel(tmp_path, [COUNT]).start()
    try:
        with Client(kernel) as client:
            client.teach("count_calls")
        results = _together(kernel, [lambda c: [c.call("count_calls") for _ in range(5)]] * 8)
        counts = sorted(reply["result"] for part in results for reply in part)
        assert counts == list(range(2, 42))
    finally:
        kernel.stop()
