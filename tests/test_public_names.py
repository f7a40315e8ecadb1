"""The package's public names load on first use, and its version is said once."""

import tomllib
from pathlib import Path

import pytest

import batos

ROOT = Path(batos.__file__).parent.parent


@pytest.mark.parametrize("name", batos.__all__)
def test_every_public_name_loads(name):
    """Each name of `__all__` can be imported from the package, and shows in dir()."""
    assert getattr(batos, name) is not None
    assert name in dir(batos)


def test_an_unknown_name_is_an_attribute_error():
    """A name that is not public is refused as any module does."""
    with pytest.raises(AttributeError, match="nothing_like_it"):
        batos.nothing_like_it  # noqa: B018 - the look-up is the test


def test_one_version():
    """The package and its metadata say the same version."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == batos.__version__


async def test_the_kernel_can_be_held_by_a_program(tmp_path, monkeypatch):
    """`BatOS_UVM(db_file, blob_dir)` initialises, runs until it is stopped, and shuts down."""
    script = tmp_path / "script.json"
    script.write_text("[]")
    monkeypatch.setenv("BATOS_HOME", str(tmp_path))
    monkeypatch.setenv("BATOS_ENGINE", f"scripted:{script}")
    monkeypatch.setenv("BATOS_ZMQ_ENDPOINT", f"ipc://{tmp_path / 'bridge'}")
    uvm = batos.BatOS_UVM(tmp_path / "mine.fs", tmp_path / "mine.blobs")
    await uvm.initialize_system()
    try:
        uvm.stop()
        await uvm.run()
        assert uvm.statistics()["sandbox"]["level"] == "full"
    finally:
        await uvm.shutdown()
    assert (tmp_path / "mine.fs").exists()
