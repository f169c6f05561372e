"""Packages and images taken by a name whose meaning can change.

An operating system's signed packages (apt, dnf, apk) are left out: their distribution names and signs the bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from policyd.pipeline.effects.found import FoundEffect
from policyd.pipeline.effects.seen import Seen
from policyd.pipeline.effects.tables import words

_PYTHON_PACKAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(?:\[[A-Za-z0-9,._ -]*\])?(?:[=<>!~ ].*)?\Z")
_NODE_PACKAGE = re.compile(r"@?[A-Za-z0-9][A-Za-z0-9._-]*(?:/[A-Za-z0-9._-]+(?:#[^#]*)?)?(?:@[^/]*)?\Z")
_PLAIN_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*\Z")
_REMOTE = re.compile(r"(?:git\+|https?://|git://|github:|ssh://)")
_COMMIT = re.compile(r"[@#][0-9a-f]{40}\b")
_PACKAGE_VARIABLE = re.compile(r"\$\{?[A-Za-z_][A-Za-z0-9_]*(?:\[[@*]\])?\}?\Z")
_NO_PACKAGE = re.compile(
    r"FLAG|ARG|OPT|PARAM|QUIET|VERBOSE|DIR|PATH|FILE|WHEEL|TARBALL|TGZ|ARCHIVE|ARTIFACT|WHL|ROOT|DIST|SDIST", re.I
)
_PIP_VALUES = words(
    """
    -r --requirement -c --constraint -i --index-url --extra-index-url -f --find-links -t --target --prefix --root
    --trusted-host --platform --python-version --proxy --timeout --retries --cache-dir --log --src
    --upgrade-strategy --no-binary --only-binary --progress-bar --python --abi --implementation -e --editable
    --index --default-index --config-settings -C --exclude-newer --with --from --spec --pip-args --group --extra -p
    """
)
_NODE_VALUES = words(
    """
    --prefix --registry --tag -C --dir --filter --cwd --loglevel --omit --workspace -w --cache
    """
)
#: Come with the interpreter; their version is the runner's choice anyway.
_TOOLS_OF_PIP = frozenset(("pip", "setuptools", "wheel"))
_INSTALL_VERBS = frozenset(("install", "i", "add"))
#: Take names of packages behind the verb.
_TAKE_NAMES = frozenset(("pip", "npm", "pnpm", "yarn", "gem"))


def find_unlocked_install(seen: Seen) -> Iterator[FoundEffect]:
    """Yield packages that a command installs by name, not from a lock file with hashes."""
    finder = _FINDERS.get(seen.program)
    if seen.wrapper in ("npx", "bunx"):
        yield from _run_by_name(seen)
    if finder:
        yield from finder(seen)
    if seen.wrapper == "xargs" and seen.program in _TAKE_NAMES and seen.args[:1] and seen.args[-1] in _INSTALL_VERBS:
        yield seen.found("unlocked-install", "what xargs reads", confidence="medium")


def _run_by_name(seen: Seen) -> Iterator[FoundEffect]:
    argv = seen.command.argv
    words = [word for word in argv[1:] if not word.startswith("-")]
    given = [argv[i + 1] for i, word in enumerate(argv[:-1]) if word in ("-p", "--package")] or words[:1]
    forced = not {"-y", "--yes", "-p", "--package"}.isdisjoint(argv) or seen.wrapper == "bunx"
    for word in given:
        if word.startswith((".", "$")) or _COMMIT.search(word) or "--no-install" in argv:
            continue
        if forced or "@" in word[1:]:
            yield seen.found("unlocked-install", word)


def _pip(seen: Seen) -> Iterator[FoundEffect]:
    operands = seen.operands(_PIP_VALUES)
    if operands[:1] != ["install"] and operands[:1] != ["download"] and operands[:1] != ["wheel"]:
        return
    yield from _python_packages(seen, operands[1:])


def _python_packages(seen: Seen, packages: list[str]) -> Iterator[FoundEffect]:
    if seen.has("--require-hashes", "--no-index"):
        return
    for word in packages:
        if _is_chosen_elsewhere(word, seen):
            yield seen.found("unlocked-install", word, confidence="medium")
        elif _REMOTE.match(word) or " @ " in word:
            if not _COMMIT.search(word) and "#sha256=" not in word:
                yield seen.found("unlocked-install", word)
        elif _PYTHON_PACKAGE.match(word) and not word.endswith((".whl", ".gz", ".zip")) and not _is_own_tool(word):
            yield seen.found("unlocked-install", word)


def _is_chosen_elsewhere(word: str, seen: Seen) -> bool:
    """Say whether a variable holds the package: neither options nor files, going by its name."""
    if seen.tainted:
        return False  # an outsider's text there is worse, and told of
    return _PACKAGE_VARIABLE.match(word) is not None and _NO_PACKAGE.search(word) is None


def _is_own_tool(package: str) -> bool:
    return re.split(r"[=<>!~\[ ]", package, maxsplit=1)[0].lower() in _TOOLS_OF_PIP


def _uv(seen: Seen) -> Iterator[FoundEffect]:
    operands = seen.operands(_PIP_VALUES)
    if operands[:2] in (["pip", "install"], ["tool", "install"], ["tool", "run"]):
        packages = operands[2:] if operands[1] == "install" else operands[2:3]
        yield from _python_packages(seen, packages)


def _first(seen: Seen) -> Iterator[FoundEffect]:
    operands = seen.operands(_PIP_VALUES)
    if seen.program == "pipx":
        if operands[:1] not in (["install"], ["run"], ["inject"]):
            return
        operands = operands[1:]
    chosen = seen.value("--from", "--spec")
    yield from _python_packages(seen, [chosen] if chosen else operands[:1])


def _poetry(seen: Seen) -> Iterator[FoundEffect]:
    operands = seen.operands()
    if operands[:1] == ["self"] and operands[1:2] in (["add"], ["install"]):
        yield from _python_packages(seen, operands[2:])


def _conda(seen: Seen) -> Iterator[FoundEffect]:
    operands = seen.operands(frozenset(("-n", "--name", "-c", "--channel", "-p", "--prefix", "-f", "--file")))
    if operands[:1] == ["install"] or operands[:1] == ["create"]:
        for word in operands[1:]:
            if _PYTHON_PACKAGE.match(word) and word.partition("=")[0] != "python":
                yield seen.found("unlocked-install", word)


def _node(seen: Seen) -> Iterator[FoundEffect]:
    operands = seen.operands(_NODE_VALUES)
    verb = operands[:1]
    if seen.program == "yarn" and verb == ["global"]:
        operands = operands[1:]
        verb = operands[:1]
    if verb in (["dlx"], ["create"]) or (seen.program == "bun" and verb == ["x"]):
        operands = operands[:2]
    elif not verb or verb[0] not in _INSTALL_VERBS:
        return
    for word in operands[1:]:
        if _is_chosen_elsewhere(word, seen):
            yield seen.found("unlocked-install", word, confidence="medium")
        elif _REMOTE.match(word):
            if not _COMMIT.search(word):
                yield seen.found("unlocked-install", word)
        elif _NODE_PACKAGE.match(word) and not _COMMIT.search(word) and not word.endswith((".tgz", ".tar.gz")):
            yield seen.found("unlocked-install", word)


def _gem(seen: Seen) -> Iterator[FoundEffect]:
    operands = seen.operands(frozenset(("-v", "--version", "-s", "--source", "-i", "-n", "-P")))
    if operands[:1] == ["install"]:
        for word in operands[1:]:
            if _is_chosen_elsewhere(word, seen):
                yield seen.found("unlocked-install", word, confidence="medium")
            elif _PLAIN_NAME.match(word.partition(":")[0]):
                yield seen.found("unlocked-install", word)


def _cargo(seen: Seen) -> Iterator[FoundEffect]:
    operands = seen.operands(
        words(
            """
    --version --root --features -F --git --rev --tag --branch --path
    """
        )
    )
    if operands[:1] in (["install"], ["binstall"]) and not seen.has("--locked", "--path"):
        for word in operands[1:]:
            if _PLAIN_NAME.match(word.partition("@")[0]):
                yield seen.found("unlocked-install", word)
        git = seen.value("--git")
        if git and not seen.has("--rev"):
            yield seen.found("unlocked-install", git)


def _go(seen: Seen) -> Iterator[FoundEffect]:
    operands = seen.operands()
    if operands[:1] in (["install"], ["run"], ["get"]):
        for word in operands[1:]:
            newest = operands[0] == "get" and seen.has("-u")
            if newest or _NEWEST.search(word) or any(_NEWEST.search(one) for one in _looped(word, seen)):
                yield seen.found("unlocked-install", word)


_NEWEST = re.compile(r"@(?:latest|master|main|HEAD|upgrade|\$\{\w{1,50}:?-(?:latest|master|main)\})\Z")


def _looped(word: str, seen: Seen) -> list[str]:
    """Return the words that a variable was just set to, or that a loop goes through, as far as they are written out."""
    name = word.strip("${}\"'") if _PACKAGE_VARIABLE.match(word) else ""
    return [text for one in seen.command.sets if one.name == name for text in one.value.split()] if name else []


def _dart(seen: Seen) -> Iterator[FoundEffect]:
    operands = seen.operands()
    if operands[:3] == ["pub", "global", "activate"] and len(operands) == 4:
        yield seen.found("unlocked-install", operands[3])


def _dotnet(seen: Seen) -> Iterator[FoundEffect]:
    operands = seen.operands(frozenset(("--version", "--tool-path", "--add-source")))
    if operands[:2] == ["tool", "install"] and not seen.has("--version"):
        for word in operands[2:3]:
            yield seen.found("unlocked-install", word)


def _composer(seen: Seen) -> Iterator[FoundEffect]:
    operands = seen.operands(frozenset(("-d", "--working-dir")))
    if operands[:2] == ["global", "require"] or operands[:1] == ["require"]:
        for word in operands[2 if operands[0] == "global" else 1 :]:
            if "/" in word:
                yield seen.found("unlocked-install", word)


def _choco(seen: Seen) -> Iterator[FoundEffect]:
    operands = seen.operands(frozenset(("--version", "-s", "--source", "--params")))
    if operands[:1] == ["install"] and not seen.has("--version"):
        for word in operands[1:]:
            if _PLAIN_NAME.match(word):
                yield seen.found("unlocked-install", word, confidence="medium")


def _winget(seen: Seen) -> Iterator[FoundEffect]:
    if seen.verb in _INSTALL_VERBS and not seen.has("--version", "-v"):
        name = seen.value("--id") or next(iter(seen.operands()[1:]), "")
        if name:
            yield seen.found("unlocked-install", name, confidence="medium")


def _powershell(seen: Seen) -> Iterator[FoundEffect]:
    if not seen.has("-RequiredVersion", "-Version"):
        name = seen.value("-Name") or next((word for word in seen.args if not word.startswith("-")), "")
        if name:
            yield seen.found("unlocked-install", name, confidence="medium")


def _shell_of_windows(seen: Seen) -> Iterator[FoundEffect]:
    for found in _INSTALLS_MODULE.finditer(" ".join(seen.args)):
        if "-requiredversion" not in found[0].lower():
            yield seen.found("unlocked-install", found[1], confidence="medium")


_INSTALLS_MODULE = re.compile(
    r"\bInstall-(?:Module|Script|PSResource)\s+(?:-Name\s+)?[\"']?([A-Za-z][A-Za-z0-9._-]*)[^;|&\n]{0,300}", re.I
)


def _ansible_galaxy(seen: Seen) -> Iterator[FoundEffect]:
    operands = seen.operands(frozenset(("-r", "-p", "--roles-path", "-s", "--server", "--role-file")))
    if operands[:1] in (["collection"], ["role"]):
        operands = operands[1:]
    if operands[:1] == ["install"]:
        for word in operands[1:]:
            if re.match(r"[A-Za-z][A-Za-z0-9_]*\.[A-Za-z][A-Za-z0-9_.-]*\Z", word) and not word.endswith(
                (".gz", ".yml")
            ):
                yield seen.found("unlocked-install", word)


_FINDERS = {
    "pip": _pip,
    "uv": _uv,
    "uvx": _first,
    "pipx": _first,
    "poetry": _poetry,
    "conda": _conda,
    "mamba": _conda,
    "micromamba": _conda,
    "npm": _node,
    "pnpm": _node,
    "yarn": _node,
    "bun": _node,
    "gem": _gem,
    "cargo": _cargo,
    "go": _go,
    "dotnet": _dotnet,
    "composer": _composer,
    "choco": _choco,
    "dart": _dart,
    "flutter": _dart,
    "Install-Module": _powershell,
    "pwsh": _shell_of_windows,
    "powershell": _shell_of_windows,
    "ansible-galaxy": _ansible_galaxy,
    "Install-Package": _powershell,
    "Install-PSResource": _powershell,
    "Install-Script": _powershell,
    "winget": _winget,
}

PROGRAMS = frozenset(_FINDERS)
