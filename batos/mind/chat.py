"""Chat templates: messages as the text that a model was trained on.

The template comes with the weights. What people and objects wrote is kept apart from the template's own marks, so
that a text with `<|im_end|>` in it stays text and cannot speak in another role.
"""

from __future__ import annotations

import re
import secrets
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from batos.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Sequence

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


class Segment(NamedTuple):
    """A piece of a prompt; `marks` tells whether special tokens in it count as such."""

    text: str
    marks: bool


def render(
    template: str, messages: Sequence[dict[str, str]], prefill: str = "", *, bos: str = "", eos: str = ""
) -> list[Segment]:
    """Render messages, and the beginning of the answer, by a chat template.

    Args:
        template: The model's Jinja template; empty stands for ChatML.
        messages: The chat.
        prefill: Text that the answer begins with.
        bos: The text of the token that begins a text.
        eos: The text of the token that ends one.

    Raises:
        ModelError: The template fails on these messages.
    """
    nonce = secrets.token_hex(8)
    contents = [message["content"] for message in messages]
    marked = [{**message, "content": f"[{nonce}:{i}]"} for i, message in enumerate(messages)]
    text = _apply(template or CHATML, marked, bos, eos)
    segments = []
    for i, part in enumerate(re.split(rf"\[{nonce}:(\d+)\]", text)):
        if part:
            segments.append(Segment(part, marks=True) if i % 2 == 0 else Segment(contents[int(part)], marks=False))
    if prefill:
        segments.append(Segment(prefill, marks=False))
    return [segment for segment in segments if segment.text]


def _apply(template: str, messages: list[dict[str, str]], bos: str, eos: str) -> str:
    import jinja2

    values = {"add_generation_prompt": True, "bos_token": bos, "eos_token": eos}
    try:
        compiled = _compile(template)
        try:
            return str(compiled.render(messages=messages, **values))
        except jinja2.TemplateError:
            # Some templates know no system role: there its text leads the first message.
            return str(compiled.render(messages=_without_system(messages), **values))
    except jinja2.TemplateError as error:
        raise ModelError(f"the model's chat template cannot render these messages: {error}") from None


@lru_cache(maxsize=8)
def _compile(template: str) -> Any:
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    environment.globals.update(raise_exception=_refuse, strftime_now=_now)
    return environment.from_string(template)


def _refuse(message: str) -> NoReturn:
    import jinja2

    raise jinja2.TemplateError(message)


def _now(form: str) -> str:
    return datetime.now().astimezone().strftime(form)


def _without_system(messages: list[dict[str, str]]) -> list[dict[str, str]]:
    system = "\n\n".join(message["content"] for message in messages if message["role"] == "system")
    rest = [dict(message) for message in messages if message["role"] != "system"]
    if system and rest:
        rest[0]["content"] = f"{system}\n\n{rest[0]['content']}"
    return rest
