"""Ask an engine about one input and decide: the one function behind all three gates."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from policyd.errors import EngineError, PolicyError
from policyd.models.base import Model
from policyd.models.canonical import sha256_hex
from policyd.models.decision import Decision, Gate, Problem
from policyd.models.plan import Governance
from policyd.policy.catalogue import RuleMeta
from policyd.policy.deciding import Locate, Raised, Subject, decide
from policyd.policy.engine import Answer, PolicyEngine
from policyd.policy.policy_set import PolicySet


def ask(
    engine: PolicyEngine,
    policy_set: PolicySet,
    rules: Sequence[RuleMeta],
    document_model: Model,
    *,
    gate: Gate,
    subject: str,
    now: datetime,
    locate: Locate,
    governance: Governance,
    plan_sha256: str | None = None,
    run_id: str | None = None,
    stage: str | None = None,
    attempt: int | None = None,
    target: str | None = None,
    artifact_sha256: str | None = None,
    raised: Raised | None = None,
    problems: Iterable[Problem] = (),
    weakened: Iterable[str] = (),
) -> Decision:
    """Return the decision of `gate` about `document_model`, asking `rules` of the engine that holds `policy_set`.

    The input is made to bytes once: those bytes are judged, and their digest is the decision's `input_sha256`. What
    keeps the engine from answering is a problem in an `undecided` decision, never an exception and never a pass.
    """
    content = document_model.model_dump_json().encode()
    found = list(problems)
    answers: Mapping[str, Answer] = {}
    asked = rules
    if rules:
        try:
            answers = engine.query([rule.entrypoint for rule in rules], content)
        except (EngineError, PolicyError) as error:
            found.append(Problem(message=error.cause, where=error.where, fix=error.fix))
            # One reason is enough: without an answer each rule would add that it gave none.
            answers, asked = {}, ()
    decision = decide(
        asked,
        answers,
        now=now,
        subject=Subject(
            gate=gate,
            name=subject,
            input_sha256=sha256_hex(content),
            plan_sha256=plan_sha256,
            run_id=run_id,
            stage=stage,
            attempt=attempt,
            target=target,
            artifact_sha256=artifact_sha256,
        ),
        document=json.loads(content) if any(answer.value for answer in answers.values()) else None,
        locate=locate,
        policy_set=policy_set.ref,
        engine=engine.ref,
        governance=governance,
        raised=raised,
        problems=found,
        weakened=weakened,
    )
    return decision.model_copy(update={"rules": tuple(rule.id for rule in rules)})
