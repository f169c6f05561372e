"""Where a waiver is for: the violation as a gate sees it, found again from the files or from what was recorded.

A pipeline file is judged here and now. A stage's start and a release are judged within a run, on evidence that only
the run had: their violations come from the newest decision that the record holds, signed by the decider.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from policyd.adapters.settings import Authority, find_project_settings
from policyd.adapters.sources.discovery import MAX_PIPELINE_BYTES, read_beneath
from policyd.adapters.stores.store import Store, open_store
from policyd.app.evidence import MAX_BUNDLE_BYTES
from policyd.app.judging import make_repository, open_judge
from policyd.app.waivers import load_waivers
from policyd.attestation.trust import verify_bundle
from policyd.errors import PolicydError, UsageError
from policyd.models.base import Sha256
from policyd.models.decision import Decision, Gate, Violation
from policyd.models.plan import Plan
from policyd.models.records import EventKind
from policyd.models.statement import DECISION_V1
from policyd.models.strict_json import read_model
from policyd.models.trust import Role
from policyd.models.waiver import Site
from policyd.pipeline.reading import read_pipeline
from policyd.policy.catalogue import Catalogue
from policyd.report.findings import Judged

MAX_RUNS = 200  # looked through for the newest decision; older ones are of little use to a waiver
MAX_PLAN_DEPTH = 64


@dataclass(frozen=True, slots=True)
class Place:
    """A decision that was looked at, as reports take it, and its site."""

    judged: Judged
    site: Site

    @property
    def violations(self) -> tuple[Violation, ...]:
        """All violations of the decision."""
        return self.judged.decision.violations


def judge_file(root: Path, file: str, authority: Authority | None, *, engine: str | None, now: datetime) -> Place:
    """Return what the gate `pipeline` says of `file` (from `root`), with waivers as they are now."""
    pipeline = read_pipeline(file, read_beneath(root, file, max_bytes=MAX_PIPELINE_BYTES))
    waivers = load_waivers(root, authority)
    with open_judge(authority, find_project_settings(root), root=root, engine=engine, waivers=waivers) as judge:
        decision = judge.judge_pipeline(pipeline, make_repository([pipeline]), now=now)
    targets = frozenset(stage.target for stage in pipeline.facts.stages if stage.target)
    return Place(Judged(file, decision, pipeline.content), Site.of(decision, file=file, targets=targets))


def read_catalogue(root: Path, authority: Authority | None, *, engine: str | None) -> Catalogue:
    """Return the rules that gates of this project can ask."""
    with open_judge(authority, find_project_settings(root), root=root, engine=engine) as judge:
        return judge.catalogue


def find_recorded(
    authority: Authority, *, gate: Gate, rule: str, now: datetime, file: str = "", artifact_sha256: Sha256 | None = None
) -> Place:
    """Return the newest recorded decision of `gate` about a stage of `file` or about the artifact that breaks `rule`.

    Raises `UsageError` where the record has none.
    """
    root = Path(authority.settings.store)
    if (root / "record" / "record.sqlite").exists():
        with open_store(root, Path(authority.settings.state)) as store:
            for decision in _decisions(store, authority, gate, now):
                site = Site.of(decision, file=_file_of(store, decision))
                same = site.artifact_sha256 == artifact_sha256 if gate is Gate.RELEASE else site.file == file
                if same and any(violation.rule == rule for violation in decision.violations):
                    return Place(Judged(decision.subject, decision), site)
    what = f"sha256:{artifact_sha256}" if gate is Gate.RELEASE else file
    raise UsageError(
        f"no recorded decision of the gate {gate} says that {rule} is broken",
        where=what,
        fix="run the pipeline first: what breaks this rule shows only within a run",
    )


def _decisions(store: Store, authority: Authority, gate: Gate, now: datetime) -> Iterator[Decision]:
    for run in store.list_runs(limit=MAX_RUNS):
        for logged in reversed(store.record.require_run(run.run_id).events):
            event = logged.event
            if event.kind is not EventKind.DECISION or not event.evidence or event.verdict == "allow":
                continue
            try:
                bundle = store.content.get(event.evidence[0], max_bytes=MAX_BUNDLE_BYTES)
                signed = verify_bundle(bundle, authority.trust, role=Role.DECIDER, now=now, where="recorded decision")
                if signed.statement.predicate_type != DECISION_V1:
                    continue
                decision = signed.read_predicate(Decision, where="recorded decision")
            except PolicydError:
                continue  # damaged, or of a decider who counts no more: another one may do
            if decision.gate is gate:
                yield decision


def _file_of(store: Store, decision: Decision) -> str:
    if decision.plan_sha256 is None or not store.content.has(decision.plan_sha256):
        return ""
    content = store.content.get(decision.plan_sha256, max_bytes=MAX_BUNDLE_BYTES)
    plan = read_model(Plan, content, where="plan", max_bytes=MAX_BUNDLE_BYTES, max_depth=MAX_PLAN_DEPTH)
    return plan.pipeline_path
