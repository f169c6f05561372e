"""PyPI's attestations: the objects of PEP 740, alone or in the provenance that an index serves for a file.

`publisher` says which project PyPI let publish. Nobody signs it and nothing here reads it: whom to trust, the one who
verifies says.

Source: PEP 740, "Attestation objects" and "Provenance objects" (packaging.python.org, index hosted attestations).
"""

from __future__ import annotations

from policyd.attestation.formats.parts import require_list, require_object, require_text
from policyd.attestation.material import MAX_LOG_ENTRIES, malformed
from policyd.models.statement import PAYLOAD_TYPE

MAX_LISTED = 1_000


def provenance_to_bundles(value: dict[str, object], where: str) -> list[dict[str, object]]:
    """Return every attestation in a provenance object, as a Sigstore bundle."""
    _require_version(value, where)
    bundles = []
    listed = require_list(value.get("attestation_bundles"), "attestation_bundles", MAX_LISTED, where)
    for number, item in enumerate(listed, 1):
        place = f"{where}, attestation bundle {number}"
        attestations = require_object(item, "the attestation bundle", place).get("attestations")
        for other, attestation in enumerate(require_list(attestations, "attestations", MAX_LISTED, place), 1):
            here = f"{place}, attestation {other}"
            bundles.append(attestation_to_bundle(require_object(attestation, "the attestation", here), here))
    return bundles


def attestation_to_bundle(value: dict[str, object], where: str) -> dict[str, object]:
    """Return an attestation object as a Sigstore bundle v0.3; all its log entries go along."""
    _require_version(value, where)
    material = require_object(value.get("verification_material"), "verification_material", where)
    envelope = require_object(value.get("envelope"), "envelope", where)
    entries = require_list(material.get("transparency_entries"), "transparency_entries", MAX_LOG_ENTRIES, where)
    return {
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "verificationMaterial": {
            "certificate": {"rawBytes": require_text(material.get("certificate"), "certificate", where)},
            "tlogEntries": entries,
        },
        "dsseEnvelope": {
            "payload": require_text(envelope.get("statement"), "envelope.statement", where),
            "payloadType": PAYLOAD_TYPE,
            "signatures": [{"sig": require_text(envelope.get("signature"), "envelope.signature", where)}],
        },
    }


def _require_version(value: dict[str, object], where: str) -> None:
    version = value.get("version")
    if version != 1 or isinstance(version, bool) or not isinstance(version, int):
        raise malformed("its version is not 1, the only one of PEP 740", where)
