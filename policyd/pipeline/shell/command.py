"""What a command of a script is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class Opaque:
    """A span of the script that something else replaces before the shell reads it (`${{ ... }}`).

    `secret` is the name of the secret that it stands for.
    """

    start: int
    end: int
    untrusted: bool
    secret: str = ""


class Assignment(NamedTuple):
    """A variable that is set: `value` as written, quotes taken off; `reads` are the variables its text comes from."""

    name: str
    value: str
    reads: frozenset[str]
    untrusted: bool = False
    computed: bool = False  # a command makes (part of) the value


NO_NAMES: frozenset[str] = frozenset()


@dataclass(slots=True)
class ShellCommand:
    """A simple command. `start` and `end` are offsets into the script; `text` is what stands between them.

    `argv` begins with the program: assignments and prefixes such as `sudo` are left out. `pipes_to` is the program
    that gets the output: the first interpreter further down the pipeline, else the next program in it, else "".
    """

    start: int
    end: int
    text: str
    program: str
    argv: list[str]
    writes_to: list[str]
    untrusted: bool
    pipes_to: str = ""
    #: Variables expanded in the command, in substitutions in it and in the text it is given; the first of these alone.
    reads: frozenset[str] = NO_NAMES
    expands: frozenset[str] = NO_NAMES
    #: Variables set since the command before: in front of it, by `export` and the like, by a loop.
    sets: list[Assignment] = field(default_factory=list)
    stdin: str = ""  # the text of a here-document or here-string
    stdin_at: int = -1  # where a here-document begins
    pasted: bool = False  # another shell filled in its variables before this one read it
    saved: bool = False  # its output goes to a file
    fed_by: str = ""  # the program whose output it reads
    receives: frozenset[str] = NO_NAMES  # variables expanded by the commands that feed it
    captured: bool = False  # in `$(...)`, backquotes or `<(...)`: its output goes to no log
    computed: bool = False  # holds a substitution
    tested: bool = False  # its failure is asked for: `if a`, `a || b`, `! a`
    ignored: bool = False  # its failure is not: `a || true`
    function: str = ""  # whose body it stands in
    plain: frozenset[str] = NO_NAMES  # variables that passed a check before it, so that nothing free is in them
    called: bool = True  # False for a mere value in PowerShell, which runs with `&` or `.` in front of it alone
