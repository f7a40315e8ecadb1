"""What is wrong does not come in: plausible candidates that examples refute, and those that go for what judges them."""

import pytest

from tests.kernel.harness import Client, Kernel, writes
from tests.kernel.planted import TAMPERING, candidates

PLANTED = candidates()


@pytest.fixture(scope="module")
def kernel(tmp_path_factory):
    """A kernel that gets one attempt at each mission, and whose mind writes what was planted."""
    rules = [writes(selector, source) for selector, _, _, source in PLANTED]
    rules += [writes(selector, source) for selector, source in TAMPERING.items()]
    running = Kernel(tmp_path_factory.mktemp("home"), rules, ATTEMPTS="1").start()
    yield running
    running.stop()


@pytest.fixture
def client(kernel):
    """A client of that kernel."""
    with Client(kernel) as connected:
        yield connected


def test_no_wrong_candidate_is_installed(client):
    """Of more than sixty plausible wrong candidates none is installed; each mission says what was wrong with its own."""
    assert len(PLANTED) >= 60
    installed = []
    for selector, parameters, examples, source in PLANTED:
        named = [{"name": name} for name in parameters]
        reply = client.teach(selector, parameters=named, examples=examples, request={"proceed": False})
        if reply["status"] != "FAILED" or client.call(selector)["status"] != "NOT_UNDERSTOOD":
            installed.append((source, reply))
        else:
            assert reply["best"]["finding"]
            assert reply["best"]["source"].startswith(f"def {selector}")
    assert installed == []


@pytest.mark.parametrize("selector", TAMPERING)
def test_what_goes_for_its_judges_is_stopped_and_recorded(client, selector):
    """A candidate that tries to change its tests, evidence, provenance or another object fails, and its record stays."""
    before = client.ask({"command": "inspect", "target_oid": "genesis_obj"})
    reply = client.teach(selector, parameters=[{"name": "n"}], examples=[{"args": [1], "result": 2}])
    assert reply["status"] == "FAILED"
    record = client.ask({"command": "cycle", "cycle_id": reply["cycle_id"]})
    assert TAMPERING[selector].splitlines()[0] in record["attempts"][-1]["source"]
    assert record["attempts"][-1]["finding"]
    assert {**client.ask({"command": "inspect", "target_oid": "genesis_obj"}), "id": 0} == {**before, "id": 0}
