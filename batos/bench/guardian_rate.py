"""How many methods the Guardian audits a second, in this process and on one core: parse, Covenant and policy."""

from __future__ import annotations

import random
import statistics
import time

LINES = 30
_SEED = 20
_WORDS = ("stock", "orders", "notes", "totals", "history", "limits", "names", "prices")

_SIMPLE = (
    "{a} = self.{s}.get(key, {n})",
    "{a} = [item for item in self.{s} if item != {n}]",
    "{a} = sorted(self.{s}, key=lambda item: str(item))",
    "self.{s}[key] = {n}",
    "self.{s}.append({a})",
    "self.{s} = getattr(self, '{s}', 0) + {n}",
    "{a} += {n}",
    "{a} = {b} * {n} + len(self.{s})",
    "{a} = max({b}, {n})",
    "{a} = f'{{key}}: {{self.{s}}}'",
    "{a} = self.look_up(key, {b})",
    "{a}, {b} = {b}, {a}",
    "{a} = {{'key': key, 'value': {b}}}",
    "{a} = math.sqrt(abs({n}))",
    "{a} = str(self.{s}).strip().upper()",
)
_BLOCKS = (
    ("if key in self.{s}:", "else:"),
    ("for item in self.{s}:", ""),
    ("if {a} > {n}:", ""),
    ("while {b} > {n}:", ""),
    ("try:", "except (KeyError, ValueError):"),
    ("for place, item in enumerate(self.{s}):", ""),
    ("if not {a}:", "elif {b} == {n}:"),
)


def methods(count: int) -> list[str]:
    """Make methods of `LINES` lines each: state, branches, loops, calls; the same ones every time."""
    draw = random.Random(_SEED)  # noqa: S311 - made to measure with
    return [_method(draw, number) for number in range(count)]


def guardian_rate(count: int = 300, rounds: int = 5) -> float:
    """Audit `count` methods in each round.

    Returns:
        Methods a second, the median of the rounds.
    """
    from batos.guardian import audit

    sources = methods(count)
    for source in sources[:20]:
        audit(source)
    rates = []
    for _ in range(rounds):
        start = time.process_time()
        for source in sources:
            audit(source)
        rates.append(count / (time.process_time() - start))
    return statistics.median(rates)


def _method(draw: random.Random, number: int) -> str:
    head = ["import math", "", f"def method_{number}(self, key, limit=10):", f'    """Number {number}."""']
    head += ["    first = second = third = limit"]
    # Some forget the flag; what they leave is looked for as well.
    tail = ["    self._p_changed = True" if draw.random() < 0.75 else "    second = third", "    return first"]
    body: list[str] = []
    while len(head) + len(body) + len(tail) < LINES:
        body += _statements(draw, "    ", LINES - len(head) - len(body) - len(tail))
    return "\n".join([*head, *body, *tail]) + "\n"


def _statements(draw: random.Random, indent: str, room: int) -> list[str]:
    """One statement, or a block of them, in at most so many lines."""
    if room < 5 or len(indent) > 12 or draw.random() < 0.5:
        return [indent + _filled(draw, draw.choice(_SIMPLE))]
    opening, other = draw.choice(_BLOCKS)
    lines = [indent + _filled(draw, opening)]
    for _ in range(draw.randint(1, 2)):
        lines += _statements(draw, indent + "    ", (room - 4) // 2)
    if draw.random() < 0.2:
        lines += [f"{indent}    self._p_changed = True", f"{indent}    return second"]
    if other:
        lines += [indent + _filled(draw, other), indent + "    " + _filled(draw, draw.choice(_SIMPLE))]
    return lines


def _filled(draw: random.Random, text: str) -> str:
    a, b = draw.sample(("first", "second", "third"), 2)
    return text.format(a=a, b=b, s=draw.choice(_WORDS), n=draw.randint(1, 99))
