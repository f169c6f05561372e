"""What an engine may be asked: the entry points of a policy set, spelled one way.

Both engines put an entry point into a query or a URL, so its spelling is held to a pattern first (docs/threats.md,
T20), and a package that no module of the set declares is an error, not an answer without violations.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from policyd.errors import PolicyError
from policyd.policy.policy_set import PolicySet

_ENTRYPOINT = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*){2,7}")


def require_entrypoints(entrypoints: Iterable[str], policy_set: PolicySet) -> None:
    """Raise `PolicyError` for an entry point that is malformed or in no package of `policy_set`."""
    packages = {policy_set.packages[path] for path in policy_set.modules}
    for entrypoint in entrypoints:
        if not _ENTRYPOINT.fullmatch(entrypoint) or entrypoint.rpartition(".")[0] not in packages:
            raise PolicyError(
                f"there is nothing to ask at {entrypoint!r}",
                where=policy_set.name,
                fix="ask for `PREFIX.family.rule.deny` of a rule in this policy set",
            )
