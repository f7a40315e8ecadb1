"""The blocking client: the same answers from plain code."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from batos.client import SyncClient
from batos.errors import UnknownTarget, Unreachable
from tests.client.double import Double

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[Double]:
    """A double that runs in a thread of its own."""
    double = Double(tmp_path)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    asyncio.run_coroutine_threadsafe(double.start(), loop).result()
    yield double
    asyncio.run_coroutine_threadsafe(double.stop(), loop).result()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def test_it_answers_and_closes_twice(kernel: Double) -> None:
    """Requests, events and errors are those of the async client; closing again does nothing."""

    async def cycle(_request: Any, say: Any) -> dict[str, Any]:
        await say({"event": "accepted", "cycle_id": "c", "seq": 1})
        return {"status": "COMPLETE"}

    kernel.answers["install"] = cycle
    error = {"type": "UnknownTarget", "message": "no", "hint": ""}
    kernel.answers["inspect"] = lambda _r, _s: {"status": "ERROR", "error": error}
    heard: list[dict[str, Any]] = []
    client = SyncClient(kernel.endpoint, kernel.keys)
    with client:
        assert client.request({"command": "install"}, heard.append)["status"] == "COMPLETE"
        assert [event["event"] for event in heard] == ["accepted"]
        with pytest.raises(UnknownTarget):
            client.call("inspect", target_oid="x")
        assert client.statistics()["requests"] == 2
    client.close()


def test_an_absent_kernel_and_links_are_told(kernel: Double, tmp_path: Path) -> None:
    """Without a kernel a request ends after the patience that was given; links are told to `on_link`."""
    links: list[str] = []
    with SyncClient(kernel.endpoint, kernel.keys, on_link=links.append) as client:
        client.call("ping")
    assert links == ["linked"]
    with SyncClient(f"ipc://{tmp_path / 'nobody'}", None, patience=0.2) as client, pytest.raises(Unreachable):
        client.call("ping")


def test_threads_share_it(kernel: Double) -> None:
    """Several threads may ask at once; each gets its own answer."""
    kernel.answers["search"] = lambda request, _s: {"status": "OK", "query": request["query"]}
    got: dict[int, str] = {}
    with SyncClient(kernel.endpoint, kernel.keys) as client:

        def ask(n: int) -> None:
            got[n] = client.call("search", query=str(n))["query"]

        threads = [threading.Thread(target=ask, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert got == {n: str(n) for n in range(8)}


@pytest.mark.parametrize("keys", [True, False])
def test_closing_ends_the_requests_of_other_threads(tmp_path: Path, keys: bool) -> None:
    """A thread whose request waits for a kernel, or for the key files that its first start makes, is told of the end."""
    double = Double(tmp_path, "tcp://127.0.0.1:1")
    if keys:
        double.make_keys()
    client, told = SyncClient(double.endpoint, double.keys), []

    def ask() -> None:
        with pytest.raises(Unreachable, match="closed") as caught:
            client.call("ping")
        told.append(caught.value)

    threads = [threading.Thread(target=ask, daemon=True) for _ in range(3)]
    for thread in threads:
        thread.start()
    while client.statistics()["pending"] < len(threads):
        time.sleep(0.001)
    client.close()
    for thread in threads:
        thread.join(60)
    assert len(told) == len(threads)
    with pytest.raises(Unreachable, match="closed"):
        client.call("ping")
