"""The outbox and the journal together: no gap and no double, whatever is killed when."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batos.codec import Ref
from batos.image import outbox
from batos.image.store import Image
from batos.journal import Journal

if TYPE_CHECKING:
    from collections.abc import Callable

    from batos.image.store import View

_WRITER = """
import asyncio, sys
from pathlib import Path
from batos.image import outbox
from batos.image.store import Image
from batos.journal import Journal

folder = Path(sys.argv[1])


def work(view, n):
    view.root["done"] = view.root.get("done", 0) + 1
    outbox.append(view, {"event_type": "WORK", "done": view.root["done"]})
    return view.root["done"]


async def main():
    image = Image(folder / "i.fs", folder / "i.blob")
    journal = Journal(folder / "log.jsonl")
    await journal.start()
    for n in range(10_000):
        print((await image.transact(work, n)).value, flush=True)
        lines = (await image.read(outbox.pending, journal.last_seq, 100)).value
        await journal.write(lines)
        if n % 3 == 0:
            await image.transact(outbox.trim, journal.last_seq)


asyncio.run(main())
"""


def _append(image: Image, *names: str) -> list[int]:
    return image.transact_now(lambda view: [outbox.append(view, {"name": name}) for name in names]).value


def _pending(image: Image, after: int = 0, limit: int = 100) -> list[dict[str, Any]]:
    return image.read_now(outbox.pending, after, limit).value


class TestOutbox:
    def test_lines_come_back_in_order(self, image: Image) -> None:
        """Lines are numbered 1, 2, 3 … and come back whole, with `seq` first, from any point and up to a limit."""
        assert _append(image, "a", "b") == [1, 2]
        assert _append(image, "c") == [3]
        assert _pending(image) == [{"seq": 1, "name": "a"}, {"seq": 2, "name": "b"}, {"seq": 3, "name": "c"}]
        assert list(_pending(image)[0]) == ["seq", "name"]
        assert [line["name"] for line in _pending(image, 1, 1)] == ["b"]
        assert _pending(image, 3) == []

    def test_an_empty_image_has_none(self, image: Image) -> None:
        """Without a line there is nothing pending and nothing to trim."""
        assert _pending(image) == []
        assert image.transact_now(outbox.trim, 5).value == 0

    def test_numbers_go_on_after_trim_and_restart(self, reopen: Callable[[], Image]) -> None:
        """A trimmed number is never given again, also when the outbox was empty at the restart."""
        image = reopen()
        _append(image, "a", "b")
        assert image.transact_now(outbox.trim, 2).value == 2
        assert image.transact_now(outbox.trim, 2).value == 0
        image = reopen()
        assert _append(image, "c") == [3]
        assert [line["seq"] for line in _pending(image)] == [3]

    def test_a_transaction_that_fails_uses_no_number(self, image: Image) -> None:
        """What is rolled back is never told, and leaves no gap."""

        def fails(view: View) -> None:
            outbox.append(view, {"name": "never"})
            raise RuntimeError

        with pytest.raises(RuntimeError):
            image.transact_now(fails)
        assert _append(image, "a") == [1]

    def test_any_plain_data_is_a_line(self, image: Image) -> None:
        """References and other extension types survive the outbox."""
        line = {"ref": Ref(b"\0" * 8), "tuple": (1, {2}), "seq_of": {1: "x"}}
        image.transact_now(outbox.append, line)
        assert _pending(image) == [{"seq": 1, **line}]

    @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(steps=st.lists(st.integers(min_value=-5, max_value=3), max_size=12))
    def test_no_line_is_lost_or_doubled(self, image: Image, steps: list[int]) -> None:
        """In any order of appending and trimming, what was pending once in order is every line, each once."""
        seen = list(range(1, image.transact_now(outbox.resume, 0).value + 1))
        for step in steps:
            if step > 0:
                _append(image, *"x" * step)
            else:
                seen += [line["seq"] for line in _pending(image, len(seen), -step)]
                image.transact_now(outbox.trim, len(seen))
        seen += [line["seq"] for line in _pending(image, len(seen), 1000)]
        assert seen == list(range(1, len(seen) + 1))


class TestResume:
    def test_a_restored_image_goes_on_after_the_file(self, image: Image) -> None:
        """When the file is ahead of the image, new lines get numbers that the file does not have."""
        _append(image, "a")
        assert image.transact_now(outbox.resume, 40).value == 40
        assert _append(image, "b") == [41]

    def test_an_image_that_is_ahead_keeps_its_count(self, image: Image) -> None:
        """A file that is behind, or was moved away, changes nothing."""
        _append(image, "a", "b")
        assert image.transact_now(outbox.resume, 1).value == 2
        assert _append(image, "c") == [3]

    def test_before_the_first_line(self, image: Image) -> None:
        """An image without an outbox can go on after a file too."""
        assert image.transact_now(outbox.resume, 7).value == 7
        assert _append(image, "a") == [8]


async def test_kill_leaves_no_gap_and_no_double(tmp_path: Path) -> None:
    """Killed at any moment, again and again: the file tells of every commit once, in order, and of nothing else."""
    for lives in (2, 3, 17, 30):
        command = [sys.executable, "-c", _WRITER, str(tmp_path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]) as process:
            assert process.stdout is not None
            acknowledged = [int(process.stdout.readline()) for _ in range(lives)][-1]
            process.kill()
    image, journal = Image(tmp_path / "i.fs", tmp_path / "i.blob"), Journal(tmp_path / "log.jsonl")
    await journal.start()
    await journal.write((await image.read(outbox.pending, journal.last_seq, 10_000)).value)
    await journal.close()
    done = (await image.read(lambda view: view.root["done"])).value
    await image.close()
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [(line["seq"], line["done"]) for line in lines] == [(n, n) for n in range(1, done + 1)]
    assert done >= acknowledged
