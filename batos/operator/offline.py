"""Two ways to ask: through the bridge when a kernel runs, on the stopped image otherwise.

Both answer the contract's commands with the contract's replies, so a command need not know which it has. What needs the
sandbox (`send`, also to the past, and the audit of an `import`) is handled by a kernel that is started for this one call
when the image is stopped.
"""

from __future__ import annotations

import contextlib
import os
import socket
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from batos.errors import UnknownTarget, Unreachable
from batos.watchdog.probe import Probe
from batos.watchdog.process import StartedKernel
from batos.watchdog.releases import Releases

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from batos.client.bridge import OnEvent
    from batos.image.store import Image
    from batos.settings import Settings

Message = dict[str, Any]
PING_SECONDS = 2.0
SAID = {"bridge": "through the bridge: a kernel runs", "image": "on the stopped image"}
"""What a command says of its way."""


class Way(Protocol):
    """How a command reaches the image."""

    through: str
    """`bridge` or `image`: which way it is."""

    def ask(self, command: str, on_event: OnEvent | None = None, **fields: Any) -> Message:
        """Ask and give the reply; an error reply is raised as its error."""


class Bridge:
    """Asks the kernel that runs."""

    through = "bridge"

    def __init__(self, settings: Settings) -> None:
        from batos.client.sync import SyncClient

        self._client = SyncClient.from_settings(settings)

    def ask(self, command: str, on_event: OnEvent | None = None, **fields: Any) -> Message:
        """Ask and give the reply; an error reply is raised as its error."""
        from batos.client.bridge import checked

        return checked(self._client.request({"command": command, **fields}, on_event))

    def close(self) -> None:
        """Let the connection go."""
        self._client.close()


class Stopped:
    """Reads the stopped image itself; no other process can open it meanwhile."""

    through = "image"

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._opened: Image | None = None
        self._commands: dict[str, Callable[..., Message]] = {
            "inspect": self._inspect,
            "objects": self._objects,
            "history": self._history,
            "status": self._status,
        }

    def ask(self, command: str, on_event: OnEvent | None = None, **fields: Any) -> Message:
        """Ask and give the reply.

        Raises:
            UnknownCommand: This command needs a kernel.
            BatosError: What the image says.
        """
        if _needs_sandbox(command, fields):
            return self._by_kernel(command, on_event, fields)
        handler = self._commands.get(command)
        if handler is not None:
            return {"status": "OK", **handler(**fields)}
        from batos.operator.direct import answer

        return answer(self.image, self._settings, {"command": command, **fields}, on_event)

    def close(self) -> None:
        """Close the image."""
        opened, self._opened = self._opened, None
        if opened is not None:
            opened.close_now()

    @property
    def image(self) -> Image:
        """The image, opened at its first use."""
        from batos.image.store import Image

        if self._opened is None:
            self._opened = Image(self._settings.image_path, self._settings.blob_path)
        return self._opened

    def _inspect(self, target_oid: Any) -> Message:
        from batos.image import mirrors

        return self.image.read_now(mirrors.inspect, target_oid).value

    def _objects(self, prototype: Any = None, limit: int = 1000) -> Message:
        from batos.image import mirrors

        return {"objects": self.image.read_now(mirrors.objects, prototype, limit).value}

    def _history(self, target_oid: Any, selector: str) -> Message:
        from batos.image import methods

        def read(view: Any) -> list[dict[str, Any]]:
            return methods.history(view, view.resolve(target_oid), selector)

        return {"versions": self.image.read_now(read).value}

    def _status(self) -> Message:
        return {"image": {**self.image.statistics(), "health": self.image.health.state}}

    def _by_kernel(self, command: str, on_event: OnEvent | None, fields: dict[str, Any]) -> Message:
        self.close()
        with _kernel_for_one_call(self._settings) as settings:
            bridge = Bridge(settings)
            try:
                return bridge.ask(command, on_event, **fields)
            finally:
                bridge.close()


def _needs_sandbox(command: str, fields: dict[str, Any]) -> bool:
    if command == "as_of":
        return bool(fields["request"].get("command") == "send")
    return command == "send" or (command == "image" and fields["action"] == "import")


@contextlib.contextmanager
def way(settings: Settings) -> Iterator[Bridge | Stopped]:
    """Give the way that works now.

    Raises:
        UnknownTarget: No kernel runs and there is no image.
    """
    if kernel_answers(settings):
        found: Bridge | Stopped = Bridge(settings)
    elif settings.image_path.exists():
        found = Stopped(settings)
    else:
        raise UnknownTarget(
            f"There is no image at {settings.image_path}, and no kernel runs",
            "Start BAT OS with `./puter.sh`, or name its folder in BATOS_HOME.",
        )
    try:
        yield found
    finally:
        found.close()


def kernel_answers(settings: Settings) -> bool:
    """Tell whether a kernel of these settings answers just now."""
    probe = Probe(settings)
    try:
        return probe.ping(PING_SECONDS) is not None
    finally:
        probe.close()


@contextlib.contextmanager
def _kernel_for_one_call(settings: Settings) -> Iterator[Settings]:
    """Start a kernel on a free port of its own, wait for its answer, and stop it afterwards."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        endpoint = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    own = settings.model_copy(update={"zmq_endpoint": endpoint})
    env = {**os.environ, "BATOS_HOME": str(settings.home), "BATOS_ZMQ_ENDPOINT": endpoint}
    with tempfile.TemporaryDirectory(prefix="batos-") as folder:
        log = Path(folder) / "kernel.log"
        kernel = StartedKernel(Releases(settings.home).current.command(), log, env)
        try:
            _wait(kernel, own, log)
            yield own
        finally:
            kernel.stop(settings.stop_grace_seconds)


def _wait(kernel: StartedKernel, settings: Settings, log: Path) -> None:
    probe = Probe(settings)
    end = time.monotonic() + settings.ready_seconds
    try:
        while time.monotonic() < end:
            if probe.ping(1.0) is not None:
                return
            if kernel.poll() is not None:
                raise Unreachable(f"The kernel for this call ended: {log.read_text(errors='replace')[-500:]}")
            time.sleep(0.05)
        raise Unreachable("The kernel for this call did not answer in time")
    finally:
        probe.close()
