"""`policyd policy settings` and `policyd policy list`: what can be set and asked, and who says so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.cli.workshop import Workshop

pytestmark = pytest.mark.xdist_group("cli-policy-lists")

LIMIT = "hygiene.missing_timeout"
MINE = """# METADATA
# title: A rule of the project
# description: Says something.
# custom:
#   id: house.mine
#   severity: low
#   gate: stage
#   controls: [HOUSE-1]
#   settings:
#     words: {type: strings, default: [a], tighter: superset, description: "Words that are `bad`, | or worse."}
#   remediation: Do something.
package project.house.mine

deny contains {"message": "m", "at": []} if "x" in data.project.settings.house.mine.words
"""


def listed(shop: Workshop, command: str, *args: object) -> list[dict[str, Any]]:
    document = shop.call("policy", command, *args, "--format", "json").require(0).json
    (found,) = (value for value in document.values() if isinstance(value, list))
    return found


def layered(fresh: Workshop) -> None:
    fresh.change_settings("targets:", f"rule_settings: {{{LIMIT}: {{max_minutes: 50}}}}\ntargets:")
    fresh.write(MINE, "ci/policies/house/mine/mine.rego")
    fresh.write(
        f"policyd: project/v1\npolicies: ci/policies\nlevels: {{{LIMIT}: soft}}\n"
        f"rule_settings: {{{LIMIT}: {{max_minutes: 40}}, house.mine: {{words: [b]}}}}\n",
        "policyd.yaml",
    )


def test_every_setting_says_what_it_is_and_where_that_is_said(fresh: Workshop) -> None:
    before = {(one["rule"], one["name"]): one for one in listed(fresh, "settings")}
    layered(fresh)
    after = {(one["rule"], one["name"]): one for one in listed(fresh, "settings")}

    assert before[(LIMIT, "max_minutes")] == {
        "rule": LIMIT,
        "name": "max_minutes",
        "type": "integer",
        "choices": [],
        "tighter": "lower",
        "default": 60,
        "value": 60,
        "where": "policyd-library/hygiene/missing_timeout/missing_timeout.rego",
        "description": "How many minutes a stage without a limit of its own may take.",
    }
    changed = {key: (one["value"], one["where"]) for key, one in after.items() if before.get(key) != one}
    assert changed == {
        (LIMIT, "max_minutes"): (40, "rule_settings of policyd.yaml"),
        ("house.mine", "words"): (["b"], "rule_settings of policyd.yaml"),
    }


def test_a_value_of_the_operator_names_the_file(fresh: Workshop) -> None:
    fresh.change_settings("targets:", f"rule_settings: {{{LIMIT}: {{max_minutes: 50}}}}\ntargets:")

    said = fresh.call("policy", "settings").require(0).out

    assert f"from rule_settings of {fresh.settings}" in " ".join(said.split())
    assert "1 not as its rule declares" in said


def test_a_policy_folder_is_looked_at_alone(fresh: Workshop) -> None:
    layered(fresh)

    (setting,) = listed(fresh, "settings", "ci/policies")
    (rule,) = listed(fresh, "list", "ci/policies")

    assert (setting["value"], setting["where"]) == (["a"], "ci/policies/house/mine/mine.rego")
    assert (rule["id"], rule["asked"], rule["collections"]) == ("house.mine", True, [])


def test_rules_are_listed_with_the_level_that_applies_and_whether_they_are_asked(fresh: Workshop) -> None:
    layered(fresh)

    rules = {one["id"]: one for one in listed(fresh, "list")}

    assert (rules[LIMIT]["level"], rules[LIMIT]["asked"], rules[LIMIT]["layer"]) == ("soft", False, "organisation")
    assert (rules["house.mine"]["level"], rules["house.mine"]["layer"]) == ("advisory", "project")
    said = fresh.call("policy", "list").require(0).out
    (line,) = (line for line in said.splitlines() if line.startswith(LIMIT))
    assert line.split()[1:5] == ["info", "soft", "pipeline", "organisation"]
    assert line.endswith("(not asked)")


def test_a_collection_lists_its_rules(fresh: Workshop) -> None:
    strict = {one["id"] for one in listed(fresh, "list", "--collection", "strict")}
    level_2 = {one["id"] for one in listed(fresh, "list", "--collection", "slsa-build-l2")}

    assert level_2 < strict == {one["id"] for one in listed(fresh, "list")}
    fresh.call("policy", "list", "--collection", "strictest").require_one_error(2, "'strictest'", "baseline")


def test_nothing_found_is_not_evaluated(fresh: Workshop, tmp_path: Path) -> None:
    fresh.call("policy", "list", tmp_path).require_one_error(3, "holds no rules")


def test_docs_and_checks_of_a_projects_rules_work_alone(fresh: Workshop, tmp_path: Path) -> None:
    layered(fresh)
    fresh.write(
        "package project.house.mine_test\n\nimport data.project.house.mine\n\n"
        'test_words_are_found if {\n\tcount(mine.deny) == 1 with data.project.settings.house.mine.words as ["x"]\n}\n\n'
        "test_default_is_fine if count(mine.deny) == 0\n",
        "ci/policies/house/mine/mine_test.rego",
    )

    assert "pass" in fresh.call("policy", "test", "ci/policies").require(0).out
    assert "nothing wrong" in fresh.call("policy", "check", "ci/policies").require(0).out
    fresh.call("policy", "docs", "ci/policies", "--out", tmp_path / "rules").require(0)
    page = (tmp_path / "rules" / "house.mine.md").read_text()
    assert '| `words` | Words that are `bad`, \\| or worse. | strings | `["a"]` | superset |' in page


def test_a_rule_in_no_collection_is_a_problem(fresh: Workshop) -> None:
    fresh.write(MINE.replace("project", "policyd"), "policies/house/mine/mine.rego")
    fresh.write(MINE.replace("project", "policyd").replace("mine", "other"), "policies/house/other/other.rego")
    fresh.write('["house.mine"]', "policies/collections/baseline.json")

    said = fresh.call("policy", "check", "policies").require(1).out

    assert "the rule house.other is in no collection" in " ".join(said.split())
    assert "house.mine is in no collection" not in said


def test_a_new_rule_may_be_of_any_layer(fresh: Workshop) -> None:
    fresh.call("policy", "new", "house", "mine", "--prefix", "project", "--folder", "ci/policies").require(0)

    fresh.call("policy", "test", "ci/policies").require(0)
    fresh.write("policyd: project/v1\npolicies: ci/policies\n", "policyd.yaml")
    assert "house.mine" in {one["id"] for one in listed(fresh, "list")}
    fresh.call("policy", "new", "settings", "mine").require_one_error(2, "settings")
