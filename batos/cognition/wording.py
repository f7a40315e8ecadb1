"""How words are put when they ask for a capability: verbs that are meant but not said, and which way round it goes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_HOW_MANY = re.compile(r"\bhow many\b|\bthe number of\b", re.IGNORECASE)
_IN_UNITS = re.compile(r"^\W*(?:how much|what) (?:is|are) [-−]?\d[\d.,]*\s.*\b(?:in|as|into) ", re.IGNORECASE)
_YES_OR_NO = re.compile(r"^\W*(?:is|are|was|were|does|do|did|has|have|tell me (?:if|whether)|check)\b", re.IGNORECASE)
_PARTICIPLE = re.compile(r"\b([^\W\d_]{2,}?)ed\b")
_ARTICLE = re.compile(r"\b(?:a|an|the|each|every|any|some)\s+$", re.IGNORECASE)
_TOWARDS = frozenset(("to", "in", "into", "as"))
_SMALL = frozenset(("a", "an", "the", "some", "this", "that"))


def verbs_meant(text: str, said: str) -> set[str]:
    """The verbs that words stand for without saying them.

    "how many" and "the number of" mean count, "what is 3 miles in metres" means convert, "'abc' reversed" means reverse.

    Args:
        text: All the words.
        said: The words without the values among them.
    """
    verbs = {verb for verb, _ in participles(said)}
    if _HOW_MANY.search(said):
        verbs.add("count")
    if _IN_UNITS.search(text):
        verbs.add("convert")
    return verbs


def participles(said: str) -> list[tuple[str, str]]:
    """The verbs of participles, each with the participle; none in a yes-or-no question, which asks for no deed."""
    if _YES_OR_NO.match(said):
        return []
    return [(f"{found[1]}e", found[0]) for found in _PARTICIPLE.finditer(said)]


def names_a_kind(word: str, before: str) -> bool:
    """Whether a word names a kind of thing ("the sentences", "a group") and is no value, as a name is."""
    return word.islower() and _ARTICLE.search(before) is not None


def same_way(selector: str, said: Sequence[str], stem: Callable[[str], str]) -> bool:
    """Whether words go the same way as a selector with `to` or `of` between its parts.

    "20 Fahrenheit to Celsius" does not ask for `celsius_to_fahrenheit`, nor "the radius of a circle" for `area_of_circle`.

    Args:
        selector: The capability's selector.
        said: The stems of all the words, in their order.
        stem: Gives the stem of a word.
    """
    parts = selector.casefold().split("_")
    for place in range(1, len(parts) - 1):
        first, link, last = stem(parts[place - 1]), parts[place], stem(parts[place + 1])
        if first not in said or last not in said:
            continue
        if link in ("to", "into") and said.index(first) > said.index(last) and not _aimed(said, last):
            return False
        if link == "of" and _headed(said, last) not in ("", first):
            return False
    return True


def _aimed(said: Sequence[str], last: str) -> bool:
    place = said.index(last)
    return place > 0 and said[place - 1] in _TOWARDS


def _headed(said: Sequence[str], last: str) -> str:
    """What words ask of a thing: `radius` in "the radius of a circle"; empty where they do not say it so."""
    place = said.index(last) - 1
    while place > 0 and said[place] in _SMALL:
        place -= 1
    return said[place - 1] if place > 0 and said[place] == "of" else ""
