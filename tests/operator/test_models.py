"""The cache of weights, with a small made-up model in place of a large one."""

from __future__ import annotations

import hashlib
import json

import pytest

from batos.errors import NoWeights
from batos.mind import catalog, sources
from batos.operator import cli, models
from batos.settings import Settings

DATA = b"weights" * 1000


@pytest.fixture
def cache(home, tmp_path, monkeypatch):
    """A cache folder, and a catalog of one model whose only source is this test."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("BATOS_WEIGHTS_CACHE", str(folder))
    file = {"path": "tiny.gguf", "size": len(DATA), "sha256": hashlib.sha256(DATA).hexdigest()}
    fields = {
        "title": "Tiny",
        "architecture": "none",
        "license": "Apache-2.0",
        "kind": "gguf",
        "context": 128,
        "files": [file],
        "sources": [],
    }
    known = catalog.read_catalog(json.dumps({"format": 1, "models": {"tiny": fields}}))
    monkeypatch.setattr(catalog, "catalog", lambda: known)
    return folder


def place(cache, data: bytes = DATA) -> None:
    """Put the model into the cache."""
    (cache / "tiny").mkdir(parents=True, exist_ok=True)
    (cache / "tiny" / "tiny.gguf").write_bytes(data)


def answer(capsys, *argv: str):
    """Run a command with --json and give its exit code and its answer."""
    code = cli.main(["models", *argv, "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_list_tells_what_is_there(cache, capsys):
    """A model is absent, partial or ready; the sizes are bytes."""
    assert answer(capsys, "list")[1][0]["state"] == "absent"
    place(cache, DATA[:-1])
    assert answer(capsys, "list")[1][0]["state"] == "partial"
    place(cache)
    code, (row,) = answer(capsys, "list")
    assert (code, row["state"], row["bytes"], row["wanted"]) == (0, "ready", len(DATA), False)


def test_fetch_of_what_is_there_fetches_nothing(cache, capsys):
    """A model whose digest holds is taken from the cache; --paths prints where it lies."""
    place(cache)
    assert cli.main(["models", "fetch", "tiny", "--paths"]) == 0
    assert capsys.readouterr().out == f"{cache / 'tiny' / 'tiny.gguf'}\n"


def test_fetch_without_a_source_says_so(cache, capsys):
    """A model that no source has is an error with the mend."""
    code, told = answer(capsys, "fetch", "tiny")
    assert code == 1
    assert told["error"]["type"] == "NoWeights"


def test_a_file_on_disk_needs_no_fetch(cache, tmp_path, capsys):
    """A file that is named instead of a model is used as it is."""
    (tmp_path / "own.gguf").write_bytes(b"x")
    code, told = answer(capsys, "fetch", str(tmp_path / "own.gguf"))
    assert (code, list(told.values())) == (0, [str(tmp_path / "own.gguf")])


def test_verify_finds_a_changed_file(cache, capsys):
    """Digests are read again: a file of the right size and the wrong content is found."""
    place(cache)
    assert answer(capsys, "verify") == (0, {"tiny": []})
    place(cache, DATA[:-1] + b"!")
    assert answer(capsys, "verify", "tiny") == (1, {"tiny": ["tiny.gguf"]})


def test_remove_frees_the_cache(cache, capsys):
    """After a removal the model is absent."""
    place(cache)
    assert answer(capsys, "remove", "tiny") == (0, {"tiny": len(DATA)})
    assert not sources.held("tiny", cache).complete
    assert answer(capsys, "remove", "nothing")[0] == 1


@pytest.mark.parametrize("engine", ["openai", "scripted:rules.json"])
def test_some_engines_need_no_weights(home, engine):
    """With an engine that brings its own model nothing is wanted."""
    assert models.wanted_names(Settings.load(engine=engine)) == []


def test_the_settings_name_what_is_wanted(home):
    """One model for all personas is wanted once, several each once."""
    assert models.wanted_names(Settings.load(persona_models="tiny", engine="llama.cpp")) == ["tiny"]
    several = '{"ALFRED": "a", "BRICK": "b", "ROBIN": "a", "BABS": "b"}'
    assert models.wanted_names(Settings.load(persona_models=several, engine="llama.cpp")) == ["a", "b"]


def test_progress_tells_bytes_and_rate(capsys):
    """Where no terminal is, what changes is said on lines of its own, the end always."""
    with models.Progress("tiny") as progress:
        progress(0, 2 << 20, "hub")
        progress(1 << 20, 2 << 20, "hub")
        progress(2 << 20, 2 << 20, "hub")
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("tiny: 0.0 of 2.0 MiB")
    assert lines[-1].startswith("tiny: 2.0 of 2.0 MiB")
    assert len(lines) == 2


def test_the_error_of_an_unknown_model_names_the_catalog(cache):
    """Whoever asks for a model that is not in the catalog is told what is."""
    with pytest.raises(NoWeights, match="nothing"):
        catalog.find("nothing", catalog.catalog())
