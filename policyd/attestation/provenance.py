"""SLSA provenance of a stage: who made its products, from what, in which run, under which decisions.

`externalParameters` is what binds an artifact to its run: plan, run id, stage, attempt and the two decisions that let
the stage start. They are compared one by one when provenance is read back, and an unknown one is refused.

Source: SLSA v1.2, Build provenance (predicate https://slsa.dev/provenance/v1). The build type is described in
docs/attestations.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import BaseModel, ConfigDict, Field

from policyd import __version__
from policyd.attestation.bound_run import BoundRun
from policyd.attestation.statements import Named, render_statement, stage_materials, stage_subjects
from policyd.errors import VerificationFailed
from policyd.models.base import Model, RunId, Sha256
from policyd.models.manifest import Product, StageRecord, StageState
from policyd.models.statement import BUILD_TYPE, PROVENANCE_V1, ResourceDescriptor


class DecisionDigests(Model):
    """The decisions (bundles) that let the stage start."""

    check: Sha256
    admit: Sha256


class ExternalParameters(Model):
    """What binds a product to its run. Closed: SLSA wants unknown parameters rejected."""

    plan_sha256: Sha256
    run_id: RunId
    stage: str
    attempt: int
    decisions: DecisionDigests


class _Open(BaseModel):
    """Parts other people define: what we do not know is kept (python-tuf ADR 8)."""

    model_config = ConfigDict(strict=True, frozen=True, extra="allow", populate_by_name=True)


class BuildDefinition(_Open):
    """What was built, from what."""

    build_type: str = Field(alias="buildType")
    external_parameters: ExternalParameters = Field(alias="externalParameters")
    resolved_dependencies: tuple[ResourceDescriptor, ...] = Field(alias="resolvedDependencies", default=())


class Builder(_Open):
    """Who built it."""

    id: str


class BuildMetadata(_Open):
    """When it ran."""

    started_on: str | None = Field(alias="startedOn", default=None)
    finished_on: str | None = Field(alias="finishedOn", default=None)


class RunDetails(_Open):
    """How this one build went."""

    builder: Builder
    metadata: BuildMetadata | None = None


class Provenance(_Open):
    """A provenance predicate of policyd's build type."""

    build_definition: BuildDefinition = Field(alias="buildDefinition")
    run_details: RunDetails = Field(alias="runDetails")


def provenance_statement(
    record: StageRecord,
    *,
    run: BoundRun,
    inputs: Mapping[str, Sequence[Product]],
    fetched: Sequence[Named] = (),
) -> bytes:
    """Return the provenance of everything a stage left.

    `inputs` has the products handed over for each reference in the plan, `fetched` what came into the store before the
    run for its tools. Raises `VerificationFailed` for a stage that did not succeed or has no admit decision: neither
    may have provenance.
    """
    if record.state is not StageState.SUCCEEDED or record.decision is None:
        raise VerificationFailed(
            f"stage {record.name} is {record.state}"
            + ("" if record.decision else " and has no admit decision")
            + ": it can't have provenance",
            where=f"run {run.run_id}",
            fix="see `policyd show` for why the stage did not succeed",
        )
    materials = (*stage_materials(run.plan, record.name, inputs), *fetched)
    byproducts = [] if record.log_sha256 is None else [Named("log", record.log_sha256).descriptor()]
    predicate = {
        "buildDefinition": {
            "buildType": BUILD_TYPE,
            "externalParameters": ExternalParameters(
                plan_sha256=run.plan_sha256,
                run_id=run.run_id,
                stage=record.name,
                attempt=record.attempt,
                decisions=DecisionDigests(check=run.check_sha256, admit=record.decision),
            ).model_dump(mode="json"),
            "internalParameters": {"sandbox": record.sandbox, "exit_code": record.exit_code},
            "resolvedDependencies": [material.descriptor() for material in materials],
        },
        "runDetails": {
            "builder": {"id": run.plan.builder_id, "version": {"policyd": __version__}},
            "metadata": {"invocationId": run.attempt_name(record.name, record.attempt)}
            | ({"startedOn": record.started_at} if record.started_at else {})
            | ({"finishedOn": record.finished_at} if record.finished_at else {}),
            "byproducts": byproducts,
        },
    }
    return render_statement(stage_subjects(record), PROVENANCE_V1, predicate)
