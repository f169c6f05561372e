"""Evidence by digest: bytes somebody handed over, believed only to be what they hash to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from policyd.attestation.bundle import read_attestation
from policyd.attestation.dsse import MAX_ENVELOPE_BYTES
from policyd.errors import EvidenceMissing, PolicydError
from policyd.models.base import Sha256
from policyd.models.canonical import sha256_hex
from policyd.models.statement import MANIFEST_V1
from policyd.models.strict_json import read_json


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything handed in, by the digest it is filed under. The digest is computed again at every use."""

    by_sha256: Mapping[Sha256, bytes]

    def require(self, sha256: Sha256, what: str) -> bytes:
        """Return the bytes with this digest; `EvidenceMissing` if they are not there or are something else."""
        content = self.by_sha256.get(sha256)
        if content is None:
            raise EvidenceMissing(
                f"{what} is listed and missing",
                where=f"evidence sha256:{sha256}",
                fix="verify against the whole store of the run, or hand in this file too",
            )
        if sha256_hex(content) != sha256:
            raise EvidenceMissing(
                f"{what} is not what it was: its bytes have another digest",
                where=f"evidence sha256:{sha256}",
                fix="the store is damaged or was changed; restore it from a copy and verify again",
            )
        return content


def index_evidence(contents: Iterable[bytes]) -> dict[Sha256, bytes]:
    """Return files that were handed in, by their own digest."""
    return {sha256_hex(content): content for content in contents}


def find_manifests(contents: Iterable[bytes], artifact_sha256: Sha256) -> tuple[bytes, ...]:
    """Return what looks like a bundle of a run manifest that names the artifact.

    Looks without verifying: the answer is where verification may start, and everything else is left out silently.
    """
    return tuple(content for content in contents if _names_artifact(content, artifact_sha256))


def _names_artifact(content: bytes, artifact_sha256: Sha256) -> bool:
    try:
        payload = read_attestation(content, where="").payload
        statement = read_json(payload, where="", max_bytes=MAX_ENVELOPE_BYTES, max_depth=64)
    except PolicydError:
        return False
    if not isinstance(statement, dict) or statement.get("predicateType") != MANIFEST_V1:
        return False
    subjects = statement.get("subject")
    return isinstance(subjects, list) and any(
        isinstance(item, dict)
        and isinstance(item.get("digest"), dict)
        and item["digest"].get("sha256") == artifact_sha256
        for item in subjects
    )
