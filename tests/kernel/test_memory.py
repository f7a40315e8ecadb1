"""Fractal Memory in a running kernel: what others write into the catalog gets its meaning too."""

import subprocess
import sys

from tests.kernel.harness import ROOT, Client, Kernel

SOURCE = "def twice(self, n):\n    return 2 * n\n"


def test_what_is_installed_gets_its_vector(client, until):
    """Missions, own source, an old version taken back and imports wake the weaving: none waits for the next document."""

    def woven(what):
        def all_have_vectors():
            memory = client.ask({"command": "image", "action": "check"})["memory"]
            return 0 < memory["chunks"] == memory["vectors"]

        until(all_have_vectors, what)

    woven("the vectors of the codex")
    taught = client.teach("greet_user", parameters=[{"name": "name"}], args=["Ada"])
    assert taught["status"] == "COMPLETE", taught
    woven("the vector of a mission's method")
    install = {"command": "install", "target_oid": "genesis_obj", "selector": "twice"}
    assert client.ask({**install, "source": SOURCE})["status"] == "COMPLETE"
    assert client.ask({**install, "source": SOURCE.replace("2 * n", "n + n")})["status"] == "COMPLETE"
    woven("the vector of own source")
    assert client.ask({"command": "remove", "target_oid": "genesis_obj", "selector": "twice"})["status"] == "OK"
    rollback = {"command": "rollback", "target_oid": "genesis_obj", "selector": "twice", "version": 1}
    assert client.ask(rollback)["status"] == "OK"
    woven("the vector of what was taken back")
    files = client.ask({"command": "image", "action": "export", "target_oid": "genesis_obj"})["files"]
    assert client.ask({"command": "image", "action": "import", "files": files, "name": "twin"})["status"] == "OK"
    woven("the vectors of what was imported")
    found = client.ask({"command": "search", "query": "greet"})
    assert found["by"] == "words and meaning"
    assert found["results"][0]["likeness"] > 0


def test_whole_docstrings_are_found(client):
    """What a docstring says after its first line finds a method that the Architect installed, and one that was imported."""
    source = (
        'def ledger(self):\n    """Tell the balance.\n\n    Debts to the harbour count twice.\n    """\n    return 1\n'
    )
    made = client.ask({"command": "create", "name": "books"})["oid"].hex
    install = {"command": "install", "target_oid": "books", "selector": "ledger", "source": source}
    assert client.ask(install)["status"] == "COMPLETE"
    files = client.ask({"command": "image", "action": "export", "target_oid": "books"})["files"]
    came = client.ask({"command": "image", "action": "import", "files": files, "name": "copied_books"})
    assert came["status"] == "OK", came
    texts = {}
    for oid in (made, came["oid"].hex):
        asked = {"command": "search", "query": "harbour debts", "filter": {"target": oid}}
        texts[oid] = client.ask(asked)["results"][0]["text"]
    assert texts[made] == texts[came["oid"].hex]
    assert "Debts to the harbour count twice." in texts[made]


def test_the_console_removes_what_is_gone(kernel, client, tmp_path):
    """`/learn` again takes back what left a codex and a folder, for other connections too, and says how many."""

    def learn(path):
        told = subprocess.run(
            [sys.executable, str(ROOT / "chat_client.py"), "--mission", f"/learn {path}"],
            env={**kernel.env, "BATOS_TRANSLATOR": "rules"},
            capture_output=True,
            text=True,
            check=True,
        )
        return " ".join(told.stdout.split())

    folder = tmp_path / "notes"
    folder.mkdir()
    (folder / "a.md").write_text("A zeppelin lands.")
    (folder / "b.md").write_text("A quetzal lands.")
    (folder / "c.jsonl").write_text(
        '{"text": "A sphagnum grows.", "id": 1}\n{"text": "An albatross flies.", "id": 2}\n'
    )
    assert client.ask({"command": "remember", "doc_id": "notes/own", "text": "A quetzal of mine."})["status"] == "OK"
    assert "learned 4 documents from 3 files." in learn(folder)
    (folder / "b.md").unlink()
    (folder / "c.jsonl").write_text('{"text": "An albatross flies.", "id": 2}\n')
    assert "learned 2 documents from 2 files, and removed 2 that are gone." in learn(folder)
    with Client(kernel) as second:
        listed = second.ask({"command": "documents", "prefix": "notes/"})
        assert listed["documents"] == ["notes/a.md", "notes/c.jsonl#2", "notes/own"]
        found = second.ask({"command": "search", "query": "quetzal sphagnum", "top_k": 50})["results"]
        said = [hit["text"] for hit in found if "quetzal" in hit["text"] or "sphagnum" in hit["text"]]
        assert said == ["A quetzal of mine."]


def test_a_model_that_comes_late_is_caught_up_with(tmp_path, until):
    """Without the embedding model words do, and it is said why; when it comes all that was learned gets its meaning."""
    kernel = Kernel(tmp_path)
    kernel.command = [sys.executable, "-m", "tests.kernel.late_embedding"]
    kernel.env["PYTHONPATH"] = str(ROOT)
    kernel.start()
    try:
        with Client(kernel) as client:

            def memory():
                return client.ask({"command": "status"})["fractal_memory"]

            until(lambda: memory()["meaning"] == "missing", "the kernel has asked for the model")
            assert client.ask({"command": "remember", "doc_id": "d", "text": "A zeppelin lands."})["chunks"] == 1
            found = client.ask({"command": "search", "query": "zeppelin"})
            assert (found["by"], found["results"][0]["doc_id"]) == ("words", "d")
            told = memory()
            assert told["trouble"] == "the embedding model is not there yet"
            assert told["unwoven"] == told["documents"] > 0
            (tmp_path / "embedding").touch()
            until(lambda: memory()["unwoven"] == 0, "all have their vectors")
            found = client.ask({"command": "search", "query": "zeppelin"})
            assert (found["by"], found["results"][0]["doc_id"]) == ("words and meaning", "d")
            assert found["results"][0]["likeness"] > 0
            assert (memory()["meaning"], "trouble" in memory()) == ("ready", False)
            checked = client.ask({"command": "image", "action": "check"})
            assert checked["bad"] == []
            assert checked["memory"]["vectors"] == checked["memory"]["chunks"] > 1
    finally:
        kernel.stop()
