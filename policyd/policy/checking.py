"""What is wrong with a policy set, all of it: for its author, who would rather read one list than meet one by one.

Reading a set stops at the first thing wrong. Here the file that it names is set aside and the rest is read again, so
that each broken file is named once; what then misses the file set aside is not a problem of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from policyd.errors import PolicyError
from policyd.policy.policy_files import FileKind, kind_of
from policyd.policy.policy_set import PolicySet, read_policy_set
from policyd.policy.rego_text import find_tests, read_module

MAX_PROBLEMS = 50  # beyond, the author has seen enough


@dataclass(frozen=True, slots=True, order=True)
class PolicyProblem:
    """One thing wrong: `where` is a file, or `file:line`."""

    where: str
    cause: str
    fix: str


def find_set_problems(files: Mapping[str, bytes], name: str) -> tuple[list[PolicyProblem], PolicySet | None]:
    """Return what is wrong with the files of a set, and the set made of those that can be read, if any rule is left."""
    problems: list[PolicyProblem] = []
    left = dict(files)
    while len(problems) < MAX_PROBLEMS:
        try:
            return [*problems, *_missing_tests(files, left)], read_policy_set(left, name)
        except PolicyError as error:
            broken = _file_of(error.where, left)
            if broken is None:
                # A set without rules says nothing new where its only rule is the broken one.
                if not problems:
                    problems.append(PolicyProblem(error.where, error.cause, error.fix))
                break
            problems.append(PolicyProblem(error.where, error.cause, error.fix))
            stem = broken.removesuffix("_test.rego").removesuffix(".rego")
            for path in [broken, f"{stem}_test.rego", f"{stem}_test.yaml"]:
                left.pop(path, None)
            if kind_of(broken) is FileKind.MODULE:
                # Collections would name the rule that was set aside.
                left = {path: content for path, content in left.items() if kind_of(path) is not FileKind.COLLECTION}
    return [*problems, *_missing_tests(files, left)], None


def _file_of(where: str, files: Mapping[str, bytes]) -> str | None:
    """Return the file that a place names: `a.rego`, `a.rego:3`, `a.rego and b.rego`."""
    named = [path for path in files if where == path or where.startswith((f"{path}:", f"{path} and "))]
    return max(named, key=len, default=None)


def _missing_tests(files: Mapping[str, bytes], left: Mapping[str, bytes]) -> list[PolicyProblem]:
    """Return the rules without a test beside them, and test files without tests."""
    problems = []
    for path in sorted(left):
        kind = kind_of(path)
        stem = path.removesuffix(".rego")
        if kind is FileKind.MODULE and "# METADATA" in left[path].decode("utf-8", "replace"):
            if f"{stem}_test.rego" not in files and f"{stem}_test.yaml" not in files:
                problems.append(
                    PolicyProblem(path, "the rule has no test", f"write {stem}_test.rego or {stem}_test.yaml beside it")
                )
        elif kind is FileKind.TEST and not find_tests(read_module(path, left[path])):
            problems.append(PolicyProblem(path, "the test file holds no test", "write rules called `test_… if { … }`"))
    return problems
