"""Slash commands that take more than one request."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from rich.console import Console as RichConsole

from batos.client import render
from batos.codec import Ref
from batos.errors import Busy, TooLarge, to_wire
from tests.client.test_session import TEACH, session

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from batos.client.bridge import Client
    from tests.client.double import Double


def ok(**fields: Any) -> Any:
    """An answer that is always the same."""
    return lambda _request, _say: {"status": "OK", **fields}


async def test_diff_takes_the_last_two(kernel: Double, client: Client) -> None:
    """Without numbers the last two versions are compared, with one that and the one before."""
    kernel.answers["history"] = ok(versions=[{"version": 1}, {"version": 2}, {"version": 3}])
    kernel.answers["diff"] = ok(unified="", slots={})
    one, heard = session(client)
    assert await one.line("/diff add_up")
    assert kernel.heard[-1]["versions"] == [2, 3]
    assert await one.line("/diff add_up 2")
    assert kernel.heard[-1]["versions"] == [1, 2]
    assert await one.line("/diff add_up v1 v3")
    assert kernel.heard[-1]["versions"] == [1, 3]
    assert await one.line("/diff add_up 1") is False
    assert "no version before" in heard.errors[-1].message


async def test_the_past_is_asked(kernel: Double, client: Client) -> None:
    """A time or a tid, with inspect, history or a call; other words are refused."""
    kernel.answers["as_of"] = ok()
    one, heard = session(client)
    assert await one.line("/as-of 2026-01-01T10:00 inspect")
    assert kernel.heard[-1]["time"] == "2026-01-01T10:00"
    assert kernel.heard[-1]["request"] == {"command": "inspect", "target_oid": "genesis_obj"}
    assert await one.line("/as-of 0123456789abcdef history add_up")
    assert kernel.heard[-1]["tid"] == "0123456789abcdef"
    assert await one.line("/as-of before add_up('one', b=2)")
    asked = kernel.heard[-1]["request"]
    assert (asked["command"], asked["selector"]) == ("send", "add_up")
    assert (asked["args"], asked["kwargs"]) == (["one"], {"b": 2})
    assert await one.line("/as-of before remove add_up") is False
    assert len(heard.errors) == 1


async def test_files_are_learned(kernel: Double, client: Client, tmp_path: Path) -> None:
    """All that can be read of a folder is handed in as `ingest` would, named by its place; the last is waited for."""
    folder = tmp_path / "notes"
    (folder / ".git").mkdir(parents=True)
    (folder / ".git" / "x.txt").write_text("hidden")
    (folder / "a.txt").write_text("one")
    (folder / "sub").mkdir()
    (folder / "sub" / "b.md").write_text("two")
    (folder / "c.jsonl").write_text('{"prompt": "Q?", "response": "A."}\n{"text": "three", "id": "t"}\n')
    (folder / "d.html").write_text("<h1>Head</h1><script>evil()</script><p>four</p>")
    (folder / "picture.png").write_bytes(b"\x89PNG")
    kernel.answers.update(remember=ok(chunks=1), documents=ok(documents=[]))
    one, heard = session(client)
    assert await one.line(f"/learn {folder}")
    learned = [r for r in kernel.heard if r["command"] == "remember"]
    assert [(r["doc_id"], r["text"], r["metadata"]["format"], r["wait"]) for r in learned] == [
        ("notes/a.txt", "one", "text", False),
        ("notes/c.jsonl#0", "Q?\n\nA.", "jsonl", False),
        ("notes/c.jsonl#t", "three", "jsonl", False),
        ("notes/d.html", "# Head\n\nfour", "html", False),
        ("notes/sub/b.md", "two", "markdown", False),
        ("notes/sub/b.md", "two", "markdown", True),
    ]
    assert heard.notices[-1] == "Fractal Memory learned 5 documents from 4 files."


async def test_what_cannot_be_learned_is_told(kernel: Double, client: Client, tmp_path: Path) -> None:
    """A file that is no text is named and the rest learned; a path that is not there is an error."""
    (tmp_path / "a.pdf").write_bytes(b"no pdf")
    (tmp_path / "b.txt").write_text("good")
    kernel.answers.update(remember=ok(chunks=1), documents=ok(documents=[]))
    one, heard = session(client)
    assert await one.line(f"/learn {tmp_path}") is False
    assert "a.pdf was not learned" in heard.notices[-2]
    kernel.answers["remember"] = lambda _request, _say: {"status": "ERROR", "error": to_wire(TooLarge("too much"))}
    assert await one.line(f"/learn {tmp_path / 'b.txt'}") is False
    assert heard.notices[-2].endswith("b.txt was not learned: too much")
    kernel.answers["remember"] = ok(chunks=1)
    assert await one.line(f"/learn {tmp_path}") is False
    assert heard.notices[-1] == "Fractal Memory learned 1 document from 2 files."
    assert await one.line(f"/learn {tmp_path / 'nothing'}") is False
    assert "There is no file" in heard.errors[-1].message


async def test_a_line_that_is_refused_costs_no_other(kernel: Double, client: Client, tmp_path: Path) -> None:
    """The kernel takes the lines after one that it does not take, and the refused one is not gone."""
    file = tmp_path / "c.jsonl"
    file.write_text("".join(f'{{"text": "{n}", "id": {n}}}\n' for n in range(3)))

    def remember(request: Any, _say: Any) -> Any:
        bad = {"status": "ERROR", "error": to_wire(TooLarge("too much"))}
        return bad if request["doc_id"] == "c.jsonl#1" else {"status": "OK", "chunks": 1}

    kernel.answers.update(remember=remember, documents=ok(documents=["c.jsonl#1", "c.jsonl#2"]))
    one, heard = session(client)
    assert await one.line(f"/learn {file}") is False
    assert heard.notices == [
        "1/1 c.jsonl#1 was not learned: too much",
        "Fractal Memory learned 2 documents from 1 file.",
    ]


async def test_what_is_gone_is_removed(
    kernel: Double, client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All names are asked for, part by part; those that the file gives no more are forgotten as its own, and told."""
    monkeypatch.setattr("batos.client.learning._NAMES", 2)
    file = tmp_path / "c.jsonl"
    file.write_text('{"text": "b", "id": "b"}\n')
    there = [f"c.jsonl#{letter}" for letter in "abcd"]

    def documents(request: Any, _say: Any) -> Any:
        assert request["prefix"] == "c.jsonl"
        return {"status": "OK", "documents": [name for name in there if name > request["after"]][:2]}

    kernel.answers.update(remember=ok(chunks=1), documents=documents, forget=ok(queued=True))
    one, heard = session(client)
    assert await one.line(f"/learn {file}")
    origins = {r["origin"] for r in kernel.heard if r["command"] in ("remember", "documents", "forget")}
    assert len(origins) == 1
    assert [(r["doc_id"][-1], r["wait"]) for r in kernel.heard if r["command"] == "forget"] == [
        ("a", False),
        ("c", False),
        ("d", True),
    ]
    assert heard.notices == ["Fractal Memory learned 1 document from 1 file, and removed 3 that are gone."]


async def test_learning_waits_while_too_many_wait(
    kernel: Double, client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full queue is no failure: the document is handed in again. How far it is, is said meanwhile."""
    monkeypatch.setattr("batos.client.learning._BUSY_SECONDS", 0.0)
    monkeypatch.setattr("batos.client.learning._TELL_SECONDS", 0.0)
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text(name)
    answers = [{"status": "ERROR", "error": to_wire(Busy("full"))}] * 2
    kernel.answers["remember"] = lambda _request, _say: answers.pop() if answers else {"status": "OK", "queued": True}
    kernel.answers["documents"] = ok(documents=[])
    one, heard = session(client)
    assert await one.line(f"/learn {tmp_path}")
    names = [r["doc_id"].rpartition("/")[2] for r in kernel.heard if r["command"] == "remember"]
    assert names == ["a.txt", "a.txt", "a.txt", "b.txt", "b.txt"]
    assert heard.notices == ["1/2 files, 1 document", "Fractal Memory learned 2 documents from 2 files."]


async def test_export_stays_in_its_folder(kernel: Double, client: Client, tmp_path: Path) -> None:
    """Files lie where they were asked for; a name that leads out of the folder is refused."""
    kernel.answers["image"] = ok(files={"methods/a.py": b"x", "object.json": b"{}"})
    one, heard = session(client)
    assert await one.line(f"/export genesis_obj {tmp_path / 'out'}")
    assert (tmp_path / "out" / "methods" / "a.py").read_bytes() == b"x"
    kernel.answers["image"] = ok(files={"../evil": b"x"})
    assert await one.line(f"/export genesis_obj {tmp_path / 'out'}") is False
    assert not (tmp_path / "evil").exists()
    assert len(heard.errors) == 1


async def test_approvals_by_word(kernel: Double, client: Client) -> None:
    """`/approve on` sends missions that ask; `/approve` installs what waits and follows it; nothing waiting is said."""
    kernel.answers["initiate_cognitive_cycle"] = lambda _r, _s: {"status": "COMPLETE"}
    kernel.answers["cycles"] = ok(cycles=[])
    kernel.answers["approve"] = ok()
    kernel.answers["follow"] = lambda _r, _s: {"status": "COMPLETE"}
    one, heard = session(client, TEACH)
    assert await one.line("/approve on")
    await one.line("teach it")
    assert kernel.heard[-1]["mission_brief"]["approve"] is True
    assert await one.line("/approve off")
    await one.line("teach it")
    assert "approve" not in kernel.heard[-1]["mission_brief"]
    assert await one.line("/approve") is False
    assert "Nothing waits" in heard.notices[-1]
    kernel.answers["cycles"] = ok(cycles=[{"cycle_id": "c7", "state": "VALIDATING", "awaiting": "approval"}])
    assert await one.line("/approve")
    assert [r["command"] for r in kernel.heard[-2:]] == ["approve", "follow"]
    assert await one.line("/reject c7")
    assert [r.get("verdict") for r in kernel.heard if r["command"] == "approve"] == ["install", "reject"]


async def test_cancel_without_a_name(kernel: Double, client: Client) -> None:
    """The newest cycle that has not ended is cancelled."""
    listed = [{"cycle_id": "c3", "state": "COMPLETE"}, {"cycle_id": "c2", "state": "SYNTHESIZING"}]
    kernel.answers["cycles"] = ok(cycles=listed)
    kernel.answers["cancel"] = ok()
    one, heard = session(client)
    assert await one.line("/cancel")
    assert kernel.heard[-1]["cycle_id"] == "c2"
    kernel.answers["cycles"] = ok(cycles=listed[:1])
    assert await one.line("/cancel")
    assert heard.notices[-1] == "Nothing is in progress."


async def test_personas(kernel: Double, client: Client) -> None:
    """The four are shown with what their codex says."""
    kernel.answers["inspect"] = ok(slots={"codex": {"core_identity": "the Steward", "core_mission": "runs it"}})
    one, heard = session(client)
    assert await one.line("/personas")
    assert [row[0] for row in heard.replies[-1]["personas"]] == ["ALFRED", "BRICK", "ROBIN", "BABS"]
    assert heard.replies[-1]["personas"][0][1:] == ["the Steward", "runs it"]


async def test_a_correction_goes_out(kernel: Double, client: Client) -> None:
    """Saying "no, …" after a result becomes a `correct` without asking the translator; with approvals on it asks."""
    kernel.answers["initiate_cognitive_cycle"] = lambda _r, _s: {"status": "COMPLETE", "result": 6}
    kernel.answers["correct"] = lambda _r, _s: {"status": "COMPLETE"}
    one, _ = session(client)
    one.translator.translation.request["mission_brief"].update(selector="add_up", args=[2, 3])  # type: ignore[attr-defined]
    assert await one.line("add")
    assert await one.line("no, it is 5")
    assert kernel.heard[-1]["command"] == "correct"
    assert (kernel.heard[-1]["args"], kernel.heard[-1]["result"]) == ([2, 3], 5)
    assert "approve" not in kernel.heard[-1]
    assert await one.line("/approve on")
    assert await one.line("no, it is 5")
    assert kernel.heard[-1]["approve"] is True
    one.translator.translation.request["mission_brief"].clear()  # type: ignore[attr-defined]


async def test_what_installs_shows_its_evidence(kernel: Double, client: Client) -> None:
    """After an install the provenance is asked for and shown with it."""
    word = {"status": "COMPLETE", "installed": True, "version": 2, "selector": "add_up"}
    kernel.answers["initiate_cognitive_cycle"] = lambda _r, _s: word
    kernel.answers["explain"] = ok(provenance={"evidence": []})
    one, heard = session(client)
    assert await one.line("add")
    assert heard.replies[-1]["provenance"] == {"evidence": []}
    assert kernel.heard[-1]["version"] == 2


async def test_parents_are_named(kernel: Double, client: Client) -> None:
    """`/inspect` knows the names of an object's parents, which the reply has as references; without them it shows these."""
    parents = [Ref(bytes(7) + b"\x09"), Ref(bytes(7) + b"\x2a")]
    kernel.answers["inspect"] = ok(oid=Ref(bytes(8)), parents=parents)
    kernel.answers["objects"] = ok(objects=[{"name": "pLLM_obj", "oid": parents[0]}, {"name": None, "oid": parents[1]}])
    one, heard = session(client)
    assert await one.line("/inspect")
    screen = RichConsole(file=io.StringIO(), width=80)
    screen.print(render.inspection(heard.replies[-1]))
    assert f"parents  pLLM_obj, {parents[1].hex}" in screen.file.getvalue()  # type: ignore[attr-defined]
    screen.print(render.inspection({**heard.replies[-1], "names": None}))
    assert parents[0].hex in screen.file.getvalue()  # type: ignore[attr-defined]
