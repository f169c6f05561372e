"""`policyd policy explain`: what one rule is for, and what it makes of an input."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from pydantic import ValidationError

from policyd.adapters.settings import Authority, find_authority, find_project_settings
from policyd.app.check import EXIT_OF_VERDICT, read_paths
from policyd.app.judging import Judge, make_pipeline_input, make_repository, open_judge
from policyd.app.policy_eval import read_document
from policyd.app.projects import find_root
from policyd.errors import ExitCode, PolicyError, UsageError
from policyd.models.base import JsonPath, Model
from policyd.models.decision import Decision, Gate, Place
from policyd.models.input import PipelineInput, ReleaseInput, StageInput
from policyd.policy.asking import ask
from policyd.policy.catalogue import RuleMeta
from policyd.policy.layers import Layers
from policyd.policy.policy_set import PolicySet

_INPUTS: dict[Gate, type[Model]] = {
    Gate.PIPELINE: PipelineInput,
    Gate.STAGE: StageInput,
    Gate.RELEASE: ReleaseInput,
}
_READ = re.compile(r"\binput\.([a-z_]+)")


@dataclass(frozen=True, slots=True)
class LookedAt:
    """A part of the input that the rule reads; `items` where it is a list."""

    name: str
    items: int | None


@dataclass(frozen=True, slots=True)
class Explained:
    """A rule, what it reads, and with an input what it made of it."""

    rule: RuleMeta
    reads: tuple[str, ...]
    path: str = ""
    content: bytes = b""
    decision: Decision | None = None
    looked_at: tuple[LookedAt, ...] = ()
    not_asked: str = ""  # why a gate would not ask this rule of the input
    key: str = "requester.key"  # what the reader may sign a request for a waiver with

    @property
    def exit_code(self) -> ExitCode:
        """As `policyd check` with this rule alone; 0 where there was nothing to judge."""
        return ExitCode.OK if self.decision is None else EXIT_OF_VERDICT[self.decision.verdict]


def explain(
    rule_id: str,
    *,
    pipeline: Path | None,
    document: Path | None,
    engine: str | None,
    settings: Path | None,
    now: datetime,
) -> Explained:
    """Explain the rule `rule_id`; with a pipeline or the input of a gate, also what it finds there.

    Raises `UsageError` for a rule that is not there, `PolicyError` for an input that does not fit its gate's model.
    """
    root = find_root(pipeline or Path("."))
    authority = find_authority(settings, repository=root if pipeline else None)
    with open_judge(authority, find_project_settings(root), root=root, engine=engine) as judge:
        rule = _require_rule(judge.layers, rule_id)
        reads = find_reads(judge.layers.layer_of(rule.id).policy_set, rule)
        if pipeline is not None:
            found = _explain_pipeline(judge, rule, reads, pipeline, now)
            return replace(found, key=_requester_key(authority))
        if document is not None:
            found = _explain_input(judge, rule, reads, document, now)
            return replace(found, key=_requester_key(authority))
    return Explained(rule, reads)


def _requester_key(authority: Authority | None) -> str:
    """Return where `policyd init` puts a single user's key for requests, if it is there."""
    if authority is not None:
        key = Path(authority.settings.keys.decider).parent / "requester.key"
        if key.is_file():
            return str(key)
    return "requester.key"


def find_reads(policy_set: PolicySet, rule: RuleMeta) -> tuple[str, ...]:
    """Return the parts of the input that a rule, or a library it reaches, names."""
    texts = policy_set.modules_for([rule.entrypoint]).values()
    code = "\n".join(line for text in texts for line in text.split("\n") if not line.startswith("#"))
    return tuple(sorted(set(_READ.findall(code))))


def _require_rule(layers: Layers, rule_id: str) -> RuleMeta:
    if rule_id in layers.catalogue:
        return layers.catalogue[rule_id]
    import difflib

    near = difflib.get_close_matches(rule_id, layers.catalogue, n=1)
    raise UsageError(
        f"there is no rule {rule_id!r} in this policy set",
        where=layers.organisation.policy_set.name,
        fix=f"did you mean {near[0]!r}?" if near else "a rule is called family.rule; docs/rules lists the library's",
    )


def _explain_pipeline(judge: Judge, rule: RuleMeta, reads: tuple[str, ...], path: Path, now: datetime) -> Explained:
    if path.is_dir():
        raise UsageError("this is a folder", where=str(path), fix="name one pipeline file")
    if rule.gate is not Gate.PIPELINE:
        raise UsageError(
            f"the rule is asked at the gate {rule.gate.value}, not of a pipeline file",
            where=rule.id,
            fix=f"give the input of that gate with --input: a {rule.gate.value} decision names it by input_sha256",
        )
    [pipeline], _ = read_paths([path])
    given = make_pipeline_input(pipeline, make_repository([pipeline]), governance=judge.governance, now=now)
    dialect = pipeline.ref.dialect
    not_asked = ""
    if dialect not in rule.applies_to:
        not_asked = f"it is about {', '.join(rule.applies_to)} pipelines, and this is one of {dialect}"
    decision = _ask(judge, rule, given, pipeline.ref.path, now, pipeline.source_map.place)
    looked_at = _looked_at(given, reads)
    return Explained(rule, reads, pipeline.ref.path, pipeline.content, decision, looked_at, not_asked)


def _explain_input(judge: Judge, rule: RuleMeta, reads: tuple[str, ...], path: Path, now: datetime) -> Explained:
    content = json.dumps(read_document(path)).encode()
    try:
        given = _INPUTS[rule.gate].model_validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        raise PolicyError(
            f"the input does not fit the gate {rule.gate.value}: {'.'.join(map(str, first['loc']))}: {first['msg']}",
            where=str(path),
            fix="a rule is never asked about an input that does not fit; give the whole input of that gate",
        ) from error
    decision = _ask(judge, rule, given, str(path), now, _nowhere)
    return Explained(rule, reads, str(path), content, decision, _looked_at(given, reads))


def _ask(
    judge: Judge, rule: RuleMeta, given: Model, subject: str, now: datetime, locate: Callable[[JsonPath], Place | None]
) -> Decision:
    layer = judge.layers.layer_of(rule.id)
    return ask(
        judge.engine_of(layer),
        layer.policy_set,
        [rule],
        given,
        gate=rule.gate,
        subject=subject,
        now=now,
        locate=locate,
        governance=judge.governance,
    )


def _nowhere(_at: JsonPath) -> Place | None:
    return None


def _looked_at(given: Model, reads: tuple[str, ...]) -> tuple[LookedAt, ...]:
    found = []
    for name in reads:
        value = getattr(given, name, None)
        found.append(LookedAt(name, len(value) if isinstance(value, list | tuple) else None))
    return tuple(found)
