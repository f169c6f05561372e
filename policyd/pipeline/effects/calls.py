"""Downloads made by a function of the script: `fetch URL file`, where `fetch` wraps curl, and the file is run later.

Inside of the function nothing says what is fetched and where it goes: the call does. So the commands of the function
are looked at once more for each call, with its words in place of `$1`, `$2` and the variables made of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from policyd.pipeline.effects.downloads import FETCHERS, find_download
from policyd.pipeline.effects.found import FoundEffect
from policyd.pipeline.effects.seen import Seen
from policyd.pipeline.shell import ShellCommand

MAX_DEPTH = 3  # functions that call functions
MAX_LOOKS = 2_000  # a script has some ten calls; functions that call each other multiply
MAX_BODY = 50  # commands of a function that are looked at
MAX_WORD = 1_000  # characters: `a=$1$1; b=$a$a; …` doubles
MAX_PREFIX = 4  # words of a call in front of the program that a function is told to run: `retry 3 5 curl`
_ALL = frozenset(("$@", "$*", "${@}"))
_USED = re.compile(r"\$(?:\{([A-Za-z_][A-Za-z0-9_]*|[1-9])(?::[-?][^{}]*)?\}|([A-Za-z_][A-Za-z0-9_]*|[1-9]))")


class Bodies(dict[str, list[ShellCommand]]):
    """The commands of each function. `left` bounds how many are looked at for calls, in the whole script."""

    left = MAX_LOOKS


def find_bodies(commands: Sequence[ShellCommand]) -> Bodies:
    """Return the commands of the functions of a script, none where nothing in the script fetches or no function is."""
    bodies = Bodies()
    for command in commands:
        if command.function:
            body = bodies.setdefault(command.function, [])
            if len(body) < MAX_BODY:
                body.append(command)
    if bodies and any(not FETCHERS.isdisjoint(command.argv[:MAX_PREFIX]) for command in commands):
        return bodies
    return Bodies()


def find_called_download(seen: Seen, bodies: Bodies) -> Iterator[FoundEffect]:
    """Yield what a call fetches that is run later and that nothing verified."""
    if seen.command.function:
        return  # the call of the outer function tells
    for found in _fetched(seen, seen.command, bodies, MAX_DEPTH):
        yield seen.found("download-run", found.detail, confidence="medium")
        return


def _fetched(seen: Seen, call: ShellCommand, bodies: Bodies, depth: int) -> Iterator[FoundEffect]:
    body = bodies.get(call.program, ())
    if not depth or call.program in seen.checkers:
        return
    fetcher = next((index for index, word in enumerate(call.argv[:MAX_PREFIX]) if word in FETCHERS), 0)
    if fetcher and any(command.argv[0] in _ALL for command in body):
        run = replace(call, argv=call.argv[fetcher:], program=call.argv[fetcher])
        yield from find_download(replace(seen, command=run))
        return
    given = {str(position): word for position, word in enumerate(call.argv[1:10], start=1)}
    for command in body:
        bodies.left -= 1
        if bodies.left < 0:
            return
        for one in command.sets:
            if not one.computed:
                given[one.name] = _filled(one.value, given)
        if command.program in bodies:
            yield from _fetched(seen, _with_words(command, given), bodies, depth - 1)
        elif command.program in FETCHERS and not command.pipes_to:
            filled = _with_words(command, given)
            if filled.argv != command.argv or filled.writes_to != command.writes_to:
                yield from find_download(replace(seen, command=filled))


def _with_words(command: ShellCommand, given: Mapping[str, str]) -> ShellCommand:
    return replace(
        command,
        argv=[_filled(word, given) for word in command.argv],
        writes_to=[_filled(word, given) for word in command.writes_to],
    )


def _filled(text: str, given: Mapping[str, str]) -> str:
    if "$" not in text or len(text) > MAX_WORD:
        return text
    return _USED.sub(lambda found: given.get(found[1] or found[2], found[0]), text)[:MAX_WORD]
