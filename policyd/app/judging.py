"""What every gate needs to ask: the layers of policy, the rules that apply, an engine for each layer.

One place chooses them, so `check`, `plan`, `run`, `verify` and `audit` can't ask different questions.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from policyd.adapters import clock
from policyd.adapters.settings import Authority
from policyd.app.policy_layers import load_layers
from policyd.attestation.waivers import ReadWaiver
from policyd.errors import PolicyError
from policyd.models.base import JsonPath, RunId, Sha256, rfc3339
from policyd.models.canonical import sha256_hex
from policyd.models.decision import Decision, Gate, Place, Severity, Terms
from policyd.models.input import PipelineInput, PipelineRef, ReleaseInput, Repository, StageInput
from policyd.models.plan import Governance, LayerRef, Plan, PolicySetRef
from policyd.models.settings import ProjectSettings
from policyd.models.waiver import Site
from policyd.pipeline.reading import ReadPipeline
from policyd.policy.asking import ask_of
from policyd.policy.bounded_engine import BoundedEngine
from policyd.policy.catalogue import Catalogue
from policyd.policy.deciding import Locate, Raised, Subject
from policyd.policy.engine import PolicyEngine, StartedEarly
from policyd.policy.input_fields import can_read
from policyd.policy.judged_input import JudgedInput, write_input
from policyd.policy.layers import Layer, Layers, Rank, not_asked, unite
from policyd.policy.policy_set import PolicySet
from policyd.policy.waiver_book import WaiverBook
from policyd.policy.waivers import waive

if TYPE_CHECKING:
    from policyd.adapters.engines.given_opa import GivenOpaEngine
    from policyd.adapters.engines.opa import OpaEngine

#: A syntax tree has 80 times the bytes of its module, and is read in a process without limits.
MAX_PROJECT_ANSWER_BYTES = 24 * 1024 * 1024

#: Takes the bytes of an input that was judged, so that they can be recorded with the decision.
Keep = Callable[[bytes], object]


@dataclass(frozen=True, slots=True)
class Judge:
    """The layers of policy, an engine holding each, and who stands behind them."""

    layers: Layers
    engines: tuple[PolicyEngine, ...]  # one a layer, in their order
    governance: Governance
    fail_on: Severity | None = None
    waivers: WaiverBook = field(default_factory=WaiverBook)
    project_files: Mapping[str, Sha256] = field(default_factory=dict)  # the rules the project brings, as read
    limited: frozenset[str] = frozenset()  # teams that judge some projects only
    _without: Callable[[frozenset[str]], Judge] | None = None

    @property
    def policy_set_ref(self) -> PolicySetRef:
        """The organisation's policy set as plans and decisions name it."""
        return self.layers.organisation.policy_set.ref

    @property
    def layer_refs(self) -> tuple[LayerRef, ...]:
        """Every layer as plans name it, the organisation's first."""
        return tuple(layer.ref for layer in self.layers.layers)

    @property
    def policy_sets(self) -> tuple[PolicySet, ...]:
        """The policy set of every layer, the organisation's first."""
        return tuple(layer.policy_set for layer in self.layers.layers)

    @property
    def reads_repository(self) -> bool:
        """Whether any layer has a module that can read the list of the repository's pipelines."""
        return any(can_read(policy_set.modules.values(), "repository") for policy_set in self.policy_sets)

    @property
    def catalogue(self) -> Catalogue:
        """The rules of all layers."""
        return self.layers.catalogue

    def engine_of(self, layer: Layer) -> PolicyEngine:
        """Return the engine that holds `layer`."""
        return self.engines[self.layers.layers.index(layer)]

    def for_plan(self, plan: Plan) -> Judge:
        """Return the judge of what a plan made: teams that are for some projects only, where the plan names them."""
        named = {layer.name for layer in plan.layers if layer.layer == "team"}
        left_out = self.limited - named
        return self._without(left_out) if left_out and self._without is not None else self

    def for_foreign(self) -> Judge:
        """Return the judge of what no run made: without teams that are for some projects only."""
        return self._without(self.limited) if self.limited and self._without is not None else self

    def begin(self, dialect: str) -> None:
        """Have engines start with the rules for pipelines of `dialect`, before there is anything to ask."""
        for layer, engine in zip(self.layers.layers, self.engines, strict=True):
            rules = layer.rules(Gate.PIPELINE, dialect)
            if rules and isinstance(engine, StartedEarly):
                engine.begin([rule.entrypoint for rule in rules])

    def forget(self) -> None:
        """Let go of the engines' processes after a fork: they are those of the process that was forked."""
        for engine in self.engines:
            if isinstance(engine, StartedEarly):
                engine.forget()

    def judge_pipeline(
        self,
        pipeline: ReadPipeline,
        repository: Repository,
        *,
        now: datetime,
        plan_sha256: Sha256 | None = None,
        weakened: tuple[str, ...] = (),
        keep: Keep | None = None,
        file: str | None = None,
    ) -> Decision:
        """Decide whether `pipeline` may run. `keep` is given the input's bytes where the decision will be recorded.

        `file` is its path from the project's root, where it was read by another one: waivers name it so.
        """
        if not self.reads_repository:
            repository = Repository(pipelines=None)
        document = make_pipeline_input(pipeline, repository, governance=self.governance, now=now)
        decision = self._ask(
            document,
            gate=Gate.PIPELINE,
            subject=pipeline.ref.path,
            dialect=pipeline.ref.dialect,
            locate=pipeline.source_map.place,
            now=now,
            plan_sha256=plan_sha256,
            weakened=weakened,
            keep=keep,
        )
        targets = frozenset(stage.target for stage in pipeline.facts.stages if stage.target)
        site = Site(Gate.PIPELINE, file or pipeline.ref.path, targets=targets)
        waived = self._waive(decision, self.waivers, site, document, now)
        return waived.model_copy(
            update={
                "source_sha256": sha256_hex(pipeline.content),
                "included": included_sha256s(pipeline) or None,
                "file": file if file != pipeline.ref.path else None,
            }
        )

    def judge_stage(
        self, document: StageInput, *, now: datetime, weakened: tuple[str, ...], keep: Keep | None = None
    ) -> Decision:
        """Decide whether the stage of `document` may start now."""
        decision = self._ask(
            document,
            gate=Gate.STAGE,
            subject=document.stage.name,
            locate=nowhere,
            now=now,
            plan_sha256=document.plan.sha256,
            run_id=document.run_id,
            stage=document.stage.name,
            attempt=document.attempt,
            target=document.stage.target,
            weakened=weakened,
            keep=keep,
        )
        site = Site.of(decision, file=document.pipeline.path)
        return self._waive(decision, self.waivers, site, document, now)

    def judge_release(
        self,
        document: ReleaseInput,
        *,
        now: datetime,
        weakened: tuple[str, ...],
        keep: Keep | None = None,
        waivers: Sequence[ReadWaiver] = (),
    ) -> Decision:
        """Decide whether the artifact of `document` may leave for its target. `waivers` are those its run lists.

        An artifact that no run made has an empty run id in `document`; then the decision names neither run nor plan.
        """
        decision = self._ask(
            document,
            gate=Gate.RELEASE,
            subject=document.artifact.name,
            locate=nowhere,
            now=now,
            plan_sha256=document.plan.sha256 if document.run_id else None,
            run_id=document.run_id or None,
            target=document.target,
            artifact_sha256=document.artifact.sha256,
            weakened=weakened,
            keep=keep,
        )
        return self._waive(decision, self.waivers.with_more(waivers), Site.of(decision), document, now)

    def _waive(
        self,
        decision: Decision,
        book: WaiverBook,
        site: Site,
        document: PipelineInput | StageInput | ReleaseInput,
        now: datetime,
    ) -> Decision:
        """Return `decision` with what waivers lift at `now`: after all layers have answered, and nowhere else."""
        return waive(
            decision,
            book.as_of(now, site),
            site=site,
            rules=self.catalogue.keys(),
            document=lambda: json.loads(document.model_dump_json(warnings=False)),
            now=now,
        )

    @property
    def terms(self) -> Terms:
        """What decisions say of how rules were chosen and weighed."""
        return self.layers.terms(self.fail_on)

    def _ask(
        self,
        document: PipelineInput | StageInput | ReleaseInput,
        *,
        gate: Gate,
        subject: str,
        locate: Locate,
        now: datetime,
        plan_sha256: Sha256 | None,
        dialect: str | None = None,
        run_id: RunId | None = None,
        stage: str | None = None,
        attempt: int | None = None,
        target: str | None = None,
        artifact_sha256: Sha256 | None = None,
        weakened: tuple[str, ...] = (),
        keep: Keep | None = None,
    ) -> Decision:
        judged = write_input(document, where=subject)
        if keep is not None:
            keep(judged.content)
        return ask_layers(
            self.layers,
            self.engines,
            judged,
            subject=Subject(
                gate=gate,
                name=subject,
                input_sha256=judged.sha256,
                plan_sha256=plan_sha256,
                run_id=run_id,
                stage=stage,
                attempt=attempt,
                target=target,
                artifact_sha256=artifact_sha256,
            ),
            dialect=dialect,
            now=now,
            locate=locate,
            governance=self.governance,
            weakened=weakened,
            fail_on=self.fail_on,
        )


def ask_layers(
    layers: Layers,
    engines: Sequence[PolicyEngine],
    document: JudgedInput,
    *,
    subject: Subject,
    dialect: str | None,
    now: datetime,
    locate: Locate,
    governance: Governance,
    weakened: tuple[str, ...] = (),
    fail_on: Severity | None = None,
) -> Decision:
    """Return what all layers say of `document`, each asked of its engine, before any waiver.

    `dialect` is the pipeline's at the gate `pipeline`.
    """
    terms = layers.terms(fail_on)
    judged: list[tuple[Layer, Decision]] = []
    for layer, engine in zip(layers.layers, engines, strict=True):
        rules = layer.rules(subject.gate, dialect)
        if judged and not rules:
            judged.append((layer, not_asked(judged[0][1], layer, engine.ref)))
            continue
        decision = ask_of(
            engine,
            layer.policy_set,
            rules,
            document,
            subject=subject,
            now=now,
            locate=locate,
            governance=governance,
            raised=Raised(levels=terms.levels, fail_on=terms.fail_on),
            weakened=weakened,
        )
        judged.append((layer, decision))
    return unite(judged).model_copy(update={"terms": terms})


def nowhere(_at: JsonPath) -> Place | None:
    """Find no place: inputs of stages and releases have no file of their own."""
    return None


@contextmanager
def open_judge(
    authority: Authority | None,
    project: ProjectSettings,
    *,
    root: Path | None = None,
    engine: str | None = None,
    fail_on: Severity | None = None,
    waivers: WaiverBook | None = None,
) -> Iterator[Judge]:
    """Give each layer that judges the project at `root` an engine; without a `root` an artifact is judged.

    The organisation's policy set is the one that `authority` names, the library's baseline without one. A process is
    only started for a layer that is asked.
    """
    # Whether a signed set holds is asked of the clock, also where a check judges as of another time.
    loaded = load_layers(authority, project, root=root, now=clock.now())
    chosen = engine or (authority.settings.engine if authority else "embedded")
    with ExitStack() as stack:

        def make(without: frozenset[str]) -> Judge:
            layers = loaded.bind(without=without)
            return Judge(
                layers=layers,
                engines=tuple(stack.enter_context(open_engine(chosen, layer, authority)) for layer in layers.layers),
                governance="operator" if authority else "self",
                fail_on=fail_on,
                waivers=waivers or WaiverBook(),
                project_files=loaded.files,
                # With a project it is known already whose it is.
                limited=loaded.limited if root is None else frozenset(),
                _without=functools.cache(make),
            )

        yield make(frozenset())


@contextmanager
def open_engine(name: str, layer: Layer, authority: Authority | None) -> Iterator[PolicyEngine]:
    """Hold the engine called `name` (embedded, opa or both) with the policy set of `layer` in it."""
    if name not in ("embedded", "opa", "both"):
        raise PolicyError(f"there is no engine called {name!r}", where="--engine", fix="use embedded, opa or both")
    policy_set = layer.policy_set
    if layer.rank is Rank.PROJECT:
        # Whoever is judged wrote these rules: they are only asked where memory, time and answers have limits.
        from policyd.adapters.engines.embedded import EmbeddedEngine

        with EmbeddedEngine(policy_set, max_frame_bytes=MAX_PROJECT_ANSWER_BYTES) as embedded:
            yield BoundedEngine(embedded)
        return
    with ExitStack() as stack:
        engines: list[PolicyEngine] = []
        if name != "opa":
            from policyd.adapters.engines.embedded import EmbeddedEngine

            engines.append(stack.enter_context(EmbeddedEngine(policy_set)))
        if name != "embedded":
            opa = _make_opa(policy_set, authority)
            stack.callback(opa.close)
            engines.append(opa)
        if name == "both":
            from policyd.adapters.engines.both import BothEngines

            engines = [BothEngines(*engines)]
        yield engines[0]


def _make_opa(policy_set: PolicySet, authority: Authority | None) -> OpaEngine | GivenOpaEngine:
    if authority is not None and authority.settings.opa_server is not None:
        from policyd.adapters.engines.given_opa import GivenOpaEngine

        return GivenOpaEngine(policy_set, authority.settings.opa_server)
    from policyd.adapters.engines.opa import OpaEngine
    from policyd.adapters.helpers import require_helper

    configured = authority.settings.helpers.opa if authority else None
    return OpaEngine(policy_set, require_helper("opa", configured=configured).path)


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


def included_sha256s(pipeline: ReadPipeline) -> dict[str, Sha256]:
    """Return the digest of each file that the pipeline includes and that is there, by path."""
    return {path: sha256_hex(found) for path, found in sorted(pipeline.included.items()) if found is not None}


def make_repository(pipelines: list[ReadPipeline]) -> Repository:
    """Return the repository as rules see it."""
    return Repository(pipelines=[PipelineRef.model_validate(pipeline.ref) for pipeline in pipelines])
