"""From a pipeline to the plan: everything by digest, in the order it would run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from policyd.models.base import Sha256
from policyd.models.canonical import canonical_json, sha256_hex
from policyd.models.pipeline import PipelineFile, Stage, duration_seconds
from policyd.models.plan import (
    Governance,
    LayerRef,
    Plan,
    PlannedStage,
    PlannedTool,
    PolicySetRef,
    Requester,
    SandboxMode,
    SourceTree,
)
from policyd.run.order import sort_stages

#: A script fails at its first failing command, also inside a pipe: `test | tee log` must not hide a failed test.
SHELL = ("/bin/bash", "-euo", "pipefail", "-c")


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What a plan binds besides the pipeline: who judges, with what, over which source."""

    policy_set: PolicySetRef
    layers: tuple[LayerRef, ...]
    terms_sha256: Sha256
    settings_sha256: Sha256
    trust_policy_sha256: Sha256
    source: SourceTree
    requester: Requester
    governance: Governance
    builder_id: str
    sandbox: SandboxMode
    helpers: Mapping[str, Sha256]
    waivers: tuple[Sha256, ...] = ()


def make_plan(
    pipeline: PipelineFile,
    *,
    path: str,
    content: bytes,
    tools: Mapping[str, PlannedTool],
    circumstances: Circumstances,
) -> Plan:
    """Return the plan for `pipeline`, read from `content` at `path` (relative to the source tree).

    `tools` has the tool for each `stage/tool` the pipeline names. `builder_id` gets the isolation appended, so that
    the plan already says what the attestation will.
    """
    by_name = {stage.name: stage for stage in pipeline.stages}
    ordered = sort_stages({name: stage.needs for name, stage in by_name.items()})
    c = circumstances
    return Plan(
        pipeline=pipeline.name,
        pipeline_path=path,
        pipeline_sha256=sha256_hex(content),
        policy_set=c.policy_set,
        layers=c.layers,
        terms_sha256=c.terms_sha256,
        settings_sha256=c.settings_sha256,
        trust_policy_sha256=c.trust_policy_sha256,
        source=c.source,
        waivers=tuple(sorted(c.waivers)),
        requester=c.requester,
        governance=c.governance,
        builder_id=f"{c.builder_id}/local/{'bwrap' if c.sandbox == 'bwrap' else 'unsandboxed'}",
        sandbox=c.sandbox,
        helpers=dict(sorted(c.helpers.items())),
        stages=tuple(_plan_stage(by_name[name], tools) for name in ordered),
    )


def _plan_stage(stage: Stage, tools: Mapping[str, PlannedTool]) -> PlannedStage:
    values = {
        "name": stage.name,
        "kind": stage.kind,
        "needs": tuple(sorted(set(stage.needs))),
        "argvs": ((*SHELL, stage.run),) if isinstance(stage.run, str) else stage.run,
        "source": stage.inputs.source,
        "products": tuple(sorted(set(stage.inputs.products))),
        "outputs": stage.outputs,
        "results": stage.results,
        "tools": tuple(tools[f"{stage.name}/{tool.name}"] for tool in stage.tools),
        "env": dict(sorted(stage.env.items())),
        "timeout_seconds": duration_seconds(stage.timeout),
        "target": stage.target,
    }
    unnamed = PlannedStage.model_construct(**values)  # type: ignore[arg-type]  # checked by the second construction
    definition = unnamed.model_dump(mode="json", exclude_none=True, exclude={"definition_sha256"})
    return PlannedStage(**values, definition_sha256=sha256_hex(canonical_json(definition)))  # type: ignore[arg-type]


def find_differences(approved: Plan, current: Plan) -> tuple[str, ...]:
    """Name, in words, every part of the plan that is not what was approved. Empty means the same plan."""
    old, new = approved.model_dump(mode="json"), current.model_dump(mode="json")
    found = [
        f"{field.replace('_', ' ')}: was {_brief(old[field])}, is {_brief(new[field])}"
        for field in old
        if field not in ("stages", "layers") and old[field] != new[field]
    ]
    found += _layer_differences(approved.layers, current.layers)
    before = {stage["name"]: stage for stage in old["stages"]}
    after = {stage["name"]: stage for stage in new["stages"]}
    found += [f"stage {name} is gone" for name in before if name not in after]
    found += [f"stage {name} is new" for name in after if name not in before]
    for name in before.keys() & after.keys():
        changed = [
            field
            for field in before[name]
            if field != "definition_sha256" and before[name][field] != after[name][field]
        ]
        if changed:
            found.append(f"stage {name}: {', '.join(changed)} changed")
    if not found and approved.to_json() != current.to_json():
        found.append("the order of stages")
    return tuple(sorted(found))


def _layer_differences(approved: tuple[LayerRef, ...], current: tuple[LayerRef, ...]) -> list[str]:
    """Name the layers below the organisation's that differ; that one is the plan's policy set."""
    old = {(ref.layer, ref.name): ref for ref in approved if ref.layer != "organisation"}
    new = {(ref.layer, ref.name): ref for ref in current if ref.layer != "organisation"}
    found = []
    for layer, name in sorted(old.keys() | new.keys()):
        before, after = old.get((layer, name)), new.get((layer, name))
        who = f"the policy of the {layer} {name}"
        if before is None or after is None:
            found.append(f"{who} is {'gone' if after is None else 'new'}")
        elif before != after:
            found.append(f"{who}: was {_brief(before.sha256)}, is {_brief(after.sha256)}")
    return found


def _brief(value: object) -> str:
    if isinstance(value, dict) and "sha256" in value:
        value = value["sha256"]
    text = str(value)
    return f"{text[:12]}…" if len(text) == 64 else text
