"""Which fields of the input rules can read, told from the text of their modules.

Two things hang on it: the pipelines of the whole repository are put into an input only where a rule can read them,
since every file would else carry the names of all; and raw answers are kept for later only where none depends on the
time. Both err on one side: an unusual way to write `input`, also in a comment or string, counts as reading all of it.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterable

from policyd.models.decision import Problem
from policyd.policy.policy_set import PolicySet

# Neither `x.input`, a field of something else, nor the string "input": no code stands between two quotes like that.
_INPUT = re.compile(r"(?<![\w.])(?!(?<=\")input\")input\b(?:\.([A-Za-z_]\w*))?")
_PACKAGE = re.compile(r"^package ", re.MULTILINE)


@functools.lru_cache(maxsize=4096)
def find_input_fields(text: str) -> frozenset[str]:
    """Return the fields of the input that a module names; one of them is "" where it could mean any.

    What stands before the package clause is comment for sure.
    """
    package = _PACKAGE.search(text)
    return frozenset(match[1] or "" for match in _INPUT.finditer(text, package.start() if package else 0))


def can_read(modules: Iterable[str], field: str) -> bool:
    """Say whether any of the modules (their texts) can read `field` of the input."""
    return _can_read(tuple(modules), field)


@functools.lru_cache(maxsize=256)
def _can_read(modules: tuple[str, ...], field: str) -> bool:
    # Remembered: every file that is judged asks it of the same modules.
    return any(not find_input_fields(text).isdisjoint(("", field)) for text in modules)


def find_left_out(policy_set: PolicySet, entrypoints: Iterable[str], content: bytes, *, where: str) -> Problem | None:
    """Return why rules can't be asked about the input in `content`: one could read what was left out of it.

    It would be silent for the wrong reason. None where nothing is missing.
    """
    # All modules first, which costs nothing: those that the rules reach have to be looked for.
    if not can_read(policy_set.modules.values(), "repository"):
        return None
    if not can_read(policy_set.modules_for(entrypoints).values(), "repository"):
        return None
    document = json.loads(content)
    repository = document.get("repository") if isinstance(document, dict) else None
    if not isinstance(repository, dict) or repository.get("pipelines") is not None:
        return None
    return Problem(
        message="the input was made without the repository's pipelines, and a rule asked of it can read them",
        where=where,
        fix="judge the pipeline anew with this policy set",
    )
