"""The rules of translation: which words teach, send, ask or talk, and the requests that come of them.

The rule-based half of the Mission Brief Translator; `translation` is its public face and adds the model's half.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from batos import wire
from batos.cognition import capabilities, words
from batos.cognition.literals import examples, literals
from batos.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from batos.cognition.capabilities import Capability

Kind = Literal["teach", "send", "ask", "talk", "unclear"]
Source = Literal["rules", "model", "memory"]
Request = dict[str, Any]
MAX_QUESTION = 240
SMALL_TALK = 6
KINDS: tuple[Kind, ...] = ("teach", "send", "ask", "talk", "unclear")

_POLITE = (
    r"^(?:(?:please|kindly|now|ok|okay|hey|hi|hello|(?:can|could|would|will) you|i want you to|i(?:'d| would) like you to"
    r"|i need you to|let'?s|let us)[\s,!]+)*"
)
_MAKE = re.compile(
    _POLITE + r"(?:create|write|make|build|add|define|implement|generate|develop|code|program|design|give|i need|i want"
    r"|i(?:'d| would) like|we need)(?:\s+(?:me|us|yourself|it))?\s+(?:(?:an?|the|one|another)\s+)?(?:[\w-]+\s+){0,3}?"
    r"(?:method|function|capability|skill|ability|command|routine|procedure|feature)\b\s*(?P<rest>.*)$",
    re.IGNORECASE | re.DOTALL,
)
_REST = re.compile(
    r"(?:(?:(?:called|named)\s+)?(?P<tick>[`'\"])?(?P<name>(?<=[`'\"])[A-Za-z]\w*|(?<=called\s)\w+|(?<=named\s)\w+"
    r"|[A-Za-z]\w*_\w+|[A-Za-z]\w*(?=\())(?:\((?P<inner>[^)]*)\))?(?:(?P=tick))?)?"
    r"[\s,:;-]*(?:(?:to|that|which|for|it should|it)\s+)?(?P<phrase>.*)$",
    re.IGNORECASE | re.DOTALL,
)
_LEARN = re.compile(
    _POLITE + r"(?:learn|teach\s+(?:yourself|it|\w+_obj))\s+(?:how\s+)?to\s+(?P<phrase>.+)$", re.IGNORECASE | re.DOTALL
)
_BETTER = re.compile(
    _POLITE + r"(?:improve|rewrite|redo|rework|fix|repair)\s+(?:the\s+)?(?:method\s+)?[`'\"]?(?P<name>[A-Za-z]\w*)",
    re.IGNORECASE,
)
_TRY_IT = re.compile(r"\b(?:call|try|run|use|start)\s+it\s+(?:with|on|for)\s+(?P<tail>.*)$", re.IGNORECASE | re.DOTALL)
_GREETING = re.compile(
    r"^\W*(?:hi|hello|hey|good (?:morning|evening|day|night)|thanks|thank you|bye|goodbye|how are you|cheers)\b",
    re.IGNORECASE,
)
_HELLO = re.compile(
    r"(?:(?:hi|hello|hey|good (?:morning|evening|day|night)|thanks|thank you|bye|goodbye|how are you|cheers"
    r"|there|all|everybody|robin|brick|babs|alfred)\b[\s,!.?]*)+",
    re.IGNORECASE,
)
"""Nothing but a greeting."""
_TALKED = re.compile(
    _POLITE + r"(?:simulate|imagine|play|have|hold) (?:an? |the )?(?:\w+ )?(?:conversation|dialogue|chat)",
    re.IGNORECASE,
)
_CLAUSE = re.compile(r"(?:that|if|whether|what|how|why|when|who|where)\b", re.IGNORECASE)
_WHETHER = re.compile(r"(?:if|whether)\b", re.IGNORECASE)
_ABILITY = re.compile(
    r"what (?:can|could) you do|what do you (?:know|understand)\b|(?:which|what|list|show)\b.*\b(?:methods|capabilities|skills"
    r"|selectors)\b",
    re.IGNORECASE,
)
_ABOUT = re.compile(
    r"what (?:can|could) you do|what do you (?:know|understand)"
    r"|(?:list|show(?: me)?|what are) (?:all )?(?:your|the) (?:methods|capabilities|skills|selectors)",
    re.IGNORECASE,
)
_HEALTH = re.compile(
    r"^(?:what is|what's|show|tell me|give me)?\s*(?:me )?(?:the |your )?(?:system )?status\W*$|are you ready",
    re.IGNORECASE,
)
_ASKING = re.compile(
    r"^(?:what|who|why|how|when|where|which|whose|is|are|do|does|did|can|tell me about|explain)\b", re.IGNORECASE
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Translation:
    """What the Architect's words mean.

    Args:
        kind: teach, send, ask, talk or unclear.
        request: The request to send, None where there is none.
        question: What to ask back (`unclear`), or to answer where no request is needed; one line.
        source: Who said so: `rules`, `model` or `memory` (the same words led to a completed mission before).
    """

    kind: Kind
    request: Request | None = None
    question: str = ""
    source: Source = "rules"

    @property
    def persona(self) -> str:
        """Who asks back: ALFRED, where a mission is unclear; else nobody."""
        return "ALFRED" if self.kind == "unclear" else ""


def certain(text: str, known: list[Capability], target: Any) -> Translation | None:
    """Translate words that leave nothing to a model: a mission that tells all, a capability that fits; else None."""
    if teach_phrase(text) is not None or _TALKED.match(text):
        found = by_rule(text, known, target)
        return found if "parameters" in brief_of(found) else None
    better = _BETTER.match(text)
    if better is not None and any(item.selector == better["name"] for item in known):
        made = teach(text, words.Named(better["name"], None, words.persona_in(text)), [], target)
        return _with_brief(made, version="new")
    matched = capabilities.match(text, known)
    if isinstance(matched, capabilities.Matched):
        return send(target, matched.selector, matched.args, {})
    return _certain_words(text, target) if matched is None else None


def _certain_words(text: str, target: Any) -> Translation | None:
    """A greeting alone, or one of the questions about the system that are asked in these very words; else None."""
    if _GREETING.match(text) and _HELLO.fullmatch(text):
        return talk(text)
    bare = text.rstrip(" ?!.")
    return asked(text, target) if _ABOUT.fullmatch(bare) or _HEALTH.fullmatch(bare) else None


def by_rule(text: str, known: list[Capability], target: Any) -> Translation:
    """Translate words that are not certain; the request is not checked yet."""
    taught = teach_phrase(text)
    if taught is not None:
        return _teach_by_rule(text, *taught, target)
    question = capabilities.match(text, known)
    if isinstance(question, str):
        return unclear(question)
    if _GREETING.match(text) and len(text.split()) <= SMALL_TALK:
        return talk(text)
    if _ABILITY.search(text) or _HEALTH.search(text):
        return asked(text, target)
    phrase = re.sub(_POLITE, "", text, flags=re.IGNORECASE)
    if _is_imperative(phrase):
        return _teach_by_rule(text, "", None, phrase, target)
    if _ASKING.match(phrase) or text.endswith("?"):
        return asked(text, target)
    return unclear("")


def _is_imperative(phrase: str) -> bool:
    first, _, rest = phrase.partition(" ")
    if first.casefold() not in words.VERBS or not rest.strip() or _MAKE.match(phrase) or _ASKING.match(phrase):
        return False
    # "remember that …" tells something; only "check whether a … is …" asks for a capability.
    return not _CLAUSE.match(rest) or _WHETHER.match(rest) is not None


def teach_phrase(text: str) -> tuple[str, list[str] | None, str] | None:
    """Read "create a method …" and "learn to …": the name that is given, its parameters, and the phrase; else None."""
    learned = _LEARN.match(text.strip())
    if learned is not None:
        return "", None, learned["phrase"]
    made = _MAKE.match(text.strip())
    rest = _REST.match(made["rest"]) if made is not None else None
    if rest is None or not (rest["name"] or rest["phrase"].strip(" .!?")):
        return None
    inner = rest["inner"]
    names = None if inner is None else [name for part in inner.split(",") if (name := _parameter_in(part))]
    return rest["name"] or "", names, rest["phrase"]


def _parameter_in(part: str) -> str | None:
    name = re.split(r"[:=]", part)[0].strip()
    return name if words.is_selector(name) and name != "self" else None


def _teach_by_rule(text: str, name: str, parameters: list[str] | None, phrase: str, target: Any) -> Translation:
    shown = examples(phrase)
    clear = shown.rest
    values: list[Any] = []
    for item in reversed(literals(clear)):
        clear = f"{clear[: item.start]}⟨0⟩{clear[item.end :]}"
        values.insert(0, item.value)
    named = words.name_phrase(clear)
    selector = words.selector_from([name or shown.name]) or (named.selector if named else "")
    found = parameters if parameters is not None else (named.parameters if named else None)
    tried = _TRY_IT.search(shown.rest)
    given = values if tried is None else [item.value for item in literals(tried["tail"])]
    # Values beside parameters belong to what is to be done: "multiply a number by 2".
    args = [] if found and tried is None else given
    if shown.examples and not found:
        found = _parameters_for(shown.examples)
    if found is not None and len(args) > len(found):
        found = None
    return teach(text, words.Named(selector, found, words.persona_in(text)), args, target, shown.examples)


def _parameters_for(shown: list[dict[str, Any]]) -> list[str] | None:
    """Names for the parameters of examples that nobody named."""
    count = max(len(example["args"]) for example in shown)
    keys = [key for example in shown for key in example["kwargs"]]
    if any(len(example["args"]) != count for example in shown):
        return None
    positional = ["value"] if count == 1 else ["first", "second", "third", "fourth"][:count]
    return [*positional, *dict.fromkeys(keys)] if len(positional) == count else None


def teach(
    text: str, named: words.Named, args: list[Any], target: Any, shown: Sequence[dict[str, Any]] = ()
) -> Translation:
    """A mission: start a cognitive cycle. A name that is no selector gives a question."""
    if not words.is_selector(named.selector):
        return unclear("What shall the new capability be called, and what shall it do?")
    brief: dict[str, Any] = {"type": "unhandled_message", "selector": named.selector, "intent": text.strip()}
    if named.parameters is not None:
        brief["parameters"] = [{"name": name} for name in named.parameters]
    brief |= {"args": args, "kwargs": {}}
    if shown:
        brief["examples"] = list(shown)
    if named.persona is not None:
        brief["persona"] = named.persona
    return Translation(
        kind="teach", request={"command": "initiate_cognitive_cycle", "target_oid": target, "mission_brief": brief}
    )


def _with_brief(translation: Translation, **fields: Any) -> Translation:
    request = translation.request or {}
    return replace(translation, request={**request, "mission_brief": {**request["mission_brief"], **fields}})


def brief_of(translation: Translation) -> dict[str, Any]:
    """The mission brief of a translation, empty where it has none."""
    return dict((translation.request or {}).get("mission_brief") or {})


def send(target: Any, selector: str, args: list[Any], kwargs: dict[str, Any], intent: str | None = None) -> Translation:
    """A message to an object."""
    request: Request = {"command": "send", "target_oid": target, "selector": selector, "args": args, "kwargs": kwargs}
    if intent is not None:
        request["intent"] = intent
    return Translation(kind="send", request=request)


def asked(text: str, target: Any) -> Translation:
    """A question: about the target, the system, or what Fractal Memory holds."""
    if _ABILITY.search(text):
        return Translation(kind="ask", request={"command": "inspect", "target_oid": target})
    if _HEALTH.search(text):
        return Translation(kind="ask", request={"command": "status"})
    return Translation(kind="ask", request={"command": "converse", "text": text})


def talk(text: str) -> Translation:
    """Small talk: the Contrapunto."""
    return Translation(kind="talk", request={"command": "converse", "text": text})


def unclear(question: str) -> Translation:
    """Ask back, in one line."""
    line = " ".join(question.split())[:MAX_QUESTION]
    default = "I do not see what to do. Shall I learn it? Then say: create a method to …"
    return Translation(kind="unclear", question=line or default)


def checked(translation: Translation) -> Translation:
    """Hold that a request validates: what `wire` would refuse becomes a question."""
    if translation.request is None:
        return translation
    try:
        wire.read_request(translation.request)
    except RequestError as error:
        return unclear(f"I cannot make a request of that ({error.message}). Say it another way?")
    return translation
