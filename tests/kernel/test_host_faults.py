"""A mind host that dies, hangs or lacks memory in the middle of a mission, with a real kernel and a real host process."""

import os
import signal
import sys

import pytest

from tests.kernel.doubled import begun, doubled
from tests.kernel.harness import Client, mission

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the faults are made as Linux makes them")
STALL_SECONDS = 3.0


@pytest.fixture(scope="module")
def kernel(tmp_path_factory):
    """A kernel whose models are doubles."""
    running = doubled(tmp_path_factory.mktemp("home"), stall_seconds=STALL_SECONDS).start()
    yield running
    running.stop()


@pytest.fixture
def client(kernel):
    """A client; when the test is over the kernel must still answer."""
    with Client(kernel) as connected:
        yield connected
        assert connected.ask({"command": "ping"})["ready"]


def host(client):
    return client.ask({"command": "status"})["mind"]["hosts"]["text"]


@pytest.mark.parametrize(
    ("selector", "said", "hint", "deaths"),
    [
        ("die_sigabrt", "was ended by SIGABRT", "Send the request again", 1),
        ("die_sigsegv", "was ended by SIGSEGV", "Send the request again", 1),
        ("die_sigkill", "was ended by SIGKILL (killed, or out of memory)", "Send the request again", 1),
        ("starve_now", "too little memory", "smaller model", 0),
        ("hang_on", f"said nothing for {STALL_SECONDS:g} s and was killed", "Send the request again", 1),
    ],
)
def test_a_fault_of_the_host_ends_the_mission_with_the_reason(client, selector, said, hint, deaths):
    """The mission's last word says what happened and what to do, nothing is installed; the same mission then completes."""
    before = host(client)
    end = client.ask(mission(selector))
    assert (end["status"], end["error"]["type"]) == ("FAILED", "ModelError")
    assert said in end["error"]["message"]
    assert hint in end["error"]["hint"]
    after = host(client)
    assert after["deaths"] - before["deaths"] == deaths
    assert (said in after["last_death"]) == bool(deaths)
    assert client.call(selector)["status"] == "NOT_UNDERSTOOD"
    assert client.ask(mission(selector))["result"] == "after all"


def test_a_cancelled_mission_stops_its_generation(kernel, client):
    """The host, which writes until it is told to stop, is free again for the next mission; nothing had to be killed."""
    number, cycle = begun(client, "wait_here")
    before = host(client)
    assert before["waiting"] == 1
    with Client(kernel) as other:
        assert other.ask({"command": "cancel", "cycle_id": cycle})["status"] == "OK"
    end = client.last_word(number)
    assert (end["status"], end["error"]["type"]) == ("FAILED", "Cancelled")
    assert client.ask(mission("write_something"))["status"] == "COMPLETE"
    after = host(client)
    assert (after["pid"], after["deaths"], after["waiting"]) == (before["pid"], before["deaths"], 0)


def test_a_stopped_host_is_found_out(client):
    """SIGSTOP while a mission's text is written: its last word says so after the silence, and the next mission completes."""
    number, _ = begun(client, "wait_there")
    os.kill(host(client)["pid"], signal.SIGSTOP)
    end = client.last_word(number)
    assert (end["status"], end["error"]["type"]) == ("FAILED", "ModelError")
    assert "said nothing for" in end["error"]["message"]
    assert client.ask(mission("wait_there"))["status"] == "COMPLETE"
