"""Reads what an audit joins: the repository's pipelines, judged now, and the store's runs, verified now."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from policyd import __version__
from policyd.adapters.frameworks import read_frameworks
from policyd.adapters.settings import Authority, find_authority, find_project_settings
from policyd.adapters.stores.store import open_store
from policyd.app.check import judge_all, read_paths
from policyd.app.judging import open_judge
from policyd.app.projects import find_root
from policyd.app.record import log_keys, verify_record
from policyd.app.run_evidence import read_run_evidence
from policyd.app.waivers import load_waivers
from policyd.compliance.audit import assess_repository
from policyd.compliance.evidence import DecisionMade
from policyd.compliance.models import AuditReport, RunEvidence, Status, UnreadablePipeline
from policyd.errors import ExitCode, PolicydError, UsageError, worst
from policyd.models.base import rfc3339

MAX_RUNS = 10_000


def audit(
    path: Path, *, settings: Path | None, engine: str | None, names: tuple[str, ...], now: datetime
) -> AuditReport:
    """Return where the controls stand for the pipelines under `path` and the runs of those pipelines in the store.

    `names` chooses frameworks by id; none means all. Raises `UsageError` for one that is not there.
    """
    known = {framework.id: framework for framework in read_frameworks()}
    for name in names:
        if name not in known:
            raise UsageError(f"there is no framework {name}", where="--framework", fix=f"use {', '.join(known)}")
    root = find_root(path)
    authority = find_authority(settings, repository=root)
    files: list[str] = []
    read, unreadable = read_paths([path], files=files, root=root)
    waivers = load_waivers(root, authority)
    with open_judge(authority, find_project_settings(root), root=root, engine=engine, waivers=waivers) as judge:
        findings = judge_all(judge, read, unreadable, now, files=files)
        catalogue = judge.catalogue
    decisions = [
        DecisionMade(judged.decision, pipeline.ref.dialect)
        for judged, pipeline in zip(findings.judged, read, strict=True)
    ]
    pipelines = {pipeline.native.name for pipeline in read if pipeline.native is not None}
    runs = _read_runs(authority, pipelines, now) if authority else []
    return assess_repository(
        [known[name] for name in names or known],
        catalogue,
        decisions,
        runs,
        repository=root.name,
        generated_at=rfc3339(now),
        version=__version__,
        governance="operator" if authority else "self",
        unreadable=[UnreadablePipeline(path=one.path, cause=one.cause) for one in unreadable],
    )


def _read_runs(authority: Authority, pipelines: set[str], now: datetime) -> list[RunEvidence]:
    """Return the evidence of the runs of `pipelines`; runs of other repositories say nothing about this one."""
    root, state = Path(authority.settings.store), Path(authority.settings.state)
    if not (root / "record").exists():
        return []
    try:
        record_verified = verify_record(root, state, log_keys(authority.trust)).complete
    except PolicydError:
        record_verified = False
    with open_store(root, state) as store:
        return [
            read_run_evidence(
                store.record.require_run(run.run_id).model_copy(update={"run": run}),
                store,
                authority.trust,
                now=now,
                record_verified=record_verified,
            )
            for run in store.list_runs(limit=MAX_RUNS)
            if run.pipeline in pipelines
        ]


def exit_code(report: AuditReport) -> ExitCode:
    """Return 0 where every control tested is met or waived, by the table otherwise; 4 where nothing was tested."""
    codes: list[ExitCode] = [ExitCode.UNDECIDED] if report.unreadable else []
    for framework in report.frameworks:
        if framework.count(Status.NOT_MET):
            codes.append(ExitCode.REFUSED)
        elif framework.count(Status.MET) or framework.count(Status.WAIVED):
            codes.append(ExitCode.OK)
    return worst(*codes)
