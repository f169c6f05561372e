"""Which rules a gate asks: a collection, what the project adds, and nothing it could take away."""

from __future__ import annotations

from collections.abc import Iterable

from policyd.errors import PolicyError
from policyd.models.decision import Gate
from policyd.policy.catalogue import RuleMeta, require_known
from policyd.policy.policy_set import PolicySet


def select_rules(
    policy_set: PolicySet,
    gate: Gate,
    collection: str | None = None,
    extra: Iterable[str] = (),
    *,
    dialect: str | None = None,
) -> tuple[RuleMeta, ...]:
    """Return the rules of `gate` to ask, sorted by id.

    `collection` names a list of the set; None means all its rules, and so does a set without any collection. `extra`
    only adds. With `dialect`, rules about another kind of pipeline are left out. Raises `PolicyError` for a collection
    or an id that is not there.
    """
    extra = tuple(extra)
    if collection is not None:
        require_collection(policy_set, collection)
    require_known(extra, policy_set.catalogue, where="rules asked for in addition")
    if collection is None or not policy_set.collections:
        wanted = set(policy_set.catalogue)
    else:
        wanted = {*policy_set.collections[collection], *extra}
    return tuple(
        rule
        for rule_id, rule in policy_set.catalogue.items()
        if rule_id in wanted and rule.gate is gate and (dialect is None or dialect in rule.applies_to)
    )


def require_collection(policy_set: PolicySet, collection: str) -> None:
    """Raise `PolicyError` where the set has collections, and not that one."""
    if policy_set.collections and collection not in policy_set.collections:
        raise PolicyError(
            f"the policy set has no collection {collection!r}",
            where=policy_set.name,
            fix=f"use one of {', '.join(sorted(policy_set.collections))}",
        )
