"""`policyd policy new`: a rule and its test to start from."""

from __future__ import annotations

from pathlib import Path

from policyd.adapters.signers.new_file import write_new
from policyd.errors import UsageError
from policyd.models.decision import Gate
from policyd.policy.rule_template import make_rule


def create_rule(family: str, rule: str, *, gate: Gate, folder: Path, prefix: str = "policyd") -> tuple[Path, ...]:
    """Write the files of a new rule below `folder` and return them. Nothing that is there is ever overwritten."""
    files = {folder / path: content for path, content in make_rule(family, rule, gate, prefix).items()}
    for path in files:
        # Both are looked at before one is written; `write_new` looks again.
        if path.exists() or path.is_symlink():
            raise UsageError(
                "there is a file of this name already; policyd never overwrites a rule",
                where=str(path),
                fix="choose another name for the rule",
            )
    for path, content in files.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(
                f"the folder can't be made: {error.strerror}", where=str(path.parent), fix="name a folder of yours"
            ) from error
        write_new(path, content, mode=0o644, what="a rule")
    return tuple(files)
