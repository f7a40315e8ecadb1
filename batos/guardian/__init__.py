"""The Persistence Covenant: audit and mend of source text.

Pure: text in, findings out. Nothing here runs the text, and nothing here is a wall: that is the sandbox.
"""

from __future__ import annotations

from batos.guardian.auditing import PersistenceGuardian, audit
from batos.guardian.findings import Finding
from batos.guardian.mending import mend
from batos.guardian.modules import PURE_MODULES

__all__ = ["PURE_MODULES", "Finding", "PersistenceGuardian", "audit", "mend"]
