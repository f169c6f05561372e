"""A policy set that can't judge: undecided or not evaluated, and never a pass."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from policyd.adapters.library import read_policy_folder
from policyd.policy.policy_set import read_policy_set
from tests.cli.workshop import Workshop, one_stage, open_workshop

pytestmark = pytest.mark.xdist_group("cli-bad-policy")

FINE = 'deny contains violation if {\n\tinput.gate == "none"\n\tviolation := {"message": "m", "at": []}\n}'
RAISES = 'deny contains violation if {\n\t1 / count([]) > 0\n\tviolation := {"message": "m", "at": []}\n}'


def rule(body: str, name: str = "one", gate: str = "pipeline") -> dict[str, str]:
    """Return the file of one rule."""
    return {
        f"custom/{name}/{name}.rego": f"""# METADATA
# title: A rule
# description: Says something.
# custom:
#   id: custom.{name}
#   severity: high
#   gate: {gate}
#   controls: [X-1]
#   remediation: Do something.
package policyd.custom.{name}

{body}
"""
    }


@dataclass
class Policies:
    """A workshop whose operator names a policy folder."""

    shop: Workshop
    folder: Path

    def write(self, files: Mapping[str, str], *, trusted: bool = False) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()
        for path, text in files.items():
            file = self.folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        if trusted:
            sha256 = read_policy_set(read_policy_folder(self.folder), name="policies").sha256
            self.shop.change_trust("policy_sets:\n", f"policy_sets:\n  - {sha256}\n")


@pytest.fixture(scope="module")
def policies() -> Iterator[Policies]:
    with open_workshop() as shop:
        folder = shop.home / "policies"
        with shop.settings.open("a") as file:
            file.write(f'policy_set: "{folder}"\n')
        shop.write(one_stage("'true'"))
        yield Policies(shop, folder)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, ["the policy set holds no rules", "/policies\n"]),
        ({"README.md": "Nothing here."}, ["the policy set holds no rules"]),
        ({"collections/baseline.json": "[]"}, ["not empty", "/policies/collections/baseline.json"]),
        ({**rule(FINE), "collections/other.json": '["custom.one"]'}, ["no collection 'baseline'"]),
        ({**rule(FINE), "collections/baseline.json": '["custom.two"]'}, ["custom.two"]),
        ({**rule(FINE), "setting/custom.json": "{}"}, ["setting/custom.json"]),
        ({"custom/one/one.rego": "package policyd.custom.one\n"}, ["/policies/custom/one/one.rego"]),
        ({"custom/one/one.rego": "package elsewhere.one\n"}, ["/policies/custom/one/one.rego"]),
    ],
    ids=["empty", "only text", "empty collection", "no collection", "unknown id", "stray data", "no title", "package"],
)
def test_a_policy_folder_that_can_not_be_used_leaves_everything_undecided(
    policies: Policies, files: dict[str, str], expected: list[str]
) -> None:
    policies.write(files)

    for command in (["check"], ["plan", "pipeline.yaml"], ["run", "pipeline.yaml"], ["audit"]):
        policies.shop.call(*command).require_one_error(3, *expected)


@pytest.mark.parametrize(
    ("settings", "where"),
    [
        ("collection: basline\n", "collection in "),
        ("teams: {payments: {policy_set: FOLDER, collection: basline}}\n", "teams."),
    ],
    ids=["organisation", "team"],
)
def test_settings_that_name_a_collection_the_set_does_not_have_are_wrong_settings(
    policies: Policies, settings: str, where: str
) -> None:
    policies.write({**rule(FINE), "collections/baseline.json": '["custom.one"]'})
    theirs = policies.shop.home / "theirs"
    Policies(policies.shop, theirs).write(
        {path: text.replace("policyd.custom", "team_payments.custom") for path, text in rule(FINE).items()}
        | {"collections/baseline.json": '["custom.one"]'}
    )
    before = policies.shop.settings.read_text()
    policies.shop.settings.write_text(before + settings.replace("FOLDER", str(theirs)))

    said = policies.shop.call("check")
    policies.shop.settings.write_text(before)

    said.require_one_error(2, "no collection 'basline'", where, str(policies.shop.settings), "use one of baseline")


def test_a_policy_folder_that_is_a_link_elsewhere_or_missing_is_an_error(policies: Policies) -> None:
    shutil.rmtree(policies.folder, ignore_errors=True)

    policies.shop.call("check").require_one_error(3, "can't be opened", str(policies.folder))


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("deny contains violation if {", "does not compile"),
        ('deny contains violation if {\n\tno_such(1)\n\tviolation := {"message": "m", "at": []}\n}', "no_such"),
        ('deny contains violation if {\n\thttp.send({})\n\tviolation := {"message": "m", "at": []}\n}', "http.send"),
        ("x := 1", "gave no answer"),
        ("deny := true", "not a set"),
        ('deny contains "text"', "not an object"),
        (RAISES, "could not be evaluated"),
    ],
    ids=["syntax", "unknown function", "forbidden builtin", "no deny", "not a set", "wrong shape", "raises"],
)
def test_a_rule_that_does_not_answer_is_undecided_whatever_the_others_say(
    policies: Policies, body: str, expected: str
) -> None:
    policies.write({**rule(body), **rule(FINE, "two")})

    said = policies.shop.call("check").require(3)
    document = policies.shop.call("check", "--format", "json").require(3).json

    assert expected in said.out
    assert "undecided  1 pipeline could not be judged" in said.out
    assert [judged["decision"]["verdict"] for judged in document["decisions"]] == ["undecided"]


def test_where_no_rule_applies_nothing_is_allowed(policies: Policies) -> None:
    policies.write(rule(FINE, gate="release"), trusted=True)

    policies.shop.call("check").require(4)
    run = policies.shop.call("run", "pipeline.yaml").require(4)

    assert "Nothing was run" in run.out
    assert policies.shop.call("runs", "--format", "json").json["runs"] == []


def test_a_collection_without_a_rule_of_the_stage_gate_starts_no_stage(policies: Policies, bwrap: Path) -> None:
    policies.write({**rule(FINE), "collections/baseline.json": '["custom.one"]'}, trusted=True)

    run = policies.shop.call("run", "pipeline.yaml", "--format", "json").require(4).json

    (stage,) = run["manifest"]["stages"]
    assert stage["state"] == "denied"
    assert "not_evaluated" in stage["reason"]
    assert not run["manifest"]["succeeded"]


def test_a_policy_set_without_a_rule_of_the_release_gate_releases_nothing(policies: Policies, bwrap: Path) -> None:
    """docs/threats.md, T1."""
    policies.write({**rule(FINE), **rule(FINE, "two", gate="stage")}, trusted=True)
    policies.shop.write(
        one_stage('echo x > "$OUT/x"', "outputs: [{name: x, path: x}]", "target: local"), "releasing.yaml"
    )
    artifact = policies.shop.write("x\n", "x")

    run = policies.shop.call("run", "releasing.yaml", "--format", "json").require(4).json

    assert run["manifest"]["succeeded"]
    (released,) = run["released"]
    assert released["verdict"] == "not_evaluated"
    said = policies.shop.call("verify", artifact).require(4)
    assert "not verified" in said.out
    summary = policies.shop.object(released["summary_sha256"])
    policies.shop.call("verify", artifact, "--bundle", summary).require(1).require_error("FAILED")
    (policies.shop.project / "releasing.yaml").unlink()


def test_a_rule_that_raises_at_the_stage_gate_starts_no_stage(policies: Policies, bwrap: Path) -> None:
    policies.write({**rule(FINE), **rule(RAISES, "two", gate="stage")}, trusted=True)

    run = policies.shop.call("run", "pipeline.yaml", "--format", "json").require(3).json

    (stage,) = run["manifest"]["stages"]
    assert stage["state"] == "denied"
    assert "undecided" in stage["reason"]
    assert "started_at" not in stage


def test_nothing_is_run_under_a_policy_set_that_the_trust_policy_does_not_allow(policies: Policies) -> None:
    policies.write(rule(FINE + "\n# not yet trusted"))

    run = policies.shop.call("run", "pipeline.yaml").require(1)

    run.require_error("is not one that the trust policy allows", "trust.yaml")
    assert run.out == ""


def test_a_stricter_level_for_a_rule_that_is_not_there_is_an_error(policies: Policies) -> None:
    """A typo in `levels` would tighten nothing, in silence."""
    policies.write(rule(FINE))
    policies.shop.write("policyd: project/v1\nlevels: {custom.oen: hard}\n", "policyd.yaml")
    try:
        policies.shop.call("check").require_one_error(2, "'custom.oen'", "did you mean 'custom.one'?", "policyd.yaml")
    finally:
        policies.shop.write("policyd: project/v1\n", "policyd.yaml")
