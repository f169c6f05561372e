"""The outline of an Azure pipeline: its stages and jobs with what each of them is written as, before any is read.

Stages and jobs can come from templates, put in or extended. What a template of another repository is given is taken
for what it most likely runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from policyd.errors import InputTooLarge
from policyd.models.input import PipelineKind
from policyd.pipeline.azure.origins import Scope
from policyd.pipeline.azure.parts import Part
from policyd.pipeline.azure.resources import ResourcesReader
from policyd.pipeline.azure.templates import Template, Templates
from policyd.pipeline.characters import quoted

MAX_JOBS = 5_000
#: Of a deployment, in the order in which they run.
_HOOKS = ("preDeploy", "deploy", "routeTraffic", "postRouteTraffic")
_STRATEGIES = ("runOnce", "rolling", "canary")
#: What a file without jobs says for the one that its steps are.
OF_JOBS = frozenset(
    ("pool", "strategy", "continueOnError", "container", "services", "workspace", "timeoutInMinutes", "steps")
)


@dataclass(slots=True)
class Stage:
    """One stage with its jobs. `name` is "" for the one that a file without stages has."""

    name: str
    part: Part
    entries: Mapping[str, Part]
    body: Body
    needs: list[str] | None = None  # None: the stage before
    jobs: list[Job] = field(default_factory=list)
    scope: Scope | None = None
    has_group: bool = False


@dataclass(slots=True)
class Job:
    """One job, before its steps are read. `name` is unique in the file, `key` what others of its stage call it."""

    name: str
    key: str
    part: Part
    entries: Mapping[str, Part]
    stage: Stage
    needs: list[str] = field(default_factory=list)
    kinds: set[str] = field(default_factory=set)  # of its steps


@dataclass(slots=True)
class Body:
    """What one file says for the jobs in it: the pipeline, or a template that it extends."""

    entries: Mapping[str, Part]
    part: Part


class OutlineReader(ResourcesReader):
    """Collects the stages and jobs of a file and of its templates."""

    def __init__(self, templates: Templates) -> None:
        super().__init__(templates)
        self.stages: list[Stage] = []
        self.root = Scope()
        self._names: set[str] = set()

    def bodies(self, entries: Mapping[str, Part], root: Part) -> list[Body]:
        """Return the file and the templates that it extends; of one that is not here, what it is given."""
        bodies = [Body(entries, root)]
        extends = entries.get("extends")
        while extends is not None:
            part = self.templates.resolve(extends)
            fields = self.templates.mapping(part, "`extends`")
            if "template" not in fields:
                if not any("${{" in name for name in fields):
                    self.templates.refuse("`extends` names no `template`", part)
                break
            # Repositories have to be known before a template of one is named.
            self.resources(entries.get("resources"), self.root) if not self.repositories else None
            template = self.template(fields, part, self.root)
            if template.root is None:
                bodies.append(Body(self._given(template), part))
                break
            below = self.templates.mapping(template.root, "a template")
            bodies.append(Body(below, template.root))
            extends = below.get("extends")
        return bodies

    def _given(self, template: Template) -> dict[str, Part]:
        """Return the stages, jobs and steps that a template is given which is not here: it most likely runs them."""
        found: dict[str, Part] = {}
        for part in template.given.values():
            kind = self.looks_like(part)
            if kind:
                resolved = self.templates.resolve(part)
                before = found.get(kind)
                listed = tuple(self.templates.items(resolved, "a parameter"))
                items = (*(before.items or ()), *listed) if before is not None else listed
                found[kind] = resolved._replace(items=items, value=None)
        return found

    def collect(self, body: Body) -> None:
        """Add the stages and jobs of a file."""
        entries = body.entries
        if "stages" in entries:
            for stage in self._list_stages(entries["stages"], body):
                self.stages.append(stage)
        if "jobs" in entries:
            stage = Stage("", body.part, {}, body, [])
            self.stages.append(stage)
            self._list_jobs(entries["jobs"], stage)
        if "steps" in entries:
            stage = Stage("", body.part, {}, body, [])
            self.stages.append(stage)
            own = {name: part for name, part in entries.items() if name in OF_JOBS}
            self._job(own, entries["steps"], stage)

    def _list_stages(self, part: Part, body: Body) -> Iterator[Stage]:
        for item in self.templates.items(part, "`stages`"):
            entries = self._entries_of(item, "a stage")
            if entries is None:
                continue
            if "template" in entries and "stage" not in entries:
                yield from self._stages_of_template(entries, item, body)
                continue
            if "stage" not in entries and not any("${{" in name for name in entries):
                self.templates.refuse("a stage has no name: `stage`", item)
            name = self.templates.text(entries.get("stage"), "`stage`") or f"Stage{len(self.stages) + 1}"
            needs = None
            if "dependsOn" in entries:
                needs = self.templates.texts(entries["dependsOn"], "`dependsOn`")
            stage = Stage(name, item, entries, body, needs)
            if "jobs" in entries:
                self._list_jobs(entries["jobs"], stage)
            elif "steps" in entries:
                self._job({"steps": entries["steps"]}, entries["steps"], stage)
            yield stage

    def _stages_of_template(self, entries: Mapping[str, Part], item: Part, body: Body) -> Iterator[Stage]:
        template = self.template(entries, item, self.root)
        if template.root is not None:
            below = self._section(template, "stages")
            if below is not None:
                yield from self._list_stages(below, body)
            return
        given = self._given(template)
        if "stages" in given:
            yield from self._list_stages(given["stages"], body)
        stage = Stage("", item, {}, body, [])
        if "jobs" in given:
            self._list_jobs(given["jobs"], stage)
        if "steps" in given:
            self._job({"steps": given["steps"]}, given["steps"], stage)
        if stage.jobs:
            yield stage

    def _section(self, template: Template, name: str) -> Part | None:
        """Return the list of a template that is put in; refuse one of another kind."""
        assert template.root is not None
        root = self.templates.mapping(template.root, "a template")
        if name not in root and not any("${{" in key for key in root):
            self.templates.refuse(f"{quoted(template.text)} is not a template of {name}", template.part)
        return root.get(name)

    def _entries_of(self, item: Part, what: str) -> dict[str, Part] | None:
        if item.is_mapping:
            return self.templates.mapping(item, what)
        if self.templates.is_open(item) or item.value is None:
            self.all_marks(item, self.root)
            return None
        self.templates.refuse_shape(item.value, item, what, "mapping")

    def _list_jobs(self, part: Part, stage: Stage) -> None:
        for item in self.templates.items(part, "`jobs`"):
            entries = self._entries_of(item, "a job")
            if entries is None:
                continue
            if "template" in entries and "job" not in entries and "deployment" not in entries:
                template = self.template(entries, item, self.root)
                if template.root is not None:
                    below = self._section(template, "jobs")
                    if below is not None:
                        self._list_jobs(below, stage)
                    continue
                given = self._given(template)
                if "jobs" in given:
                    self._list_jobs(given["jobs"], stage)
                if "steps" in given:
                    self._job({"steps": given["steps"]}, given["steps"], stage)
                continue
            if "job" not in entries and "deployment" not in entries and not any("${{" in name for name in entries):
                self.templates.refuse("a job has no name: `job` or `deployment`", item)
            self._job(entries, item, stage)

    def _job(self, entries: Mapping[str, Part], part: Part, stage: Stage) -> None:
        """Add a job that stands at `part`; one of a file without jobs has no name of its own."""
        named = entries.get("job", entries.get("deployment"))
        key = self.templates.text(named, "`job`") if named is not None else ""
        key = key or ("Job" if not stage.jobs else f"Job{len(stage.jobs) + 1}")
        name = f"{stage.name}.{key}" if stage.name else key
        unique, number = name, 1
        while unique.lower() in self._names:
            number += 1
            unique = f"{name}#{number}"
        self._names.add(unique.lower())
        if len(self._names) > MAX_JOBS:
            raise InputTooLarge(
                f"the pipeline has more than {MAX_JOBS} jobs", where=part.where(), fix="split the pipeline"
            )
        stage.jobs.append(Job(unique, key, part, entries, stage))

    def look_through(self) -> None:
        """Find out which kinds of steps the jobs have, and which templates they name."""
        for stage in self.stages:
            for job in stage.jobs:
                job.kinds |= self.step_kinds(job.entries.get("steps"))
                for hook in self.hooks(job) if "deployment" in job.entries else ():
                    job.kinds |= self.step_kinds(hook.get("steps"))

    def hooks(self, job: Job) -> Iterator[dict[str, Part]]:
        """Yield the hooks of a deployment, in their order."""
        strategy = self.templates.mapping(job.entries.get("strategy"), "`strategy`")
        for name in _STRATEGIES:
            below = strategy.get(name)
            if below is None:
                continue
            hooks = self.templates.mapping(below, f"`{name}`")
            outcomes = self.templates.mapping(hooks.get("on"), "`on`")
            for hook in (*(hooks.get(one) for one in _HOOKS), outcomes.get("success"), outcomes.get("failure")):
                if hook is not None:
                    yield self.templates.mapping(hook, "a hook")


def is_template(path: str, entries: Mapping[str, Part], kind: PipelineKind) -> bool:
    """Say whether a file is a template: named so, or one that takes parameters and that nothing starts."""
    if kind == "template":
        return True
    name = path.rpartition("/")[2]
    return "parameters" in entries and entries.keys() <= _OF_TEMPLATES and not name.startswith("azure-pipelines")


_OF_TEMPLATES = frozenset(("parameters", "steps", "jobs", "stages", "variables"))
