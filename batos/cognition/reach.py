"""What a candidate may change besides its own object: what the mission speaks of, and nothing else.

A method may do more once it is installed: what an object holds, its methods may use. But a candidate nobody has looked at
yet must not change what has nothing to do with its mission, however right its answers are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from batos.cognition import portrait, prompts
from batos.cognition.acceptance import MENDING
from batos.image import dispatch
from batos.memory.words import words_of
from batos.plain import references
from batos.sandbox.world import Reach

if TYPE_CHECKING:
    from batos.codec import Ref
    from batos.cognition.services import Context
    from batos.image.view import View

_PARENTS = frozenset(words_of("parent prototype inherit delegate"))


async def reach_of(ctx: Context) -> Reach | None:
    """What the candidates of a cycle are held to; None: the Architect's own source, and the policy `warn`, to nothing."""
    if ctx.record["kind"] == "install" or ctx.services.settings.guardian_policy == "warn":
        return None
    brief = ctx.brief
    words = f"{prompts.words(brief)} {brief['selector'].replace('_', ' ')}"
    repairs = ctx.record["kind"] in MENDING
    return (await ctx.services.image.read(_reach, ctx.target, brief["selector"], words, repairs)).value


def _reach(view: View, target: Ref, selector: str, words: str, repairs: bool) -> Reach:
    source = dispatch.look(view, target, selector).source if repairs else ""
    held = portrait.relevant(view, target, f"{words} {source}")
    objects = frozenset(ref for value in held.values() for ref in references(value))
    return Reach(objects, parents=bool(_PARENTS & set(words_of(words))))
