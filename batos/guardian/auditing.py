"""The audit of a source text, and the `PersistenceGuardian` that raises what it finds."""

from __future__ import annotations

import ast
import warnings

from batos.errors import CovenantViolationError, PolicyViolation
from batos.guardian.covenant import violations
from batos.guardian.findings import Finding
from batos.guardian.modules import PURE_MODULES
from batos.guardian.policy import policy, shape

SOURCE_LIMIT = 1 << 20


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
    tree, findings = _parsed(source)
    if tree is None:
        return findings
    try:
        found = shape(tree, selector) + violations(tree)
        return found + policy(tree, frozenset(allowed_modules) or PURE_MODULES)
    except RecursionError:
        return [_broken("it is nested too deeply", 1, 0)]


def covenant_findings(source: str) -> list[Finding]:
    """Find what stands against the Covenant alone; also text that cannot be parsed."""
    tree, findings = _parsed(source)
    if tree is None:
        return findings
    try:
        return violations(tree)
    except RecursionError:
        return [_broken("it is nested too deeply", 1, 0)]


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
            PolicyViolation: It uses what methods do not use; `details["findings"]` tells where.
        """
        findings = [found for found in audit(source, allowed_modules=allowed_modules) if found.kind == "policy"]
        if findings:
            text = "; ".join(str(finding) for finding in findings)
            raise PolicyViolation(text, findings=[finding.as_dict() for finding in findings])


def _parsed(source: str) -> tuple[ast.Module | None, list[Finding]]:
    if len(source) > SOURCE_LIMIT:
        return None, [_broken(f"it is over the limit of {SOURCE_LIMIT} characters", 1, 0)]
    try:
        with warnings.catch_warnings():
            # Odd escapes and comparisons are warned of; here they are the author's business.
            warnings.simplefilter("ignore")
            return ast.parse(source), []
    except SyntaxError as error:
        return None, [_broken(str(error.msg), error.lineno or 1, error.offset or 0)]
    except (ValueError, RecursionError, MemoryError) as error:
        return None, [_broken(str(error) or "it is nested too deeply", 1, 0)]


def _broken(message: str, line: int, column: int) -> Finding:
    return Finding("syntax", "syntax", line, column, f"this is no Python: {message}", "Write it anew.")
