"""Units of work behind the commands about methods (`batos.kernel.learned`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from batos.image import methods, migrations
from batos.image.store import Image
from batos.kernel import learned
from batos.memory import catalog

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from batos.image.store import View


@pytest.fixture
def image(tmp_path: Path) -> Iterator[Image]:
    """An awakened image."""
    opened = Image(tmp_path / "live_image.fs", tmp_path / "live_image.fs.blob")
    migrations.migrate(opened)
    yield opened
    opened.close_now()


def teach(view: View, summary: str) -> None:
    methods.install(
        view,
        view.root["genesis_obj"],
        "sail",
        f'def sail(self):\n    """{summary}"""\n',
        {"mission_brief": {"intent": "cross the water"}},
        signature="(self)",
        summary=summary,
    )


def test_a_removed_method_is_found_again_after_its_rollback(image: Image) -> None:
    """What is removed leaves Fractal Memory; rolled back to life it is found by its summary and its intent again."""

    def found(query: str) -> bool:
        return bool(image.read_now(lambda view: catalog.search(view, query)).value)

    image.transact_now(teach, "Hoists the mainsail")
    image.transact_now(learned.remove, "genesis_obj", "sail", None)
    assert not found("mainsail")
    assert image.transact_now(learned.rollback, "genesis_obj", "sail", 1).value == 2
    assert found("mainsail")
    assert found("water")
