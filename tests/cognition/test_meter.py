"""What a cycle spends."""

import asyncio

import pytest

from batos.cognition.meter import Meter
from batos.errors import DeadlineExceeded
from batos.mind.protocol import GenerateReply, GenerateRequest


class TestBudget:
    def test_a_request_is_held_to_what_is_left(self):
        """What is left of the tokens is shared by the texts of a request; with nothing left a request is refused."""
        meter = Meter({"completion_tokens": 60}, 100)
        assert meter.allow(GenerateRequest(state="S", n=4, max_tokens=512)).max_tokens == 10
        meter.count(GenerateReply(texts=("x",), prompt_tokens=7, completion_tokens=40))
        with pytest.raises(DeadlineExceeded, match="100 tokens"):
            meter.allow(GenerateRequest(state="S"))
        assert meter.plain()["prompt_tokens"] == 7

    def test_what_was_spent_before_is_kept(self):
        """A meter that goes on from another's figures gives the sums."""
        first = Meter(None, 100)
        first.count(GenerateReply(texts=("x",), completion_tokens=3))
        again = Meter(first.plain(), 100)
        again.count(GenerateReply(texts=("x",), completion_tokens=4))
        assert again.plain()["completion_tokens"] == 7


class TestSeconds:
    async def test_overlapping_work_is_counted_once(self):
        """Two calls that run side by side take the time of the longer one, not the sum."""
        meter = Meter(None, 1)
        entered = asyncio.Event()

        async def outer():
            with meter.running("sandbox"):
                entered.set()
                await asyncio.sleep(0.05)

        async def inner():
            await entered.wait()
            with meter.running("sandbox"):
                await asyncio.sleep(0)

        loop = asyncio.get_running_loop()
        began = loop.time()
        await asyncio.gather(outer(), inner())
        assert meter.plain()["sandbox_seconds"] <= loop.time() - began
        assert meter.plain()["model_seconds"] == 0
