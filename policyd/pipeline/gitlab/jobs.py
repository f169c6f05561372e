"""A GitLab job as facts: what it runs, with what, where it comes from and goes to.

A job runs `before_script` and `script` in one shell, `after_script` in another. Its working tree is the project at the
commit of the pipeline, in a merge request pipeline the merge request's.

Sources: docs.gitlab.com "CI/CD YAML syntax reference", "Configure runners" (`GIT_STRATEGY`), "Hosted runners"
(tags), "External secrets".
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from policyd.models.facts import Checkout, Permission, StageFact
from policyd.pipeline.characters import quoted
from policyd.pipeline.effects import FoundEffect
from policyd.pipeline.gitlab.events import Admission
from policyd.pipeline.gitlab.files import FilesReader
from policyd.pipeline.gitlab.inputs import is_constrained
from policyd.pipeline.gitlab.job import Handed, Job
from policyd.pipeline.gitlab.parts import Input, Part, entries_of
from policyd.pipeline.gitlab.reader import GitlabReader, Scope
from policyd.pipeline.gitlab.references import (
    parse_component,
    parse_downstream,
    parse_project,
    parse_remote,
    parse_template,
)
from policyd.pipeline.gitlab.trust import JOB_TOKENS, find_variables, names_fork, names_outsiders_code, variables_in
from policyd.pipeline.links import Call
from policyd.pipeline.references import ParsedReference
from policyd.pipeline.shell import ShellCommand
from policyd.pipeline.source_map import Spot

#: GitLab ends a job after this long where neither file nor project settings say.
DEFAULT_TIMEOUT_SECONDS = 3600


class JobReader(FilesReader):
    """Reads one job after the other."""

    calls: list[Call]

    def admission(self, entries: Mapping[str, Part], scope: Scope) -> Admission:
        """Write down when a job is part of a pipeline, and return it as it is weighed."""
        text = self.configuration.text
        return Admission(
            self.rules(entries.get("rules"), "`rules`", scope),
            self.policy(entries.get("only"), "`only`", scope),
            self.policy(entries.get("except"), "`except`", scope),
            text(entries.get("when"), "`when`") or "on_success",
        )

    def read_job(self, job: Job) -> None:
        """Write down the facts of a job whose `scope` is that of the pipeline."""
        entries = job.entries
        scope = replace(job.scope, shell=self._shell(job))
        if job.receives:
            scope = replace(scope, tainted=scope.tainted | job.receives.keys())
        scope = replace(scope, job_inputs=self._job_inputs(entries.get("inputs")))
        scope = self.variables(entries.get("variables"), scope)
        scope = self._rule_variables(entries.get("rules"), scope)
        scope = self._matrix(entries.get("parallel"), scope)
        main = [
            *self.script(entries.get("before_script"), "`before_script`", scope),
            *self.script(entries.get("script"), "`script`", scope),
        ]
        after = self.script(entries.get("after_script"), "`after_script`", scope)
        hooks = self.configuration.mapping(entries.get("hooks"), "`hooks`")
        first = self.script(hooks.get("pre_get_sources_script"), "`pre_get_sources_script`", scope)
        secrets: set[str] = set()
        for piece, part in (*first, *main, *after):
            secrets |= self.secrets_in(piece.text, part, scope, "script")
        secrets |= self._given_secrets(entries, scope)
        secrets |= {name for name in self._job_variables(entries, scope) if scope.is_secret(name)}
        writes = not secrets.isdisjoint(JOB_TOKENS) or not _WRITING.isdisjoint(entries)
        environment = self._environment(entries.get("environment"), scope)
        has_secrets = not secrets <= JOB_TOKENS
        job.has_powers = has_secrets or writes or bool(environment)
        job.privileged = job.untrusted and job.has_powers
        job.scope = scope
        around = replace(scope.around(frozenset(secrets)), paths=self._secret_files(entries))
        has_source = self._has_source(job)
        self._containers(entries, scope)
        self.downloads(job)  # before its scripts run
        for pieces in (first, main, after):
            if not pieces:
                continue
            found = self.book.scripts([piece for piece, _ in pieces], around)
            for index, (command, spot) in enumerate(found):
                if _only_looks(command, found[index + 1 :]):
                    continue
                has_source |= self._git(command, spot, job)
            job.commands += found
        has_source |= self._run_steps(job)
        self.caches(job)
        self.artifacts(job)
        self._settings(job)
        self._trigger(job)
        self._stage(job, environment, has_source=has_source, has_secrets=has_secrets, writes=writes)
        for key, part in entries.items():
            if key not in _READ:
                self.all_marks(part, scope)

    # What surrounds the scripts.

    def tags(self, job: Job) -> list[str]:
        """Return the tags that choose a runner."""
        return [
            text
            for item in self.configuration.items(job.entries.get("tags"), "`tags`")
            if (text := self.configuration.text(item, "a tag"))
        ]

    def _shell(self, job: Job) -> str:
        return "pwsh" if any("windows" in tag.lower() for tag in self.tags(job)) else "bash"

    def _job_inputs(self, part: Part | None) -> dict[str, Input]:
        found = {}
        for name, item in self.configuration.mapping(part, "`inputs`").items():
            fields = self.configuration.mapping(item, f"the input {quoted(name)}")
            constrained = is_constrained({key: below.value for key, below in fields.items()})
            found[name] = Input(name, constrained)
        return found

    def _rule_variables(self, part: Part | None, scope: Scope) -> Scope:
        """Return the scope with variables that a rule sets; what may be taints, and nothing is untainted by it."""
        if part is None or not isinstance(self.configuration.resolve(part).value, list):
            return scope
        for item in self.configuration.sequence(part, "`rules`"):
            below = entries_of(item).get("variables")
            if below is not None:
                found = self.variables(below, scope)
                scope = replace(
                    scope,
                    tainted=scope.tainted | found.tainted,
                    secrets=scope.secrets | found.secrets,
                    written=found.written,
                )
        return scope

    def _matrix(self, part: Part | None, scope: Scope) -> Scope:
        if part is None or not (part := self.configuration.resolve(part)).is_mapping:
            return scope
        choices: dict[str, list[str]] = {}
        opened = scope.opened()
        for entry in self.configuration.items(entries_of(part).get("matrix"), "`matrix`"):
            for name, values in self.configuration.mapping(entry, "an entry of `matrix`").items():
                for item in self.configuration.items(values, f"the values of {quoted(name)}"):
                    self.variable(name, item, opened, f"a value of {quoted(name)}")
                    choices.setdefault(name, []).append(opened.written[name])
        return replace(opened.closed(), choices=choices)

    def _given_secrets(self, entries: Mapping[str, Part], scope: Scope) -> set[str]:
        found = set()
        for keyword in ("secrets", "id_tokens"):
            for name, part in self.configuration.mapping(entries.get(keyword), f"`{keyword}`").items():
                found.add(name)
                self.book.secret_once(name, part.spot(), scope.stage, "environment")
                if keyword == "id_tokens":
                    self.book.permissions.append(
                        Permission(
                            at=self.book.at("permissions", part.spot()),
                            stage=scope.stage,
                            scope="id-token",
                            access="write",
                            explicit=True,
                            level="stage",
                        )
                    )
        return found

    def _secret_files(self, entries: Mapping[str, Part]) -> frozenset[str]:
        """Return the variables of `secrets` that hold the path of a file, as they do unless `file: false` is said."""
        given = self.configuration.mapping(entries.get("secrets"), "`secrets`")
        return frozenset(
            name
            for name, part in given.items()
            if (file := self.configuration.mapping(part, "a secret").get("file")) is None or file.value is not False
        )

    def _job_variables(self, entries: Mapping[str, Part], scope: Scope) -> list[str]:
        """Return the variables that the job's own variables are made of."""
        names = self.configuration.mapping(entries.get("variables"), "`variables`")
        return [used for name in names for used in variables_in(scope.written.get(name, ""))]

    def _environment(self, part: Part | None, scope: Scope) -> str:
        """Write down where a job deploys; return the environment's name, "" where it only looks at one."""
        if part is None:
            return ""
        part = self.configuration.resolve(part)
        fields = entries_of(part) if part.is_mapping else {"name": part}
        name = self.configuration.text(fields.get("name"), "`environment`")
        self.all_marks(part, scope)
        action = self.configuration.text(fields.get("action"), "`action`")
        if not name or action not in ("", "start"):
            return ""
        where = self.configuration.resolve(fields["name"])
        self.expansions(self.configuration.raw(where, "`environment`"), where, scope, "other")
        self.effects([FoundEffect("deploy", name, text=name)], where, scope)
        return name

    def _has_source(self, job: Job) -> bool:
        """Say whether GitLab puts the project's source into the working tree; it does where nothing else is said."""
        if "trigger" in job.entries:
            return False
        flags = job.scope.written.get("GIT_SUBMODULE_UPDATE_FLAGS", "")
        strategy = job.scope.written.get("GIT_SUBMODULE_STRATEGY", "none")
        if "--remote" in flags.split() and strategy in ("normal", "recursive"):
            self.book.checkouts.append(
                Checkout(
                    at=self.book.at("checkouts", job.part.spot()),
                    stage=job.name,
                    text=f"GIT_SUBMODULE_UPDATE_FLAGS: {flags}",
                    ref="",
                    untrusted=False,
                    persists_credentials=False,
                    mutable=True,
                )
            )
        return job.scope.written.get("GIT_STRATEGY", "").lower() not in ("none", "empty")

    def _containers(self, entries: Mapping[str, Part], scope: Scope) -> None:
        if "image" in entries and self.configuration.resolve(entries["image"]).value not in (None, ""):
            self.container(entries["image"], scope, "`image`")
        for service in self.configuration.items(entries.get("services"), "`services`"):
            self.container(service, scope, "a service")

    # Scripts.

    def _git(self, command: ShellCommand, spot: Spot, job: Job) -> bool:
        """Write down a checkout by command; return whether source came with it."""
        words = command.argv[1:6]
        if command.program in ("glab", "gh") and words[:2] in (["mr", "checkout"], ["pr", "checkout"]):
            brings = True
        elif command.program == "git" and not _FETCHES.isdisjoint(words):
            brings = names_outsiders_code(command.text, job.scope.outside)
            if not brings:
                return "clone" in words
        else:
            return False
        # A merge request pipeline has its code anyway, and a branch of `origin` is none of a fork: then what comes from
        # elsewhere counts, where the job has something to lose. Other pipelines have it only from here on.
        elsewhere = names_fork(command.text, job.scope.outside) or _fetches_from_elsewhere(command)
        fetched = not job.untrusted or (job.privileged and elsewhere)
        if not job.untrusted:
            job.privileged = True  # such a pipeline hands the project's variables to all its jobs
        mutable = "_SHA" not in command.text
        self.book.checkouts.append(
            Checkout(
                at=self.book.at("checkouts", spot),
                stage=job.name,
                text=command.text,
                ref=next((word for word in command.argv if names_outsiders_code(word, job.scope.outside)), ""),
                untrusted=fetched,
                persists_credentials=_keeps_credentials(command),
                mutable=mutable,
                guards=[guard for guard in job.scope.guards if job.untrusted or guard not in _OF_THE_EVENT],
            )
        )
        return True

    def _run_steps(self, job: Job) -> bool:
        """Write down `run`, a list of steps that are scripts or functions from elsewhere."""
        part = job.entries.get("run")
        if part is None:
            return False
        has_source = False
        for item in self.configuration.items(part, "`run`"):
            step = self.configuration.mapping(item, "a step of `run`")
            scope = self.variables(step.get("env"), job.scope, "`env`")
            if "script" in step:
                for piece, below in self.script(step["script"], "`script` of a step", scope):
                    used = self.secrets_in(piece.text, below, scope, "script")
                    for command, spot in self.book.scripts([piece], scope.around(frozenset(used))):
                        has_source |= self._git(command, spot, job)
            for key in ("step", "func"):
                if key in step:
                    self._function(step[key], step, scope)
        return has_source

    def _function(self, part: Part, step: Mapping[str, Part], scope: Scope) -> None:
        part = self.configuration.resolve(part)
        if part.is_mapping:
            fields = entries_of(part)
            git = self.configuration.mapping(fields.get("git"), "`git`")
            part = git.get("url", next(iter(fields.values()), part))
            ref = self.configuration.text(git.get("rev"), "`rev`")
            text = self.configuration.text(part, "a step")
            text = f"{text}@{ref}" if ref else text
        else:
            text = self.configuration.text(part, "a step")
        if not text:
            return
        parsed = parse_component(text)
        if text.startswith(("./", "../", "/")):
            parsed = ParsedReference("component", "", text, "", local=True, pinned=False)
        self.reference(text, parsed, part, scope, self._inputs(step.get("inputs")))

    # What else a job does.

    def _settings(self, job: Job) -> None:
        entries, scope = job.entries, job.scope
        allowed = entries.get("allow_failure")
        by_hand = self.configuration.text(entries.get("when"), "`when`") == "manual"  # nobody waits for it
        if allowed is not None and allowed.value is True and not by_hand:
            self.effects([FoundEffect("ignores-failure", "allow_failure", text="allow_failure: true")], allowed, scope)
        if "release" in entries:
            self.effects([FoundEffect("publish", "release")], entries["release"], scope)
            self.all_marks(entries["release"], scope)
        pages = entries.get("pages")
        if (job.name == "pages" and pages is None) or (pages is not None and pages.value is not False):
            self.effects([FoundEffect("publish", "pages")], pages or job.part, scope)

    def _trigger(self, job: Job) -> None:
        """Write down the pipeline that a job starts: of another project, or a child of its own."""
        part = job.entries.get("trigger")
        if part is None:
            return
        part = self.configuration.resolve(part)
        fields = entries_of(part) if part.is_mapping else {"project": part}
        if "project" in fields:
            project = self.configuration.text(fields["project"], "`project`")
            branch = self.configuration.text(fields.get("branch"), "`branch`")
            self.expansions(project, fields["project"], job.scope, "reference")
            if project:
                parsed = parse_downstream(self.expand(project, job.scope)[0], branch)
                self.reference(project, parsed, fields["project"], job.scope, self._inputs(fields.get("inputs")))
        for include in self.configuration.read_includes(fields.get("include"), "`trigger: include`"):
            self.include_reference(include.kind, include.part, include.fields, job.scope)
            if include.kind == "local":
                path = self.configuration.text(include.fields["local"], "`local`").lstrip("/")
                self.calls.append(
                    Call(
                        callee=path,
                        stage=job.name,
                        inside=False,
                        untrusted=job.untrusted,
                        powers=job.privileged,
                        secrets=False,
                        writes=False,
                        guards=job.scope.guards,
                    )
                )
        self.all_marks(part, job.scope, "input")

    def _inputs(self, part: Part | None) -> dict[str, str]:
        return {
            name: self.configuration.text(item, f"the input {quoted(name)}")
            for name, item in self.configuration.mapping(part, "`inputs`").items()
            if not isinstance((resolved := self.configuration.resolve(item)).value, list) and not resolved.is_mapping
        }

    def include_reference(self, kind: str, part: Part, fields: Mapping[str, Part], scope: Scope) -> None:
        """Write down what an entry of `include` names."""
        named = fields[kind]
        text = self.configuration.text(named, f"`{kind}`")
        if not text:
            self.configuration.refuse(f"`{kind}` is empty", named)
        raw = self.configuration.raw(self.configuration.resolve(named), f"`{kind}`")
        self.expansions(raw, named, scope, "reference")
        inputs = self._inputs(fields.get("inputs"))
        if kind == "project":
            ref = self.configuration.text(fields.get("ref"), "`ref`")
            files = [*self.configuration.items(fields.get("file"), "`file`")]
            for item in files or [named]:
                file = self.configuration.text(item, "`file`").lstrip("/") if files else ""
                shown = f"{text}:{file}" if file else text
                shown = f"{shown}@{ref}" if ref else shown
                # Told where the project is named: one `ref` holds for all its files.
                self.reference(shown, parse_project(text, file, ref), named, scope, inputs)
            if "ref" in fields:
                self.expansions(ref, fields["ref"], scope, "reference")
            return
        if kind == "remote":
            parsed = parse_remote(text, self.configuration.text(fields.get("integrity"), "`integrity`"))
        elif kind == "template":
            parsed = parse_template(text)
            if _SCANS.search(text):
                self.effects([FoundEffect("scan", text)], named, scope)
        elif kind == "component":
            parsed = parse_component(text)
        else:
            path = text.lstrip("/")
            computed = "$" in path or kind == "artifact"
            parsed = ParsedReference("include", "", path, "", local=True, pinned=False, computed=computed)
        self.reference(text, parsed, named, scope, inputs)

    def _stage(self, job: Job, environment: str, *, has_source: bool, has_secrets: bool, writes: bool) -> None:
        runner = self.tags(job)
        timeout = job.entries.get("timeout")
        seconds: int | None = DEFAULT_TIMEOUT_SECONDS
        if timeout is not None:
            seconds = read_duration(self.configuration.text(timeout, "`timeout`"))
        reports = self.configuration.mapping(
            self.configuration.mapping(job.entries.get("artifacts"), "`artifacts`").get("reports"), "`reports`"
        )
        self.book.stages.append(
            StageFact(
                at=self.book.at("stages", job.part.spot()),
                name=job.name,
                group=job.group,
                kind="",
                needs=job.needs,
                needs_kinds=[],
                runner=runner,
                runner_at=self.book.runner_at(tags.spot() if (tags := job.entries.get("tags")) else None),
                self_hosted=any(is_own_runner(tag) for tag in runner) and not any(map(is_hosted_runner, runner)),
                environment=environment,
                target="",
                timeout_seconds=seconds,
                explicit_timeout=timeout is not None,
                untrusted=job.untrusted,
                privileged=job.privileged,
                guards=list(job.scope.guards),
                has_secrets=has_secrets,
                writes=writes,
                outputs=[],
                results=sorted(reports),
                has_source=has_source,
                runs_twice=self.weigher.runs_twice(job.admission),
            )
        )


def _only_looks(command: ShellCommand, following: Sequence[tuple[ShellCommand, Spot]]) -> bool:
    """Say whether what git fetches never gets into the working tree."""
    if command.program != "git" or "fetch" not in command.argv[1:6]:
        return False
    return not any(after.program == "git" and not _PUTS.isdisjoint(after.argv[1:6]) for after, _ in following)


#: Put what was fetched into a working tree.
_PUTS = frozenset(
    (
        *("checkout", "switch", "merge", "reset", "rebase", "worktree", "cherry-pick", "pull", "archive", "restore"),
        *("am", "apply", "read-tree", "show"),
    )
)


def runs_outside(reader: GitlabReader, admission: Admission) -> bool:
    """Say whether an outsider's change gets into a job."""
    return any(reader.weigher.runs(admission, scenario) for scenario in reader.weigher.outside)


#: Keys whose marks are looked at where they are read; in all others a mark is a mark.
_READ = frozenset(
    (
        "after_script",
        "artifacts",
        "before_script",
        "cache",
        "environment",
        "except",
        "extends",
        "hooks",
        "image",
        "inputs",
        "only",
        "parallel",
        "release",
        "rules",
        "run",
        "script",
        "services",
        "trigger",
        "variables",
    )
)
#: Guards that speak of what started the pipeline, and not of code that a job fetches besides.
_OF_THE_EVENT = frozenset(("protected", "event", "merged"))
_FETCHES = frozenset(("checkout", "fetch", "pull", "switch", "merge", "clone", "worktree", "reset", "rebase"))
_SCANS = re.compile(
    r"(?:^|/)(?:Security/|Jobs/(?:SAST|Secret-Detection|Dependency-Scanning|Container-Scanning|DAST|API-))", re.I
)
#: What gives a job a token that writes, or lets it log in to a cloud.
_WRITING = frozenset(("id_tokens", "identity", "release"))
#: What somebody calls a machine of their own. `docker` or `linux` say what a runner can do, and not whose it is.
_OWN = re.compile(
    r"(?:^|[-_.:/ ])(?:self|hosted|own(?:ed)?|on-?prem(?:ise)?s?|internal|intranet|private|privileged|prod(?:uction)?"
    r"|deploy(?:er)?|shell|metal|physical|lab|rack|hardware|hw|dedicated|bare|dc[0-9]*|gpu|macos|mac|office|corp(?:orate)?|vm|host|server|persistent"
    r"|static|local|(?<!shared-)runner|build-?(?:host|server|machine))[0-9]*(?:$|[-_.:/ ])",
    re.I,
)
_HOSTED = re.compile(r"^(?:saas-.*|gitlab-org(?:-docker)?|shared-windows|gitlab\.com)$", re.I)


def is_hosted_runner(tag: str) -> bool:
    """Say whether a tag is one of GitLab.com's own runners."""
    return _HOSTED.match(tag) is not None


def is_own_runner(tag: str) -> bool:
    """Say whether a tag is one of a runner somebody runs themselves. What a variable holds is not known."""
    return "$" not in tag and not is_hosted_runner(tag) and _OWN.search(tag) is not None


_DURATION = re.compile(
    r"(\d+(?:\.\d+)?)\s*(w|week|d|day|hr?|hour|m|min|minute|s|sec|second)?s?\b[\s,]*(?:and\s+)?", re.I
)
_UNITS = {"w": 604_800, "d": 86_400, "h": 3600, "m": 60, "s": 1}
_MAX_SECONDS = 10 * 365 * 86_400


def read_duration(text: str) -> int | None:
    """Return seconds of a text such as `1h 30m`; `None` where it is none."""
    text = re.sub(r"(?<=[A-Za-z])(?=\d)", " ", text.strip())
    seconds, position = 0.0, 0
    while position < len(text):
        found = _DURATION.match(text, position)
        if found is None or len(found[1]) > 12:
            return None
        seconds += float(found[1]) * _UNITS[(found[2] or "s")[0].lower()]
        position = found.end()
    return int(seconds) if 0 < seconds <= _MAX_SECONDS else None


def _fetches_from_elsewhere(command: ShellCommand) -> bool:
    """Say whether `git fetch` names a remote other than the project itself."""
    words = [word for word in command.argv[1:] if not word.startswith("-")]
    return words[:1] in (["fetch"], ["pull"]) and len(words) > 1 and words[1] != "origin"


def _keeps_credentials(command: ShellCommand) -> bool:
    return any(
        "://" in word and "@" in word and "$" in (used := word.partition("@")[0]) and "CI_JOB_TOKEN" not in used
        for word in command.argv
    )


def writes_dotenv(job: Job) -> dict[str, Handed]:
    """Return the variables that a job writes to its `dotenv` files with an outsider's text."""
    files = {file.removeprefix("./") for file in job.dotenv}
    found: dict[str, Handed] = {}
    tainted = set(job.scope.tainted)
    for command, spot in job.commands:
        tainted |= {one.name for one in command.sets if not tainted.isdisjoint(one.reads) and not one.computed}
        if not any(target.removeprefix("./") in files for target in command.writes_to):
            continue
        name = _ASSIGNED.search(command.text)
        value = next((used for used, _, _ in find_variables(command.text) if used in tainted), "")
        if name is not None and value:
            found.setdefault(name[1], Handed(job.name, value, spot))
    return found


_ASSIGNED = re.compile(r"""(?:^|[\s"'])([A-Za-z_][A-Za-z0-9_]*)=""")
