"""What GitHub workflows and actions have in common: steps, expressions, variables, references and containers.

A text is looked at with its scope: an `env` variable that holds an outsider's text makes `${{ env.TITLE }}` one too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, NoReturn, cast

from policyd.errors import DocumentError
from policyd.models.base import JsonPath
from policyd.models.facts import Checkout, Condition, Container, Expression, Reference, SecretUse, Sink, Variable
from policyd.pipeline.characters import quoted
from policyd.pipeline.fact_book import Around, FactBook
from policyd.pipeline.github.expressions import (
    ParsedExpression,
    Span,
    checks_spoofable_actor,
    find_expressions,
    holds_untrusted,
    is_always_true,
    is_untrusted,
    parse_expression,
)
from policyd.pipeline.github.references import ParsedReference, parse_image, parse_uses
from policyd.pipeline.github.trust import CODE_INPUTS, UNTRUSTED_OUTPUTS, names_outsiders_code
from policyd.pipeline.shell import Opaque, ShellCommand, program_name
from policyd.pipeline.source_map import Spot
from policyd.pipeline.yaml_reader import YamlDocument

Mapped = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Scope:
    """Where in the file we are, and what the names there stand for."""

    stage: str = ""
    #: Environment variables that hold an outsider's text, and those that name an outsider's code.
    tainted: frozenset[str] = frozenset()
    outside: frozenset[str] = frozenset()
    tainted_steps: frozenset[str] = frozenset()
    privileged: bool = False  # an outsider can start it with the repository's secrets
    shell: str = ""
    windows: bool = False


class Found(NamedTuple):
    """An expression in a text, and what it means there."""

    span: Span
    parsed: ParsedExpression
    untrusted: bool


class GithubReader:
    """What workflows and actions share: steps, expressions, variables, references."""

    def __init__(self, document: YamlDocument) -> None:
        self.value = document.value
        self.map = document.source_map
        self.book = FactBook(document.source_map.file)
        self.tainted_outputs: frozenset[str] = frozenset()

    # Shapes.

    def refuse(self, cause: str, path: JsonPath) -> NoReturn:
        """Raise `DocumentError` at `path`."""
        raise DocumentError(cause, where=self.map.where(path), fix="correct the file; GitHub would refuse it too")

    def mapping(self, value: object, path: JsonPath, what: str) -> Mapped:
        """Return `value` as a mapping; nothing at all is an empty one."""
        if value is None:
            return {}
        if not isinstance(value, dict):
            self.refuse(f"{what} is {quoted(value)}, not a mapping", path)
        return value

    def sequence(self, value: object, path: JsonPath, what: str) -> Sequence[object]:
        """Return `value` as a list; nothing at all is an empty one."""
        if value is None:
            return []
        if not isinstance(value, list):
            self.refuse(f"{what} is {quoted(value)}, not a list", path)
        return value

    def text(self, value: object, path: JsonPath, what: str) -> str:
        """Return a scalar as GitHub hands it on: its characters. Nothing at all is an empty text."""
        if value is None:
            return ""
        if isinstance(value, dict | list):
            self.refuse(f"{what} is {quoted(value)}, not a text", path)
        return value if isinstance(value, str) else self.map.scalar_text(path) or ""

    # Expressions.

    def expressions(self, value: object, path: JsonPath, scope: Scope, sink: Sink) -> list[Found]:
        """Write down every `${{ }}` in `value` and below; return those of `value` itself if it is a text."""
        if isinstance(value, str):
            return self._expressions_in(value, path, scope, sink) if "${{" in value else []
        if isinstance(value, dict):
            for key, item in value.items():
                self.expressions(item, (*path, key), scope, sink)
        elif isinstance(value, list):
            for index, item in enumerate(value):
                self.expressions(item, (*path, index), scope, sink)
        return []

    def _expressions_in(self, text: str, path: JsonPath, scope: Scope, sink: Sink) -> list[Found]:
        found = []
        for span in find_expressions(text):
            parsed = parse_expression(span.inner)
            untrusted = self.is_untrusted_here(parsed, scope)
            if parsed.root is None and sink == "script":
                untrusted = True  # what can't be read is not known to be harmless
            found.append(Found(span, parsed, untrusted))
            spot = Spot(path, span.start, span.end)
            self.book.expressions.append(
                Expression(
                    at=self.book.at("expressions", spot),
                    stage=scope.stage,
                    text=text[span.start : span.end],
                    contexts=list(parsed.contexts),
                    untrusted=untrusted,
                    sink=sink,
                    always_true=False,
                )
            )
            self._secrets(parsed, spot, scope, sink)
        return found

    def is_untrusted_here(self, parsed: ParsedExpression, scope: Scope) -> bool:
        """Say whether an outsider's text can come out of an expression, also by way of names in `scope`."""
        if any(holds_untrusted(context) for context in parsed.whole):
            return True
        for context in parsed.flowing:
            if is_untrusted(context) or context in self.tainted_outputs:
                return True
            first, _, rest = context.partition(".")
            if first == "env" and (rest in scope.tainted or (rest in ("", "*") and scope.tainted)):
                return True
            if first == "steps" and rest.partition(".")[0] in scope.tainted_steps:
                return True
        return False

    def _secrets(self, parsed: ParsedExpression, spot: Spot, scope: Scope, sink: Sink) -> None:
        for context in parsed.contexts:
            first, _, name = context.partition(".")
            if first != "secrets":
                continue
            self.book.secrets.append(
                SecretUse(
                    at=self.book.at("secrets", spot),
                    stage=scope.stage,
                    name=name if name not in ("", "*") else "*",
                    all=name in ("", "*"),
                    inherited=False,
                    sink=sink,
                )
            )

    def condition(self, value: object, path: JsonPath, scope: Scope) -> None:
        """Write down an `if`."""
        if value is None or isinstance(value, bool):
            return
        text = self.text(value, path, "`if`")
        spans = find_expressions(text)
        whole = not spans or (len(spans) == 1 and spans[0].start == 0 and spans[0].end == len(text))
        inner = [span.inner for span in spans] or [text]
        parsed = [parse_expression(part) for part in inner]
        # GitHub makes a text of marks and anything beside them, were it the line end of a `|` block, and a text that
        # is not empty counts as true.
        always = not whole or any(part.root is not None and is_always_true(part.root) for part in parsed[:1])
        spoofable = any(part.root is not None and checks_spoofable_actor(part.root) for part in parsed)
        contexts = dict.fromkeys(context for part in parsed for context in part.contexts)
        spot = Spot(path)
        self.book.conditions.append(
            Condition(
                at=self.book.at("conditions", spot),
                stage=scope.stage,
                text=text,
                always_true=always,
                spoofable_actor=spoofable,
            )
        )
        self.book.expressions.append(
            Expression(
                at=self.book.at("expressions", spot),
                stage=scope.stage,
                text=text,
                contexts=list(contexts),
                untrusted=any(self.is_untrusted_here(part, scope) for part in parsed),
                sink="condition",
                always_true=always,
            )
        )
        for part in parsed:
            self._secrets(part, spot, scope, "condition")

    # Variables.

    def environment(self, value: object, path: JsonPath, scope: Scope) -> Scope:
        """Write down an `env`; return the scope in which its names are known."""
        if isinstance(value, str):
            self.expressions(value, path, scope, "environment")
            return scope
        tainted, outside = set(scope.tainted), set(scope.outside)
        for name, item in self.mapping(value, path, "`env`").items():
            at = (*path, name)
            text = self.text(item, at, f"the variable {quoted(name)}")
            self._variable(name, text, at, scope, "environment")
            found = self.expressions(text, at, scope, "environment")
            (tainted.add if any(one.untrusted for one in found) else tainted.discard)(name)
            (outside.add if self._is_outsiders(text, scope) else outside.discard)(name)
        return replace(scope, tainted=frozenset(tainted), outside=frozenset(outside))

    def inputs(self, value: object, path: JsonPath, scope: Scope, slug: str) -> None:
        """Write down a `with`; `slug` names the action, some of which run an input as code."""
        code = CODE_INPUTS.get(slug, frozenset())
        for name, item in self.mapping(value, path, "`with`").items():
            at = (*path, name)
            text = self.text(item, at, f"the input {quoted(name)}")
            self._variable(name, text, at, scope, "input")
            self.expressions(text, at, scope, "script" if name.lower() in code else "input")

    def _variable(self, name: str, value: str, path: JsonPath, scope: Scope, origin: str) -> None:
        variable = Variable(
            at=(),
            stage=scope.stage,
            name=name,
            value=value,
            literal="${{" not in value,
            origin=origin,  # type: ignore[arg-type]  # one of the three
        )
        self.book.variable(variable, Spot(path), Around(scope.stage))

    def _is_outsiders(self, text: str, scope: Scope) -> bool:
        """Say whether a reference names code of an outsider."""
        for span in find_expressions(text):
            for context in parse_expression(span.inner).contexts:
                first, _, rest = context.partition(".")
                if names_outsiders_code(context) or (first == "env" and rest in scope.outside):
                    return True
        return "pull/" in text and ("/head" in text or "/merge" in text)

    # Steps.

    def steps(self, value: object, path: JsonPath, scope: Scope) -> bool:
        """Write down a list of steps; return whether one of them checks out source."""
        has_source = False
        for index, item in enumerate(self.sequence(value, path, "`steps`")):
            at = (*path, index)
            if not isinstance(item, dict):
                self.refuse(f"a step is {quoted(item)}, not a mapping", at)
            step = cast("Mapped", item)
            has_source |= self._step(step, at, scope)
            scope = self.scope_after(step, scope)
        return has_source

    def _step(self, step: Mapped, path: JsonPath, scope: Scope) -> bool:
        self.condition(step.get("if"), (*path, "if"), scope)
        inner = self.environment(step.get("env"), (*path, "env"), scope)
        for name, value in step.items():
            if name not in ("if", "env", "run", "uses", "with", "shell"):
                self.expressions(value, (*path, name), inner, "other")
        if "run" in step:
            return self._run(step, path, inner)
        if "uses" not in step:
            self.refuse("a step has neither `run` nor `uses`", path)
        text = self.text(step["uses"], (*path, "uses"), "`uses`")
        if not text:
            self.refuse("`uses` is empty", (*path, "uses"))
        parsed = parse_uses(text)
        self.reference(text, parsed, (*path, "uses"), inner)
        self.inputs(step.get("with"), (*path, "with"), inner, parsed.slug)
        if parsed.slug == "actions/checkout":
            self._checkout(text, step, path, inner)
            return True
        return False

    def scope_after(self, step: Mapped, scope: Scope) -> Scope:
        """Return the scope of later steps: outputs of some actions are an outsider's texts."""
        name, uses = step.get("id"), step.get("uses")
        if isinstance(name, str) and isinstance(uses, str) and parse_uses(uses).slug in UNTRUSTED_OUTPUTS:
            return replace(scope, tainted_steps=scope.tainted_steps | {name.lower()})
        return scope

    def _checkout(self, text: str, step: Mapped, path: JsonPath, scope: Scope) -> None:
        given = self.mapping(step.get("with"), (*path, "with"), "`with`")
        options = {name.lower(): self.text(value, (*path, "with", name), "an input") for name, value in given.items()}
        ref = options.get("ref", "")
        brings = self._is_outsiders(ref, scope) or self._is_outsiders(options.get("repository", ""), scope)
        self.book.checkouts.append(
            Checkout(
                at=self.book.at("checkouts", Spot((*path, "with", "ref") if ref else (*path, "uses"))),
                stage=scope.stage,
                text=text,
                ref=ref,
                untrusted=scope.privileged and brings,
                persists_credentials=options.get("persist-credentials", "true").strip().lower() != "false",
            )
        )

    def _run(self, step: Mapped, path: JsonPath, scope: Scope) -> bool:
        at = (*path, "run")
        script = self.text(step["run"], at, "`run`")
        found = self.expressions(script, at, scope, "script")
        opaque = [Opaque(one.span.start, one.span.end, one.untrusted) for one in found]
        template = scope.shell
        if step.get("shell") is not None:
            template = self.text(step["shell"], (*path, "shell"), "`shell`")
            self.expressions(template, (*path, "shell"), scope, "other")
        shell = _shell_of(template, windows=scope.windows)
        has_source = False
        tainted = frozenset(scope.tainted)
        for command in self.book.script(script, Spot(at), Around(scope.stage, shell, tainted), opaque):
            has_source |= self._fetch(command, Spot(at, command.start, command.end), scope)
        return has_source

    def _fetch(self, command: ShellCommand, spot: Spot, scope: Scope) -> bool:
        """Write down a checkout by command; return whether it was one."""
        argv = command.argv
        if command.program in ("gh", "hub") and argv[1:3] == ["pr", "checkout"]:
            brings = True
        elif command.program == "git" and not _GIT_FETCHES.isdisjoint(argv[1:6]):
            brings = self._is_outsiders(command.text, scope) or any(
                f"${name}" in command.text or f"${{{name}}}" in command.text for name in scope.outside
            )
            if not brings:
                return "clone" in argv[1:6]
        else:
            return False
        self.book.checkouts.append(
            Checkout(
                at=self.book.at("checkouts", spot),
                stage=scope.stage,
                text=command.text,
                ref="",
                untrusted=scope.privileged and brings,
                persists_credentials=False,
            )
        )
        return True

    # References and containers.

    def reference(self, text: str, parsed: ParsedReference, path: JsonPath, scope: Scope) -> None:
        """Write down what a `uses` or an image names."""
        self.book.references.append(
            Reference(
                at=self.book.at("references", Spot(path)),
                stage=scope.stage,
                text=text,
                kind=parsed.kind,
                owner=parsed.owner,
                name=parsed.name,
                ref=parsed.ref,
                local=parsed.local,
                pinned=parsed.pinned,
            )
        )

    def container(self, value: object, path: JsonPath, scope: Scope, matrix: Mapping[str, Sequence[str]]) -> None:
        """Write down the container a job runs in or beside."""
        if value is None:
            return
        if isinstance(value, str):
            self.expressions(value, path, scope, "other")
            self._image(value, path, scope, matrix)
            image, given, image_path = value, cast("Mapped", {}), path
        else:
            given, image_path = self.mapping(value, path, "a container"), (*path, "image")
            for name, item in given.items():
                if name not in ("env", "credentials"):
                    self.expressions(item, (*path, name), scope, "other")
            image = self.text(given.get("image"), image_path, "an image")
            self._image(image, image_path, scope, matrix)
            self.environment(given.get("env"), (*path, "env"), scope)
            self._credentials(given.get("credentials"), (*path, "credentials"), scope)
        options = self.text(given.get("options"), (*path, "options"), "`options`")
        volumes = [
            self.text(item, (*path, "volumes", index), "a volume")
            for index, item in enumerate(self.sequence(given.get("volumes"), (*path, "volumes"), "`volumes`"))
        ]
        words = options.replace("=", " ").lower().split()
        self.book.containers.append(
            Container(
                at=self.book.at("containers", Spot(path)),
                stage=scope.stage,
                image=image,
                options=options,
                privileged="--privileged" in words and "--privileged=false" not in options.lower(),
                volumes=volumes,
            )
        )

    def _image(self, text: str, path: JsonPath, scope: Scope, matrix: Mapping[str, Sequence[str]]) -> None:
        for image in expand_matrix(text, matrix):
            if image:
                self.reference(image, parse_image(image.removeprefix("docker://")), path, scope)

    def _credentials(self, value: object, path: JsonPath, scope: Scope) -> None:
        if isinstance(value, str):
            self.expressions(value, path, scope, "other")
            return
        for name, item in self.mapping(value, path, "`credentials`").items():
            text = self.text(item, (*path, name), f"the credential {quoted(name)}")
            self._variable(name, text, (*path, name), scope, "credentials")
            self.expressions(text, (*path, name), scope, "other")


_GIT_FETCHES = frozenset(("checkout", "fetch", "pull", "switch", "merge", "clone", "worktree", "reset", "rebase"))
_POSIX_SHELLS = frozenset(("bash", "sh", "dash", "zsh", "ksh", "ash"))


def _shell_of(template: str, *, windows: bool) -> str:
    """Return the name of the shell that `shell:` asks for; GitHub's default where it says nothing."""
    words = template.split()
    if not words or "${{" in template:
        return "pwsh" if windows else "bash"
    posix = [program_name(word) for word in words if program_name(word) in _POSIX_SHELLS]
    return posix[-1] if posix else program_name(words[0]).lower().removesuffix(".exe")


def expand_matrix(text: str, matrix: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the values of `${{ matrix.NAME }}` where the file says them; else the text itself."""
    spans = find_expressions(text)
    if len(spans) != 1 or spans[0].start != 0 or spans[0].end != len(text):
        return [text]
    first, _, name = spans[0].inner.strip().partition(".")
    return list(dict.fromkeys(matrix[name])) if first == "matrix" and matrix.get(name) else [text]
