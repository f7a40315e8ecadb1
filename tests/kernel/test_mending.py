"""Corrections, repairs, failures, quarantine: what happens to a method that is wrong, seen from outside."""

import json

import pytest

from tests.kernel.harness import Client, Kernel, mission, writes

ROMAN = "def roman(self, n):\n    return 'I' * n\n"
BETTER = "def roman(self, n):\n    return {4: 'IV'}.get(n, 'I' * n)\n"
HARMFUL = "def roman(self, n):\n    return 'IV'\n"
DIVIDE = "def share(self, n):\n    self.shares = getattr(self, 'shares', 0) + 1\n    self._p_changed = True\n    return 12 / n\n"
SAFE = (
    "def share(self, n):\n    self.shares = getattr(self, 'shares', 0) + 1\n    self._p_changed = True\n"
    "    return 12 / n if n else 0.0\n"
)
TALLY = "def tally(self, n):\n    self.tallied = getattr(self, 'tallied', 0) + 1\n    self._p_changed = True\n    return 12 / n\n"
FORGETS = "def tally(self, n):\n    return 12 / n if n else 0.0\n"
KEEPS = TALLY.replace("12 / n", "12 / n if n else 0.0")
HOPELESS = "def hopeless(self, n):\n    raise ValueError('always')\n"
QUOTIENT = "def {0}(self, n):\n    return 12 / n{1}\n"
RULES = [
    writes("halved", QUOTIENT.format("halved", " if n else 0.0")),
    writes("rethought", QUOTIENT.format("rethought", ""), times=1),
    *(writes(s, f"def {s}(self, n):\n    return 0.0\n", times=1) for s in ("renewed", "rethought")),
    *(writes(s, QUOTIENT.format(s, " if n else 0.0")) for s in ("renewed", "rethought")),
    writes("roman", HARMFUL, times=1),
    writes("roman", BETTER),
    writes("strict", BETTER.replace("roman", "strict")),
    writes("numeral", BETTER.replace("roman", "numeral")),
    writes("share", SAFE),
    writes("tally", FORGETS, times=1),
    writes("tally", KEEPS),
    writes("hopeless", HOPELESS),
    writes("scaled", "def scaled(self, n):\n    return self.scale / n\n"),
    writes("shrunk", "def shrunk(self, n):\n    return 12 / n\n", delay_s=1),
]


@pytest.fixture(scope="module")
def kernel(tmp_path_factory):
    """A kernel that keeps every call and repairs after two failures."""
    running = Kernel(tmp_path_factory.mktemp("home"), RULES, RECORD_EVERY="1", FAILURE_LIMIT="2", ATTEMPTS="3").start()
    yield running
    running.stop()


@pytest.fixture
def client(kernel):
    """A client of that kernel."""
    with Client(kernel) as connected:
        yield connected


def _install(client, selector, source, **more):
    request = {"command": "install", "target_oid": "genesis_obj", "selector": selector, "source": source}
    reply = client.ask({**request, **more})
    assert reply["status"] == "COMPLETE", reply
    return reply


def _history(client, selector):
    return client.ask({"command": "history", "target_oid": "genesis_obj", "selector": selector})


def _is_success(row, cycle_id):
    return (row["cycle_id"], row["event_type"]) == (cycle_id, "VALIDATION_SUCCESS")


class TestCorrecting:
    def test_a_correction_becomes_law(self, client):
        """`correct` makes an example permanent and repairs by it; a candidate that breaks an older example is refused."""
        _install(client, "roman", ROMAN, examples=[{"args": [3], "result": "III"}])
        told = {"command": "correct", "target_oid": "genesis_obj", "selector": "roman", "args": [4], "result": "IV"}
        reply = client.ask(told)
        assert (reply["status"], reply["installed"], reply["version"]) == ("COMPLETE", True, 2)
        assert client.call("roman", 4)["result"] == "IV"
        assert client.call("roman", 3)["result"] == "III"
        findings = [event["finding"] for event in client.events if event["event"] == "attempt"]
        history = _history(client, "roman")
        assert [example["result"] for example in history["examples"]] == ["IV"]
        provenance = history["versions"][-1]["provenance"]
        assert provenance["origin"] == "correction"
        assert {run["kind"] for run in provenance["evidence"]} >= {"law", "example"}
        assert findings == []

    def test_a_correction_outweighs_what_was_answered_before(self, client, until):
        """A wrong answer that was kept as a good call does not hold up the correction of that very answer."""
        _install(client, "numeral", ROMAN.replace("roman", "numeral"))
        kept = client.ask({"command": "status"})["repair"]["kept_calls"]
        assert [client.call("numeral", n)["result"] for n in (4, 3)] == ["IIII", "III"]
        until(lambda: client.ask({"command": "status"})["repair"]["kept_calls"] >= kept + 2, "calls that were kept")
        told = {"command": "correct", "target_oid": "genesis_obj", "selector": "numeral", "args": [4], "result": "IV"}
        reply = client.ask(told)
        assert (reply["status"], reply["installed"]) == ("COMPLETE", True)
        evidence = _history(client, "numeral")["versions"][-1]["provenance"]["evidence"]
        assert [run["kind"] for run in evidence] == ["law", "good call"]

    def test_a_law_binds_the_architect_too(self, client):
        """Own source that breaks a permanent example is refused, until the example is corrected."""
        source = ROMAN.replace("roman", "strict")
        _install(client, "strict", source)
        told = {"command": "correct", "target_oid": "genesis_obj", "selector": "strict", "args": [4], "result": "IV"}
        assert client.ask(told)["installed"] is True
        request = {"command": "install", "target_oid": "genesis_obj", "selector": "strict", "source": source}
        refused = client.ask(request)
        assert (refused["status"], refused["best"]["finding"]) == (
            "FAILED",
            "strict(4) must give 'IV', but gave 'IIII'",
        )

    def test_what_is_right_already_stays(self, client):
        """A correction that the method keeps to already is recorded and changes nothing."""
        _install(client, "counted", ROMAN.replace("roman", "counted"))
        told = {"command": "correct", "target_oid": "genesis_obj", "selector": "counted", "args": [2], "result": "II"}
        reply = client.ask(told)
        assert (reply["status"], reply["installed"]) == ("COMPLETE", False)
        assert len(_history(client, "counted")["examples"]) == 1

    def test_nothing_to_correct(self, client):
        """A correction of what is no method is an error that says so."""
        told = {"command": "correct", "target_oid": "genesis_obj", "selector": "nothing", "args": [2], "result": 1}
        assert client.ask(told)["error"]["type"] == "UnknownTarget"


class TestFailing:
    def test_failures_are_listed_replayed_and_repaired(self, client, until):
        """A method that fails twice is repaired: the failed calls come back, good calls stay as they were."""
        _install(client, "share", DIVIDE)
        assert [client.call("share", n)["result"] for n in (3, 4)] == [4.0, 3.0]
        until(lambda: client.ask({"command": "status"})["repair"]["kept_calls"] >= 2, "two calls that were kept")
        failed = client.call("share", 0)
        assert failed["error"]["type"] == "MethodError"
        listed = client.ask({"command": "failures", "selector": "share"})["failures"]
        assert listed[0]["failure"] == failed["error"]["failure"]
        assert (listed[0]["args"], listed[0]["line"]) == ([0], 4)
        replayed = client.ask({"command": "replay", "failure": listed[0]["failure"]})
        assert replayed["reproduced"] is True
        client.call("share", 0)
        until(lambda: len(_history(client, "share")["versions"]) == 2, "the repair")
        assert client.call("share", 0)["result"] == 0.0
        evidence = _history(client, "share")["versions"][-1]["provenance"]["evidence"]
        assert sorted({run["kind"] for run in evidence}) == ["failed call", "good call"]
        assert all(run["passed"] for run in evidence)
        assert client.ask({"command": "replay", "failure": listed[0]["failure"]})["reproduced"] is True

    def test_a_first_call_that_raises_has_its_record(self, client):
        """A method whose first call raises is installed, and that call is listed like any failure and can be replayed."""
        shown = [{"args": [1], "result": 1.0}]
        client.ask({"command": "set", "target_oid": "genesis_obj", "slots": {"scale": 1}})
        reply = client.teach("scaled", parameters=[{"name": "n"}], args=[0], examples=shown)
        assert (reply["status"], reply["installed"]) == ("COMPLETE", True)
        assert client.call("scaled", 2)["result"] == 0.5
        (kept,) = client.ask({"command": "failures", "selector": "scaled"})["failures"]
        assert kept["failure"] == reply["call_error"]["failure"]
        version = _history(client, "scaled")["versions"][0]
        genesis = client.ask({"command": "inspect", "target_oid": "genesis_obj"})["oid"]
        assert (kept["receiver"], kept["args"], kept["kwargs"], kept["line"]) == (genesis, [0], {}, 2)
        assert (kept["sha256"], kept["error"]) == (version["sha256"], "MethodError")
        assert "line 2: return self.scale / n" in kept["traceback"]
        assert kept["tid"] < version["tid"]
        client.ask({"command": "set", "target_oid": "genesis_obj", "slots": {"scale": "changed since"}})
        replayed = client.ask({"command": "replay", "failure": kept["failure"]})
        assert (replayed["reproduced"], replayed["raised"]["message"]) == (True, kept["message"])

    def test_an_understood_message_that_raises_has_its_record(self, client, kernel):
        """A mission whose message came to be understood while it waited sends it; a call that raises has its record too."""
        named = {"parameters": [{"name": "n"}]}
        first = client.send(mission("shrunk", **named, args=[1]))
        assert client.receive()["event"] == "accepted"
        with Client(kernel) as other:
            replies = [other.ask(mission("shrunk", **named, args=[0])), client.last_word(first)][::-1]
        assert [reply["installed"] for reply in replies] == [True, False]
        (kept,) = client.ask({"command": "failures", "selector": "shrunk"})["failures"]
        assert (kept["failure"], kept["args"]) == (replies[1]["call_error"]["failure"], [0])
        assert client.ask({"command": "replay", "failure": kept["failure"]})["reproduced"] is True

    def test_a_repair_keeps_what_good_calls_changed(self, client, until):
        """A repair that answers right and no longer keeps what the method kept is refused; the next one keeps it."""
        _install(client, "tally", TALLY)
        kept = client.ask({"command": "status"})["repair"]["kept_calls"]
        assert client.call("tally", 3)["result"] == 4.0
        until(lambda: client.ask({"command": "status"})["repair"]["kept_calls"] > kept, "a call that was kept")
        for _ in range(2):
            client.call("tally", 0)
        until(lambda: len(_history(client, "tally")["versions"]) == 2, "the repair")
        assert client.call("tally", 0)["result"] == 0.0
        assert client.ask({"command": "inspect", "target_oid": "genesis_obj"})["slots"]["tallied"] == 2

    @pytest.mark.parametrize("selector", ["renewed", "rethought"])
    def test_a_version_made_on_purpose_has_its_own_good_calls(self, client, until, selector):
        """Good calls of what was replaced on purpose do not hold up a repair of the new version; its own good calls do."""

        def kept():
            return client.ask({"command": "status"})["repair"]["kept_calls"]

        before = kept()
        _install(client, selector, f"def {selector}(self, n):\n    return n + 1\n")
        assert client.call(selector, 3)["result"] == 4
        until(lambda: kept() > before, "a good call of the first version")
        if selector == "renewed":
            _install(client, selector, f"def {selector}(self, n):\n    return 12 / n\n")
        else:
            assert client.teach(selector, parameters=[{"name": "n"}], args=[1], version="new")["installed"] is True
        before = kept()
        assert client.call(selector, 6)["result"] == 2.0
        until(lambda: kept() > before, "a good call of the second version")
        for _ in range(2):
            assert client.call(selector, 0)["status"] == "ERROR"
        until(lambda: len(_history(client, selector)["versions"]) == 3, "the repair")
        provenance = _history(client, selector)["versions"][-1]["provenance"]
        assert [run["args"] for run in provenance["evidence"] if run["kind"] == "good call"] == [[6]]
        assert "gave 2.0 so far" in provenance["attempts"][1]["finding"]
        assert client.call(selector, 3)["result"] == 4.0

    def test_a_call_whose_moment_is_packed_away_is_told_as_not_compared(self, client, kernel, until):
        """A repair after a pack says in evidence and journal which good call could not be compared, and compares the others."""

        def kept():
            return client.ask({"command": "status"})["repair"]["kept_calls"]

        _install(client, "halved", "def halved(self, n):\n    return 12 / n\n")
        for n, pack in ((3, True), (4, False)):
            before = kept()
            assert client.call("halved", n)["result"] == 12 / n
            until(lambda before=before: kept() > before, "a good call")
            if pack:
                # What was packed away is what is older than something newer.
                client.ask({"command": "set", "target_oid": "genesis_obj", "slots": {"packed": n}})
                assert client.ask({"command": "image", "action": "pack", "days": 0})["status"] == "OK"
        told = {"command": "correct", "target_oid": "genesis_obj", "selector": "halved", "args": [0], "result": 0.0}
        reply = client.ask(told)
        assert (reply["status"], reply["installed"]) == ("COMPLETE", True), reply
        evidence = _history(client, "halved")["versions"][-1]["provenance"]["evidence"]
        good = {run["args"][0]: run for run in evidence if run["kind"] == "good call"}
        assert good[3]["skipped"] == "not compared: its moment was packed away"
        assert "got" not in good[3]
        assert good[4]["got"] == {"result": 3.0}
        assert "skipped" not in good[4]

        def done():
            rows = map(json.loads, (kernel.home / "metacognition.jsonl").read_text().splitlines())
            return [row for row in rows if _is_success(row, reply["cycle_id"])]

        until(done, "the line in the metacognition log")
        assert [row["not_compared"] for row in done()] == [1]

    def test_a_wrong_call_is_no_failure_of_the_method(self, client, until):
        """Calls with the wrong number of arguments never start a repair."""
        _install(client, "roman_of", BETTER.replace("roman", "roman_of"))
        repair = client.ask({"command": "status"})["repair"]
        before, looked = repair["repairs"], repair["looked_after"]
        for _ in range(3):
            assert client.call("roman_of")["status"] == "ERROR"
        assert client.call("roman_of", 4)["result"] == "IV"
        until(lambda: client.ask({"command": "status"})["repair"]["looked_after"] > looked, "the keeper's look")
        assert client.ask({"command": "status"})["repair"]["repairs"] == before

    def test_what_keeps_failing_is_shut_off(self, client, until):
        """A method that fails on, after a repair that did not come off, answers Quarantined; a new version is free."""
        _install(client, "hopeless", HOPELESS)

        def shut():
            return client.call("hopeless", 1)["error"]["type"] == "Quarantined"

        until(shut, "the quarantine")
        reply = client.call("hopeless", 1)
        assert "repair" in reply["error"]["hint"]
        assert len(_history(client, "hopeless")["versions"]) == 1
        _install(client, "hopeless", "def hopeless(self, n):\n    return n\n")
        assert client.call("hopeless", 1)["result"] == 1


class TestCapabilities:
    def test_all_or_those_that_mean_something_close(self, client):
        """`capabilities` lists methods with signatures and summaries; with a query those near to it, with scores."""
        _install(
            client,
            "add_vat",
            'def add_vat(self, price):\n    """Give a price with value added tax."""\n    return price\n',
        )
        everything = client.ask({"command": "capabilities", "target_oid": "genesis_obj"})["capabilities"]
        told = {row["selector"]: row for row in everything}
        assert told["add_vat"]["signature"] == "add_vat(price)"
        assert told["add_vat"]["summary"] == "Give a price with value added tax."
        near = client.ask({"command": "capabilities", "target_oid": "genesis_obj", "query": "price with tax"})
        assert near["capabilities"][0]["selector"] == "add_vat"
        assert 0 < near["capabilities"][0]["score"] <= 1
