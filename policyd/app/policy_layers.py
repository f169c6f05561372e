"""Which layers of policy judge a project: read from where operator and project name them, and bound together.

The organisation's set and the teams' come from operator settings, the project's from a folder of its own tree that
`policyd.yaml` names. Nothing is asked here; `policyd.app.judging` gives each layer its engine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from policyd.adapters.library import read_policies_beneath
from policyd.adapters.settings import Authority
from policyd.adapters.settings_places import PROJECT_FILE
from policyd.app.policy_sets import load_policy_set
from policyd.errors import PolicyError, SettingsError
from policyd.models.base import Sha256
from policyd.models.canonical import sha256_hex
from policyd.models.settings import OperatorSettings, ProjectSettings, TeamSettings, Tightening
from policyd.policy.layers import PROJECT_PREFIX, Layer, Layers, Rank, Wish, bind_layers
from policyd.policy.policy_set import PolicySet, read_policy_set
from policyd.policy.selecting import require_collection

DEFAULT_COLLECTION = "baseline"
LIBRARY_PLACE = "policyd-library"


@dataclass(frozen=True, slots=True)
class Loaded:
    """The layers as read, with what each asks of the others, and the files of the project's by path and digest."""

    layers: tuple[Layer, ...]
    wishes: tuple[Wish, ...]
    files: Mapping[str, Sha256]
    limited: frozenset[str]  # teams that are for some projects only

    def bind(self, *, without: frozenset[str] = frozenset()) -> Layers:
        """Return the layers bound together; `without` are teams that are left out."""
        return bind_layers(
            [layer for layer in self.layers if layer.rank is not Rank.TEAM or layer.name not in without],
            [wish for wish in self.wishes if wish.rank is not Rank.TEAM or wish.name not in without],
        )


def load_layers(authority: Authority | None, project: ProjectSettings, *, root: Path | None, now: datetime) -> Loaded:
    """Read the layers that judge the project at `root`.

    Without a `root` there is no project: an artifact is judged, and every team is read. `now` is for signed sets, which
    expire. Raises `PolicyError` for an operator's set that can't be used, `SettingsError` for a project's.
    """
    layers, wishes = [_organisation(authority, now)], []
    limited: frozenset[str] = frozenset()
    if authority is not None:
        settings, file = authority.settings, str(authority.path)
        wishes.append(Wish(Rank.ORGANISATION, layers[0].name, file, settings=settings.rule_settings))
        limited = frozenset(name for name, team in settings.teams.items() if team.projects)
        for name, team in _teams_of(settings, root, file):
            where = f"teams.{name} in {file}"
            wishes.append(_wish(Rank.TEAM, name, where, team))
            if team.policy_set is not None:
                layers.append(_team(name, team, team.policy_set, authority, now))
    files: dict[str, Sha256] = {}
    folder = project.policies
    wishes.append(_wish(Rank.PROJECT, folder or "project", PROJECT_FILE, project))
    if folder is not None:
        if root is None:
            raise ValueError("the project's policies lie below its root, and there is none")
        layer, files = _project(folder, root)
        layers.append(layer)
    return Loaded(tuple(layers), tuple(wishes), files, limited)


def _organisation(authority: Authority | None, now: datetime) -> Layer:
    settings = authority.settings if authority else None
    path = Path(settings.policy_set) if settings and settings.policy_set is not None else None
    policy_set = load_policy_set(path, authority, now=now, prefix=settings.prefix if settings else "policyd")
    if authority is not None and "collection" in authority.settings.model_fields_set:
        _require_collection(policy_set, authority.settings.collection, f"collection in {authority.path}")
    return Layer(
        rank=Rank.ORGANISATION,
        name=policy_set.name,
        policy_set=policy_set,
        place=LIBRARY_PLACE if path is None else str(path),
        collection=settings.collection if settings else DEFAULT_COLLECTION,
    )


def _teams_of(settings: OperatorSettings, root: Path | None, file: str) -> Sequence[tuple[str, TeamSettings]]:
    """Return the teams whose rules a project is judged by, by name; all of them where there is no project."""
    return [
        (name, team)
        for name, team in sorted(settings.teams.items())
        if root is None or not team.projects or any(_is_below(root, folder, name, file) for folder in team.projects)
    ]


def _is_below(root: Path, folder: str, team: str, file: str) -> bool:
    if not Path(folder).is_absolute():
        raise SettingsError(
            "a folder of a team's projects is not absolute",
            where=f"teams.{team}.projects in {file}: {folder}",
            fix="write it in full",
        )
    return root.resolve().is_relative_to(Path(folder).resolve())


def _team(name: str, team: TeamSettings, path: str, authority: Authority, now: datetime) -> Layer:
    prefix = team.prefix or f"team_{name.replace('-', '_')}"
    policy_set = load_policy_set(Path(path), authority, now=now, prefix=prefix)
    if team.collection is not None:
        _require_collection(policy_set, team.collection, f"teams.{name}.collection in {authority.path}")
    return Layer(Rank.TEAM, name, policy_set, place=path, collection=team.collection)


def _require_collection(policy_set: PolicySet, collection: str, where: str) -> None:
    """Raise `SettingsError` where settings name a collection that their policy set does not have."""
    try:
        require_collection(policy_set, collection)
    except PolicyError as error:
        raise SettingsError(error.cause, where=where, fix=error.fix) from error


def _project(folder: str, root: Path) -> tuple[Layer, dict[str, Sha256]]:
    """Return the project's layer. It names itself, so whatever is wrong with it is wrong with `policyd.yaml`."""
    try:
        files = read_policies_beneath(root, folder)
        policy_set = read_policy_set(files, name=folder, prefix=PROJECT_PREFIX)
    except PolicyError as error:
        where = error.where if error.where.startswith((folder, ascii(folder))) else f"{folder}/{error.where}"
        raise SettingsError(error.cause, where=f"{where} (`policies` in {PROJECT_FILE})", fix=error.fix) from error
    digests = {f"{folder}/{path}": sha256_hex(content) for path, content in files.items()}
    return Layer(Rank.PROJECT, folder, policy_set, place=folder), digests


def _wish(rank: Rank, name: str, where: str, asked: Tightening) -> Wish:
    return Wish(
        rank=rank,
        name=name,
        where=where,
        rules=asked.rules,
        levels=asked.levels,
        fail_on=asked.fail_on,
        settings=asked.rule_settings,
    )
