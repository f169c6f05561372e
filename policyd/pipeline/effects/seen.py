"""A command as the modules here look at it: what it is, what its variables hold, and the script around it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from policyd.models.facts import EffectKind
from policyd.pipeline.effects.found import FoundEffect
from policyd.pipeline.shell import ShellCommand, program_name

MAX_LOOK = 200  # commands around one that are looked at; a script has some ten, and all together stay linear
MAX_DETAIL = 200  # characters of a detail
MAX_TEXT = 400  # characters of a command's text that each of its effects repeats
#: Programs that run another one of the project's: their words in front of it, and options with a word of their own.
_WRAPPERS: dict[str, tuple[frozenset[str], frozenset[str]]] = {
    "poetry": (frozenset(("run",)), frozenset()),
    "pipenv": (frozenset(("run",)), frozenset()),
    "pdm": (frozenset(("run",)), frozenset()),
    "hatch": (frozenset(("run",)), frozenset()),
    "rye": (frozenset(("run",)), frozenset()),
    "uv": (
        frozenset(("run",)),
        frozenset(("--with", "--extra", "--group", "--python", "-p", "--project", "--directory")),
    ),
    "bundle": (frozenset(("exec",)), frozenset()),
    "conda": (frozenset(("run",)), frozenset(("-n", "--name", "-p", "--prefix"))),
    "mamba": (frozenset(("run",)), frozenset(("-n", "--name", "-p", "--prefix"))),
    "npx": (frozenset(), frozenset(("-p", "--package"))),
    "bunx": (frozenset(), frozenset()),
    "pnpm": (frozenset(("exec",)), frozenset()),
    "yarn": (frozenset(("exec",)), frozenset()),
    "npm": (frozenset(("exec", "x")), frozenset(("-p", "--package"))),
    "dotenv": (frozenset(("run",)), frozenset(("-f",))),
    "doppler": (frozenset(("run",)), frozenset()),
    "xargs": (frozenset(), frozenset(("-I", "-n", "-P", "-d", "-L", "-a"))),
    "coverage": (frozenset(("run",)), frozenset(("--source", "--rcfile"))),
}
_PYTHON = re.compile(r"(python|pip|pypy)[0-9.]*\Z")


@dataclass(slots=True)
class Seen:
    """One command. `tainted` and `secrets` are variables it expands that hold an outsider's text or a secret.

    `program` is the name of what really runs, behind `python -m`, `poetry run` and their like, `args` its words.
    """

    command: ShellCommand
    index: int
    commands: Sequence[ShellCommand]
    shell: str
    tainted: frozenset[str]
    secrets: frozenset[str]
    known_tainted: frozenset[str]  # all such variables, used here or not
    known_secrets: frozenset[str]
    downloaded: frozenset[str]  # variables that hold what was fetched
    computed: bool
    files: frozenset[str] = frozenset()  # variables that hold names of files that a change brings
    checkers: frozenset[str] = frozenset()  # functions of the script that verify what was fetched
    paths: frozenset[str] = frozenset()  # secrets that are the path of a file which holds one
    literal: frozenset[str] = frozenset()  # variables whose value is written out
    wrapper: str = ""
    program: str = ""
    args: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.program, self.args = _tool(self.command.argv)
        for _ in range(3):
            inner = _unwrapped(self.program, self.args)
            if not inner:
                break
            self.wrapper = self.wrapper or self.program
            self.program, self.args = _tool(inner)

    @property
    def untrusted(self) -> bool:
        """Whether an outsider's text is in the command, expanded by the CI system or by the shell."""
        return self.command.untrusted or bool(self.tainted)

    @property
    def verb(self) -> str:
        """The first word that is no option: `install` of `npm --silent install x`."""
        return next((word for word in self.args if word[:1] not in "-+"), "")

    def has(self, *options: str) -> bool:
        """Say whether one of the options is given, alone or as `option=value`."""
        return any(word in options or word.partition("=")[0] in options for word in self.args)

    def value(self, *options: str) -> str | None:
        """Return the value of the first of `options` that is given: `-o x`, `--output x`, `--output=x`, `-ox`."""
        for index, word in enumerate(self.args):
            if word in options:
                return self.args[index + 1] if index + 1 < len(self.args) else ""
            name, is_set, value = word.partition("=")
            if is_set and name in options:
                return value
        return None

    def follows(self, *words: str) -> bool:
        """Say whether the words that are no options begin with `words`."""
        return self.operands()[: len(words)] == list(words)

    def operands(self, with_value: frozenset[str] = frozenset()) -> list[str]:
        """Return the words that are no options; `with_value` are options whose next word is their value."""
        found: list[str] = []
        skip = False
        for index, word in enumerate(self.args):
            if skip:
                skip = False
            elif word == "--":
                return found + self.args[index + 1 :]
            elif word[:1] == "-" and len(word) > 1:
                skip = word in with_value
            else:
                found.append(word)
        return found

    def found(
        self,
        kind: EffectKind,
        detail: str,
        *,
        untrusted: bool | None = None,
        computed: bool | None = None,
        secret: bool | None = None,
        confidence: Literal["high", "medium", "low"] = "high",
    ) -> FoundEffect:
        """Return an effect of this command; what is not said of it holds of the whole command."""
        return FoundEffect(
            kind=kind,
            detail=detail[:MAX_DETAIL],
            program=self.command.program,
            text=self.command.text[:MAX_TEXT],
            untrusted=self.untrusted if untrusted is None else untrusted,
            computed=self.computed if computed is None else computed,
            secret=bool(self.secrets) if secret is None else secret,
            confidence=confidence,
        )

    def in_document(self, found: FoundEffect, start: int) -> FoundEffect:
        """Return the effect at the line of the command's here-document that holds its character `start`."""
        command = self.command
        if command.stdin_at < 0 and command.stdin != command.text:
            return found
        begin = command.stdin.rfind("\n", 0, start) + 1
        end = command.stdin.find("\n", start)
        shift = command.stdin_at - command.start if command.stdin_at >= 0 else 0  # a script in another language
        return replace(found, start=shift + begin, end=shift + (end if end >= 0 else len(command.stdin)))

    def after(self) -> Iterator[ShellCommand]:
        """Yield the commands that stand next behind this one in the script."""
        return iter(self.commands[self.index + 1 : self.index + 1 + MAX_LOOK])

    def before(self) -> Sequence[ShellCommand]:
        """Return the commands that stand next in front of this one."""
        return self.commands[max(0, self.index - MAX_LOOK) : self.index]

    @property
    def logged(self) -> bool:
        """Whether what the command prints itself reaches the log: not into a file, a variable or another program."""
        return not (self.command.saved or self.command.captured or self.command.pipes_to)


def _tool(argv: Sequence[str]) -> tuple[str, list[str]]:
    program, args = program_name(argv[0]), list(argv[1:])
    versioned = _PYTHON.match(program)
    if versioned:
        program = versioned[1]
        if program in ("python", "pypy"):
            index = next((i for i, word in enumerate(args) if word == "-m" or not word.startswith("-")), -1)
            if index >= 0 and args[index] == "-m" and index + 1 < len(args):
                return args[index + 1].partition(".")[0], args[index + 2 :]
    if program == "php" and args and args[0].endswith(".phar"):
        return program_name(args[0].removesuffix(".phar")), args[1:]
    return program, args


def _unwrapped(program: str, args: Sequence[str]) -> Sequence[str]:
    known = _WRAPPERS.get(program)
    if known is None:
        return ()
    verbs, with_value = known
    position = 0
    if verbs:
        while position < len(args) and args[position].startswith("-"):
            position += 1
        if position >= len(args) or args[position] not in verbs:
            return ()
        position += 1
    while position < len(args) and args[position].startswith("-"):
        position += 2 if args[position] in with_value else 1
    return args[position:]
