from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import pytest

from policyd.errors import PolicyError
from policyd.models.decision import EngineRef
from policyd.policy.engine import Answer, PolicyEngine
from policyd.policy.policy_set import PolicySet
from policyd.policy.rule_tests import run_rule_tests

Files = Callable[..., dict[str, bytes]]


class FakeEngine:
    def __init__(self, answers: Mapping[str, Answer]) -> None:
        self.answers = answers

    @property
    def ref(self) -> EngineRef:
        return EngineRef(name="fake", version="1")

    def query(
        self, entrypoints: Sequence[str], document: bytes, *, meanwhile: Callable[[], object] | None = None
    ) -> Mapping[str, Answer]:
        return {entrypoint: self.answers[entrypoint.rpartition(".")[2]] for entrypoint in entrypoints}


def factory(**answers: Answer) -> Callable[[PolicySet], object]:
    @contextmanager
    def make(policy_set: PolicySet) -> Iterator[PolicyEngine]:
        yield FakeEngine(answers)

    return make


def test_only_a_test_that_is_true_has_passed(files: Files) -> None:
    tests = b"package policyd.colours.red_test\n" + b"".join(
        b"test_%s if true\n" % name for name in (b"true", b"false", b"undefined", b"error", b"one")
    )
    answers = factory(
        test_true=Answer(value=True),
        test_false=Answer(value=False),
        test_undefined=Answer(),
        test_error=Answer(value=True, error="boom"),
        test_one=Answer(value=1),
    )

    results = run_rule_tests({**files("red"), "colours/red/red_test.rego": tests}, answers)  # type: ignore[arg-type]

    assert [result.name.rpartition("_")[2] for result in results if result.passed] == ["true"]
    assert [result.reason for result in results if not result.passed] == [
        "is False, not true",
        "not satisfied",
        "error: boom",
        "is 1, not true",
    ]


def test_a_test_file_without_tests_is_refused(files: Files) -> None:
    given = {**files("red"), "colours/red/red_test.rego": b"package policyd.colours.red_test\nhelper if true\n"}

    with pytest.raises(PolicyError, match="holds no test"):
        run_rule_tests(given, factory())  # type: ignore[arg-type]


def test_a_set_without_tests_has_no_results(files: Files) -> None:
    assert run_rule_tests(files("red"), factory()) == ()  # type: ignore[arg-type]
