"""The Living Image against bare ZODB and SQLite: reads, lookups, commits, size, opening.

All peers run in the same process in turns with ours, so a busy machine slows both. Commits are synced to the disk on
all sides.
"""

from __future__ import annotations

import asyncio
import gc
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batos.bench.figures import Figure, paired, seconds

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from batos.bench.figures import Tell
    from batos.image.store import Image
    from batos.image.view import View

READS = 20_000
WRITERS = 16
LAYERS = 8


def arguments(parser: argparse.ArgumentParser) -> None:
    """The bench's own options."""
    parser.add_argument("--objects", type=int, default=100_000, help="objects of the large image (default: 100000)")
    parser.add_argument("--rounds", type=int, default=7, help="rounds of each comparison (default: 7)")
    parser.add_argument("--commits", type=int, default=800, help="commits a round (default: 800)")


def run(options: argparse.Namespace, tell: Tell) -> list[Figure]:
    """Measure everything; takes a few minutes."""
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="batos-bench-") as place:
        for what, measure in (("lookup", _lookups), ("commits", _commits), ("size and opening", _large)):
            tell(f"{what} …")
            folder = Path(place) / what.replace(" ", "-")
            folder.mkdir()
            figures += measure(folder, options)
    return figures


def _open(folder: Path) -> Image:
    from batos.image.store import Image

    return Image(folder / "live_image.fs", folder / "live_image.fs.blob")


# Lookup


def _lookups(folder: Path, options: argparse.Namespace) -> list[Figure]:
    image = _open(folder)
    try:
        image.transact_now(_furnish)
        return image.read_now(_read_all, options.rounds).value
    finally:
        image.close_now()


def _furnish(view: View) -> None:
    from persistent.mapping import PersistentMapping

    from batos.image.methods import Primitive
    from batos.image.objects import UvmObject

    # A plain persistent object of the stock, whose one attribute is `data`.
    view.root["plain"] = PersistentMapping()
    view.root["own"] = UvmObject(data=1)
    for depth in (1, 3, 10):
        tip = UvmObject(data=1, method=Primitive("clone"))
        for _ in range(depth):
            tip = UvmObject(parents=[tip])
        view.root[f"depth{depth}"] = tip
    chain, layer = UvmObject(), [UvmObject(), UvmObject()]
    for _ in range(LAYERS):
        chain = UvmObject(parents=[chain])
        layer = [UvmObject(parents=layer), UvmObject(parents=layer)]
    view.root["chain"], view.root["diamond"] = chain, UvmObject(parents=layer)


def _read_all(view: View, rounds: int) -> list[Figure]:
    from batos.image import lookup

    root = view.root
    plain = _loop("o.data", root["plain"])
    figures = [_read_figure("own slot", _loop("o.data", root["own"]), plain, 5, rounds)]
    for depth in (1, 3, 10):
        ours = _loop("o.data", root[f"depth{depth}"])
        figures.append(_read_figure(f"delegated read, depth {depth}", ours, plain, 35, rounds))
    ratio, deep, shallow = _net(_loop("o.data", root["depth10"]), _loop("o.data", root["depth1"]), rounds)
    note = f"{deep:.0f} ns against {shallow:.0f} ns"
    figures.append(Figure("delegated read, depth 10 against depth 1", ratio, 1.15, note=note))
    send = _loop("find(o, 'method')", root["depth3"], find=lookup.find)
    figures.append(_read_figure("method lookup for send, warm, depth 3", send, plain, 10, rounds))
    return [*figures, *_misses(view, rounds)]


def _misses(view: View, rounds: int) -> list[Figure]:
    """A miss is measured without the memory of lookups, which would answer both at once; and with it."""
    from batos.image import lookup

    def cold(obj: Any) -> Callable[[], None]:
        def work() -> None:
            for _ in range(READS // 20):
                view.conn.remembered.clear()
                lookup.find(obj, "nothing")

        return work

    chain, diamond = view.root["chain"], view.root["diamond"]
    pairs = [(_busy(cold(diamond)), _busy(cold(chain))) for _ in range(rounds)]
    ratio = statistics.median(wide / narrow for wide, narrow in pairs)
    wide, narrow = (_ns(statistics.median(column), 20) for column in zip(*pairs, strict=True))
    note = f"searched anew each time: {wide:.0f} ns against {narrow:.0f} ns"
    warm = [_loop("find(o, 'nothing')", obj, find=lookup.find) for obj in (diamond, chain)]
    again, *_both = _net(warm[0], warm[1], rounds)
    return [
        Figure(f"miss through a diamond of {LAYERS} layers against a chain", ratio, 3, note=note),
        Figure("the same miss the second time", again, 3),
    ]


def _loop(statement: str, obj: Any, **names: Any) -> Callable[[], float]:
    """A loop of `statement` that gives its seconds, the empty loop's own taken off."""
    space: dict[str, Any] = {**names}
    body = "".join(f"        {statement}\n" for _ in range(10))
    text = (
        f"def full(o, times):\n    for _ in times:\n{body}\ndef empty(o, times):\n    for _ in times:\n        pass\n"
    )
    exec(text, space)  # noqa: S102  # our own text: a call inside the loop would cost more than what is measured
    full, empty = space["full"], space["empty"]

    def net() -> float:
        times = range(READS // 10)
        return max(_busy(lambda: full(obj, times)) - _busy(lambda: empty(obj, times)), 1e-9)

    net()
    return net


def _busy(work: Callable[[], object]) -> float:
    """The seconds of processor time that `work` takes: what waits for no disk is not slower beside other load."""
    gc.collect()
    start = time.thread_time()
    work()
    return time.thread_time() - start


def _net(ours: Callable[[], float], peer: Callable[[], float], rounds: int) -> tuple[float, float, float]:
    """Medians of net times in turns: their ratio, and both in nanoseconds an operation."""
    pairs = [(ours(), peer()) for _ in range(rounds * 3)]
    ratio = statistics.median(mine / theirs for mine, theirs in pairs)
    return ratio, _ns(statistics.median(p[0] for p in pairs)), _ns(statistics.median(p[1] for p in pairs))


def _ns(time_s: float, less: int = 1) -> float:
    return time_s / (READS // less) * 1e9


def _read_figure(name: str, ours: Callable[[], float], plain: Callable[[], float], bound: float, rounds: int) -> Figure:
    ratio, mine, theirs = _net(ours, plain, rounds)
    note = f"{mine:.0f} ns; an attribute of a plain Persistent object {theirs:.0f} ns"
    return Figure(f"{name}, against a plain attribute", ratio, bound, note=note)


# Commits


def _commits(folder: Path, options: argparse.Namespace) -> list[Figure]:
    from batos.bench import image_peers

    count, loops, own = options.commits, [], []
    image = _open(folder)
    image.transact_now(_furnish_writers)
    bare = image_peers.Bare(folder / "bare.fs", WRITERS)
    lite = image_peers.Lite(folder / "peer.sqlite", WRITERS)
    rates: list[tuple[float, float, float]] = []
    try:
        for _ in range(options.rounds):
            took, lag = asyncio.run(_write(lambda who, n: image.transact(_change, who, n), count))
            rates.append((took, seconds(lambda: bare.write(count)), seconds(lambda: lite.write(count))))
            own.append(lag)
            loops.append(asyncio.run(_write(bare.write_one, count))[1])
    finally:
        image.close_now()
        bare.close()
        lite.close()
    ours, zodb, sqlite = (count / statistics.median(column) for column in zip(*rates, strict=True))
    against_zodb = statistics.median(theirs / mine for mine, theirs, _ in rates)
    against_sqlite = statistics.median(theirs / mine for mine, _, theirs in rates)
    lag, loop_lag = statistics.median(own), statistics.median(loops)
    return [
        Figure(
            f"commits/s of {WRITERS} tasks through the door, against bare ZODB in one thread",
            against_zodb,
            0.65,
            ">=",
            note=f"{ours:.0f}/s against {zodb:.0f}/s",
        ),
        Figure(
            "the same against SQLite (FULL, journal DELETE)", against_sqlite, 1.3, ">=", note=f"{sqlite:.0f}/s there"
        ),
        Figure(
            f"event-loop lag p99 with {WRITERS} writers, against commits on the loop",
            statistics.median(a / b for a, b in zip(own, loops, strict=True)),
            0.2,
            note=f"{lag * 1e3:.2f} ms against {loop_lag * 1e3:.2f} ms",
        ),
    ]


def _furnish_writers(view: View) -> None:
    from batos.image.objects import UvmObject

    for who in range(WRITERS):
        view.root[f"writer{who}"] = UvmObject(count=0)


def _change(view: View, who: int, number: int) -> None:
    view.root[f"writer{who}"].count = number


async def _write(write: Callable[[int, int], Any], count: int) -> tuple[float, float]:
    """Let the writers make `count` commits; gives the seconds and the loop's lag, p99, in seconds."""
    lags: list[float] = []
    done = asyncio.Event()

    async def measure() -> None:
        while not done.is_set():
            start = time.perf_counter()
            await asyncio.sleep(0.001)
            lags.append(time.perf_counter() - start - 0.001)

    async def writer(who: int) -> None:
        for number in range(count // WRITERS):
            await write(who, number)

    watching = asyncio.create_task(measure())
    await asyncio.sleep(0)
    start = time.perf_counter()
    await asyncio.gather(*(writer(who) for who in range(WRITERS)))
    took = time.perf_counter() - start
    done.set()
    await watching
    return took, sorted(lags)[int(len(lags) * 0.99)]


# Size and opening


def _large(folder: Path, options: argparse.Namespace) -> list[Figure]:
    from batos.bench import image_peers

    count = options.objects
    image = _open(folder)
    image_peers.fill_ours(image, count)
    ours = image.statistics()["bytes"]
    image.close_now()
    plain = image_peers.fill_plain(folder / "plain.fs", count)
    rounds = max(3, options.rounds // 2)
    touch, mine, theirs = paired(
        lambda: image_peers.touch_ours(folder), lambda: image_peers.touch_plain(folder / "plain.fs"), rounds
    )
    opened, ours_s, theirs_s = paired(lambda: _open(folder).close_now(), _opener(folder / "live_image.fs"), rounds)
    return [
        Figure(
            "bytes of a small object on disk, against a plain Persistent object",
            ours / plain,
            1.15,
            note=f"{ours / count:.0f} against {plain / count:.0f}",
        ),
        Figure(
            f"touch of {count} objects, against plain ones", touch, 1.25, note=f"{mine:.2f} s against {theirs:.2f} s"
        ),
        Figure(
            f"open and close an image of {count} objects, index present, against bare ZODB",
            opened,
            3,
            note=f"{ours_s * 1e3:.1f} ms against {theirs_s * 1e3:.1f} ms",
        ),
    ]


def _opener(file: Path) -> Callable[[], None]:
    from batos.bench import image_peers

    return lambda: image_peers.open_bare(file)
