"""Collections: lists of rules as data, so that `baseline` and `strict` are read and not programmed.

A collection is a list of rule ids, or an object that says it in other words:

    {"include": ["baseline"], "controls": ["OWASP-CICD-SEC"], "rules": ["hygiene.missing_timeout"]}

`include` takes over other collections, `controls` takes every rule whose METADATA names a control that is one of these
or begins with one and a `-` or `.`. Each part has to find something: a collection that asks less than it seems to is
an error.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from policyd.errors import PolicyError
from policyd.policy.catalogue import Catalogue, require_known

MAX_INCLUDES = 16  # one inside another; the library has three
_FIELDS = ("include", "controls", "rules")


@dataclass(frozen=True, slots=True)
class Collection:
    """A collection as its file says it."""

    path: str
    include: tuple[str, ...] = ()
    controls: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()


def read_collection(path: str, value: object) -> Collection:
    """Return the collection that the JSON `value` of the file at `path` describes."""
    parts = {"rules": value} if isinstance(value, list) else value
    if (
        not isinstance(parts, dict)
        or not parts
        or not parts.keys() <= set(_FIELDS)
        or not all(_is_list_of_texts(part) for part in parts.values())
    ):
        raise PolicyError(
            "a collection is a list of rule ids, or an object of include, controls and rules, not empty",
            where=path,
            fix='write ["family.rule", …] or {"include": ["baseline"], "rules": ["family.rule"]}',
        )
    return Collection(path, **{name: tuple(part) for name, part in parts.items()})


def resolve_collections(collections: Mapping[str, Collection], catalogue: Catalogue) -> dict[str, tuple[str, ...]]:
    """Return the ids of each collection, sorted. Raises `PolicyError` for a name that is not there, or a circle."""
    resolved: dict[str, frozenset[str]] = {}  # each is resolved once: two that include two and so on would double
    for name in sorted(collections):
        _resolve(name, collections, catalogue, (), resolved)
    return {name: tuple(sorted(resolved[name])) for name in sorted(collections)}


def find_uncollected(collections: Mapping[str, Iterable[str]], catalogue: Catalogue) -> tuple[str, ...]:
    """Return the rules that no collection asks; none where a set has no collections, for then all are asked."""
    if not collections:
        return ()
    collected = {rule_id for ids in collections.values() for rule_id in ids}
    return tuple(rule_id for rule_id in catalogue if rule_id not in collected)


def _resolve(
    name: str,
    collections: Mapping[str, Collection],
    catalogue: Catalogue,
    within: tuple[str, ...],
    resolved: dict[str, frozenset[str]],
) -> frozenset[str]:
    if name in resolved:
        return resolved[name]
    collection = collections[name]
    require_known(collection.rules, catalogue, where=collection.path)
    found = set(collection.rules)
    for control in collection.controls:
        serving = {rule.id for rule in catalogue.values() if any(_is_below(each, control) for each in rule.controls)}
        if not serving:
            raise PolicyError(
                f"no rule names the control {control!r}",
                where=collection.path,
                fix="correct it; it is compared with the `controls` of the rules",
            )
        found |= serving
    for included in collection.include:
        if included not in collections:
            raise PolicyError(
                f"there is no collection {included!r}",
                where=collection.path,
                fix=f"include one of {', '.join(sorted(collections))}",
            )
        if len(within) >= MAX_INCLUDES:
            raise PolicyError(
                f"collections include each other more than {MAX_INCLUDES} deep",
                where=collection.path,
                fix="name the rules instead",
            )
        if included in (*within, name):
            raise PolicyError(
                f"the collections {' → '.join((*within, name, included))} include each other in a circle",
                where=collection.path,
                fix="take one of them out",
            )
        found |= _resolve(included, collections, catalogue, (*within, name), resolved)
    resolved[name] = frozenset(found)
    return resolved[name]


def _is_below(control: str, wanted: str) -> bool:
    return control == wanted or control.startswith((f"{wanted}-", f"{wanted}."))


def _is_list_of_texts(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, str) for item in value)
