"""Objects, slots, memory and status over the bridge."""

import datetime as dt
from decimal import Decimal

from batos.codec import Ref


class TestObjects:
    def test_create_set_send_clone_remove(self, client):
        """An object is created with slots and a name, answers its slots, is cloned, changed and removed."""
        made = client.ask({"command": "create", "slots": {"size": 3, "tags": ["a"]}, "name": "box_one"})
        assert made["status"] == "OK"
        assert client.call("size", target="box_one")["result"] == 3
        copy = client.ask({"command": "clone", "target_oid": "box_one"})["oid"]
        assert client.ask({"command": "set", "target_oid": "box_one", "slots": {"size": 4}})["tid"]
        assert client.call("size", target=copy)["result"] == 3
        assert client.call("size", target="box_one")["result"] == 4
        assert client.ask({"command": "remove", "target_oid": "box_one"})["status"] == "OK"
        assert client.call("size", target="box_one")["error"]["type"] == "UnknownTarget"

    def test_targets_in_every_form(self, client):
        """A name, 16 hex digits, an integer, its decimal text and a reference reach the same object."""
        oid = client.ask({"command": "inspect", "target_oid": "genesis_obj"})["oid"]
        assert isinstance(oid, Ref)
        number = int.from_bytes(oid.oid, "big")
        for target in (oid, oid.hex, number, str(number)):
            assert client.ask({"command": "inspect", "target_oid": target})["name"] == "genesis_obj"

    def test_values_of_every_kind_come_back_as_they_were(self, client):
        """Slots keep tuples, sets, decimals, times, large integers and maps with any key."""
        values = {
            "a": (1, (2,)),
            "b": {1, 2},
            "c": 2**80,
            "d": Decimal("1.10"),
            "e": dt.datetime(2026, 1, 2, 3, 4, tzinfo=dt.UTC),
            "f": {(1, 2): "x", None: 1.5},
            "g": frozenset({"y"}),
            "h": b"\x00\xff",
            "i": dt.timedelta(days=1),
        }
        made = client.ask({"command": "create", "slots": values})
        assert client.ask({"command": "inspect", "target_oid": made["oid"]})["slots"] == values

    def test_the_primordial_objects_are_there(self, client):
        """The root holds the original's objects, and messages reach their primitives."""
        names = {row["name"] for row in client.ask({"command": "objects"})["objects"]}
        assert {
            "traits_obj",
            "pLLM_obj",
            "genesis_obj",
            "knowledge_catalog_obj",
            "orchestrator_obj",
            "psm_prototypes_obj",
        } <= names
        copy = client.call("clone", target="genesis_obj")
        assert isinstance(copy["result"], Ref)


class TestMemory:
    def test_remember_search_forget(self, client):
        """A document is found by its words, by filter, and is gone when it is forgotten."""
        text = "The zebra sleeps standing. A hippogriff never sleeps at all."
        told = client.ask({"command": "remember", "doc_id": "animals", "text": text, "metadata": {"kind": "note"}})
        assert told["chunks"] >= 1
        found = client.ask(
            {"command": "search", "query": "where does the hippogriff sleep?", "filter": {"kind": "note"}}
        )
        best = found["results"][0]
        assert best["doc_id"] == "animals"
        assert text[best["start"] : best["end"]] == best["text"]
        asked = client.call("search_", "hippogriff", 1, target="knowledge_catalog_obj")
        assert asked["result"][0]["doc_id"] == "animals"
        assert client.ask({"command": "forget", "doc_id": "animals"})["chunks"] == told["chunks"]
        assert all(
            r["doc_id"] != "animals" for r in client.ask({"command": "search", "query": "hippogriff"})["results"]
        )

    def test_the_codex_was_learned(self, client):
        """The first awakening learns the persona codex."""
        found = client.ask({"command": "search", "query": "What is the Living Image?", "top_k": 3})["results"]
        assert any(r["doc_id"].startswith("golden_dataset_") for r in found)


class TestStatus:
    def test_status_shows_every_part(self, client):
        """`status` has version, tid, queue, sandbox level and layers, and the parts' statistics."""
        status = client.ask({"command": "status"})
        assert {"version", "tid", "uptime", "queue", "workers", "models", "memory", "sandbox"} <= set(status)
        assert status["sandbox"]["level"] == "full"

    def test_translate_by_the_kernel(self, client):
        """Words become a request that the kernel accepts; without a rule for TRANSLATING rules stand in, and say so."""
        told = client.ask({"command": "translate", "text": "greet_user('Ada')", "target_oid": "genesis_obj"})
        assert told["kind"] in ("send", "teach")
        assert client.ask(told["request"])["status"] in ("OK", "COMPLETE")
