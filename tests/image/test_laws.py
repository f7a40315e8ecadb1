"""Which good calls speak for the version that is active (`batos.image.laws`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from batos.image import laws, methods

if TYPE_CHECKING:
    from batos.image.store import Image, View

TARGET = "genesis_obj"
VERSIONS = ("    return 1\n", "    return 2\n", "    return 3\n")


def _install(view: View, body: str, origin: str) -> str:
    obj = view.resolve(TARGET)
    source = f"def greet(self):\n{body}"
    made = methods.install(view, obj, "greet", source, {"origin": origin}, signature="(self)", summary="")
    return str(made.sha256)


def _keep(view: View, number: int, sha256: str | None) -> None:
    call = {"receiver": view.ref(view.resolve(TARGET)), "args": [number], "kwargs": {}, "result": 1, "tid": "0" * 16}
    laws.add_call(view, view.ref(view.resolve(TARGET)), "greet", call | ({} if sha256 is None else {"sha256": sha256}))


def _standing(view: View) -> list[int]:
    return [call["args"][0] for call in laws.calls(view, view.ref(view.resolve(TARGET)), "greet")]


@pytest.mark.parametrize(
    ("origins", "stand"),
    [
        (("mission", "repair", "correction"), [0, 1, 2]),
        (("mission", "repair", "architect"), [2]),
        (("mission", "architect", "repair"), [1, 2]),
        (("mission", "mission", "mission"), [2]),
    ],
)
def test_calls_speak_for_what_was_mended_from_their_source(world: Image, origins, stand) -> None:
    """Calls go on to speak for repairs and corrections of their version, up to one that was made on purpose."""
    for number, (body, origin) in enumerate(zip(VERSIONS, origins, strict=True)):
        sha256 = world.transact_now(_install, body, origin).value
        world.transact_now(_keep, number, sha256)
    assert world.read_now(_standing).value == stand


def test_a_rollback_makes_its_calls_count_again(world: Image) -> None:
    """After a rollback the calls of the source that is back speak again, those of the other do not."""
    for number, body in enumerate(VERSIONS[:2]):
        sha256 = world.transact_now(_install, body, "mission").value
        world.transact_now(_keep, number, sha256)
    assert world.read_now(_standing).value == [1]
    world.transact_now(lambda view: methods.rollback(view, view.resolve(TARGET), "greet", 1).version)
    assert world.read_now(_standing).value == [0]


def test_calls_of_an_older_build_count(world: Image) -> None:
    """A call that was kept without a digest speaks for any version, as it did when it was kept."""
    world.transact_now(_install, VERSIONS[0], "mission")
    world.transact_now(_keep, 0, None)
    world.transact_now(_install, VERSIONS[1], "architect")
    assert world.read_now(_standing).value == [0]
