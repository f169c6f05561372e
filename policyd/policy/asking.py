"""Ask an engine about one input and decide: the one function behind all three gates."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from pydantic import ValidationError
from pydantic_core import PydanticSerializationError

from policyd.errors import EngineError, PolicyError
from policyd.models.base import Model
from policyd.models.canonical import sha256_hex
from policyd.models.decision import Decision, Gate, Problem
from policyd.models.plan import Governance
from policyd.policy.catalogue import RuleMeta
from policyd.policy.deciding import Locate, Raised, Subject, decide
from policyd.policy.engine import Answer, PolicyEngine
from policyd.policy.input_fields import find_left_out
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
    content, misfit = read_input(document_model, where=subject)
    return ask_of(
        engine,
        policy_set,
        rules,
        content,
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
        now=now,
        locate=locate,
        governance=governance,
        raised=raised,
        problems=problems,
        misfit=misfit,
        weakened=weakened,
    )


def ask_of(
    engine: PolicyEngine,
    policy_set: PolicySet,
    rules: Sequence[RuleMeta],
    content: bytes,
    *,
    subject: Subject,
    now: datetime,
    locate: Locate,
    governance: Governance,
    raised: Raised | None = None,
    problems: Iterable[Problem] = (),
    misfit: Problem | None = None,
    weakened: Iterable[str] = (),
) -> Decision:
    """Return the decision about the input in `content` (JSON), as it stands: these are the bytes a rule sees.

    `misfit` says what is wrong with them where they do not fit the model of their gate.
    """
    found = list(problems)
    if misfit is None and rules:
        misfit = find_left_out(policy_set, [rule.entrypoint for rule in rules], content, where=subject.name)
    answers: Mapping[str, Answer] = {}
    asked = rules
    if misfit is not None:
        # A rule given less than the schema promises would be silent for the wrong reason: none is asked.
        found.append(misfit)
        asked = ()
    elif rules:
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
        subject=subject,
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


def find_misfit(model: type[Model], content: bytes, *, where: str, fix: str) -> Problem | None:
    """Return why the input in `content` does not fit the model of its gate, None where it does."""
    try:
        model.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        return Problem(message=f"the input does not fit its model: {field}: {first['msg']}", where=where, fix=fix)
    return None


def read_input(document_model: Model, *, where: str) -> tuple[bytes, Problem | None]:
    """Return the bytes that rules will see, and what is wrong where they do not fit the model.

    Models are put together from parts without a look at each (`model_construct`), so the bytes are what is checked.
    """
    fix = "report this (SECURITY.md); until it fits, nothing is allowed"
    try:
        content = document_model.model_dump_json(warnings=False).encode()
    except (PydanticSerializationError, UnicodeEncodeError, AttributeError) as error:
        return b"", Problem(message=f"the input can't be written as JSON: {error}", where=where, fix=fix)
    return content, find_misfit(type(document_model), content, where=where, fix=fix)
