"""The kernel's own commands about the image and its past, answered on a stopped image, without a kernel."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

from batos import wire
from batos.errors import UnknownCommand
from batos.image.acting import ACTING
from batos.kernel.bridge import Peer
from batos.kernel.clients import Clients
from batos.kernel.image_commands import ImageCommands
from batos.kernel.time_commands import TimeCommands
from batos.kernel.upkeep import Upkeep

if TYPE_CHECKING:
    from batos.client.bridge import OnEvent
    from batos.image.store import Image
    from batos.kernel.uvm import BatOS_UVM
    from batos.settings import Settings

Message = dict[str, Any]


class Vessel:
    """As much of a kernel as these commands ask for.

    Attributes:
        image: The stopped image, opened by this process.
        settings: The settings.
        upkeep: What `image` works with.
    """

    def __init__(self, image: Image, settings: Settings) -> None:
        self.image = image
        self.settings = settings
        self.upkeep = Upkeep(image, settings.retention_days)


def answer(image: Image, settings: Settings, message: Message, on_event: OnEvent | None = None) -> Message:
    """Answer a request as the kernel would.

    Raises:
        UnknownCommand: This one needs a kernel.
        BatosError: What the image says.
    """
    # They touch no other part: what needs the sandbox goes to a kernel for one call (`offline`).
    uvm = cast("BatOS_UVM", Vessel(image, settings))
    handlers = {**TimeCommands(uvm).handlers(), **ImageCommands(uvm).handlers()}
    request, peer = wire.read_request(message), Peer((), operator=True)
    handler = handlers.get(request.command)
    if handler is None:
        raise UnknownCommand(f"`{request.command}` needs a kernel, and none runs", "Start it with `./puter.sh --stay`.")

    async def emit(event: Message) -> None:
        if on_event is not None:
            on_event(event)

    async def work() -> Message:
        ACTING.set(Clients(settings.keys_path).acting(request, peer))
        return await handler(request, peer, emit)

    return asyncio.run(work())
