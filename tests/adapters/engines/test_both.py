"""Asking both engines: only what they say alike is an answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from policyd.adapters.engines.both import BothEngines
from policyd.adapters.engines.embedded import EmbeddedEngine
from policyd.adapters.engines.opa import OpaEngine
from policyd.errors import EngineError, PolicyError
from policyd.models.base import Model
from policyd.models.decision import EngineRef, Gate, Verdict
from policyd.policy.asking import ask
from policyd.policy.engine import Answer
from policyd.policy.policy_set import PolicySet

MakeSet = Callable[..., PolicySet]

FOUND = 'deny contains {"message": "m", "at": []} if input.x == 1\n'
RED = "policyd.a.red.deny"
ONE: dict[str, object] = {"message": "m", "at": ["commands", 1]}
OTHER: dict[str, object] = {"message": "n", "at": []}


@dataclass
class Fixed:
    """Answers what it was made with."""

    name: str
    answers: Mapping[str, Answer] = field(default_factory=dict)
    error: Exception | None = None

    @property
    def ref(self) -> EngineRef:
        return EngineRef(name=self.name, version="1.0", sha256="a" * 64 if self.name == "opa" else None)

    def query(
        self, entrypoints: Sequence[str], document: bytes, *, meanwhile: Callable[[], object] | None = None
    ) -> Mapping[str, Answer]:
        if self.error is not None:
            raise self.error
        return self.answers


def both(ours: Answer, theirs: Answer) -> Answer:
    engine = BothEngines(Fixed("regorus", {RED: ours}), Fixed("opa", {RED: theirs}))
    return engine.query([RED], b"{}")[RED]


class Input(Model):
    x: int


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ([], []),
        ([ONE], [dict(reversed(ONE.items()))]),
        ([ONE, OTHER], [OTHER, ONE]),
        (None, None),
        (False, False),
    ],
    ids=["empty", "order of keys", "order of a set", "undefined", "no set"],
)
def test_what_both_say_is_the_answer(ours: object, theirs: object) -> None:
    answer = both(Answer(value=ours), Answer(value=theirs))

    assert answer == Answer(value=ours)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (Answer(value=[]), Answer(value=[ONE])),
        (Answer(value=[ONE]), Answer(value=[])),
        (Answer(value=[ONE]), Answer(value=[ONE, OTHER])),
        (Answer(value=[ONE]), Answer(value=[ONE, ONE])),
        (Answer(value=[ONE]), Answer(value=[{**ONE, "at": ["commands", 2]}])),
        (Answer(value=[ONE]), Answer(value=[{**ONE, "at": ["commands", 1.0]}])),
        (Answer(value=[ONE]), Answer(value=[{**ONE, "confidence": "low"}])),
        (Answer(value=[]), Answer()),
        (Answer(), Answer(value=[])),
        (Answer(value=[]), Answer(value={})),
        (Answer(value=[]), Answer(error="division by zero")),
        (Answer(error="division by zero"), Answer(value=[])),
        (Answer(error="division by zero"), Answer()),
        (Answer(value=2**60), Answer(value=2**60 + 1)),
    ],
    ids=str,
)
def test_two_different_answers_are_an_error_that_names_the_rule(ours: Answer, theirs: Answer) -> None:
    answer = both(ours, theirs)

    assert answer.value is None
    assert answer.error is not None
    assert answer.error.startswith(f"the engines differ in {RED}: regorus says ")


def test_where_both_fail_there_is_no_answer_whatever_their_words() -> None:
    assert both(Answer(error="division by 0"), Answer(error="eval_builtin_error")) == Answer(
        error="regorus: division by 0; opa: eval_builtin_error"
    )
    assert both(Answer(error="the same"), Answer(error="the same")).error is not None


@pytest.mark.parametrize("silent", ["regorus", "opa"])
def test_an_engine_that_leaves_a_rule_out_has_not_answered(silent: str) -> None:
    answers = {RED: Answer(value=[])}
    engine = BothEngines(
        Fixed("regorus", {} if silent == "regorus" else answers), Fixed("opa", {} if silent == "opa" else answers)
    )

    assert engine.query([RED], b"{}")[RED].error == f"{silent} gave no answer for {RED}"


@pytest.mark.parametrize("gone", ["regorus", "opa"])
@pytest.mark.parametrize("kind", [EngineError, PolicyError])
def test_an_engine_that_is_gone_takes_the_whole_answer_with_it(gone: str, kind: type[EngineError]) -> None:
    engines = [
        Fixed(name, {RED: Answer(value=[])}, kind("it died", where=name, fix="again") if name == gone else None)
        for name in ("regorus", "opa")
    ]

    with pytest.raises(kind, match="it died"):
        BothEngines(*engines).query([RED], b"{}")


def test_a_huge_answer_is_not_quoted_whole() -> None:
    answer = both(Answer(value=[{"message": "x" * 100_000, "at": []}]), Answer(value=[]))

    assert len(str(answer.error)) < 1000


def test_both_are_named_with_the_digest_of_opa() -> None:
    ref = BothEngines(Fixed("regorus"), Fixed("opa")).ref

    assert ref == EngineRef(name="both", version="regorus 1.0, opa 1.0", sha256="a" * 64)


def test_the_real_engines_agree(make_set: MakeSet, opa: Path) -> None:
    policy_set = make_set(red=FOUND)
    with EmbeddedEngine(policy_set) as embedded, OpaEngine(policy_set, opa) as other:
        engine = BothEngines(embedded, other)

        assert engine.query([RED], b'{"x": 1}')[RED].value == [{"message": "m", "at": []}]
        assert engine.query([RED], b'{"x": 2}')[RED].value == []
        assert engine.ref.version == f"regorus {embedded.ref.version}, opa {other.ref.version}"


def test_a_difference_leaves_the_decision_undecided_and_names_rule_and_reason(make_set: MakeSet, opa: Path) -> None:
    """Two policy sets stand in for an engine that reads one of them wrongly."""
    policy_set = make_set(red=FOUND, blue=FOUND)
    blind = make_set(red=FOUND.replace("== 1", "== 2"), blue=FOUND)
    with EmbeddedEngine(blind) as embedded, OpaEngine(policy_set, opa) as other:
        decision = ask(
            BothEngines(embedded, other),
            policy_set,
            list(policy_set.catalogue.values()),
            Input(x=1),
            gate=Gate.PIPELINE,
            subject="pipeline.yaml",
            now=datetime(2027, 1, 1, tzinfo=UTC),
            locate=lambda at: None,
            governance="self",
        )

    assert decision.verdict is Verdict.UNDECIDED
    (problem,) = decision.problems
    assert problem.rule == "a.red"
    assert (
        "the engines differ in policyd.a.red.deny: regorus says no violation, opa says 1 violation," in problem.message
    )
    assert decision.engine.name == "both"
