"""The shell script that runs the commands of a stage in turn, in one sandbox.

It is handed over in two parts. The first sets limits and says that the sandbox stands; the second, the commands, is
sent only when policyd has hold of the sandbox, so nothing of a stage ever runs unwatched.
"""

from __future__ import annotations

import re
import resource
import shlex
from collections.abc import Mapping, Sequence

from policyd.errors import UsageError

#: The first byte a sandbox prints. What comes instead of it was said by the sandbox's own set-up.
READY = b"\x06"

#: Limits of each process of a stage. No limit on address space: compilers and virtual machines reserve far more than
#: they use, and a stage with many processes would pass under it anyway.
_LIMITS = (
    ("-c", resource.RLIMIT_CORE, 0, 512),  # no memory of a stage lands on the disk
    ("-n", resource.RLIMIT_NOFILE, 65_536, 1),
    ("-f", resource.RLIMIT_FSIZE, 64 * 1024**3, 512),  # bytes; the shell counts in blocks
)
_MAX_PROCESSES = 8192
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


def opening_script() -> bytes:
    """Return the first part: limits, or no `READY`; first victim when memory runs out; the usual umask."""
    lines = [f"ulimit {option} {_limit(kind, value) // unit}" for option, kind, value, unit in _LIMITS]
    processes = _limit(resource.RLIMIT_NPROC, _MAX_PROCESSES)
    lines.append(f"{{ ulimit -u {processes} 2>/dev/null || ulimit -p {processes}; }}")  # bash, dash
    lines.append("umask 022")
    victim = "{ echo 1000 >/proc/self/oom_score_adj; } 2>/dev/null\n"
    return (victim + " && ".join(lines) + r" && printf '\006'" + "\n").encode()


def commands_script(argvs: Sequence[Sequence[str]], environment: Mapping[str, str]) -> bytes:
    """Return the second part: `argvs` in turn up to the first that fails, whose exit code is the script's.

    The environment comes with the commands: variables that make a program load or run something (LD_PRELOAD, ENV) must
    not reach the shell itself, which started before them. Raises `UsageError` for a command that can't be one.
    """
    if not argvs:
        raise UsageError("there is no command to run", where="run", fix="name at least one command")
    variables = [f"export {_variable(name)}={_quoted(value)}" for name, value in environment.items()]
    # `exec` never runs a builtin or an alias: an argument list names a program.
    *before, last = (f"exec {_command(argv)} </dev/null" for argv in argvs)
    commands = [*(f'({command}) || exit "$?"' for command in before), last]
    # The braces make the shell read all of it before it starts any of it: half a script runs nothing.
    return "\n".join(("{", *variables, *commands, "}", "")).encode()


def _command(argv: Sequence[str]) -> str:
    if not argv or not argv[0]:
        raise UsageError("a command names no program", where="run", fix="name a program first")
    joined = " ".join(_quoted(argument) for argument in argv)
    # A program called `-x` would be an option of exec; a path never is.
    return f"./{joined}" if argv[0].startswith("-") else joined


def _variable(name: str) -> str:
    if not _VARIABLE.fullmatch(name):
        raise UsageError(f"{name!a} can't be a variable", where="env", fix="use letters, digits and underscores")
    return name


def _quoted(text: str) -> str:
    if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise UsageError(
            f"no program can be given this text: {text[:80]!a}",
            where="run or env",
            fix="use no NUL character and no half of a surrogate pair",
        )
    return shlex.quote(text)


def _limit(kind: int, value: int) -> int:
    """Never above what policyd itself was given."""
    hard = resource.getrlimit(kind)[1]
    return value if hard == resource.RLIM_INFINITY else min(value, hard)
