"""Every Rego test of the library, on both of policyd's engines: with them an error is no pass (`opa test` differs)."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

import pytest

from policyd.adapters.library import library_files
from policyd.policy.rule_tests import RuleTestResult, run_rule_tests

TEST_FILES = sorted(path for path in library_files(tests=True) if path.endswith("_test.rego"))


@pytest.fixture(scope="session")
def results(files: Mapping[str, bytes], engine_factory: Any) -> Mapping[str, RuleTestResult]:
    """All tests are asked in one go: starting an engine for each file would take the longest."""

    def factory(policy_set: Any) -> AbstractContextManager[Any]:
        engine: AbstractContextManager[Any] = engine_factory(policy_set)
        return engine

    return {result.name: result for result in run_rule_tests(files, factory)}


@pytest.mark.parametrize("path", TEST_FILES)
def test_the_tests_of_a_rule_pass(path: str, results: Mapping[str, RuleTestResult]) -> None:
    package = "policyd." + ".".join(path.removesuffix(".rego").split("/")[::2])

    found = [result for name, result in results.items() if name.startswith(f"{package}.")]

    assert found
    assert [f"{result.name}: {result.reason}" for result in found if not result.passed] == []


def test_every_rule_has_tests_that_break_it_and_keep_it(files: Mapping[str, bytes]) -> None:
    for path in files:
        if not path.endswith(".rego") or path.startswith("lib/") or path.endswith("_test.rego"):
            continue
        test = files[path.removesuffix(".rego") + "_test.rego"].decode()
        assert "_is_fine" in test, path
        assert "_denied" in test or "_reported" in test, path
