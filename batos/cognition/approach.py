"""How a method is asked for: as a plain function or as a method with state, greedily or sampled, with the finding or afresh."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from batos.cognition import brief as briefs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from batos.settings import Settings

Form = Literal["function", "method"]

_STATE = re.compile(
    r"\b(remember\w*|memori\w+|memoi[sz]e|store[sd]?|keep(s|ing)? (track|count|a |the )|save[sd]?|forget|recall|history|itself|my"
    r"|so far|until now|each time|every time|how often|(was|been|is) called|(given|seen) (before|the time before)|value before"
    r"|the one before|running (total|sum|count|mean|average|maximum|minimum)|counter|balance|deposit|withdraw\w*|inbox|next free"
    r"|slots?|self|this object|(the|this|an?|its) (object|stack|queue|inventory|stock|cart|basket|log|account|cache|tally|till"
    r"|ledger|collection|register|wallet)|(set|list) of tags|to the (list|total|notes)|increment|reset|push|pop|enqueue|dequeue"
    r"|undo|toggle|enroll|check (in|out)|rename|spend|top up|new (position|size|level|state)|what is (left|on it)|is taken)\b",
    re.IGNORECASE,
)
_CHANGES = re.compile(
    r"^(please\s+)?(remember|memori[sz]e|store|save|record|note down|keep|register|deposit|withdraw|increment|log)\b",
    re.IGNORECASE,
)
_ADDS = re.compile(
    r"^(please\s+)?(add|append|push|enqueue|insert|put|collect|tally|track|toggle|enroll|increase|decrease)\b",
    re.IGNORECASE,
)
_REFUSES = re.compile(
    r"\b(unless|refus\w*|insufficient|not enough|too (much|many|few)|otherwise|already|rais\w+|only|(if|when) (there|it|the))\b",
    re.IGNORECASE,
)
_SAMPLED, _HOT = 0.7, 1.0
_SHORT = 400
"""Tokens that a sampled text may always have: what loops is cut there, a longer method is not."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One attempt.

    Args:
        form: `function` where the object's state does not matter, else `method`.
        temperature: 0 writes the first text greedily.
        n: How many candidates.
        finding: Whether the last attempt and what was wrong with it are shown.
        doctests: Whether the words and the examples also begin the function, as its docstring.
        most: The most tokens of one text; 0 leaves it to the settings.
    """

    form: Form
    temperature: float
    n: int
    finding: bool
    doctests: bool = False
    most: int = 0


def plan(brief: briefs.Brief, attempts: list[dict[str, Any]], *, form: Form, settings: Settings) -> Plan:
    """Choose how the next attempt is made.

    Once greedily first: it costs least, and an example proves it. Without examples there are several at once, to vote
    on. A wrong answer of a function is better sampled afresh, because small models copy the attempt that they are shown;
    what broke a rule or needs state is told. Where a few samples were wrong, twice as many are written side by side, and
    in the end the function is asked for in another form: what it is for, and its examples, as its docstring.
    """
    last = attempts[-1] if attempts else None
    if last is None:
        return Plan(form, 0.0, 1 if briefs.examples(brief) else settings.candidates, finding=False)
    if not last["n"]:
        return Plan(form, 0.0, settings.candidates, finding=True)  # the method that is there is to be mended
    told = form == "method" or last.get("kind") != "trial" or len(attempts) % 2 == 0
    late, wrong = len(attempts) > 2, form == "function" and last.get("kind") == "trial"
    # A text that goes round in circles is far longer than what was written so far, and often cut off in the middle.
    whole = [len(attempt.get("source", "")) for attempt in attempts if attempt.get("kind") != "syntax"]
    most = max([_SHORT, *whole])
    return Plan(
        form,
        _HOT if late else _SAMPLED,
        settings.candidates * (2 if wrong and len(attempts) > 1 else 1),
        finding=told,
        doctests=late and wrong and not told,
        most=min(settings.max_new_tokens, most),
    )


def form_of(
    brief: briefs.Brief, words: str, *, slots: str, known: list[str], before: Sequence[dict[str, Any]] = ()
) -> Form:
    """Tell which form a mission is asked for in.

    Args:
        brief: The mission brief.
        words: The Architect's words.
        slots: Those of the target's slots that the mission may be about.
        known: Methods that the new one may call.
        before: The attempts so far; the first of a repair is the method that is there.
    """
    if before and not before[0]["n"] and "self." in before[0]["source"]:
        return "method"
    if slots or known or briefs.first_line(brief) is None or _STATE.search(words):
        return "method"
    stateful = any(example.get("steps") or example.get("slots") for example in briefs.examples(brief))
    return "method" if stateful or not (brief.get("parameters") or brief.get("kwargs")) else "function"


def speaks_of_state(words: str) -> bool:
    """Tell whether a mission's words speak of what an object keeps."""
    return bool(_STATE.search(words))


def changes_object(words: str) -> bool:
    """Tell whether each call of a mission's method is beyond doubt to change its object."""
    return bool(_CHANGES.match(words.strip())) and not _REFUSES.search(words)


def should_change_object(words: str) -> bool:
    """Tell whether a call that changes nothing is to be doubted."""
    adds = _ADDS.match(words.strip()) and speaks_of_state(words) and not _REFUSES.search(words)
    return bool(adds) or changes_object(words)
