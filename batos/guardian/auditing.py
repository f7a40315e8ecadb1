"""The audit of a source text, and the `PersistenceGuardian` that raises what it finds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batos.errors import CovenantViolationError, PolicyViolation
from batos.guardian.covenant import violations
from batos.guardian.findings import Finding
from batos.guardian.modules import PURE_MODULES
from batos.guardian.policy import policy, shape
from batos.guardian.syntax import Unreadable, parse

if TYPE_CHECKING:
    import ast
    from collections.abc import Callable


def audit(
    source: str, *, selector: str | None = None, allowed_modules: frozenset[str] | tuple[str, ...] = ()
) -> list[Finding]:
    """Find everything that stands against a source as a method.

    Args:
        source: Imports, if any, and one `def`.
        selector: The name that the method must have.
        allowed_modules: What it may import; empty: the pure standard library.

    Returns:
        Findings of the kinds `syntax`, `covenant` and `policy`; empty: it passes.
    """
    modules = frozenset(allowed_modules) or PURE_MODULES
    return _searched(source, lambda tree: shape(tree, selector) + violations(tree) + policy(tree, modules))


def covenant_findings(source: str) -> list[Finding]:
    """Find what stands against the Covenant alone; also text that cannot be parsed."""
    return _searched(source, violations)


def policy_findings(source: str, allowed_modules: frozenset[str] | tuple[str, ...] = ()) -> list[Finding]:
    """Find what a source uses that methods do not use; also text that cannot be parsed."""
    modules = frozenset(allowed_modules) or PURE_MODULES
    return _searched(source, lambda tree: policy(tree, modules))


def _searched(source: str, search: Callable[[ast.Module], list[Finding]]) -> list[Finding]:
    """What a search finds in a source; text that nobody can read is a finding itself."""
    try:
        return search(parse(source))
    except Unreadable as error:
        return [Finding("syntax", "syntax", error.line, error.column, f"this is no Python: {error}", "Write it anew.")]
    except (RecursionError, MemoryError):
        return [Finding("syntax", "syntax", 1, 0, "it is nested too deeply to be read", "Divide it into simple steps.")]


class PersistenceGuardian:
    """Audits source text against the Persistence Covenant.

    A method that changes its object sets `self._p_changed = True` after its last change, on each way out that does not
    raise. Text that no parser should see in this process is audited in a sandbox worker; this class is for tools and tests.
    """

    @staticmethod
    def audit_code(source: str) -> None:
        """Audit a source text.

        Raises:
            CovenantViolationError: It breaks the Covenant, or cannot be parsed; `details["findings"]` tells where.
        """
        findings = covenant_findings(source)
        if findings:
            text = "; ".join(str(finding) for finding in findings)
            raise CovenantViolationError(text, findings=[finding.as_dict() for finding in findings])

    @staticmethod
    def audit_policy(source: str, allowed_modules: frozenset[str] | tuple[str, ...] = ()) -> None:
        """Audit what a source text uses.

        Raises:
            PolicyViolation: It uses what methods do not use, or cannot be parsed; `details["findings"]` tells where.
        """
        findings = policy_findings(source, allowed_modules)
        if findings:
            text = "; ".join(str(finding) for finding in findings)
            raise PolicyViolation(text, findings=[finding.as_dict() for finding in findings])
