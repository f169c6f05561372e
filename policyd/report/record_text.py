"""What `policyd record verify` found, as people read it."""

from __future__ import annotations

from policyd.record.verify import RecordReport
from policyd.report.layout import count
from policyd.report.text import show

_MAX_PROBLEMS = 20  # more say nothing new; --format json has all


def render_record(report: RecordReport) -> str:
    """Return the report on a record that contradicts nothing, as text that ends in a newline."""
    lines = [
        f"{'ok' if report.complete else 'incomplete'}  {count(report.size, 'entry', 'entries')}, "
        f"{count(report.runs, 'run')}, root {report.root or 'of an empty log'}",
        f"  log {show(report.origin) or 'without entries'}",
        f"  {count(len(report.checkpoints), 'checkpoint')} compared, {report.evidence} pieces of evidence looked at",
    ]
    lines += [f"  checkpoint of {one.size} entries: {show(one.source)}" for one in report.checkpoints if one.outside]
    lines += [
        f"  {problem.problem}  sha256:{problem.sha256}, named by entry {problem.entry}"
        for problem in report.evidence_problems[:_MAX_PROBLEMS]
    ]
    if len(report.evidence_problems) > _MAX_PROBLEMS:
        lines.append(f"  and {len(report.evidence_problems) - _MAX_PROBLEMS} more")
    lines += [f"  note: {show(note)}" for note in report.notes]
    return "\n".join(lines) + "\n"
