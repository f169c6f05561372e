"""A pipeline that can't be read: one clear error, nothing runs, nothing is recorded."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.workshop import HEAD, Workshop, one_stage

pytestmark = pytest.mark.xdist_group("cli-bad-pipeline")

VECTORS = Path(__file__).parent.parent / "vectors" / "pipeline"

STAGE = "  - {{name: {0}, kind: build, run: 'true'{1}}}\n"
BAD = {
    "not YAML": ("policyd: [\n", ["not YAML", "pipeline.yaml:2:1"]),
    "duplicate key": ("policyd: pipeline/v1\nname: a\nname: b\n", ["'name' stands twice", "pipeline.yaml:3:1"]),
    "alias bomb": (
        HEAD.replace("stages", "a: &a [x, x, x, x, x, x, x, x, x]\nstages")
        + "".join(f"  - &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)),
        ["aliases", "pipeline.yaml:"],
    ),
    "cycle in needs": (
        HEAD + STAGE.format("a", ", needs: [b]") + STAGE.format("b", ", needs: [a]"),
        ["a needs b needs a", "pipeline.yaml:4:"],
    ),
    "unknown field": (
        one_stage("'true'", "outptus: []"),
        ["'outptus'", "did you mean `outputs`?", "pipeline.yaml:7:5"],
    ),
    "two stages of one name": (HEAD + STAGE.format("a", "") * 2, ["two stages are called 'a'", "pipeline.yaml:5:"]),
    "output outside": (one_stage("'true'", "outputs: [{name: x, path: ../x}]"), ["'../x'", "pipeline.yaml:7:"]),
    "bidi": (one_stage("'true'", name='"bu\u202eild"'), ["U+202E", "pipeline.yaml:4:"]),
    "zero width": (one_stage("'true'", name='"bu\u200bild"'), ["U+200B", "pipeline.yaml:4:"]),
    "escape in a name": (one_stage("'true'", name='"bu\\eild"'), ["pipeline.yaml:4:"]),
    "empty": ("", ["the file is empty"]),
    "for another system": (
        "on: push\njobs: {a: {runs-on: x, steps: [{run: ls}]}}\n",
        ["policyd runs its own pipelines"],
    ),
    "a later field": (
        one_stage("'true'", "secrets: [a]"),
        ["`secrets` comes with a later version", "pipeline.yaml:7:5"],
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_pipeline_is_one_error_and_runs_nothing(shop: Workshop, case: str) -> None:
    text, expected = BAD[case]
    shop.write(text)

    for command in ("run", "plan"):
        shop.call(command, "pipeline.yaml").require_one_error(2, *expected)
    assert shop.call("runs", "--format", "json").require(0).json["runs"] == []


@pytest.mark.parametrize("case", sorted(path.name for path in VECTORS.glob("*_fail")))
def test_every_bad_vector_is_refused_by_the_commands_that_name_it(shop: Workshop, case: str) -> None:
    shop.write((VECTORS / case / "pipeline.yaml").read_text() if (VECTORS / case / "pipeline.yaml").exists() else "on:")

    shop.call("check", "pipeline.yaml").require_one_error(2, "pipeline.yaml")
    shop.call("run", "pipeline.yaml").require_one_error(2, "pipeline.yaml")


def test_yaml_nested_a_hundred_thousand_deep_is_refused_and_kills_nothing(shop: Workshop) -> None:
    shop.write("a: " + "[" * 100_000)

    shop.policyd("check", "pipeline.yaml").require_one_error(2, "pipeline.yaml:1:")


def test_a_pipeline_file_of_gigabytes_is_not_read(shop: Workshop) -> None:
    with shop.write("").open("wb") as file:
        file.truncate(1 << 32)
    try:
        shop.call("check", "pipeline.yaml").require_one_error(2, "pipeline.yaml")
    finally:
        shop.write("")


@pytest.mark.parametrize("command", ["check", "plan", "run"])
def test_a_link_a_device_and_a_folder_are_no_pipelines(shop: Workshop, command: str) -> None:
    (shop.project / "folder").mkdir(exist_ok=True)
    for path in ("nowhere.yaml", "/dev/null", *(["folder"] if command != "check" else [])):
        shop.call(command, path).require_one_error(2, Path(path).name)
    if not (shop.project / "linked.yaml").is_symlink():
        (shop.project / "linked.yaml").symlink_to("/etc/passwd")
    shop.call(command, "linked.yaml").require(2).require_error()
    (shop.project / "linked.yaml").unlink()


def test_no_error_shows_what_steers_a_terminal(shop: Workshop) -> None:
    name = "e\x1b[31m\u202e.yaml"
    shop.write("a: [", name)

    said = shop.call("check", name).require_one_error(2)

    assert "\x1b" not in said.err
    assert "\u202e" not in said.err
    (shop.project / name).unlink()
