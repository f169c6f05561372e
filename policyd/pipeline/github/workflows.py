"""GitHub Actions workflows: from a parsed document to the facts rules see.

Nothing here is refused that GitHub accepts, and unknown fields are left alone: they are somebody else's format. What
has another shape than GitHub allows (a job that is a list, `uses` that is a number) can't be judged and raises, since
passing over it would pass over what it does.

Jobs are read in the order in which they need each other: what a job checks, and what its outputs hold, is known to
those that wait for it.

Source: docs.github.com "Workflow syntax for GitHub Actions".
"""

from __future__ import annotations

import re
from collections import ChainMap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import cast

from policyd.models.base import JsonPath
from policyd.models.facts import Guard, Permission, StageFact, Trigger
from policyd.pipeline.characters import quoted
from policyd.pipeline.front_end import FrontEndRead
from policyd.pipeline.github.conditions import LABELED, NONE, Guards, Known, Reach, guards_under, is_outsiders
from policyd.pipeline.github.contexts import ANY_EVENT, is_any
from policyd.pipeline.github.expressions import find_expressions, parse_expression, possible_texts
from policyd.pipeline.github.origins import NOTHING, Origin
from policyd.pipeline.github.reader import Mapped, Scope, expand_matrix
from policyd.pipeline.github.references import parse_uses
from policyd.pipeline.github.runners import is_self_hosted
from policyd.pipeline.github.steps import StepsReader, repository_path
from policyd.pipeline.github.trust import EVENTS, Access, expand_all, find_event
from policyd.pipeline.guards import with_guard
from policyd.pipeline.links import Call, Links
from policyd.pipeline.needs import in_order
from policyd.pipeline.source_map import Spot
from policyd.pipeline.yaml_reader import YamlDocument

#: GitHub ends a job after this long where the file does not say so.
DEFAULT_TIMEOUT_SECONDS = 360 * 60


def read_workflow(document: YamlDocument) -> FrontEndRead:
    """Return the facts of a workflow (`.github/workflows/*.yml`), with what ties it to other files.

    Raises `DocumentError` where the document is no workflow, with file, line and column.
    """
    return _Workflow(document).read()


@dataclass(slots=True)
class _Grant:
    """One permission as written: scope, access and where. `at` is set once it is written down."""

    scope: str
    access: Access
    path: JsonPath
    explicit: bool = True
    at: JsonPath = field(default=())


class _Workflow(StepsReader):
    def __init__(self, document: YamlDocument) -> None:
        super().__init__(document)
        self.ends: dict[str, Reach] = {}  # what holds when a job has succeeded
        self.checks: dict[str, Guard] = {}  # outputs of jobs that say what the actor may do
        self.waits_for: tuple[str, ...] = ()
        self.workflow_has_secrets = False
        self.first_secret = 0  # of the job being read

    def read(self) -> FrontEndRead:
        root = self.require_mapping(self.value, (), "a workflow")
        jobs = self.require_mapping(root.get("jobs"), ("jobs",), "`jobs`")
        if not jobs:
            self.refuse("a workflow has jobs; this one has none", ("jobs",))
        self._triggers(root)
        scope = Scope(reach=self.events)
        for name, value in root.items():
            if name not in ("on", "jobs", "env", "permissions"):
                self.expressions(value, (name,), scope, "other")
        scope = self.environment(root.get("env"), ("env",), scope)
        scope = self._defaults(root, (), scope)
        granted = self._grants(root, ())
        self.workflow_has_secrets = self._has_secrets(0)
        for name in self._in_order(jobs):
            self._job(name, cast("Mapped", jobs[name]), ("jobs", name), scope, granted)
        facts, source_map = self.book.close(self.map)
        title = root.get("name")
        file = self.map.file
        links = Links(
            root=file[: file.index(".github/")] if ".github/" in file else "",
            name=title if isinstance(title, str) else file,
            waits_for=self.waits_for,
            landings=tuple(self.landings),
            arguments=tuple(self.arguments),
            calls=tuple(self.calls),
            files=tuple(self.files),
        )
        return FrontEndRead(self.value, facts, source_map, title if isinstance(title, str) else "", links=links)

    # What starts it.

    def _triggers(self, root: Mapped) -> None:
        value = root.get("on")
        events: Iterator[tuple[object, object, JsonPath]]
        if isinstance(value, dict):
            events = ((name, given, ("on", name)) for name, given in value.items())
        elif isinstance(value, list):
            events = ((item, None, ("on", index)) for index, item in enumerate(value))
        else:
            events = iter([(value, None, ("on",))] if value is not None else [])
        reach: dict[str, Guards] = {}
        declared: dict[str, bool] = {}  # inputs by name: whether they can be any text
        for name, given, path in events:
            event = self.require_text(name, path, "an event")
            trigger = self._trigger(event, given, path)
            # All that is not known counts as one: it may be any.
            reach[event if event in EVENTS else ANY_EVENT] = LABELED if trigger.types == ["labeled"] else NONE
            if event == "release" or any(one.startswith("refs/tags/") for one in trigger.branches):
                self.releases = True
            if trigger.branches and not any(_ANY_NAME.search(one) for one in trigger.branches):
                self.fixed_refs |= {event}
            for one, is_open in _inputs_of(given):
                declared[one] = declared.get(one, False) or is_open
        self.constrained_inputs = frozenset(one for one, is_open in declared.items() if not is_open)
        if not reach:
            self.refuse("a workflow says with `on` what starts it; this one does not", ("on",))
        self.events = reach

    def _trigger(self, event: str, given: object, path: JsonPath) -> Trigger:
        known = find_event(event)
        # `schedule` has a list of times.
        options = (
            {} if isinstance(given, list) and event == "schedule" else self.require_mapping(given, path, f"`{event}`")
        )
        branches: list[str] = []
        for name, before in _FILTERS:
            branches += [before + one for one in self.names(options.get(name), (*path, name))]
        parameters = list(self.require_mapping(options.get("inputs"), (*path, "inputs"), "`inputs`"))
        if event == "workflow_run":
            self.waits_for = tuple(self.names(options.get("workflows"), (*path, "workflows")))
        for name in ("paths", "paths-ignore"):
            self.names(options.get(name), (*path, name))
        trigger = Trigger(
            at=self.book.at("triggers", Spot(path)),
            stage="",
            event=event,
            trust=known.trust,
            privileged=known.privileged,
            types=self.names(options.get("types"), (*path, "types")),
            branches=branches,
            parameters=["client_payload"] if event == "repository_dispatch" else parameters,
        )
        self.book.triggers.append(trigger)
        return trigger

    # Jobs.

    def _in_order(self, jobs: Mapped) -> list[str]:
        """Return the jobs so that each comes after those it needs."""
        needs: dict[str, list[str]] = {}
        for name, job in jobs.items():
            path: JsonPath = ("jobs", name)
            if not isinstance(job, dict):
                self.refuse_shape(job, path, f"the job {quoted(name)}", "mapping")
            needs[name] = [one for one in self.names(job.get("needs"), (*path, "needs")) if one in jobs]
        return in_order(needs)

    def _job(self, name: str, job: Mapped, path: JsonPath, scope: Scope, granted: list[_Grant] | None) -> None:
        self.start_stage()
        self.first_secret = len(self.book.secrets)
        needs = self.names(job.get("needs"), (*path, "needs"))
        scope = self._defaults(job, path, self._scope_of_job(name, needs, scope))
        strategy = self.require_mapping(job.get("strategy"), (*path, "strategy"), "`strategy`")
        matrix = _matrix_of(strategy)
        scope = replace(scope, matrix=self._matrix_origins(strategy, scope))
        first_call = len(self.calls)
        scope = self.condition(job.get("if"), (*path, "if"), scope)
        if job.get("environment") is not None:
            scope = replace(scope, reach=with_guard(scope.reach, "approval"))
        scope = replace(scope, passed={}, skipped=frozenset())
        runner = self._runner(job, path, matrix)
        scope = replace(scope, windows=any(label.lower().startswith("windows") for label in runner))
        scope = self.environment(job.get("env"), (*path, "env"), scope)
        for field_name, value in job.items():
            if field_name not in _JOB_FIELDS:
                self.expressions(value, (*path, field_name), scope, "other")
        writes = self._permissions(job, path, scope, granted)
        self.container(job.get("container"), (*path, "container"), scope, matrix)
        services = self.require_mapping(job.get("services"), (*path, "services"), "`services`")
        for service, value in services.items():
            self.container(value, (*path, "services", service), scope, matrix)
        calls = "uses" in job
        if calls:
            self._use_workflow(job, path, scope)
        elif "steps" not in job:
            self.refuse(f"the job {quoted(name)} has neither `steps` nor `uses`", path)
        after = self.steps(job.get("steps"), (*path, "steps"), scope)
        self._end_job(name, job, path, after)
        asks = guards_under(self.with_passed(after))
        stage = self._stage(name, job, path, scope, runner=runner, needs=needs, calls=calls, writes=writes, asks=asks)
        powers = any(event in EVENTS and EVENTS[event].privileged for event in scope.outsiders)
        for index in range(first_call, len(self.calls)):
            self.calls[index] = replace(
                self.calls[index],
                untrusted=stage.untrusted,
                powers=powers,
                secrets=self.calls[index].secrets and stage.has_secrets,
                writes=stage.writes,
                guards=scope.guards,
            )

    def _scope_of_job(self, name: str, needs: Sequence[str], scope: Scope) -> Scope:
        """Return the scope in which a job begins: with what the jobs it needs have found out."""
        passed: dict[str, Guards] = {}
        skipped: set[str] = set()
        for end in (self.ends[need] for need in needs if need in self.ends):
            skipped |= scope.reach.keys() - end.keys()
            for event, guards in end.items():
                passed[event] = passed.get(event, NONE) | guards
        return replace(
            scope,
            stage=name,
            passed=passed,
            skipped=frozenset(skipped),
            known=Known(ChainMap(self.checks_of_steps, self.checks), self.ends),
        )

    def _end_job(self, name: str, job: Mapped, path: JsonPath, scope: Scope) -> None:
        """Keep what later jobs may know of this one."""
        ends_on_failure = job.get("continue-on-error") in (None, False)
        self.ends[name] = self.with_passed(scope) if ends_on_failure else scope.reach
        outputs = self.require_mapping(job.get("outputs"), (*path, "outputs"), "`outputs`")
        for output, value in outputs.items():
            at: JsonPath = (*path, "outputs", output)
            text = self.require_text(value, at, f"the output {quoted(output)}")
            context = f"needs.{name}.outputs.{output}".lower()
            origin = self.origin_of_text(text, scope)
            self.outputs_of_stages[context] = origin
            if origin.events:
                self.crossings[context] = (Spot(at), origin.text)
            for span in find_expressions(text):
                for one in parse_expression(span.inner).contexts:
                    guard = scope.known.checks.get(one) or scope.known.checks.get(".".join(one.split(".")[:3]))
                    if guard is not None:
                        self.checks[context] = guard

    def _matrix_origins(self, strategy: Mapped, scope: Scope) -> dict[str, Origin]:
        matrix = strategy.get("matrix")
        if isinstance(matrix, str):
            origin = self.origin_of_text(matrix, scope)
            return {} if origin is NOTHING else _AnyName(origin)
        origins: dict[str, Origin] = {}
        for name, items in matrix.items() if isinstance(matrix, dict) else ():
            for item in items if isinstance(items, list) else (items,):
                for key, text in item.items() if isinstance(item, dict) else ((name, item),):
                    if isinstance(text, str) and "${{" in text:
                        origin = self.origin_of_text(text, scope)
                        origins[name] = origins[f"{name}.{key}"] = origins[key] = origin
        return {name: origin for name, origin in origins.items() if origin is not NOTHING}

    def _stage(
        self,
        name: str,
        job: Mapped,
        path: JsonPath,
        scope: Scope,
        *,
        runner: list[str],
        needs: list[str],
        calls: bool,
        writes: bool,
        asks: Sequence[Guard],
    ) -> StageFact:
        timeout = job.get("timeout-minutes")
        seconds: int | None = DEFAULT_TIMEOUT_SECONDS if timeout is None and not calls else None
        if isinstance(timeout, int | float) and not isinstance(timeout, bool):
            seconds = int(timeout * 60)
        environment = job.get("environment")
        if isinstance(environment, dict):
            environment = environment.get("name")
        outputs = self.require_mapping(job.get("outputs"), (*path, "outputs"), "`outputs`")
        has_secrets = self.workflow_has_secrets or self._has_secrets(self.first_secret)
        outside = [event for event in scope.outsiders if not is_any(event)]
        guards = scope.guards
        if not scope.outsiders and any(is_outsiders(event) for event in self.events):
            guards = tuple(sorted({*guards, "event"}))
        stage = StageFact(
            at=self.book.at("stages", Spot(path)),
            name=name,
            group="",
            kind="",
            needs=needs,
            needs_kinds=[],
            runner=runner,
            runner_at=self.book.runner_at(Spot((*path, "runs-on")) if "runs-on" in job else None),
            self_hosted=is_self_hosted(runner),
            environment=environment if isinstance(environment, str) else "",
            target="",
            timeout_seconds=seconds,
            # A job that calls a workflow can't say; the workflow called does.
            explicit_timeout=timeout is not None or calls,
            untrusted=bool(outside),
            privileged=(has_secrets or writes) and any(EVENTS[event].privileged for event in outside),
            guards=list(guards),
            asks=list(asks),
            has_secrets=has_secrets,
            writes=writes,
            outputs=list(outputs),
            results=[],
            has_source=self.has_source,
        )
        self.book.stages.append(stage)
        return stage

    def _has_secrets(self, first: int) -> bool:
        """Say whether a secret other than the system's own token is among those from `first` on."""
        return any(secret.name.lower() != "github_token" for secret in self.book.secrets[first:])

    def _runner(self, job: Mapped, path: JsonPath, matrix: Mapping[str, Sequence[str]]) -> list[str]:
        value, at = job.get("runs-on"), (*path, "runs-on")
        written: list[str] = []
        if isinstance(value, dict):
            if isinstance(value.get("group"), str):
                written.append(f"group: {value['group']}")
            value, at = value.get("labels"), (*at, "labels")
        written += self.names(value, at)
        return [label for text in written for one in expand_matrix(text, matrix) for label in _labels_in(one)]

    # What it may do.

    def _defaults(self, given: Mapped, path: JsonPath, scope: Scope) -> Scope:
        if given.get("defaults") is None:
            return scope
        defaults = self.require_mapping(given.get("defaults"), (*path, "defaults"), "`defaults`")
        run = self.require_mapping(defaults.get("run"), (*path, "defaults", "run"), "`defaults.run`")
        if run.get("shell") is None:
            return scope
        return replace(scope, shell=self.require_text(run["shell"], (*path, "defaults", "run", "shell"), "`shell`"))

    def _grants(self, given: Mapped, path: JsonPath) -> list[_Grant] | None:
        """Return the permissions written at `path`; `None` where there are none written."""
        at: JsonPath = (*path, "permissions")
        value = given.get("permissions")
        if value is None:
            return None  # an empty field grants what a missing one does
        if isinstance(value, str):
            if value not in ("read-all", "write-all"):
                self.refuse(f"`permissions` is {quoted(value)}, not read-all, write-all or a mapping", at)
            return [
                _Grant(scope, access, at) for scope, access in expand_all("read" if value == "read-all" else "write")
            ]
        grants = []
        for scope, access in self.require_mapping(value, at, "`permissions`").items():
            if access not in ("read", "write", "none"):
                self.refuse(
                    f"the permission {quoted(scope)} is {quoted(access)}, not read, write or none", (*at, scope)
                )
            grants.append(_Grant(scope, access, (*at, scope)))
        return grants

    def _permissions(self, job: Mapped, path: JsonPath, scope: Scope, granted: list[_Grant] | None) -> bool:
        """Write down what the job's token may do; return whether it can write anything, or log in to a cloud."""
        own = self._grants(job, path)
        if own is None and granted is None:
            # The repository's settings decide then. GitHub's own default was a token that writes for years, and
            # still is in repositories of that time.
            own = [_Grant("contents", "write", path, explicit=False)]
        writes = False
        for grant in own if own is not None else granted or ():
            at = self.book.at("permissions", Spot(grant.path))
            # A grant of the workflow reaches many jobs and stands in one place: they share it, and a rule that
            # does not speak of the job says it once.
            grant.at = grant.at or at
            writes |= grant.access == "write"
            self.book.permissions.append(
                Permission(
                    at=grant.at,
                    stage=scope.stage,
                    scope=grant.scope,
                    access=grant.access,
                    explicit=grant.explicit,
                    level="stage" if own is not None and grant.explicit else "pipeline",
                    comment=self.map.comment_on(grant.path) if grant.explicit else "",
                )
            )
        return writes

    def _use_workflow(self, job: Mapped, path: JsonPath, scope: Scope) -> None:
        at: JsonPath = (*path, "uses")
        text = self.require_text(job["uses"], at, "`uses`")
        if not text:
            self.refuse("`uses` is empty", at)
        self.expressions(text, at, scope, "reference")
        parsed = parse_uses(text)._replace(kind="workflow")
        inputs = self.inputs(job.get("with"), (*path, "with"), scope)
        self.reference(text, parsed, at, scope, inputs)
        secrets, inherits = job.get("secrets"), job.get("secrets") == "inherit"
        if parsed.local:
            callee = repository_path(parsed.name)
            self.calls.append(Call(callee, scope.stage, inside=False, secrets=secrets is not None))
            self.give(callee, inputs, (*path, "with"), scope)
        if inherits:
            self.book.secret("*", Spot((*path, "secrets")), scope.stage, "input", inherited=True)
            return
        for name, value in self.require_mapping(secrets, (*path, "secrets"), "`secrets`").items():
            self.expressions(value, (*path, "secrets", name), scope, "input")


class _AnyName(dict[str, Origin]):
    """A matrix made by an expression: every name in it comes from there."""

    def __init__(self, origin: Origin) -> None:
        super().__init__({"*": origin})
        self._origin = origin

    def get(self, name: str, default: Origin | None = None) -> Origin:  # type: ignore[override]  # one value for all
        """Return the origin of all of them."""
        return self._origin


#: Fields of a job that are looked at one by one; in all others an expression is an expression.
_JOB_FIELDS = frozenset(("if", "env", "steps", "container", "services", "with", "secrets", "uses", "permissions"))
#: Filters of a trigger, with what stands before each name in the fact.
_FILTERS = (("branches", ""), ("branches-ignore", "!"), ("tags", "refs/tags/"), ("tags-ignore", "!refs/tags/"))


#: What makes a filter fit more than one name.
_ANY_NAME = re.compile(r"[*?+!\[]")
#: Types of inputs that can't be any text.
_CONSTRAINED = frozenset(("boolean", "choice", "environment", "number"))


def _inputs_of(event: object) -> Iterator[tuple[str, bool]]:
    """Yield the inputs that a trigger declares, in lower case, with whether they can be any text."""
    inputs = event.get("inputs") if isinstance(event, dict) else None
    for name, given in inputs.items() if isinstance(inputs, dict) else ():
        kind = given.get("type") if isinstance(given, dict) else None
        yield name.lower(), not (isinstance(kind, str) and kind in _CONSTRAINED)


def _labels_in(text: str) -> list[str]:
    """Return the labels that an expression in `runs-on` can yield, as far as they are written in it."""
    spans = find_expressions(text)
    if len(spans) != 1 or spans[0].end - spans[0].start != len(text):
        return [text]
    root = parse_expression(spans[0].inner).root
    return (possible_texts(root) if root is not None else []) or [text]


def _matrix_of(strategy: Mapped) -> dict[str, list[str]]:
    """Return the values that each name of a matrix written out in the file can have."""
    matrix = strategy.get("matrix")
    if not isinstance(matrix, dict):
        return {}
    values: dict[str, list[str]] = {}
    for name, items in matrix.items():
        if name not in ("include", "exclude") and isinstance(items, list):
            values[name] = [item for item in items if isinstance(item, str)]
    for extra in matrix["include"] if isinstance(matrix.get("include"), list) else ():
        for name, item in extra.items() if isinstance(extra, dict) else ():
            if isinstance(item, str):
                values.setdefault(name, []).append(item)
    return values
