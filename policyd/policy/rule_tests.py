"""Rego tests, run by the engines that decide.

`opa test` has no strict mode: a builtin that fails makes a rule undefined there, and a test that expects no violation
passes. Here an error is an error, and a test that is undefined has failed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass

from policyd.policy.engine import Answer, PolicyEngine
from policyd.policy.policy_set import PolicySet, find_test_entrypoints, read_policy_set

SHOWN = "policyd_shown"  # what is appended to a test to see a value; no test is called so
EngineFactory = Callable[[PolicySet], AbstractContextManager[PolicyEngine]]


@dataclass(frozen=True, slots=True)
class RuleTestResult:
    """How one test went. `reason` says why it failed, in words, and `details` more; empty when it passed.

    `errored` says that it could not be judged, which is worse than a failure: nobody knows what the rule does.
    """

    name: str
    reason: str
    path: str = ""
    engine: str = ""
    errored: bool = False
    details: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """True only where the test rule was evaluated and is true."""
        return self.reason == ""


def run_rule_tests(
    files: Mapping[str, bytes],
    engine_factory: EngineFactory,
    *,
    prefix: str = "policyd",
    wanted: Callable[[str], bool] = lambda path: True,
) -> tuple[RuleTestResult, ...]:
    """Run every `test_` rule in `files` (rules and tests, path → content) on the engine that `engine_factory` makes.

    Only test files whose path is `wanted`. Raises `PolicyError` where the files are no policy set, and for a test file
    without tests.
    """
    policy_set = read_policy_set(files, "the policies under test", prefix=prefix).with_tests()
    paths = {policy_set.packages[path]: path for path in policy_set.tests if wanted(path)}
    entrypoints = [
        entrypoint for entrypoint in find_test_entrypoints(policy_set) if entrypoint.rpartition(".")[0] in paths
    ]
    if not entrypoints:
        return ()
    with engine_factory(policy_set) as engine:
        answers = engine.query(entrypoints, b"{}")
        name = engine.ref.name
    return tuple(
        _result(entrypoint, answers[entrypoint], paths[entrypoint.rpartition(".")[0]], name)
        for entrypoint in entrypoints
    )


def _result(entrypoint: str, answer: Answer, path: str, engine: str) -> RuleTestResult:
    if answer.error is not None:
        reason = f"error: {answer.error}"
    elif answer.value is None:
        reason = "not satisfied"
    elif answer.value is not True:
        reason = f"is {answer.value!r}, not true"
    else:
        reason = ""
    return RuleTestResult(entrypoint, reason, path, engine, errored=answer.error is not None)


def find_stop(text: str, test: str, reached: Iterable[int]) -> int | None:
    """Return the line of the module `text` at which the rule `test` stopped, of the lines that were `reached`."""
    lines = text.split("\n")
    start = next((number for number, line in enumerate(lines, 1) if re.match(rf"{re.escape(test)}\b", line)), None)
    if start is None:
        return None
    end = next((number for number in range(start + 1, len(lines) + 1) if re.match(r"[^\s}]", lines[number - 1])), None)
    inside = [line for line in reached if start <= line < (end or len(lines) + 1)]
    return max(inside, default=None)


def show_compared(text: str, test: str, stop: int) -> tuple[str, str] | None:
    """Return a variable that the line `stop` of a test compares, and the module with a rule that shows its value.

    None where the line is no comparison of a variable. The rule is `shown`, a set.
    """
    lines = text.split("\n")
    start = next((number for number, line in enumerate(lines, 1) if re.match(rf"{re.escape(test)} if {{$", line)), None)
    compared = re.match(r"\s+([a-z_][a-z0-9_]*)(?:[.\[].*)? (?:==|in) ", lines[stop - 1])
    if start is None or compared is None:
        return None
    name = compared.group(1)
    body = "\n".join(lines[start : stop - 1])
    return name, f"{text}\n{SHOWN} contains {name} if {{\n{body}\n}}\n"
