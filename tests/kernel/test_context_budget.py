"""What a mission's prompt had no room for is told in the provenance and in the metacognition log."""

import json
import sys

import pytest

from tests.kernel.doubled import doubled
from tests.kernel.harness import Client, mission

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the host's doubles use signals")


@pytest.fixture(scope="module")
def kernel(tmp_path_factory):
    """A kernel whose models are doubles, with two documents that it finds by words alone."""
    running = doubled(tmp_path_factory.mktemp("home"))
    running.env["BATOS_SENTENCE_TRANSFORMER_MODEL"] = "absent"
    running.start()
    with Client(running) as client:
        for name in ("one", "two"):
            text = f"The lighthouse keeper of island {name} paints the lighthouse and its lantern every spring."
            assert client.ask({"command": "remember", "doc_id": name, "text": text, "wait": False})["status"] == "OK"
    yield running
    running.stop()


@pytest.mark.parametrize(("selector", "used", "dropped"), [("roomy_paint", 2, 0), ("crowded_paint", 1, 1)])
def test_what_was_left_out_is_in_the_provenance(kernel, selector, used, dropped):
    """The chunks that the model was shown and those that it was not stand apart; the log has their counts."""
    with Client(kernel) as client:
        end = client.ask(mission(selector, intent="paint the lighthouse and its lantern for the keeper"))
        assert end["status"] == "COMPLETE"
        told = client.ask({"command": "explain", "target_oid": "genesis_obj", "selector": selector, "version": 1})
    origin = told["provenance"]
    assert (len(origin["chunks"]), len(origin["chunks_dropped"])) == (used, dropped)
    assert sorted(chunk.split("::")[0] for chunk in origin["chunks"] + origin["chunks_dropped"]) == ["one", "two"]
    assert origin["author"]["dropped"] == dropped
    lines = map(json.loads, (kernel.home / "metacognition.jsonl").read_text().splitlines())
    (line,) = [line for line in lines if line["cycle_id"] == end["cycle_id"] and line.get("artifact_type") == "code"]
    assert (line["context_used"], line["context_dropped"]) == (used, dropped)
