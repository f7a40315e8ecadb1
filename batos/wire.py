"""Messages of the Synaptic Bridge: what each command takes, and how frames are read and written.

Values are packed by `codec`. This module knows schemas only; what a command does lives in `kernel`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from batos import codec
from batos.errors import BadField, BadFrame, UnknownCommand
from batos.fields import DocName, Kwargs, Name, OnTarget, Origin, Request, Schema, Selector, Target
from batos.guarded import GuardedCodec
from batos.wire_cognition import Capabilities, Converse, Correct, Failures, Repair, Replay
from batos.wire_image import AsOf, Bind, Changes, Diff, Explain, Grant, ImageWork, Revoke, Snapshot


class Parameter(Schema):
    """A parameter of the method that is wanted."""

    name: Selector
    default: Any = None
    annotation: str | None = None

    @property
    def has_default(self) -> bool:
        """Whether the brief gave a default."""
        return "default" in self.model_fields_set


class Example(Schema):
    """What one call must give on a fresh copy of the target, or several in order (`steps`)."""

    args: list[Any] = []
    kwargs: Kwargs = {}
    result: Any = None
    error: str | None = None
    slots: dict[str, Any] | None = None
    steps: list[Example] | None = None

    @property
    def has_result(self) -> bool:
        """Whether the example says what the call answers."""
        return "result" in self.model_fields_set


class MissionBrief(Schema):
    """What a client wants: a selector, the Architect's words, arguments, examples."""

    type: Literal["unhandled_message"]
    selector: Selector
    intent: str | None = None
    parameters: list[Parameter] | None = None
    args: list[Any] = []
    kwargs: Kwargs = {}
    examples: list[Example] = []
    persona: str | None = None
    version: Literal["new"] | None = None
    approve: bool = False

    @model_validator(mode="before")
    @classmethod
    def _from_original(cls, value: Any) -> Any:
        """`intent` and `persona_id` inside `kwargs`, as the original client sent them, move up."""
        if not isinstance(value, dict) or not isinstance(value.get("kwargs"), dict):
            return value
        kwargs = dict(value["kwargs"])
        value = {**value, "kwargs": kwargs}
        for old, new in (("intent", "intent"), ("persona_id", "persona")):
            if isinstance(kwargs.get(old), str) and not value.get(new) and not _named(value, old):
                value[new] = kwargs.pop(old)
        return value


def _named(brief: dict[str, Any], name: str) -> bool:
    parameters = brief.get("parameters")
    return isinstance(parameters, list) and any(isinstance(p, dict) and p.get("name") == name for p in parameters)


class InitiateCognitiveCycle(OnTarget):
    """Start a cognitive cycle."""

    mission_brief: MissionBrief
    proceed: bool = True


class Send(OnTarget):
    """Send a message to an object."""

    selector: Selector
    args: list[Any] = []
    kwargs: Kwargs = {}
    learn: bool = True
    intent: str | None = None
    approve: bool = False


class Translate(OnTarget):
    """Turn words into a request; `remembered` true asks the image's memory of words alone, no model."""

    text: Annotated[str, Field(min_length=1)]
    remembered: bool = False


class Follow(Request):
    """Follow a cycle's events from `from_seq` on, to its last word."""

    cycle_id: str
    from_seq: int = 0


class Cancel(Request):
    """Cancel a cycle."""

    cycle_id: str


class Approve(Request):
    """Decide on a cycle that waits for an approval."""

    cycle_id: str
    verdict: Literal["install", "reject"]


class CycleInfo(Request):
    """Tell about one cycle."""

    cycle_id: str


class Cycles(Request):
    """List cycles, newest first."""

    state: str | None = None
    limit: Annotated[int, Field(gt=0, le=10_000)] = 100


class Install(OnTarget):
    """Install the Architect's own source: audit, trial, version, provenance."""

    selector: Selector
    source: str
    examples: list[Example] = []
    approve: bool = False


class Inspect(OnTarget):
    """Show an object."""


class Objects(Request):
    """List objects."""

    prototype: Target = None
    limit: Annotated[int, Field(gt=0, le=100_000)] = 1000


class History(OnTarget):
    """List the versions of a method."""

    selector: Selector


class Rollback(OnTarget):
    """Reinstall an old version as a new one."""

    selector: Selector
    version: Annotated[int, Field(gt=0)]


class Create(Request):
    """Create an object."""

    parents: list[Target] | None = None
    slots: dict[Selector, Any] = {}
    name: Name | None = None


class Clone(OnTarget):
    """Clone an object."""

    name: Name | None = None


class SetSlots(OnTarget):
    """Set data slots."""

    slots: Annotated[dict[Selector, Any], Field(min_length=1)]


class Remove(OnTarget):
    """Remove a method, a slot, or the whole object."""

    selector: Selector | None = None
    slot: Selector | None = None


class Remember(Request):
    """Learn a document."""

    doc_id: DocName
    text: str
    metadata: dict[str, Any] = {}
    wait: bool = True
    origin: Origin = ""


class Forget(Request):
    """Forget a document."""

    doc_id: DocName
    wait: bool = True
    origin: Origin = ""


class Documents(Request):
    """List documents by name."""

    prefix: Annotated[str, Field(max_length=1000)] = ""
    origin: Origin = ""
    after: Annotated[str, Field(max_length=1000)] = ""
    limit: Annotated[int, Field(gt=0, le=10_000)] = 1000


class Search(Request):
    """Search Fractal Memory."""

    query: str
    top_k: Annotated[int, Field(gt=0, le=1000)] = 5
    filter: dict[str, Any] | None = None


class Models(Request):
    """List, load, unload or pin models; take adapters in and give them to personas."""

    action: Literal["list", "load", "unload", "pin", "unpin", "adopt", "attach", "detach"] = "list"
    name: str | None = None
    persona: str | None = None


class Subscribe(Request):
    """Hear what happens, by topic; without topics what was subscribed to ends."""

    topics: list[Literal["cycles", "image", "models"]] = []


class Bare(Request):
    """A command without fields of its own."""


class Shutdown(Request):
    """End the kernel in order.

    Attributes:
        grace_s: How long cycles may take to the end of their states, in seconds; 0 lets them begin these again.
    """

    grace_s: Annotated[float, Field(ge=0)] = 0.0


COMMANDS: dict[str, type[Request]] = {
    "initiate_cognitive_cycle": InitiateCognitiveCycle,
    "send": Send,
    "translate": Translate,
    "follow": Follow,
    "cancel": Cancel,
    "approve": Approve,
    "cycle": CycleInfo,
    "cycles": Cycles,
    "install": Install,
    "correct": Correct,
    "repair": Repair,
    "capabilities": Capabilities,
    "failures": Failures,
    "replay": Replay,
    "converse": Converse,
    "inspect": Inspect,
    "objects": Objects,
    "history": History,
    "rollback": Rollback,
    "explain": Explain,
    "diff": Diff,
    "as_of": AsOf,
    "create": Create,
    "clone": Clone,
    "set": SetSlots,
    "remove": Remove,
    "remember": Remember,
    "forget": Forget,
    "documents": Documents,
    "search": Search,
    "undo": Bare,
    "snapshot": Snapshot,
    "changes": Changes,
    "image": ImageWork,
    "models": Models,
    "bind": Bind,
    "grant": Grant,
    "revoke": Revoke,
    "subscribe": Subscribe,
    "status": Bare,
    "ping": Bare,
    "shutdown": Shutdown,
}


def read_frame(frame: bytes) -> dict[str, Any]:
    """Read one frame as a map.

    Raises:
        BadFrame: It is not a msgpack map of plain data.
    """
    try:
        message = GuardedCodec().unpack(frame)
    except codec.CodecError as error:
        raise BadFrame(f"The frame is not a msgpack map: {error}") from None
    if not isinstance(message, dict):
        raise BadFrame(f"The frame holds a {type(message).__name__}, not a map")
    return message


def read_request(message: dict[str, Any]) -> Request:
    """Check a request's fields.

    Raises:
        UnknownCommand: There is no such command.
        BadField: A field is missing, of the wrong type or out of range; the message names it.
    """
    command = message.get("command")
    if not isinstance(command, str):
        raise BadField("`command` is missing or is not a text")
    schema = COMMANDS.get(command)
    if schema is None:
        raise UnknownCommand(f"There is no command {command[:100]!r}")
    try:
        return schema.model_validate({str(key): value for key, value in message.items()})
    except (ValidationError, RecursionError) as error:
        raise bad_field(error) from None


def bad_field(error: ValidationError | RecursionError) -> BadField:
    """Name the first field that a schema refused."""
    if isinstance(error, RecursionError):
        return BadField("A field is nested too deeply")
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"]) or "the message"
    return BadField(f"`{where}`: {first['msg']}", field=where)
