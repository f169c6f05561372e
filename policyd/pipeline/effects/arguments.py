"""An outsider's text handed to programs that take options, scripts or addresses from it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from policyd.pipeline.effects.downloads import FETCHERS
from policyd.pipeline.effects.found import FoundEffect
from policyd.pipeline.effects.seen import Seen
from policyd.pipeline.effects.tables import words

#: An option of these runs a program, reads or writes a file of the caller's choice.
_TAKE_OPTIONS = words(
    """
    git find tar rsync zip unzip curl wget ssh scp sftp xargs make npm yarn pnpm pip uv poetry go cargo mvn mvnw
    gradle gradlew dotnet docker podman kubectl helm terraform ansible ansible-playbook pytest python node ruby perl
    php java bundle gem composer hg svn ffmpeg convert magick man vim less sort split openssl gcc cmake ninja bazel
    tox nox rake mocha jest eslint black ruff mypy phpunit lftp sqlmap date chmod chown tcpdump nmap
    """
)
#: Their first operand is a script.
_TAKE_SCRIPTS = words(
    """
    sed awk gawk mawk perl jq yq envsubst bc psql mysql sqlite3 gdb expect
    """
)
#: Options whose value is text to these, never a script.
_TEXT_VALUES = frozenset(("-v", "--arg", "--argjson", "--rawfile", "--slurpfile"))
#: Options of fetching programs behind which the address stands.
_BEFORE_ADDRESS = re.compile(r"--url|-Uri|-[a-zA-Z]*[LsSfOkg]")


def find_argument(seen: Seen) -> Iterator[FoundEffect]:
    """Yield an outsider's text where it may be read as an option, a script or an address."""
    if not seen.tainted:
        return
    if seen.program in FETCHERS or (seen.program == "gh" and seen.verb == "api"):
        yield from _requests(seen)
    if seen.program in _TAKE_SCRIPTS:
        yield from _scripts(seen)
    elif seen.program in _TAKE_OPTIONS:
        yield from _options(seen)


def _scripts(seen: Seen) -> Iterator[FoundEffect]:
    before = ["", ""]
    for word in seen.args:
        # `--arg name value`: the value stands two words behind; `-v name=value`: one.
        as_text = before[1] in _TEXT_VALUES or (before[0] in _TEXT_VALUES and before[0] != "-v") or word[:2] == "-v"
        if _is_tainted(word, seen) and not as_text:
            yield seen.found("argument", word, untrusted=True)
            return
        before = [before[1], word]


def _options(seen: Seen) -> Iterator[FoundEffect]:
    before = ""
    for word in seen.args:
        if word == "--":
            return
        # What stands behind an option is most often its value, and no option itself.
        takes_it = word[:1] == "$" and (before[:1] != "-" or before == "-")
        if _is_tainted(word, seen) and (takes_it or (seen.program == "make" and "=" in word)):
            yield seen.found("argument", word, untrusted=True, confidence="medium")
            return
        before = word


def _requests(seen: Seen) -> Iterator[FoundEffect]:
    before = ""
    for word in seen.args:
        if _is_tainted(word, seen) and (before[:1] != "-" or _BEFORE_ADDRESS.fullmatch(before)):
            address = re.search(r"://([^/?]*)", word)
            in_host = "$" in address[1] if address else word[:1] == "$"
            if address or in_host or seen.program == "gh":
                yield seen.found("request", word, untrusted=True, confidence="high" if in_host else "medium")
                return
        before = word


def _is_tainted(word: str, seen: Seen) -> bool:
    if "$" not in word and "%" not in word:
        return False
    return not seen.tainted.isdisjoint(re.findall(r"[$%]\{?(?:env:)?([A-Za-z_][A-Za-z0-9_]*)", word))
