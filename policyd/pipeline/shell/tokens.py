"""Scripts as words and operators, for shells without a grammar here and for text that a grammar does not take.

It knows quotes, escapes, comments, operators, redirections, here-documents and brackets, and reads anything in linear
time. What words such as `if` do is left aside: only the commands behind them count.

Source: Microsoft, "about_Quoting_Rules", "about_Operators", "about_Redirection" (PowerShell 7); "cmd" command
reference; POSIX.1-2024, Shell Command Language, sections 2.2, 2.3, 2.7.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache
from typing import Literal

from policyd.pipeline.shell.command import Assignment, ShellCommand
from policyd.pipeline.shell.reading import Reading, hand_on, join_pipeline
from policyd.pipeline.shell.words import count_prefixes, program_name

MAX_QUOTES = 2  # substitutions in quotes in substitutions in quotes
MAX_NESTING = 64  # of brackets; deeper ones are not told apart
_NEAR = 8  # characters in front of a command in which what calls it is looked for


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a shell writes its script."""

    name: Literal["posix", "powershell", "cmd"]
    escape: str
    token: re.Pattern[str]
    variable: re.Pattern[str]
    assignment: re.Pattern[str]  # of a whole command's text: name and value
    leading: frozenset[str]  # words in front of a command
    heads: frozenset[str]  # words that begin something that is no command


_REDIRECT = r"(?P<redirect>[0-9*]?(?:&>>?|>>|>\||>&|<<<|<&|<>|>|<))"


@cache
def posix() -> Dialect:
    """Return how POSIX-like shells write. Made when it is first needed: the patterns take milliseconds."""
    return Dialect(
        name="posix",
        escape="\\",
        token=re.compile(
            r"(?P<space>[ \t\r]+|\\\n)"
            r"|(?P<comment>(?<![^\s;|&(])\#[^\n]*)"
            r"|(?P<end>\|\||&&|\|&?|;;?&?|&(?![>])|\n)"
            r"|(?P<document><<-?[ \t]*(?:'[^'\n]*'|\"[^\"\n]*\"|[^\s;|&<>()]+))"
            r"|(?P<open>[$<>]?\(|\{(?=\s))|(?P<close>\)|(?<=[\s;])\}(?=[\s;|&)]|\Z))|(?P<backquote>`)"
            r"|" + _REDIRECT + r"|(?P<quoted>'[^']*'?|\"(?:[^\"\\]|\\.)*\"?)"
            r"|(?P<text>\$?\{[^}\s]*\}?|(?:\\.|[^\s'\"\\;|&<>()`{}$]|(?<=[^\s;|&])\})+|.)",
            re.DOTALL,
        ),
        variable=re.compile(r"\$\{?[#!]?([A-Za-z_][A-Za-z0-9_]*)"),
        assignment=re.compile(
            r"(?:(?:export|declare|local|readonly|typeset)\s+)?([A-Za-z_][A-Za-z0-9_]*)\+?=(.*)", re.DOTALL
        ),
        leading=frozenset(
            ("if", "then", "else", "elif", "while", "until", "do", "!", "{", "}", "fi", "done", "esac", "time")
        ),
        heads=frozenset(("for", "select", "case", "function", "in")),
    )


@cache
def _powershell() -> Dialect:
    """Return how PowerShell writes. Made when it is first needed: the patterns take milliseconds."""
    return Dialect(
        name="powershell",
        escape="`",
        token=re.compile(
            r"(?P<space>[ \t\r,]+|`\r?\n)"
            r"|(?P<comment><\#(?:[^\#]|\#(?!>))*(?:\#>)?|(?<![^\s;|&({])\#[^\n]*)"
            r"|(?P<end>\|\||&&|\||;|\n|&(?!>))"
            r"|(?P<quoted>@'\r?\n(?:[^\n]|\n(?!'@))*(?:\n'@)?|@\"\r?\n(?:[^\n]|\n(?!\"@))*(?:\n\"@)?"
            r"|'(?:[^']|'')*'?|\"(?:[^\"`]|`.|\"\")*\"?)"
            r"|(?P<open>[$@]?\(|@?\{)|(?P<close>[)}])"
            r"|" + _REDIRECT + r"|(?P<text>\$\{[^}\n]*\}?|(?:`.|\$(?![({])|[^\s'\"`;|&<>(){},$@])+|.)",
            re.DOTALL,
        ),
        variable=re.compile(r"\$\{?(?:env:)?([A-Za-z_][A-Za-z0-9_]*)", re.IGNORECASE),
        assignment=re.compile(
            r"\$\{?(?:env:|script:|global:)?([A-Za-z_][A-Za-z0-9_]*)\}?\s*\+?=(.*)", re.DOTALL | re.IGNORECASE
        ),
        leading=frozenset(("if", "else", "elseif", "try", "finally", "do", "return", "&", ".", "=", "+=")),
        heads=frozenset(("foreach", "for", "while", "switch", "function", "param", "catch")),
    )


@cache
def _cmd() -> Dialect:
    """Return how cmd writes. Made when it is first needed: the patterns take milliseconds."""
    return Dialect(
        name="cmd",
        escape="^",
        token=re.compile(
            r"(?P<space>[ \t\r;,]+|\^\r?\n)"
            r"|(?P<comment>(?<![^\n&|(])[ \t]*@?(?:(?i:rem)\b|::)[^\n]*)"
            r"|(?P<end>\|\||&&|\||&|\n)"
            r"|(?P<quoted>\"[^\"\n]*\"?)"
            r"|(?P<open>\()|(?P<close>\))"
            r"|" + _REDIRECT + r"|(?P<text>(?:\^.|[^\s\"^&|<>();,])+|.)",
            re.DOTALL,
        ),
        variable=re.compile(r"[%!]([A-Za-z_][A-Za-z0-9_]*)(?::[^%!\n]*)?[%!]"),
        assignment=re.compile(r"@?(?i:set)\s+(?:/[aApP]\s+)?\"?([A-Za-z_][A-Za-z0-9_]*)=([^\"]*)\"?", re.DOTALL),
        leading=frozenset(("else", "do", "@", "call")),
        heads=frozenset(("for", "if")),
    )


#: By the name of the shell.
DIALECTS = {"pwsh": _powershell, "powershell": _powershell, "cmd": _cmd}


@dataclass(slots=True)
class _List:
    """A list of commands being read: the script's, or one in brackets."""

    opened_by: str = ""
    opened_at: int = 0
    start: int = -1  # of the command being read
    end: int = -1
    words: list[str] = field(default_factory=list)
    word: list[str] | None = None
    quoted: bool = False
    redirect: str = ""
    writes_to: list[str] = field(default_factory=list)
    saved: bool = False
    stages: list[list[ShellCommand]] = field(default_factory=list)  # of the pipeline being read
    inner: list[tuple[str, list[ShellCommand]]] = field(default_factory=list)  # in brackets in the command being read
    found: list[ShellCommand] = field(default_factory=list)
    sets: list[Assignment] = field(default_factory=list)
    stdin: str = ""


class _Tokens:
    def __init__(self, reading: Reading, dialect: Dialect, start: int, stop: int, end: int) -> None:
        self.reading = reading
        self.dialect = dialect
        self.text = reading.masked()
        self.stop, self.end = stop, end
        self.lists = [_List()]
        self.documents: list[tuple[str, bool]] = []
        self.position = start
        self.depth = 0

    def read(self) -> None:
        match = self.dialect.token.match
        while self.position < self.stop and not self.reading.is_full():
            found = match(self.text, self.position, self.end)
            kind = found.lastgroup if found else ""
            if found is None or kind is None:  # no token is empty, and every character is one
                break
            self.position = found.end()
            self._take(kind, found.start(), found.end())
        while len(self.lists) > 1:
            self._close()
        self._end_command("")

    def _take(self, kind: str, start: int, end: int) -> None:
        current = self.lists[-1]
        if kind in ("space", "comment"):
            self._end_word(current)
        elif kind == "end":
            operator = self.text[start:end]
            self._end_command(operator)
            if operator == "\n" and self.documents:
                self._skip_documents()
        elif kind == "open":
            self._open(current, start, end)
        elif kind == "close":
            if len(self.lists) > 1:
                self._close()
            else:
                if self.dialect.name == "posix":
                    current.words, current.word = [], None  # a pattern of `case`, no command
                self._end_command(")")
        elif kind == "backquote":
            if current.opened_by == "`":
                self._close()
            else:
                self._open(current, start, end)
        elif kind == "redirect":
            self._end_word(current)
            self._begin(current, start)
            current.redirect = self.text[start:end]
            current.end = end
        elif kind == "document":
            self._end_word(current)
            self._begin(current, start)
            current.end = end
            written = self.text[start:end].lstrip("<")
            self.documents.append((written.lstrip("- \t").strip("'\""), written.startswith("-")))
        else:
            self._add(current, kind, start, end)

    def _begin(self, current: _List, start: int) -> None:
        if current.start < 0:
            current.start = start

    def _add(self, current: _List, kind: str, start: int, end: int) -> None:
        self._begin(current, start)
        piece = self.reading.script[start:end]
        escape = self.dialect.escape
        if kind == "quoted":
            current.quoted = True
            if '"' in piece[:2] and ("$(" in piece or (self.dialect.name == "posix" and "`" in piece)):
                self._look_into_quotes(current, start, end)
            quote, piece = piece.lstrip("@")[0], piece.strip("@")
            piece = piece[1:-1] if len(piece) > 1 and piece[-1] == quote else piece[1:]
            if quote == '"' and escape == "\\" and escape in piece:
                piece = re.sub(r'\\([\n"\\$`])', lambda one: one[1].strip("\n"), piece)
        elif escape in piece and len(piece) > 1:
            piece = re.sub(re.escape(escape) + "(.)", lambda one: one[1].strip("\n"), piece, flags=re.DOTALL)
        if current.word is None:
            current.word = []
        current.word.append(piece)
        current.end = end

    def _look_into_quotes(self, current: _List, start: int, end: int) -> None:
        """Read the substitutions in double quotes; those in which quotes stand again are cut there."""
        if self.depth >= MAX_QUOTES:
            return
        for found in _IN_QUOTES.finditer(self.text, start, end):
            inner = _Tokens(self.reading, self.dialect, found.start(1), found.end(1), found.end(1))
            inner.depth = self.depth + 1
            inner.read()
            commands = [command for one in inner.lists for command in one.found]
            for command in commands:
                command.captured = True
            current.inner.append(("substitution", commands))

    def _open(self, current: _List, start: int, end: int) -> None:
        if len(self.lists) > MAX_NESTING:
            self._end_command("(")
            return
        self._begin(current, start)
        opened_by = self.text[start:end]
        if opened_by not in ("(", "{", "@{") or current.word is not None:
            current.word = current.word or []
            current.word.append("")
        self.lists.append(_List(opened_by=opened_by, opened_at=start))

    def _close(self) -> None:
        self._end_command(")")
        closed = self.lists.pop()
        outer = self.lists[-1]
        outer.end = self.position
        if closed.opened_by in ("(", "{") and not outer.words and outer.word is None:
            outer.stages.append(closed.found)  # `(a; b) | c`
            outer.found += closed.found
            outer.start = -1
            return
        for command in closed.found:
            command.captured = closed.opened_by != "{"
        outer.inner.append(("process" if closed.opened_by in ("<(", ">(") else "substitution", closed.found))
        outer.word = outer.word or []
        outer.word.append(self.reading.script[closed.opened_at : self.position])

    def _end_word(self, current: _List) -> None:
        if current.word is None:
            return
        word, quoted = "".join(current.word), current.quoted
        current.word, current.quoted = None, False
        if current.redirect:
            operator, current.redirect = current.redirect, ""
            if operator.endswith("<<<"):
                current.stdin = word
            elif ">" in operator and not (operator.endswith(">&") and (word.isdigit() or word == "-")):
                current.writes_to.append(word)
                current.saved |= operator[0] != "2" and word not in ("/dev/stdout", "/dev/stderr")
            return
        name = word if self.dialect.name == "posix" else word.lower()
        if not quoted and not current.words and (name in self.dialect.leading or word.isspace() or not word):
            current.start = -1
            return
        current.words.append(word)

    def _end_command(self, separator: str) -> None:
        current = self.lists[-1]
        self._end_word(current)
        if separator == "\n" and not current.words and current.stages and self._continues:
            return  # a pipeline goes on behind the end of the line
        if current.words:
            self._add_command(current)
        current.words, current.inner, current.writes_to, current.start = [], [], [], -1
        current.saved, current.redirect, current.stdin = False, "", ""
        self._continues = separator in ("|", "|&")
        if not self._continues:
            join_pipeline(current.stages)
            current.stages = []

    _continues = False

    def _add_command(self, current: _List) -> None:
        text = self.reading.script[current.start : current.end]
        words = current.words
        assigned = self.dialect.assignment.match(text)
        if assigned:
            reads = frozenset(self.dialect.variable.findall(assigned[2]))
            value = assigned[2].strip().strip("'\"")
            current.sets.append(
                Assignment(
                    assigned[1],
                    value,
                    reads,
                    self.reading.is_untrusted(current.start, current.end),
                    bool(current.inner) or (self.dialect.name == "powershell" and _is_made(assigned[2])),
                )
            )
            if self.dialect.name == "powershell":
                words = words[2:] if words[1:2] in (["="], ["+="]) else words[1:]
        first = words[0] if words else ""
        if not words or (first if self.dialect.name == "posix" else first.lower()) in self.dialect.heads:
            return
        if self.dialect.name == "cmd":
            words = [words[0].lstrip("@"), *words[1:]]
        skipped = count_prefixes(words)
        if not words[0] or (skipped == len(words) and self.dialect.name == "posix"):
            return
        skipped = 0 if skipped == len(words) else skipped
        reads = frozenset(self.dialect.variable.findall(text))
        inner_reads = frozenset(self.dialect.variable.findall(current.stdin))
        command = ShellCommand(
            current.start,
            current.end,
            text,
            program_name(words[skipped]),
            words[skipped:],
            current.writes_to,
            self.reading.is_untrusted(current.start, current.end),
            reads=reads | inner_reads,
            expands=reads,
            sets=current.sets,
            stdin=current.stdin,
            saved=current.saved,
            computed=any(inner for _, inner in current.inner),
        )
        current.sets = []
        if self.dialect.name != "posix":
            command.program = _windows_name(command.program)
        if self.dialect.name == "powershell":
            if (cmdlet := _CMDLETS.get(command.program.lower(), "")) and cmdlet != command.argv[0]:
                command.program, command.argv = cmdlet, [cmdlet, *command.argv[1:]]
            if words[skipped][:1] == "$" or text[:1] in "\"'$":
                before = self.text[max(0, current.start - _NEAR) : current.start]
                command.called = before.rstrip(" \t\"'").endswith(("&", "."))
        self.reading.commands.append(command)
        current.found.append(command)
        current.stages.append([command])
        for kind, inner in current.inner:
            hand_on(command, inner, kind)

    def _skip_documents(self) -> None:
        for delimiter, tabs in self.documents:
            first = self.position
            end = self.position  # of its text, where the script ends before it begins
            while self.position < self.end:
                begin = self.position
                end = self.text.find("\n", begin, self.end)
                end = self.end if end < 0 else end
                self.position = min(end + 1, self.end)
                line = (
                    self.text[begin:end].rstrip(" ") if "\r" in self.reading.script[begin:end] else self.text[begin:end]
                )
                if (line.lstrip("\t") if tabs else line) == delimiter:
                    end = begin
                    break
            self._give(self.reading.script[first:end])
        self.documents = []

    def _give(self, body: str) -> None:
        """Give the text of a here-document to the command before it."""
        if not self.reading.commands:
            return
        command = self.reading.commands[-1]
        command.stdin = body
        command.reads |= frozenset(self.dialect.variable.findall(body))


#: What stands in substitutions in double quotes, up to where they end or other quotes begin.
_IN_QUOTES = re.compile(r"(?:\$\(|`)([^\"`]*)")


def _is_made(value: str) -> bool:
    """Say whether the right side of an assignment in PowerShell is a command or calls something."""
    first = value.strip()[:1]
    return first.isalpha() or first in ("(", "[", "&")


#: Names that PowerShell takes in any case, as they are looked for.
_CMDLETS = {
    name.lower(): name
    for name in (
        *("Invoke-WebRequest", "Invoke-RestMethod", "Invoke-Expression", "iex", "iwr", "irm", "curl", "wget"),
        *("Write-Verbose", "Write-Warning", "Write-Error", "Write-Information", "Write-Debug"),
        *("Write-Host", "Write-Output", "Get-FileHash", "Set-PSDebug", "Out-File", "Add-Content", "Set-Content"),
        *("New-Object", "ConvertTo-SecureString", "Get-ChildItem", "gci"),
        *("Expand-Archive", "Register-PSRepository", "Start-BitsTransfer"),
        *("Install-Module", "Install-Package", "Install-Script", "Install-PSResource", "choco", "winget", "scoop"),
    )
}


def _windows_name(name: str) -> str:
    """Return a program's name as it is on other systems: without folder and `.exe`."""
    return name.rsplit("\\", 1)[-1].removesuffix(".exe").removesuffix(".cmd").removesuffix(".bat") or name


def read_tokens(reading: Reading, dialect: Dialect, start: int, stop: int, end: int) -> int:
    """Add the commands of `reading`'s script between `start` and `stop` to it; return where to go on.

    What is open at `stop`, quotes or a here-document, is read to its end, at most to `end`.
    """
    tokens = _Tokens(reading, dialect, start, stop, end)
    tokens.read()
    return max(stop, tokens.position)
