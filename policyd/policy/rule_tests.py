"""Rego tests, run by the engines that decide.

`opa test` has no strict mode: a builtin that fails makes a rule undefined there, and a test that expects no violation
passes. Here an error is an error, and a test that is undefined has failed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass

from policyd.policy.engine import PolicyEngine
from policyd.policy.policy_set import PolicySet, find_test_entrypoints, read_policy_set

EngineFactory = Callable[[PolicySet], AbstractContextManager[PolicyEngine]]


@dataclass(frozen=True, slots=True)
class RuleTestResult:
    """How one `test_` rule went. `reason` says why it failed, in words; empty when it passed."""

    name: str
    reason: str

    @property
    def passed(self) -> bool:
        """True only where the test rule was evaluated and is true."""
        return self.reason == ""


def run_rule_tests(
    files: Mapping[str, bytes], engine_factory: EngineFactory, *, prefix: str = "policyd"
) -> tuple[RuleTestResult, ...]:
    """Run every `test_` rule in `files` (rules and tests, path → content) on the engine that `engine_factory` makes.

    Raises `PolicyError` where the files are no policy set, and for a test file without tests.
    """
    policy_set = read_policy_set(files, "the policies under test", prefix=prefix).with_tests()
    entrypoints = find_test_entrypoints(policy_set)
    if not entrypoints:
        return ()
    with engine_factory(policy_set) as engine:
        answers = engine.query(entrypoints, b"{}")
    results = []
    for entrypoint in entrypoints:
        answer = answers[entrypoint]
        if answer.error is not None:
            reason = f"error: {answer.error}"
        elif answer.value is None:
            reason = "not satisfied"
        elif answer.value is not True:
            reason = f"is {answer.value!r}, not true"
        else:
            reason = ""
        results.append(RuleTestResult(name=entrypoint, reason=reason))
    return tuple(results)
