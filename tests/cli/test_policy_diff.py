"""`policyd policy diff`: what a change of rules does, before anybody is bound by it."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from policyd.adapters.library import library_folder
from tests.cli.test_layers import rule
from tests.cli.test_policy_replay import TLS, change_rule, recorded
from tests.cli.workshop import Said, Workshop, one_stage

pytestmark = pytest.mark.xdist_group("cli-policy-diff")

BAD = one_stage("curl -k https://example.com/x -o x")
LATER = '#   effective_on: "2999-01-01T00:00:00Z"\n'


@pytest.fixture
def old(tmp_path: Path) -> Path:
    return copy_library(tmp_path / "old")


@pytest.fixture
def new(tmp_path: Path) -> Path:
    return copy_library(tmp_path / "new")


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    """A folder with two pipelines, one of them bad."""
    folder = tmp_path / "inputs"
    (folder / "ci").mkdir(parents=True)
    (folder / "ci" / "bad.pipeline.yaml").write_text(BAD)
    (folder / "good.pipeline.yaml").write_text(one_stage("'true'"))
    return folder


def copy_library(folder: Path) -> Path:
    return Path(shutil.copytree(library_folder(), folder, ignore=shutil.ignore_patterns("*_test.*", "examples")))


def add_rule(folder: Path, name: str, text: str, collection: str = "baseline") -> None:
    (folder / "house" / name).mkdir(parents=True)
    (folder / "house" / name / f"{name}.rego").write_text(text)
    listed = folder / "collections" / f"{collection}.json"
    listed.write_text(listed.read_text().replace("[", f'["house.{name}",', 1))


def diff(shop: Workshop, *args: object) -> Said:
    return shop.call("policy", "diff", *args)


def diff_json(shop: Workshop, code: int, *args: object) -> Any:
    return diff(shop, *args, "--format", "json").require(code).json


def test_the_same_rules_change_nothing(shop: Workshop, old: Path, new: Path, inputs: Path) -> None:
    said = diff_json(shop, 0, old, new, "--inputs", inputs)

    assert (said["judged"], said["changes"], said["unjudged"]) == (2, [], [])
    assert said["sets"]["old"]["sha256"] == said["sets"]["new"]["sha256"]
    assert "the same rules" in diff(shop, "library", new, "--inputs", inputs).require(0).out


def test_a_rule_that_is_gone_lets_through_what_it_denied(shop: Workshop, new: Path, inputs: Path) -> None:
    shutil.rmtree(new / "integrity" / "tls_verification_disabled")
    for file in (new / "collections").glob("*.json"):
        file.write_text(file.read_text().replace(f'  "{TLS}",\n', ""))

    said = diff_json(shop, 1, "library", new, "--inputs", inputs)

    assert said["sets"]["removed"] == [TLS]
    (change,) = said["changes"]
    assert (change["name"], change["old"], change["new"]) == ("ci/bad.pipeline.yaml", "deny", "allow")
    assert [(one["rule"], one["place"]["file"]) for one in change["gone"]] == [(TLS, "ci/bad.pipeline.yaml")]
    assert change["run_id"] is change["decided_at"] is None
    assert diff_json(shop, 1, "library", new, "--inputs", inputs) == said  # no clock in it: comments can be compared


def test_a_pull_request_reads_it_as_markdown(shop: Workshop, new: Path, inputs: Path) -> None:
    change_rule(new, TLS, "severity: high", "severity: low")
    change_rule(new, "hygiene.missing_timeout", "default: 60", "default: 30")
    add_rule(new, "added", rule("added", 'input.pipeline.name == "demo"', prefix="policyd"))

    said = diff(shop, "library", new, "--inputs", inputs, "--format", "markdown").require(1).out

    assert said.startswith("## What this policy changes\n\n**Of 2 inputs, 1 change their verdict (1 stricter)")
    assert "- added: `house.added` (high, soft)\n" in said
    assert f"- changed: `{TLS}`: severity `high` → `low`\n" in said
    assert "- changed: `hygiene.missing_timeout`: setting max\\_minutes" not in said
    assert "- changed: `hygiene.missing_timeout`: setting max_minutes `60` → `30`\n" in said
    assert "- `good.pipeline.yaml`: **allow → deny**\n  - comes: `house.added` (deny): `added speaks`" in said


def test_another_day_is_another_answer(shop: Workshop, new: Path, inputs: Path) -> None:
    add_rule(new, "later", rule("later", 'input.gate == "pipeline"', prefix="policyd", more=LATER))

    today = diff_json(shop, 1, "library", new, "--inputs", inputs)
    in_2999 = diff_json(shop, 1, "library", new, "--inputs", inputs, "--effective-time", "2999-06-01")

    assert {change["turn"] for change in today["changes"]} == {"same"}
    assert {change["come"][0]["effect"] for change in today["changes"]} == {"warn"}
    assert {change["name"]: change["turn"] for change in in_2999["changes"]} == {
        "ci/bad.pipeline.yaml": "same",
        "good.pipeline.yaml": "stricter",
    }
    assert {change["come"][0]["effect"] for change in in_2999["changes"]} == {"deny"}


def test_a_collection_is_chosen_by_name(shop: Workshop, old: Path, new: Path, inputs: Path) -> None:
    for folder in (old, new):
        (folder / "collections" / "own.json").write_text(f'["{TLS}"]')
    add_rule(new, "strictest", rule("strictest", 'input.gate == "pipeline"', prefix="policyd"), "own")

    assert diff_json(shop, 0, old, new, "--inputs", inputs)["changes"] == []
    said = diff_json(shop, 1, old, new, "--inputs", inputs, "--collection", "own")
    assert set(said["rules"]) == {"house.strictest"}
    diff(shop, "library", new, "--inputs", inputs, "--collection", "none").require_one_error(2, "no collection 'none'")


def test_inputs_of_gates_are_judged_as_of_their_own_time(shop: Workshop, new: Path, inputs: Path, bwrap: Path) -> None:
    shop.call("run", "pipeline.yaml").require(0)
    for entry in recorded(shop):
        gate = "stage" if entry.get("stage") else "release" if entry.get("detail") else "pipeline"
        content = shop.object(entry["evidence"][2 if gate == "pipeline" else 1]).read_bytes()
        (inputs / f"{entry['at'][:26].replace(':', '')}.{gate}.json").write_bytes(content)
    (inputs / "package.json").write_text('{"name": "not for us"}')
    for gate in ("pipeline", "stage", "release"):
        condition = f'input.gate == "{gate}"\n\tinput.evaluated_at > "2999"'
        add_rule(new, gate, rule(gate, condition, prefix="policyd", gate=gate).replace('["pipeline"]', '["gate"]'))

    now = diff_json(shop, 0, "library", new, "--inputs", inputs)
    in_2999 = diff_json(shop, 1, "library", new, "--inputs", inputs, "--effective-time", "2999-06-01")

    assert now["judged"] == 2 + 6
    assert in_2999["rules"] == {
        "house.pipeline": {"come": 3, "gone": 0, "weighed": 0},
        "house.release": {"come": 1, "gone": 0, "weighed": 0},
        "house.stage": {"come": 4, "gone": 0, "weighed": 0},
    }
    one = next(inputs.glob("*.stage.json"))
    assert diff_json(shop, 0, "library", new, "--inputs", one)["judged"] == 1


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        ('{"gate": "stage", "evaluated_at": "2026-01-01T00:00:00Z"}', "does not fit its model"),
        ('{"gate": "door", "evaluated_at": "2026-01-01T00:00:00Z"}', "not the input of a gate"),
        ('{"gate": "stage", "evaluated_at": "yesterday"}', "not the input of a gate"),
        ('{"gate": "stage", "evaluated_at": "2026-01-01T00:00:00"}', "not the input of a gate"),
        ('{"gate": "stage", "gate": "stage", "evaluated_at": "2026-01-01T00:00:00Z"}', "twice"),
        ('{"gate": "stage", "evaluated_at": ' + "[" * 200, "deeper"),
        ('["gate", "evaluated_at"]', "not the input of a gate"),
        ('{"gate": ["stage"], "evaluated_at": {}}', "not the input of a gate"),
    ],
)
def test_a_document_that_is_no_input_is_named_and_never_passed_over(
    shop: Workshop, new: Path, inputs: Path, content: str, cause: str
) -> None:
    (inputs / "input.json").write_text(content)

    said = diff_json(shop, 3, "library", new, "--inputs", inputs)

    assert said["judged"] == 2
    assert [one["name"] for one in said["unjudged"]] == ["input.json"]
    assert cause in said["unjudged"][0]["cause"]


def test_a_pipeline_that_does_not_parse_is_named(shop: Workshop, new: Path, inputs: Path) -> None:
    (inputs / "broken.pipeline.yaml").write_text("policyd: pipeline/v1\nstages: [")

    said = diff_json(shop, 3, "library", new, "--inputs", inputs)

    assert (said["judged"], [one["name"] for one in said["unjudged"]]) == (2, ["broken.pipeline.yaml"])


def test_links_below_the_inputs_are_not_followed(shop: Workshop, new: Path, inputs: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret.json"
    secret.write_text('{"gate": "stage", "evaluated_at": "2026-01-01T00:00:00Z", "password": "hunter2"}')
    (inputs / "link.json").symlink_to(secret)
    (inputs / "folder").symlink_to(tmp_path)
    os.mkfifo(inputs / "pipe.json")

    said = diff(shop, "library", new, "--inputs", inputs).require(0)

    assert "2 inputs judged" in said.out


def test_a_set_that_can_not_answer_is_undecided(shop: Workshop, new: Path, inputs: Path) -> None:
    add_rule(new, "broken", rule("broken", "some unknown(input)", prefix="policyd"))

    said = diff_json(shop, 3, "library", new, "--inputs", inputs)

    assert [change["new"] for change in said["changes"]] == ["undecided", "undecided"]
    assert "unknown" in said["changes"][0]["problems"][0]["message"]


def test_an_old_set_that_can_not_answer_is_a_change_too(shop: Workshop, new: Path, inputs: Path) -> None:
    add_rule(new, "broken", rule("broken", "some unknown(input)", prefix="policyd"))

    said = diff_json(shop, 1, new, "library", "--inputs", inputs)

    assert [change["old"] for change in said["changes"]] == ["undecided", "undecided"]


def test_a_folder_without_anything_to_judge_is_nothing_evaluated(shop: Workshop, new: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()

    diff(shop, "library", new, "--inputs", tmp_path / "empty").require(4)


def test_sets_that_are_not_there_are_a_wrong_request(shop: Workshop, new: Path, inputs: Path, tmp_path: Path) -> None:
    diff(shop, tmp_path / "none", new, "--inputs", inputs).require_one_error(2, "no such policy set")
    diff(shop, new, "library", "--inputs", tmp_path / "none").require(2)


def test_bundles_are_looked_at_unsigned(shop: Workshop, new: Path, inputs: Path, tmp_path: Path) -> None:
    change_rule(new, TLS, "severity: high", "severity: low")
    bundle = tmp_path / "new.tar.gz"
    shop.call(
        "policy", "bundle", new, "--out", bundle, "--name", "house", "--version", "2", "--expires", "2999-01-01"
    ).require(0)

    said = diff_json(shop, 1, "library", bundle, "--inputs", inputs)

    assert said["sets"]["new"]["name"] == "house"
    assert [change["name"] for change in said["changes"]] == ["ci/bad.pipeline.yaml"]
    # Nothing was remembered of it: it judges nobody.
    assert not list(shop.places.state.rglob("*house*"))


def test_both_engines_may_be_asked(opa_shop: Workshop, new: Path, inputs: Path) -> None:
    change_rule(new, TLS, "severity: high", "severity: low")

    said = diff_json(opa_shop, 1, "library", new, "--inputs", inputs, "--engine", "both")

    assert [change["turn"] for change in said["changes"]] == ["looser"]


def test_it_works_without_any_settings(shop: Workshop, new: Path, inputs: Path) -> None:
    nobody = {"POLICYD_SETTINGS": None, "XDG_CONFIG_HOME": "/nonexistent"}

    said = shop.call("policy", "diff", "library", new, "--inputs", inputs, "--format", "json", env=nobody).require(0)

    assert json.loads(said.out)["judged"] == 2
