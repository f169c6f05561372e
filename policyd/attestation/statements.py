"""Statements policyd makes: each builder takes documents of a run and returns the canonical bytes to sign.

A builder says only what the runner saw. Nothing here takes bytes from a stage and signs them as they are: the one
document a stage writes that becomes a predicate is an SBOM, and its subject is what the runner collected.

Source: in-toto Attestation Framework v1.2.0, spec/v1/statement.md; predicates link v0.3, test-result v0.1, CycloneDX,
SPDX. policyd's own predicates are described in docs/attestations.md.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from policyd.attestation.bound_run import BoundRun
from policyd.attestation.bundle import render_bundle
from policyd.attestation.dsse import Envelope, Signature
from policyd.attestation.signing import Signer
from policyd.errors import DocumentError
from policyd.models.base import Sha256
from policyd.models.canonical import canonical_json
from policyd.models.decision import Decision
from policyd.models.manifest import Manifest, Product, ResultSummary, StageRecord
from policyd.models.plan import Plan
from policyd.models.statement import (
    CYCLONEDX,
    DECISION_V1,
    LINK_V03,
    MANIFEST_V1,
    PAYLOAD_TYPE,
    SPDX,
    STATEMENT_V1,
    TEST_RESULT_V01,
)

#: The extension field of a test-result predicate, described in docs/attestations.md.
RESULT_EXTENSION = "https://policyd.dev/attestation/result"


@dataclass(frozen=True, slots=True)
class Named:
    """A thing by name and SHA-256: a subject or a material."""

    name: str
    sha256: Sha256

    def descriptor(self) -> dict[str, object]:
        """Return the in-toto ResourceDescriptor."""
        return {"name": self.name, "digest": {"sha256": self.sha256}}


def render_statement(subjects: Sequence[Named], predicate_type: str, predicate: Mapping[str, object]) -> bytes:
    """Return the canonical bytes (RFC 8785) of an in-toto statement v1.

    Raises `DocumentError` without a subject, or for a predicate that holds a number JSON tools read differently.
    """
    if not subjects:
        raise DocumentError("a statement needs a subject", where=predicate_type, fix="name what it speaks of")
    statement = {
        "_type": STATEMENT_V1,
        "subject": [subject.descriptor() for subject in subjects],
        "predicateType": predicate_type,
        "predicate": predicate,
    }
    try:
        return canonical_json(statement)
    except ValueError as error:
        raise DocumentError(
            f"the predicate can't be written as canonical JSON: {error}",
            where=predicate_type,
            fix="write integers beyond 2^53 as strings",
        ) from error


def sign_statement(payload: bytes, signer: Signer) -> bytes:
    """Return the Sigstore bundle of a statement made by a builder of this package, signed by `signer`."""
    unsigned = Envelope(payload=payload, payload_type=PAYLOAD_TYPE, signatures=())
    signature = Signature(value=signer.sign(unsigned.signed_bytes()))
    envelope = Envelope(payload=payload, payload_type=PAYLOAD_TYPE, signatures=(signature,))
    return render_bundle(envelope, key_sha256=signer.key_sha256)


def decision_statement(decision: Decision) -> bytes:
    """Return the statement of a decision. Its subject is the artifact (release), else the plan, else the input."""
    if decision.artifact_sha256 is not None:
        subject = Named(decision.subject, decision.artifact_sha256)
    elif decision.plan_sha256 is not None:
        subject = Named("plan", decision.plan_sha256)
    else:
        subject = Named("input", decision.input_sha256)
    return render_statement([subject], DECISION_V1, decision.model_dump(mode="json", exclude_none=True))


def manifest_statement(manifest: Manifest) -> bytes:
    """Return the statement of a run manifest. Its subjects are the plan and every product of the run."""
    subjects = [Named("plan", manifest.plan_sha256)]
    for record in manifest.stages:
        subjects += [Named(f"{record.name}/{product.path}", product.sha256) for product in record.products]
    return render_statement(subjects, MANIFEST_V1, manifest.model_dump(mode="json", exclude_none=True))


def stage_subjects(record: StageRecord) -> tuple[Named, ...]:
    """Return what a stage's statements speak of: its products, or where it left none its definition."""
    products = tuple(Named(product.path, product.sha256) for product in record.products)
    return products or (Named(f"stage/{record.name}", record.definition_sha256),)


def stage_materials(plan: Plan, stage: str, inputs: Mapping[str, Sequence[Product]]) -> tuple[Named, ...]:
    """Return everything the plan and the run gave to `stage`, under the names that docs/attestations.md lists.

    `inputs` has the products handed over for each reference (`build.wheel`) in the plan.
    """
    planned = plan.stage(stage)
    materials = [Named("pipeline", plan.pipeline_sha256)]
    if planned.source:
        materials.append(Named("source", plan.source.sha256))
    for reference in planned.products:
        materials += [Named(f"products/{reference}/{product.path}", product.sha256) for product in inputs[reference]]
    materials += [Named(f"tools/{tool.name}", tool.sha256) for tool in planned.tools]
    return tuple(materials)


def link_statement(record: StageRecord, *, run: BoundRun, inputs: Mapping[str, Sequence[Product]]) -> bytes:
    """Return the in-toto link (v0.3) of a stage: what it was given, what it ran, what it left."""
    argvs = run.plan.stage(record.name).argvs
    byproducts: dict[str, object] = {"return-value": record.exit_code}
    if record.log_sha256 is not None:
        byproducts["log"] = {"sha256": record.log_sha256}
    predicate = {
        "name": record.name,
        "command": list(argvs[0]) if len(argvs) == 1 else [shlex.join(argv) for argv in argvs],
        "materials": [material.descriptor() for material in stage_materials(run.plan, record.name, inputs)],
        "byproducts": byproducts,
        "environment": {"sandbox": record.sandbox},
    }
    return render_statement(stage_subjects(record), LINK_V03, predicate)


def result_statement(
    record: StageRecord, result: ResultSummary, *, run: BoundRun, inputs: Mapping[str, Sequence[Product]]
) -> bytes:
    """Return the test-result (v0.1) of a JUnit result file of a stage.

    The subjects are what was tested: the source and the products the stage was given. `DocumentError` for a result
    that says nothing of passing (`passed` is None).
    """
    configuration = [
        Named(run.plan.pipeline_path, run.plan.pipeline_sha256),
        Named(f"stage/{record.name}", record.definition_sha256),
    ]
    predicate = {
        "result": _outcome(result),
        "configuration": [item.descriptor() for item in configuration],
        RESULT_EXTENSION: {
            "run_id": run.run_id,
            "plan_sha256": run.plan_sha256,
            "stage": record.name,
            "attempt": record.attempt,
            "name": result.name,
            "origin": result.origin,
            "sha256": result.sha256,
            "counts": dict(result.counts),
        },
    }
    tested = [
        material
        for material in stage_materials(run.plan, record.name, inputs)
        if material.name == "source" or material.name.startswith("products/")
    ]
    return render_statement(tested or stage_subjects(record), TEST_RESULT_V01, predicate)


def sbom_statement(record: StageRecord, predicate_type: str, document: Mapping[str, object]) -> bytes:
    """Return the statement of an SBOM that a stage wrote: the document is the predicate, the subjects its products."""
    if predicate_type not in (CYCLONEDX, SPDX):
        raise DocumentError(
            f"{predicate_type} is no SBOM predicate type",
            where=f"stage {record.name}",
            fix=f"use {CYCLONEDX} or {SPDX}",
        )
    return render_statement(stage_subjects(record), predicate_type, document)


def _outcome(result: ResultSummary) -> Literal["PASSED", "WARNED", "FAILED"]:
    if result.passed is None:
        raise DocumentError(
            f"a {result.kind} result does not say whether tests passed",
            where=f"result {result.name}",
            fix="only junit results become test-result attestations",
        )
    if not result.passed:
        return "FAILED"
    # Skipped tests ran nowhere: passed, with something a rule may want to know.
    return "WARNED" if result.counts.get("skipped", 0) else "PASSED"
