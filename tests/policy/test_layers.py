"""A lower layer adds and tightens; nothing it says or does not say takes away what stands above it (T13, T33)."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest

from policyd.errors import SettingsError
from policyd.models.decision import (
    Decision,
    Effect,
    EngineRef,
    Gate,
    Level,
    Problem,
    Severity,
    Verdict,
    Violation,
)
from policyd.models.plan import PolicySetRef
from policyd.policy.layers import Layer, Layers, Rank, Wish, bind_layers, not_asked, unite
from policyd.policy.policy_set import read_policy_set

Rule = Callable[..., bytes]
LIMIT = """#   settings:
#     limit: {type: integer, default: 60, tighter: lower, description: d}
#     names: {type: strings, default: [a, b], tighter: subset, description: d}
#     owner: {type: string, default: us, tighter: none, description: d}
"""
ENGINE = EngineRef(name="regorus", version="0")


def layer(
    rank: Rank, files: Mapping[str, bytes], *, name: str = "", prefix: str = "", collection: str | None = None
) -> Layer:
    name = name or rank.word
    prefix = prefix or {Rank.ORGANISATION: "policyd", Rank.TEAM: f"team_{name}", Rank.PROJECT: "project"}[rank]
    moved = {
        path: content.replace(b"package policyd.", f"package {prefix}.".encode()) for path, content in files.items()
    }
    return Layer(rank, name, read_policy_set(moved, name, prefix=prefix), f"/{name}", collection=collection)


@pytest.fixture
def organisation(rule: Rule) -> Layer:
    files = {
        "red.rego": rule("red", more=LIMIT),
        "blue.rego": rule("blue", severity="low"),
        "collections/baseline.json": b'["colours.red"]',
    }
    return layer(Rank.ORGANISATION, files, collection="baseline")


@pytest.fixture
def team(rule: Rule) -> Layer:
    return layer(Rank.TEAM, {"green.rego": rule("green", more=LIMIT)}, name="paint")


@pytest.fixture
def project(rule: Rule) -> Layer:
    return layer(Rank.PROJECT, {"grey.rego": rule("grey", more=LIMIT)})


def wish(rank: Rank, name: str = "", **asked: object) -> Wish:
    return Wish(rank, name or rank.word, f"{name or rank.word}.yaml", **asked)  # type: ignore[arg-type]


def value(layers: Layers, rule_id: str, name: str = "limit") -> tuple[object, str]:
    chosen = layers.settings[(rule_id, name)]
    return chosen.value, chosen.where


# Packages and ids


def test_each_layer_keeps_its_rules_and_all_are_in_the_catalogue(
    organisation: Layer, team: Layer, project: Layer
) -> None:
    bound = bind_layers([organisation, team, project], [])

    assert list(bound.catalogue) == ["colours.blue", "colours.green", "colours.grey", "colours.red"]
    assert [bound.layer_of(rule_id).name for rule_id in bound.catalogue] == [
        "organisation",
        "paint",
        "project",
        "organisation",
    ]
    assert [[rule.id for rule in one.rules(Gate.PIPELINE)] for one in bound.layers] == [
        ["colours.red"],
        ["colours.green"],
        ["colours.grey"],
    ]


def test_two_layers_of_one_prefix_are_refused(organisation: Layer, team: Layer) -> None:
    taken = replace(team, policy_set=replace(team.policy_set, prefix="policyd"))

    with pytest.raises(SettingsError, match="have the prefix 'policyd'") as refused:
        bind_layers([organisation, taken], [])

    assert refused.value.where == "/organisation and /paint"


@pytest.mark.parametrize("prefix", ["system", "data", "input", "project"])
def test_a_prefix_that_means_something_else_is_refused(rule: Rule, organisation: Layer, prefix: str) -> None:
    team = layer(Rank.TEAM, {"green.rego": rule("green")}, prefix=prefix)

    with pytest.raises(SettingsError, match="reserved"):
        bind_layers([organisation, team], [])


def test_a_rule_of_one_id_in_two_layers_is_refused_with_both_places(rule: Rule, organisation: Layer) -> None:
    project = layer(Rank.PROJECT, {"mine/red.rego": rule("red")})

    with pytest.raises(SettingsError, match=r"a rule 'colours\.red'") as refused:
        bind_layers([organisation, project], [])

    assert refused.value.where == "/organisation/red.rego and /project/mine/red.rego"


@pytest.mark.parametrize(
    "code", ["import data.policyd.colours.red\n", "x if data.policyd.settings.colours.red.limit > 5\n"]
)
def test_a_module_that_reads_another_layer_is_refused(rule: Rule, organisation: Layer, code: str) -> None:
    project = layer(Rank.PROJECT, {"grey.rego": rule("grey") + code.encode()})

    with pytest.raises(SettingsError, match="not of its layer") as refused:
        bind_layers([organisation, project], [])

    assert refused.value.where == "/project/grey.rego"


def test_words_in_comments_and_texts_are_no_references(rule: Rule, organisation: Layer) -> None:
    code = b'# as data.policyd.colours.red does, with data.json\nx := "data.policyd.x"\n'

    bind_layers([organisation, layer(Rank.PROJECT, {"grey.rego": rule("grey") + code})], [])


def test_the_organisation_comes_first(team: Layer) -> None:
    with pytest.raises(ValueError, match="comes first"):
        bind_layers([team], [])


# Rules and levels


def test_a_project_asks_rules_above_it_beyond_the_collection(organisation: Layer) -> None:
    bound = bind_layers([organisation], [wish(Rank.PROJECT, rules=("colours.blue",))])

    assert [rule.id for rule in bound.organisation.rules(Gate.PIPELINE)] == ["colours.blue", "colours.red"]
    assert bound.terms().rules == ("colours.blue",)


@pytest.mark.parametrize(
    "asked",
    [
        {"rules": ("colours.grey",)},
        {"levels": {"colours.grey": Level.HARD}},
        {"settings": {"colours.grey": {"limit": 1}}},
    ],
)
def test_a_team_speaks_of_no_rule_below_it(organisation: Layer, project: Layer, asked: dict[str, object]) -> None:
    with pytest.raises(SettingsError, match="no rule") as refused:
        bind_layers([organisation, project], [wish(Rank.TEAM, "paint", **asked)])

    assert "paint.yaml" in refused.value.where


def test_levels_are_raised(organisation: Layer) -> None:
    asked = [
        wish(Rank.TEAM, "paint", levels={"colours.blue": Level.SOFT}),
        wish(Rank.PROJECT, levels={"colours.blue": Level.HARD}),
    ]

    bound = bind_layers([organisation], asked)

    assert bound.raised.levels == bound.terms().levels == {"colours.blue": Level.HARD}


def test_a_level_that_falls_names_both_places(organisation: Layer) -> None:
    with pytest.raises(SettingsError, match="would fall from soft to advisory") as refused:
        bind_layers([organisation], [wish(Rank.PROJECT, levels={"colours.red": Level.ADVISORY})])

    assert refused.value.where == "/organisation/red.rego and levels.colours.red in project.yaml"


def test_a_level_that_falls_below_what_a_team_raised_names_the_team(organisation: Layer) -> None:
    asked = [
        wish(Rank.TEAM, "paint", levels={"colours.blue": Level.HARD}),
        wish(Rank.PROJECT, levels={"colours.blue": Level.SOFT}),
    ]

    with pytest.raises(SettingsError, match="would fall from hard to soft") as refused:
        bind_layers([organisation], asked)

    assert refused.value.where == "levels.colours.blue in paint.yaml and levels.colours.blue in project.yaml"


@pytest.mark.parametrize("order", list(itertools.permutations(["a", "b"])))
def test_of_two_teams_the_higher_level_holds(organisation: Layer, order: tuple[str, str]) -> None:
    levels = {"a": Level.SOFT, "b": Level.HARD}
    asked = [wish(Rank.TEAM, name, levels={"colours.blue": levels[name]}) for name in order]

    assert bind_layers([organisation], asked).raised.levels == {"colours.blue": Level.HARD}


def test_fail_on_only_becomes_stricter(organisation: Layer) -> None:
    team = wish(Rank.TEAM, "paint", fail_on=Severity.MEDIUM)

    stricter = bind_layers([organisation], [team, wish(Rank.PROJECT, fail_on=Severity.LOW)])
    assert stricter.raised.fail_on is Severity.LOW
    assert stricter.terms(Severity.INFO).fail_on is Severity.INFO
    assert stricter.terms(Severity.CRITICAL).fail_on is Severity.LOW

    with pytest.raises(SettingsError, match="would fall back from medium to high") as refused:
        bind_layers([organisation], [team, wish(Rank.PROJECT, fail_on=Severity.HIGH)])
    assert refused.value.where == "fail_on in paint.yaml and fail_on in project.yaml"


# Settings


def test_settings_come_from_the_default_the_operator_and_those_below(organisation: Layer) -> None:
    operator = wish(Rank.ORGANISATION, settings={"colours.red": {"limit": 90}})
    team = wish(Rank.TEAM, "paint", settings={"colours.red": {"limit": 45}})
    project = wish(Rank.PROJECT, settings={"colours.red": {"limit": 30}})

    steps = [
        bind_layers([organisation], asked) for asked in ([], [operator], [operator, team], [operator, team, project])
    ]

    assert [value(step, "colours.red") for step in steps] == [
        (60, "/organisation/red.rego"),
        (90, "rule_settings of organisation.yaml"),
        (45, "rule_settings of paint.yaml"),
        (30, "rule_settings of project.yaml"),
    ]
    assert steps[3].organisation.policy_set.data == {
        "policyd": {"settings": {"colours": {"red": {"limit": 30, "names": ["a", "b"], "owner": "us"}}}}
    }
    assert steps[0].terms().settings == {}
    assert steps[3].terms().settings == {"colours.red": {"limit": 30}}


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"limit": 61}, "laxer than 60"),
        ({"names": ["a", "c"]}, "laxer than"),
        ({"owner": "them"}, "only whoever owns the rule may set 'owner'"),
        ({"owner": "us"}, "only whoever owns the rule may set 'owner'"),
    ],
)
def test_a_setting_that_loosens_names_both_places(organisation: Layer, asked: dict[str, object], said: str) -> None:
    with pytest.raises(SettingsError, match=said) as refused:
        bind_layers([organisation], [wish(Rank.PROJECT, settings={"colours.red": asked})])

    name = next(iter(asked))
    assert refused.value.where == f"/organisation/red.rego and colours.red.{name} in rule_settings of project.yaml"


def test_a_project_is_held_against_what_a_team_tightened(organisation: Layer) -> None:
    team = wish(Rank.TEAM, "paint", settings={"colours.red": {"limit": 30}})

    with pytest.raises(SettingsError, match="laxer than 30") as refused:
        bind_layers([organisation], [team, wish(Rank.PROJECT, settings={"colours.red": {"limit": 40}})])

    assert refused.value.where.startswith("rule_settings of paint.yaml and ")


@pytest.mark.parametrize("order", list(itertools.permutations(["a", "b"])))
def test_of_two_teams_what_both_allow_holds(organisation: Layer, order: tuple[str, str]) -> None:
    settings = {"a": {"limit": 45, "names": ["a"]}, "b": {"limit": 30, "names": ["b"]}}
    asked = [wish(Rank.TEAM, name, settings={"colours.red": settings[name]}) for name in order]

    bound = bind_layers([organisation], asked)

    assert value(bound, "colours.red") == (30, "rule_settings of b.yaml")
    assert value(bound, "colours.red", "names")[0] == ()


def test_a_layer_sets_its_own_rules_as_it_likes(organisation: Layer, team: Layer, project: Layer) -> None:
    asked = [
        wish(Rank.TEAM, "paint", settings={"colours.green": {"limit": 900, "owner": "paint"}}),
        wish(Rank.PROJECT, settings={"colours.grey": {"limit": 900}}),
    ]

    bound = bind_layers([organisation, team, project], asked)

    assert [value(bound, rule_id)[0] for rule_id in ("colours.red", "colours.green", "colours.grey")] == [60, 900, 900]


def test_a_layer_sees_no_settings_but_its_own(organisation: Layer, team: Layer) -> None:
    bound = bind_layers([organisation, team], [])

    assert list(bound.layers[1].policy_set.data) == ["team_paint"]
    assert list(bound.layers[0].policy_set.data) == ["policyd"]


@pytest.mark.parametrize(
    ("settings", "fix"),
    [
        ({"colours.red": {"limits": 3}}, "did you mean 'colours.red.limit'?"),
        ({"colours.rad": {"limit": 3}}, "did you mean 'colours.red.limit'?"),
        ({"colours.red": {"limit": "3"}}, "integer: d"),
    ],
)
def test_a_setting_that_is_not_there_or_does_not_fit_says_what_would(
    organisation: Layer, settings: dict[str, dict[str, object]], fix: str
) -> None:
    with pytest.raises(SettingsError) as refused:
        bind_layers([organisation], [wish(Rank.ORGANISATION, settings=settings)])

    assert refused.value.fix == fix
    assert "rule_settings of organisation.yaml" in refused.value.where


# Uniting decisions


def decision(verdict: Verdict, name: str = "red", **changes: object) -> Decision:
    effects = {Verdict.DENY: (Effect.DENY,)}.get(verdict, ())
    violations = tuple(
        Violation(
            rule=f"colours.{name}", message="m", at=("x",), effect=effect, level=Level.SOFT, severity=Severity.HIGH
        )
        for effect in effects
    )
    problems = (Problem(message="died", where="regorus"),) if verdict is Verdict.UNDECIDED else ()
    return Decision(
        gate=Gate.PIPELINE,
        verdict=verdict,
        subject="p",
        policy_set=PolicySetRef(name=name, sha256="1" * 64),
        engine=ENGINE,
        input_sha256="2" * 64,
        rules=() if verdict is Verdict.NOT_EVALUATED else (f"colours.{name}",),
        violations=violations,
        problems=problems,
        governance="self",
        decided_at="2026-01-01T00:00:00.000000Z",
    ).model_copy(update=changes)


A, D, U, N = Verdict.ALLOW, Verdict.DENY, Verdict.UNDECIDED, Verdict.NOT_EVALUATED


@pytest.mark.parametrize(
    ("above", "below", "expected"),
    [
        (A, A, A), (A, D, D), (A, U, U), (A, N, A),
        (D, A, D), (D, D, D), (D, U, U), (D, N, D),
        (U, A, U), (U, D, U), (U, U, U), (U, N, U),
        (N, A, U), (N, D, U), (N, U, U), (N, N, N),
    ],
)  # fmt: skip
def test_the_worst_verdict_wins_and_silence_above_is_never_filled(
    organisation: Layer, project: Layer, above: Verdict, below: Verdict, expected: Verdict
) -> None:
    united = unite([(organisation, decision(above)), (project, decision(below, "grey"))])

    assert united.verdict is expected
    assert [one.verdict for one in united.layers] == [above, below]
    assert bool(united.problems) is (expected is U)


def test_nothing_that_a_layer_said_is_lost(organisation: Layer, team: Layer, project: Layer) -> None:
    united = unite(
        [
            (organisation, decision(D, weakened=("a",))),
            (team, decision(D, "green", weakened=("a", "b"))),
            (project, decision(U, "grey")),
        ]
    )

    assert united.rules == ("colours.green", "colours.grey", "colours.red")
    assert [found.rule for found in united.violations] == ["colours.green", "colours.red"]
    assert [problem.where for problem in united.problems] == ["regorus (layer of the project)"]
    assert united.weakened == ("a", "b")
    assert united.policy_set.name == "red"
    assert [(one.layer, one.name, one.prefix) for one in united.layers] == [
        ("organisation", "organisation", "policyd"),
        ("team", "paint", "team_paint"),
        ("project", "project", "project"),
    ]


def test_a_layer_that_was_not_asked_says_nothing(organisation: Layer, project: Layer) -> None:
    first = decision(D, weakened=("a",))

    united = unite([(organisation, first), (project, not_asked(first, project, ENGINE))])

    assert (united.verdict, united.rules, len(united.violations)) == (D, ("colours.red",), 1)


def test_layers_asked_about_different_inputs_are_a_fault(organisation: Layer, project: Layer) -> None:
    with pytest.raises(ValueError, match="different inputs"):
        unite([(organisation, decision(A)), (project, decision(A, "grey", input_sha256="3" * 64))])
