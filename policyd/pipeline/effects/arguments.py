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
    sed awk gawk mawk perl jq yq envsubst bc psql mysql sqlite3 gdb expect sbt
    """
)
#: Options whose value is text to these, never a script.
_TEXT_VALUES = frozenset(("-v", "--arg", "--argjson", "--rawfile", "--slurpfile"))
#: Options of fetching programs behind which the address stands.
_BEFORE_ADDRESS = re.compile(r"--url|-Uri|--(?:silent|show-error|fail|location|compressed|quiet)|-[a-zA-Z]*[LsSfOkgqi]")
#: Options of theirs behind which an address is no address to fetch from.
_TAKES_TEXT = re.compile(
    r"--(?:data|form|header|json|user|referer|cookie|post-data|body).*|-[dFHueAbXoO]|-(?:Body|Headers|OutFile)"
)
#: Options that have no value, so what stands behind them can be one.
_SWITCHES = words(
    """
    --rm -i -it -ti --detach --quiet -q --verbose --force --all --no-cache --privileged --bare --tags --hard --soft
    --mixed --no-edit --no-verify --no-ff --ff-only --squash --oneline --name-only --stat --cached --staged
    --recursive --yes -y --dry-run
    """
)


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
    files = False  # from here on: the script stood before
    for word in seen.args:
        # `--arg name value`: the value stands two words behind; `-v name=value`: one.
        as_text = before[1] in _TEXT_VALUES or (before[0] in _TEXT_VALUES and before[0] != "-v") or word[:2] == "-v"
        is_script = not files or _SCRIPT_OPTION.fullmatch(before[1])
        if is_script and not as_text and _is_tainted(word, seen):
            yield seen.found("argument", word, untrusted=True)
            return
        is_operand = word[:1] != "-" and word not in ("", "e", "eval", "ea") and before[1] not in ("-F", "-f", "-i")
        files |= is_operand and not as_text and seen.program in _SCRIPT_FIRST
        before = [before[1], word]


_SCRIPT_OPTION = re.compile(r"-[a-zA-Z]*e|--expression(?:=.*)?")
_SCRIPT_FIRST = frozenset(("sed", "awk", "gawk", "mawk", "jq", "yq"))


def _options(seen: Seen) -> Iterator[FoundEffect]:
    before = ""
    for word in seen.args:
        if word == "--":
            return
        # What stands behind an option is most often its value, and no option itself.
        takes_it = _begins_tainted(word, seen) and (
            before[:1] != "-" or before == "-" or before in _SWITCHES or _is_bare(word, seen)
        )
        if not takes_it and word[:1] != "$" and _is_bare(word, seen):
            # A blank in the text ends the word; no branch or tag has one.
            takes_it = any(_HAS_BLANKS.search(name) for name in _NAMES.findall(word) if name in seen.tainted)
        if _is_tainted(word, seen) and (takes_it or (seen.program == "make" and "=" in word)):
            yield seen.found("argument", word, untrusted=True, confidence="medium")
            return
        if (
            word[:1] != "-"
            and seen.program in _INTERPRETERS
            and before not in ("-c", "-e", "-m", "-W", "-X", "-r", "-I")
        ):
            return  # what stands behind the program's file is handed to that
        before = word


_INTERPRETERS = frozenset(("python", "node", "ruby", "perl", "php"))


def _begins_tainted(word: str, seen: Seen) -> bool:
    """Say whether an outsider chooses the first character of a word. An address or path of a project is no option."""
    first = _FIRST.match(word)
    return first is not None and first[1] in seen.tainted and not first[1].endswith(("_URL", "_PATH"))


def _is_bare(word: str, seen: Seen) -> bool:
    """Say whether a variable stands without quotes, so that a blank in it begins another word."""
    if seen.shell in ("pwsh", "powershell"):
        return False  # which hands a value on as one word
    return re.search(rf"(?:^|\s){re.escape(word)}(?=\s|\Z)", seen.command.text) is not None


_HAS_BLANKS = re.compile(r"TITLE|MESSAGE|DESCRIPTION|BODY|COMMENT|SUBJECT|(?:AUTHOR|USER)_NAME", re.I)
_NAMES = re.compile(r"\$\{?([A-Za-z_][A-Za-z0-9_]*)")
_FIRST = re.compile(r"\$\{?(?:env:)?([A-Za-z_][A-Za-z0-9_]*|[1-9@*])")


def _requests(seen: Seen) -> Iterator[FoundEffect]:
    before = ""
    for word in seen.args:
        address = re.search(r"://([^/?]*)", word)
        stands = (
            before[:1] != "-" or _BEFORE_ADDRESS.fullmatch(before) or (address and not _TAKES_TEXT.fullmatch(before))
        )
        if _is_tainted(word, seen) and stands:
            in_host = "$" in address[1] if address else word[:1] == "$"
            if address or in_host or seen.program == "gh":
                yield seen.found("request", word, untrusted=True, confidence="high" if in_host else "medium")
                return
        before = word


def _is_tainted(word: str, seen: Seen) -> bool:
    if "$" not in word and "%" not in word:
        return False
    return not seen.tainted.isdisjoint(re.findall(r"[$%]\{?(?:env:)?([A-Za-z_][A-Za-z0-9_]*|[1-9@*])", word))
