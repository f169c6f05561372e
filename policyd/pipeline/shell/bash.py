"""Scripts of POSIX-like shells, parsed with tree-sitter-bash.

The grammar recovers from what it doesn't know, and takes time beyond linear on some hostile texts. So a script is
parsed in windows, and work is counted; a statement that holds an error, or is too large or too deep, is tokenised
instead (`tokens`): no text is left unseen because it upsets a parser.

Source: POSIX.1-2024, Shell Command Language, sections 2.2 to 2.10; GNU Bash manual; tree-sitter-bash 0.25 `grammar.js`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING

from policyd.pipeline.shell.checks import (
    NOTHING_CHECKED,
    Checked,
    find_check,
    find_name,
    finds_other_character,
    is_word,
)
from policyd.pipeline.shell.command import NO_NAMES, Assignment, ShellCommand
from policyd.pipeline.shell.reading import Inner, Reading, hand_on, join_pipeline
from policyd.pipeline.shell.tokens import posix, read_tokens
from policyd.pipeline.shell.words import count_prefixes, find_script_word, program_name, runs_stdin

if TYPE_CHECKING:
    from tree_sitter import Language, Node, Tree

WINDOW = 4096  # characters parsed at once; scripts of pipelines have some hundred, hostile ones cost by its square
SMALL = 512  # what is parsed without counting, which costs more than it saves here
#: The parser reports after some hundred operations each: real scripts need 10 to 20 reports for a KiB.
MAX_REPORTS_PER_KIB = 40
MAX_SPOILED = 4  # windows with errors; a script with more is hostile or no shell script
MAX_JOINED_LINES = 32  # that the grammar took for one command; each costs another parse
MAX_NESTING = 64  # of statements and substitutions; people write some ten


def read_bash(reading: Reading, start: int, end: int) -> None:
    """Add the commands of `reading`'s script between `start` and `end` to it."""
    if _PLAIN_LINES.fullmatch(reading.masked(), start, end):
        _read_plain_lines(reading, start, end)
        return
    reader = _Reader(reading)
    position, spoiled = start, 0
    while position < end and not reading.is_full():
        stop = _cut(reading.masked(), position, end)
        tree = _parse(reading.masked()[position:stop]) if spoiled < MAX_SPOILED else None
        if tree is None:
            spoiled += 1
            position = read_tokens(reading, posix(), position, stop, end)
            continue
        spoiled += tree.root_node.has_error
        position = reader.read(tree.root_node, position, stop, end)


#: Lines of one command each, of words that mean themselves. Most scripts are like that and need no grammar.
_PLAIN_LINES = re.compile(
    r"(?:[ \t]*+(?:(?!(?:if|then|else|elif|fi|for|while|until|do|done|case|esac|select|function|time|in|coproc"
    r"|export|declare|local|readonly|typeset|unset|unsetenv)\b)[A-Za-z0-9_./@:+%-]++"
    r"(?:[ \t]++[A-Za-z0-9_./@:+,%=-]++)*+)?+[ \t]*+(?:\n|\Z))++"
)
_PLAIN_LINE = re.compile(r"[^ \t\n][^\n]*(?<![ \t])")
_PLAIN_WORD = re.compile(r"[^ \t\n]+")


def _read_plain_lines(reading: Reading, start: int, end: int) -> None:
    script, masked = reading.script, reading.masked()
    for line in _PLAIN_LINE.finditer(masked, start, end):
        if reading.is_full():
            return
        begin, stop = line.span()
        argv = [script[word.start() : word.end()] for word in _PLAIN_WORD.finditer(masked, begin, stop)]
        skipped = count_prefixes(argv)
        sets = _prefix_assignments(argv[:skipped]) if skipped else []
        argv = argv[skipped:] or argv
        untrusted = reading.is_untrusted(begin, stop)
        reading.commands.append(
            ShellCommand(begin, stop, script[begin:stop], program_name(argv[0]), argv, [], untrusted, sets=sets)
        )


_LINE_END = re.compile(r"(?<!\\)\n")
_GOES_ON = frozenset(" \t\n})|&;")  # begins a line that hardly begins a statement


def _cut(text: str, start: int, end: int) -> int:
    """Return where the window that begins at `start` ends: behind a line, best where the next one is not indented."""
    if end - start <= WINDOW:
        return end
    lines = [found.end() for found in _LINE_END.finditer(text, start + WINDOW // 2, start + WINDOW)]
    best = next((stop for stop in reversed(lines) if text[stop : stop + 1] not in _GOES_ON), 0)
    return best or (lines[-1] if lines else start + WINDOW)


@cache
def _language() -> Language:
    import tree_sitter
    import tree_sitter_bash

    return tree_sitter.Language(tree_sitter_bash.language())


def _parse(text: str) -> Tree | None:
    """Return the tree of `text`, which is ASCII; `None` if that takes more work than a script is worth."""
    from tree_sitter import Parser

    source = text.encode("ascii")
    if len(source) <= SMALL:
        return Parser(_language()).parse(source)
    limit = 16 + len(source) * MAX_REPORTS_PER_KIB // 1024
    reports = 0

    def goes_too_far(_offset: int, _has_error: bool) -> bool:
        nonlocal reports
        reports += 1
        return reports > limit

    def rest(offset: int, _point: object) -> bytes:
        return source[offset:]

    try:
        # The stubs don't know the callback, which the library asks in this form of call alone.
        return Parser(_language()).parse(rest, progress_callback=goes_too_far)
    except ValueError:
        return None


class _MisreadError(Exception):
    """The grammar takes a statement for something else than the shell does, or it is nested too deep."""


class _JoinedLinesError(_MisreadError):
    """The grammar takes two lines for one command, as it does with some that follow a pipeline."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.at = at  # the end of the first line


class _Reader:
    """Walks a tree, statement by statement."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self.script = reading.script
        self.commands = reading.commands
        self.base = 0
        self.depth = 0
        self.function = ""
        self.sets: list[Assignment] = []
        self.expands: set[str] = set()  # by the words being read
        self.reads: set[str] = set()  # by commands in substitutions among them
        self.computed = False
        self.captured: list[tuple[str, list[ShellCommand]]] = []  # by substitutions among them
        self.body_at: tuple[int, int] | None = None  # of the here-document of the command being read
        self.body_pasted = False  # its variables are filled in
        self.plain: frozenset[str] = NO_NAMES  # variables that passed a check
        self.renewed: frozenset[str] = NO_NAMES  # variables that were set since
        self.joined = 0  # lines that the grammar took for one command

    def read(self, root: Node, start: int, stop: int, end: int) -> int:
        """Read the statements of the window that ends at `stop`; return where the next one begins."""
        self.base = start
        position = start  # behind the last statement that was understood
        children = root.children
        for index, child in enumerate(children):
            if self.reading.is_full():
                return stop
            if position > start + child.start_byte:
                continue  # tokenised with the statement before
            if not child.has_error:
                known = len(self.commands), len(self.reading.inner)
                try:
                    self.statement(child)
                except _MisreadError as misread:
                    del self.commands[known[0] :]
                    del self.reading.inner[known[1] :]
                    self.depth, self.function = 0, ""
                    self.plain = NO_NAMES
                    if isinstance(misread, _JoinedLinesError) and self.joined < MAX_JOINED_LINES:
                        self.joined += 1
                        self.reading.end_line(misread.at)
                        return start + child.start_byte
                else:
                    continue
            begin = start + child.start_byte
            following = _next_sound(children, index + 1)
            if following is None and stop < end and child.start_byte > WINDOW // 4:
                return begin  # cut off by the window: the next one begins with it
            until = start + following.start_byte if following is not None else stop
            position = read_tokens(self.reading, posix(), begin, until, end)
        return max(stop, position)

    # Statements.

    def statement(self, node: Node) -> None:
        handler = _STATEMENTS.get(node.type)
        if handler is None:
            if node.child_count:
                self._look_inside(node)
            return
        if self.reading.is_full():
            return
        self.depth += 1
        if self.depth > MAX_NESTING:
            raise _MisreadError
        handler(self, node)
        self.depth -= 1

    def _body(self, node: Node) -> None:
        for child in node.children:
            if child.is_named:
                self.statement(child)

    def _list(self, node: Node) -> None:
        # `a && b && c` is nested to the left, as deep as it is long.
        parts: list[tuple[str, Node]] = []
        while node.type == "list":
            left, operator, right = [child for child in node.children if child.type != "comment"][:3]
            parts.append((operator.type, right))
            node = left
        first = len(self.commands)
        outer, renewed = self._begin_checks()
        self.statement(node)
        checked = self._checked(node)
        behind = NO_NAMES
        for sign, part in reversed(parts):
            self.plain = (outer - self.renewed) | (checked.passes if sign == "&&" else checked.fails)
            self._joined(first, sign, part)
            leaves = _leaves([part])
            if leaves:
                behind = checked.fails if sign == "&&" else checked.passes
            else:
                behind = NO_NAMES
                checked = checked.joined(sign, self._checked(part))
        self._end_checks(outer | behind, renewed)

    # What is known of variables behind a check.

    def _begin_checks(self) -> tuple[frozenset[str], frozenset[str]]:
        before = self.plain, self.renewed
        self.renewed = NO_NAMES
        return before

    def _end_checks(self, plain: frozenset[str], renewed: frozenset[str]) -> None:
        self.plain = plain - self.renewed
        self.renewed |= renewed

    def _renew(self, name: str) -> None:
        """Forget what a check said of a variable: it is set."""
        self.plain -= {name}
        self.renewed |= {name}

    def _checked(self, node: Node) -> Checked:
        """Return what a condition says of variables."""
        if node.type == "test_command":
            return find_check(self._text(node))
        if node.type == "negated_command":
            return self._checked(node.children[-1]).turned()
        if node.type == "list":
            left, operator, right = [child for child in node.children if child.type != "comment"][:3]
            return self._checked(left).joined(operator.type, self._checked(right))
        return NOTHING_CHECKED

    def _apart(self, node: Node) -> None:
        """Read commands of a shell of their own: what leaves it does not leave this one."""
        outer, renewed = self._begin_checks()
        self._body(node)
        self._end_checks(outer, renewed)

    def _joined(self, first: int, operator: str, right: Node) -> None:
        """Read `right`, which is joined with `||` or `&&` to the commands from `first`."""
        middle = len(self.commands)
        self.statement(right)
        if operator == "||":
            ignores = _does_nothing(self.commands[middle:])
            for command in self.commands[first:middle]:
                command.ignored |= ignores
                command.tested = True

    def _pipeline(self, node: Node) -> None:
        self._piped([child for child in node.children if child.is_named and child.type != "comment"], [])

    def _piped(self, nodes: Sequence[Node], before: list[ShellCommand]) -> None:
        stages = [before] if before else []
        for node in nodes:
            first = len(self.commands)
            self.statement(node)
            stages.append([command for command in self.commands[first:] if not command.captured])
        join_pipeline(stages)

    def _if(self, node: Node) -> None:
        first = len(self.commands)
        outer, renewed = self._begin_checks()
        checked, behind = NOTHING_CHECKED, NO_NAMES
        body: list[Node] | None = None
        for child in node.children:
            if child.type in ("then", "do_group"):
                for command in self.commands[first:]:
                    command.tested = True
                self.plain = (outer - self.renewed) | checked.passes
                body = []
            elif child.type in ("elif_clause", "else_clause"):
                self.plain = (outer - self.renewed) | checked.fails
            elif body is None and child.is_named and child.type != "comment":
                checked = self._checked(child)
            elif body is not None:
                body.append(child)
            if child.is_named:
                self.statement(child)
        last = node.children[-2] if node.child_count > 1 else node
        if last.type == "else_clause":
            behind = checked.passes if _leaves(last.children) else NO_NAMES
        elif last.type != "elif_clause" and node.type == "if_statement" and _leaves(body or ()):
            behind = checked.fails
        self._end_checks(outer | behind, renewed)

    def _for(self, node: Node) -> None:
        name, before = "", self._begin_words()
        values: list[str] = []
        for child in node.children:
            if child.type == "variable_name" and not name:
                name = self._text(child)
            elif child.type in ("do_group", "compound_statement"):
                self.sets.append(self._assigned(name, " ".join(values), node.start_byte, child.start_byte))
                self._end_words(before)
                self.statement(child)
            elif child.is_named and child.type != "comment":
                values.append(self._word(child))

    def _case(self, node: Node) -> None:
        outer, renewed = self._begin_checks()
        name, let_pass, behind = "", True, NO_NAMES
        for child in node.children:
            if child.type != "case_item":
                name = name or find_name(self._text(child))
                if child.child_count:
                    self._look_inside(child)
                continue
            end = next((index for index, one in enumerate(child.children) if one.type == ")"), 0)
            patterns = [self._text(one) for one in child.children[:end] if one.is_named]
            is_plain, leaves = bool(patterns) and all(map(is_word, patterns)), _leaves(child.children[end + 1 :])
            self.plain = (outer - self.renewed) | ({name} if is_plain else NO_NAMES)
            self.statement(child)
            if let_pass and leaves and any(map(finds_other_character, patterns)):
                behind = frozenset((name,))
            let_pass = let_pass and (is_plain or leaves)
        self._end_checks(outer | behind, renewed)

    def _case_item(self, node: Node) -> None:
        behind_pattern = False
        for child in node.children:
            if behind_pattern and child.is_named:
                self.statement(child)
            behind_pattern |= child.type == ")"

    def _function(self, node: Node) -> None:
        outer = self.function
        known = self._begin_checks()
        self.plain = NO_NAMES
        first = len(self.commands)
        redirects = []
        for child in node.children:
            if child.type == "word" and self.function is outer:
                self.function = self._text(child)
            elif child.type.endswith("_redirect"):
                redirects.append(child)
            elif child.is_named:
                self.statement(child)
        self.function = outer
        self._end_checks(*known)
        self._redirect_all(redirects, first)

    def _negated(self, node: Node) -> None:
        first = len(self.commands)
        self._body(node)
        for command in self.commands[first:]:
            command.tested = True

    def _bare_assignment(self, node: Node) -> None:
        before = self._begin_words()
        assignment = self._assignment(node)
        self.sets.append(assignment)  # only now: a substitution's commands took what was set before
        self._end_words(before)

    def _redirected(self, node: Node) -> None:
        body, redirects = None, []
        for child in node.children:
            if child.type.endswith("_redirect"):
                redirects.append(child)
            elif child.is_named:
                body = child
        if body is None:
            for redirect in redirects:
                self._look_inside(redirect)
        elif body.type == "command":
            self._command(body, redirects)
        else:
            first = len(self.commands)
            self.statement(body)
            # The grammar puts what stands behind the last command of `a && b > file` behind all of them.
            last = body
            while last.type in ("list", "pipeline"):
                last = [child for child in last.children if child.is_named and child.type != "comment"][-1]
            begin = self.base + last.start_byte
            while first < len(self.commands) and self.commands[first].start < begin:
                first += 1
            self._redirect_all(redirects, first)

    def _redirect_all(self, redirects: Sequence[Node], first: int) -> None:
        """Redirect the output of all commands from `first`: `{ a; b; } > file`, `while …; done <<EOF`."""
        inner = [command for command in self.commands[first:] if not command.captured]
        if not redirects:
            return
        before = self._begin_words()
        whole = ShellCommand(0, 0, "", "", [], [], untrusted=False)
        pipes: list[Node] = []
        self.body_at = None
        for redirect in redirects:
            self._redirect(redirect, whole, pipes)
        expands, computed = frozenset(self.expands), self.computed
        self._end_words(before)
        if whole.stdin and len(inner) == 1:
            inner[0].stdin, inner[0].stdin_at = whole.stdin, whole.stdin_at
            inner[0].untrusted |= whole.untrusted
            inner[0].reads |= expands
            self._find_document(
                next(i for i in range(first, len(self.commands)) if self.commands[i] is inner[0]), inner[0]
            )
        for command in inner:
            if not command.saved:
                command.writes_to = [*command.writes_to, *whole.writes_to]
                command.saved = whole.saved
            command.receives |= expands
            command.computed |= computed and bool(whole.writes_to)
        if pipes:
            self._behind_heredoc(pipes, first, inner)

    # Simple commands.

    def _simple(self, node: Node) -> None:
        self._command(node, ())

    def _command(self, node: Node, redirects: Sequence[Node]) -> None:
        index = len(self.commands)
        command = self._begin_command(node)
        before = self._begin_words()
        words: list[str] = []
        nodes: list[Node] = []
        pipes: list[Node] = []
        end = node.end_byte
        if node.end_point.row > node.start_point.row:
            self._require_one_line(node)
        for child in node.children:
            kind = child.type
            if kind == "command_name":
                child = child.children[0] if child.child_count else child
                words.append(self._word(child))
                nodes.append(child)
            elif kind == "variable_assignment":
                command.sets.append(self._assignment(child))
            elif kind.endswith("_redirect"):
                for extra in self._redirect(child, command, pipes):
                    words.append(self._word(extra))
                    nodes.append(extra)
            elif kind != "$":  # of `$"..."`
                words.append(self._word(child))
                nodes.append(child)
        self.body_at = None
        for redirect in redirects:
            for extra in self._redirect(redirect, command, pipes):
                words.append(self._word(extra))
                nodes.append(extra)
            end = max(end, _end_of_redirect(redirect))
        skipped = count_prefixes(words)
        if skipped == len(words):
            skipped = 0
        command.sets += _prefix_assignments(words[:skipped])
        command.argv = words[skipped:]
        self._finish_command(command, end, before)
        self._find_inner(index, command, nodes[skipped:])
        if pipes:
            self._behind_heredoc(pipes, index, [command])

    def _require_one_line(self, node: Node) -> None:
        """Require that the words of a command stand on one line, as far as none of them goes over its end."""
        masked = self.reading.masked()
        behind = None
        for child in node.children:
            if behind is not None and child.start_point.row > behind.end_point.row and "heredoc" not in behind.type:
                gap = _LINE_END.search(masked, self.base + behind.end_byte, self.base + child.start_byte)
                if gap is not None:
                    raise _JoinedLinesError(gap.end() - 1)
            behind = child

    def _behind_heredoc(self, pipes: Sequence[Node], first: int, inner: list[ShellCommand]) -> None:
        """Read what goes on behind `<<EOF` on its line: `| b`, `&& b`."""
        for index, node in enumerate(pipes):
            if node.type == "pipeline":
                self._piped([child for child in node.children if child.is_named and child.type != "comment"], inner)
            elif not node.is_named and index + 1 < len(pipes):
                self._joined(first, node.type, pipes[index + 1])

    def _begin_command(self, node: Node) -> ShellCommand:
        start = self.base + node.start_byte
        command = ShellCommand(start, start, "", "", [], [], untrusted=False, function=self.function, plain=self.plain)
        command.sets, self.sets = self.sets, []
        self.commands.append(command)
        return command

    def _finish_command(self, command: ShellCommand, end: int, before: _Words) -> None:
        command.end = self.base + end
        command.text = self.script[command.start : command.end]
        command.program = program_name(command.argv[0])
        command.untrusted |= self.reading.is_untrusted(command.start, command.end)
        if self.expands:
            command.expands = frozenset(self.expands)
        command.reads = command.expands | self.reads if self.reads else command.expands
        command.computed = self.computed
        for kind, inner in self.captured:
            hand_on(command, inner, kind)
        if command.program in ("read", "mapfile", "readarray"):
            for word in command.argv[1:]:
                self._renew(word)
        self._end_words(before)

    def _find_inner(self, index: int, command: ShellCommand, nodes: Sequence[Node]) -> None:
        argv = command.argv
        if len(argv) > 2:
            script = find_script_word(argv)
            if script:
                node = nodes[script]
                start, end = self.base + node.start_byte + 1, self.base + node.end_byte - 1
                as_it_is = node.type == "raw_string"
                inner = Inner(index, argv[script], start, end) if as_it_is else Inner(index, argv[script], pasted=True)
                self.reading.inner.append(inner)
        self._find_document(index, command)

    def _find_document(self, index: int, command: ShellCommand) -> None:
        """Note the here-document of the command that was read as a script, if a shell reads it."""
        if self.body_at and (command.program == "ssh" or runs_stdin(command.argv)):
            self.reading.inner.append(Inner(index, command.stdin, *self.body_at, pasted=self.body_pasted))

    def _declaration(self, node: Node) -> None:
        command = self._begin_command(node)
        before = self._begin_words()
        words = []
        for child in node.children:
            if child.type == "variable_assignment":
                assignment = self._assignment(child)
                command.sets.append(assignment)
                words.append(f"{assignment.name}={assignment.value}")
            elif child.type != "comment":
                words.append(self._word(child))
        command.argv = words
        self._finish_command(command, node.end_byte, before)

    def _test(self, node: Node) -> None:
        if node.children[0].type == "((":
            self._look_inside(node)
            return
        command = self._begin_command(node)
        before = self._begin_words()
        self._look_inside(node)
        command.argv = self._text(node).split()
        self._finish_command(command, node.end_byte, before)
        command.program = node.children[0].type

    # Redirections.

    def _redirect(self, node: Node, command: ShellCommand, pipes: list[Node]) -> Sequence[Node]:
        """Write down a redirection of `command`; return words of its argument list that stand behind it."""
        if node.type == "heredoc_redirect":
            return self._heredoc(node, command, pipes)
        if node.type == "herestring_redirect":
            known = len(self.captured)
            for child in node.children:
                if child.is_named:
                    command.stdin = self._word(child)
            self.captured[known:] = [("process", inner) for _, inner in self.captured[known:]]  # the program reads it
            return ()
        operator, descriptor, words = "", "", []
        for child in node.children:
            if child.type == "file_descriptor":
                descriptor = self._text(child)
            elif not operator and not child.is_named:
                operator = child.type
            else:
                words.append(child)
        if not words:
            return ()
        target = self._word(words[0])
        if ">" in operator and not (operator == ">&" and (target.isdigit() or target == "-")):
            command.writes_to = [*command.writes_to, target]
            if descriptor in ("", "1") and target not in ("/dev/stdout", "/dev/stderr", "/dev/tty", "/dev/fd/1"):
                command.saved = True
        # The grammar takes the 0 of `> a 0>&1` for a word of its own.
        masked = self.reading.masked()
        return [
            word
            for word in words[1:]
            if masked[self.base + word.end_byte : self.base + word.end_byte + 1] not in ("<", ">")
        ]

    def _heredoc(self, node: Node, command: ShellCommand, pipes: list[Node]) -> Sequence[Node]:
        words: list[Node] = []
        body = None
        quoted = False
        for index, child in enumerate(node.children):
            kind = child.type
            if kind == "heredoc_start":
                delimiter = self._text(child)
                quoted = delimiter[0] in "'\"\\"
                if not quoted and not _PLAIN_DELIMITER.match(delimiter):
                    raise _MisreadError  # `cat <<A; b`: the grammar takes `A;` for the delimiter
            elif kind == "heredoc_body":
                body = child
            elif kind.endswith("_redirect"):
                words += self._redirect(child, command, pipes)
            elif kind in ("pipeline", "||", "&&") or (child.is_named and node.field_name_for_child(index) == "right"):
                pipes.append(child)
            elif node.field_name_for_child(index) == "argument":
                words.append(child)
        if body is None:
            return words
        start, end = self.base + body.start_byte, self.base + body.end_byte
        command.stdin, command.stdin_at = self.script[start:end], start
        command.untrusted |= self.reading.is_untrusted(start, end)
        if not quoted:
            self._look_inside(body)
        self.body_at, self.body_pasted = (start, end), not quoted
        return words

    # Assignments and words.

    def _assignment(self, node: Node) -> Assignment:
        children = node.children
        name = self._text(children[0]).partition("[")[0]
        outer, self.expands = self.expands, set()
        reads, self.reads = self.reads, set()
        computed, self.computed = self.computed, False
        value = self._word(children[2]) if len(children) > 2 else ""
        assignment = self._assigned(name, value, node.start_byte, node.end_byte)
        self.expands = outer
        self.reads = reads | assignment.reads
        self.computed |= computed
        if children[1].type == "+=":
            return assignment._replace(reads=assignment.reads | {name})
        return assignment

    def _assigned(self, name: str, value: str, start: int, end: int) -> Assignment:
        untrusted = self.reading.is_untrusted(self.base + start, self.base + end)
        self._renew(name)
        return Assignment(name, value, frozenset(self.expands | self.reads), untrusted, self.computed)

    def _begin_words(self) -> _Words:
        before = self.expands, self.reads, self.computed, self.captured
        self.expands, self.reads, self.computed, self.captured = set(), set(), False, []
        return before

    def _end_words(self, before: _Words) -> None:
        self.expands, self.reads, self.computed, self.captured = before

    def _text(self, node: Node) -> str:
        return self.script[self.base + node.start_byte : self.base + node.end_byte]

    def _word(self, node: Node) -> str:
        """Return a word with its quotes taken off, as far as that needs no running."""
        kind = node.type
        text = self._text(node)
        if kind == "word":
            return _ESCAPED.sub(_unescaped, text) if "\\" in text else text
        if kind == "string":
            return self._string(node, text)
        if kind == "raw_string":
            return text[1:-1]
        if kind == "concatenation":
            return "".join([self._word(child) for child in node.children if child.type != "$"])
        if kind == "ansi_c_string":
            return _ANSI.sub(_ansi_character, text[2:-1]) if "\\" in text else text[2:-1]
        if kind == "translated_string":
            return "".join([self._word(child) for child in node.children if child.is_named])
        if kind != "number":
            self._look_inside(node)
        return text

    def _string(self, node: Node, text: str) -> str:
        if node.child_count > 3 or (node.child_count == 3 and node.children[1].type != "string_content"):
            self._look_inside(node)
        if "\\" not in text:
            return text[1:-1]
        pieces, position = [], 1
        for child in node.children:
            if child.is_named and child.type != "string_content":
                start, end = child.start_byte - node.start_byte, child.end_byte - node.start_byte
                pieces += [_QUOTED_ESCAPE.sub(_unescaped, text[position:start]), text[start:end]]
                position = end
        return "".join([*pieces, _QUOTED_ESCAPE.sub(_unescaped, text[position:-1])])

    def _look_inside(self, node: Node) -> None:
        """Find the variables and substitutions in a node that is no statement."""
        pending = [node]
        while pending:
            node = pending.pop()
            kind = node.type
            if kind == "simple_expansion":
                self._expand(node.children[1])
            elif kind in ("command_substitution", "process_substitution"):
                self._substitution(node, kind)
            elif kind == "variable_name":
                self._expand(node)
            elif node.child_count:
                pending.extend(reversed(node.children))

    def _expand(self, node: Node) -> None:
        name = self._text(node)
        if node.type == "variable_name" and not name[0].isdigit():  # `$1` is an argument
            self.expands.add(name)

    def _substitution(self, node: Node, kind: str) -> None:
        first = len(self.commands)
        before = self._begin_words()
        self.depth += 1
        if self.depth > MAX_NESTING:
            raise _MisreadError
        self._apart(node)
        self.depth -= 1
        expands = self.expands  # of `$(< "$file")`
        self._end_words(before)
        self.computed = True
        self.reads |= expands
        inner = [command for command in self.commands[first:] if not command.captured]
        for command in inner:
            command.captured = True
            self.reads |= command.reads | command.receives
        self.captured.append((kind, inner))


#: What reads a statement, by its node's type.
_STATEMENTS: dict[str, Callable[[_Reader, Node], None]] = {
    "command": _Reader._simple,
    "redirected_statement": _Reader._redirected,
    "pipeline": _Reader._pipeline,
    "list": _Reader._list,
    "if_statement": _Reader._if,
    "elif_clause": _Reader._if,
    "while_statement": _Reader._if,
    "for_statement": _Reader._for,
    "case_statement": _Reader._case,
    "case_item": _Reader._case_item,
    "function_definition": _Reader._function,
    "declaration_command": _Reader._declaration,
    "unset_command": _Reader._declaration,
    "test_command": _Reader._test,
    "negated_command": _Reader._negated,
    "variable_assignment": _Reader._bare_assignment,
    "variable_assignments": _Reader._body,
    "compound_statement": _Reader._body,
    "subshell": _Reader._apart,
    "do_group": _Reader._body,
    "else_clause": _Reader._body,
    "c_style_for_statement": _Reader._body,
}
#: What is known of the words being read: variables, those of substitutions in them, whether there are any, and these.
_Words = tuple[set[str], set[str], bool, list[tuple[str, list[ShellCommand]]]]

_PLAIN_DELIMITER = re.compile(r"[A-Za-z0-9_.!%+,:@^/=\-\[\]{}$*?~#]+\Z")
_ESCAPED = re.compile(r"\\(\r?\n|.|\Z)", re.DOTALL)
_QUOTED_ESCAPE = re.compile(r'\\(\r?\n|["\\$`])')
_ANSI = re.compile(r"\\(x[0-9a-fA-F]{1,2}|u[0-9a-fA-F]{1,4}|[0-7]{1,3}|.)", re.DOTALL)
_ANSI_NAMES = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "e": "\x1b", "f": "\f", "v": "\v"}


def _unescaped(found: re.Match[str]) -> str:
    return "" if found[1][-1:] == "\n" else found[1]


def _ansi_character(found: re.Match[str]) -> str:
    name = found[1]
    if name[0] in "xu" and len(name) > 1:
        return chr(int(name[1:], 16))
    return chr(int(name, 8)) if name[0] in "01234567" else _ANSI_NAMES.get(name, name)


def _prefix_assignments(words: Sequence[str]) -> list[Assignment]:
    """Return what the words in front of a program set, such as the `A=1` of `env A=1 b`."""
    pairs = [word.partition("=") for word in words if "=" in word and word[0] != "-"]
    return [Assignment(name, value, frozenset(_NAMES.findall(value))) for name, _, value in pairs]


_NAMES = re.compile(r"\$\{?([A-Za-z_][A-Za-z0-9_]*)")


def _end_of_redirect(node: Node) -> int:
    """Return where a redirection ends on its line: a here-document's text is no part of the command."""
    if node.type != "heredoc_redirect":
        return node.end_byte
    end = node.start_byte
    for child in node.children:
        if child.type in ("heredoc_body", "pipeline", "||", "&&"):
            break
        end = max(end, child.end_byte)
    return end


def _next_sound(nodes: Sequence[Node], start: int) -> Node | None:
    """Return the first statement from index `start` that was understood."""
    for index in range(start, len(nodes)):
        if nodes[index].is_named and not nodes[index].has_error:
            return nodes[index]
    return None


def _does_nothing(commands: Sequence[ShellCommand]) -> bool:
    """Say whether commands behind `||` succeed without doing anything about the failure."""
    last = commands[-1] if commands else None
    if last is None or last.captured:
        return False
    if last.program in ("exit", "return"):
        return last.argv[1:] == ["0"]
    return last.program in ("true", ":", "echo", "printf")


_LEAVES = frozenset(("exit", "return", "continue"))


def _leaves(nodes: Sequence[Node]) -> bool:
    """Say whether what stands behind these statements is not reached by way of them."""
    statements = [node for node in nodes if node.is_named and node.type != "comment"]
    if not statements:
        return False
    last = statements[-1]
    if last.type == "command":
        name = last.children[0]
        return name.text is not None and name.text.decode() in _LEAVES
    return last.type == "compound_statement" and _leaves(last.children)
