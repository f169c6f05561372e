"""What words of a command mean: which program really runs, and which programs run text as code."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\[[^\]]*\])?\+?=")
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
    "gtimeout": frozenset(("-k", "-s", "--kill-after", "--signal")),
    "nohup": frozenset(),
    "setsid": frozenset(),
    "command": frozenset(),
    "builtin": frozenset(),
    "exec": frozenset(("-a",)),
    "stdbuf": frozenset(("-i", "-o", "-e")),
    "unbuffer": frozenset(),
    "busybox": frozenset(),
    "xvfb-run": frozenset(("-n", "-s", "-e", "-f", "-p", "-w", "--server-args", "--server-num")),
    "coproc": frozenset(),
    "travis_retry": frozenset(),
}
SHELLS = frozenset(("sh", "bash", "dash", "zsh", "ksh", "ash"))
INTERPRETERS = SHELLS | {
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
    "Invoke-Expression",
    "$SHELL",
    "${SHELL}",
}
#: Only mention or search the text they are given.
_MENTION = frozenset(("echo", "printf", "grep", "egrep", "rg", "sed", "awk", "cat", "git", "gh"))


def program_name(word: str) -> str:
    """Return the name of the program that a word names: `/usr/bin/curl` is `curl`."""
    return word.rsplit("/", 1)[-1] if not word.endswith("/") else word


def count_prefixes(words: Sequence[str]) -> int:
    """Return how many words stand before the program that really runs: assignments, `sudo`, `env`, `time`, ..."""
    position = 0
    while position < len(words):
        word = words[position]
        if ASSIGNMENT.match(word):
            position += 1
            continue
        options = _PREFIXES.get(program_name(word))
        if options is None or (word == "command" and not {"-v", "-V"}.isdisjoint(words)):
            break
        after = _after_options(words, position + 1, program_name(word), options)
        if after >= len(words):
            break  # `sudo -l`: the prefix itself is what runs
        position = after
    return position


def strip_prefixes(words: Sequence[str]) -> list[str]:
    """Return a command's words from the program that really runs."""
    return list(words[count_prefixes(words) :])


def _after_options(words: Sequence[str], position: int, prefix: str, with_word: frozenset[str]) -> int:
    while position < len(words):
        word = words[position]
        if word == "--":
            position += 1
            break
        if word.startswith("-") and len(word) > 1:
            position += 2 if word in with_word else 1
        elif prefix in ("env", "sudo") and ASSIGNMENT.match(word):
            position += 1
        else:
            break
    if prefix in ("timeout", "gtimeout"):
        position += 1  # the duration
    return position


#: `-o pipefail`, also behind other letters.
_TAKES_NAME = re.compile(r"[-+][a-zA-Z]*[oO]\Z")


def find_script_word(argv: Sequence[str]) -> int:
    """Return the index of the word that a command hands to a shell as a script (`sh -c`, also behind `docker run`).

    0 where there is none.
    """
    if program_name(argv[0]) in _MENTION:
        return 0
    shell = False
    for index, (option, _) in enumerate(pairwise(argv)):
        if shell and option.startswith("-") and not option.startswith("--") and option.endswith("c"):
            return index + 1
        if program_name(option) in SHELLS:
            shell = True
        elif not option.startswith(("-", "+")) and not (index and _TAKES_NAME.match(argv[index - 1])):
            shell = False
    return 0


def runs_stdin(argv: Sequence[str]) -> bool:
    """Say whether a command runs a shell that reads its script from standard input: `bash`, `docker exec x sh`."""
    for index in range(len(argv) - 1, -1, -1):
        if program_name(argv[index]) in SHELLS:
            return program_name(argv[0]) not in _MENTION
        if not argv[index].startswith("-"):
            return "-s" in argv[:index] and program_name(argv[0]) in SHELLS
    return False
