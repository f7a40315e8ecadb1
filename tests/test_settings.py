"""Where settings come from, and what is refused."""

from __future__ import annotations

import pytest

from batos.errors import BadSetting
from batos.settings import Settings


class TestSources:
    def test_the_environment_comes_before_the_file_and_the_file_before_the_default(self, home, monkeypatch):
        """Each source counts where the ones before it are silent."""
        (home / "batos.toml").write_text("WORKERS = 2\nattempts = 3\n")
        monkeypatch.setenv("BATOS_ATTEMPTS", "5")
        settings = Settings.load()
        assert (settings.workers, settings.attempts, settings.candidates) == (2, 5, 4)

    def test_paths_are_relative_to_the_home(self, home):
        """A relative path of a setting lies in BATOS_HOME."""
        settings = Settings.load()
        assert settings.image_path == home / "live_image.fs"
        assert settings.path("/elsewhere").as_posix() == "/elsewhere"

    def test_a_socket_lies_in_the_home(self, home):
        """The path of an ipc endpoint is relative to BATOS_HOME, so that kernel and client mean the same socket."""
        assert Settings.load(zmq_endpoint="ipc://run/bridge").zmq_endpoint == f"ipc://{home}/run/bridge"
        assert Settings.load(zmq_endpoint="ipc:///elsewhere/b").zmq_endpoint == "ipc:///elsewhere/b"

    @pytest.mark.parametrize("content", ["NO_SUCH = 1\n", "WORKERS = \n", "WORKERS = 0\n"])
    def test_a_wrong_file_is_refused(self, home, content):
        """A name that is none, text that is no TOML and a wrong value stop the start."""
        (home / "batos.toml").write_text(content)
        with pytest.raises(BadSetting) as refused:
            Settings.load()
        assert refused.value.exit_code == 5

    def test_a_wrong_value_is_named(self, home, monkeypatch):
        """The message has the setting's name and the value."""
        monkeypatch.setenv("BATOS_ENGINE", "abacus")
        with pytest.raises(BadSetting, match=r"BATOS_ENGINE has the value 'abacus'"):
            Settings.load()


class TestOpenBridge:
    @pytest.mark.parametrize(
        "endpoint",
        ["ipc:///elsewhere/bridge", "tcp://127.0.0.1:5555", "tcp://127.3.2.1:1", "tcp://localhost:1", "tcp://[::1]:1"],
    )
    def test_keys_may_be_off_at_home(self, home, monkeypatch, endpoint):
        """Without keys the bridge serves an endpoint that only this machine reaches."""
        monkeypatch.setenv("BATOS_ZMQ_ENDPOINT", endpoint)
        monkeypatch.setenv("BATOS_CURVE", "off")
        assert Settings.load().curve == "off"

    @pytest.mark.parametrize(
        "endpoint",
        ["tcp://0.0.0.0:5555", "tcp://*:5555", "tcp://192.168.1.2:5555", "tcp://example.org:1", "tcp://eth0:1"],
    )
    def test_keys_are_never_off_elsewhere(self, home, monkeypatch, endpoint):
        """Without keys an endpoint that others may reach is refused, with the name of the setting."""
        monkeypatch.setenv("BATOS_ZMQ_ENDPOINT", endpoint)
        monkeypatch.setenv("BATOS_CURVE", "off")
        with pytest.raises(BadSetting, match="BATOS_CURVE"):
            Settings.load()
