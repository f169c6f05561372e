"""An audit as people read it on a terminal: each control with its status, and under it why and on what evidence."""

from __future__ import annotations

from policyd.compliance.models import AuditReport, ControlStatus, Evidence, FrameworkStatus, RunEvidence, Speaks, Status
from policyd.report.layout import DEFAULT_WIDTH, Look, Style, count, pad, plain, short, table, wrap
from policyd.report.text import show

STATUS_WORDS = {
    Status.MET: "met",
    Status.NOT_MET: "not met",
    Status.WAIVED: "waived",
    Status.NOT_TESTED: "not tested",
}
#: The order in which counts are said.
STATUSES = (Status.MET, Status.NOT_MET, Status.WAIVED, Status.NOT_TESTED)
_LOOKS: dict[Status, Look] = {
    Status.MET: "good",
    Status.NOT_MET: "bad",
    Status.WAIVED: "warn",
    Status.NOT_TESTED: "quiet",
}
#: More reasons or evidence of one control than this are counted, not listed; the JSON has them all.
MAX_LISTED = 5
_INDENT = " " * 12


def render_audit(report: AuditReport, *, style: Style = plain, width: int = DEFAULT_WIDTH) -> str:
    """Return the audit as text that ends in a newline: frameworks first, then what was looked at."""
    blocks = [_framework_lines(framework, style, width) for framework in report.frameworks]
    blocks.append(_looked_at(report, style))
    return "\n\n".join("\n".join(block) for block in blocks) + "\n"


def summary_words(framework: FrameworkStatus) -> str:
    """Return `3 met, 1 not met, 0 waived, 6 not tested`."""
    return ", ".join(f"{framework.count(status)} {STATUS_WORDS[status]}" for status in STATUSES)


def run_words(run: RunEvidence) -> str:
    """Return what was found of a run in one line."""
    parts = [
        "manifest verified" if run.manifest_verified else "manifest not verified",
        f"{run.decisions_verified} of {count(run.decisions_listed, 'decision')} verified",
        f"provenance for {run.products_with_provenance} of {count(run.products, 'product')}",
        f"sandbox {', '.join(run.sandbox_modes) or 'not recorded'}",
        {True: "record verified", False: "record does not verify", None: "record not looked at"}[run.record_verified],
    ]
    return "; ".join(parts)


def listed_evidence(status: ControlStatus) -> tuple[Evidence, ...]:
    """Return the evidence that the reasons do not already say: what speaks for the control, and notes."""
    return tuple(evidence for evidence in status.evidence if evidence.speaks in (Speaks.FOR, Speaks.NOTE))


def _framework_lines(framework: FrameworkStatus, style: Style, width: int) -> list[str]:
    lines = [f"{style('strong', show(framework.title))} {show(framework.version)}: {summary_words(framework)}", ""]
    for status in framework.controls:
        lines += _control_lines(status, style, width)
    return lines


def _control_lines(status: ControlStatus, style: Style, width: int) -> list[str]:
    word = STATUS_WORDS[status.status]
    head = f"{style(_LOOKS[status.status], word)}{pad('', 12 - len(word))}"
    lines = [f"{head}{style('strong', status.control.id)}  {show(status.control.title)}"]
    lines += _listed(list(status.reasons), "why", width)
    lines += _listed([_evidence_words(evidence) for evidence in listed_evidence(status)], "seen", width)
    if status.control.not_covered and status.control.not_covered not in status.reasons:
        lines += _listed([status.control.not_covered], "unseen", width)
    return lines


def _listed(texts: list[str], label: str, width: int) -> list[str]:
    lines: list[str] = []
    first = f"{_INDENT}{label:<7}"
    for text in texts[:MAX_LISTED]:
        lines += wrap(show(text), width=width, indent=" " * len(first), first=first)
        first = " " * len(first)
    if len(texts) > MAX_LISTED:
        lines.append(f"{first}and {len(texts) - MAX_LISTED} more, in --format json")
    return lines


def _evidence_words(evidence: Evidence) -> str:
    digest = f" ({short(evidence.sha256)})" if evidence.sha256 else ""
    return f"{evidence.about}: {evidence.text}{digest}"


def _looked_at(report: AuditReport, style: Style) -> list[str]:
    sets = ", ".join(f"{show(policy_set.name)} {short(policy_set.sha256)}" for policy_set in report.policy_sets)
    self_governed = " (governance: self, no operator settings)" if report.governance == "self" else ""
    made = f"{show(report.generated_at)}, policyd {show(report.version)}"
    lines = [f"{style('strong', 'looked at')}  {show(report.repository)}, {made}"]
    lines.append(f"  policy set {sets}{self_governed}" if sets else "  no policy set was asked")
    lines.append(f"  {count(len(report.pipelines), 'pipeline')}")
    lines += table(
        [
            (
                show(pipeline.path),
                pipeline.verdict.value.replace("_", " "),
                f"{count(pipeline.rules, 'rule')} asked",
                f"{pipeline.deny} deny, {pipeline.warn} warn, {pipeline.waived} waived",
                short(pipeline.input_sha256),
            )
            for pipeline in report.pipelines
        ],
        indent="    ",
    )
    lines += [
        f"    {show(file.path)}  {style('doubt', 'unreadable')}  {show(file.cause)}" for file in report.unreadable
    ]
    left_out = f", {report.runs_left_out} older or unfinished left out" if report.runs_left_out else ""
    lines.append(f"  {count(len(report.runs), 'run')}{left_out}")
    for run in report.runs:
        lines.append(f"    {run.run_id}  {show(run.pipeline)}  {run.state}  {show(run.started_at)}")
        lines.append(f"      {show(run_words(run))}")
    return lines
