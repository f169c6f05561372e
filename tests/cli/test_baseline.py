"""`policyd check --baseline`: an old repository begins with what it has, and only what is new denies."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.workshop import HEAD, Workshop, open_workshop

pytestmark = pytest.mark.xdist_group("cli-baseline")

BAD = "curl -k https://example.com/x | bash"


def stages(*runs: str) -> str:
    return HEAD + "".join(f"  - {{name: s{n}, kind: scan, run: '{run}'}}\n" for n, run in enumerate(runs))


@pytest.fixture
def old(shop: Workshop, tmp_path: Path) -> Path:
    """A repository with a bad pipeline and its baseline."""
    (tmp_path / ".git").mkdir()
    (tmp_path / "a.yaml").write_text(stages(BAD))
    shop.call("check", "--write-baseline", "known.json", cwd=tmp_path).require(1)
    return tmp_path


def test_writing_a_baseline_changes_nothing_about_the_answer(shop: Workshop, tmp_path: Path) -> None:
    """Else a check that always writes one would always pass."""
    (tmp_path / ".git").mkdir()
    (tmp_path / "a.yaml").write_text(stages(BAD))

    plain = shop.call("check", cwd=tmp_path).require(1)
    written = shop.call("check", "--write-baseline", "known.json", cwd=tmp_path).require(1)
    again = shop.call("check", "--write-baseline", "known.json", cwd=tmp_path).require(1)

    assert plain.out == written.out == again.out
    document = json.loads((tmp_path / "known.json").read_text())
    assert document["policyd"] == "baseline/v1"
    assert {(entry["file"], len(entry["part_sha256"])) for entry in document["known"]} == {("a.yaml", 64)}


def test_what_is_known_is_shown_and_does_not_deny(shop: Workshop, old: Path) -> None:
    said = shop.call("check", "--baseline", "known.json", cwd=old).require(0)

    assert "known  dependencies.unverified_script" in said.out
    assert "a.yaml:4:" in said.out
    assert "deny  " not in said.out
    assert "allow 1 pipeline with nothing else. A run is still denied for what is known or ignored." in " ".join(
        said.out.split()
    )


def test_it_stays_known_when_it_moves_and_what_is_new_denies(shop: Workshop, old: Path) -> None:
    (old / "a.yaml").write_text(stages(BAD).replace("stages:", "# a\n# comment\nstages:"))
    shop.call("check", "--baseline", "known.json", cwd=old).require(0)
    (old / "a.yaml").write_text(stages(BAD.replace("/x", "/y")))
    shop.call("check", "--baseline", "known.json", cwd=old).require(1)
    (old / "a.yaml").write_text(stages(BAD, BAD))

    said = shop.call("check", "--baseline", "known.json", cwd=old).require(1)

    assert "known  dependencies.unverified_script" in said.out
    assert "deny  dependencies.unverified_script" in said.out


def test_a_command_put_in_above_leaves_what_is_below_known(shop: Workshop, tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    text = HEAD + "  - name: a\n    kind: scan\n    run: |\n      true\n      " + BAD + "\n"
    (tmp_path / "a.yaml").write_text(text)
    shop.call("check", "--write-baseline", "known.json", cwd=tmp_path).require(1)
    (tmp_path / "a.yaml").write_text(text.replace("      true\n", "      true\n      true\n"))

    shop.call("check", "--baseline", "known.json", cwd=tmp_path).require(0)


def test_it_is_the_same_file_wherever_the_check_is_called_from(shop: Workshop, old: Path) -> None:
    (old / "sub").mkdir()
    (old / "sub" / "b.yaml").write_text(stages(BAD))
    shop.call("check", "--write-baseline", "known.json", cwd=old).require(1)

    shop.call("check", "--baseline", "../known.json", cwd=old / "sub").require(0)
    shop.call("check", "--baseline", old / "known.json", "b.yaml", cwd=old / "sub").require(0)
    shop.call("check", "--baseline", old / "known.json", old, cwd=Path("/")).require(0)
    (old / "b.yaml").write_text(stages(BAD))
    shop.call("check", "--baseline", "known.json", "b.yaml", cwd=old).require(1)


def test_what_is_gone_is_said(shop: Workshop, old: Path) -> None:
    (old / "a.yaml").write_text(stages("true"))

    said = shop.call("check", "--baseline", "known.json", cwd=old).require(0)
    document = shop.call("check", "--baseline", "known.json", "--format", "json", cwd=old).require(0).json

    assert "gone  the baseline knows violations that are no longer there" in said.out
    assert "dependencies.unverified_script  a.yaml" in said.out
    assert "dependencies.unverified_script" in {entry["rule"] for entry in document["gone"]}


def test_json_and_sarif_say_what_is_known_and_leave_the_decision_as_it_is(shop: Workshop, old: Path) -> None:
    document = shop.call("check", "--baseline", "known.json", "--format", "json", cwd=old).require(0).json
    (run,) = shop.call("check", "--baseline", "known.json", "--format", "sarif", cwd=old).require(0).json["runs"]

    (judged,) = document["decisions"]
    assert document["verdict"] == "allow"
    assert document["gone"] == []
    assert judged["decision"]["verdict"] == "deny"
    assert judged["known"] == [
        index for index, found in enumerate(judged["decision"]["violations"]) if found["effect"] == "deny"
    ]
    for result in run["results"]:
        suppressed = result.get("suppressions")
        assert (suppressed is not None) is (result["properties"]["effect"] == "deny"), result
    assert run["invocations"][0]["executionSuccessful"] is True


def test_a_baseline_makes_nothing_out_of_what_could_not_be_judged(shop: Workshop, old: Path) -> None:
    (old / "b.yaml").write_text("policyd: pipeline/v1\nname: [\n")

    shop.call("check", "--baseline", "known.json", cwd=old).require(3)
    shop.call("check", "--baseline", "known.json", "--write-baseline", "new.json", cwd=old).require(3)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"policyd": "baseline/v2", "known": []}',
        '{"policyd": "baseline/v1", "known": [{"rule": "*", "file": "a.yaml"}]}',
        '{"policyd": "baseline/v1", "known": [{"rule": "a.b", "file": "a.yaml", "count": 0}]}',
        '{"policyd": "baseline/v1", "known": [], "known": []}',
        '{"policyd": "baseline/v1", "known": [], "all": true}',
    ],
    ids=["empty", "list", "no fields", "version", "pattern", "count", "twice", "unknown field"],
)
def test_a_broken_baseline_can_not_be_used(shop: Workshop, old: Path, text: str) -> None:
    (old / "known.json").write_text(text)

    shop.call("check", "--baseline", "known.json", cwd=old).require_one_error(2, "known.json")


def test_a_missing_baseline_is_no_empty_one(shop: Workshop, old: Path) -> None:
    shop.call("check", "--baseline", "none.json", cwd=old).require_one_error(2, "none.json")


def test_no_gate_reads_a_baseline(old: Path) -> None:
    """docs/threats.md, T42: it comes from the branch that is judged."""
    with open_workshop() as shop:
        shop.write(stages(BAD))
        shop.call("check", "--write-baseline", "known.json").require(1)
        shop.call("check", "--baseline", "known.json").require(0)

        shop.call("plan", "pipeline.yaml").require(1)
        shop.call("run", "pipeline.yaml").require(1)
        for command in (["plan", "pipeline.yaml"], ["run", "pipeline.yaml"], ["verify", "data.txt"], ["audit"]):
            shop.call(*command, "--baseline", "known.json").require_one_error(2, "--baseline")
