"""What is wrong with a policy set, all of it: for its author, who would rather read one list than meet one by one.

Reading a set stops at the first thing wrong. Here the file that it names is set aside and the rest is read again, so
that each broken file is named once; what then misses the file set aside is not a problem of its own.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass

from policyd.errors import PolicyError
from policyd.models.input import INPUT_OF_GATE
from policyd.policy.input_fields import find_input_fields
from policyd.policy.policy_files import FileKind, kind_of
from policyd.policy.policy_set import PolicySet, find_prefix, read_policy_set, touches
from policyd.policy.rego_text import find_references_in_code, find_tests, read_module
from policyd.policy.rule_collections import find_uncollected

_NAMING_RULES = (FileKind.COLLECTION, FileKind.SETTINGS)
MAX_PROBLEMS = 50  # beyond, the author has seen enough


@dataclass(frozen=True, slots=True, order=True)
class PolicyProblem:
    """One thing wrong: `where` is a file, or `file:line`."""

    where: str
    cause: str
    fix: str


def find_set_problems(
    files: Mapping[str, bytes], name: str, *, tests: bool = True
) -> tuple[list[PolicyProblem], PolicySet | None]:
    """Return what is wrong with the files of a set, and the set made of those that can be read, if any rule is left.

    A rule without a test is a problem, except where no `tests` can be there: a bundle holds none.
    """
    problems: list[PolicyProblem] = []
    left = dict(files)
    prefix = find_prefix(files)
    while len(problems) < MAX_PROBLEMS:
        try:
            policy_set = read_policy_set(left, name, prefix=prefix)
            missing = _missing_tests(files, left) if tests else []
            # Where a file was set aside, what names it leads nowhere for that reason alone.
            nowhere = [] if problems else _leading_nowhere(policy_set)
            unknown = _unknown_fields(policy_set)
            return [*problems, *missing, *nowhere, *unknown, *_uncollected(policy_set)], policy_set
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
                # Collections and settings would name the rule that was set aside.
                left = {path: content for path, content in left.items() if kind_of(path) not in _NAMING_RULES}
    return [*problems, *(_missing_tests(files, left) if tests else [])], None


def _file_of(where: str, files: Mapping[str, bytes]) -> str | None:
    """Return the file that a place names: `a.rego`, `a.rego:3`, `a.rego and b.rego`."""
    named = [path for path in files if where == path or where.startswith((f"{path}:", f"{path} and "))]
    return max(named, key=len, default=None)


def _uncollected(policy_set: PolicySet) -> list[PolicyProblem]:
    """Return the rules that no collection asks, where there are collections: such a rule is only asked by name."""
    return [
        PolicyProblem(
            policy_set.catalogue[rule_id].path,
            f"the rule {rule_id} is in no collection",
            "add its id to one of collections/*.json, or name one of their controls in its METADATA",
        )
        for rule_id in find_uncollected(policy_set.collections, policy_set.catalogue)
    ]


def _leading_nowhere(policy_set: PolicySet) -> list[PolicyProblem]:
    """Return the references below `data` to what is no package, setting or known fact: they are always undefined."""
    packages = [tuple(package.split(".")) for package in policy_set.packages.values()]
    return [
        PolicyProblem(
            path,
            f"data.{'.'.join(reference)} is not there, so what reads it is always undefined",
            "correct the name, or declare the setting in the METADATA of its rule",
        )
        for path, text in policy_set.modules.items()
        for reference in sorted(find_references_in_code(text))
        if not any(touches(reference, package) for package in packages) and not _is_data(reference, policy_set.data)
    ]


def _unknown_fields(policy_set: PolicySet) -> list[PolicyProblem]:
    """Return the fields of the input that rules name and their gate does not give: they are always undefined."""
    found = []
    for rule in policy_set.catalogue.values():
        given = INPUT_OF_GATE[rule.gate].model_fields
        for field in sorted(find_input_fields(policy_set.modules[rule.path]) - {""} - given.keys()):
            near = difflib.get_close_matches(field, given, n=1)
            found.append(
                PolicyProblem(
                    rule.path,
                    f"the gate {rule.gate.value} gives no input.{field}, so what reads it is always undefined",
                    f"did you mean input.{near[0]}?" if near else "policyd schema input shows what there is",
                )
            )
    return found


def _is_data(reference: tuple[str, ...], value: object) -> bool:
    """Say whether data holds what is named; below the name of a known fact, anything may be or not."""
    is_known_fact = reference[1:2] == ("known",)
    for name in reference[:3] if is_known_fact else reference:
        if not isinstance(value, dict):
            return True
        if name not in value:
            return False
        value = value[name]
    return True


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
