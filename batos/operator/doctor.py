"""`doctor`: looks at everything that BAT OS needs, and names the mend of what is not well."""

from __future__ import annotations

import asyncio
import stat
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from batos.errors import BatosError, NoWeights, SandboxRefused
from batos.mind import sources
from batos.operator import checks, offline
from batos.operator.checks import Check
from batos.operator.models import wanted_names
from batos.operator.show import MARKS
from batos.watchdog.probe import listening

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator

    from batos.operator.show import Speaker
    from batos.settings import Settings

_NEEDED = ("ZODB", "BTrees", "zope.index", "pyzmq", "ormsgpack", "pydantic", "pydantic-settings", "rich", "nltk")
_NEEDED_TOO = ("prompt_toolkit", "aiologger", "aiofiles", "llama-cpp-python", "llguidance")
_FULL = ("torch", "transformers", "bitsandbytes", "accelerate", "peft", "sentence-transformers")


def run(asked: argparse.Namespace, settings: Settings, speaker: Speaker) -> int:
    """Look at everything; exit code 1 when something is bad."""
    del asked
    found = list(look(settings))
    if speaker.json:
        speaker.value([vars(check) for check in found])
    else:
        speaker.table("", ("", "what", "how it is"), [(MARKS[c.level], c.name, c.text) for c in found])
        for check in found:
            if check.level != "ok" and check.mend:
                speaker.out.print(f"{check.name}: {check.mend}", markup=False)
    return 1 if any(check.level == "bad" for check in found) else 0


def look(settings: Settings) -> Iterator[Check]:
    """Make each check in turn."""
    yield checks.python()
    yield _compiler()
    yield checks.cmake()
    yield checks.memory()
    yield checks.disk(settings.home, "disk: home")
    yield checks.disk(settings.weights_cache, "disk: weights")
    yield packages(_NEEDED + _NEEDED_TOO, "packages", "bad", "Run `./puter.sh`: it installs what is missing.")
    yield packages(_FULL, "packages: full", "warn", "BATOS_INSTALL=full installs them; llama.cpp works without.")
    for look_at in (_weights, _sandbox, _endpoint, _keys, _image):
        yield _guarded(look_at, settings)


def packages(names: tuple[str, ...], title: str, level: checks.Level, mend: str) -> Check:
    """Look at the versions of installed packages."""
    versions = {name: _version(name) for name in names}
    missing = [name for name, found in versions.items() if found is None]
    text = ", ".join(f"{name} {found}" for name, found in versions.items() if found is not None)
    if missing:
        return Check(title, level, f"missing: {', '.join(missing)}", mend)
    return Check(title, "ok", text)


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _compiler() -> Check:
    """A missing compiler is no harm once llama-cpp-python is built."""
    found = checks.compiler()
    if found.level == "bad" and _version("llama-cpp-python") is not None:
        return Check(found.name, "warn", f"{found.text} (llama-cpp-python is already built)", found.mend)
    return found


def _guarded(look_at: Callable[[Settings], Check], settings: Settings) -> Check:
    name = look_at.__name__.strip("_")
    try:
        return look_at(settings)
    except BatosError as error:
        return Check(name, "bad", error.message, error.hint)
    except OSError as error:
        return Check(name, "bad", str(error), "Mend the permissions or the disk.")


def _weights(settings: Settings) -> Check:
    names = wanted_names(settings)
    if not names:
        return Check("weights", "ok", f"the engine {settings.engine.partition(':')[0]} needs none")
    absent = [name for name in names if not _has(name, settings)]
    if absent:
        mend = "Fetch them now with `python -m batos models fetch`; the kernel fetches them too."
        return Check("weights", "warn", f"not in {settings.weights_cache}: {', '.join(absent)}", mend)
    return Check("weights", "ok", f"{', '.join(names)} in {settings.weights_cache}")


def _has(name: str, settings: Settings) -> bool:
    if Path(name).expanduser().exists():
        return True
    try:
        return sources.held(name, settings.weights_cache).complete
    except NoWeights:
        return False


def _sandbox(settings: Settings) -> Check:
    """Start a sandbox, let it prove itself, and stop it."""
    from batos.sandbox.runner import Sandbox

    async def prove() -> tuple[str, SandboxRefused | None]:
        sandbox = Sandbox(require=settings.sandbox, pool=1, uid=settings.sandbox_uid, modules=settings.allowed_modules)
        await sandbox.start()
        try:
            return sandbox.level, sandbox.refusal
        finally:
            await sandbox.close()

    level, refusal = asyncio.run(prove())
    if refusal is not None:
        return Check("sandbox", "bad", f"level {level}: {refusal.message}", refusal.hint)
    return Check("sandbox", "ok", f"level {level}")


def _endpoint(settings: Settings) -> Check:
    endpoint = settings.zmq_endpoint
    if not listening(endpoint):
        return Check("endpoint", "ok", f"{endpoint} is free")
    if offline.kernel_answers(settings):
        return Check("endpoint", "ok", f"a kernel of this home answers at {endpoint}")
    mend = "Stop the program that uses it, or set BATOS_ZMQ_ENDPOINT to another address."
    return Check("endpoint", "warn", f"{endpoint} is used by something that does not know our keys", mend)


def _keys(settings: Settings) -> Check:
    if settings.curve == "off":
        return Check("keys", "warn", "CURVE is off: every program of this machine may speak to the kernel", "")
    secrets = [settings.keys_path / f"{name}.key_secret" for name in ("server", "client")]
    missing = [file.name for file in secrets if not file.exists()]
    if missing:
        return Check("keys", "ok", "none yet: the kernel's first start makes them")
    exposed = [f for f in secrets if sys.platform != "win32" and f.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)]
    if exposed:
        return Check("keys", "bad", f"others may read {exposed[0]}", f"chmod 600 {settings.keys_path}/*.key_secret")
    return Check("keys", "ok", f"{settings.keys_path}")


def _image(settings: Settings) -> Check:
    file = settings.image_path
    if not file.exists():
        return Check("image", "ok", f"none yet at {file}: the first awakening makes it")
    return Check("image", "ok", f"{file}, {file.stat().st_size / (1 << 20):.1f} MiB")
