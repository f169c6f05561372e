"""What code of an interpreter does: Python, JavaScript and Ruby.

No such language is parsed here. What counts is a call that runs or prints text and, among its arguments and outside of
plain quotes, a variable that holds an outsider's text or a secret, or what was set from one; and a call that starts a
program which installs packages by name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from policyd.pipeline.effects.found import FoundEffect
from policyd.pipeline.effects.installs import find_unlocked_install
from policyd.pipeline.effects.seen import Seen

MAX_CALLS = 200  # looked at in one script
MAX_CALL = 600  # characters of a call's arguments
MAX_NAMES = 50  # variables that are followed
_RUNS = re.compile(
    r"(?<![\w.])(?P<code>eval|exec|os\.(?:system|popen)|(?:subprocess\.)?(?:getoutput|getstatusoutput)|new Function"
    r"|(?:[\w.]{1,40}\.|\)\.)?execSync|(?:child_process|cp)\.exec|system)\s?\("
    r"|(?<![\w.])(?P<process>(?:subprocess\.(?:run|call|check_call|check_output|Popen)|Popen|check_output"
    r"|(?:child_process\.|cp\.)?(?:spawn|spawnSync)|exec\.(?:exec|getExecOutput)|asyncio\.create_subprocess_shell))\s?\("
)
_WITH_SHELL = re.compile(
    r"shell\s*[=:]\s*(?:True|true)|\[\s*[\"'](?:/bin/)?(?:ba|z|da)?sh[\"']\s*,\s*[\"']-\w*c[\"']"
    r"|[\"'](?:/bin/)?(?:ba|z|da)?sh[\"']\s*,\s*\[\s*[\"']-\w*c[\"']"
)
#: What `actions/github-script` finds in the event that an outsider writes.
_PAYLOAD = re.compile(
    r"context\.payload\??\.(?:comment|issue|review|pull_request|discussion|head_commit)!?\??\.(?:body|title|message|head\??\.(?:ref|label))\b"
)
_QUOTED = re.compile(r"shlex\.quote\([^()]{0,200}\)|Shellwords\.escape\([^()]{0,200}\)")
_PRINTS = re.compile(
    r"(?<![\w.])(?:p?print|sys\.std(?:out|err)\.write|(?:logging|logger|log)\.(?:debug|info|warning|error|critical)"
    r"|console\.(?:log|error|info|warn|debug))\s?\("
)
#: What tells of a secret without telling it.
_TELLS_LITTLE = re.compile(
    r"(?<![\w.])(?:len|bool|type|hash|Boolean)\s?\([^()]{0,200}(?:\([^()]{0,100}\)[^()]{0,100})?\)"
)
_ASSIGNED = re.compile(r"^[ \t]*(?:const |let |var )?[ \t]*([A-Za-z_]\w*)[ \t]*=(?!=)([^\n]{1,300})", re.M)
_TEXT = re.compile(
    r"(?P<prefix>[fF]?)(?P<quote>\"\"\"|'''|[\"'`])(?P<inside>(?:\\.|(?!(?P=quote))[^\\]){0,600})(?P=quote)", re.S
)
_FILLED_IN = re.compile(r"\{([^{}]{1,200})\}")
#: Words of a command in a call's arguments: texts, and what stands there by name. What is named `x=` ends them.
_WORD = re.compile(rf"(?P<option>\b\w+\s?=(?!=))|{_TEXT.pattern}|(?P<name>[A-Za-z_][\w.]*)", re.S)
_INSTALLS = re.compile(r"\b(?:install|i|add)\b")


def find_code_evaluation(seen: Seen) -> Iterator[FoundEffect]:
    """Yield calls of inline code that run an outsider's text as code."""
    read = _reads(seen.known_tainted)
    code = _code_of(seen, seen.known_tainted)
    if seen.program == "javascript" and _PAYLOAD.search(seen.command.stdin):
        code = seen.command.stdin
        read = re.compile(f"{read.pattern}|{_PAYLOAD.pattern}") if seen.known_tainted else _PAYLOAD
    if not code:
        return
    holders = _holders(code, read)
    for call in _calls(_RUNS, code):
        arguments = _QUOTED.sub("", _arguments(code, call.end()))
        if call["process"] and "create_subprocess_shell" not in call[0] and not _WITH_SHELL.search(arguments):
            continue
        if read.search(arguments) or _uses(arguments, holders):
            found = seen.found("evaluates", call[0].rstrip("( "), untrusted=True)
            yield seen.in_document(found, call.start()) if seen.command.stdin else found


def find_code_print(seen: Seen) -> Iterator[FoundEffect]:
    """Yield calls of inline code that print what was set from a secret."""
    code = _code_of(seen, seen.known_secrets)
    holders = _holders(code, _reads(seen.known_secrets)) if code else set()
    for call in _calls(_PRINTS, code) if holders else ():
        if _uses(_TELLS_LITTLE.sub("", _arguments(code, call.end())), holders):
            found = seen.found("secret-print", call[0].rstrip("( "), secret=True, confidence="medium")
            yield seen.in_document(found, call.start()) if seen.command.stdin else found


def find_code_install(seen: Seen) -> Iterator[FoundEffect]:
    """Yield packages that inline code installs by name, by the program that it starts for it."""
    code = seen.command.stdin or seen.command.text
    if _INSTALLS.search(code) is None:
        return
    for call in _calls(_RUNS, code):
        words = _words(_arguments(code, call.end()))
        if len(words) < 3:
            continue
        inner = replace(seen, command=replace(seen.command, argv=words), wrapper="")
        for found in find_unlocked_install(inner):
            said = replace(found, program=inner.program)
            yield seen.in_document(said, call.start()) if seen.command.stdin else said


def _words(arguments: str) -> list[str]:
    """Return the words of the command that a call starts; what is no plain text becomes a variable."""
    words: list[str] = []
    for found in _WORD.finditer(arguments):
        if found["option"]:
            break
        if found["name"] in ("f", "r", "b"):
            continue
        if found["name"]:
            name = found["name"]
            words.append("python" if name == "sys.executable" else f"${name.rpartition('.')[2]}")
        else:
            text = _FILLED_IN.sub(lambda one: f"${one[1]}", found["inside"]) if found["prefix"] else found["inside"]
            # The first text may be the whole command, for a shell.
            words += text.split() if not words else [text]
    return words


def _code_of(seen: Seen, names: frozenset[str]) -> str:
    """Return the code, "" where it reads none of these variables by any chance."""
    code = seen.command.stdin or seen.command.text
    reads = "environ" in code or "getenv" in code or "process.env" in code or "ENV" in code
    return code if names and reads else ""


def _reads(names: frozenset[str]) -> re.Pattern[str]:
    """Return what reads one of these variables of the environment."""
    alternatives = "|".join(re.escape(name) for name in sorted(names)[:MAX_NAMES])
    return re.compile(rf"(?:environ|getenv|process\.env|ENV)[^\n;]{{0,8}}?[\[(.'\"]{{1,3}}(?:{alternatives})\b")


def _holders(code: str, read: re.Pattern[str]) -> set[str]:
    """Return the variables of the code that are set from what is read."""
    return {found[1] for found in _ASSIGNED.finditer(code) if read.search(_TELLS_LITTLE.sub("", found[2]))}


def _calls(pattern: re.Pattern[str], code: str) -> Iterator[re.Match[str]]:
    """Yield what the pattern finds, as far as it is looked at."""
    for count, call in enumerate(pattern.finditer(code)):
        if count >= MAX_CALLS:
            return
        yield call


def _uses(arguments: str, holders: set[str]) -> bool:
    """Say whether one of these variables is among the arguments of a call, or is filled in into one."""
    values = _TEXT.sub(_filled_in, arguments)
    return any(re.search(rf"(?<![\w.]){re.escape(one)}\b(?!\s?=)", values) for one in sorted(holders)[:MAX_NAMES])


def _arguments(code: str, start: int) -> str:
    """Return what stands between the parentheses of a call, as far as they are balanced."""
    depth = 1
    end = min(len(code), start + MAX_CALL)
    for index in range(start, end):
        if code[index] == "(":
            depth += 1
        elif code[index] == ")":
            depth -= 1
            if depth == 0:
                return code[start:index]
    return code[start:end]


def _filled_in(text: re.Match[str]) -> str:
    """Return what is filled in into a text of the language, and nothing of the text itself."""
    fills = text["prefix"] or text["quote"] == "`" or "#{" in text["inside"]
    return f" {' '.join(_FILLED_IN.findall(text['inside']))} " if fills else " "
