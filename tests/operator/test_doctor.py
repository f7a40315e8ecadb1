"""The doctor and the checks before an installation: what is missing is named with its mend."""

from __future__ import annotations

import json
import shutil
import socket

import pytest

from batos.operator import checks, cli, doctor, plan
from batos.settings import Settings


def by_name(settings: Settings) -> dict[str, checks.Check]:
    """All checks by their names."""
    return {check.name: check for check in doctor.look(settings)}


class TestDoctor:
    def test_a_good_machine_is_well(self, settings, capsys):
        """Every check is made, none is bad here, and --json lists each with its level."""
        code = cli.main(["doctor", "--json"])
        told = json.loads(capsys.readouterr().out)
        assert {row["name"] for row in told} >= {
            "python",
            "compiler",
            "memory",
            "sandbox",
            "weights",
            "endpoint",
            "keys",
        }
        assert {row["level"] for row in told} <= {"ok", "warn", "bad"}
        assert code == (1 if any(row["level"] == "bad" for row in told) else 0)

    def test_exposed_keys_are_bad(self, settings):
        """A secret that others may read is named with the command that mends it."""
        settings.keys_path.mkdir()
        for name in ("server", "client"):
            (settings.keys_path / f"{name}.key_secret").touch(0o600)
        assert doctor._keys(settings).level == "ok"
        (settings.keys_path / "client.key_secret").chmod(0o644)
        found = doctor._keys(settings)
        assert found.level == "bad"
        assert "chmod 600" in found.mend

    def test_a_stranger_on_the_port_is_told(self, settings):
        """An endpoint that something else uses is a warning."""
        assert doctor._endpoint(settings).level == "ok"
        port = int(settings.zmq_endpoint.rpartition(":")[2])
        with socket.create_server(("127.0.0.1", port)):
            assert doctor._endpoint(settings).level == "warn"

    def test_missing_weights_are_a_warning(self, home, tmp_path):
        """The kernel fetches them itself, so their absence is no fault; the command to fetch them is named."""
        empty = Settings.load(weights_cache=tmp_path / "none", persona_models="qwen2.5-coder-0.5b", engine="llama.cpp")
        found = doctor._weights(empty)
        assert found.level == "warn"
        assert "models fetch" in found.mend

    def test_missing_packages_are_named(self):
        """Each missing package is in the line."""
        found = doctor.packages(("rich", "no-such-package"), "packages", "bad", "mend")
        assert (found.level, found.mend) == ("bad", "mend")
        assert "no-such-package" in found.text
        assert "rich" not in found.text

    def test_an_error_of_a_check_is_a_line(self, settings):
        """A check that fails makes a bad line, not an end of the doctor."""

        def broken(_settings: Settings) -> checks.Check:
            raise PermissionError("no entry")

        assert doctor._guarded(broken, settings) == checks.Check(
            "broken", "bad", "no entry", "Mend the permissions or the disk."
        )


class TestChecks:
    def test_a_missing_compiler_is_bad(self, monkeypatch, tmp_path):
        """Without a compiler the mend names how to get one."""
        monkeypatch.setenv("PATH", str(tmp_path))
        monkeypatch.delenv("CC", raising=False)
        monkeypatch.delenv("CXX", raising=False)
        found = checks.compiler()
        assert found.level == "bad"
        assert "ompiler" in found.mend

    def test_a_compiler_named_in_the_environment_counts(self, monkeypatch, tmp_path):
        """CC and CXX name compilers that are on no path; their arguments are not part of the name."""
        monkeypatch.setenv("PATH", str(tmp_path))
        real = shutil.which("sh", path="/bin:/usr/bin")
        monkeypatch.setenv("CC", f"{real} -m64")
        monkeypatch.setenv("CXX", str(real))
        assert checks.compiler().level == "ok"

    @pytest.mark.parametrize(("gib", "level"), [(1, "bad"), (3, "warn"), (16, "ok")])
    def test_memory(self, monkeypatch, gib, level):
        """Little memory is a warning, too little is bad."""
        monkeypatch.setattr(checks.device, "memory_bytes", lambda: gib * checks.GIB)
        assert checks.memory().level == level

    def test_the_disk_of_a_folder_that_is_not_there_yet(self, tmp_path):
        """The nearest folder above tells."""
        assert checks.disk(tmp_path / "a" / "b").text


class TestPlan:
    def test_sizes_are_said(self, capsys, monkeypatch, tmp_path):
        """The plan names packages, the build and the weights with their bytes."""
        monkeypatch.chdir(tmp_path)
        plan.main(["--models", "qwen2.5-coder-0.5b"])
        said = capsys.readouterr().err
        assert "491,400,064 bytes" in said
        assert "Python packages" in said
        assert "5 minutes" in said

    def test_a_built_environment_needs_no_compiler(self, capsys, monkeypatch, tmp_path):
        """Where llama-cpp-python is built already, nothing is said of a build and no compiler is asked for."""
        (tmp_path / ".venv" / "lib" / "python3.11" / "site-packages" / "llama_cpp").mkdir(parents=True)
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("PATH", str(tmp_path))
        assert plan.main(["--light"]) == 0
        assert "minutes" not in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("setting", "value", "names"),
        [
            ("BATOS_ENGINE", "openai", []),
            ("BATOS_ENGINE", "scripted:x.json", []),
            ("BATOS_PERSONA_MODELS", "tiny", ["tiny"]),
            ("BATOS_PERSONA_MODELS", '{"ALFRED": "b", "BRICK": "a", "ROBIN": "a"}', ["a", "b"]),
        ],
    )
    def test_the_weights_that_settings_ask_for(self, monkeypatch, setting, value, names):
        """The environment decides which weights the plan names."""
        monkeypatch.setenv(setting, value)
        assert plan.default_models() == names

    def test_a_model_outside_the_catalog_has_no_size(self):
        """What is not in the catalog is named without a size."""
        assert "source says" in plan.weight_line("own/model")

    def test_it_runs_without_any_package(self):
        """A bare Python, without site packages, can say the plan."""
        import subprocess
        import sys

        from .conftest import ROOT

        code = "import sys; sys.path.insert(0, '.'); from batos.operator import plan; print(len(plan.lines(light=True, models=['qwen2.5-coder-0.5b'])))"
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, cwd=ROOT, check=True
        )
        assert int(done.stdout) >= 2
