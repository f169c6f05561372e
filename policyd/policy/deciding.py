"""From an engine's answers to a decision. Pure: the same answers and the same `now` decide the same, years later.

An engine says only what rules saw. Here every rule that was asked has to have answered in the one shape there is
(a set of `message` and `at`); silence, an error or another shape is a problem, and one problem makes the whole
decision `undecided`, whatever else was found. Severity, level, dates and what a project raised turn a violation into
deny or warn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from policyd.errors import PolicydError, RuleUndefined
from policyd.models.base import JsonPath, Sha256, rfc3339
from policyd.models.decision import (
    Decision,
    Effect,
    EngineRef,
    Gate,
    Level,
    Place,
    Problem,
    Related,
    Severity,
    Verdict,
    Violation,
)
from policyd.models.plan import Governance, PolicySetRef
from policyd.policy.catalogue import Confidence, RuleMeta
from policyd.policy.engine import Answer
from policyd.policy.parts import part_sha256

MAX_MESSAGE_CHARACTERS = 4096  # more than any rule's; a message may quote what it judges
MAX_PATH_STEPS = 64  # as deep as documents may be

Locate = Callable[[JsonPath], Place | None]

#: From the mildest on.
SEVERITIES = (Severity.INFO, Severity.LOW, Severity.MEDIUM, Severity.HIGH, Severity.CRITICAL)
LEVELS = (Level.ADVISORY, Level.SOFT, Level.HARD)
_FIELDS = frozenset({"message", "at", "related", "confidence", "fix"})


@dataclass(frozen=True, slots=True)
class Subject:
    """What is judged, and the words and digests by which the decision names it."""

    gate: Gate
    name: str
    input_sha256: Sha256
    plan_sha256: Sha256 | None = None
    run_id: str | None = None
    stage: str | None = None
    attempt: int | None = None
    target: str | None = None
    artifact_sha256: Sha256 | None = None


@dataclass(frozen=True, slots=True)
class Raised:
    """What project settings and options make stricter. Nothing in here can lower a level."""

    levels: Mapping[str, Level] = field(default_factory=dict)
    fail_on: Severity | None = None

    def level(self, rule: RuleMeta) -> Level:
        """Return the level that applies: the rule's own, or a higher one."""
        level = _higher(rule.level, self.levels.get(rule.id, rule.level))
        if self.fail_on is not None and SEVERITIES.index(rule.severity) >= SEVERITIES.index(self.fail_on):
            level = _higher(level, Level.SOFT)
        return level


def decide(
    asked: Sequence[RuleMeta],
    answers: Mapping[str, Answer],
    *,
    now: datetime,
    subject: Subject,
    document: object,
    locate: Locate,
    policy_set: PolicySetRef,
    engine: EngineRef,
    governance: Governance,
    raised: Raised | None = None,
    problems: Iterable[Problem] = (),
    weakened: Iterable[str] = (),
) -> Decision:
    """Return what the `answers` (by entry point) of all rules `asked` mean as of `now`.

    `document` is the input as rules saw it, `locate` finds the place in a file for a path into it. `problems` are those
    found before any rule was asked.
    """
    raised = raised or Raised()
    found_problems = list(problems)
    violations: list[Violation] = []

    # 1. Every rule asked has answered, in the one shape there is.
    for rule in asked:
        try:
            findings = _read_answer(rule, answers.get(rule.entrypoint))
        except PolicydError as error:
            found_problems.append(Problem(rule=rule.id, message=error.cause, where=error.where, fix=error.fix))
            continue
        if not findings:
            continue
        # 2. A finding denies or warns.
        level = raised.level(rule)
        effect, blocks_from = _weigh(rule, level, now)
        violations.extend(
            Violation(
                rule=rule.id,
                message=finding.message,
                at=finding.at,
                place=locate(finding.at),
                effect=effect,
                level=level,
                severity=rule.severity,
                confidence=finding.confidence,
                fix=finding.fix,
                related=tuple(Related(message=message, place=locate(at)) for message, at in finding.related),
                part_sha256=part_sha256(document, finding.at),
                blocks_from=blocks_from,
            )
            for finding in findings
        )

    # 3. The verdict: doubt before refusal, refusal before silence, and only then allow.
    return Decision(
        gate=subject.gate,
        verdict=_verdict_of(asked, violations, found_problems),
        subject=subject.name,
        plan_sha256=subject.plan_sha256,
        run_id=subject.run_id,
        stage=subject.stage,
        attempt=subject.attempt,
        target=subject.target,
        artifact_sha256=subject.artifact_sha256,
        policy_set=policy_set,
        engine=engine,
        input_sha256=subject.input_sha256,
        rules=tuple(rule.id for rule in asked),
        violations=tuple(sorted(violations, key=order_of)),
        problems=tuple(found_problems),
        weakened=tuple(weakened),
        governance=governance,
        decided_at=rfc3339(now),
    )


def decide_again(
    asked: Sequence[RuleMeta],
    violations: Sequence[Violation],
    *,
    now: datetime,
    subject: Subject,
    policy_set: PolicySetRef,
    engine: EngineRef,
    governance: Governance,
    raised: Raised,
    weakened: Iterable[str] = (),
) -> Decision:
    """Return what `decide` would of answers in which the rules `asked` found `violations`, weighed as of `now`.

    Every violation is of a rule asked (`KeyError` else), and every rule asked had answered.
    """
    rules = {rule.id: rule for rule in asked}
    weighed: dict[str, tuple[Level, Severity, Effect, str | None]] = {}
    found: list[Violation] = []
    for violation in violations:
        if violation.rule not in weighed:
            rule = rules[violation.rule]
            level = raised.level(rule)
            weighed[rule.id] = (level, rule.severity, *_weigh(rule, level, now))
        level, severity, effect, blocks_from = weighed[violation.rule]
        said = (violation.level, violation.severity, violation.effect, violation.blocks_from, violation.waiver)
        if said != (level, severity, effect, blocks_from, None):
            violation = violation.model_copy(
                update={
                    "level": level,
                    "severity": severity,
                    "effect": effect,
                    "blocks_from": blocks_from,
                    "waiver": None,
                }
            )
        found.append(violation)
    return Decision(
        gate=subject.gate,
        verdict=_verdict_of(asked, found, ()),
        subject=subject.name,
        policy_set=policy_set,
        engine=engine,
        input_sha256=subject.input_sha256,
        rules=tuple(rule.id for rule in asked),
        violations=tuple(sorted(found, key=order_of)),
        weakened=tuple(weakened),
        governance=governance,
        decided_at=rfc3339(now),
    )


def _verdict_of(asked: Sequence[RuleMeta], violations: Sequence[Violation], problems: Sequence[Problem]) -> Verdict:
    if problems:
        return Verdict.UNDECIDED
    if any(violation.effect is Effect.DENY for violation in violations):
        return Verdict.DENY
    return Verdict.ALLOW if asked else Verdict.NOT_EVALUATED


@dataclass(frozen=True, slots=True)
class _Finding:
    message: str
    at: JsonPath
    confidence: Confidence
    fix: str | None
    related: tuple[tuple[str, JsonPath], ...]


def _read_answer(rule: RuleMeta, answer: Answer | None) -> list[_Finding]:
    if answer is None or (answer.error is None and answer.value is None):
        raise RuleUndefined(
            f"the rule {rule.id} gave no answer",
            where=rule.path,
            fix="a rule defines the set `deny`; see that its package and METADATA agree",
        )
    if answer.error is not None:
        raise RuleUndefined(
            f"the rule {rule.id} could not be evaluated: {answer.error}",
            where=rule.path,
            fix="correct the rule, or what it was given; until then nothing it judges is allowed",
        )
    if not isinstance(answer.value, list):
        raise _malformed(rule, f"`deny` is {type(answer.value).__name__}, not a set")
    return [_read_finding(rule, value) for value in answer.value]


def _read_finding(rule: RuleMeta, value: object) -> _Finding:
    if not isinstance(value, dict) or not value.keys() <= _FIELDS:
        raise _malformed(rule, "a violation is not an object of message, at, related, confidence and fix")
    related = value.get("related", [])
    if not isinstance(related, list):
        raise _malformed(rule, "`related` is not a list")
    fix = value.get("fix")
    return _Finding(
        message=_read_message(rule, value.get("message")),
        at=_read_path(rule, value.get("at")),
        confidence=_read_confidence(rule, value.get("confidence", rule.confidence)),
        fix=None if fix is None else _read_message(rule, fix),
        related=tuple(_read_related(rule, item) for item in related),
    )


def _read_related(rule: RuleMeta, value: object) -> tuple[str, JsonPath]:
    if not isinstance(value, dict) or value.keys() != {"message", "at"}:
        raise _malformed(rule, "`related` holds something else than message and at")
    return _read_message(rule, value["message"]), _read_path(rule, value["at"])


def _read_message(rule: RuleMeta, value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise _malformed(rule, "a message is not text or is empty")
    return value if len(value) <= MAX_MESSAGE_CHARACTERS else value[:MAX_MESSAGE_CHARACTERS] + "…"


def _read_path(rule: RuleMeta, value: object) -> JsonPath:
    if not isinstance(value, list) or len(value) > MAX_PATH_STEPS:
        raise _malformed(rule, "`at` is not a path into the input")
    # True is an int in Python and no index in JSON.
    if not all(isinstance(step, str | int) and not isinstance(step, bool) for step in value):
        raise _malformed(rule, "`at` holds something else than names and indices")
    return tuple(value)


def _read_confidence(rule: RuleMeta, value: object) -> Literal["high", "medium", "low"]:
    match value:
        case "high" | "medium" | "low":
            return value
        case _:
            raise _malformed(rule, "`confidence` is not high, medium or low")


def _malformed(rule: RuleMeta, cause: str) -> RuleUndefined:
    return RuleUndefined(
        f"the rule {rule.id} did not answer as a rule does: {cause}",
        where=rule.path,
        fix='make `deny` a set of objects like {"message": "…", "at": ["commands", 0]}',
    )


def _weigh(rule: RuleMeta, level: Level, now: datetime) -> tuple[Effect, str | None]:
    if level is Level.ADVISORY:
        return Effect.WARN, None
    if rule.effective_on is not None and now < rule.effective_on:
        return Effect.WARN, rule.effective_on.isoformat().replace("+00:00", "Z")
    return Effect.DENY, None


def _higher(one: Level, other: Level) -> Level:
    return max(one, other, key=LEVELS.index)


def order_of(violation: Violation) -> tuple[object, ...]:
    """Return what violations are sorted by: where they stand, then their rule."""
    place = violation.place
    where = ("", 0, 0) if place is None else (place.file, place.line, place.column)
    at = tuple((isinstance(step, str), str(step) if isinstance(step, str) else f"{step:020d}") for step in violation.at)
    return (*where, violation.rule, at, violation.message)
