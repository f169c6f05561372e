"""Ask an engine about one input and decide: the one function behind all three gates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from policyd.errors import EngineError, PolicyError
from policyd.models.base import Model
from policyd.models.decision import Decision, Gate, Problem
from policyd.models.plan import Governance
from policyd.policy.catalogue import RuleMeta
from policyd.policy.deciding import Locate, Raised, Subject, decide
from policyd.policy.engine import Answer, PolicyEngine
from policyd.policy.input_fields import find_left_out
from policyd.policy.judged_input import JudgedInput, write_input
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
    keeps the engine from answering is a problem in an `undecided` decision, never an exception and never a pass; so is
    an input that does not fit its model.
    """
    document = write_input(document_model, where=subject)
    return ask_of(
        engine,
        policy_set,
        rules,
        document,
        subject=Subject(
            gate=gate,
            name=subject,
            input_sha256=document.sha256,
            plan_sha256=plan_sha256,
            run_id=run_id,
            stage=stage,
            attempt=attempt,
            target=target,
            artifact_sha256=artifact_sha256,
        ),
        now=now,
        locate=locate,
        governance=governance,
        raised=raised,
        problems=problems,
        weakened=weakened,
    )


def ask_of(
    engine: PolicyEngine,
    policy_set: PolicySet,
    rules: Sequence[RuleMeta],
    document: JudgedInput,
    *,
    subject: Subject,
    now: datetime,
    locate: Locate,
    governance: Governance,
    raised: Raised | None = None,
    problems: Iterable[Problem] = (),
    weakened: Iterable[str] = (),
) -> Decision:
    """Return the decision about `document` as it stands: its bytes are what a rule sees."""
    found = list(problems)
    asked = rules
    entrypoints = [rule.entrypoint for rule in rules]

    # 1. The rules are asked, and while they work the input is held against its model.
    answers, failure = _query(engine, entrypoints, document) if rules and document.content else ({}, None)

    # 2. A rule given less than the schema promises would be silent for the wrong reason: then no answer counts.
    doubt = document.misfit
    if doubt is None and rules:
        doubt = find_left_out(policy_set, entrypoints, document.content, where=subject.name)
    if doubt is None:
        doubt = failure
    if doubt is not None:
        found.append(doubt)
        # One reason is enough: without an answer each rule would add that it gave none.
        answers, asked = {}, ()
    decision = decide(
        asked,
        answers,
        now=now,
        subject=subject,
        document=document.document if any(answer.value for answer in answers.values()) else None,
        locate=locate,
        policy_set=policy_set.ref,
        engine=engine.ref,
        governance=governance,
        raised=raised,
        problems=found,
        weakened=weakened,
    )
    return decision.model_copy(update={"rules": tuple(rule.id for rule in rules)})


def _query(
    engine: PolicyEngine, entrypoints: Sequence[str], document: JudgedInput
) -> tuple[Mapping[str, Answer], Problem | None]:
    try:
        return engine.query(entrypoints, document.content, meanwhile=document.look), None
    except (EngineError, PolicyError) as error:
        return {}, Problem(message=error.cause, where=error.where, fix=error.fix)
