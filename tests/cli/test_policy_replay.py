"""`policyd policy replay`: recorded decisions come out the same to the last byte, or it is said what does not."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from policyd.adapters.library import library_folder
from policyd.models.canonical import sha256_hex
from tests.cli.test_layers import House, rule
from tests.cli.test_waiver import BAD as WAIVABLE
from tests.cli.test_waiver import Team
from tests.cli.workshop import RELEASING, Workshop, one_stage, open_workshop, put_back

pytestmark = pytest.mark.xdist_group("cli-policy-replay")

TLS = "integrity.tls_verification_disabled"
SCRIPT = "dependencies.unverified_script"
BAD = one_stage("curl -k https://example.com/x -o x")
LATER = '#   effective_on: "2999-01-01T00:00:00Z"\n'
IN_2999 = ("--effective-time", "2999-06-01")
#: policyd as it would be with a fault: what it makes for rules does not fit its model.
FAULTY = (
    "import policyd.app.judging as judging\n"
    "write = judging.write_input\n"
    "judging.write_input = lambda model, *, where: write(model.model_copy(update={'commands': 17}), where=where)\n"
)


def replay(shop: Workshop, code: int, *more: object) -> Any:
    return shop.call("policy", "replay", "--format", "json", *more).require(code).json


def recorded(shop: Workshop) -> list[dict[str, Any]]:
    """Return the entries of the record that are decisions."""
    with sqlite3.connect(shop.store / "record" / "record.sqlite") as connection:
        entries = [json.loads(row[0]) for row in connection.execute("SELECT content FROM entries ORDER BY number")]
    return [entry for entry in entries if entry["kind"] == "decision"]


@pytest.fixture(scope="module")
def runs(bwrap: Path) -> Iterator[Workshop]:
    """A workshop with a run that released something, and two recorded checks: one that allows, one that denies."""
    with open_workshop() as shop:
        shop.policyd("run", "pipeline.yaml").require(0)
        shop.write(BAD, "bad.pipeline.yaml")
        shop.call("check", "--record", ".").require(1)
        yield shop


@pytest.fixture
def new_set(tmp_path: Path) -> Path:
    """The library, to be changed."""
    return Path(shutil.copytree(library_folder(), tmp_path / "new", ignore=shutil.ignore_patterns("*_test.*")))


def change_rule(folder: Path, rule_id: str, old: str, new: str) -> None:
    family, _, name = rule_id.partition(".")
    file = folder / family / name / f"{name}.rego"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def test_every_gate_of_a_run_and_every_recorded_check_comes_out_the_same(runs: Workshop) -> None:
    gates = {entry.get("stage") or entry.get("detail", "")[:7] or "pipeline" for entry in recorded(runs)}
    assert gates == {"pipeline", "test", "sbom", "build", "publish", "release", "check o"}

    said = replay(runs, 0)

    assert said["judged"] == len(recorded(runs)) == 8
    assert said["same_bytes_expected"] is True
    assert said["changes"] == said["unjudged"] == []


def test_an_input_that_fitted_no_model_is_no_more_judged_the_second_time(fresh: Workshop) -> None:
    fresh.policyd("check", "--record", script=FAULTY).require(3)

    assert replay(fresh, 0)["changes"] == []
    (changed,) = replay(fresh, 3, "--engine", "embedded", *IN_2999)["changes"]
    assert (changed["old"], changed["new"]) == ("undecided", "undecided")


def test_replaying_writes_nothing(runs: Workshop) -> None:
    def state() -> dict[Path, int]:
        # What SQLite needs beside a database it reads comes and goes.
        files = (path for path in runs.home.rglob("*") if path.is_file() and not path.name.endswith(("-shm", "-wal")))
        return {path: path.stat().st_mtime_ns for path in files}

    before = state()
    replay(runs, 0)

    assert state() == before


def test_one_run_is_replayed_with_the_check_that_let_it_start(runs: Workshop) -> None:
    run_id = next(entry["run_id"] for entry in recorded(runs) if "run_id" in entry)

    assert replay(runs, 0, "--run", run_id[:8])["judged"] == 6
    runs.call("policy", "replay", "--run", "00000000").require_one_error(2, "no run starts with")


def test_only_what_was_recorded_since_is_replayed(runs: Workshop) -> None:
    last = recorded(runs)[-1]["at"]

    assert replay(runs, 0, "--since", last)["judged"] == 2
    said = runs.call("policy", "replay", "--since", "2999-01-01").require(4)
    assert "nothing was judged" in said.out


def test_an_empty_record_is_nothing_evaluated(fresh: Workshop) -> None:
    fresh.call("policy", "replay").require(4)
    fresh.call("policy", "replay", "--run", "00000000").require_one_error(2, "no run starts with")


def test_without_settings_nobody_says_whose_record(runs: Workshop) -> None:
    said = runs.call("policy", "replay", env={"POLICYD_SETTINGS": None, "XDG_CONFIG_HOME": "/nonexistent"})

    said.require_one_error(2, "operator settings")


@pytest.mark.parametrize("harm", ["removed", "changed"])
@pytest.mark.parametrize("what", ["the decision", "the input"])
def test_what_is_missing_or_was_tampered_with_is_named_and_never_judged(runs: Workshop, what: str, harm: str) -> None:
    entry = next(entry for entry in recorded(runs) if entry.get("stage") == "build")
    sha256 = entry["evidence"][0 if what == "the decision" else 1]
    with put_back(runs.object(sha256)) as file:
        content = file.read_bytes()
        file.unlink()
        if harm == "changed":
            file.write_bytes(content[:99] + bytes([content[99] ^ 1]) + content[100:])

        said = replay(runs, 3)

        assert said["judged"] == 7
        assert [(one["name"], one["subject"]) for one in said["unjudged"]] == [(entry["evidence"][0], "build")]
        assert sha256 in said["unjudged"][0]["cause"]
        assert "not judged  build" in runs.call("policy", "replay").require(3).out


def test_a_new_violation_whose_place_can_not_be_found_is_not_judged(runs: Workshop, new_set: Path) -> None:
    """What the decision says of places is enough for the same set; another one may look at other lines."""
    change_rule(new_set, TLS, '"at": ', '"related": [{"message": "here", "at": ["document", "name"]}], "at": ')
    entry = next(entry for entry in recorded(runs) if entry.get("detail") == "check of bad.pipeline.yaml")
    source = sha256_hex((runs.project / "bad.pipeline.yaml").read_bytes())
    with put_back(runs.object(source)) as file:
        file.unlink()

        assert replay(runs, 0)["judged"] == 8
        said = replay(runs, 3, "--set", new_set)

        assert [one["name"] for one in said["unjudged"]] == [entry["evidence"][0]]
        assert source in said["unjudged"][0]["cause"]
    assert replay(runs, 1, "--set", new_set)["changes"][0]["weighed"][0]["new"]["related"][0]["place"]["line"] == 2


def test_a_policy_set_with_a_file_missing_judges_nothing(runs: Workshop) -> None:
    library = (library_folder() / "integrity/tls_verification_disabled/tls_verification_disabled.rego").read_bytes()
    with put_back(runs.object(sha256_hex(library))) as file:
        file.unlink()

        said = replay(runs, 3)

        assert said["judged"] == 0
        assert len(said["unjudged"]) == 8


def test_a_decision_that_the_decider_did_not_sign_is_not_believed(runs: Workshop) -> None:
    trust = runs.places.config / "trust.yaml"
    kept = trust.read_text(), runs.settings.read_text()
    start = kept[0].index("  decider:\n")
    pem = kept[0].index("-----BEGIN PUBLIC KEY-----", start)
    builder = kept[0].index("-----BEGIN PUBLIC KEY-----", kept[0].index("  builder:\n"))
    length = kept[0].index("-----END PUBLIC KEY-----", pem) - pem
    ours, theirs = (kept[0][place : place + length] for place in (pem, builder))
    try:
        runs.change_trust(kept[0], kept[0].replace(ours, "SWAP").replace(theirs, ours).replace("SWAP", theirs))

        said = replay(runs, 3)

        assert said["judged"] == 0
        assert {one["cause"] for one in said["unjudged"]} == {
            "signed by a key of the role builder, where the role decider has to sign"
        }
    finally:
        trust.write_text(kept[0])
        runs.settings.write_text(kept[1])


def test_a_record_that_was_rewritten_is_refused_before_anything_is_judged(runs: Workshop, tmp_path: Path) -> None:
    folder = runs.store / "record"
    kept = shutil.copytree(folder, tmp_path / "record")
    try:
        with sqlite3.connect(folder / "record.sqlite") as connection:
            connection.execute(
                "UPDATE entries SET content = CAST(replace(CAST(content AS TEXT), 'deny', 'allow') AS BLOB)"
            )

        runs.call("policy", "replay").require_one_error(1, "not the one that was recorded")
    finally:
        shutil.rmtree(folder)
        shutil.copytree(kept, folder)


def test_another_set_says_what_it_lets_through(runs: Workshop, new_set: Path) -> None:
    change_rule(new_set, TLS, "severity: high", "severity: low")

    said = replay(runs, 1, "--set", new_set)

    assert said["judged"] == 8
    assert said["same_bytes_expected"] is False
    (change,) = said["changes"]
    assert (change["subject"], change["old"], change["new"]) == ("bad.pipeline.yaml", "deny", "allow")
    assert change["turn"] == "looser"
    assert [(one["old"]["level"], one["new"]["level"]) for one in change["weighed"]] == [("soft", "advisory")]
    assert said["rules"] == {TLS: {"come": 0, "gone": 0, "weighed": 1}}
    text = runs.call("policy", "replay", "--set", new_set).require(1).out
    assert "looser  bad.pipeline.yaml  deny → allow" in text
    markdown = runs.call("policy", "replay", "--set", new_set, "--format", "markdown").require(1).out
    assert "### Lets through what was not\n\n- `bad.pipeline.yaml`: **deny → allow**" in markdown


def test_another_set_says_what_it_stops_at_every_gate(runs: Workshop, new_set: Path) -> None:
    for gate in ("pipeline", "stage", "release"):
        (new_set / "house" / gate).mkdir(parents=True)
        text = rule(gate, f'input.gate == "{gate}"', prefix="policyd", gate=gate).replace('["pipeline"]', '["gate"]')
        (new_set / "house" / gate / f"{gate}.rego").write_text(text)
    baseline = new_set / "collections" / "baseline.json"
    baseline.write_text(baseline.read_text().replace("[", '["house.pipeline", "house.stage", "house.release",', 1))

    said = replay(runs, 1, "--set", new_set)

    assert said["rules"] == {f"house.{gate}": {"come": n, "gone": 0, "weighed": 0} for gate, n in
                             (("pipeline", 3), ("release", 1), ("stage", 4))}  # fmt: skip
    assert {change["turn"] for change in said["changes"]} == {"stricter", "same"}


def test_a_set_that_can_not_answer_is_undecided_and_says_why(runs: Workshop, new_set: Path) -> None:
    change_rule(new_set, TLS, "deny contains violation if {", 'deny contains violation if {\n\tto_number("x") > 1')

    said = replay(runs, 3, "--set", new_set)

    assert [change["subject"] for change in said["changes"] if change["new"] == "undecided"] == [
        *("pipeline.yaml", "bad.pipeline.yaml", "pipeline.yaml")
    ]
    (message,) = {problem["message"] for change in said["changes"] for problem in change["problems"]}
    assert message == "to_number does not answer alike on the embedded engine"
    assert said["rules"] == {}  # what no rule was asked for has not gone
    assert "undecided" in runs.call("policy", "replay", "--set", new_set).require(3).out


def test_a_set_without_the_collection_that_was_asked_judges_nothing(runs: Workshop, new_set: Path) -> None:
    baseline = (new_set / "collections" / "baseline.json").read_text()
    shutil.rmtree(new_set / "collections")
    (new_set / "collections").mkdir()
    (new_set / "collections" / "ground.json").write_text(baseline)

    said = replay(runs, 3, "--set", new_set)

    assert (said["judged"], len(said["unjudged"])) == (0, 8)
    assert "no collection 'baseline'" in said["unjudged"][0]["cause"]


def test_the_same_set_under_another_name_changes_nothing(runs: Workshop, new_set: Path) -> None:
    assert replay(runs, 0, "--set", new_set)["judged"] == 8
    assert replay(runs, 0, "--set", "library")["judged"] == 8


def test_a_set_that_is_not_there_is_a_wrong_request(runs: Workshop, tmp_path: Path) -> None:
    runs.call("policy", "replay", "--set", tmp_path / "none").require_one_error(2, "no such policy set")
    runs.call("policy", "replay", "--set", tmp_path).require_one_error(3, "holds no rules", str(tmp_path))


def test_opa_answers_recorded_decisions_alike(opa_shop: Workshop) -> None:
    opa_shop.write(BAD)
    opa_shop.call("check", "--record", "pipeline.yaml").require(1)

    said = replay(opa_shop, 0, "--engine", "opa")

    assert said["judged"] == 1
    assert said["same_bytes_expected"] is False


def test_a_decision_of_opa_is_replayed_by_opa(opa_shop: Workshop) -> None:
    opa_shop.write(BAD)
    opa_shop.call("check", "--record", "--engine", "opa", "pipeline.yaml").require(1)
    opa_shop.call("check", "--record", "--engine", "both", "pipeline.yaml").require(1)

    assert replay(opa_shop, 0)["changes"] == []


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    with open_workshop() as shop:
        made = House(shop)
        # The project raises, adds rules of its own and asks for one more; a team adds rules and tightens.
        made.project(
            "policies: ci/policies\nfail_on: low\n"
            "levels: {integrity.tls_verification_disabled: hard}\nrules: [hygiene.missing_timeout]\n"
            "rule_settings: {hygiene.missing_timeout: {max_minutes: 5}}\n",
            later=rule("later", 'input.gate == "pipeline"', more=LATER),
            broken=rule("broken", 'to_number("x") > 1'),
        )
        made.team("web", theirs=rule("theirs", 'input.gate == "pipeline"', prefix="team_web"))
        shop.write(BAD)
        shop.call("check", "--record", "pipeline.yaml").require(3)
        shop.call("check", "--record", "--fail-on", "info", "pipeline.yaml").require(3)
        (shop.project / "ci/policies/house/broken/broken.rego").unlink()
        shop.call("check", "--record", "pipeline.yaml").require(1)
        yield made


def test_decisions_of_all_layers_come_out_the_same(house: House) -> None:
    house.shop.write("policyd: project/v1\n", "policyd.yaml")  # nothing of today has a say

    said = replay(house.shop, 0)

    assert said["judged"] == 3
    assert said["changes"] == []


def test_another_set_takes_the_place_of_the_organisations_alone(house: House, new_set: Path) -> None:
    change_rule(new_set, TLS, "deny contains", "deny contains 0 if input.never\n\ndeny_not contains")

    said = replay(house.shop, 3, "--set", new_set)

    assert [change["new"] for change in said["changes"]] == ["undecided", "undecided", "deny"]
    gone = [violation["rule"] for violation in said["changes"][-1]["gone"]]
    assert gone == [TLS]


def test_a_set_without_a_rule_that_the_project_raised_judges_nothing(house: House, new_set: Path) -> None:
    shutil.rmtree(new_set / "integrity" / "tls_verification_disabled")
    for file in (new_set / "collections").glob("*.json"):
        file.write_text(file.read_text().replace(f'  "{TLS}",\n', ""))

    said = replay(house.shop, 3, "--set", new_set)

    assert (said["judged"], len(said["unjudged"])) == (0, 3)
    assert TLS in said["unjudged"][0]["cause"]


def test_another_day_is_judged_by_the_rules_of_that_day(house: House) -> None:
    said = replay(house.shop, 3, *IN_2999)

    last = said["changes"][-1]
    assert [pair["new"]["rule"] for pair in last["weighed"]] == ["house.later"]
    assert last["weighed"][0]["old"]["effect"] == "warn"
    assert last["weighed"][0]["new"]["effect"] == "deny"


@pytest.fixture(scope="module")
def granted() -> Iterator[Team]:
    with open_workshop() as shop:
        team = Team(shop)
        team.add("requester", "alice", "alice")
        team.add("waiver-approver", "bob", "bob")
        shop.write(WAIVABLE)
        team.requested("--reason", "one that nobody granted")
        team.granted()
        shop.call("check", "--record", "pipeline.yaml").require(0)
        yield team


def test_a_decision_with_waivers_comes_out_the_same(granted: Team) -> None:
    for file in granted.files():
        file.unlink()  # what lies there today has no say

    assert replay(granted.shop, 0)["judged"] == 1


def test_a_waiver_lifts_nothing_after_its_time(granted: Team) -> None:
    said = replay(granted.shop, 1, *IN_2999)

    (change,) = said["changes"]
    assert (change["old"], change["new"]) == ("allow", "deny")


def test_a_set_that_says_it_otherwise_is_not_waived(granted: Team, new_set: Path) -> None:
    change_rule(new_set, SCRIPT, "without being verified", "and nobody looked")

    (change,) = replay(granted.shop, 1, "--set", new_set)["changes"]
    assert (change["old"], change["new"]) == ("allow", "deny")


def test_a_waiver_that_is_gone_from_the_store_is_named(granted: Team) -> None:
    (entry,) = recorded(granted.shop)
    waiver = entry["evidence"][-1]
    with put_back(granted.shop.object(waiver)) as file:
        file.unlink()

        said = replay(granted.shop, 3)

        assert waiver in said["unjudged"][0]["cause"]


def test_what_runs_of_every_night_say_is_one_entry_to_read(fresh: Workshop, bwrap: Path, new_set: Path) -> None:
    fresh.write(RELEASING.partition("  - name: publish")[0])
    for _ in range(2):
        fresh.call("run", "pipeline.yaml").require(0)
    (new_set / "house" / "stage").mkdir(parents=True)
    text = rule("stage", 'input.stage.name == "build"', prefix="policyd", gate="stage").replace('"pipeline"', '"stage"')
    (new_set / "house" / "stage" / "stage.rego").write_text(text)
    baseline = new_set / "collections" / "baseline.json"
    baseline.write_text(baseline.read_text().replace("[", '["house.stage",', 1))

    said = fresh.call("policy", "replay", "--set", new_set).require(1)

    assert said.out.count("stage speaks") == 1
    assert "2 decisions, the last: gate stage" in said.out


def test_help_says_how_it_ends(shop: Workshop) -> None:
    said = shop.call("policy", "replay", "--help").require(0)

    assert "4 where none is recorded" in said.out
