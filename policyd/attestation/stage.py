"""A stage's evidence, made and read back.

`attest_stage` is the only way the builder's key comes to sign: it builds the statements itself from the stage record,
after the admit decision was verified. `verify_stage` is its counterpart: it turns a stage record and the attestations
that it lists into `StageEvidence`, the only form in which rules see a stage.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from policyd.attestation.attested import Describer
from policyd.attestation.bound_run import BoundRun
from policyd.attestation.decisions import Admission, VerifiedDecision, verify_decision
from policyd.attestation.evidence import Evidence
from policyd.attestation.provenance import Provenance, provenance_statement
from policyd.attestation.signing import Signer
from policyd.attestation.statements import (
    Named,
    link_statement,
    result_statement,
    sbom_statement,
    sign_statement,
    stage_materials,
    stage_subjects,
)
from policyd.attestation.trust import VerifiedStatement, verify_bundle
from policyd.errors import DocumentError, SubjectMismatch, VerificationFailed
from policyd.models.base import Sha256
from policyd.models.canonical import sha256_hex
from policyd.models.input import AttestationFact, StageEvidence
from policyd.models.manifest import Product, StageRecord, StageState
from policyd.models.statement import BUILD_TYPE, PROVENANCE_V1, ResourceDescriptor
from policyd.models.trust import Role, TrustPolicy


@dataclass(frozen=True, slots=True)
class Sbom:
    """An SBOM document that a stage wrote, parsed, with its predicate type (CycloneDX or SPDX)."""

    predicate_type: str
    document: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class VerifiedStage:
    """A stage whose admission and attestations were verified. Built by `verify_stage` alone."""

    record: StageRecord
    decision: VerifiedDecision
    evidence: StageEvidence
    key_sha256s: frozenset[Sha256]  # of the builder's keys that signed
    times: tuple[str, ...]  # at which the provenance says that it ran
    attestations: tuple[AttestationFact, ...] = ()  # the admit decision's first; where they were to be described


def attest_stage(
    record: StageRecord,
    *,
    run: BoundRun,
    admit_bundle: bytes,
    inputs: Mapping[str, Sequence[Product]],
    trust: TrustPolicy,
    signer: Signer,
    now: datetime,
    sboms: Sequence[Sbom] = (),
    fetched: Sequence[Named] = (),
) -> tuple[bytes, ...]:
    """Return the signed bundles for an ended stage: link, provenance, test results, SBOMs, in this order.

    Only a stage that succeeded has provenance. Raises `VerificationFailed` if the admit decision does not allow this
    start of this stage in this run.
    """
    # 1. The admit decision that the record names is the one at hand, and it allows.
    if record.decision != sha256_hex(admit_bundle):
        raise SubjectMismatch(
            "the admit decision at hand is not the one the stage record names",
            where=f"stage {record.name}",
            fix="sign with the decision that admitted this attempt",
        )
    _verify_admission(record, admit_bundle, run=run, trust=trust, now=now)

    # 2. What the runner saw, signed by the builder.
    statements = [
        link_statement(record, run=run, inputs=inputs),
        *(
            [provenance_statement(record, run=run, inputs=inputs, fetched=fetched)]
            if record.state is StageState.SUCCEEDED
            else []
        ),
        *(
            result_statement(record, result, run=run, inputs=inputs)
            for result in record.results
            if result.passed is not None
        ),
        *(sbom_statement(record, sbom.predicate_type, sbom.document) for sbom in sboms),
    ]
    return tuple(sign_statement(statement, signer) for statement in statements)


def verify_stage(
    record: StageRecord,
    *,
    run: BoundRun,
    inputs: Mapping[str, Sequence[Product]],
    evidence: Evidence,
    trust: TrustPolicy,
    now: datetime,
    describer: Describer | None = None,
) -> VerifiedStage:
    """Return a stage of this run with verified evidence.

    `inputs` has, for each reference of the plan (`build.wheel`), the products of the stage that made them. Raises
    `EvidenceMissing` for evidence that is listed and not there, else `VerificationFailed` or a subclass.
    """
    where = f"stage {record.name} of run {run.run_id}"

    # 1. The stage the plan names, unchanged, and it succeeded.
    _require_planned(record, run, where)
    if record.state is not StageState.SUCCEEDED:
        raise _refused(f"the stage is {record.state}", where)

    # 2. Its admit decision.
    if record.decision is None:
        raise _refused("the stage has no admit decision", where)
    admit_bundle = evidence.require(record.decision, f"the admit decision of stage {record.name}")
    decision = _verify_admission(record, admit_bundle, run=run, trust=trust, now=now, describer=describer)

    # 3. Every attestation it lists, signed by the builder. That it lists any is step 4's to find.
    statements: list[VerifiedStatement] = []
    facts: list[AttestationFact] = []
    for sha256 in record.attestations:
        content = evidence.require(sha256, f"an attestation of stage {record.name}")
        verified = _verify_attestation(content, sha256, trust, now)
        statements.append(verified)
        if describer is not None:
            facts.append(describer.describe(sha256, content, verified))

    # 4. Provenance that speaks of exactly what the stage left, in this run, from what the run gave it.
    provenances = [found for found in statements if found.statement.predicate_type == PROVENANCE_V1]
    if not provenances:
        raise _refused("no attestation of the stage is provenance", where)
    times = [time for found in provenances for time in _verify_provenance(found, record, run, inputs, where)]

    signers = frozenset[str]().union(*(found.signers for found in statements))
    return VerifiedStage(
        record=record,
        decision=decision,
        evidence=StageEvidence(
            stage=record.name,
            kind=record.kind,
            state=record.state.value,
            definition_sha256=record.definition_sha256,
            run_id=run.run_id,
            plan_sha256=run.plan_sha256,
            predicate_types=sorted({found.statement.predicate_type for found in statements}),
            signers=sorted(signers),
            products=list(record.products),
            results=list(record.results),
            sandbox=record.sandbox,
        ),
        key_sha256s=frozenset[Sha256]().union(*(found.key_sha256s for found in statements)),
        times=tuple(times),
        attestations=(*filter(None, [decision.attestation]), *facts),
    )


def _verify_admission(
    record: StageRecord,
    bundle: bytes,
    *,
    run: BoundRun,
    trust: TrustPolicy,
    now: datetime,
    describer: Describer | None = None,
) -> VerifiedDecision:
    return verify_decision(
        bundle,
        trust,
        plan=run.plan,
        plan_sha256=run.plan_sha256,
        run_id=run.run_id,
        admission=Admission(stage=record.name, attempt=record.attempt),
        now=now,
        describer=describer,
    )


def _verify_attestation(content: bytes, sha256: Sha256, trust: TrustPolicy, now: datetime) -> VerifiedStatement:
    where = f"attestation sha256:{sha256}"
    try:
        return verify_bundle(content, trust, role=Role.BUILDER, now=now, where=where)
    except DocumentError as error:
        raise VerificationFailed(error.cause, where=error.where, fix=error.fix) from error


def _require_planned(record: StageRecord, run: BoundRun, where: str) -> None:
    try:
        planned = run.plan.stage(record.name)
    except KeyError as error:
        raise SubjectMismatch("the plan has no such stage", where=where, fix="verify with this run's plan") from error
    if (record.definition_sha256, record.kind, record.target) != (
        planned.definition_sha256,
        planned.kind,
        planned.target,
    ):
        raise SubjectMismatch(
            "what ran is not the stage as the plan defines it (definition, kind or target)",
            where=where,
            fix="run the pipeline again with a plan of its own",
        )


def _verify_provenance(
    verified: VerifiedStatement,
    record: StageRecord,
    run: BoundRun,
    inputs: Mapping[str, Sequence[Product]],
    where: str,
) -> tuple[str, ...]:
    """Return the times at which the provenance says that it ran, or raise."""
    provenance = verified.read_predicate(Provenance, where=f"provenance of {where}")
    definition = provenance.build_definition

    # 1. Our build type: parameters of another one mean something else.
    if definition.build_type != BUILD_TYPE:
        raise _mismatch(f"the build type is {definition.build_type}", where)

    # 2. The subjects are what the stage left: all of it, and nothing else.
    if verified.subject_sha256s() != {subject.sha256 for subject in stage_subjects(record)}:
        raise _mismatch("the provenance speaks of other products than the stage record lists", where)

    # 3. This plan, run, stage and attempt, under these decisions.
    stated = definition.external_parameters
    expected = {
        "plan": (stated.plan_sha256, run.plan_sha256),
        "run": (stated.run_id, run.run_id),
        "stage": (stated.stage, record.name),
        "attempt": (stated.attempt, record.attempt),
        "check decision": (stated.decisions.check, run.check_sha256),
        "admit decision": (stated.decisions.admit, record.decision),
    }
    for part, (found, wanted) in expected.items():
        if found != wanted:
            raise _mismatch(f"the provenance is of another {part}: {found}, not {wanted}", where)

    # 4. Built by the builder the plan names.
    if provenance.run_details.builder.id != run.plan.builder_id:
        raise _mismatch(f"the builder is {provenance.run_details.builder.id}, not {run.plan.builder_id}", where)

    # 5. From the source, products and tools that the plan and the earlier stages gave it: an artifact swapped between
    #    two stages shows here. Fetched files (`tools/NAME/FILE`) may come on top.
    given = {(material.name, material.sha256) for material in stage_materials(run.plan, record.name, inputs)}
    found_materials = {(item.name or "", _sha256_of(item)) for item in definition.resolved_dependencies}
    if not given <= found_materials:
        missing = ", ".join(sorted(name for name, _ in given - found_materials))
        raise _mismatch(f"the provenance names other materials than the run handed over: {missing}", where)
    for name, _ in found_materials - given:
        if not (name.startswith("tools/") and name.count("/") >= 2):  # tools/NAME/FILE
            raise _mismatch(f"the provenance names a material that the run did not hand over: {name}", where)
    metadata = provenance.run_details.metadata
    return () if metadata is None else tuple(filter(None, (metadata.started_on, metadata.finished_on)))


def _sha256_of(item: ResourceDescriptor) -> str:
    return (item.digest or {}).get("sha256", "")


def _refused(cause: str, where: str) -> VerificationFailed:
    return VerificationFailed(cause, where=where, fix="run the pipeline again: only complete stages count")


def _mismatch(cause: str, where: str) -> SubjectMismatch:
    return SubjectMismatch(cause, where=where, fix="find out why evidence of something else is listed in this run")
