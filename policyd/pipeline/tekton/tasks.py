"""What a task does: its steps and sidecars, and what each of them runs.

All steps of a task run in one pod, one after the other, each in its own container; sidecars run beside them. A script
is put into a file and run by what its first line names, `/bin/sh` where it names nothing. Its marks are replaced first.

Source: tekton.dev "Tasks", "StepActions", "Workspaces", "Pod templates".
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from policyd.models.base import JsonPath
from policyd.models.facts import Checkout, Container
from policyd.pipeline.effects import FoundEffect, find_script_effects
from policyd.pipeline.effects.values import is_harmless
from policyd.pipeline.github.fetches import find_fetch, keeps_credentials
from policyd.pipeline.links import Landing
from policyd.pipeline.shell import (
    INTERPRETERS,
    SHELLS,
    Opaque,
    ShellCommand,
    program_name,
    split_arguments,
    strip_prefixes,
)
from policyd.pipeline.shell.words import find_script_word
from policyd.pipeline.source_map import Spot
from policyd.pipeline.tekton.containers import NO_PARTS, WHOLE_MARK, ContainerReader, Environment
from policyd.pipeline.tekton.marks import Mark, find_marks, parameter_of
from policyd.pipeline.tekton.objects import Part, TektonObject
from policyd.pipeline.tekton.origins import NOTHING, Origin, join
from policyd.pipeline.tekton.reader import Found, Origins, Scope
from policyd.pipeline.tekton.references import ReferenceKind, parse_image, parse_local, parse_resolved
from policyd.pipeline.tekton.trust import names_pull_request

MAX_LOOK = 500  # effects of a script that are looked at for what ran between two checkouts; a script has some ten
#: Workspaces that hold source by custom.
SOURCE_NAMES = re.compile(r"source|src|repo|code|git|workspace|shared", re.IGNORECASE)


class Bound(NamedTuple):
    """What a workspace of a task is: `key` tells apart what pods share; a secret has a name."""

    key: str
    secret: str = ""


@dataclass(slots=True)
class Stage:
    """What is found out of a stage while its task is read."""

    name: str
    part: Part
    group: str = ""
    needs: list[str] = field(default_factory=list)
    workspaces: dict[str, Bound] = field(default_factory=dict)
    first_effect: int = 0
    last_effect: int = -1
    #: Checkouts with the number of effects that were there before the script of each.
    checkouts: list[tuple[int, int]] = field(default_factory=list)
    effects_before: int = 0  # those there before the script that is being read
    like: Stage | None = None  # the stage whose effects are its own too: the same task with the same values
    #: Names under which git has fetched an outsider's code, with whether what it fetched could change.
    fetched: dict[str, bool] = field(default_factory=dict)
    results: dict[str, Origin] = field(default_factory=dict)  # by name; those of steps as "steps.s.results.r"
    made_at: dict[str, Spot] = field(default_factory=dict)
    secret_folders: list[str] = field(default_factory=list)  # where files of secrets lie in the container that is read
    has_source: bool = False
    timeout_seconds: int | None = 3600  # Tekton's own default
    explicit_timeout: bool = False


class TaskReader(ContainerReader):
    """Reads the body of one task after the other."""

    step_actions: Mapping[str, TektonObject]
    used_step_actions: set[str]

    def task_body(self, part: Part, scope: Scope, stage: Stage, given: Origins, *, embedded: bool, owner: str) -> Scope:
        """Write down the facts of the `spec` of a task, and note in `stage` what follows for others."""
        fields = self.entries(part, "a task")
        scope = replace(scope, owner=owner)
        params = fields.get("params") or self.below(fields.get("inputs"), "`inputs`", "params")
        scope = replace(scope, params=self.declared(params, given, scope, embedded=embedded, owner=owner))
        for name, _, _ in self.named(fields.get("workspaces"), "`workspaces`"):
            stage.has_source |= SOURCE_NAMES.search(name) is not None
        self.secret_volumes = set()
        volumes = self.volumes(fields.get("volumes"), scope)
        template = self.entries(fields.get("stepTemplate"), "`stepTemplate`")
        seen: set[JsonPath] = set()
        if "steps" not in fields:
            self.refuse("a task has `steps`; this one has none", part)
        for index, item in enumerate(self.items(fields["steps"], "`steps`")):
            self._step(item, template, volumes, scope, stage, seen, index)
        for item in self.items(fields.get("sidecars"), "`sidecars`"):
            own = self.entries(item, "a sidecar")
            if "image" not in own:
                self.refuse("a sidecar has no `image`", item)
            self._container(own, item, volumes, scope, stage, seen, "")
        for name, declared, item in self.named(fields.get("results"), "`results`"):
            value = declared.get("value")
            origin = stage.results.get(name, NOTHING)
            if value is not None and isinstance(value.value, str):
                inside = replace(scope, results={**scope.results, **stage.results})
                self.expressions(value, inside, "other")
                origin = join((origin, self.origin_of_text(value.value, inside)))
            stage.results[name] = origin
            stage.made_at.setdefault(name, Spot(item.path))
        return scope

    def step_action(self, found: TektonObject, scope: Scope, stage: Stage) -> Scope:
        """Write down the facts of a step that others use; return the scope inside it."""
        owner = f"stepaction/{found.name}"
        fields = self.entries(found.spec, "`spec`")
        params = self.declared(fields.get("params"), {}, scope, embedded=False, owner=owner)
        scope = replace(scope, params=params, owner=owner)
        self._container(fields, found.spec, {}, scope, stage, set(), "")
        return scope

    # Steps.

    def _step(
        self,
        item: Part,
        template: Mapping[str, Part],
        volumes: Mapping[str, str],
        scope: Scope,
        stage: Stage,
        seen: set[JsonPath],
        index: int,
    ) -> None:
        own = self.entries(item, "a step")
        name = self.text(own.get("name"), "`name`") or f"unnamed-{index}"
        on_error = own.get("onError")
        if on_error is not None and on_error.value == "continue":
            self.effects([FoundEffect("ignores-failure", "onError", text="onError: continue")], on_error, scope)
        for when in self.items(own.get("when"), "`when`"):
            self.all_expressions(when, scope, "condition")
            scope = self.limited(self.entries(when, "an entry of `when`"), scope)
        if "ref" in own:
            self._use_step_action(own, scope, stage, volumes, seen)
            return
        if "image" not in own and "image" not in template:
            self.refuse("a step has no `image`", item)
        self._container(own, item, volumes, scope, stage, seen, name, template)

    def _use_step_action(
        self,
        own: Mapping[str, Part],
        scope: Scope,
        stage: Stage,
        volumes: Mapping[str, str],
        seen: set[JsonPath],
    ) -> None:
        given = self.given(own.get("params"), scope)
        self.environment(self.both("env", own), self.both("envFrom", own), scope, seen)
        ref = own["ref"]
        name = self.resolve(ref, scope, "task", given)
        powers, _ = self.powers(own.get("securityContext"), seen)
        for effect, spot in powers:
            self.book.effect(effect, spot, scope.around())
        found = self.step_actions.get(name)
        if found is None:
            self.call(f"stepaction/{name}", given, Spot(ref.path), scope)
            stage.has_source |= name.startswith("git-clone")
            return
        self.used_step_actions.add(name)
        fields = self.entries(found.spec, "`spec`")
        owner = f"stepaction/{name}"
        params = self.declared(fields.get("params"), given, replace(scope, params={}), embedded=False, owner=owner)
        self._container(fields, found.spec, volumes, replace(scope, params=params, owner=owner), stage, seen, "")

    def resolve(self, ref: Part, scope: Scope, used: ReferenceKind, given: Origins) -> str:
        """Write down what a reference to a task, step or pipeline names; return the name of an object of the file.

        "" where it comes from elsewhere.
        """
        fields = self.entries(ref, "a reference")
        inputs = {name: origin.value for name, origin in given.items() if origin.value is not None}
        resolver = self.text(fields.get("resolver"), "`resolver`")
        name = self.text(fields.get("name"), "`name`")
        if resolver:
            for _, below, _ in self.named(fields.get("params"), "`params`"):
                if "value" in below:
                    self.all_expressions(below["value"], scope, "reference")
            asked, parts = self.texts_of(fields.get("params"), scope, "`params`")
            parsed = parse_resolved(resolver, asked, used)
            places = (parts[key] for key in ("revision", "bundle", "version", "url", "name") if key in parts)
            self.reference(parsed, next(places, fields["resolver"]), scope, inputs)
            return ""
        bundle = fields.get("bundle")
        if bundle is not None and self.text(bundle, "`bundle`"):
            self.expressions(bundle, scope, "reference")
            text = self.text(bundle, "`bundle`")
            known = self.origin_of_text(text, scope).value or text
            self.reference(parse_image(known, used)._replace(name=name, text=f"{known} {name}".strip()), bundle, scope)
            return ""
        if not name:
            if "apiVersion" in fields and "kind" in fields:
                return ""
            self.refuse("a reference has neither `name` nor `resolver`", ref)
        self.expressions(fields["name"], scope, "reference")
        self.reference(parse_local(name, used), fields["name"], scope, inputs)
        return name if find_marks(name, templates=self.templates) == [] else ""

    # Containers.

    def _container(
        self,
        own: Mapping[str, Part],
        part: Part,
        volumes: Mapping[str, str],
        scope: Scope,
        stage: Stage,
        seen: set[JsonPath],
        name: str,
        template: Mapping[str, Part] = NO_PARTS,
    ) -> None:
        fields = {**template, **own}
        image_part = fields.get("image")
        image = self.image(image_part, scope) if image_part is not None else ""
        powers, options = self.powers(own.get("securityContext"), seen, template.get("securityContext"))
        mounts = []
        stage.secret_folders = [
            folder
            for name, bound in stage.workspaces.items()
            if bound.secret
            for folder in (f"$(workspaces.{name}.path)", f"/workspace/{name}")
        ]
        for item in self.both("volumeMounts", own, template):
            mount = self.entries(item, "a volume mount")
            named, into = self.text(mount.get("name"), "`name`"), self.text(mount.get("mountPath"), "`mountPath`")
            folder = volumes.get(named)
            if folder:
                mounts.append(f"{folder}:{into}")
            if named in self.secret_volumes and into:
                stage.secret_folders.append(into.rstrip("/"))
            self.all_expressions(item, scope, "other")
        self.book.container(
            Container(
                at=(),
                stage=scope.stage,
                image=image,
                options=options,
                privileged=any(effect.detail == "privileged" for effect, _ in powers) or "--privileged" in options,
                volumes=mounts,
            ),
            Spot((image_part or part).path),
            scope.around(),
            powers,
        )
        if "workingDir" in fields:
            self.expressions(fields["workingDir"], scope, "other")
        variables, sources = self.both("env", own, template), self.both("envFrom", own, template)
        environment = self.environment(variables, sources, scope, seen)
        script = fields.get("script")
        if script is not None and script.value not in (None, ""):
            self._script(script, environment, scope, stage, name)
        elif "command" in fields or "args" in fields:
            self._command(fields, image, environment, scope, stage, name)

    # What runs.

    def _script(self, part: Part, environment: Environment, scope: Scope, stage: Stage, name: str) -> None:
        text = self.text(part, "`script`")
        found = self.expressions(part, scope, "script")
        opaque = [Opaque(one.mark.start, one.mark.end, one.untrusted) for one in found]
        secrets = environment.secrets
        if any(name.startswith(WHOLE_MARK) for name in secrets):
            named = set(_READ_SECRET.findall(text))
            secrets |= named - environment.origins.keys()
        around = scope.around(shell_of(text), environment.tainted, secrets)
        stage.effects_before = len(self.book.effects)
        commands = self.book.script(text, Spot(part.path), around, opaque)
        traced = _TRACED.match(text)
        shown = sorted({name for command in commands for name in command.expands & secrets}) if traced else []
        if traced and shown:
            found_trace = FoundEffect("secret-print", shown[0], text=traced[0], secret=True, confidence="medium")
            self.book.effect(found_trace, Spot(part.path, 0, traced.end()), around)
        spots = [Spot(part.path, command.start, command.end) for command in commands]
        self._commands(commands, spots, found, environment, scope, stage, name)

    def _command(
        self,
        fields: Mapping[str, Part],
        image: str,
        environment: Environment,
        scope: Scope,
        stage: Stage,
        name: str,
    ) -> None:
        program = self.items(fields.get("command"), "`command`")
        parts = [*program, *self.items(fields.get("args"), "`args`")]
        argv = [self.text(one, "an argument") for one in parts]
        if not argv:
            return
        guessed = "" if program else _program_of_image(image)
        if guessed == "dockerd" and argv[0][:1] != "-":
            guessed = "docker"
        if not program and argv[0] in _CODE_OPTIONS and len(argv) > 1 and guessed not in INTERPRETERS:
            guessed = "sh"
        if guessed:
            argv, parts = [guessed, *argv], [parts[0], *parts]
        index = _script_index(argv)
        around = scope.around("sh", environment.tainted, environment.secrets)
        inputs = []
        filled_in: dict[str, Origin] = {}
        for position, one in enumerate(parts):
            if (not index or position != index) and not (guessed and position == 0):
                found = [*self.expressions(one, scope, "input"), *self._filled_in(one, environment)]
                inputs += found
                argv[position] = _with_variables(argv[position], found, filled_in)
        if index:
            # What runs is the script; the shell in front of it only reads it.
            shell = program_name(argv[0]) if program_name(argv[0]) in INTERPRETERS else "sh"
            part = parts[index]
            filled = self._filled_in(part, environment)
            for put in filled:
                self._write(put.mark, put.origin, argv[index], part, scope, "script", untrusted=put.untrusted)
            found = sorted([*self.expressions(part, scope, "script"), *filled], key=lambda one: one.mark.start)
            opaque = [Opaque(one.mark.start, one.mark.end, one.untrusted) for one in found]
            stage.effects_before = len(self.book.effects)
            commands = self.book.script(argv[index], Spot(part.path), replace(around, shell=shell), opaque)
            spots = [Spot(part.path, command.start, command.end) for command in commands]
            self._commands(commands, spots, found, environment, scope, stage, name)
            return
        stage.effects_before = len(self.book.effects)
        places = [Spot(one.path) for one in parts]
        around = replace(around, tainted=frozenset(name for name, origin in filled_in.items() if origin.text))
        commands = self.book.arguments(argv, places[0], around, places, frozenset(filled_in))
        self._further_switches(argv, parts, scope)
        whole = [one._replace(mark=one.mark._replace(start=0, end=0)) for one in inputs]
        self._commands(commands, [Spot(parts[0].path)] * len(commands), whole, environment, scope, stage, name)

    def _filled_in(self, part: Part, environment: Environment) -> list[Found]:
        """Return the variables that Kubernetes fills in into an argument, `$(NAME)`, before anything reads it."""
        text = self.text(part, "an argument")
        found = []
        for one in _FILLED_IN.finditer(text) if "$(" in text else ():
            origin = environment.origins.get(one[1])
            if origin is not None:
                mark = Mark(one.start(), one.end(), f"env.{one[1]}")
                found.append(Found(mark, origin, bool(origin.text)))
        return found

    def _further_switches(self, argv: Sequence[str], parts: Sequence[Part], scope: Scope) -> None:
        """Write down each further argument that turns verification off: the book tells of a command's first."""
        said = [effect for effect in self.book.effects[-len(argv) - 1 :] if effect.kind == "tls-off"]
        if not said:
            return
        for word, part in zip(argv[1:], parts[1:], strict=True):
            if word[:1] != "-" or word == said[-1].detail:
                continue
            for effect in find_script_effects(split_arguments([argv[0], word]))[0].effects:
                if effect.kind == "tls-off":
                    self.effects([effect], part, scope)

    def limited(self, when: Mapping[str, Part], scope: Scope) -> Scope:
        """Return the scope behind a condition: a value that has to be one of those it lists is no free text."""
        marks = find_marks(self.text(when.get("input"), "`input`"), templates=self.templates)
        values = when.get("values")
        if (
            self.text(when.get("operator"), "`operator`") != "in"
            or values is None
            or not isinstance(values.value, list)
        ):
            return scope
        listed = [self.text(one, "a value") for one in self.items(values, "`values`")]
        if len(marks) != 1 or not listed or any(find_marks(one, templates=self.templates) for one in listed):
            return scope
        origin = self.origin_of_mark(marks[0], scope)
        known = Origin(code=origin.code, mutable=origin.mutable)
        name = parameter_of(marks[0].context)
        if name:
            return replace(scope, params={**scope.params, name: known})
        return replace(scope, results={**scope.results, marks[0].context: known})

    def _commands(
        self,
        commands: Sequence[ShellCommand],
        spots: Sequence[Spot],
        found: Sequence[Found],
        environment: Environment,
        scope: Scope,
        stage: Stage,
        step: str,
    ) -> None:
        """Look at what commands fetch, and at what they hand on as results."""
        before: Origin = NOTHING
        position = 0
        held = dict(environment.origins)
        effects = enumerate(self.book.effects[stage.effects_before :], start=stage.effects_before)
        printed = {self.book.spots["effects"][index] for index, effect in effects if effect.kind == "secret-print"}
        for command, spot in zip(commands, spots, strict=True):
            first = position
            while position < len(found) and found[position].mark.start < command.start:
                position += 1
            if command.sets:
                _assign(command, [one.origin for one in found[first:position]], held)
            inside = []
            index = position
            while index < len(found) and (found[index].mark.start < command.end or spot.start < 0):
                inside.append(found[index].origin)
                index += 1
            read = [held[name] for name in command.reads if name in held and name not in command.plain]
            received = [held[name] for name in command.receives if name in held]
            origin = join((*inside, *read))
            if command.program in _READERS:
                put = join((origin, *received, *([before] if command.fed_by else [])))
                held |= {word: put for word in command.argv[1:] if word[:1] != "-" and put.text}
            if (file := self._shown_secret(command, stage)) and spot not in printed:
                printed.add(spot)
                shown = FoundEffect(
                    "secret-print", file, command.program, command.text, secret=True, confidence="medium"
                )
                self.book.effect(shown, spot, scope.around())
            self._pasted(command, spot, environment, scope)
            self._fetch(command, spot, origin, scope, stage)
            if "results." in command.text:
                handed = join((origin, *received, *([before] if command.fed_by else [])))
                self._hand_on(command.text, handed, spot, stage, step)
            before = origin

    def _pasted(self, command: ShellCommand, spot: Spot, environment: Environment, scope: Scope) -> None:
        """Write down a value that whoever starts the run chooses, and one shell fills in into the script of another."""
        if program_name(command.argv[0]) not in SHELLS or not command.expands:
            return
        index = find_script_word(command.argv)
        script = command.argv[index] if index else ""
        for name in sorted(command.expands):
            origin = environment.origins.get(name)
            if origin is not None and origin.open and not origin.text and re.search(rf"\$\{{?{name}\b", script):
                # `"$X"` as a whole is a script of its own, which the book knows.
                if re.fullmatch(r"\$\{?\w+\}?", script) is None:
                    found = FoundEffect("evaluates", script[:80], command.program, command.text, confidence="medium")
                    self.book.effect(found, spot, scope.around())
                return

    @staticmethod
    def _shown_secret(command: ShellCommand, stage: Stage) -> str:
        """Return the file of a secret that a command leaves to the log, "" if it leaves none."""
        if command.program not in _SHOW_FILES or command.saved or command.captured:
            return ""
        if command.pipes_to and command.pipes_to not in _SHOW_FILES:
            return ""
        files = (word.strip("\"'") for word in command.argv[1:])
        folders = tuple(f"{folder}/" for folder in stage.secret_folders)
        return next(
            (
                file
                for file in files
                if (_SECRET_WORKSPACE.match(file) or file.startswith(folders)) and _IS_PUBLIC.search(file) is None
            ),
            "",
        )

    def _hand_on(self, text: str, origin: Origin, spot: Spot, stage: Stage, step: str) -> None:
        if not origin.text:
            return
        for one in _RESULT_PATH.finditer(text):
            name = f"steps.{step}.results.{one[2]}" if one[1] else one[2]
            made = Origin(text=origin.text)
            stage.results[name] = join((stage.results.get(name, NOTHING), made))
            stage.made_at[name] = spot

    def _fetch(self, command: ShellCommand, spot: Spot, origin: Origin, scope: Scope, stage: Stage) -> None:
        """Write down a checkout by command, and remember what git has fetched for one that follows."""
        if command.program == "git-init":
            into_tree, ref, always, verb = True, _option(command.argv, "revision"), False, "clone"
        else:
            fetch = find_fetch(command)
            if fetch is None:
                return
            into_tree, ref, always, verb = fetch.into_tree, fetch.ref, fetch.always, fetch.verb
            words = {word.strip("\"'") for word in command.argv}
            names = {name for word in words for name in (word, word.partition("/")[0], word.rpartition("/")[2])}
            before = [stage.fetched[name] for name in names if name in stage.fetched]
            if before:
                # What was fetched is a commit, or a name that may have come to be another one since.
                origin = replace(origin, code=True, mutable=origin.mutable or any(before))
        pull = always or names_pull_request(command.text)
        brings = pull or origin.code
        if brings and verb != "clone":
            fetch = find_fetch(command)
            named = fetch.named(command.argv) if fetch else set()
            stage.fetched |= dict.fromkeys(named, origin.mutable or pull)
        stage.has_source |= verb == "clone"
        persists = keeps_credentials(command.text)
        if into_tree and (brings or persists or origin.parameters or verb == "clone"):
            self.checkout(
                command.text,
                ref,
                spot,
                replace(origin, code=brings, mutable=origin.mutable or pull),
                scope,
                stage,
                persists=persists,
            )

    def checkout(
        self, text: str, ref: str, spot: Spot, origin: Origin, scope: Scope, stage: Stage, *, persists: bool = False
    ) -> None:
        """Write down a checkout; `origin` says whose code it brings."""
        index = len(self.book.checkouts)
        if origin.code and stage.checkouts and " clone " not in text:
            self._replaces(stage, spot)
        self.book.checkouts.append(
            Checkout(
                at=self.book.at("checkouts", spot),
                stage=scope.stage,
                text=text,
                ref=ref,
                untrusted=origin.code,
                persists_credentials=persists,
                mutable=origin.code and (origin.mutable or scope.stale),
                guards=list(scope.guards),
            )
        )
        stage.has_source = True
        stage.checkouts.append((index, stage.effects_before))
        for parameter in origin.parameters:
            self.landings.append(Landing(parameter, "reference", scope.stage, spot, index))

    def _replaces(self, stage: Stage, spot: Spot) -> None:
        """Leave out the checkout before in the same script if nothing ran of it: this one puts another tree there."""
        before, count = stage.checkouts[-1]
        first = self.book.spots["checkouts"][before]
        if first.path != spot.path or spot.start < 0:
            return
        if len(self.book.effects) - count > MAX_LOOK:
            return
        for index in range(count, len(self.book.effects)):
            place = self.book.spots["effects"][index]
            if (
                self.book.effects[index].kind == "runs-workspace"
                and place.path == spot.path
                and first.start < place.start < spot.start
            ):
                return
        self.book.checkouts[before] = self.book.checkouts[before].model_copy(update={"untrusted": False})


def _assign(command: ShellCommand, pasted: Sequence[Origin], held: dict[str, Origin]) -> None:
    """Note what the variables hold that are set before a command; `pasted` is what was put into their values.

    What once holds an outsider's text or code holds it from there on, as the effects take it.
    """
    for one in command.sets:
        put = [held[name] for name in one.reads if name in held and name not in command.plain]
        if one.untrusted or any(origin.code for origin in pasted):
            put += pasted
        origin = join(put)
        if (origin.text or origin.code) and not is_harmless(one.value):
            held[one.name] = join((held[one.name], origin)) if one.name in held else origin


#: Set variables to what they read.
_READERS = frozenset(("read", "mapfile", "readarray"))
#: A variable whose name is that of a secret.
_READ_SECRET = re.compile(r"\$\{?([A-Z0-9_]*(?:TOKEN|SECRET|PASSW|_KEY|APIKEY|CREDENTIAL|PWD)[A-Z0-9_]*)\b")
_EDITIONS = frozenset(("stable", "testing", "upstream", "latest", "cli"))
#: Print the files they are given, whole or in part.
_SHOW_FILES = frozenset(
    ("cat", "base64", "head", "tail", "more", "less", "xxd", "od", "hexdump", "tac", "nl", "strings")
)
#: A file in a workspace that holds credentials by its name.
_SECRET_WORKSPACE = re.compile(
    r"\$\(workspaces\.[\w-]{0,60}(?:cred(?:ential)?s?|secrets?|docker-?config|kube-?config|ssh(?:-[a-z]+)?|tokens?|basic-auth|auth)"
    r"\.path\)/\S*[^/\s]\Z",
    re.I,
)
#: Lies beside credentials and is none.
_IS_PUBLIC = re.compile(r"/(?:README[^/]*|known_hosts|[^/]+\.(?:pub|crt|md)|namespace|username)\Z", re.I)
_FILLED_IN = re.compile(r"(?<!\$)\$\(([A-Za-z_][A-Za-z0-9_]*)\)")
_CODE_OPTIONS = frozenset(("-c", "-ec", "-lc", "-xc", "-exc", "-cx", "-ce", "-euxc", "-euc"))
_CODE_WORDS = frozenset(("-c", "-e", "--eval", "-Command", "-command"))
_RESULT_PATH = re.compile(r"\$\((step\.)?results(?:\.|\[[\"'])([\w.-]+?)(?:[\"']\])?\.path\)")
#: A shell that prints each command with what it filled in.
_TRACED = re.compile(r"#![ \t]*\S*(?:/|env[ \t]+-S[ \t]+)(?:ba|da|z|k|a)?sh[ \t]+-[a-wyz]*x[a-z]*[^\r\n]*")
_SHEBANG = re.compile(r"#!(win[ \t]*)?([^\r\n]*)")
#: Images that run a program of their own when they are given arguments alone.
_PROGRAMS = {
    "kaniko": "kaniko",
    "executor": "kaniko",
    "git": "git",
    "git-init": "git-init",
    "kubectl": "kubectl",
    "helm": "helm",
    "trivy": "trivy",
    "grype": "grype",
    "syft": "syft",
    "cosign": "cosign",
    "crane": "crane",
    "skopeo": "skopeo",
    "buildah": "buildah",
    "terraform": "terraform",
    "ko": "ko",
    "docker": "dockerd",
    "dind": "dockerd",
    "argocd": "argocd",
    "curl": "curl",
    "bash": "bash",
    "python": "python",
    "node": "node",
}


def _program_of_image(image: str) -> str:
    """Return the program that an image runs by itself, "" where that is not known."""
    names = image.partition("@")[0].split("/")
    last = names[-1].partition(":")[0]
    # `quay.io/skopeo/stable`: the program is the repository's.
    return _PROGRAMS.get(last, "") or (_PROGRAMS.get(names[-2], "") if last in _EDITIONS and len(names) > 1 else "")


def _script_index(argv: Sequence[str]) -> int:
    """Return the index of the argument that an interpreter takes for code, 0 where there is none."""
    found = find_script_word(argv)
    if found:
        return found
    stripped = strip_prefixes(argv)
    if stripped and program_name(stripped[0]) in INTERPRETERS:
        for index in range(1, len(argv) - 1):
            if argv[index] in _CODE_WORDS:
                return index + 1
    return 0


def _with_variables(text: str, found: Sequence[Found], names: dict[str, Origin]) -> str:
    """Return an argument with an outsider's values in it written as variables of a shell; note these in `names`."""
    for one in sorted(found, key=lambda one: one.mark.start, reverse=True):
        if one.untrusted:
            name = re.sub(r"[^A-Za-z0-9_]", "_", one.mark.context)
            names[name] = one.origin
            text = f"{text[: one.mark.start]}${name}{text[one.mark.end :]}"
    return text


def _option(argv: Sequence[str], name: str) -> str:
    """Return the value of `-name=value`."""
    return next((word.partition("=")[2] for word in argv if word.lstrip("-").startswith(f"{name}=")), "")


def shell_of(script: str) -> str:
    """Return the program that reads a script, by its first line; Tekton's default is `/bin/sh`."""
    found = _SHEBANG.match(script)
    words = strip_prefixes(found[2].split()) if found else []
    words = [word for word in words if not (word.startswith("-") and words[0] != word)]
    if not words or program_name(words[0]) == "env":
        return "sh"
    name = program_name(words[0]).lower().removesuffix(".exe")
    return re.sub(r"^(?:platform-)?(python|pypy|node|perl|ruby)[\d.]*$", r"\1", name) or "sh"
