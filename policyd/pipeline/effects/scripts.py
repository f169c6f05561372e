"""What the commands of a script do, one by one and together: variables are followed through it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from policyd.pipeline.effects import installs, shells, signatures, transport
from policyd.pipeline.effects.arguments import find_argument
from policyd.pipeline.effects.calls import Bodies, find_bodies, find_called_download
from policyd.pipeline.effects.code import find_code_evaluation, find_code_install, find_code_print
from policyd.pipeline.effects.containers import IMAGE_TOOLS, find_engine_use
from policyd.pipeline.effects.credentials import find_credential
from policyd.pipeline.effects.downloads import (
    FETCHERS,
    find_clone,
    find_download,
    find_inline_download,
    find_insecure_url,
    find_powershell_download,
    verifies,
)
from policyd.pipeline.effects.environment_files import find_environment_write
from policyd.pipeline.effects.failures import find_ignored_failure
from policyd.pipeline.effects.found import FoundEffect
from policyd.pipeline.effects.parameters import NOTHING_HANDED, find_handed, note_parameters
from policyd.pipeline.effects.purposes import find_purpose
from policyd.pipeline.effects.secrets import find_secret_use
from policyd.pipeline.effects.seen import Seen
from policyd.pipeline.effects.shells import find_evaluation
from policyd.pipeline.effects.tables import words
from policyd.pipeline.effects.values import Values
from policyd.pipeline.effects.variables import find_switches
from policyd.pipeline.effects.workspace import find_workspace_run
from policyd.pipeline.shell import ShellCommand

MAX_EFFECTS = 64  # of one command: more are as many packages or assignments in a row
_Finder = Callable[[Seen], Iterator[FoundEffect]]
#: Asked of every command.
_FINDERS: tuple[_Finder, ...] = (
    find_environment_write,
    find_secret_use,
    find_credential,
    find_evaluation,
    find_workspace_run,
    find_purpose,
)
_CODE_PROGRAMS = words("python node ruby perl php deno iex Invoke-Expression pwsh powershell")


def _by_program() -> dict[str, tuple[_Finder, ...]]:
    """Return for each program what else is asked of it."""
    asked: dict[str, tuple[_Finder, ...]] = {}
    for programs, finder in (
        (installs.PROGRAMS, installs.find_unlocked_install),
        (transport.PROGRAMS, transport.find_tls_off),
        (signatures.PROGRAMS, signatures.find_signature_off),
        (shells.NETWORKED, shells.find_reverse_shell),
        (shells.TRACED, shells.find_trace),
        (FETCHERS, find_download),
        (frozenset(("git",)), find_clone),
        (IMAGE_TOOLS, find_engine_use),
        (_CODE_PROGRAMS, transport.find_tls_off_in_code),
        (_CODE_PROGRAMS, find_inline_download),
        (_CODE_PROGRAMS | {"javascript"}, find_code_evaluation),
        (_CODE_PROGRAMS, find_code_print),
        (_CODE_PROGRAMS, find_code_install),
    ):
        for program in programs:
            asked[program] = (*asked.get(program, ()), finder)
    return asked


_BY_PROGRAM = _by_program()
_POWERSHELLS = frozenset(("pwsh", "powershell"))
#: What looks like an assignment of a variable of the environment in what is written to a file of variables.
_ASSIGNED = re.compile(r"(?:^|[\s'\"])([A-Z_][A-Z0-9_]*)=([^\s'\"]*)")


@dataclass(frozen=True, slots=True)
class CommandEffects:
    """What one command does, and the variables it reads that hold an outsider's text or a secret, sorted."""

    effects: list[FoundEffect]
    reads_untrusted: list[str]
    reads_secrets: list[str]


def find_script_effects(
    commands: Sequence[ShellCommand],
    *,
    shell: str = "bash",
    tainted: frozenset[str] = frozenset(),
    secrets: frozenset[str] = frozenset(),
    literal: frozenset[str] = frozenset(),
    paths: frozenset[str] = frozenset(),
) -> list[CommandEffects]:
    """Return what each command of a script does, in their order.

    `tainted` and `secrets` are variables of the environment with an outsider's text or a secret, `literal` those whose
    value the pipeline writes out, `paths` those secrets that are paths of files.
    """
    handed = find_handed(commands, tainted, secrets)
    if handed:
        note_parameters(commands, handed)
    values = Values(tainted, secrets, literal, paths)
    bodies = find_bodies(commands)
    if bodies:
        values.checkers = frozenset(name for name, body in bodies.items() if any(map(verifies, body)))
    found = []
    known: set[tuple[str, str]] = set()  # what is said of the place of the command before
    for index, command in enumerate(commands):
        if handed:
            values.enter(*handed.get(command.function, NOTHING_HANDED))
        one = _look(command, index, commands, shell, values, bodies)
        if command.function in bodies and any(effect.kind == "download-run" for effect in one.effects):
            del bodies[command.function]  # it tells by itself, and its calls need not
        if index == 0 or commands[index - 1].start != command.start:
            known = set()
        elif one.effects:
            # `bash -c "$X"`: the script in the script stands in the same place and says the same.
            one.effects[:] = [effect for effect in one.effects if _said(effect) not in known]
        known |= {_said(effect) for effect in one.effects}
        found.append(one)
    return found


def _said(effect: FoundEffect) -> tuple[str, str]:
    # Of text that is run one place says it once, whichever shell reads it.
    return effect.kind, "" if effect.kind == "evaluates" else effect.detail


def find_command_effects(
    command: ShellCommand, *, tainted: frozenset[str] = frozenset(), secrets: frozenset[str] = frozenset()
) -> Iterator[FoundEffect]:
    """Yield what a single command does; otherwise as `find_script_effects`."""
    yield from find_script_effects([command], tainted=tainted, secrets=secrets)[0].effects


def _look(
    command: ShellCommand,
    index: int,
    commands: Sequence[ShellCommand],
    shell: str,
    values: Values,
    bodies: Bodies,
) -> CommandEffects:
    if command.sets:
        values.before(command)
    reads = command.reads - command.plain if command.plain else command.reads
    known_tainted = values.tainted - command.plain if command.plain else values.tainted
    seen = Seen(
        command,
        index,
        commands,
        shell,
        tainted=reads & values.tainted,
        secrets=command.reads & values.secrets,
        known_tainted=known_tainted,
        known_secrets=values.secrets,
        downloaded=values.downloaded,
        checkers=values.checkers,
        files=values.files,
        paths=values.paths,
        literal=values.literal,
        computed=command.computed or bool(reads & values.computed),
    )
    effects: list[FoundEffect] = []
    for finder in _FINDERS:
        effects += finder(seen)
    for finder in _BY_PROGRAM.get(seen.program, ()):
        effects += finder(seen)
    if command.program in bodies:
        effects += find_called_download(seen, bodies)
    if seen.wrapper and seen.program not in installs.PROGRAMS:
        effects += installs.find_unlocked_install(seen)
    if "/dev/" in command.text and seen.program not in shells.NETWORKED:
        effects += shells.find_reverse_shell(seen)
    if "://" in command.text:
        effects += find_insecure_url(seen)
    if command.untrusted and not seen.tainted and command.receives.isdisjoint(known_tainted):
        # That the CI system itself pastes an outsider's text into it is said of the expression.
        effects = [effect for effect in effects if effect.kind != "evaluates"]
    if seen.tainted and not any(effect.kind == "evaluates" for effect in effects):
        effects += find_argument(seen)
    if shell in _POWERSHELLS and seen.program not in _CODE_PROGRAMS:
        effects += transport.find_tls_off_in_code(seen)
        effects += find_powershell_download(seen)
    if command.sets or effects:
        effects += _find_set_variables(seen, effects)
        effects += find_ignored_failure(seen, effects)
    elif command.ignored:
        effects += find_ignored_failure(seen, effects)
    values.after(command)
    del effects[MAX_EFFECTS:]
    return CommandEffects(effects, sorted(seen.tainted), sorted(seen.secrets))


def _find_set_variables(seen: Seen, done: Sequence[FoundEffect]) -> Iterator[FoundEffect]:
    """Yield what variables do that a command is given, sets, or writes for later steps."""
    pairs = [(one.name, one.value) for one in seen.command.sets]
    if any(effect.kind == "environment-write" and effect.detail == "GITHUB_ENV" for effect in done):
        text = f"{' '.join(seen.command.argv[1:])}\n{seen.command.stdin}"
        pairs += _ASSIGNED.findall(text)
    to_file = any(name == "TF_LOG_PATH" for name, _ in pairs)
    for name, value in pairs:
        for effect in find_switches(name, value):
            if effect.kind == "debug" and to_file:
                continue
            yield seen.found(effect.kind, effect.detail, confidence=effect.confidence)
