"""A predicate against its schema, before anybody signs it: a signed document that no reader takes is no evidence.

The schemas are models of our own, so nothing is fetched, no pattern backtracks, and what does not fit is named by its
JSON pointer (docs/adr/0022-predicates-have-models.md). Types that are not listed are anybody's, and only have to be
JSON objects.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from policyd.errors import DocumentError
from policyd.models.statement import APPROVAL_V1, CYCLONEDX, LINK_V03, PROVENANCE_V1, SPDX, TEST_RESULT_V01, VSA_V1

if TYPE_CHECKING:
    from pydantic import BaseModel

COSIGN_VULN_V1 = "https://cosign.sigstore.dev/attestation/vuln/v1"
VULNS_V02 = "https://in-toto.io/attestation/vulns/v0.2"
MAX_SHOWN = 5  # enough to correct a file by; a wrong version of a format breaks every line
#: Types whose predicates are checked, for people to read.
KNOWN = (PROVENANCE_V1, VSA_V1, LINK_V03, TEST_RESULT_V01, COSIGN_VULN_V1, VULNS_V02, CYCLONEDX, SPDX, APPROVAL_V1)


def require_predicate(predicate_type: str, document: Mapping[str, object], content: bytes, *, where: str) -> None:
    """Raise `DocumentError` unless `document`, parsed from `content`, fits the schema of its predicate type.

    `content` was read strictly before: no key twice, bounded in size and depth.
    """
    from pydantic import ValidationError

    model = _find_model(predicate_type, document)
    if model is None:
        return
    try:
        model.model_validate_json(content)
    except ValidationError as invalid:
        found = [
            f"{_pointer(entry['loc'])}: {_plain(entry['msg'])}"
            for entry in invalid.errors(include_url=False, include_context=False, include_input=False)
        ]
        more = f"; and {len(found) - MAX_SHOWN} more" if len(found) > MAX_SHOWN else ""
        raise DocumentError(
            f"the predicate is no {predicate_type}: {'; '.join(found[:MAX_SHOWN])}{more}",
            where=where,
            fix="correct the fields named, or use the predicate type that the document is of",
        ) from invalid


def _find_model(predicate_type: str, document: Mapping[str, object]) -> type[BaseModel] | None:
    if predicate_type == APPROVAL_V1:
        from policyd.models.approval import Approval

        return Approval
    from policyd.models import predicates

    models: dict[str, type[BaseModel]] = {
        PROVENANCE_V1: predicates.SlsaProvenance,
        VSA_V1: predicates.VerificationSummary,
        LINK_V03: predicates.Link,
        TEST_RESULT_V01: predicates.TestResult,
        COSIGN_VULN_V1: predicates.CosignVulnerabilities,
        VULNS_V02: predicates.Vulnerabilities,
    }
    if predicate_type in models:
        return models[predicate_type]
    # Also with a version behind it, as producers write it: https://cyclonedx.org/bom/v1.6.
    if _is_of(predicate_type, CYCLONEDX):
        from policyd.models.sboms import CycloneDx

        return CycloneDx
    if _is_of(predicate_type, SPDX):
        from policyd.models.sboms import Spdx2, Spdx3

        return Spdx3 if "@graph" in document else Spdx2
    return None


def _is_of(predicate_type: str, base: str) -> bool:
    return predicate_type == base or predicate_type.startswith(f"{base}/")


def _pointer(location: Sequence[str | int]) -> str:
    return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in location) or "the document"


def _plain(message: str) -> str:
    return message.removeprefix("Value error, ")
