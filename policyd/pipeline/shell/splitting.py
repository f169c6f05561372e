"""Scripts and argument lists split into commands, with those of scripts that they hand to another shell."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import replace

from policyd.pipeline.shell.command import NO_NAMES, Opaque, ShellCommand
from policyd.pipeline.shell.reading import Inner, Reading
from policyd.pipeline.shell.tokens import DIALECTS, read_tokens
from policyd.pipeline.shell.words import find_script_word, program_name, strip_prefixes

MAX_SCRIPTS_IN_SCRIPTS = 3  # `sh -c "sh -c '...'"`
_POSIX_SHELLS = frozenset(("", "bash", "sh", "dash", "zsh", "ksh", "ash"))


def split_script(
    script: str, opaque: Sequence[Opaque] = (), *, shell: str = "bash", max_commands: int = 20_000
) -> list[ShellCommand]:
    """Return the commands of `script` in the order in which they stand. Takes any text, never raises.

    `opaque` is sorted and does not overlap. `shell` is the program that reads the script; one in another language than
    a shell's is one command. At most `max_commands` + 1 commands come back, so a caller sees that there were too many.
    """
    if shell not in _POSIX_SHELLS and shell not in DIALECTS:
        untrusted = any(span.untrusted for span in opaque)
        return [ShellCommand(0, len(script), script, shell, [shell], [], untrusted, stdin=script, stdin_at=0)]
    reading = Reading(script, opaque, max_commands)
    _read(reading, shell, 0, len(script))
    return _with_inner(reading, shell)


def split_arguments(
    arguments: Sequence[str], *, max_commands: int = 20_000, reads: frozenset[str] = NO_NAMES
) -> list[ShellCommand]:
    """Return the command that an argument list (not empty) is, then those of the script it may hand to a shell.

    No shell expands the list; `reads` are the variables that something else fills in, written as a shell's.
    """
    argv = strip_prefixes(arguments) or list(arguments)
    text = shlex.join(arguments)
    reading = Reading(text, (), max_commands)
    reading.commands.append(
        ShellCommand(0, len(text), text, program_name(argv[0]), argv, [], untrusted=False, reads=reads)
    )
    index = find_script_word(argv)
    if index:
        reading.inner.append(Inner(0, argv[index]))
    return _with_inner(reading, "bash")


def _read(reading: Reading, shell: str, start: int, end: int) -> None:
    if shell in DIALECTS:
        read_tokens(reading, DIALECTS[shell](), start, end, end)
    else:
        from policyd.pipeline.shell.bash import read_bash

        read_bash(reading, start, end)


def _with_inner(reading: Reading, shell: str) -> list[ShellCommand]:
    """Return the commands read, with those of the scripts that some of them hand to a shell."""
    for _ in range(MAX_SCRIPTS_IN_SCRIPTS):
        scripts, reading.inner = reading.inner, []
        for inner in scripts:
            if reading.is_full():
                break
            first = len(reading.commands)
            if inner.start >= 0:  # stands in the script as it is: a here-document, single quotes
                _read(reading, "bash", inner.start, inner.end)
                for command in reading.commands[first:]:
                    command.pasted = inner.pasted
                    command.pipes_to = command.pipes_to or reading.commands[inner.command].pipes_to
                continue
            part = Reading(inner.text, (), reading.max_commands - first)
            _read(part, "bash", 0, len(inner.text))
            for command in part.commands:
                command.pasted = inner.pasted
            reading.commands += [_as_part_of(reading.commands[inner.command], command) for command in part.commands]
            reading.inner += [
                replace(deeper, command=first + deeper.command, start=-1)
                if deeper.start < 0
                else replace(
                    deeper, command=first + deeper.command, text=inner.text[deeper.start : deeper.end], start=-1
                )
                for deeper in part.inner
            ]
    reading.commands.sort(key=lambda command: command.start)
    return reading.commands[: reading.max_commands + 1]


def _as_part_of(outer: ShellCommand, command: ShellCommand) -> ShellCommand:
    # The quotes of a script in a script are gone, so its commands stand where the shell that gets it does.
    command.start, command.end = outer.start, outer.end
    command.untrusted = outer.untrusted
    command.pipes_to = command.pipes_to or outer.pipes_to
    command.captured |= outer.captured
    command.plain |= outer.plain
    return command
