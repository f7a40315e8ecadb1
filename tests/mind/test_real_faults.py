"""A real host with real weights that is killed or stopped while it writes: a typed error in time, and the next text is right."""

import asyncio
import os
import signal
import sys

import pytest

from batos.errors import ModelError
from batos.mind.protocol import GenerateRequest
from batos.mind.service import HostMind

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(sys.platform == "win32", reason="the faults are made with signals"),
]
MODEL = "smollm2-135m"
STALL_SECONDS = 8.0


def asked(max_tokens):
    messages = ({"role": "user", "content": "Tell a long story about a lighthouse."},)
    return GenerateRequest(state="X", model=MODEL, messages=messages, max_tokens=max_tokens, temperature=0.7, seed=3)


@pytest.mark.parametrize(
    ("signal_name", "said"),
    [("SIGKILL", r"was ended by SIGKILL"), ("SIGSTOP", rf"said nothing for {STALL_SECONDS:g} s and was killed")],
)
async def test_fault_while_it_writes(weights, signal_name, said):
    """The request fails with what happened and what to do; a new host writes the very text that the old one wrote."""
    mind = HostMind({MODEL: weights(MODEL)}, engine="llama.cpp", stall_seconds=STALL_SECONDS)
    try:
        before = await mind.generate(asked(8))
        writes = asyncio.Event()
        task = asyncio.create_task(mind.generate(asked(4000), lambda token: writes.set()))
        await writes.wait()
        os.kill(mind.statistics()["hosts"]["text"]["pid"], getattr(signal, signal_name))
        with pytest.raises(ModelError, match=said) as caught:
            await task
        assert "a new host is started" in caught.value.hint
        assert (await mind.generate(asked(8))).texts == before.texts
        host = mind.statistics()["hosts"]["text"]
        assert (host["starts"], host["deaths"]) == (2, 1)
    finally:
        await mind.close()
