"""What a target understands, as the translator sees it: which capability do some words mean, and with which arguments.

Matching is by words: the ones that carry a selector's meaning must all stand in the text, and what is left of the text
must be arguments. Two that fit equally well, or arguments that are missing, give a question, never a guess.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from batos.cognition import wording
from batos.cognition.literals import Literal, literals, number_word

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


def _bag(words: str) -> frozenset[str]:
    return frozenset(words.split())


_EMPTY = _bag(
    "a an the of for to in on at by with from is are was be do does did can could would will you me my i "
    "we us it its this that there please what which who how much many and or as so now just again s if "
    "whether"
)
_GENERIC = _bag(
    "calculate compute get give tell show report find return determine say make do run call check "
    "evaluate know see want need like method function value result"
)
_PLAIN_NOUNS = _bag("user number text string integer item object person someone n x word list")
_SOME_THING = re.compile(rf"\b(?:a|an)\s+(?:{'|'.join(sorted(_PLAIN_NOUNS))})\b", re.IGNORECASE)
_EACH = _bag("each every all any both")
_NUMERIC = _bag("number n integer count amount times year x y radius value age index limit")
_WORD = re.compile(r"[^\W\d_]+(?:'s)?")
_ARGUMENT = re.compile(r"^[ \t]*\*?([A-Za-z_]\w*)(?: \([^)\n]*\))?:[ \t]+(\S.*)$", re.MULTILINE)
_KINDS: dict[str, type | tuple[type, ...]] = {
    "int": int,
    "float": (int, float),
    "str": str,
    "list": (list, tuple),
    "dict": dict,
}
MAX_SUMMARY, MAX_ABOUT = 300, 200
_NAMING = 3
"""Words before a value that may name its parameter."""


class Parameter(NamedTuple):
    """A parameter of a capability: its annotation and default as source text, and what its docstring says of it."""

    name: str
    has_default: bool
    annotation: str = ""
    default: str = ""
    about: str = ""

    @property
    def shown(self) -> str:
        """As in a signature, like `times: int = 1`."""
        typed = f"{self.name}: {self.annotation}" if self.annotation else self.name
        if not self.has_default:
            return typed
        return f"{typed} = {self.default}" if self.annotation else f"{typed}={self.default}"


class Matched(NamedTuple):
    """The capability that some words mean, and the arguments in them."""

    selector: str
    args: list[Any]


@dataclass(frozen=True, slots=True)
class Capability:
    """A selector that the target understands.

    Args:
        selector: Its selector.
        summary: What it does, in a line; may be empty.
        parameters: After self; None where the signature is not known.
    """

    selector: str
    summary: str
    parameters: tuple[Parameter, ...] | None

    @property
    def described(self) -> str:
        """All that is known of it, for a model: signature, summary, and a line for each parameter with a description."""
        inside = "…" if self.parameters is None else ", ".join(p.shown for p in self.parameters)
        lines = [f"{self.selector}({inside}){': ' + self.summary if self.summary else ''}"]
        return "\n".join([*lines, *(f"    {p.name}: {p.about}" for p in self.parameters or () if p.about)])

    @property
    def shown(self) -> str:
        """Its parameters for people, like `(name, times=…)`."""
        if self.parameters is None:
            return "(…)"
        return f"({', '.join(p.name + '=…' * p.has_default for p in self.parameters)})"

    def fits(self, count: int) -> bool:
        """Tell whether so many positional arguments are enough, and not too many."""
        if self.parameters is None:
            return True
        return sum(not p.has_default for p in self.parameters) <= count <= len(self.parameters)

    def question(self, count: int) -> str:
        """Ask for what is missing when there are so many arguments."""
        missing = [p.name for p in (self.parameters or ())[count:] if not p.has_default]
        return self.question_for(missing)

    def question_for(self, missing: Sequence[str]) -> str:
        """Ask for the values of some parameters; of all where none is named."""
        if missing:
            names = " and ".join(f"`{name}`" for name in missing)
            return f"What is {names} for {self.selector}? Or write the call: {self.selector}{self.shown}"
        return f"Which values shall {self.selector} have? Write the call: {self.selector}{self.shown}"


def read(understands: Iterable[Mapping[str, Any]]) -> list[Capability]:
    """Read what a target understands; selectors of the system's own (with an underscore at an end) are left out."""
    found = []
    for item in understands:
        selector = str(item.get("selector", ""))
        if selector.isidentifier() and not selector.startswith("_") and not selector.endswith("_"):
            summary, about = _docs(item.get("summary"), item.get("doc"))
            found.append(Capability(selector, summary, _parameters(item.get("signature"), about)))
    return found


def nearest(text: str, known: Sequence[Capability], limit: int) -> list[Capability]:
    """The capabilities nearest to some words, at most `limit`, in their given order."""
    said = stems(text)
    ranked = sorted(range(len(known)), key=lambda index: (-len(said & _meaning(known[index])), index))
    return [known[index] for index in sorted(ranked[:limit])]


def near(text: str, item: Capability) -> bool:
    """Tell whether a capability has a word of meaning in common with a text."""
    return bool((stems(text) & _meaning(item)) - _GENERIC_STEMS)


_GREETED = re.compile(
    r"^\s*(?:hi|hello|hey|good (?:morning|evening|day))(?:\s+there)?\s*[,!.]\s*(?=\S+\s+\S)", re.IGNORECASE
)
"""A greeting before something else: it is no value."""


def match(text: str, known: Sequence[Capability]) -> Matched | str | None:
    """Find the capability that some words mean.

    Returns:
        The match; a question where two fit or arguments are missing; None where nothing fits.
    """
    text = _GREETED.sub("", text)
    values = literals(text)
    said = _without(text, values)
    spoken = stems(said) | {_stem(verb) for verb in wording.verbs_meant(text, said)}
    fitting = [item for item in known if _core(item) and _core(item) <= spoken and _is_asked(item, said)]
    if not fitting:
        return None
    most = max(len(_core(item)) for item in fitting)
    best = [item for item in fitting if len(_core(item)) == most]
    # Values that the words name in another order are for a model to place.
    named = [item for item in best if _in_order(item, text, values)]
    answers = [answer for item in named if (answer := _arguments(item, said, values)) is not None]
    matched = [answer for answer in answers if isinstance(answer, Matched)]
    if len(matched) == 1:
        return matched[0]
    if matched:
        return f"Do you mean {' or '.join(answer.selector for answer in matched)}?"
    return answers[0] if answers else None


def _arguments(item: Capability, said: str, values: list[Literal]) -> Matched | str | None:
    args: list[Any] = [value.value for value in values]
    own = _core(item) | _meaning(item) | _EMPTY | _GENERIC | _PLAIN_NOUNS
    meant = {word for verb, word in wording.participles(said) if _stem(verb) in own}
    left = [w for w in _WORD.findall(said) if _stem(w) not in own and w.casefold() not in own and w not in meant]
    wanted = item.parameters
    if left and wanted and len(args) == len(wanted) - 1 and not wanted[-1].has_default and _together(left, said):
        number = number_word(left[0]) if len(left) == 1 else None
        if number is None and wanted[-1].name in _NUMERIC:
            return None
        args.append(" ".join(left) if number is None else number)
        left = []
    if left or not all(map(_fits_kind, args, wanted or ())):
        return None
    return Matched(item.selector, args) if item.fits(len(args)) else _missing(item, len(args))


def _in_order(item: Capability, text: str, values: list[Literal]) -> bool:
    """Whether no value stands right behind the name of another parameter than that of its place."""
    names = [stems(parameter.name.replace("_", " ")) for parameter in item.parameters or ()]
    for place, value in enumerate(values[: len(names)]):
        before = stems(" ".join(_WORD.findall(text[: value.start])[-_NAMING:]))
        named = [index for index, name in enumerate(names) if name & before]
        if named and place not in named:
            return False
    return True


def _fits_kind(value: Any, parameter: Parameter) -> bool:
    """Whether a value is of the kind that a parameter's annotation names; one without an annotation takes any."""
    kinds = _KINDS.get(parameter.annotation.partition("[")[0])
    if parameter.annotation.startswith("Literal"):
        return repr(value) in parameter.annotation
    return kinds is None or isinstance(value, kinds)


def _missing(item: Capability, count: int) -> str | None:
    return item.question(count) if item.parameters is not None and count < len(item.parameters) else None


def _together(left: list[str], said: str) -> bool:
    """Whether the words that are left stand side by side, few enough to be one value."""
    stands = re.search(r"\s+".join(map(re.escape, left)), said)
    if _SOME_THING.search(said) or left[0].casefold() in _EACH:
        return False  # "a text" tells what kind of thing is meant, and gives none
    return len(left) <= 4 and stands is not None and not wording.names_a_kind(left[0], said[: stands.start()])


def _is_asked(item: Capability, said: str) -> bool:
    """Whether the order of the words is the selector's: Celsius to Fahrenheit is not the way back."""
    return wording.same_way(item.selector, [_stem(word) for word in _WORD.findall(said)], _stem)


def _without(text: str, values: list[Literal]) -> str:
    for value in reversed(values):
        text = f"{text[: value.start]} {text[value.end :]}"
    return text


def _core(item: Capability) -> frozenset[str]:
    """The words of a selector that carry its meaning."""
    parts = [part for part in item.selector.casefold().split("_") if part not in _EMPTY]
    core = [part for part in parts if part not in _GENERIC and part not in _PLAIN_NOUNS]
    return frozenset(_stem(part) for part in core or parts)


def _meaning(item: Capability) -> frozenset[str]:
    names = " ".join(p.name.replace("_", " ") for p in item.parameters or ())
    return frozenset(stems(f"{item.selector.replace('_', ' ')} {item.summary} {names}"))


def stems(text: str) -> set[str]:
    """The stems of the words in a text that carry meaning."""
    return {_stem(word) for word in _WORD.findall(text.replace("_", " ")) if word.casefold() not in _EMPTY}


def _stem(word: str) -> str:
    word = word.casefold().removesuffix("'s")
    for ending in ("ing", "es", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 3 and not word.endswith("ss"):
            return word.removesuffix(ending).removesuffix("e")
    return word.removesuffix("e") if len(word) > 3 else word


_GENERIC_STEMS = frozenset(_stem(word) for word in _GENERIC | _PLAIN_NOUNS)


def _docs(summary: Any, doc: Any) -> tuple[str, dict[str, str]]:
    """The summary in a line, and what a docstring says of each parameter (`name: …`, as in a Google `Args:`)."""
    about = {m[1]: m[2].strip()[:MAX_ABOUT] for m in _ARGUMENT.finditer(doc)} if isinstance(doc, str) else {}
    return " ".join(str(summary or "").split())[:MAX_SUMMARY], about


def _parameters(signature: Any, about: Mapping[str, str]) -> tuple[Parameter, ...] | None:
    if not isinstance(signature, str) or not signature.strip():
        return None
    try:
        function = ast.parse(f"def f{signature.strip()}: pass").body[0]
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    if not isinstance(function, ast.FunctionDef) or function.args.vararg or function.args.kwonlyargs:
        return None
    listed = [*function.args.posonlyargs, *function.args.args]
    defaults = [None] * (len(listed) - len(function.args.defaults)) + [ast.unparse(d) for d in function.args.defaults]
    found = [
        Parameter(
            arg.arg,
            default is not None,
            ast.unparse(arg.annotation) if arg.annotation is not None else "",
            default or "",
            about.get(arg.arg, ""),
        )
        for arg, default in zip(listed, defaults, strict=True)
    ]
    return tuple(found[1:] if found and found[0].name == "self" else found)
