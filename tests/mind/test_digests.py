"""Digests are computed once for each state of a file."""

import hashlib
import os

import pytest

from batos.errors import Cancelled
from batos.mind.digests import file_digest, forget, remember


def sha(data):
    return hashlib.sha256(data).hexdigest()


def test_digest_is_remembered(tmp_path, monkeypatch):
    """A file that has not changed is not read again."""
    file = tmp_path / "w.bin"
    file.write_bytes(b"weights")
    assert file_digest(file, tmp_path / "cache") == sha(b"weights")
    monkeypatch.setattr("batos.mind.digests.feed", lambda *a: pytest.fail("it was read again"))
    assert file_digest(file, tmp_path / "cache") == sha(b"weights")


def test_changed_file_is_read_again(tmp_path):
    """A change of size, time or inode makes the file be read again."""
    file = tmp_path / "w.bin"
    file.write_bytes(b"weights")
    file_digest(file, tmp_path)
    file.write_bytes(b"WEIGHTS")
    os.utime(file, ns=(1, 1))
    assert file_digest(file, tmp_path) == sha(b"WEIGHTS")


def test_forgotten_file_is_read_again(tmp_path):
    """`forget` drops the record, so that damage on the disk is found."""
    file = tmp_path / "w.bin"
    file.write_bytes(b"weights")
    remember(file, tmp_path, "wrong")
    assert file_digest(file, tmp_path) == "wrong"
    forget(file, tmp_path)
    assert file_digest(file, tmp_path) == sha(b"weights")


def test_broken_record_is_no_record(tmp_path):
    """A record that is not JSON is ignored."""
    file = tmp_path / "w.bin"
    file.write_bytes(b"weights")
    remember(file, tmp_path, "x")
    next((tmp_path / "digests").iterdir()).write_text("{")
    assert file_digest(file, tmp_path) == sha(b"weights")


def test_cache_that_cannot_be_written_costs_only_time(tmp_path):
    """Where no record can be kept the digest is right all the same."""
    file = tmp_path / "w.bin"
    file.write_bytes(b"weights")
    (tmp_path / "digests").write_text("a file where the folder should be")
    assert file_digest(file, tmp_path) == sha(b"weights")


def test_cancel_stops_reading(tmp_path):
    """A cancelled reading ends with Cancelled and leaves no record."""
    file = tmp_path / "w.bin"
    file.write_bytes(b"weights")
    with pytest.raises(Cancelled):
        file_digest(file, tmp_path, cancelled=lambda: True)
    assert not (tmp_path / "digests").exists()
