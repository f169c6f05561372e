"""The release chain: from an artifact's digest back to the plan that was allowed to make it.

Release starts from the signed run manifest and not from whatever attestations happen to be there: what the manifest
lists has to be present and right, and what it does not list is never looked at. `verify_release` makes the numbered
checks of docs/architecture.md ("The release chain") in one function, appending each to a list that the caller prints,
so a refusal is shown with the checks that came before it.

Which artifact may go where: an output of a stage that has `target: T` may be released for T, and so may a product that
a `deploy` stage with `target: T` takes as its input.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from policyd.attestation.attested import Describer
from policyd.attestation.bound_run import BoundRun
from policyd.attestation.decisions import VerifiedDecision, verify_decision
from policyd.attestation.evidence import Evidence
from policyd.attestation.moments import require_not_behind
from policyd.attestation.stage import VerifiedStage, verify_stage
from policyd.attestation.trust import VerifiedStatement, verify_bundle
from policyd.attestation.waived import describe_waived, verify_waived
from policyd.attestation.waivers import ReadWaiver, WaiverTerms
from policyd.errors import (
    DocumentError,
    EvidenceMissing,
    IdentityNotTrusted,
    PolicydError,
    SubjectMismatch,
    VerificationFailed,
)
from policyd.models.base import Sha256, rfc3339
from policyd.models.canonical import sha256_hex
from policyd.models.input import Artifact, AttestationFact, DecisionSummary, StageEvidence
from policyd.models.manifest import Manifest, Product, StageRecord, StageState
from policyd.models.pipeline import StageKind
from policyd.models.plan import Plan
from policyd.models.statement import MANIFEST_V1
from policyd.models.strict_json import read_model
from policyd.models.trust import Role, TrustPolicy

MAX_PLAN_BYTES = 64 * 1024 * 1024  # 2,000 stages have some 2 MB
MAX_PLAN_DEPTH = 16
#: What policyd itself may claim where nobody but the user's own settings vouch, or where a stage could reach the host.
SELF_GOVERNED_LEVEL = 1
UNSANDBOXED_LEVEL = 1


class ManifestLog(Protocol):
    """What the chain asks of the append-only record."""

    def find_manifest(self, manifest_sha256: Sha256, *, checkpoint: str) -> str | None:
        """Return where the log holds the manifest bundle with this digest, in words, or None if it doesn't.

        The answer is proved against a signed checkpoint, and the log extends `checkpoint`, the one the manifest holds.
        Raises `RecordError` where the log contradicts itself or a checkpoint.
        """


@dataclass(frozen=True, slots=True)
class Check:
    """One check of the chain that was made: its number, what it asks, whether it held, and what was found."""

    number: int
    name: str
    passed: bool
    detail: str


@dataclass(frozen=True, slots=True)
class ReleaseEvidence:
    """Everything about one artifact and one target, verified. Built by `verify_release` alone."""

    artifact: Artifact
    target: str
    manifest: Manifest
    manifest_sha256: Sha256  # of the bundle
    plan: Plan
    plan_sha256: Sha256
    decisions: tuple[DecisionSummary, ...]
    stages: tuple[StageEvidence, ...]
    input_sha256s: tuple[Sha256, ...]  # every bundle the chain rests on, the manifest first
    max_level: int  # the highest SLSA Build level that may be claimed
    waivers: tuple[ReadWaiver, ...] = ()  # those the manifest lists; each counted when it was used
    attestations: tuple[AttestationFact, ...] = ()  # the manifest's, then everything that it lists, as rules see it


#: The checks in the order they are made. The reader can tick them off against docs/architecture.md.
CHECKS = (
    "the run manifest is signed by the builder",
    "the record holds the manifest",
    "the run and all its stages succeeded",
    "the plan is the one the manifest names",
    "the artifact is a product of the run",
    "the artifact may go to this target",
    "the check decision allows this plan",
    "every stage was admitted in this run",
    "every stage's attestations hold",
    "everything else the manifest lists is there and signed",
    "the builder is trusted for a SLSA level",
    "no evidence lies in the future",
)


def verify_release(
    *,
    artifact_sha256: Sha256,
    target: str,
    manifest_bundle: bytes,
    evidence: Mapping[Sha256, bytes],
    trust: TrustPolicy,
    log: ManifestLog | None,
    now: datetime,
    checks: list[Check],
    waivers: WaiverTerms | None = None,
) -> ReleaseEvidence:
    """Return the verified evidence for releasing the artifact to `target`, or raise with the first check that fails.

    `evidence` holds plan, decisions and attestations by SHA-256, as found: nothing in it is believed. Raises
    `EvidenceMissing` (undecided) for what the manifest lists and nobody has, `ClockBehind` (undecided) for a `now`
    before any of it, and `VerificationFailed` or a subclass
    (refused) for everything that is there and wrong. Every check made is appended to `checks`. `waivers` says for how
    long waivers may last and which were revoked since.
    """
    chain = _Chain(checks)
    found = Evidence(evidence)
    manifest_sha256 = sha256_hex(manifest_bundle)

    # 1. The manifest, signed by the builder.
    with chain.check(1) as check:
        signed = _verify_as(manifest_bundle, Role.BUILDER, trust, now, f"run manifest sha256:{manifest_sha256}")
        if signed.statement.predicate_type != MANIFEST_V1:
            raise _refused(f"the statement is {signed.statement.predicate_type}, not a run manifest", "run manifest")
        manifest = signed.read_predicate(Manifest, where="run manifest")
        where = f"manifest of run {manifest.run_id}"
        check.found(f"run {manifest.run_id}, signed by {', '.join(sorted(signed.signers))}")

    # 2. Its entry in the record: a run that was not recorded did not happen.
    with chain.check(2) as check:
        if log is None:
            raise EvidenceMissing(
                "there is no record to look the manifest up in", where=where, fix="give the store that holds the record"
            )
        entry = log.find_manifest(manifest_sha256, checkpoint=manifest.checkpoint)
        if entry is None:
            raise _refused("the record does not hold this manifest", where)
        check.found(entry)

    # 3. A run that came to a good end.
    with chain.check(3) as check:
        if not manifest.stages:
            raise _refused("the run has no stage", where)
        unfinished = [record.name for record in manifest.stages if record.state is not StageState.SUCCEEDED]
        if unfinished or not manifest.succeeded:
            raise _refused(f"the run did not succeed: {', '.join(unfinished) or 'it says so itself'}", where)
        check.found(f"{len(manifest.stages)} stages")

    # 4. The plan: its bytes hashed again, its stages exactly those of the manifest.
    with chain.check(4) as check:
        plan = _read_plan(found.require(manifest.plan_sha256, "the plan"), manifest, where)
        records = _match_stages(plan, manifest, where)
        check.found(f"sha256:{manifest.plan_sha256}")

    # 5. The artifact, by digest alone.
    with chain.check(5) as check:
        products = _find_products(artifact_sha256, plan, records)
        if not products:
            raise SubjectMismatch(
                f"no stage of the run has an output sha256:{artifact_sha256}",
                where=where,
                fix="the file was changed after the run, or another run made it",
            )
        check.found("; ".join(f"{product.path} of stage {stage}" for stage, product in products))

    # 6. The target asked for is one the plan sends this product to.
    with chain.check(6) as check:
        release = next(((s, p) for s, p in products if target in _targets_of(plan, s, p)), None)
        if release is None:
            allowed = sorted({name for stage, product in products for name in _targets_of(plan, stage, product)})
            raise SubjectMismatch(
                f"the plan does not send this artifact to {target}, but to {', '.join(allowed) or 'no target'}",
                where=where,
                fix="ask for the target the run was made for, or run the pipeline for this one",
            )
        stage_name, product = release
        check.found(f"{target}, by stage {stage_name}")

    describer = Describer(trust, artifact_sha256, now, plan, manifest.plan_sha256)

    # 7. The check decision stands first: signed by the decider, allow, this plan, a policy set that counts.
    with chain.check(7) as check:
        if not manifest.decisions:
            raise _refused("the manifest lists no decision", where)
        check_sha256 = manifest.decisions[0]
        checked = _verify_check(found, check_sha256, plan, manifest, trust, now, describer)
        rules = f"{len(checked.decision.rules)} rules of policy set {plan.policy_set.name}"
        check.found(f"{rules}{describe_waived(checked.decision)}")
    run = BoundRun(plan, manifest.plan_sha256, manifest.run_id, check_sha256)

    # 8. The admit decisions: exactly one listed for every stage.
    with chain.check(8) as check:
        admitted = [record.decision for record in manifest.stages]
        if sorted(map(str, admitted)) != sorted(manifest.decisions[1:]):
            raise _refused("the decisions listed are not one for each stage", where)
        for record in manifest.stages:
            found.require(str(record.decision), f"the admit decision of stage {record.name}")
        check.found(f"{len(admitted)} decisions")

    # 9. Every stage: its decision allows this start, its attestations are the builder's, its provenance says this run,
    #    and its materials are what earlier stages left.
    with chain.check(9) as check:
        listed = [sha256 for record in manifest.stages for sha256 in record.attestations]
        if sorted(listed) != sorted(manifest.attestations):
            raise _refused("the attestations listed are not those of the stages", where)
        stages = [
            verify_stage(
                record,
                run=run,
                inputs=_inputs_of(plan, record, records),
                evidence=found,
                trust=trust,
                now=now,
                describer=describer,
            )
            for record in manifest.stages
        ]
        check.found(f"{len(listed)} attestations")

    # 10. Waivers: all that a decision names, and they counted when it was made. Approvals.
    with chain.check(10) as check:
        files = {sha256: found.require(sha256, "a waiver") for sha256 in manifest.waivers}
        if not set(manifest.waivers) <= set(plan.waivers):
            raise SubjectMismatch(
                "the manifest lists a waiver that the plan does not", where=where, fix="run the pipeline again"
            )
        granted = verify_waived(
            (checked.decision, *(stage.decision.decision for stage in stages)),
            files,
            waivers or WaiverTerms(trust),
            plan=plan,
            finished_at=manifest.finished_at,
        )
        approvals: list[AttestationFact] = []
        for sha256 in manifest.approvals:
            content = found.require(sha256, f"a bundle for the role {Role.APPROVER}")
            approved = _verify_as(content, Role.APPROVER, trust, now, f"evidence sha256:{sha256}")
            approvals.append(describer.describe(sha256, content, approved))
        check.found(f"{len(manifest.waivers)} waivers, {len(manifest.approvals)} approvals")

    # 11. What this builder, with this key, may claim at most.
    with chain.check(11) as check:
        level = _level(manifest, plan, stages, signed, trust, where)
        check.found(f"{manifest.builder_id}, at most SLSA Build level {level}")

    # 12. Now is not before anything that has happened: with the clock set back, what has expired would count again.
    with chain.check(12) as check:
        moments = list(_moments(manifest, checked, stages))
        require_not_behind(now, moments, where=where)
        check.found(f"{len(moments)} times, none after {rfc3339(now)}")

    output = product.output
    return ReleaseEvidence(
        artifact=Artifact(
            name=product.path.rpartition("/")[2],
            sha256=artifact_sha256,
            stage=stage_name,
            output=output,
            type=product.type,
        ),
        target=target,
        manifest=manifest,
        manifest_sha256=manifest_sha256,
        plan=plan,
        plan_sha256=manifest.plan_sha256,
        decisions=(checked.summary(), *(stage.decision.summary() for stage in stages)),
        stages=tuple(stage.evidence for stage in stages),
        input_sha256s=(
            manifest_sha256,
            *manifest.decisions,
            *manifest.attestations,
            *manifest.waivers,
            *manifest.approvals,
        ),
        max_level=level,
        waivers=granted,
        attestations=(
            describer.describe(manifest_sha256, manifest_bundle, signed),
            *filter(None, [checked.attestation]),
            *(fact for stage in stages for fact in stage.attestations),
            *approvals,
        ),
    )


class _Chain:
    """Writes down each check as it ends, whichever way."""

    def __init__(self, checks: list[Check]) -> None:
        self._checks = checks
        self._number = 0
        self._detail = ""

    def check(self, number: int) -> _Chain:
        self._number, self._detail = number, ""
        return self

    def found(self, detail: str) -> None:
        self._detail = detail

    def __enter__(self) -> _Chain:
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        name = CHECKS[self._number - 1]
        if error is None:
            self._checks.append(Check(self._number, name, passed=True, detail=self._detail))
        elif isinstance(error, PolicydError):
            self._checks.append(Check(self._number, name, passed=False, detail=error.cause))


def _verify_as(content: bytes, role: Role, trust: TrustPolicy, now: datetime, where: str) -> VerifiedStatement:
    try:
        return verify_bundle(content, trust, role=role, now=now, where=where)
    except DocumentError as error:
        # Found and listed, and no bundle: refused, not a file the user named.
        raise VerificationFailed(error.cause, where=error.where, fix=error.fix) from error


def _read_plan(content: bytes, manifest: Manifest, where: str) -> Plan:
    try:
        plan = read_model(
            Plan,
            content,
            where=f"plan sha256:{manifest.plan_sha256}",
            max_bytes=MAX_PLAN_BYTES,
            max_depth=MAX_PLAN_DEPTH,
        )
    except DocumentError as error:
        raise _refused(f"the plan can't be read: {error.cause}", error.where) from error
    if (plan.pipeline, plan.governance, plan.builder_id) != (
        manifest.pipeline,
        manifest.governance,
        manifest.builder_id,
    ):
        raise SubjectMismatch(
            "manifest and plan differ in pipeline, governance or builder", where=where, fix="run the pipeline again"
        )
    return plan


def _match_stages(plan: Plan, manifest: Manifest, where: str) -> dict[str, StageRecord]:
    records = {record.name: record for record in manifest.stages}
    planned = [stage.name for stage in plan.stages]
    if len(records) != len(manifest.stages) or set(records) != set(planned) or len(set(planned)) != len(planned):
        raise SubjectMismatch(
            "the stages of the manifest are not those of the plan, each once", where=where, fix="run the pipeline again"
        )
    return records


def _find_products(sha256: Sha256, plan: Plan, records: Mapping[str, StageRecord]) -> tuple[tuple[str, Product], ...]:
    """Return stage and product of every declared output with this digest, in the plan's order. Results don't count."""
    return tuple(
        (stage.name, product)
        for stage in plan.stages
        for product in records[stage.name].products
        if product.sha256 == sha256 and product.output in {output.name for output in stage.outputs}
    )


def _targets_of(plan: Plan, stage_name: str, product: Product) -> frozenset[str]:
    reference = f"{stage_name}.{product.output}"
    return frozenset(
        stage.target
        for stage in plan.stages
        if stage.target is not None
        and (stage.name == stage_name or (stage.kind is StageKind.DEPLOY and reference in stage.products))
    )


def _inputs_of(plan: Plan, record: StageRecord, records: Mapping[str, StageRecord]) -> dict[str, Sequence[Product]]:
    inputs: dict[str, Sequence[Product]] = {}
    for reference in plan.stage(record.name).products:
        stage, _, output = reference.partition(".")
        maker = records.get(stage)
        products = [product for product in maker.products if product.output == output] if maker else []
        if not products:
            raise SubjectMismatch(
                f"stage {record.name} takes {reference}, which no stage left",
                where=f"stage {record.name}",
                fix="run the pipeline again",
            )
        inputs[reference] = products
    return inputs


def _verify_check(
    found: Evidence,
    sha256: Sha256,
    plan: Plan,
    manifest: Manifest,
    trust: TrustPolicy,
    now: datetime,
    describer: Describer,
) -> VerifiedDecision:
    return verify_decision(
        found.require(sha256, "the check decision"),
        trust,
        plan=plan,
        plan_sha256=manifest.plan_sha256,
        run_id=manifest.run_id,
        admission=None,
        now=now,
        describer=describer,
    )


def _level(
    manifest: Manifest,
    plan: Plan,
    stages: Sequence[VerifiedStage],
    signed: VerifiedStatement,
    trust: TrustPolicy,
    where: str,
) -> int:
    # 1. The lowest of what the trust policy allows this builder id with each key that signed.
    keys = signed.key_sha256s.union(*(stage.key_sha256s for stage in stages))
    caps: list[int] = []
    for key in sorted(keys):
        listed = [entry.max_level for entry in trust.builders if (entry.id, entry.key_sha256) == (plan.builder_id, key)]
        if not listed:
            raise IdentityNotTrusted(
                f"the trust policy does not list the builder {plan.builder_id} with the key sha256:{key}",
                where=where,
                fix="add it to `builders` in the trust policy, with the highest SLSA level it may claim",
            )
        caps += listed
    # 2. The lowest of that and of what the facts show.
    if manifest.governance == "self":
        caps.append(SELF_GOVERNED_LEVEL)
    if plan.sandbox != "bwrap" or any(stage.record.sandbox != "bwrap" for stage in stages):
        caps.append(UNSANDBOXED_LEVEL)
    return min(caps)


def _moments(
    manifest: Manifest, checked: VerifiedDecision, stages: Sequence[VerifiedStage]
) -> Iterator[tuple[str, str | None]]:
    yield "the run's start", manifest.started_at
    yield "the run's end", manifest.finished_at
    yield "the check decision", checked.decision.decided_at
    for stage in stages:
        yield f"the admit decision of stage {stage.record.name}", stage.decision.decision.decided_at
        for time in (stage.record.started_at, stage.record.finished_at, *stage.times):
            yield f"stage {stage.record.name}", time


def _refused(cause: str, where: str) -> VerificationFailed:
    return VerificationFailed(cause, where=where, fix="release only what a complete, recorded run made")
