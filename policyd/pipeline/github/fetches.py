"""Commands that fetch code or put it into the working tree: git, gh and what applies patches.

`git fetch` alone changes no file; the names it gave (`FETCH_HEAD`, the branch behind the colon, a remote) are what a
later `git checkout` uses.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from policyd.pipeline.shell import ShellCommand

_INTO_TREE = frozenset(
    (
        *("checkout", "switch", "merge", "pull", "reset", "rebase", "worktree", "cherry-pick", "read-tree", "restore"),
        *("apply", "am"),
    )
)
_WITH_VALUE = frozenset(("-C", "-c", "--git-dir", "--work-tree", "--namespace", "--exec-path"))
_CREDENTIALS = re.compile(r"https?://[^/\s\"']*@")


class Fetch(NamedTuple):
    """What a command does to the tree. `always` if what it brings is a pull request whatever it is given."""

    verb: str
    into_tree: bool
    always: bool = False
    ref: str = ""

    def named(self, argv: Sequence[str], files: Sequence[str] = ()) -> set[str]:
        """Return the names under which later commands find what this one fetched."""
        if self.verb == "remote":
            return {argv[-2]} if len(argv) > 3 else set()
        if self.verb == "diff":
            return {word for word in files if "." in word}
        if self.verb not in ("fetch", "pull"):
            return set()
        return {"FETCH_HEAD"} | {
            word.partition(":")[2].removeprefix("refs/heads/").removeprefix("refs/remotes/")
            for word in argv
            if ":" in word and "://" not in word and word.partition(":")[2]
        }


def find_fetch(command: ShellCommand) -> Fetch | None:
    """Return what a command fetches or puts into the tree, `None` if it does neither."""
    argv = command.argv
    if command.program == "git":
        return _find_git(argv)
    if command.program in ("gh", "hub"):
        if argv[1:3] == ["pr", "checkout"]:
            return Fetch("checkout", into_tree=True, always=True)
        if argv[1:3] == ["pr", "diff"] and command.pipes_to in ("git", "patch"):
            return Fetch("apply", into_tree=True, always=True)
        if argv[1:3] == ["pr", "diff"]:
            return Fetch("diff", into_tree=False, always=True)
        if argv[1:3] == ["repo", "clone"]:
            return Fetch("clone", into_tree=True)
    if command.program == "patch":
        return Fetch("apply", into_tree=True)
    if command.program in ("curl", "wget") and command.pipes_to in ("git", "patch"):
        return Fetch("apply", into_tree=True, always=".patch" in command.text or ".diff" in command.text)
    return None


def keeps_credentials(text: str) -> bool:
    """Say whether a command leaves the credential in its address in the configuration of the tree."""
    return _CREDENTIALS.search(text) is not None


def _find_git(argv: Sequence[str]) -> Fetch | None:
    index = 1
    while index < len(argv) and argv[index].startswith("-"):
        index += 2 if argv[index] in _WITH_VALUE else 1
    verb = argv[index] if index < len(argv) else ""
    rest = argv[index + 1 :]
    if verb == "clone":
        return Fetch(verb, into_tree=True)
    if verb == "fetch" or (verb == "remote" and rest[:1] in (["add"], ["set-url"])):
        return Fetch(verb, into_tree=False)
    if verb in _INTO_TREE:
        return Fetch(verb, into_tree=True, ref=next((word for word in rest if not word.startswith("-")), ""))
    return None
