"""Predicates against the schemas of their types: what the specifications show is taken, what they forbid is not."""

from __future__ import annotations

import json
from contextlib import suppress
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policyd.attestation.attested import flatten
from policyd.attestation.predicate_types import SHORT_NAMES
from policyd.attestation.predicates import COSIGN_VULN_V1, KNOWN, VULNS_V02, require_predicate
from policyd.errors import DocumentError
from policyd.models.statement import APPROVAL_V1, CYCLONEDX, LINK_V03, PROVENANCE_V1, SPDX, TEST_RESULT_V01, VSA_V1

DIGEST = {"sha256": "fe4fe40ac7250263c5dbe1cf3138912f3f416140aa248637a60d65fe22c47da4"}
TIME = "2026-05-01T12:00:00Z"
SPDX3 = f"{SPDX}/v3"

#: One of each type, with everything that its specification names as required and some of the rest.
EXAMPLES: dict[str, dict[str, Any]] = {
    PROVENANCE_V1: {
        "buildDefinition": {
            "buildType": "https://example.com/make/v1",
            "externalParameters": {"ref": "main"},
            "internalParameters": {},
            "resolvedDependencies": [{"uri": "git+https://example.com/a", "digest": {"gitCommit": "d" * 40}}],
        },
        "runDetails": {
            "builder": {"id": "https://example.com/builder", "version": {"make": "1"}},
            "metadata": {"invocationId": "7", "startedOn": TIME, "finishedOn": TIME},
            "byproducts": [{"name": "log", "digest": DIGEST}],
        },
    },
    VSA_V1: {
        "verifier": {"id": "https://example.com/verifier", "version": {"x": "1"}},
        "timeVerified": TIME,
        "resourceUri": "pkg:pypi/a@1.0",
        "policy": {"uri": "https://example.com/policy", "digest": DIGEST},
        "inputAttestations": [{"uri": "https://example.com/a", "digest": DIGEST}],
        "verificationResult": "PASSED",
        "verifiedLevels": ["SLSA_BUILD_LEVEL_2"],
        "dependencyLevels": {"SLSA_BUILD_LEVEL_1": 3},
        "slsaVersion": "1.2",
    },
    LINK_V03: {
        "name": "build",
        "command": ["make"],
        "materials": [{"name": "a.c", "digest": DIGEST}],
        "byproducts": {"return-value": 0},
        "environment": {},
    },
    APPROVAL_V1: {
        "policyd": "approval/v1",
        "target": "production",
        "reason": "Tested by hand on staging.",
        "requested_by": "ann@example.com",
        "approved_at": TIME,
        "run_id": "https://example.com/runs/7",
        "plan_sha256": DIGEST["sha256"],
        "commit": "d" * 40,
    },
    TEST_RESULT_V01: {
        "result": "PASSED",
        "configuration": [{"name": "ci.yml", "digest": {"gitBlob": "e" * 40}}],
        "url": "https://example.com/runs/7",
        "passedTests": ["a"],
        "warnedTests": [],
        "failedTests": [],
    },
    COSIGN_VULN_V1: {
        "invocation": {"parameters": None, "uri": "", "event_id": "", "builder.id": ""},
        "scanner": {
            "uri": "pkg:github/aquasecurity/trivy@v0.30.1",
            "version": "v0.30.1",
            "db": {"uri": "", "version": ""},
            "result": {"Results": []},
        },
        "metadata": {"scanStartedOn": TIME, "scanFinishedOn": TIME},
    },
    VULNS_V02: {
        "scanner": {
            "uri": "pkg:github/aquasecurity/trivy@0.19.2",
            "db": {"lastUpdate": "2021-08-06T17:45:50.52Z"},
            "result": [{"id": "CVE-123", "severity": [{"method": "nvd", "score": "medium"}]}],
        },
        "metadata": {"scanStartedOn": TIME, "scanFinishedOn": TIME},
    },
    CYCLONEDX: {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": "urn:uuid:3e671687-395b-41f5-a30f-a58921a69b79",
        "version": 1,
        "metadata": {
            "timestamp": TIME,
            "tools": {"components": [{"type": "application", "name": "syft"}]},
            "component": {"type": "application", "name": "a", "bom-ref": "a"},
        },
        "components": [
            {
                "type": "library",
                "name": "b",
                "version": "1.0",
                "bom-ref": "b",
                "purl": "pkg:pypi/b@1.0",
                "hashes": [{"alg": "SHA-256", "content": DIGEST["sha256"]}],
                "licenses": [{"license": {"id": "MIT"}}],
                "components": [{"type": "file", "name": "c", "licenses": [{"expression": "MIT OR Apache-2.0"}]}],
            }
        ],
        "services": [{"name": "s", "bom-ref": "s"}],
        "dependencies": [{"ref": "a", "dependsOn": ["b"]}, {"ref": "b"}],
        "vulnerabilities": [
            {"id": "CVE-1", "ratings": [{"severity": "high", "score": 7.5}], "affects": [{"ref": "b"}]}
        ],
    },
    SPDX: {
        "spdxVersion": "SPDX-2.3",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": "a",
        "dataLicense": "CC0-1.0",
        "documentNamespace": "https://example.com/a",
        "creationInfo": {"created": TIME, "creators": ["Tool: syft-1"]},
        "packages": [
            {
                "SPDXID": "SPDXRef-b",
                "name": "b",
                "downloadLocation": "NOASSERTION",
                "checksums": [{"algorithm": "SHA256", "checksumValue": DIGEST["sha256"]}],
                "externalRefs": [
                    {
                        "referenceCategory": "PACKAGE-MANAGER",
                        "referenceType": "purl",
                        "referenceLocator": "pkg:pypi/b@1.0",
                    }
                ],
            }
        ],
        "files": [
            {"SPDXID": "SPDXRef-f", "fileName": "./f", "checksums": [{"algorithm": "SHA1", "checksumValue": "a" * 40}]}
        ],
        "relationships": [
            {
                "spdxElementId": "SPDXRef-DOCUMENT",
                "relatedSpdxElement": "SPDXRef-b",
                "relationshipType": "DESCRIBES",
            }
        ],
    },
    SPDX3: {
        "@context": "https://spdx.org/rdf/3.0.1/spdx-context.jsonld",
        "@graph": [{"type": "SpdxDocument", "spdxId": "https://example.com/a"}, {"type": "software_Package"}],
    },
}

#: Type, where, what stands there then (None: nothing), and the pointer that the error has to name.
BROKEN: list[tuple[str, str, object, str]] = [
    (PROVENANCE_V1, "buildDefinition/buildType", None, "/buildDefinition/buildType"),
    (PROVENANCE_V1, "buildDefinition/buildType", "make", "/buildDefinition/buildType"),
    (PROVENANCE_V1, "buildDefinition/externalParameters", [], "/buildDefinition/externalParameters"),
    (PROVENANCE_V1, "buildDefinition/resolvedDependencies/0", {"name": "a"}, "/buildDefinition/resolvedDependencies/0"),
    (PROVENANCE_V1, "runDetails/builder/id", None, "/runDetails/builder/id"),
    (PROVENANCE_V1, "runDetails/metadata/startedOn", "yesterday", "/runDetails/metadata/startedOn"),
    (PROVENANCE_V1, "runDetails/metadata/startedOn", 1700000000, "/runDetails/metadata/startedOn"),
    (VSA_V1, "verifier/id", None, "/verifier/id"),
    (VSA_V1, "resourceUri", None, "/resourceUri"),
    (VSA_V1, "policy", None, "/policy"),
    (VSA_V1, "verificationResult", "passed", "/verificationResult"),
    (VSA_V1, "verifiedLevels", [], "/verifiedLevels"),
    (VSA_V1, "inputAttestations/0/digest", None, "/inputAttestations/0/digest"),
    (LINK_V03, "name", None, "/name"),
    (LINK_V03, "command", "make", "/command"),
    (LINK_V03, "materials/0/digest", {}, "/materials/0/digest"),
    (LINK_V03, "materials/0/name", None, "/materials/0/name"),
    (TEST_RESULT_V01, "result", "OK", "/result"),
    (TEST_RESULT_V01, "configuration", None, "/configuration"),
    (TEST_RESULT_V01, "failedTests", [1], "/failedTests/0"),
    (COSIGN_VULN_V1, "scanner/uri", None, "/scanner/uri"),
    (COSIGN_VULN_V1, "scanner/result", None, "/scanner/result"),
    (COSIGN_VULN_V1, "metadata/scanFinishedOn", None, "/metadata/scanFinishedOn"),
    (VULNS_V02, "scanner/result/0/severity", None, "/scanner/result/0/severity"),
    (VULNS_V02, "scanner/db/lastUpdate", None, "/scanner/db/lastUpdate"),
    (CYCLONEDX, "bomFormat", None, "/bomFormat"),
    (CYCLONEDX, "specVersion", "2.0", "/specVersion"),
    (CYCLONEDX, "version", 0, "/version"),
    (CYCLONEDX, "serialNumber", "7", "/serialNumber"),
    (CYCLONEDX, "components/0/type", "thing", "/components/0/type"),
    (CYCLONEDX, "components/0/name", None, "/components/0/name"),
    (CYCLONEDX, "components/0/hashes/0/content", "zz", "/components/0/hashes/0/content"),
    (CYCLONEDX, "components/0/hashes/0/alg", "CRC", "/components/0/hashes/0"),
    (CYCLONEDX, "components/0/licenses/0", {}, "/components/0/licenses/0"),
    (CYCLONEDX, "components/0/components/0/name", None, "/components/0/components/0/name"),
    (CYCLONEDX, "components/0/components/0/bom-ref", "b", "the document"),
    (CYCLONEDX, "dependencies/1/ref", "a", "the document"),
    (CYCLONEDX, "dependencies/0/dependsOn", "b", "/dependencies/0/dependsOn"),
    (CYCLONEDX, "vulnerabilities/0/ratings/0/severity", "bad", "/vulnerabilities/0/ratings/0/severity"),
    (SPDX, "spdxVersion", "SPDX-1.0", "/spdxVersion"),
    (SPDX, "dataLicense", "MIT", "/dataLicense"),
    (SPDX, "creationInfo/created", None, "/creationInfo/created"),
    (SPDX, "packages/0/SPDXID", "b", "/packages/0/SPDXID"),
    (SPDX, "packages/0/downloadLocation", None, "/packages/0/downloadLocation"),
    (SPDX, "packages/0/checksums/0/algorithm", "CRC", "/packages/0/checksums/0/algorithm"),
    (SPDX, "files/0/checksums", [], "/files/0/checksums"),
    (SPDX, "files/0/SPDXID", "SPDXRef-b", "the document"),
    (SPDX, "relationships/0/relatedSpdxElement", "b", "/relationships/0/relatedSpdxElement"),
    (SPDX3, "@context", "https://example.com/3", "the document"),
    (SPDX3, "@graph", [], "/@graph"),
    (SPDX3, "@graph/0/type", "software_Package", "the document"),
]


def check(predicate_type: str, document: dict[str, Any]) -> None:
    require_predicate(predicate_type, document, json.dumps(document).encode(), where="predicate.json")


def changed(document: dict[str, Any], path: str, value: object) -> dict[str, Any]:
    made: Any = deepcopy(document)
    *parents, last = path.split("/")
    part = made
    for name in parents:
        part = part[int(name) if isinstance(part, list) else name]
    if value is None:
        del part[last]
    else:
        part[int(last) if isinstance(part, list) else last] = value
    return dict(made)


def test_every_known_type_and_every_short_name_has_an_example_here() -> None:
    assert {*KNOWN, *SHORT_NAMES.values()} <= set(EXAMPLES)


@pytest.mark.parametrize("predicate_type", EXAMPLES)
def test_what_the_specifications_show_fits(predicate_type: str) -> None:
    check(predicate_type, EXAMPLES[predicate_type])


@pytest.mark.parametrize("predicate_type", [known for known in EXAMPLES if known != APPROVAL_V1])
def test_fields_that_nobody_knows_are_left_alone(predicate_type: str) -> None:
    """in-toto's parsing rules: unknown fields are ignored, and anybody may add some under a URI."""
    check(predicate_type, EXAMPLES[predicate_type] | {"https://example.com/more": {"a": [None, 1.5]}})


@pytest.mark.parametrize(("predicate_type", "path", "value", "pointer"), BROKEN)
def test_what_does_not_fit_is_named_by_its_pointer(predicate_type: str, path: str, value: object, pointer: str) -> None:
    with pytest.raises(DocumentError) as refused:
        check(predicate_type, changed(EXAMPLES[predicate_type], path, value))

    assert refused.value.exit_code == 2
    assert f"{pointer}: " in refused.value.cause
    assert refused.value.where == "predicate.json"


@pytest.mark.parametrize("predicate_type", EXAMPLES)
@pytest.mark.parametrize("document", [{"a": 1}, {"predicate": {}, "predicateType": "x"}])
def test_another_document_is_no_predicate_of_the_type(predicate_type: str, document: dict[str, Any]) -> None:
    with pytest.raises(DocumentError):
        check(predicate_type, document)


@pytest.mark.parametrize("predicate_type", [f"{CYCLONEDX}/v1.6", f"{SPDX}/v2.3", SPDX3])
def test_types_with_a_version_behind_them_are_checked_too(predicate_type: str) -> None:
    with pytest.raises(DocumentError):
        check(predicate_type, {"a": 1})


@pytest.mark.parametrize(
    "predicate_type", ["https://example.com/review/v1", f"{CYCLONEDX}-like", "https://spdx.dev/Doc"]
)
def test_types_of_somebodys_own_may_say_anything(predicate_type: str) -> None:
    check(predicate_type, {"a": 1})


def test_of_a_list_the_first_wrong_member_is_named_and_not_a_million() -> None:
    broken = EXAMPLES[CYCLONEDX] | {"components": [{"type": "thing"}] * 100_000}

    with pytest.raises(DocumentError, match="/components/0/type: ") as refused:
        check(CYCLONEDX, broken)

    assert "/components/1" not in refused.value.cause
    assert len(refused.value.cause) < 2000


def test_lists_that_are_null_are_as_if_they_were_not_there() -> None:
    """Go writes a list without members as null."""
    check(TEST_RESULT_V01, EXAMPLES[TEST_RESULT_V01] | {"passedTests": None})
    check(LINK_V03, EXAMPLES[LINK_V03] | {"materials": None, "command": None})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)
#: Every field of every example.
PLACES = sorted(
    (predicate_type, pointer)
    for predicate_type, example in EXAMPLES.items()
    for pointer in flatten(example, at_most=999)[0]
)


@given(place=st.sampled_from(PLACES), value=JSON)
def test_any_value_in_any_place_fits_or_is_refused(place: tuple[str, str], value: object) -> None:
    predicate_type, pointer = place
    path = pointer.removeprefix("/")
    if value is None or "~" in path:
        return

    with suppress(DocumentError):
        check(predicate_type, changed(EXAMPLES[predicate_type], path, value))
