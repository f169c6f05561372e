"""A whole Azure pipeline or template as facts: its stages and jobs, in the order in which they run.

A stage of the model is a job; Azure's stage is its `group`. Jobs are called as Azure calls them, `stage.job` where the
file has stages. They are read after those they depend on, so that outputs are known where they are used.

Sources: learn.microsoft.com "YAML schema reference" (stages, jobs, deployment, pool), "Stages, dependencies and
conditions", "Deployment jobs", "Microsoft-hosted agents".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from policyd.errors import InputTooLarge
from policyd.models.base import JsonPath
from policyd.models.facts import Facts, StageFact
from policyd.models.input import PipelineKind
from policyd.pipeline.azure import conditions
from policyd.pipeline.azure.artifacts import ArtifactStep
from policyd.pipeline.azure.conditions import ANY, NONE, Known, Reach
from policyd.pipeline.azure.origins import Scope
from policyd.pipeline.azure.outline import OF_JOBS, Body, Job, OutlineReader, Stage, is_template
from policyd.pipeline.azure.parts import UNKNOWN, Part
from policyd.pipeline.azure.steps import StageState
from policyd.pipeline.azure.templates import Templates
from policyd.pipeline.azure.values import Value, join
from policyd.pipeline.effects import FoundEffect
from policyd.pipeline.guards import with_guard
from policyd.pipeline.needs import in_order
from policyd.pipeline.source_map import SourceMap

#: Azure ends a job after this long where the file says nothing.
DEFAULT_TIMEOUT_SECONDS = 3600
MAX_NEEDS = 200_000  # of all jobs together; the first jobs of a stage need all of the stage before

_HOSTED = ("azure pipelines", "hosted", "hosted ubuntu 1604", "hosted vs2017", "hosted macos", "server")
_WINDOWS = ("windows", "vs201", "win1803", "win-")


def find_pipeline_facts(templates: Templates, kind: PipelineKind) -> tuple[Facts, SourceMap]:
    """Return the facts of a file, and a source map that knows their places.

    Raises `DocumentError` where Azure would refuse it, with file, line and column.
    """
    return _Pipeline(templates).read(kind)


class _Pipeline(OutlineReader):
    def __init__(self, templates: Templates) -> None:
        super().__init__(templates)
        self._ends: dict[str, Reach] = {}  # by job: what is asked for where it succeeds
        self._has_group = False
        self._jobs = 0
        self._outside = False

    def read(self, kind: PipelineKind) -> tuple[Facts, SourceMap]:
        root = self.templates.root
        entries = self.templates.mapping(root, "a pipeline")
        self.required_body(entries, root)
        template = is_template(self.templates.path, entries, kind)
        reach: Reach = ANY
        if not template:
            self._outside = self.triggers(entries, root)
            pull = entries.get("pr")
            if pull is not None and not self._outside:
                reach = {"other": NONE}
        self.root = Scope(reach=reach, outside=self._outside)
        bodies = self.bodies(entries, root)
        for body in bodies:
            self.resources(body.entries.get("resources"), self.root)
        self._run_name(entries.get("name"))
        for body in bodies:
            self._has_group |= self.variables(body.entries.get("variables"), self.root)
        own_steps = entries.get("steps") if template else None
        self.step_kinds(own_steps)
        for body in bodies:
            if own_steps is None or body.part is not root:
                self.collect(body)
        self.look_through()
        if not self.templates.missing:  # else all is read again once they are there
            self.steps(own_steps, self.root, StageState())
            self._read_jobs()
            self._rest(bodies)
            for spot, text in self.templates.asked.items():
                self.book.condition(text, spot, "", substring=True)
        return self.book.close(self.templates.document.source_map)

    def _run_name(self, part: Part | None) -> None:
        """Take in the name of the run, which later is `Build.BuildNumber`."""
        if part is None:
            return
        text = self.templates.raw(self.templates.resolve(part), "`name`")
        found = self.marks(part, text, self.root, "other")
        origin = join(one.origin for one in found)
        if origin.carries:
            self.root.variables.set("Build.BuildNumber", Value(origin))

    # Order.

    def _read_jobs(self) -> None:
        self._join()
        jobs = {job.name: job for stage in self.stages for job in stage.jobs}
        self._jobs = len(jobs)
        for name in in_order({name: job.needs for name, job in jobs.items()}):
            self._read_job(jobs[name])
        # As the file has them: that is how a reader counts.
        order = {name: index for index, name in enumerate(jobs)}
        spots = self.book.spots["stages"]
        sorted_stages = sorted(zip(self.book.stages, spots, strict=True), key=lambda one: order[one[0].name])
        self.book.spots["stages"] = [spot for _, spot in sorted_stages]
        self.book.stages[:] = [
            fact.model_copy(update={"at": ("stages", index)}) for index, (fact, _) in enumerate(sorted_stages)
        ]

    def _join(self) -> None:
        """Work out which jobs each job needs."""
        count = 0
        by_name: dict[str, list[Stage]] = {}
        for stage in self.stages:
            by_name.setdefault(stage.name.lower(), []).append(stage)
        before: Stage | None = None
        for stage in self.stages:
            needed = [before.name] if stage.needs is None and before is not None else stage.needs or []
            stage.needs = needed
            first = [
                job.name
                for name in needed
                for one in by_name.get(name.lower(), ())
                if one is not stage
                for job in one.jobs
            ]
            keys: dict[str, list[str]] = {}
            for job in stage.jobs:
                keys.setdefault(job.key.lower(), []).append(job.name)
            for job in stage.jobs:
                names = self.templates.texts(job.entries.get("dependsOn"), "`dependsOn`")
                own = [name for one in names for name in keys.get(one.lower(), ())]
                job.needs = list(dict.fromkeys(name for name in own if name != job.name)) or list(first)
                count += len(job.needs)
                if count > MAX_NEEDS:
                    raise InputTooLarge(
                        f"the jobs need more than {MAX_NEEDS} others together",
                        where=job.part.where(),
                        fix="split the pipeline",
                    )
            before = stage

    def _scope_of(self, stage: Stage) -> Scope:
        """Return the scope in which the jobs of a stage begin."""
        if stage.scope is not None:
            return stage.scope
        scope = replace(self.root, group=stage.name, reach=conditions.join((self.root.reach, stage.part.reach)))
        if stage.name:
            named = {one.name.lower(): one for one in self.stages}
            ends = {name: self._end_of(named[name]) for one in stage.needs or () if (name := one.lower()) in named}
            roots = scope.variables.roots()
            scope = replace(scope, variables=scope.variables.copy(), known=Known(list(ends.values()), ends, roots))
            stage.has_group = self.variables(stage.entries.get("variables"), scope)
            scope = replace(scope, known=replace(scope.known, roots=scope.variables.roots()))
            scope = self.condition(stage.entries.get("condition"), scope, inherits=True)
            trigger = stage.entries.get("trigger")
            if trigger is not None and self.templates.text(trigger, "`trigger`").lower() == "manual":
                scope = replace(scope, reach=with_guard(scope.reach, "approval"))
            for name, part in stage.entries.items():
                if name not in _READ_OF_STAGES:
                    self.all_marks(part, scope)
        stage.scope = scope
        return scope

    def _end_of(self, stage: Stage) -> Reach:
        """Return what is asked for where a stage succeeds: a job that is skipped does not fail it."""
        if stage.scope is None or not stage.jobs:
            return ANY
        end: dict[conditions.Build, conditions.Guards] = {}
        for build, guards in stage.scope.reach.items():
            ran = [self._ends[job.name][build] for job in stage.jobs if build in self._ends.get(job.name, {})]
            if ran:
                # Who refuses an approval lets the stage fail.
                asked = frozenset({"approval"}) if any("approval" in one for one in ran) else NONE
                end[build] = guards | frozenset.intersection(*ran) | asked  # type: ignore[operator]  # of Guard
        return end

    # Jobs.

    def _read_job(self, job: Job) -> None:
        stage, entries = job.stage, job.entries
        begun = self._scope_of(stage)
        variables = begun.variables.copy()
        siblings = {one.key.lower(): self._ends[one.name] for one in stage.jobs if one.name in self._ends}
        own = {one.name: one.key.lower() for one in stage.jobs}
        needs = [self._ends[name] for name in job.needs if name in own and name in self._ends]
        scope = replace(
            begun,
            stage=job.name,
            variables=variables,
            reach=conditions.join((begun.reach, job.part.reach)),
            known=Known(needs, siblings, variables.roots()),
            anyway=False,
        )
        has_group = self.variables(entries.get("variables"), scope)
        scope = replace(scope, known=replace(scope.known, roots=variables.roots()))
        scope = self.condition(entries.get("condition"), scope, inherits=True)
        self.book.may_fail[job.name] = {name for name in job.needs if (scope if name in own else begun).anyway}
        scope, environment = self._environment(job, scope)
        scope = self._matrix(entries.get("strategy"), scope)
        runner, self_hosted, windows = self._pool(job, scope)
        scope = replace(scope, windows=windows)
        state = StageState()
        where = stage.body.entries if "container" not in entries and not stage.name else entries
        self.container(entries.get("container", where.get("container")), scope)
        services = entries.get("services", where.get("services"))
        for _, service in self.templates.pairs(services, "`services`"):
            self.container(service, scope)
        if "deployment" in entries:
            self._deployment(job, scope, state)
        else:
            if runner[:1] != ["server"] and "checkout" not in job.kinds:
                self.own_checkout(job.part, scope, state)
            self.steps(entries.get("steps"), scope, state)
        for name, part in entries.items():
            if name not in _READ_OF_JOBS:
                self.all_marks(part, scope)
        if state.approves:
            self._ends[job.name] = with_guard(scope.reach, "approval")
        else:
            self._ends[job.name] = scope.reach
        self._ignored(entries, scope)
        # What a group of all jobs holds is handed to those that name a variable of it.
        uses_groups = self._jobs == 1 or job.name in self.with_foreign
        groups = has_group or ((stage.has_group or self._has_group) and uses_groups)
        chosen = self._pool_part(job)
        if self._is_on_machines(entries.get("environment")):
            self_hosted, chosen = True, entries["environment"]
        self._stage(job, scope, state, environment, runner, chosen, self_hosted=self_hosted, groups=groups)

    def _ignored(self, entries: Mapping[str, Part], scope: Scope) -> None:
        part = entries.get("continueOnError")
        if part is not None and self.templates.text(part, "`continueOnError`").lower() == "true":
            self.effect(FoundEffect("ignores-failure", "continueOnError", text="continueOnError: true"), part, scope)

    def _environment(self, job: Job, scope: Scope) -> tuple[Scope, str]:
        """Return the scope of a deployment, and the environment it goes to, which can ask for approvals."""
        part = job.entries.get("environment")
        if part is None:
            return scope, ""
        part = self.templates.resolve(part)
        if part.is_mapping:
            part = self.templates.mapping(part, "`environment`").get("name", part)
        if part.is_mapping or part.is_list or part.value is UNKNOWN:
            return scope, ""
        self.marks(part, self.templates.raw(part, "`environment`"), scope, "other")
        name = self.expand_macros(self.templates.text(part, "`environment`"), scope)
        if not name:
            return scope, ""
        return replace(scope, reach=with_guard(scope.reach, "approval")), name

    def _is_on_machines(self, part: Part | None) -> bool:
        if part is None or not (part := self.templates.resolve(part)).is_mapping:
            return False
        kind = self.templates.mapping(part, "`environment`").get("resourceType")
        return self.templates.text(kind, "`resourceType`").lower() == "virtualmachine"

    def _matrix(self, part: Part | None, scope: Scope) -> Scope:
        """Set the variables of a matrix: each can have the value of any leg."""
        if part is None:
            return scope
        part = self.templates.resolve(part)
        strategy = self.templates.mapping(part, "`strategy`") if part.is_mapping else {}
        matrix = strategy.get("matrix")
        if matrix is None or not (matrix := self.templates.resolve(matrix)).is_mapping:
            if matrix is not None:
                self.all_marks(matrix, scope)
            return scope
        choices: dict[str, list[str]] = {}
        for _, leg in self.templates.pairs(matrix, "`matrix`"):
            for name, below in self.templates.pairs(leg, "a leg of `matrix`"):
                before = scope.variables.find(name) if name.lower() in choices else None
                self.variable(name, below, scope)
                value = scope.variables.find(name)
                if value is None:
                    continue
                choices.setdefault(name.lower(), []).append(value.text)
                if before is not None and before.origin.carries:
                    scope.variables.set(name, Value(join((before.origin, value.origin)), value.text))
        return replace(scope, choices={name: list(dict.fromkeys(texts)) for name, texts in choices.items()})

    def _pool_part(self, job: Job) -> Part | None:
        part = job.entries.get("pool", job.stage.entries.get("pool"))
        if part is None:
            part = job.stage.body.entries.get(
                "pool", self.templates.mapping(self.templates.root, "a pipeline").get("pool")
            )
        return part

    def _pool(self, job: Job, scope: Scope) -> tuple[list[str], bool, bool]:
        """Return what chooses the machine of a job, whether it is one's own, and whether it runs Windows."""
        part = self._pool_part(job)
        if part is None:
            return [], False, False
        part = self.templates.resolve(part)
        self.all_marks(part, scope)
        if part.is_list:
            self.templates.refuse("`pool` is a list, not a name or mapping", part)
        if not part.is_mapping:
            names = self.expand_choices(self.templates.text(part, "`pool`"), scope)
            return names, _is_own(names), any(one in name.lower() for name in names for one in _WINDOWS)
        fields = self.templates.mapping(part, "`pool`")
        images = self._chosen(fields.get("vmImage"), "`vmImage`", scope)
        names = self._chosen(fields.get("name"), "`name`", scope)
        demands = self.templates.texts(fields.get("demands"), "`demands`")
        words = [text.lower() for text in (*images, *demands, self.templates.text(fields.get("os"), "`os`"))]
        windows = bool(words) and any(one in word for word in words for one in _WINDOWS)
        if images and not all(any(one in image.lower() for one in _WINDOWS) for image in images):
            windows = False
        return [*images, *names, *demands], _is_own(names), windows

    def _chosen(self, part: Part | None, what: str, scope: Scope) -> list[str]:
        return [text for text in self.expand_choices(self.templates.text(part, what), scope) if text]

    def _deployment(self, job: Job, scope: Scope, state: StageState) -> None:
        """Write down the hooks of a deployment, in their order."""
        place = job.entries.get("environment", job.entries["deployment"])
        text = self.templates.text(job.entries["deployment"], "`deployment`")
        self.effect(FoundEffect("deploy", text, text=text), place, scope)
        for hook in self.hooks(job):
            if "pool" in hook:
                self.all_marks(hook["pool"], scope)
            self.steps(hook.get("steps"), scope, state)
        if "download" not in job.kinds:
            # Files of all pipelines in `resources` come by themselves.
            for alias, any_branch in self.sources.items():
                step = ArtifactStep.download("", "", foreign=True, any_branch=any_branch)
                self._artifact(step._replace(text=alias), job.entries["deployment"], scope)

    def _stage(
        self,
        job: Job,
        scope: Scope,
        state: StageState,
        environment: str,
        runner: Sequence[str],
        runner_part: Part | None,
        *,
        self_hosted: bool,
        groups: bool,
    ) -> None:
        timeout = job.entries.get("timeoutInMinutes")
        seconds: int | None = DEFAULT_TIMEOUT_SECONDS
        limited = timeout is not None
        if timeout is not None:
            text = self.templates.text(timeout, "`timeoutInMinutes`")
            limited = text.strip("0") != ""  # 0 is no limit
            seconds = int(text) * 60 if text.isascii() and text.isdigit() and len(text) < 8 and int(text) else None
        has_secrets = groups or state.connections or not self.with_secrets.isdisjoint((job.name, ""))
        writes = state.connections or state.token
        self.book.stages.append(
            StageFact(
                at=self.book.at("stages", job.part.spot()),
                name=job.name,
                group=job.stage.name,
                kind="",
                needs=job.needs,
                needs_kinds=[],
                runner=list(runner),
                runner_at=self.book.runner_at(runner_part.spot() if runner_part else None),
                self_hosted=self_hosted,
                environment=environment,
                target="",
                timeout_seconds=seconds,
                explicit_timeout=limited,
                untrusted=scope.untrusted,
                privileged=(scope.untrusted and (groups or not self.exposed.isdisjoint((job.name, ""))))
                or (state.outsiders and (has_secrets or writes)),
                guards=list(scope.guards),
                has_secrets=has_secrets,
                writes=writes,
                outputs=list(dict.fromkeys(state.outputs)),
                results=[],
                has_source=state.has_source,
            )
        )

    def _rest(self, bodies: Sequence[Body]) -> None:
        """Write down images of `resources` that no job was seen to use."""
        used: set[JsonPath] = {spot.path for spot in self.book.spots["containers"]}
        for part in self.images.values():
            fields = self.templates.mapping(part, "a container")
            image = self.templates.resolve(fields["image"]) if "image" in fields else part
            if image.path not in used and (image is part or image.value is not None):
                self.container(part, self.root)
        for body in bodies:
            for name, part in body.entries.items():
                if name not in _READ_OF_PIPELINES:
                    self.all_marks(part, self.root)


_READ_OF_PIPELINES = OF_JOBS | {
    "appendCommitMessageToRunName",
    "extends",
    "jobs",
    "lockBehavior",
    "name",
    "parameters",
    "pr",
    "resources",
    "schedules",
    "stages",
    "trigger",
    "variables",
}
_READ_OF_STAGES = frozenset(
    ("stage", "displayName", "dependsOn", "condition", "variables", "pool", "jobs", "steps", "trigger", "lockBehavior")
)
_READ_OF_JOBS = OF_JOBS | {
    "job",
    "deployment",
    "displayName",
    "dependsOn",
    "condition",
    "variables",
    "environment",
    "templateContext",
    "template",
    "parameters",
}


def _is_own(names: Sequence[str]) -> bool:
    return any("$" not in name and not name.lower().startswith(_HOSTED) for name in names)
