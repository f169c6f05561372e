"""A whole GitLab pipeline as facts: its jobs in the order in which they run, and what starts it.

Jobs are read after those they need, so that variables which a job hands on (`reports: dotenv`) are known in later ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from policyd.errors import InputTooLarge
from policyd.models.facts import Facts, Flow, Guard, Trigger, Trust
from policyd.pipeline.characters import quoted
from policyd.pipeline.gitlab.configuration import KEYWORDS, Configuration, project_folder
from policyd.pipeline.gitlab.events import EXTERNAL_PULL_REQUEST, NEVER, SCENARIOS
from policyd.pipeline.gitlab.inputs import interpolate
from policyd.pipeline.gitlab.job import DEFAULTS, Handed, Job
from policyd.pipeline.gitlab.jobs import JobReader, runs_outside, writes_dotenv
from policyd.pipeline.gitlab.parts import UNKNOWN, Part, entries_of
from policyd.pipeline.gitlab.reader import Scope
from policyd.pipeline.gitlab.trust import UNTRUSTED
from policyd.pipeline.links import Call, Links
from policyd.pipeline.needs import in_order
from policyd.pipeline.source_map import SourceMap, Spot

DEFAULT_STAGES = ("build", "test", "deploy")
MAX_NEEDS = 200_000  # of all jobs together; a job of a stage needs all of the stage before
MAX_RECEIVED = 20_000  # variables that jobs hand on to others, all together
#: One of these makes a mapping a job where a file need not be a whole pipeline.
_OF_JOBS = frozenset(
    (
        "after_script",
        "allow_failure",
        "artifacts",
        "before_script",
        "cache",
        "environment",
        "extends",
        "image",
        "needs",
        "rules",
        "run",
        "script",
        "services",
        "stage",
        "tags",
        "trigger",
        "variables",
    )
)
#: Events that are listed where a file speaks of them, since every pipeline can be started so.
_LISTED = ("push", "merge_request_event")


def find_pipeline_facts(configuration: Configuration) -> tuple[Facts, SourceMap, Links]:
    """Return the facts of a configuration, a source map that knows their places, and its child pipelines.

    Raises `DocumentError` where GitLab would refuse it, with file, line and column.
    """
    return _Pipeline(configuration).read()


class _Pipeline(JobReader):
    def read(self) -> tuple[Facts, SourceMap, Links]:
        self.calls: list[Call] = []
        self._handed: dict[str, dict[str, Handed]] = {}  # by job, by variable
        self._received = 0
        root = self.configuration.root
        workflow = self.configuration.mapping(root.get("workflow"), "`workflow`")
        self.weigher.workflow = self.rules(workflow.get("rules"), "`workflow: rules`", Scope())
        scope = self.variables(root.get("variables"), Scope())
        self.weigher.written = scope.written
        self._includes(scope)
        for key in ("workflow", "stages"):
            if key in root:
                self.all_marks(root[key], scope)
        jobs = {job.name: job for job in self._jobs(root, scope)}
        self._order(jobs)
        if EXTERNAL_PULL_REQUEST.event in self.named_events:
            self.weigher.outside = (*self.weigher.outside, EXTERNAL_PULL_REQUEST)
        for job in jobs.values():
            job.untrusted = runs_outside(self, job.admission)
        self._triggers(root, jobs)
        self._guards(jobs)
        for job in self._in_order(jobs):
            self._receive(job, jobs)
            first_effect = len(self.book.effects)
            self.read_job(job)
            self._flows(job, first_effect)
        facts, source_map = self.book.close(self.configuration.main.map)
        return facts, source_map, Links(root=project_folder(self.configuration.path), calls=tuple(self.calls))

    def _includes(self, scope: Scope) -> None:
        for include in self.configuration.includes:
            self.include_reference(include.kind, include.part, include.fields, scope)
            self.rules(include.fields.get("rules"), "`rules` of an `include`", scope)

    # Jobs.

    def _jobs(self, root: Mapping[str, Part], scope: Scope) -> Iterator[Job]:
        defaults = self._defaults(root)
        names = [name for name in root if name not in KEYWORDS and not name.startswith(".")]
        parts = {name: self.configuration.resolve(self.configuration.job(name)) for name in names}
        if not self.configuration.strict:
            # Hidden jobs of a file that others include are extended elsewhere.
            hidden = [name for name in root if name.startswith(".") and name not in KEYWORDS]
            found = {name: self.configuration.resolve(self.configuration.job(name)) for name in hidden}
            parts |= {
                name: part
                for name, part in found.items()
                if name not in self.configuration.extended and not _RUNS.isdisjoint(entries_of(part))
            }
        for name, part in parts.items():
            job = self._job(name, part, defaults, scope)
            if job is not None:
                yield job

    def _defaults(self, root: Mapping[str, Part]) -> dict[str, Part]:
        given = {name: root[name] for name in DEFAULTS if name in root and name in KEYWORDS}
        return given | {
            name: part
            for name, part in self.configuration.mapping(root.get("default"), "`default`").items()
            if name in DEFAULTS
        }

    def _job(self, name: str, part: Part, defaults: Mapping[str, Part], scope: Scope) -> Job | None:
        if not part.is_mapping:
            if part.value is UNKNOWN or not self.configuration.strict:
                return None
            self.configuration.refuse_shape(part.value, part, f"the job {quoted(name)}", "mapping")
        own = entries_of(part)
        if _RUNS.isdisjoint(own):
            if self.configuration.strict and not self.configuration.open and "needs" not in own:
                self.configuration.refuse(f"the job {quoted(name)} has neither `script`, `run` nor `trigger`", part)
            if _OF_JOBS.isdisjoint(own):
                return None
        inherit = self.configuration.mapping(own.get("inherit"), "`inherit`")
        entries = {key: below for key, below in defaults.items() if self._inherits(inherit.get("default"), key)} | own
        if "trigger" in own:
            entries = dict(own)  # a job that starts a pipeline runs nothing
        name = interpolate(name, part.file.inputs, part.where())
        scope = self._inherited(scope, inherit.get("variables"))
        scope = replace(scope, stage=name)
        group = self.configuration.text(own.get("stage"), "`stage`") or "test"
        return Job(name, part, entries, group=group, admission=self.admission(entries, scope), scope=scope)

    def _inherits(self, part: Part | None, name: str) -> bool:
        if part is None:
            return True
        part = self.configuration.resolve(part)
        if isinstance(part.value, bool):
            return part.value
        kept = self.configuration.items(part, "`inherit`")
        return name in (self.configuration.text(item, "a keyword") for item in kept)

    def _inherited(self, scope: Scope, part: Part | None) -> Scope:
        kept = {name for name in scope.written if self._inherits(part, name)} if part is not None else None
        if kept is None or len(kept) == len(scope.written):
            return scope
        dropped = scope.written.keys() - kept
        return replace(
            scope,
            tainted=(scope.tainted - dropped) | (UNTRUSTED & dropped),
            outside=scope.outside - dropped,
            secrets=scope.secrets - dropped,
            written={name: scope.written[name] for name in kept},
        )

    # Order.

    def _order(self, jobs: Mapping[str, Job]) -> None:
        """Say of each job which others it waits for: those in `needs`, else all of the stage before."""
        written = self.configuration.items(self.configuration.root.get("stages"), "`stages`")
        stages = [self.configuration.text(item, "a stage") for item in written] or list(DEFAULT_STAGES)
        positions = {name: index for index, name in enumerate(dict.fromkeys((".pre", *stages, ".post")))}
        groups: dict[int, list[str]] = {}
        for job in jobs.values():
            groups.setdefault(positions.get(job.group, len(positions)), []).append(job.name)
        before: dict[int, Sequence[str]] = {}
        last: Sequence[str] = ()
        for position in sorted(groups):
            before[position] = last
            last = groups[position]
        count = 0
        for job in jobs.values():
            needs = job.entries.get("needs")
            if needs is None:
                job.needs = list(before[positions.get(job.group, len(positions))])
            else:
                job.needs = list(dict.fromkeys(self._needed(needs)))
            count += len(job.needs)
            if count > MAX_NEEDS:
                raise InputTooLarge(
                    f"jobs wait for more than {MAX_NEEDS} others, all together",
                    where=job.part.where(),
                    fix="split the pipeline",
                )

    def _needed(self, part: Part) -> Iterator[str]:
        resolved = self.configuration.resolve(part)
        items = self.configuration.items(resolved, "`needs`")
        if resolved.is_mapping:
            items = self.configuration.items(entries_of(resolved).get("job"), "`needs`")
        for item in items:
            if not item.is_mapping:
                yield self.configuration.text(item, "a job")
                continue
            fields = entries_of(item)
            if "project" not in fields and "pipeline" not in fields:
                yield self.configuration.text(fields.get("job"), "`job`")

    @staticmethod
    def _in_order(jobs: Mapping[str, Job]) -> list[Job]:
        """Return the jobs, each after those it needs."""
        needs = {name: [one for one in job.needs if one in jobs] for name, job in jobs.items()}
        return [jobs[name] for name in in_order(needs)]

    # Who starts it.

    def _guards(self, jobs: Mapping[str, Job]) -> None:
        outside = any(job.untrusted for job in jobs.values())
        approved: set[str] = set()
        for job in self._in_order(jobs):
            guards: list[Guard] = list(self.weigher.guards(job.admission))
            if any(self._approves(jobs[name], job, approved) for name in job.needs if name in jobs):
                approved.add(job.name)
                if "approval" not in guards:
                    guards.append("approval")
            elif "approval" in guards:
                approved.add(job.name)
            if outside and not job.untrusted:
                guards.append("event")
            job.scope = replace(job.scope, guards=tuple(guards))

    def _approves(self, needed: Job, job: Job, approved: set[str]) -> bool:
        """Say whether waiting for `needed` is waiting for a person, in every pipeline that `job` is part of."""
        if needed.name not in approved:
            return False
        if "approval" in self.weigher.guards(needed.admission) and not needed.blocks and "needs" not in job.entries:
            return False
        return all(
            NEVER not in self.weigher.outcomes(needed.admission, scenario)
            for scenario in SCENARIOS
            if self.weigher.runs(job.admission, scenario)
        )

    def _triggers(self, root: Mapping[str, Part], jobs: Mapping[str, Job]) -> None:
        parameters = self._parameters(root)
        started: dict[str, bool] = {}
        for scenario in SCENARIOS:
            runs = self.weigher.starts(scenario) and any(
                self.weigher.runs(job.admission, scenario) for job in jobs.values()
            )
            started[scenario.event] = started.get(scenario.event, False) or runs
        for event, runs in started.items():
            listed = event in _LISTED and self.configuration.strict
            if event == "merge_request_event":
                listed = True
            if runs and (listed or event in self.named_events or (event == "web" and parameters)):
                self._trigger_fact(event, root, jobs, parameters if event in ("web", "api", "trigger") else [])
        if not self.configuration.strict:
            self._trigger_fact("include", root, jobs, [])

    def _trigger_fact(
        self, event: str, root: Mapping[str, Part], jobs: Mapping[str, Job], parameters: list[str]
    ) -> None:
        spot = self.named_events.get(event)
        if spot is None:
            workflow = root.get("workflow")
            job = next((job for job in jobs.values() if event == "merge_request_event" and job.untrusted), None)
            spot = job.part.spot() if job else (workflow.spot() if workflow is not None else Spot(()))
        trust: Trust = next((scenario.trust for scenario in SCENARIOS if scenario.event == event), "unknown")
        self.book.triggers.append(
            Trigger(
                at=self.book.at("triggers", spot),
                stage="",
                event=event,
                trust=trust,
                privileged=False,
                parameters=parameters,
            )
        )

    def _parameters(self, root: Mapping[str, Part]) -> list[str]:
        """Return what who starts a pipeline by hand is asked for."""
        found = []
        for header in self.configuration.headers:
            spec = self.configuration.mapping(entries_of(header).get("spec"), "`spec`")
            found += list(self.configuration.mapping(spec.get("inputs"), "`inputs`"))
        for name, part in self.configuration.mapping(root.get("variables"), "`variables`").items():
            part = self.configuration.resolve(part)
            if part.is_mapping and not {"description", "options"}.isdisjoint(entries_of(part)):
                found.append(name)
        return found

    # Variables that jobs hand on.

    def _receive(self, job: Job, jobs: Mapping[str, Job]) -> None:
        """Give a job the variables of the jobs whose artifacts it gets."""
        if not self._handed:
            return
        for name in self._suppliers(job, jobs):
            for variable, handed in self._handed.get(name, {}).items():
                job.receives.setdefault(variable, handed)
                self._received += 1
                if self._received > MAX_RECEIVED:
                    raise InputTooLarge(
                        f"jobs hand on more than {MAX_RECEIVED} variables, all together",
                        where=job.part.where(),
                        fix="split the pipeline",
                    )

    def _suppliers(self, job: Job, jobs: Mapping[str, Job]) -> list[str]:
        if "dependencies" in job.entries:
            items = self.configuration.items(job.entries["dependencies"], "`dependencies`")
            return [self.configuration.text(item, "a job") for item in items]
        if "needs" in job.entries:
            refused = set()
            for item in self.configuration.items(job.entries["needs"], "`needs`"):
                fields = entries_of(item)
                if "artifacts" in fields and fields["artifacts"].value is False:
                    refused.add(self.configuration.text(fields.get("job"), "`job`"))
            return [name for name in job.needs if name not in refused]
        # What was read before belongs to an earlier stage, or to this one.
        return [name for name in self._handed if jobs[name].group != job.group]

    def _flows(self, job: Job, first_effect: int) -> None:
        """Write down an outsider's texts that reach a job from another, and note what it hands on itself."""
        waiting = dict(job.receives)
        evaluating = {
            spot
            for spot, effect in zip(
                self.book.spots["effects"][first_effect:], self.book.effects[first_effect:], strict=True
            )
            if waiting and effect.kind == "evaluates" and effect.untrusted
        }
        # A variable that one command runs and others print is told where it is run.
        for command, spot in sorted(job.commands, key=lambda one: one[1] not in evaluating) if waiting else ():
            for variable in sorted(command.reads & waiting.keys()):
                handed = waiting.pop(variable)
                source = spot.source or self.configuration.main.map
                place = source.place_inside(spot.path, spot.start, spot.end)
                self.book.flows.append(
                    Flow(
                        at=self.book.at("flows", handed.spot),
                        stage=handed.job,
                        kind="variable",
                        value=handed.value,
                        name=variable,
                        into=job.name,
                        sink="script" if spot in evaluating else "environment",
                        place=f"{place.file}:{place.line}",
                    )
                )
        artifacts = self.configuration.mapping(job.entries.get("artifacts"), "`artifacts`")
        reports = self.configuration.mapping(artifacts.get("reports"), "`reports`")
        job.dotenv = tuple(self._texts(reports.get("dotenv"), "`dotenv`"))
        if job.dotenv and (handed_on := writes_dotenv(job)):
            self._handed[job.name] = handed_on


#: One of these a job has to have.
_RUNS = frozenset(("script", "run", "trigger"))
