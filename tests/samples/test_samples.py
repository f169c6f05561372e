"""Every sample does what its README says, typed as its README says."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from tests.samples.workbench import SAMPLES, Ended, Workbench, finish, open_workbench, own_account

PROVENANCE = "https://slsa.dev/provenance/v1"


class Sample:
    """A sample's project in a home of its own, and the first run of its pipeline."""

    def __init__(self, bench: Workbench, name: str) -> None:
        self.bench = bench
        self.project = bench.add(SAMPLES / name, name)
        self.run = bench.policyd(self.project, "run", "pipeline.yaml", "--format", "json")


@pytest.fixture(scope="module")
def python_package(bwrap: Path) -> Iterator[Sample]:
    pytest.importorskip("pip", reason="pip is not installed beside policyd")
    with open_workbench(own_account()) as bench:
        yield Sample(bench, "python-package")


@pytest.fixture(scope="module")
def legacy_make(bwrap: Path) -> Iterator[Sample]:
    for tool in ("cc", "make"):
        if shutil.which(tool, path="/usr/bin") is None:
            pytest.skip(f"there is no {tool} in /usr/bin")
    with open_workbench(own_account()) as bench:
        yield Sample(bench, "legacy-make")


@pytest.fixture(scope="module")
def infrastructure(bwrap: Path) -> Iterator[Sample]:
    _require_system_python()
    with open_workbench(own_account()) as bench:
        yield Sample(bench, "infrastructure")


def _require_system_python() -> None:
    if shutil.which("python3", path="/usr/bin") is None:
        pytest.skip("there is no python3 in /usr/bin for stages")


# python-package


@pytest.mark.xdist_group("sample-python-package")
def test_every_decision_of_the_python_package_is_replayed_to_the_same_bytes(python_package: Sample) -> None:
    python_package.run.require(0)

    replayed = python_package.bench.policyd(python_package.project, "policy", "replay").require(0)

    assert "judged again: the bytes that were signed" in replayed.stdout_bytes.decode()


@pytest.mark.xdist_group("sample-python-package")
def test_the_python_package_is_released_and_installs_from_its_index(python_package: Sample, tmp_path: Path) -> None:
    bench, project = python_package.bench, python_package.project
    index = bench.target / "simple"
    wheel = index / "wordtally" / "wordtally-1.2.0-py3-none-any.whl"

    python_package.run.require(0)
    bench.policyd(project, "verify", wheel).require(0, "verified")
    bench.policyd(project, "verify", wheel.with_name("wordtally-1.2.0.tar.gz")).require(0, "verified")
    pip = [sys.executable, "-m", "pip", "--isolated", "--disable-pip-version-check", "install", "--no-cache-dir"]
    subprocess.run(
        [*pip, "-q", "--index-url", index.as_uri(), "--target", tmp_path, "wordtally"], check=True, timeout=120
    )
    tallied = subprocess.run(
        [sys.executable, "-c", "import wordtally; wordtally.main()"],
        env={"PYTHONPATH": str(tmp_path)},
        input=b"one two two\n",
        capture_output=True,
        check=True,
        timeout=60,
    )

    assert b"two" in tallied.stdout


@pytest.mark.xdist_group("sample-python-package")
def test_the_python_package_has_an_sbom_of_its_tools_and_tests_that_passed(python_package: Sample) -> None:
    manifest = python_package.run.require(0).json["manifest"]
    results = {result["name"]: result for stage in manifest["stages"] for result in stage["results"]}

    assert results["bom"]["counts"]["components"] > 5
    assert results["unit"]["passed"] is True
    assert results["unit"]["counts"]["tests"] > 0


# legacy-make


@pytest.mark.xdist_group("sample-legacy-make")
def test_the_old_program_runs_after_it_is_verified(legacy_make: Sample, tmp_path: Path) -> None:
    bench = legacy_make.bench
    archive = bench.target / "linecount.tar.gz"

    legacy_make.run.require(0)
    bench.policyd(legacy_make.project, "verify", archive).require(0, "verified")
    subprocess.run(["tar", "-xzf", archive, "-C", tmp_path], check=True, timeout=60)
    counted = subprocess.run(
        [tmp_path / "usr" / "local" / "bin" / "linecount"],
        input=b"a\n\nb\n",
        capture_output=True,
        check=True,
        timeout=60,
    )

    assert counted.stdout == b"3 lines, 1 blank\n"


@pytest.mark.xdist_group("sample-legacy-make")
def test_the_old_test_script_can_hold_the_program_back(legacy_make: Sample) -> None:
    bench = legacy_make.bench
    project = bench.add(SAMPLES / "legacy-make")
    source = project / "count.c"
    legacy_make.run.require(0)
    delivered = (bench.target / "linecount.tar.gz").stat().st_mtime_ns
    source.write_text(source.read_text().replace("++", "+= 2", 1))

    run = bench.policyd(project, "run", "pipeline.yaml", "--format", "json").require(5, "check | not ok blank")

    states = {stage["name"]: stage["state"] for stage in run.json["manifest"]["stages"]}
    assert states == {"compile": "succeeded", "check": "failed", "package": "skipped", "deliver": "skipped"}
    assert (bench.target / "linecount.tar.gz").stat().st_mtime_ns == delivered


# infrastructure


@pytest.mark.xdist_group("sample-infrastructure")
def test_the_target_holds_what_the_documents_say_and_the_monitor_agrees(infrastructure: Sample) -> None:
    run = infrastructure.run.require(0)
    states = {stage["name"]: stage["state"] for stage in run.json["manifest"]["stages"]}

    assert states == dict.fromkeys(("plan", "validate", "apply", "watch"), "succeeded")
    assert _content(infrastructure.bench.target).keys() == {
        "terraform/aws_s3_bucket.reports.json",
        "terraform/aws_s3_bucket_public_access_block.reports.json",
        "terraform/aws_security_group_rule.https.json",
        "kubernetes/service-reports.yaml",
        "kubernetes/deployment-reports.yaml",
    }
    bucket = json.loads((infrastructure.bench.target / "terraform" / "aws_s3_bucket.reports.json").read_text())
    assert bucket["acl"] == "private"


@pytest.mark.xdist_group("sample-infrastructure")
@pytest.mark.parametrize(
    ("file", "old", "new", "rule"),
    [
        ("plan.json", '"acl": "private"', '"acl": "public-read"', "infrastructure.public_storage"),
        (
            "plan.json",
            '"to_port": 443, "protocol": "tcp", "cidr_blocks": ["10.0.0.0/8", "192.0.2.0/24"]',
            '"to_port": 3389, "protocol": "tcp", "cidr_blocks": ["0.0.0.0/0"]',
            "infrastructure.open_network",
        ),
        ("manifests/reports.yaml", "@sha256:5f70bf18a0", ":latest # ", "infrastructure.mutable_image"),
        (
            "manifests/reports.yaml",
            "allowPrivilegeEscalation: false",
            "privileged: true",
            "infrastructure.privileged_workload",
        ),
    ],
)
def test_a_dangerous_change_stops_before_apply(
    infrastructure: Sample, file: str, old: str, new: str, rule: str
) -> None:
    bench = infrastructure.bench
    infrastructure.run.require(0)
    project = bench.add(SAMPLES / "infrastructure")
    document = project / file
    assert old in document.read_text()
    document.write_text(document.read_text().replace(old, new))
    before = _content(bench.target)

    run = bench.policyd(project, "run", "pipeline.yaml", "--format", "json").require(1)

    stages = {stage["name"]: stage for stage in run.json["manifest"]["stages"]}
    assert stages["apply"]["state"] == "denied"
    assert rule in stages["apply"]["reason"]
    assert stages["watch"]["state"] == "skipped"
    assert _content(bench.target) == before


@pytest.mark.xdist_group("sample-infrastructure")
@pytest.mark.parametrize(("change", "word"), [("changed", "DRIFTED"), ("removed", "MISSING")])
def test_drift_is_found_and_named(infrastructure: Sample, change: str, word: str) -> None:
    bench, project = infrastructure.bench, infrastructure.project
    infrastructure.run.require(0)
    file = bench.target / "kubernetes" / "service-reports.yaml"
    approved, state = file.read_bytes(), file.stat()
    bench.policyd(project, "run", "drift.pipeline.yaml").require(0)

    if change == "removed":
        file.unlink()
    else:
        file.write_bytes(approved.replace(b"port: 80\n", b"port: 22\n"))
    try:
        drifted = bench.policyd(project, "run", "drift.pipeline.yaml")
    finally:
        file.write_bytes(approved)
        os.chown(file, state.st_uid, state.st_gid)

    drifted.require(5, f"watch | kubernetes/service-reports.yaml: {word}")
    assert "watch | kubernetes/deployment-reports.yaml: as approved" in drifted.said
    bench.policyd(project, "run", "drift.pipeline.yaml").require(0)


def _content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# What a run leaves, seen by others


@pytest.mark.xdist_group("sample-infrastructure")
def test_cosign_accepts_the_provenance_of_every_product(infrastructure: Sample, cosign: Path, tmp_path: Path) -> None:
    _require_accepted_by_cosign(infrastructure, cosign, tmp_path)


@pytest.mark.xdist_group("sample-legacy-make")
def test_cosign_accepts_the_provenance_of_a_compiled_program(legacy_make: Sample, cosign: Path, tmp_path: Path) -> None:
    _require_accepted_by_cosign(legacy_make, cosign, tmp_path)


@pytest.mark.xdist_group("sample-python-package")
def test_cosign_accepts_the_provenance_of_wheel_and_sdist(python_package: Sample, cosign: Path, tmp_path: Path) -> None:
    _require_accepted_by_cosign(python_package, cosign, tmp_path)


def _require_accepted_by_cosign(sample: Sample, cosign: Path, folder: Path) -> None:
    """Every product's provenance is accepted with the builder's key, and for no other file and with no other key."""
    bench, manifest = sample.bench, sample.run.require(0).json["manifest"]
    builder = _public_key(bench, "builder", folder)
    decider = _public_key(bench, "decider", folder)
    products = [(stage, product) for stage in manifest["stages"] for product in stage["products"]]
    declared = [(stage, product) for stage, product in products if not _is_result(stage, product)]
    assert declared

    for stage, product in declared:
        bundle = _provenance_of(bench, stage)
        file = bench.object(product["sha256"])
        changed = folder / "changed"
        changed.write_bytes(file.read_bytes() + b"\n")
        _cosign(bench, cosign, builder, bundle, file).require(0, "Verified OK")
        _cosign(bench, cosign, builder, bundle, changed).require(1, "provided artifact digests do not match")
        _cosign(bench, cosign, decider, bundle, file).require(1, "could not verify envelope")


@pytest.mark.xdist_group("sample-infrastructure")
def test_the_hint_of_every_bundle_is_the_digest_of_its_key(infrastructure: Sample, tmp_path: Path) -> None:
    bench, manifest = infrastructure.bench, infrastructure.run.require(0).json["manifest"]
    hints = {role: _hint(_public_key(bench, role, tmp_path)) for role in ("builder", "decider", "verifier")}
    expected = [
        *((sha256, "decider") for sha256 in manifest["decisions"]),
        *((sha256, "builder") for sha256 in manifest["attestations"]),
        (infrastructure.run.json["manifest_sha256"], "builder"),
        *((released["summary_sha256"], "verifier") for released in infrastructure.run.json["released"]),
    ]

    assert len(expected) > 10
    for sha256, role in expected:
        bundle = json.loads(bench.object(sha256).read_bytes())
        assert bundle["verificationMaterial"]["publicKey"]["hint"] == hints[role]


def _provenance_of(bench: Workbench, stage: dict[str, Any]) -> Path:
    for sha256 in stage["attestations"]:
        path = bench.object(sha256)
        envelope = json.loads(path.read_bytes())["dsseEnvelope"]
        if json.loads(base64.b64decode(envelope["payload"]))["predicateType"] == PROVENANCE:
            return path
    raise AssertionError(f"stage {stage['name']} has no provenance")


def _is_result(stage: dict[str, Any], product: dict[str, Any]) -> bool:
    return any(result["name"] == product["output"] for result in stage["results"])


def _public_key(bench: Workbench, role: str, folder: Path) -> Path:
    trust = yaml.safe_load(bench.trust_policy.read_text())
    path = folder / f"{role}.pub"
    path.write_text(trust["roles"][role]["keys"][0]["public_key"])
    return path


def _hint(public_key: Path) -> str:
    key = load_pem_public_key(public_key.read_bytes())
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(hashlib.sha256(der).digest()).decode()


def _cosign(bench: Workbench, cosign: Path, key: Path, bundle: Path, file: Path) -> Ended:
    argv: list[str | Path] = [
        cosign,
        "verify-blob-attestation",
        "--key",
        key,
        "--bundle",
        bundle,
        "--type",
        "slsaprovenance1",
    ]
    return finish(bench.start(bench.home, *argv, "--insecure-ignore-tlog", file))
