"""What an audit finds: where, what, and how to mend it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

Kind = Literal["syntax", "covenant", "policy"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that stands against a source text.

    Attributes:
        kind: `syntax` (it cannot be a method), `covenant` (a change may stay unsaved) or `policy` (something that
            methods do not use; no wall, the sandbox is).
        rule: A short name of the rule.
        line: Line in the source, from 1.
        column: Column in that line, from 0.
        message: What is wrong.
        mend: What to do about it.
    """

    kind: Kind
    rule: str
    line: int
    column: int
    message: str
    mend: str

    def as_dict(self) -> dict[str, Any]:
        """The finding as plain data."""
        return asdict(self)

    def __str__(self) -> str:
        return f"line {self.line}: {self.message} ({self.mend})"
