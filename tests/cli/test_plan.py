"""`policyd plan`, and `policyd run --plan`: what was looked at is what runs, or nothing does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from policyd.models.canonical import sha256_hex
from tests.cli.workshop import Workshop, one_stage

pytestmark = pytest.mark.xdist_group("cli-plan")


@pytest.fixture
def plan(fresh: Workshop) -> Path:
    """A plan that was written for approval."""
    fresh.write(one_stage("cat data.txt", "inputs: {source: true}"))
    fresh.call("plan", "pipeline.yaml", "--out", fresh.home / "plan.json").require(0)
    return fresh.home / "plan.json"


def test_a_plan_shows_stages_in_order_with_what_they_get_and_the_decision(shop: Workshop) -> None:
    said = shop.call("plan", "pipeline.yaml").require(0)

    places = [said.out.index(f". {name}  ") for name in ("test", "sbom", "build", "publish")]
    assert places == sorted(places)
    for text in ("source data.txt", "build.greeting", "greeting (greeting, file)", "to local", "allow  20 rules asked"):
        assert text in said.out
    assert said.err == ""


def test_the_same_inputs_make_the_same_bytes_and_their_digest_is_the_name(shop: Workshop) -> None:
    one, other = shop.home / "one.json", shop.home / "other.json"

    text = shop.call("plan", "pipeline.yaml", "--out", one).require(0).out
    shop.policyd("plan", "./pipeline.yaml", "--out", other).require(0)
    printed = shop.call("plan", "pipeline.yaml", "--format", "json").require(0)

    assert one.read_bytes() == other.read_bytes() == printed.out.rstrip("\n").encode()
    assert text.startswith(f"plan sha256:{sha256_hex(one.read_bytes())}\n")
    assert printed.json["policyd"] == "plan/v1"


def test_another_plan_has_another_name(fresh: Workshop) -> None:
    first = fresh.call("plan", "pipeline.yaml", "--format", "json").out
    fresh.write("hello, world\n", "data.txt")

    assert fresh.call("plan", "pipeline.yaml", "--format", "json").out != first


def test_a_denied_plan_is_shown_and_never_runs(fresh: Workshop) -> None:
    fresh.write(one_stage("curl -k https://example.com/x | bash"))
    out = fresh.home / "plan.json"

    fresh.call("plan", "pipeline.yaml", "--out", out).require(1)
    run = fresh.call("run", "--plan", out).require(1)

    assert "Nothing was run." in run.out
    assert fresh.call("runs", "--format", "json").json["runs"] == []


def test_planning_works_without_operator_settings_and_says_so(shop: Workshop) -> None:
    said = shop.call("plan", "pipeline.yaml", env={"POLICYD_SETTINGS": None}).require(0)

    assert "self: no operator settings" in said.out


def test_a_plan_is_written_whole_or_not_at_all(shop: Workshop) -> None:
    shop.call("plan", "pipeline.yaml", "--out", "/proc/plan.json").require_one_error(2, "can't be written", "/proc")

    folder = shop.home / "out"
    folder.mkdir()
    shop.call("plan", "pipeline.yaml", "--out", folder / "plan.json").require(0)
    assert [path.name for path in folder.iterdir()] == ["plan.json"]


def test_exactly_the_plan_that_was_approved_runs(fresh: Workshop, plan: Path, bwrap: Path) -> None:
    run = fresh.call("run", "--plan", plan, "--format", "json").require(0).json

    assert run["manifest"]["plan_sha256"] == sha256_hex(plan.read_bytes())


def test_a_plan_in_the_store_runs_by_its_name(fresh: Workshop, plan: Path, bwrap: Path) -> None:
    name = f"sha256:{sha256_hex(plan.read_bytes())}"

    assert fresh.call("run", "--plan", name, "--format", "json").require(0).json["manifest"]["plan_sha256"] in name


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda shop: shop.write(one_stage("cat data.txt; rm -rf /", "inputs: {source: true}")), ["pipeline", "build"]),
        (lambda shop: shop.write("bye\n", "data.txt"), ["source"]),
        (lambda shop: shop.write("new\n", "added.txt"), ["source"]),
        (lambda shop: (shop.project / "data.txt").chmod(0o755), ["source"]),
        (lambda shop: shop.change_settings("targets:", "collection: baseline\ntargets:"), ["settings"]),
        (lambda shop: shop.change_trust("name: local", "name: other"), ["settings", "trust policy"]),
    ],
    ids=["pipeline", "source", "new file", "mode", "settings", "trust"],
)
def test_a_plan_is_refused_when_something_changed_since_and_that_is_named(
    fresh: Workshop, plan: Path, change: object, expected: list[str]
) -> None:
    assert callable(change)
    change(fresh)

    for name in (plan, f"sha256:{sha256_hex(plan.read_bytes())}"):
        said = fresh.call("run", "--plan", name)
        said.require_one_error(1, "what would run now is not the approved plan", *expected)
    assert fresh.call("runs", "--format", "json").json["runs"] == []


def test_another_policy_set_refuses_the_plan(fresh: Workshop, plan: Path) -> None:
    import shutil

    from policyd.adapters.library import library_folder

    shutil.copytree(library_folder(), fresh.home / "policies")
    (fresh.home / "policies" / "settings").mkdir(exist_ok=True)
    (fresh.home / "policies" / "settings" / "hygiene.json").write_text('{"missing_timeout": {"max_minutes": 30}}')
    fresh.change_settings("targets:", f'policy_set: "{fresh.home}/policies"\ntargets:')

    fresh.call("run", "--plan", plan).require_one_error(1, "policy set")


def test_a_weaker_sandbox_refuses_the_plan(fresh: Workshop, plan: Path) -> None:
    fresh.call("run", "--plan", plan, "--sandbox", "none").require_one_error(1, "sandbox")


def test_a_plan_that_was_rewritten_is_refused(fresh: Workshop, plan: Path) -> None:
    document = json.loads(plan.read_bytes())
    document["stages"][0]["argvs"] = [["/bin/true"]]

    plan.write_text(json.dumps(document, indent=2))
    fresh.call("run", "--plan", plan).require_one_error(2, "rewritten", str(plan))
    from policyd.models.canonical import canonical_json

    plan.write_bytes(canonical_json(document))
    fresh.call("run", "--plan", plan).require_one_error(1, "not the approved plan")


@pytest.mark.parametrize("content", [b"", b"{}", b"[" * 100_000, b"\xff", b'{"policyd": "plan/v1"}'])
def test_what_is_no_plan_is_said(fresh: Workshop, content: bytes) -> None:
    file = fresh.home / "plan.json"
    file.write_bytes(content)

    fresh.call("run", "--plan", file).require_one_error(2, "not a plan", str(file))


def test_a_plan_that_is_not_there_is_said(shop: Workshop) -> None:
    shop.call("run", "--plan", "nope.json").require_one_error(2, "nope.json")
    shop.call("run", "--plan", "sha256:" + "0" * 64).require_one_error(2, "the store has no such plan", "policyd plan")
    shop.call("run", "--plan", "sha256:../../x").require_one_error(2, "not a sha256 digest")
    shop.call("run").require_one_error(2, "Name a PIPELINE or a --plan")
    shop.call("run", "pipeline.yaml", "--plan", "x").require_one_error(2, "Name a PIPELINE or a --plan")
