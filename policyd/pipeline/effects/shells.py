"""Text that is run as code, and shells handed to the network."""

from __future__ import annotations

import re
from collections.abc import Iterator

from policyd.pipeline.effects.downloads import how_it_runs
from policyd.pipeline.effects.found import FoundEffect
from policyd.pipeline.effects.seen import Seen
from policyd.pipeline.effects.tables import words
from policyd.pipeline.effects.values import NAMES_CHANGED, names_secret
from policyd.pipeline.shell import SHELLS, TAKES_CODE, program_name

_VARIABLE = re.compile(
    r"\$(?:\{[A-Za-z_][A-Za-z0-9_]*\}|[A-Za-z_][A-Za-z0-9_]*|env:[A-Za-z_][A-Za-z0-9_]*|\{env:[A-Za-z_][A-Za-z0-9_]*\}|[@*0-9])\Z",
    re.I,
)
_PARAMETER = re.compile(r"\$\{?[@*0-9]\}?\Z")
_LANGUAGES = words(
    """
    python perl ruby node php pwsh powershell deno bun
    """
)
_CODE_OPTION = re.compile(r"-[a-zA-Z]*c|-e|-E|-r|--eval|-p|--print|-Command|-command|-EncodedCommand|-enc\Z")
_EVALUATES = frozenset(("eval", "iex", "Invoke-Expression", "invoke-expression"))
_READS_PROGRAMS = frozenset(("python", "python3", "perl", "ruby", "node"))
_RUNS_INPUT = SHELLS | _READS_PROGRAMS | {"iex", "Invoke-Expression", "at"}
_REACHES_SHELL = frozenset(("ssh", "su", "trap", "docker", "podman", "kubectl", "watch", "parallel"))
_NETCAT = frozenset(("nc", "ncat", "netcat", "nc.traditional", "nc.openbsd"))
_SHELL_WORD = re.compile(r"(?:^|[/=:\"'])(?:ba|da|z|k|a|c)?sh\b|^cmd(?:\.exe)?\Z|powershell", re.I)
_NETWORK = re.compile(r"/dev/(?:tcp|udp)/")
_INTERACTIVE = re.compile(r"sh[ \t]+-[a-z]{0,8}i[a-z]{0,8}\b")
_DESCRIPTOR = re.compile(r"[<>]&[0-9]")
_SHELL_AT_END = re.compile(r"sh(?:\s|\Z)")
_SOCKET_SHELL = re.compile(
    r"dup2|pty\.spawn|exec[ \t(]+[\"']/bin/(?:ba)?sh|spawn\([\"'](?:/bin/)?(?:ba)?sh|TCPClient", re.I
)
#: In PowerShell: text from a connection that is run.
_RUNS_WHAT_COMES = re.compile(r"\b(?:iex|Invoke-Expression|Start-Process|cmd(?:\.exe)?\s+/c)\b", re.I)
NETWORKED = {"New-Object"} | _NETCAT | _LANGUAGES | _EVALUATES | SHELLS | {"exec", "socat"}
TRACED = SHELLS | {"set", "Set-PSDebug"}
_MENTIONS = frozenset(("echo", "printf", "grep", "egrep", "rg", "cat"))


def find_evaluation(seen: Seen) -> Iterator[FoundEffect]:
    """Yield text of variables that a command runs as code."""
    command, argv = seen.command, seen.command.argv
    program = seen.program
    if program in _EVALUATES and len(argv) > 1:
        text = " ".join(argv[1:])
        if seen.command.function and _PARAMETER.match(text) and not seen.untrusted:
            return  # `run() { eval "$@"; }` runs what the script itself hands it
        name = text if _VARIABLE.match(text) else ""
        if _names(text) & seen.files:
            yield seen.found("evaluates", text[:80], untrusted=True)
        elif name or seen.untrusted or seen.computed or _names(text) & seen.downloaded:
            yield from _evaluated(seen, text, is_plain=bool(name))
    elif command.pasted and seen.tainted:
        # The shell that handed this script on filled the text in, so this one reads it as script.
        yield seen.found("evaluates", command.text[:80], untrusted=True)
    elif program in SHELLS or program in _LANGUAGES or argv in (["source", "/dev/stdin"], [".", "/dev/stdin"]):
        yield from _interpreter(seen)
    elif program == "cmd" and seen.tainted and not {"/c", "/k", "/C", "/K"}.isdisjoint(argv):
        yield seen.found("evaluates", " ".join(argv[2:])[:80], untrusted=True)
    elif seen.tainted and "[scriptblock]::create(" in command.text.lower():
        yield seen.found("evaluates", command.text[:80], untrusted=True)
    elif program in _EVALUATES and command.fed_by.startswith("$") and command.receives & seen.known_tainted:
        yield seen.found("evaluates", command.fed_by, untrusted=True)  # `$text | iex`
    elif command.called and command.expands and _VARIABLE.match(argv[0]) and _names(argv[0]) & seen.known_tainted:
        yield seen.found("evaluates", argv[0])
    elif seen.shell == "cmd" and seen.tainted:
        # cmd puts the value in before it looks at the line.
        yield seen.found("evaluates", f"%{min(seen.tainted)}%")
    else:
        yield from _handed_on(seen)


def _interpreter(seen: Seen) -> Iterator[FoundEffect]:
    args = seen.args if seen.wrapper == "xargs" else seen.command.argv[1:]
    for index, word in enumerate(args[:-1]):
        if _CODE_OPTION.fullmatch(word):
            code = args[index + 1]
            if seen.wrapper == "xargs" and _placeholder(seen) in code and _is_handed_text(seen):
                yield seen.found("evaluates", code[:80], untrusted=True)
            elif _VARIABLE.match(code):
                yield from _evaluated(seen, code, is_plain=True)
            elif _names(code) & (seen.tainted | seen.files) or seen.command.untrusted:
                yield seen.found("evaluates", code[:80], untrusted=True)
            return
        if not word.startswith("-"):
            break
    stdin = seen.command.stdin
    if stdin and stdin != seen.command.text:  # a script in another language is its own input
        tainted = _names(stdin) & seen.known_tainted & seen.command.reads
        if tainted and seen.command.stdin_at >= 0:
            # Of a shell's document the commands in it tell.
            if seen.program not in SHELLS:
                yield _at_first(seen, tainted, seen.found("evaluates", stdin.strip()[:80], untrusted=True))
        elif tainted or seen.command.untrusted:
            yield seen.found("evaluates", stdin.strip()[:80], untrusted=True)
        elif _VARIABLE.match(stdin.strip()):
            yield from _evaluated(seen, stdin.strip(), is_plain=True)


def _is_handed_text(seen: Seen) -> bool:
    """Say whether the words that `xargs` reads are an outsider's: texts, or names of files that a change brings."""
    given = seen.command.receives | _names(seen.command.stdin)
    if not given.isdisjoint(seen.known_tainted):
        return True
    for command in reversed(seen.before()[-4:]):
        if not command.pipes_to:
            return False
        if command.program == "git":
            return NAMES_CHANGED.search(command.text) is not None
    return False


def _placeholder(seen: Seen) -> str:
    """Return what `xargs` replaces in the words of its command: `{}`, unless it is told something else."""
    for index, word in enumerate(seen.command.argv[:-1]):
        if word.startswith("-I"):
            return word[2:] or seen.command.argv[index + 1]
    return "{}"


def _at_first(seen: Seen, names: frozenset[str], found: FoundEffect) -> FoundEffect:
    """Return the effect at the line of the here-document where the first of these variables stands."""
    place = next((one.start() for one in _USED.finditer(seen.command.stdin) if one[1] in names), None)
    return found if place is None else seen.in_document(found, place)


def _handed_on(seen: Seen) -> Iterator[FoundEffect]:
    command = seen.command
    runs_output = command.pipes_to in _RUNS_INPUT or (command.captured and command.pipes_to in TAKES_CODE)
    if runs_output and seen.program in ("echo", "printf", "cat", "Write-Output"):
        text = " ".join(command.argv[1:]) or command.stdin
        if command.pipes_to in _READS_PROGRAMS and not _reads_program(seen):
            return
        names = _names(text)
        if seen.untrusted and (names & seen.known_tainted or command.untrusted):
            yield _at_first(seen, names, seen.found("evaluates", text[:80], untrusted=True))
        elif _VARIABLE.match(text):
            yield from _evaluated(seen, text, is_plain=True)
    elif seen.untrusted and command.saved and seen.program in ("echo", "printf", "cat"):
        text = " ".join(command.argv[1:])
        tainted = _names(text + command.stdin) & seen.known_tainted
        if tainted and any(how_it_runs(seen, file) == "run" for file in command.writes_to):
            found = seen.found("evaluates", (text or command.stdin.strip())[:80], untrusted=True)
            yield found if _names(text) & tainted else _at_first(seen, tainted, found)
    elif seen.tainted and seen.program in _REACHES_SHELL:
        code = command.argv[-1]
        if seen.program in ("parallel", "trap"):
            code = " ".join(command.argv[1:])
        elif seen.program == "su":
            code = seen.value("-c", "--command") or ""
        remote = seen.program in ("ssh", "su", "trap", "parallel") or any(
            program_name(word) in SHELLS for word in command.argv
        )
        if remote and frozenset(_USED_OR_HANDED.findall(code)) & seen.known_tainted:
            yield seen.found("evaluates", code[:80], untrusted=True)


def _reads_program(seen: Seen) -> bool:
    for other in seen.after():
        if other.fed_by:
            return len(other.argv) == 1 or other.argv[1] == "-"
    return False


def _evaluated(seen: Seen, text: str, *, is_plain: bool) -> Iterator[FoundEffect]:
    names = _names(text)
    tainted = bool(names & seen.known_tainted) or seen.command.untrusted
    if names and names <= seen.literal and not seen.untrusted:
        return
    if names & seen.downloaded:
        yield seen.found("download-run", text)
        if not tainted:
            return
    made = not is_plain and not tainted
    yield seen.found(
        "evaluates",
        text[:80],
        untrusted=tainted or bool(seen.tainted),
        computed=made or seen.computed,
        confidence="high" if tainted or seen.tainted else "low" if made else "medium",
    )


def _names(text: str) -> frozenset[str]:
    return frozenset(_USED.findall(text))


_USED_OR_HANDED = re.compile(r"\$\{?(?:env:)?([A-Za-z_][A-Za-z0-9_]*|[1-9@*])")
_USED = re.compile(r"\$\{?(?:env:)?([A-Za-z_][A-Za-z0-9_]*)")


def find_reverse_shell(seen: Seen) -> Iterator[FoundEffect]:
    """Yield shells whose input and output is the network. Waiting for a port (`< /dev/tcp/db/5432`) is none."""
    command = seen.command
    if seen.program in _MENTIONS and not command.pipes_to:
        return
    text = command.text
    if "/dev/" in text and _joins_shell(text):
        yield seen.found("reverse-shell", seen.program)
    elif seen.program == "New-Object":
        if "tcpclient" in text.lower() and any(_RUNS_WHAT_COMES.search(other.text) for other in seen.after()):
            yield seen.found("reverse-shell", seen.program)
    elif seen.program == "exec" and re.search(r"/dev/(?:tcp|udp)/", text):
        if any(other.program in SHELLS or other.argv[0][:1] == "$" for other in seen.after()):
            yield seen.found("reverse-shell", seen.program)
    elif seen.program in _NETCAT:
        runs = any(re.match(r"(?:-[a-z]*[ec]|--exec|--sh-exec)(?:=.*)?\Z", word) for word in seen.args)
        if (
            (runs and any(_SHELL_WORD.search(word) for word in seen.args))
            or command.pipes_to in SHELLS
            or (command.fed_by in SHELLS)
        ):
            yield seen.found("reverse-shell", seen.program)
    elif seen.program == "socat":
        if any(re.match(r"(?:exec|system):", word, re.I) for word in seen.args) and re.search(
            r"(?:tcp|udp|openssl|ssl)[0-9a-z-]*:", text, re.I
        ):
            yield seen.found("reverse-shell", seen.program)
    elif seen.program in _LANGUAGES or seen.program in _EVALUATES:
        code = text + command.stdin
        if (
            re.search(r"socket|TCPClient", code, re.I)
            and _SOCKET_SHELL.search(code)
            and ("sh" in code or "iex" in code)
        ):
            yield seen.found("reverse-shell", seen.program)


def _joins_shell(text: str) -> bool:
    """Say whether a shell reads from or writes to a connection that bash opens."""
    network = _NETWORK.search(text)
    if network is None:
        return False
    if _INTERACTIVE.search(text):
        return True
    descriptor = _DESCRIPTOR.search(text, network.end())
    return descriptor is not None and _SHELL_AT_END.search(text, descriptor.end()) is not None


def _traced(seen: Seen) -> str:
    """Return the secret that is filled in into one of the commands which are printed; "" if there is none."""
    for command in seen.after():
        if command.program == "set" and any(re.match(r"\+[a-zA-Z]*x", word) for word in command.argv[1:]):
            break
        if not command.pasted:
            if seen.known_secrets & command.expands:
                return min(seen.known_secrets & command.expands)
            if names_secret(command.text):
                return "a secret"
    return ""


def _when_asked(seen: Seen) -> bool:
    """Say whether a command runs only where a variable asks for it: `[ -n "$TRACE" ] && set -x`."""
    asked = seen.before()[-1:]
    return bool(asked) and asked[0].program in ("[", "[[", "test") and any(map(_SWITCH.search, asked[0].reads))


_SWITCH = re.compile(r"TRACE|DEBUG|VERBOSE", re.I)


def find_trace(seen: Seen) -> Iterator[FoundEffect]:
    """Yield tracing, which prints every command with its variables filled in."""
    args = seen.command.argv[1:]
    if seen.program == "set" and args:
        if re.match(r"-[a-zA-Z]*x", args[0]) or "xtrace" in args:
            shown = _traced(seen)
            if shown and _when_asked(seen):
                return
            if shown:
                yield seen.found("secret-print", shown, secret=True, confidence="medium")
            else:
                yield seen.found("debug", "set -x", secret=bool(seen.known_secrets))
    elif seen.program in SHELLS and args and re.match(r"-[a-z]*x[a-z]*\Z", args[0]):
        yield seen.found("debug", f"{seen.program} -x", secret=bool(seen.known_secrets))
    elif seen.program == "Set-PSDebug" and seen.value("-Trace") not in (None, "0"):
        yield seen.found("debug", "Set-PSDebug -Trace", secret=bool(seen.known_secrets))
