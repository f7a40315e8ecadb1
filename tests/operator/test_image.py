"""`python -m batos image …`: the same commands on the stopped image and beside a kernel that serves it."""

from __future__ import annotations

import json
import shutil

import pytest

from batos.operator import cli, image_copies

SOURCE = "def add_two(self, number):\n    return number + 2\n"


def answer(capsys, *argv: str):
    """Run `image …` with --json and give its exit code and its answer."""
    code = cli.main(["image", *argv, "--json"])
    return code, json.loads(capsys.readouterr().out)


def good(capsys, *argv: str):
    """Run `image …`, which must be good, and give its answer."""
    code, told = answer(capsys, *argv)
    assert code == 0, told
    return told


@pytest.fixture(params=["image", "bridge"])
def way(request):
    """Both ways: the stopped image, and a kernel that serves it; gives what a command must say of it."""
    request.getfixturevalue("image" if request.param == "image" else "kernel")
    return request.param


def test_every_command_both_ways(way, capsys, tmp_path):
    """One walk through all commands: each answers, says which way it went, and the answers fit each other."""
    told = good(capsys, "check", "--blobs")
    assert (told["bad"], told["methods"], told["through"]) == ([], 1, way)
    told = good(capsys, "history", "--limit", "500")
    assert told["through"] == way
    taught = next(row for row in told["changes"] if row["note"] == "taught")
    assert [(m["selector"], m["version"]) for m in taught["methods"]] == [("add_two", 1)]
    assert [row["name"] for row in taught["objects"]] == ["genesis_obj"]

    assert good(capsys, "snapshot", "before")["name"] == "before"
    assert [row["name"] for row in good(capsys, "snapshot")["snapshots"]] == ["before"]
    exported = tmp_path / "exported"
    told = good(capsys, "export", "genesis_obj", str(exported))
    assert "methods/add_two.py" in told["files"]
    assert (exported / "methods" / "add_two.py").read_text() == SOURCE
    told = good(capsys, "import", str(exported), "--name", "twin")
    assert (told["name"], [m["selector"] for m in told["methods"]]) == ("twin", ["add_two"])
    good(capsys, "export", "twin", str(tmp_path / "again"))
    assert (tmp_path / "again" / "methods" / "add_two.json").read_bytes() == (
        exported / "methods" / "add_two.json"
    ).read_bytes()

    rows = good(capsys, "implementors", "add_two")["implementors"]
    assert [row["name"] for row in rows] == ["genesis_obj", "twin"]
    assert good(capsys, "senders", "add_two")["senders"] == []
    rows = good(capsys, "references", "genesis_obj")["references"]
    assert ("PersistentMapping", None) in [(row["kind"], row["name"]) for row in rows]
    kinds = {row["kind"]: row["records"] for row in good(capsys, "census")["kinds"]}
    figures = good(capsys, "statistics")
    assert kinds["UvmObject"] == figures["objects"]
    assert figures["snapshots"] == 1

    assert good(capsys, "diff", "twin", "before", figures["tid"])["slots"]["added"]["parents"]
    told = good(capsys, "as-of", taught["tid"], "history", "genesis_obj", "add_two")
    assert [row["version"] for row in told["versions"]] == [1]
    assert answer(capsys, "as-of", "before", "inspect", "twin")[0] == 1
    assert good(capsys, "as-of", "before", "send", "genesis_obj", "add_two", "40")["result"] == 42

    backup = tmp_path / "backup"
    told = good(capsys, "backup", str(backup))
    assert told["through"] == way
    assert good(capsys, "verify", str(backup))["graph"] == told["graph"]
    assert answer(capsys, "backup", str(backup))[1]["error"]["type"] == "BadField"
    told = good(capsys, "pack", "--days", "0")
    assert told["held_by"] == "before"
    assert good(capsys, "snapshot", "before", "--remove")["tid"]
    assert good(capsys, "pack", "--days", "0")["held_by"] is None
    code, told = answer(capsys, "as-of", taught["tid"], "inspect", "genesis_obj")
    assert (code, told["error"]["type"]) == (1, "UnknownTarget")
    assert "packed away" in told["error"]["message"]
    assert good(capsys, "check")["bad"] == []


def test_undo_both_ways(way, capsys, tmp_path):
    """The last change goes back, and again; what was undone is told."""
    good(capsys, "export", "genesis_obj", str(tmp_path / "exported"))
    good(capsys, "import", str(tmp_path / "exported"), "--name", "twin")
    undone = good(capsys, "undo")
    assert (undone["through"], undone["undone"]["note"]) == (way, "import twin")
    assert answer(capsys, "references", "twin")[1]["error"]["type"] == "UnknownTarget"
    assert good(capsys, "undo")["undone"]["tid"] == undone["tid"]
    assert good(capsys, "references", "twin")["references"]


class TestRestore:
    def test_a_running_kernel_is_refused(self, kernel, capsys, tmp_path):
        """A backup taken beside a kernel is not put under it; the mend is named."""
        good(capsys, "backup", str(tmp_path / "backup"))
        code, told = answer(capsys, "restore", str(tmp_path / "backup"), "--force")
        assert (code, told["error"]["type"]) == (1, "ImageInUse")
        assert "stop" in told["error"]["hint"]

    def test_an_image_is_kept_unless_forced_and_then_kept_aside(self, image, capsys, tmp_path):
        """Without --force nothing happens; with it the backup is there and the old image lies beside it."""
        first = good(capsys, "backup", str(tmp_path / "backup"))
        good(capsys, "undo")
        code, told = answer(capsys, "restore", str(tmp_path / "backup"))
        assert (code, told["error"]["type"]) == (1, "NotAllowed")
        told = good(capsys, "restore", str(tmp_path / "backup"), "--force")
        assert (told["tid"], told["graph"], told["through"]) == (first["tid"], first["graph"], "image")
        assert all("before-restore" in place for place in told["kept"])
        assert good(capsys, "implementors", "add_two")["implementors"]

    def test_into_an_empty_home(self, image, capsys, tmp_path):
        """Where there is no image the backup becomes it."""
        good(capsys, "backup", str(tmp_path / "backup"))
        shutil.rmtree(image.blob_path)
        for file in image.home.glob("live_image.fs*"):
            file.unlink()
        assert good(capsys, "restore", str(tmp_path / "backup"))["kept"] == []
        assert good(capsys, "check")["bad"] == []

    def test_no_backup(self, image, capsys, tmp_path):
        """A folder that is none is refused by name."""
        code, told = answer(capsys, "restore", str(tmp_path), "--force")
        assert (code, told["error"]["type"]) == (1, "BadField")


class TestForPeople:
    @pytest.mark.parametrize(
        ("argv", "said"),
        [
            (["check"], "sound"),
            (["history"], "add_two 1; genesis_obj: +add_two"),
            (["undo"], "undone: taught"),
            (["pack", "--days", "0"], "database:"),
            (["snapshot", "here"], "here is"),
            (["statistics"], "records"),
            (["census"], "UvmObject"),
            (["references", "traits_obj"], "genesis_obj"),
            (["implementors", "clone"], "primitive"),
            (["senders", "nothing_like_it"], "none"),
            (["as-of", "2999-01-01", "inspect", "genesis_obj"], ""),
        ],
        ids=lambda value: value[0] if isinstance(value, list) else "",
    )
    def test_each_says_what_it_found(self, image, capsys, argv, said):
        """Without --json the answer is words and tables; errors go to standard error."""
        cli.main(["image", *argv])
        out, err = capsys.readouterr()
        assert said in out
        assert "stopped image" in err

    def test_progress_is_told_beside_the_answer(self, image, capsys, tmp_path):
        """A backup says what it copies and compares on standard error."""
        cli.main(["image", "backup", str(tmp_path / "backup")])
        out, err = capsys.readouterr()
        assert "copy" in err
        assert "compare" in err
        assert "digest" in out


class TestExportedFiles:
    def test_an_export_replaces_an_earlier_one_and_nothing_else(self, tmp_path):
        """Files that a later export lacks go; a folder with other things in it is refused."""
        image_copies.write(tmp_path / "a", {"object.json": b"{}", "methods/x.py": b"1", "methods/x/0001.py": b"0"})
        (tmp_path / "a" / "README.md").write_text("mine")
        image_copies.write(tmp_path / "a", {"object.json": b"{}"})
        assert image_copies.read(tmp_path / "a") == {"object.json": b"{}"}
        assert (tmp_path / "a" / "README.md").exists()
        (tmp_path / "b").mkdir()
        (tmp_path / "b" / "mine.txt").write_text("mine")
        with pytest.raises(Exception, match="no export"):
            image_copies.write(tmp_path / "b", {"object.json": b"{}"})

    def test_paths_stay_inside(self, tmp_path):
        """A path that leads out of the folder is refused."""
        with pytest.raises(Exception, match="not a path"):
            image_copies.write(tmp_path / "a", {"../x.py": b""})


def test_check_finds_a_method_whose_text_was_changed(image, capsys):
    """A source that no longer matches its digest is named, and the exit code is 1."""
    from batos.image.store import Image

    def spoil(view) -> None:
        version = view.root["genesis_obj"]._slots["add_two"]
        version._source = "def add_two(self, number):\n    return 0\n"

    opened = Image(image.image_path, image.blob_path)
    opened.transact_now(spoil)
    opened.close_now()
    code, told = answer(capsys, "check")
    assert code == 1
    assert "add_two" in told["bad"][0]["why"]
