"""What conditions ask for in builds of pull requests and in others."""

from __future__ import annotations

import pytest

from policyd.pipeline.azure.conditions import (
    ANY,
    Known,
    asks_for_part,
    checks_spoofable_person,
    guards_under,
    is_always_true,
    narrow,
    parse_condition,
)

PULL = "pull-request"


@pytest.mark.parametrize(
    ("text", "builds", "guards"),
    [
        ("eq(variables['Build.Reason'], 'PullRequest')", {PULL}, ()),
        ("ne(variables['Build.Reason'], 'PullRequest')", {"other"}, ("event",)),
        ("in(variables['Build.Reason'], 'IndividualCI', 'BatchedCI')", {"other"}, ("event",)),
        ("notIn(variables['Build.Reason'], 'Schedule', 'PullRequest')", {"other"}, ("event",)),
        ("eq(variables['Build.SourceBranch'], 'refs/heads/main')", {"other"}, ("event", "protected")),
        ("and(succeeded(), eq(variables['build.sourcebranch'], 'REFS/heads/main'))", {"other"}, ("event", "protected")),
        ("ne(variables['Build.SourceBranch'], 'refs/heads/main')", {PULL, "other"}, ()),
        ("eq(variables['Build.SourceBranchName'], 'main')", {"other"}, ("event",)),
        ("startsWith(variables['Build.SourceBranch'], 'refs/heads/')", {"other"}, ("event",)),
        ("startsWith(variables['Build.SourceBranch'], 'refs/tags/')", {"other"}, ("event",)),
        ("startsWith(variables['Build.SourceBranch'], 'refs/pull/')", {PULL}, ()),
        ("not(startsWith(variables['Build.SourceBranch'], 'refs/pull/'))", {"other"}, ("event",)),
        ("startsWith(variables['Build.SourceBranch'], 'refs/')", {PULL, "other"}, ()),
        ("contains(variables['Build.SourceBranch'], 'release')", {"other"}, ("event",)),
        ("contains(variables['Build.SourceBranch'], 'pull')", {PULL, "other"}, ()),
        ("eq(variables['System.PullRequest.IsFork'], 'False')", {PULL, "other"}, ("same-repository",)),
        (
            "eq(variables['System.PullRequest.SourceRepositoryURI'], variables['Build.Repository.Uri'])",
            {PULL, "other"},
            ("same-repository",),
        ),
        (
            "ne(variables['System.PullRequest.SourceRepositoryURI'], variables['Build.Repository.Uri'])",
            {PULL, "other"},
            (),
        ),
        ("ne(variables['System.PullRequest.IsFork'], True)", {PULL, "other"}, ("same-repository",)),
        ("eq(variables['System.PullRequest.IsFork'], 'True')", {PULL}, ()),
        ("eq(variables['System.PullRequest.PullRequestId'], '')", {"other"}, ("event",)),
        ("eq(variables['System.PullRequest.TargetBranch'], 'refs/heads/main')", {PULL}, ()),
        ("eq(variables['Build.RequestedForEmail'], 'a@example.com')", {PULL, "other"}, ("actor",)),
        ("eq(variables['Build.RequestedFor'], 'Release Bot')", {PULL, "other"}, ()),
        (
            "or(eq(variables['Build.Reason'], 'Manual'), eq(variables['Build.SourceBranch'], 'refs/heads/main'))",
            {"other"},
            ("event",),
        ),
        (
            "or(ne(variables['Build.Reason'], 'PullRequest'), eq(variables['System.PullRequest.IsFork'], 'False'))",
            {PULL, "other"},
            ("same-repository",),
        ),
        ("eq(true, ne(variables['Build.Reason'], 'PullRequest'))", {"other"}, ("event",)),
        ("always()", {PULL, "other"}, ()),
        ("false", set(), ()),
        ("eq(variables.anything, 'x')", {PULL, "other"}, ()),
        ("eq(variables['Build.SourceBranch'], '${{ parameters.branch }}')", {PULL, "other"}, ()),
        ("and(succeeded(), ${{ eq(variables['Build.Reason'], 'Manual') }})", {"other"}, ("event",)),
        ("this is (none", {PULL, "other"}, ()),
    ],
)
def test_a_condition_leaves_builds_out_and_asks_for_more(text: str, builds: set[str], guards: tuple[str, ...]) -> None:
    reach = narrow(ANY, parse_condition(text).root)

    assert set(reach) == builds
    if builds:
        assert guards_under(reach, outside=True) == guards


def test_a_variable_that_is_a_condition_counts_as_one() -> None:
    root = parse_condition("eq(variables['Build.SourceBranch'], 'refs/heads/main')").root
    assert root is not None
    known = Known(roots={"ismain": root})
    for text in ("eq(variables.isMain, true)", "eq(variables['isMain'], 'True')", "variables.isMain"):
        assert set(narrow(ANY, parse_condition(text).root, known)) == {"other"}, text
    assert set(narrow(ANY, parse_condition("eq(variables.isMain, 'false')").root, known)) == {PULL, "other"}


def test_what_was_needed_counts_only_where_it_has_to_succeed() -> None:
    known = Known(needs=[{"other": frozenset(("protected",))}], results={"a": {"other": frozenset(("approval",))}})
    assert narrow(ANY, parse_condition("succeeded()").root, known) == {"other": {"protected"}}
    assert narrow(ANY, parse_condition("succeeded('A')").root, known) == {"other": {"approval"}}
    assert narrow(ANY, parse_condition("eq(dependencies.A.result, 'Succeeded')").root, known) == {"other": {"approval"}}
    assert set(narrow(ANY, parse_condition("always()").root, known)) == {PULL, "other"}
    either = "in(dependencies.A.result, 'Succeeded', 'Skipped')"
    assert set(narrow(ANY, parse_condition(either).root, known)) == {PULL, "other"}


@pytest.mark.parametrize(
    ("text", "always"),
    [
        ("eq(1, 1)", True),
        ("or(succeeded(), eq('a', 'A'))", True),
        ("ne('$(Build.Reason)', 'PullRequest')", True),
        ("or(always(), eq(variables.a, 'b'))", True),
        ("and(always(), eq(variables.a, 'b'))", False),
        ("not(always())", False),
        ("always()", False),
        ("true", False),
        ("and(true, succeeded())", False),
        ("eq('${{ parameters.a }}', 'b')", False),
        ("eq(variables.a, 'b')", False),
    ],
)
def test_a_condition_that_reads_nothing_is_always_true(text: str, always: bool) -> None:
    root = parse_condition(text).root
    assert root is not None
    assert is_always_true(root) is always


def test_names_that_persons_choose_are_no_check() -> None:
    asked = parse_condition("eq(variables['Build.RequestedFor'], 'dependabot[bot]')").root
    sound = parse_condition("eq(variables['Build.RequestedForId'], '1')").root
    assert asked is not None
    assert sound is not None
    assert checks_spoofable_person(asked)
    assert not checks_spoofable_person(sound)


def test_a_list_written_as_a_text_is_no_list() -> None:
    listed = parse_condition("contains('refs/heads/main refs/heads/dev', variables['Build.SourceBranch'])").root
    searched = parse_condition("contains(variables['Build.SourceVersionMessage'], 'skip ci')").root
    assert listed is not None
    assert searched is not None
    assert asks_for_part(listed)
    assert not asks_for_part(searched)


@pytest.mark.parametrize(
    ("text", "always"),
    [
        ("or(ne(variables.a, 'x'), ne(variables.a, 'y'))", True),
        ("or(ne(variables.a, 'x'), ne(variables.A, 'X'))", False),
        ("or(ne(variables.a, 'x'), ne(variables.b, 'y'))", False),
        ("and(ne(variables.a, 'x'), ne(variables.a, 'y'))", False),
    ],
)
def test_one_of_two_inequalities_always_holds(text: str, always: bool) -> None:
    root = parse_condition(text).root

    assert root is not None
    assert is_always_true(root) is always


@pytest.mark.parametrize(
    "condition",
    [
        "contains(variables['Build.SourceBranch'], 'main')",
        "and(succeeded(), contains(variables['Build.SourceBranchName'], 'release'))",
        "endsWith(variables['Build.SourceBranch'], '/master')",
        "startsWith(variables['Build.SourceBranch'], 'refs/heads/main')",
    ],
)
def test_a_branch_whose_name_only_holds_the_right_one_passes(condition: str) -> None:
    root = parse_condition(condition).root
    assert root is not None
    assert asks_for_part(root)


@pytest.mark.parametrize(
    "condition",
    [
        "startsWith(variables['Build.SourceBranch'], 'refs/heads/release/')",
        "contains(variables['Build.SourceBranch'], 'refs/tags/')",
        "not(contains(variables['Build.SourceBranch'], 'main'))",
        "eq(variables['Build.SourceBranch'], 'refs/heads/main')",
        "contains(variables['Agent.OS'], 'main')",
        "contains(variables['Build.SourceBranch'], 'feature')",
    ],
)
def test_a_folder_of_branches_and_other_texts_are_fine(condition: str) -> None:
    root = parse_condition(condition).root
    assert root is not None
    assert not asks_for_part(root)
