"""What events and last words say to people: short lines for what passes, blocks for what ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.text import Text

from batos.client import health, render

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import RenderableType

Message = dict[str, Any]


def event(message: Message, *, colour: bool = False) -> RenderableType | None:
    """A line for an event; None for what the live line shows alone."""
    if message.get("event") == "approval_needed":
        return _approval(message, colour=colour)
    line = _LINES.get(str(message.get("event")))
    return line(message) if line is not None else None


def last_word(request: Message, reply: Message, seconds: float, *, colour: bool) -> Iterator[RenderableType]:
    """The blocks of a last word.

    Args:
        request: What was asked.
        reply: The last word.
        seconds: How long it took.
        colour: Whether source is highlighted.
    """
    status = reply.get("status")
    if status == "COMPLETE":
        yield from _complete(reply, seconds, colour=colour)
    elif status == "NOT_UNDERSTOOD":
        yield Text(f"✗ Nobody understands {reply.get('selector')}.", style="red")
        if reply.get("similar"):
            yield Text(f"  Near to it: {', '.join(map(str, reply['similar']))}")
    elif isinstance(reply.get("error"), dict):
        yield from error_block(reply["error"], state=reply.get("state"), attempts=reply.get("attempts"))
    else:
        yield from _answered(request, reply)


def evidence(provenance: Message) -> Iterator[RenderableType]:
    """A few lines on what speaks for a method: its trial, the Guardian, who wrote it after how many attempts."""
    author, guardian = dict(provenance.get("author") or {}), dict(provenance.get("guardian") or {})
    runs = [run for run in provenance.get("evidence") or [] if isinstance(run, dict)]
    made = [run for run in runs if not run.get("skipped")]
    passed = sum(bool(run.get("passed")) for run in made)
    tried = f"{passed} of {len(made)} runs passed in the sandbox" if made else "no trial: the audit alone"
    if len(made) < len(runs):
        tried += f", {len(runs) - len(made)} not compared"
    mends = f", mended: {'; '.join(map(str, guardian['mends']))}" if guardian.get("mends") else ""
    yield _indented(f"evidence  {tried}; the Guardian {guardian.get('guardian', 'did not say')}{mends}", "dim")
    if author.get("model"):
        attempts = len(provenance.get("attempts") or []) + 1
        after = f" at attempt {attempts}" if attempts > 1 else ""
        yield _indented(
            f"written   by {author['model']} as {author.get('persona', provenance.get('persona'))}{after}", "dim"
        )


def error_block(error: Message, *, state: Any = None, attempts: Any = None) -> Iterator[RenderableType]:
    """An error in one block: its type, what happened, and what to do."""
    count = len(attempts) if isinstance(attempts, list) else attempts
    where = f" in {state}" if state else ""
    tried = f" after {count} failed attempt{'s' * (count != 1)}" if isinstance(count, int) and count else ""
    head = Text(f"✗ {error.get('type', 'Error')}{where}{tried}", style="bold red")
    yield head
    yield _indented(str(error.get("message", "")))
    for name in ("error_text", "line"):
        if error.get(name) and str(error[name]) not in str(error.get("message", "")):
            yield _indented(f"{name.replace('_', ' ')}: {error[name]}")
    if error.get("hint"):
        yield _indented(f"↳ {error['hint']}", "yellow")


def _complete(reply: Message, seconds: float, *, colour: bool) -> Iterator[RenderableType]:
    if reply.get("installed"):
        head = f"✓ {reply.get('selector')} version {reply.get('version')} is installed"
        yield Text.assemble((head, "bold green"), (f"  {seconds:.1f} s", "dim"))
        if reply.get("source"):
            yield render.source(str(reply["source"]), colour=colour)
        if isinstance(reply.get("provenance"), dict):
            yield from evidence(reply["provenance"])
    yield from _output(reply)
    if isinstance(reply.get("call_error"), dict):
        yield Text("This call of it raised:", style="yellow")
        yield from error_block(reply["call_error"])
    elif "result" in reply:
        yield render.value(reply["result"])
    elif reply.get("needs"):
        names = ", ".join(map(str, reply["needs"]))
        yield Text(f"It needs a value for {names}: {reply.get('selector')}({names})", style="yellow")
    elif not reply.get("installed"):
        yield Text(str(reply.get("message") or f"{reply.get('selector')} was understood already."))


def _output(reply: Message) -> Iterator[RenderableType]:
    if reply.get("output"):
        yield Text(render.safe(str(reply["output"]).rstrip("\n")), style="dim")


_REPLIES: dict[str, Callable[[Message], RenderableType]] = {
    "inspect": render.inspection,
    "objects": render.objects,
    "history": render.history,
    "search": render.found,
    "cycles": render.cycles,
    "models": render.models,
    "status": health.status,
    "cycle": health.fields,
    "explain": render.explanation,
    "diff": render.difference,
    "personas": render.personas,
    "capabilities": render.capabilities,
}


def _answered(request: Message, reply: Message) -> Iterator[RenderableType]:
    command = str(request.get("command"))
    if command == "as_of" and isinstance(request.get("request"), dict):
        yield Text("In the past:", style="dim")
        yield from _answered(request["request"], reply)
        return
    if command == "converse":
        return  # each utterance was shown as it came
    shown = _REPLIES.get(command)
    if shown is not None:
        yield shown(reply)
        return
    yield from _output(reply)
    if "result" in reply:
        yield render.value(reply["result"])
        return
    saying = _SAYINGS.get(command)
    if saying is not None:
        yield Text(f"✓ {render.safe(saying(request, reply))}", style="green")
        return
    rest = {key: item for key, item in reply.items() if key not in ("id", "status", "output", "tid")}
    yield Text("✓ " + (", ".join(f"{key} {render.cell(item)}" for key, item in rest.items()) or command), style="green")


def _remembered(request: Message, reply: Message) -> str:
    count = reply.get("chunks")
    parts = f" in {count} chunks" if isinstance(count, int) and count > 1 else ""
    return f"Fractal Memory remembers {request.get('doc_id')}{parts}"


def _forgotten(request: Message, reply: Message) -> str:
    what = request.get("doc_id")
    return f"Fractal Memory forgot {what}" if reply.get("chunks") else f"Fractal Memory had nothing named {what}"


def _removed(request: Message, reply: Message) -> str:
    del reply
    method = request.get("selector")
    return f"{method} is removed; its history stays" if method else "removed"


_SAYINGS: dict[str, Callable[[Message, Message], str]] = {
    "rollback": lambda asked, reply: (
        f"{asked.get('selector')} is as in version {asked.get('version')} again; that is version {reply.get('version')} now"
    ),
    "remember": _remembered,
    "forget": _forgotten,
    "remove": _removed,
    "cancel": lambda _asked, _reply: "cancelled",
    "approve": lambda asked, _reply: "rejected" if asked.get("verdict") == "reject" else "approved",
}
"""What was done, in words, where a reply has little to show."""


def _indented(text: str, style: str = "") -> Text:
    return Text("\n".join(f"  {line}" for line in render.safe(text).strip().split("\n")), style=style)


def _accepted(message: Message) -> Text:
    return Text(f"· accepted as {message.get('cycle_id')}", style="dim")


def _transition(message: Message) -> Text:
    return Text(f"· {message.get('to')}", style="dim")


def _attempt(message: Message) -> Text:
    # Number 0 is no attempt yet: it is what a correction or a repair begins with.
    which = f"attempt {message['n']}" if message.get("n") else "to be mended"
    return Text(f"· {which}: {render.safe(str(message.get('finding')))}", style="yellow")


def _similar(message: Message) -> Text:
    near = ", ".join(map(str, message.get("selectors") or []))
    return Text(f"· near to it: {render.safe(near)}", style="dim")


def _artifact(message: Message) -> Text | None:
    if message.get("kind") != "research_plan":
        return None
    queries = message.get("queries") or message.get("text") or []
    listed = "; ".join(map(str, queries)) if isinstance(queries, list) else str(queries)
    return Text(f"· asks Fractal Memory: {render.safe(listed)}", style="dim")


def _approval(message: Message, *, colour: bool) -> RenderableType:
    from rich.console import Group

    head = Text("It waits for your approval before it is installed:", style="bold yellow")
    parts: list[RenderableType] = [
        head,
        render.diff(str(message.get("diff") or message.get("source") or ""), colour=colour),
    ]
    runs = [run for run in message.get("evidence") or [] if isinstance(run, dict)]
    parts.append(render.runs(runs) if runs else Text("No trial: the audit alone speaks for it.", style="dim"))
    return Group(*parts)


def _utterance(message: Message) -> RenderableType:
    from rich.console import Group

    sources = ", ".join(f"{item.get('doc_id')} · {item.get('chunk')}" for item in message.get("sources") or [])
    said = Text.assemble(
        (f"{message.get('persona')}  ", "bold cyan"), render.safe(str(message.get("text", "")).strip())
    )
    return Group(said, _indented(f"from {sources}", "dim")) if sources else said


_LINES: dict[str, Callable[[Message], RenderableType | None]] = {
    "accepted": _accepted,
    "transition": _transition,
    "attempt": _attempt,
    "similar": _similar,
    "artifact": _artifact,
    "utterance": _utterance,
}
