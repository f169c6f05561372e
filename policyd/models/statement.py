"""in-toto statements and policyd's own predicate types.

Source: in-toto Attestation Framework v1.2.0, spec/v1/statement.md. Documents other people define keep fields we do
not know (python-tuf ADR 8), so these models allow extras; policyd's own predicates are closed.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

STATEMENT_V1 = "https://in-toto.io/Statement/v1"
STATEMENT_V01 = "https://in-toto.io/Statement/v0.1"
PAYLOAD_TYPE = "application/vnd.in-toto+json"

PROVENANCE_V1 = "https://slsa.dev/provenance/v1"
VSA_V1 = "https://slsa.dev/verification_summary/v1"
TEST_RESULT_V01 = "https://in-toto.io/attestation/test-result/v0.1"
LINK_V03 = "https://in-toto.io/attestation/link/v0.3"
CYCLONEDX = "https://cyclonedx.org/bom"
SPDX = "https://spdx.dev/Document"
#: The signature of an image, as cosign 3 writes it: the predicate is empty, the subject is all that is said.
COSIGN_SIGN_V1 = "https://sigstore.dev/cosign/sign/v1"
#: policyd's own, each documented in docs/attestations.md under this URI's last two segments.
DECISION_V1 = "https://policyd.dev/attestation/decision/v1"
MANIFEST_V1 = "https://policyd.dev/attestation/manifest/v1"
APPROVAL_V1 = "https://policyd.dev/attestation/approval/v1"
WAIVER_V1 = "https://policyd.dev/attestation/waiver/v1"
WAIVER_REVOCATION_V1 = "https://policyd.dev/attestation/waiver-revocation/v1"
POLICY_SET_V1 = "https://policyd.dev/attestation/policy-set/v1"
#: The buildType of policyd's provenance, docs/attestations.md#build-type.
BUILD_TYPE = "https://policyd.dev/build/pipeline/v1"


class ResourceDescriptor(BaseModel):
    """A thing by name and digest (in-toto ResourceDescriptor)."""

    model_config = ConfigDict(strict=True, frozen=True, extra="allow", defer_build=True)

    name: str | None = None
    uri: str | None = None
    digest: dict[str, str] | None = None


class Statement(BaseModel):
    """Who or what (`subject`) is claimed to be how (`predicate`)."""

    model_config = ConfigDict(strict=True, frozen=True, extra="allow", populate_by_name=True, defer_build=True)

    type_: str = Field(alias="_type")
    subject: tuple[ResourceDescriptor, ...]
    predicate_type: str = Field(alias="predicateType")
    predicate: dict[str, Any] = Field(default_factory=dict)

    @field_validator("predicate", mode="before")
    @classmethod
    def _read_unset_as_empty(cls, value: object) -> object:
        """Unset and empty are one (statement.md); PyPI's publish attestations have `null`."""
        return {} if value is None else value
