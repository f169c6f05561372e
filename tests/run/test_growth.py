"""What one stage costs does not depend on how many there are: the input of its gate, and its part of the plan.

`python -m benchmarks growth` measures the time; here is what the time follows from.
"""

from __future__ import annotations

import json

from policyd.models.input import PipelineRef, Repository, StageEvidence
from policyd.models.manifest import Product
from policyd.models.pipeline import StageKind
from policyd.models.plan import LayerRef, Plan, PolicySetRef, Requester, SourceTree
from policyd.pipeline.reading import ReadPipeline, read_pipeline
from policyd.run.planning import Circumstances, make_plan
from policyd.run.stage_input import StageInputs

FEW, MANY = 10, 400
CIRCUMSTANCES = Circumstances(
    policy_set=PolicySetRef(name="library", sha256="1" * 64),
    layers=(LayerRef(layer="organisation", name="library", sha256="1" * 64, prefix="policyd"),),
    terms_sha256="7" * 64,
    settings_sha256="2" * 64,
    trust_policy_sha256="3" * 64,
    source=SourceTree(sha256="4" * 64, files=1),
    requester=Requester(identity="unverified", verified=False),
    governance="operator",
    builder_id="https://builder.example",
    sandbox="bwrap",
    helpers={"bwrap": "6" * 64},
)


def name(number: int) -> str:
    return f"stage-{number:04}"


def chain(stages: int) -> tuple[ReadPipeline, Plan]:
    """Return a pipeline in which every stage takes the product of the one before it, and its plan."""
    lines = ["policyd: pipeline/v1", "name: many", "stages:"]
    for number in range(stages):
        lines += [f"  - name: {name(number)}", "    kind: build", "    run: [[make, product]]"]
        lines.append("    outputs: [{name: product, path: product}]")
        if number:
            before = name(number - 1)
            lines += [f"    needs: [{before}]", f"    inputs: {{products: [{before}.product]}}"]
    content = "\n".join(lines).encode()
    pipeline = read_pipeline("pipeline.yaml", content)
    assert pipeline.native is not None
    made = make_plan(pipeline.native, path="pipeline.yaml", content=content, tools={}, circumstances=CIRCUMSTANCES)
    return pipeline, made


def stage_input(stages: int, number: int) -> bytes:
    """Return the input of stage `number` of so many, when all stages before it have ended."""
    pipeline, made = chain(stages)
    ref = PipelineRef(path="pipeline.yaml", dialect="policyd", kind="pipeline", name="many")
    inputs = StageInputs(made, pipeline.facts, ref, Repository(pipelines=[ref]))
    evidence = {name(before): _evidence(name(before)) for before in range(number)}
    document = inputs.make(
        made.stage(name(number)),
        run_id="a" * 32,
        attempt=1,
        evaluated_at="2026-01-01T00:00:00Z",
        evidence=evidence,
        results={},
    )
    return document.model_dump_json().encode()


def _evidence(stage: str) -> StageEvidence:
    return StageEvidence(
        stage=stage,
        kind=StageKind.BUILD,
        state="succeeded",
        definition_sha256="b" * 64,
        run_id="a" * 32,
        plan_sha256="c" * 64,
        predicate_types=["https://slsa.dev/provenance/v1"],
        signers=["somebody"],
        products=[Product(output="product", path="product", type="file", sha256="d" * 64, size=1024)],
        results=[],
        sandbox="bwrap",
    )


def test_the_stage_gate_sees_as_much_in_a_long_run_as_in_a_short_one() -> None:
    # Paths into the input are counted through the whole pipeline, so only digits of a place may differ.
    assert len(stage_input(MANY, 5)) == len(stage_input(FEW, 5))
    assert abs(len(stage_input(MANY, MANY - 1)) - len(stage_input(FEW, FEW - 1))) < 100


def test_the_stage_gate_sees_its_own_stage_and_what_that_needs_and_no_other() -> None:
    document = json.loads(stage_input(FEW, 7))

    seen = {fact.get("stage", fact.get("name")) for facts in document.values() for fact in _facts(facts)}
    assert seen == {name(7)}
    assert [evidence["stage"] for evidence in document["evidence"]] == [name(6)]
    assert name(3) not in json.dumps(document)


def _facts(value: object) -> list[dict[str, object]]:
    facts = value if isinstance(value, list) else []
    return [fact for fact in facts if isinstance(fact, dict) and "at" in fact]


def test_the_plan_grows_by_the_same_for_every_stage() -> None:
    sizes = [len(chain(stages)[1].to_json()) for stages in (FEW, 2 * FEW, 3 * FEW)]

    assert sizes[2] - sizes[1] == sizes[1] - sizes[0]
