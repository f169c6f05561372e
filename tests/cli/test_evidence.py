"""`policyd evidence`, as a user calls it: what is added is found by its artifact's digest and trusted no more."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from policyd.adapters.stores.evidence import AddedEvidence, EvidenceStore
from policyd.app.evidence_store import find_evidence
from policyd.app.init import Places, initialise
from policyd.errors import PolicydError, UsageError
from tests.attestation.formats.made import (
    INSTANCE,
    ROOT,
    WHEEL,
    cosign_bundle,
    generator_envelope,
    lines,
    npm_answer,
    pypi_provenance,
    pypi_statement,
    rekor_answer,
)
from tests.attestation.keyless.instance import CONTENT, IDENTITY, ISSUER, PREDICATE_TYPE, Value, statement


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True)
class Shelf:
    """An artifact, and a store that an operator set up."""

    folder: Path
    places: Places

    @property
    def artifact(self) -> Path:
        return self.folder / WHEEL

    @property
    def store(self) -> Path:
        return self.places.data / "store"

    def write(self, name: str, content: Value | bytes) -> Path:
        path = self.folder / name
        path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
        return path

    def call(self, *args: object) -> Said:
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("POLICYD_", "XDG_"))}
        environment |= {"POLICYD_SETTINGS": str(self.places.settings), "PYTHONPATH": os.getcwd()}
        done = subprocess.run(
            [sys.executable, "-m", "policyd", *map(str, args)],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            timeout=120,
            check=False,
        )
        return Said(done.returncode, done.stdout.decode(), done.stderr.decode())

    def add(self, *args: object) -> Said:
        return self.call("evidence", "add", *args)

    def list(self, *args: object) -> list[dict[str, Any]]:
        said = self.call("evidence", "list", *args, "--format", "json")
        assert said.code == 0, said.err
        found = said.json["evidence"]
        assert isinstance(found, list)
        return found


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    tmp_path.chmod(0o711)
    project = tmp_path / "project"
    project.mkdir()
    places = Places(
        config=tmp_path / "config", data=tmp_path / "data", state=tmp_path / "state", targets=tmp_path / "targets"
    )
    initialise(project, "", places)
    work = tmp_path / "work"
    work.mkdir()
    (work / WHEEL).write_bytes(CONTENT)
    (work / "trusted_root.json").write_text(json.dumps(ROOT))
    return Shelf(work, places)


BUILT = INSTANCE.bundle(payload=statement())
PUBLISHED = INSTANCE.bundle(payload=pypi_statement())
BY_IDENTITY = ["--trusted-root", "trusted_root.json", "--cert-identity", IDENTITY, "--cert-oidc-issuer", ISSUER]


def test_evidence_is_added_listed_shown_exported_and_verified(shelf: Shelf) -> None:
    provenance = shelf.write("provenance.json", pypi_provenance(PUBLISHED, BUILT))
    other = shelf.write("other.json", INSTANCE.bundle(b"another", payload=statement(b"another")))

    assert shelf.list() == []
    said = shelf.add(provenance, other)
    assert (said.code, said.err) == (0, "")
    assert "3 pieces of evidence, as they claim" in said.out
    assert len(shelf.list()) == 3
    mine = shelf.list(shelf.artifact)
    assert sorted(one["predicate_type"] for one in mine) == sorted(
        [PREDICATE_TYPE, "https://docs.pypi.org/attestations/publish/v1"]
    )

    shown = shelf.call("evidence", "show", mine[0]["sha256"][:12])
    assert shown.code == 0
    assert "verified   no" in shown.out
    as_json = shelf.call("evidence", "show", "sha256:" + mine[0]["sha256"], "--format", "json").json
    assert as_json["statement"]["predicateType"] == mine[0]["predicate_type"]

    exported = shelf.call("evidence", "export", shelf.artifact)
    assert exported.out.count("\n") == 2
    out = shelf.folder / "out.jsonl"
    assert shelf.call("evidence", "export", shelf.artifact, "--out", out).out == ""
    assert out.read_text() == exported.out
    verified = shelf.call(
        "verify", WHEEL, "--bundle", out, *BY_IDENTITY, "--type", "https://docs.pypi.org/attestations/publish/v1"
    )
    assert verified.code == 0, verified.err


def test_adding_again_changes_nothing(shelf: Shelf) -> None:
    bundle = shelf.write("bundle.json", BUILT)

    first = shelf.add(bundle, "--format", "json").json["evidence"]
    second = shelf.add(bundle, "--format", "json").json["evidence"]

    assert (first[0]["new"], second[0]["new"]) == (True, False)
    assert first[0]["sha256"] == second[0]["sha256"]
    assert len(shelf.list()) == 1


def test_adding_trusts_nothing(shelf: Shelf) -> None:
    """Evidence whose signature is wrong can be added, and is refused when it is verified."""
    forged = json.loads(json.dumps(BUILT))
    forged["dsseEnvelope"]["signatures"][0]["sig"] = BUILT["verificationMaterial"]["tlogEntries"][0][
        "inclusionPromise"
    ]["signedEntryTimestamp"]
    assert shelf.add(shelf.write("forged.json", forged)).code == 0

    shelf.call("evidence", "export", shelf.artifact, "--out", "out.jsonl")
    said = shelf.call("verify", WHEEL, "--bundle", "out.jsonl", *BY_IDENTITY, "--type", PREDICATE_TYPE)

    assert said.code == 1
    assert "check 4 failed" in said.out


def test_evidence_of_something_else_is_refused_for_an_artifact(shelf: Shelf) -> None:
    other = shelf.write("other.json", INSTANCE.bundle(b"another", payload=statement(b"another")))
    mine = shelf.write("mine.json", BUILT)

    assert shelf.add(mine, "--artifact", WHEEL).code == 0
    said = shelf.add(mine, other, "--artifact", WHEEL)
    assert (said.code, "does not speak of" in said.err) == (1, True)
    assert len(shelf.list()) == 1


def test_a_signature_that_names_no_file_needs_its_artifact_and_is_whole_afterwards(shelf: Shelf) -> None:
    old = shelf.write("old.json", cosign_bundle(INSTANCE.bundle()))

    assert shelf.add(old).code == 2
    assert shelf.add(old, "--artifact", WHEEL).code == 0
    assert [one["kind"] for one in shelf.list(WHEEL)] == ["signature"]
    shelf.call("evidence", "export", WHEEL, "--out", "out.jsonl")
    assert shelf.call("verify", WHEEL, "--bundle", "out.jsonl", *BY_IDENTITY).code == 0


def test_a_log_entry_is_kept_with_the_signature_that_came_without(shelf: Shelf) -> None:
    envelope = shelf.write("built.intoto.jsonl", generator_envelope(BUILT))
    entry = shelf.write("entry.json", rekor_answer(BUILT))

    assert shelf.add(envelope, "--log-entry", entry).code == 0
    shelf.call("evidence", "export", WHEEL, "--out", "out.jsonl")
    assert shelf.call("verify", WHEEL, "--bundle", "out.jsonl", *BY_IDENTITY, "--type", "slsaprovenance1").code == 0


def test_evidence_is_found_by_every_digest_of_its_artifact(shelf: Shelf) -> None:
    """npm's attestations name a SHA-512 alone."""
    import hashlib

    sha512 = hashlib.sha512(CONTENT).hexdigest()
    payload = statement(subject=[{"name": "x", "digest": {"sha512": sha512}}])
    answer = shelf.write("npm.json", npm_answer(INSTANCE.bundle(payload=payload)))

    assert shelf.add(answer).code == 0
    assert len(shelf.list(f"sha512:{sha512}")) == len(shelf.list(WHEEL)) == 1
    sha256 = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"
    assert shelf.list(sha256) == []
    shelf.add(answer, "--artifact", WHEEL)
    assert len(shelf.list(sha256)) == 1
    assert len(find_evidence([sha256.replace(":", "-")], store=shelf.store)) == 1


def test_requests_that_can_not_be_used_change_nothing(shelf: Shelf) -> None:
    shelf.write("empty.json", b"{}")
    shelf.write("good.jsonl", lines(BUILT, PUBLISHED))
    shelf.write("other-type.json", INSTANCE.bundle(payload=statement(), payload_type="application/json"))
    shelf.write("no-statement.json", INSTANCE.bundle(payload=b"{}"))

    for args in (
        ["add", "missing.json"],
        ["add", "empty.json"],
        ["add", "good.jsonl", "empty.json"],
        ["add", "other-type.json"],
        ["add", "no-statement.json"],
        ["add"],
        ["show", "abc"],
        ["show", "../../etc"],
        ["show", "f" * 64],
        ["export", WHEEL],
        ["export", "missing"],
        ["list", "missing"],
    ):
        said = shelf.call("evidence", *args)
        assert (said.code, "to do:" in said.err) == (2, True), args
    assert shelf.list() == []


def test_what_evidence_says_can_not_write_to_the_terminal(shelf: Shelf) -> None:
    payload = pypi_statement("\u001b[2J\u202eevil", predicateType="https://x/\u001b[31m")

    assert shelf.add(shelf.write("evil\u001b[2J.json", INSTANCE.bundle(payload=payload))).code == 0
    (one,) = shelf.list()
    for said in (shelf.call("evidence", "list"), shelf.call("evidence", "show", one["sha256"][:10])):
        assert said.code == 0
        assert "\u001b" not in said.out
        assert "\u202e" not in said.out


def test_a_store_that_others_can_write_to_is_not_used(shelf: Shelf) -> None:
    shelf.add(shelf.write("bundle.json", BUILT))
    (shelf.store / "evidence" / "by-digest").chmod(0o777)

    assert shelf.call("evidence", "list").code == 2
    assert shelf.call("evidence", "export", WHEEL).code == 2


def test_evidence_that_was_changed_in_the_store_is_an_error(shelf: Shelf) -> None:
    shelf.add(shelf.write("bundle.json", BUILT))
    (one,) = shelf.list()
    path = shelf.store / "content" / "sha256" / one["sha256"][:2] / one["sha256"]
    path.chmod(0o600)
    path.write_bytes(path.read_bytes().replace(b"sig", b"gis"))

    said = shelf.call("evidence", "export", WHEEL)

    assert (said.code, said.out) == (3, "")


def test_names_in_the_index_are_digests_and_nothing_else(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    store = EvidenceStore.create(tmp_path / "store")
    note = AddedEvidence(
        sha256="0" * 64,
        kind="signature",
        predicate_type=None,
        subjects=1,
        first_subject="",
        source="x",
        added_at="2026-01-01T00:00:00Z",
    )

    for digest in ("../x", "sha256-" + "0" * 63, "md5-" + "0" * 32, ""):
        with pytest.raises(UsageError):
            store.add(b"x", note, [digest])
        with pytest.raises(PolicydError):
            store.find_by_digests([digest])
    with pytest.raises(UsageError):
        store.require("../x")
