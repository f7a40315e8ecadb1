"""The metacognition log: each line once, in order, over crashes and failures of the disk."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batos import journal
from batos.codec import Ref
from batos.journal import Journal

if TYPE_CHECKING:
    from pathlib import Path


def _lines(first: int, last: int) -> list[dict[str, Any]]:
    return [{"seq": n, "event_type": "HEARTBEAT", "text": "é" * n} for n in range(first, last + 1)]


def _seqs(file: Path) -> list[int]:
    return [json.loads(line)["seq"] for line in file.read_text().splitlines()]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "logs" / "metacognition.jsonl"


class TestWriting:
    async def test_lines_are_json_in_order(self, file: Path) -> None:
        """What is written is one JSON object a line, in order of `seq`, and `last_seq` tells the last."""
        log = Journal(file)
        assert await log.start() == 0
        assert await log.write(_lines(1, 3)) == 3
        assert await log.write(_lines(4, 4)) == 1
        await log.close()
        assert _seqs(file) == [1, 2, 3, 4]
        assert journal.last_seq(file) == log.last_seq == 4
        assert log.statistics() == {"lines": 4, "last_seq": 4, "mended": 0, "open": False}

    async def test_a_batch_written_again_is_written_once(self, file: Path) -> None:
        """Lines whose `seq` the file has are left out, so that a retry makes no double."""
        log = Journal(file)
        await log.write(_lines(1, 3))
        assert await log.write(_lines(2, 5)) == 2
        assert await log.write(_lines(1, 5)) == 0
        await log.close()
        assert _seqs(file) == [1, 2, 3, 4, 5]

    async def test_plain_data_beyond_json_is_written(self, file: Path) -> None:
        """Values that JSON lacks, and texts with line breaks and odd signs, never break a line or lose it."""
        odd = {
            "seq": 1,
            "a": (1, {2}),
            "b": Decimal("1.5"),
            "c": Ref(b"\0" * 8),
            "d": float("nan"),
            "e": "x\n\u2028%s\ud800",
        }
        log = Journal(file)
        await log.write([odd, {"seq": 2}])
        await log.close()
        first, second = file.read_text().split("\n")[:2]
        assert json.loads(second) == {"seq": 2}
        assert json.loads(first)["e"] == odd["e"]
        assert json.loads(first)["c"] == {"oid": "0" * 16}
        assert isinstance(json.loads(first)["d"], str)

    async def test_a_cancelled_writer_makes_no_double(self, file: Path) -> None:
        """A batch whose caller is cancelled is written to its end, and written again it makes no double."""
        log = Journal(file)
        await log.start()
        for upto in range(1, 30):
            task = asyncio.create_task(log.write(_lines(1, upto)))
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await log.write(_lines(1, 30))
        await log.close()
        assert _seqs(file) == list(range(1, 31))

    async def test_a_failed_write_is_told_and_made_good(self, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """When the disk refuses, the caller hears of it; the next write goes on without a gap or a double."""
        log = Journal(file)
        await log.write(_lines(1, 2))

        async def torn(text: str) -> None:
            log._handler.stream._file.buffer.raw.write(text[:30].encode())
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(log._handler.stream, "write", torn)
            with pytest.raises(OSError, match="No space"):
                await log.write(_lines(3, 4))
        assert log.last_seq == 2
        assert await log.write(_lines(3, 5)) == 3
        await log.close()
        assert _seqs(file) == [1, 2, 3, 4, 5]


class TestMending:
    @settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(cut=st.integers(min_value=0, max_value=400), zeros=st.integers(min_value=0, max_value=9))
    async def test_any_cut_is_mended(self, tmp_path: Path, cut: int, zeros: int) -> None:
        """Wherever a crash cuts the file, after a restart and the same lines again it is whole: no gap, no double."""
        file = tmp_path / "cut.jsonl"
        file.unlink(missing_ok=True)
        log = Journal(file)
        await log.write(_lines(1, 6))
        await log.close()
        whole = file.read_bytes()
        file.write_bytes(whole[:cut] + b"\0" * zeros)
        again = Journal(file)
        seq = await again.start()
        await again.write([line for line in _lines(1, 7) if line["seq"] > seq])
        await again.close()
        assert _seqs(file) == list(range(1, 8))

    async def test_a_line_without_its_end_stays(self, file: Path) -> None:
        """A line that lacks only its line break is whole and keeps its place."""
        file.parent.mkdir()
        file.write_text('{"seq": 1}\n{"seq": 2}')
        log = Journal(file)
        assert await log.start() == 2
        await log.write([{"seq": 3}])
        await log.close()
        assert _seqs(file) == [1, 2, 3]

    async def test_a_file_of_another_kind_is_not_cut(self, file: Path) -> None:
        """A setting that names a person's own file costs that person nothing of it."""
        file.parent.mkdir()
        file.write_text("dear diary\n\nnot yet finished")
        log = Journal(file)
        assert await log.start() == 0
        await log.write([{"seq": 1}])
        await log.close()
        assert file.read_text() == 'dear diary\n\nnot yet finished\n{"seq": 1}\n'
        assert journal.last_seq(file) == 1

    def test_no_file_means_nothing_written(self, tmp_path: Path) -> None:
        """Without a file the last `seq` is 0."""
        assert journal.last_seq(tmp_path / "none.jsonl") == 0
