"""`policyd check --record`: the decision is signed, kept with all it was made from, and lets nothing start."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from policyd.attestation.bundle import read_attestation
from policyd.models.decision import Gate
from tests.cli.test_policy_replay import recorded
from tests.cli.workshop import Workshop, one_stage, open_workshop

pytestmark = pytest.mark.xdist_group("cli-check-record")

BAD = one_stage("curl -k https://example.com/x -o x")


def entries(shop: Workshop) -> int:
    database = shop.store / "record" / "record.sqlite"
    if not database.exists():
        return 0
    with sqlite3.connect(database) as connection:
        return int(connection.execute("SELECT count(*) FROM entries").fetchone()[0])


def signed(shop: Workshop, entry: dict[str, Any]) -> dict[str, Any]:
    import json

    bundle = shop.object(entry["evidence"][0]).read_bytes()
    return dict(json.loads(read_attestation(bundle, where="decision").payload)["predicate"])


@pytest.fixture(scope="module")
def checked() -> Iterator[Workshop]:
    """A workshop with two recorded checks, one of them denied."""
    with open_workshop() as shop:
        shop.write(BAD, "bad.pipeline.yaml")
        shop.call("check", "--record", "bad.pipeline.yaml", "pipeline.yaml").require(1)
        yield shop


def test_each_decision_is_an_entry_that_names_what_it_was_made_from(checked: Workshop) -> None:
    denied, allowed = recorded(checked)[:2]

    assert (denied["verdict"], allowed["verdict"]) == ("deny", "allow")
    assert denied["detail"] == "check of bad.pipeline.yaml"
    assert "run_id" not in denied
    for entry, file in ((denied, "bad.pipeline.yaml"), (allowed, "pipeline.yaml")):
        decision = signed(checked, entry)
        assert decision["gate"] == Gate.PIPELINE
        assert decision["source_sha256"] == hashlib.sha256((checked.project / file).read_bytes()).hexdigest()
        assert decision["terms"]["collection"] == "baseline"
        assert "plan_sha256" not in decision
        named = {decision["input_sha256"], decision["source_sha256"], decision["policy_set"]["sha256"]}
        assert named <= set(entry["evidence"])
    checked.call("record", "verify").require(0)


def test_what_is_printed_is_what_is_signed(checked: Workshop) -> None:
    said = checked.call("check", "--record", "--format", "json", "bad.pipeline.yaml").require(1).json

    assert said["decisions"][0]["decision"] == signed(checked, recorded(checked)[-1])


def test_the_checkpoint_is_kept_outside_the_store(checked: Workshop) -> None:
    report = checked.call("record", "verify", "--format", "json").require(0).json

    assert report["rollback_detectable"] is True


def test_each_file_of_a_policy_set_is_stored_once(checked: Workshop) -> None:
    before = {path.name for path in (checked.store / "content").rglob("*") if path.is_file()}

    checked.call("check", "--record", "pipeline.yaml").require(0)

    after = {path.name for path in (checked.store / "content").rglob("*") if path.is_file()}
    assert len(after - before) == 2  # the decision and its input, which holds the time


def test_a_baseline_and_comments_lift_nothing_of_what_is_recorded(checked: Workshop) -> None:
    checked.call("check", "--write-baseline", "known.json", "bad.pipeline.yaml").require(1)

    checked.call("check", "--record", "--baseline", "known.json", "bad.pipeline.yaml").require(0)

    assert recorded(checked)[-1]["verdict"] == "deny"


def test_a_check_does_not_write_to_the_record_by_itself(checked: Workshop) -> None:
    before = entries(checked)

    checked.call("check", "pipeline.yaml").require(0)

    assert entries(checked) == before


def test_a_decision_of_another_day_is_never_signed(checked: Workshop) -> None:
    before = entries(checked)

    said = checked.call("check", "--record", "--effective-time", "2030-01-01", "pipeline.yaml")

    said.require_one_error(2, "never signed")
    assert entries(checked) == before


def test_without_settings_there_is_nothing_to_record_in(checked: Workshop) -> None:
    nobody = {"POLICYD_SETTINGS": None, "XDG_CONFIG_HOME": "/nonexistent"}

    checked.call("check", "--record", "pipeline.yaml", env=nobody).require_one_error(2, "no operator settings")


def test_a_set_that_the_trust_policy_does_not_list_is_not_signed_for(checked: Workshop, tmp_path: Path) -> None:
    before = entries(checked)
    settings, trust = checked.settings.read_text(), (checked.places.config / "trust.yaml").read_text()
    try:
        listed = trust.index("policy_sets:\n")
        checked.change_trust(trust, trust[:listed] + f'policy_sets: ["{"0" * 64}"]\n')

        checked.call("check", "--record", "pipeline.yaml").require_one_error(1, "not one that the trust policy allows")
    finally:
        (checked.places.config / "trust.yaml").write_text(trust)
        checked.settings.write_text(settings)
    assert entries(checked) == before


def test_a_clock_behind_the_record_signs_nothing(checked: Workshop) -> None:
    early = (
        "from datetime import UTC, datetime\n"
        "from policyd.adapters import clock\n"
        "clock.now = lambda: datetime(2001, 1, 1, tzinfo=UTC)\n"
    )
    before = entries(checked)

    checked.policyd("check", "--record", "pipeline.yaml", script=early).require_one_error(3, "newest entry")
    assert entries(checked) == before


def test_a_key_that_is_not_there_stops_the_check(fresh: Workshop) -> None:
    (fresh.places.config / "keys" / "decider.key").unlink()

    fresh.call("check", "--record", "pipeline.yaml").require_one_error(2, "decider key is not there")


def test_the_readable_files_of_a_folder_are_recorded_and_the_rest_is_undecided(fresh: Workshop) -> None:
    fresh.write("policyd: pipeline/v1\nstages: [", "broken.pipeline.yaml")

    fresh.call("check", "--record", ".").require(3)

    assert [entry["detail"] for entry in recorded(fresh)] == ["check of pipeline.yaml"]
