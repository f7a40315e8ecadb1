"""A real image and a real sandbox for the tests of this folder, and a caller over both."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from batos.calls.caller import Caller
from batos.errors import MethodError
from batos.image import methods, migrations, registry
from batos.image.store import Image, View
from batos.sandbox.runner import Limits, Sandbox

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from batos.codec import Ref


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def sandbox() -> AsyncIterator[Sandbox]:
    """A confined sandbox."""
    made = Sandbox(pool=2, limits=Limits(seconds=10))
    await made.start()
    assert made.refusal is None, made.refusal
    yield made
    await made.close()


@pytest.fixture
def image(tmp_path: Path) -> Iterator[Image]:
    """An awoken image."""
    made = Image(tmp_path / "live_image.fs", tmp_path / "live_image.fs.blob")
    migrations.migrate(made)
    yield made
    made.close_now()


async def no_primitive(name: str, ref: Ref, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """Stand for the kernel's primitives, which these tests do not send."""
    raise MethodError(f"{name} is not for this test")


@pytest.fixture
def caller(image: Image, sandbox: Sandbox) -> Caller:
    """A caller that learns nothing."""
    return Caller(image, sandbox, no_primitive, retries=8)


def teach(view: View, target: str | Ref, *sources: str) -> None:
    """Install methods, as a mission would; a unit of work."""
    for source in sources:
        selector = source.partition("def ")[2].partition("(")[0]
        methods.install(view, view.resolve(target), selector, source, {}, signature="(self)", summary="")


def make(view: View, name: str | None, slots: dict[str, Any], *sources: str) -> Ref:
    """Make an object that understands some methods; a unit of work."""
    ref = registry.create(view, None, slots, name)
    teach(view, ref, *sources)
    return ref
