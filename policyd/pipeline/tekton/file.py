"""A file of objects as facts: runs first, then what they start, then what nothing in the file starts.

A pipeline or task that runs of the file start is looked at with what they give it; one that nobody starts here may be
started by anyone with rights to the cluster, with any parameters.

Source: tekton.dev "Tasks", "Pipelines", "PipelineRuns", "TaskRuns", "TriggerTemplates".
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from policyd.models.facts import Permission
from policyd.models.input import PipelineKind
from policyd.pipeline.effects import FoundEffect
from policyd.pipeline.front_end import FrontEndRead
from policyd.pipeline.links import Links
from policyd.pipeline.source_map import SourceMap, Spot
from policyd.pipeline.tekton.objects import TEKTON, Part, TektonObject, find_objects, name_of, read_documents
from policyd.pipeline.tekton.origins import OPEN, Origin, join
from policyd.pipeline.tekton.pipelines import (
    DEFAULT_TIMEOUT_SECONDS,
    PipelineReader,
    Run,
    limits,
    merged,
    read_duration,
)
from policyd.pipeline.tekton.reader import Origins, Scope
from policyd.pipeline.tekton.references import parse_remote_annotation
from policyd.pipeline.tekton.tasks import Stage
from policyd.pipeline.tekton.triggers import PAC, Start, common_guards


def read_file(path: str, content: bytes, _kind: PipelineKind) -> FrontEndRead:
    """Return the facts of a file. Raises `DocumentError` where Tekton's objects are not of its shape."""
    templates = ".tekton" in path.split("/")[:-1] or PAC.encode() in content
    value, source_map, documents = read_documents(path, content, templates=templates)
    return _File(path, source_map, documents, templates=templates).read(value)


@dataclass(frozen=True, slots=True)
class _Started:
    """A run, and how it is started.

    `template` are the parameters of the template of a trigger that makes it, `owner` is that, as "template/build".
    """

    run: TektonObject
    starts: Sequence[Start] = ()
    template: Origins | None = None
    owner: str = ""
    annotations: Mapping[str, Part] = field(default_factory=dict)

    @property
    def scope(self) -> Scope:
        outside = [start for start in self.starts if start.outsiders]
        return Scope(
            template=self.template,
            outside=bool(outside),
            stale=any(start.stale for start in outside),
            guards=common_guards([frozenset(start.guards) for start in outside]),
        )


class _File(PipelineReader):
    def __init__(self, path: str, source_map: SourceMap, documents: list[Part], *, templates: bool) -> None:
        super().__init__(path, source_map, templates=templates)
        objects = list(find_objects(documents))
        self.objects = [one for one in objects if not one.foreign]
        self.foreign = [one for one in objects if one.foreign]
        self.tasks = self._of("Task", "ClusterTask")
        self.pipelines = self._of("Pipeline")
        self.step_actions = self._of("StepAction")
        self.bindings = self._of("TriggerBinding", "ClusterTriggerBinding")
        self.triggers = self._of("Trigger")
        self.templates_here = frozenset(self._of("TriggerTemplate"))
        self.any_run = templates and not any(one.kind == "PipelineRun" for one in self.objects)

    def _of(self, *kinds: str) -> dict[str, TektonObject]:
        return {one.name: one for one in reversed(self.objects) if one.kind in kinds and one.name}

    def read(self, value: object) -> FrontEndRead:
        self.begin()
        self.accounts_that_write = self._accounts()
        self.started_pipelines: dict[str, list[Run]] = defaultdict(list)
        self.started_tasks: dict[str, list[Run]] = defaultdict(list)
        starts = self.listeners(self.objects)
        for started in self._started(starts):
            first = len(self.book.stages)
            if started.run.kind == "PipelineRun":
                self._pipeline_run(started)
            else:
                self._task_run(started)
            self._provide(started.owner, first)
        for one in self.objects:
            if one.kind == "Pipeline":
                first = len(self.book.stages)
                self._pipeline(one)
                for run in self.started_pipelines.get(one.name, ()):
                    self._provide(run.template, first)
        for one in self.objects:
            if one.kind in ("Task", "ClusterTask"):
                first = len(self.book.stages)
                self._task(one)
                for run in self.started_tasks.get(one.name, ()):
                    self._provide(run.template, first)
        for one in self.objects:
            if one.kind == "StepAction":
                self._step_action(one)
        self._secret_objects()
        facts, source_map = self.book.close(self.map)
        links = Links(
            landings=tuple(self.landings),
            arguments=tuple(self.arguments),
            calls=tuple(self.calls),
            feeds=tuple(dict.fromkeys(self.feeds)),
            starts=tuple(self.starts_elsewhere),
            unproved=tuple(self.unproved),
            provides={name: tuple(stages) for name, stages in self.provided.items()},
        )
        return FrontEndRead(value, facts, source_map, self._name(), links=links)

    def _provide(self, owner: str, first: int) -> None:
        """Note the stages from `first` on as those of a template, which triggers of other files may start."""
        if owner:
            self.provided[owner] += [stage.name for stage in self.book.stages[first:]]

    def _name(self) -> str:
        named = [one.name for one in self.objects if one.kind in ("Pipeline", "PipelineRun")] or [
            one.name for one in self.objects
        ]
        return named[0] if len(named) == 1 else ""

    # What starts runs.

    def _started(self, starts: Mapping[str, Sequence[Start]]) -> Iterator[_Started]:
        for part, start in self.inline_templates:
            yield from self._template(part, [start], "")
        for one in self.objects:
            if one.kind == "TriggerTemplate":
                owner = f"template/{one.name}" if one.name else ""
                yield from self._template(one.spec, starts.get(one.name, ()), owner)
            elif one.kind == "PipelineRun":
                annotations = self.annotations(one)
                annotated = self.annotated(annotations)
                yield _Started(one, [annotated] if annotated else (), annotations=annotations)
            elif one.kind == "TaskRun":
                yield _Started(one)

    def _template(self, spec: Part, starts: Sequence[Start], owner: str) -> Iterator[_Started]:
        """Yield the runs that a template of a trigger makes; its other objects are read with the file's own."""
        fields = self.entries(spec, "`spec`")
        params: dict[str, Origin] = {}
        bound = self._bound_params() if not starts else {}
        for name, below, _ in self.named(fields.get("params"), "`params`"):
            given = [start.params[name] for start in starts if name in start.params]
            default = below.get("default")
            if given:
                params[name] = join(given)
            elif name in bound:
                # A trigger elsewhere may take events unsigned: then all of them is an outsider's.
                feeds = frozenset((f"{owner}:{name}",) if owner and not bound[name].text else ())
                params[name] = replace(bound[name], parameters=feeds)
            elif starts and default is not None and isinstance(default.value, str):
                params[name] = Origin(value=default.value)
            else:
                params[name] = replace(OPEN, parameters=frozenset((f"{owner}:{name}",) if owner else ()))
        key = "resourcetemplates" if "resourcetemplates" in fields else "resourceTemplates"
        for item in self.items(fields.get(key), "`resourcetemplates`"):
            below = self.entries(item, "a resource")
            if TEKTON.match(self.text(below.get("apiVersion"), "`apiVersion`")) is None:
                continue
            kind = self.text(below.get("kind"), "`kind`")
            if kind in ("PipelineRun", "TaskRun"):
                yield _Started(TektonObject(kind, name_of(item.value), item, in_template=True), starts, params, owner)

    def _bound_params(self) -> dict[str, Origin]:
        """Return what the bindings of the file give, for a template that no trigger of the file names."""
        if len(self.bindings) != 1 or any(one.kind in ("EventListener", "Trigger") for one in self.objects):
            return {}
        (binding,) = self.bindings.values()
        return self.origins_given(self.below(binding.spec, "`spec`", "params"), Scope(event_proved=True))

    # Runs.

    def _run(self, one: _Started, scope: Scope) -> tuple[Run, dict[str, Part]]:
        """Write down what a run says for all it starts; return it, and its fields."""
        fields = self.entries(one.run.spec, "`spec`")
        template = self.entries(fields.get("taskRunTemplate"), "`taskRunTemplate`")
        account = self.text(
            fields.get("serviceAccountName") or template.get("serviceAccountName"), "`serviceAccountName`"
        )
        accounts = {}
        for item in self.items(fields.get("taskRunSpecs"), "`taskRunSpecs`"):
            below = self.entries(item, "an entry of `taskRunSpecs`")
            own = below.get("serviceAccountName") or below.get("taskServiceAccountName")
            if own is not None:
                accounts[self.text(below.get("pipelineTaskName"), "`pipelineTaskName`")] = self.text(own, "a name")
            self._pod(below.get("podTemplate") or below.get("taskPodTemplate"), scope)
        token = self._pod(fields.get("podTemplate") or template.get("podTemplate"), scope)
        timeouts = self.entries(fields.get("timeouts"), "`timeouts`")
        timeout = timeouts.get("tasks") or timeouts.get("pipeline") or fields.get("timeout")
        written = self.text(timeout, "`timeout`")
        run = Run(
            given=self.given(fields.get("params"), scope),
            outside=scope.outside,
            stale=scope.stale,
            guards=scope.guards,
            account=account,
            accounts=accounts,
            token=token,
            workspaces={name: item for name, _, item in self.named(fields.get("workspaces"), "`workspaces`")},
            timeout=read_duration(written) if written else DEFAULT_TIMEOUT_SECONDS,
            explicit_timeout=limits(written),
            template=one.owner,
            sample=not one.starts and one.template is None and not self.templates,
        )
        return run, fields

    def _pod(self, part: Part | None, scope: Scope) -> bool:
        """Write down what a pod may do beyond its own; return whether it has its service account's token."""
        fields = self.entries(part, "`podTemplate`")
        for key in ("hostNetwork", "hostPID", "hostIPC"):
            shared = fields.get(key)
            if shared is not None and shared.value is True:
                self.effects([FoundEffect("privileged-container", key, text=f"{key}: true")], shared, scope)
        powers, _ = self.powers(fields.get("securityContext"), set())
        for effect, spot in powers:
            self.book.effect(effect, spot, scope.around())
        self.volumes(fields.get("volumes"), scope)
        mounted = fields.get("automountServiceAccountToken")
        return mounted is None or mounted.value is not False

    def _pipeline_run(self, one: _Started) -> None:
        scope = one.scope
        self._remote_tasks(one.annotations, scope)
        run, fields = self._run(one, scope)
        name = one.run.name or "run"
        spec = fields.get("pipelineSpec") or fields.get("PipelineSpec")
        if spec is not None:
            inside = replace(scope, params=run.given)
            self.pipeline(spec, name, inside, [run], embedded=True)
            return
        ref = fields.get("pipelineRef")
        if ref is None:
            self.refuse("a run of a pipeline has neither `pipelineRef` nor `pipelineSpec`", one.run.spec)
        used = self.text(self.entries(ref, "`pipelineRef`").get("name"), "`name`")
        if used in self.pipelines and "resolver" not in self.entries(ref, "`pipelineRef`"):
            self.resolve(ref, scope, "workflow", run.given)
            self.started_pipelines[used].append(run)
            return
        # What it runs lies elsewhere: the run itself is all there is to see.
        stage = Stage(self.unique(name, ""), one.run.root)
        scope = replace(scope, stage=stage.name)
        found = self.resolve(ref, scope, "workflow", run.given)
        if found:
            self.call(f"pipeline/{found}", run.given, Spot(ref.path), scope)
        self._end_run(stage, scope, run)

    def _task_run(self, one: _Started) -> None:
        scope = one.scope
        fields = self.entries(one.run.spec, "`spec`")
        # Kubernetes' reader of JSON takes a field in any case, and runs with `TaskSpec` are about.
        ref, spec = fields.get("taskRef"), fields.get("taskSpec") or fields.get("TaskSpec")
        used = self.text(self.below(ref, "`taskRef`", "name"), "`name`")
        if ref is not None and used in self.tasks and "resolver" not in self.entries(ref, "`taskRef`"):
            run, _ = self._run(one, scope)
            self.resolve(ref, scope, "task", run.given)
            self.started_tasks[used].append(run)
            return
        stage = Stage(self.unique(one.run.name or "run", ""), one.run.root)
        stage.first_effect = len(self.book.effects)
        scope = replace(scope, stage=stage.name)
        run, _ = self._run(one, scope)
        if spec is not None:
            inside = replace(scope, params=run.given)
            self.task_body(spec, inside, stage, run.given, embedded=True, owner="")
        elif ref is not None:
            found = self.resolve(ref, scope, "task", run.given)
            if found:
                self.call(f"task/{found}", run.given, Spot(ref.path), scope)
        else:
            self.refuse("a run of a task has neither `taskRef` nor `taskSpec`", one.run.spec)
        self._end_run(stage, scope, run)

    def _end_run(self, stage: Stage, scope: Scope, run: Run) -> None:
        stage.timeout_seconds, stage.explicit_timeout = run.timeout, run.explicit_timeout
        for name, part in run.workspaces.items():
            stage.workspaces[name] = self.bound(part, name, scope)
        self.end_stage(stage, scope, run, outputs=list(stage.results))

    def _remote_tasks(self, annotations: Mapping[str, Part], scope: Scope) -> None:
        """Write down what Pipelines-as-Code fetches before it starts a run."""
        for name, part in annotations.items():
            base, _, number = name.rpartition("-")
            kind = base if number.isdigit() else name
            if kind not in ("task", "pipeline"):
                continue
            for text in self._names(part):
                self.reference(parse_remote_annotation(text, "task" if kind == "task" else "workflow"), part, scope)

    # What is started.

    def _pipeline(self, one: TektonObject) -> None:
        runs = self.started_pipelines.get(one.name, [])
        if self.pipelines.get(one.name) is not one:
            runs = []
        self.pipeline(one.spec, one.name or "pipeline", self._loose(), runs, embedded=False)

    def _task(self, one: TektonObject) -> None:
        runs = self.started_tasks.get(one.name, [])
        if not runs and one.name in self.used_tasks and self.tasks.get(one.name) is one:
            return
        run = merged(runs)
        stage = Stage(self.unique(one.name or "task", ""), one.root)
        stage.first_effect = len(self.book.effects)
        scope = replace(self._loose(), stage=stage.name, outside=run.outside, stale=run.stale, guards=run.guards)
        stage.timeout_seconds, stage.explicit_timeout = run.timeout, run.explicit_timeout
        for name, part in run.workspaces.items():
            stage.workspaces[name] = self.bound(part, name, scope)
        scope = self.task_body(one.spec, scope, stage, run.given, embedded=False, owner=f"task/{one.name}")
        self.end_stage(stage, scope, run, outputs=list(stage.results))

    def _step_action(self, one: TektonObject) -> None:
        if one.name in self.used_step_actions:
            return
        stage = Stage(self.unique(one.name or "step", ""), one.root)
        scope = replace(self._loose(), stage=stage.name)
        stage.timeout_seconds, stage.explicit_timeout = None, True
        scope = self.step_action(one, scope, stage)
        self.end_stage(stage, scope, Run(explicit_timeout=True))

    @staticmethod
    def _loose() -> Scope:
        """Return the scope of an object that nothing in the file starts, as far as the file goes."""
        return Scope()

    # Objects of Kubernetes.

    def _accounts(self) -> dict[str, bool]:
        """Write down what roles of the file let service accounts do; return for each whether it may change things."""
        roles = {(one.kind, one.name): one for one in self.foreign if one.kind in ("Role", "ClusterRole")}
        written: set[tuple[str, str]] = set()
        accounts: dict[str, bool] = {}
        for one in self.foreign:
            if one.kind not in ("RoleBinding", "ClusterRoleBinding"):
                continue
            fields = self.entries(one.root, "an object")
            ref = self.entries(fields.get("roleRef"), "`roleRef`")
            key = (self.text(ref.get("kind"), "`kind`"), self.text(ref.get("name"), "`name`"))
            role = roles.get(key)
            if key[1] in _ALMIGHTY:
                writes = True
                self._grant("*", fields["roleRef"])
            elif role is None:
                continue
            elif key in written:
                writes = any(access == "write" for access in self._rules(role, write=False))
            else:
                written.add(key)
                writes = any(access == "write" for access in self._rules(role, write=True))
            for subject in self.items(fields.get("subjects"), "`subjects`"):
                below = self.entries(subject, "a subject")
                if below.get("kind") is not None and below["kind"].value == "ServiceAccount":
                    name = self.text(below.get("name"), "`name`")
                    accounts[name] = accounts.get(name, False) or writes
        return accounts

    def _rules(self, role: TektonObject, *, write: bool) -> list[str]:
        found = []
        for item in self.items(self.entries(role.root, "an object").get("rules"), "`rules`"):
            rule = self.entries(item, "a rule")
            verbs = {self.text(verb, "a verb") for verb in self.items(rule.get("verbs"), "`verbs`")}
            access = "read" if verbs <= _READS else "write"
            found.append(access)
            for resource in self.items(rule.get("resources"), "`resources`") if write else ():
                self._grant(self.text(resource, "a resource"), resource, access)
        return found

    def _grant(self, scope: str, part: Part, access: str = "write") -> None:
        self.book.permissions.append(
            Permission(
                at=self.book.at("permissions", Spot(part.path)),
                stage="",
                scope=scope,
                access="read" if access == "read" else "write",
                explicit=True,
                level="pipeline",
            )
        )

    def _secret_objects(self) -> None:
        """Write down secrets that stand in the file in plain text."""
        for one in self.foreign:
            if one.kind != "Secret":
                continue
            fields = self.entries(one.root, "an object")
            for name, part in self.entries(fields.get("stringData"), "`stringData`").items():
                if not isinstance(part.value, str):
                    continue
                self._secret_value(name, part.value, part)
            for name, part in self.entries(fields.get("data"), "`data`").items():
                if isinstance(part.value, str) and len(part.value) <= MAX_SECRET:
                    try:
                        value = b64decode(part.value.strip(), validate=True).decode("utf-8").strip()
                    except ValueError:
                        continue  # a placeholder, or no text
                    self._secret_value(name, value, part)

    def _secret_value(self, name: str, value: str, part: Part) -> None:
        literal = "$(" not in value and "{{" not in value and _PLACEHOLDER.fullmatch(value) is None
        if value != name:
            self.book.variable(
                name, value, Spot(part.path), Scope().around(), origin="credentials", literal=literal, secret=True
            )


MAX_SECRET = 64 * 1024  # characters of a value that is decoded; an object of Kubernetes may have a megabyte
_PLACEHOLDER = re.compile(
    r"<[^<>]*>|\$\{[^{}]*\}|\[[^\[\]]*\]|[xX*.]+"
    r"|(?:change|replace|your|insert|put|fill|example|dummy|placeholder|redacted|todo|token|password|secret)[-_ a-z]*",
    re.I,
)
_ALMIGHTY = frozenset(("cluster-admin", "admin", "edit"))
_READS = frozenset(("get", "list", "watch"))
