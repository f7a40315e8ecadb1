"""Teach, send, join, fail, follow: what a cycle promises, seen from outside."""

import threading
import uuid

from tests.kernel.harness import Client, mission

STATES = ["DECOMPOSING", "DELEGATING", "SYNTHESIZING", "VALIDATING", "COMPLETE"]


def _named(selector):
    return [{"name": selector}]


class TestTeaching:
    def test_a_mission_installs_and_proceeds(self, client):
        """A mission passes all states, installs the method and answers the original message; then it is understood."""
        client.call("greet_user", "x")
        reply = client.teach("greet_user", parameters=_named("name"), args=["Ada"], version="new")
        assert reply["status"] == "COMPLETE"
        assert reply["installed"] is True
        assert reply["result"] == "Hello, Ada!"
        assert [e["to"] for e in client.events if e["event"] == "transition"] == STATES
        durable = [e["seq"] for e in client.events if e["event"] != "token"]
        assert durable == list(range(1, 1 + len(durable)))
        again = client.teach("greet_user", parameters=_named("name"), args=["Bob"])
        assert (again["status"], again["installed"], again["result"]) == ("COMPLETE", False, "Hello, Bob!")

    def test_what_is_missing_to_proceed_is_named(self, client):
        """A method with a parameter without a value is installed; the reply says what it needs."""
        reply = client.teach("greet_user", parameters=_named("name"), version="new")
        assert reply["status"] == "COMPLETE"
        assert reply["needs"] == ["name"]
        assert client.teach("greet_user")["needs"] == ["name"]

    def test_broken_source_fails_and_installs_nothing(self, client):
        """A mission whose candidates are not Python fails with its attempts, and nobody understands the selector."""
        reply = client.teach("broken")
        assert reply["status"] == "FAILED"
        assert len(reply["attempts"]) == 4
        assert reply["state"] == "VALIDATING"
        assert client.call("broken")["status"] == "NOT_UNDERSTOOD"

    def test_an_example_sends_a_wrong_candidate_back(self, client):
        """A candidate that an example refutes is repaired with the finding."""
        reply = client.teach("triple", parameters=_named("n"), examples=[{"args": [5], "result": 15}], args=[7])
        assert reply["status"] == "COMPLETE"
        assert reply["result"] == 21
        findings = [e["finding"] for e in client.events if e["event"] == "attempt"]
        assert findings == ["triple(5) must give 15, but gave 8"]

    def test_a_result_of_another_kind_is_mended(self, client):
        """Pairs as lists where the example has tuples are mended by rule, and the provenance says so."""
        examples = [{"args": [["b", "a"]], "result": [(0, "b"), (1, "a")]}]
        reply = client.teach("pairs_of", parameters=_named("items"), examples=examples, args=[["x"]])
        assert (reply["status"], reply["result"]) == ("COMPLETE", [(0, "x")])
        told = client.ask({"command": "explain", "target_oid": "genesis_obj", "selector": "pairs_of", "version": 1})
        assert "made the result a list of tuple, as the examples have it" in told["provenance"]["guardian"]["mends"]

    def test_nearly_anything_is_true_and_no_proof(self, client):
        """A number is only taken for a yes where the examples have a no too."""
        yes, no = {"args": [3], "result": True}, {"args": [0], "result": False}
        assert client.teach("is_set", parameters=_named("n"), examples=[yes])["status"] == "FAILED"
        reply = client.teach("is_set", parameters=_named("n"), examples=[yes, no], args=[5])
        assert (reply["status"], reply["result"]) == ("COMPLETE", True)

    def test_a_message_that_nobody_understands_becomes_a_mandate(self, client):
        """`send` with `learn` starts a cycle and answers as one."""
        client.ask({"command": "remove", "target_oid": "genesis_obj", "selector": "version_of"})
        reply = client.ask({"command": "send", "target_oid": "genesis_obj", "selector": "version_of"})
        assert reply["status"] == "COMPLETE"
        assert client.call("version_of")["status"] == "OK"

    def test_new_versions_history_and_rollback(self, client):
        """A mission for a new version adds one; rolling back adds the old source under a new number."""
        client.teach("version_of", version="new")
        client.teach("version_of", version="new")
        before = client.ask({"command": "history", "target_oid": "genesis_obj", "selector": "version_of"})["versions"]
        rolled = client.ask(
            {"command": "rollback", "target_oid": "genesis_obj", "selector": "version_of", "version": 1}
        )
        after = client.ask({"command": "history", "target_oid": "genesis_obj", "selector": "version_of"})["versions"]
        assert rolled["version"] == len(before) + 1 == len(after)
        assert after[-1]["source"] == before[0]["source"]
        assert [v["active"] for v in after] == [False] * len(before) + [True]
        told = client.ask({"command": "explain", "target_oid": "genesis_obj", "selector": "version_of", "version": 1})
        assert told["provenance"]["mission_brief"]["selector"] == "version_of"
        assert told["provenance"]["author"]["engine"].startswith("scripted")

    def test_own_source_takes_the_same_way(self, client):
        """`install` audits, tries the examples and installs the Architect's source; a wrong one is refused at once."""
        source = "def half_of(self, n):\n    return n / 2\n"
        request = {"command": "install", "target_oid": "genesis_obj", "selector": "half_of", "source": source}
        wrong = client.ask({**request, "examples": [{"args": [4], "result": 3.0}]})
        assert wrong["status"] == "FAILED"
        assert len(wrong["attempts"]) == 1
        right = client.ask({**request, "examples": [{"args": [4], "result": 2.0}]})
        assert (right["status"], right["version"]) == ("COMPLETE", 1)
        assert client.call("half_of", 9)["result"] == 4.5


class TestJoining:
    def test_the_same_request_id_gets_the_same_end(self, client, kernel):
        """A request_id joins its cycle from another connection, with all events; another body is an error."""
        named = {"request_id": uuid.uuid4().hex}
        first = client.teach("slow_one", request=named, version="new")
        with Client(kernel) as other:
            second = other.teach("slow_one", request=named, version="new")
            assert {**second, "id": 0} == {**first, "id": 0}
            assert other.events[0]["event"] == "accepted"
            refused = other.teach("slow_one", request=named, version="new", args=[1])
        assert refused["error"]["type"] == "BadField"

    def test_a_second_mission_joins_the_first(self, client, kernel):
        """While a cycle for a selector is in progress, another mission for it is told the same end."""
        client.ask({"command": "remove", "target_oid": "genesis_obj", "selector": "slow_one"})
        ends = {}

        def run(n):
            with Client(kernel) as own:
                ends[n] = own.teach("slow_one")

        threads = [threading.Thread(target=run, args=(n,)) for n in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len({end["cycle_id"] for end in ends.values()}) == 1

    def test_another_call_of_it_comes_after(self, client, kernel):
        """A mission with other arguments waits for the first, then is sent the message: one version, each its own result."""
        ends = {}

        def run(name):
            with Client(kernel) as own:
                ends[name] = own.teach("slow_greeting", parameters=_named("name"), args=[name])

        threads = [threading.Thread(target=run, args=(name,)) for name in ("Ada", "Bob", "Cleo")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert {name: end["result"] for name, end in ends.items()} == {name: f"Hi {name}" for name in ends}
        assert sorted(end["installed"] for end in ends.values()) == [False, False, True]
        told = client.ask({"command": "history", "target_oid": "genesis_obj", "selector": "slow_greeting"})
        assert len(told["versions"]) == 1

    def test_one_that_waits_for_another_can_be_cancelled(self, client, kernel):
        """A mission that comes after another ends at once when it is cancelled, while the first goes on."""
        first = client.send(mission("slow_farewell", parameters=_named("name"), args=["Ada"]))
        while client.receive()["event"] != "accepted":
            pass
        with Client(kernel) as other:
            second = other.send(mission("slow_farewell", parameters=_named("name"), args=["Bob"]))
            accepted = other.receive()
            assert other.ask({"command": "cancel", "cycle_id": accepted["cycle_id"]})["status"] == "OK"
            followed = other.ask({"command": "follow", "cycle_id": accepted["cycle_id"]})
            assert followed["error"]["type"] == "Cancelled"
            assert second
        assert client.last_word(first)["result"] == "Bye Ada"

    def test_sends_go_on_during_a_synthesis(self, client, kernel):
        """An installed method is answered while a model writes another."""
        client.teach("greet_user", parameters=_named("name"), args=["Ada"])
        client.ask({"command": "remove", "target_oid": "genesis_obj", "selector": "slow_one"})
        number = client.send(mission("slow_one"))
        while client.receive()["event"] != "accepted":
            pass
        with Client(kernel) as other:
            assert other.call("greet_user", "Bob")["result"] == "Hello, Bob!"
            assert [c["state"] for c in other.ask({"command": "cycles", "limit": 1})["cycles"]] != ["COMPLETE"]
        assert client.last_word(number)["status"] == "COMPLETE"

    def test_a_cancelled_cycle_fails_and_a_follower_hears_it(self, client, kernel):
        """`cancel` ends a cycle in the middle of a generation."""
        client.ask({"command": "remove", "target_oid": "genesis_obj", "selector": "slow_one"})
        number = client.send(mission("slow_one"))
        accepted = client.receive()
        with Client(kernel) as other:
            assert other.ask({"command": "cancel", "cycle_id": accepted["cycle_id"]})["status"] == "OK"
            followed = other.ask({"command": "follow", "cycle_id": accepted["cycle_id"]})
        assert followed["error"]["type"] == "Cancelled"
        assert client.last_word(number)["error"]["type"] == "Cancelled"


class TestHarm:
    def test_a_call_that_raises_changes_nothing(self, client):
        """What a method wrote before it raised is gone, and the failure is recorded."""
        assert client.teach("half", request={"proceed": False})["status"] == "COMPLETE"
        reply = client.call("half")
        assert reply["error"]["type"] == "MethodError"
        assert reply["error"]["failure"]
        assert "a" not in client.ask({"command": "inspect", "target_oid": "genesis_obj"})["slots"]
