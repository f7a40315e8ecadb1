"""Words to requests: the Mission Brief Translator, without a model of its own.

`rules` translates by rule alone; `prompt` and `parse` stand around a model's answer. Kernel and client share them. Five
kinds: `teach` (start a cycle), `send` (a message to what is understood), `ask` (the system or its memory), `talk`, and
`unclear` (one question back; nothing is guessed). A request always validates against `wire`: names, examples and the
intent come from the Architect's words, never from the model alone, and arguments only when they stand in the words.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from batos.cognition import capabilities, filling, words
from batos.cognition.literals import call, grounded
from batos.cognition.rulebook import (
    KINDS,
    Kind,
    Translation,
    asked,
    brief_of,
    by_rule,
    certain,
    checked,
    send,
    talk,
    teach,
    teach_phrase,
    unclear,
)

if TYPE_CHECKING:
    from batos.cognition.capabilities import Capability

DEFAULT_TARGET = "genesis_obj"
Understands = Sequence[Mapping[str, Any]]

MAX_LISTED = 40

_SYSTEM = """\
You turn the words of a person into one JSON request for an object that understands some capabilities and can learn more.
kind is one of:
"send": one of the listed capabilities does exactly what is asked; give its selector, and its arguments: whole values from the words, \
in the form and unit that the parameter's description asks for; leave out optional parameters that the words do not mention.
"teach": something is to be done, found or made that none of the listed capabilities does; give a short selector in snake_case that begins with a verb, \
the parameters (inputs that vary from call to call, named by words of the request; none where nothing varies), and args only where the words give values.
"ask": a question about the system itself, about what it remembers or knows.
"talk": a greeting, a feeling, small talk.
"unclear": too vague to act on; give one short question back.
Examples, with the capabilities calculate_factorial(number: int), greet_user(name: str) and \
get_rate(code: str, day: str, kind: str = 'mean') where code is a currency code and day has the format yyyy-mm-dd:
what is the factorial of 12 -> {"kind": "send", "selector": "calculate_factorial", "arguments": {"number": 12}}
say hello to Ada -> {"kind": "send", "selector": "greet_user", "arguments": {"name": "Ada"}}
how much was the Swiss Franc on March 5, 2021 -> {"kind": "send", "selector": "get_rate", "arguments": {"code": "CHF", "day": "2021-03-05"}}
create a method to report the current system time -> {"kind": "teach", "selector": "report_the_current_system_time", "parameters": [], "args": []}
count the vowels in a text -> {"kind": "teach", "selector": "count_vowels", "parameters": ["text"], "args": []}
how tall is the Eiffel Tower -> {"kind": "teach", "selector": "find_height", "parameters": ["building"], "args": ["Eiffel Tower"]}
what is the Living Image? -> {"kind": "ask"}
I had a long day -> {"kind": "talk"}
do the thing -> {"kind": "unclear", "question": "Which thing shall I do?"}
Answer with the JSON alone."""

_SELECTOR_SCHEMA = {"type": "string", "pattern": "^[a-z][a-z0-9]{1,15}(_[a-z0-9]{1,15}){0,5}$"}
_PARAMETER_SCHEMA = {"type": "string", "pattern": "^[a-z][a-z0-9_]{0,20}$"}
_SCALARS: list[dict[str, Any]] = [{"type": "string", "maxLength": 400}, {"type": "number"}, {"type": "boolean"}]
_ARGS_SCHEMA: dict[str, Any] = {
    "type": "array",
    "maxItems": 6,
    "items": {"anyOf": [*_SCALARS, {"type": "array", "maxItems": 40, "items": {"anyOf": _SCALARS[:2]}}]},
}


def from_reply(reply: Mapping[str, Any]) -> Translation:
    """Read the last word of `translate`; a kind that is not known reads as unclear."""
    kind = reply.get("kind")
    request = reply.get("request")
    return Translation(
        kind=kind if kind in KINDS else "unclear",
        request=dict(request) if isinstance(request, dict) else None,
        question=str(reply.get("question") or ""),
        source=reply["source"] if reply.get("source") in ("rules", "model", "memory") else "model",
    )


def rules(text: str, understands: Understands, *, target: Any = DEFAULT_TARGET) -> Translation:
    """Translate by rule.

    Args:
        text: The Architect's words.
        understands: What the target understands: `{"selector", "signature", "summary"}` each.
        target: The target for the request.
    """
    known = capabilities.read(understands)
    return explicit(text, understands, target=target) or checked(by_rule(text.strip(), known, target))


def explicit(text: str, understands: Understands, *, target: Any = DEFAULT_TARGET) -> Translation | None:
    """Translate what is not in doubt, so that no model needs to be asked; None for other words.

    A call such as `greet_user("Ada")`, a selector alone, a mission that tells its name and parameters, words that fit
    one capability and hold its arguments.
    """
    stripped = text.strip().removeprefix(">>>").strip()
    known = capabilities.read(understands)
    if any(item.selector == stripped for item in known):
        return checked(send(target, stripped, [], {}))
    read = call(stripped)
    if read is None or not words.is_selector(read[1]):
        found = certain(text.strip(), known, target)
        return checked(found) if found is not None else None
    return checked(send(read[0] or target, *read[1:], intent=None if read[1] in {c.selector for c in known} else text))


def prompt(text: str, understands: Understands) -> tuple[tuple[dict[str, str], ...], dict[str, Any]]:
    """What to ask a model, and the JSON schema that its answer must satisfy.

    Of many capabilities the MAX_LISTED that are nearest to the words are listed.
    """
    shown = listed(text, understands)
    lines = [f"- {item.described}" for item in shown]
    user = "Capabilities:\n" + ("\n".join(lines) or "none yet") + f"\nWords: {text.strip()}"
    messages = ({"role": "system", "content": _SYSTEM}, {"role": "user", "content": user})
    return messages, _schema(shown)


def listed(text: str, understands: Understands) -> list[Capability]:
    """The capabilities that a model is shown: those with a signature or a summary that are nearest to the words."""
    described = [item for item in capabilities.read(understands) if item.parameters is not None or item.summary]
    return capabilities.nearest(text, described, MAX_LISTED)


def parse(answer: str, text: str, understands: Understands, *, target: Any = DEFAULT_TARGET) -> Translation:
    """Read a model's answer to `prompt`. What cannot be trusted is taken from the rules, or asked back."""
    try:
        fields = json.loads(answer)
    except (ValueError, RecursionError):
        fields = None
    return from_fields(fields, text, understands, target=target)


def from_fields(fields: Any, text: str, understands: Understands, *, target: Any = DEFAULT_TARGET) -> Translation:
    """As `parse`, of an answer that was read already."""
    ruled = rules(text, understands, target=target)
    if not isinstance(fields, dict) or fields.get("kind") not in KINDS:
        return ruled
    if explicit(text, understands, target=target) is not None:
        return ruled
    found = checked(_from_model(fields, text, capabilities.read(understands), ruled, target))
    return found if found is ruled else replace(found, source="model")


def _from_model(
    fields: dict[str, Any], text: str, known: list[Capability], ruled: Translation, target: Any
) -> Translation:
    kind: Kind = fields["kind"]
    if teach_phrase(text) is not None:
        return _refined(ruled, fields, text)
    match = next((item for item in known if item.selector == fields.get("selector")), None)
    if match is not None and kind in ("send", "teach"):
        return _sent_by_model(fields, text, match, ruled, target)
    if kind in ("teach", "send"):
        return _taught_by_model(fields, text, ruled, target)
    if kind == "unclear":
        return ruled if ruled.kind == "unclear" and ruled.question else unclear(str(fields.get("question", "")))
    return asked(text, target) if kind == "ask" else talk(text)


def _sent_by_model(
    fields: dict[str, Any], text: str, match: Capability, ruled: Translation, target: Any
) -> Translation:
    """A known capability: sent when the arguments stand in the words and fit, and the words are about it."""
    if isinstance(fields.get("arguments"), dict):
        filled = filling.believed(match, fields["arguments"], text)
        args, kwargs, whole = filled.args, filled.kwargs, not filled.missing
    else:
        args, kwargs = _known_args(fields, text), {}
        raw = fields.get("args")
        whole = (not isinstance(raw, list) or len(args) == len(raw)) and match.fits(len(args))
    about = capabilities.near(text, match)
    # Small models send almost anything to what there is: without a word in common, a part of the words must be a value.
    if not about and (ruled.kind in ("ask", "talk") or not _are_part([*args, *kwargs.values()], text)):
        return ruled if ruled.kind != "teach" else unclear(match.question(0))
    return send(target, match.selector, args, kwargs) if whole else unclear(match.question(len(args)))


def _are_part(args: list[Any], text: str) -> bool:
    said = len(text.split())
    return bool(args) and sum(len(str(item).split()) for item in args) < said


def _taught_by_model(fields: dict[str, Any], text: str, ruled: Translation, target: Any) -> Translation:
    """A new capability: named by the model, unless the rules read the words as a question or know the parameters."""
    args = _known_args(fields, text)
    if ruled.kind == "talk" or (ruled.kind == "ask" and not args) or brief_of(ruled).get("parameters"):
        return ruled
    named = words.Named(
        words.selector_from(str(fields.get("selector", "")).split("_")) or "", None, words.persona_in(text)
    )
    if not words.is_selector(named.selector) and ruled.kind == "teach":
        return _refined(ruled, fields, text)
    return _refined(teach(text, named, args, target), fields, text)


def _refined(translation: Translation, fields: dict[str, Any], text: str) -> Translation:
    """A mission named by rule, with the parameters that the model found where the rules could not tell."""
    brief = brief_of(translation)
    if translation.kind != "teach" or "parameters" in brief or not isinstance(fields.get("parameters"), list):
        return translation
    names = [words.parameter_name(str(item)) for item in fields["parameters"]]
    # Parameters that name values in the words need not stand in them.
    valued = len(names) == len(brief.get("args", [])) > 0
    found = list(dict.fromkeys(name for name in names if name and (valued or words.may_vary(name, text))))
    args = brief.get("args", [])
    if not found or len(found) < len(args):
        return translation
    brief = {**brief, "parameters": [{"name": name} for name in found]}
    return checked(replace(translation, request={**(translation.request or {}), "mission_brief": brief}))


def _known_args(fields: dict[str, Any], text: str) -> list[Any]:
    """The model's arguments that stand in the words, up to the first that does not; floats without a part as integers."""
    found: list[Any] = []
    raw = fields.get("args")
    for value in raw if isinstance(raw, list) else []:
        if not grounded(value, text):
            break
        found.append(
            int(value) if isinstance(value, float) and value.is_integer() and str(value) not in text else value
        )
    return found


def _schema(known: list[Capability]) -> dict[str, Any]:
    mission = {
        "selector": _SELECTOR_SCHEMA,
        "parameters": {"type": "array", "maxItems": 5, "items": _PARAMETER_SCHEMA},
        "args": _ARGS_SCHEMA,
    }
    forms: list[tuple[str, dict[str, Any]]] = [("teach", mission)]
    for item in known:
        given = filling.schema(item) if item.parameters is not None else None
        named = {"arguments": given} if given is not None else {"args": _ARGS_SCHEMA}
        forms.append(("send", {"selector": {"const": item.selector}, **named}))
    forms += [
        ("ask", {}),
        ("talk", {}),
        ("unclear", {"question": {"type": "string", "minLength": 5, "maxLength": 120}}),
    ]
    return {"anyOf": [_form(kind, fields) for kind, fields in forms]}


def _form(kind: str, fields: dict[str, Any]) -> dict[str, Any]:
    properties = {"kind": {"const": kind}, **fields}
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}
