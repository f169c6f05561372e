"""The values that settings of rules have, each with the place it comes from.

A value starts as the default in the rule's METADATA. Whoever owns the rule may set it as they like; anyone below may
only tighten it, in the direction that the rule declares. A value that does not fit, or a setting that no rule has, is
an error that names the nearest: a typo that changes nothing would look like protection.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from policyd.errors import PolicyError
from policyd.policy.catalogue import RuleMeta
from policyd.policy.rule_settings import MisfitError, RuleSetting, Tighter, Value, as_json

Key = tuple[str, str]  # rule id, name of the setting


@dataclass(frozen=True, slots=True)
class Chosen:
    """What a setting of a rule is, and where that is said."""

    rule: str
    setting: RuleSetting
    value: Value
    where: str  # the file, and the part of it where that is not plain

    @property
    def is_default(self) -> bool:
        """Say whether it is what the rule declares, wherever that was said again."""
        return self.value == self.setting.default


@dataclass(frozen=True, slots=True)
class Wishes:
    """Values asked for in one place: rule id → name → value as read from JSON."""

    values: Mapping[str, Mapping[str, object]]
    where: str


def find_defaults(rules: Iterable[RuleMeta]) -> dict[Key, Chosen]:
    """Return every setting of `rules` with its default."""
    return {
        (rule.id, setting.name): Chosen(rule.id, setting, setting.default, rule.path)
        for rule in rules
        for setting in rule.settings
    }


def choose(chosen: Mapping[Key, Chosen], wishes: Wishes) -> dict[Key, Chosen]:
    """Return `chosen` with the values of somebody who may set them as they like."""
    changed = dict(chosen)
    for key, value in _read(chosen, wishes):
        changed[key] = Chosen(key[0], chosen[key].setting, value, wishes.where)
    return changed


def tighten(chosen: Mapping[Key, Chosen], wishes: Wishes, *, above: Mapping[Key, Chosen]) -> dict[Key, Chosen]:
    """Return `chosen` with the values of somebody who may only tighten those `above`.

    `chosen` differs from `above` where a peer has tightened already: of two, what both allow holds. Raises
    `PolicyError` naming both places for a value that is laxer than the one above.
    """
    changed = dict(chosen)
    for key, value in _read(chosen, wishes):
        setting, bound, now = chosen[key].setting, above[key], chosen[key]
        places = f"{bound.where} and {_place(key, wishes)}"
        if setting.tighter is Tighter.NONE:
            raise PolicyError(
                f"only whoever owns the rule may set {key[1]!r} of {key[0]}",
                where=places,
                fix="take it out of the second",
            )
        if not setting.is_as_tight(value, bound.value):
            raise PolicyError(
                f"{key[1]} of {key[0]} would be {as_json(value)}, laxer than {as_json(bound.value)}: "
                f"{_WORDS[setting.tighter]}",
                where=places,
                fix="a lower layer only tightens: take the value out of the second place, or change the first",
            )
        tightest = setting.tightest(now.value, value)
        if tightest == now.value:
            continue
        said = wishes.where if tightest == value else f"{now.where} and {wishes.where}"
        changed[key] = Chosen(key[0], setting, tightest, said)
    return changed


_WORDS = {
    Tighter.LOWER: "only a lower number is tighter",
    Tighter.HIGHER: "only a higher number is tighter",
    Tighter.TRUE: "only true is tighter",
    Tighter.FALSE: "only false is tighter",
    Tighter.SUBSET: "only a part of that list is tighter",
    Tighter.SUPERSET: "only a list that has all of that one is tighter",
}


def as_data(chosen: Iterable[Chosen]) -> dict[str, object]:
    """Return the values as rules read them below `data.PREFIX.settings`: family → rule → name → value."""
    data: dict[str, dict[str, dict[str, object]]] = {}
    for one in chosen:
        family, _, rule = one.rule.partition(".")
        data.setdefault(family, {}).setdefault(rule, {})[one.setting.name] = as_json(one.value)
    return dict(data)


def _read(chosen: Mapping[Key, Chosen], wishes: Wishes) -> Iterator[tuple[Key, Value]]:
    known = {rule_id for rule_id, _ in chosen}
    for rule_id, values in sorted(wishes.values.items()):
        if rule_id not in known:
            raise _unknown(chosen, (rule_id, next(iter(values), "…")), f"{rule_id} in {wishes.where}")
        for name, value in sorted(values.items()):
            key = (rule_id, name)
            where = _place(key, wishes)
            if key not in chosen:
                raise _unknown(chosen, key, where)
            try:
                yield key, chosen[key].setting.read(value)
            except MisfitError as error:
                setting = chosen[key].setting
                raise PolicyError(
                    f"the value of {name!r} does not fit: {error}",
                    where=where,
                    fix=f"{setting.type.value}: {setting.description}",
                ) from error


def _place(key: Key, wishes: Wishes) -> str:
    return f"{'.'.join(key)} in {wishes.where}"


def _unknown(chosen: Mapping[Key, Chosen], key: Key, where: str) -> PolicyError:
    spelled = {f"{rule_id}.{name}": None for rule_id, name in chosen}
    near = difflib.get_close_matches(".".join(key), spelled, n=1)
    return PolicyError(
        f"no rule here has the setting {'.'.join(key)!r}",
        where=where,
        fix=f"did you mean {near[0]!r}?" if near else "`policyd policy settings` lists every setting there is",
    )
