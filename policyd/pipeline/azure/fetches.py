"""Commands that bring code into the working tree."""

from __future__ import annotations

import re
from typing import NamedTuple

from policyd.pipeline.shell import ShellCommand

_INTO_TREE = frozenset(
    ("checkout", "switch", "merge", "pull", "clone", "reset", "cherry-pick", "rebase", "worktree", "restore")
)
_FETCHES = _INTO_TREE | {"fetch"}


_FOR_ONE_COMMAND = re.compile(r"\bgit\s+(?:-C\s+\S+\s+)?-c\s+\S*extraheader", re.IGNORECASE)


class Fetch(NamedTuple):
    """What git is told: whether it changes the tree, and whether it clones."""

    into_tree: bool
    clones: bool
    always: bool  # code of a pull request, whatever is named


def find_fetch(command: ShellCommand) -> Fetch | None:
    """Return what a command brings, `None` if it is none that does."""
    if command.program in ("gh", "hub") and command.argv[1:3] == ["pr", "checkout"]:
        return Fetch(into_tree=True, clones=False, always=True)
    if command.program == "az" and command.argv[1:4] == ["repos", "pr", "checkout"]:
        return Fetch(into_tree=True, clones=False, always=True)
    if command.program != "git":
        return None
    verb = next((word for word in command.argv[1:8] if word in _FETCHES), "")
    return Fetch(verb in _INTO_TREE, verb == "clone", always=False) if verb else None


def keeps_credentials(text: str) -> bool:
    """Say whether a command leaves a token in the configuration of the clone: one in the address does.

    A header of `git -c` in front of the verb holds for the one command.
    """
    return ("extraheader" in text.lower() and _FOR_ONE_COMMAND.search(text) is None) or (
        "@" in text and "https://" in text and ("$" in text or "%" in text)
    )
