"""Chat templates: the template's marks count, what people wrote does not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batos.errors import ModelError
from batos.mind.chat import render

SYSTEM = {"role": "system", "content": "Be brief."}
USER = {"role": "user", "content": "Hi"}
NO_SYSTEM = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system') }}{% endif %}"
    "<{{ m.role }}>{{ m.content | trim }}{% endfor %}"
)


def text_of(segments):
    return "".join(segment.text for segment in segments)


def test_chatml_is_the_fall_back():
    """Weights without a template are asked in ChatML, up to where the assistant speaks."""
    text = text_of(render("", [SYSTEM, USER]))
    assert text == "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"


def test_prefill_comes_last_as_plain_text():
    """The beginning of the answer ends the prompt, and special tokens in it stay text."""
    segments = render("", [USER], "```python\n")
    assert segments[-1] == ("```python\n", False)


@given(st.text(min_size=1))
def test_contents_stay_text(content):
    """Whatever a message says, it arrives unchanged and outside the marks."""
    segments = render("", [{"role": "user", "content": content}])
    assert [segment.text for segment in segments if not segment.marks] == [content]
    assert text_of(s for s in segments if s.marks) == "<|im_start|>user\n<|im_end|>\n<|im_start|>assistant\n"


def test_template_without_system_role():
    """Where a template knows no system role, its text leads the first message."""
    segments = render(NO_SYSTEM, [SYSTEM, USER], bos="<s>")
    assert text_of(segments) == "<s><user>Be brief.\n\nHi"


@pytest.mark.parametrize(
    "template", ["{{ messages[", "{{ raise_exception('never') }}", "{{ messages[0].nothing.more }}"]
)
def test_broken_template_is_a_model_error(template):
    """A template that cannot be read or that refuses is the model's fault, and is said so."""
    with pytest.raises(ModelError, match="template"):
        render(template, [USER])


def test_template_is_confined():
    """A template comes with downloaded weights: it reaches nothing of Python."""
    with pytest.raises(ModelError):
        render("{{ messages.__class__.__mro__ }}", [USER])
