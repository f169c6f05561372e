"""What every gate needs to ask: the policy set, the rules that apply, an engine that holds them.

One place chooses them, so `check`, `plan`, `run`, `verify` and `audit` can't ask different questions.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from policyd.adapters.library import library_files, read_policy_folder
from policyd.adapters.settings import Authority
from policyd.errors import PolicyError, SettingsError
from policyd.models.base import JsonPath, RunId, Sha256, rfc3339
from policyd.models.decision import Decision, Gate, Place, Severity
from policyd.models.input import PipelineInput, PipelineRef, ReleaseInput, Repository, StageInput
from policyd.models.plan import Governance, PolicySetRef
from policyd.models.settings import ProjectSettings
from policyd.pipeline.reading import ReadPipeline
from policyd.policy.asking import ask
from policyd.policy.catalogue import RuleMeta
from policyd.policy.deciding import Locate, Raised
from policyd.policy.engine import PolicyEngine
from policyd.policy.policy_set import PolicySet, read_policy_set, require_known
from policyd.policy.selecting import select_rules

DEFAULT_COLLECTION = "baseline"


@dataclass(frozen=True, slots=True)
class Judge:
    """A policy set, an engine holding it, and who stands behind them."""

    policy_set: PolicySet
    collection: str
    engine: PolicyEngine
    governance: Governance
    project: ProjectSettings
    fail_on: Severity | None = None

    @property
    def policy_set_ref(self) -> PolicySetRef:
        """The policy set as decisions name it."""
        return self.policy_set.ref

    def rules(self, gate: Gate, dialect: str | None = None) -> tuple[RuleMeta, ...]:
        """Return the rules this gate asks: the collection's and those the project adds."""
        return select_rules(
            self.policy_set, gate=gate, collection=self.collection, extra=self.project.rules, dialect=dialect
        )

    def judge_pipeline(
        self,
        pipeline: ReadPipeline,
        repository: Repository,
        *,
        now: datetime,
        plan_sha256: Sha256 | None = None,
        weakened: tuple[str, ...] = (),
    ) -> Decision:
        """Decide whether `pipeline` may run."""
        document = make_pipeline_input(pipeline, repository, governance=self.governance, now=now)
        return self._ask(
            document,
            gate=Gate.PIPELINE,
            subject=pipeline.ref.path,
            rules=self.rules(Gate.PIPELINE, pipeline.ref.dialect),
            locate=pipeline.source_map.place,
            now=now,
            plan_sha256=plan_sha256,
            weakened=weakened,
        )

    def judge_stage(self, document: StageInput, *, now: datetime, weakened: tuple[str, ...]) -> Decision:
        """Decide whether the stage of `document` may start now."""
        return self._ask(
            document,
            gate=Gate.STAGE,
            subject=document.stage.name,
            rules=self.rules(Gate.STAGE),
            locate=_nowhere,
            now=now,
            plan_sha256=document.plan.sha256,
            run_id=document.run_id,
            stage=document.stage.name,
            attempt=document.attempt,
            target=document.stage.target,
            weakened=weakened,
        )

    def judge_release(self, document: ReleaseInput, *, now: datetime, weakened: tuple[str, ...]) -> Decision:
        """Decide whether the artifact of `document` may leave for its target."""
        return self._ask(
            document,
            gate=Gate.RELEASE,
            subject=document.artifact.name,
            rules=self.rules(Gate.RELEASE),
            locate=_nowhere,
            now=now,
            plan_sha256=document.plan.sha256,
            run_id=document.run_id,
            target=document.target,
            artifact_sha256=document.artifact.sha256,
            weakened=weakened,
        )

    def _raised(self) -> Raised:
        """Return what project settings and the caller make stricter: the stricter of two severities holds."""
        asked = [severity for severity in (self.fail_on, self.project.fail_on) if severity is not None]
        lowest = max(asked, key=list(Severity).index) if asked else None
        return Raised(levels=self.project.levels, fail_on=lowest)

    def _ask(
        self,
        document: PipelineInput | StageInput | ReleaseInput,
        *,
        gate: Gate,
        subject: str,
        rules: tuple[RuleMeta, ...],
        locate: Locate,
        now: datetime,
        plan_sha256: Sha256 | None,
        run_id: RunId | None = None,
        stage: str | None = None,
        attempt: int | None = None,
        target: str | None = None,
        artifact_sha256: Sha256 | None = None,
        weakened: tuple[str, ...] = (),
    ) -> Decision:
        return ask(
            self.engine,
            self.policy_set,
            rules,
            document,
            gate=gate,
            subject=subject,
            now=now,
            locate=locate,
            governance=self.governance,
            plan_sha256=plan_sha256,
            run_id=run_id,
            stage=stage,
            attempt=attempt,
            target=target,
            artifact_sha256=artifact_sha256,
            weakened=weakened,
            raised=self._raised(),
        )


def _nowhere(_at: JsonPath) -> Place | None:
    return None


@contextmanager
def open_judge(
    authority: Authority | None,
    project: ProjectSettings,
    *,
    engine: str | None = None,
    fail_on: Severity | None = None,
) -> Iterator[Judge]:
    """Load the policy set that `authority` names (the library's baseline without one) into an engine."""
    settings = authority.settings if authority else None
    if settings is None or settings.policy_set is None:
        policy_set = read_policy_set(library_files(), name="policyd-library")
    else:
        folder = Path(settings.policy_set)
        if not folder.is_absolute():
            raise SettingsError("the policy set's folder is not absolute", where=str(folder), fix="write it in full")
        policy_set = _read_policy_set(folder)
    # A level for a rule that is not there would tighten nothing, in silence.
    require_known(project.levels, policy_set.catalogue, where="levels in policyd.yaml")
    collection = settings.collection if settings else DEFAULT_COLLECTION
    chosen = engine or (settings.engine if settings else "embedded")
    with _open_engine(chosen, policy_set, authority) as opened:
        yield Judge(
            policy_set=policy_set,
            collection=collection,
            engine=opened,
            governance="operator" if authority else "self",
            project=project,
            fail_on=fail_on,
        )


def _read_policy_set(folder: Path) -> PolicySet:
    files = read_policy_folder(folder)
    try:
        return read_policy_set(files, name=folder.name)
    except PolicyError as error:
        where = str(folder) if error.where == folder.name else f"{folder}/{error.where}"
        raise PolicyError(error.cause, where=where, fix=error.fix) from error


@contextmanager
def _open_engine(name: str, policy_set: PolicySet, authority: Authority | None) -> Iterator[PolicyEngine]:
    if name not in ("embedded", "opa", "both"):
        raise PolicyError(f"there is no engine called {name!r}", where="--engine", fix="use embedded, opa or both")
    with ExitStack() as stack:
        engines: list[PolicyEngine] = []
        if name != "opa":
            from policyd.adapters.engines.embedded import EmbeddedEngine

            engines.append(stack.enter_context(EmbeddedEngine(policy_set)))
        if name != "embedded":
            from policyd.adapters.engines.opa import OpaEngine
            from policyd.adapters.helpers import require_helper

            configured = authority.settings.helpers.opa if authority else None
            opa = require_helper("opa", configured=configured).path
            engines.append(stack.enter_context(OpaEngine(policy_set, opa)))
        if name == "both":
            from policyd.adapters.engines.both import BothEngines

            engines = [BothEngines(*engines)]
        yield engines[0]


def make_pipeline_input(
    pipeline: ReadPipeline, repository: Repository, *, governance: Governance, now: datetime
) -> PipelineInput:
    """Return what rules of the gate `pipeline` see."""
    facts = pipeline.facts
    return PipelineInput.model_construct(
        **{name: getattr(facts, name) for name in type(facts).model_fields},
        gate=Gate.PIPELINE,
        evaluated_at=rfc3339(now),
        governance=governance,
        repository=repository,
        pipeline=pipeline.ref,
        document=pipeline.document,
    )


def make_repository(pipelines: list[ReadPipeline]) -> Repository:
    """Return the repository as rules see it."""
    return Repository(pipelines=[PipelineRef.model_validate(pipeline.ref) for pipeline in pipelines])
