"""`policyd verify`: over the store, over bundles handed in, and against everything an attacker hands in instead."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from policyd.attestation.release_chain import CHECKS
from tests.cli.conftest import Released
from tests.cli.workshop import Workshop, open_workshop, put_back

pytestmark = pytest.mark.xdist_group("cli-released")


@pytest.fixture(scope="module")
def other(bwrap: Path) -> Iterator[Released]:
    """Somebody else's policyd, with a run of the same pipeline on the same files."""
    with open_workshop() as shop:
        run = shop.policyd("run", "pipeline.yaml", "--format", "json").require(0).json
        yield Released(shop, shop.places.targets / "local" / "greeting", run)


@pytest.fixture
def folder(released: Released, tmp_path: Path) -> Path:
    """A release as it is downloaded: the artifact and all the run's evidence, and no store."""
    manifest = released.run["manifest"]
    shutil.copy(released.artifact, tmp_path / "greeting")
    names = {"summary": released.summary_sha256, "manifest": released.manifest_sha256, "plan": manifest["plan_sha256"]}
    for number, sha256 in enumerate([*manifest["decisions"], *manifest["attestations"]]):
        names[f"evidence-{number}"] = sha256
    for name, sha256 in names.items():
        (tmp_path / f"{name}.json").write_bytes(released.shop.object(sha256).read_bytes())
    return tmp_path


def bundles(*paths: Path) -> list[object]:
    return [part for path in paths for part in ("--bundle", path)]


def evidence(folder: Path) -> list[Path]:
    """Return all evidence but the summary."""
    return [path for path in sorted(folder.glob("*.json")) if path.name != "summary.json"]


def test_what_a_run_released_is_verified_with_every_check_printed(released: Released) -> None:
    said = released.shop.call("verify", released.artifact).require(0)

    lines = [line for line in said.out.splitlines() if line[:2] == "ok"]
    assert [int(line.split()[1]) for line in lines] == list(range(1, len(lines) + 1))
    assert len(lines) > len(CHECKS)
    assert said.out.splitlines()[-1] == f"verified  greeting for local: all {len(lines)} checks held"
    assert said.err == ""


def test_the_answer_as_json(released: Released) -> None:
    document = released.shop.policyd("verify", released.artifact, "--format", "json").require(0).json

    assert document["schema"] == "policyd.verify/v1"
    assert document["verified"] is True
    assert document["error"] is None
    assert [check["number"] for check in document["checks"]] == list(range(1, len(document["checks"]) + 1))
    assert len(document["checks"]) > len(CHECKS)
    assert all(check["passed"] is True for check in document["checks"])


def test_one_byte_more_is_refused(released: Released, tmp_path: Path) -> None:
    changed = tmp_path / "greeting"
    changed.write_bytes(released.artifact.read_bytes() + b"\0")

    said = released.shop.call("verify", changed).require(1)
    document = released.shop.call("verify", changed, "--format", "json").require(1).json

    assert said.out == "not verified  greeting for local: there was no evidence to check\n"
    said.require_error("no run in the store made sha256:")
    assert document["verified"] is False
    assert document["checks"] == []
    assert document["error"]["cause"]


def test_a_material_a_log_and_a_result_are_no_products(released: Released) -> None:
    """Everything a run touched has a digest; only declared outputs leave."""
    log = released.shop.store / "logs" / released.run_id / "test.log"
    bundle = released.shop.object(released.manifest_sha256)

    for path in (released.shop.project / "policyd.yaml", log, bundle):
        assert "not verified" in released.shop.call("verify", path).require(1).out


def test_a_product_that_no_stage_sends_to_the_target_may_not_leave(fresh: Workshop, bwrap: Path) -> None:
    text = (fresh.project / "pipeline.yaml").read_text()
    fresh.write(text[: text.index("  - name: publish")])
    fresh.call("run", "pipeline.yaml").require(0)

    said = fresh.call("verify", "data.txt").require(1)

    assert "refused  6" in said.out
    said.require_error("local")


def test_a_target_that_is_not_the_one_is_refused(released: Released) -> None:
    released.shop.call("verify", released.artifact, "--target", "nowhere").require_one_error(
        2, "no target called nowhere"
    )
    with put_back(released.shop.settings) as file:
        file.write_text(file.read_text() + "  staging:\n    uri: policyd://staging\n")

        released.shop.call("verify", released.artifact).require_one_error(2, "say for which target", "--target NAME")
        said = released.shop.call("verify", released.artifact, "--target", "staging").require(1)

    assert "refused  6" in said.out
    said.require_error("staging")


def test_the_summary_alone_verifies_offline(released: Released, folder: Path) -> None:
    said = released.shop.call("verify", folder / "greeting", *bundles(folder / "summary.json")).require(0)

    assert "the verification summary holds: policyd://local/greeting" in said.out
    assert "verified  greeting for local: all 1 check held" in said.out


def test_the_manifest_with_all_it_lists_verifies_where_the_record_is(released: Released, folder: Path) -> None:
    released.shop.call("verify", folder / "greeting", *bundles(*evidence(folder))).require(0)


def test_without_one_piece_of_evidence_it_is_undecided(released: Released, folder: Path) -> None:
    """Only the good evidence handed in (docs/threats.md, T7 and T38)."""
    everything = evidence(folder)
    for missing in everything:
        kept = [path for path in everything if path is not missing]
        code = released.shop.call("verify", folder / "greeting", *bundles(*kept)).code
        assert code == 3, missing


def test_a_summary_that_does_not_hold_is_not_outweighed_by_one_that_does(
    released: Released, other: Released, folder: Path
) -> None:
    forged = folder / "forged.json"
    shutil.copy(other.shop.object(other.summary_sha256), forged)
    for order in ([folder / "summary.json", forged], [forged, folder / "summary.json"]):
        said = released.shop.call("verify", folder / "greeting", *bundles(*order)).require(1)
        assert "not verified" in said.out


def test_evidence_of_somebody_else_proves_nothing(released: Released, other: Released) -> None:
    """The same files, pipeline and digests; other keys."""
    for sha256 in (other.summary_sha256, other.manifest_sha256):
        said = released.shop.call("verify", released.artifact, *bundles(other.shop.object(sha256))).require(1)
        assert "not verified" in said.out
        said.require_error()


def test_trust_that_comes_along_with_a_release_is_not_looked_at(
    released: Released, other: Released, folder: Path
) -> None:
    """docs/threats.md, T31."""
    for name in ("settings.yaml", "trust.yaml"):
        shutil.copy(other.shop.places.config / name, folder)
    (folder / "policyd.yaml").write_text("policyd: project/v1\nrules: [no.such_rule]\n")
    summary = folder / "theirs.json"
    shutil.copy(other.shop.object(other.summary_sha256), summary)

    released.shop.call("verify", "greeting", *bundles(summary), cwd=folder).require(1)
    released.shop.call("verify", "greeting", *bundles(folder / "summary.json"), cwd=folder).require(0)


@pytest.mark.parametrize("name", ["summary", "manifest"])
def test_a_bundle_in_which_one_part_was_changed_is_refused(released: Released, folder: Path, name: str) -> None:
    file = folder / f"{name}.json"
    file.chmod(0o600)
    bundle = json.loads(file.read_bytes())
    envelope = bundle["dsseEnvelope"]
    others = [path for path in evidence(folder) if path != file] if name == "manifest" else []
    changes: tuple[dict[str, object], ...] = (
        {"payload": envelope["payload"][:-8] + "AAAAAAA="},
        {"payloadType": "application/json"},
        {"signatures": []},
        {"signatures": [{"sig": envelope["signatures"][0]["sig"][:-8] + "AAAAAAA="}]},
    )
    for change in changes:
        file.write_text(json.dumps({**bundle, "dsseEnvelope": {**envelope, **change}}))
        said = released.shop.call("verify", folder / "greeting", *bundles(file, *others))
        assert said.code in (1, 2), (change, said)
        said.require_error()


def test_files_that_are_no_bundles_are_a_wrong_request(released: Released, folder: Path) -> None:
    verify = ["verify", folder / "greeting", "--bundle"]
    for content in (b"", b"{}", b"[" * 100_000, b"\xff\xfe", b"null"):
        (folder / "x.json").write_bytes(content)
        released.shop.call(*verify, folder / "x.json").require_one_error(2, "x.json")
    released.shop.call(*verify, folder / "nope").require_one_error(2, "nope")
    released.shop.call(*verify, folder).require_one_error(2, "not a regular file", str(folder))
    released.shop.call(*verify, "/dev/zero").require_one_error(2, "not a regular file")


def test_bundles_without_a_summary_or_manifest_are_undecided(released: Released, folder: Path) -> None:
    said = released.shop.call("verify", folder / "greeting", *bundles(folder / "plan.json")).require(3)

    said.require_error("neither a verification summary nor a run manifest")
    assert "there was no evidence to check" in said.out


def test_a_manifest_that_no_record_holds_is_undecided(released: Released, folder: Path, tmp_path: Path) -> None:
    """A run that was not recorded did not happen."""
    with put_back(released.shop.settings) as file:
        file.write_text(file.read_text().replace(f'store: "{released.shop.store}"', f'store: "{tmp_path}/none"'))

        said = released.shop.call("verify", folder / "greeting", *bundles(*evidence(folder))).require(3)
        released.shop.call("verify", folder / "greeting", *bundles(folder / "summary.json")).require(0)

    assert "refused  2" in said.out


def test_a_policy_set_that_no_longer_counts_refuses_what_was_released_under_it(
    released: Released, folder: Path
) -> None:
    trust = released.shop.places.config / "trust.yaml"
    with put_back(released.shop.settings), put_back(trust):
        policy_set = released.run["decision"]["policy_set"]["sha256"]
        released.shop.change_trust(policy_set, "f" * 64)

        for options in ([], bundles(folder / "summary.json")):
            released.shop.call("verify", folder / "greeting", *options).require(1).require_error(policy_set)


def test_a_revoked_key_refuses_what_it_signed(released: Released, folder: Path) -> None:
    trust = released.shop.places.config / "trust.yaml"
    with put_back(released.shop.settings), put_back(trust):
        text = trust.read_text()
        place = text.index("public_key", text.index("  verifier:"))
        changed = text[:place] + 'revoked_at: "2020-01-01T00:00:00Z"\n        ' + text[place:]
        released.shop.change_trust(text, changed)

        released.shop.call("verify", folder / "greeting", *bundles(folder / "summary.json")).require(1).require_error()


def test_what_is_no_file_is_a_wrong_request(released: Released) -> None:
    for path in ("nope", ".", "/dev/null"):
        released.shop.call("verify", path).require_one_error(2, "no such file", path)


def test_verifying_writes_nothing_and_needs_no_key(released: Released) -> None:
    keys = released.shop.places.config / "keys"
    before = times(released.shop.store)
    keys.rename(keys.with_name("away"))
    try:
        released.shop.call("verify", released.artifact).require(0)
    finally:
        keys.with_name("away").rename(keys)

    assert times(released.shop.store) == before


def times(folder: Path) -> dict[Path, int]:
    """Return when each file was last written; but for SQLite's shared memory, which readers use too."""
    files = (path for path in folder.rglob("*") if path.is_file() and not path.name.endswith("-shm"))
    return {path: path.stat().st_mtime_ns for path in files}
