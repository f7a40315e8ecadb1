"""What a machine must have, looked at with the standard library alone: it runs before anything is installed."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from batos.mind import device

MIN_PYTHON = (3, 11)
GIB = 1 << 30
DISK_BAD = GIB
DISK_WARN = 6 * GIB
MEMORY_BAD = int(1.5 * GIB)
MEMORY_WARN = 4 * GIB

Level = Literal["ok", "warn", "bad"]


@dataclass(frozen=True)
class Check:
    """One line of the doctor: what was looked at, how it is, and the mend where it is not well."""

    name: str
    level: Level
    text: str
    mend: str = ""


def python() -> Check:
    """The interpreter."""
    text = f"{sys.version.split()[0]} at {sys.executable}"
    if sys.version_info < MIN_PYTHON:
        return Check("python", "bad", text, "Install Python 3.11 or newer, or name one in BATOS_PYTHON.")
    return Check("python", "ok", text)


def compiler() -> Check:
    """A C and a C++ compiler, for the build of llama-cpp-python."""
    c = _first(os.environ.get("CC", ""), "cc", "gcc", "clang", "cl")
    cxx = _first(os.environ.get("CXX", ""), "c++", "g++", "clang++", "cl")
    missing = [name for name, found in (("C", c), ("C++", cxx)) if found is None]
    if missing:
        return Check("compiler", "bad", f"no {' and no '.join(missing)} compiler", _compiler_mend())
    return Check("compiler", "ok", f"{c}, {cxx}")


def cmake() -> Check:
    """CMake; pip brings one along where there is none."""
    found = _first("cmake")
    if found is None:
        return Check("cmake", "warn", "not installed", "Nothing to do: the build brings its own as a Python package.")
    return Check("cmake", "ok", found)


def disk(folder: Path, name: str = "disk") -> Check:
    """Free space where a folder lies or will lie."""
    there = next((place for place in (folder, *folder.parents) if place.exists()), Path(folder.anchor or "."))
    free = shutil.disk_usage(there).free
    text = f"{free / GIB:.1f} GiB free at {folder}"
    if free < DISK_BAD:
        return Check(name, "bad", text, "Free some space, or choose another folder.")
    if free < DISK_WARN:
        return Check(name, "warn", text, "Packages and the default weights together take about 4 GiB.")
    return Check(name, "ok", text)


def memory() -> Check:
    """The machine's memory."""
    total = device.memory_bytes()
    text = f"{total / GIB:.1f} GiB"
    if total < MEMORY_BAD:
        return Check("memory", "bad", text, "The smallest model needs about 1.5 GiB: use the `openai` engine instead.")
    if total < MEMORY_WARN:
        return Check("memory", "warn", text, "Use a small model: BATOS_PERSONA_MODELS=qwen2.5-coder-0.5b.")
    return Check("memory", "ok", text)


def _first(*commands: str) -> str | None:
    for command in commands:
        found = shutil.which(command.split(maxsplit=1)[0]) if command.strip() else None
        if found:
            return found
    return None


def _compiler_mend() -> str:
    if sys.platform == "darwin":
        return "Install the command line tools: xcode-select --install"
    if sys.platform == "win32":
        return "Install the Visual Studio Build Tools with «Desktop development with C++»."
    for tool, command in (
        ("apt-get", "sudo apt-get install build-essential cmake"),
        ("dnf", "sudo dnf install gcc gcc-c++ make cmake"),
        ("pacman", "sudo pacman -S base-devel cmake"),
        ("apk", "sudo apk add build-base cmake"),
        ("zypper", "sudo zypper install gcc gcc-c++ make cmake"),
    ):
        if shutil.which(tool):
            return f"Install a compiler: {command}"
    return "Install a C and a C++ compiler (gcc or clang)."
