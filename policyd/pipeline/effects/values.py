"""What the variables of a script hold while it runs: an outsider's text, a secret, something made by a command.

Followed in the order of the text. What once holds an outsider's text is taken to hold it from there on: whether a
branch that sets something else is taken is not known.
"""

from __future__ import annotations

import re

from policyd.pipeline.shell import Assignment, ShellCommand

#: What is left of a text behind these says nothing of its own.
_HARMLESS = re.compile(
    r"\|\s*(?:sha\d*sum|shasum|md5sum|cksum|wc|tr\s+-(?:cd|dc)|jq\s+-R\S*\s+@sh)\b"
    r"|\bgrep\s+-\w*o\w*\s+['\"]?(?:\\b|\^)?(?:\[[0-9A-Za-z_]+(?:-[0-9A-Za-z_]+)*\](?:[+*]|\{[0-9,]+\})?)+(?:\\b|\$)?['\"]?(?=[\s)|])"
)
#: A field of an event that is a number or a digest, and a text of which only plain characters are left.
_PLAIN = re.compile(
    r"(?:\$\(|`)\s*jq\s[^|)`]{0,100}\.(?:iid|id|number|sha|node_id|after|before)['\"]?[\s)]"
    r"|\$\{\w+//?\[\^[A-Za-z0-9_./ -]+\]/[^$}]*\}"
)
#: What the author of a commit chose: its message, and the name.
_OF_COMMITS = re.compile(
    r"(?:\$\(|`)\s*git\s+(?:-\S+\s+)*(?:log|show|rev-list|for-each-ref)\s[^|)]{0,200}"
    r"(?:%(?:[sbB]|[ac][nNeElL])\b|--pretty=(?:oneline|medium|full)|--oneline|\(contents|\(subject)"
)
READS_VARIABLE = re.compile(r"(?:\$\(|`)\s*printenv\s+[\"']?([A-Za-z_][A-Za-z0-9_]*)[\"']?\s*[)`]")
#: Names of variables that a script doesn't set but most likely holds a secret in.
SECRET_NAME = re.compile(r"(?:TOKEN|SECRET|PASSWORD|PASSWD|API_?KEY|PRIVATE_KEY|CREDENTIALS?)\Z")
#: Names of files in a change: their author chose them.
NAMES_CHANGED = re.compile(r"\bgit\s+(?:-\S+\s+)*(?:diff|diff-tree|show|log)\s[^|)]{0,200}--name-(?:only|status)\b")
_RANDOM = re.compile(
    r"\bopenssl\s+rand\b|\buuidgen\b|/dev/u?random\b|kernel/random/uuid|\$\{?RANDOM\b|\bmktemp\b|\bGet-Random\b|NewGuid"
    r"|\b(?:token_hex|token_urlsafe|uuid4|randomUUID)\b|\b(?:sha\d+|md5)sum\b"
)
_DOWNLOADS = re.compile(r"(?:\$\(|`)\s*(?:curl|wget|iwr|irm)\s")
#: As PowerShell writes it: a command's output is assigned without a sign of its own.
_FETCHED = re.compile(r"\(*\s*(?:iwr|irm|Invoke-WebRequest|Invoke-RestMethod)\s+\S*(?:-\w|https?:|\$)", re.I)

#: Commands that answer with a secret.
ANSWERS = {
    program: re.compile(pattern)
    for programs, pattern in (
        (
            "kubectl oc",
            r"\bget\s+secrets?(?:\s|/).{0,200}(?:-o|--output|--template)|\bextract\s+secret.{0,100}--to=-|\bconfig\s+view\b.{0,100}--raw\b"
            r"|\bwhoami\s+(?:-t|--show-token)\b|\bcreate\s+token\s",
        ),
        (
            "az",
            r"\bkeyvault\s+secret\s+show\b|\baccount\s+get-access-token\b|\bacr\s+credential\s+show\b"
            r"|\b(?:account|namespace|authorization-rule|cosmosdb|search\s+admin-key|function(?:app)?)\s.{0,20}\bkeys?\s+list\b"
            r"|\bad\s+(?:sp|app)\s+(?:create-for-rbac|credential\s+reset)\b|\bshow-connection-string\b"
            r"|\baks\s+get-credentials\b.{0,200}(?:-f|--file)[= ]-|\blist-publishing-(?:profiles|credentials)\b",
        ),
        (
            "terraform tofu terragrunt",
            r"\boutput\b.{0,40}-raw\b.{0,60}(?:pass(?:word|wd)?|secret|token|(?:access|account|api|admin|private)_?key|conn(?:ection)?_?str\w*|kube_?config)\b",
        ),
        ("aws", r"\bsecretsmanager\s+get-secret-value\b|\bssm\s+get-parameters?\b.{0,300}--with-decryption"),
        (
            "gcloud",
            r"\bsecrets\s+versions\s+access\b|\bauth\s.{0,30}\bprint-(?:access|identity)-token\b",
        ),
        ("vault", r"\A\S+\s+(?:kv\s+get|read)\b"),
        ("gh glab", r"\bauth\s+token\b"),
        ("Get-AzKeyVaultSecret", r"\s-AsPlainText\b"),
        ("Get-AzStorageAccountKey", r"\s-\w"),
    )
    for program in programs.split()
}
_ASKS = re.compile(rf"(?:\$\(|`)\s*((?:{'|'.join(sorted(ANSWERS))})\s[^|)`]{{1,400}})")
#: Parts of an answer that are no secret.
_NO_SECRET = re.compile(
    r"(?:-field[= ]|\.)(?:user(?:name)?|login|host(?:name)?|port|region|name|id|version|endpoint|database)\b"
)


def asks_for_secret(value: str) -> bool:
    """Say whether a value is the answer of a command that gives secrets away: `$(vault kv get -field=x y)`."""
    found = _ASKS.search(value)
    if found is None:
        return False
    program = found[1].split(None, 1)[0]
    return ANSWERS[program].search(found[1]) is not None and _NO_SECRET.search(value) is None


#: The whole environment, secrets and all.
_EVERYTHING = re.compile(
    r"\A\$\(\s*(?:gci|dir|ls|Get-ChildItem)\s+env:|\$\(\s*(?:env|printenv)\s*(?:\)|\|\s*(?:base64|sort|gzip|xxd)\b)",
    re.I,
)
#: How a function names what it is handed.
PARAMETERS = frozenset("123456789@*")
_MATCHED = frozenset(("BASH_REMATCH",))
_FREE = re.compile(r"\.[*+{]|\[\^|\\S")


class Values:
    """The names of variables by what they hold."""

    def __init__(
        self,
        tainted: frozenset[str],
        secrets: frozenset[str],
        literal: frozenset[str] = frozenset(),
        paths: frozenset[str] = frozenset(),
    ) -> None:
        self.tainted = tainted
        self.secrets = secrets
        self.literal = literal - tainted
        self.paths = paths
        self.checkers: frozenset[str] = frozenset()  # functions that verify what was fetched
        self.computed: frozenset[str] = frozenset()
        self.downloaded: frozenset[str] = frozenset()
        self.files: frozenset[str] = frozenset()  # names of files that a change brings
        self._lists_files = False  # such names come down the pipeline

    def enter(self, tainted: frozenset[str], secrets: frozenset[str]) -> None:
        """Take in what the parameters hold of the function that is looked at next; outside of one they hold nothing."""
        self.tainted = (self.tainted - PARAMETERS) | tainted
        self.secrets = (self.secrets - PARAMETERS) | secrets

    def before(self, command: ShellCommand) -> None:
        """Take in what is set before `command` runs."""
        for one in command.sets:
            self._set(one._replace(reads=one.reads - command.plain) if command.plain else one)

    def after(self, command: ShellCommand) -> None:
        """Take in what `command` sets itself: `read X`."""
        if command.program == "git" and "--name-" in command.text and NAMES_CHANGED.search(command.text):
            self._lists_files = command.pipes_to != ""
        elif command.program in ("read", "mapfile", "readarray"):
            names = frozenset(word for word in command.argv[1:] if not word.startswith("-"))
            if (command.fed_by and self._lists_files) or NAMES_CHANGED.search(command.text):
                self.files |= names
            texts = command.reads | command.receives
            if command.untrusted or texts & self.tainted:
                self.tainted |= names
            if texts & self.secrets:
                self.secrets |= names
            self.computed |= names
        elif command.argv[1:2] == ["in"] and len(command.argv) == 3 and command.argv[0].startswith("$"):
            # PowerShell's `foreach ($one in $all)`
            one, all_of = frozenset((command.argv[0][1:],)), {command.argv[2][1:]}
            self.tainted |= one if all_of & self.tainted else frozenset()
            self.secrets |= one if all_of & self.secrets else frozenset()
            self.files |= one if all_of & self.files else frozenset()
        elif command.program == "[[" and "=~" in command.argv[:-1]:
            # What matched is as free as the pattern.
            free = _FREE.search(command.argv[command.argv.index("=~") + 1]) is not None
            holds = free and not command.reads.isdisjoint(self.tainted)
            self.tainted = self.tainted | _MATCHED if holds else self.tainted - _MATCHED

    def _set(self, one: Assignment) -> None:
        name = {one.name}
        if one.computed and "printenv" in one.value:
            one = one._replace(reads=one.reads | frozenset(READS_VARIABLE.findall(one.value)))
        harmless = (one.computed and _HARMLESS.search(one.value) is not None) or _PLAIN.search(one.value) is not None
        if one.computed or one.untrusted or one.reads - self.literal:
            self.literal -= name
        else:
            self.literal |= name
        # PowerShell takes what a command says without a sign: `$title = git log -1`.
        said = one.value if "$(" in one.value or "`" in one.value else f"$({one.value.lstrip('( ')}"
        written = one.computed and "git " in said and _OF_COMMITS.search(said) is not None
        if not harmless and (one.untrusted or written or one.reads & self.tainted):
            self.tainted |= name
        if not harmless and (
            one.reads & self.files or (one.computed and "--name-" in one.value and NAMES_CHANGED.search(one.value))
        ):
            self.files |= name
        if not harmless and (
            one.reads & self.secrets
            or ("printenv" in one.value and any(map(SECRET_NAME.search, READS_VARIABLE.findall(one.value))))
            or names_secret(one.value)
            or (one.computed and asks_for_secret(said))
            or (self.secrets and one.computed and _EVERYTHING.search(said))
        ):
            self.secrets |= name
        if one.computed or one.reads & self.computed:
            self.computed |= name
            if _DOWNLOADS.search(one.value):
                self.downloaded |= name
        if _FETCHED.match(one.value) or ".DownloadString(" in one.value:
            self.downloaded |= name


def is_harmless(text: str) -> bool:
    """Say whether what a text yields says nothing of what goes in: a digest, a number, a few characters."""
    return _HARMLESS.search(text) is not None


def is_random(text: str) -> bool:
    """Say whether a text is made of something that nobody can foresee."""
    return _RANDOM.search(text) is not None


_SECRET = re.compile(r"\$\{\{[^}]{0,300}?\b(?:secrets\s*[.\[)]|github\.token\b)")


_COMPARED = re.compile(r"[\w'\]]{0,100} ?[!=]=[^}|&]{0,200}\}\}")


def names_secret(text: str) -> bool:
    """Say whether the CI system expands a secret in `text`."""
    if "${{" not in text:
        return False
    # `${{ secrets.X != '' }}` is true or false.
    return any(_COMPARED.match(text, found.end()) is None for found in _SECRET.finditer(text))
