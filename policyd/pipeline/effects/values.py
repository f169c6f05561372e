"""What the variables of a script hold while it runs: an outsider's text, a secret, something made by a command.

Followed in the order of the text. What once holds an outsider's text is taken to hold it from there on: whether a
branch that sets something else is taken is not known.
"""

from __future__ import annotations

import re

from policyd.pipeline.shell import Assignment, ShellCommand

#: What is left of a text behind these says nothing of its own.
_HARMLESS = re.compile(r"\|\s*(?:sha\d*sum|shasum|md5sum|cksum|wc|tr\s+-(?:cd|dc)|jq\s+-R\S*\s+@sh)\b")
_DOWNLOADS = re.compile(r"(?:\$\(|`)\s*(?:curl|wget|iwr|irm)\s")


class Values:
    """The names of variables by what they hold."""

    def __init__(self, tainted: frozenset[str], secrets: frozenset[str]) -> None:
        self.tainted = tainted
        self.secrets = secrets
        self.computed: frozenset[str] = frozenset()
        self.downloaded: frozenset[str] = frozenset()

    def before(self, command: ShellCommand) -> None:
        """Take in what is set before `command` runs."""
        for one in command.sets:
            self._set(one)

    def after(self, command: ShellCommand) -> None:
        """Take in what `command` sets itself: `read X`."""
        if command.program in ("read", "mapfile", "readarray"):
            names = frozenset(word for word in command.argv[1:] if not word.startswith("-"))
            texts = command.reads | command.receives
            if command.untrusted or texts & self.tainted:
                self.tainted |= names
            if texts & self.secrets:
                self.secrets |= names
            self.computed |= names

    def _set(self, one: Assignment) -> None:
        name = {one.name}
        harmless = one.computed and _HARMLESS.search(one.value) is not None
        if not harmless and (one.untrusted or one.reads & self.tainted):
            self.tainted |= name
        if not harmless and (one.reads & self.secrets or names_secret(one.value)):
            self.secrets |= name
        if one.computed or one.reads & self.computed:
            self.computed |= name
            if _DOWNLOADS.search(one.value):
                self.downloaded |= name


_SECRET = re.compile(r"\$\{\{[^}]{0,300}\b(?:secrets\s*[.\[]|github\.token\b)")


def names_secret(text: str) -> bool:
    """Say whether the CI system expands a secret in `text`."""
    return "${{" in text and _SECRET.search(text) is not None
