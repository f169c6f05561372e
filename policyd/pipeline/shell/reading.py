"""A script while it is read: its text, the spans in it that are not the shell's, the commands found so far."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field

from policyd.pipeline.shell.command import Opaque, ShellCommand
from policyd.pipeline.shell.words import INTERPRETERS

#: Options behind which an interpreter is given code, and words that run what they are given.
_CODE_OPTIONS = frozenset(("-c", "-e", "--eval", "-Command", "-command"))
TAKES_CODE = frozenset(("eval", "source", ".", "iex", "Invoke-Expression"))


@dataclass(frozen=True, slots=True)
class Inner:
    """A script that a command hands to a shell: its text, and where it stands if it stands there as it is.

    `pasted` says that the shell which hands it on fills in its variables.
    """

    command: int
    text: str
    start: int = -1
    end: int = -1
    pasted: bool = False


@dataclass(slots=True)
class Reading:
    """What is read, and what came of it."""

    script: str
    opaque: Sequence[Opaque]
    max_commands: int
    commands: list[ShellCommand] = field(default_factory=list)
    inner: list[Inner] = field(default_factory=list)
    _untrusted: list[tuple[int, int]] = field(init=False)
    _masked: str | None = None

    def __post_init__(self) -> None:
        self._untrusted = [(span.end, span.start) for span in self.opaque if span.untrusted]

    def is_full(self) -> bool:
        """Say whether more commands would be too many."""
        return len(self.commands) > self.max_commands

    def is_untrusted(self, start: int, end: int) -> bool:
        """Say whether an untrusted span lies (partly) between `start` and `end`."""
        if not self._untrusted:
            return False
        index = bisect_right(self._untrusted, (start, len(self.script)))
        return index < len(self._untrusted) and self._untrusted[index][1] < end

    def end_line(self, at: int) -> None:
        """Let the masked script say plainly that a command ends with the line that ends at `at`."""
        masked = self.masked()
        self._masked = f"{masked[:at]};{masked[at + 1 :]}"

    def masked(self) -> str:
        """Return the script with every character a grammar needs not know replaced, one by one, by a letter or dot.

        Opaque spans become words, so that nothing in them is taken for the shell's. What is not ASCII becomes a dot:
        then characters and bytes count the same, and a dot ends a variable's name as those characters do.
        """
        if self._masked is None:
            text = self.script
            if self.opaque:
                parts, last = [], 0
                for span in self.opaque:
                    glued = span.start > 0 and (text[span.start - 1].isalnum() or text[span.start - 1] == "_")
                    length = max(0, span.end - span.start)
                    parts += [text[last : span.start], ("." + "x" * length)[:length] if glued else "x" * length]
                    last = max(last, span.end)
                text = "".join([*parts, text[last:]])
            if "\r" in text:
                text = text.replace("\\\r\n", " \\\n").replace("\r", " ")
            if not text.isascii() or "\0" in text:
                text = _NOT_PLAIN.sub(".", text)
            self._masked = text
        return self._masked


_NOT_PLAIN = re.compile("[^\\x01-\\x7f]")


def join_pipeline(stages: Sequence[Sequence[ShellCommand]]) -> None:
    """Say of the commands of a pipeline who gets their output and whose they get. A stage may be several commands."""
    following = interpreter = ""
    for stage in reversed(stages):
        programs = [command.program for command in stage]
        for command in stage:
            if not command.pipes_to:
                command.pipes_to = interpreter or following
        if stage:
            following = programs[-1]
        runs = next((program for program in programs if program in INTERPRETERS), "")
        interpreter = runs or interpreter
    before: Sequence[ShellCommand] = ()
    names: frozenset[str] = frozenset()
    for stage in stages:
        if before:
            for command in stage:
                command.fed_by = command.fed_by or before[-1].program
                command.receives |= names
        for command in stage:
            names |= command.reads
        before = stage or before


def hand_on(command: ShellCommand, inner: Sequence[ShellCommand], kind: str) -> None:
    """Say of commands in a substitution that their output is run: `bash <(a)`, `sh -c "$(a)"`, `eval "$(a)"`."""
    program = command.program
    if program in TAKES_CODE or (
        program in INTERPRETERS and (kind.startswith("process") or any(map(takes_code, command.argv[1:])))
    ):
        for one in inner:
            if one.pipes_to not in INTERPRETERS:
                one.pipes_to = program


def takes_code(option: str) -> bool:
    """Say whether an interpreter takes the word behind this option for code: `-c`, `-ec`, `--eval`."""
    return option in _CODE_OPTIONS or (option[:1] == "-" and option[:2] != "--" and option[-1:] == "c")
