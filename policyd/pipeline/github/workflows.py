"""GitHub Actions workflows and actions: from a parsed document to the facts rules see.

Nothing here is refused that GitHub accepts, and unknown fields are left alone: they are somebody else's format. What
has another shape than GitHub allows (a job that is a list, `uses` that is a number) can't be judged and raises, since
passing over it would pass over what it does.

Sources: docs.github.com "Workflow syntax for GitHub Actions", "Metadata syntax for GitHub Actions".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import cast

from policyd.models.base import JsonPath
from policyd.models.facts import Facts, Permission, SecretUse, StageFact, Trigger
from policyd.pipeline.characters import quoted
from policyd.pipeline.github.expressions import find_expressions, parse_expression
from policyd.pipeline.github.reader import GithubReader, Mapped, Scope, expand_matrix
from policyd.pipeline.github.references import ParsedReference, parse_image, parse_uses
from policyd.pipeline.github.trust import Access, expand_all, find_event
from policyd.pipeline.source_map import SourceMap, Spot
from policyd.pipeline.yaml_reader import YamlDocument

#: GitHub ends a job after this long where the file does not say so.
DEFAULT_TIMEOUT_SECONDS = 360 * 60
#: The stage of an action: its steps run in the job of whoever uses it.
ACTION_STAGE = "runs"


def find_workflow_facts(document: YamlDocument) -> tuple[Facts, SourceMap]:
    """Return the facts of a workflow (`.github/workflows/*.yml`) and a source map that knows their places.

    Raises `DocumentError` where the document is no workflow, with file, line and column.
    """
    return _Workflow(document).read()


def find_action_facts(document: YamlDocument) -> tuple[Facts, SourceMap]:
    """Return the facts of an action (`action.yml`: composite, JavaScript or Docker); otherwise as workflows."""
    return _Action(document).read()


@dataclass(slots=True)
class _Grant:
    """One permission as written: scope, access and where. `at` is set once it is written down."""

    scope: str
    access: Access
    path: JsonPath
    explicit: bool = True
    at: JsonPath = field(default=())


class _Workflow(GithubReader):
    def read(self) -> tuple[Facts, SourceMap]:
        root = self.mapping(self.value, (), "a workflow")
        jobs = self.mapping(root.get("jobs"), ("jobs",), "`jobs`")
        if not jobs:
            self.refuse("a workflow has jobs; this one has none", ("jobs",))
        self._triggers(root)
        scope = Scope(privileged=any(t.trust == "untrusted" and t.privileged for t in self.book.triggers))
        for name, value in root.items():
            if name not in ("on", "jobs", "env", "permissions"):
                self.expressions(value, (name,), scope, "other")
        scope = self.environment(root.get("env"), ("env",), scope)
        scope = self._defaults(root, (), scope)
        granted = self._grants(root, ())
        self.tainted_outputs = self._find_tainted_outputs(jobs)
        for name, value in jobs.items():
            path: JsonPath = ("jobs", name)
            if not isinstance(value, dict):
                self.refuse(f"the job {quoted(name)} is {quoted(value)}, not a mapping", path)
            self._job(name, cast("Mapped", value), path, scope, granted)
        return self.book.close(self.map)

    def _triggers(self, root: Mapped) -> None:
        value = root.get("on")
        events: Iterator[tuple[object, JsonPath]]
        if isinstance(value, dict):
            events = ((name, ("on", name)) for name in value)
        elif isinstance(value, list):
            events = ((item, ("on", index)) for index, item in enumerate(value))
        else:
            events = iter([(value, ("on",))] if value is not None else [])
        for name, path in events:
            event = self.text(name, path, "an event")
            known = find_event(event)
            self.book.triggers.append(
                Trigger(
                    at=self.book.at("triggers", Spot(path)),
                    stage="",
                    event=event,
                    trust=known.trust,
                    privileged=known.privileged,
                )
            )
        if not self.book.triggers:
            self.refuse("a workflow says with `on` what starts it; this one does not", ("on",))

    def _defaults(self, given: Mapped, path: JsonPath, scope: Scope) -> Scope:
        defaults = self.mapping(given.get("defaults"), (*path, "defaults"), "`defaults`")
        run = self.mapping(defaults.get("run"), (*path, "defaults", "run"), "`defaults.run`")
        if run.get("shell") is None:
            return scope
        return replace(scope, shell=self.text(run["shell"], (*path, "defaults", "run", "shell"), "`shell`"))

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
        for scope, access in self.mapping(value, at, "`permissions`").items():
            if access not in ("read", "write", "none"):
                self.refuse(
                    f"the permission {quoted(scope)} is {quoted(access)}, not read, write or none", (*at, scope)
                )
            grants.append(_Grant(scope, access, (*at, scope)))
        return grants

    def _find_tainted_outputs(self, jobs: Mapped) -> frozenset[str]:
        """Return the outputs of jobs that hand on an outsider's text, as later jobs name them."""
        tainted = set()
        for name, job in jobs.items():
            if not isinstance(job, dict) or not isinstance(job.get("outputs"), dict):
                continue
            scope = Scope()
            steps = job.get("steps")
            for step in steps if isinstance(steps, list) else ():
                scope = self.scope_after(step, scope) if isinstance(step, dict) else scope
            for output, value in job["outputs"].items():
                spans = find_expressions(value) if isinstance(value, str) else []
                if any(self.is_untrusted_here(parse_expression(span.inner), scope) for span in spans):
                    tainted.add(f"needs.{name}.outputs.{output}".lower())
        return frozenset(tainted)

    def _job(self, name: str, job: Mapped, path: JsonPath, scope: Scope, granted: list[_Grant] | None) -> None:
        scope = self._defaults(job, path, replace(scope, stage=name))
        strategy = self.mapping(job.get("strategy"), (*path, "strategy"), "`strategy`")
        matrix = _matrix_of(strategy)
        runner = self._runner(job, path, matrix)
        scope = replace(scope, windows=any(label.lower().startswith("windows") for label in runner))
        self.condition(job.get("if"), (*path, "if"), scope)
        scope = self.environment(job.get("env"), (*path, "env"), scope)
        for field_name, value in job.items():
            if field_name not in _JOB_FIELDS:
                self.expressions(value, (*path, field_name), scope, "other")
        self._permissions(job, path, scope, granted)
        self.container(job.get("container"), (*path, "container"), scope, matrix)
        services = self.mapping(job.get("services"), (*path, "services"), "`services`")
        for service, value in services.items():
            self.container(value, (*path, "services", service), scope, matrix)
        calls = "uses" in job
        if calls:
            self._call(job, path, scope)
        elif "steps" not in job:
            self.refuse(f"the job {quoted(name)} has neither `steps` nor `uses`", path)
        has_source = self.steps(job.get("steps"), (*path, "steps"), scope)
        self._stage(name, job, path, runner=runner, has_source=has_source, calls=calls)

    def _stage(
        self, name: str, job: Mapped, path: JsonPath, *, runner: list[str], has_source: bool, calls: bool
    ) -> None:
        timeout = job.get("timeout-minutes")
        seconds: int | None = DEFAULT_TIMEOUT_SECONDS if timeout is None and not calls else None
        if isinstance(timeout, int | float) and not isinstance(timeout, bool):
            seconds = int(timeout * 60)
        environment = job.get("environment")
        if isinstance(environment, dict):
            environment = environment.get("name")
        outputs = self.mapping(job.get("outputs"), (*path, "outputs"), "`outputs`")
        groups = any("self-hosted" in label.lower() for label in runner)
        self.book.stages.append(
            StageFact(
                at=self.book.at("stages", Spot(path)),
                name=name,
                group="",
                kind="",
                needs=self._names(job.get("needs"), (*path, "needs")),
                needs_kinds=[],
                runner=runner,
                self_hosted=groups,
                environment=environment if isinstance(environment, str) else "",
                target="",
                timeout_seconds=seconds,
                # A job that calls a workflow can't say; the workflow called does.
                explicit_timeout=timeout is not None or calls,
                untrusted=any(trigger.trust == "untrusted" for trigger in self.book.triggers),
                privileged=any(trigger.privileged for trigger in self.book.triggers),
                outputs=list(outputs),
                results=[],
                has_source=has_source,
            )
        )

    def _names(self, value: object, path: JsonPath) -> list[str]:
        if isinstance(value, str):
            return [value]
        return [
            self.text(item, (*path, index), "a name") for index, item in enumerate(self.sequence(value, path, "a list"))
        ]

    def _runner(self, job: Mapped, path: JsonPath, matrix: Mapping[str, Sequence[str]]) -> list[str]:
        value, at = job.get("runs-on"), (*path, "runs-on")
        written: list[str] = []
        if isinstance(value, dict):
            if isinstance(value.get("group"), str):
                written.append(f"group: {value['group']}")
            value, at = value.get("labels"), (*at, "labels")
        written += self._names(value, at)
        return [label for text in written for label in expand_matrix(text, matrix)]

    def _permissions(self, job: Mapped, path: JsonPath, scope: Scope, granted: list[_Grant] | None) -> None:
        own = self._grants(job, path)
        if own is None and granted is None:
            # The repository's settings decide then. GitHub's own default was a token that writes for years, and
            # still is in repositories of that time.
            own = [_Grant("contents", "write", path, explicit=False)]
        for grant in own if own is not None else granted or ():
            at = self.book.at("permissions", Spot(grant.path))
            # A grant of the workflow reaches many jobs and stands in one place: they share it, and a rule that
            # does not speak of the job says it once.
            grant.at = grant.at or at
            self.book.permissions.append(
                Permission(
                    at=grant.at,
                    stage=scope.stage,
                    scope=grant.scope,
                    access=grant.access,
                    explicit=grant.explicit,
                    level="stage" if own is not None and grant.explicit else "pipeline",
                )
            )

    def _call(self, job: Mapped, path: JsonPath, scope: Scope) -> None:
        text = self.text(job["uses"], (*path, "uses"), "`uses`")
        self.reference(text, parse_uses(text)._replace(kind="workflow"), (*path, "uses"), scope)
        self.inputs(job.get("with"), (*path, "with"), scope, "")
        at: JsonPath = (*path, "secrets")
        if job.get("secrets") == "inherit":
            self.book.secrets.append(
                SecretUse(
                    at=self.book.at("secrets", Spot(at)),
                    stage=scope.stage,
                    name="*",
                    all=True,
                    inherited=True,
                    sink="input",
                )
            )
            return
        for name, value in self.mapping(job.get("secrets"), at, "`secrets`").items():
            self.expressions(value, (*at, name), scope, "input")


class _Action(GithubReader):
    def read(self) -> tuple[Facts, SourceMap]:
        root = self.mapping(self.value, (), "an action")
        path: JsonPath = ("runs",)
        runs = self.mapping(root.get("runs"), path, "`runs`")
        using = self.text(runs.get("using"), (*path, "using"), "`using`").lower()
        if not using:
            self.refuse("an action says with `runs.using` how it runs; this one does not", path)
        scope = Scope(stage=ACTION_STAGE)
        for name, value in root.items():
            if name not in ("runs", "description", "name", "author", "branding"):
                self.expressions(value, (name,), scope, "other")
        has_source = False
        if using == "composite":
            has_source = self.steps(runs.get("steps"), (*path, "steps"), scope)
        elif using == "docker":
            self._docker(runs, path, scope)
        self.book.stages.append(
            StageFact(
                at=self.book.at("stages", Spot(path)),
                name=ACTION_STAGE,
                group="",
                kind="",
                needs=[],
                needs_kinds=[],
                runner=[],
                self_hosted=False,
                environment="",
                target="",
                timeout_seconds=None,
                explicit_timeout=True,  # the job that uses the action says
                untrusted=False,
                privileged=False,
                outputs=list(self.mapping(root.get("outputs"), ("outputs",), "`outputs`")),
                results=[],
                has_source=has_source,
            )
        )
        return self.book.close(self.map)

    def _docker(self, runs: Mapped, path: JsonPath, scope: Scope) -> None:
        image = self.text(runs.get("image"), (*path, "image"), "`image`")
        if image.startswith("docker://"):
            parsed = parse_image(image.removeprefix("docker://"))
        else:
            parsed = ParsedReference("image", "", image, "", local=True, pinned=False)
        self.reference(image, parsed, (*path, "image"), scope)
        self.environment(runs.get("env"), (*path, "env"), scope)
        self.expressions(runs.get("args"), (*path, "args"), scope, "input")


#: Fields of a job that are looked at one by one; in all others an expression is an expression.
_JOB_FIELDS = frozenset(("if", "env", "steps", "container", "services", "with", "secrets", "uses", "permissions"))


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
