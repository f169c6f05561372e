"""Secrets, and whole environments, that reach the log, another host or an argument list."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from policyd.pipeline.effects.downloads import FETCHERS
from policyd.pipeline.effects.found import FoundEffect
from policyd.pipeline.effects.hosts import URL, is_near
from policyd.pipeline.effects.seen import Seen
from policyd.pipeline.effects.tables import words
from policyd.pipeline.effects.values import names_secret
from policyd.pipeline.shell import ShellCommand

_PRINTERS = words(
    """
    echo printf print Write-Host Write-Output write-host write-output cat base64 xxd rev od hexdump
    """
)
#: Hand on what they are given, more or less as it was. Masking does not know it any more.
_HAND_ON = words(
    """
    base64 xxd rev od hexdump tr sed fold cut tee cat jq awk sort head tail grep
    sort-object select-object format-table format-list ft fl out-string out-host out-default
    """
)
_SENDERS = FETCHERS | {"nc", "ncat", "netcat", "telnet", "socat"}
_DATA_OPTIONS = re.compile(
    r"(?:-d|--data(?:-raw|-binary|-urlencode|-ascii)?|-F|--form(?:-string)?|--json|--post-data|--body-data|-Body|-T|--upload-file)(?:=|\Z)"
)
_AUTHENTICATES = re.compile(r"oauth|token|login|auth|session|signin|credential", re.I)
_CATCHERS = re.compile(
    r"ngrok|webhook\.site|requestbin|pipedream|burpcollaborator|interact\.sh|oast\.|requestcatcher|beeceptor|hookbin|dnslog|pastebin",
    re.I,
)
_DUMP = re.compile(
    r"\$\(\s*(?:env|printenv|export -p|declare -[px]+|set)\s*(?:\)|\|)"
    r"|`\s*(?:env|printenv)\s*(?:`|\|)|@/proc/self/environ"
)
_CREDENTIAL_FILES = re.compile(
    r"(?:\.aws/credentials|\.npmrc|\.netrc|\.docker/config\.json|\.dockerconfigjson|\.git-credentials|\.pypirc|kubeconfig|\.kube/config"
    r"|id_rsa|id_ed25519|/(?:password|passwd|token|secret)(?:\.txt)?|/(?:secrets?|creds?|credentials)/[^/]+)\Z",
    re.I,
)
#: Commands that answer with a secret.
_ANSWERS = {
    program: re.compile(pattern)
    for programs, pattern in (
        ("kubectl oc", r"\bget\s+secrets?(?:\s|/).{0,200}(?:-o|--output|--template)|\bextract\s+secret.{0,100}--to=-"),
        ("az", r"\bkeyvault\s+secret\s+show\b|\baccount\s+get-access-token\b|\bacr\s+credential\s+show\b"),
        ("aws", r"\bsecretsmanager\s+get-secret-value\b|\bssm\s+get-parameters?\b.{0,300}--with-decryption"),
        (
            "gcloud",
            r"\bsecrets\s+versions\s+access\b|\bauth\s.{0,30}\bprint-(?:access|identity)-token\b",
        ),
        ("vault", r"\A\S+\s+(?:kv\s+get|read)\b"),
        ("gh glab", r"\bauth\s+token\b"),
    )
    for program in programs.split()
}
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
    text_names_secret = names_secret(seen.command.text) or names_secret(seen.command.stdin)
    if not (seen.secrets or text_names_secret or seen.known_secrets):
        return
    if seen.program in _PRINTERS:
        yield from _prints(seen, by_text=text_names_secret)
    elif seen.program == "printenv" and seen.verb in seen.known_secrets:
        if seen.logged:
            yield seen.found("secret-print", seen.verb, secret=True)
    elif seen.program in ("python", "node", "ruby", "perl") and seen.known_secrets:
        yield from _prints_in_code(seen)
    if seen.secrets or text_names_secret:
        if seen.program in _SENDERS:
            yield from _sends(seen)
        yield from _argument(seen)


def _answers(seen: Seen) -> Iterator[FoundEffect]:
    """Yield what asks for a secret, or shows the file it lies in, and leaves the answer to the log."""
    if seen.program == "cat":
        word = seen.command.argv[-1] if len(seen.command.argv) > 1 else ""
        if _CREDENTIAL_FILES.search(word) and _reaches_log(seen):
            yield seen.found("secret-print", word, secret=True, confidence="medium")
        return
    pattern = _ANSWERS.get(seen.program)
    text = seen.command.text
    if pattern is not None and pattern.search(text) and not _SAYS_NOTHING.search(text) and _reaches_log(seen):
        yield seen.found("secret-print", "the secret it asks for", secret=True, confidence="medium")


def _prints(seen: Seen, *, by_text: bool) -> Iterator[FoundEffect]:
    if not _reaches_log(seen):
        return
    if seen.program == "cat":
        # A variable of the kind that GitLab makes a file of: its name is that of a secret, its value a path.
        shown = next((name for name in sorted(seen.secrets) if _names_file(name, seen.args)), "")
        if shown:
            yield seen.found("secret-print", shown, secret=True, confidence="medium")
            return
    words = seen.command.argv[1:] if seen.program not in ("cat", "base64", "xxd", "rev", "od", "hexdump") else []
    text = " ".join([*words, seen.command.stdin])
    if "::add-mask::" in text or re.search(r"##vso\[task\.setvariable\b", text, re.I):
        return
    for name in sorted(seen.secrets):
        if _is_value(name, text, seen.shell):
            yield seen.found("secret-print", name, secret=True)
            return
    if by_text and names_secret(text):
        yield seen.found("secret-print", "a secret", secret=True)


def _names_file(name: str, args: Sequence[str]) -> bool:
    return any(word in (f"${name}", f"${{{name}}}") for word in args)


def _is_value(name: str, text: str, shell: str) -> bool:
    """Say whether the value of a variable is in `text`: not its length, nor whether it is set."""
    if shell == "cmd":
        return re.search(rf"[%!]{re.escape(name)}[%!:]|\$\({re.escape(name)}\)", text, re.I) is not None
    braced, plain = rf"\{{(?:env:)?{re.escape(name)}(?:\}}|:[^+?]|[%/^,@#-])", rf"{re.escape(name)}(?![A-Za-z0-9_])"
    return re.search(rf"\$(?:env:)?(?:{braced}|{plain}|\({re.escape(name)}\))", text) is not None


def _reaches_log(seen: Seen) -> bool:
    command = seen.command
    if command.saved or command.captured:
        return False
    program = command.pipes_to
    if not program:
        return True
    # Down the pipeline, as far as each program hands on what it got.
    for other in seen.after():
        if other.fed_by and other.program == program:
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


def _prints_in_code(seen: Seen) -> Iterator[FoundEffect]:
    text = f"{seen.command.text}\n{seen.command.stdin}"
    if "print" not in text and "console.log" not in text and "puts" not in text:
        return
    for name in sorted(seen.known_secrets):
        read = rf"(?:environ|getenv|process\.env|ENV)[^\n;]{{0,4}}[\[(.'\"]{{1,3}}{re.escape(name)}\b"
        if re.search(rf"(?:print|console\.log|puts)[^\n;]{{0,200}}{read}", text):
            yield seen.found("secret-print", name, secret=True)
            return


def _dumps(seen: Seen) -> Iterator[FoundEffect]:
    if not _lists_environment(seen):
        if seen.program in _SENDERS and _DUMP.search(seen.command.text):
            yield seen.found("environment-send", _host(seen), secret=bool(seen.known_secrets))
        elif seen.program in ("echo", "printf") and seen.logged and _DUMP.search(seen.command.text):
            yield seen.found("environment-dump", seen.program, secret=bool(seen.known_secrets))
        return
    command = seen.command
    following = [other for other in seen.after() if other.fed_by][:4]
    if command.pipes_to in _SENDERS or any(
        other.program in _SENDERS for other in following if command.pipes_to in _HAND_ON
    ):
        yield seen.found("environment-send", command.pipes_to, secret=bool(seen.known_secrets))
    elif _reaches_log(seen) and (command.pipes_to != "grep" or _looks_for_secrets(following)):
        yield seen.found("environment-dump", seen.command.program, secret=bool(seen.known_secrets))


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
    if seen.program in ("declare", "typeset"):
        return argv[1:] in (["-p"], ["-x"], ["-px"], ["-xp"])
    if seen.program.lower() in ("get-childitem", "gci", "ls", "dir"):
        return any(word.lower().rstrip(":\\*") == "env" and ":" in word for word in argv[1:])
    if seen.program in ("python", "node"):
        return (
            re.search(r"(?:print|console\.log)\(\s*(?:dict\()?(?:os\.environ|process\.env)\s*\)", seen.command.text)
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
        data += [address["rest"].partition("?")[2]]
    text = " ".join(data)
    sent = next((name for name in sorted(seen.secrets) if _is_value(name, text, seen.shell)), "")
    if not sent and names_secret(text):
        sent = "a secret"
    if sent:
        authenticates = bool(address and _AUTHENTICATES.search(address[0]))
        yield seen.found(
            "secret-send",
            host or sent,
            secret=True,
            confidence="high" if catcher else "low" if authenticates else "medium",
        )
    elif catcher:
        yield seen.found("secret-send", host, secret=True)


def _argument(seen: Seen) -> Iterator[FoundEffect]:
    options = _PASSWORD_OPTIONS.get(seen.program)
    if options is None:
        return
    if seen.program == "docker" and seen.verb != "login":
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
