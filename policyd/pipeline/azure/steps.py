"""The steps of a job, in order: each may set variables, bring code, or hand files on.

Sources: learn.microsoft.com YAML schema reference (steps), "Check out multiple repositories", "Publish and download
pipeline artifacts", "Pipeline caching", "Logging commands".
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from policyd.models.facts import ArtifactUse, Cache, Checkout
from policyd.pipeline.azure import conditions
from policyd.pipeline.azure.artifacts import ArtifactStep, find_artifact_step
from policyd.pipeline.azure.fetches import find_fetch, keeps_credentials
from policyd.pipeline.azure.origins import Scope
from policyd.pipeline.azure.parts import UNKNOWN, Part
from policyd.pipeline.azure.reader import AzureReader, Found
from policyd.pipeline.azure.references import Repository, parse_repository, parse_task
from policyd.pipeline.azure.tasks import (
    TAKES_OPTIONS,
    find_arguments,
    find_file,
    find_pasted,
    find_scripts,
    is_connection,
    task_name,
)
from policyd.pipeline.azure.templates import MAX_TEMPLATES_INSIDE
from policyd.pipeline.azure.trust import ACCESS_TOKEN, names_outsiders_ref
from policyd.pipeline.azure.values import NOTHING, Crossing, Origin, Value, join
from policyd.pipeline.azure.written import Written, find_written, reads_commits, tainted_by, variables_read
from policyd.pipeline.characters import quoted
from policyd.pipeline.effects import FoundEffect
from policyd.pipeline.effects.containers import ENGINES, find_moving_image
from policyd.pipeline.shell import ShellCommand
from policyd.pipeline.source_map import Spot

#: Keys that say what kind of step a mapping is, in the order in which they are looked for.
KINDS = (
    "template",
    "task",
    "script",
    "bash",
    "pwsh",
    "powershell",
    "checkout",
    "download",
    "downloadBuild",
    "publish",
    "getPackage",
    "reviewApp",
    "getReviewApp",
    "restoreCache",
    "saveCache",
    "upload",
)
_SHELLS = {"bash": "bash", "pwsh": "pwsh", "powershell": "powershell"}
_RUN_OF = re.compile(r"resources\.pipeline\.([^.()\s]+)\.runid\b", re.IGNORECASE)
_QUOTE = re.compile("[\"']")
_OF_BUILD = re.compile(r"\bBuild\.Source(?:Branch|Version)\)|BUILD_SOURCE(?:BRANCH|VERSION)\b")
MAX_VALUE = 400  # characters of an input that what it does repeats


@dataclass(slots=True)
class StageState:
    """What is found out of a stage while its steps are read."""

    has_source: bool = False
    checked_out: bool = True  # by Azure, before the steps or in one
    connections: bool = False  # service connections or secure files
    token: bool = False  # the token of the run is handed out
    approves: bool = False  # a person has to let later stages pass
    outputs: list[str] = field(default_factory=list)
    fetched: set[str] = field(default_factory=set)  # names of an outsider's code that git has fetched
    fetched_always: bool = False  # in every build: the reference of a pull request is written out
    outsiders: bool = False  # an outsider's code is brought into a build that no outsider starts


class StepsReader(AzureReader):
    """Reads lists of steps."""

    def steps(self, part: Part | None, scope: Scope, state: StageState, what: str = "`steps`") -> None:
        """Write down a list of steps, those of templates in their places included."""
        for item in self.templates.items(part, what):
            if not item.is_mapping:
                if self.templates.is_open(item) or item.value is None:
                    self.all_marks(item, scope)
                    continue
                self.templates.refuse_shape(item.value, item, "a step", "mapping")
            self._step(item, scope, state)

    def step_kinds(self, part: Part | None, depth: int = 0) -> set[str]:
        """Return the kinds of all steps, those of templates included."""
        kinds: set[str] = set()
        for item in self.templates.items(part, "`steps`"):
            entries = self.templates.mapping(item, "a step") if item.is_mapping else {}
            kind = next((name for name in KINDS if name in entries), "")
            kinds.add(kind)
            if kind == "template" and depth < MAX_TEMPLATES_INSIDE:
                template = self.templates.template(entries, item)
                if template.root is not None:
                    root = self.templates.mapping(template.root, "a template")
                    kinds |= self.step_kinds(root.get("steps"), depth + 1)
        return kinds

    def _step(self, part: Part, scope: Scope, state: StageState) -> None:
        entries = self.templates.mapping(part, "a step")
        kind = next((name for name in KINDS if name in entries), "")
        if not kind:
            if any("${{" in name for name in entries) or not entries:
                self.all_marks(part, scope)
                return
            self.templates.refuse("a step has none of `script`, `bash`, `pwsh`, `task`, `checkout`, `template`", part)
        reach = conditions.join((scope.reach, part.reach, entries[kind].reach))
        here = replace(scope, reach=reach) if reach is not scope.reach else scope
        if kind == "template":
            self._template(entries, part, here, state)
            return
        enabled = entries.get("enabled")
        if enabled is not None and self.templates.resolve(enabled).value is False:
            return
        here = self.condition(entries.get("condition"), here, inherits=False)
        here = self.environment(entries.get("env"), here)
        state.token |= any(ACCESS_TOKEN in origin.secrets for origin in here.environment.values())
        target = entries.get("target")
        if target is not None:
            self._target(target, here)
        for name, below in entries.items():
            if name not in _READ and name != kind:
                self.all_marks(below, here)
        value = self.templates.resolve(entries[kind])
        if value.value is UNKNOWN:
            return
        named = entries.get("name")
        name = self.templates.text(named, "`name`") if named is not None else ""
        if kind in ("script", "bash", "pwsh", "powershell"):
            self._script_step(kind, value, entries, here, state, name)
        elif kind == "task":
            self._task(value, entries, part, here, state, name)
        elif kind == "checkout":
            self._checkout_step(value, entries, here, state)
        else:
            self._short_step(kind, value, entries, here)
        ignores = self.templates.text(entries.get("continueOnError"), "`continueOnError`").lower() == "true"
        # What fails when results are put up is that, and no test.
        if ignores and not (kind == "task" and task_name(str(value.value)).startswith("publish")):
            self.effect(
                FoundEffect("ignores-failure", "continueOnError", text="continueOnError: true"),
                entries["continueOnError"],
                here,
            )

    def _target(self, part: Part, scope: Scope) -> None:
        part = self.templates.resolve(part)
        if part.is_mapping:
            part = self.templates.mapping(part, "`target`").get("container", part)
        if not part.is_mapping and self.templates.text(part, "`target`").lower() not in ("", "host"):
            self.container(part, scope)

    def _template(self, entries: Mapping[str, Part], part: Part, scope: Scope, state: StageState) -> None:
        template = self.template(entries, part, scope)
        if template.root is not None:
            root = self.templates.mapping(template.root, "a template")
            if "steps" not in root and not any("${{" in name for name in root):
                self.templates.refuse(f"{quoted(template.text)} is not a template of steps", template.part)
            self.steps(root.get("steps"), scope, state)
            return
        for below in template.given.values():
            if self.looks_like(below) == "steps":
                self.steps(below, scope, state)

    # Scripts.

    def _script_step(
        self, kind: str, part: Part, entries: Mapping[str, Part], scope: Scope, state: StageState, name: str
    ) -> None:
        shell = _SHELLS.get(kind) or ("cmd" if scope.windows else "bash")
        script = self.templates.raw(part, f"`{kind}`")
        self._script(part, script, replace(scope, shell=shell), state, name, None)
        default = self.templates.default_of(part)
        if default is not None:
            self._script(default, str(default.value), replace(scope, shell=shell), state, name, None)
        directory = entries.get("workingDirectory")
        if directory is not None:
            self.all_marks(directory, scope)

    def _script(
        self, part: Part, script: str, scope: Scope, state: StageState, name: str, marks: Sequence[Found] | None
    ) -> None:
        found = self.marks(part, script, scope, "script", scope.shell) if marks is None else marks
        around = self.around(script, scope, found)
        for one in found:
            state.token |= ACCESS_TOKEN in one.origin.secrets
        commands = self.book.script(script, part.spot(), around, self.opaque(found))
        for command in commands:
            self._fetch(command, part, scope, state, found)
            self._default_image(command, part, scope)
        self._written(script, part, scope, state, name, found, tainted_by(commands, around.tainted))

    def _default_image(self, command: ShellCommand, part: Part, scope: Scope) -> None:
        """Write down an image that a command runs unless somebody chooses another: the default of a parameter."""
        if command.program not in ENGINES or not any("${{" in word for word in command.argv):
            return
        image = find_moving_image([self.templates.expand(word, part) for word in command.argv])
        if image and image not in command.argv:
            found = FoundEffect(
                "unpinned-image", image, program=command.program, text=command.text, confidence="medium"
            )
            self.book.effect(found, part.spot(command.start, command.end), scope.around())

    def _written(
        self,
        script: str,
        part: Part,
        scope: Scope,
        state: StageState,
        name: str,
        found: Sequence[Found],
        tainted: frozenset[str],
    ) -> None:
        """Take in the variables that a script sets for later steps, and the outputs it sets for later jobs."""
        for one in find_written(script):
            value = script[one.start : one.end]
            origins = [item.origin for item in found if one.start <= item.mark.start < one.end]
            read = variables_read(value)
            origins += (self.origin_in_environment(variable, scope) for variable in sorted(read))
            if not tainted.isdisjoint(read) or reads_commits(value):
                known = join(origins)
                if not known.carries:
                    text = next(iter(sorted(tainted & read)), "git")
                    origins.append(Origin(text, frozenset(("always",))))
            origin = join(origins)
            self._set(one, script, part, scope)
            if one.secret:
                origin = replace(origin, secrets=origin.secrets | {one.name})
            scope.variables.set(one.name, Value(origin, hidden=one.secret))
            if one.output and name:
                state.outputs.append(f"{name}.{one.name}")
                scope.variables.set(f"{name}.{one.name}", Value(origin, hidden=one.secret))
                self._output(f"{name}.{one.name}", origin, part.spot(one.start, one.end), scope)

    def _set(self, one: Written, script: str, part: Part, scope: Scope) -> None:
        """Write down what a variable does whose value stands in the script, as if it were one of `variables`."""
        value = _QUOTE.split(script[one.start : one.end], maxsplit=1)[0].strip()
        if not value or "$" in value or "%" in value:
            return
        line = script.rfind("\n", 0, one.start) + 1
        commented = scope.shell != "cmd" and script[line : one.start].partition("##vso")[0][-1:].isspace()
        spot = part.spot(line, one.end)
        if one.secret and commented:  # for the shell a comment, and so no command
            found = FoundEffect("literal-credential", "a value declared a secret", text=value, confidence="medium")
            self.book.effect(replace(found, text=script[line : one.start]), spot, scope.around())
        elif not one.secret and not one.output:
            self.book.variable(one.name, value, spot, scope.around(), origin="environment", literal=True)

    def _output(self, name: str, origin: Origin, spot: Spot, scope: Scope) -> None:
        if origin is NOTHING:
            return
        crossing = Crossing("output", scope.stage, name, spot)
        if origin.carries:
            origin = replace(origin, crossings=origin.crossings | {crossing})
        self.outputs.setdefault(scope.stage.lower(), {})[name.lower()] = origin

    def _fetch(
        self, command: ShellCommand, part: Part, scope: Scope, state: StageState, found: Sequence[Found]
    ) -> None:
        """Write down a checkout by command, and remember what git has fetched for one that follows."""
        fetch = find_fetch(command)
        if fetch is None:
            return
        state.has_source |= fetch.clones
        origins = [one.origin for one in found if command.start <= one.mark.start < command.end]
        origins += (self.origin_in_environment(name, scope) for name in sorted(command.reads))
        origins.append(self.origin_of_text(command.text, part, scope))
        words = {name for word in command.argv for name in (word, *word.split(":"))}
        # Where nothing was checked out before, the branch of the build is what is brought.
        built = not state.checked_out and _OF_BUILD.search(command.text) is not None
        brings = fetch.always or built or any(origin.code for origin in origins) or not state.fetched.isdisjoint(words)
        if brings:
            state.fetched_always |= fetch.always or names_outsiders_ref(command.text)
            fetched = [word.rpartition(":")[2] for word in command.argv[2:] if ":" in word]
            state.fetched |= {"FETCH_HEAD", *fetched, *(_short(name) for name in fetched)}
        persists = keeps_credentials(command.text)
        if not fetch.into_tree or not (brings or persists):
            return
        spot = part.spot(command.start, command.end)
        self.book.checkouts.append(
            Checkout(
                at=self.book.at("checkouts", spot),
                stage=scope.stage,
                text=command.text,
                ref=next((word for word in command.argv[2:] if word[:1] != "-"), ""),
                untrusted=brings and (state.fetched_always or "pull-request" in scope.reach),
                persists_credentials=persists,
                mutable=brings,
                guards=list(scope.guards),
            )
        )
        state.has_source = True
        state.outsiders |= brings and state.fetched_always

    # Tasks.

    def _task(
        self, part: Part, entries: Mapping[str, Part], step: Part, scope: Scope, state: StageState, name: str
    ) -> None:
        text = self.templates.text(part, "`task`")
        self.marks(part, self.templates.raw(part, "`task`"), scope, "reference")
        parsed = parse_task(text)
        task = task_name(text)
        raw = {
            key.lower(): self.templates.text(below, "an input")
            for key, below in self.templates.pairs(entries.get("inputs"), "`inputs`")
            if not (resolved := self.templates.resolve(below)).is_mapping and not resolved.is_list
        }
        scripts = {one.name: one.shell for one in find_scripts(task, raw, windows=scope.windows)}
        pasted = find_pasted(task, raw, windows=scope.windows)
        given = self.inputs(entries.get("inputs"), scope, {**pasted, **scripts})
        self.reference(text, parsed, part, scope, {key: value for key, (value, _, _) in given.items()})
        here = _with_principal(scope) if raw.get("addspntoenvironment", "").strip().lower() == "true" else scope
        for key, (value, below, found) in given.items():
            if key in TAKES_OPTIONS and key not in scripts and key not in pasted:
                for one in found:
                    if one.untrusted:
                        text_of = value[one.mark.start : one.mark.end]
                        effect = FoundEffect("argument", text_of, program=task, text=value[:MAX_VALUE], untrusted=True)
                        self.effect(replace(effect, confidence="medium"), below, here)
                        break
            if task == "docker" and key == "arguments" and raw.get("command", "").strip().lower() == "build":
                self._build_arguments(value, below, found, here)
            if is_connection(key) and value.strip():
                state.connections = True
                self.expose(scope)
            state.token |= any(ACCESS_TOKEN in one.origin.secrets for one in found)
            shell = scripts.get(key)
            if shell is not None:
                self._script(below, value, replace(here, shell=shell), state, name, found)
        file = find_file(task, raw, windows=scope.windows)
        if file is not None:
            self._file(file, given, scope, task)
        arguments = find_arguments(task, raw)
        if arguments is not None:
            name, argv = arguments
            self.book.arguments(argv, given[name][1].spot(), replace(scope, shell="").around())
        self._known_task(task, raw, part, step, scope, state)

    def _build_arguments(self, value: str, part: Part, found: Sequence[Found], scope: Scope) -> None:
        """Write down a secret that an image is built with: it stays in the image's history."""
        for one in found:
            before = value[: one.mark.start].split()
            if one.origin.secrets and any(word.startswith("--build-arg") for word in before[-2:]):
                effect = FoundEffect("secret-argument", "docker", program="docker", text=value[:MAX_VALUE], secret=True)
                self.book.effect(effect, part.spot(one.mark.start, one.mark.end), scope.around())
                return

    def _file(
        self,
        file: tuple[str, str, str],
        given: Mapping[str, tuple[str, Part, list[Found]]],
        scope: Scope,
        task: str,
    ) -> None:
        """Write down the script of the repository that a task runs."""
        program, path, arguments = file
        place = next((below for value, below, _ in given.values() if value.strip() == path), None)
        try:
            words = shlex.split(arguments)
        except ValueError:
            words = arguments.split()
        argv = [program, path, *words]
        spot = place.spot() if place is not None else next(iter(given.values()))[1].spot()
        self.book.arguments(argv, spot, replace(scope, shell="").around())

    def _known_task(
        self, task: str, inputs: Mapping[str, str], part: Part, step: Part, scope: Scope, state: StageState
    ) -> None:
        if task == "manualvalidation":
            state.approves = True
        elif task == "azurekeyvault":
            vault = inputs.get("keyvaultname", inputs.get("keyvault", ""))
            self.secret(vault or "AzureKeyVault", part.spot(), scope, "environment")
            state.connections = True
        elif task == "downloadsecurefile":
            self.secret(inputs.get("securefile", "") or "secure file", part.spot(), scope, "other")
            state.connections = True
        elif task in ("cache", "restorecache", "savecache", "cachebeta"):
            self._cache(part, inputs.get("key", ""), inputs.get("path", ""), scope, task)
        artifact = find_artifact_step(task, inputs)
        if artifact is not None and artifact.foreign:
            run = _RUN_OF.search(inputs.get("runid", inputs.get("pipelineid", inputs.get("buildid", ""))))
            if run is not None:
                artifact = artifact._replace(any_branch=self.takes_any_branch(run[1]))
        if artifact is not None:
            self._artifact(artifact, part, scope)

    def _cache(self, part: Part, key: str, path: str, scope: Scope, task: str) -> None:
        self.book.caches.append(
            Cache(
                at=self.book.at("caches", part.spot()),
                stage=scope.stage,
                text=self.templates.text(part, "`task`"),
                key=key,
                paths=[line.strip() for line in path.splitlines() if line.strip()],
                restores=task != "savecache",
                saves=task != "restorecache",
                # A build of a pull request writes to a scope of its own, which no other build reads.
                untrusted=False,
                publishes=False,
            )
        )

    def _artifact(self, artifact: ArtifactStep, part: Part, scope: Scope) -> None:
        self.book.artifacts.append(
            ArtifactUse(
                at=self.book.at("artifacts", part.spot()),
                stage=scope.stage,
                text=artifact.text or self.templates.text(part, "an artifact"),
                name=artifact.name,
                paths=[artifact.path] if artifact.path else [],
                direction=artifact.direction,
                untrusted=artifact.any_branch if artifact.foreign else scope.untrusted,
                foreign=artifact.foreign,
                into_workspace=artifact.into_workspace,
                whole_workspace=artifact.whole_workspace,
            )
        )

    # Other steps.

    def _checkout_step(self, part: Part, entries: Mapping[str, Part], scope: Scope, state: StageState) -> None:
        raw = self.templates.raw(part, "`checkout`")
        text = self.templates.text(part, "`checkout`")
        self.marks(part, raw, scope, "reference")
        if text.lower() == "none":
            state.checked_out = False
            return
        persists = self.templates.text(entries.get("persistCredentials"), "`persistCredentials`").lower() == "true"
        for name in ("persistCredentials", "submodules", "fetchDepth", "lfs", "path", "ref", "fetchTags", "clean"):
            if name in entries:
                self.all_marks(entries[name], scope)
        state.has_source = True
        if persists:
            state.token = True
            self.expose(scope)
        own = text.lower() == "self"
        origin = self.origin_of_text(raw, part, scope)
        ref = ""
        if not own:
            repository = self.repositories.get(text.lower())
            ref = repository.ref if repository is not None else text.partition("@")[2]
            if repository is not None and "$" in repository.ref:
                origin = join((origin, self.origin_of_text(repository.ref, part, scope)))
            if repository is None and "://" in text:
                kind, _, rest = text.partition("://")
                written = Repository(kind.lower(), rest.partition("@")[0], ref)
                self.reference(text, parse_repository(written), part, scope, {"type": written.kind})
        untrusted = scope.untrusted if own else origin.code
        state.outsiders |= not own and untrusted
        self.book.checkouts.append(
            Checkout(
                at=self.book.at("checkouts", part.spot()),
                stage=scope.stage,
                text=f"checkout: {text}",
                ref=ref,
                untrusted=untrusted,
                persists_credentials=persists,
                mutable=not own and untrusted,
                guards=list(scope.guards),
            )
        )

    def own_checkout(self, part: Part, scope: Scope, state: StageState) -> None:
        """Write down the checkout that Azure puts first where no step says one."""
        state.has_source = True
        if not scope.untrusted:
            return
        self.book.checkouts.append(
            Checkout(
                at=self.book.at("checkouts", part.spot()),
                stage=scope.stage,
                text="checkout: self",
                ref="",
                untrusted=True,
                persists_credentials=False,
                guards=list(scope.guards),
            )
        )

    def _short_step(self, kind: str, part: Part, entries: Mapping[str, Part], scope: Scope) -> None:
        raw = self.templates.raw(part, f"`{kind}`")
        text = self.templates.text(part, f"`{kind}`")
        self.marks(part, raw, scope, "input")
        for name in ("artifact", "patterns", "path", "inputs"):
            if name in entries:
                self.all_marks(entries[name], scope, "input")
        artifact = self.templates.text(entries.get("artifact"), "`artifact`")
        if kind in ("publish", "upload"):
            step = ArtifactStep.upload(artifact, text)
            self._artifact(step._replace(text=f"{kind}: {text}"), part, scope)
        elif kind in ("download", "downloadBuild") and text.lower() != "none":
            path = self.templates.text(entries.get("path"), "`path`")
            current = kind == "download" and text.lower() == "current"
            step = ArtifactStep.download(artifact, path, foreign=not current, any_branch=self.takes_any_branch(text))
            if not path and not current:
                step = step._replace(path=f"{step.path}/{text}")
            self._artifact(step._replace(text=f"{kind}: {text}"), part, scope)
        elif kind in ("restoreCache", "saveCache"):
            self._cache(part, text, self.templates.text(entries.get("path"), "`path`"), scope, kind.lower())

    def takes_any_branch(self, alias: str) -> bool:
        """Say whether runs of any branch can be the ones that a pipeline of `resources` stands for."""
        return self.sources.get(alias.lower(), True)

    def looks_like(self, part: Part) -> str:
        """Return what a parameter seems to hold: "steps", "jobs" or "stages", "" if it is something else."""
        part = self.templates.resolve(part)
        value = part.items[0].value if part.items else part.value
        if not part.items:
            value = value[0] if isinstance(value, list) and value else None
        keys = value.keys() if isinstance(value, dict) else frozenset()
        if "stage" in keys:
            return "stages"
        if not keys.isdisjoint(("job", "deployment")):
            return "jobs"
        return "" if keys.isdisjoint(KINDS) or "template" in keys else "steps"


def _short(reference: str) -> str:
    """Return a reference as git takes it from a person: `origin/pr` for `refs/remotes/origin/pr`."""
    return reference.removeprefix("refs/").removeprefix("remotes/").removeprefix("heads/")


def _with_principal(scope: Scope) -> Scope:
    """Return the scope of a script that gets the credential of a service connection."""
    key = Origin(secrets=frozenset(("servicePrincipalKey",)))
    token = Origin(secrets=frozenset(("idToken",)))
    return replace(scope, environment={**scope.environment, "servicePrincipalKey": key, "idToken": token})


_READ = frozenset(
    (
        "condition",
        "enabled",
        "env",
        "inputs",
        "target",
        "name",
        "task",
        "continueOnError",
        "workingDirectory",
        "artifact",
        "patterns",
        "path",
        "persistCredentials",
        "submodules",
        "fetchDepth",
        "lfs",
        "ref",
        "fetchTags",
        "clean",
        "displayName",
    )
)
