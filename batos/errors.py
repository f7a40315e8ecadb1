"""Every exception of BAT OS: whose fault it is, and what to do about it.

::

    BatosError
    ├── RequestError              the request is at fault: mend it and send it again
    │   ├── BadFrame              not a msgpack map
    │   ├── UnknownCommand        no such command
    │   ├── BadField              a field is missing, of the wrong type or out of range
    │   ├── UnknownTarget         no such object, cycle, method version or document
    │   ├── TooLarge              over a limit of size
    │   └── NotAllowed            this client may not do that
    ├── MomentError               nobody's fault: try again, later or elsewhere
    │   ├── Busy                  a queue is full
    │   ├── Stopping              the kernel is going down
    │   ├── Conflict              others kept changing the same objects
    │   ├── Cancelled             somebody cancelled the work
    │   ├── ImageReadOnly         the image takes no writes just now
    │   └── Unreachable           no kernel answers (client side only, never on the wire)
    ├── ModelSideError            a model or its weights are at fault
    │   ├── NoWeights             the weights are not there
    │   ├── ModelError            the model, its host or its answer failed
    │   └── ContextTooLong        the prompt does not fit the model's context
    ├── CodeError                 generated (or installed) code is at fault
    │   ├── CovenantViolationError  a change without the Persistence Covenant
    │   ├── PolicyViolation       a construct that policy does not allow
    │   ├── SandboxRefused        the sandbox is weaker than the settings ask for
    │   ├── MethodError           the method raised, or answered what is not data
    │   ├── MessageNotUnderstood  nobody understands the selector
    │   ├── DeadlineExceeded      the call ran out of time
    │   ├── MemoryExceeded        the call ran out of memory
    │   └── Quarantined           the method failed too often and is shut off
    └── StartError                the process cannot start; carries its exit code
        ├── ImageInUse            3: another process has the image open
        ├── ImageDamaged          4: the image needs a repair first
        ├── BadSetting            5: a setting has a wrong value
        └── EndpointTaken         6: the bridge's address is in use

The class name is the `error.type` on the wire. `message` is for people, `hint` names the mend.
"""

from __future__ import annotations

from typing import Any, ClassVar


class BatosError(Exception):
    """The root of all errors that BAT OS raises on purpose.

    Args:
        message: What happened, for people.
        hint: What to do about it; the class has a default.
        details: Plain data that belongs to the error and travels with it.
    """

    hint_default: ClassVar[str] = "See the kernel's log for what led here."

    def __init__(self, message: str = "", hint: str | None = None, **details: Any) -> None:
        super().__init__(message or type(self).__doc__ or type(self).__name__)
        self.hint = hint if hint is not None else self.hint_default
        self.details = details

    @property
    def message(self) -> str:
        """What happened, for people."""
        return str(self.args[0])


class RequestError(BatosError):
    """The request is at fault."""

    hint_default = "Mend the request and send it again."


class BadFrame(RequestError):
    """The frame is not a msgpack map."""

    hint_default = "Send one msgpack map in one frame; docs/protocol.md shows a client."


class UnknownCommand(RequestError):
    """There is no such command."""

    hint_default = "docs/protocol.md lists the commands."


class BadField(RequestError):
    """A field is missing, of the wrong type or out of range."""


class UnknownTarget(RequestError):
    """There is no such object, cycle, version or document."""

    hint_default = "The command `objects` lists what there is."


class TooLarge(RequestError):
    """Something is over a limit of size."""

    hint_default = "Send less at once, or raise the limit that the message names."


class NotAllowed(RequestError):
    """This client may not do that."""

    hint_default = "Use a key with the role `operator`."


class MomentError(BatosError):
    """Nobody's fault: the moment is wrong."""

    hint_default = "Try again in a moment."


class Busy(MomentError):
    """A queue is full."""


class Stopping(MomentError):
    """The kernel is going down; accepted missions go on after its restart."""

    hint_default = "Connect again and `follow` the cycle."


class Conflict(MomentError):
    """Others kept changing the same objects."""


class Cancelled(MomentError):
    """Somebody cancelled the work."""

    hint_default = "Send the mission again if it is still wanted."


class ImageReadOnly(MomentError):
    """The image takes no writes just now."""

    hint_default = "Free disk space or mend the permissions; reads go on meanwhile."


class Unreachable(MomentError):
    """No kernel answers at the bridge's address."""

    hint_default = "Start the kernel with `./puter.sh` or `python batos.py`; `./puter.sh status` tells what runs."


class ModelSideError(BatosError):
    """A model or its weights are at fault."""

    hint_default = "`python -m batos models list` shows the models and what they need."


class NoWeights(ModelSideError):
    """The weights are not there."""

    hint_default = "Fetch them with `python -m batos models fetch`."


class ModelError(ModelSideError):
    """The model, its host process or its answer failed."""


class ContextTooLong(ModelSideError):
    """The prompt does not fit the model's context."""

    hint_default = "Shorten the mission, its arguments or its examples, or use a model with a longer context."


class CodeError(BatosError):
    """Generated or installed code is at fault.

    Attributes:
        moment: The tid of the image that a failed call saw; empty where it is not known.
    """

    moment = ""
    hint_default = "Look at the method's source with `history`, then `correct` or `rollback` it."


class CovenantViolationError(CodeError):
    """A change to the object without `self._p_changed = True` after it."""

    hint_default = "End each path that changes the object with `self._p_changed = True`."


class PolicyViolation(CodeError):
    """The source uses something that policy does not allow."""

    hint_default = "Keep to plain Python and the allowed modules."


class SandboxRefused(CodeError):
    """Generated code is refused: the sandbox is weaker than the settings ask for."""

    hint_default = "`python -m batos doctor` names the missing layer; the setting SANDBOX says what is asked."


class MethodError(CodeError):
    """The method raised, or answered something that is not data."""


class MessageNotUnderstood(CodeError):
    """Neither the object nor a parent understands the selector."""

    hint_default = "Teach it: send the message with `learn`, or start a cycle with a mission brief."


class DeadlineExceeded(CodeError):
    """The call ran out of time."""

    hint_default = "Make the method do less in one call, or raise CALL_SECONDS."


class MemoryExceeded(CodeError):
    """The call ran out of memory."""

    hint_default = "Make the method hold less at once, or raise CALL_MEMORY_MB."


class Quarantined(CodeError):
    """The method failed too often and is shut off."""

    hint_default = "Correct it, start a `repair`, roll back to another version, or install your own source."


class StartError(BatosError):
    """The process cannot start; `exit_code` tells the watchdog why."""

    exit_code: ClassVar[int] = 1


class ImageInUse(StartError):
    """Another process has the image open."""

    exit_code = 3
    hint_default = "Stop the other kernel (`./puter.sh stop`), or choose another BATOS_HOME."


class ImageDamaged(StartError):
    """The image is damaged and was left as it is."""

    exit_code = 4
    hint_default = "Restore a backup, or recover what is readable: docs/operations.md, «A damaged image»."


class BadSetting(StartError):
    """A setting has a wrong value."""

    exit_code = 5
    hint_default = "docs/settings.md lists every setting and what it allows."


class EndpointTaken(StartError):
    """The address of the Synaptic Bridge is in use."""

    exit_code = 6
    hint_default = "Stop the program that uses it, or set BATOS_ZMQ_ENDPOINT to another address."


def to_wire(error: BaseException) -> dict[str, Any]:
    """Give the `error` map of a reply: `type`, `message`, `hint` and the error's details.

    An exception that is not ours is the kernel's own fault: it goes out as `InternalError`.
    """
    if not isinstance(error, BatosError):
        text = f"{type(error).__name__}: {error}"
        return {
            "type": "InternalError",
            "message": text,
            "hint": "This is a fault of BAT OS itself; its log has the traceback.",
        }
    return {**error.details, "type": type(error).__name__, "message": error.message, "hint": error.hint}


def from_wire(fields: dict[str, Any]) -> BatosError:
    """Make the exception that an `error` map of a reply tells of; an unknown type becomes a `BatosError`."""
    known = {cls.__name__: cls for cls in _descendants(BatosError)}
    cls = known.get(str(fields.get("type")), BatosError)
    details = {str(k): v for k, v in fields.items() if k not in ("type", "message", "hint")}
    return cls(str(fields.get("message", "")), str(fields.get("hint", "")), **details)


def _descendants(cls: type[BatosError]) -> list[type[BatosError]]:
    return [d for sub in cls.__subclasses__() for d in (sub, *_descendants(sub))]
