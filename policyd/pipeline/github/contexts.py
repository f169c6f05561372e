"""What GitHub's contexts hold: whose text, whose code, and under which events.

`github.head_ref` is an outsider's text in a run that a pull request started and empty in one that a push started. So
each context is listed with the events that carry it. A run whose event is not known here (a reusable workflow runs
under the events of its callers, an action under those of whoever uses it) may carry any of them.

Sources: docs.github.com "Contexts reference", "Script injections", "Events that trigger workflows", "Webhook events
and payloads".
"""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache
from typing import NamedTuple

from policyd.pipeline.github.trust import EVENTS

#: The event of a run that can be any.
ANY_EVENT = "*"

_PULL_REQUEST = frozenset(("pull_request", "pull_request_target"))
_PULL = _PULL_REQUEST | {"pull_request_review", "pull_request_review_comment"}
_ISSUE = frozenset(("issues", "issue_comment"))
_DISCUSSION = frozenset(("discussion", "discussion_comment"))
_COMMENT = frozenset(("issue_comment", "pull_request_review_comment", "discussion_comment"))
_RUN = frozenset(("workflow_run",))
_CHECK = frozenset(("check_suite", "check_run"))
_DISPATCH = frozenset(("repository_dispatch",))
#: Events whose `github.ref` is the merge of a pull request, and whose `github.sha` its commit.
MERGE_EVENTS = frozenset(("pull_request", "pull_request_review", "pull_request_review_comment"))
#: Events that run on the default branch or on the base of a pull request, whoever causes them.
BASE_EVENTS = (
    frozenset(("pull_request_target", "workflow_run", "issue_comment", "issues", "fork", "watch", "gollum", "schedule"))
    | _DISCUSSION
)


def _person(*paths: str) -> tuple[str, ...]:
    return tuple(f"{path}.{field}" for path in paths for field in ("name", "email"))


#: What an outsider writes freely, by the events that carry it. `*` stands for any one step.
OUTSIDERS_TEXTS: dict[frozenset[str], tuple[str, ...]] = {
    _PULL_REQUEST: ("github.head_ref",),
    _PULL: (
        "github.event.pull_request.title",
        "github.event.pull_request.body",
        "github.event.pull_request.head.ref",
        "github.event.pull_request.head.label",
        "github.event.pull_request.head.repo.default_branch",
        "github.event.pull_request.head.repo.description",
        "github.event.pull_request.head.repo.homepage",
    ),
    _PULL_REQUEST | _ISSUE | {"discussion"}: (
        "github.event.changes.body.from",
        "github.event.changes.title.from",
        "github.event.changes.head.ref.from",
    ),
    _ISSUE: ("github.event.issue.title", "github.event.issue.body"),
    _DISCUSSION: ("github.event.discussion.title", "github.event.discussion.body"),
    _COMMENT: ("github.event.comment.body",),
    frozenset(("pull_request_review",)): ("github.event.review.body",),
    frozenset(("pull_request_review_comment",)): (
        "github.event.review_comment.body",
        "github.event.comment.path",
        "github.event.comment.diff_hunk",
    ),
    frozenset(("fork",)): (
        "github.event.forkee.description",
        "github.event.forkee.homepage",
        "github.event.forkee.default_branch",
    ),
    frozenset(("gollum",)): ("github.event.pages.*.page_name", "github.event.pages.*.title"),
    frozenset(("push",)): (
        "github.event.commits.*.message",
        "github.event.head_commit.message",
        *_person(
            "github.event.commits.*.author",
            "github.event.commits.*.committer",
            "github.event.head_commit.author",
            "github.event.head_commit.committer",
        ),
    ),
    frozenset(("merge_group",)): (
        "github.event.merge_group.head_commit.message",
        *_person("github.event.merge_group.head_commit.author", "github.event.merge_group.head_commit.committer"),
    ),
    _RUN: (
        "github.event.workflow_run.head_branch",
        "github.event.workflow_run.display_title",
        "github.event.workflow_run.head_repository.description",
        "github.event.workflow_run.head_commit.message",
        "github.event.workflow_run.pull_requests.*.head.ref",
        *_person("github.event.workflow_run.head_commit.author", "github.event.workflow_run.head_commit.committer"),
    ),
    _CHECK: (
        "github.event.check_suite.head_branch",
        "github.event.check_run.check_suite.head_branch",
        "github.event.check_suite.pull_requests.*.head.ref",
        "github.event.check_run.pull_requests.*.head.ref",
    ),
    _DISPATCH: (
        "github.event.client_payload.pull_request.title",
        "github.event.client_payload.pull_request.body",
        "github.event.client_payload.pull_request.head.ref",
    ),
}
_TEXTS: dict[tuple[str, ...], frozenset[str]] = {
    tuple(path.split(".")): events for events, paths in OUTSIDERS_TEXTS.items() for path in paths
}
_PAYLOAD = ("github", "event", "client_payload")

_REFS = ("github.ref", "github.ref_name", "github.event.ref", "github.event.base_ref")
#: What somebody with write access names freely, by the events that carry it: branches, tags, releases, payloads.
_MEMBERS_TEXTS: dict[str, frozenset[str]] = {
    **dict.fromkeys(
        _REFS,
        frozenset(("push", "create", "delete", "release", "workflow_dispatch", "registry_package"))
        | {"deployment", "deployment_status", "pull_request_target"},
    ),
    "github.base_ref": _PULL_REQUEST,
    "github.event.pull_request.base.ref": _PULL,
    "github.event.release.tag_name": frozenset(("release",)),
    "github.event.release.name": frozenset(("release",)),
    "github.event.release.body": frozenset(("release",)),
    "github.event.release.target_commitish": frozenset(("release",)),
    "github.event.deployment.ref": frozenset(("deployment", "deployment_status")),
    "github.event.deployment.environment": frozenset(("deployment", "deployment_status")),
    "github.event.deployment.description": frozenset(("deployment", "deployment_status")),
    "github.event.label.name": _PULL_REQUEST | _ISSUE | _DISCUSSION | {"label"},
    "github.event.milestone.title": frozenset(("milestone", "issues")),
    "github.event.merge_group.head_ref": frozenset(("merge_group",)),
}


class Code(NamedTuple):
    """A context that names code of an outsider. `mutable` if what it names can change after the event."""

    events: frozenset[str]
    mutable: bool


#: Contexts that name the code or repository of an outsider, by their beginning; the first that fits counts.
_CODE: tuple[tuple[str, Code], ...] = (
    ("github.head_ref", Code(_PULL_REQUEST, mutable=True)),
    ("github.event.pull_request.head.sha", Code(_PULL, mutable=False)),
    ("github.event.pull_request.head.", Code(_PULL, mutable=True)),
    ("github.event.pull_request.merge_commit_sha", Code(_PULL, mutable=False)),
    ("github.event.pull_request.diff_url", Code(_PULL, mutable=True)),
    ("github.event.pull_request.patch_url", Code(_PULL, mutable=True)),
    ("github.event.after", Code(_PULL_REQUEST, mutable=False)),
    ("github.event.workflow_run.head_sha", Code(_RUN, mutable=False)),
    ("github.event.workflow_run.head_commit.id", Code(_RUN, mutable=False)),
    ("github.event.workflow_run.pull_requests.*.head.sha", Code(_RUN, mutable=False)),
    ("github.event.workflow_run.head_", Code(_RUN, mutable=True)),
    ("github.event.workflow_run.pull_requests", Code(_RUN, mutable=True)),
    ("github.event.check_suite.head_sha", Code(_CHECK, mutable=False)),
    ("github.event.check_suite.head_", Code(_CHECK, mutable=True)),
    ("github.event.check_run.head_sha", Code(_CHECK, mutable=False)),
    ("github.event.check_run.check_suite.head_", Code(_CHECK, mutable=True)),
    ("github.event.issue.pull_request", Code(_ISSUE, mutable=True)),
    ("github.event.client_payload.pull_request.head.sha", Code(_DISPATCH, mutable=False)),
    ("github.event.client_payload.pull_request.head.", Code(_DISPATCH, mutable=True)),
)
_OF_THE_RUN = {
    "github.sha": Code(MERGE_EVENTS, mutable=False),
    "github.ref": Code(MERGE_EVENTS, mutable=True),
    "github.ref_name": Code(MERGE_EVENTS, mutable=True),
}

#: The number of a pull or merge request: with `pull/` before it, it names code.
NUMBERS = ("github.event.number", "github.event.pull_request.number", "github.event.issue.number")

#: Which events carry the objects of `github.event`.
_CARRIERS: dict[str, frozenset[str]] = {
    "pull_request": _PULL,
    "issue": _ISSUE,
    "comment": _COMMENT,
    "review": frozenset(("pull_request_review",)),
    "discussion": _DISCUSSION,
    "workflow_run": _RUN,
    "check_suite": _CHECK,
    "check_run": _CHECK,
    "release": frozenset(("release",)),
    "client_payload": _DISPATCH,
    "head_commit": frozenset(("push",)),
    "commits": frozenset(("push",)),
    "pages": frozenset(("gollum",)),
    "label": _PULL_REQUEST | _ISSUE | _DISCUSSION | {"label"},
}


def is_any(event: str) -> bool:
    """Say whether a run of this event may be one of any event: its caller's, or one that is not known."""
    return event in (ANY_EVENT, "workflow_call") or event not in EVENTS


def carried(events: frozenset[str], by: Collection[str]) -> frozenset[str]:
    """Return which of the events `by` can carry something that `events` carry."""
    return frozenset(event for event in by if event in events or is_any(event))


def can_carry(context: str, event: str) -> bool:
    """Say whether a context can hold anything under an event."""
    if is_any(event):
        return True
    if context in ("github.head_ref", "github.base_ref"):
        return event in _PULL_REQUEST
    steps = context.split(".", 3)
    if len(steps) < 3 or steps[:2] != ["github", "event"] or steps[2] not in _CARRIERS:
        return True
    return event in _CARRIERS[steps[2]]


@lru_cache(maxsize=2048)
def find_text_events(context: str, *, whole: bool = False) -> frozenset[str]:
    """Return the events under which `context` holds a text that an outsider writes; none if it never does.

    `whole` asks of an object whether such a text is in it.
    """
    path = tuple(context.split("."))
    if path[0] != "github":
        return frozenset()
    if path in _TEXTS:
        return _TEXTS[path]
    found: frozenset[str] = frozenset()
    for known, events in _TEXTS.items():
        # What a member hands over need not hold a pull request, unless that is asked for.
        shortest = len(_PAYLOAD) + 1 if known[: len(_PAYLOAD)] == _PAYLOAD else 0
        fits = len(path) == len(known) or (whole and shortest <= len(path) < len(known))
        if fits and all(step in (name, "*") or name == "*" for step, name in zip(path, known, strict=False)):
            found |= events
    return found


@lru_cache(maxsize=2048)
def find_member_events(context: str) -> frozenset[str]:
    """Return the events under which `context` holds a text that a member chooses freely; none if it never does."""
    if tuple(context.split(".", 3)[:3]) == _PAYLOAD:
        return _DISPATCH
    return _MEMBERS_TEXTS.get(context, frozenset())


def names_ref(context: str) -> bool:
    """Say whether a context holds the branch or tag of the run, so that filters of the trigger limit it."""
    return context in _REFS or context in ("github.base_ref", "github.event.pull_request.base.ref")


@lru_cache(maxsize=2048)
def find_code(context: str) -> Code | None:
    """Return under which events `context` names code of an outsider, `None` if it never does."""
    if context in _OF_THE_RUN:
        return _OF_THE_RUN[context]
    return next((code for beginning, code in _CODE if context.startswith(beginning)), None)
