"""`policyd policy settings` and `policyd policy list`: what can be set and what is asked, and where that is said."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from policyd.adapters import clock
from policyd.adapters.settings import find_authority, find_project_settings
from policyd.app.policy_folders import read_policy_folders
from policyd.app.policy_layers import load_layers
from policyd.app.projects import find_root
from policyd.errors import UsageError
from policyd.policy.chosen_settings import Chosen
from policyd.policy.layers import Layer, Layers, Rank, bind_layers
from policyd.policy.policy_set import read_policy_set
from policyd.policy.rule_settings import as_json


@dataclass(frozen=True, slots=True)
class ListedSetting:
    """A setting of a rule, its value here, and where that is said."""

    rule: str
    name: str
    type: str
    choices: tuple[str, ...]
    tighter: str
    default: object  # as JSON has it
    value: object
    where: str
    description: str

    @classmethod
    def of(cls, chosen: Chosen) -> ListedSetting:
        """Return what lists say of a setting."""
        setting = chosen.setting
        return cls(
            rule=chosen.rule,
            name=setting.name,
            type=setting.type.value,
            choices=setting.choices,
            tighter=setting.tighter.value,
            default=as_json(setting.default),
            value=as_json(chosen.value),
            where=chosen.where,
            description=setting.description,
        )


@dataclass(frozen=True, slots=True)
class ListedRule:
    """A rule with whose it is and where it is asked."""

    id: str
    title: str
    severity: str
    level: str  # as it applies here
    gate: str
    layer: str
    asked: bool
    collections: tuple[str, ...]
    controls: tuple[str, ...]


def list_settings(path: Path | None, *, settings: Path | None) -> tuple[ListedSetting, ...]:
    """Return every setting of the rules that judge here, by rule; of the policy set at `path` where one is named."""
    layers = _layers(path, settings)
    return tuple(ListedSetting.of(layers.settings[key]) for key in sorted(layers.settings))


def list_rules(path: Path | None, *, collection: str | None, settings: Path | None) -> tuple[ListedRule, ...]:
    """Return the rules that judge here, by id: all of them, or those of the organisation's `collection`.

    With `path`, those of that policy set. Raises `UsageError` for a collection that is not there.
    """
    layers = _layers(path, settings)
    collections = layers.organisation.policy_set.collections
    if collection is not None and collection not in collections:
        raise UsageError(
            f"the policy set has no collection {collection!r}",
            where=layers.organisation.place,
            fix=f"use one of {', '.join(collections)}" if collections else "it has none: all its rules are asked",
        )
    listed = []
    for rule in layers.catalogue.values():
        layer = layers.layer_of(rule.id)
        inside = tuple(name for name, ids in layer.policy_set.collections.items() if rule.id in ids)
        if collection is None or (layer is layers.organisation and collection in inside):
            listed.append(
                ListedRule(
                    id=rule.id,
                    title=rule.title,
                    severity=rule.severity.value,
                    level=layers.raised.level(rule).value,
                    gate=rule.gate.value,
                    layer=layer.rank.word if layer.rank is not Rank.TEAM else f"team {layer.name}",
                    asked=rule in layer.rules(rule.gate),
                    collections=inside,
                    controls=rule.controls,
                )
            )
    return tuple(listed)


def _layers(path: Path | None, settings: Path | None) -> Layers:
    """Return the layers that judge the project here, or the policy set at `path` alone, as its author wrote it."""
    if path is None:
        root = find_root(Path("."))
        authority = find_authority(settings, repository=root)
        return load_layers(authority, find_project_settings(root), root=root, now=clock.now()).bind()
    [folder] = read_policy_folders((path,), settings=settings)
    policy_set = read_policy_set(folder.files, folder.folder.name, prefix=folder.prefix)
    return bind_layers([Layer(Rank.ORGANISATION, policy_set.name, policy_set, str(folder.folder))], [])
