"""What is kept of a call that failed: the moment that it saw, whatever others have written since."""

from __future__ import annotations

import pytest

from batos.calls.caller import Caller
from batos.errors import MethodError
from batos.image import failures
from tests.calls.conftest import make, no_primitive

pytestmark = pytest.mark.asyncio(loop_scope="module")
FALL = "def fall(self):\n    return 1 / self.n\n"


class Meanwhile:
    """A sandbox beside which somebody writes while a call fails."""

    def __init__(self, sandbox, write):
        self._sandbox = sandbox
        self._write = write

    async def call(self, *args, **kwargs):
        try:
            return await self._sandbox.call(*args, **kwargs)
        except MethodError:
            self._write()
            raise


async def test_a_failure_is_of_the_moment_that_its_call_saw(image, sandbox):
    """The record names the tid before the others' write: there the object is as the call saw it."""
    ref = image.transact_now(make, None, {"n": 0}, FALL).value
    seen = image.statistics()["tid"]

    def write():
        image.transact_now(lambda view: setattr(view.get(ref), "n", 5))

    caller = Caller(image, Meanwhile(sandbox, write), no_primitive, retries=1)
    with pytest.raises(MethodError) as caught:
        await caller.send(ref, "fall", [], {})
    (kept,) = image.read_now(failures.listing, "fall", 5).value
    assert kept["failure"] == caught.value.details["failure"]
    assert (kept["receiver"], kept["selector"], kept["args"], kept["line"]) == (ref, "fall", [], 2)
    assert kept["tid"] == seen
    assert kept["sha256"]
    assert "line 2: return 1 / self.n" in kept["traceback"]
