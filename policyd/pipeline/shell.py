"""Shell scripts as the commands they run: words split, pipes and redirections seen, places kept.

A splitter and no interpreter: it finds the commands that are written out, also in subshells, `$(...)`, backquotes,
`<(...)` and in the script that a shell is given with `-c`. It expands nothing, skips the bodies of here-documents and
does not know what functions, aliases or `eval` of a variable would do. It takes any text, never raises, and needs
time linear in it.

What a CI system replaces before the shell starts (`${{ ... }}`) is passed in as opaque spans: they are kept as
written, and a command that holds an untrusted one says so.

Source: POSIX.1-2024, Shell Command Language, sections 2.2 to 2.4, 2.7, 2.9; GNU Bash manual, "Process Substitution".
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

MAX_NESTING = 16  # of substitutions and subshells; deeper ones are read as plain text
MAX_SCRIPTS_IN_SCRIPTS = 3  # `sh -c "sh -c '...'"`


@dataclass(frozen=True, slots=True)
class Opaque:
    """A span of the script that something else replaces before the shell reads it."""

    start: int
    end: int
    untrusted: bool


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

    @property
    def reads(self) -> frozenset[str]:
        """The variables that the command's text names, `$env:NAME` and `%NAME%` included."""
        return frozenset(found[1] or found[2] for found in _READS.finditer(self.text))


_READS = re.compile(r"\$\{?(?:env:)?[#!]?([A-Za-z_][A-Za-z0-9_]*)|%([A-Za-z_][A-Za-z0-9_]*)%")
_POSIX_SHELLS = frozenset(("", "bash", "sh", "dash", "zsh", "ksh", "ash"))
_ESCAPES = {"pwsh": "`", "powershell": "`", "cmd": "^"}


def split_script(
    script: str, opaque: Sequence[Opaque] = (), *, shell: str = "bash", max_commands: int = 20_000
) -> list[ShellCommand]:
    """Return the commands of `script` in the order in which they stand.

    `opaque` is sorted and does not overlap. `shell` is the program that reads the script; one in another language than
    a shell's is one command. At most `max_commands` + 1 commands come back, so a caller sees that there were too many.
    """
    if shell not in _POSIX_SHELLS and shell not in _ESCAPES:
        return [ShellCommand(0, len(script), script, shell, [shell], [], any(span.untrusted for span in opaque))]
    escape = _ESCAPES.get(shell, "\\")
    splitter = _Splitter(script, opaque, escape, max_commands)
    return _with_inner(splitter.split(), splitter.scripts, escape, max_commands)


def split_arguments(arguments: Sequence[str], *, max_commands: int = 20_000) -> list[ShellCommand]:
    """Return the command that an argument list (not empty) is, then those of the script it may hand to a shell."""
    argv = strip_prefixes(arguments) or list(arguments)
    text = shlex.join(arguments)
    command = ShellCommand(0, len(text), text, program_name(argv[0]), argv, [], untrusted=False)
    return _with_inner([command], _script_of(0, argv), "\\", max_commands)


def _with_inner(
    commands: list[ShellCommand], scripts: list[tuple[int, str]], escape: str, max_commands: int
) -> list[ShellCommand]:
    """Return `commands` with those of the scripts that some of them hand to a shell."""
    for _ in range(MAX_SCRIPTS_IN_SCRIPTS):
        deeper: list[tuple[int, str]] = []
        for index, inner_script in scripts:
            if len(commands) > max_commands:
                break
            splitter = _Splitter(inner_script, (), escape, max_commands - len(commands))
            base = len(commands)
            commands.extend(_as_part_of(commands[index], command) for command in splitter.split())
            deeper.extend((base + number, text) for number, text in splitter.scripts)
        scripts = deeper
    commands.sort(key=lambda command: command.start)
    return commands[: max_commands + 1]


def _script_of(index: int, argv: Sequence[str]) -> list[tuple[int, str]]:
    """Return the script that a command hands to a shell with `-c`, with the command's index; empty if it does not."""
    if not argv or program_name(argv[0]) not in _SHELLS:
        return []
    for option, script in pairwise(argv[1:]):
        if option.startswith("-") and not option.startswith("--") and option.endswith("c"):
            return [(index, script)]
    return []


def _as_part_of(outer: ShellCommand, command: ShellCommand) -> ShellCommand:
    # The quotes of a script in a script are gone, so its commands stand where the shell that gets it does.
    command.start, command.end = outer.start, outer.end
    command.untrusted = outer.untrusted
    command.pipes_to = command.pipes_to or outer.pipes_to
    return command


def strip_prefixes(words: Sequence[str]) -> list[str]:
    """Return a command's words from the program that really runs: without assignments, `sudo`, `env`, `time`, ..."""
    position = 0
    while position < len(words):
        word = words[position]
        if _ASSIGNMENT.match(word):
            position += 1
            continue
        options = _PREFIXES.get(program_name(word))
        if options is None or (word == "command" and not {"-v", "-V"}.isdisjoint(words)):
            break
        after = _after_options(words, position + 1, program_name(word), options)
        if after >= len(words):
            break  # `sudo -l`: the prefix itself is what runs
        position = after
    return list(words[position:])


def program_name(word: str) -> str:
    """Return the name of the program that a word names: `/usr/bin/curl` is `curl`."""
    return word.rsplit("/", 1)[-1] if not word.endswith("/") else word


_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\[[^\]]*\])?\+?=")
#: Programs that run the command behind them, with their options that take a word of their own.
_PREFIXES: dict[str, frozenset[str]] = {
    "sudo": frozenset(
        ("-u", "-g", "-h", "-p", "-C", "-r", "-t", "-T", "-U", "-D", "-R", "--user", "--group", "--host", "--chdir")
    ),
    "doas": frozenset(("-u", "-C")),
    "env": frozenset(("-u", "-C", "--unset", "--chdir")),
    "time": frozenset(("-f", "-o", "--format", "--output")),
    "nice": frozenset(("-n", "--adjustment")),
    "ionice": frozenset(("-c", "-n")),
    "timeout": frozenset(("-k", "-s", "--kill-after", "--signal")),
    "nohup": frozenset(),
    "setsid": frozenset(),
    "command": frozenset(),
    "builtin": frozenset(),
    "exec": frozenset(("-a",)),
    "stdbuf": frozenset(("-i", "-o", "-e")),
    "unbuffer": frozenset(),
    "busybox": frozenset(),
}
_SHELLS = frozenset(("sh", "bash", "dash", "zsh", "ksh", "ash"))
_INTERPRETERS = _SHELLS | {
    "python",
    "python2",
    "python3",
    "node",
    "perl",
    "ruby",
    "php",
    "pwsh",
    "powershell",
    "iex",
    "$SHELL",
    "${SHELL}",
}
_CODE_OPTIONS = frozenset(("-c", "-e", "--eval", "-Command", "-command"))
_TAKES_CODE = frozenset(("eval", "source", "."))
#: Words that only introduce or end a list of commands.
_OPENING = frozenset(("if", "then", "else", "elif", "while", "until", "do", "!", "{", "coproc"))
_CLOSING = frozenset(("fi", "done", "esac", "}"))
_HEADS = frozenset(("for", "select", "case", "function"))  # what follows is no command

_ORDINARY = re.compile(r"[^\s'\"\\`^$#;&|<>()]+")
_ORDINARY_QUOTED = re.compile(r"[^\"\\`^$]+")
_ORDINARY_TEXT = re.compile(r"[^'\"\\`^$(){}]+")


def _after_options(words: Sequence[str], position: int, prefix: str, with_word: frozenset[str]) -> int:
    while position < len(words):
        word = words[position]
        if word == "--":
            position += 1
            break
        if word.startswith("-") and len(word) > 1:
            position += 2 if word in with_word else 1
        elif prefix in ("env", "sudo") and _ASSIGNMENT.match(word):
            position += 1
        else:
            break
    if prefix == "timeout":
        position += 1  # the duration
    return position


@dataclass(slots=True)
class _Frame:
    """A list of commands being read (`kind` names what opened it) or text that may hold substitutions."""

    kind: str  # "top", "subshell", "substitution", "process", "backquote"; text: "quote", "brace", "arithmetic"
    start: int
    words: list[str] = field(default_factory=list)
    pieces: list[str] | None = None  # of the word being read
    quoted: bool = False  # the word being read has a quoted part, so it is no reserved word
    head: bool = False  # the command being read began with one of _HEADS
    closed: bool = False  # the command being read began with one of _CLOSING
    after_pipe: bool = False
    cases: int = 0  # `case` without its `esac`
    pattern: bool = False  # a pattern of `case` is being read
    arrays: int = 0  # open brackets that are text, as in `a=(1 2)`
    untrusted_inside: bool = False  # anything in it is untrusted, also in commands that have ended
    begin: int = -1  # of the command being read
    end: int = -1
    untrusted: bool = False
    redirect: str = ""
    writes_to: list[str] = field(default_factory=list)
    inner: list[tuple[int, str]] = field(default_factory=list)  # commands in substitutions of the command being read
    pipeline: list[int] = field(default_factory=list)
    last: int = -1  # the last command
    depth: int = 0  # of brackets, in text


class _Splitter:
    def __init__(self, script: str, opaque: Sequence[Opaque], escape: str, max_commands: int) -> None:
        self.script = script
        self.opaque = opaque
        self.next_opaque = 0
        self.escape = escape
        self.max_commands = max_commands
        self.commands: list[ShellCommand] = []
        self.scripts: list[tuple[int, str]] = []  # scripts given to a shell, with the command that does
        self.lists = [_Frame("top", 0)]  # frames of commands; texts lie between them in `frames`
        self.frames = [self.lists[0]]
        self.heredocs: list[tuple[str, bool]] = []
        self.position = 0

    def split(self) -> list[ShellCommand]:
        length = len(self.script)
        while self.position < length and len(self.commands) <= self.max_commands:
            span = self._span_here()
            if span is not None:
                self._piece(self.script[span.start : span.end], span.start, quoted=True)
                self._mark(span)
                self.position = self.lists[-1].end = span.end
            elif self.frames[-1] is self.lists[-1]:
                self._read_command_text()
            else:
                self._read_text()
        while len(self.frames) > 1:
            self._close(length)
        self._finish_command(self.lists[0], "")
        return self.commands

    def _span_here(self) -> Opaque | None:
        while self.next_opaque < len(self.opaque) and self.opaque[self.next_opaque].end <= self.position:
            self.next_opaque += 1
        if self.next_opaque < len(self.opaque) and self.opaque[self.next_opaque].start <= self.position:
            return self.opaque[self.next_opaque]
        return None

    def _mark(self, span: Opaque) -> None:
        self.lists[-1].untrusted |= span.untrusted
        self.lists[-1].untrusted_inside |= span.untrusted

    def _limit(self) -> int:
        """Return where ordinary text must stop: at the next opaque span."""
        if self.next_opaque < len(self.opaque):
            return self.opaque[self.next_opaque].start
        return len(self.script)

    # One character or run of characters at a time, outside quotes.

    def _read_command_text(self) -> None:
        script, position, frame = self.script, self.position, self.lists[-1]
        run = _ORDINARY.match(script, position, self._limit())
        if run:
            self._piece(run[0], position)
            self.position = frame.end = run.end()
            return
        character = script[position]
        following = script[position + 1 : position + 2]
        if character == self.escape:
            if following and following not in "\r\n":
                self._piece(following, position, quoted=True)
            self.position = position + (3 if script[position + 1 : position + 3] == "\r\n" else 2)
            if frame.pieces is not None:
                frame.end = self.position
        elif character == "\n":
            self._finish_command(frame, "\n")
            self.position = position + 1
            if self.heredocs:
                self._skip_heredocs()
        elif character.isspace():
            self._finish_word(frame)
            self.position = position + 1
        elif character == "#" and frame.pieces is None:
            end = script.find("\n", position)
            self.position = len(script) if end < 0 else end
            self._skip_spans()
        elif character == "'":
            self._read_single_quoted(ansi=False)
        elif character == '"':
            self._piece("", position, quoted=True)
            self.frames.append(_Frame("quote", position))
            self.position = frame.end = position + 1
        elif character == "`":
            self._backquote()
        elif character == "$":
            self._dollar()
        elif character in "<>()&|" and self._in_test(frame):
            self._piece(character, position, quoted=True)
            self.position = frame.end = position + 1
        elif character in "<>":
            self._redirection()
        elif character == "(":
            self._parenthesis()
        elif character == ")":
            self._close_parenthesis()
        elif character in ";&|":
            self._operator()
        else:
            self._piece(character, position)
            self.position = frame.end = position + 1

    def _in_test(self, frame: _Frame) -> bool:
        """Say whether `[[` is open: operators are text up to `]]`."""
        if frame.pieces == ["]]"]:
            self._finish_word(frame)
        return bool(frame.words) and frame.words[0] == "[[" and frame.words[-1] != "]]"

    def _operator(self) -> None:
        script, position, frame = self.script, self.position, self.lists[-1]
        two = script[position : position + 2]
        if two in ("&>",):
            self.position = position + 1
            self._redirection()
            return
        operator = two if two in ("&&", "||", ";;", "|&", ";&") else script[position]
        self._finish_command(frame, "|" if operator in ("|", "|&") else operator)
        self.position = position + len(operator)

    def _redirection(self) -> None:
        script, position, frame = self.script, self.position, self.lists[-1]
        if script[position : position + 2] in ("<(", ">(") and self._may_open():
            self._open("process", position, 2)
            return
        if frame.pieces is not None and not frame.quoted and "".join(frame.pieces).isdigit():
            frame.pieces = None  # `2>file`: the number is a descriptor, not a word
        self._finish_word(frame)
        if frame.begin < 0:
            frame.begin = position
        for operator in ("<<<", "<<-", "<<", "<>", "<&", "<", ">>", ">&", ">|", ">"):
            if script.startswith(operator, position):
                break
        frame.redirect = operator
        self.position = frame.end = position + len(operator)

    def _parenthesis(self) -> None:
        position, frame = self.position, self.lists[-1]
        if frame.pattern:
            self.position = position + 1
            return
        if frame.pieces is not None or not self._may_open():
            # `name()` declares a function, `a=(1 2)` an array: both brackets are text.
            closing = self.script[position : position + 2] == "()"
            self._piece("()" if closing else "(", position)
            self.position = frame.end = position + (2 if closing else 1)
            if closing:
                self._forget(frame)
            else:
                frame.arrays += 1
            return
        self._open("subshell", position, 1)

    def _close_parenthesis(self) -> None:
        frame = self.lists[-1]
        if frame.arrays:
            frame.arrays -= 1
            self._piece(")", self.position)
            self.position = frame.end = self.position + 1
            if not frame.arrays and _ASSIGNMENT.match(frame.words[0] if frame.words else "a="):
                self._forget(frame)  # `a=(1 2)` is done; a command may follow
        elif frame.kind in ("subshell", "substitution", "process") and not frame.pattern:
            self._close(self.position)
            self.position += 1
            self.lists[-1].end = self.position
        else:
            # The end of a pattern of `case`: what stood before it was no command.
            self._forget(frame)
            frame.pattern = False
            self.position += 1

    def _dollar(self) -> None:
        script, position, frame = self.script, self.position, self.lists[-1]
        if script.startswith("$((", position) and self._may_open():
            self._piece("$((", position)
            self.frames.append(_Frame("arithmetic", position, depth=2))
            self.position = position + 3
        elif script.startswith("$(", position) and self._may_open():
            self._open("substitution", position, 2)
        elif script.startswith("${", position) and self._may_open():
            self._piece("${", position)
            self.frames.append(_Frame("brace", position, depth=1))
            self.position = position + 2
        elif script.startswith("$'", position) and self.frames[-1] is frame:
            self.position = position + 1
            self._read_single_quoted(ansi=True)
        else:
            self._piece("$", position)
            self.position = position + 1
        frame.end = max(frame.end, self.position)

    def _backquote(self) -> None:
        if self.lists[-1].kind == "backquote":
            self._close(self.position)
            self.position += 1
            self.lists[-1].end = self.position
        elif self.escape == "`" or not self._may_open():
            self._piece("`", self.position)
            self.position += 1
        else:
            self._open("backquote", self.position, 1)

    def _read_single_quoted(self, *, ansi: bool) -> None:
        script, start, frame = self.script, self.position, self.lists[-1]
        position = start + 1
        self._piece("", start, quoted=True)
        while True:
            self.position = position
            span = self._span_here()
            if span is not None:
                self._mark(span)
                self._piece(script[position : span.end], position, quoted=True)
                position = span.end
                continue
            limit = self._limit()
            end = script.find("'", position, limit)
            escaped = script.find("\\", position, limit if end < 0 else end) if ansi else -1
            if escaped >= 0:
                self._piece(script[position : escaped + 2], position, quoted=True)
                position = escaped + 2
                continue
            self._piece(script[position : limit if end < 0 else end], position, quoted=True)
            if end >= 0 or limit >= len(script):
                break
            position = limit
        self.position = frame.end = len(script) if end < 0 else end + 1

    # Inside double quotes, `${...}` and `$((...))`: only substitutions count.

    def _read_text(self) -> None:
        script, position, frame = self.script, self.position, self.frames[-1]
        quote = frame.kind == "quote"
        run = (_ORDINARY_QUOTED if quote else _ORDINARY_TEXT).match(script, position, self._limit())
        if run:
            self._piece(run[0], position, quoted=True)
            self.position = self.lists[-1].end = run.end()
            return
        character = script[position]
        if character == self.escape:
            following = script[position + 1 : position + 2]
            kept = (
                following if following in ('"', "\\", "$", "`") else "" if following == "\n" else character + following
            )
            self._piece(kept, position, quoted=True)
            self.position = position + 2
        elif character == "`":
            self._backquote()
        elif character == "$":
            self._dollar()
        elif character == '"':
            if quote:
                self.frames.pop()
                self.position = position + 1
            elif self._may_open():
                self.frames.append(_Frame("quote", position))
                self.position = position + 1
            else:
                self.position = position + 1
        elif character == "'" and frame.kind == "brace":
            self._piece(character, position, quoted=True)
            self.position = position + 1
        else:
            self._piece(character, position, quoted=True)
            self.position = position + 1
            opening, closing = ("{", "}") if frame.kind == "brace" else ("(", ")")
            if character == opening:
                frame.depth += 1
            elif character == closing:
                frame.depth -= 1
                if frame.depth == 0:
                    self.frames.pop()
        self.lists[-1].end = max(self.lists[-1].end, self.position)

    # Frames.

    def _may_open(self) -> bool:
        return len(self.frames) < MAX_NESTING

    def _open(self, kind: str, position: int, width: int) -> None:
        outer = self.lists[-1]
        if kind != "subshell":
            self._piece("", position, quoted=True)
        frame = _Frame(kind, position)
        self.lists.append(frame)
        self.frames.append(frame)
        self.position = outer.end = position + width

    def _close(self, position: int) -> None:
        """End the innermost list of commands (and texts left open in it) before `position`."""
        if self.frames[-1].kind in ("quote", "brace", "arithmetic") and self.lists[-1] is self.lists[0]:
            self.frames.pop()
            return
        while self.frames[-1] is not self.lists[-1]:
            self.frames.pop()
        frame = self.lists[-1]
        self._finish_command(frame, "")
        self.frames.pop()
        self.lists.pop()
        outer = self.lists[-1]
        if frame.kind == "subshell":
            # `(a; b) | c`: what the last command leaves goes down the outer pipeline.
            if frame.last >= 0:
                outer.pipeline.append(frame.last)
            outer.last = frame.last
            return
        outer.untrusted |= frame.untrusted_inside
        outer.untrusted_inside |= frame.untrusted_inside
        if frame.last >= 0:
            outer.inner.append((frame.last, "process" if outer.redirect == "<<<" else frame.kind))
        self._piece(self.script[frame.start : position + 1], frame.start, quoted=True)

    # Words and commands.

    def _piece(self, text: str, position: int, *, quoted: bool = False) -> None:
        frame = self.lists[-1]
        if frame.pieces is None:
            frame.pieces = []
            frame.quoted = False
            if frame.begin < 0:
                frame.begin = position
        if text:
            frame.pieces.append(text)
        frame.quoted |= quoted

    def _finish_word(self, frame: _Frame) -> None:
        if frame.pieces is None:
            return
        word = "".join(frame.pieces)
        quoted, frame.pieces = frame.quoted, None
        if frame.redirect:
            operator, frame.redirect = frame.redirect, ""
            if operator in ("<<", "<<-"):
                self.heredocs.append((word, operator == "<<-"))
            elif operator[0] == ">" and not (operator == ">&" and (word.isdigit() or word == "-")):
                frame.writes_to.append(word)
            return
        if not quoted and not frame.words and self._is_reserved(frame, word):
            frame.begin = -1
            return
        frame.words.append(word)
        if frame.head and word == "in" and frame.words[0] == "case":
            self._forget(frame)
            frame.pattern = True

    def _is_reserved(self, frame: _Frame, word: str) -> bool:
        if word == "esac":
            frame.cases, frame.pattern = max(0, frame.cases - 1), False
        if word in _HEADS:
            frame.head = True
            frame.cases += word == "case"
        frame.closed |= word in _CLOSING
        return word in _OPENING or word in _CLOSING

    def _finish_command(self, frame: _Frame, separator: str) -> None:
        self._finish_word(frame)
        frame.redirect = ""
        if separator == "\n" and frame.after_pipe and not frame.words:
            return  # a pipeline goes on behind the end of the line
        argv = [] if frame.head or frame.pattern else strip_prefixes(frame.words)
        if argv and len(self.commands) <= self.max_commands:
            self._add_command(frame, argv)
        elif frame.closed and separator == "|" and not frame.pipeline and frame.last >= 0:
            frame.pipeline.append(frame.last)  # `{ a; } | b`
        self._forget(frame)
        frame.after_pipe = separator == "|"
        if separator in (";;", ";&") and frame.cases:
            frame.pattern = True
        if separator != "|":
            self._finish_pipeline(frame)

    def _add_command(self, frame: _Frame, argv: list[str]) -> None:
        index = len(self.commands)
        end = min(frame.end, len(self.script))
        command = ShellCommand(
            start=frame.begin,
            end=end,
            text=self.script[frame.begin : end],
            program=program_name(argv[0]),
            argv=argv,
            writes_to=frame.writes_to,
            untrusted=frame.untrusted,
        )
        self.commands.append(command)
        self._hand_on(frame, command.program, argv)
        self.scripts += _script_of(index, argv)
        frame.pipeline.append(index)
        frame.last = index

    def _forget(self, frame: _Frame) -> None:
        frame.words, frame.inner, frame.writes_to = [], [], []
        frame.pieces, frame.begin, frame.untrusted = None, -1, False
        frame.head = frame.closed = False

    def _hand_on(self, frame: _Frame, program: str, argv: list[str]) -> None:
        """Say of commands in substitutions that their output is run: `bash <(a)`, `sh -c "$(a)"`, `eval "$(a)"`."""
        for index, kind in frame.inner:
            runs_it = program in _TAKES_CODE or (
                program in _INTERPRETERS and (kind == "process" or not _CODE_OPTIONS.isdisjoint(argv))
            )
            if runs_it and not self.commands[index].pipes_to:
                self.commands[index].pipes_to = program

    def _finish_pipeline(self, frame: _Frame) -> None:
        following = interpreter = ""
        for index in reversed(frame.pipeline):
            command = self.commands[index]
            command.pipes_to = command.pipes_to or interpreter or following
            following = command.program
            if command.program in _INTERPRETERS:
                interpreter = command.program
        frame.pipeline = []

    # Here-documents and comments.

    def _skip_heredocs(self) -> None:
        for delimiter, tabs in self.heredocs:
            while self.position < len(self.script):
                end = self.script.find("\n", self.position)
                end = len(self.script) if end < 0 else end
                line = self.script[self.position : end].rstrip("\r")
                self.position = min(end + 1, len(self.script))
                if (line.lstrip("\t") if tabs else line) == delimiter:
                    break
        self.heredocs = []
        self._skip_spans()

    def _skip_spans(self) -> None:
        """Go on behind an opaque span that began in what was skipped and reaches beyond it."""
        span = self._span_here()
        if span is not None and span.start < self.position:
            self.position = span.end
