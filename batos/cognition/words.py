"""Words to names and values: how a phrase becomes a selector with parameters, and which values a text holds.

Pure rules on text, without a model; `translation` builds requests from them. The rules for names: words are joined by
underscores; "a" and "an" are dropped, "the" stays ("report the current system time"), except before a noun that is
modified by what becomes a parameter ("the factorial of a number").
"""

from __future__ import annotations

import builtins
import keyword
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MAX_NAME_WORDS = 8
MAX_NAME = 60


def _bag(text: str) -> frozenset[str]:
    return frozenset(text.split())


VERBS = _bag(
    "add answer append average calculate capitalize check clear compare compute concatenate convert count create decide "
    "decode delete describe detect determine divide draw echo encode estimate evaluate explain extract filter find flip "
    "forget format generate get give greet group guess increment insert invert join keep list look make measure merge "
    "multiply normalize note parse pick play predict print process produce rank recite record remember remove rename "
    "repeat replace report return reverse roll round say search select set show shuffle simplify simulate solve sort "
    "split square store subtract suggest sum summarize swap tell test toggle track translate transpose trim turn "
    "validate verify write"
)
_RELATIONS = _bag("of in from for between by")
_STOPPERS = _bag("and or but that which to into with on at as using if")
_HANGING = _RELATIONS | _STOPPERS | _bag("a an the")
"""Words that a name which was cut does not end with."""
_INDEFINITE = _bag("a an any each every some one given n")
_COUNTS = {"two": 2, "three": 3, "four": 4}
_SILENT = _bag("a an me us please")
_STORING = _bag("keep note record remember store")
_ORDINALS = ("first", "second", "third", "fourth")
_DATA_NOUNS = _bag(
    "amount array city date dictionary float integer item key line list mapping month name number paragraph person "
    "phrase price sentence sequence set string temperature text tuple value vector word year"
)
_LISTS = _bag("list array sequence set")
_RENAMED = {"list": "items", "array": "items", "set": "items", "sequence": "items", "float": "number"}
_CUT = re.compile(
    r"[,;:!?()\n]|\.(?!\d)|\s(?:that|which|where|when|while|so|such as|given|using|e\.g|for example|as follows|then)\s"
    r"|\swith (?:the )?(?:parameters?|arguments?)\b|\s(?:and )?(?:call|try|run|use|start) it\b",
    re.IGNORECASE,
)
_WORD = re.compile(r"[^\W_]\w*(?:-[^\W_]\w*)*|⟨\d+⟩")
_PARAMETERS = re.compile(
    r"\b(?:with|takes?|taking|given|has|having)\s+(?:the\s+|two\s+|three\s+)?(?:parameters?|arguments?)\s+"
    r"((?:[a-z_]\w*)(?:\s*(?:,\s*and|,|and)\s+[a-z_]\w*)*)",
    re.IGNORECASE,
)
_WHETHER = re.compile(
    r"^(?:check|tell|decide|determine|test|verify|find out|see|say|report)s?\s+(?:if|whether)\s+"
    r"(?P<article>an?|any|given|the|one)?\s*(?P<subject>[\w ]+?)\s+(?:is|are)\s+(?:an?\s+|the\s+)?(?P<rest>.+)$",
    re.IGNORECASE,
)
_COLLECTED = re.compile(
    r"^(?:add|append|insert|put|push|remove|delete|mark|complete|record|log|save)s?\s+(?:an?|the)\s+"
    r"(?P<what>[\w -]{2,40}?)\s+(?:to|from|into|in|on|of|as)\s+(?!another\b)",
    re.IGNORECASE,
)
_TALKED = re.compile(
    r"^(?:simulate|imagine|play|have|hold)\s+(?:an?|the)?\s*(?:\w+\s+)?(?:conversation|dialogue|chat|talk)\s+"
    r"(?:with|between)\s+(?P<who>.+)$",
    re.IGNORECASE,
)
_FIGURES = (
    (re.compile(r"winnie|\bpooh\b|wise bear|hundred[- ]acre", re.IGNORECASE), "winnie_the_pooh", "ROBIN"),
    (re.compile(r"\balan watts\b|wise sage", re.IGNORECASE), "alan_watts", "ROBIN"),
    (re.compile(r"\btamland\b", re.IGNORECASE), "brick_tamland", "BRICK"),
    (re.compile(r"\bbatman\b", re.IGNORECASE), "batman", "BRICK"),
    (re.compile(r"\bhitchhiker'?s guide\b", re.IGNORECASE), "the_guide", "BRICK"),
    (re.compile(r"\bford prefect\b", re.IGNORECASE), "ford_prefect", "BABS"),
    (re.compile(r"\biceman\b", re.IGNORECASE), "iceman", "BABS"),
    (re.compile(r"\bbatgirl\b", re.IGNORECASE), "batgirl", "BABS"),
    (re.compile(r"\bron swanson\b", re.IGNORECASE), "ron_swanson", "ALFRED"),
    (re.compile(r"\bali g\b", re.IGNORECASE), "ali_g", "ALFRED"),
)
_PERSONA = re.compile(r"\b(?:as|by|with|ask|persona)\s+(ALFRED|BRICK|ROBIN|BABS|Alfred|Brick|Robin|Babs)\b")


@dataclass(slots=True)
class Named:
    """What a phrase is called: selector, parameters (None: the words do not tell), the persona that it names."""

    selector: str
    parameters: list[str] | None = field(default_factory=list)
    persona: str | None = None


def name_phrase(phrase: str) -> Named | None:
    """Name what a phrase asks for, like "calculate the factorial of a number"; None when no name comes out."""
    talked = _TALKED.match(phrase.strip(" ."))
    if talked is not None:
        return _conversation(talked["who"])
    named = list(_named_parameters(phrase))
    short = _CUT.split(f"{phrase.strip()} ", maxsplit=1)[0].strip()
    whether = _WHETHER.match(short)
    result = _whether(whether) if whether is not None else _walk(_WORD.findall(short))
    if result is not None:
        result.parameters = named or _collected(short) or result.parameters
        result.persona = persona_in(phrase)
    return result


def _collected(phrase: str) -> list[str]:
    """What is added to, removed from or marked in something that the object keeps: "add a task to a to-do list"."""
    match = _COLLECTED.match(phrase)
    words = match["what"].split() if match is not None else []
    if not words or words[-1].casefold().endswith("s") or any(word.casefold() in _COUNTS for word in words):
        return []
    name = parameter_name(words[-1])
    return [name] if name else []


def persona_in(text: str) -> str | None:
    """The persona that a text names, or whose pillar it names."""
    match = _PERSONA.search(text)
    if match is not None:
        return match[1].upper()
    return next((persona for pattern, _, persona in _FIGURES if pattern.search(text)), None)


def selector_from(words: Iterable[str]) -> str | None:
    """Join words to a selector; None when that gives no valid one."""
    parts = [re.sub(r"\W", "", part.casefold().replace("-", "")) for part in words]
    parts = [part for part in parts if part]
    if len(parts) > MAX_NAME_WORDS:
        parts = parts[:MAX_NAME_WORDS]
        while parts and parts[-1] in _HANGING:
            parts.pop()
    name = "_".join(parts)[:MAX_NAME].strip("_")
    name = re.sub(r"^[\d_]+", "", re.sub(r"_+", "_", name))
    if keyword.iskeyword(name):
        name += "_it"
    return name if is_selector(name) else None


def is_selector(name: str) -> bool:
    """Tell whether a text is a selector: an identifier, no keyword, no leading underscore."""
    return name.isidentifier() and not keyword.iskeyword(name) and not name.startswith("_")


def base_form(verb: str) -> str:
    """The base of a verb: "returns" and "returning" both give "return"."""
    verb = verb.casefold()
    guesses = [verb]
    if verb.endswith("ing") and len(verb) > 5:
        stem = verb[:-3]
        guesses += [stem, stem + "e", stem[:-1]]
    if verb.endswith("s") and not verb.endswith("ss"):
        guesses += [verb[:-1], verb[:-2], verb[:-3] + "y"]
    known = next((guess for guess in guesses if guess in VERBS), None)
    if known is not None:
        return known
    if verb.endswith(("sses", "shes", "ches", "xes", "zzes")):
        return verb[:-2]
    return verb[:-1] if verb.endswith("s") and not verb.endswith(("ss", "us", "is")) else verb


def parameter_name(word: str) -> str | None:
    """A name for a parameter that shadows no builtin; None when the word gives none."""
    name = re.sub(r"\W", "_", word.casefold()).strip("_")
    name = _RENAMED.get(name, name)
    if hasattr(builtins, name):
        name = f"the_{name}"
    return name if is_selector(name) and name != "self" else None


def may_vary(name: str, text: str) -> bool:
    """Tell whether a word stands in a text as something that varies: "a user", "of users", "text", not "the time"."""
    said = [word.casefold() for word in _WORD.findall(text)]
    wanted = name.rsplit("_", maxsplit=1)[-1].rstrip("s")
    if wanted in VERBS and wanted not in _DATA_NOUNS:
        return False
    for index, word in enumerate(said):
        before = said[max(0, index - 3) : index]
        marks = [
            item for item in before if item in ("the", "this") or item in _INDEFINITE | _COUNTS.keys() | _RELATIONS
        ]
        fixed = bool(marks) and marks[-1] in ("the", "this")
        if word.rstrip("s") == wanted and not fixed and (marks or wanted in _DATA_NOUNS):
            return True
    return False


def _conversation(who: str) -> Named | None:
    for pattern, name, persona in _FIGURES:
        if pattern.search(who):
            return Named(f"simulate_{name}_conversation", [], persona)
    words = [word for word in _WORD.findall(re.split(r"\bfrom\b|[,.;(]", who)[0]) if word.casefold() not in ("a", "an")]
    selector = selector_from(["simulate", *words[: MAX_NAME_WORDS - 2], "conversation"]) if words else None
    return Named(selector, [], "ROBIN") if selector else None


def _whether(match: re.Match[str]) -> Named | None:
    selector = selector_from(["is", *(word for word in _WORD.findall(match["rest"]) if word not in ("a", "an"))])
    name = parameter_name(match["subject"].split()[-1])
    if selector is None:
        return None
    open_subject = (match["article"] or "").casefold() != "the"
    return Named(selector, [name] if name and open_subject else [])


def _named_parameters(phrase: str) -> Iterator[str]:
    for match in _PARAMETERS.finditer(phrase):
        for word in re.split(r"\s*(?:,\s*and\b|,|\band\b)\s*", match[1]):
            name = parameter_name(word)
            if name is not None:
                yield name


def _walk(words: list[str]) -> Named | None:
    """Go through the words of a phrase; see the module's docstring for the rules."""
    kept: list[str] = []
    parameters: list[str] = []
    open_words = False
    at = 0
    while at < len(words):
        word = words[at].casefold()
        related = word in _RELATIONS
        noun = _noun_phrase(words, at + 1 if related else at, related=related)
        if noun is not None:
            stored = bool(kept) and base_form(kept[0]) in _STORING
            parameters += [] if stored else noun.parameters
            open_words |= stored or not noun.parameters
            if related:
                _drop_the(kept)
            else:
                kept += noun.words
            at = noun.end
            continue
        if re.fullmatch(r"n-?th", word):
            parameters.append("n")
            word = "nth"
            _drop_the(kept)
        plural_data = word.endswith("s") and word[:-1] in _DATA_NOUNS
        open_words |= plural_data or word in _INDEFINITE or word.startswith("⟨") or word in _COUNTS
        if word not in _SILENT and not word.startswith("⟨"):
            kept.append(word)
        at += 1
    while kept and kept[-1] in _RELATIONS | _STOPPERS:
        kept.pop()
    if kept:
        kept[0] = base_form(kept[0])
    selector = selector_from(kept)
    told = bool(parameters) or ("the" in map(str.casefold, words) and not open_words)
    known = list(dict.fromkeys(parameters)) if told and "with" not in kept else None
    return Named(selector, known) if selector else None


class _Noun(NamedTuple):
    parameters: list[str]
    words: list[str]
    end: int


def _noun_phrase(words: list[str], at: int, *, related: bool) -> _Noun | None:
    """Read what may be a parameter at `at`: "a number", "two words", "a list of numbers", a value, "name" after "by"."""
    if at >= len(words):
        return None
    first = words[at].casefold()
    if first.startswith("⟨"):
        return _Noun([], [], at + 1)
    if related:
        bare = _by_what(words, at) or _letters(words, at)
        if bare is not None:
            return bare
    if first not in _INDEFINITE and first not in _COUNTS:
        return None
    end = at + 1
    while end < len(words) and words[end].casefold() not in _RELATIONS | _STOPPERS and end - at < 4:
        end += 1
    return _counted(words, at, end, related=related) if end > at + 1 else None


def _counted(words: list[str], at: int, end: int, *, related: bool) -> _Noun | None:
    """A noun phrase with an article or a count, from `at` up to `end`."""
    count = _COUNTS.get(words[at].casefold())
    head = words[end - 1].casefold()
    inner = [word for word in words[at + (count is None) : end] if word.casefold() not in _INDEFINITE]
    listed = head in _LISTS and [word.casefold() for word in words[end : end + 1]] == ["of"] and end + 1 < len(words)
    if listed:
        head, end = words[end + 1], end + 2
    singular = head[:-1] if head.endswith("s") and not head.endswith("ss") else head
    if not (related or listed or singular in _DATA_NOUNS):
        return None
    if count is not None:
        return _Noun(list(_ORDINALS[:count]), inner, end)
    name = parameter_name(head)
    return _Noun([name] if name else [], inner, end)


def _by_what(words: list[str], at: int) -> _Noun | None:
    """Read "by name" or "by their name" at the end of a phrase."""
    possessive = words[at].casefold() in ("their", "its", "the")
    if words[at - 1].casefold() != "by" or at + 1 + possessive != len(words):
        return None
    name = parameter_name(words[-1])
    return _Noun([name] if name else [], [], len(words))


def _letters(words: list[str], at: int) -> _Noun | None:
    """Read parameters named by letters: "of n", "of a and b"."""
    found = []
    while at < len(words) and len(words[at]) == 1 and words[at].isalpha():
        follows = words[at + 1].casefold() if at + 1 < len(words) else "and"
        if words[at] in "aiAI" and follows != "and":
            break
        found.append(words[at].casefold())
        at += 1
        if at + 1 < len(words) and follows == "and" and len(words[at + 1]) == 1:
            at += 1
    return _Noun(found, [], at) if found else None


def _drop_the(kept: list[str]) -> None:
    for index in range(len(kept) - 1, 0, -1):
        if kept[index] == "the":
            del kept[index]
            return
