"""Messages of the Synaptic Bridge: what each command takes, and how frames are read and written.

Values are packed by `codec`. This module knows schemas only; what a command does lives in `kernel`.
"""

from __future__ import annotations

import keyword
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from batos import codec
from batos.codec import Ref
from batos.errors import BadField, BadFrame, UnknownCommand


def _selector(value: str) -> str:
    if not value.isidentifier() or keyword.iskeyword(value) or value.startswith("_"):
        raise ValueError("a selector is a Python identifier that is no keyword and has no leading underscore")
    return value


def _name(value: str) -> str:
    if not value.isidentifier() or keyword.iskeyword(value) or value.startswith("_"):
        raise ValueError("a name is a Python identifier without a leading underscore")
    if is_oid_text(value):
        raise ValueError("a name must not read as an oid")
    return value


def _target(value: Any) -> Any:
    if isinstance(value, Ref):
        return value
    if type(value) is int and 0 <= value < 1 << 64:
        return Ref(value.to_bytes(8, "big"))
    if isinstance(value, str) and value:
        if len(value) == 16 and is_oid_text(value):
            return Ref(bytes.fromhex(value))
        if value.isdecimal() and value.isascii() and int(value) < 1 << 64:
            return Ref(int(value).to_bytes(8, "big"))
        return value
    raise ValueError("a target is a root object's name, an oid (16 hex digits or an integer) or a reference")


def is_oid_text(value: str) -> bool:
    """Tell whether a text reads as an oid: 16 hex digits, or decimal digits."""
    if value.isdecimal():
        return True
    return len(value) == 16 and all(c in "0123456789abcdefABCDEF" for c in value)


Selector = Annotated[str, Field(max_length=200), AfterValidator(_selector)]
Name = Annotated[str, Field(max_length=200), AfterValidator(_name)]
Target = Annotated[Any, BeforeValidator(_target)]
Kwargs = dict[Selector, Any]


class Schema(BaseModel):
    """Base of all messages: strict types, unknown fields are left alone."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)


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


class Request(Schema):
    """What every command has: `id` comes back in each reply, `request_id` names a cycle durably."""

    command: str
    id: Any = None
    request_id: Annotated[str, Field(min_length=1, max_length=200)] | None = None


class _OnTarget(Request):
    target_oid: Target


class InitiateCognitiveCycle(_OnTarget):
    """Start a cognitive cycle."""

    mission_brief: MissionBrief
    proceed: bool = True


class Send(_OnTarget):
    """Send a message to an object."""

    selector: Selector
    args: list[Any] = []
    kwargs: Kwargs = {}
    learn: bool = True
    intent: str | None = None


class Translate(_OnTarget):
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


class Install(_OnTarget):
    """Install the Architect's own source: audit, trial, version, provenance."""

    selector: Selector
    source: str
    examples: list[Example] = []


class Inspect(_OnTarget):
    """Show an object."""


class Objects(Request):
    """List objects."""

    prototype: Target = None
    limit: Annotated[int, Field(gt=0, le=100_000)] = 1000


class History(_OnTarget):
    """List the versions of a method."""

    selector: Selector


class Rollback(_OnTarget):
    """Reinstall an old version as a new one."""

    selector: Selector
    version: Annotated[int, Field(gt=0)]


class Explain(_OnTarget):
    """Give the provenance of a version."""

    selector: Selector
    version: Annotated[int, Field(gt=0)] | None = None


class Create(Request):
    """Create an object."""

    parents: list[Target] | None = None
    slots: dict[Selector, Any] = {}
    name: Name | None = None


class Clone(_OnTarget):
    """Clone an object."""

    name: Name | None = None


class SetSlots(_OnTarget):
    """Set data slots."""

    slots: Annotated[dict[Selector, Any], Field(min_length=1)]


class Remove(_OnTarget):
    """Remove a method, a slot, or the whole object."""

    selector: Selector | None = None
    slot: Selector | None = None


class Remember(Request):
    """Learn a document."""

    doc_id: Annotated[str, Field(min_length=1, max_length=1000)]
    text: str
    metadata: dict[str, Any] = {}
    wait: bool = True


class Forget(Request):
    """Forget a document."""

    doc_id: Annotated[str, Field(min_length=1, max_length=1000)]


class Search(Request):
    """Search Fractal Memory."""

    query: str
    top_k: Annotated[int, Field(gt=0, le=1000)] = 5
    filter: dict[str, Any] | None = None


class Models(Request):
    """List, load, unload or pin models."""

    action: Literal["list", "load", "unload", "pin"] = "list"
    name: str | None = None


class Subscribe(Request):
    """Hear what happens, by topic; without topics what was subscribed to ends."""

    topics: list[Literal["cycles", "image", "models"]] = []


class Bare(Request):
    """A command without fields of its own."""


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
    "inspect": Inspect,
    "objects": Objects,
    "history": History,
    "rollback": Rollback,
    "explain": Explain,
    "create": Create,
    "clone": Clone,
    "set": SetSlots,
    "remove": Remove,
    "remember": Remember,
    "forget": Forget,
    "search": Search,
    "models": Models,
    "subscribe": Subscribe,
    "status": Bare,
    "ping": Bare,
    "shutdown": Bare,
}


def read_frame(frame: bytes) -> dict[str, Any]:
    """Read one frame as a map.

    Raises:
        BadFrame: It is not a msgpack map of plain data.
    """
    try:
        message = codec.unpack(frame)
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
