"""What all parts of a GitLab configuration have in common: marks, variables, scripts, images, references, conditions.

A text is looked at with its scope: a variable made of an outsider's text is one too, and so is one that holds a secret.
"""

from __future__ import annotations

import re
from collections import ChainMap
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from itertools import product

from policyd.models.facts import Container, Guard, Sink
from policyd.pipeline.characters import quoted
from policyd.pipeline.effects import FoundEffect
from policyd.pipeline.fact_book import Around, FactBook, Script
from policyd.pipeline.gitlab import conditions
from policyd.pipeline.gitlab.configuration import Configuration
from policyd.pipeline.gitlab.events import EVENT_OF_WORD, EVENTS, NEVER, Policy, Rule, Weigher
from policyd.pipeline.gitlab.inputs import Mark, find_marks
from policyd.pipeline.gitlab.parts import Input, Part, entries_of, items_of
from policyd.pipeline.gitlab.references import parse_image
from policyd.pipeline.gitlab.trust import (
    UNTRUSTED,
    find_variables,
    is_secret_name,
    names_outsiders_code,
    variables_in,
)
from policyd.pipeline.references import ParsedReference
from policyd.pipeline.shell import Opaque
from policyd.pipeline.source_map import Spot

MAX_CHOICES = 16  # of an image whose name has variables of a matrix
MAX_EXPANDED_CHARACTERS = 4096
MAX_EXPANDED = 16  # variables in one name
MAX_VALUE_CHARACTERS = 256
MAX_EXPANSIONS = 5  # a variable that names a variable


@dataclass(frozen=True, slots=True)
class Scope:
    """Where we are, and what variables hold there."""

    stage: str = ""
    tainted: Set[str] = UNTRUSTED  # an outsider's text
    outside: Set[str] = frozenset()  # a name of an outsider's code
    secrets: Set[str] = frozenset()  # made of a secret
    written: Mapping[str, str] = field(default_factory=dict)  # what the file says
    choices: Mapping[str, Sequence[str]] = field(default_factory=dict)  # of a matrix
    job_inputs: Mapping[str, Input] = field(default_factory=dict)
    guards: tuple[Guard, ...] = ()
    shell: str = "bash"

    def is_secret(self, name: str) -> bool:
        """Say whether a variable holds a secret: made of one in the file, or called like one and not set there."""
        return name in self.secrets or (name not in self.written and is_secret_name(name))

    def around(self, secrets: Iterable[str] = ()) -> Around:
        """Return what the book wants to know of a script here."""
        literal = frozenset(name for name, text in self.written.items() if "$" not in text and name not in self.choices)
        return Around(
            self.stage,
            self.shell,
            frozenset(self.tainted),
            frozenset(self.secrets) | frozenset(secrets),
            self.guards,
            literal - self.tainted,
        )

    def opened(self) -> OpenScope:
        """Return the scope as one to which variables are added."""
        return OpenScope(
            self.stage,
            set(self.tainted),
            set(self.outside),
            set(self.secrets),
            ChainMap({}, self.written),  # type: ignore[arg-type]  # only the first is ever changed
            self.choices,
            self.job_inputs,
            self.guards,
            self.shell,
        )


class OpenScope(Scope):
    """A scope while variables are read, so that many of them take no longer."""

    __slots__ = ()

    def put(self, name: str, text: str, *, tainted: bool, secret: bool) -> None:
        """Say what a variable holds from here on."""
        outside = names_outsiders_code(text, self.outside)
        for names, holds in ((self.tainted, tainted), (self.secrets, secret), (self.outside, outside)):
            assert isinstance(names, set)
            (names.add if holds else names.discard)(name)
        assert isinstance(self.written, ChainMap)
        self.written[name] = text

    def closed(self) -> Scope:
        """Return the scope as it is now."""
        return Scope(
            self.stage,
            frozenset(self.tainted),
            frozenset(self.outside),
            frozenset(self.secrets),
            self.written,
            self.choices,
            self.job_inputs,
            self.guards,
            self.shell,
        )


class GitlabReader:
    """What pipelines and their jobs share."""

    def __init__(self, configuration: Configuration) -> None:
        self.configuration = configuration
        self.book = FactBook(configuration.path)
        self.weigher = Weigher()
        self.named_events: dict[str, Spot] = {}  # by what the file says of them

    # Marks that GitLab replaces.

    def marks(self, text: str, part: Part, scope: Scope, sink: Sink) -> list[Mark]:
        """Write down the marks in `text`, which is the scalar at `part`; return them."""
        if "$[[" not in text and "${{" not in text:
            return []
        found = find_marks(text, part.file.inputs, scope.job_inputs)
        for mark in found:
            self.book.expression(
                text[mark.start : mark.end],
                part.spot(mark.start, mark.end),
                scope.stage,
                sink,
                contexts=[mark.context],
                functions=list(mark.functions),
                untrusted=mark.untrusted,
                is_open=mark.open,
            )
        return found

    def all_marks(self, part: Part, scope: Scope, sink: Sink = "other", *, depth: int = 0) -> None:
        """Write down the marks in all texts of `part`."""
        value = part.value
        if isinstance(value, str):
            self.marks(value, part, scope, sink)
        elif part.is_mapping:
            for below in entries_of(part).values():
                self.all_marks(below, scope, sink, depth=depth + 1)
        elif isinstance(value, list):
            for below in items_of(part):
                self.all_marks(below, scope, sink, depth=depth + 1)

    def expansions(self, text: str, part: Part, scope: Scope, sink: Sink) -> None:
        """Write down variables that GitLab expands in `text`: all of them in a reference, elsewhere an outsider's."""
        for name, start, end in find_variables(text):
            untrusted = name in scope.tainted
            if untrusted or sink == "reference":
                self.book.expression(
                    text[start:end], part.spot(start, end), scope.stage, sink, contexts=[name], untrusted=untrusted
                )

    # Secrets.

    def secrets_in(self, text: str, part: Part, scope: Scope, sink: Sink) -> set[str]:
        """Write down the secrets that a text uses, each once a stage; return their names."""
        found = set()
        for name, start, end in find_variables(text):
            if scope.is_secret(name):
                found.add(name)
                self.book.secret_once(name, part.spot(start, end), scope.stage, sink)
        return found

    # Variables.

    def variables(self, part: Part | None, scope: Scope, what: str = "`variables`") -> Scope:
        """Write down `variables`; return the scope in which they are known."""
        given = self.configuration.mapping(part, what)
        if not given:
            return scope
        opened = scope.opened()
        for name, entry in given.items():
            entry = self.configuration.resolve(entry)
            expands = True
            if entry.is_mapping:
                fields = entries_of(entry)
                expands = fields["expand"].value is not False if "expand" in fields else True
                nothing = entry._replace(value=None, entries=None)
                entry = self.configuration.resolve(fields["value"]) if "value" in fields else nothing
            self.variable(name, entry, opened, f"the variable {quoted(name)}", expands=expands)
        return opened.closed()

    def variable(self, name: str, part: Part, scope: OpenScope, what: str, *, expands: bool = True) -> None:
        """Write down one variable and what it holds from here on. `part` is resolved."""
        text = self.configuration.raw(part, what)
        known = self.configuration.known(part, what)
        marks = self.marks(text, part, scope, "environment")
        names = variables_in(known) if expands else []
        tainted = any(used in scope.tainted for used in names) or any(mark.untrusted for mark in marks)
        secret = any(scope.is_secret(used) for used in names)
        if names:
            self.expansions(text, part, scope, "environment")
            self.secrets_in(text, part, scope, "environment")
        self.book.variable(
            name,
            known,
            part.spot(),
            Around(scope.stage, guards=scope.guards),
            literal=not names and "$[[" not in known,
            untrusted=tainted,
            secret=secret,
        )
        scope.put(name, known, tainted=tainted, secret=secret)

    def expand(self, text: str, scope: Scope) -> list[str]:
        """Return what a text can become with the variables that the file writes out; others stay."""
        texts = [text]
        for _ in range(MAX_EXPANSIONS):
            expanded = [one for text in texts for one in self._expand_once(text, scope)][:MAX_CHOICES]
            if expanded == texts:
                break
            texts = expanded
        return list(dict.fromkeys(texts))

    @staticmethod
    def _expand_once(text: str, scope: Scope) -> list[str]:
        pieces: list[Sequence[str]] = []
        position = 0
        for name, start, end in find_variables(text)[:MAX_EXPANDED]:
            values = scope.choices.get(name) or ([scope.written[name]] if name in scope.written else None)
            if values is None:
                continue
            # `${NAME}` is found without its closing brace.
            end += text[start : start + 2] == "${" and text[end : end + 1] == "}"
            pieces += ([text[position:start]], [value[:MAX_VALUE_CHARACTERS] for value in values])
            position = end
        pieces.append([text[position:]])
        found: list[str] = []
        for parts in product(*pieces):
            found.append("".join(parts)[:MAX_EXPANDED_CHARACTERS])
            if len(found) >= MAX_CHOICES:
                break
        return found

    # Scripts.

    def script(self, part: Part | None, what: str, scope: Scope) -> list[tuple[Script, Part]]:
        """Return the pieces of a script with the marks in them: GitLab hands them to one shell, one after the other."""
        pieces = []
        for item in self.configuration.items(part, what):
            text = self.configuration.raw(item, f"a line of {what}")
            opaque = [Opaque(mark.start, mark.end, mark.untrusted) for mark in self.marks(text, item, scope, "script")]
            pieces.append((Script(text, item.spot(), opaque), item))
        return pieces

    # References and containers.

    def reference(
        self, text: str, parsed: ParsedReference, part: Part, scope: Scope, inputs: Mapping[str, str] | None = None
    ) -> None:
        """Write down what a name stands for; a text from `http:` can be changed on the way."""
        comment = part.file.map.comment_after(part.path)
        self.book.reference(text, parsed, part.spot(), scope.around(), comment=comment, inputs=inputs)
        if text.startswith("http://"):
            self.book.effect(FoundEffect("insecure-url", text, text=text), part.spot(), scope.around())

    def container(self, part: Part, scope: Scope, what: str) -> list[str]:
        """Write down an image or service with its container; return the names it can have."""
        part = self.configuration.resolve(part)
        name = entries_of(part).get("name") if part.is_mapping else part
        if name is None:
            self.configuration.refuse(f"{what} has no `name`", part)
        name = self.configuration.resolve(name)
        text = self.configuration.raw(name, what)
        self.marks(text, name, scope, "reference")
        self.expansions(text, name, scope, "reference")
        known = self.configuration.known(name, what)
        images = [image for image in self.expand(known, scope) if image and not _MACHINE.match(image)]
        for image in images:
            self.reference(image, parse_image(image), name, scope)
        if images:
            # Docker in Docker only starts on a runner that runs all its containers privileged.
            inner = next((image for image in images if is_docker_in_docker(image)), "")
            power = FoundEffect("privileged-container", inner, text=inner, confidence="medium")
            self.book.container(
                Container(at=(), stage=scope.stage, image=images[0], options="", privileged=bool(inner), volumes=[]),
                name.spot(),
                scope.around(),
                [(power, name.spot())] if inner else [],
            )
        if part.is_mapping:
            fields = entries_of(part)
            self.variables(fields.get("variables"), scope, f"`variables` of {what}")
            if images and inner:
                self._engine_options(fields.get("entrypoint"), inner, scope)
                self._engine_options(fields.get("command"), inner, scope)
            for key, below in fields.items():
                if key not in ("name", "variables"):
                    self.all_marks(below, scope)
        return images

    def _engine_options(self, part: Part | None, engine: str, scope: Scope) -> None:
        """Write down what the command of a container engine says of its connections."""
        for item in self.configuration.items(part, "`command`"):
            option = _WITHOUT_TLS.search(self.configuration.text(item, "a word of a service's command"))
            if option is not None:
                self.effects([FoundEffect("tls-off", option[0], program=engine, text=option[0])], item, scope)

    # Conditions.

    def rules(self, part: Part | None, what: str, scope: Scope) -> tuple[Rule, ...] | None:
        """Write down `rules`; return them as they are weighed, `None` where there are none."""
        if part is None:
            return None
        resolved = self.configuration.resolve(part)
        if isinstance(resolved.value, str) or (resolved.value is not None and not isinstance(resolved.value, list)):
            if "$[[" not in str(resolved.value) and isinstance(resolved.value, str | int | float | dict):
                self.configuration.refuse_shape(resolved.value, resolved, what, "list")
            return (Rule("", depends=True, when=""),)  # not known here: may be anything
        found = []
        for item in self.configuration.sequence(resolved, what):
            fields = self.configuration.mapping(item, f"an entry of {what}")
            condition = fields.get("if")
            text = self.configuration.text(condition, "`if`")
            when = self.configuration.text(fields.get("when"), "`when`")
            if condition is not None and text:
                self.condition(text, self.configuration.resolve(condition), scope, admits=when != NEVER)
            allowed = fields.get("allow_failure")
            if allowed is not None and allowed.value is True and when != "manual":
                self.effects(
                    [FoundEffect("ignores-failure", "allow_failure", text="allow_failure: true")], allowed, scope
                )
            depends = "changes" in fields or "exists" in fields or (not fields and not item.is_mapping)
            found.append(Rule(text, depends, when))
        return tuple(found)

    def policy(self, part: Part | None, what: str, scope: Scope) -> Policy | None:
        """Write down `only` or `except`; return it as it is weighed."""
        if part is None:
            return None
        resolved = self.configuration.resolve(part)
        if not resolved.is_mapping:
            return Policy(refs=self._refs(resolved, what))
        fields = entries_of(resolved)
        variables = None
        if "variables" in fields:
            items = self.configuration.items(fields["variables"], f"`variables` of {what}")
            variables = tuple(self.configuration.text(item, "a condition") for item in items)
            for text, item in zip(variables, items, strict=True):
                self.condition(text, item, scope, admits=what == "`only`")
        refs = self._refs(fields["refs"], f"`refs` of {what}") if "refs" in fields else None
        return Policy(refs, variables, depends="changes" in fields or "kubernetes" in fields)

    def _refs(self, part: Part, what: str) -> tuple[str, ...]:
        refs = tuple(self._texts(part, what))
        for ref in refs:
            event = EVENT_OF_WORD.get(ref)
            if event:
                self.named_events.setdefault(event, part.spot())
        return refs

    def _texts(self, part: Part | None, what: str) -> list[str]:
        return [self.configuration.text(item, f"an entry of {what}") for item in self.configuration.items(part, what)]

    def condition(self, text: str, part: Part, scope: Scope, *, admits: bool) -> None:
        """Write down a condition. `admits`: what it names is let in by it, and not kept out."""
        parsed = self.weigher.parsed(text)
        names: list[str] = []
        always = spoofable = substring = False
        if parsed is not None:
            names = list(dict.fromkeys(leaf.text for leaf in conditions.leaves(parsed) if leaf.kind == "variable"))
            always = conditions.is_always_true(parsed)
            for event in _named_events(parsed):
                self.named_events.setdefault(event, part.spot())
            if admits:
                compared = list(conditions.comparisons(parsed))
                spoofable = any(_is_spoofable(*one) for one in compared)
                substring = any(_is_substring(*one) for one in compared)
        else:
            names = list(dict.fromkeys(variables_in(text)))
        self.book.condition(
            text, part.spot(), scope.stage, always_true=always, spoofable_actor=spoofable, substring=substring
        )
        self.book.expression(
            text,
            part.spot(),
            scope.stage,
            "condition",
            contexts=names,
            untrusted=any(name in scope.tainted for name in names),
            always_true=always,
        )
        if isinstance(part.value, str):
            self.marks(part.value, part, scope, "condition")

    # Ends.

    def effects(self, found: Iterable[FoundEffect], part: Part, scope: Scope) -> None:
        """Write down what a setting does."""
        for one in found:
            self.book.effect(one, part.spot(), scope.around())


_MACHINE = re.compile(r"macos-[0-9]+-xcode-[0-9]+\Z")  # a virtual machine of GitLab's, which has no digest
_WITHOUT_TLS = re.compile(r"--tls=(?:false|0)\b|--tlsverify=(?:false|0)\b|--insecure-registry(?:=\S+|\b)")


def is_docker_in_docker(image: str) -> bool:
    """Say whether an image runs a container engine of its own."""
    name, _, tag = image.partition("@")[0].rpartition("/")[2].partition(":")
    return "dind" in tag.split("-") or name in ("dind", "docker-dind") or name.endswith("-dind")


def _named_events(condition: conditions.Condition) -> Iterable[str]:
    """Yield the ways of starting a pipeline that a condition speaks of."""
    for leaf in conditions.leaves(condition):
        if leaf.kind == "variable":
            if leaf.text.startswith("CI_MERGE_REQUEST_"):
                yield "merge_request_event"
            elif leaf.text.startswith("CI_EXTERNAL_PULL_REQUEST_"):
                yield "external_pull_request_event"
    for _, name, other in conditions.comparisons(condition):
        if name == "CI_PIPELINE_SOURCE":
            spoken = other.text if other.kind in ("text", "pattern") else ""
            yield from (event for event in EVENTS if event == spoken or (other.kind == "pattern" and event in spoken))


#: Texts that people choose for themselves: a display name, the author of a commit.
_FREE_NAMES = frozenset(("GITLAB_USER_NAME", "CI_COMMIT_AUTHOR"))
_ACTORS = frozenset(("GITLAB_USER_LOGIN", "GITLAB_USER_EMAIL"))
#: Where a part of the text is not what is meant.
_NAMES = frozenset(
    (
        "CI_COMMIT_BRANCH",
        "CI_COMMIT_REF_NAME",
        "CI_COMMIT_TAG",
        "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME",
        "CI_MERGE_REQUEST_SOURCE_PROJECT_PATH",
        "CI_MERGE_REQUEST_TARGET_BRANCH_NAME",
        "CI_PROJECT_NAMESPACE",
        "CI_PROJECT_PATH",
        "GITLAB_USER_LOGIN",
    )
)


def _is_spoofable(operator: str, name: str, other: conditions.Leaf) -> bool:
    if name in _FREE_NAMES:
        return operator in ("==", "=~")
    return name in _ACTORS and operator == "=~" and other.kind == "pattern" and not conditions.is_anchored(other.text)


def _is_substring(operator: str, name: str, other: conditions.Leaf) -> bool:
    if operator != "=~" or name not in _NAMES or other.kind != "pattern" or conditions.is_anchored(other.text):
        return False
    simple = conditions.read_pattern(other.text)
    return simple is None or any(simple.words)
