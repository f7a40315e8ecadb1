"""The scripted mind: answers from a file by pattern, for tests; it needs neither weights nor a network.

The file is a JSON list of rules: `{"state": str?, "match": regex?, "text": str | "texts": [str …], "delay_s": n?,
"times": n?}`. The first rule that fits the asking state, whose `match` is found in the mission's intent, selector or
prompt, and which is not used up, answers. Counters live as long as the mind.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from batos.errors import BadSetting, ModelError
from batos.mind.protocol import GenerateReply, GenerateRequest, OnToken

if TYPE_CHECKING:
    from pathlib import Path

DIMENSIONS = 64

_HINT = (
    'The script is a JSON list of {"state"?, "match"?, "text" or "texts", "delay_s"?, "times"?}; see docs/testing.md.'
)


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value) and value >= 0


def _is_count(value: Any) -> bool:
    return type(value) is int and value >= 0


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(map(_is_text, value))


_FIELDS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "state": (_is_text, "a text"),
    "match": (_is_text, "a regular expression"),
    "text": (_is_text, "a text"),
    "texts": (_is_texts, "a list of texts with at least one"),
    "delay_s": (_is_number, "a number of seconds, 0 or more"),
    "times": (_is_count, "a whole number, 0 or more"),
}


@dataclass(slots=True)
class Rule:
    """One rule of a script.

    Args:
        texts: The answers to the candidates of one request, in order; the last is repeated.
        state: The asking state, empty for any.
        match: What must be found in the intent, the selector or the prompt; None fits all.
        delay_s: Seconds that the answer takes.
        times: How often the rule may answer, None for ever.
        used: How often it has answered.
    """

    texts: tuple[str, ...]
    state: str = ""
    match: re.Pattern[str] | None = None
    delay_s: float = 0.0
    times: int | None = None
    used: int = 0

    @classmethod
    def parse(cls, fields: Any, number: int) -> Self:
        """Read one rule of a script.

        Raises:
            BadSetting: It has an unknown field, a wrong value, or no answer.
        """
        if not isinstance(fields, Mapping):
            raise BadSetting(f"rule {number} of the script is not a map", _HINT)
        for name, value in fields.items():
            if name not in _FIELDS:
                raise BadSetting(f"rule {number} of the script has an unknown field {name!r}", _HINT)
            fits, meaning = _FIELDS[name]
            if not fits(value):
                raise BadSetting(f"rule {number} of the script has {name} = {value!r}; it must be {meaning}", _HINT)
        if ("text" in fields) == ("texts" in fields):
            raise BadSetting(f"rule {number} of the script needs either `text` or `texts`", _HINT)
        return cls(
            texts=tuple(fields["texts"]) if "texts" in fields else (fields["text"],),
            state=fields.get("state", ""),
            match=_pattern(fields["match"], number) if "match" in fields else None,
            delay_s=fields.get("delay_s", 0.0),
            times=fields.get("times"),
        )

    def fits(self, request: GenerateRequest) -> bool:
        """Tell whether this rule answers the request."""
        if self.state not in ("", request.state) or (self.times is not None and self.used >= self.times):
            return False
        return self.match is None or any(
            self.match.search(text) for text in (request.intent, request.selector, question_text(request))
        )


class ScriptedMind:
    """A mind that answers from rules.

    Args:
        rules: The rules, as the script has them.
        sha256: Digest that replies give as that of the weights.

    Raises:
        BadSetting: A rule is wrong.
    """

    def __init__(self, rules: Sequence[Mapping[str, Any]] = (), *, sha256: str = "") -> None:
        self._rules = [Rule.parse(fields, number) for number, fields in enumerate(rules, 1)]
        self._sha256 = sha256
        self._counts = {"requests": 0, "embeddings": 0, "unanswered": 0}

    @classmethod
    def load_file(cls, file: Path) -> Self:
        """Read a script.

        Raises:
            BadSetting: The file cannot be read, or is not a script.
        """
        try:
            content = file.read_bytes()
            rules = json.loads(content)
        except (OSError, ValueError) as error:
            raise BadSetting(f"the script {file} cannot be read: {error}", _HINT) from None
        if not isinstance(rules, list):
            raise BadSetting(f"the script {file} is not a list of rules", _HINT)
        return cls(rules, sha256=hashlib.sha256(content).hexdigest())

    async def generate(self, request: GenerateRequest, on_token: OnToken | None = None) -> GenerateReply:
        """Answer by the first rule that fits.

        Raises:
            ModelError: No rule fits and the state has no default; the message shows the prompt.
        """
        started = time.monotonic()
        self._counts["requests"] += 1
        texts = await self._answer(request)
        if on_token is not None:
            for piece in re.findall(r"\s*\S+\s*?|\s+", texts[0]):
                on_token(piece)
        return GenerateReply(
            texts=texts,
            finish=("stop",) * len(texts),
            model="scripted",
            model_sha256=self._sha256,
            engine="scripted",
            prompt_tokens=count_words(prompt_text(request)),
            completion_tokens=sum(map(count_words, texts)),
            seconds=time.monotonic() - started,
        )

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Give a unit vector for each text: the same words give the same vector, shared words a near one."""
        self._counts["embeddings"] += len(texts)
        return [hash_vector(text) for text in texts]

    async def load(self, name: str) -> None:
        """Nothing to load."""

    async def unload(self, name: str) -> None:
        """Nothing to unload."""

    def statistics(self) -> dict[str, Any]:
        """Engine, the one model, and counts."""
        model = {"name": "scripted", "state": "loaded", "bytes": 0}
        return {"engine": "scripted", "models": [model], "memory": 0, **self._counts}

    async def close(self) -> None:
        """Nothing to stop."""

    async def _answer(self, request: GenerateRequest) -> tuple[str, ...]:
        rule = next((rule for rule in self._rules if rule.fits(request)), None)
        if rule is None:
            return self._default(request)
        rule.used += 1
        if rule.delay_s:
            await asyncio.sleep(rule.delay_s)
        last = len(rule.texts) - 1
        return tuple(rule.texts[min(i, last)].removeprefix(request.prefill) for i in range(request.n))

    def _default(self, request: GenerateRequest) -> tuple[str, ...]:
        if request.state == "DECOMPOSING":
            query = " ".join(request.selector.split("_")).strip()
            return (json.dumps([query]),) * request.n
        self._counts["unanswered"] += 1
        raise ModelError(
            f"no rule of the script fits this request of {request.state} for {request.selector!r}:\n"
            f"{prompt_text(request)}",
            "Add a rule to the script, or raise the `times` of one.",
        )


def prompt_text(request: GenerateRequest) -> str:
    """The whole prompt as one text: every message, then the prefill."""
    parts = [message.get("content", "") for message in request.messages]
    return "\n\n".join([*parts, request.prefill] if request.prefill else parts)


def question_text(request: GenerateRequest) -> str:
    """What is asked, without the standing instructions: the last message, then the prefill.

    Instructions and worked examples name other methods, which rules for those must not take for their own.
    """
    last = request.messages[-1].get("content", "") if request.messages else ""
    return f"{last}\n\n{request.prefill}"


def count_words(text: str) -> int:
    """Count tokens as this mind does: by words."""
    return len(text.split())


def hash_vector(text: str, dimensions: int = DIMENSIONS) -> list[float]:
    """A unit vector that depends on the text's words alone, the same in every process."""
    vector = [0.0] * dimensions
    for word in re.findall(r"\w+", text.casefold()) or [""]:
        digest = hashlib.blake2b(word.encode(), digest_size=8).digest()
        vector[int.from_bytes(digest[:7], "big") % dimensions] += 1.0 if digest[7] & 1 else -1.0
    norm = math.sqrt(sum(x * x for x in vector))
    if norm == 0.0:  # opposite words cancelled each other out
        return [1.0] + [0.0] * (dimensions - 1)
    return [x / norm for x in vector]


def _pattern(text: str, number: int) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        raise BadSetting(f"rule {number} of the script has a bad pattern {text!r}: {error}", _HINT) from None
