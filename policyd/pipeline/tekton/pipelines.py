"""A pipeline: its tasks in the order in which they run, and what they hand to each other.

Each task of a pipeline is a stage. What its body says comes from the task written in place, or from one of the file;
one from elsewhere shows its name and parameters only. Tasks get what others leave in a workspace they share, and the
results of those that ran before.

Sources: tekton.dev "Pipelines", "PipelineRuns", "TaskRuns", "Matrix", "Workspaces".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import get_args

from policyd.errors import InputTooLarge
from policyd.models.facts import Guard, Purpose, StageFact
from policyd.pipeline.characters import quoted
from policyd.pipeline.effects import FoundEffect
from policyd.pipeline.needs import in_order
from policyd.pipeline.source_map import Spot
from policyd.pipeline.tekton.catalog import find_known_task
from policyd.pipeline.tekton.marks import find_marks
from policyd.pipeline.tekton.objects import Part, TektonObject
from policyd.pipeline.tekton.origins import Origin, join
from policyd.pipeline.tekton.reader import Origins, Scope
from policyd.pipeline.tekton.tasks import SOURCE_NAMES, Bound, Stage
from policyd.pipeline.tekton.triggers import TriggerReader
from policyd.pipeline.tekton.trust import names_pull_request

DEFAULT_TIMEOUT_SECONDS = 3600  # of a run, where neither file nor cluster says
MAX_CHECKOUTS = 64  # in one workspace, of which later tasks are looked at; real pipelines have one or two
MAX_NEEDS = 200_000  # of all tasks together; each at the end needs all before it


@dataclass(slots=True)
class Run:
    """What a run gives to the pipeline or task it starts."""

    given: Origins = field(default_factory=dict)
    outside: bool = False
    stale: bool = False
    guards: tuple[Guard, ...] = ()
    account: str = ""
    accounts: Mapping[str, str] = field(default_factory=dict)  # of single tasks
    token: bool = True  # the service account's token is in the pods
    workspaces: Mapping[str, Part] = field(default_factory=dict)
    timeout: int | None = DEFAULT_TIMEOUT_SECONDS
    explicit_timeout: bool = False
    template: str = ""  # the name under which triggers elsewhere start it, "template/build"
    sample: bool = False  # started by hand: what it gives is one way of many


class PipelineReader(TriggerReader):
    """Reads pipelines, and tasks as stages of them."""

    tasks: Mapping[str, TektonObject]
    accounts_that_write: Mapping[str, bool]

    def begin(self) -> None:
        """Prepare what is kept for the whole file."""
        self.names: set[str] = set()
        self.used_tasks: set[str] = set()
        self.used_step_actions = set()
        self._bodies: dict[tuple[object, ...], Stage] = {}

    # Stages.

    def unique(self, name: str, group: str) -> str:
        """Return a name for a stage that no other of the file has."""
        found = name if name not in self.names else f"{group}/{name}" if group else name
        count = 2
        while found in self.names:
            found = f"{group}/{name}#{count}" if group else f"{name}#{count}"
            count += 1
        self.names.add(found)
        return found

    def end_stage(self, stage: Stage, scope: Scope, run: Run, *, outputs: Iterable[str] = ()) -> None:
        """Write down a stage once its task is read."""
        account = run.accounts.get(stage.name.rpartition("/")[2].partition("#")[0], run.account)
        stage.last_effect = len(self.book.effects)
        if scope.owner:
            self.provided[scope.owner].append(stage.name)
        writes = run.token and self.writes(account)
        has_secrets = not self.with_secrets.isdisjoint((stage.name, ""))
        # A pod has the token of its service account whoever started it, unless that is turned off.
        privileged = scope.outside and (has_secrets or writes or run.token)
        for index in range(len(self.calls) - 1, -1, -1):
            if self.calls[index].stage != stage.name:
                break
            self.calls[index] = replace(
                self.calls[index],
                untrusted=scope.outside,
                powers=privileged,
                secrets=has_secrets,
                writes=writes or run.token,
                guards=scope.guards,
            )
        self.book.stages.append(
            StageFact(
                at=self.book.at("stages", Spot(stage.part.path)),
                name=stage.name,
                group=stage.group,
                kind="",
                needs=stage.needs,
                needs_kinds=[],
                runner=[],
                self_hosted=False,
                purposes=self._purposes(stage.like) if stage.like is not None else [],
                environment="",
                target="",
                timeout_seconds=stage.timeout_seconds,
                explicit_timeout=stage.explicit_timeout,
                untrusted=scope.outside,
                privileged=privileged,
                guards=list(scope.guards),
                has_secrets=has_secrets,
                writes=writes,
                outputs=list(outputs),
                results=[],
                has_source=stage.has_source,
            )
        )

    def _purposes(self, stage: Stage) -> list[Purpose]:
        """Return what the task of a stage is seen to do."""
        end = stage.last_effect if stage.last_effect >= 0 else len(self.book.effects)
        kinds = {effect.kind for effect in self.book.effects[stage.first_effect : end] if effect.stage == stage.name}
        return [purpose for purpose in get_args(Purpose) if purpose in kinds]

    def writes(self, account: str) -> bool:
        """Say whether a service account may change things: as the file says, else because one was chosen for it."""
        known = self.accounts_that_write.get(account)
        return known if known is not None else account not in ("", "default")

    def timed(self, stage: Stage, part: Part | None, run: Run) -> None:
        """Note the time limit of a stage: its own, else that of its run."""
        own = self.text(part, "`timeout`")
        stage.timeout_seconds = read_duration(own) if own else run.timeout
        stage.explicit_timeout = limits(own) if own else run.explicit_timeout

    # Workspaces.

    def bound(self, part: Part, key: str, scope: Scope) -> Bound:
        """Return what a workspace of a run is; write down the secret that it may hold."""
        secret = self.below(part, "a workspace", "secret", "secretName")
        if secret is None:
            projected = self.below(part, "a workspace", "projected", "sources")
            for source in self.items(projected, "`sources`"):
                secret = secret or self.below(source, "a source", "secret", "name")
        if secret is None:
            return Bound(key)
        name = self.text(secret, "`secretName`")
        self.expressions(secret, scope, "other")
        self.secret(name, Spot(secret.path), scope, "other")
        return Bound(key, name)

    # Pipelines.

    def pipeline(self, part: Part, name: str, scope: Scope, runs: Sequence[Run], *, embedded: bool) -> None:
        """Write down the stages of the `spec` of a pipeline that `runs` start; an `embedded` one has one run."""
        fields = self.entries(part, "a pipeline")
        run = runs[0] if embedded else merged(runs)
        owner = "" if embedded else f"pipeline/{name}"
        scope = replace(scope, outside=run.outside, stale=run.stale, guards=run.guards, owner=owner)
        params = self.declared(fields.get("params"), run.given, scope, embedded=embedded, owner=owner)
        scope = replace(scope, params=params)
        items = [(item, False) for item in self.items(fields.get("tasks"), "`tasks`")]
        if not items:
            self.refuse("a pipeline has `tasks`; this one has none", fields.get("tasks", part))
        items += [(item, True) for item in self.items(fields.get("finally"), "`finally`")]
        tasks: dict[str, _Task] = {}
        for item, last in items:
            below = self.entries(item, "a task")
            own = self.text(below.get("name"), "`name`")
            if not own:
                self.refuse("a task of a pipeline has no `name`", item)
            if own in tasks:
                self.refuse(f"the task {quoted(own)} stands twice in a pipeline", below["name"])
            tasks[own] = _Task(own, item, below, last, self.unique(own, name))
        self._order(tasks)
        results: dict[str, Origin] = {}
        trees: dict[str, _Tree] = {}
        for task_name in in_order({name: one.needs for name, one in tasks.items()}):
            task = tasks[task_name]
            self._pipeline_task(task, tasks, trees, replace(scope, results=results), run, name)
            results |= {f"tasks.{task.name}.results.{key}": origin for key, origin in task.stage.results.items()}
        for value in self.items(fields.get("results"), "`results`"):
            self.all_expressions(value, replace(scope, results=results), "other")

    def _order(self, tasks: Mapping[str, _Task]) -> None:
        first = [task.name for task in tasks.values() if not task.last]
        count = 0
        for task in tasks.values():
            after = [self.text(one, "a task") for one in self.items(task.fields.get("runAfter"), "`runAfter`")]
            after += [one for text in _strings(task.item.value) for one in _RESULT_OF.findall(text)]
            if task.last:
                after += first
            after += self._from(task)
            task.needs = [one for one in dict.fromkeys(after) if one in tasks and one != task.name]
            count += len(task.needs)
            if count > MAX_NEEDS:
                raise InputTooLarge(
                    f"tasks wait for more than {MAX_NEEDS} others, all together",
                    where=self.map.where(task.item.path),
                    fix="split the pipeline",
                )

    def _from(self, task: _Task) -> Iterator[str]:
        """Yield the tasks whose resources a task takes, in the old way of writing."""
        resources = task.fields.get("resources")
        for item in self.items(self.below(resources, "`resources`", "inputs"), "`inputs`"):
            for one in self.items(self.entries(item, "a resource").get("from"), "`from`"):
                yield self.text(one, "a task")

    def _pipeline_task(
        self,
        task: _Task,
        tasks: Mapping[str, _Task],
        trees: dict[str, _Tree],
        scope: Scope,
        run: Run,
        group: str,
    ) -> None:
        fields, item = task.fields, task.item
        stage = Stage(task.stage_name, item, group, [tasks[name].stage_name for name in task.needs])
        task.stage = stage
        stage.first_effect = len(self.book.effects)
        scope = replace(scope, stage=stage.name)
        scope = self._when(fields.get("when"), scope)
        self.timed(stage, fields.get("timeout"), run)
        self._bind(task, scope, run)
        on_error = fields.get("onError")
        if on_error is not None and on_error.value == "continue":
            self.effects([FoundEffect("ignores-failure", "onError", text="onError: continue")], on_error, scope)
        given = self.given(fields.get("params"), scope)
        given |= self._matrix(fields.get("matrix"), scope)
        outputs: Iterable[str] = ()
        if fields.get("taskSpec") is not None:
            spec = fields["taskSpec"]
            if "steps" in self.entries(spec, "`taskSpec`") or "apiVersion" not in self.entries(spec, "`taskSpec`"):
                self.task_body(spec, scope, stage, given, embedded=True, owner="")
            outputs = list(stage.results)
        elif fields.get("taskRef") is not None:
            outputs = self._used_task(fields["taskRef"], task, scope, given)
        elif fields.get("pipelineRef") is not None:
            self.resolve(fields["pipelineRef"], scope, "workflow", given)
        elif fields.get("pipelineSpec") is not None:
            inside = replace(scope, params={**scope.params, **given})
            self.pipeline(fields["pipelineSpec"], stage.name, inside, [replace(run, given=given)], embedded=True)
        else:
            self.refuse(f"the task {quoted(task.name)} has neither `taskRef` nor `taskSpec`", item)
        self._taint(task, trees)
        self.end_stage(stage, scope, run, outputs=outputs)

    def _used_task(self, ref: Part, task: _Task, scope: Scope, given: Origins) -> Iterable[str]:
        """Write down a task used by name: its body where the file has it, else what tasks of that name do."""
        stage = task.stage
        name = self.resolve(ref, scope, "task", given)
        found = self.tasks.get(name) if name else None
        if found is not None:
            self.used_tasks.add(name)
            self.provided[f"task/{name}"].append(stage.name)
            self.body_of(found, scope, stage, given)
            if not stage.checkouts and find_known_task(name).checks_out:
                self._checks_out(ref, task, scope, given)
            return list(stage.results)
        shown = name or self._shown_name(ref)
        if name:
            self.call(f"task/{name}", given, Spot(ref.path), scope)
        known = find_known_task(shown)
        if known.checks_out:
            self._checks_out(ref, task, scope, given)
        does = [FoundEffect(kind, shown, text=shown) for kind in known.does]
        if known.runs:
            does.append(FoundEffect("runs-workspace", shown, text=shown, confidence="medium"))
        self.effects(does, self.entries(ref, "a reference").get("name", ref), scope)
        return ()

    def _shown_name(self, ref: Part) -> str:
        """Return the name that a task from elsewhere has there."""
        fields = self.entries(ref, "a reference")
        given, _ = self.texts_of(fields.get("params"), Scope(), "`params`")
        path = given.get("pathInRepo") or given.get("url", "")
        return (
            self.text(fields.get("name"), "`name`")
            or given.get("name")
            or (path.rpartition("/")[2].removesuffix(".yaml").removesuffix(".yml"))
        )

    def _checks_out(self, ref: Part, task: _Task, scope: Scope, given: Origins) -> None:
        """Write down the checkout that a task does, told by its parameters alone."""
        fields = {name: below for name, below, _ in self.named(task.fields.get("params"), "`params`")}
        names = [name for name in fields if _REVISION.search(name)] + [name for name in fields if _ADDRESS.search(name)]
        origin = join(given[name] for name in names if name in given)
        place = fields[names[0]].get("value", ref) if names else ref
        revision = self.text(place, "a parameter") if names and not isinstance(place.value, list | dict) else ""
        pull = any(_names_pull(fields[name].get("value")) for name in names)
        if names and _REVISION.search(names[0]) and names[0] in given and not pull:
            by_revision = given[names[0]]
            # A commit stays what it is, wherever it is fetched from.
            if by_revision.code:
                origin = replace(origin, mutable=by_revision.mutable)
        persists = any(_CREDENTIALS.search(given[name].value or "") is not None for name in names if name in given)
        shown = self.text(self.entries(ref, "a reference").get("name"), "`name`") or self._shown_name(ref)
        self.checkout(
            shown or "git-clone",
            revision,
            Spot(place.path),
            replace(origin, code=origin.code or pull, mutable=origin.mutable or pull),
            scope,
            task.stage,
            persists=persists,
        )

    def body_of(self, found: TektonObject, scope: Scope, stage: Stage, given: Origins) -> None:
        """Write down the body of a task of the file, once for all stages where nothing differs for an outsider."""
        key = (
            found.name,
            scope.outside,
            scope.stale,
            scope.guards,
            *sorted((name, *map(str, origin.key)) for name, origin in given.items()),
        )
        before = self._bodies.get(key)
        if before is None:
            self._bodies[key] = stage
            inside = replace(scope, params={}, results={})
            self.task_body(found.spec, inside, stage, given, embedded=False, owner=f"task/{found.name}")
            return
        stage.like = before
        stage.results |= before.results
        stage.made_at |= before.made_at
        stage.has_source = before.has_source

    # What surrounds a task.

    def _when(self, part: Part | None, scope: Scope) -> Scope:
        guards: set[Guard] = set(scope.guards)
        for item in self.items(part, "`when`"):
            fields = self.entries(item, "an entry of `when`")
            if "cel" in fields:
                text = self.text(fields["cel"], "`cel`")
                self.expressions(fields["cel"], scope, "condition")
                self.book.condition(text, Spot(fields["cel"].path), scope.stage)
                continue
            subject = self.text(fields.get("input"), "`input`")
            operator = self.text(fields.get("operator"), "`operator`")
            values = fields.get("values")
            texts = [subject] if not isinstance(values, Part) or isinstance(values.value, str) else []
            listed = [] if texts else [self.text(one, "a value") for one in self.items(values, "`values`")]
            self.all_expressions(item, scope, "condition")
            inside = subject in listed
            constant = not find_marks(subject, templates=self.templates) and "$(" not in "".join(listed)
            always = constant and bool(listed) and (inside if operator == "in" else not inside)
            shown = f"{subject} {operator} {', '.join(listed)}"
            self.book.condition(
                shown, Spot(fields["input"].path if "input" in fields else item.path), scope.stage, always_true=always
            )
            guard = _guard_of(self.source_of(subject, scope), operator, listed)
            if guard:
                guards.add(guard)
            scope = self.limited(fields, scope)
        return replace(scope, guards=tuple(sorted(guards)))

    def source_of(self, text: str, scope: Scope) -> str:
        """Return the field of the event that a text is, by way of parameters, "" where it is none."""
        marks = find_marks(text, templates=self.templates)
        if len(marks) != 1:
            return ""
        context = marks[0].context
        if marks[0].template or context.startswith("body."):
            return context
        return self.origin_of_mark(marks[0], scope).field

    def _bind(self, task: _Task, scope: Scope, run: Run) -> None:
        for name, fields, item in self.named(task.fields.get("workspaces"), "`workspaces`"):
            of_pipeline = self.text(fields.get("workspace"), "`workspace`") or name
            self.all_expressions(item, scope, "other")
            key = f"{task.stage.group}:{of_pipeline}"
            given = run.workspaces.get(of_pipeline)
            task.stage.workspaces[name] = self.bound(given, key, scope) if given is not None else Bound(key)
            task.stage.has_source |= bool(SOURCE_NAMES.search(name))

    def _matrix(self, part: Part | None, scope: Scope) -> dict[str, Origin]:
        if part is None:
            return {}
        fields = self.entries(part, "`matrix`")
        found = self._values(fields.get("params"), scope)
        for item in self.items(fields.get("include"), "`include`"):
            for name, origin in self._values(self.entries(item, "an entry").get("params"), scope).items():
                found[name] = join((found[name], origin)) if name in found else origin
        return found

    def _values(self, part: Part | None, scope: Scope) -> dict[str, Origin]:
        given = self.given(part, scope, "`matrix`")
        return {name: replace(origin, value=None) for name, origin in given.items()}

    def _taint(self, task: _Task, trees: dict[str, _Tree]) -> None:
        """Say what follows of an outsider's code in the tree: what runs of it, and that results are the outsider's.

        `trees` are the workspaces of the pipeline with what the tasks before left in them.
        """
        stage = task.stage
        keys = list(dict.fromkeys(bound.key for bound in stage.workspaces.values() if not bound.secret))
        runs = self._first_run(stage, (stage.like or stage).first_effect)
        untrusted = False
        for key in keys:
            tree = trees.get(key)
            stage.has_source |= tree is not None
            if tree is not None and runs is not None:
                untrusted |= tree.untrusted
                tree.checkouts = [index for index in tree.checkouts if self._run_later(index, runs)]
        for index, count in stage.checkouts:
            checkout = self.book.checkouts[index]
            own = self._first_run(stage, count, index) is not None
            untrusted |= checkout.untrusted and own
            for key in keys:
                tree = trees.setdefault(key, _Tree())
                tree.untrusted |= checkout.untrusted
                if not own:
                    tree.checkouts = [*tree.checkouts[1 - MAX_CHECKOUTS :], index]
        if untrusted:
            for name, origin in stage.results.items():
                stage.results[name] = replace(origin, text=origin.text or "code of the change")
        for name, origin in stage.results.items():
            if origin.text:
                via = f"tasks.{task.name}.results.{name}"
                stage.results[name] = replace(origin, via=via)
                self.crossings[via] = (stage.made_at.get(name, Spot(stage.part.path)), origin.text)

    def _run_later(self, index: int, runs: int) -> bool:
        """Say of a checkout what a later task runs of it; return whether another might with less in its way."""
        checkout, effect = self.book.checkouts[index], self.book.effects[runs]
        guards = {*checkout.guards, *effect.guards} if not checkout.runs else set(effect.guards)
        if not checkout.runs or guards < set(checkout.guards):
            self.book.checkouts[index] = checkout.model_copy(
                update={"runs": effect.detail or effect.text, "runs_at": effect.at, "guards": sorted(guards)}
            )
        return bool(effect.guards)

    def _first_run(self, stage: Stage, begin: int, checkout: int | None = None) -> int | None:
        """Return the first effect of a stage from `begin` on that runs code of the tree, after `checkout` if given."""
        effects, spots = self.book.effects, self.book.spots
        after = spots["checkouts"][checkout] if checkout is not None else None
        name = stage.like.name if stage.like is not None else stage.name
        for index in range(begin, len(effects)):
            if effects[index].kind != "runs-workspace" or effects[index].stage != name:
                continue
            spot = spots["effects"][index]
            if after is None or spot.path != after.path or spot.start > after.start:
                return index
        return None


@dataclass(slots=True)
class _Tree:
    """What tasks left in a workspace: checkouts of which nothing is known to run unhindered yet."""

    checkouts: list[int] = field(default_factory=list)
    untrusted: bool = False


@dataclass(slots=True)
class _Task:
    """A task of a pipeline before and while it is read."""

    name: str
    item: Part
    fields: dict[str, Part]
    last: bool
    stage_name: str
    needs: list[str] = field(default_factory=list)
    stage: Stage = field(default_factory=lambda: Stage("", Part(None, ())))


def merged(runs: Sequence[Run]) -> Run:
    """Return what several runs of one pipeline or task give together: the worst of each."""
    if len(runs) == 1 and not runs[0].sample:
        return runs[0]
    if not runs:
        # Whoever runs it gives it its time and its powers.
        return Run(explicit_timeout=True)
    given: dict[str, Origin] = {}
    for run in runs:
        for name, origin in run.given.items():
            one = replace(origin, open=True) if run.sample else origin
            given[name] = join((given[name], one)) if name in given else one
    outside = [run for run in runs if run.outside]
    first = runs[0]
    return Run(
        given=given,
        outside=bool(outside),
        stale=any(run.stale for run in outside),
        guards=tuple(sorted(frozenset.intersection(*(frozenset(run.guards) for run in outside)))) if outside else (),
        account=next((run.account for run in runs if run.account not in ("", "default")), first.account),
        accounts={name: account for run in runs for name, account in run.accounts.items()},
        token=any(run.token for run in runs),
        workspaces={name: part for run in runs for name, part in run.workspaces.items()},
        timeout=None if any(run.timeout is None for run in runs) else max(run.timeout or 0 for run in runs),
        explicit_timeout=all(run.explicit_timeout for run in runs),
    )


_DURATION = re.compile(r"(\d+(?:\.\d+)?)(h|m(?!s)|s|ms|us|µs|ns)")
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0}
_MAX_SECONDS = 10 * 365 * 86_400


def read_duration(text: str) -> int | None:
    """Return the seconds of a text such as `1h30m`; `None` where it is no limit (`0`) or none is written there."""
    seconds, position = 0.0, 0
    while position < len(text):
        found = _DURATION.match(text, position)
        if found is None or len(found[1]) > 12:
            return None
        seconds += float(found[1]) * _UNITS.get(found[2], 0.001)
        position = found.end()
    return int(seconds) if 1 <= seconds <= _MAX_SECONDS else None


def limits(text: str) -> bool:
    """Say whether a written time limit is one: `0` is none."""
    return text.strip("0hms. ") != ""


_RESULT_OF = re.compile(r"\$\(tasks\.([\w-]+)\.")
_REVISION = re.compile(r"revision|refspec|^ref$|git-?ref|branch|commit|^sha$|tag", re.IGNORECASE)
_ADDRESS = re.compile(r"url|repo", re.IGNORECASE)
_CREDENTIALS = re.compile(r"https?://[^/\s\"']*@")
_INSIDERS = frozenset(("OWNER", "MEMBER", "COLLABORATOR"))
_ACTOR = re.compile(r"(?:^|\.)sender(?:\.login)?$|\.user\.(?:login|username)$|^body\.user_username$")


def _guard_of(source: str, operator: str, values: Sequence[str]) -> Guard | None:
    """Return what a condition on a field of the event asks for, `None` where that stops no stranger."""
    if operator != "in" or not values or not source:
        return None
    if source.endswith(".author_association"):
        return "association" if _INSIDERS.issuperset(values) else None
    if _ACTOR.search(source):
        return "actor"
    if source.endswith(".merged"):
        return "merged" if set(values) == {"true"} else None
    if source.startswith("body.pull_request.head.repo.") and source.endswith((".full_name", ".id", ".owner.login")):
        return "same-repository"
    if source.endswith(".head.repo.fork"):
        return "same-repository" if set(values) == {"false"} else None
    if ".label" in source or source == "pull_request_labels":
        return "label"
    if source in ("event", "event_type"):
        return "event" if {"push", "incoming"}.issuperset(values) else None
    return None


def _names_pull(part: Part | None) -> bool:
    return part is not None and isinstance(part.value, str) and names_pull_request(part.value)


def _strings(value: object) -> Iterator[str]:
    """Yield all texts in a value that may name results of other tasks."""
    pending = [value]
    while pending:
        one = pending.pop()
        if isinstance(one, str):
            if "$(tasks." in one:
                yield one
        elif isinstance(one, dict):
            pending.extend(one.values())
        elif isinstance(one, list):
            pending.extend(one)
