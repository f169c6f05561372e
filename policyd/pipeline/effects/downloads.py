"""What is fetched and run unverified, and what is fetched without encryption."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from policyd.pipeline.effects.found import FoundEffect
from policyd.pipeline.effects.hosts import URL, is_near
from policyd.pipeline.effects.seen import MAX_DETAIL, MAX_TEXT, Seen
from policyd.pipeline.effects.tables import words
from policyd.pipeline.shell import SHELLS, ShellCommand, program_name

FETCHERS = words(
    """
    curl wget aria2c fetch http https axel iwr irm Invoke-WebRequest Invoke-RestMethod
    certutil bitsadmin Start-BitsTransfer
    """
)
_RUN_ANYTHING = SHELLS | {"eval", "source", ".", "pwsh", "powershell", "iex", "Invoke-Expression", "$SHELL", "${SHELL}"}
#: They read documents as often as code, and run it when they are given no program of their own.
_READ_PROGRAMS = frozenset(("python", "python2", "python3", "perl", "ruby", "node", "php"))
_VERIFIERS = words(
    """
    cosign gpg gpgv gpg2 minisign rsign signify slsa-verifier sigstore rekor-cli b2sum
    """
)
_SUMS = re.compile(r"(?:sha\d+|b2|b3|md5)sum|shasum|Get-FileHash|certutil|openssl")
_INSTALLERS = words(
    """
    dpkg rpm apt apt-get dnf yum installer msiexec apk
    """
)
_STARTERS = frozenset(("start-process", "saps", "start", "cmd"))
_RUNS_CODE = re.compile(r"\b(?:exec|eval)\s?\(")
#: A command that code hands to a shell: `os.system("curl … | sh")`.
_PIPED_TO_SHELL = re.compile(
    r"(?:system|popen|exec(?:Sync)?|run|call|check_(?:call|output))\([^\n]{0,20}[\"'](?:curl|wget)\s[^\n|]{1,300}\|\s*(?:sudo\s+)?(?:ba|z|da)?sh\b"
)
_FETCHES = re.compile(r"urlopen|urlretrieve|requests\.get|\bfetch\(")
_POWERSHELL_FETCH = re.compile(
    r"DownloadString|Invoke-WebRequest|\biwr\b|\birm\b|Invoke-RestMethod|\bcurl\b|\bwget\b", re.I
)
#: The file that PowerShell saves a download to.
_SAVES = re.compile(
    r"-OutFile\s+[\"']?([^\s\"';|)]{1,300})|\.DownloadFile\([^,\n]{1,500},\s*[\"']?([^\"')\n]{1,300})", re.I
)
_POWERSHELL_RUN = re.compile(r"\biex\b|\bInvoke-Expression\b|\[scriptblock\]::Create", re.I)
#: What keeps what it fetches: packages, code, images.
_KEEPERS = words(
    """
    wget git pip npm pnpm yarn gem go cargo helm aria2c uv bundle composer nuget dotnet choco Register-PSRepository
    """
)


def find_download(seen: Seen) -> Iterator[FoundEffect]:
    """Yield what a command that fetches does with what arrives."""
    command = seen.command
    target = _address(seen.args)
    if command.pipes_to:
        if command.pipes_to in _UNPACKERS:
            unpacked = next((other for other in seen.after() if other.program == command.pipes_to), None)
            if unpacked is not None and _runs_unpacked(seen, unpacked, _last_part(target)):
                yield seen.found("download-run", target, confidence="medium")
        if command.pipes_to in _RUN_ANYTHING or (command.pipes_to in _READ_PROGRAMS and _reads_program(seen)):
            yield seen.found("download-run", target)
        return
    file = _saved_as(seen)
    if not file:
        return
    how = how_it_runs(seen, file)
    if not how and _ARCHIVE.search(file):
        how = "unpacked" if _is_unpacked_and_run(seen, file) else ""
    if how:
        yield seen.found("download-run", target, confidence="high" if how == "run" else "medium")


def find_clone(seen: Seen) -> Iterator[FoundEffect]:
    """Yield a repository from elsewhere that is cloned as its branch is today, and of which something then runs."""
    if seen.verb != "clone" or seen.command.captured:
        return
    address = next((word for word in seen.args if _REPOSITORY.match(word)), "")
    at_tag = seen.value("--branch", "-b", "--revision") or ""
    if not address or _VERSION.match(at_tag):
        return
    operands = seen.operands(_CLONE_VALUES)
    target = operands[-1] if operands[-1] != address else _last_part(address).removesuffix(".git")
    folder, inside = target.rstrip("/"), False
    if folder in ("", "."):
        return
    for command in seen.after():
        argv = command.argv
        if command.program == "git" and not _TAKES_OTHERS.isdisjoint(argv):
            return  # a commit is chosen, or work goes on in it: the project itself
        if command.program in ("cd", "pushd"):
            inside = len(argv) > 1 and argv[1].rstrip("/") in (folder, f"./{folder}")
            continue
        program = argv[0]
        runs_in_it = inside and (program.startswith("./") or command.program in _BUILDERS)
        runs = command.program in _RUN_ANYTHING or program_name(program) in _READ_PROGRAMS
        interpreted = (runs or command.program == "Import-Module") and any(
            word.replace("\\", "/").removeprefix("./").startswith(f"{folder}/")
            or (inside and _SCRIPT_FILE.search(word))
            for word in _programs_in(argv)
        )
        told = command.program in _BUILDERS and any(
            a in ("-C", "--prefix", "--path") and b.rstrip("/") in (folder, f"./{folder}") for a, b in pairwise(argv)
        )
        if runs_in_it or interpreted or told or program.removeprefix("./").startswith(f"{folder}/"):
            yield seen.found("download-run", address, confidence="medium")
            return


#: A repository whose name is written out; the project's own comes from a variable.
_REPOSITORY = re.compile(r"(?:https?://|git://|ssh://|git@)[^$`{]*\Z")
_VERSION = re.compile(r"v?\d+\.\d+|[0-9a-f]{40}\Z")
_TAKES_OTHERS = frozenset(("checkout", "switch", "reset", "fetch", "merge", "pull", "push", "commit"))
_CLONE_VALUES = frozenset(
    ("-b", "--branch", "--depth", "-c", "--config", "-o", "--origin", "--filter", "-j", "--jobs", "--reference")
)
_BUILDERS = frozenset(("make", "cmake", "pip"))
_SCRIPT_FILE = re.compile(r"\A(?!/|\.\./)[\w./-]+\.(?:sh|py|rb|pl|js)\Z")


def find_inline_download(seen: Seen) -> Iterator[FoundEffect]:
    """Yield a download that an interpreter's own code makes and runs."""
    if seen.program in ("iex", "Invoke-Expression"):
        if _POWERSHELL_FETCH.search(seen.command.text):
            yield seen.found("download-run", _address([seen.command.text]))
    elif seen.program in ("pwsh", "powershell"):
        code = " ".join(seen.args)
        saved = _SAVES.search(code)
        runs = bool(_POWERSHELL_FETCH.search(code) and _POWERSHELL_RUN.search(code))
        if runs or (saved and how_it_runs(seen, saved[1] or saved[2])):
            yield seen.found("download-run", _address([code]))
    elif seen.program == "deno":
        if seen.verb == "run" and any(word.startswith(("http://", "https://")) for word in seen.args):
            yield seen.found("download-run", _address(seen.args))
    else:
        code = " ".join([*seen.args, seen.command.stdin])
        if _PIPED_TO_SHELL.search(code):
            piped = _PIPED_TO_SHELL.search(seen.command.stdin)
            found = seen.found("download-run", _address([code]))
            yield seen.in_document(found, piped.start()) if piped else found
        elif _FETCHES.search(code) and _RUNS_CODE.search(code):
            run = _RUNS_CODE.search(seen.command.stdin)
            found = seen.found("download-run", _address([code]))
            yield seen.in_document(found, run.start()) if run else found


def find_powershell_download(seen: Seen) -> Iterator[FoundEffect]:
    """Yield a download that PowerShell makes without a command of its own, and runs."""
    text = seen.command.text
    if "[scriptblock]::create(" in text.lower():
        if _POWERSHELL_FETCH.search(text):
            yield seen.found("download-run", _address([text]))
    elif ".DownloadString(" in text:
        if seen.command.pipes_to in _RUN_ANYTHING:
            yield seen.found("download-run", _address([text]))
    elif ".DownloadFile(" in text and (saved := _SAVES.search(text)) and how_it_runs(seen, saved[1] or saved[2]):
        yield seen.found("download-run", _address([text]))


def find_insecure_url(seen: Seen) -> Iterator[FoundEffect]:
    """Yield addresses without encryption from which a command keeps something."""
    if "://" not in seen.command.text:
        return
    for word in seen.args:
        for found in URL.finditer(word):
            if found["scheme"] in ("http", "git", "ftp") and not is_near(found["host"]):
                if seen.program in _KEEPERS or _keeps(seen):
                    yield seen.found("insecure-url", found[0])
                return


def find_address_effects(text: str) -> Iterator[FoundEffect]:
    """Yield what taking code or configuration from the address in `text` does; most references hold none."""
    found = URL.search(text) if "://" in text else None
    if found and found["scheme"] in ("http", "git", "ftp") and not is_near(found["host"]):
        yield FoundEffect("insecure-url", found[0][:MAX_DETAIL], text=text[:MAX_TEXT])


def _keeps(seen: Seen) -> bool:
    if seen.program not in FETCHERS:
        return False
    if seen.command.pipes_to:
        return True
    file = _saved_as(seen)
    return bool(file) and file not in ("/dev/null", "-", "$null", "NUL")


def _address(words: list[str]) -> str:
    for word in words:
        found = URL.search(word)
        if found:
            return found[0]
    return next((word for word in words if word[:1] == "$"), "")


def _reads_program(seen: Seen) -> bool:
    if seen.command.captured:
        return True  # `python -c "$(curl …)"`
    for command in seen.after():
        if command.program == seen.command.pipes_to:
            return len(command.argv) == 1 or command.argv[1] == "-"
    return False


def _saved_as(seen: Seen) -> str:
    """Return the file that a download is saved to; "" if it is none."""
    args = seen.args
    if seen.program == "wget":
        file = seen.value("-O", "--output-document")
        if file is None:
            file = next((word[2:] for word in args if word.startswith("-O") and len(word) > 2), None)
        if file is None:
            file = next(
                (word[-1:] and args[i + 1] for i, word in enumerate(args[:-1]) if re.match(r"-[a-zA-Z]+O\Z", word)),
                None,
            )
        if file is None and not any(word.startswith(("--spider", "-i")) for word in args):
            file = _remote_name(args)
        return "" if file in ("-", None) else file
    if seen.program == "curl":
        for index, word in enumerate(args):
            if word in ("-o", "--output") or re.match(r"-[a-zA-Z#0-9]*o\Z", word):
                return args[index + 1] if index + 1 < len(args) else ""
            if word.startswith("--output="):
                return word.partition("=")[2]
            if word in ("-O", "--remote-name", "-J") or re.match(r"-[a-zA-Z#]*O[a-zA-Z]*\Z", word):
                return _remote_name(args)
    if seen.program in ("iwr", "irm", "Invoke-WebRequest", "Invoke-RestMethod"):
        saved = _SAVES.search(seen.command.text)
        return saved[1] if saved and saved[1] else seen.value("-OutFile", "-o") or ""
    if seen.program in ("certutil", "bitsadmin", "Start-BitsTransfer"):
        fetches = _address(args) and "-hashfile" not in args
        return args[-1] if fetches and "://" not in args[-1] else _last_part(_address(args)) if fetches else ""
    return seen.command.writes_to[0] if seen.command.writes_to and seen.command.saved else ""


def _remote_name(words: list[str]) -> str:
    """Return the name that a file has where it is fetched; a command in the address may make a part of that."""
    address = next((word for word in words if "://" in word), "")
    return _last_part(_SUBSTITUTED.sub("_", address) if "$(" in address else _address(words))


_SUBSTITUTED = re.compile(r"\$\([^()]*\)")


def _last_part(address: str) -> str:
    return address.partition("?")[0].rstrip("/").rsplit("/", 1)[-1]


def how_it_runs(seen: Seen, file: str) -> str:
    """Say how a saved file is used later: "run", "made executable", "" if not at all or only once verified."""
    name = _plain(file)
    executable = False
    for command in seen.after():
        if _is_verified_by(command, seen, file):
            return ""
        argv = command.argv
        if command.program == "chmod":
            executable |= any(_plain(word) == name for word in argv[1:]) and any(
                "x" in word or word[:1] == "7" for word in argv[1:2]
            )
        elif command.program in ("mv", "cp", "install") and any(_plain(word) == name for word in argv[1:-1]):
            executable |= command.program == "install"
            name = _plain(argv[-1]) if not argv[-1].endswith(("/", "/bin")) else name
        elif (
            _plain(argv[0]) == name
            or (
                (command.program in _RUN_ANYTHING or program_name(argv[0]) in _READ_PROGRAMS)
                and any(_plain(word) == name for word in _programs_in(argv))
            )
            or (command.program in _INSTALLERS and any(_plain(word) == name for word in argv[1:]))
            or (command.program == "java" and "-jar" in argv and any(_plain(word) == name for word in argv[1:]))
            or (command.program.lower() in _STARTERS and any(_plain(word) == name for word in argv[1:]))
        ):
            return "run"
    return "made executable" if executable else ""


def _programs_in(argv: list[str]) -> list[str]:
    """Return the words of an interpreter's command that can be its program: what follows is given to that."""
    first = next((index for index, word in enumerate(argv) if index and not word.startswith("-")), 1)
    return argv[1 : first + (2 if first > 1 else 1)]


def _is_unpacked_and_run(seen: Seen, file: str) -> bool:
    name = _plain(file)
    for command in seen.after():
        if _is_verified_by(command, seen, file):
            return False
        if command.program in _UNPACKERS and any(_plain(word) == name for word in command.argv[1:]):
            return _runs_unpacked(seen, command, name)
    return False


def _runs_unpacked(seen: Seen, unpacked: ShellCommand, archive: str) -> bool:
    """Say whether a program that came out of an archive is run or installed, and nothing verified it."""
    folder = next((word for word in unpacked.argv[1:] if _PROGRAM_FOLDER.search(word)), "")
    if folder:
        return True
    into = next((b for a, b in pairwise(unpacked.argv) if a in _INTO or a.lower() == "-destinationpath"), "")
    into = into.replace("\\", "/").removeprefix("./").rstrip("/")
    into = f"{into}/" if into not in ("", ".") else ""
    behind = False
    for command in seen.after():
        if command is unpacked:
            behind = True
            continue
        if _is_verified_by(command, seen, archive):
            return False
        if not behind:
            continue
        argv = command.argv
        pieces = [piece.partition(".")[0].lower() for piece in argv[0].replace("\\", "/").split("/")]
        if len(pieces) > 1 and any(len(piece) > 1 and archive.lower().startswith(piece) for piece in pieces):
            return True
        if into and argv[0].replace("\\", "/").removeprefix("./").startswith(into):
            return True
        if command.program in ("mv", "cp", "install", "ln") and _PROGRAM_FOLDER.search(argv[-1]):
            return True
    return False


_ARCHIVE = re.compile(r"\.(?:tar(?:\.\w+)?|tgz|tbz2?|txz|zip|gz|bz2|xz)\Z", re.I)
_UNPACKERS = frozenset(("tar", "bsdtar", "unzip", "gunzip", "gzip", "7z", "busybox", "Expand-Archive"))
_INTO = frozenset(("-d", "-C", "--directory"))
#: Where programs are looked for by their name.
_PROGRAM_FOLDER = re.compile(
    r"(?:^|[=/])(?:usr(?:/local)?|opt(?:/[^/]+)?|\.local|root|~)?/?s?bin(?:/[^/]*)?/?\Z|^/usr/local/?\Z|^/usr/?\Z"
)


def _plain(word: str) -> str:
    word = word.replace("\\", "/").removeprefix("./")
    return word.rsplit("/", 1)[-1] if not word.endswith("/") else word


def _is_verified_by(command: ShellCommand, seen: Seen, file: str) -> bool:
    """Say whether a command verifies `file`; a list of sums with the name of another file is about that one."""
    if command.program in seen.checkers:
        return True
    if not verifies(command):
        return False
    name = _plain(file)
    others = [found[1] for word in command.argv[1:] if (found := _SUMS_OF_ONE.fullmatch(_plain(word)))]
    return not others or "$" in name or any(name.startswith(one) or one.startswith(name) for one in others)


#: `tool.tar.gz.sha256`, not `checksums.sha256` nor a name made of variables.
_SUMS_OF_ONE = re.compile(r"(?!.*(?:sum|\$|all))([^$]+)\.(?:sha(?:1|256|512)(?:sum)?|md5|asc|sig)", re.I)


def verifies(command: ShellCommand) -> bool:
    """Say whether a command compares what was fetched with a digest or checks its signature."""
    program, argv = command.program, command.argv
    if _SUMS.match(program):
        # A sum that is compared: with a list, or in a test.
        return (
            command.captured
            or command.pipes_to != ""
            or bool({"-c", "--check", "dgst", "-verify"} & set(argv))
            or program == "Get-FileHash"
            or any(word.startswith("-") and not word.startswith("--") and "c" in word for word in argv[1:])
        )
    if program in _VERIFIERS:
        return program != "gpg" or any("verify" in word for word in argv)
    return (program == "gh" and argv[1:2] == ["attestation"]) or (program in ("[", "[[") and "sum" in command.text)
