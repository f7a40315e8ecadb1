"""What a worker does besides calls: it audits a source text, and it tries the walls."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from batos.codec import CodecError
from batos.sandbox.codec import KernelCodec
from batos.sandbox.walls import LEVELS
from batos.sandbox.world import Audit

if TYPE_CHECKING:
    from batos.sandbox.connection import Worker
    from batos.sandbox.pool import Pool
    from batos.sandbox.world import Limits

AUDIT_SECONDS = 10.0
SOURCE_LIMIT = 1 << 16
_FIELDS: dict[str, type] = {
    "source": str, "mends": list, "findings": list, "signature": str, "parameters": list, "summary": str,
    "slots": list, "idle": bool,
}  # fmt: skip


async def audit_in_worker(pool: Pool, source: str, selector: str, modules: list[str], policy: str) -> Audit:
    """Have a worker mend and audit a source text; a worker that does not come back is a finding."""
    if len(source.encode("utf-8", "backslashreplace")) > SOURCE_LIMIT:
        return _refused(source, f"the source is over the limit of {SOURCE_LIMIT} bytes")
    try:
        task = KernelCodec().pack(["audit", {"source": source, "selector": selector, "modules": modules}])
    except CodecError as error:
        return _refused(source, f"the source is no text: {error}")
    report = await _ask(pool, task, "audited", AUDIT_SECONDS)
    if type(report) is not dict or not _well_formed(report):
        refused = report.get("refused") if type(report) is dict else None
        return _refused(source, str(refused or "the parser does not survive this source"))
    findings: list[dict[str, Any]] = report.pop("findings")
    lenient = policy == "warn"
    warnings = [finding for finding in findings if lenient and finding.get("kind") == "policy"]
    return Audit(**report, findings=[finding for finding in findings if finding not in warnings], warnings=warnings)


def _well_formed(report: dict[str, Any]) -> bool:
    return (
        report.keys() == _FIELDS.keys()
        and all(type(report[name]) is kind for name, kind in _FIELDS.items())
        and all(type(finding) is dict for finding in report["findings"])
    )


def _refused(source: str, message: str) -> Audit:
    finding = {"kind": "syntax", "rule": "source", "line": 1, "column": 0, "message": message, "mend": "Write it anew."}
    return Audit(source=source, findings=[finding])


async def probe_workers(pool: Pool, limits: Limits, level: str) -> tuple[dict[str, bool], bool]:
    """Try the walls of a level in two workers.

    Returns:
        What `selftest.probe` found, and whether the deadly attempt killed its worker.
    """
    probes = await _ask(pool, _probe_task(limits, level, ""), "probed", AUDIT_SECONDS)
    worker = await pool.take()
    await _talk(worker, _probe_task(limits, level, LEVELS[level].deadly), AUDIT_SECONDS, wait_for_end=True)
    found = probes if type(probes) is dict else {"survival": False}
    return {str(name): stopped is True for name, stopped in found.items()}, worker.exit_status == LEVELS[level].status


def verdict(level: str, layers: dict[str, Any], probes: dict[str, bool], *, killed: bool) -> list[str]:
    """Say what is missing for a level; an empty list: nothing.

    Args:
        level: One of `LEVELS`.
        layers: What zygote and worker say that they achieved.
        probes: What `selftest.probe` found.
        killed: Whether the deadly attempt killed its worker.
    """
    wanted = LEVELS[level]
    missing = [name for name in wanted.carries if not layers.get(name)]
    if wanted.one_of and not any(layers.get(name) for name in wanted.one_of):
        missing.append(" or ".join(wanted.one_of))
    missing += [f"the wall against «{name}»" for name, stopped in probes.items() if not stopped]
    if not killed:
        missing.append(f"the wall against «{wanted.deadly}»")
    return missing


def _probe_task(limits: Limits, level: str, deadly: str) -> bytes:
    return KernelCodec().pack(["probe", {"memory": limits.memory_mb << 20, "level": level, "deadly": deadly}])


async def _ask(pool: Pool, task: bytes, word: str, seconds: float) -> Any:
    """Give a worker one task; None when it answers nothing of use."""
    answer = await _talk(await pool.take(), task, seconds)
    try:
        message = KernelCodec().unpack(answer or b"\xc0")
    except CodecError:
        return None
    return message[1] if type(message) is list and len(message) == 2 and message[0] == word else None


async def _talk(worker: Worker, task: bytes, seconds: float, *, wait_for_end: bool = False) -> bytes | None:
    try:
        async with asyncio.timeout(seconds):
            await worker.transmit(task)
            answer = await worker.receive()
            if wait_for_end and answer is None:
                await worker.ended.wait()
    except TimeoutError:
        return None
    finally:
        worker.kill()
    return answer
