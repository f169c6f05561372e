"""Rules about the rules."""

from __future__ import annotations

import json
import re
import subprocess
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest

from policyd.adapters.library import library_builtins, library_folder
from policyd.models.decision import Gate, Severity
from policyd.policy.policy_set import PolicySet
from policyd.policy.selecting import select_rules

#: What the frameworks in policies/frameworks/ and the catalogues of controls know.
CONTROLS = re.compile(
    r"OWASP-CICD-SEC-([1-9]|10)|SLSA-(BUILD-L[123]|SOURCE-L[1-4])|NIST-SSDF-(PO|PS|PW|RV)\.[0-9]+\.[0-9]+"
)


def test_every_rule_lies_where_its_id_says(library: PolicySet) -> None:
    for rule in library.catalogue.values():
        family, name = rule.id.split(".")
        assert rule.path == f"{family}/{name}/{name}.rego"


def test_every_control_is_known(library: PolicySet) -> None:
    unknown = {
        control for rule in library.catalogue.values() for control in rule.controls if not CONTROLS.fullmatch(control)
    }

    assert unknown == set()


def test_every_control_of_a_framework_that_is_named_exists(library: PolicySet) -> None:
    known: set[str] = set()
    for file in (library_folder() / "frameworks").glob("*.json"):
        known.update(control["id"] for control in json.loads(file.read_bytes())["controls"])
    if not known:
        pytest.skip("no framework is here")
    named = {
        control for rule in library.catalogue.values() for control in rule.controls if not control.startswith("NIST")
    }

    assert named <= known


def test_titles_are_sentences_and_no_two_alike(library: PolicySet) -> None:
    titles = Counter(rule.title for rule in library.catalogue.values())

    assert [title for title, times in titles.items() if times > 1] == []
    assert all(title[0].isupper() and not title.endswith(".") and len(title) <= 72 for title in titles)


def test_every_rule_says_why_and_what_to_do(library: PolicySet) -> None:
    for rule in library.catalogue.values():
        assert len(rule.description) >= 80, rule.id
        assert len(rule.remediation) >= 30, rule.id
        assert rule.description.endswith("."), rule.id
        assert rule.remediation.endswith("."), rule.id


def test_each_dialect_is_judged_by_many_rules(library: PolicySet) -> None:
    for dialect in ("policyd", "github"):
        assert len(select_rules(library, Gate.PIPELINE, "baseline", dialect=dialect)) >= 12


def test_each_gate_has_rules_in_the_baseline(library: PolicySet) -> None:
    for gate in Gate:
        assert select_rules(library, gate, "baseline")


def test_the_baseline_has_every_rule_that_is_more_than_information(library: PolicySet) -> None:
    expected = {rule.id for rule in library.catalogue.values() if rule.severity is not Severity.INFO}

    assert set(library.collections["baseline"]) == expected
    assert list(library.collections["baseline"]) == sorted(expected)


def test_every_rule_is_in_the_strict_collection(library: PolicySet) -> None:
    """A rule that no collection but `strict` names is added there, in policies/collections/strict.json."""
    assert set(library.catalogue) - set(library.collections["strict"]) == set()


def test_the_collections_are_those_that_are_promised(library: PolicySet) -> None:
    assert set(library.collections) == {
        "baseline",
        "foreign",
        "owasp-cicd",
        "slsa-build-l2",
        "slsa-build-l3",
        "strict",
    }
    assert set(library.collections["slsa-build-l2"]) < set(library.collections["slsa-build-l3"])


def test_every_collection_asks_something_at_every_gate(library: PolicySet) -> None:
    """Else a run under it would be not evaluated, whatever else it asks."""
    for collection in library.collections:
        # What no run made passes one gate only.
        for gate in [Gate.RELEASE] if collection == "foreign" else Gate:
            assert select_rules(library, gate, collection), (collection, gate)


def test_rules_that_serve_a_framework_are_in_its_collection(library: PolicySet) -> None:
    for rule in library.catalogue.values():
        if any(control.startswith("OWASP-CICD-SEC-") for control in rule.controls):
            assert rule.id in library.collections["owasp-cicd"]
        if any(control.startswith("SLSA-BUILD-") for control in rule.controls):
            assert rule.id in library.collections["slsa-build-l3"]


def test_settings_say_what_they_mean(library: PolicySet) -> None:
    settings = [setting for rule in library.catalogue.values() for setting in rule.settings]

    assert len(settings) >= 5
    for setting in settings:
        assert setting.description[0].isupper(), setting
        assert setting.description.endswith("."), setting


def test_every_setting_is_read_by_its_rule_and_no_other_is(library: PolicySet) -> None:
    """One that nobody reads would change nothing, and one that is not declared would silence its rule."""
    for rule in library.catalogue.values():
        text = library.modules[rule.path]
        read = set(re.findall(rf"data\.policyd\.settings\.{re.escape(rule.id)}\.([a-z_]+)", text))
        if f"_settings := data.policyd.settings.{rule.id}\n" in text:
            read |= set(re.findall(r"\b_settings\.([a-z_]+)", text))
        assert read == {setting.name for setting in rule.settings}, rule.id
        assert text.count("data.policyd.settings.") == text.count(f"data.policyd.settings.{rule.id}"), rule.id


def test_no_rule_needs_the_whole_library(library: PolicySet) -> None:
    """A word like `data` in a message would make the engine read every module (policyd.policy.rego_text)."""
    for rule in library.catalogue.values():
        assert len(library.modules_for([rule.entrypoint])) <= 4, rule.id


def test_no_builtin_that_reaches_out_or_is_not_repeatable_is_allowed() -> None:
    reaching = re.compile(
        r"http\.|net\.lookup|opa\.|rand\.|uuid\.|time\.now|io\.jwt|providers\.|rego\.|trace|print|graphql\."
        r"|crypto\.(x509|parse)|json\.(match|verify)_schema|internal\.(print|template)"
    )

    assert [name for name in library_builtins().pure if reaching.match(name)] == []


def test_the_lists_of_builtins_are_sorted_and_one_part_of_the_other() -> None:
    alike = json.loads((library_folder() / "embedded.json").read_bytes())

    assert alike == sorted(set(alike))
    assert library_builtins().alike <= library_builtins().pure


def test_the_capabilities_are_those_of_opa(opa: Path) -> None:
    """Name, types and all: OPA compiles against this file, so an entry of our own making would be believed."""
    said = subprocess.run([opa, "capabilities", "--current"], capture_output=True, check=True).stdout
    theirs = {builtin["name"]: builtin for builtin in json.loads(said)["builtins"]}
    ours = json.loads((library_folder() / "capabilities.json").read_bytes())

    assert ours["allow_net"] == []
    assert ours["features"] == ["rego_v1"]
    for builtin in ours["builtins"]:
        expected = {
            key: value for key, value in theirs[builtin["name"]].items() if key not in ("description", "categories")
        }
        assert builtin == expected
        assert not theirs[builtin["name"]].get("nondeterministic")


def test_the_library_is_formatted_and_strict(opa: Path) -> None:
    folder = library_folder()
    unformatted = subprocess.run([opa, "fmt", "--list", folder], capture_output=True, check=True, text=True).stdout
    checked = subprocess.run(
        [opa, "check", "--strict", f"--capabilities={folder / 'capabilities.json'}", folder],
        capture_output=True,
        check=False,
        text=True,
    )

    assert unformatted == ""
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")


def test_no_test_file_is_without_its_rule(files: Mapping[str, bytes]) -> None:
    for path in files:
        if path.endswith("_test.rego"):
            assert path.removesuffix("_test.rego") + ".rego" in files
