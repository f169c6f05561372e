"""The steps of a job or composite action, in order: each may change what the names mean to those after it.

A step sets outputs and variables, fetches code, or checks who acts; what follows is looked at with that in mind. A
check that comes after a checkout does not guard it.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import cast

from policyd.models.base import JsonPath
from policyd.models.facts import ArtifactUse, Cache, Checkout, Guard
from policyd.pipeline.effects.found import FoundEffect
from policyd.pipeline.fact_book import Around
from policyd.pipeline.github.artifacts import (
    ArtifactStep,
    find_artifact_step,
    find_downloads_in_script,
    find_unpacked,
    is_workspace,
)
from policyd.pipeline.github.caches import find_cache
from policyd.pipeline.github.components import (
    CHECKOUTS,
    OUTPUTS,
    PERMISSION_CHECKS,
    WEAK_PERMISSIONS,
)
from policyd.pipeline.github.conditions import NONE, Reach, can_change_behind_label, required
from policyd.pipeline.github.contexts import BASE_EVENTS, MERGE_EVENTS
from policyd.pipeline.github.expressions import Node, find_expressions, parse_expression
from policyd.pipeline.github.fetches import Fetch, find_fetch, keeps_credentials
from policyd.pipeline.github.origins import NO_ORIGINS, NOTHING, Origin, join
from policyd.pipeline.github.reader import Found, GithubReader, Mapped, Scope
from policyd.pipeline.github.references import parse_uses
from policyd.pipeline.github.trust import EVENTS
from policyd.pipeline.github.values import origin_of_javascript, origin_of_shell
from policyd.pipeline.github.written import Written, find_written, find_written_by_javascript
from policyd.pipeline.links import Argument, Call, HandedFiles, Landing
from policyd.pipeline.references import ParsedReference
from policyd.pipeline.shell import ShellCommand, program_name
from policyd.pipeline.source_map import Spot
from policyd.pipeline.yaml_reader import YamlDocument

_POSIX_SHELLS = frozenset(("bash", "sh", "dash", "zsh", "ksh", "ash"))


class StepsReader(GithubReader):
    """Reads lists of steps. What belongs to the stage as a whole is kept until it ends."""

    def __init__(self, document: YamlDocument) -> None:
        super().__init__(document)
        self.calls: list[Call] = []
        self.files: list[HandedFiles] = []
        self.made_by_outsiders: dict[str, None] = {}  # artifacts of this run
        self.has_source = False
        self.outsiders_code = False  # of the stage being read
        self.foreign_files = False  # files that an outsider wrote lie around
        self.releases = False  # what starts the pipeline is a release
        self.fetched: set[str] = set()  # names of an outsider's code that git has fetched
        self.checks_of_steps: dict[str, Guard] = {}  # outputs that say what the actor may do, by context
        self.packed: int | None = None  # the artifact that was fetched as an archive, and not unpacked yet
        self.first_cache = 0

    def start_stage(self) -> None:
        """Forget what belongs to the stage before."""
        self.has_source = self.outsiders_code = self.foreign_files = False
        self.fetched = set()
        self.packed = None
        self.outputs_of_steps, self.actions_of_steps, self.checks_of_steps = {}, {}, {}
        self.first_cache = len(self.book.caches)

    def steps(self, value: object, path: JsonPath, scope: Scope) -> Scope:
        """Write down a list of steps; return the scope behind them."""
        for index, item in enumerate(self.require_list(value, path, "`steps`")):
            at = (*path, index)
            if not isinstance(item, dict):
                self.refuse_shape(item, at, "a step", "mapping")
            scope = self._step(cast("Mapped", item), at, scope)
        self._settle_caches()
        return scope

    def _step(self, step: Mapped, path: JsonPath, scope: Scope) -> Scope:
        here = self.condition(step.get("if"), (*path, "if"), scope)
        here = self.environment(step.get("env"), (*path, "env"), here)
        for name, value in step.items():
            if name not in _STEP_FIELDS:
                self.expressions(value, (*path, name), here, "other")
        if "run" in step:
            written, check = self._run(step, path, here)
        elif "uses" in step:
            written, check = self._use(step, path, here)
        else:
            self.refuse("a step has neither `run` nor `uses`", path)
        identifier = step.get("id")
        return self._after(scope, here, step, identifier if isinstance(identifier, str) else "", written, check)

    def _after(
        self,
        scope: Scope,
        here: Scope,
        step: Mapped,
        name: str,
        written: Mapping[tuple[str, str], Origin],
        check: tuple[Guard, bool] | None,
    ) -> Scope:
        """Return the scope of later steps: what this one set, fetched and found out."""
        changes: dict[str, object] = {}
        if written:
            variables = {}
            for (target, key), origin in written.items():
                if target == "output" and name:
                    self.outputs_of_steps[f"steps.{name}.outputs.{key}".lower()] = origin
                elif target == "environment" and origin is not NOTHING:
                    variables[key] = join((origin, scope.environment.get(key, NOTHING)))
            if variables:
                changes["environment"] = {**scope.environment, **variables}
        uses = step.get("uses")
        if name:
            slug = parse_uses(uses).slug if isinstance(uses, str) else ""
            if not slug or slug in OUTPUTS or slug == "actions/github-script":
                self.actions_of_steps[name.lower()] = slug
        if check is not None:
            guard, fails = check
            if name:
                self.checks_of_steps[f"steps.{name}.outputs".lower()] = guard
            if fails and step.get("continue-on-error") in (None, False):
                changes["passed"] = _passed(scope, here, guard)
        refused = _refused(step)
        if refused is not None:
            changes["passed"], changes["skipped"] = _not_refused(replace(scope, **changes), refused)  # type: ignore[arg-type]  # named above
        return replace(scope, **changes) if changes else scope  # type: ignore[arg-type]  # named above

    # Scripts.

    def _run(
        self, step: Mapped, path: JsonPath, scope: Scope
    ) -> tuple[dict[tuple[str, str], Origin], tuple[Guard, bool] | None]:
        at = (*path, "run")
        script = self.require_text(step["run"], at, "`run`")
        found = self.expressions(script, at, scope, "script")
        template = scope.shell
        if step.get("shell") is not None:
            template = self.require_text(step["shell"], (*path, "shell"), "`shell`")
            self.expressions(template, (*path, "shell"), scope, "other")
            if template.strip().lower() in ("cmd", "cmd.exe"):
                found_shell = FoundEffect("weak-shell", "cmd", text=template)
                self.book.effect(found_shell, Spot((*path, "shell")), Around(scope.stage, guards=scope.guards))
        directory = step.get("working-directory")
        self.expressions(directory, (*path, "working-directory"), scope, "other")
        if isinstance(directory, str):
            self.book.enters(scope.stage, directory)
        first = len(self.book.effects)
        written = self._followed(find_written(script), script, found, scope)
        names = {one.name: origin for one, origin in written if one.target == "local"}
        commands = self.script(script, at, scope, shell_of(template, windows=scope.windows), found, names)
        if any(command.plain for command in commands):
            written = self._followed([one for one, _ in written], script, found, scope, commands)
        return self._handed_on(written, scope, first), find_check_in_script(script)

    def script(
        self,
        script: str,
        path: JsonPath,
        scope: Scope,
        shell: str,
        found: Sequence[Found],
        names: Mapping[str, Origin] = NO_ORIGINS,
    ) -> list[ShellCommand]:
        """Write down the commands of a script, what they check out and what they download; return the commands.

        `names` are the variables that it sets itself.
        """
        opaque = [one.opaque for one in found]
        around = self.around(scope, shell, found)
        answers = {name for name, origin in names.items() if origin.asked and scope.meets(origin.events)}
        if answers:
            around = replace(around, tainted=around.tainted | answers)
        known = {**scope.environment, **names} if names else scope.environment
        commands = self.book.script(script, Spot(path), around, opaque)
        for command in commands:
            fetch = find_fetch(command)
            if fetch is not None:
                self._fetch(fetch, command, path, replace(scope, environment=known), found)
        for download in find_downloads_in_script(script, shell):
            self._artifact(download, Spot(path, download.start, download.end), scope)
        if self.packed is not None and shell != "javascript":
            self._unpack(script, self.packed)
        return commands

    def _unpack(self, script: str, index: int) -> None:
        """Note where an artifact is unpacked that an earlier script has only fetched."""
        folder = find_unpacked(script)
        if folder is not None:
            self.packed = None
            changes = {"paths": [folder or "."], "into_workspace": is_workspace(folder)}
            self.book.artifacts[index] = self.book.artifacts[index].model_copy(update=changes)

    def _followed(
        self,
        written: Sequence[Written],
        script: str,
        found: Sequence[Found],
        scope: Scope,
        commands: Sequence[ShellCommand] = (),
    ) -> list[tuple[Written, Origin]]:
        """Return what a script sets and hands on, with where each value comes from.

        `commands` are those of the script, where some of them stand behind a check of a variable.
        """
        if not written:
            return []
        followed: list[tuple[Written, Origin]] = []
        variables = dict(scope.environment)
        if not scope.outsiders.isdisjoint(("pull_request", "pull_request_target")):
            variables["GITHUB_HEAD_REF"] = Origin("github.head_ref", scope.outsiders, scope.outsiders, mutable=True)
        for one in written:
            inside = origins_inside(found, one.start, one.end)
            text = script[one.start : one.end]
            command = next((command for command in commands if command.end > one.start), None)
            plain = command.plain if command else frozenset()
            known = {name: origin for name, origin in variables.items() if name not in plain} if plain else variables
            origin = join((*inside, self._origin_of_shell(text, known, scope), self.names_pull_request(text, scope)))
            followed.append((one, origin))
            if one.target == "local":
                variables[one.name] = origin
        return followed

    def _handed_on(
        self, written: Sequence[tuple[Written, Origin]], scope: Scope, first: int
    ) -> dict[tuple[str, str], Origin]:
        """Return what later steps get of what a script has written; its effects begin at `first`."""
        handed_on: dict[tuple[str, str], Origin] = {}
        for one, origin in written:
            if one.target != "local":
                key = (one.target, one.name)
                handed_on[key] = join((handed_on.get(key, NOTHING), origin))
                if scope.meets(origin.events) and not one.enclosed:
                    self._mark_write(one, first)
        return handed_on

    def _mark_write(self, written: Written, first: int) -> None:
        """Say of the effect that writes a variable or output that an outsider's text is in it."""
        for index in range(first, len(self.book.effects)):
            effect, spot = self.book.effects[index], self.book.spots["effects"][index]
            writes = effect.kind in ("environment-write", "output-write", "deprecated-command")
            if writes and not effect.untrusted and spot.start < written.end and written.start < spot.end:
                self.book.effects[index] = effect.model_copy(update={"untrusted": True})

    def _origin_of_shell(self, text: str, variables: Mapping[str, Origin], scope: Scope) -> Origin:
        return origin_of_shell(text, variables, scope, foreign_files=self.foreign_files)

    def _fetch(self, fetch: Fetch, command: ShellCommand, path: JsonPath, scope: Scope, found: Sequence[Found]) -> None:
        """Write down a checkout by command, and remember what git has fetched for one that follows."""
        self.has_source |= fetch.verb == "clone"
        spot = Spot(path, command.start, command.end)
        origin = self._origin_of_command(command, scope, found)
        if fetch.always:
            origin = join((origin, Origin(code=frozenset(scope.reach), mutable=True)))
        words = {word.strip("\"'") for word in command.argv}
        names = {name for word in words for name in (word, word.partition("/")[0], word.rpartition("/")[2])}
        if not self.fetched.isdisjoint(names):
            origin = join((origin, Origin(code=frozenset(scope.reach), mutable=True)))
        brings = scope.meets(origin.code)
        if brings:
            self.fetched |= fetch.named(command.argv, command.writes_to)
        persists = keeps_credentials(command.text)
        if not fetch.into_tree or not (brings or persists or origin.parameters):
            return
        self._checkout(
            Checkout(
                at=(),
                stage=scope.stage,
                text=command.text,
                ref=fetch.ref,
                untrusted=brings,
                persists_credentials=persists,
                mutable=brings and (origin.mutable or can_change_behind_label(scope.reach)),
                guards=list(scope.guards),
            ),
            spot,
            origin,
            scope,
        )

    def _origin_of_command(self, command: ShellCommand, scope: Scope, found: Sequence[Found]) -> Origin:
        inside = origins_inside(found, command.start, command.end)
        read = [scope.environment[name] for name in command.reads if name in scope.environment]
        if "GITHUB_HEAD_REF" in command.reads:
            read.append(Origin(code=scope.outsiders, mutable=True))
        return join((*inside, *read, self.names_pull_request(command.text, scope)))

    # Actions.

    def _use(
        self, step: Mapped, path: JsonPath, scope: Scope
    ) -> tuple[dict[tuple[str, str], Origin], tuple[Guard, bool] | None]:
        at = (*path, "uses")
        text = self.require_text(step["uses"], at, "`uses`")
        if not text:
            self.refuse("`uses` is empty", at)
        self.expressions(text, at, scope, "reference")
        parsed = parse_uses(text)
        slug = parsed.slug
        with_path = (*path, "with")
        given = self.require_mapping(step.get("with"), with_path, "`with`")
        inputs = self.inputs(step.get("with"), with_path, scope, slug or text)
        self.reference(text, parsed, at, scope, inputs)
        if parsed.local:
            self._call(parsed, given, inputs, with_path, scope)
            return {}, None
        lowered = {name.lower(): value for name, value in inputs.items()}
        if slug in CHECKOUTS:
            self._checkout_action(text, given, lowered, path, scope)
        artifact = find_artifact_step(parsed, lowered, self.map.comment_after(at))
        if artifact is not None:
            self._artifact(artifact, Spot(at), scope, text)
        cache = find_cache(parsed, lowered)
        if cache is not None:
            self.book.caches.append(
                Cache(
                    at=self.book.at("caches", Spot(at)),
                    stage=scope.stage,
                    text=text,
                    key=cache.key,
                    paths=cache.paths,
                    restores=cache.restores,
                    saves=cache.saves,
                    # Settled when the stage has been read: what is saved is what all its steps leave.
                    untrusted=cache.saves and not BASE_EVENTS.isdisjoint(scope.outsiders),
                    publishes=self.releases,
                )
            )
        return self._outputs_of(slug, lowered, scope), find_check(slug, lowered)

    def _outputs_of(self, slug: str, inputs: Mapping[str, str], scope: Scope) -> dict[tuple[str, str], Origin]:
        written: dict[tuple[str, str], Origin] = {}
        if slug == "actions/github-script" and "script" in inputs:
            script = inputs["script"]
            spans = [
                (span, self.origin_of_text(script[span.start : span.end], scope)) for span in find_expressions(script)
            ]
            for one in find_written_by_javascript(script):
                inside = [origin for span, origin in spans if one.start <= span.start < one.end]
                origin = join((*inside, self._origin_of_javascript(script[one.start : one.end], script, scope)))
                key = (one.target, one.name)
                written[key] = join((written.get(key, NOTHING), origin))
        return written

    def _origin_of_javascript(self, text: str, script: str, scope: Scope) -> Origin:
        return origin_of_javascript(text, script, scope, foreign_files=self.foreign_files)

    def _checkout_action(
        self, text: str, given: Mapped, inputs: Mapping[str, str], path: JsonPath, scope: Scope
    ) -> None:
        ref, repository = inputs.get("ref", ""), inputs.get("repository", "")
        self.has_source = True
        of_ref, of_repository = self.origin_of_text(ref, scope), self.origin_of_text(repository, scope)
        origin = join((of_ref, of_repository))
        if not ref and not repository:
            # The run's own commit: for a pull request, the merge of what an outsider wrote.
            origin = Origin(code=MERGE_EVENTS & scope.reach.keys())
        mutable = of_ref.mutable if ref else of_repository.mutable
        if ref and not of_ref.code and of_repository.code:
            mutable = True  # a branch of the other repository
        brings = scope.meets(origin.code)
        place = next(((*path, "with", name) for name in given if name.lower() == "ref"), (*path, "uses"))
        checkout = Checkout(
            at=(),
            stage=scope.stage,
            text=text,
            ref=ref,
            untrusted=brings,
            persists_credentials=inputs.get("persist-credentials", "true").strip().lower() != "false",
            path="" if is_workspace(inputs.get("path", "")) else inputs["path"],
            mutable=brings and (mutable or can_change_behind_label(scope.reach)),
            guards=list(scope.guards),
        )
        self._checkout(checkout, Spot(place), origin, scope)

    def _checkout(self, checkout: Checkout, spot: Spot, origin: Origin, scope: Scope) -> None:
        index = len(self.book.checkouts)
        self.book.checkouts.append(checkout.model_copy(update={"at": self.book.at("checkouts", spot)}))
        self.has_source = True
        self.outsiders_code |= checkout.untrusted
        self.foreign_files |= checkout.untrusted and _has_powers(scope)
        for parameter in origin.parameters:
            self.landings.append(Landing(parameter, "reference", scope.stage, spot, index))

    def _call(
        self, parsed: ParsedReference, given: Mapped, inputs: Mapping[str, str], path: JsonPath, scope: Scope
    ) -> None:
        """Note that an action of the repository is used, and with what."""
        callee = repository_path(parsed.name)
        self.calls.append(Call(callee, scope.stage, inside=True, secrets=True))
        self.give(callee, inputs, path, scope)

    def give(self, callee: str, inputs: Mapping[str, str], path: JsonPath, scope: Scope) -> None:
        """Note what values a file of the repository is called with, where they are worth following."""
        for name, text in inputs.items():
            origin = self.origin_of_text(text, scope)
            untrusted = scope.meets(origin.events)
            code = scope.meets(origin.code)
            if untrusted or code or origin.parameters:
                value = origin.text if untrusted else ""
                spot = Spot((*path, name))
                self.arguments.append(Argument(callee, name.lower(), value, code, origin.parameters, scope.stage, spot))

    # Artifacts and caches.

    def _artifact(self, step: ArtifactStep, spot: Spot, scope: Scope, text: str = "") -> None:
        outside = scope.outsiders
        if step.upload:
            untrusted = self.outsiders_code and bool(outside)
            if untrusted and len(self.made_by_outsiders) < _MAX_ARTIFACTS:
                self.made_by_outsiders[step.name] = None
        else:
            of_this_run = any(_may_be(step.name, name) for name in self.made_by_outsiders)
            of_a_stranger = step.foreign and (step.any_run or not _ON_BEHALF.isdisjoint(outside))
            untrusted = of_this_run or (of_a_stranger and "event" not in scope.guards)
            self.foreign_files |= untrusted
        self.files.append(HandedFiles(step.name, scope.stage, spot, step.upload, untrusted, powers=_has_powers(scope)))
        if step.packed:
            self.packed = len(self.book.artifacts)
        self.book.artifacts.append(
            ArtifactUse(
                at=self.book.at("artifacts", spot),
                stage=scope.stage,
                text=text or step.text,
                name=step.name,
                paths=step.paths,
                direction="upload" if step.upload else "download",
                untrusted=untrusted,
                foreign=step.foreign,
                into_workspace=step.into_workspace,
                whole_workspace=step.whole_workspace,
            )
        )

    def _settle_caches(self) -> None:
        """Take back that a cache is poisoned where no code of outsiders ran in the stage."""
        if not self.outsiders_code:
            for index in range(self.first_cache, len(self.book.caches)):
                self.book.caches[index] = self.book.caches[index].model_copy(update={"untrusted": False})


# Checks of who acts.

_ASKS_PERMISSION = re.compile(
    r"getCollaboratorPermissionLevel|collaborators/[^\n]{0,120}/permission|checkCollaborator|checkMembershipForUser"
    r"|getMembershipForUserInOrg|/memberships/|/orgs/[^\n]{0,120}/members/|listMembersInOrg"
)
_FAILS = re.compile(r"\bexit[ \t]+[1-9]|core\.setFailed|\bthrow\b|process\.exit\([1-9]|\bfalse$", re.MULTILINE)
_ASKS: tuple[tuple[Guard, re.Pattern[str]], ...] = (
    ("permission", _ASKS_PERMISSION),
    ("association", re.compile(r"author_association|authorAssociation")),
    (
        "same-repository",
        re.compile(r"head\.repo\.(?:full_name|fork|owner)|isCrossRepository|head_repository\.full_name"),
    ),
)


def find_check(slug: str, inputs: Mapping[str, str]) -> tuple[Guard, bool] | None:
    """Return what an action checks, and whether the job ends where the check fails; `None` if it checks nothing."""
    if slug == "actions/github-script":
        return find_check_in_script(inputs.get("script", ""))
    if slug == "octokit/request-action" and _ASKS_PERMISSION.search(inputs.get("route", "")):
        return "permission", True
    if slug not in PERMISSION_CHECKS:
        return None
    name, fails = PERMISSION_CHECKS[slug]
    asked = {word.strip().lower() for word in re.split(r"[,\s]+", inputs.get(name, ""))}
    return None if asked & WEAK_PERMISSIONS else ("permission", fails)


def find_check_in_script(script: str) -> tuple[Guard, bool] | None:
    """Return what a script checks, and whether it can end the job; `None` if nothing is seen."""
    for guard, pattern in _ASKS:
        if pattern.search(script):
            fails = _FAILS.search(script) is not None
            if fails or guard == "permission":
                return guard, fails
    return None


def _passed(scope: Scope, here: Scope, guard: Guard) -> Reach:
    """Return what holds behind a check that ends the job: under the events for which it runs whatever else holds."""
    passed = dict(scope.passed)
    for event, guards in scope.reach.items():
        if event in here.reach and here.reach[event] == guards | passed.get(event, NONE):
            passed[event] = passed.get(event, NONE) | {guard}
    return passed


#: A script that does nothing but say why it ends the job.
_ENDS = re.compile(
    r"\s*(?:(?:echo|printf|gh[ \t]+(?:pr|issue)[ \t]+comment)\b[^\n]*\n\s*){0,20}exit[ \t]+[1-9]\d{0,2};?\s*"
)
_ENDS_IN_JAVASCRIPT = re.compile(r"\s*core\.setFailed\([^\n]*\);?\s*")


def _refused(step: Mapped) -> Node | None:
    """Return the condition under which a step ends the job, `None` where it does anything else."""
    condition, script = step.get("if"), step.get("run")
    ends = _ENDS
    if script is None and str(step.get("uses")).startswith("actions/github-script@"):
        given = step.get("with")
        script, ends = given.get("script") if isinstance(given, dict) else None, _ENDS_IN_JAVASCRIPT
    if not isinstance(condition, str) or not isinstance(script, str) or ends.fullmatch(script) is None:
        return None
    if step.get("continue-on-error") not in (None, False):
        return None
    spans = find_expressions(condition)
    if spans and (len(spans) > 1 or (spans[0].start, spans[0].end) != (0, len(condition))):
        return None
    return parse_expression(spans[0].inner if spans else condition).root


def _not_refused(scope: Scope, refused: Node) -> tuple[Reach, frozenset[str]]:
    """Return what holds, and which events are gone, behind a step that ends the job where `refused` holds."""
    passed, skipped = dict(scope.passed), set(scope.skipped)
    for event in scope.reach:
        asked = required(refused, event, scope.known, holds=False)
        if asked is None:
            skipped.add(event)
        else:
            passed[event] = passed.get(event, NONE) | asked
    return passed, frozenset(skipped)


# Small questions.

_MAX_ARTIFACTS = 200  # names remembered of one run; keeps looking for them cheap


def origins_inside(found: Sequence[Found], start: int, end: int) -> list[Origin]:
    """Return where the values of those expressions come from that begin between two characters of a script."""
    first = bisect_left(found, start, key=lambda one: one.span.start)
    last = bisect_left(found, end, lo=first, key=lambda one: one.span.start)
    return [one.origin for one in found[first:last]]


_STEP_FIELDS = frozenset(("if", "env", "run", "uses", "with", "shell", "working-directory"))
#: Events that start a run for what somebody else's run or pull request left.
_ON_BEHALF = frozenset(("workflow_run", "issue_comment", "workflow_call", "*"))


def _has_powers(scope: Scope) -> bool:
    return any(event in EVENTS and EVENTS[event].privileged for event in scope.outsiders)


def _may_be(taken: str, made: str) -> bool:
    return not taken or taken == made or "*" in taken or "${{" in taken + made


def repository_path(text: str) -> str:
    """Return the path from the repository's root that `./path` names."""
    return "/".join(part for part in text.split("/") if part not in ("", "."))


def shell_of(template: str, *, windows: bool) -> str:
    """Return the name of the shell that `shell:` asks for; GitHub's default where it says nothing."""
    words = template.split()
    if not words or "${{" in template:
        return "pwsh" if windows else "bash"
    posix = [program_name(word) for word in words if program_name(word) in _POSIX_SHELLS]
    return posix[-1] if posix else program_name(words[0]).lower().removesuffix(".exe")
