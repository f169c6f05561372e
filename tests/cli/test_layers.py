"""Layers of policy, as commands see them: what a project adds holds, and what it tries to take away never does."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from policyd.adapters.library import read_policy_folder
from policyd.policy.policy_set import read_policy_set
from tests.cli.workshop import RELEASING, Said, Workshop, one_stage, open_workshop

pytestmark = pytest.mark.xdist_group("cli-layers")

FINE = 'input.gate == "none"'
FOUND = 'input.gate != "none"'
DENIED = "dependencies.unverified_script"  # what the organisation's baseline says of BAD
BAD = one_stage("curl https://example.com/x | sh")
GOOD = one_stage("'true'")
LOOPS = "count([1 | some a in numbers.range(1, 100000); some b in numbers.range(1, 100000); a == b]) < 0"
GREEDY = "count(numbers.range(1, 1000000000)) < 0"
FLOOD = "some n in numbers.range(1, 2000)"
IMPATIENT = (
    "from policyd.adapters.engines.embedded import EmbeddedEngine\n"
    "EmbeddedEngine.__init__.__kwdefaults__['timeout_seconds'] = 2.0\n"
)


def rule(name: str, condition: str, *, prefix: str = "project", gate: str = "pipeline", more: str = "") -> str:
    at = '["pipeline", n]' if "some n" in condition else '["pipeline"]'
    return f"""# METADATA
# title: A rule called {name}
# description: Says something.
# custom:
#   id: house.{name}
#   severity: high
#   gate: {gate}
#   controls: [HOUSE-1]
#   remediation: Do something.
{more}package {prefix}.house.{name}

deny contains violation if {{
	{condition}
	violation := {{"message": "{name} speaks", "at": {at}}}
}}
"""


class House:
    """A workshop whose project and teams bring policies of their own."""

    def __init__(self, shop: Workshop) -> None:
        self.shop = shop
        self.before = (shop.settings.read_text(), (shop.places.config / "trust.yaml").read_text())

    def clean(self) -> None:
        """Take everything back but the pipeline."""
        shutil.rmtree(self.shop.project / "ci", ignore_errors=True)
        shutil.rmtree(self.shop.home / "teams", ignore_errors=True)
        (self.shop.project / "policyd.yaml").unlink(missing_ok=True)
        self.shop.settings.write_text(self.before[0])
        (self.shop.places.config / "trust.yaml").write_text(self.before[1])
        self.shop.write(GOOD)

    def project(self, settings: str, **rules: str) -> None:
        """Write policyd.yaml, and rules by name into ci/policies."""
        self.shop.write(f"policyd: project/v1\n{settings}", "policyd.yaml")
        for name, text in rules.items():
            self.shop.write(text, f"ci/policies/house/{name}/{name}.rego")

    def team(self, name: str, settings: str = "", *, trusted: bool = True, **rules: str) -> Path:
        """Write a team's rules beside the project, and name it in the operator's settings."""
        folder = self.shop.home / "teams" / name
        for rule_name, text in rules.items():
            file = folder / f"house/{rule_name}.rego"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        said = f'policy_set: "{folder}"\n' if rules else ""
        lines = "".join(f"    {line}\n" for line in f"{said}{settings}".splitlines())
        with self.shop.settings.open("a") as operator:
            operator.write(f"teams:\n  {name}:\n{lines}")
        if rules and trusted:
            sha256 = read_policy_set(read_policy_folder(folder), name, prefix=f"team_{name}").sha256
            self.shop.change_trust("policy_sets:\n", f"policy_sets:\n  - {sha256}\n")
        return folder

    def check(self, code: int, *options: str) -> dict[str, Any]:
        """Check the project and return the one decision."""
        document = self.shop.call("check", "--format", "json", *options).require(code).json
        (judged,) = document["decisions"]
        decision: dict[str, Any] = judged["decision"]
        return decision

    def refused(self, *texts: str) -> Said:
        """Every command that would judge here says one error, and exits 2."""
        for command in (["plan", "pipeline.yaml"], ["run", "pipeline.yaml"]):
            self.shop.call(*command).require_one_error(2, *texts)
        return self.shop.call("check").require_one_error(2, *texts)


@pytest.fixture(scope="module")
def _shop() -> Iterator[House]:
    with open_workshop() as shop:
        yield House(shop)


@pytest.fixture
def house(_shop: House) -> House:
    _shop.clean()
    return _shop


def denied(decision: dict[str, Any]) -> list[str]:
    return [found["rule"] for found in decision.get("violations", ()) if found["effect"] == "deny"]


# What layers add


def test_a_rule_of_the_project_denies_beside_those_of_the_organisation(house: House) -> None:
    house.project("policies: ci/policies\n", mine=rule("mine", FOUND))
    house.shop.write(BAD)

    decision = house.check(1)

    assert denied(decision) == ["house.mine", DENIED]
    assert [(layer["layer"], layer["verdict"]) for layer in decision["layers"]] == [
        ("organisation", "deny"),
        ("project", "deny"),
    ]
    said = house.shop.call("check").require(1).out
    assert "mine speaks" in said
    assert "the project's ci/policies" in said.replace("\n", " ").replace("           ", "")


def test_a_rule_of_the_project_that_is_kept_changes_nothing(house: House) -> None:
    house.project("policies: ci/policies\n", mine=rule("mine", FINE))

    assert "house.mine" in house.check(0)["rules"]
    house.shop.write(BAD)
    assert denied(house.check(1)) == [DENIED]


def test_a_rule_of_a_team_denies_whatever_the_project_says(house: House) -> None:
    house.team("paint", ours=rule("ours", FOUND, prefix="team_paint"))
    house.project("policies: ci/policies\n", mine=rule("mine", FINE))

    assert denied(house.check(1)) == ["house.ours"]


def test_a_team_for_some_projects_judges_no_other(house: House) -> None:
    house.team("paint", f'projects: ["{house.shop.home}/elsewhere"]', ours=rule("ours", FOUND, prefix="team_paint"))
    assert "house.ours" not in house.check(0)["rules"]

    house.shop.change_settings("/elsewhere", "/project")
    assert denied(house.check(1)) == ["house.ours"]


@pytest.mark.parametrize("option", ["opa", "both"])
def test_layers_are_asked_alone_on_every_engine(house: House, opa: Path, option: str) -> None:
    with house.shop.settings.open("a") as file:
        file.write(f'helpers: {{opa: "{opa}"}}\n')
    house.team("paint", ours=rule("ours", FOUND, prefix="team_paint"))
    house.project("policies: ci/policies\n", mine=rule("mine", FOUND))

    decision = house.check(1, "--engine", option)

    assert denied(decision) == ["house.mine", "house.ours"]
    assert [layer["engine"]["name"] for layer in decision["layers"]] == [option, option, "regorus"]


# What a project tries to take away


@pytest.mark.parametrize(
    ("package", "path"),
    [
        ("policyd.dependencies.unverified_script", "ci/policies/dependencies/unverified_script/unverified_script.rego"),
        ("policyd.lib.shell", "ci/policies/lib/shell.rego"),
        ("policyd.house.mine", "ci/policies/house/mine/mine.rego"),
        ("team_paint.house.mine", "ci/policies/house/mine/mine.rego"),
        ("projects.house.mine", "ci/policies/house/mine/mine.rego"),
    ],
)
def test_a_module_in_a_package_of_another_layer_is_refused(house: House, package: str, path: str) -> None:
    """It would add a body to the organisation's rule or helper, and silence it."""
    house.project("policies: ci/policies\n", mine=rule("mine", FINE))
    house.shop.write(f"package {package}\n\ndeny contains 1 if false\n", path)
    house.shop.write(BAD)

    house.refused(repr(package), path)


def test_a_rule_with_the_id_of_the_organisations_is_refused_with_both_places(house: House) -> None:
    text = rule("mine", FINE).replace("house.mine", DENIED)
    house.project("policies: ci/policies\n")
    house.shop.write(text, "ci/policies/dependencies/unverified_script/unverified_script.rego")
    house.shop.write(BAD)

    house.refused(DENIED, "policyd-library/dependencies/", " and ci/policies/dependencies/")


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("ci/policies/data.json", '{"policyd": {"settings": {"dependencies": {}}}}'),
        ("ci/policies/policyd/data.json", "{}"),
        ("ci/policies/settings/dependencies.json", '{"unpinned_component": {"trusted_owners": ["evil"]}}'),
        ("ci/policies/settings/policyd.json", '{"settings": {}}'),
        ("ci/policies/collections/baseline.json", '["hygiene.missing_timeout"]'),
        ("ci/policies/.manifest", "{}"),
    ],
)
def test_data_of_the_project_reaches_no_other_layer(house: House, path: str, text: str) -> None:
    house.project("policies: ci/policies\n", mine=rule("mine", FINE))
    house.shop.write(text, path)
    house.shop.write(BAD)

    if path.endswith(".manifest"):  # what begins with a dot is not read at all
        assert denied(house.check(1)) == [DENIED]
    else:
        house.refused("ci/policies/")


@pytest.mark.parametrize(
    ("settings", "texts"),
    [
        (
            "rule_settings: {dependencies.unpinned_component: {trusted_owners: [evil]}}",
            ["laxer than []", "policyd-library/dependencies/", "policyd.yaml"],
        ),
        ("rule_settings: {hygiene.missing_timeout: {max_minutes: 61}}", ["laxer than 60", "policyd.yaml"]),
        (
            "rule_settings: {hygiene.missing_timeout: {max_minute: 5}}",
            ["did you mean 'hygiene.missing_timeout.max_minutes'"],
        ),
        ("rule_settings: {hygiene.missing_timeout: {max_minutes: '5'}}", ["does not fit", "integer"]),
        (f"levels: {{{DENIED}: advisory}}", ["would fall from", "policyd-library/", "policyd.yaml"]),
        (f"rules: [{DENIED}x]", ["did you mean", "policyd.yaml"]),
        ("collection: strict", ["for the operator to decide"]),
        ("policy_set: /tmp", ["for the operator to decide"]),
        ("teams: {}", ["for the operator to decide"]),
        ("policies: ../policies", ["plain relative path"]),
        ("policies: /etc", ["plain relative path", "where: '/etc' ("]),
        ("policies: nowhere", ["can't be opened", "policyd.yaml"]),
        ("policies: pipeline.yaml", ["no folder"]),
    ],
)
def test_what_would_loosen_or_does_not_fit_is_refused(house: House, settings: str, texts: list[str]) -> None:
    house.project(f"{settings}\n")
    house.shop.write(BAD)

    house.refused(*texts)


def test_a_policy_folder_with_a_link_in_it_or_on_the_way_is_refused(house: House) -> None:
    house.project("policies: ci/policies\n", mine=rule("mine", FINE))
    link = house.shop.project / "ci/policies/outside.rego"
    link.symlink_to("/etc/passwd")
    house.refused("not a regular file", "ci/policies/outside.rego")
    link.unlink()

    (house.shop.project / "ci").rename(house.shop.home / "moved")
    (house.shop.project / "ci").symlink_to(house.shop.home / "moved")
    try:
        house.refused("follows no links")
    finally:
        (house.shop.project / "ci").unlink()
        shutil.rmtree(house.shop.home / "moved")


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        (LOOPS, "took too long in project.house.mine.deny"),
        (GREEDY, "died in project.house.mine.deny"),
        (FLOOD, "2000 things"),
        ("1 / count([]) > 0", "could not be evaluated"),
        ("http.send({})", "http.send"),
        ("{", "does not compile"),
    ],
    ids=["loops", "eats memory", "finds too much", "raises", "reaches out", "no Rego"],
)
def test_a_hostile_rule_is_undecided_and_loses_no_denial(house: House, condition: str, said: str) -> None:
    house.project("policies: ci/policies\n", mine=rule("mine", condition))
    house.shop.write(BAD)

    decision = (
        house.shop.policyd("check", "--format", "json", script=IMPATIENT).require(3).json["decisions"][0]["decision"]
    )

    assert denied(decision) == [DENIED]
    (problem,) = decision["problems"]
    assert said in problem["message"]
    assert "(layer of the project ci/policies)" in problem["where"]
    assert [layer["verdict"] for layer in decision["layers"]] == ["deny", "undecided"]


def test_with_in_a_rule_of_the_project_changes_only_what_it_sees_itself(house: House) -> None:
    code = "count(data.project.house.other.deny) == 0 with input as {}"
    house.project("policies: ci/policies\n", mine=rule("mine", code), other=rule("other", FINE))
    house.shop.write(BAD)

    assert denied(house.check(1)) == ["house.mine", DENIED]


def test_where_the_organisation_asks_nothing_the_project_allows_nothing(house: House) -> None:
    folder = house.shop.home / "teams" / "org"
    file = folder / "house/theirs/theirs.rego"
    file.parent.mkdir(parents=True)
    file.write_text(rule("theirs", FINE, prefix="policyd", gate="release"))
    with house.shop.settings.open("a") as settings:
        settings.write(f'policy_set: "{folder}"\n')
    house.check(4)

    house.project("policies: ci/policies\n", mine=rule("mine", FINE))
    decision = house.check(3)

    assert [layer["verdict"] for layer in decision["layers"]] == ["not_evaluated", "allow"]
    assert "no rule of the organisation was asked" in decision["problems"][0]["message"]


# Settings


def test_settings_reach_rules_from_every_layer(house: House) -> None:
    house.shop.write(one_stage("'true'", "timeout: 40m"))
    house.project("rules: [hygiene.missing_timeout]\nlevels: {hygiene.missing_timeout: soft}\n")
    house.check(0)

    house.project(
        "rules: [hygiene.missing_timeout]\nlevels: {hygiene.missing_timeout: soft}\n"
        "rule_settings: {hygiene.missing_timeout: {max_stated_minutes: 30}}\n"
    )
    decision = house.check(1)

    assert denied(decision) == ["hygiene.missing_timeout"]
    assert decision["terms"]["settings"] == {"hygiene.missing_timeout": {"max_stated_minutes": 30}}


def test_a_project_can_not_go_back_behind_its_team_and_operator(house: House) -> None:
    with house.shop.settings.open("a") as file:
        file.write("rule_settings: {hygiene.missing_timeout: {max_stated_minutes: 90, max_minutes: 90}}\n")
    house.team("paint", "rule_settings: {hygiene.missing_timeout: {max_stated_minutes: 20}}")

    house.project("rule_settings: {hygiene.missing_timeout: {max_minutes: 80}}\n")
    house.check(0)
    house.project("rule_settings: {hygiene.missing_timeout: {max_stated_minutes: 30}}\n")
    house.refused("laxer than 20", "rule_settings of teams.paint in", "policyd.yaml")


# Plans, runs and releases


def test_a_plan_names_every_layer_and_is_refused_when_one_changed(house: House, bwrap: Path) -> None:
    house.project("policies: ci/policies\n", mine=rule("mine", FINE))
    house.shop.write("ci/\npolicyd.yaml\n", ".gitignore")
    planned = house.shop.home / "plan.json"
    house.shop.call("plan", "pipeline.yaml", "--out", planned).require(0)
    assert [layer["layer"] for layer in json.loads(planned.read_bytes())["layers"]] == ["organisation", "project"]

    house.shop.write(rule("mine", FINE + " # as before"), "ci/policies/house/mine/mine.rego")
    house.shop.call("run", "--plan", planned).require_one_error(1, "the policy of the project ci/policies: was")

    house.project("levels: {hygiene.missing_timeout: hard}\n")
    house.shop.call("run", "--plan", planned).require_one_error(1, "ci/policies is gone", "terms sha256")


def releasing(house: House, team: str, *, trusted: bool = True) -> None:
    """Write a pipeline that releases, a team with one rule for that, and a project with rules for all gates."""
    house.team("paint", ours=rule("ours", team, prefix="team_paint", gate="release"), trusted=trusted)
    house.project(
        "policies: ci/policies\n",
        mine=rule("mine", FINE),
        next=rule("next", FINE, gate="stage"),
        last=rule("last", FINE, gate="release"),
    )
    house.shop.write(RELEASING)


def test_a_run_is_judged_by_all_layers_and_verified_by_those_above_the_project(house: House, bwrap: Path) -> None:
    releasing(house, FINE)
    artifact = house.shop.places.targets / "local" / "greeting"

    run = house.shop.call("run", "pipeline.yaml", "--format", "json").require(0).json
    checks = house.shop.call("verify", artifact, "--format", "json").require(0).json["checks"]

    assert [layer["name"] for layer in run["decision"]["layers"]] == ["policyd-library", "paint", "ci/policies"]
    (released,) = run["released"]
    assert released["verdict"] == "allow"
    # The library's twelve rules for releases and the team's: no rule of the project is asked again.
    assert checks[-1]["detail"].startswith("13 rules")

    # A team's set that is not listed any more is refused, and so is one that was never listed.
    (house.shop.places.config / "trust.yaml").write_text(house.before[1])
    house.shop.settings.write_text(house.before[0])
    refused = house.shop.call("verify", artifact).require(1)
    assert "does not list the policy set paint" in refused.out + refused.err


def test_a_team_denies_what_all_others_release(house: House, bwrap: Path) -> None:
    releasing(house, FOUND)
    artifact = house.shop.places.targets / "local" / "greeting"

    run = house.shop.call("run", "pipeline.yaml", "--format", "json").require(1).json

    assert run["manifest"]["succeeded"]
    assert "house.ours" in run["released"][0]["reason"]
    assert "house.ours" in house.shop.call("verify", artifact).require(1).out


def test_nothing_runs_under_a_team_whose_policy_set_is_not_listed(house: House, bwrap: Path) -> None:
    releasing(house, FINE, trusted=False)

    house.shop.call("run", "pipeline.yaml").require_error(
        "the policy set paint", "not one that the trust policy allows"
    )
    house.shop.call("verify", house.shop.project / "data.txt").require_error("not one that the trust policy allows")


@pytest.mark.parametrize("value", ["5.5", "null", "{a: 1}", "[[a]]", "true", "'x'", "-1"])
def test_a_value_of_another_kind_says_what_fits(house: House, value: str) -> None:
    house.project(f"rule_settings: {{hygiene.missing_timeout: {{max_minutes: {value}}}}}\n")

    house.refused("does not fit", "integer: How many minutes", "policyd.yaml")


@pytest.mark.parametrize(("folder", "rules"), [("project", "13 rules"), ("elsewhere", "12 rules")])
def test_an_artifact_is_verified_by_the_teams_that_its_plan_names(
    house: House, bwrap: Path, folder: str, rules: str
) -> None:
    house.team(
        "paint",
        f'projects: ["{house.shop.home}/{folder}"]',
        ours=rule("ours", FINE, prefix="team_paint", gate="release"),
    )
    house.shop.write(RELEASING)
    artifact = house.shop.places.targets / "local" / "greeting"

    house.shop.call("run", "pipeline.yaml").require(0)
    checks = house.shop.call("verify", artifact, "--format", "json").require(0).json["checks"]

    assert checks[-1]["detail"].startswith(rules)
