from __future__ import annotations

import pytest

from policyd.attestation.evidence import Evidence, find_manifests, index_evidence
from policyd.errors import EvidenceMissing
from tests.attestation.made_run import make_run, sha256


def test_evidence_is_what_its_digest_says() -> None:
    evidence = Evidence(index_evidence([b"a"]))

    assert evidence.require(sha256("a"), "the letter") == b"a"


def test_evidence_that_is_not_there_is_missing() -> None:
    with pytest.raises(EvidenceMissing, match="the letter is listed and missing"):
        Evidence({}).require(sha256("a"), "the letter")


def test_other_bytes_under_the_digest_are_missing_evidence_too() -> None:
    with pytest.raises(EvidenceMissing, match="not what it was"):
        Evidence({sha256("a"): b"b"}).require(sha256("a"), "the letter")


def test_manifests_are_found_among_everything_else() -> None:
    run = make_run()
    bundle = run.manifest_bundle()
    files = [*run.evidence.values(), b"junk", b"{}", b"[" * 100_000, bundle]

    assert find_manifests(files, sha256("archive")) == (bundle,)
    assert find_manifests(files, sha256("another")) == ()
