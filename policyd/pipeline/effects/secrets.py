"""Secrets, and whole environments, that reach the log, another host or an argument list."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from policyd.pipeline.effects.downloads import FETCHERS
from policyd.pipeline.effects.found import FoundEffect
from policyd.pipeline.effects.hosts import URL, is_near
from policyd.pipeline.effects.seen import Seen
from policyd.pipeline.effects.tables import words
from policyd.pipeline.effects.values import ANSWERS, READS_VARIABLE, SECRET_NAME, is_harmless, names_secret
from policyd.pipeline.shell import ShellCommand

_PRINTERS = words(
    """
    echo printf print Write-Host Write-Output write-host write-output cat base64 xxd rev od hexdump
    tee Write-Verbose Write-Warning Write-Error Write-Information Write-Debug
    """
)
#: Options by which jq writes what it is given, and reads nothing else.
_MAKES = frozenset(("-n", "--null-input", "-nr", "-rn", "-nc", "-cn", "-ncr", "-nrc"))
#: Hand on what they are given, more or less as it was. Masking does not know it any more.
_HAND_ON = words(
    """
    base64 xxd rev od hexdump tr sed fold cut tee cat jq awk sort head tail grep
    sort-object select-object format-table format-list ft fl out-string out-host out-default
    write-host write-output
    """
)
_SENDERS = FETCHERS | {"nc", "ncat", "netcat", "telnet", "socat"}
_PRINTS_IN_CODE = re.compile(
    r"(?:\bprint|\bputs\b|console\.(?:log|info|warn|error|debug)|core\.(?:info|notice|warning|error)|std(?:out|err)\.write)"
)
#: What leaves only the names of variables over.
_NAMES_ALONE = re.compile(
    r"\Acut\s(?=.*-d\s*[\"']?=)(?=.*-f\s*1\b)|\Aawk\s+-F\s*[\"']?=[\"']?\s+['\"]\{\s*print \$1\s*\}|\Ased\s.*s/=\.\*//"
)
_SUBSTITUTION = re.compile(r"\$\((?:[^()]|\([^()]{0,500}\)){0,500}\)")
_RESOLVERS = frozenset(("nslookup", "dig", "host", "ping", "drill", "getent"))
#: By program: options that make it print what it sends.
_VERBOSE = {"curl": re.compile(r"-[a-zA-Z]*v[a-zA-Z]*"), "wget": re.compile(r"-[a-zA-Z]*d[a-zA-Z]*")}
_DATA_OPTIONS = re.compile(
    r"(?:-d|--data(?:-raw|-binary|-urlencode|-ascii)?|-F|--form(?:-string)?|--json|--post-data|--body-data|-Body|-T|--upload-file)(?:=|\Z)"
)
_AUTHENTICATES = re.compile(r"oauth|token|login|auth|session|signin|credential", re.I)
_CREDENTIAL_FIELDS = re.compile(
    r"grant_type|client_(?:id|secret|assertion)|\buser(?:name)?\b|\bpass(?:word)?\b|\bemail\b", re.I
)
_CATCHERS = re.compile(
    r"ngrok|webhook\.site|requestbin|pipedream|burpcollaborator|interact\.sh|oast\.|requestcatcher|beeceptor|hookbin|dnslog|pastebin",
    re.I,
)
_OF_GITLAB = re.compile(
    r"^\$\{?CI_(?:API_V4_URL|API_GRAPHQL_URL|SERVER_URL|SERVER_FQDN|PROJECT_URL)\b|/api/v4/.{0,200}/trigger/pipeline"
)
_DUMP = re.compile(
    r"\$\(\s*(?:env|printenv|export -p|declare -[px]+|set)\s*(?:\)|\|)"
    r"|`\s*(?:env|printenv)\s*(?:`|\|)|@/proc/self/environ"
)
#: Files by which `tee` writes to the log, whoever reads its output.
_COPIES_TO_LOG = frozenset(("/dev/stderr", "/dev/tty", "/dev/fd/2", "/proc/self/fd/2"))
_READ_FILE = re.compile(r"\$\(\s*(?:cat\s+|<\s*|base64\s+(?:-w\s?0\s+)?)[\"']?([^\s\"')|]{1,200})")
_CREDENTIAL_FILES = re.compile(
    r"(?:\.aws/credentials|\.npmrc|\.netrc|\.docker/config\.json|\.dockerconfigjson|\.git-credentials|\.pypirc|kubeconfig|\.kube/config"
    r"|id_rsa|id_ed25519|/(?:password|passwd|token|secret)(?:\.txt)?|/(?:secrets?|creds?|credentials)/[^/]+"
    r"|\$\([A-Za-z_][A-Za-z0-9_]*\.secureFilePath\))\Z",
    re.I,
)
_SAYS_NOTHING = re.compile(r"(?:-o|--output)[ =]none\b|-o[ =]?name\b|--query\s+[\"']?(?:id|name)\b")
_NAMES_OF_SECRETS = re.compile(r"token|secret|passw|api_?key|credential|aws_", re.I)
#: Options by which programs take a password although they would read it from standard input or a variable.
_PASSWORD_OPTIONS: dict[str, tuple[str, ...]] = {
    "docker": ("-p", "--password"),
    "podman": ("-p", "--password", "--creds"),
    "buildah": ("-p", "--password", "--creds"),
    "skopeo": ("-p", "--password", "--creds", "--dest-creds", "--src-creds"),
    "crane": ("-p", "--password"),
    "oras": ("-p", "--password"),
    "helm": ("-p", "--password"),
    "cosign": ("-p", "--password"),
    "twine": ("-p", "--password"),
    "poetry": ("-p", "--password"),
    "sshpass": ("-p",),
    "mysql": ("-p", "--password"),
    "mysqldump": ("-p", "--password"),
    "az": ("-p", "--password"),
    "oc": ("--token", "-p", "--password"),
    "cf": ("-p",),
    "argocd": ("--password",),
    "vault": ("token",),
    "nuget": ("-ApiKey", "-Password"),
    "dotnet": ("-k", "--api-key", "--password", "-p"),
    "gpg": ("--passphrase",),
    "openssl": ("-passin", "-pass", "-passout", "-k"),
    "keytool": ("-storepass", "-keypass"),
    "jarsigner": ("-storepass", "-keypass"),
    "signtool": ("/p", "-p"),
    "zip": ("-P", "--password"),
    "unzip": ("-P",),
    "7z": ("-p",),
    "cargo": ("--token",),
    "snyk": ("auth",),
    "sonar-scanner": ("-Dsonar.login", "-Dsonar.token", "-Dsonar.password"),
}


def find_secret_use(seen: Seen) -> Iterator[FoundEffect]:
    """Yield how a command gives secrets away."""
    yield from _dumps(seen)
    yield from _answers(seen)
    if seen.program in _SENDERS:
        if "$" in seen.command.text:
            yield from _sends_file(seen)
        yield from _sends_folder(seen)
    text_names_secret = names_secret(seen.command.text) or names_secret(seen.command.stdin)
    if not (seen.secrets or text_names_secret or seen.known_secrets):
        return
    if seen.program in _PRINTERS or (seen.program == "jq" and _MAKES.intersection(seen.args)):
        yield from _prints(seen, by_text=text_names_secret)
    elif seen.program in _SHOW_FILES:
        shown = _kept_in(seen.args, seen)
        if shown and _reaches_log(seen):
            yield seen.found("secret-print", shown, secret=True, confidence="medium")
    elif seen.shell in ("pwsh", "powershell") and _SHOWN.fullmatch(seen.command.text):
        yield from _shown(seen)
    elif seen.shell == "cmd" and seen.program == "set" and len(seen.args) == 1 and "=" not in seen.args[0]:
        listed = [name for name in sorted(seen.known_secrets) if name.upper().startswith(seen.args[0].upper())]
        if listed and _reaches_log(seen):
            yield seen.found("secret-print", listed[0], secret=True)
    elif seen.program == "printenv" and seen.verb in seen.known_secrets:
        if _reaches_log(seen):
            yield seen.found("secret-print", seen.verb, secret=True)
    elif seen.program in ("python", "node", "ruby", "perl", "javascript") and (seen.known_secrets or text_names_secret):
        yield from _prints_in_code(seen)
    if seen.secrets or text_names_secret:
        if seen.program in _SENDERS:
            yield from _sends(seen)
            yield from _talks(seen)
        elif seen.program in _RESOLVERS and any(
            _is_value(name, " ".join(seen.args), seen.shell) for name in seen.secrets
        ):
            yield seen.found("secret-send", "in a name that is looked up", secret=True)
        yield from _argument(seen)


def _sends_file(seen: Seen) -> Iterator[FoundEffect]:
    """Yield a file of credentials in what is sent: as data, or in the address."""
    before = ""
    for word in seen.args:
        data = word if URL.match(word) or _DATA_OPTIONS.match(word) or _DATA_OPTIONS.match(before) else ""
        for file in _READ_FILE.findall(f"{data} {_read_into(data, seen)}" if "$" in data else ""):
            if file.endswith("/serviceaccount/token") or _CREDENTIAL_FILES.search(file):
                yield seen.found("secret-send", _host(seen) or file, secret=True, confidence="medium")
                return
        before = word


def _read_into(text: str, seen: Seen) -> str:
    """Return what the variables in `text` were set to."""
    names = set(_NAMED.findall(text))
    return " ".join(
        one.value for command in (*seen.before(), seen.command) for one in command.sets if one.name in names
    )


_NAMED = re.compile(r"\$\{?([A-Za-z_][A-Za-z0-9_]*)")


def sent_files(args: Sequence[str]) -> list[str]:
    """Return the files that curl and its like are told to send."""
    return [
        word.rpartition("@")[2].strip("\"'").partition(";")[0]
        for before, word in zip(["", *args], args, strict=False)
        if "@" in word[:1] or "=@" in word or before in ("-T", "--upload-file") or word.startswith("--post-file=")
    ]


def _sends_folder(seen: Seen) -> Iterator[FoundEffect]:
    """Yield files of a home folder's credentials that are sent: packed and piped in, or uploaded by name."""
    sent = [word.partition("=")[2] if word.startswith("--post-file=") else word for word in sent_files(seen.args)]
    if any(_HOME_CREDENTIALS.search(word) for word in sent):
        yield seen.found("secret-send", _host(seen), secret=True)
    elif any(_MOUNTED_SECRET.match(word) for word in sent) and not _logs_in(seen):
        yield seen.found("secret-send", _host(seen), secret=True, confidence="medium")
    elif seen.command.fed_by:
        for command in reversed(seen.before()[-_LONGEST_PIPELINE:]):
            if not command.pipes_to:
                break
            if command.program in _READ_FILES and _HOME_CREDENTIALS.search(command.text):
                yield seen.found("secret-send", _host(seen), secret=True)
                break


def _logs_in(seen: Seen) -> bool:
    """Say whether a request is one by which a credential is shown to whom it is for."""
    addresses = [found for word in seen.args for found in URL.finditer(word)]
    return any(_AUTHENTICATES.search(found["rest"].partition("?")[0]) for found in addresses)


#: Where Kubernetes and Docker put secrets, and keys of SSH wherever they lie.
_MOUNTED_SECRET = re.compile(r"/(?:var/)?(?:run/)?secrets/.|(?:.*/)?id_(?:rsa|ed25519|ecdsa)\Z|/proc/self/environ\Z")
_LONGEST_PIPELINE = 6
_READ_FILES = frozenset(("tar", "cat", "zip", "base64", "gzip", "xxd", "openssl", "gpg"))
_HOME_CREDENTIALS = re.compile(
    r"(?:~|\$\{?HOME\}?|/root)/\.(?:azure\b|ssh\b(?!/known_hosts|/[^\s/]*\.pub\b)|aws\b|docker\b|kube\b|gnupg\b|netrc\b|npmrc\b|config/gcloud\b)"
)


def _answers(seen: Seen) -> Iterator[FoundEffect]:
    """Yield what asks for a secret, or shows the file it lies in, and leaves the answer to the log."""
    if seen.program == "printenv" and seen.verb not in seen.known_secrets:
        if SECRET_NAME.search(seen.verb) and _reaches_log(seen):
            yield seen.found("secret-print", seen.verb, secret=True, confidence="medium")
        return
    if seen.program == "cat":
        word = seen.command.argv[-1] if len(seen.command.argv) > 1 else ""
        if _reaches_log(seen) and _holds_environment(word, seen):
            yield seen.found("environment-dump", "cat", secret=bool(seen.known_secrets))
            return
        if _reaches_log(seen) and (_CREDENTIAL_FILES.search(word) or _holds_answer(word, seen)):
            yield seen.found("secret-print", word, secret=True, confidence="medium")
        return
    if seen.program in ("echo", "printf", "Write-Host", "Write-Output") and "printenv" in seen.command.text:
        for name in READS_VARIABLE.findall(" ".join(seen.command.argv[1:])):
            if (name in seen.known_secrets or SECRET_NAME.search(name)) and _reaches_log(seen):
                yield seen.found("secret-print", name, secret=True, confidence="medium")
                return
    pattern = ANSWERS.get(seen.program)
    text = seen.command.text
    if pattern is not None and pattern.search(text) and not _SAYS_NOTHING.search(text) and _reaches_log(seen):
        yield seen.found("secret-print", "the secret it asks for", secret=True, confidence="medium")


def _prints(seen: Seen, *, by_text: bool) -> Iterator[FoundEffect]:
    if not _reaches_log(seen):
        return
    if seen.program == "cat":
        # A variable of the kind that GitLab makes a file of: its name is that of a secret, its value a path.
        shown = next((name for name in sorted(seen.secrets) if _names_file(name, seen.args)), "")
        shown = shown or _kept_in(seen.args, seen)
        if shown:
            yield seen.found("secret-print", shown, secret=True, confidence="medium")
            return
    words = seen.command.argv[1:] if seen.program not in ("cat", "tee", "base64", "xxd", "rev", "od", "hexdump") else []
    text = " ".join([*words, seen.command.stdin])
    if "$(" in text:
        text = _SUBSTITUTION.sub(lambda found: "" if is_harmless(found[0]) else found[0], text)
    if "::add-mask::" in text or _HIDES.search(text):
        return
    if "${!" in text:
        for named in re.findall(r"\$\{!([A-Za-z_][A-Za-z0-9_]*)\}", text):
            shown = next((name for name in _values_of(named, seen) if name in seen.known_secrets), "")
            if shown:
                yield seen.found("secret-print", shown, secret=True, confidence="medium")
                return
    for name in sorted(seen.secrets):
        if name in seen.paths and not re.search(r"(?:\bcat\b|<)", text):
            continue
        if _is_value(name, text, seen.shell):
            found = seen.found("secret-print", name, secret=True)
            used = re.search(rf"\$[{{(]?{re.escape(name)}\b", seen.command.stdin)
            yield found if used is None else seen.in_document(found, used.start())
            return
    if by_text and names_secret(text):
        found = seen.found("secret-print", "a secret", secret=True)
        place = seen.command.stdin.find("${{")
        yield found if place < 0 or names_secret(" ".join(words)) else seen.in_document(found, place)


#: Lines by which Azure learns of a secret. A variable that is set without `issecret` is handed to every later step.
_HIDES = re.compile(r"##vso\[task\.set(?:secret\b|variable\b[^\]]{0,200}\bissecret\s*=\s*(?!false))", re.I)


def _kept_in(files: Sequence[str], seen: Seen) -> str:
    """Return the secret that the script has written to one of `files`; "" if there is none."""
    for command in seen.before() if files else ():
        kept = command.saved or command.program in _KEEP
        if not kept or seen.known_secrets.isdisjoint(command.reads | command.receives):
            continue
        written = command.writes_to if command.saved else command.argv[1:]
        if set(files) & set(written):
            return min(seen.known_secrets & (command.reads | command.receives))
    return ""


#: They write what they are given to the files they name, and show files.
_KEEP = frozenset(("tee", "Set-Content", "Add-Content", "Out-File", "set-content", "out-file"))
_SHOW_FILES = frozenset(("Get-Content", "get-content", "gc", "type", "head", "tail", "more", "less"))


def _shown(seen: Seen) -> Iterator[FoundEffect]:
    """Yield a value that stands alone in PowerShell, which prints it."""
    text = seen.command.text
    if _reaches_log(seen) and not seen.command.called:
        shown = next((name for name in sorted(seen.secrets) if _is_value(name, text, seen.shell)), "")
        if shown:
            yield seen.found("secret-print", shown, secret=True, confidence="medium")


_SHOWN = re.compile(r"\"[^\"\n]*\"|\$\{?(?:env:)?[A-Za-z0-9_]+\}?|\$\([A-Za-z0-9_.-]+\)")


def _values_of(name: str, seen: Seen) -> Iterator[str]:
    """Yield the words that a variable was set to, as far as they are written out."""
    for command in (*seen.before(), seen.command):
        for one in command.sets:
            if one.name == name:
                yield from one.value.split()


def _holds_environment(file: str, seen: Seen) -> bool:
    """Say whether the script has written the whole environment to `file`."""
    return any(
        command.argv in (["env"], ["printenv"], ["export"]) and file in command.writes_to for command in seen.before()
    )


def _holds_answer(file: str, seen: Seen) -> bool:
    """Say whether the script has written to `file` what a command answers that gives secrets away."""
    for command in seen.before():
        if command.saved and file in command.writes_to:
            pattern = ANSWERS.get(command.program)
            asks = pattern is not None and pattern.search(command.text) and not _SAYS_NOTHING.search(command.text)
            if asks or _ALL_OUTPUTS.match(command.text):
                return True
    return False


#: Every output of a state, those that are marked as sensitive in clear.
_ALL_OUTPUTS = re.compile(r"(?:terraform|tofu|terragrunt)\s+(?:-chdir=\S+\s+)?output\s+-json\s*(?:>|\Z)")


def _names_file(name: str, args: Sequence[str]) -> bool:
    return any(word in (f"${name}", f"${{{name}}}") for word in args)


def _is_value(name: str, text: str, shell: str) -> bool:
    """Say whether the value of a variable is in `text`: not its length, nor whether it is set."""
    if shell == "cmd":
        return re.search(rf"[%!]{re.escape(name)}[%!:]|\$\({re.escape(name)}\)", text, re.I) is not None
    braced, plain = (
        rf"\{{(?:env:)?{re.escape(name)}(?:\}}|:[^+?]|[%/^,@#-])",
        rf"{re.escape(name)}(?![A-Za-z0-9_]|\.Length\b)",
    )
    return re.search(rf"\$(?:env:)?(?:{braced}|{plain}|\({re.escape(name)}\))", text) is not None


def _reaches_log(seen: Seen) -> bool:
    command = seen.command
    if command.captured or (seen.shell in ("pwsh", "powershell") and _ASSIGNS.match(command.text)):
        return False
    if command.saved:
        return any("GITHUB_STEP_SUMMARY" in file for file in command.writes_to)
    program = command.pipes_to
    if not program:
        return True
    # Down the pipeline, as far as each program hands on what it got.
    for other in seen.after():
        if other.fed_by and other.program == program:
            if program == "tee" and _COPIES_TO_LOG.intersection(other.argv):
                return True
            if program.lower() not in _HAND_ON or other.saved or other.captured:
                return False
            if program == "grep" and {"-q", "-c", "--quiet"} & set(other.argv):
                return False
            if program == "tee" and any("/dev/null" in word for word in other.argv):
                return True
            program = other.pipes_to
            if not program:
                return True
    return False


#: PowerShell keeps what a whole pipeline says: `$all = Get-ChildItem env: | Out-String`.
_ASSIGNS = re.compile(r"\$[A-Za-z_][A-Za-z0-9_:]*\s*\+?=")


def _prints_in_code(seen: Seen) -> Iterator[FoundEffect]:
    code = seen.command.stdin or seen.command.text
    if _PRINTS_IN_CODE.search(code) is None:
        return
    lines = set()
    for printed in re.finditer(rf"{_PRINTS_IN_CODE.pattern}[^\n;]{{0,200}}\$\{{\{{[^}}\n]{{0,300}}\}}\}}", code):
        if names_secret(printed[0]):
            lines.add(code.count("\n", 0, printed.start()))
            yield seen.in_document(seen.found("secret-print", "a secret", secret=True), printed.start())
    for name in sorted(seen.known_secrets):
        read = rf"(?:environ|getenv|process\.env|ENV)[^\n;]{{0,4}}[\[(.'\"]{{1,3}}{re.escape(name)}\b"
        for printed in re.finditer(rf"{_PRINTS_IN_CODE.pattern}[^\n;]{{0,200}}{read}", code):
            if _ONLY_ASKED.search(printed[0]) or _ASKED.match(code, printed.end()):
                continue
            line = code.count("\n", 0, printed.start())
            if line not in lines:
                lines.add(line)
                yield seen.in_document(seen.found("secret-print", name, secret=True), printed.start())


#: Whether a value is there is asked, in Python in front of it, in JavaScript behind.
_ONLY_ASKED = re.compile(r"\bif\b|!!|\b[Bb]ool(?:ean)?\(|\blen\(")
_ASKED = re.compile(r"['\"\])\s]{0,6}\?(?![.?])|['\"\])\s]{0,6}(?:is\s+(?:not\s+)?None|[!=]=|\.length\b)")


def _dumps(seen: Seen) -> Iterator[FoundEffect]:
    if not _lists_environment(seen):
        if seen.program in _SENDERS and _DUMP.search(seen.command.text):
            yield seen.found("environment-send", _host(seen), secret=bool(seen.known_secrets))
        elif seen.program in ("echo", "printf") and seen.logged and _DUMP.search(seen.command.text):
            yield seen.found("environment-dump", seen.program, secret=bool(seen.known_secrets))
        return
    command = seen.command
    following = [other for other in seen.after() if other.fed_by][:4] if command.pipes_to else []
    if command.pipes_to in _SENDERS or any(
        other.program in _SENDERS for other in following if command.pipes_to in _HAND_ON
    ):
        yield seen.found("environment-send", command.pipes_to, secret=bool(seen.known_secrets))
    elif _reaches_log(seen) and (command.pipes_to != "grep" or _looks_for_secrets(following)):
        if following and _NAMES_ALONE.search(following[0].text):
            return
        found = seen.found("environment-dump", seen.command.program, secret=bool(seen.known_secrets))
        listed = re.search(r"(?:os\.environ|process\.env|\bENV)\b", seen.command.stdin)
        yield found if listed is None else seen.in_document(found, listed.start())


def _looks_for_secrets(following: Sequence[ShellCommand]) -> bool:
    """Say whether a search in a listing is one for secrets."""
    return any(
        other.program == "grep"
        and not {"-v", "-c", "-q"} & set(other.argv)
        and any(_NAMES_OF_SECRETS.search(word) for word in other.argv[1:])
        for other in following
    )


def _lists_environment(seen: Seen) -> bool:
    argv = seen.command.argv
    if seen.program in ("env", "printenv", "export", "set"):
        # In PowerShell `set` is Set-Variable, in others without words it lists.
        return len(argv) == 1 or (argv[1:] in (["-p"], ["-0"]) and seen.program != "set")
    if seen.program in ("cat", "strings"):
        return "/proc/self/environ" in argv[1:]
    if seen.program in ("echo", "printf"):
        # for v in $(compgen -e); do echo "${!v}"; done
        named = re.findall(r"\$\{!([A-Za-z_][A-Za-z0-9_]*)\}", seen.command.text)
        return any("compgen" in value for name in named for value in _values_of(name, seen))
    if seen.program in ("declare", "typeset"):
        return argv[1:] in (["-p"], ["-x"], ["-px"], ["-xp"])
    if seen.program.lower() in ("get-childitem", "gci", "ls", "dir"):
        return any(word.lower().rstrip(":\\*") == "env" and ":" in word for word in argv[1:])
    if seen.shell in ("pwsh", "powershell") and "::GetEnvironmentVariables(" in seen.command.text:
        return True
    if seen.program in ("python", "node", "ruby"):
        return (
            re.search(
                r"(?:print|console\.log)\(\s*(?:(?:json\.dumps|JSON\.stringify|dict)\(){0,2}(?:os\.environ|process\.env)\s*[,)]"
                r"|\b(?:puts|p|print)[ (]+ENV(?:\.(?:to_h|to_a|inspect|to_s)\b|[\s'\")]|\Z)",
                seen.command.text,
            )
            is not None
        )
    return False


def _host(seen: Seen) -> str:
    for word in seen.args:
        found = URL.search(word)
        if found:
            return found["host"]
    return ""


def _sends(seen: Seen) -> Iterator[FoundEffect]:
    """Yield secrets in what is sent. One that only proves who sends is left out."""
    if any(_OF_GITLAB.search(word) for word in seen.args):
        return  # which knows its own tokens
    address = next((found for word in seen.args for found in [URL.search(word)] if found), None)
    host = address["host"] if address else ""
    if host and is_near(host) and "$" not in host and "{" not in host:
        return
    catcher = bool(address and _CATCHERS.search(address[0]))
    data = [
        word if "=" in word and word.startswith("--") else after
        for word, after in zip(seen.args, [*seen.args[1:], ""], strict=True)
        if _DATA_OPTIONS.match(word)
    ]
    if address:
        data += [word.partition("?")[2] for word in seen.args if "://" in word]
    if any("@-" in word for word in data):
        data.append(seen.command.stdin)
    text = " ".join(data)
    sent = next((name for name in sorted(seen.secrets) if _is_value(name, text, seen.shell)), "")
    if not sent and names_secret(text):
        sent = "a secret"
    if sent:
        logs_in = address and _AUTHENTICATES.search(address[0].partition("?")[0]) and _CREDENTIAL_FIELDS.search(text)
        if logs_in and not catcher:
            return
        yield seen.found("secret-send", host or sent, secret=True, confidence="high" if catcher else "medium")
    elif catcher:
        yield seen.found("secret-send", host, secret=True)


def _talks(seen: Seen) -> Iterator[FoundEffect]:
    """Yield requests whose headers are printed, the one that holds a secret among them."""
    verbose = seen.has("--verbose", "--trace", "--trace-ascii", "--debug") or any(
        _VERBOSE[seen.program].fullmatch(word) for word in seen.args if seen.program in _VERBOSE
    )
    if verbose and not seen.command.captured and "2>/dev/null" not in seen.command.text.replace(" ", ""):
        yield seen.found("secret-print", "the headers it sends", secret=True, confidence="medium")


def _argument(seen: Seen) -> Iterator[FoundEffect]:
    options = _PASSWORD_OPTIONS.get(seen.program)
    if options is None:
        return
    if seen.program in ("docker", "podman", "buildah") and seen.verb in ("build", "bud", "buildx"):
        options = ("--build-arg",)  # kept in the image's history
    elif seen.program == "docker" and seen.verb != "login":
        return
    value = seen.value(*options)
    if value is None:
        value = next(
            (
                word
                for word in seen.args
                if word.startswith(options) and "$" in word and not word.startswith("--password-stdin")
            ),
            None,
        )
    if value and (names_secret(value) or any(_is_value(name, value, seen.shell) for name in seen.secrets)):
        yield seen.found("secret-argument", seen.program, secret=True)
