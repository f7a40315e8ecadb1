"""The catalog of weights."""

import json
import re

import pytest

from batos.errors import NoWeights
from batos.mind.catalog import catalog, find, read_catalog

FILE = {"path": "a.bin", "size": 1, "sha256": "00" * 32}
MODEL = {"title": "", "architecture": "", "license": "", "kind": "gguf", "context": 1, "files": [FILE], "sources": []}


def test_every_file_is_pinned():
    """Each file of each model has a size and a whole sha256."""
    for entry in catalog().values():
        assert entry.files
        for file in entry.files:
            assert file.size > 0
            assert re.fullmatch(r"[0-9a-f]{64}", file.sha256)


def test_every_model_says_its_licence_and_has_a_source():
    """Each model names its licence, and at least one source of a known kind."""
    for entry in catalog().values():
        assert entry.license
        assert {source.kind for source in entry.sources} <= {"hub", "index"}
        assert entry.sources


def test_unknown_name_lists_what_there_is():
    """An unknown name is an error that lists the known ones."""
    with pytest.raises(NoWeights) as caught:
        find("no-such-model")
    assert "qwen2.5-coder-0.5b" in caught.value.hint


@pytest.mark.parametrize("path", ["/etc/passwd", "../other/a.bin", "a/../../b"])
def test_paths_stay_in_the_folder(path):
    """A file whose path leaves the model's folder is refused."""
    text = json.dumps({"format": 1, "models": {"m": {**MODEL, "files": [{**FILE, "path": path}]}}})
    with pytest.raises(ValueError, match="leaves"):
        read_catalog(text)


def test_other_format_is_refused():
    """A catalog of another format is refused rather than misread."""
    with pytest.raises(ValueError, match="format"):
        read_catalog('{"format": 2, "models": {}}')
