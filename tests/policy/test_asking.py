from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from policyd.errors import EngineError, PolicyError
from policyd.models.base import Model
from policyd.models.canonical import sha256_hex
from policyd.models.decision import Decision, EngineRef, Gate, Verdict
from policyd.policy.asking import ask
from policyd.policy.engine import Answer
from policyd.policy.policy_set import PolicySet, read_policy_set


class Document(Model):
    things: list[dict[str, Any]]
    note: str | None = None


class FakeEngine:
    """Answers what it was told, and keeps what it was asked."""

    def __init__(self, answers: Mapping[str, Answer] | Exception) -> None:
        self.answers = answers
        self.asked: list[tuple[tuple[str, ...], bytes]] = []

    @property
    def ref(self) -> EngineRef:
        return EngineRef(name="fake", version="1")

    def query(
        self, entrypoints: Sequence[str], document: bytes, *, meanwhile: Callable[[], object] | None = None
    ) -> Mapping[str, Answer]:
        self.asked.append((tuple(entrypoints), document))
        if isinstance(self.answers, Exception):
            raise self.answers
        return self.answers


@pytest.fixture
def policy_set(files: Callable[..., dict[str, bytes]]) -> PolicySet:
    return read_policy_set(files("red", "blue"), "house")


def decide(engine: FakeEngine, policy_set: PolicySet, *ids: str, **options: Any) -> Decision:
    return ask(
        engine,
        policy_set,
        [policy_set.catalogue[rule_id] for rule_id in ids],
        Document(things=[{"name": "door"}]),
        gate=Gate.PIPELINE,
        subject="pipeline.yaml",
        now=datetime(2026, 12, 1, tzinfo=UTC),
        locate=lambda at: None,
        governance="self",
        **options,
    )


def test_all_rules_are_asked_at_once_and_named_with_the_input(policy_set: PolicySet) -> None:
    engine = FakeEngine({f"policyd.colours.{name}.deny": Answer(value=[]) for name in ("red", "blue")})

    decision = decide(engine, policy_set, "colours.red", "colours.blue", stage="build", attempt=2)

    ((entrypoints, content),) = engine.asked
    assert entrypoints == ("policyd.colours.red.deny", "policyd.colours.blue.deny")
    assert json.loads(content) == {"things": [{"name": "door"}], "note": None}
    assert decision.input_sha256 == sha256_hex(content)
    assert decision.verdict is Verdict.ALLOW
    assert decision.rules == ("colours.red", "colours.blue")
    assert decision.policy_set == policy_set.ref
    assert (decision.stage, decision.attempt) == ("build", 2)


@pytest.mark.parametrize("kind", [EngineError, PolicyError])
def test_an_engine_that_fails_leaves_it_undecided(policy_set: PolicySet, kind: type[EngineError]) -> None:
    engine = FakeEngine(kind("the engine died", where="regorus", fix="again"))

    decision = decide(engine, policy_set, "colours.red")

    assert decision.verdict is Verdict.UNDECIDED
    assert decision.rules == ("colours.red",)
    (problem,) = decision.problems
    assert (problem.message, problem.where, problem.fix) == ("the engine died", "regorus", "again")


def test_an_engine_that_answers_for_fewer_rules_leaves_it_undecided(policy_set: PolicySet) -> None:
    engine = FakeEngine({"policyd.colours.red.deny": Answer(value=[])})

    assert decide(engine, policy_set, "colours.red", "colours.blue").verdict is Verdict.UNDECIDED


def test_without_rules_no_engine_is_asked_and_nothing_is_evaluated(policy_set: PolicySet) -> None:
    engine = FakeEngine({})

    decision = decide(engine, policy_set)

    assert engine.asked == []
    assert decision.verdict is Verdict.NOT_EVALUATED


def test_a_finding_names_the_digest_of_the_part(policy_set: PolicySet) -> None:
    finding = {"message": "red", "at": ["things", 0]}
    engine = FakeEngine({"policyd.colours.red.deny": Answer(value=[finding])})

    decision = decide(engine, policy_set, "colours.red")

    assert decision.verdict is Verdict.DENY
    assert decision.violations[0].part_sha256 == sha256_hex(b'{"name":"door"}')


@pytest.mark.parametrize(
    "answers",
    [{"policyd.colours.red.deny": Answer(value=[])}, EngineError("m", where="w", fix="f")],
    ids=["an answer", "an error"],
)
def test_no_answer_about_an_input_that_does_not_fit_counts(policy_set: PolicySet, answers: Any) -> None:
    """The engine may have been asked already while the input was looked at."""
    broken: dict[str, Any] = {"things": "none"}
    decision = ask(
        FakeEngine(answers),
        policy_set,
        [policy_set.catalogue["colours.red"]],
        Document.model_construct(**broken),
        gate=Gate.PIPELINE,
        subject="pipeline.yaml",
        now=datetime(2026, 12, 1, tzinfo=UTC),
        locate=lambda at: None,
        governance="self",
    )

    assert decision.verdict is Verdict.UNDECIDED
    assert [problem.message for problem in decision.problems] == [
        "the input does not fit its model: things: Input should be a valid array"
    ]
    assert decision.violations == ()
    assert decision.rules == ("colours.red",)


def test_an_input_that_can_not_be_written_is_asked_of_no_engine(policy_set: PolicySet) -> None:
    engine = FakeEngine({"policyd.colours.red.deny": Answer(value=[])})
    broken: dict[str, Any] = {"things": [object()]}

    decision = ask(
        engine,
        policy_set,
        [policy_set.catalogue["colours.red"]],
        Document.model_construct(**broken),
        gate=Gate.PIPELINE,
        subject="pipeline.yaml",
        now=datetime(2026, 12, 1, tzinfo=UTC),
        locate=lambda at: None,
        governance="self",
    )

    assert engine.asked == []
    assert decision.verdict is Verdict.UNDECIDED
