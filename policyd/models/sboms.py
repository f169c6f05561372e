"""Bills of materials in CycloneDX and SPDX, as far as readers rely on them: what is in it, and how it hangs together.

Fields we do not know are left alone, as in `predicates`. What is there has to be of the kind that the formats' own
schemas ask for; docs/adr/0022 says what is not looked at, and why.

Source: CycloneDX 1.2 to 1.7 (ECMA-424), bom-1.7.schema.json; SPDX 2.2 and 2.3, spdx-schema.json; SPDX 3.0.1,
spdx-json-schema.json (the graph alone).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, Field, StringConstraints, model_validator

from policyd.models.predicates import Many, Shape, Text

CYCLONEDX_HASHES = (
    *("MD5", "SHA-1", "SHA-256", "SHA-384", "SHA-512", "SHA3-256", "SHA3-384", "SHA3-512"),
    *("BLAKE2b-256", "BLAKE2b-384", "BLAKE2b-512", "BLAKE3", "Streebog-256", "Streebog-512"),
)
_HEX = r"^([a-fA-F0-9]{32}|[a-fA-F0-9]{40}|[a-fA-F0-9]{64}|[a-fA-F0-9]{96}|[a-fA-F0-9]{128})$"


class Hash(Shape):
    """A digest of a component or of what is referred to."""

    alg: Text
    content: Annotated[str, StringConstraints(pattern=_HEX)]

    @model_validator(mode="after")
    def _is_known(self) -> Hash:
        if self.alg not in CYCLONEDX_HASHES:
            raise ValueError(f"`alg` is not one of {', '.join(CYCLONEDX_HASHES)}")
        return self


class ExternalReference(Shape):
    """Where more about it is found."""

    url: str
    type: Text
    hashes: Many[Hash] | None = None


class NamedLicense(Shape):
    """A licence by SPDX id or by name, one of the two."""

    id: Text | None = None
    name: Text | None = None

    @model_validator(mode="after")
    def _is_named_once(self) -> NamedLicense:
        if (self.id is None) == (self.name is None):
            raise ValueError("a licence has `id` or `name`, one of the two")
        return self


class LicenseChoice(Shape):
    """A licence, or an expression of several."""

    license: NamedLicense | None = None
    expression: Text | None = None

    @model_validator(mode="after")
    def _is_one(self) -> LicenseChoice:
        if (self.license is None) == (self.expression is None):
            raise ValueError("it has `license` or `expression`, one of the two")
        return self


class Property(Shape):
    """A name with a value."""

    name: str | None = None
    value: str | None = None


class Component(Shape):
    """A part of the whole, with parts of its own."""

    type: Literal[
        "application",
        "framework",
        "library",
        "container",
        "platform",
        "operating-system",
        "device",
        "device-driver",
        "firmware",
        "file",
        "machine-learning-model",
        "data",
        "cryptographic-asset",
    ]
    name: str
    bom_ref: Annotated[Text | None, Field(alias="bom-ref")] = None
    group: str | None = None
    version: str | None = None
    purl: str | None = None
    cpe: str | None = None
    scope: Literal["required", "optional", "excluded"] | None = None
    hashes: Many[Hash] | None = None
    licenses: Many[LicenseChoice] | None = None
    external_references: Many[ExternalReference] | None = None
    properties: Many[Property] | None = None
    components: Many[Component] | None = None


class Service(Shape):
    """Something that is called and not contained."""

    name: str
    bom_ref: Annotated[Text | None, Field(alias="bom-ref")] = None
    services: Many[Service] | None = None


class Tools(Shape):
    """What made the document, from 1.5 on."""

    components: Many[Component] | None = None
    services: Many[Service] | None = None


class CycloneDxMetadata(Shape):
    """When and by what it was made, and of what it is."""

    timestamp: AwareDatetime | None = None
    tools: Tools | Many[dict[str, Any]] | None = None
    component: Component | None = None
    licenses: Many[LicenseChoice] | None = None
    properties: Many[Property] | None = None


class Dependency(Shape):
    """What a component needs, by `bom-ref`."""

    ref: Text
    depends_on: Many[Text] | None = None


class Composition(Shape):
    """How complete a part of the document is."""

    aggregate: Text


class Rating(Shape):
    """How bad a vulnerability is."""

    severity: Literal["critical", "high", "medium", "low", "info", "none", "unknown"] | None = None
    score: float | None = None
    method: str | None = None


class Affected(Shape):
    """A component with the vulnerability."""

    ref: Text


class KnownVulnerability(Shape):
    """A vulnerability of one or more components."""

    id: str | None = None
    ratings: Many[Rating] | None = None
    affects: Many[Affected] | None = None


class CycloneDx(Shape):
    """A CycloneDX document."""

    bom_format: Literal["CycloneDX"]
    spec_version: Literal["1.2", "1.3", "1.4", "1.5", "1.6", "1.7"]
    serial_number: (
        Annotated[
            str,
            StringConstraints(
                pattern=r"^urn:uuid:[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$"
            ),
        ]
        | None
    ) = None
    version: Annotated[int, Field(ge=1)] | None = None
    metadata: CycloneDxMetadata | None = None
    components: Many[Component] | None = None
    services: Many[Service] | None = None
    external_references: Many[ExternalReference] | None = None
    dependencies: Many[Dependency] | None = None
    compositions: Many[Composition] | None = None
    vulnerabilities: Many[KnownVulnerability] | None = None
    properties: Many[Property] | None = None

    @model_validator(mode="after")
    def _names_each_part_once(self) -> CycloneDx:
        seen: set[str] = set()
        waiting: list[Component | Service] = [*(self.components or ()), *(self.services or ())]
        if self.metadata is not None and self.metadata.component is not None:
            waiting.append(self.metadata.component)
        while waiting:
            part = waiting.pop()
            if part.bom_ref is not None:
                if part.bom_ref in seen:
                    raise ValueError(f"the bom-ref {part.bom_ref[:128]!r} is there twice")
                seen.add(part.bom_ref)
            waiting.extend((part.components if isinstance(part, Component) else part.services) or ())
        refs = [dependency.ref for dependency in self.dependencies or ()]
        if len(set(refs)) != len(refs):
            raise ValueError("a `ref` of `dependencies` is there twice")
        return self


SpdxId = Annotated[str, StringConstraints(pattern=r"^SPDXRef-[A-Za-z0-9.+-]+$")]
#: Also of another document, or nobody's.
SpdxReference = Annotated[
    str,
    StringConstraints(pattern=r"^((DocumentRef-[A-Za-z0-9.+-]+:)?SPDXRef-[A-Za-z0-9.+-]+|NONE|NOASSERTION)$"),
]


SpdxAlgorithm = Literal[
    "SHA1",
    "SHA224",
    "SHA256",
    "SHA384",
    "SHA512",
    "SHA3-256",
    "SHA3-384",
    "SHA3-512",
    "BLAKE2b-256",
    "BLAKE2b-384",
    "BLAKE2b-512",
    "BLAKE3",
    "MD2",
    "MD4",
    "MD5",
    "MD6",
    "ADLER32",
]


class Checksum(Shape):
    """A digest of a package or file."""

    algorithm: SpdxAlgorithm
    checksum_value: Annotated[str, StringConstraints(pattern=r"^[0-9a-fA-F]+$")]


class ExternalRef(Shape):
    """What a package is called elsewhere."""

    reference_category: Text
    reference_type: Text
    reference_locator: Text


class SpdxPackage(Shape):
    """A package, and where it comes from."""

    spdx_id: Annotated[SpdxId, Field(alias="SPDXID")]
    name: Text
    download_location: Text
    version_info: str | None = None
    checksums: Many[Checksum] | None = None
    external_refs: Many[ExternalRef] | None = None


class SpdxFile(Shape):
    """A file by its digests."""

    spdx_id: Annotated[SpdxId, Field(alias="SPDXID")]
    file_name: Text
    checksums: Annotated[Many[Checksum], Field(min_length=1)]


class Relationship(Shape):
    """How two elements hang together."""

    spdx_element_id: SpdxReference
    related_spdx_element: SpdxReference
    relationship_type: Annotated[str, StringConstraints(pattern=r"^[A-Z_]+$")]


class CreationInfo(Shape):
    """Who made the document, and when."""

    created: AwareDatetime
    creators: Annotated[Many[Text], Field(min_length=1)]


class Spdx2(Shape):
    """An SPDX document of version 2."""

    spdx_version: Literal["SPDX-2.2", "SPDX-2.3"]
    spdx_id: Annotated[Literal["SPDXRef-DOCUMENT"], Field(alias="SPDXID")]
    name: Text
    data_license: Literal["CC0-1.0"]
    document_namespace: Text | None = None
    creation_info: CreationInfo
    packages: Many[SpdxPackage] | None = None
    files: Many[SpdxFile] | None = None
    relationships: Many[Relationship] | None = None

    @model_validator(mode="after")
    def _names_each_element_once(self) -> Spdx2:
        ids = [element.spdx_id for element in (*(self.packages or ()), *(self.files or ()))]
        if len(set(ids)) != len(ids):
            raise ValueError("an SPDXID is there twice")
        return self


class SpdxElement(Shape):
    """An element of a graph."""

    type: Text


class Spdx3(Shape):
    """An SPDX document of version 3: a graph with one document in it."""

    context: Annotated[Text, Field(alias="@context")]
    graph: Annotated[Many[SpdxElement], Field(alias="@graph", min_length=1)]

    @model_validator(mode="after")
    def _is_a_document(self) -> Spdx3:
        if not self.context.startswith("https://spdx.org/rdf/3."):
            raise ValueError("`@context` is not one of SPDX 3")
        if sum(element.type == "SpdxDocument" for element in self.graph) != 1:
            raise ValueError("`@graph` does not hold one SpdxDocument")
        return self
