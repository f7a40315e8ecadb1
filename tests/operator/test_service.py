"""`python -m batos service install`: the unit is one that systemd understands."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from batos.operator import cli, service
from batos.settings import Settings
from batos.watchdog.releases import Release


def _sections(text: str) -> dict[str, list[tuple[str, str]]]:
    """The lines of a unit by section; every line must be a section, a setting or empty."""
    found: dict[str, list[tuple[str, str]]] = {}
    name = ""
    for line in text.splitlines():
        if line.startswith("["):
            name = line.strip("[]")
            found[name] = []
        elif line:
            key, equals, value = line.partition("=")
            assert equals, line
            assert key.isidentifier(), line
            found[name].append((key, value))
    return found


@pytest.mark.parametrize("system", [True, False])
def test_the_unit_says_what_must_be_said(home, system):
    """It is told when the kernel serves, watched, restarted, and leaves the kernel to the next watchdog."""
    found = _sections(service.unit(Settings.load(), system=system))
    told = dict(found["Service"])
    assert list(found) == ["Unit", "Service", "Install"]
    assert told["Type"] == "notify"
    assert int(told["WatchdogSec"]) > 0
    assert (told["Restart"], told["KillMode"]) == ("always", "process")
    assert dict(found["Unit"])["StartLimitIntervalSec"] == "0"  # it never ends stopped
    assert told["ExecStart"].endswith('min_watchdog_service.py" --background')
    assert f'"BATOS_HOME={home}"' in [value for key, value in found["Service"] if key == "Environment"]
    assert dict(found["Install"])["WantedBy"] == ("multi-user.target" if system else "default.target")
    assert ("User" in told) is system


def test_settings_come_along_and_secrets_do_not(home, monkeypatch):
    """Settings of the environment are in the unit, quoted; keys of services and the folder's own name are not doubled."""
    monkeypatch.setenv("BATOS_PERSONA_MODELS", '{"BRICK": "100%"}')
    monkeypatch.setenv("BATOS_OPENAI_API_KEY", "secret")
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    text = service.unit(Settings.load())
    assert r'Environment="BATOS_PERSONA_MODELS={\"BRICK\": \"100%%\"}"' in text
    assert "secret" not in text
    assert text.count("BATOS_HOME=") == 1


def test_a_sign_in_the_path_of_the_code_stays(home, monkeypatch):
    """A `$` in the folder of the code is no variable, a `%` no specifier."""
    release = Release("", Path("/srv/$bat 5%"), Path("/srv/$bat 5%/python"), None)
    monkeypatch.setattr(service, "Releases", lambda _: SimpleNamespace(base=release))
    text = service.unit(Settings.load())
    assert 'ExecStart="/srv/$$bat 5%%/python" "/srv/$$bat 5%%/min_watchdog_service.py" --background' in text


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_accepts_it(home, tmp_path, monkeypatch):
    """`systemd-analyze verify` has nothing to say about the unit, also of a folder with blanks and signs in its name."""
    odd = tmp_path / 'a "home" of 100% $x'
    odd.mkdir()
    monkeypatch.setenv("BATOS_HOME", str(odd))
    file = tmp_path / "batos.service"
    assert cli.main(["service", "install", "--print", "--system"]) == 0
    file.write_text(service.unit(Settings.load(), system=True))
    done = subprocess.run(["systemd-analyze", "verify", str(file)], capture_output=True, text=True, check=False)
    if "initialize manager" in done.stderr:
        pytest.skip(f"systemd-analyze cannot work here: {done.stderr.strip()}")
    about_us = [line for line in done.stderr.splitlines() if "batos" in line]
    assert (done.returncode, about_us) == (0, []), done.stderr


def test_it_is_written_where_systemd_looks(home, tmp_path, monkeypatch, capsys):
    """Without --print the unit of the user is written, and the commands that come next are named."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    assert cli.main(["service", "install", "--name", "mine"]) == 0
    file = tmp_path / "config" / "systemd" / "user" / "mine.service"
    assert file.read_text() == service.unit(Settings.load())
    assert "enable --now mine" in capsys.readouterr().out


def test_names_that_are_none_are_refused(home, capsys):
    """A name that would leave the folder is refused."""
    assert cli.main(["service", "install", "--name", "../x"]) == 1
    assert "../x" in capsys.readouterr().err


def test_the_code_that_is_started_is_the_first_release(home):
    """The watchdog starts from where BAT OS was set up, and finds the release that serves itself."""
    assert str(Release.own().code / "min_watchdog_service.py") in service.unit(Settings.load())
    assert Path(Release.own().code / "min_watchdog_service.py").exists()
