"""Predicates that other people define, as far as they say what has to be there and of which kind it is.

Fields we do not know are left alone, as the in-toto parsing rules ask: a newer minor version may have them, and anybody
may add fields under a URI. So these models say whether a document is such a predicate, never what it holds besides.

Source: in-toto Attestation Framework v1.2.0, spec/predicates (link v0.3, test-result v0.1, vulns v0.2) and
spec/v1/resource_descriptor.md; SLSA v1.2, provenance v1 and verification_summary v1; cosign's
COSIGN_VULN_ATTESTATION_SPEC.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, FailFast, Field, StringConstraints, model_validator
from pydantic.alias_generators import to_camel

T = TypeVar("T")

#: A URI or anything that has a scheme: purls, `git+https://…`, `urn:…`.
Uri = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9+.-]*:.", max_length=4096)]
Text = Annotated[str, StringConstraints(min_length=1)]


class _FirstError(FailFast):
    """pydantic's own, which can't be hashed, as types with `| None` behind them have to be."""

    __hash__ = object.__hash__


#: A list whose first wrong member says enough: an SBOM of another format has a million of them.
Many = Annotated[list[T], _FirstError()]
Digests = Annotated[dict[Text, Text], Field(min_length=1)]


class Shape(BaseModel):
    """A part of a document that other people define: what we do not know is left alone."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore", defer_build=True, alias_generator=to_camel)


class Resource(Shape):
    """An in-toto ResourceDescriptor: named by at least one of `uri`, `digest` and `content`."""

    name: str | None = None
    uri: str | None = None
    digest: Digests | None = None
    content: str | None = None
    media_type: str | None = None
    download_location: str | None = None
    annotations: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _names_something(self) -> Resource:
        if not self.uri and not self.digest and not self.content:
            raise ValueError("it has none of `uri`, `digest` and `content`")
        return self


class NamedResource(Shape):
    """A material of a link: both are needed."""

    name: Text
    digest: Digests


class Link(Shape):
    """link/v0.3."""

    name: Text
    command: Many[str] | None = None
    materials: Many[NamedResource] | None = None
    byproducts: dict[str, Any] | None = None
    environment: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _names_materials_once(self) -> Link:
        names = [material.name for material in self.materials or ()]
        if len(set(names)) != len(names):
            raise ValueError("a name of `materials` is there twice")
        return self


class TestResult(Shape):
    """test-result/v0.1."""

    __test__ = False  # no test of pytest's

    result: Literal["PASSED", "WARNED", "FAILED"]
    configuration: Many[Resource]
    url: str | None = None
    passed_tests: Many[str] | None = None
    warned_tests: Many[str] | None = None
    failed_tests: Many[str] | None = None


class BuildDefinition(Shape):
    """What was built, from what."""

    build_type: Uri
    external_parameters: dict[str, Any]
    internal_parameters: dict[str, Any] | None = None
    resolved_dependencies: Many[Resource] | None = None


class Builder(Shape):
    """Who built it."""

    id: Uri
    version: dict[str, str] | None = None
    builder_dependencies: Many[Resource] | None = None


class BuildMetadata(Shape):
    """When, and how it was called."""

    invocation_id: str | None = None
    started_on: AwareDatetime | None = None
    finished_on: AwareDatetime | None = None


class RunDetails(Shape):
    """How this one build went."""

    builder: Builder
    metadata: BuildMetadata | None = None
    byproducts: Many[Resource] | None = None


class SlsaProvenance(Shape):
    """slsa.dev/provenance/v1."""

    build_definition: BuildDefinition
    run_details: RunDetails


class Verifier(Shape):
    """Who verified."""

    id: Uri
    version: dict[str, str] | None = None


class Policy(Shape):
    """What it was verified against."""

    uri: Text
    digest: Digests | None = None


class InputAttestation(Shape):
    """An attestation that was looked at."""

    uri: str | None = None
    digest: Digests


class VerificationSummary(Shape):
    """slsa.dev/verification_summary/v1."""

    verifier: Verifier
    time_verified: AwareDatetime | None = None
    resource_uri: Text
    policy: Policy
    input_attestations: Many[InputAttestation] | None = None
    verification_result: Literal["PASSED", "FAILED"]
    verified_levels: Annotated[Many[Text], Field(min_length=1)]
    dependency_levels: dict[str, Annotated[int, Field(ge=0)]] | None = None
    slsa_version: Annotated[str, StringConstraints(pattern=r"^[0-9]+\.[0-9]+$")] | None = None


class ScannerDatabase(Shape):
    """What a scanner compared with. Scanners that have none leave its fields empty."""

    uri: str | None = None
    version: str | None = None
    last_update: AwareDatetime | None = None


class ScanTimes(Shape):
    """When it was scanned."""

    scan_started_on: AwareDatetime
    scan_finished_on: AwareDatetime


class CosignInvocation(Shape):
    """How the scanner was called."""

    uri: str | None = None
    event_id: Annotated[str | None, Field(alias="event_id")] = None


class CosignScanner(Shape):
    """Which scanner, and what it found, in the scanner's own words."""

    uri: Text
    version: str | None = None
    db: ScannerDatabase | None = None
    result: dict[str, Any] | list[Any]


class CosignVulnerabilities(Shape):
    """cosign.sigstore.dev/attestation/vuln/v1."""

    invocation: CosignInvocation | None = None
    scanner: CosignScanner
    metadata: ScanTimes


class Severity(Shape):
    """How bad it is, by one method."""

    method: Text
    score: Text


class Vulnerability(Shape):
    """One that was found."""

    id: Text
    severity: Many[Severity]


class DatedDatabase(ScannerDatabase):
    """In vulns/v0.2 a database says when it was updated."""

    last_update: AwareDatetime


class Scanner(Shape):
    """Which scanner, and what it found."""

    uri: Text
    version: str | None = None
    db: DatedDatabase
    result: Many[Vulnerability]


class Vulnerabilities(Shape):
    """in-toto.io/attestation/vulns/v0.2."""

    scanner: Scanner
    metadata: ScanTimes
