"""What an `if` asks for, event by event: "-" where it can't hold, else the guards."""

from __future__ import annotations

import pytest

from policyd.pipeline.github.conditions import (
    Known,
    can_change_behind_label,
    guards_under,
    narrow,
    required,
    runs_after_failure,
)
from policyd.pipeline.github.expressions import Node, parse_expression

TARGET = "pull_request_target"
ASSOCIATION = "github.event.comment.author_association"
OWN = "github.event_name == 'push' || github.event.pull_request.head.repo.full_name == github.repository"


def _root(text: str) -> Node:
    root = parse_expression(text).root
    assert root is not None
    return root


def _asks(text: str, event: str, known: Known | None = None) -> str:
    guards = required(_root(text), event, known or Known({}, {}))
    return "-" if guards is None else " ".join(sorted(guard for guard in guards if guard != "labeled"))


@pytest.mark.parametrize(
    ("condition", "event", "asks"),
    [
        # Events.
        ("github.event_name == 'push'", TARGET, "-"),
        ("github.event_name == 'PUSH'", "push", ""),
        ("github.event_name != 'push'", TARGET, ""),
        ("!(github.event_name == 'push')", "push", "-"),
        ("github.event_name == 'push'", "workflow_call", "event"),
        ("github.event_name == 'pull_request_target'", "workflow_call", ""),
        ("startsWith(github.event_name, 'pull_request')", "push", "-"),
        ("startsWith(github.event_name, 'pull_request')", TARGET, ""),
        ("contains(fromJSON('[\"push\", \"schedule\"]'), github.event_name)", TARGET, "-"),
        ("contains(fromJSON('[\"push\", \"schedule\"]'), github.event_name)", "push", ""),
        ("contains('push schedule', github.event_name)", TARGET, "-"),
        ("false", "push", "-"),
        ("true", "push", ""),
        ("github.event.pull_request", "push", "-"),
        ("!github.event.pull_request", TARGET, "-"),
        ("github.head_ref == 'x'", "push", "-"),
        ("github.event.pull_request.title == 'x'", "push", "-"),
        ("github.event.workflow_run.event == 'push'", "workflow_run", "event"),
        ("github.event.workflow_run.event == 'pull_request'", "workflow_run", ""),
        ("github.event.workflow_run.event != 'pull_request'", "workflow_run", "event"),
        ("github.event.workflow_run.conclusion == 'success'", "workflow_run", ""),
        ("github.event.workflow_run.head_branch == 'main'", "workflow_run", ""),
        # Refs.
        ("github.ref == 'refs/heads/main'", "pull_request", "-"),
        ("github.ref == 'refs/heads/main'", "push", "protected"),
        ("github.ref == 'refs/heads/main'", TARGET, ""),
        ("github.ref != 'refs/heads/main'", "push", ""),
        ("startsWith(github.ref, 'refs/tags/')", "pull_request", "-"),
        ("startsWith(github.ref, 'refs/')", "pull_request", ""),
        ("github.ref_protected", "push", "protected"),
        ("github.ref_protected == 'true'", "pull_request", "-"),
        # Forks.
        ("github.event.pull_request.head.repo.full_name == github.repository", TARGET, "same-repository"),
        ("github.repository == github.event.pull_request.head.repo.full_name", TARGET, "same-repository"),
        ("github.event.pull_request.head.repo.full_name == 'o/r'", TARGET, "same-repository"),
        ("github.event.pull_request.head.repo.full_name != github.repository", TARGET, ""),
        ("github.event.pull_request.head.repo.fork == false", TARGET, "same-repository"),
        ("github.event.pull_request.head.repo.fork == 'true'", TARGET, ""),
        ("!github.event.pull_request.head.repo.fork", TARGET, "same-repository"),
        ("github.event.pull_request.head.repo.fork", TARGET, ""),
        ("github.event.pull_request.head.user.login == 'o'", TARGET, "same-repository"),
        ("github.event.workflow_run.head_repository.full_name == github.repository", "workflow_run", "same-repository"),
        ("startsWith(github.event.pull_request.head.label, 'o:')", TARGET, "same-repository"),
        ("startsWith(github.event.pull_request.head.label, 'o')", TARGET, ""),
        # Actors.
        ("github.actor == 'octocat'", TARGET, "actor"),
        ("github.actor != 'octocat'", TARGET, ""),
        ("github.actor == 'dependabot[bot]'", TARGET, ""),
        ("github.actor_id == 49699333", TARGET, ""),
        ("github.event.pull_request.user.login == 'dependabot[bot]'", TARGET, "actor"),
        ("github.event.comment.user.login == 'octocat'", "issue_comment", "actor"),
        ("github.event.comment.user.login == github.event.issue.user.login", "issue_comment", ""),
        ("github.actor == github.repository_owner", TARGET, "actor"),
        ("contains(fromJSON('[\"a\", \"b\"]'), github.actor)", TARGET, "actor"),
        ("contains(fromJSON(vars.ADMINS), github.actor)", TARGET, "actor"),
        ("contains('alice,bob', github.actor)", TARGET, ""),
        # Associations.
        ("github.event.comment.author_association == 'OWNER'", "issue_comment", "association"),
        ("github.event.comment.author_association == 'CONTRIBUTOR'", "issue_comment", ""),
        ("github.event.comment.author_association != 'NONE'", "issue_comment", ""),
        (f"contains(fromJSON('[\"OWNER\", \"MEMBER\"]'), {ASSOCIATION})", "issue_comment", "association"),
        (f"contains(fromJSON('[\"OWNER\", \"CONTRIBUTOR\"]'), {ASSOCIATION})", "issue_comment", ""),
        ("contains('OWNER MEMBER', github.event.comment.author_association)", "issue_comment", "association"),
        ("contains('OWNER CONTRIBUTOR', github.event.comment.author_association)", "issue_comment", ""),
        # Labels, comments, merges.
        ("contains(github.event.pull_request.labels.*.name, 'safe')", TARGET, "label"),
        ("!contains(github.event.pull_request.labels.*.name, 'unsafe')", TARGET, ""),
        ("contains(join(github.event.pull_request.labels.*.name, ','), 'safe')", TARGET, "label"),
        ("contains(toJSON(github.event.pull_request.labels), 'safe')", TARGET, "label"),
        ("github.event.label.name == 'safe'", TARGET, "label"),
        ("github.event.action == 'labeled'", TARGET, "label"),
        ("github.event.action == 'opened'", TARGET, ""),
        ("startsWith(github.event.comment.body, '/deploy')", "issue_comment", "comment"),
        ("github.event.comment.body == '/deploy'", "issue_comment", "comment"),
        ("github.event.comment.body != '/deploy'", "issue_comment", ""),
        ("github.event.pull_request.merged", TARGET, "merged"),
        ("github.event.pull_request.merged == true", TARGET, "merged"),
        ("github.event.pull_request.merged == 'false'", TARGET, ""),
        ("github.event.pull_request.merged_at != null", TARGET, "merged"),
        # Together.
        ("github.actor == 'a' && github.event.label.name == 'b'", TARGET, "actor label"),
        ("github.actor == 'a' || github.event.label.name == 'b'", TARGET, ""),
        ("github.actor == 'a' || (github.actor == 'b' && github.event.label.name == 'c')", TARGET, "actor"),
        ("!(github.actor != 'a' || github.event.pull_request.head.repo.fork)", TARGET, "actor same-repository"),
        (OWN, TARGET, "same-repository"),
        (OWN, "push", ""),
        ("success() && github.actor == 'a'", TARGET, "actor"),
        ("(github.actor == 'a') == true", TARGET, "actor"),
        ("contains(github.event.comment.body, 'x') == false", "issue_comment", ""),
    ],
)  # fmt: skip
def test_a_condition_says_what_it_asks_for_under_an_event(condition: str, event: str, asks: str) -> None:
    assert _asks(condition, event) == asks


@pytest.mark.parametrize(
    ("condition", "asks"),
    [
        ("steps.check.outputs.permitted == 'true'", "permission"),
        ("steps.check.outputs.permitted", "permission"),
        ("steps.check.outputs.level != 'none'", "permission"),
        ("steps.check.outputs.permitted == 'false'", ""),
        ("steps.check.outputs.level == 'read'", ""),
        ("!steps.check.outputs.permitted", ""),
        ("steps.other.outputs.permitted == 'true'", ""),
        ("needs.auth.result == 'success'", "association"),
        ("needs.auth.result != 'success'", ""),
        ("needs.auth.result == 'skipped'", ""),
        ("always() && needs.auth.result == 'success'", "association"),
    ],
)
def test_what_earlier_steps_found_out_is_asked_for(condition: str, asks: str) -> None:
    known = Known({"steps.check.outputs": "permission"}, {"auth": {TARGET: frozenset(("association",))}})

    assert _asks(condition, TARGET, known) == asks


def test_an_outsider_meets_what_all_events_that_one_can_cause_ask_for() -> None:
    reach = {"push": frozenset[str](), TARGET: frozenset(("actor", "label")), "issues": frozenset(("actor",))}

    assert guards_under(reach) == ("actor",)  # type: ignore[arg-type]


def test_events_that_cannot_meet_a_condition_are_gone() -> None:
    reach = {"push": frozenset[str](), TARGET: frozenset[str]()}

    assert list(narrow(reach, _root("github.event_name == 'push'"))) == ["push"]  # type: ignore[arg-type]
    assert narrow(reach, None) == reach  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("condition", "stale"),
    [
        ("contains(github.event.pull_request.labels.*.name, 'safe')", True),
        ("github.event.label.name == 'safe'", False),
        ("github.event.action == 'labeled' && contains(github.event.pull_request.labels.*.name, 'safe')", False),
        ("github.actor == 'a'", False),
    ],
)
def test_a_label_that_was_put_on_before_says_nothing_of_the_code_now(condition: str, stale: bool) -> None:
    assert can_change_behind_label(narrow({TARGET: frozenset()}, _root(condition))) is stale


@pytest.mark.parametrize(
    ("condition", "after"),
    [("always() && x", True), ("!cancelled()", True), ("failure()", True), ("success() && x", False), ("x", False)],
)
def test_conditions_that_let_something_run_after_a_failure(condition: str, after: bool) -> None:
    assert runs_after_failure(_root(condition)) is after
