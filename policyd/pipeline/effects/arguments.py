"""An outsider's text handed to programs that take options, scripts or addresses from it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from policyd.pipeline.effects.downloads import FETCHERS
from policyd.pipeline.effects.found import FoundEffect
from policyd.pipeline.effects.seen import Seen

#: An option of these runs a program, reads or writes a file of the caller's choice.
_TAKE_OPTIONS = frozenset(
    "git find tar rsync zip unzip curl wget ssh scp sftp xargs make npm yarn pnpm pip uv poetry go cargo mvn mvnw gradle gradlew dotnet"
    " docker podman kubectl helm terraform ansible ansible-playbook pytest python node ruby perl php java bundle gem composer hg svn ffmpeg"
    " convert magick man vim less sort split openssl gcc cmake ninja bazel tox nox rake mocha jest eslint black ruff mypy phpunit lftp"
    " sqlmap date chmod chown tcpdump nmap".split()
)
#: Their first operand is a script.
_TAKE_SCRIPTS = frozenset(("sed", "awk", "gawk", "mawk", "perl", "jq", "yq", "envsubst", "bc", "psql", "mysql", "sqlite3", "gdb", "expect"))
_SCRIPT_VALUES = frozenset(("-e", "-c", "-f", "--expression", "--eval"))


def find_argument(seen: Seen) -> Iterator[FoundEffect]:
    """Yield an outsider's text where it may be read as an option, a script or an address."""
    if not seen.tainted or seen.program in ("echo", "printf", "[", "[[", "test", "export"):
        return
    if seen.program in FETCHERS or (seen.program == "gh" and seen.verb == "api"):
        yield from _requests(seen)
    if seen.program in _TAKE_SCRIPTS:
        for word in seen.args:
            names = _tainted_in(word, seen)
            if names and not re.match(r"--?arg(?:json|s)?\Z", word):
                before = seen.args[seen.args.index(word) - 1 : seen.args.index(word)]
                if seen.program in ("jq", "yq", "awk", "gawk", "mawk") and _is_value_of(seen.args, word):
                    continue
                yield seen.found("argument", word, untrusted=True, confidence="medium" if before and before[0] == "-f" else "high")
                return
    elif seen.program in _TAKE_OPTIONS:
        before = ""
        for word in seen.args:
            if word == "--":
                return
            names = _tainted_in(word, seen)
            if names and (word[:1] == "$" or word[:2] in ('"$', "${")) and not (before[:1] == "-" and len(before) > 1):
                yield seen.found("argument", word, untrusted=True, confidence="medium")
                return
            if names and seen.program == "make" and "=" in word:
                yield seen.found("argument", word, untrusted=True, confidence="medium")
                return
            before = word


def _is_value_of(args: list[str], word: str) -> bool:
    """Say whether `word` is a value that awk's `-v`, jq's `--arg` take as text."""
    index = args.index(word)
    return args[index - 1 : index] == ["-v"] or (index > 1 and args[index - 2] in ("--arg", "--argjson"))


def _requests(seen: Seen) -> Iterator[FoundEffect]:
    for index, word in enumerate(seen.args):
        before = seen.args[index - 1] if index else ""
        if not _tainted_in(word, seen) or (before[:1] == "-" and before not in ("--url", "-L", "-s", "-sL", "-f", "-fsSL", "-sSL", "-O", "-LO", "-sS", "-Uri")):
            continue
        where = re.search(r"://([^/?]*)", word)
        whole = word[:1] == "$" and (not where or "$" in where[1])
        in_host = whole or (where is not None and re.search(r"\$", where[1]) is not None)
        if where or whole or seen.program == "gh":
            yield seen.found("request", word, untrusted=True, confidence="high" if in_host else "medium")
            return


def _tainted_in(word: str, seen: Seen) -> frozenset[str]:
    if "$" not in word and "%" not in word:
        return frozenset()
    return frozenset(re.findall(r"[$%]\{?(?:env:)?([A-Za-z_][A-Za-z0-9_]*)", word)) & seen.tainted
