"""Schemas of the commands about what objects can do and how it is mended."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from batos.fields import Kwargs, OnTarget, Request, Selector


class Correct(OnTarget):
    """Say what a call must give: a permanent example, then a repair."""

    selector: Selector
    args: list[Any] = []
    kwargs: Kwargs = {}
    result: Any
    approve: bool = False


class Repair(OnTarget):
    """Repair a method that fails: its failed calls must come back, its good ones stay as they are."""

    selector: Selector
    approve: bool = False


class Capabilities(OnTarget):
    """List what an object can do, or what of it means something close to a query."""

    query: str | None = None
    limit: Annotated[int, Field(gt=0, le=10_000)] = 100


class Failures(Request):
    """List the records of calls that raised, newest first."""

    selector: Selector | None = None
    limit: Annotated[int, Field(gt=0, le=1000)] = 100


class Replay(Request):
    """Make a call that failed again, at its moment."""

    failure: str


class Converse(Request):
    """Talk with the personas."""

    text: Annotated[str, Field(min_length=1)]
    personas: list[str] | None = None
