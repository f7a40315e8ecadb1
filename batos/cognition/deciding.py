"""Words to a request by a model: what kind of words they are is weighed, arguments are written within a schema.

A small model asked to write an answer sends almost anything to what there is. Asked how likely each kind is, and whether
the capability that it would use really does what is asked, it tells well: both likelihoods together decide. Between sure
and unsure lies a question back. An engine that cannot weigh writes the whole answer at once.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from batos.cognition import filling, translation
from batos.cognition.rulebook import KINDS, Translation, checked, send, unclear
from batos.mind.protocol import GenerateReply, GenerateRequest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from batos.cognition.capabilities import Capability

Ask = Callable[[GenerateRequest], Awaitable[GenerateReply]]

MAX_TOKENS = 400
SURE = 2.5
"""The least score of a message that is sent without a question; the scale is that of log-likelihoods."""
UNSURE = 1.0
FOLLOWS = 1.4
"""How much likelier a value that the words do not hold must be than none; of 21 values that follow 19 are, of 25 made up 1."""
LEAD_WEIGHT, FIT_WEIGHT = 0.5, 2.5
"""The fit tells much better than the kind: the more capabilities there are, the less sure a model is of the kind."""
LEAST_LEAD = -4.0
"""Where a message is less likely than this beside other kinds, the fit is not asked."""
_KIND = '{"kind": "'
_DOUBT = """\
You decide whether a capability fits a request. It fits when calling it once, with arguments taken from the request, gives \
what the request asks for. It does not fit when it computes or finds something else, even on the same topic. Answer yes or no.
Capability: calculate_factorial(number: int): Calculate the factorial of a number.
Request: what is the factorial of 12
Answer: yes
Capability: get_city_population(city: str): Find how many people live in a city.
Request: what is the weather in Paris
Answer: no"""
_FOLLOWS = """\
Fill in the arguments of a call from a request. A value that the request does not give, and that does not follow from what it says, is null.
calculate_tip(bill: float, percent: float)
Request: the tip for 50 please
{"bill": 50, "percent": null}
get_sunrise(city: str, country: str, day: str)
Request: when does the sun rise in Paris on Friday
{"city": "Paris", "country": "France", "day": "Friday"}
calculate_speed(initial_speed: float, acceleration: float, seconds: int)
Request: how fast is it after 5 seconds from rest
{"initial_speed": 0, "acceleration": null, "seconds": 5}
write_message(to: str, text: str)
Request: write to Ada
{"to": "Ada", "text": null}
find_height(building: str)
Request: how tall is it
{"building": null}"""


async def by_model(
    ask: Ask, text: str, understands: Sequence[Mapping[str, Any]], *, target: Any = translation.DEFAULT_TARGET
) -> Translation:
    """Translate words with a model; what it cannot be trusted with is taken from the rules, or asked back.

    Args:
        ask: Asks the model.
        text: The Architect's words.
        understands: What the target understands.
        target: The target for the request.

    Raises:
        BatosError: The model failed.
    """
    asking = _Asking(ask, text, understands)
    reply = await asking.request(_KIND, asking.schema, options=KINDS)
    if not reply.scores:
        return translation.parse(_whole(reply.texts[0], _KIND), text, understands, target=target)
    ranks = dict(zip(KINDS, reply.scores, strict=True))
    others = max((kind for kind in KINDS if kind != "send"), key=ranks.__getitem__)
    if asking.listed:
        lead = ranks["send"] - ranks[others]
        found = await _sent(asking, lead, target) if lead >= LEAST_LEAD else None
        if found is not None:
            return checked(replace(found, source="model"))
    if others != "teach":
        return translation.from_fields({"kind": others}, text, understands, target=target)
    begun = _KIND + 'teach", "selector": "'
    reply = await asking.request(begun, asking.schema)
    return translation.parse(_whole(reply.texts[0], begun), text, understands, target=target)


class _Asking:
    """One translation's prompt: the same for each question, so that an engine reads it once."""

    def __init__(self, ask: Ask, text: str, understands: Sequence[Mapping[str, Any]]) -> None:
        self._ask = ask
        self.text = text
        self.messages, self.schema = translation.prompt(text, understands)
        self.listed = translation.listed(text, understands)

    async def request(self, prefill: str, schema: dict[str, Any], options: Sequence[str] = ()) -> GenerateReply:
        """Go on with an answer that begins with `prefill`, or weigh how it may go on."""
        return await self._ask(self._form(self.messages, prefill=prefill, schema=schema, options=tuple(options)))

    async def fits(self, item: Capability) -> float:
        """How much likelier it is that the capability does what is asked than that it does not."""
        about = item.described.split("\n", 1)[0]
        question = f"Capability: {about}\nRequest: {self.text.strip()}\nAnswer:"
        messages = ({"role": "system", "content": _DOUBT}, {"role": "user", "content": question})
        schema = {"enum": ["yes", "no"]}
        reply = await self._ask(self._form(messages, schema=schema, options=("yes", "no")))
        return reply.scores[0] - reply.scores[1] if reply.scores else 0.0

    async def follows(self, item: Capability, name: str, value: Any, given: Mapping[str, Any]) -> bool:
        """Whether a value that does not stand in the words is far likelier than that they leave it open.

        Args:
            item: The capability.
            name: The parameter.
            value: What a model filled in.
            given: The arguments that do stand in the words, by name.
        """
        begun = json.dumps({**given, name: None}).removesuffix(" null}")
        question = f"{item.described}\nRequest: {self.text.strip()}"
        messages = ({"role": "system", "content": _FOLLOWS}, {"role": "user", "content": question})
        schema = {"type": "object", "properties": {name: {"anyOf": [{"const": value}, {"type": "null"}]}}}
        # Without the mark at a text's end: a model would write it together with what comes next.
        options = (" " + json.dumps(value).removesuffix('"'), " null")
        reply = await self._ask(self._form(messages, prefill=begun, schema=schema, options=options))
        return bool(reply.scores) and reply.scores[0] - reply.scores[1] >= FOLLOWS

    def _form(self, messages: tuple[dict[str, str], ...], **more: Any) -> GenerateRequest:
        return GenerateRequest(
            state="TRANSLATING", persona="ALFRED", messages=messages, max_tokens=MAX_TOKENS, intent=self.text, **more
        )


async def _sent(asking: _Asking, lead: float, target: Any) -> Translation | None:
    """A message to what is understood; a question where that is doubtful or values are missing; None where it is not."""
    begun = _KIND + 'send", "selector": "'
    fields = _read(_whole((await asking.request(begun, asking.schema)).texts[0], begun))
    item = next((item for item in asking.listed if item.selector == fields.get("selector")), None)
    if item is None:
        return None
    score = LEAD_WEIGHT * lead + FIT_WEIGHT * await asking.fits(item)
    if score < UNSURE:
        return None
    said = fields.get("arguments")
    filled = await _filled(asking, item, said if isinstance(said, dict) else {})
    if filled.missing:
        return unclear(item.question_for(filled.missing))
    if score < SURE:
        return unclear(f"Shall I send {item.selector}{_shown(filled)}? Then write it so; or say what shall be learned.")
    return send(target, item.selector, filled.args, filled.kwargs)


async def _filled(asking: _Asking, item: Capability, said: dict[str, Any]) -> filling.Filled:
    """The arguments that stand in the words or follow from them."""
    filled = filling.believed(item, said, asking.text)
    if not filled.doubted:
        return filled
    given = {name: value for name, value in said.items() if name not in {*filled.doubted, *filled.missing}}
    vouched = []
    for name in filled.doubted:
        if await asking.follows(item, name, said[name], given):
            vouched.append(name)
            given[name] = said[name]
    return filling.believed(item, said, asking.text, vouched)


def _whole(answer: str, prefill: str) -> str:
    """An answer with its beginning, where the engine left that out."""
    return answer if answer.lstrip().startswith("{") else prefill + answer


def _read(answer: str) -> dict[str, Any]:
    try:
        fields = json.loads(answer)
    except (ValueError, RecursionError):
        return {}
    return fields if isinstance(fields, dict) else {}


def _shown(filled: filling.Filled) -> str:
    values = [*map(repr, filled.args), *(f"{name}={value!r}" for name, value in filled.kwargs.items())]
    return f"({', '.join(values)})"
