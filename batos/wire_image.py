"""Messages about the image itself: its past, its snapshots, its change log, and what operators do with the whole."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from batos.fields import Name, OnTarget, Request, Schema, Selector, Target

Moment = Annotated[str, Field(min_length=1, max_length=200)]
"""A tid (16 hex digits), a time (ISO 8601, UTC), or the name of a snapshot."""

Version = Annotated[int, Field(gt=0)]


class Explain(OnTarget):
    """Give the provenance of a version: by its number, or of the one that was active at a moment."""

    selector: Selector
    version: Version | None = None
    tid: Moment | None = None


class Diff(OnTarget):
    """Compare two versions of a method, or an object at two moments."""

    selector: Selector | None = None
    versions: Annotated[list[Version], Field(min_length=2, max_length=2)] | None = None
    tids: Annotated[list[Moment], Field(min_length=2, max_length=2)] | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Diff:
        if (self.versions is None) == (self.tids is None):
            raise ValueError("give `versions` or `tids`, two of them")
        if self.versions is not None and self.selector is None:
            raise ValueError("`versions` are those of a `selector`")
        return self


class Limits(Schema):
    """Limits of a grant: `calls`, the most uses in one top-level call."""

    calls: Annotated[int, Field(gt=0, le=10_000)] | None = None


class Bind(Request):
    """Let a state of the PSM behave by another primitive."""

    state: str
    primitive: str


class Grant(OnTarget):
    """Let methods send an object a primitive that reaches beyond their call."""

    capability: str
    limits: Limits = Limits()


class Revoke(OnTarget):
    """Take a grant back."""

    capability: str


class AsOf(Request):
    """Ask the past."""

    tid: Moment | None = None
    time: Moment | None = None
    request: dict[str, Any]

    @model_validator(mode="after")
    def _one_moment(self) -> AsOf:
        if (self.tid is None) == (self.time is None):
            raise ValueError("give `tid` or `time`")
        return self


class Snapshot(Request):
    """Name a moment, take a name away, or list those there are."""

    name: Name | None = None
    remove: bool = False


class Changes(Request):
    """Show the change log, newest first."""

    limit: Annotated[int, Field(gt=0, le=100_000)] = 100


class ImageWork(Request):
    """Look after the image: `action` says what, the other fields belong to some of the actions.

    Attributes:
        action: What to do.
        target_oid: The object, for `export`, `references`, and `import` into one that is there.
        selector: The message, for `senders` and `implementors`.
        days: History that `pack` keeps; None: RETENTION_DAYS.
        folder: Where a `backup` goes: an absolute path on the kernel's machine.
        weights: Whether a `backup` takes weights that can be fetched again.
        blobs: Whether `check` compares the digest of each blob too.
        files: What to `import`: contents by path.
        name: What the imported object is called; None: as it was.
        force: Import what the Guardian refuses or what differs from what is there.
    """

    action: Literal[
        "check",
        "pack",
        "backup",
        "export",
        "import",
        "census",
        "references",
        "senders",
        "implementors",
        "statistics",
    ]
    target_oid: Target = None
    selector: Selector | None = None
    days: Annotated[float, Field(ge=0)] | None = None
    folder: str | None = None
    weights: bool = True
    blobs: bool = False
    files: dict[str, bytes] | None = None
    name: Name | None = None
    force: bool = False

    @model_validator(mode="after")
    def _needs(self) -> ImageWork:
        needed = _NEEDED.get(self.action)
        if needed is not None and getattr(self, needed) is None:
            raise ValueError(f"`{needed}` is missing: `{self.action}` needs it")
        return self


_NEEDED = {
    "backup": "folder",
    "export": "target_oid",
    "import": "files",
    "references": "target_oid",
    "senders": "selector",
    "implementors": "selector",
}
