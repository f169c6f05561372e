"""`policyd verify` of what no run made: the rules of a collection that the operator names, over what is handed in."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric import ec

from policyd.adapters.signers.keyfile import KeyFileSigner
from policyd.attestation.statements import Named, render_statement, sign_statement
from policyd.models.canonical import sha256_hex
from tests.cli.conftest import Released
from tests.cli.workshop import Said, Workshop, open_workshop

SCAN = "https://example.com/scan/v1"
BUILD = "https://example.com/build/v1"
CONTENT = b"made elsewhere\n"
ANN, BOB, BOBS_OTHER, STRANGER = (KeyFileSigner(ec.generate_private_key(ec.SECP256R1())) for _ in range(4))


def trust_scanners(shop: Workshop, **keys: KeyFileSigner) -> None:
    """Put scanners into the trust policy, each key by its person's name and a number, and pin it."""
    before = (shop.places.config / "trust.yaml").read_text()
    trust = yaml.safe_load(before)
    listed = [
        {"person": f"{name.rstrip('2')}@example.com", "public_key": key.public_key_pem} for name, key in keys.items()
    ]
    trust["roles"]["scanner"] = {"keys": listed, "predicate_types": [SCAN]}
    shop.change_trust(before, yaml.safe_dump(trust))


@pytest.fixture(scope="module")
def shop() -> Iterator[Workshop]:
    """An operator who trusts three keys of two scanners, and takes what others made if two of them passed it."""
    with open_workshop(
        "rule_settings:\n"
        "  evidence.required_attestations:\n"
        f"    foreign: ['{SCAN} any role=scanner signers=2 /result=PASSED']\n"
    ) as made:
        made.change_settings("    uri: policyd://local\n", "    uri: policyd://local\n    foreign: foreign\n")
        trust_scanners(made, ann=ANN, bob=BOB, bob2=BOBS_OTHER)
        yield made


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    path = tmp_path / "tool.tar"
    path.write_bytes(CONTENT)
    return path


def attest(
    folder: Path, name: str, signer: KeyFileSigner, *, type_: str = SCAN, of: bytes = CONTENT, **said: object
) -> Path:
    predicate = {"result": "PASSED", **said}
    statement = render_statement([Named("tool.tar", sha256_hex(of))], type_, predicate)
    path = folder / f"{name}.json"
    path.write_bytes(sign_statement(statement, signer))
    return path


def verify(shop: Workshop, artifact: Path, *bundles: Path, as_json: bool = False) -> Said:
    call: list[object] = ["verify", artifact, *(part for path in bundles for part in ("--bundle", path))]
    return shop.call(*call, *(["--format", "json"] if as_json else []))


def test_what_two_scanners_passed_may_leave(shop: Workshop, artifact: Path) -> None:
    scans = [attest(artifact.parent, "ann", ANN), attest(artifact.parent, "bob", BOB)]

    said = verify(shop, artifact, *scans).require(0)

    assert f"{SCAN}, signed by ann@example.com (scanner)" in " ".join(said.out.split())
    assert "the release rules allow it" in said.out
    assert said.out.splitlines()[-1] == "verified  tool.tar for local: all 3 checks held"


def test_two_keys_of_one_person_count_once(shop: Workshop, artifact: Path) -> None:
    scans = [attest(artifact.parent, "bob", BOB), attest(artifact.parent, "other", BOBS_OTHER)]

    assert "does not meet" in verify(shop, artifact, *scans).require(1).out


def test_the_same_attestation_twice_counts_once(shop: Workshop, artifact: Path) -> None:
    scan = attest(artifact.parent, "ann", ANN)

    assert "does not meet" in verify(shop, artifact, scan, scan).require(1).out


def test_a_scan_that_failed_does_not_count(shop: Workshop, artifact: Path) -> None:
    scans = [attest(artifact.parent, "ann", ANN), attest(artifact.parent, "bob", BOB, result="FAILED")]

    assert "does not meet" in verify(shop, artifact, *scans).require(1).out


@pytest.mark.parametrize(
    ("changes", "check", "reason"),
    [
        ({"signer": STRANGER}, 4, "nobody whom the trust policy lists signed it"),
        ({"of": b"something else\n"}, 12, "none of its subjects is"),
        ({"type_": BUILD}, 10, "may not sign the predicate type"),
    ],
)
def test_one_that_fails_denies_whatever_else_is_there(
    changes: dict[str, object], check: int, reason: str, shop: Workshop, artifact: Path
) -> None:
    good = [attest(artifact.parent, "ann", ANN), attest(artifact.parent, "bob", BOB)]
    bad = attest(artifact.parent, "bad", **{"signer": ANN, **changes})  # type: ignore[arg-type]

    said = verify(shop, artifact, *good, bad, as_json=True).require(1).json

    failed = [one for one in said["checks"] if not one["passed"]]
    assert [f"check {check}: " in failed[0]["detail"], reason in failed[0]["detail"]] == [True, True]
    assert "evidence.failed_attestation" in failed[1]["detail"]
    assert not said["verified"]


def test_attestations_of_two_commits_are_denied(shop: Workshop, artifact: Path) -> None:
    scans = [
        attest(artifact.parent, "ann", ANN, commit="a" * 40),
        attest(artifact.parent, "bob", BOB, commit="b" * 40),
    ]

    assert "evidence.agreeing_fields" in verify(shop, artifact, *scans).require(1).out


def test_without_a_collection_for_it_nothing_that_no_run_made_is_judged(fresh: Workshop, tmp_path: Path) -> None:
    (tmp_path / "tool.tar").write_bytes(CONTENT)

    said = verify(fresh, tmp_path / "tool.tar", attest(tmp_path, "ann", ANN))

    said.require(3).require_error("targets.local.foreign")


def test_where_nothing_is_required_nothing_is_allowed(fresh: Workshop, tmp_path: Path) -> None:
    """An operator who names the collection and forgets the requirements has opened no door."""
    fresh.change_settings("    uri: policyd://local\n", "    uri: policyd://local\n    foreign: foreign\n")
    trust_scanners(fresh, ann=ANN)
    (tmp_path / "tool.tar").write_bytes(CONTENT)

    said = verify(fresh, tmp_path / "tool.tar", attest(tmp_path, "ann", ANN)).require(1)

    assert "nothing is required of such an artifact" in said.out


def test_what_a_run_made_does_not_become_foreign_without_its_manifest(released: Released, tmp_path: Path) -> None:
    """Else its chain would be passed by for the weaker collection (docs/threats.md, T7)."""
    of = released.artifact.read_bytes()
    scans = [attest(tmp_path, "ann", ANN, of=of), attest(tmp_path, "bob", BOB, of=of)]

    verify(released.shop, released.artifact, *scans).require(3).require_error("a run in the store made it")


def test_an_attestation_handed_in_beside_the_run_s_can_only_deny(released: Released, tmp_path: Path) -> None:
    of = released.artifact.read_bytes()
    listed_here = [released.manifest_sha256, released.run["manifest"]["plan_sha256"]]
    manifest = released.run["manifest"]
    evidence = [
        released.shop.object(sha256) for sha256 in [*listed_here, *manifest["decisions"], *manifest["attestations"]]
    ]
    holding = attest(tmp_path, "ann", ANN, of=of)
    strange = attest(tmp_path, "strange", STRANGER, of=of)

    verify(released.shop, released.artifact, *evidence, holding).require(0)
    said = verify(released.shop, released.artifact, *evidence, strange).require(1).out
    assert "evidence.failed_attestation" in said


def test_one_that_fails_is_in_the_answer_of_a_summary_too(released: Released, tmp_path: Path) -> None:
    """A summary that holds is no reason to look away from what came with it (docs/threats.md, T7)."""
    of = released.artifact.read_bytes()
    summary = released.shop.object(released.summary_sha256)
    strange = attest(tmp_path, "strange", STRANGER, of=of)

    for order in ([summary, strange], [strange, summary]):
        said = verify(released.shop, released.artifact, *order).require(1)
        assert "nobody whom the trust policy lists signed it" in " ".join(said.out.split())
        said.require_error("handed in with the summary")


def test_what_a_summary_rests_on_was_verified_by_its_verifier(released: Released) -> None:
    manifest = released.run["manifest"]
    listed = [released.summary_sha256, released.manifest_sha256, manifest["plan_sha256"]]
    everything = [
        released.shop.object(sha256) for sha256 in [*listed, *manifest["decisions"], *manifest["attestations"]]
    ]

    assert "all 1 check held" in verify(released.shop, released.artifact, *everything).require(0).out


def test_what_a_run_made_is_exported_whole_and_verifies_without_its_store(released: Released, tmp_path: Path) -> None:
    handed_on = tmp_path / "greeting.jsonl"
    released.shop.call("evidence", "export", released.artifact, "--out", handed_on).require(0)
    manifest = released.run["manifest"]
    listed = [released.summary_sha256, released.manifest_sha256, *manifest["decisions"], *manifest["attestations"]]
    lines = handed_on.read_bytes().splitlines(keepends=True)

    assert {sha256_hex(line) for line in lines} >= set(listed)
    assert manifest["plan_sha256"] in {sha256_hex(line.strip()) for line in lines}
    assert len(lines) == len(listed) + 1
    # By the summary, and where the record is by the manifest alone.
    assert "the verification summary holds" in verify(released.shop, released.artifact, handed_on).require(0).out
    no_summary = [line for line in lines if sha256_hex(line) != released.summary_sha256]
    handed_on.write_bytes(b"".join(no_summary))
    assert "the record holds the manifest" in verify(released.shop, released.artifact, handed_on).require(0).out
    for missing in (0, 1, len(no_summary) - 1):
        handed_on.write_bytes(b"".join(line for number, line in enumerate(no_summary) if number != missing))
        verify(released.shop, released.artifact, handed_on).require(3)


def test_what_was_added_to_the_store_is_found_by_the_artifacts_digest(shop: Workshop, tmp_path: Path) -> None:
    content = b"with evidence in the store\n"
    artifact = tmp_path / "stored.tar"
    artifact.write_bytes(content)
    ann, bob = (attest(tmp_path, name, signer, of=content) for name, signer in (("a", ANN), ("b", BOB)))

    shop.call("evidence", "add", ann).require(0)
    assert "1 of 2 checks held" in verify(shop, artifact).require(1).out
    shop.call("evidence", "add", bob).require(0)
    assert "verified  stored.tar" in verify(shop, artifact).require(0).out

    shop.call("evidence", "add", attest(tmp_path, "bad", STRANGER, of=content)).require(0)
    assert "nobody whom the trust policy lists signed it" in " ".join(verify(shop, artifact).require(1).out.split())


def name_by_sha512(folder: Path, name: str, signer: KeyFileSigner, of: bytes) -> Path:
    """Attest as npm does: the SHA-512 is all that names the file."""
    statement = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "tool.tar", "digest": {"sha512": hashlib.sha512(of).hexdigest()}}],
        "predicateType": SCAN,
        "predicate": {"result": "PASSED"},
    }
    path = folder / f"{name}.json"
    path.write_bytes(sign_statement(json.dumps(statement).encode(), signer))
    return path


def test_what_names_the_artifact_by_its_sha512_alone_counts_handed_in_or_from_the_store(
    shop: Workshop, tmp_path: Path
) -> None:
    content = b"named by SHA-512\n"
    artifact = tmp_path / "npm.tar"
    artifact.write_bytes(content)
    scans = [name_by_sha512(tmp_path, name, signer, content) for name, signer in (("a", ANN), ("b", BOB))]
    other = name_by_sha512(tmp_path, "other", ANN, b"another file\n")

    assert "all 3 checks held" in verify(shop, artifact, *scans).require(0).out
    assert "check 12" in verify(shop, artifact, scans[0], other).require(1).out

    shop.call("evidence", "add", *scans).require(0)
    assert "all 3 checks held" in verify(shop, artifact).require(0).out


def test_attestations_in_lines_are_read_as_if_each_were_a_file(shop: Workshop, artifact: Path) -> None:
    scans = [attest(artifact.parent, "ann", ANN), attest(artifact.parent, "bob", BOB)]
    listed = artifact.parent / "both.jsonl"
    listed.write_bytes(b"".join(path.read_bytes().strip() + b"\n" for path in scans))

    assert "all 3 checks held" in verify(shop, artifact, listed).require(0).out
