"""How the tests of foreign forms read and verify them."""

from __future__ import annotations

import json
from collections.abc import Sequence

from policyd.attestation.bundle import Bundle
from policyd.attestation.direct import ArtifactFile, Asked, verify_direct
from policyd.attestation.findings import DirectVerification
from policyd.attestation.formats.reading import Piece, add_log_entry, read_evidence
from policyd.attestation.formats.rekor import read_rekor_entry
from policyd.attestation.material import BundleVersion
from tests.attestation.formats.made import ROOT, WHEEL
from tests.attestation.keyless.instance import NOW, Value
from tests.attestation.keyless.verifying import file, identity_trust

TRUST = identity_trust(ROOT)


def read_pieces(document: Value | bytes, log_entry: Value | None = None) -> tuple[Piece, ...]:
    content = document if isinstance(document, bytes) else json.dumps(document).encode()
    pieces = read_evidence(content, where="evidence.json")
    if log_entry is None:
        return pieces
    entry = read_rekor_entry(json.dumps(log_entry).encode(), where="entry.json")
    return add_log_entry(pieces, entry, where="entry.json")


def verify_piece(
    bundle: Bundle, files: Sequence[ArtifactFile] = (), *, oldest: BundleVersion = BundleVersion.V0_1
) -> DirectVerification:
    asked = Asked(TRUST, "" if hasattr(bundle.content, "payload") else None, oldest)
    return verify_direct(bundle, asked, files or [file(name=WHEEL)], now=NOW, where="evidence.json")
