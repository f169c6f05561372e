"""Which pipelines a job is part of: rules weighed for every way in which a GitLab pipeline starts.

Each way is a `Scenario`: what predefined variables hold then. A job is part of it unless its conditions exclude that
for sure. What has to hold before an outsider's change reaches a job (`guards`) is found the same way: by a scenario
where it does not hold, which then has to exclude the job.

Who starts what: a merge request of a fork runs in the fork, unless a member starts its pipeline in the parent project,
where it then has the project's variables that are not protected. So merge request pipelines hold an outsider's code.

Sources: docs.gitlab.com "Merge request pipelines", "Specify when jobs run with rules", "Deprecated keywords" (`only`,
`except`), "CI/CD YAML syntax reference" (`workflow`), "External pull request pipelines".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from policyd.models.facts import Guard, Trust
from policyd.pipeline.gitlab.conditions import (
    ANYTHING,
    PRESENT,
    Condition,
    Symbol,
    Value,
    parse_condition,
    read_pattern,
    weigh,
)

#: Names of branches that projects protect. GitLab protects the default branch by itself.
PROTECTED_NAMES = frozenset(("main", "master", "trunk", "production", "prod", "stable", "release"))
_DEFAULT = Symbol("the default branch")
_FEATURE = Symbol("some unprotected branch", PROTECTED_NAMES)
_OWN, _FORK = Symbol("the project"), Symbol("a fork", frozenset())
_OUTSIDER = Symbol("somebody whom no file names", frozenset())
_NOT_MERGE_REQUEST = ("CI_MERGE_REQUEST_", "CI_EXTERNAL_PULL_REQUEST_")


@dataclass(frozen=True, slots=True)
class Scenario:
    """One way a pipeline starts. `missing` are beginnings of the variables that are not set then."""

    name: str
    event: str
    trust: Trust
    values: Mapping[str, Value]
    missing: tuple[str, ...] = _NOT_MERGE_REQUEST
    kind: str = "branch"  # what `only` calls it: branch, tag or merge request
    unprotected: bool = False

    def value(self, name: str) -> Value:
        """Return what a variable holds."""
        if name in self.values:
            return self.values[name]
        if name in _COMMON:
            return _COMMON[name]
        return None if name.startswith(self.missing) else ANYTHING


_COMMON: Mapping[str, Value] = {
    "CI": "true",
    "GITLAB_CI": "true",
    "CI_DEFAULT_BRANCH": _DEFAULT,
    "CI_COMMIT_SHA": PRESENT,
    "CI_PROJECT_PATH": _OWN,
    "CI_PROJECT_ID": _OWN,
    "CI_PROJECT_URL": _OWN,
    "GITLAB_USER_LOGIN": PRESENT,
}


def _branch(source: str, branch: Value, protected: Value) -> dict[str, Value]:
    return {
        "CI_PIPELINE_SOURCE": source,
        "CI_COMMIT_BRANCH": branch,
        "CI_COMMIT_REF_NAME": branch,
        "CI_COMMIT_REF_PROTECTED": protected,
        "CI_COMMIT_TAG": None,
    }


def _anywhere(source: str) -> dict[str, Value]:
    return {"CI_PIPELINE_SOURCE": source, "CI_COMMIT_REF_NAME": PRESENT}


def _merge_request(project: Symbol, **more: Value) -> dict[str, Value]:
    # Protected only where both branches are, which a fork's never is.
    return {
        "CI_PIPELINE_SOURCE": "merge_request_event",
        "CI_COMMIT_BRANCH": None,
        "CI_COMMIT_TAG": None,
        "CI_COMMIT_REF_NAME": _FEATURE,
        "CI_COMMIT_REF_PROTECTED": "false",
        "CI_MERGE_REQUEST_ID": PRESENT,
        "CI_MERGE_REQUEST_IID": PRESENT,
        "CI_MERGE_REQUEST_TITLE": PRESENT,
        "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME": _FEATURE,
        "CI_MERGE_REQUEST_SOURCE_BRANCH_PROTECTED": "false",
        "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": PRESENT,
        "CI_MERGE_REQUEST_PROJECT_ID": _OWN,
        "CI_MERGE_REQUEST_PROJECT_PATH": _OWN,
        "CI_MERGE_REQUEST_PROJECT_URL": _OWN,
        "CI_MERGE_REQUEST_SOURCE_PROJECT_ID": project,
        "CI_MERGE_REQUEST_SOURCE_PROJECT_PATH": project,
        "CI_MERGE_REQUEST_SOURCE_PROJECT_URL": project,
        **more,
    }


_EXTERNAL = ("CI_EXTERNAL_PULL_REQUEST_",)
_OUTSIDER_STARTS: dict[str, Value] = dict.fromkeys(
    ("GITLAB_USER_LOGIN", "GITLAB_USER_ID", "GITLAB_USER_NAME", "GITLAB_USER_EMAIL", "CI_COMMIT_AUTHOR"), _OUTSIDER
)
OWN_MERGE_REQUEST = Scenario(
    "own merge request", "merge_request_event", "untrusted", _merge_request(_OWN), _EXTERNAL, "merge request", True
)
FORK_MERGE_REQUEST = Scenario(
    "merge request of a fork",
    "merge_request_event",
    "untrusted",
    _merge_request(_FORK),
    _EXTERNAL,
    "merge request",
    unprotected=True,
)
EXTERNAL_PULL_REQUEST = Scenario(
    "external pull request",
    "external_pull_request_event",
    "untrusted",
    _branch("external_pull_request_event", _FEATURE, "false") | {"CI_EXTERNAL_PULL_REQUEST_IID": PRESENT},
    ("CI_MERGE_REQUEST_",),
    unprotected=True,
)
_PUSHED = Scenario("push", "push", "internal", _branch("push", _DEFAULT, "true"))
_PUSHED_ELSEWHERE = Scenario(
    "push to some branch", "push", "internal", _branch("push", _FEATURE, "false"), unprotected=True
)
_TAGGED = Scenario(
    "tag",
    "push",
    "internal",
    {
        "CI_PIPELINE_SOURCE": "push",
        "CI_COMMIT_BRANCH": None,
        "CI_COMMIT_TAG": PRESENT,
        "CI_COMMIT_REF_NAME": PRESENT,
        "CI_COMMIT_REF_PROTECTED": "false",
    },
    kind="tag",
    unprotected=True,
)
_STARTED_ELSEWHERE = Scenario(
    "started for some branch", "web", "internal", _branch("web", _FEATURE, "false"), unprotected=True
)
#: All ways a pipeline starts, in the order in which triggers are listed.
SCENARIOS: tuple[Scenario, ...] = (
    _PUSHED,
    _PUSHED_ELSEWHERE,
    _TAGGED,
    OWN_MERGE_REQUEST,
    FORK_MERGE_REQUEST,
    EXTERNAL_PULL_REQUEST,
    Scenario("schedule", "schedule", "trusted", _anywhere("schedule")),
    Scenario("web", "web", "internal", _anywhere("web")),
    _STARTED_ELSEWHERE,
    Scenario("API", "api", "internal", _anywhere("api")),
    Scenario("trigger token", "trigger", "internal", _anywhere("trigger")),
    Scenario("other project", "pipeline", "internal", _anywhere("pipeline")),
    Scenario("parent pipeline", "parent_pipeline", "unknown", _anywhere("parent_pipeline"), missing=()),
    Scenario("chat", "chat", "internal", _anywhere("chat")),
)
_UNLABELLED = Scenario(
    "unlabelled",
    "merge_request_event",
    "untrusted",
    _merge_request(_OWN, CI_MERGE_REQUEST_LABELS=""),
    _EXTERNAL,
    "merge request",
)
_BY_OUTSIDER = Scenario(
    "by an outsider",
    "merge_request_event",
    "untrusted",
    _merge_request(_OWN, **_OUTSIDER_STARTS),
    _EXTERNAL,
    "merge request",
)
#: A push to a branch that a merge request is open for, and what GitLab starts for that request beside it.
_PUSHED_WITH_REQUEST = Scenario(
    "push to a branch with an open merge request",
    "push",
    "internal",
    _branch("push", _FEATURE, "false") | {"CI_OPEN_MERGE_REQUESTS": PRESENT},
)
_UNPROTECTED = tuple(scenario for scenario in SCENARIOS if scenario.unprotected)

NEVER, MANUAL = "never", "manual"
_HELD_BACK = frozenset((NEVER, MANUAL))
#: `only` and `except` words for how a pipeline starts.
_SOURCES = {
    "api": "api",
    "chat": "chat",
    "external": "external",
    "external_pull_requests": "external_pull_request_event",
    "merge_requests": "merge_request_event",
    "pipelines": "pipeline",
    "pushes": "push",
    "schedules": "schedule",
    "triggers": "trigger",
    "web": "web",
}
EVENT_OF_WORD: Mapping[str, str] = _SOURCES
EVENTS = tuple(dict.fromkeys(scenario.event for scenario in SCENARIOS))
#: Variables that GitLab itself sets; others are set by members.
_PREDEFINED = ("CI_", "GITLAB_", "CHAT_", "TRIGGER_")


class Rule(NamedTuple):
    """One entry of `rules`: its condition (`None` for none, with `readable` where there is one), and what follows."""

    condition: str
    depends: bool  # on files that changed or exist
    when: str


@dataclass(frozen=True, slots=True)
class Policy:
    """`only` or `except`: what it names, as written. `None` where a part is not there."""

    refs: tuple[str, ...] | None = None
    variables: tuple[str, ...] | None = None
    depends: bool = False  # on files or a cluster


@dataclass(frozen=True, slots=True)
class Admission:
    """When a job is part of a pipeline: by `rules`, or by `only` and `except`, or always."""

    rules: tuple[Rule, ...] | None = None
    only: Policy | None = None
    excluded: Policy | None = None
    when: str = "on_success"


@dataclass(slots=True)
class Weigher:
    """Weighs admissions; remembers conditions and answers, since most jobs share theirs."""

    workflow: tuple[Rule, ...] | None = None
    outside: tuple[Scenario, ...] = (OWN_MERGE_REQUEST, FORK_MERGE_REQUEST)
    written: Mapping[str, str] = field(default_factory=dict)  # variables of the whole pipeline
    _parsed: dict[str, Condition | None] = field(default_factory=dict)
    _answers: dict[tuple[str, str], bool | None] = field(default_factory=dict)
    _outcomes: dict[tuple[Admission, str], frozenset[str]] = field(default_factory=dict)
    _guards: dict[Admission, tuple[Guard, ...]] = field(default_factory=dict)

    def parsed(self, text: str) -> Condition | None:
        """Return the condition in `text`; `None` where it can't be read."""
        if text not in self._parsed:
            self._parsed[text] = parse_condition(text)
        return self._parsed[text]

    def starts(self, scenario: Scenario) -> bool:
        """Say whether there is a pipeline at all."""
        return self.workflow is None or any(
            when != NEVER for when in self._of_rules(self.workflow, scenario, "on_success")
        )

    def outcomes(self, admission: Admission, scenario: Scenario) -> frozenset[str]:
        """Return what can become of a job (`on_success`, `manual`, …, `never`)."""
        key = (admission, scenario.name)
        found = self._outcomes.get(key)
        if found is None:
            found = self._outcomes[key] = self._weigh(admission, scenario)
        return found

    def runs(self, admission: Admission, scenario: Scenario) -> bool:
        """Say whether a job can be part of a pipeline."""
        return any(when != NEVER for when in self.outcomes(admission, scenario))

    def runs_twice(self, admission: Admission) -> bool:
        """Say whether a push starts a job for the branch and again for its merge request."""
        for scenario in (_PUSHED_WITH_REQUEST, OWN_MERGE_REQUEST):
            starts = self._of_rules(self.workflow, scenario, "on_success") if self.workflow is not None else ()
            if not _HELD_BACK.isdisjoint((*starts, *self.outcomes(admission, scenario))):
                return False
        return True

    def guards(self, admission: Admission) -> tuple[Guard, ...]:
        """Return what has to hold before an outsider's change, or else anyone's, reaches a job."""
        found = self._guards.get(admission)
        if found is None:
            found = self._guards[admission] = tuple(self._find_guards(admission))
        return found

    def _find_guards(self, admission: Admission) -> Iterable[Guard]:
        outside = [scenario for scenario in self.outside if self.runs(admission, scenario)]
        running = outside or [scenario for scenario in SCENARIOS if self.runs(admission, scenario)]
        if running and all(self.outcomes(admission, scenario) <= {MANUAL, NEVER} for scenario in running):
            yield "approval"
        if OWN_MERGE_REQUEST in outside:
            if not self.runs(admission, _UNLABELLED):
                yield "label"
            if not self.runs(admission, _BY_OUTSIDER):
                yield "actor"
            if not self.runs(admission, FORK_MERGE_REQUEST):
                yield "same-repository"
        if running and not any(self.runs(admission, scenario) for scenario in _UNPROTECTED):
            yield "protected"

    def _weigh(self, admission: Admission, scenario: Scenario) -> frozenset[str]:
        if not self.starts(scenario):
            return frozenset((NEVER,))
        if admission.rules is not None:
            return self._of_rules(admission.rules, scenario, admission.when)
        answer = self._admits(admission, scenario)
        whens = {admission.when} if answer is not False else {NEVER}
        return frozenset(whens | {NEVER} if answer is None else whens)

    def _of_rules(self, rules: Sequence[Rule], scenario: Scenario, when: str) -> frozenset[str]:
        found: set[str] = set()
        for rule in rules:
            answer = self._holds(rule.condition, scenario) if rule.condition else True
            if answer is False:
                continue
            found.add(rule.when or when)
            if answer and not rule.depends:
                return frozenset(found)
        return frozenset(found | {NEVER})

    def _holds(self, text: str, scenario: Scenario) -> bool | None:
        key = (text, scenario.name)
        if key not in self._answers:
            condition = self.parsed(text)
            value_of = self._value_outside(scenario) if scenario.trust == "untrusted" else scenario.value
            self._answers[key] = None if condition is None else weigh(condition, value_of)
        return self._answers[key]

    def _value_outside(self, scenario: Scenario) -> Callable[[str], Value]:
        """Return what variables hold where an outsider's change starts the pipeline: members set none then."""

        def value_of(name: str) -> Value:
            value = scenario.value(name)
            if value is not ANYTHING or name.startswith(_PREDEFINED):
                return value
            written = self.written.get(name)
            return ANYTHING if written is not None and "$" in written else written

        return value_of

    def _admits(self, admission: Admission, scenario: Scenario) -> bool | None:
        only, excluded = admission.only, admission.excluded
        answer: bool | None = True
        if only is not None or self.workflow is None:
            # With rules for the whole workflow, a job that says nothing is part of every pipeline.
            refs = only.refs if only is not None and only.refs is not None else ("branches", "tags")
            answer = self._names(refs, scenario)
        if only is not None:
            if only.variables is not None:
                answer = _both(answer, self._any(self._holds(text, scenario) for text in only.variables))
            if only.depends:
                answer = _both(answer, None)
        if excluded is not None:
            excludes: list[bool | None] = [None] if excluded.depends else []
            if excluded.refs is not None:
                excludes.append(self._names(excluded.refs, scenario))
            excludes += [self._holds(text, scenario) for text in excluded.variables or ()]
            out = self._any(excludes)
            answer = _both(answer, None if out is None else not out)
        return answer

    def _names(self, refs: Sequence[str], scenario: Scenario) -> bool | None:
        return self._any(_names(ref.partition("@")[0] if ref[:1] != "/" else ref, scenario) for ref in refs)

    @staticmethod
    def _any(answers: Iterable[bool | None]) -> bool | None:
        found = set(answers)
        return True if True in found else (None if None in found else False)


def _both(one: bool | None, other: bool | None) -> bool | None:
    if one is False or other is False:
        return False
    return None if one is None or other is None else True


def _names(ref: str, scenario: Scenario) -> bool | None:
    """Say whether a word of `only` or `except` names a pipeline. Patterns don't see merge request pipelines."""
    if ref in ("branches", "tags") and scenario.event == EXTERNAL_PULL_REQUEST.event:
        return False
    if ref == "branches":
        return scenario.kind == "branch"
    if ref == "tags":
        # A schedule, say, may be one of a tag.
        return scenario.kind == "tag" if scenario.event == "push" or scenario.kind != "branch" else None
    if ref in _SOURCES:
        return scenario.event == _SOURCES[ref]
    if scenario.kind == "merge request":
        return False
    if scenario.values.get("CI_COMMIT_BRANCH") is _FEATURE:
        pattern = read_pattern(ref) if ref.startswith("/") else None
        words = (
            [ref]
            if not ref.startswith("/")
            else (pattern.words if pattern and pattern.from_start and pattern.to_end else [])
        )
        if words and all(word in PROTECTED_NAMES for word in words):
            return False
    return None
