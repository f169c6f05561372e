"""Layers of policy: the organisation's, teams', the project's. Each is asked alone; their answers are united here.

Packages are open in Rego: a module of the project that declares a package of the organisation would add bodies to its
rules and silence them, and so would data put where its settings stand (docs/threats.md, T33). So no layer is ever
loaded beside another. Each has an engine and data of its own; what they say is united in Python and the worst wins.
A lower layer adds and tightens. What would loosen is an error that names both places, and never has an effect.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Literal

from policyd.errors import PolicydError, SettingsError
from policyd.models.decision import (
    Decision,
    EngineRef,
    Gate,
    JudgedLayer,
    Level,
    Problem,
    Severity,
    Terms,
    Verdict,
)
from policyd.models.plan import LayerRef
from policyd.policy.catalogue import Catalogue, RuleMeta, require_known
from policyd.policy.chosen_settings import Chosen, Key, Wishes, choose, tighten
from policyd.policy.deciding import LEVELS, SEVERITIES, Raised, order_of
from policyd.policy.policy_set import PolicySet
from policyd.policy.rego_text import find_references_in_code
from policyd.policy.selecting import select_rules

PROJECT_PREFIX = "project"
#: Words below `data` and `input` that mean something else to an engine.
RESERVED_PREFIXES = frozenset({"data", "input", "system", "policyd_questions"})

#: Of several, the first that a layer said; a layer that had nothing to ask takes nothing away.
_WORST_FIRST = (Verdict.UNDECIDED, Verdict.DENY, Verdict.ALLOW, Verdict.NOT_EVALUATED)

LayerName = Literal["organisation", "team", "project"]


class Rank(IntEnum):
    """Who may tighten what: a layer tightens those of a lower number."""

    ORGANISATION = 0
    TEAM = 1
    PROJECT = 2

    @property
    def word(self) -> LayerName:
        """The rank as documents name it."""
        return _WORDS[self]


_WORDS: Mapping[Rank, LayerName] = {
    Rank.ORGANISATION: "organisation",
    Rank.TEAM: "team",
    Rank.PROJECT: "project",
}


@dataclass(frozen=True, slots=True)
class Layer:
    """A policy set with whose it is; `place` is where it lies, in words, for messages."""

    rank: Rank
    name: str
    policy_set: PolicySet
    place: str
    collection: str | None = None  # None asks all its rules
    extra: tuple[str, ...] = ()  # of its rules, those that layers below ask beyond the collection
    _selected: dict[tuple[Gate, str | None], tuple[RuleMeta, ...]] = field(
        init=False, default_factory=dict, compare=False, repr=False
    )

    @property
    def ref(self) -> LayerRef:
        """The layer as plans and decisions name it."""
        return LayerRef(
            layer=self.rank.word,
            name=self.name,
            sha256=self.policy_set.sha256,
            prefix=self.policy_set.prefix,
            collection=self.collection if self.policy_set.collections else None,
        )

    def rules(self, gate: Gate, dialect: str | None = None) -> tuple[RuleMeta, ...]:
        """Return those of its rules that `gate` asks."""
        if (gate, dialect) not in self._selected:
            self._selected[gate, dialect] = select_rules(
                self.policy_set, gate=gate, collection=self.collection, extra=self.extra, dialect=dialect
            )
        return self._selected[gate, dialect]


@dataclass(frozen=True, slots=True)
class Wish:
    """What one layer asks of the rules above it and of its own. `where` is the file and part that says it."""

    rank: Rank
    name: str  # of the layer
    where: str
    rules: tuple[str, ...] = ()
    levels: Mapping[str, Level] = field(default_factory=dict)
    fail_on: Severity | None = None
    settings: Mapping[str, Mapping[str, object]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Layers:
    """All layers that judge, the organisation's first, and how their rules are weighed. Made by `bind_layers` alone."""

    layers: tuple[Layer, ...]
    catalogue: Catalogue  # the rules of all layers
    raised: Raised
    settings: Mapping[Key, Chosen]

    @property
    def organisation(self) -> Layer:
        """The layer that no other can stand in for."""
        return self.layers[0]

    def layer_of(self, rule_id: str) -> Layer:
        """Return the layer that a rule belongs to; `KeyError` for none."""
        for layer in self.layers:
            if rule_id in layer.policy_set.catalogue:
                return layer
        raise KeyError(rule_id)

    def terms(self, fail_on: Severity | None = None) -> Terms:
        """Return what decisions say of how rules were chosen and weighed; `fail_on` is that of an option."""
        changed: dict[str, dict[str, bool | int | str | tuple[str, ...]]] = {}
        for (rule_id, name), chosen in sorted(self.settings.items()):
            if not chosen.is_default:
                changed.setdefault(rule_id, {})[name] = chosen.value
        return Terms(
            collection=self.organisation.collection or "",
            rules=tuple(sorted(rule_id for layer in self.layers for rule_id in layer.extra)),
            levels=dict(sorted(self.raised.levels.items())),
            fail_on=stricter(self.raised.fail_on, fail_on),
            settings=changed,
        )


def bind_layers(layers: Sequence[Layer], wishes: Sequence[Wish]) -> Layers:
    """Return the layers with all that they ask of each other, or raise `SettingsError` for what can't be united.

    `layers` begin with the organisation's; a wish may come from a layer without rules of its own.

    1. Packages of different layers can't meet, and no module names another layer's.
    2. No two rules have one id.
    3. Rules asked in addition are there, in that layer or above it.
    4. Levels are only raised, `fail_on` only made stricter, settings only tightened: each against what stands above.
    """
    if not layers or layers[0].rank is not Rank.ORGANISATION:
        raise ValueError("the organisation's layer comes first")
    try:
        # 1.
        _require_apart(layers)
        # 2.
        catalogue = _unite_catalogues(layers)
        # 3.
        layers = tuple(_with_extra(layer, layers, wishes) for layer in layers)
        # 4.
        raised = _raise_levels(layers, wishes)
        settings = _settle(layers, wishes)
    except SettingsError:
        raise
    except PolicydError as error:
        raise SettingsError(error.cause, where=error.where, fix=error.fix) from error
    bound = tuple(
        replace(
            layer,
            policy_set=layer.policy_set.with_settings(
                {key: chosen for key, chosen in settings.items() if key[0] in layer.policy_set.catalogue}
            ),
        )
        for layer in layers
    )
    return Layers(bound, catalogue, raised, settings)


def stricter(one: Severity | None, other: Severity | None) -> Severity | None:
    """Return the severity from which more is denied; None denies by levels alone."""
    given = [severity for severity in (one, other) if severity is not None]
    return min(given, key=SEVERITIES.index) if given else None


def unite(judged: Sequence[tuple[Layer, Decision]]) -> Decision:
    """Return the one decision that the decisions of all layers make, the organisation's first.

    The worst verdict wins, and nothing that any layer said is lost. Where the organisation's layer had nothing to ask,
    what others say is no answer in its place: then the verdict is `undecided`. Waivers are weighed after this, over
    all layers.
    """
    organisation, first = judged[0]
    if len({decision.input_sha256 for _, decision in judged}) != 1:
        raise ValueError("the layers were asked about different inputs")
    problems = [
        problem if layer is organisation else _named(problem, layer)
        for layer, decision in judged
        for problem in decision.problems
    ]
    verdicts = {decision.verdict for _, decision in judged}
    if first.verdict is Verdict.NOT_EVALUATED and verdicts != {Verdict.NOT_EVALUATED}:
        # Before denials: a waiver of the one denial would else leave an approval that nobody above has given.
        problems.append(
            Problem(
                message="no rule of the organisation was asked, and no other layer can answer in its place",
                where=organisation.place,
                fix=f"add a rule for the gate {first.gate.value} to the collection {organisation.collection!r}",
            )
        )
        verdict = Verdict.UNDECIDED
    else:
        verdict = next(each for each in _WORST_FIRST if each in verdicts)
    return first.model_copy(
        update={
            "verdict": verdict,
            "layers": tuple(
                JudgedLayer(**layer.ref.model_dump(), engine=decision.engine, verdict=decision.verdict)
                for layer, decision in judged
            ),
            "rules": tuple(sorted(rule_id for _, decision in judged for rule_id in decision.rules)),
            "violations": tuple(
                sorted((found for _, decision in judged for found in decision.violations), key=order_of)
            ),
            "problems": tuple(problems),
            "weakened": tuple(dict.fromkeys(words for _, decision in judged for words in decision.weakened)),
        }
    )


def not_asked(first: Decision, layer: Layer, engine: EngineRef) -> Decision:
    """Return the decision of a layer without rules for the gate of `first`, about the same input."""
    return first.model_copy(
        update={
            "verdict": Verdict.NOT_EVALUATED,
            "policy_set": layer.policy_set.ref,
            "engine": engine,
            "rules": (),
            "violations": (),
            "problems": (),
            "weakened": (),
        }
    )


def _require_apart(layers: Sequence[Layer]) -> None:
    held: dict[str, Layer] = {}
    for layer in layers:
        prefix = layer.policy_set.prefix
        if prefix in held:
            raise SettingsError(
                f"two layers of policy have the prefix {prefix!r}: one could write into the other's packages",
                where=f"{held[prefix].place} and {layer.place}",
                fix="give the second another `prefix`, and its modules packages below it",
            )
        if prefix in RESERVED_PREFIXES or (prefix == PROJECT_PREFIX and layer.rank is Rank.TEAM):
            raise SettingsError(
                f"the prefix {prefix!r} is reserved",
                where=layer.place,
                fix=f"choose a word of your own; {PROJECT_PREFIX!r} is the project's",
            )
        held[prefix] = layer
    for layer in layers[1:]:
        for path, text in layer.policy_set.modules.items():
            for reference in sorted(find_references_in_code(text)):
                if reference and reference[0] != layer.policy_set.prefix:
                    raise SettingsError(
                        f"the module reads data.{'.'.join(reference)}, which is not of its layer and so undefined",
                        where=f"{layer.place}/{path}",
                        fix=f"each layer is asked alone: copy what it needs below data.{layer.policy_set.prefix}",
                    )


def _unite_catalogues(layers: Sequence[Layer]) -> Catalogue:
    owner: dict[str, tuple[Layer, RuleMeta]] = {}
    for layer in layers:
        for rule_id, rule in layer.policy_set.catalogue.items():
            if rule_id in owner:
                above, first = owner[rule_id]
                raise SettingsError(
                    f"two layers of policy have a rule {rule_id!r}",
                    where=f"{above.place}/{first.path} and {layer.place}/{rule.path}",
                    fix="give the second another family or name",
                )
            owner[rule_id] = layer, rule
    return Catalogue(rule for _, rule in owner.values())


def _with_extra(layer: Layer, layers: Sequence[Layer], wishes: Sequence[Wish]) -> Layer:
    """Return the layer with the rules that wishes ask of it; each rule wished for has to be in reach of its wish."""
    extra = set(layer.extra)
    for wish in wishes:
        require_known(wish.rules, _reach(layers, wish), where=f"rules in {wish.where}")
        extra |= {rule_id for rule_id in wish.rules if rule_id in layer.policy_set.catalogue}
    return replace(layer, extra=tuple(sorted(extra)))


def _reach(layers: Sequence[Layer], wish: Wish) -> Catalogue:
    """Return the rules that a wish may speak of: of the layers above its own, and its own."""
    return Catalogue(
        rule
        for layer in layers
        if layer.rank < wish.rank or (layer.rank, layer.name) == (wish.rank, wish.name)
        for rule in layer.policy_set.catalogue.values()
    )


def _by_rank(wishes: Sequence[Wish]) -> Iterable[list[Wish]]:
    """Yield the wishes of each rank: peers are held against what stands above them, not against each other."""
    for rank in Rank:
        yield [wish for wish in wishes if wish.rank is rank]


def _raise_levels(layers: Sequence[Layer], wishes: Sequence[Wish]) -> Raised:
    held = {
        rule.id: (rule.level, f"{layer.place}/{rule.path}")
        for layer in layers
        for rule in layer.policy_set.catalogue.values()
    }
    raised: dict[str, Level] = {}
    fail_on: tuple[Severity, str] | None = None
    for peers in _by_rank(wishes):
        above, severity_above = dict(held), fail_on
        for wish in peers:
            # A level for a rule that is not there would tighten nothing, in silence.
            require_known(wish.levels, _reach(layers, wish), where=f"levels in {wish.where}")
            for rule_id, level in wish.levels.items():
                bound, where = above[rule_id]
                if LEVELS.index(level) < LEVELS.index(bound):
                    raise SettingsError(
                        f"the level of {rule_id} would fall from {bound.value} to {level.value}",
                        where=f"{where} and levels.{rule_id} in {wish.where}",
                        fix="a lower layer only raises levels: take it out of the second place",
                    )
                if LEVELS.index(level) > LEVELS.index(held[rule_id][0]):
                    held[rule_id] = level, f"levels.{rule_id} in {wish.where}"
                    raised[rule_id] = level
            if wish.fail_on is not None:
                if severity_above is not None and stricter(wish.fail_on, severity_above[0]) is not wish.fail_on:
                    raise SettingsError(
                        f"fail_on would fall back from {severity_above[0].value} to {wish.fail_on.value}",
                        where=f"{severity_above[1]} and fail_on in {wish.where}",
                        fix="a lower layer only denies more: take it out of the second place",
                    )
                if fail_on is None or stricter(wish.fail_on, fail_on[0]) is not fail_on[0]:
                    fail_on = wish.fail_on, f"fail_on in {wish.where}"
    return Raised(levels=raised, fail_on=fail_on[0] if fail_on else None)


def _settle(layers: Sequence[Layer], wishes: Sequence[Wish]) -> dict[Key, Chosen]:
    """Return the value of every setting of every rule: as its set has it, then as each rank asks."""
    settled: dict[Key, Chosen] = {}
    for layer in layers:
        # Places are named from the layer's folder on, so that two of them can be told apart.
        settled |= {
            key: replace(chosen, where=f"{layer.place}/{chosen.where}")
            for key, chosen in layer.policy_set.settings.items()
        }
    for peers in _by_rank(wishes):
        above = dict(settled)
        for wish in peers:
            reach = _reach(layers, wish)
            own = {
                rule_id
                for layer in layers
                if (layer.rank, layer.name) == (wish.rank, wish.name)
                for rule_id in layer.policy_set.catalogue
            }
            visible = {key: chosen for key, chosen in settled.items() if key[0] in reach}
            asked = Wishes(wish.settings, f"rule_settings of {wish.where}")
            freely = replace(
                asked, values={rule_id: names for rule_id, names in asked.values.items() if rule_id in own}
            )
            bound = replace(
                asked, values={rule_id: names for rule_id, names in asked.values.items() if rule_id not in own}
            )
            settled |= tighten(choose(visible, freely), bound, above=above)
    return settled


def _named(problem: Problem, layer: Layer) -> Problem:
    who = layer.rank.word if layer.name == layer.rank.word else f"{layer.rank.word} {layer.name}"
    return problem.model_copy(update={"where": f"{problem.where} (layer of the {who})"})
