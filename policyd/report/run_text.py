"""Plans, runs and verifications as people read them."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from policyd.models.decision import Decision
from policyd.models.manifest import Manifest, StageRecord, StageState
from policyd.models.plan import Plan, PlannedStage
from policyd.models.records import Event
from policyd.report.decision_text import VERDICT_LOOKS, VERDICT_WORDS
from policyd.report.layout import DEFAULT_WIDTH, Look, Style, count, plain, short, table, wrap
from policyd.report.text import show, show_lines
from policyd.run.planning import SHELL

_STATE_LOOKS: dict[StageState, Look] = {
    StageState.PENDING: "quiet",
    StageState.RUNNING: "quiet",
    StageState.SUCCEEDED: "good",
    StageState.FAILED: "bad",
    StageState.DENIED: "bad",
    StageState.SKIPPED: "warn",
    StageState.INTERRUPTED: "doubt",
}


class NumberedCheck(Protocol):
    """One check of a verification that was made."""

    @property
    def number(self) -> int:
        """Its place in the list of checks."""

    @property
    def name(self) -> str:
        """What was checked."""

    @property
    def passed(self) -> bool:
        """Whether it held."""

    @property
    def detail(self) -> str:
        """What was found."""


@dataclass(frozen=True, slots=True)
class RunRow:
    """A run in a list of runs. `state` is how it ended, or `running`."""

    run_id: str
    pipeline: str
    state: str
    started_at: str


def render_plan(plan: Plan, decision: Decision | None, *, style: Style = plain, width: int = DEFAULT_WIDTH) -> str:
    """Return what would run, stage by stage in order, and the decision on it; ends in a newline."""
    lines = [f"plan {style('strong', f'sha256:{plan.sha256}')}"]
    lines += table(_plan_facts(plan), indent="  ")
    for number, stage in enumerate(plan.stages, start=1):
        lines += ["", *_stage_lines(number, stage, style, width)]
    lines += ["", _verdict_line(decision, style)]
    return "\n".join(lines) + "\n"


def render_run(manifest: Manifest, *, style: Style = plain, width: int = DEFAULT_WIDTH) -> str:
    """Return how a run went, from its manifest: stages, products, digests; ends in a newline."""
    lines = [
        f"run {style('strong', manifest.run_id)}  {show(manifest.pipeline)}  {_outcome(manifest, style)}",
        *table(
            [
                ("started", show(manifest.started_at)),
                ("finished", show(manifest.finished_at)),
                ("plan", f"sha256:{manifest.plan_sha256}"),
                ("builder", show(manifest.builder_id)),
                ("governance", _governance(manifest.governance)),
                ("evidence", _evidence(manifest)),
            ],
            indent="  ",
        ),
    ]
    for stage in manifest.stages:
        lines += ["", *_record_lines(stage, style, width)]
    return "\n".join(lines) + "\n"


def render_run_summary(manifest: Manifest, *, style: Style = plain) -> str:
    """Return the few lines that end `policyd run`: one a stage, then the outcome; ends in a newline."""
    rows = [
        (stage.state.value, stage.name, count(len(stage.products), "product"), show(stage.reason))
        for stage in manifest.stages
    ]
    looks = [_STATE_LOOKS[stage.state] for stage in manifest.stages]
    lines = [
        style(look, row[0]) + line.removeprefix(row[0])
        for look, row, line in zip(looks, rows, table(rows), strict=True)
    ]
    lines.append(f"run {manifest.run_id} {_outcome(manifest, style)}, {_evidence(manifest)}")
    return "\n".join(lines) + "\n"


def render_events(events: Sequence[Event], *, style: Style = plain) -> str:
    """Return what the record says, oldest first: for a run that left no manifest. Ends in a newline."""
    if not events:
        return "the record has no entry\n"
    rows = [
        (show(event.at), event.kind.value, show(event.stage or ""), show(event.state or event.verdict or ""),
         show(event.detail))
        for event in events
    ]  # fmt: skip
    lines = [style("quiet", row[0]) + line.removeprefix(row[0]) for row, line in zip(rows, table(rows), strict=True)]
    return "\n".join(lines) + "\n"


def render_runs(rows: Sequence[RunRow], *, style: Style = plain) -> str:
    """Return the table of runs, in the order given; ends in a newline."""
    if not rows:
        return "no runs in this store\n"
    cells = [("RUN", "PIPELINE", "STATE", "STARTED")] + [
        (show(row.run_id), show(row.pipeline), show(row.state), show(row.started_at)) for row in rows
    ]
    head, *lines = table(cells)
    return "\n".join([style("quiet", head), *lines]) + "\n"


def render_checks(
    subject: str, checks: Sequence[NumberedCheck], *, style: Style = plain, width: int = DEFAULT_WIDTH
) -> str:
    """Return every check of a verification with what it found, and whether `subject` is verified; ends in a newline.

    Verified means: there were checks, and every one was made and held.
    """
    lines = []
    for check in checks:
        word, look = _check_word(check.passed)
        # The word is at the left, so that a refused line is found without colour.
        first = f"{word:<7} {check.number:>2}  "
        text = f"{show(check.name)}: {show(check.detail)}" if check.detail else show(check.name)
        wrapped = wrap(text, width=width, indent=" " * len(first), first=first)
        lines += [style(look, word) + wrapped[0].removeprefix(word), *wrapped[1:]]
    held = sum(check.passed for check in checks)
    if not checks:
        lines.append(f"{style('bad', 'not verified')}  {show(subject)}: there was no evidence to check")
    elif held == len(checks):
        lines.append(f"{style('good', 'verified')}  {show(subject)}: all {count(held, 'check')} held")
    else:
        lines.append(f"{style('bad', 'not verified')}  {show(subject)}: {held} of {count(len(checks), 'check')} held")
    return "\n".join(lines) + "\n"


def _check_word(ok: bool) -> tuple[str, Look]:
    return ("ok", "good") if ok else ("refused", "bad")


def _plan_facts(plan: Plan) -> list[tuple[str, str]]:
    commit = "" if plan.source.commit is None else f", commit {short(plan.source.commit)}"
    clean = {True: ", clean", False: ", with changes", None: ""}[plan.source.clean]
    requester = show(plan.requester.identity)
    if not plan.requester.verified and plan.requester.identity != "unverified":
        requester += " (unverified)"
    return [
        ("pipeline", f"{show(plan.pipeline)}, {show(plan.pipeline_path)} {short(plan.pipeline_sha256)}"),
        ("policy set", f"{show(plan.policy_set.name)} {short(plan.policy_set.sha256)}"),
        *(
            (f"{ref.layer} policy", f"{show(ref.name)} {short(ref.sha256)}")
            for ref in plan.layers
            if ref.layer != "organisation"
        ),
        ("source", f"{short(plan.source.sha256)}, {count(plan.source.files, 'file')}{commit}{clean}"),
        ("settings", short(plan.settings_sha256)),
        ("trust policy", short(plan.trust_policy_sha256)),
        ("requester", requester),
        ("builder", show(plan.builder_id)),
        ("sandbox", plan.sandbox if plan.sandbox != "none" else "none: stages are not isolated"),
        ("helpers", ", ".join(f"{show(name)} {short(sha256)}" for name, sha256 in plan.helpers.items()) or "none"),
        ("governance", _governance(plan.governance)),
    ]


def _governance(governance: str) -> str:
    return "self: no operator settings" if governance == "self" else governance


def _stage_lines(number: int, stage: PlannedStage, style: Style, width: int) -> list[str]:
    target = f"  to {stage.target}" if stage.target else ""
    lines = [f"{number:>2}. {style('strong', stage.name)}  {stage.kind.value}{target}"]
    materials = ["source tree"] if stage.source is True else []
    materials += [f"source {show(glob)}" for glob in stage.source] if isinstance(stage.source, tuple) else []
    materials += list(stage.products)
    facts = [
        ("after", list(stage.needs)),
        ("gets", materials),
        ("tools", [f"{tool.name} {short(tool.sha256)} ({tool.kind} {show(tool.path)})" for tool in stage.tools]),
        ("runs", [line for argv in stage.argvs for line in _command_lines(argv)]),
        ("leaves", [f"{output.name} ({show(output.path)}, {output.type})" for output in stage.outputs]),
        ("results", [f"{result.name} ({show(result.path)}, {result.kind.value})" for result in stage.results]),
        ("env", [show(f"{name}={value}") for name, value in sorted(stage.env.items())]),
        ("limit", [f"{stage.timeout_seconds} s"]),
    ]
    for label, values in facts:
        if not values:
            continue
        first = f"    {label:<8}"
        if label == "runs":
            # In full and line by line: whoever approves a plan has read what would run.
            for value in values:
                lines += wrap(value, width=width, indent=" " * (len(first) + 2), first=first)
                first = " " * len(first)
            continue
        lines += wrap(", ".join(values), width=width, indent=" " * len(first), first=first)
    return lines


def _command_lines(argv: Sequence[str]) -> list[str]:
    """Return a command as its author wrote it: the lines of a script, or the words of an argument list."""
    if tuple(argv[:-1]) == SHELL:
        return ["bash:", *(f"  {line}" for line in show_lines(argv[-1].rstrip("\n")))]
    return [show(shlex.join(argv))]


def _verdict_line(decision: Decision | None, style: Style) -> str:
    if decision is None:
        return f"{style('doubt', 'not judged')}  this plan has no decision yet"
    word = style(VERDICT_LOOKS[decision.verdict], VERDICT_WORDS[decision.verdict])
    parts = [count(len(decision.rules), "rule") + " asked", count(len(decision.violations), "violation")]
    if decision.problems:
        parts.append(count(len(decision.problems), "problem"))
    return f"{word}  {', '.join(parts)}"


def _outcome(manifest: Manifest, style: Style) -> str:
    return style("good", "succeeded") if manifest.succeeded else style("bad", "did not succeed")


def _evidence(manifest: Manifest) -> str:
    return (
        f"{count(len(manifest.decisions), 'decision')}, {count(len(manifest.attestations), 'attestation')}, "
        f"{count(len(manifest.approvals), 'approval')}, {count(len(manifest.waivers), 'waiver')}"
    )


def _record_lines(stage: StageRecord, style: Style, width: int) -> list[str]:
    state = style(_STATE_LOOKS[stage.state], stage.state.value)
    exit_code = "" if stage.exit_code is None else f"  exit code {stage.exit_code}"
    attempt = "" if stage.attempt <= 1 else f"  attempt {stage.attempt}"
    sandbox = f"  sandbox {show(stage.sandbox)}" if stage.sandbox else ""
    lines = [f"{style('strong', stage.name)}  {stage.kind.value}  {state}{exit_code}{attempt}{sandbox}"]
    if stage.reason:
        lines += wrap(show(stage.reason), width=width, indent="  ")
    lines += table(
        [(show(product.path), f"{product.size} bytes", f"sha256:{product.sha256}") for product in stage.products],
        indent="  ",
    )
    for result in stage.results:
        claim = {True: "claims that it passed", False: "did not pass", None: "read"}[result.passed]
        counts = ", ".join(f"{show(name)} {number}" for name, number in sorted(result.counts.items()))
        lines.append(f"  result {result.name} ({show(result.kind)}): {claim}" + (f"; {counts}" if counts else ""))
    return lines
