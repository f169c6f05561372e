from __future__ import annotations

import re
from pathlib import Path

from policyd.attestation.provenance import DecisionDigests, ExternalParameters
from policyd.attestation.release_chain import CHECKS
from policyd.attestation.statements import RESULT_EXTENSION
from policyd.attestation.summary import POLICY_URI, RELEASE_EXTENSION
from policyd.models.statement import (
    BUILD_TYPE,
    DECISION_V1,
    MANIFEST_V1,
    POLICY_SET_V1,
    WAIVER_REVOCATION_V1,
    WAIVER_V1,
)

PAGE = (Path(__file__).parent.parent.parent / "docs" / "attestations.md").read_text()


def test_the_page_lists_the_checks_that_are_made() -> None:
    assert tuple(re.findall(r"^\d+\. (.+)$", PAGE, flags=re.MULTILINE)) == CHECKS


def test_the_page_names_every_uri_of_our_own() -> None:
    for uri in (WAIVER_V1, WAIVER_REVOCATION_V1):
        assert uri in PAGE
    for uri in (DECISION_V1, MANIFEST_V1, POLICY_SET_V1, BUILD_TYPE, RESULT_EXTENSION, RELEASE_EXTENSION, POLICY_URI):
        assert uri in PAGE


def test_the_page_names_every_external_parameter() -> None:
    for field in ExternalParameters.model_fields:
        assert field == "decisions" or f"`{field}`" in PAGE
    for field in DecisionDigests.model_fields:
        assert f"`decisions.{field}`" in PAGE
