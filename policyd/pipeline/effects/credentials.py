"""Passwords, keys and tokens that are written out, and credentials that are left lying."""

from __future__ import annotations

import re
from collections.abc import Iterator

from policyd.pipeline.effects.found import FoundEffect
from policyd.pipeline.effects.seen import Seen
from policyd.pipeline.effects.tables import words
from policyd.pipeline.effects.values import names_secret

#: What issuers made recognisable.
_FORMATS = (
    ("a GitHub token", r"gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{60}"),
    ("a GitLab token", r"gl(?:pat|ptt|dt|rt|cbt|soat)-[A-Za-z0-9_-]{20}"),
    ("an AWS access key", r"(?<![A-Z0-9])(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Z0-9])"),
    ("a Slack token", r"xox[abprs]-[A-Za-z0-9-]{10}"),
    ("a Slack webhook", r"hooks\.slack\.com/services/T[A-Z0-9]{6,}/B[A-Z0-9]{6,}/[A-Za-z0-9]{16}"),
    ("a Google API key", r"AIza[A-Za-z0-9_-]{35}"),
    ("a Stripe key", r"[sr]k_live_[A-Za-z0-9]{20}"),
    ("an npm token", r"npm_[A-Za-z0-9]{36}"),
    ("a PyPI token", r"pypi-AgEIcHlwaS5vcmc[A-Za-z0-9_-]{20}"),
    ("a private key", r"-----BEGIN [A-Z ]*PRIVATE KEY-----"),
    ("a Docker Hub token", r"dckr_pat_[A-Za-z0-9_-]{20}"),
    ("a SendGrid key", r"SG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}"),
    ("a Databricks token", r"dapi[0-9a-f]{32}"),
    ("a DigitalOcean token", r"dop_v1_[0-9a-f]{64}"),
    ("a Hugging Face token", r"hf_[A-Za-z]{34}"),
    ("a registry's login", r"\"auth\"\s*:\s*\"[A-Za-z0-9+/]{12,}={0,2}\""),
    ("a SonarQube token", r"\bsq[apu]_[0-9a-f]{40}\b"),
    ("a Vault token", r"hv[sb]\.[A-Za-z0-9_-]{24}"),
    ("an Azure storage key", r"(?:AccountKey|SharedAccessKey)=[A-Za-z0-9+/]{40,}={0,2}"),
    (
        "the password of a database",
        r"(?i:(?:Server|Data Source|Host|Address)=(?!(?:tcp:)?(?:localhost|127\.|\(local|\.[;,\\]))[^\n'\"]{1,300};\s*"
        r"(?:Password|Pwd)=)(?=[^;'\"\n]*[0-9])[^;'\"\s$%{<*]{8,}",
    ),
)
_ANY_FORMAT = re.compile("|".join(f"(?P<f{index}>{pattern})" for index, (_, pattern) in enumerate(_FORMATS)))
_HINT = re.compile(
    r"gh[pousr]_|github_pat_|gl[a-z]+-|AKIA|ASIA|xox|hooks\.slack|AIza|k_live_|npm_|pypi-A|-----BEGIN|\"auth\"|hv[sb]\.|sq[apu]_|dckr_|SG\.|dapi|dop_v1|hf_|AccountKey|AccessKey=|[Pp]assword=|Pwd="
)
_NAMES = re.compile(
    r"(?:^|[_-]|pg|mysql)(?:password|passwd|pwd|passphrase|secret|token|pat|api[_-]?key|apikey"
    r"|(?:secret|private|access|signing|encryption)[_-]?key(?:[_-]id)?)$",
    re.I,
)
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_LOOKS_MADE = re.compile(r"[A-Za-z0-9+/=_.:!@#%^*&?~-]{8,}\Z")
_PLACEHOLDER = re.compile(
    r"test|dummy|example|sample|fake|change-?_?me|placeholder|password|secret|your|xxxx|local|default|postgres|mysql|minio|admin|guest|root"
    r"|mock|demo|redacted|://|12345|abc123|foobar|\*\*\*|\$\(|\$\{|%[A-Z_]+%|\bnone\b|true|false",
    re.I,
)
_IN_URL = re.compile(r"(?<![a-z0-9+.-])[a-z][a-z0-9+.-]{0,20}://[^/\s:@'\"$<{]{0,100}:([^/\s@'\"]{1,200})@")
_LITERAL_OPTIONS: dict[str, tuple[str, ...]] = {
    "docker": ("-p", "--password"),
    "podman": ("-p", "--password"),
    "buildah": ("-p", "--password"),
    "skopeo": ("-p", "--password"),
    "crane": ("-p", "--password"),
    "oras": ("-p", "--password"),
    "nerdctl": ("-p", "--password"),
    "helm": ("--password",),
    "twine": ("-p", "--password"),
    "sshpass": ("-p",),
    "az": ("-p", "--password"),
    "curl": ("-u", "--user"),
    "sqlcmd": ("-P",),
    "bcp": ("-P",),
    "cf": ("-p",),
    "oc": ("--token", "-p", "--password"),
    "nuget": ("-ApiKey",),
    "dotnet": ("--api-key",),
    "mysql": ("--password",),
    "argocd": ("--password",),
}

_HEADER = re.compile(
    r"(?:authorization:\s*(?:bearer|basic|token)\s+|(?:x-)?(?:api-?key|auth-token|access-token|vault-token)[:=]\s*"
    r"|private-token:\s*)([A-Za-z0-9_.~+/=-]{16,})(?=['\"\s]|\Z)",
    re.I,
)
#: Take a password in the same word as its option.
_ATTACHED = frozenset(("mysql", "mysqldump", "mysqladmin", "mariadb", "sshpass", "7z", "7za"))
#: A credential in an address that does not outlive the job: GitLab's runner leaves the same one there by itself.
_OF_THE_JOB = re.compile(r"://(?:gitlab-ci-token|\$\{?CI_REGISTRY_USER\}?):\$\{?CI_JOB_TOKEN\}?@")

#: Files that are there to hold a credential, and folders of them.
_CREDENTIAL_FILES = re.compile(
    r"(?:^|/)(?:\.netrc|\.git-credentials|\.pypirc|\.dockerconfigjson|\.docker/config\.json|\.docker|\.aws(?:/credentials)?"
    r"|\.ssh(?:/[^/]*)?|\.kube(?:/config)?|kubeconfig(?:\.ya?ml)?|id_(?:rsa|ed25519|ecdsa)|[^/]*\.tfstate)/?\Z"
)
#: Files that settings are written to, and credentials with them.
SETTINGS_FILES = re.compile(
    r"(?:\.git-credentials|\.netrc|\.npmrc|\.pypirc|\.yarnrc(?:\.yml)?|credentials\.json|\.env)\Z"
)


def is_credential_file(path: str) -> bool:
    """Say whether a file of this name is there to hold a credential."""
    return _CREDENTIAL_FILES.search(path) is not None


def find_format(text: str) -> str:
    """Return what a credential in `text` is, if its issuer made it recognisable; "" if there is none."""
    if _HINT.search(text) is None:
        return ""
    found = _ANY_FORMAT.search(text)
    return _FORMATS[int((found.lastgroup or "f0")[1:])][0] if found else ""


def looks_like_credential(name: str, value: str) -> bool:
    """Say whether a variable's name says that it is secret and its value looks made by a machine."""
    return (
        _NAMES.search(_CAMEL.sub("_", name)) is not None
        and "public" not in name.lower()
        and _LOOKS_MADE.match(value) is not None
        and re.search(r"[0-9]", value) is not None
        and re.search(r"[A-Za-z]", value) is not None
        and _PLACEHOLDER.search(value) is None
    )


def find_in_address(text: str) -> bool:
    """Say whether a text is an address with a password in it that is none of a test's."""
    found = _IN_URL.search(text) if "@" in text else None
    if found is None or found[1] == "x-oauth-basic":
        return False
    return _is_literal(found[1]) and _PLACEHOLDER.search(found[1]) is None


def find_credential(seen: Seen) -> Iterator[FoundEffect]:
    """Yield credentials that are written out in a command, and those that it leaves lying."""
    text = seen.command.text
    known = find_format(text)
    if known:
        yield seen.found("literal-credential", known, secret=False)
    elif seen.command.stdin and (known := find_format(seen.command.stdin)):
        found = seen.found("literal-credential", known, secret=False)
        place = _ANY_FORMAT.search(seen.command.stdin)
        yield found if place is None else seen.in_document(found, place.start())
    else:
        yield from _literal(seen)
    for one in seen.command.sets:
        if looks_like_credential(one.name, one.value):
            yield seen.found("literal-credential", one.name, secret=False, confidence="medium")
    yield from _left_lying(seen)


def _literal(seen: Seen) -> Iterator[FoundEffect]:
    if "<password>" in seen.command.stdin:
        written = _IN_XML.search(seen.command.stdin)
        if written and _is_literal(written[1]) and not _PLACEHOLDER.search(written[1]):
            found = seen.found("literal-credential", "a password in settings", secret=False, confidence="medium")
            yield seen.in_document(found, written.start())
            return
    options = _LITERAL_OPTIONS.get(seen.program)
    if options and (
        seen.program not in ("docker", "podman", "buildah", "nerdctl", "az") or seen.verb in ("login", "acr", "sp")
    ):
        value = seen.value(*options) or ""
        if seen.program == "curl":
            value = value.partition(":")[2]
        if _is_literal(value):
            yield seen.found("literal-credential", f"the password of {seen.program}", secret=False)
            return
    if seen.program == "az" and _is_literal(seen.value("--account-key", "--sas-token", "--connection-string") or ""):
        yield seen.found("literal-credential", "a key of a storage account", secret=False)
        return
    if seen.program == "ConvertTo-SecureString":
        words = [word for word in seen.args if not word.startswith("-")]
        plain = any(word.lower().startswith("-a") for word in seen.args)
        if plain and words and _is_literal(words[0]) and not words[0].startswith("("):
            yield seen.found("literal-credential", "a password made secure", secret=False)
            return
    if name := _setting(seen):
        yield seen.found("literal-credential", name, secret=False, confidence="medium")
        return
    if seen.program in _ATTACHED:
        word = next((word[2:] for word in seen.args if word.startswith("-p") and len(word) > 5), "")
        if _is_literal(word) and not _PLACEHOLDER.search(word):
            yield seen.found("literal-credential", f"the password of {seen.program}", secret=False)
            return
    if seen.program in ("curl", "wget", "http", "https"):
        header = _HEADER.search(seen.command.text)
        if header and re.search(r"[0-9]", header[1]) and not _PLACEHOLDER.search(header[1]):
            yield seen.found("literal-credential", "a token in a header", secret=False, confidence="medium")
            return
    if (
        seen.program == "aws"
        and seen.verb == "configure"
        and len(seen.args) > 3
        and looks_like_credential(seen.args[-2], seen.args[-1])
    ):
        yield seen.found("literal-credential", seen.args[-2], secret=False)
    elif find_in_address(seen.command.text):
        yield seen.found("literal-credential", "a password in an address", secret=False, confidence="medium")


#: Options whose value is a setting by name, or several with commas between them.
_SETTERS: dict[str, frozenset[str]] = {
    program: words(options)
    for programs, options in (
        ("helm", "--set --set-string --set-literal"),
        ("terraform tofu", "-var --var"),
        ("docker podman buildah nerdctl", "--build-arg -e --env"),
        ("kubectl oc", "--from-literal"),
        ("kaniko executor", "--build-arg"),
    )
    for program in programs.split()
}


#: Take properties, `-Dname=value`.
_PROPERTIES = frozenset(("sonar-scanner", "mvn", "mvnw", "gradle", "gradlew", "java"))


def _setting(seen: Seen) -> str:
    """Return the name of a credential that is written out as a setting of a program, "" if there is none."""
    if seen.program in _PROPERTIES:
        for word in seen.args:
            name, _, value = word.removeprefix("-D").partition("=")
            key = "password" if name == "sonar.login" else name.rpartition(".")[2]
            if word.startswith("-D") and looks_like_credential(key, value):
                return name
    options = _SETTERS.get(seen.program)
    for index, word in enumerate(seen.args) if options else ():
        option, is_set, rest = word.partition("=")
        if options is None or option not in options:
            continue
        for one in (rest if is_set else "".join(seen.args[index + 1 : index + 2])).split(","):
            name, _, value = one.partition("=")
            if looks_like_credential(name.rpartition(".")[2], value):
                return name
    return ""


_IN_XML = re.compile(r"<password>([^<>\s]{6,100})</password>")


def _is_literal(value: str) -> bool:
    return len(value) > 3 and re.search(r"[$%`{]|\*\*\*|^-", value) is None


def _left_lying(seen: Seen) -> Iterator[FoundEffect]:
    text = seen.command.text
    has_secret = bool(seen.secrets) or names_secret(text) or names_secret(seen.command.stdin)
    if seen.program == "git":
        verb = seen.verb
        if verb in ("clone", "remote", "config", "push", "submodule") and re.search(
            r"://[^/\s@'\"]{0,100}\$(?:\{\{[^}\n]{0,100}\}\}|[^/\s@'\"]{0,100})@", text
        ):
            if verb != "push" and _OF_THE_JOB.search(text) is None:
                yield seen.found("persists-credentials", f"git {verb}", secret=True)
        elif (
            verb == "config"
            and re.search(r"extraheader\b.{0,300}(?:authorization|bearer|basic)", text, re.I)
            and has_secret
        ):
            yield seen.found("persists-credentials", "git config", secret=True)
        elif verb == "config" and re.search(r"credential\.helper[\s=]+[\"']?store", text):
            yield seen.found("persists-credentials", "git config", secret=has_secret)
    elif has_secret:
        for file in seen.command.writes_to:
            if SETTINGS_FILES.search(file):
                yield seen.found("persists-credentials", file, secret=True, confidence="medium")
